-- SPDX-License-Identifier: MIT
--
--- What a test finds around it under `haplua test`: the fake HAProxys at their addresses, the scripts that run,
-- the environment, a folder. Begun anew for each test. The functions for tests are in lua/haplua/test.lua.

local virtual = require("haplua.virtual")
local task = require("haplua.task")

local M = {}

-- Where every test begins: a Thursday. A test that depends on today is none.
M.BEGIN = 1767225600 -- 2026-01-01T00:00:00Z

---@class haplua.test.World
---@field fakes table<string, haplua.test.HAProxy>  by address
---@field runs haplua.test.Run[]  those that may not have ended
---@field env table<string, string|false>
---@field folder string?
local world = { fakes = {}, runs = {}, env = {} }

M.now = world

local real_getenv, real_time, real_date = os.getenv, os.time, os.date

--- "unix@/path" and "/path" are one.
local function canonical(address)
  return (address:gsub("^unix@", ""))
end

--- Who answers a request: called by the host.
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

--- Put a fake HAProxy at an address.
function M.place(fake, address)
  address = canonical(address)
  if world.fakes[address] then
    error(("there is a fake HAProxy at %s already"):format(address), 3)
  end
  world.fakes[address] = fake
end

---@param address string
function M.is_free(address)
  return world.fakes[canonical(address)] == nil
end

--- A temporary folder, gone at the end of the test.
---@return string path
function M.folder()
  if not world.folder then
    local random <close> = assert(io.open("/dev/urandom", "rb"))
    local name = ("haplua-test.%016x"):format(("J"):unpack(random:read(8)))
    -- in memory, where it can be: a journal waits for the disk at each change
    for _, base in ipairs({ real_getenv("TMPDIR") or "/dev/shm", "/tmp" }) do
      local path = base .. "/" .. name
      -- not run{}: os.getenv() may be called where nothing may wait
      if os.execute(("mkdir -m 700 '%s' 2>/dev/null"):format((path:gsub("'", "'\\''")))) then
        world.folder = path
        break
      end
    end
    assert(world.folder, "no temporary folder")
  end
  return world.folder
end

--- Scripts must not find the machine's own configuration, nor write its journal: unless the test says
-- otherwise, they get ones in the test's folder.
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

--- A stream that writes where the running script does.
local function stream(is_error)
  local file = {}
  function file:write(...)
    for i = 1, select("#", ...) do
      virtual.write(tostring((select(i, ...))), is_error)
    end
    return self
  end
  function file:flush()
    return self
  end
  function file.setvbuf()
    return true
  end
  function file.seek()
    return nil, "Illegal seek", 29
  end
  return file
end

--- Put the virtual time, the environment and the streams in the place of Lua's. Once, at the start.
function M.install()
  os.getenv = getenv
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
end

--- What is there before a test begins stays: fakes that the file made at its top level.
---@return fun() finish  ends the test's scripts and lets go of what it made
function M.begin()
  local outer = { fakes = world.fakes, runs = world.runs, env = world.env, folder = world.folder }
  world.fakes = setmetatable({}, { __index = outer.fakes })
  world.env = setmetatable({}, { __index = outer.env })
  world.runs, world.folder = {}, nil
  virtual.clock(M.BEGIN)
  return function()
    for i = #world.runs, 1, -1 do
      pcall(world.runs[i].stop, world.runs[i])
    end
    if world.folder then
      require("run")({ "rm", "-rf", world.folder })
    end
    for name in pairs(outer) do
      world[name] = outer[name]
    end
    world.folder = outer.folder
  end
end

return M
