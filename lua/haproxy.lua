-- SPDX-License-Identifier: MIT
--
--- The module `haproxy`: HAProxy's Runtime API as function calls.
-- Each function acts on the script's target, and is a method of the object that haproxy.connect() returns. A
-- function that waits needs a task around it. It raises an error object where HAProxy refuses, cannot be reached, or
-- answers something unexpected; and a text that names the argument where an argument is wrong, before it sends
-- anything. haplua.haproxy.list replaces the content of ACLs and maps, differently for each version of HAProxy.

local core = require("haplua.core")
local reply = require("haplua.reply")
local list = require("haplua.haproxy.list")

--- The module that checks arguments, loaded with the first check: not every start has one.
local function options()
  return require("haplua.base.options")
end

local function argument(...)
  options().argument(...)
end

---@class haplua.Target
local Target = core.methods

local function optional(call, name, value)
  if value ~= nil then
    argument(call, name, value, "word")
  end
end

--- Arguments that a script gives one by one or as one list.
local function gather(call, what, ...)
  local given = table.pack(...)
  if given.n > 0 and given[given.n] == nil then
    argument(call, "the last of the " .. what, nil, "word")
  elseif given.n == 1 and type(given[1]) == "table" then
    given = given[1]
  else
    given.n = nil
  end
  argument(call, what, given, options().list("word"))
  return given
end

local function results(...)
  return ...
end

-- Methods that take a list's reference: it is checked before anything else.
---@class haplua.Target
local OfList = setmetatable({}, {
  __newindex = function(_, name, method)
    Target[name] = function(target, ref, ...)
      core.ref(ref)
      return results(method(target, ref, ...)) -- no tail call: an argument error names this function
    end
  end,
})

-- ACLs.

--- Add patterns to an ACL. When HAProxy refuses one, others may be in place: the error's `index` is that of
-- the first refused, `done` is the number of those added. acl_replace() adds all or none.
---@param ref string  "#9999" (from -u) or the file name given with -f
---@param ... string|string[]  patterns
---@return integer added
function OfList:acl_add(ref, ...)
  return (self:each({ "add", "acl", ref }, gather("acl_add", "patterns", ...)))
end

--- Remove every pattern, in one step where HAProxy has transactions (2.4).
---@param ref string  "#9999", or the file name given with -f
---@return integer removed
function OfList:acl_clear(ref)
  local _, removed = list.replace(self, "acl", ref, {})
  return removed
end

--- Ask HAProxy whether a value matches. Without a value: the patterns.
---@param ref string  "#9999", or the file name given with -f
---@param value? string  a path, an address, ...: what the ACL's fetch would give
---@return {pattern: string, type: string, case: string, index: string}|string[]|nil match  nil: nothing matches
function OfList:acl_get(ref, value)
  if value == nil then
    return self:acl_list(ref)
  end
  local match = list.match(self:acl_test(ref, value))
  if match then
    match.found = nil
  end
  return match
end

--- Ask HAProxy whether a value matches, by each match method that uses the ACL. Rows of methods that do not match are
-- there, too: so HAProxy tells an ACL's type.
---@param ref string  "#9999", or the file name given with -f
---@param value string  a path, an address, ...: what the ACL's fetch would give
---@return {found: boolean, type: string, case: string, pattern: string?, index: string?}[]
function OfList:acl_test(ref, value)
  argument("acl_test", "value", value, "word")
  return reply.matches(self:send({ "get", "acl", ref, value }))
end

--- The patterns of an ACL, in HAProxy's order. Without a reference, the ACLs that HAProxy has.
---@param ref? string  "#9999", or the file name given with -f
---@return string[]|haplua.List[]
function Target:acl_list(ref)
  if ref == nil then
    return list.all(self, "acl")
  end
  return (list.read(self, "acl", ref))
end

--- Remove patterns, each with all its duplicates. Raises `refused` for one that is not there; those before it are removed.
---@param ref string  "#9999", or the file name given with -f
---@param ... string|string[]  patterns
---@return integer removed
function OfList:acl_del(ref, ...)
  return list.remove(self, "acl", ref, gather("acl_del", "patterns", ...))
end

--- Replace the content of an ACL in one step: no request sees it empty, half-filled, or without
-- a pattern that is in both the old and the new content. HAProxy 2.2 has no such step;
-- there haplua adds the new patterns before it removes the old ones. Changes nothing where nothing differs.
---@param ref string  "#9999", or the file name given with -f
---@param patterns string[]  all that it shall hold
---@return integer added, integer removed
function OfList:acl_replace(ref, patterns)
  argument("acl_replace", "patterns", patterns, options().list("word"))
  local added, removed = list.replace(self, "acl", ref, patterns)
  return added, removed
end

-- Maps. Entries are {key = value, ...} or, where the order or duplicates matter, {{key=, value=}, ...}.

---@alias haplua.Entries table<string, string>|{key: string, value: string}[]

--- Entries as a script gives them, as two lists: (key, value); {key = value}, in the order of the keys; or
-- {{key=, value=}, ...}. Raises for anything else.
---@param call string  for the error
---@return string[] keys, string[] values
local function entries_of(call, key, value)
  local keys, values = {}, {}
  if type(key) ~= "table" then
    keys[1], values[1] = key, value
    argument(call, "key", key, "word")
    argument(call, "value", value, "word")
  elseif key[1] ~= nil then
    argument(call, "entries", key, options().list(options().record({ key = "word", value = "word" }, { "key", "value" })))
    for i, entry in ipairs(key) do
      keys[i], values[i] = entry.key, entry.value
    end
  else
    for k, v in pairs(key) do
      argument(call, "a key of the entries", k, "text")
      argument(call, "a value of the entries", v, "word")
      keys[#keys + 1] = k
    end
    table.sort(keys)
    for i, k in ipairs(keys) do
      values[i] = key[k]
    end
  end
  return keys, values
end

--- The entries of a map, in HAProxy's order. Without a reference, the maps that HAProxy has.
---@param ref? string  the file name given with map()
---@return {key: string, value: string}[]|haplua.List[]
function Target:map_list(ref)
  if ref == nil then
    return list.all(self, "map")
  end
  local keys, _, values = list.read(self, "map", ref)
  for i, key in ipairs(keys) do
    keys[i] = { key = key, value = values[i] }
  end
  return keys
end

--- Look a key up as HAProxy does for a request. nil where no entry matches.
---@param ref string  the file name given with map()
---@param key string  what the map's fetch would give
---@return string? value, {key: string, type: string, case: string, index: string}? match
function OfList:map_get(ref, key)
  argument("map_get", "key", key, "word")
  local match = list.match(reply.matches(self:send({ "get", "map", ref, key })))
  if match then
    return match.value, { key = match.pattern, type = match.type, case = match.case, index = match.index }
  end
  return nil
end

--- Add one entry, map_add(ref, key, value), or several, map_add(ref, entries). A key that the map has gets a
-- second entry.
---@param ref string  the file name given with map()
---@param key string|haplua.Entries  or all entries, without a value
---@param value? string  with no line end
---@return integer added
function OfList:map_add(ref, key, value)
  local keys, values = entries_of("map_add", key, value)
  return (self:each({ "add", "map", ref }, keys, values))
end

--- Change the value of a key, wherever it stands. Raises `refused` for a key that is not there.
---@param ref string  the file name given with map()
---@param key string|haplua.Entries  or all entries, without a value
---@param value? string  with no line end
---@return integer changed
function OfList:map_set(ref, key, value)
  local keys, values = entries_of("map_set", key, value)
  return (self:each({ "set", "map", ref }, keys, values))
end

--- Remove keys, each with all its duplicates. Raises `refused` for one that is not there; those before it are removed.
---@param ref string  the file name given with map()
---@param ... string|string[]  keys
---@return integer removed
function OfList:map_del(ref, ...)
  return list.remove(self, "map", ref, gather("map_del", "keys", ...))
end

--- Remove every entry, in one step where HAProxy has transactions (2.4).
---@param ref string  the file name given with map()
---@return integer removed
function OfList:map_clear(ref)
  local _, removed = list.replace(self, "map", ref, {}, {})
  return removed
end

--- Replace the content of a map in one step; see acl_replace().
---@param ref string  the file name given with map()
---@param entries haplua.Entries  all that it shall hold; of a list the order counts
---@return integer added, integer removed
function OfList:map_replace(ref, entries)
  argument("map_replace", "entries", entries, "table")
  local keys, values = entries_of("map_replace", entries)
  local added, removed = list.replace(self, "map", ref, keys, values)
  return added, removed
end

-- Servers, statistics, the process.

--- `show servers state`: a row for each server, fields named as HAProxy names them, numbers as integers, and
-- `admin` ("ready", "drain", "maint") and `operational` ("stopped", "starting", "running", "stopping")
-- in words. A field is read when it is looked at; pairs() reads them all.
---@param backend? string  only its servers; HAProxy refuses one that it does not have
---@return table[] rows
function Target:servers(backend)
  optional("servers", "backend", backend)
  return reply.servers(self:send({ "show", "servers", "state", backend }))
end

--- `show servers conn`: connections per server.
---@param backend? string  only its servers; HAProxy refuses one that it does not have
---@return table[] rows  fields named as HAProxy names them
function Target:servers_conn(backend)
  optional("servers_conn", "backend", backend)
  return reply.rows(self:send({ "show", "servers", "conn", backend }))
end

--- Change a server, and read back that it is changed.
---@param want {server: string, state: "ready"|"drain"|"maint"|nil, weight: integer|string|nil, addr: string?, port: integer?}
---  server is "backend/server"; weight 0 to 256 or "50%"
---@return table row  of `show servers state`, as servers() gives it
function Target:server_set(want)
  return require("haplua.haproxy.server").set(self, want)
end

--- `show stat`: a row for each frontend, backend, server and listener.
---@param proxy? string  only this one. HAProxy itself would show all for a name that it does not know
---@return table[] rows
function Target:stat(proxy)
  optional("stat", "proxy", proxy)
  local rows = reply.rows(self:send("show stat"))
  if not proxy then
    return rows
  end
  local found = {}
  for _, row in ipairs(rows) do
    if tostring(row.pxname) == tostring(proxy) then
      found[#found + 1] = row
    end
  end
  return found
end

--- `show info`: {Name = value}, numbers as integers.
---@return table<string, string|integer>
function Target:info()
  return reply.pairs(self:send("show info"))
end

--- The streams that HAProxy serves now.
---@return table[] rows  ref, and the fields that this version prints (src, fe, be, srv, age, ...)
function Target:sessions()
  return reply.sessions(self:send("show sess"))
end

--- HAProxy's version.
---@return string version, integer major, integer minor  "2.6.12-1+deb12u4", 2, 6
function Target:version()
  local text = tostring(self:info().Version)
  local major, minor = text:match("^(%d+)%.(%d+)")
  if not major then
    self:mistrust("show info", "Version: " .. text)
  end
  return text, math.tointeger(major), math.tointeger(minor)
end

-- The first version of HAProxy with a feature (docs/protocol.md, "Versions").
local since = {
  transactions = { 2, 4 },
  dynamic_servers = { 2, 4 },
  show_version = { 2, 6 },
  reload = { 2, 7 },
  wait = { 3, 0 },
  virtual_lists = { 3, 0 },
  echo = { 3, 1 },
}

--- Can this HAProxy do that?
---@param feature "transactions"|"dynamic_servers"|"show_version"|"reload"|"wait"|"virtual_lists"|"echo"  what it can do
---@return boolean
function Target:has(feature)
  argument("has", "feature", feature, options().one_of(
    "transactions", "dynamic_servers", "show_version", "reload", "wait", "virtual_lists", "echo"))
  local first, _, major, minor = since[feature], self:version()
  return major > first[1] or major == first[1] and minor >= first[2]
end

--- Raise `protocol`: HAProxy's answer is not one that the command has.
---@param command string  what was sent
---@param found string  what is wrong with the answer
---@error protocol
function Target:mistrust(command, found)
  error(require("haplua.error").new({
    kind = "protocol",
    message = "HAProxy did not do what the command says",
    command = command,
    reply = found,
    target = tostring(self),
  }))
end

---@class haproxy: haplua.Target
local M = { barrier = core.barrier }

--- Another target, with all of the above as methods. Opens nothing by itself: each request has its
-- own connection.
---@param address string  in HAProxy's syntax
---@param given? {via: string?, timeout: number?, max_reply: integer?}  via: the process behind a master CLI, "@1";
---  timeout: seconds of one command (5); max_reply: bytes, over which an answer is refused
---@return haplua.Target
---@error none
function M.connect(address, given)
  given = given or {}
  options().check("connect", given, {
    via = "text",
    timeout = options().where("seconds, more than 0", function(value)
      return options().fits("number", value) and value > 0
    end),
    max_reply = options().where("a number of bytes, more than 0", function(value)
      return math.type(value) == "integer" and value > 0
    end),
  })
  return core.open(address, given.via, given.timeout, given.max_reply)
end

--- The script's target: where the functions of this module go.
---@return haplua.Target
---@error none
function M.target()
  return core.current()
end

--- Is this a dry run? Then nothing that changes HAProxy is sent, and it answers as if it were.
---@return boolean
---@error none
function M.dry_run()
  return core.dry_run()
end

-- A method of Target is a function here, on the current target.
return setmetatable(M, {
  __index = function(module, name)
    local method = Target[name]
    if not method then
      error(("the module haproxy has no '%s'"):format(tostring(name)), 2)
    end
    local call = function(...)
      return method(core.current(), ...)
    end
    module[name] = call
    return call
  end,
})
