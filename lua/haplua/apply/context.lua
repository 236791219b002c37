-- SPDX-License-Identifier: MIT
--
--- What a call works on: the target, the switch that the configuration declares, and the journal.

local config = require("haplua.store.config")
local haproxy = require("haproxy")
local errors = require("haplua.error")

local M = {}

---@class haplua.Context
---@field target haplua.Target
---@field name string  the target as the journal names it
---@field switch haplua.Switch
---@field journal haplua.Journal?
---@field no_journal string?  why it could not be opened

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
---@return haplua.Journal?, string? problem
local function open_journal(found, asked, readonly)
  local path = asked or config.env("HAPLUA_JOURNAL") or found.journal or config.JOURNAL
  if asked == false or path == "none" then
    return nil
  end
  local journal, problem = require("haplua.store.journal").open(path, { readonly = readonly })
  if not journal and path ~= config.JOURNAL and not readonly then
    errors.raise("journal", ("the journal %s: %s"):format(path, problem), "give --no-journal to do without")
  end
  return journal, problem and ("%s: %s"):format(path, problem)
end

--- Read the configuration, choose the switch, and open the journal. Asks HAProxy for nothing.
---@param request haplua.Request
---@param readonly boolean?  do not begin a journal where there is none; a dry run never does
---@return haplua.Context
function M.open(request, readonly)
  if request.acl and request.switch then
    errors.refuse("acl and switch: a switch has its ACL")
  end
  local found = config.read(request.config)
  local target = haproxy.target()
  local chosen = config.switch(found, request.switch, request.acl)
  if request.file == false then
    chosen.file = false
  end
  local journal, problem = open_journal(found, request.journal, readonly or haproxy.dry_run())
  local name = journal and canonical(target) or tostring(target)
  return { target = target, name = name, switch = chosen, journal = journal, no_journal = problem }
end

return M
