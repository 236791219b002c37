-- SPDX-License-Identifier: MIT

-- docs/types declares what the C tables have; tests/types.lua writes its haproxy.lua.

local core = require("haplua.core")
local haproxy = require("haproxy")
local support = require("support")

--- The functions that an annotation file declares on a table, and their names in order.
---@return string[]
local function declared(file, owner)
  local f <close> = assert(io.open("docs/types/" .. file))
  local names = {}
  for line in f:lines() do
    local name = line:match("^function " .. owner .. "[.:]([%w_]+)%(.*%) end$")
    if name then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

--- The functions of a table: all of them, or those that are written in C.
---@return string[]
local function registered(t, in_c)
  local names = {}
  for name, value in pairs(t) do
    if type(value) == "function" and (not in_c or debug.getinfo(value, "S").what == "C") then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

describe("the annotations for the Lua language server", function()
  for _, module in ipairs({ "core", "inet", "namespace", "process", "reply", "terminal" }) do
    it("declare haplua." .. module .. " as it is", function()
      assert.are.same(registered(require("haplua." .. module), true), declared(module .. ".lua", module))
    end)
  end

  it("declare haplua.file as it is", function()
    local file = require("haplua.file")
    assert.are.same(registered(file), declared("file.lua", "file"))
    local folder <close> = support.folder()
    local lock <close> = assert(file.lock(folder.path .. "/file", 0))
    assert.are.same(registered(debug.getmetatable(lock).__index), declared("file.lua", "Lock"))
  end)

  it("declare haplua.sqlite as it is", function()
    local sqlite = require("haplua.sqlite")
    assert.are.same(registered(sqlite), declared("sqlite.lua", "sqlite"))
    local folder <close> = support.folder()
    local db <close> = assert(sqlite.open(folder.path .. "/file"))
    assert.are.same(registered(debug.getmetatable(db).__index), declared("sqlite.lua", "Database"))
  end)

  it("declare haplua.task as it is", function()
    assert.are.same(registered(require("haplua.task"), true), declared("task.lua", "task"))
  end)

  it("declare haplua.watch as it is", function()
    local watch = require("haplua.watch")
    assert.are.same(registered(watch), declared("watch.lua", "watch"))
    local w <close> = assert(watch.open())
    assert.are.same(registered(debug.getmetatable(w).__index), declared("watch.lua", "Watch"))
  end)

  it("declare haplua.error as it is", function()
    assert.are.same(registered(require("haplua.error"), true), declared("error.lua", "M"))
  end)

  it("declare the methods of a target that are written in C", function()
    assert.are.same(registered(core.methods, true), declared("core.lua", "Target"))
  end)

  it("declare the methods of a task", function()
    local methods = {}
    local metatable = debug.getmetatable(task.spawn(function() end))
    for _, name in ipairs(registered(metatable.__index)) do
      methods[#methods + 1] = name
    end
    assert.are.same(methods, declared("task.lua", "Task"))
  end)

  it("declare the functions of the module haproxy", function()
    local names, seen = registered(core.methods), {}
    for _, name in ipairs(names) do
      seen[name] = true
    end
    for _, name in ipairs(registered(haproxy)) do
      if not seen[name] then
        names[#names + 1] = name
      end
    end
    table.sort(names)
    assert.are.same(names, declared("haproxy.lua", "haproxy"))
  end)

  it("are Lua, each with its module's name", function()
    local files = {
      "core", "error", "file", "haproxy", "inet", "process", "reply", "run", "sqlite", "task", "terminal", "watch",
    }
    -- virtual.lua is compared by test_test.lua: it cannot be loaded here
    for _, file in ipairs(files) do
      local path = ("docs/types/%s.lua"):format(file)
      assert(loadfile(path))
      local f <close> = assert(io.open(path))
      local name = f:read("l"):match("^%-%-%-@meta ([%w.]+)$")
      assert.is_truthy(name and pcall(require, name), path)
    end
    assert(loadfile("docs/types/globals.lua"))
  end)
end)
