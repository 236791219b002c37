-- SPDX-License-Identifier: MIT
--
--- What a call works on: the target, the switch that the configuration declares, and the journal.

local config = require("haplua.store.config")
local core = require("haplua.core")
local haproxy = require("haproxy")
local errors = require("haplua.error")
local maintenance = require("haplua.plan.maintenance")
local process = require("haplua.process")

local M = {}

---@class haplua.Context
---@field target haplua.Target
---@field name string  the target as the journal names it
---@field switch haplua.Switch
---@field store haplua.Store
---@field journal boolean  the store is a journal; otherwise this process forgets it at its end
---@field no_journal string?  why no journal could be opened
---@field person {user: string, host: string, login: string?}  who acts

--- The real path of a socket. Where the socket is missing, the real path of its folder and the name.
local function real_path(path)
  local file = require("haplua.file")
  local real = file.real(path)
  if real then
    return real
  end
  local folder, base = path:match("^(.-)/?([^/]+)$")
  folder = file.real(folder == "" and path:sub(1, 1) == "/" and "/" or folder == "" and "." or folder)
  return folder and folder:gsub("/$", "") .. "/" .. base or path
end

--- The address of a target, the same for each spelling of a path.
---@return string
local function canonical(target)
  local address, route = target:address()
  local path = address:match("^unix@(.*)") or address:match("^[./].*")
  if path and not address:find("^abns@") then
    address = real_path(path)
  end
  return route and address .. " via " .. route or address
end

--- Open the journal that the request names, else that of the environment, the configuration, or the default.
---@return haplua.Store?, string? problem
local function open_journal(found, asked, readonly)
  local path = asked or config.env("HAPLUA_JOURNAL") or found.journal or config.JOURNAL
  if asked == false or path == "none" then
    return nil
  end
  local journal, problem = require("haplua.store.sqlite").open(path, { readonly = readonly, days = found.journal_days or 400 })
  if not journal and path ~= config.JOURNAL and not readonly then
    errors.raise("journal", ("the journal %s: %s"):format(path, problem), "give --no-journal to do without")
  end
  return journal, problem and ("%s: %s"):format(path, problem)
end

-- Who acts is looked up where that is asked for: the system's tables of users take longer than the rest of a context.
local Context = {}

function Context.__index(c, key)
  if key == "person" then
    c.person = process.person()
    return c.person
  end
end

--- Raise `denied` where --read-only or --only holds back what the request is to change.
local function check_permitted(target, chosen, servers, state)
  core.permit(target, chosen.acl ~= "servers" and { "add", chosen.kind, chosen.acl } or nil)
  for _, name in ipairs(servers or {}) do
    core.permit(target, { "set", "server", name, "state", state or "ready" })
  end
end

--- The reference of a list, where it may be given by an ACL's name.
---@return string? ref  raises `refused`
local function reference(target, name)
  if config.is_name(name) then
    return require("haplua.haproxy.names").resolve(target, name)
  end
  return name
end

--- Put the references of lists in the place of ACLs' names, which the switches of a configuration, and a command line,
--- may have. Asks HAProxy only where there are names.
---@param target haplua.Target
---@param found haplua.Config
---@param request haplua.Request
---@return string? acl, string? name  its reference, and its name if it has one. Raises `refused`
function M.resolve(target, found, request)
  local acl = request.acl or not request.switch and config.env("HAPLUA_ACL") or nil
  for name, switch in pairs(acl ~= "servers" and found.switches or {}) do
    if switch.kind == "acl" and (not request.switch or name == request.switch) then
      switch.given = switch.given or config.is_name(switch.acl) and switch.acl or nil
      switch.acl, switch.bypass = reference(target, switch.acl), reference(target, switch.bypass)
    end
  end
  return reference(target, acl), config.is_name(acl) and acl or nil
end

--- The switch that a request means.
local function choose(target, found, request)
  local acl, name = M.resolve(target, found, request)
  local chosen = config.switch(found, request.switch or nil, acl)
  if name then
    chosen.given, chosen.name = name, chosen.name == acl and name or chosen.name
  end
  if request.file == false then
    chosen.file = false
  end
  return chosen
end

--- Read the configuration, choose the switch, and open the journal. Asks HAProxy for nothing, except for the lists of ACLs
--- that are given by their names.
---@param request haplua.Request
---@param readonly boolean?  do not begin a journal where there is none; a dry run never does
---@return haplua.Context  raises `denied` where --read-only or --only holds back what the request is to change
function M.open(request, readonly)
  if request.acl and request.switch then
    errors.refuse("acl and switch: a switch has its ACL")
  end
  local found = config.read(request.config)
  local target = haproxy.target()
  local chosen = choose(target, found, request)
  if not readonly then
    check_permitted(target, chosen, request.servers, request.state)
  end
  local journal, problem = open_journal(found, request.journal, readonly or haproxy.dry_run())
  return setmetatable({
    target = target, name = journal and canonical(target) or tostring(target), switch = chosen,
    store = journal or require("haplua.store.memory").open(), journal = journal ~= nil, no_journal = problem,
  }, Context)
end

--- Put into a new row of the store where it belongs: the target, and the switch where the row names none.
---@param c haplua.Context
---@param row table  of a maintenance or a change
---@return table  this very table
function M.place(c, row)
  row.target, row.acl, row.switch = c.name, row.acl or c.switch.acl, row.switch or c.switch.name
  return row
end

--- Put into a new row whose it is as well, where there is a journal.
---@param c haplua.Context
---@param row table
---@return table  this very table
function M.sign(c, row)
  if c.journal then
    row.user, row.host, row.login = c.person.user, c.person.host, c.person.login
  end
  return M.place(c, row)
end

--- Who acts, for people; nil without a journal, which alone would keep it.
---@param c haplua.Context
---@return string?
function M.who(c)
  return c.journal and maintenance.who(c.person) or nil
end

--- A context for another switch, which shares all else.
---@param c haplua.Context
---@param found haplua.Config
---@param request haplua.Request
---@return haplua.Context  raises `refused` where the configuration has no such switch
function M.of_switch(c, found, request)
  return setmetatable({ switch = choose(c.target, found, request) }, { __index = c })
end

return M
