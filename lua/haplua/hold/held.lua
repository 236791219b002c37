-- SPDX-License-Identifier: MIT
--
--- A server that is held: its maintenance, which ends when the variable is closed.

local haproxy = require("haproxy")
local options = require("haplua.base.options")
local wait = require("haplua.hold.wait")

local find, refuse, refuse_late, wait_until = wait.find, wait.refuse, wait.refuse_late, wait.wait_until

local M = {}

---@class haplua.Held
---@field name string  "backend/server"
---@field before "ready"|"drain"|"maint"  its state when it was held
---@field kept boolean  it does not go back
---@field mine haplua.Maintenance?  its maintenance; nil: not begun yet, or ended
---@field over haplua.Maintenance?  of a run: the maintenance that set("ready") has ended
---@field given haplua.HoldOptions
---@field c haplua.Context
local Held = {}
Held.__index = Held

local kinds = require("haplua.haproxy.server").options
local seconds = options.where("seconds, 0 or more", function(value)
  return options.fits("number", value) and value >= 0
end)

--- haplua.apply.server_actions, loaded when a server is held: a script that only reads needs none of it.
local function actions()
  return require("haplua.apply.server_actions")
end

--- Hold a server.
---@param fields table
---@return haplua.Held
function M.new(fields)
  return setmetatable(fields, Held)
end

-- Seconds in which sessions that were cut end.
local CUT_SECONDS = 5

---@class haplua.DrainOptions
---@field quiet number?  seconds for which it must have been idle on end (0: one look): clients whose cookie names the
--- server come back between two looks
---@field cut boolean?  end the sessions that are left after `timeout` seconds, in place of giving up

--- Give the server no new sessions, and wait until it has none and none waits for it. Clients whose cookie names
-- the server still reach it and keep it busy.
---@param timeout number  seconds; then `refused` is raised, and the server stays drained until it is closed
---@param given? haplua.DrainOptions
function Held:drain(timeout, given)
  given = given or {}
  options.argument("held:drain", "timeout", timeout, seconds)
  options.check("held:drain", given, { quiet = seconds, cut = "boolean" })
  self:set("drain")
  local missing = wait_until(self.name, wait.is_idle, given.quiet or 0, timeout)
  if missing and given.cut then
    haproxy.send({ "shutdown", "sessions", "server", self.name })
    missing = wait_until(self.name, wait.is_idle, 0, CUT_SECONDS)
  end
  if missing then
    refuse_late(self.name, "idle", timeout, missing, "wait longer (--wait), or end what is left (--cut)")
  end
  local state = haproxy.dry_run() and "drain" or find(self.name, haproxy.servers, "srv_name").admin
  if state == "ready" then
    refuse(self.name, "is ready although it was drained",
      "HAProxy was reloaded meanwhile, or somebody else has changed the server")
  end
end

--- End its maintenance. The server goes back to the state that it had before, unless another maintenance holds it, or
-- somebody has changed it by hand.
---@return haplua.ServerOutcome?  nil: there is none, or somebody has ended it
local function finish(held, why)
  local mine = held.mine
  local result = mine and actions().finish(held.c, { mine }, why)
  held.mine = nil
  return result and result.servers[1]
end

--- Change its maintenance. Raises `refused` where that is over, since somebody has ended it or has set the server to
-- another state: then the server may take requests.
---@param set table
---@return haplua.ServerOutcome
local function alter(held, set)
  local result = actions().set(held.c, held.mine, set)
  return result and result.servers[1]
    or refuse(held.name, "is not out of service any more", "somebody has ended its maintenance, or has set it to another state")
end

--- Begin its maintenance, or change that.
local function begin(held, state)
  local given = held.given
  if held.mine then
    alter(held, { scope = require("haplua.plan.servers").scope(held.name, state) })
    return
  end
  actions().begin({ servers = { held.name }, drain = state == "drain", reason = given.reason, force = given.force,
    keep_up = given.keep_up }, {
    origin = given.run and given.run.origin or given.origin or "hold", pid = require("haplua.process").pid(),
    context = held.c,
    made = function(step)
      held.mine = step.about
    end,
  })
end

--- Put the server under maintenance, or drain it; "ready" ends that. What is stricter stays: the state that the server
-- had before, and other maintenances of it.
---@param state "ready"|"drain"|"maint"
---@return "ready"|"drain"|"maint"  the state that the server has then
function Held:set(state)
  options.argument("held:set", "state", state, kinds.state)
  if haproxy.dry_run() then
    haproxy.server_set({ server = self.name, state = state })
    return state
  elseif state == "ready" then
    self.over = self.given.run and self.mine
    finish(self, self.over and "left" or "done")
  else
    begin(self, state)
  end
  return find(self.name, haproxy.servers, "srv_name").admin
end

--- Leave the maintenance in force when the variable is closed, until somebody ends it. Raises `refused` where the server
-- has taken requests meanwhile.
---@param state? "drain"|"maint"  set this first
function Held:keep(state)
  if state ~= nil then
    options.argument("held:keep", "state", state, kinds.state)
    self:set(state)
  end
  if self.mine and alter(self, { pid = false }).changed then
    refuse(self.name, "was put back by somebody else", "it is out of service again, but may be at work")
  end
  self.kept = true
end

--- Wait until the server has been up for some seconds on end. HAProxy takes a server that comes back as healthy
-- until a check fails.
---@param settle number  seconds; longer than its checks need to notice a failure
---@param timeout number  seconds; then `refused` is raised
function Held:wait_up(settle, timeout)
  options.argument("held:wait_up", "settle", settle, seconds)
  options.argument("held:wait_up", "timeout", timeout, seconds)
  local missing = wait_until(self.name, wait.is_up, settle, timeout)
  if missing then
    refuse_late(self.name, "up", timeout, missing)
  end
end

function Held:__close()
  if self.kept or not self.mine then
    return
  end
  local one = finish(self, "left")
  io.stderr:write(one and ("%s is %s again\n"):format(self.name, one.state)
    or ("%s: somebody has ended its maintenance meanwhile\n"):format(self.name))
end

return M
