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
local task = require("task")

local M = {}

---@class haplua.Held
---@field name string  "backend/server"
---@field before "ready"|"drain"|"maint"  the state to go back to
---@field kept boolean  it does not go back
local Held = {}
Held.__index = Held

--- How often to look while waiting, in seconds.
local LOOK = 0.2

local kinds = require("haplua.haproxy.server").options
local seconds = options.where("seconds, 0 or more", function(value)
  return options.fits("number", value) and value >= 0
end)

local function refuse(name, message, advice)
  require("haplua.error").refuse(("%s: %s %s"):format(tostring(haproxy.target()), name, message), advice)
end

--- The row of a server, of those that `show` returns for its backend. `field` has the server's name.
local function find(name, show, field)
  local backend, server = name:match("^(.-)/(.*)$")
  for _, row in ipairs(show(backend)) do
    if tostring(row[field]) == server then
      return row
    end
  end
  refuse(name, "is gone")
end

--- Wait until a server's row of `show stat` has passed a test for `hold` seconds on end. Raises `timeout`. A dry run
-- does not wait.
local function wait_until(name, test, hold, timeout)
  if haproxy.dry_run() then
    return
  end
  task.deadline(timeout, function()
    local since
    while true do
      since = test(find(name, haproxy.stat, "svname")) and (since or task.now()) or nil
      if since and task.now() - since >= hold then
        return
      end
      task.sleep(LOOK)
    end
  end)
end

local function is_idle(row)
  return row.scur + (row.qcur or 0) == 0
end

local function is_up(row)
  return row.status == "UP" or row.status == "no check"
end

--- Remember a server's state, and restore it when the variable is closed. Changes nothing yet.
---@param name string  "backend/server"
---@param given? {force: boolean?}
---@return haplua.Held  raises `refused` for the last server of its backend that takes requests, unless forced
function M.hold(name, given)
  options.argument("server.hold", "name", name, kinds.server)
  options.check("server.hold", given or {}, { force = "boolean" })
  local backend, server = name:match("^(.*)/(.*)$")
  local before, others = nil, 0
  for _, row in ipairs(haproxy.servers(backend)) do
    if tostring(row.srv_name) == server then
      before = row.admin
    elseif row.admin == "ready" and row.operational == "running" then
      others = others + 1
    end
  end
  if not before then
    refuse(name, "does not exist")
  elseif before == "ready" and others == 0 and not (given and given.force) then
    refuse(name, "is the last server of its backend that takes requests", "put another one into service first, or force it")
  end
  return setmetatable({ name = name, before = before, kept = false }, Held)
end

--- Give the server no new sessions, and wait until it has none and none waits for it. Clients whose cookie names
-- the server still reach it and keep it busy.
---@param timeout number  seconds; then `timeout` is raised, and the server stays drained until it is closed
function Held:drain(timeout)
  options.argument("held:drain", "timeout", timeout, seconds)
  self:set("drain")
  wait_until(self.name, is_idle, 0, timeout)
  local state = haproxy.dry_run() and "drain" or find(self.name, haproxy.servers, "srv_name").admin
  if state ~= "drain" then
    refuse(self.name, ("is %s although it was drained"):format(state),
      "HAProxy was reloaded meanwhile, or somebody else has changed the server")
  end
end

---@param state "ready"|"drain"|"maint"
function Held:set(state)
  options.argument("held:set", "state", state, kinds.state)
  haproxy.server_set({ server = self.name, state = state })
end

--- Do not restore the state when the variable is closed.
---@param state? "ready"|"drain"|"maint"  set this first
function Held:keep(state)
  if state ~= nil then
    options.argument("held:keep", "state", state, kinds.state)
    self:set(state)
  end
  self.kept = true
end

--- Wait until the server has been up for some seconds on end. HAProxy takes a server that comes back as healthy
-- until a check fails.
---@param settle number  seconds; longer than its checks need to notice a failure
---@param timeout number  seconds; then `timeout` is raised
function Held:wait_up(settle, timeout)
  options.argument("held:wait_up", "settle", settle, seconds)
  options.argument("held:wait_up", "timeout", timeout, seconds)
  wait_until(self.name, is_up, settle, timeout)
end

function Held:__close()
  if not self.kept then
    self.kept = true
    self:set(self.before)
    io.stderr:write(("%s is %s again\n"):format(self.name, self.before))
  end
end

return M
