-- SPDX-License-Identifier: MIT
--
--- Shared by the tests: temporary folders, fake HAProxys, haplua as a child process.

local M = {}

local folders = require("folders")

local FAKE = (os.getenv("BUILD") or "build") .. "/fake"

--- The words that start the haplua under test: $HAPLUA, or the program that runs this test.
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

--- The words that start haplua with these arguments, for tests that call run() themselves: M.program("-e", chunk).
---@return string[] words
function M.program(...)
  local words = program()
  for _, word in ipairs({ ... }) do
    words[#words + 1] = word
  end
  return words
end

--- The number of the process that runs the tests.
---@return integer
function M.pid()
  local f <close> = assert(io.open("/proc/self/stat"))
  return f:read("n")
end

--- Does the system know localhost? A machine that debootstrap has just made does not.
function M.has_localhost()
  return (os.execute("getent ahostsv4 localhost >/dev/null"))
end

--- Make a call that must fail.
---@return any problem  what it raises
function M.failure(fn, ...)
  local ok, problem = pcall(fn, ...)
  if ok then
    error("no failure", 2)
  end
  return problem
end

--- Make a call that must fail with an error whose text matches this pattern.
function M.refused(pattern, fn, ...)
  local problem = tostring(M.failure(fn, ...))
  if not problem:find(pattern) then
    error(("'%s' does not match '%s'"):format(problem, pattern), 2)
  end
end

--- Make a call that must fail with an error of the kind "refused".
---@return haplua.Error
function M.refusal(fn, ...)
  local problem = M.failure(fn, ...)
  if not require("haplua.error").is(problem) or problem.kind ~= "refused" then
    error("no refusal: " .. tostring(problem), 2)
  end
  return problem
end

--- A function random(n) that returns numbers from 1 to n. They are the same in every run.
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

--- The code of an expected failure, which is nil, a message and a code.
---@return any code, string message
function M.code(result, message, name)
  if result ~= nil or type(message) ~= "string" then
    error(("nil and a message expected, got %s, %s"):format(tostring(result), tostring(message)), 2)
  end
  return name, message
end

--- The output of a run that must succeed and write nothing to standard error.
---@param ran {status: integer, out: string, err: string}
---@return string
function M.good(ran)
  if ran.status ~= 0 or ran.err ~= "" then
    error(("status %d\n%s%s"):format(ran.status, ran.out, ran.err), 2)
  end
  return ran.out
end

--- A value for which tasks can wait. Call `set` once.
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

--- Call a trial again and again, each time with twice the time, until it returns a true value. For trials that need a few
-- milliseconds, on a machine that may stall for longer.
---@param trial fun(seconds: number): any
---@param first number?  seconds for the first call; 0.001 unless given
function M.in_time(trial, first)
  local seconds = first or 0.001
  while not trial(seconds) do
    seconds = 2 * seconds
  end
end

--- A temporary folder, gone at the end of the block: local dir <close> = support.folder()
---@return {path: string, write: fun(name: string, text: string, mode: string?): string}
function M.folder()
  -- the name is known before the folder exists, so that an interruption leaves no folder behind
  -- (not math.random(): busted seeds it with the time, and runs side by side would take the same name)
  local random <close> = assert(io.open("/dev/urandom", "rb"))
  local path = ("%s/haplua-test.%016x"):format(os.getenv("TMPDIR") or "/tmp", ("J"):unpack(random:read(8)))
  local ok, status = pcall(run, { "mkdir", "-m", "700", path })
  if not ok then
    run({ "rm", "-rf", path })
    error(status, 0)
  end
  assert(status == 0)
  folders[path] = true
  local folder = { path = path }

  --- Write a file, change its mode if one is given, and return its path.
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

-- haplua must not use the configuration and the journal of this machine.
local alone = { HAPLUA_JOURNAL = "none", HAPLUA_CONFIG = "none", HAPLUA_ACL = false, HAPLUA_SOCKET = false }

--- The changes to the environment for every test, and these.
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

--- Install haplua below a folder: one that finds its policies and its annotations, which a program in build/ does not.
---@param folder string
---@return string program
function M.install(folder)
  local status, _, err = run({
    "sh", "packaging/install.sh", "install", program()[1], env = { DESTDIR = folder, PREFIX = "/usr" }, stderr = "capture",
  })
  if status ~= 0 then
    error(err, 2)
  end
  return folder .. "/usr/bin/haplua"
end

--- Run haplua: M.haplua{arguments..., stdin=, env=, cwd=, stdout=, program=}.
---@return {status: integer, out: string, err: string}
function M.haplua(options)
  local words = options.program and { options.program } or program()
  for _, word in ipairs(options) do
    words[#words + 1] = word
  end
  words.stdin, words.env, words.cwd = options.stdin or "", environment(options.env), options.cwd
  words.stdout, words.stderr = options.stdout or "capture", "capture"
  local status, out, err = run(words)
  return { status = status, out = out, err = err }
end

--- Run a shell command in which "$@" is haplua with these arguments: for redirections, limits, ...
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

--- Run haplua with a chunk, and send it a signal whenever the chunk calls ready().
---@param signals string[]  one for each call of ready()
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
---@field address string  for -s and connect()
---@field log string[]  the bytes that each connection has received, once it has ended
---@field holds boolean  has a connection reached the step "hold"?

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

--- Has nobody connected so far? It makes a connection itself, which must be the first.
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

--- Start a fake HAProxy: local fake <close> = support.fake{"read", "say \\n"}
-- The words are the steps of tests/fake.c. With tcp = true it listens on a port of the loopback.
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
