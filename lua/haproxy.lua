-- SPDX-License-Identifier: MIT
--
--- The module `haproxy`: HAProxy's Runtime API as function calls.
-- Every function here acts on the script's target; each is a method, too, of the object that
-- haproxy.connect() returns. They wait only inside their own task, and raise an error object
-- where HAProxy refuses, cannot be reached, or answers something else than it should.
-- What depends on HAProxy's version is in lua/haplua/haproxy/list.lua (ACLs and maps).

local core = require("haplua.core")
local reply = require("haplua.reply")
local list = require("haplua.haproxy.list")

---@class haplua.Target
local Target = core.methods

--- Arguments that may come one by one or as one list.
local function gather(...)
  local first = ...
  if type(first) == "table" and select("#", ...) == 1 then
    return first
  end
  return { ... }
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
      return results(method(target, ref, ...)) -- no tail call: misuse is told with this function's name
    end
  end,
})

-- ACLs.

--- Add patterns to an ACL. When HAProxy refuses one, others may be in place: the error's `index` says
-- which was refused, `done` how many were taken. acl_replace() is all or nothing.
---@param ref string  "#9999" (from -u) or the file name given with -f
---@param ... string|string[]  patterns
---@return integer added
function OfList:acl_add(ref, ...)
  return (self:each({ "add", "acl", ref }, gather(...)))
end

--- Remove every pattern, in one step where HAProxy has transactions (2.4).
---@param ref string
---@return integer removed
function OfList:acl_clear(ref)
  local _, removed = list.replace(self, "acl", ref, {})
  return removed
end

--- Ask HAProxy whether a value matches. Without a value: the patterns.
---@param ref string
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

--- The same, with one row for each match method that uses the ACL, also for those that do not
-- match: this is how HAProxy tells an ACL's type.
---@return {found: boolean, type: string, case: string, pattern: string?, index: string?}[]
function OfList:acl_test(ref, value)
  return reply.matches(self:send({ "get", "acl", ref, value }))
end

--- The patterns of an ACL, in HAProxy's order. Without a reference: the ACLs that there are.
---@param ref? string
---@return string[]|haplua.List[]
function Target:acl_list(ref)
  if ref == nil then
    return list.all(self, "acl")
  end
  return (list.read(self, "acl", ref))
end

--- Remove patterns, each with all its duplicates. One that is not there is refused.
---@return integer removed
function OfList:acl_del(ref, ...)
  return list.remove(self, "acl", ref, gather(...))
end

--- Replace the content of an ACL in one step: no request sees it empty, half-filled, or with
-- a pattern missing that is in both the old and the new content. HAProxy 2.2 has no such step;
-- there what is new is added before what is old is removed. Sends no change when nothing changes.
---@param ref string
---@param patterns string[]
---@return integer added, integer removed
function OfList:acl_replace(ref, patterns)
  local added, removed = list.replace(self, "acl", ref, patterns)
  return added, removed
end

-- Maps. Entries are given as {key = value, ...} or, where the order or duplicates matter, as
-- {{key=, value=}, ...}.

---@alias haplua.Entries table<string, string>|{key: string, value: string}[]

--- The entries of a map, in HAProxy's order. Without a reference: the maps that there are.
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

--- Look a key up as HAProxy would.
---@return string? value, {key: string, type: string, case: string, index: string}? match
function OfList:map_get(ref, key)
  local match = list.match(reply.matches(self:send({ "get", "map", ref, key })))
  if match then
    return match.value, { key = match.pattern, type = match.type, case = match.case, index = match.index }
  end
  return nil
end

--- map_add(ref, key, value), or map_add(ref, entries). A key that is there gets a second entry.
---@return integer added
function OfList:map_add(ref, key, value)
  local keys, values = list.entries(key, value)
  return (self:each({ "add", "map", ref }, keys, values))
end

--- Change the value of a key, wherever it stands. A key that is not there is refused.
---@return integer changed
function OfList:map_set(ref, key, value)
  local keys, values = list.entries(key, value)
  return (self:each({ "set", "map", ref }, keys, values))
end

--- Remove keys, each with all its duplicates. One that is not there is refused.
---@return integer removed
function OfList:map_del(ref, ...)
  return list.remove(self, "map", ref, gather(...))
end

---@return integer removed
function OfList:map_clear(ref)
  local _, removed = list.replace(self, "map", ref, {}, {})
  return removed
end

--- Replace the content of a map in one step; see acl_replace().
---@param entries haplua.Entries
---@return integer added, integer removed
function OfList:map_replace(ref, entries)
  local keys, values = list.entries(entries)
  local added, removed = list.replace(self, "map", ref, keys, values)
  return added, removed
end

-- Servers, statistics, the process.

--- `show servers state`: a row for each server, fields named as HAProxy names them, numbers as integers, and
-- `admin` ("ready", "drain", "maint") and `operational` ("stopped", "starting", "running", "stopping")
-- in words. A field is read when it is looked at; pairs() reads them all.
---@param backend? string
---@return table[] rows
function Target:servers(backend)
  return reply.servers(self:send({ "show", "servers", "state", backend }))
end

--- `show servers conn`: connections per server.
---@param backend? string
---@return table[] rows  fields named as HAProxy names them
function Target:servers_conn(backend)
  return reply.rows(self:send({ "show", "servers", "conn", backend }))
end

local server_options = { server = true, state = true, weight = true, addr = true, port = true, timeout = true }

--- What `show servers state` says of one server.
local function server_row(target, server)
  local backend, name = server:match("^(.-)/(.*)$")
  for _, row in ipairs(target:servers(backend)) do
    if tostring(row.srv_name) == name then
      return row
    end
  end
end

--- Does HAProxy show what was asked for? Returns the field that does not, or nil.
local function disagreement(row, want)
  local states = { ready = "ready", drain = "drain", maint = "maint" }
  if want.state and row.admin ~= states[want.state] then
    return "state", row.admin
  elseif want.weight and math.type(want.weight) == "integer" and row.srv_uweight ~= want.weight then
    return "weight", row.srv_uweight
  elseif want.addr and row.srv_addr ~= want.addr and row.srv_addr ~= require("haplua.haproxy.inet").text(want.addr) then
    return "addr", row.srv_addr
  elseif want.port and row.srv_port ~= want.port then
    return "port", row.srv_port
  end
end

--- Send commands that do no harm twice: once more when the connection is reset, as at a reload.
local function batch_again(target, commands)
  local ok, problem = pcall(target.batch, target, commands)
  if ok then
    return
  elseif not require("haplua.error").is(problem) or problem.code ~= "ECONNRESET" then
    error(problem, 0)
  end
  target:batch(commands)
end

--- Change a server, and read back that it is changed.
---@param want {server: string, state: "ready"|"drain"|"maint"|nil, weight: integer|string|nil, addr: string?, port: integer?}
---  server is "backend/server"; weight 0 to 256 or "50%"
---@return table row  of `show servers state`, as servers() gives it
function Target:server_set(want)
  for key in pairs(want) do
    if not server_options[key] then
      error(("server_set: unknown option '%s'"):format(tostring(key)), 2)
    end
  end
  local server = want.server
  if type(server) ~= "string" or not server:find("^[^/]+/[^/]+$") then
    error("server_set: server: 'backend/server' expected", 2)
  end
  -- HAProxy would take 16 bits of any number
  if want.port and (math.type(want.port) ~= "integer" or want.port < 1 or want.port > 65535) then
    error("server_set: port: an integer from 1 to 65535 expected", 2)
  end
  local commands = {}
  if want.addr then
    commands[#commands + 1] =
      { "set", "server", server, "addr", want.addr, want.port and "port", want.port }
  end
  if want.weight then
    commands[#commands + 1] = { "set", "server", server, "weight", want.weight }
  end
  if want.state then
    commands[#commands + 1] = { "set", "server", server, "state", want.state }
  end
  if #commands == 0 then
    error("server_set: state, weight or addr expected", 2)
  end
  batch_again(self, commands)
  local row = server_row(self, server)
  local field, found = disagreement(row or {}, want)
  -- HAProxy 3.0 changes an address a moment after it said so
  local patience = 100
  while field and not core.dry_run() and patience > 0 do
    patience = patience - 1
    require("haplua.task").sleep(0.01)
    row = server_row(self, server)
    field, found = disagreement(row or {}, want)
  end
  if field and not core.dry_run() then
    self:mistrust("set server " .. server, ("%s is %s afterwards"):format(field, tostring(found)))
  end
  return row
end

--- `show stat`: a row for each frontend, backend, server and listener.
---@param proxy? string  only this one. HAProxy itself would show all for a name that it does not know
---@return table[] rows
function Target:stat(proxy)
  local rows = reply.rows(self:send("show stat"))
  if not proxy then
    return rows
  end
  local found = {}
  for _, row in ipairs(rows) do
    if tostring(row.pxname) == proxy then
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

-- The first version with a feature (docs/protocol.md, "Versions").
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
---@param feature "transactions"|"dynamic_servers"|"show_version"|"reload"|"wait"|"virtual_lists"|"echo"
---@return boolean
function Target:has(feature)
  local first = since[feature]
  if not first then
    local known = {}
    for name in pairs(since) do
      known[#known + 1] = name
    end
    table.sort(known)
    error(("has: unknown feature '%s' (known: %s)"):format(tostring(feature), table.concat(known, ", ")), 2)
  end
  local _, major, minor = self:version()
  return major > first[1] or major == first[1] and minor >= first[2]
end

--- Raise: HAProxy's answer is not to be trusted.
function Target:mistrust(command, found)
  error(require("haplua.error").new({
    kind = "protocol",
    message = "HAProxy did not do what it was told",
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
---@param options? {via: string?, timeout: number?, max_reply: integer?}
---  via: the process behind a master CLI, "@1"; max_reply: bytes, over which an answer is refused
---@return haplua.Target
function M.connect(address, options)
  options = options or {}
  for key in pairs(options) do
    if key ~= "via" and key ~= "timeout" and key ~= "max_reply" then
      error(("connect: unknown option '%s'"):format(tostring(key)), 2)
    end
  end
  return core.open(address, options.via, options.timeout, options.max_reply)
end

--- The script's target: where the functions of this module go.
---@return haplua.Target
function M.target()
  return core.current()
end

--- Is this a dry run? Then nothing that changes HAProxy is sent, and it answers as if it were.
---@return boolean
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
