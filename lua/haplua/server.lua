-- SPDX-License-Identifier: MIT
--
--- One server taken out of service for a while, and put back however the work on it ends:
--
--   local a1 <close> = server.hold("app/a1")
--   a1:drain(60)
--   ...
--   a1:keep("maint")  -- without this line the server goes back to its state before

local haproxy = require("haproxy")
local options = require("haplua.base.options")

local M = {}

local kinds = require("haplua.haproxy.server").options

---@class haplua.HoldOptions
---@field force boolean?  also the last server of its backend that takes requests
---@field keep_up integer|string|nil  so many servers of its backend must go on to take requests, or a share such as
--- "50%"; nil: 1
---@field reason string?  of the maintenance
---@field origin string?  of the maintenance: "hold", "drain"
---@field run haplua.ServerRun?  the maintenance is one of this run
---@field journal string?  its file, as in haplua.Place

--- Prepare to put a server under maintenance, which ends when the variable is closed. Changes nothing yet.
---@param name string  "backend/server"
---@param given? haplua.HoldOptions
---@return haplua.Held  raises `refused` where too few servers of its backend would take requests, unless forced
function M.hold(name, given)
  given = given or {}
  options.argument("server.hold", "name", name, kinds.server)
  options.check("server.hold", given, {
    force = "boolean", keep_up = options.share, reason = "text", origin = "text", run = "table", journal = "text",
  })
  local servers, server = require("haplua.apply.servers"), name:match("/(.*)$")
  local c = given.run and given.run.c or servers.open({ journal = given.journal, servers = { name }, state = "drain" })
  local all = servers.read(c)
  local row = all.rows[name]
  if not row then
    haproxy.servers(name:match("^(.*)/")) -- HAProxy's own word where the backend is missing
    require("haplua.hold.wait").refuse(name, "does not exist")
  end
  if not given.force then
    servers.check_others(c, all, name, given.keep_up)
  end
  local mine = given.run and given.run.held[server]
  return require("haplua.hold.held").new({
    name = name, before = row.admin, kept = mine ~= nil, given = given, mine = mine, c = c,
  })
end

--- Begin to work on the servers of a backend that are ready, or go on with the latest run of this name. Closing it prints
-- what was done.
---@param name string  such as "rolling"
---@param backend string
---@param given? {resume: boolean?, only: string[]?, journal: string?}  only: names of servers
---@return haplua.ServerRun  raises `refused` where there is none to go on with
function M.run(name, backend, given)
  given = given or {}
  options.argument("server.run", "name", name, "word")
  options.argument("server.run", "backend", backend, "word")
  options.check("server.run", given, { resume = "boolean", only = options.list("word"), journal = "text" })
  return require("haplua.hold.run").begin(name, backend, given)
end

return M
