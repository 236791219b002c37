-- SPDX-License-Identifier: MIT
--
--- The ACLs and maps of the fake HAProxy, and the commands that read and change them.
-- A command is a function (fake, kind, words, payload) that returns a reply's body and its severity.

local keys_of = require("haplua.base.lists").keys
local match = require("haplua.test.match")
local options = require("haplua.base.options")

local M = {}

-- The fake's configuration file, which does not exist.
local CONFIG = "/etc/haproxy/haproxy.cfg"

local ERROR, INFO = 3, 6

---@class haplua.test.List
---@field kind "acl"|"map"
---@field id integer
---@field file string?
---@field methods {type: string, insensitive: boolean}[]
---@field entries {ref: string, key: string, value: string?, version: integer, parsed: any[]}[]  parsed: for each method
---@field current integer
---@field next integer
---@field refused integer  by how much HAProxy's count of entries is too low: by 1 after each refused entry

local function title(kind)
  return kind == "acl" and "ACL" or "map"
end

local function message(text, severity)
  return text .. "\n", severity or ERROR
end

local function unknown(kind)
  return message(("Unknown %s identifier. Please use #<id> or <file>."):format(title(kind)))
end

--- The lines of a file as HAProxy reads them.
local function entries_of_file(text, kind)
  local entries = {}
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    line = line:gsub("^[ \t]+", ""):gsub("\r$", "")
    if line ~= "" and line:sub(1, 1) ~= "#" then
      local key, value = line:match("^(%S+)[ \t]+(.-)[ \t]*$")
      entries[#entries + 1] = kind == "map" and { key = key or line, value = value or "" } or { key = line }
    end
  end
  return entries
end

--- The entries of a list at the start: those of its file, or else those of the declaration.
local function initial(fake, list)
  local text = list.file and fake.read(list.file)
  if text then
    return entries_of_file(text, list.kind)
  end
  local entries = {}
  for i, entry in ipairs(list.declared) do
    entries[i] = type(entry) == "table" and { key = entry.key, value = entry.value } or { key = entry }
  end
  if list.kind == "map" and #entries == 0 then
    for key, value in pairs(list.declared) do
      entries[#entries + 1] = { key = key, value = value }
    end
    table.sort(entries, function(a, b)
      return a.key < b.key
    end)
  end
  return entries
end

--- Add an entry, if each of the list's match methods can read its pattern.
---@return string? refusal
local function insert(fake, list, key, value, version)
  local parsed = {}
  for i, method in ipairs(list.methods) do
    local pattern, problem = match.methods[method.type].parse(key, method.insensitive, fake.minor_version < 203)
    if pattern == nil then
      return problem
    end
    parsed[i] = pattern
  end
  fake.references = fake.references + 1
  table.insert(list.entries, {
    ref = ("0x%x"):format(fake.base + fake.references * 0x90),
    key = key,
    value = value,
    version = version,
    parsed = parsed,
  })
end

--- Forget the changes made at runtime, and read the file again.
function M.load(fake, list)
  list.entries, list.current, list.next, list.refused = {}, 0, 0, 0
  for _, entry in ipairs(initial(fake, list)) do
    local problem = insert(fake, list, entry.key, entry.value, 0)
    if problem then
      error(("haproxy: %s: %s"):format(list.file or "#" .. list.id, problem), 0)
    end
  end
end

local a_method = options.one_of("str", "beg", "end", "sub", "dir", "dom", "len", "int", "ip", "reg")
local methods = options.any(a_method, options.list(a_method))

--- Entries of a map: values by key, or a list of { key =, value = }.
local function are_entries(entries)
  for key, entry in pairs(type(entries) == "table" and entries or { false }) do
    local is_pair = type(key) == "number" and type(entry) == "table" and type(entry.key) == "string"
    if not is_pair and (type(key) ~= "string" or type(entry) ~= "string" and type(entry) ~= "number") then
      return false
    end
  end
  return true
end

local known = {
  acl = options.record({
    fetch = "text", match = methods, insensitive = "boolean", entries = options.list("text"), line = "integer",
  }),
  map = options.record({
    match = methods, insensitive = "boolean", line = "integer",
    entries = options.where("values by key, or a list of { key =, value = }", are_entries),
  }),
}

local function make(fake, kind, ref, declared)
  options.argument("test.haproxy", ("%s '%s'"):format(title(kind), tostring(ref)), declared, known[kind])
  local fetch = declared.fetch or "path"
  local types = declared.match or (kind == "acl" and match.method_of(fetch) or "str")
  local ways = {}
  for i, name in ipairs(type(types) == "table" and types or { types }) do
    match.methods[name].parse("", false, false) -- raises here if a library is missing, and not within a command
    ways[i] = { type = name, insensitive = declared.insensitive or false }
  end
  local id = math.tointeger(tonumber(ref:match("^#(%d+)$")))
  fake.line = fake.line + 1
  return {
    kind = kind, id = id, file = not id and ref or nil, fetch = fetch, methods = ways,
    declared = declared.entries or {}, line = declared.line or fake.line,
  }
end

--- Make the lists that a fake's options declare.
---@return haplua.test.List[]  in the order of their numbers
function M.make(fake, acls, maps)
  local lists, taken, free = {}, {}, 0
  local function declare(kind, declared)
    for _, ref in ipairs(keys_of(declared)) do
      local list = make(fake, kind, ref, declared[ref])
      lists[#lists + 1] = list
      taken[list.id or false] = true
      if list.file and kind == "acl" then
        -- HAProxy makes a second list, for patterns in the declaration besides -f
        lists[#lists + 1] = {
          kind = kind, fetch = list.fetch, methods = list.methods, declared = {}, line = list.line,
        }
      end
    end
  end
  declare("acl", acls)
  declare("map", maps)
  for _, list in ipairs(lists) do
    while not list.id do
      list.id = not taken[free] and free or nil
      free = free + 1
    end
    M.load(fake, list)
  end
  table.sort(lists, function(a, b)
    return a.id < b.id
  end)
  return lists
end

--- The list of a reference. HAProxy accepts a sign before a number, and uses its lower 32 bits.
---@return haplua.test.List?
function M.find(fake, kind, ref)
  local id = ref == "#" and 0 or math.tointeger(tonumber((ref or ""):match("^#%+?(%d+)$")))
  id = id and id & 0xffffffff
  for _, list in ipairs(fake.lists) do
    if (list.file and list.file == ref or list.id == id) and list.kind == kind then
      return list
    end
  end
end

-- Matching.

--- The entry of the version in force that a value finds by one of the list's match methods.
---@param nth integer  which method
local function look_up(list, nth, value)
  local method = list.methods[nth]
  local way = match.methods[method.type]
  local key = method.insensitive and value:lower() or value
  if way.key then
    key = way.key(value)
  end
  local best, rank
  for _, entry in ipairs(key ~= nil and list.entries or {}) do
    if entry.version == list.current and way.matches(entry.parsed[nth], key) then
      if not way.rank or not way.tree or method.insensitive then
        return entry
      elseif not best or way.rank(entry.parsed[nth]) > rank then
        best, rank = entry, way.rank(entry.parsed[nth])
      end
    end
  end
  return best
end

--- The entry that a request with this value would find.
---@return {key: string, value: string?}?
function M.test(list, value)
  for i = 1, #list.methods do
    local entry = look_up(list, i, value)
    if entry then
      return entry
    end
  end
end

-- Commands.

--- Remove "@n" from the beginning of a command's arguments. HAProxy takes a word that is no number as 0.
---@return integer? version, string[] rest
local function cut_version(fake, words)
  if fake.minor_version < 204 or (words[1] or ""):sub(1, 1) ~= "@" then
    return nil, words
  end
  local number = math.tointeger(tonumber(words[1]:match("^@(%d+)"))) or 0
  return number & 0xffffffff, { table.unpack(words, 2) }
end

local function version_text(fake, list)
  if fake.minor_version < 204 then
    return ""
  end
  local count = #list.entries * #list.methods - list.refused
  local text = count < 0 and ("1844674407370955%04d"):format(1616 + count) or count
  return (". curr_ver=%d next_ver=%d entry_cnt=%s"):format(list.current, list.next, text)
end

local function describe(list)
  if not list.file then
    return ("acl '%s' file '%s' line %d"):format(list.fetch, CONFIG, list.line)
  end
  local users = {}
  for i = 1, list.kind == "map" and #list.methods or 1 do
    users[i] = ("by %s at file '%s' line %d"):format(list.kind, CONFIG, list.line)
  end
  return ("pattern loaded from file '%s' used %s"):format(list.file, table.concat(users, ", "))
end

function M.show(fake, kind, words)
  local version, rest = cut_version(fake, words)
  local out = {}
  if version and not rest[1] then
    return unknown(kind)
  elseif not rest[1] then
    out[1] = "# id (file) description\n"
    for _, list in ipairs(fake.lists) do
      if list.kind == kind then
        out[#out + 1] = ("%d (%s) %s%s\n"):format(list.id, list.file or "", describe(list), version_text(fake, list))
      end
    end
    return table.concat(out)
  end
  local list = M.find(fake, kind, rest[1])
  if not list then
    return unknown(kind)
  end
  for _, entry in ipairs(list.entries) do
    if entry.version == (version or list.current) then
      out[#out + 1] = ("%s %s%s%s\n"):format(entry.ref, entry.key, kind == "map" and " " or "", entry.value or "")
    end
  end
  return table.concat(out)
end

function M.get(fake, kind, words)
  if not words[1] or not words[2] then
    return message(("Missing %s identifier and/or key."):format(title(kind)))
  end
  local list = M.find(fake, kind, words[1])
  if not list then
    return unknown(kind)
  end
  local out = {}
  for i, method in ipairs(list.methods) do
    local entry = look_up(list, i, words[2])
    local tree = entry and match.is_in_tree(method, entry.parsed[i])
    local found = "no"
    if entry and kind == "map" then
      found = ('yes, idx=%s, key="%s", value="%s", type="str"'):format(tree and "tree" or "list", entry.key, entry.value)
    elseif entry then
      found = ('yes, idx=%s, pattern="%s"'):format(tree and "tree" or "list", entry.key)
    end
    out[i] = ("type=%s, case=%s, %s=%s\n"):format(method.type, method.insensitive and "insensitive" or "sensitive",
      kind == "map" and "found" or "match", found)
  end
  return table.concat(out)
end

local function in_future(kind)
  return message(("Version number in the future, please use 'prepare %s' before."):format(kind))
end

local function add_entry(fake, list, key, value, version)
  local problem = insert(fake, list, key, value, version)
  list.refused = list.refused + (problem and 1 or 0)
  return problem
end

--- Add the lines of a payload, each with a key and a value, up to the first bad one. A key ends at a space or a tab: a
-- line without either becomes one key with the beginning of the next line.
---@return string? refusal
local function add_payload(fake, list, payload, version)
  local at = 1
  if payload == "" then
    return "Missing value for key '\n'."
  end
  while at <= #payload do
    local key, value, after = payload:match("^([^ \t]*)[ \t]+([^\n]*)\n()", at)
    if not key then
      return ("Missing value for key '%s'."):format(payload:sub(at, -2))
    end
    at = after
    local problem = add_entry(fake, list, key, list.kind == "map" and value or nil, version)
    if problem then
      return problem
    end
  end
end

function M.add(fake, kind, words, payload)
  local version, rest = cut_version(fake, words)
  local lines = payload and (payload ~= "" or fake.minor_version >= 204)
  local enough = kind == "acl" and rest[2] or kind == "map" and (rest[3] or lines and rest[1])
  if not enough then
    return message(kind == "acl" and "'add acl' expects two parameters: ACL identifier and pattern."
      or "'add map' expects three parameters (map identifier, key and value) or one parameter (map identifier) and a payload")
  end
  local list = M.find(fake, kind, rest[1])
  if not list and kind == "acl" and M.find(fake, "map", rest[1]) then
    return message("This ACL is shared with a map containing samples. You must use the command 'add map' to add values.")
  elseif not list then
    return unknown(kind)
  elseif version and version > list.next then
    return in_future(kind)
  end
  local problem
  if payload then
    problem = add_payload(fake, list, payload, version or list.current)
  else
    problem = add_entry(fake, list, rest[2], kind == "map" and rest[3] or nil, version or list.current)
  end
  if problem then
    return message(problem)
  end
  return ""
end

--- Do `del` and `set` see an entry of this version? Before 3.2 they see those that are not committed, too.
local function is_seen(fake, list, entry)
  return entry.version == list.current or fake.minor_version < 302 and entry.version > list.current
end

--- Is this word a reference that HAProxy cannot read?
local function is_malformed(word)
  return word:find("^#0x") and not word:find("^#0x%x+$")
end

local function is_named(entry, word)
  if word:sub(1, 3) == "#0x" then
    return "#" .. entry.ref == word
  end
  return entry.key == word
end

--- Remove all other entries. HAProxy counts an entry once for each match method, but a removal only once.
local function keep(list, kept)
  list.refused = list.refused - (#list.entries - #kept) * (#list.methods - 1)
  list.entries = kept
end

function M.del(fake, kind, words)
  if not words[1] or not words[2] then
    return message(("This command expects two parameters: %s identifier and key."):format(title(kind)))
  end
  local list = M.find(fake, kind, words[1])
  if not list then
    return unknown(fake.minor_version < 302 and "map" or kind)
  elseif is_malformed(words[2]) then
    return message("Malformed identifier. Please use #<id> or <file>.")
  end
  local kept = {}
  for _, entry in ipairs(list.entries) do
    if not (is_seen(fake, list, entry) and is_named(entry, words[2])) then
      kept[#kept + 1] = entry
    end
  end
  if #kept == #list.entries then
    return message("Key not found.")
  end
  keep(list, kept)
  return ""
end

function M.set(fake, kind, words)
  if not words[3] then
    return message("'set map' expects three parameters: map identifier, key and value.")
  end
  local list = M.find(fake, kind, words[1])
  local found = false
  for _, entry in ipairs(list and list.entries or {}) do
    if is_seen(fake, list, entry) and is_named(entry, words[2]) then
      entry.value, found = words[3], true
    end
  end
  if not list then
    return unknown(kind)
  elseif not found then
    return message(words[2]:find("^#0x") and "key or pattern not found." or "entry not found.")
  end
  return ""
end

local function drop(list, unwanted)
  local kept = {}
  for _, entry in ipairs(list.entries) do
    if not unwanted(entry.version) then
      kept[#kept + 1] = entry
    end
  end
  keep(list, kept)
end

function M.clear(fake, kind, words)
  local version, rest = cut_version(fake, words)
  if not rest[1] then
    return message(("Missing %s identifier."):format(title(kind)))
  end
  local list = M.find(fake, kind, rest[1])
  if not list then
    return unknown(kind)
  end
  drop(list, function(v)
    return v == (version or list.current)
  end)
  return ""
end

function M.prepare(fake, kind, words)
  local list = M.find(fake, kind, words[1])
  if not list then
    return unknown(kind)
  end
  list.next = list.next + 1
  return message("New version created: " .. list.next, INFO)
end

function M.commit(fake, kind, words)
  local version, rest = cut_version(fake, words)
  if not version then
    return message("Missing version number.")
  elseif not rest[1] then
    return message(("Missing %s identifier."):format(title(kind)))
  end
  local list = M.find(fake, kind, rest[1])
  if not list then
    return unknown(kind)
  elseif version <= list.current or version > list.next then
    return message("Version number out of range.")
  end
  list.current = version
  drop(list, function(v)
    return v < version
  end)
  return ""
end

return M
