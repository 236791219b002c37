-- SPDX-License-Identifier: MIT
---@errors HAProxy, journal
--
--- The servers of a backend taken out of service and put into service together.

local haproxy = require("haproxy")
local options = require("haplua.base.options")
local task = require("task")
local wait = require("haplua.hold.wait")

local M = {}

-- Begins the origin of the maintenances of groups.
local ORIGIN <const> = "group"

---@class haplua.Group
---@field backend string
---@field names string[]  "backend/server", in HAProxy's order
---@field given haplua.GroupOptions
---@field c haplua.Context
local Group = {}
Group.__index = Group

---@class haplua.GroupOptions
---@field only string[]?  names of servers; nil: all of the backend
---@field force boolean?  of drain(): also a backend that gets requests; of ready(): also servers that were set by hand
---@field keep_up integer|string|nil  of drain(): so many servers of the backend must go on to take requests, or a share:
--- "50%"; nil: 0
---@field reason string?  of the maintenances
---@field journal string?  its file, as in haplua.Place

local seconds = wait.seconds

--- As haplua.server.group(), which documents it.
---@return haplua.Group
function M.of(backend, given)
  local names = wait.names(backend, given.only)
  return setmetatable({
    backend = backend, names = names, given = given,
    c = require("haplua.apply.servers").open({ journal = given.journal, servers = names }),
  }, Group)
end

--- Wait until all servers have passed a test for some seconds on end.
---@param test fun(row: table): boolean, string
---@return string? name, string? missing  nil: all have; else one that has not after `timeout` seconds, and why
local function wait_for_all(group, test, hold, timeout)
  local waiting = {}
  for i, name in ipairs(group.names) do
    waiting[i] = function()
      return wait.wait_until(name, test, hold, timeout) or false
    end
  end
  for i, missing in ipairs(task.all(waiting)) do
    if missing then
      return group.names[i], missing
    end
  end
end

-- Seconds for which no request may come to a backend that is drained, and for which that is waited for.
local QUIET <const>, PATIENCE <const> = 1, 5

--- Refuse a backend that gets requests: drained, it would answer them with 503.
local function check_unused(group)
  local function count()
    for _, row in ipairs(haproxy.stat(group.backend)) do
      if row.svname == "BACKEND" then
        return row.stot
      end
    end
  end
  local latest, before = task.now() + PATIENCE, count()
  repeat
    task.sleep(QUIET)
    local now = count()
    if now == before then
      return
    end
    before = now
  until task.now() >= latest
  wait.refuse(group.backend, "gets requests, and would have no server",
    "send them to another backend first, keep servers (keep_up), or force it")
end

--- Give these servers no new sessions, and wait until they have none. They stay drained until ready(), or until somebody
-- ends their maintenances (`maint status` shows them). Where one is not idle in time, or the wait is interrupted, all go
-- back to their states from before. Raises `refused` for that; and, unless it is forced, where the backend still gets
-- requests (that is looked at for 5 seconds at most), or too few servers would be left of those that `only` leaves out.
---@param timeout number  seconds
---@param given? haplua.DrainOptions
function Group:drain(timeout, given)
  given = given or {}
  options.argument("group:drain", "timeout", timeout, seconds)
  options.check("group:drain", given, { quiet = seconds, cut = "boolean" })
  local own, actions, begun = self.given, require("haplua.apply.server_actions"), {}
  if not own.force and not own.keep_up and not own.only and not haproxy.dry_run() then
    check_unused(self)
  end
  local _ <close> = setmetatable({}, { __close = function()
    if begun[1] then
      actions.finish(self.c, begun, "left")
      io.stderr:write(("%s%s: its servers are as before again\n"):format(wait.prefix(), self.backend))
    end
  end })
  actions.begin({ servers = self.names, drain = true, reason = own.reason, keep_up = own.keep_up,
    force = own.force or not own.keep_up and not own.only }, {
    origin = ORIGIN, pid = require("haplua.process").pid(), context = self.c,
    made = function(step)
      begun[#begun + 1] = step.about
    end,
  })
  local name, missing = wait_for_all(self, wait.is_idle, given.quiet or 0, timeout)
  if name and given.cut then
    for _, one in ipairs(self.names) do
      haproxy.send({ "shutdown", "sessions", "server", one })
    end
    name, missing = wait_for_all(self, wait.is_idle, 0, wait.CUT_SECONDS)
  end
  if name then
    wait.refuse_late(name, "idle", timeout, missing, "wait longer, or end what is left (cut)")
  end
  for _, m in ipairs(begun) do
    actions.set(self.c, m, { pid = false })
  end
  begun = {}
end

--- The maintenances that groups have left on these servers.
local function left(group)
  local found = {}
  for _, name in ipairs(group.names) do
    for _, m in ipairs(require("haplua.apply.servers").current(group.c, name)) do
      found[#found + 1] = m.origin == ORIGIN and m or nil
    end
  end
  return found
end

--- Put these servers into service: end what drain() has begun, and wait until all have been up for some seconds on end.
-- Raises `refused` where they are not by then, where another maintenance holds one, and, unless it is forced, where one was
-- set by hand or by HAProxy's configuration.
---@param given? {settle: number?, within: number?}  `settle`: seconds (3), longer than their checks need to notice a
--- failure; `within`: seconds (60)
function Group:ready(given)
  given = given or {}
  options.check("group:ready", given, { settle = seconds, within = seconds })
  local within = given.within or wait.WITHIN
  local mine = left(self)
  if haproxy.dry_run() then
    for _, m in ipairs(mine) do
      haproxy.server_set({ server = m.scope.server, state = "ready" })
    end
    return
  elseif mine[1] then
    require("haplua.apply.server_actions").finish(self.c, mine, "done")
  end
  for _, name in ipairs(self.names) do
    local row = wait.find(name, haproxy.servers, "srv_name")
    local others = require("haplua.apply.servers").current(self.c, name)
    if row.admin ~= "ready" and self.given.force and #others == 0 then
      haproxy.server_set({ server = name, state = "ready" })
    elseif row.admin ~= "ready" then
      wait.refuse(name, ("is %s"):format(row.admin), #others > 0 and "haplua maint status shows who holds it"
        or "it was set by hand, or by HAProxy's configuration; `force` makes it ready nevertheless")
    end
  end
  local name, missing = wait_for_all(self, wait.is_up, given.settle or wait.SETTLE, within)
  if name then
    wait.refuse_late(name, "up", within, missing)
  end
end

return M
