-- SPDX-License-Identifier: MIT
--
-- How tests are run: one file or test of it, many files side by side, all steps of `make check`.

local run = require("run")
local support = require("support")

--- Run a command for its status, output and errors.
local function ran(options)
  options.stdin, options.stdout, options.stderr = "", "capture", "capture"
  return run(options)
end

describe("tests/parallel.sh", function()
  local function files(folder, names)
    local words = { "sh", "tests/parallel.sh", "2", "sh", env = { COUNTS = folder.path .. "/counts" } }
    for name, text in pairs(names) do
      words[#words + 1] = folder.write(name, text)
    end
    return ran(words)
  end

  local GOOD = "echo noise; echo 'lua: 3 passed, 0 failed, 0 broken, 1 skipped'"
  local BAD = "echo trouble; echo 'lua: 2 passed, 1 failed, 4 broken, 0 skipped'; exit 1"

  it("adds up what the files print, and keeps the output of one that failed", function()
    local folder <close> = support.folder()
    local status, out, err = files(folder, { ["a_test.lua"] = GOOD, ["b_test.lua"] = BAD })
    assert.same({ 1, "" }, { status, err })
    assert.matches("trouble\n", out)
    assert.matches("%[%d/2%] %S+/a_test%.lua: 3 passed, 1 skipped, %d+ s\n", out)
    assert.matches("\nFAILED: %S+/b_test%.lua\nunit: 5 passed, 1 failed, 4 broken, 1 skipped\n$", out)
    local f <close> = io.open(folder.path .. "/counts")
    assert.equal("5 passed, 1 failed, 4 broken, 1 skipped\n", f:read("a"))
  end)

  it("takes a file that ends without counts, by its status", function()
    local folder <close> = support.folder()
    local status, out = files(folder, { ["a_test.lua"] = GOOD, ["b_test.lua"] = "kill -9 $$" })
    assert.equal(1, status)
    assert.matches("FAILED: %S+/b_test%.lua: status 137\n", out)
    assert.equal(0, (files(folder, { ["a_test.lua"] = GOOD })))
  end)

  it("counts the tests of C programs", function()
    local folder <close> = support.folder()
    local status, out = files(folder, { program = "echo '[  PASSED  ] 7 test(s).'" })
    assert.equal(0, status)
    assert.matches("/program: 7 passed, %d+ s\nunit: 7 passed, 0 failed, 0 broken, 0 skipped\n$", out)
  end)
end)

describe("make check", function()
  local MAKE = "#!/bin/sh\necho \"$2 runs\"\necho '2 passed, 1 failed, 0 broken, 3 skipped' >>$COUNTS\n[ $2 != bad ]\n"

  it("says at its start how long it takes, and ends with one line", function()
    local folder <close> = support.folder()
    local env = { MAKE = folder.write("make", MAKE, "755") }
    local status, out, err = ran({ "sh", "tests/check.sh", folder.path, "good", "bad", "fine", env = env })
    assert.same({ 1, "" }, { status, err })
    assert.matches("^check: 3 steps, about %d+ minutes", out)
    assert.matches("\n== step 3 of 3: fine\nfine runs\n", out)
    assert.matches("\ncheck: FAILED: bad; 6 tests passed, 3 failed, 9 skipped, in %d+ seconds\n$", out)
    status, out = ran({ "sh", "tests/check.sh", folder.path, "good", env = env })
    assert.equal(0, status)
    assert.matches("\ncheck: good: all 1 steps; 2 tests passed, 1 failed, 3 skipped, in %d+ seconds\n$", out)
    _, out = ran({ "sh", "tests/check.sh", folder.path, "good", env = env })
    assert.matches("^check: 1 steps; the last time they took %d+ seconds\n", out)
  end)
end)

describe("tests/lua/run.lua", function()
  local TESTS = 'describe("a", function() it("(one) x", function() end) it("two", function() error("no") end) end)'

  local function tests_named(name)
    local folder <close> = support.folder()
    return support.haplua({ "tests/lua/run.lua", folder.write("x_test.lua", TESTS), env = { TEST_NAME = name } })
  end

  it("runs the tests that have words in their names", function()
    local found = tests_named("(one)")
    assert.same({ 0, "lua: 1 passed, 0 failed, 0 broken, 0 skipped\n" }, { found.status, found.out })
    assert.equal(1, tests_named("a two").status)
    local none = tests_named("(one) xx")
    assert.equal(1, none.status)
    assert.matches('no test has "%(one%) xx" in its name\n$', none.out)
  end)
end)
