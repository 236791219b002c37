-- SPDX-License-Identifier: MIT
--
--- What a call works on: the target, the switch that the configuration declares, and the journal.

local config = require("haplua.store.config")
local haproxy = require("haproxy")
local new_error = require("haplua.error").new

local M = {}

---@class haplua.Context
---@field target haplua.Target
---@field name string  the target in the journal
---@field switch haplua.Switch
---@field journal haplua.Journal?
---@field no_journal string?  why there is none

--- The path of a socket that may not be there, in one spelling.
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

--- A target's address in one spelling, so that everybody finds it again.
---@return string
local function canonical(target)
  local address, route = target:address()
  local path = address:match("^unix@(.*)") or address:match("^[./].*")
  if path and not address:find("^abns@") then
    address = real_path(path)
  end
  return route and address .. " via " .. route or address
end

--- Open the journal: as asked for, else where the environment or the configuration says.
---@return haplua.Journal?, string?
local function open_journal(found, asked, readonly)
  local path = asked or os.getenv("HAPLUA_JOURNAL") or found.journal or config.JOURNAL
  if asked == false or path == "none" then
    return nil
  end
  local journal, problem = require("haplua.store.journal").open(path, { readonly = readonly })
  if not journal and path ~= config.JOURNAL and not readonly then
    error(new_error({
      kind = "journal",
      message = ("the journal %s: %s"):format(path, problem),
      advice = "give --no-journal to do without",
    }), 0)
  end
  return journal, problem and ("%s: %s"):format(path, problem)
end

---@param options haplua.MaintenanceOptions
---@param readonly boolean?  the journal is not begun where there is none
---@return haplua.Context
function M.open(options, readonly)
  local found = config.read(options.config)
  local target = haproxy.target()
  local chosen = config.switch(found, options.switch, options.acl)
  if options.file == false then
    chosen.file = false
  end
  local journal, problem = open_journal(found, options.journal, readonly or haproxy.dry_run())
  local name = journal and canonical(target) or tostring(target)
  return { target = target, name = name, switch = chosen, journal = journal, no_journal = problem }
end

return M
