-- SPDX-License-Identifier: MIT
--
--- One server taken out of service for a while, and put back however the work on it ends:
--
--   local a1 <close> = server.hold("app/a1")
--   a1:drain(60)
--   ...
--   a1:keep("maint")  -- or leave it out, and the server goes back to what it was

local haproxy = require("haproxy")
local task = require("task")

local M = {}

---@class haplua.Held
---@field name string  "backend/server"
---@field before "ready"|"drain"|"maint"  what it goes back to
---@field kept boolean
local Held = {}
Held.__index = Held

--- How often to look while waiting, in seconds.
local LOOK = 0.2

local function refuse(name, message, advice)
  error(require("haplua.error").new({
    kind = "refused",
    message = ("%s %s"):format(name, message),
    target = tostring(haproxy.target()),
    advice = advice,
  }))
end

--- A server's row of `show stat`.
local function look(name)
  local backend, server = name:match("^(.-)/(.*)$")
  for _, row in ipairs(haproxy.stat(backend)) do
    if row.svname == server then
      return row
    end
  end
  refuse(name, "is gone")
end

--- What its administrator wants of a server: "ready", "drain" or "maint".
local function admin(name)
  local backend, server = name:match("^(.-)/(.*)$")
  for _, row in ipairs(haproxy.servers(backend)) do
    if row.srv_name == server then
      return row.admin
    end
  end
  refuse(name, "is gone")
end

--- Wait until a server's row has passed a test for some seconds on end. A dry run does not wait.
local function wait_until(name, test, hold, timeout)
  if haproxy.dry_run() then
    return
  end
  task.deadline(timeout, function()
    local since
    while true do
      since = test(look(name)) and (since or task.now()) or nil
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

--- Remember what a server is, and put it back to that when the variable is closed. Changes nothing
-- yet. Refused for a server that is the last of its backend to take requests, unless forced.
---@param name string  "backend/server"
---@param options? {force: boolean?}
---@return haplua.Held
function M.hold(name, options)
  local backend, server = tostring(name):match("^([^/]+)/([^/]+)$")
  local before, others = nil, 0
  if not backend then
    error(("hold: 'backend/server' expected, got '%s'"):format(tostring(name)), 2)
  end
  for _, row in ipairs(haproxy.servers(backend)) do
    if row.srv_name == server then
      before = row.admin
    elseif row.admin == "ready" and row.operational == "running" then
      others = others + 1
    end
  end
  if not before then
    refuse(name, "does not exist")
  elseif before == "ready" and others == 0 and not (options and options.force) then
    refuse(name, "is the last server of its backend that takes requests", "put another one into service first, or force it")
  end
  return setmetatable({ name = name, before = before, kept = false }, Held)
end

--- Give it no new sessions, and wait until it has none. Clients whose cookie names the server still
-- reach it, and keep it busy.
---@param timeout number  seconds; then `timeout` is raised
function Held:drain(timeout)
  self:set("drain")
  wait_until(self.name, is_idle, 0, timeout)
  local now = not haproxy.dry_run() and admin(self.name)
  if now and now ~= "drain" then
    refuse(self.name, ("is %s although it was drained"):format(now),
      "HAProxy was reloaded meanwhile, or somebody else has changed it")
  end
end

---@param state "ready"|"drain"|"maint"
function Held:set(state)
  haproxy.server_set({ server = self.name, state = state })
end

--- From now on closing changes nothing.
---@param state? "ready"|"drain"|"maint"  set this first
function Held:keep(state)
  if state then
    self:set(state)
  end
  self.kept = true
end

--- Wait until the server has been up for some seconds on end: HAProxy takes one that comes back for
-- healthy until a check fails.
---@param settle number  seconds; longer than its checks take to notice
---@param timeout number
function Held:wait_up(settle, timeout)
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
