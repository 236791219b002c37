-- SPDX-License-Identifier: MIT
--
--- The frontends of a running HAProxy, and what they do with requests that a switch's list matches.

local condition = require("haplua.rules.condition")
local configuration = require("haplua.rules.configuration")
local file = require("haplua.file")
local process = require("haplua.haproxy.process")
local verdict = require("haplua.rules.verdict")

local M = {}

-- Bytes of one file that are read.
local MOST <const> = 16 << 20

-- Paths that are asked for besides "any": a rule on `path_beg /` takes each of them.
local PATHS <const> = { "/", "/haplua-probe" }

--- The text of a file that HAProxy's process reads by this name.
local function read_as(folder, name)
  return folder and file.read(process.inside(folder, name), MOST) or name:sub(1, 1) == "/" and file.read(name, MOST) or nil
end

--- The names of HAProxy's files, in its order: `show env` has them, else the lines that use the list.
local function file_names(target, places)
  local ok, text = pcall(target.send, target, { "show", "env", "HAPROXY_CFGFILES" })
  local names = {}
  for name in (ok and text:match("HAPROXY_CFGFILES=([^\n]*)") or ""):gmatch("[^;]+") do
    names[#names + 1] = name
  end
  for place in pairs(#names == 0 and places or {}) do
    names[1] = place:match("^(.*):%d+$")
  end
  return names
end

--- A list as haplua.rules.condition knows it.
---@param ref string  "#9999", or a file
---@param text string?  what `show acl` says of it
---@return haplua.rules.List
local function list_of(ref, text)
  local list = { id = ref:match("^#(%d+)$"), file = ref:sub(1, 1) ~= "#" and ref or nil, places = {} }
  for path, line in (text or ""):gmatch("file '([^']*)' line (%d+)") do
    list.places[("%s:%s"):format(path, line)] = true
  end
  function list.is_file(name)
    name = name:gsub("^opt@", ""):gsub("^file@", "")
    return list.file ~= nil and (name == list.file or name:sub(1, 1) ~= "/" and list.file:sub(-#name - 1) == "/" .. name)
  end
  return list
end

--- The verdict for any path, unless one path of its own has another.
local function judge_all(found, asked)
  local verdicts = verdict.judge(found, asked)
  for _, path in ipairs(PATHS) do
    for i, other in ipairs(verdict.judge(found, setmetatable({ path = path }, { __index = asked }))) do
      local one = verdicts[i]
      if one.state == "closed" and other.state ~= "closed" then
        verdicts[i], other.usual, other.others, other.chained = other, one.usual, one.others, one.chained
      end
      one.uses = one.uses or other.uses
    end
  end
  return verdicts
end

--- Read the configuration of the HAProxy that a target reaches.
---@return haplua.rules.Configuration? found, string? problem  nil: why nothing can be said
---@return fun(name: string): string? read  the text of a file by its name in the configuration
local function read_all(target, pid, list)
  local folder = process.folder(target, pid)
  local files = {}
  local function read(name)
    return read_as(folder, name)
  end
  for i, name in ipairs(file_names(target, list.places)) do
    local content = read(name)
    if not content then
      return nil, name .. " cannot be read", read
    end
    files[i] = { path = name, text = content }
  end
  if not files[1] then
    return nil, "HAProxy does not tell the names of its files", read
  end
  local found = configuration.read(files, {})
  local problem = found.problems[1]
  return not problem and found or nil, problem and ("%s:%d: %s"):format(problem.file, problem.line, problem.text), read
end

---@class haplua.rules.Declared  an ACL of the configuration
---@field name string
---@field file string
---@field line integer
---@field kind string  of its section
---@field section string
---@field id string?  "#9999", of -u
---@field has_file boolean

--- The ACLs that a configuration declares.
---@return haplua.rules.Declared[]
local function acls_in(found)
  local acls = {}
  for _, section in ipairs(found.sections) do
    for _, line in ipairs(section.lines) do
      local name = line.words[1] == "acl" and line.words[3] and line.words[2]
      local criterion = name and condition.parse(table.move(line.words, 3, #line.words, 1, {}))
      acls[#acls + 1] = name and { name = name, file = line.file, line = line.line, kind = section.kind, section = section.name,
        id = criterion.id and "#" .. criterion.id, has_file = criterion.files[1] ~= nil } or nil
    end
  end
  return acls
end

--- All ACLs that the configuration declares.
---@param target haplua.Target
---@param pid integer|string
---@param text string?  of `show acl`
---@return haplua.rules.Declared[]? acls, string? problem
function M.acls(target, pid, text)
  local found, problem = read_all(target, pid, list_of("", text))
  return found and acls_in(found), problem
end

--- The name of the first of these ACLs that stands in one of these places.
local function name_at(acls, places)
  for _, one in ipairs(acls) do
    if places[("%s:%d"):format(one.file, one.line)] then
      return one.name
    end
  end
end

--- The name that the configuration gives to the ACL of a list.
---@param target haplua.Target
---@param pid integer|string
---@param text string?  the list's line in `show acl`
---@return string?
function M.acl_name(target, pid, text)
  return name_at(M.acls(target, pid, text) or {}, list_of("", text).places)
end

--- The backends whose clients a cookie, or a table, sends to a server also while that is under maintenance.
---@param target haplua.Target
---@param pid integer|string
---@return table<string, string>? lines  by the backend's name: what does it. nil: the configuration cannot be read
function M.persisting(target, pid)
  local found = read_all(target, pid, list_of("", ""))
  local persisting = found and {}
  for _, section in ipairs(found and found.sections or {}) do
    local lines = (section.kind == "backend" or section.kind == "listen") and configuration.lines(section) or {}
    local sticks = configuration.setting(lines, "cookie") or configuration.setting(lines, "stick")
    for _, line in ipairs(sticks and lines or {}) do
      local word = table.concat(line.words, " ", 1, math.min(2, #line.words))
      if word == "option persist" then
        persisting[section.name] = not line.no and word or nil
      elseif line.words[1] == "force-persist" then
        persisting[section.name] = persisting[section.name] or table.concat(line.words, " ")
      end
    end
  end
  return persisting
end

--- What the configuration says of a list that is known by a number.
---@param target haplua.Target
---@param pid integer|string
---@param id string  "9999"
---@param text string?  of `show acl`
---@return {fixed: boolean, name: string?}? found  fixed: the number is that of a `-u`; name: of the ACL. nil: the
--- configuration cannot be read
function M.numbered(target, pid, id, text)
  local list = list_of("#" .. id, text)
  local found = read_all(target, pid, list)
  local numbered = found and { fixed = false, name = name_at(acls_in(found), list.places) }
  for _, section in ipairs(found and found.sections or {}) do
    for _, line in ipairs(section.lines) do
      for i = 1, #line.words - 1 do
        numbered.fixed = numbered.fixed or line.words[i] == "-u" and tonumber(line.words[i + 1]) == tonumber(id)
      end
    end
  end
  return numbered
end

--- Add to the verdicts which requests get round a scope: `detours`, by what the scope names.
---@param seen haplua.ListSeen
local function add_detours(found, asked, verdicts, seen)
  local detours, scope = require("haplua.rules.detours"), require("haplua.plan.scope")
  for name, probe in pairs(detours.probes) do
    local ok, patterns = pcall(scope.patterns, probe.scope, seen.kind, seen.method)
    for i, one in pairs(ok and detours.of(found, asked, probe, patterns, tonumber(seen.version:match("^%d+"))) or {}) do
      verdicts[i].detours = verdicts[i].detours or {}
      verdicts[i].detours[name] = one
    end
  end
  local n = 0
  for _, section in ipairs(found.sections) do
    if section.kind == "frontend" or section.kind == "listen" then
      n = n + 1
      verdicts[n].declaration = verdicts[n].detours and detours.declaration(section, asked.list)
    end
  end
end

---@class haplua.ListSeen  what HAProxy shows of a list
---@field kind string?  what it looks at, as haplua.plan.scope names it
---@field method string
---@field version string  HAProxy's

---@class haplua.FrontendVerdict: haplua.rules.Verdict
---@field detours table<string, haplua.rules.Detours>?  round scopes of "paths", of "hosts", and of the whole "site"
---@field declaration {name: string, line: string, odd: string, numbered: boolean}?  of the list, where it is an ACL

--- A backend that an open frontend has in common with those that close theirs.
---@param one haplua.rules.Verdict
---@param guarded table<string, string>  the frontend that closes a backend
---@return string?
local function shared_backend(one, guarded)
  local shared
  for backend in pairs(one.backends) do
    shared = guarded[backend] and (not shared or backend < shared) and backend or shared
  end
  return shared
end

---@class haplua.rules.Finding
---@field state "ok"|"note"|"warn"
---@field text string
---@field unknown boolean?  what the frontend does is not known
---@field advice string?

--- What verdicts come to: a line for each frontend, the worse the fewer others close.
---@param verdicts haplua.rules.Verdict[]
---@return haplua.rules.Finding[] findings, string? nobody  lines on the frontends, where none may close
function M.summary(verdicts)
  local closed, unknown, findings, rest, guarded = false, false, {}, {}, {}
  for _, one in ipairs(verdicts) do
    local closes = one.state == "closed" and one.uses
    closed, unknown = closed or closes, unknown or one.state == "unknown" and one.uses
    for backend in pairs(closes and one.backends or {}) do
      guarded[backend] = one.frontend
    end
  end
  local function find(state, text, advice, is_unknown)
    findings[#findings + 1] = { state = state, text = text, advice = advice, unknown = is_unknown or nil }
  end
  for _, one in ipairs(verdicts) do
    local text = ("frontend %s: %s: %s"):format(one.frontend, one.state == "unknown" and "not known" or one.state, one.why)
    local shared = closed and one.state == "open" and shared_backend(one, guarded)
    if one.state == "closed" and one.uses then
      find("ok", text)
    elseif shared then
      find("warn", ("%s\nso visitors reach backend %s here, which frontend %s closes"):format(text, shared, guarded[shared]),
        "give this frontend the same lines")
    elseif closed or one.state == "off" or unknown then
      find((closed or one.state == "off") and "note" or "warn", text, nil, one.state == "unknown")
    else
      rest[#rest + 1] = text
    end
    for _, exception in ipairs(one.uses and one.exceptions or {}) do
      find("note", ("frontend %s: some requests do not get the maintenance: %s"):format(one.frontend, exception))
    end
  end
  return findings, rest[1] and table.concat(rest, "\n") or nil
end

--- The frontends whose own rules ask a list. nil: backends ask it as well, or nothing does.
---@param found haplua.rules.Configuration
---@param list haplua.rules.List
---@return table<string, true>? names, string[] rest  those that do not
local function users_of(found, list)
  local names, rest = {}, {}
  for _, section in ipairs(found.sections) do
    local is_frontend, uses = section.kind == "frontend" or section.kind == "listen", false
    for _, line in ipairs(section.lines) do
      uses = uses or list.places[("%s:%d"):format(line.file, line.line)] ~= nil
    end
    if uses and not is_frontend then
      return nil, {}
    elseif is_frontend then
      names[section.name], rest[#rest + 1] = uses or nil, not uses and section.name or nil
    end
  end
  if not next(names) then
    return nil, {}
  end
  return names, rest
end

--- Judge each frontend of the HAProxy that a target reaches.
---@param target haplua.Target
---@param pid integer|string  of its process, as `show info` has it
---@param ref string  the switch's list
---@param text string?  its line in `show acl`
---@param how {seen: haplua.ListSeen?, users: boolean?}?  seen: look also for requests that get round a scope; users: only
--- frontends whose own rules ask the list, where HAProxy tells which these are
---@return haplua.FrontendVerdict[]? verdicts, string? problem  nil: why nothing can be said
---@return string[]? rest  the frontends that were not judged
function M.judge(target, pid, ref, text, how)
  local list = list_of(ref, text)
  local found, problem, read = read_all(target, pid, list)
  if not found then
    return nil, problem
  end
  local asked, rest = { list = list, method = "GET", read = read }, nil
  if how and how.users then
    asked.only, rest = users_of(found, list)
  end
  local verdicts = judge_all(found, asked)
  if how and how.seen then
    add_detours(found, asked, verdicts, how.seen)
  end
  return verdicts, nil, rest
end

return M
