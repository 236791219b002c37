-- SPDX-License-Identifier: MIT
---@errors none
--
--- For test files of `haplua test`: fake HAProxys, scripts that run on them, and a clock that the test sets.
-- docs/testing.md describes it.

local virtual = require("haplua.virtual")
local options = require("haplua.base.options")
local world = require("haplua.test.world")
local task = require("haplua.task")
local core = require("haplua.core")

local M = {}

-- Time.

local time = options.where("a finite number or a text", function(value)
  return type(value) == "string" or type(value) == "number" and value - value == 0
end)

--- An instant in seconds since 1970, from that or from a text such as "2026-03-29T02:00:00Z".
local function instant(value, call, name)
  options.argument(call, name, value, time)
  if type(value) == "number" then
    return value
  end
  local at, problem
  if value:find("^%d%d%d%d%-") then
    at, problem = require("haplua.time.instant").instant(value, -1e11)
  end
  return at or error(("%s: %s"):format(call, problem or "an instant such as '2026-03-29T02:00:00Z' expected"), 3)
end

--- Seconds, from a number or from a text such as "1h30m".
local function duration(value, call, name)
  options.argument(call, name, value, time)
  if type(value) == "number" then
    return value
  end
  local seconds, problem = require("haplua.time.instant").duration(value)
  return seconds or error(("%s: %s"):format(call, problem), 3)
end

--- Set the wall clock. Timers do not move: for these only the time that passes counts.
---@param given {at: string|number}  seconds since 1970, or "2026-03-29T02:00:00Z"
function M.clock(given)
  options.check("test.clock", given, { at = time })
  virtual.clock(instant(given.at, "test.clock", "at"))
end

--- Set the wall clock forward or, with a negative number, back, and let everything happen that is due then.
---@param seconds number|string  or "1h30m"; of a number, the sign counts
function M.jump(seconds)
  virtual.clock(task.time() + duration(seconds, "test.jump", "seconds"))
  virtual.settle()
end

--- Let everything happen that is due at this instant.
function M.settle()
  virtual.settle()
end

--- Let time pass, and everything happen that is due meanwhile.
---@param seconds number|string  or "1h30m"
function M.advance(seconds)
  seconds = duration(seconds, "test.advance", "seconds")
  if seconds < 0 then
    error("test.advance: time does not go back; test.jump sets the wall clock", 2)
  end
  task.sleep(seconds)
  virtual.settle()
end

--- Let time pass until a function returns something true, or until the wall clock shows an instant.
---@param goal string|number|fun(): any  a function, or an instant: seconds since 1970, or "2026-01-04T02:00:00Z"
---@param limit number|string|nil  for a function: so many seconds, or "1h30m"; a day unless given
---@return any found  what the function returned; raises if the time has come, or the function has not succeeded
function M.until_(goal, limit)
  if type(goal) ~= "function" then
    local at = instant(goal, "test.until_", "the instant")
    if at < task.time() then
      error(("test.until_: it is %s already"):format(os.date("!%Y-%m-%dT%H:%M:%SZ")), 2)
    end
    M.advance(at - task.time())
    return true
  end
  local within = duration(limit or 86400, "test.until_", "limit")
  local stop = task.now() + within
  virtual.settle()
  while true do
    local found = goal()
    if found then
      return found
    end
    local next = virtual.next()
    if not next or task.now() + next > stop then
      error(("test.until_: the function returned nothing true in %.0f s"):format(within), 2)
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

--- Make a fake HAProxy. Scripts that the test starts, and the test's own calls, act on the newest one.
---@param given haplua.test.HAProxyOptions?  `address` is haplua's default unless given, then admin2.sock beside it, ...
---@return haplua.test.HAProxy
function M.haproxy(given)
  given = given == nil and {} or given
  options.argument("test.haproxy", "options", given, "table")
  local all = { now = task.time, steady = given.now or task.now, address = default_address(), announce = world.announce }
  for key, value in pairs(given) do
    all[key] = value
  end
  local fake = require("haplua.test.haproxy").new(all)
  world.place(fake, fake.address)
  core.use(core.open(fake.address))
  return fake
end

--- Say what visitors get: the probes of maintenances ask this function, and no network. Without it nobody answers.
---@param get fun(request: {url: string, headers: string[]}): integer?, table<string, string>?  returns the status and
--- the headers of the answer; nil: nobody answers
function M.visitor(get)
  options.argument("test.visitor", "get", get, "function")
  world.now.visitor = get
end

local endpoints = options.list(options.where("a URL with a port", function(value)
  return type(value) == "string" and value:find("^https?://[^/]+:%d+$") ~= nil
end))

--- Make a fake etcd, which the clients of these endpoints reach.
---@param given {endpoints: string[]?, delay: number?}?  one member at https://etcd1:2379 unless given; a call takes
--- `delay` seconds, 0.005 unless given
---@return haplua.test.Etcd
function M.etcd(given)
  given = given == nil and {} or given
  options.check("test.etcd", given, { endpoints = endpoints, delay = "number" })
  local etcd = require("haplua.test.etcd").new({ endpoints = given.endpoints, delay = given.delay or 0.005 })
  for _, endpoint in ipairs(etcd.endpoints) do
    world.now.etcds[endpoint] = etcd
  end
  return etcd
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

--- What the script has printed so far.
---@return string
function Run:out()
  return self.result and self.result.out or self.run:out()
end

--- What it has written to standard error so far.
---@return string
function Run:err()
  return self.result and self.result.err or self.run:err()
end

--- Has the script ended?
---@return boolean
function Run:done()
  for _, t in ipairs(self.tasks) do
    if not t:done() then
      return false
    end
  end
  return true
end

--- Wait for the script's end.
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

--- End the script as SIGTERM does: its cleanups run.
---@return haplua.test.Result
function Run:stop()
  if not self.result then
    self.run:stop(15)
  end
  return self:wait()
end

--- End the script as SIGKILL does: nothing of it runs any more, not even a cleanup. Its locks and files are closed.
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

local word, words = options.any("text", "number"), options.list(options.any("text", "number"))
local fakes = options.list(options.where("a fake HAProxy", function(value)
  return type(value) == "table" and type(value.address) == "string"
end))

--- The script's name, its arguments and the fakes, from what start() was given.
local function words_of(first, ...)
  if type(first) ~= "table" then
    options.argument("test.start", "script", first, word)
    options.argument("test.start", "arguments", { ... }, words)
    return tostring(first), { ... }, nil
  end
  local list = {}
  for key, value in pairs(first) do
    if math.type(key) == "integer" then
      list[key] = value
    else
      options.check("test.start", { [key] = value }, { on = fakes })
    end
  end
  options.argument("test.start", "words", list, words)
  options.argument("test.start", "script", list[1], word)
  return tostring(list[1]), table.move(list, 2, #list, 1, {}), first.on
end

--- Start a script as `haplua SCRIPT ARGUMENT...` does, with globals of its own, on the newest fake HAProxy. It
-- runs while the test waits or lets time pass. start{"scripts/maint.lua", "on", on = {fake, other}} starts it for
-- several fakes. A script that cannot be started has ended with status 2.
---@param script string|table  a path, or a name as on the command line
---@param ... string|number  its arguments
---@return haplua.test.Run
function M.start(script, ...)
  local name, args, on = words_of(script, ...)
  for i, argument in ipairs(args) do
    args[i] = tostring(argument)
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

--- Start a script and wait for its end.
---@param script string|table  as for start()
---@param ... string|number  its arguments
---@return haplua.test.Result
function M.run(script, ...)
  return M.start(script, ...):wait()
end

local value_of_variable = options.where("a text, or false to unset it", function(value)
  return type(value) == "string" or value == false
end)

--- Set variables of the environment, as os.getenv() and the programs of run() see them; run() looks for programs in $PATH.
-- The environment of `haplua test` is inherited, but for the variables whose names begin with HAPLUA_: of these a test, its
-- scripts and their programs have HAPLUA_CONFIG alone, a configuration in the test's folder.
---@param variables table<string, string|false>  false: unset
function M.env(variables)
  options.argument("test.env", "variables", variables, "table")
  for name, value in pairs(variables) do
    options.argument("test.env", "the name of a variable", name, "text")
    options.argument("test.env", name, value, value_of_variable)
  end
  for name, value in pairs(variables) do
    world.now.env[name] = value
  end
end

--- The test's temporary folder. It is made at the first call and removed after the test.
---@return string path
function M.folder()
  return world.folder()
end

return M
