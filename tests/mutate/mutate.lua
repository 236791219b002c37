-- SPDX-License-Identifier: MIT
--
--- mutate.lua - break the code in one place after the other, and see whether a test notices.
-- Usage: lua5.4 tests/mutate/mutate.lua [--check] [WORD...], in the top folder; with words only the breaks that have one of
-- them in their file, what they say, or their tests. Works on a copy of the tree. The breaks are in breaks.lua. With
-- --check it only looks whether each break has its place in the code, and its tests are there.
--
-- A break is noticed when one of its tests fails, or does not end in time. Reported are those that none notices, those
-- whose text is no longer in the code or does not compile, and tests that fail without a break. Status 1 when there are
-- any. By hand: it takes an hour or two.

local here = arg[0]:match("^(.*)/") or "."
local breaks = dofile(here .. "/breaks.lua")

-- Seconds for one run of a test's program.
local LIMIT = 600

local scratch = ("%s/haplua-mutate.%d.%d"):format(os.getenv("TMPDIR") or "/tmp", os.time(), os.clock() * 1e6 // 1)

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Run a command in the copy. Returns whether it succeeded; its output goes to a file there. A break may have a program
-- take memory without end.
local function run(command)
  local ok, why, status = os.execute(("cd %s && ulimit -v 8000000 && exec </dev/null >mutate.out 2>&1 && %s")
    :format(quote(scratch), command))
  if why == "signal" and status == 2 or status == 130 then
    error("interrupted", 0)
  end
  return ok == true
end

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("a")
  f:close()
  return text
end

local function write(path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

local function say(form, ...)
  print(form:format(...))
  io.stdout:flush()
end

-- VERSION is given, so that main.c is not compiled anew. What the helpers are is in the Makefile.
local MAKE = "make -s -j2 VERSION=mutate"
local HELPERS = "build/fake build/app build/ask build/killer build/order.so build/writes"

--- Build what the tests run.
local function build()
  return run(MAKE .. " haplua " .. HELPERS)
end

--- Does a test pass? "test_NAME" is a program of tests/unit, anything else a file below tests/.
local function passes(test)
  if test:find("^test_") then
    return run(("%s build/%s && timeout -s KILL %d ./build/%s"):format(MAKE, test, LIMIT, test))
  end
  return run(("BUILD=build TEST_SECONDS=120 timeout -s KILL %d ./haplua tests/lua/run.lua tests/%s"):format(LIMIT, test))
end

--- The text of a file with a break in it; nil: there is not exactly one place for it.
local function broken(text, one)
  local first, last = text:find(one.old, 1, true)
  if not first or text:find(one.old, last + 1, true) then
    return nil
  end
  return text:sub(1, first - 1) .. one.new .. text:sub(last + 1)
end

--- Put a break in, run its tests, take it out. Returns what is wrong with it, or nil: it was noticed.
local function try(one, fails_anyway)
  local path = scratch .. "/" .. one.file
  local text = io.open(path) and read(path)
  local changed = text and broken(text, one)
  if not changed then
    return "no longer applies"
  end
  write(path, changed)
  local problem = "no test notices it"
  if not build() then
    problem = "does not build"
  end
  for _, test in ipairs(problem == "does not build" and {} or one.tests) do
    if not fails_anyway[test] and not passes(test) then
      say("ok    %s: %s (%s)", one.file, one.what, test)
      problem = nil
      break
    end
  end
  write(path, text)
  return problem
end

local function is_wanted(one)
  for _, word in ipairs(arg) do
    local text = table.concat({ one.file, one.what, table.unpack(one.tests) }, " ")
    if text:find(word, 1, true) then
      return true
    end
  end
  return #arg == 0
end

--- Run each test of these breaks on the unbroken code. Returns those that fail.
local function try_tests(wanted)
  local fails, seen, n = {}, {}, 0
  for _, one in ipairs(wanted) do
    for _, test in ipairs(one.tests) do
      if not seen[test] then
        seen[test] = true
        if not passes(test) then
          fails[test], n = true, n + 1
          say("FAILS %s, without a break", test)
        end
      end
    end
  end
  return fails, n
end

--- Does each break have its place, and are its tests there? Takes no copy, and runs nothing.
local function check()
  local bad = 0
  local function complain(one, problem)
    bad = bad + 1
    say("breaks.lua: %s: %s: %s", one.file, one.what, problem)
  end
  for _, one in ipairs(breaks) do
    if not (io.open(one.file) and broken(read(one.file), one)) then
      complain(one, "`old` does not stand in this file exactly once")
    end
    for _, test in ipairs(one.tests) do
      if not io.open(test:find("^test_") and ("tests/unit/%s.c"):format(test) or "tests/" .. test) then
        complain(one, "there is no test " .. test)
      end
    end
  end
  return bad == 0
end

local function main()
  assert(os.execute(("mkdir -m 700 %s && git ls-files -co --exclude-standard | tar -cf - -T - | tar -xf - -C %s"):format(
    quote(scratch), quote(scratch))), "the tree cannot be copied")
  if not build() then
    error("the tree does not build:\n" .. read(scratch .. "/mutate.out"), 0)
  end
  local wanted = {}
  for _, one in ipairs(breaks) do
    wanted[#wanted + 1] = is_wanted(one) and one or nil
  end
  local fails, bad = try_tests(wanted)
  for _, one in ipairs(wanted) do
    local problem = try(one, fails)
    if problem then
      bad = bad + 1
      say("BAD   %s: %s: %s", one.file, one.what, problem)
    end
  end
  say("mutate: %d breaks, %d of them or their tests are bad", #wanted, bad)
  return bad == 0
end

if arg[1] == "--check" then
  os.exit(check())
end

local ok, result = pcall(main)
os.execute("rm -rf " .. quote(scratch))
if not ok then
  error(result, 0)
end
os.exit(result)
