-- SPDX-License-Identifier: MIT
--
--- What surrounds a test under `haplua test`: the fake HAProxys at their addresses, the scripts that run, the
-- environment, a temporary folder. Each test has a world of its own. The functions for tests are in lua/haplua/test.lua.

local file = require("haplua.file")
local virtual = require("haplua.virtual")
local task = require("haplua.task")

local M = {}

-- What the wall clock shows when a test begins, so that no test depends on today. A Thursday.
M.BEGIN = 1767225600 -- 2026-01-01T00:00:00Z

---@class haplua.test.World
---@field fakes table<string, haplua.test.HAProxy>  by address
---@field runs haplua.test.Run[]  the scripts that the test has started
---@field env table<string, string|false>
---@field folder string?
---@field visitor? fun(request: table): integer|nil, table?  what a visitor gets: status and headers
---@field etcds table<string, haplua.test.Etcd>  by the endpoints of their members
---@field announces boolean?  a fake HAProxy announces its reloads, and changes by hand, to those that watch its files
---@field announced table<string, haplua.base.Signal[]>  of those, by address
local world = { fakes = {}, runs = {}, env = {}, etcds = {}, announced = {} }

M.now = world

local real_getenv, real_time, real_date, real_run = os.getenv, os.time, os.date, require("run")
local real_watch = require("haplua.watch")

--- The name of an address in `fakes`: "unix@/path" is the same as "/path".
local function canonical(address)
  return (address:gsub("^unix@", ""))
end

--- Answer a request, in the place of HAProxy. The host calls it with put_off after the delay that it returned.
---@return string? bytes, number? delay, string? error  what virtual.answer() expects
local function answer(address, bytes, put_off)
  local fake = world.fakes[canonical(address)]
  if not fake then
    return nil, nil, "ENOENT"
  elseif fake.missing then
    return nil, nil, fake.missing
  elseif fake.delay > 0 and not put_off then
    return nil, fake.delay
  end
  local text = fake:answer(bytes)
  if not text then
    return nil, math.huge
  end
  return text
end

--- Put a fake HAProxy at an address. Raises if there is one.
function M.place(fake, address)
  address = canonical(address)
  if world.fakes[address] then
    error(("test.haproxy: there is a fake HAProxy at %s already"):format(address), 3)
  end
  world.fakes[address] = fake
end

---@param address string
function M.is_free(address)
  return world.fakes[canonical(address)] == nil
end

--- The test's temporary folder, which finish() removes. It is in memory if possible, because a journal waits for the disk
-- at each change.
---@return string path
function M.folder()
  if not world.folder then
    local random <close> = assert(io.open("/dev/urandom", "rb"))
    local name = ("haplua-test.%016x"):format(("J"):unpack(random:read(8)))
    for _, base in ipairs({ real_getenv("TMPDIR") or "/dev/shm", "/tmp" }) do
      local path = base .. "/" .. name
      if file.folder(path, { mode = "0700" }) then
        world.folder = path
        break
      end
    end
    assert(world.folder, "no temporary folder")
  end
  return world.folder
end

--- Remove a file, or a folder with what is in it. A link is removed, and not what it leads to.
local function remove(path)
  if os.remove(path) then
    return
  end
  for _, name in ipairs(file.list(path) or {}) do
    remove(path .. "/" .. name)
  end
  os.remove(path)
end

--- Write a configuration into the test's folder, with a journal there: a test must not find the machine's
-- configuration, nor write its journal.
---@return string path
local function configuration()
  local path = M.folder() .. "/config.lua"
  local f <close> = assert(io.open(path, "w"))
  f:write(("return { journal = %q }\n"):format(M.folder() .. "/journal.db"))
  world.env.HAPLUA_CONFIG = path
  return path
end

local function getenv(name)
  local value = world.env[name]
  if value ~= nil then
    return value or nil
  elseif name == "HAPLUA_CONFIG" then
    return configuration()
  elseif type(name) == "string" and name:find("^HAPLUA_") then
    return nil
  end
  return real_getenv(name)
end

--- A stream that writes to the output of the script that calls it, or of the test.
local function stream(is_error)
  local out = {}
  function out:write(...)
    for i = 1, select("#", ...) do
      virtual.write(tostring((select(i, ...))), is_error)
    end
    return self
  end
  function out:flush()
    return self
  end
  function out.setvbuf()
    return true
  end
  function out.seek()
    return nil, "Illegal seek", 29
  end
  return out
end

--- In the place of libcurl: what a visitor gets says the test, and without it there is nobody.
local function ask_visitor(request)
  local status, headers = nil, nil
  if world.visitor then
    status, headers = world.visitor(request)
  end
  if not status then
    return { kind = "unreachable", phase = "connect", message = "nobody listens in this test (test.visitor)" }
  end
  local lines = { ("HTTP/1.1 %d Test\r\n"):format(status) }
  for name, value in pairs(headers or {}) do
    lines[#lines + 1] = ("%s: %s\r\n"):format(name, value)
  end
  return { head = table.concat(lines), seconds = 0, source = (request.source or "host!127.0.0.1"):sub(6) }
end

--- In the place of haplua.etcd.client: a client of the fake etcd at these endpoints.
---@param options {endpoints: string[]}
local function connect_etcd(options)
  local etcd = world.etcds[options.endpoints[1]]
    or error(("there is no fake etcd at %s (test.etcd)"):format(options.endpoints[1]), 0)
  return etcd:connect(options)
end

-- In the place of haplua.watch, where fake HAProxys announce what is done to them: so a resident loop may look seldom.
local FileWatch = {}
FileWatch.__index = FileWatch

function FileWatch:add(path)
  local all = world.announced[path] or {}
  world.announced[path], all[#all + 1] = all, self.news
  self.paths[#self.paths + 1] = path
  return true
end

function FileWatch:wait(seconds)
  return self.news:wait(task.sleep, seconds) and { { path = self.paths[1], what = "opened" } } or nil
end

function FileWatch:close()
  for _, path in ipairs(self.paths) do
    for i, news in ipairs(world.announced[path] or {}) do
      if news == self.news then
        table.remove(world.announced[path], i)
        break
      end
    end
  end
  self.paths = {}
end
FileWatch.__close = FileWatch.close

local function open_watch()
  if not world.announces then
    return real_watch.open()
  end
  return setmetatable({ news = require("haplua.base.signal").new(), paths = {} }, FileWatch)
end

--- A fake HAProxy was reloaded, or changed by hand.
---@param address string?
function M.announce(address)
  for _, news in ipairs(world.announced[address] or {}) do
    news:set()
  end
end

-- The variables of this process whose names begin with HAPLUA_: a program that a test starts has none of them.
local no_variables = {}

--- The variables that differ for a program from those of this process: the test's, and those of its file.
---@return table<string, string|false>  false: unset
local function variables()
  getenv("HAPLUA_CONFIG") -- which makes the configuration, unless the test names one
  local env = {}
  local function add(some)
    local outer = getmetatable(some)
    if outer then
      add(outer.__index)
    end
    for name, value in pairs(some) do
      env[name] = value
    end
  end
  add(no_variables)
  add(world.env)
  return env
end

--- In the place of run(): a program has the variables that the test has set, PATH among them.
local function run_in_environment(words, ...)
  if type(words) ~= "table" or words.env ~= nil and type(words.env) ~= "table" then
    return real_run(words, ...)
  end
  local copy, env = {}, variables()
  for key, value in pairs(words) do
    copy[key] = value
  end
  for name, value in pairs(words.env or {}) do
    env[name] = value
  end
  copy.env = env
  return real_run(copy, ...)
end

--- Replace Lua's functions for time, environment and output, and run(). Called once, before the first file is loaded.
function M.install()
  local all <close> = io.open("/proc/self/environ")
  for name in (all and all:read("a") or ""):gmatch("%f[^\0]HAPLUA_[^=\0]*") do
    no_variables[name] = false
  end
  os.getenv = getenv
  package.loaded.run = run_in_environment
  package.loaded["haplua.watch"] = { open = open_watch }
  function os.time(t)
    return t and real_time(t) or math.floor(task.time())
  end
  function os.date(format, t)
    return real_date(format or "%c", t or math.floor(task.time()))
  end
  io.stdout, io.stderr = stream(false), stream(true)
  function io.write(...)
    return io.stdout:write(...)
  end
  rawset(_G, "print", function(...)
    local words = table.pack(...)
    for i = 1, words.n do
      words[i] = tostring(words[i])
    end
    virtual.write(table.concat(words, "\t") .. "\n")
  end)
  virtual.answer(answer)
  package.preload["haplua.visit.curl"] = function()
    return { ask = ask_visitor }
  end
  package.preload["haplua.etcd.client"] = function()
    return { connect = connect_etcd }
  end
end

--- Begin a world for a test, or for a file. What the outer world has is there, too: the fakes and the environment
-- that a file has made outside of its tests.
---@return fun() finish  ends the test's scripts, removes its folder, and returns to the outer world
function M.begin()
  local outer = { fakes = world.fakes, runs = world.runs, env = world.env, folder = world.folder, visitor = world.visitor,
    etcds = world.etcds, announces = world.announces, announced = world.announced }
  world.fakes = setmetatable({}, { __index = outer.fakes })
  world.env = setmetatable({}, { __index = outer.env })
  world.etcds = setmetatable({}, { __index = outer.etcds })
  world.runs, world.folder, world.announces, world.announced = {}, nil, nil, {}
  virtual.clock(M.BEGIN)
  return function()
    local folder = world.folder
    for i = #world.runs, 1, -1 do
      pcall(world.runs[i].stop, world.runs[i])
    end
    world.fakes, world.runs, world.env, world.folder = outer.fakes, outer.runs, outer.env, outer.folder
    world.visitor, world.etcds, world.announces, world.announced = outer.visitor, outer.etcds, outer.announces, outer.announced
    if folder then
      remove(folder)
    end
  end
end

return M
