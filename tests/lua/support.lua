-- SPDX-License-Identifier: MIT
--
--- What the tests of this folder share: temporary folders, fake HAProxys, haplua as a child process.

local M = {}

local FAKE = (os.getenv("BUILD") or "build") .. "/fake"

--- The words that start the haplua under test: $HAPLUA, else the one that runs this.
---@return string[]
local function program()
  local words = {}
  for word in (os.getenv("HAPLUA") or ""):gmatch("%S+") do
    words[#words + 1] = word
  end
  if #words == 0 then
    local f <close> = assert(io.open("/proc/self/cmdline"))
    words[1] = f:read("a"):match("^[^\0]+")
  end
  if words[1]:find("/") and words[1]:sub(1, 1) ~= "/" then
    words[1] = os.getenv("PWD") .. "/" .. words[1]
  end
  return words
end

--- The same, for tests that run it in a way of their own: M.program("-e", chunk).
---@return string[] words
function M.program(...)
  local words = program()
  for _, word in ipairs({ ... }) do
    words[#words + 1] = word
  end
  return words
end

--- The process that runs the tests.
---@return integer
function M.pid()
  local f <close> = assert(io.open("/proc/self/stat"))
  return f:read("n")
end

--- What a call that has to fail raises.
---@return any problem
function M.failure(fn, ...)
  local ok, problem = pcall(fn, ...)
  if ok then
    error("no failure", 2)
  end
  return problem
end

--- A call has to raise what matches this pattern, printed.
function M.refused(pattern, fn, ...)
  local problem = tostring(M.failure(fn, ...))
  if not problem:find(pattern) then
    error(("'%s' does not match '%s'"):format(problem, pattern), 2)
  end
end

--- The error object of a call that the library has to refuse.
---@return haplua.Error
function M.refusal(fn, ...)
  local problem = M.failure(fn, ...)
  if not require("haplua.error").is(problem) or problem.kind ~= "refused" then
    error("no refusal: " .. tostring(problem), 2)
  end
  return problem
end

--- A function random(n), from 1 to n, whose numbers are the same at every run.
---@param seed integer
function M.random(seed)
  return function(n)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed // 65536 % n + 1
  end
end

---@return boolean
function M.is_root()
  local _, uid = run({ "id", "-u", stdout = "capture" })
  return uid == "0\n"
end

--- The code of what is no success: nil, a message, a code.
---@return any code, string message
function M.code(result, message, name)
  if result ~= nil or type(message) ~= "string" then
    error(("nil and a message expected, got %s, %s"):format(tostring(result), tostring(message)), 2)
  end
  return name, message
end

--- Of a run that has to succeed and complain of nothing: what it printed.
---@param ran {status: integer, out: string, err: string}
---@return string
function M.good(ran)
  if ran.status ~= 0 or ran.err ~= "" then
    error(("status %d\n%s%s"):format(ran.status, ran.out, ran.err), 2)
  end
  return ran.out
end

--- A value to be waited for: `set` once, `wait` by any task.
---@return {set: fun(value: any), wait: fun(): any}
function M.event()
  local value, over = nil, nil
  local event = {}

  function event.set(v)
    value = v
    if over then
      over:cancel()
    end
  end

  function event.wait()
    while value == nil do
      over = task.spawn(task.sleep, 3600)
      local _, err = pcall(over.wait, over)
      if value == nil then
        error(err, 0)
      end
    end
    return value
  end

  return event
end

--- A trial that has a few milliseconds to get somewhere, on a machine that may stall for longer: it is run with
--- 1 ms, or so many seconds, then with twice, four times, ... until it says, with a value that is true, that it got there.
---@param trial fun(seconds: number): any
---@param first number?
function M.in_time(trial, first)
  local seconds = first or 0.001
  while not trial(seconds) do
    seconds = 2 * seconds
  end
end

--- A temporary folder, gone at the end of the block: local dir <close> = support.folder()
---@return {path: string, write: fun(name: string, text: string, mode: string?): string}
function M.folder()
  -- the name is ours before the folder is there: an interruption in between leaves nothing behind
  -- (not math.random(): busted seeds it with the time, and runs side by side would meet)
  local random <close> = assert(io.open("/dev/urandom", "rb"))
  local path = ("%s/haplua-test.%016x"):format(os.getenv("TMPDIR") or "/tmp", ("J"):unpack(random:read(8)))
  local ok, status = pcall(run, { "mkdir", "-m", "700", path })
  if not ok then
    run({ "rm", "-rf", path })
    error(status, 0)
  end
  assert(status == 0)
  local folder = { path = path }

  --- Write a file (chmod it) and return its path.
  function folder.write(name, text, mode)
    local file = path .. "/" .. name
    local f <close> = assert(io.open(file, "wb"))
    f:write(text)
    if mode then
      run({ "chmod", mode, file })
    end
    return file
  end

  return setmetatable(folder, {
    __close = function()
      run({ "rm", "-rf", path })
    end,
  })
end

-- What haplua would find on this machine is none of a test's business.
local alone = { HAPLUA_JOURNAL = "none", HAPLUA_CONFIG = "none", HAPLUA_ACL = false, HAPLUA_SOCKET = false }

--- These changes to the environment, and those for every test.
local function environment(changes)
  local env = {}
  for name, value in pairs(alone) do
    env[name] = value
  end
  for name, value in pairs(changes or {}) do
    env[name] = value
  end
  return env
end

--- Run haplua: M.haplua{arguments..., stdin=, env=, cwd=, stdout=}.
---@return {status: integer, out: string, err: string}
function M.haplua(options)
  local words = program()
  for _, word in ipairs(options) do
    words[#words + 1] = word
  end
  words.stdin, words.env, words.cwd = options.stdin or "", environment(options.env), options.cwd
  words.stdout, words.stderr = options.stdout or "capture", "capture"
  local status, out, err = run(words)
  return { status = status, out = out, err = err }
end

--- Run haplua under a shell, which finds it as "$@": for redirections, limits, ...
function M.shell(command, ...)
  local words = { "sh", "-c", command, "sh", env = environment() }
  for _, list in ipairs({ program(), { ... } }) do
    for _, word in ipairs(list) do
      words[#words + 1] = word
    end
  end
  words.stdin, words.stdout, words.stderr = "", "capture", "capture"
  local status, out, err = run(words)
  return { status = status, out = out, err = err }
end

--- Run haplua with a chunk that, when it is ready for it, prints "ready" and flushes; then send it
-- a signal (once, or as often as there are "ready" lines).
---@param signals string[]  one for each "ready"
---@return {status: integer, out: string, err: string}
function M.signalled(signals, chunk, ...)
  local words, out, n = program(), {}, 0
  for _, word in ipairs({ "-e", [[
    local f <close> = io.open("/proc/self/stat")
    print(f:read("n"))
    io.stdout:flush()
    function ready()
      print("ready")
      io.stdout:flush()
    end
  ]] .. chunk, ... }) do
    words[#words + 1] = word
  end
  local pid
  words.stdin, words.stderr, words.env = "", "capture", environment()
  function words.stdout(line)
    line = line:gsub("^/%w+: ", "") -- with several targets
    pid = pid or line
    if line == "ready" then
      n = n + 1
      run({ "kill", "-" .. signals[n], pid })
    elseif line ~= pid then
      out[#out + 1] = line
    end
  end
  local status, _, err = run(words)
  return { status = status, out = table.concat(out, "\n"), err = err }
end

---@class support.Fake
---@field address string  what -s and connect() take
---@field log string[]  for each connection that has ended, what came over it
---@field holds boolean  has one come to the step "hold" so far?

local Fake = {}
Fake.__index = Fake

--- Wait until n connections have ended, and return the log.
function Fake:wait(n)
  while #self.log < n do
    self.news = M.event()
    self.news.wait()
  end
  return self.log
end

--- Has nothing at all been sent so far? Asks by a connection of its own, which must be the first.
function Fake:is_untouched()
  pcall(function()
    haproxy.connect(self.address):send("show cli level")
  end)
  self:wait(1)
  return #self.log == 1 and self.number[1] == 1
end

function Fake:__close()
  self.task:cancel()
  pcall(self.task.wait, self.task)
  run({ "rm", "-rf", self.folder.path })
end

--- A fake HAProxy: local fake <close> = support.fake{"read", "say \\n"}
-- The words are tests/fake.c's steps. With tcp = true it listens on a port of the loopback.
---@return support.Fake
function M.fake(steps)
  local fake = setmetatable({ log = {}, number = {}, holds = false, folder = M.folder() }, Fake)
  local ready = M.event()
  local words = { FAKE, steps.tcp and "tcp" or fake.folder.path .. "/socket", table.unpack(steps) }

  function words.stdout(line)
    local address = line:match("^ready (.*)$")
    if address then
      ready.set(address)
      return
    elseif line == "holds" then
      fake.holds = true
      return
    end
    local number, got = line:match("^(%d+) (.*)$")
    fake.log[#fake.log + 1] = got
    fake.number[#fake.number + 1] = tonumber(number)
    if fake.news then
      fake.news.set(true)
    end
  end

  fake.task = task.spawn(run, words)
  fake.address = ready.wait()
  return fake
end

return M
