-- SPDX-License-Identifier: MIT
--
-- run.lua - run tests with busted inside haplua; this folder's unless others are named.
-- Usage: haplua tests/lua/run.lua [busted's options, as --name=value] [file or folder...]
-- $TEST_NAME selects the tests whose names have these words; then it is an error if there is none.
-- Each test runs in a task of its own and under a deadline. So calls wait as in any script, and a test
-- fails if it, or a task that it has started, does not end.

local TEST_SECONDS = tonumber(os.getenv("TEST_SECONDS")) or 300
local NAME = os.getenv("TEST_NAME") ~= "" and os.getenv("TEST_NAME") or nil

local here = arg[0]:match("^(.*)/") or "."
package.path = here .. "/../real/?.lua;" .. here .. "/../browser/?.lua;" .. here .. "/../conformance/?.lua;"
  .. here .. "/../fleet/?.lua;"
  .. package.path

--- The place in a test file where the error was raised: "file:line", or nil.
local function place_in_test()
  for level = 3, math.huge do
    local info = debug.getinfo(level, "Sl")
    if not info then
      return nil
    elseif info.source:find("_test%.lua$") then
      return ("%s:%d"):format(info.short_src, info.currentline)
    end
  end
end

-- After Ctrl-C no other test begins; the current one runs its cleanups.
local stopped = false

--- Make a test's function run in a task of its own.
local function in_task(element)
  local fn = element.run
  return function()
    if stopped then
      error("not run", 0)
    end
    task.deadline(TEST_SECONDS, function()
      local test <close> = task.spawn(function()
        local ok, err = xpcall(fn, function(err)
          element.place = place_in_test()
          stopped = stopped or type(err) == "table" and err.signal ~= nil
          return err
        end)
        if not ok then
          error(err, 0)
        end
      end)
      test:wait()
    end)
  end
end

local folders = require("folders")

--- The processes whose command line names a folder that a test of this run has made, as lines.
local function left_over()
  local lines = {}
  for _, name in ipairs(require("haplua.file").list("/proc")) do
    local file = name:find("^%d+$") and io.open("/proc/" .. name .. "/cmdline")
    local words = file and (file:read("a") or "") or ""
    if file then
      file:close()
    end
    for folder in words:gmatch("/[%w/._-]-/haplua%-test%.%x+") do
      if folders[folder] then
        lines[#lines + 1] = name .. ": " .. words:gsub("%z", " ")
        break
      end
    end
  end
  return lines
end

--- The same after the processes that are ending had time for it.
local function left_running()
  local latest = task.now() + 10
  local lines = left_over()
  while #lines > 0 and task.now() < latest do
    task.sleep(0.1)
    lines = left_over()
  end
  return lines
end

--- The output handler: print the failures, then one line of counts.
local function lines(options)
  local busted = require("busted")
  local handler = require("busted.outputHandlers.base")()

  local function print_failure(failure)
    local place = failure.element.place
    print(("not ok: %s"):format(failure.name))
    print(("  %s"):format((tostring(failure.message):gsub("\n", "\n  "))))
    if place and not tostring(failure.message):find(place, 1, true) then
      print("  at " .. place)
    end
  end

  busted.subscribe({ "test", "start" }, function(element)
    element.run = in_task(element)
    return nil, true
  end, { priority = 1 })

  busted.subscribe({ "test", "end" }, function(element, _, status)
    if options.verbose then
      print(("%s: %s (%.0f ms)"):format(status, handler.getFullName(element), element.duration * 1000))
    end
    io.stdout:flush()
    return nil, true
  end)

  busted.subscribe({ "suite", "end" }, function()
    for _, skipped in ipairs(handler.pendings) do
      print(("skipped: %s: %s"):format(skipped.name, tostring(skipped.message)))
    end
    for _, list in ipairs({ handler.failures, handler.errors }) do
      for _, failure in ipairs(list) do
        print_failure(failure)
      end
    end
    print(("lua: %d passed, %d failed, %d broken, %d skipped"):format(
      handler.successesCount, handler.failuresCount, handler.errorsCount, handler.pendingsCount))
    if NAME and handler.successesCount + handler.failuresCount + handler.errorsCount + handler.pendingsCount == 0 then
      print(("no test has %q in its name"):format(NAME))
      os.exit(1)
    end
    local left = left_running()
    if #left > 0 then
      print("left running by these tests:\n  " .. table.concat(left, "\n  "))
      os.exit(1)
    end
    return nil, true
  end)
  return handler
end

--- The command line for busted. A word without a dash names a file or a folder.
local function command_line()
  local words, named = { "--pattern=_test%.lua$", "--output=lines" }, false
  for i, word in ipairs(arg) do
    words[i + 2] = word
    named = named or not word:find("^%-")
  end
  if not named then
    words[#words + 1] = here
  end
  if NAME then
    words[#words + 1] = "--filter=" .. NAME:gsub("%p", "%%%0")
  end
  words[0] = arg[0]
  return words
end

package.preload["busted.outputHandlers.lines"] = function()
  return lines
end
rawset(package.loaded._G, "arg", command_line())
require("busted.runner")({ standalone = false })
