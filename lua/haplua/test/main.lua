-- SPDX-License-Identifier: MIT
--
--- The script behind `haplua test`: finds test files, runs them, tells how they went.

local world = require("haplua.test.world")
local spec = require("haplua.test.spec")
local run = require("run")

-- Real time that one test may take.
local SECONDS = 30

local declaration = {
  name = "test",
  help = "Run tests of policies against fake HAProxys, on a clock of their own. docs/testing.md says how to write them.",
  args = "file",
  options = {
    { "--name", value = "TEXT", help = "only tests with TEXT in their name" },
    { "--tap", help = "print TAP, for programs" },
    { "--seconds", value = "SECONDS", default = tostring(SECONDS), help = "real time that one test may take (default 30)" },
  },
}

--- The *_test.lua files below a folder, in order; a file is itself.
---@return string[]? files, string? problem
local function find(path)
  local info, problem = require("haplua.file").info(path)
  if not info then
    return nil, problem
  elseif run({ "test", "-d", path }) ~= 0 then
    return { path }
  end
  local status, out = run({
    "find", path, "-name", ".?*", "-prune", "-o", "-name", "*_test.lua", "-type", "f", "-print", stdout = "capture",
  })
  if status ~= 0 then
    return nil, "find failed"
  end
  local files = {}
  for file in out:gmatch("[^\n]+") do
    files[#files + 1] = file
  end
  table.sort(files)
  return files
end

local function indent(text, by)
  return (text:gsub("\n", "\n" .. by))
end

-- How results are told.

local function list()
  local told = {}
  function told.file(path)
    print(path)
  end
  function told.result(outcome)
    local labels = { ok = "ok  ", failed = "FAIL", skipped = "skip" }
    print(("  %s  %s"):format(labels[outcome.status], outcome.name))
    if outcome.status == "failed" then
      print("        " .. indent(outcome.message, "        "))
      if outcome.place then
        print("        at " .. outcome.place)
      end
    end
    io.stdout:flush()
  end
  function told.finish(counts, seconds)
    print(("%d passed, %d failed, %d skipped (%.2f s)"):format(counts.ok, counts.failed, counts.skipped, seconds))
  end
  return told
end

local function tap()
  local told, n, file = {}, 0, ""
  print("TAP version 13")
  function told.file(path)
    file = path
  end
  function told.result(outcome)
    n = n + 1
    local name = (file .. ": " .. outcome.name):gsub("[#\n\\]", " ")
    print(("%s %d - %s%s"):format(outcome.status == "failed" and "not ok" or "ok", n, name,
      outcome.status == "skipped" and " # SKIP" or ""))
    if outcome.status == "failed" then
      print("  ---\n  message: |\n    " .. indent(outcome.message, "    "))
      print(("  at: %s\n  ..."):format(outcome.place or "?"))
    end
  end
  function told.finish()
    print("1.." .. n)
  end
  return told
end

--- Modules that one file loaded are not the next one's.
local function forget_modules(before)
  for name in pairs(package.loaded) do
    if not before[name] and not package.preload[name] then
      package.loaded[name] = nil
    end
  end
end

local function snapshot()
  local loaded = {}
  for name in pairs(package.loaded) do
    loaded[name] = true
  end
  return loaded
end

--- Run a file's tests, and tell.
local function run_file(path, options, told, count)
  local before = snapshot()
  local finish = world.begin()
  told.file(path)
  local ok, block = pcall(spec.load, path)
  if ok then
    spec.run(block, options, count)
  else
    count({ name = path, status = "failed", message = tostring(block) })
  end
  finish()
  forget_modules(before)
end

local function gather(paths)
  local files = {}
  for _, path in ipairs(paths) do
    local found, problem = find(path)
    if not found then
      io.stderr:write(("test: %s\n"):format(problem))
      return nil
    end
    table.move(found, 1, #found, #files + 1, files)
  end
  return files
end

---@param ... string  the words behind `haplua test`
---@return integer status
return function(...)
  local args = require("haplua.cli").parse(declaration, { ... })
  local files = gather(#args.file > 0 and args.file or { "." })
  if not files then
    return 2
  elseif #files == 0 then
    io.stderr:write("test: there is no file named *_test.lua\n")
    return 2
  end
  local began = os.clock()
  local counts = { ok = 0, failed = 0, skipped = 0 }
  world.install()
  local told = args.tap and tap() or list()
  local options = { seconds = tonumber(args.seconds) or SECONDS, name = args.name }
  for _, path in ipairs(files) do
    run_file(path, options, told, function(outcome)
      counts[outcome.status] = counts[outcome.status] + 1
      told.result(outcome)
    end)
  end
  told.finish(counts, os.clock() - began)
  return counts.failed == 0 and 0 or 1
end
