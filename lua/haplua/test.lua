-- SPDX-License-Identifier: MIT
--
--- For test files of `haplua test`: fake HAProxys, scripts run against them, and time that the test turns.
-- docs/testing.md is the page to read.

local virtual = require("haplua.virtual")
local world = require("haplua.test.world")
local task = require("haplua.task")
local core = require("haplua.core")

local M = {}

-- Time.

--- An instant: seconds since 1970, or a text such as "2026-03-29T02:00:00Z".
local function instant(value, name)
  if type(value) == "number" then
    return value
  end
  local at, problem
  if type(value) == "string" and value:find("^%d%d%d%d%-") then
    at, problem = require("haplua.time.instant").instant(value, -1e11)
  end
  return at or error(("%s: %s"):format(name, problem or "an instant such as '2026-03-29T02:00:00Z' expected"), 3)
end

--- Seconds, or a text such as "1h30m".
local function duration(value, name)
  if type(value) == "number" then
    return value
  end
  local seconds, problem = require("haplua.time.instant").duration(tostring(value))
  return seconds or error(("%s: %s"):format(name, problem), 3)
end

--- Set the wall clock for what follows. Timers do not move: of these, only the time that passes counts.
---@param options {at: string|number}
function M.clock(options)
  virtual.clock(instant(options.at, "clock"))
end

--- Somebody sets the wall clock, so many seconds forward or back.
---@param seconds number|string
function M.jump(seconds)
  virtual.clock(task.time() + duration(seconds, "jump"))
  virtual.settle()
end

--- Let everything happen that happens at this instant.
function M.settle()
  virtual.settle()
end

--- Let time pass, and everything happen that happens meanwhile.
---@param seconds number|string  seconds, or "1h30m"
function M.advance(seconds)
  task.sleep(duration(seconds, "advance"))
  virtual.settle()
end

--- Let time pass until a function returns something true, or until the wall clock shows an instant.
---@param goal string|number|fun(): any
---@param limit number|string|nil  for a function: give up after so much time; a day unless given
---@return any found  what the function returned
function M.until_(goal, limit)
  if type(goal) ~= "function" then
    local at = instant(goal, "until_")
    if at < task.time() then
      error(("until_: it is %s already"):format(os.date("!%Y-%m-%dT%H:%M:%SZ")), 2)
    end
    M.advance(at - task.time())
    return true
  end
  local stop = task.now() + duration(limit or 86400, "until_")
  virtual.settle()
  while true do
    local found = goal()
    if found then
      return found
    end
    local next = virtual.next()
    if not next or task.now() + next > stop then
      error(("until_: it did not come to be in %.0f s"):format(duration(limit or 86400, "until_")), 2)
    end
    virtual.step()
  end
end

-- HAProxy.

local function default_address()
  local address, n = "/run/haproxy/admin.sock", 1
  while not world.is_free(address) do
    n = n + 1
    address = ("/run/haproxy/admin%d.sock"):format(n)
  end
  return address
end

--- A fake HAProxy. Scripts that the test starts, and the test's own calls, act on the newest one.
---@param options haplua.test.HAProxyOptions|{address: string}|nil
---@return haplua.test.HAProxy
function M.haproxy(options)
  local given = {}
  for key, value in pairs(options or {}) do
    given[key] = value
  end
  local address = given.address or default_address()
  given.address = nil
  given.steady = given.steady or given.now or task.now
  given.now = given.now or task.time
  local fake = require("haplua.test.haproxy").new(given)
  fake.address = address
  world.place(fake, address)
  core.use(core.open(address))
  return fake
end

-- Scripts.

---@class haplua.test.Result
---@field status integer  the exit status
---@field out string
---@field err string

---@class haplua.test.Run
---@field private run any
---@field private tasks haplua.Task[]
---@field result haplua.test.Result?  once it has ended
local Run = {}
Run.__index = Run

--- What it has printed so far.
---@return string
function Run:out()
  return self.result and self.result.out or self.run:out()
end

--- The same for standard error.
---@return string
function Run:err()
  return self.result and self.result.err or self.run:err()
end

--- Has it ended?
---@return boolean
function Run:done()
  for _, t in ipairs(self.tasks) do
    if not t:done() then
      return false
    end
  end
  return true
end

--- Wait for its end.
---@return haplua.test.Result
function Run:wait()
  for _, t in ipairs(self.result and {} or self.tasks) do
    t:wait()
  end
  if not self.result then
    self.result = { status = self.run:status(), out = self.run:out(), err = self.run:err() }
    self.run:close()
    self.run, self.tasks = nil, {}
  end
  return self.result
end

--- End it as SIGTERM does: its cleanups run.
---@return haplua.test.Result
function Run:stop()
  if not self.result then
    self.run:stop(15)
  end
  return self:wait()
end

--- End it as SIGKILL does: nothing of it runs any more, no cleanup either. Its locks and open files go.
---@return haplua.test.Result
function Run:kill()
  if not self.result then
    for _, t in ipairs(self.tasks) do
      virtual.abandon(t)
    end
    self.result = { status = 137, out = self.run:out(), err = self.run:err() }
    self.run:close()
    self.run, self.tasks = nil, {}
    collectgarbage()
    collectgarbage() -- the first may have been under way
    virtual.settle()
  end
  return self.result
end

local function words_of(first, ...)
  if type(first) ~= "table" then
    return tostring(first), table.pack(...), nil
  end
  for key in pairs(first) do
    if math.type(key) ~= "integer" and key ~= "on" then
      error(("there is no option '%s'"):format(tostring(key)), 3)
    end
  end
  return tostring(first[1]), table.pack(table.unpack(first, 2)), first.on
end

--- Start a script as `haplua SCRIPT ARGUMENT...` does, with globals of its own, on the newest fake HAProxy. It
-- runs while the test waits or lets time pass. start{"scripts/fleet.lua", "on", on = {fake, other}} runs it for
-- several.
---@param script string|table  a path, or a name as on the command line
---@param ... string|number
---@return haplua.test.Run
function M.start(script, ...)
  local name, args, on = words_of(script, ...)
  for i = 1, args.n do
    args[i] = tostring(args[i])
  end
  local sockets = {}
  for i, fake in ipairs(on or {}) do
    sockets[i] = fake.address
  end
  sockets[1] = sockets[1] or core.current():address()
  local started = table.pack(pcall(virtual.start, name, args, sockets))
  if not started[1] then
    return setmetatable({
      tasks = {}, result = { status = 2, out = "", err = ("haplua: %s\n"):format(tostring(started[2])) },
    }, Run)
  end
  local handle = setmetatable({ run = started[2], tasks = { table.unpack(started, 3, started.n) } }, Run)
  table.insert(world.now.runs, handle)
  return handle
end

--- The same, and wait for its end.
---@return haplua.test.Result
function M.run(script, ...)
  return M.start(script, ...):wait()
end

--- Set variables of the environment, as os.getenv() sees them; false unsets. Those that begin with HAPLUA_ are
-- not inherited from the one that `haplua test` runs in.
---@param variables table<string, string|false>
function M.env(variables)
  for name, value in pairs(variables) do
    world.now.env[name] = value
  end
end

--- A temporary folder, gone after the test.
---@return string path
function M.folder()
  return world.folder()
end

return M
