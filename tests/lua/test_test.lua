-- SPDX-License-Identifier: MIT

-- `haplua test`, and the functions of its test files. Each test writes a test file, and runs it in a haplua of its own.

local support = require("support")

--- Run `haplua test` on one file.
local function run_test(text, ...)
  local folder <close> = support.folder()
  local file = folder.write("shop_test.lua", 'local test = require("haplua.test")\n' .. text)
  local result = support.haplua({ env = { HAPLUA_SOCKET = "/nowhere/at/all", HAPLUA_ACL = "#1" }, "test", file, ... })
  result.out = result.out:gsub(folder.path:gsub("%p", "%%%0") .. "/", "")
  return result
end

--- Run a file whose n tests must pass.
local function passes(n, text, ...)
  local result = run_test(text, ...)
  assert.are.equal("", result.err)
  assert.matches(("\n%d passed, 0 failed, 0 skipped"):format(n), result.out, 1, true)
  assert.are.equal(0, result.status)
end

local SITE = [[
  local function site(options)
    options = options or {}
    options.acls = { ["#9999"] = { match = "reg" } }
    return test.haproxy(options)
  end
]]

describe("haplua test", function()
  it("prints failures with their place and both values", function()
    local result = run_test([[
      describe("the shop", function()
        it("adds", function() assert.equal(4, 2 + 2) end)
        it("subtracts", function()
          assert.equal(3, 2 - 2)
        end)
        it("breaks", function() local t = nil; return t.x end)
        pending("divides")
      end)
    ]])
    assert.are.equal(1, result.status)
    assert.matches("  ok    the shop: adds\n", result.out, 1, true)
    assert.matches("  FAIL  the shop: subtracts\n        expected: 3\n             got: 0\n"
      .. "        at shop_test.lua:5\n", result.out, 1, true)
    assert.matches("attempt to index a nil value (local 't')\n        at shop_test.lua:7", result.out, 1, true)
    assert.matches("  skip  the shop: divides\n1 passed, 2 failed, 1 skipped", result.out, 1, true)
  end)

  it("prints TAP", function()
    local result = run_test([[
      it("is so", function() end)
      it("is not so", function() assert.is_nil(1) end)
    ]], "--tap")
    assert.are.equal("TAP version 13\nok 1 - shop_test.lua: is so\nnot ok 2 - shop_test.lua: is not so\n  ---\n"
      .. "  message: |\n    expected: nil\n         got: 1\n  at: shop_test.lua:3\n  ...\n1..2\n", result.out)
    assert.are.equal(1, result.status)
  end)

  it("removes a test's folder with all that is in it, but for what links lead to", function()
    local kept <close> = support.folder()
    kept.write("file", "stays")
    local result = run_test(([[
      it("has a folder", function()
        local f = test.folder()
        print(f)
        assert.equal(0, require("run")({ "sh", "-c",
          'cd "$0" && mkdir -p a/b/.c && : >a/b/.c/d && ln -s %s link && ln -s nowhere dangling', f }))
      end)
    ]]):format(kept.path))
    assert.equal(0, result.status, result.out)
    assert.is_nil(require("haplua.file").info(result.out:match("(/%S+/haplua%-test%.%x+)"), true))
    assert.equal("stays", (require("haplua.file").read(kept.path .. "/file")))
  end)

  it("finds the files of a folder, and fails without one", function()
    local folder <close> = support.folder()
    assert.are.equal(0, run({ "mkdir", "-p", folder.path .. "/a/b", folder.path .. "/.hidden", folder.path .. "/none" }))
    folder.write("a/b/two_test.lua", 'it("is two", function() end)')
    folder.write("a/one_test.lua", 'it("is one", function() end)')
    folder.write("a/other.lua", "error('not a test')")
    folder.write(".hidden/x_test.lua", "error('hidden')")
    local result = support.haplua({ "test", folder.path })
    assert.is_truthy(result.out:find("b/two_test.lua\n  ok    is two\n.*a/one_test.lua\n  ok    is one\n2 passed"), result.out)
    assert.are.equal(2, support.haplua({ "test", folder.path .. "/none" }).status)
    assert.are.equal(2, support.haplua({ "test", folder.path .. "/missing_test.lua" }).status)
  end)

  it("fails for a file that does not compile, and goes on with the next", function()
    local folder <close> = support.folder()
    folder.write("a_test.lua", "it(")
    folder.write("b_test.lua", 'it("is there", function() end)')
    local result = support.haplua({ "test", folder.path })
    assert.matches("1 passed, 1 failed", result.out, 1, true)
    assert.are.equal(1, result.status)
  end)

  it("fails if there is nothing to run", function()
    local text = [[
      describe("the shop", function() it("closes on Sundays", function() end) end)
      it("opens again", function() end)
    ]]
    for name, advice in pairs({
      Sundys = "did you mean 'Sundays'?", ["on sunday"] = "did you mean 'on Sundays'?", OPENS = "did you mean 'opens'?",
      nonsense = "there are 2 tests, one is 'the shop: closes on Sundays'",
    }) do
      local result = run_test(text, "--name", name)
      assert.are.equal(2, result.status, result.out)
      assert.are.equal(("test: no test has '%s' in its name; %s\n"):format(name, advice), result.err)
    end
    assert.are.equal(0, run_test(text, "--name", "shop: closes").status)
    for _, empty in ipairs({ "", 'describe("nothing", function() end)', "before_each(function() end)" }) do
      local result = run_test(empty)
      assert.matches("FAIL  shop_test.lua\n        there is no test in this file\n", result.out, 1, true)
      assert.are.equal(1, result.status)
    end
    assert.are.equal(0, run_test('pending("later")').status)
  end)

  it("runs no hook of a block without a chosen test", function()
    local result = run_test([[
      describe("one", function() setup(function() print("set up") end) it("a", function() end) end)
      describe("two", function() it("b", function() end) end)
    ]], "--name", "two: b")
    assert.are.equal("shop_test.lua\n  ok    two: b\n1 passed", result.out:match("^[^,]*"))
  end)

  it("refuses a time that is not a plain number of seconds", function()
    for _, seconds in ipairs({ "abc", "", "-1", "0", "0.0", "nan", "inf", "1e9", "0x10", "86401", "1m", "1 ", ".", "1.2.3" }) do
      local result = run_test('it("is", function() end)', "--seconds=" .. seconds)
      assert.are.equal(2, result.status, seconds)
      assert.matches("seconds expected, more than 0 and at most 86400, not '" .. seconds .. "'", result.err, 1, true)
    end
    for _, seconds in ipairs({ "1", "86400", "60.5", ".5", "010" }) do
      assert.are.equal(0, run_test('it("is", function() end)', "--seconds", seconds).status, seconds)
    end
  end)

  it("refuses wrong arguments of describe, it and hooks, and their use within a test", function()
    for text, problem in pairs({
      ['it("x")'] = "it: function must be a function, not nil", ["it(function() end)"] = "it: name must be a text or a number",
      ["it({}, print)"] = "it: name must be", ['describe("x")'] = "describe: function must be",
      ["setup()"] = "setup: function must be",
      ["after_each(1)"] = "after_each: function must be", ["pending()"] = "pending: name must be",
    }) do
      local result = run_test(text)
      assert.matches("shop_test.lua:2: " .. problem, result.out, 1, true)
      assert.are.equal(1, result.status)
    end
    local result = run_test('it("outer", function() it("inner", function() end) end)')
    assert.matches("FAIL  outer\n        [^\n]*it: not within a test\n.*0 passed, 1 failed", result.out)
  end)

  it("skips a test that calls pending, and runs its hooks", function()
    local result = run_test([[
      after_each(function() print("after") end)
      it("waits", function() pending("until it is there") error("goes on") end)
    ]])
    assert.matches("after\n  skip  waits\n        until it is there\n0 passed, 0 failed, 1 skipped", result.out, 1, true)
    assert.are.equal(0, result.status)
    assert.matches("FAIL  waits\n        shop_test.lua:2: broken", run_test([[after_each(function() error("broken") end)
      it("waits", function() pending("why") end)]]).out, 1, true)
  end)

  it("shows an error that is a table", function()
    local result = run_test('it("fails", function() error({ kind = "x" }) end)')
    assert.matches('FAIL  fails\n        { kind = "x" }\n', result.out, 1, true)
  end)

  it("is this command even if there is a script of that name in ./policies", function()
    local folder <close> = support.folder()
    run({ "mkdir", folder.path .. "/policies" })
    folder.write("policies/test.lua", 'print("the script")')
    folder.write("a_test.lua", 'it("is", function() end)')
    local result = support.haplua({ "test", cwd = folder.path })
    assert.is_truthy(result.out:find("1 passed", 1, true), result.out .. result.err)
    assert.are.equal("the script\n", support.haplua({ "policies/test.lua", cwd = folder.path }).out)
  end)

  it("refuses options for a real HAProxy; its module works nowhere else", function()
    for _, words in ipairs({ { "-s", "/x" }, { "-n" }, { "--via", "@1" } }) do
      words[#words + 1] = "test"
      assert.are.equal(2, support.haplua(words).status)
    end
    local result = support.haplua({ "-e", 'require("haplua.test")' })
    assert.are.equal(1, result.status)
    assert.matches("haplua test", result.err, 1, true)
    assert.are.equal(0, support.haplua({ "test", "--help" }).status)
  end)

  it("connects to no real socket", function()
    local real <close> = support.fake({ "read", "say \\n" })
    passes(1, ([[
      it("is unreachable", function()
        local problem = assert.has_error(function() haproxy.connect(%q):info() end)
        assert.equal("unreachable", problem.kind)
        assert.equal("ENOENT", problem.code)
      end)
    ]]):format(real.address))
    assert.is_true(real:is_untouched())
  end)

  it("runs hooks around each test, also around one that fails", function()
    local result = run_test([[
      local said = {}
      describe("hooks", function()
        setup(function() said[#said + 1] = "setup" end)
        teardown(function() print(table.concat(said, " ")) end)
        before_each(function() said[#said + 1] = "before" end)
        after_each(function() said[#said + 1] = "after" end)
        it("one", function() said[#said + 1] = "one" end)
        it("two", function() error("broken") end)
      end)
    ]])
    assert.matches("\nsetup before one after before after\n", result.out, 1, true)
  end)

  it("has strict globals in test files and in their scripts", function()
    local folder <close> = support.folder()
    local script = folder.write("policy.lua", "local function f() return shpo end\nf()")
    passes(2, ([[
      it("in the file", function()
        assert.has_error(function() return sohp end, "undefined name 'sohp'")
      end)
      it("in a script", function()
        local result = test.run(%q)
        assert.equal(1, result.status)
        assert.contains("undefined name 'shpo'", result.err)
      end)
    ]]):format(script))
  end)

  it("ends a test that takes too much real time", function()
    local result = run_test([[
      it("sleeps and sleeps", function() while true do task.sleep(1) end end)
      it("goes on", function() end)
    ]], "--seconds", "0.2")
    assert.is_truthy(result.out:find("it took more than 0.2 s of real time", 1, true), result.out, result.out .. result.err)
    assert.matches("1 passed, 1 failed", result.out, 1, true)
  end)

  it("fails a test in which all tasks wait for each other", function()
    local result = run_test([[
      it("waits", function()
        local a, b
        a = task.spawn(function() b:wait() end)
        b = task.spawn(function() a:wait() end)
        a:wait()
      end)
      it("goes on", function() end)
    ]])
    assert.matches("1 passed, 1 failed", result.out, 1, true)
  end)

  it("ends at a signal", function()
    local folder <close> = support.folder()
    local file = folder.write("a_test.lua", [[
      it("waits for a child", function()
        print("ready")
        io.stdout:flush()
        run({ "sh", "-c", "kill -TERM $PPID; exec sleep 60" })
      end)
    ]])
    assert.are.equal(143, support.haplua({ "test", file }).status)
    for _, text in ipairs({
      'setup(function() %s end) it("is", function() end)', '%s it("is", function() end)',
      'it("is", function() end) teardown(function() %s end)', 'it("is", function() %s end) it("is not", print)',
    }) do
      file = folder.write("b_test.lua", text:format(
        'print(require("haplua.test").folder()) run({ "sh", "-c", "kill -TERM $PPID; exec sleep 60" })'))
      local result = support.haplua({ "test", file })
      assert.are.equal(143, result.status, text)
      assert.is_nil(result.out:find("is not", 1, true))
      local made = result.out:match("(/[^\n]*haplua%-test%.%x+)\n")
      assert.are.equal(1, run({ "test", "-e", made }), made)
    end
  end)

  it("ends, also where a signal came before the test had hold of the run that it had just started", function()
    local result = run_test([[
      it("starts", function()
        local f <close> = assert(io.open(test.folder() .. "/endless.lua", "w"))
        f:write("while true do pcall(task.sleep, 1) end")
        f:close()
        require("haplua.virtual").start(test.folder() .. "/endless.lua", {}, { "/a.sock" })
        test.advance(10)
      end)
    ]])
    assert.are.equal(0, result.status)
    assert.matches("1 passed, 0 failed", result.out, 1, true)
  end)
end)

describe("time under haplua test", function()
  it("begins at the same instant in each run, so that sums of instants are rounded alike", function()
    passes(1, [[
      it("begins", function() assert.equal(1000, require("haplua.task").now()) end)
    ]])
  end)

  it("is the same for all functions, and takes no real time", function()
    passes(1, [[
      it("passes", function()
        assert.equal(1767225600, os.time())
        assert.equal("2026-01-01 00:00:00", os.date("!%Y-%m-%d %H:%M:%S"))
        local before = task.now()
        task.sleep(365 * 86400)
        assert.near(365 * 86400, task.now() - before, 1e-3)
        assert.equal("2027-01-01", os.date("!%Y-%m-%d"))
        assert.equal(0, os.time({ year = 1970, month = 1, day = 1, hour = 0 }) % 900)
      end)
    ]])
  end)

  it("can be set, moved, and passes up to an instant or until a function returns true", function()
    passes(4, [[
      it("is set", function()
        test.clock({ at = "2026-03-29T00:59:59Z" })
        assert.equal(1774745999, os.time())
        test.until_("2026-03-29T01:00:00Z")
        assert.equal(1774746000, os.time())
        assert.has_error(function() test.until_("2026-01-01T00:00:00Z") end, "test.until_: it is 2026-03-29T01:00:00Z already")
      end)
      it("jumps, and sleeps last as long as they do", function()
        local slept = task.spawn(function() task.sleep(60) return os.time() end)
        test.jump(3600)
        assert.equal(1767229200, os.time())
        test.advance(30)
        test.jump(-7200)
        assert.equal(1767225600 + 60 - 3600, slept:wait())
      end)
      it("waits for something", function()
        local n = 0
        local ticker <close> = task.spawn(function() while true do task.sleep(7) n = n + 1 end end)
        assert.equal(3, test.until_(function() return n >= 3 and n end))
        assert.equal(1767225600 + 21, os.time())
        assert.has_error(function() test.until_(function() end, "1m") end,
          "test.until_: the function returned nothing true in 60 s")
        assert.equal(11, n)
      end)
      it("lets what happens at an instant happen", function()
        local said = {}
        local other <close> = task.spawn(function()
          task.sleep(10)
          for i = 1, 3 do
            task.sleep(0)
            said[i] = i
          end
        end)
        test.advance(10)
        assert.same({ 1, 2, 3 }, said)
      end)
    ]])
  end)

  it("wakes a task that waits for an instant when the clock is set", function()
    passes(1, [[
      it("wakes", function()
        local slept <close> = task.spawn(task.sleep_until, os.time() + 86400)
        test.advance(60)
        assert.is_false(slept:done())
        test.jump(90000)
        assert.is_true(slept:done())
      end)
    ]])
  end)

  it("passes while files are watched, and their changes are reported", function()
    passes(1, [[
      it("goes on, and tells", function()
        local path = test.folder() .. "/file"
        local watch <close> = assert(require("haplua.watch").open())
        assert(watch:add(path))
        local seen
        local watcher <close> = task.spawn(function() seen = watch:wait(86400) end)
        test.advance(50)
        assert.is_nil(seen)
        assert(io.open(path, "w")):close()
        test.settle()
        assert.is_truthy(seen)
      end)
    ]])
  end)

  it("stands still while a child runs", function()
    passes(1, [[
      it("waits for it", function()
        local before = task.now()
        assert.equal(3, task.deadline(1, run, { "sh", "-c", "sleep 0.05; exit 3" }))
        assert.near(0, task.now() - before, 1e-6)
      end)
    ]])
  end)

  it("counts for deadlines and timeouts", function()
    passes(2, SITE .. [[
      it("deadline", function()
        local problem = assert.has_error(function() task.deadline(3600, task.sleep, 7200) end)
        assert.equal("timeout", problem.kind)
        assert.equal(1767229200, os.time())
      end)
      it("timeout", function()
        local fake = site()
        fake.delay = math.huge
        assert.equal("timeout", assert.has_error(function() haproxy.info() end).kind)
        assert.equal(1767225605, os.time())
        fake.delay = 2
        assert.equal(fake.pid, haproxy.info().Pid)
        assert.equal(1767225607, os.time())
      end)
    ]])
  end)

  it("passes a year of Sundays: maintenance from 02:00 to 04:00", function()
    local folder <close> = support.folder()
    local script = folder.write("sundays.lua", [[
      local maintenance = require("haplua.maintenance")
      local WEEK, SUNDAY = 7 * 86400, 3 * 86400 + 2 * 3600 -- 1970 began on a Thursday
      while true do
        task.sleep((SUNDAY - task.time()) % WEEK)
        maintenance.on({ acl = "#9999" })
        task.sleep(7200)
        maintenance.off({ acl = "#9999" })
      end
    ]])
    passes(1, SITE .. ([[
      it("is on every Sunday", function()
        local fake = site()
        local policy, n, before = test.start(%q), 0, false
        while os.date("!%%Y") == "2026" do
          test.advance(1800)
          local on = fake:matches("#9999", "/any")
          assert.equal(os.date("!%%a") == "Sun" and (os.date("!%%H") == "02" or os.date("!%%H") == "03"), on)
          n, before = on and not before and n + 1 or n, on
        end
        assert.equal(52, n)
        assert.equal(143, policy:stop().status)
      end)
    ]]):format(script))
  end)
end)

describe("scripts under haplua test", function()
  it("end as they would by themselves", function()
    local folder <close> = support.folder()
    local path = folder.write("policy.lua", [[
      local what = ...
      print("out", what, arg[0] ~= nil)
      io.stderr:write("err\n")
      if what == "exit" then os.exit(7) end
      if what == "return" then return 9 end
      if what == "refused" then send("show acl #1") end
      if what == "fail" then error("no good") end
      if what == "away" then haproxy.connect("/nowhere"):info() end
    ]])
    passes(1, SITE .. ([[
      it("ends", function()
        site()
        for what, status in pairs({ exit = 7, ["return"] = 9, refused = 1, fail = 1, away = 3, nothing = 0 }) do
          local result = test.run(%q, what)
          assert.equal(status, result.status, what)
          assert.equal("out\t" .. what .. "\ttrue\n", result.out)
          assert.matches("^err\n", result.err)
        end
        assert.contains("no good", test.run(%q, "fail").err)
        assert.contains("there are these:\n    #9999", test.run(%q, "refused").err)
        assert.equal(2, test.run("/nowhere/policy.lua").status)
        assert.equal(2, test.run("maint", "--nonsense").status)
      end)
    ]]):format(path, path, path))
  end)

  it("run on several HAProxys, and wait at the barrier", function()
    passes(1, SITE .. [[
      it("is on everywhere, or nowhere", function()
        local one, two = site(), site()
        local result = test.run({ "maint", "on", on = { one, two } })
        assert.equal(0, result.status, result.err)
        assert.same({ "^.*$" }, one:acl("#9999"))
        assert.same({ "^.*$" }, two:acl("#9999"))
        assert.contains(two.address .. ": maintenance is on", result.out)
        assert.matches("\nmaintenance is on", test.run("maint", "status").out) -- for one: no marks
        two:down()
        assert.equal(3, test.run({ "maint", "off", on = { one, two } }).status)
        assert.same({ "^.*$" }, one:acl("#9999"))
      end)
    ]])
  end)

  it("go on, print, and are stopped or killed", function()
    local folder <close> = support.folder()
    local path = folder.write("policy.lua", [[
      local closed <close> = setmetatable({}, { __close = function() print("cleaned up") end })
      while true do
        print(os.date("!%H:%M"))
        task.sleep(60)
      end
    ]])
    passes(1, SITE .. ([[
      it("stays", function()
        site()
        local policy, other = test.start(%q), test.start(%q)
        test.advance(90)
        assert.equal("00:00\n00:01\n", policy:out())
        assert.is_false(policy:done())
        assert.equal(143, policy:stop().status)
        assert.equal("00:00\n00:01\ncleaned up\n", policy:out())
        assert.equal(137, other:kill().status)
        test.advance(3600)
        assert.equal("00:00\n00:01\n", other:out())
        test.start(%q) -- the end of the test ends it
      end)
    ]]):format(path, path, path))
  end)

  it("find neither the machine's configuration nor its journal", function()
    passes(1, [[
      it("has a journal of its own", function()
        assert.is_nil(os.getenv("HAPLUA_ACL"))
        assert.is_nil(os.getenv("HAPLUA_SOCKET"))
        local path = os.getenv("HAPLUA_CONFIG")
        assert.equal(test.folder() .. "/config.lua", path)
        assert.equal(test.folder() .. "/journal.db", dofile(path).journal)
        test.env({ HAPLUA_ACL = "#7", HOME = false })
        assert.equal("#7", os.getenv("HAPLUA_ACL"))
        assert.is_nil(os.getenv("HOME"))
        assert.is_string(os.getenv("PATH"))
        -- programs have these variables, too, and are looked up in this PATH
        local folder = test.folder() .. "/bin"
        run({ "mkdir", folder })
        local program <close> = assert(io.open(folder .. "/ours", "w"))
        program:write("#!/bin/sh\necho $HAPLUA_ACL $MORE ${HOME-none}\n")
        program:close()
        run({ "chmod", "755", folder .. "/ours" })
        test.env({ PATH = folder .. ":" .. os.getenv("PATH") })
        local status, out = run({ "ours", env = { MORE = "more" }, stdout = "capture" })
        assert.equal(0, status)
        assert.equal("#7 more none\n", out)
      end)
    ]])
  end)

  it("start programs without the machine's HAPLUA_ variables, and with those of the file and the test", function()
    local shown = [[
      local function shown(env)
        local words = { "sh", "-c", "echo ${HAPLUA_SOCKET-none} ${HAPLUA_ACL-none} ${HAPLUA_CONFIG-none} ${MINE-none}" }
        words.env, words.stdout = env, "capture"
        return select(2, run(words)):match("[^\n]*")
      end
    ]]
    passes(1, shown .. [[
      it("has a configuration of its own", function()
        assert.equal(("none none %s/config.lua none"):format(test.folder()), shown())
        assert.equal("none #3 none none", shown({ HAPLUA_ACL = "#3", HAPLUA_CONFIG = false }))
      end)
    ]])
    passes(2, shown .. [[
      test.env({ MINE = "the file's", HAPLUA_ACL = "#4" })
      it("has what its file has set", function()
        assert.equal(("none #4 %s the file's"):format(os.getenv("HAPLUA_CONFIG")), shown())
      end)
      it("has what it sets itself", function()
        test.env({ MINE = false, HAPLUA_SOCKET = "/ours", HAPLUA_CONFIG = "none" })
        assert.equal("/ours #4 none none", shown())
        assert.equal("/ours #5 none none", shown({ HAPLUA_ACL = "#5" }))
      end)
    ]])
  end)
end)

describe("the installed policies, under haplua test", function()
  it("hold a window after a reload, and leave it on when killed", function()
    passes(1, SITE .. [[
      it("is on from 02:00 to 04:00 in Paris", function()
        local fake = site()
        test.clock({ at = "2026-01-04T00:50:00Z" })
        local policy = test.start("window", "run", "Sun 02:00-04:00", "--tz", "Europe/Paris")
        test.until_("2026-01-04T00:59:59Z")
        assert.is_false(fake:matches("#9999", "/"), policy:err())
        test.until_("2026-01-04T01:00:01Z")
        assert.is_true(fake:matches("#9999", "/"), policy:err())
        fake:reload()
        assert.is_false(fake:matches("#9999", "/"))
        test.advance(60)
        assert.is_true(fake:matches("#9999", "/"), policy:err())
        test.until_("2026-01-04T03:00:01Z")
        assert.is_false(fake:matches("#9999", "/"), policy:err())
        assert.is_false(policy:done())
        assert.equal(137, policy:kill().status)
      end)
    ]])
  end)
end)

describe("a start that fails", function()
  it("leaves no script behind that the next start would run", function()
    passes(1, [[
      it("runs its own script", function()
        local virtual = require("haplua.virtual")
        assert.is_false(pcall(virtual.start, "maint", { "--help" }, { "/a", "no address", "/c" }))
        local started = virtual.start("window", { "--help" }, { "/d", "/e" })
        virtual.settle()
        assert.matches("Usage: haplua window", started:out())
      end)
    ]])
  end)
end)

describe("docs/types/virtual.lua", function()
  it("declares haplua.virtual as it is", function()
    local types = os.getenv("PWD") .. "/docs/types/virtual.lua"
    passes(1, ([[
      it("is declared", function()
        local declared = { virtual = {}, TestRun = {} }
        for line in io.lines(%q) do
          local owner, name = line:match("^function (%%w+)[.:](%%w+)%%(.*%%) end$")
          if owner then
            declared[owner][name] = true
          end
        end
        local function names(t)
          local found = {}
          for name in pairs(t) do
            found[name] = true
          end
          return found
        end
        local virtual = require("haplua.virtual")
        assert.same(declared.virtual, names(virtual))
        local started = virtual.start("maint", { "--help" }, { "/x" })
        assert.same(declared.TestRun, names(debug.getmetatable(started).__index))
      end)
    ]]):format(types))
  end)
end)

describe("haplua.test", function()
  it("refuses options that it does not know, and values of the wrong type", function()
    local wrong = {
      { "haproxy({ acl = {} })", "no option 'acl'; did you mean 'acls'?" },
      { "haproxy('x')", "a table of options is expected" }, { "haproxy(false)", "a table of options is expected" },
      { "haproxy({ version = 2.6 })", "option 'version' must be a text, not a number (2.6)" },
      { "haproxy({ version = 'new' })", "'new' is no version such as '2.6'" },
      { "haproxy({ level = 'root' })", "option 'level' must be 'user', 'operator' or 'admin'" },
      { "haproxy({ backends = 'app' })", 'write { "app" }' },
      { "haproxy({ acls = { '#1' } })", "ACL '1' must be a table" },
      { "haproxy({ acls = { ['#1'] = { matches = 'reg' } } })", "no field 'matches'; did you mean 'match'?" },
      { "haproxy({ acls = { ['#1'] = { match = 'rge' } } })", "match" },
      { "haproxy({ acls = { ['#1'] = { match = { 'str', 'x' } } } })", "match" },
      { "haproxy({ acls = { ['#1'] = { entries = '/x' } } })", "entries" },
      { "haproxy({ maps = { ['/m'] = { entires = {} } } })", "no field 'entires'; did you mean 'entries'?" },
      { "haproxy({ maps = { ['/m'] = { fetch = 'path' } } })", "no field 'fetch'" },
      { "haproxy({ maps = { ['/m'] = { entries = { a = {} } } } })", "entries" },
      { "haproxy({ maps = { ['/m'] = { entries = { 'a' } } } })", "entries" },
      { "haproxy({ servers = { 'app/a1', 5 } })", "its element 2 is a number" },
      { "haproxy({ servers = { 'app' } })", "servers are named 'backend/server', not 'app'" },
      { "haproxy({ servers = { ['app/a1'] = { wieght = 5 } } })", "no field 'wieght'; did you mean 'weight'?" },
      { "haproxy({ servers = { ['app/a1'] = { weight = '5' } } })", "field 'weight' must be an integer" },
      { "clock({ to = 5 })", "no option 'to'" }, { "clock({})", "at must be" }, { "clock(5)", "a table of options" },
      { "clock({ at = 0/0 })", "option 'at' must be a finite number or a text" },
      { "clock({ at = 'noon' })", "an instant such as" },
      { "jump()", "seconds must be a finite number or a text, not nil" }, { "jump('soon')", "soon" },
      { "advance(-1)", "time does not go back" }, { "advance(math.huge)", "a finite number or a text" },
      { "until_(print, 0/0)", "limit must be a finite number or a text" }, { "until_({})", "the instant must be" },
      { "start()", "script must be" }, { "start('maint', {})", "arguments" },
      { "start('maint', nil, 'x')", "element 1 is missing" },
      { "start({ 'maint', no = {} })", "no option 'no'; did you mean 'on'?" },
      { "start({ 'maint', on = 'x' })", "option 'on' must be" },
      { "start({ 'maint', on = { {} } })", "option 'on' must be" }, { "start({ 'maint', {} })", "words must be" },
      { "env({ HOME = true })", "HOME must be a text, or false to unset it" }, { "env({ 'HOME' })", "must be a text" },
      { "env()", "variables must be a table" },
    }
    local calls = {}
    for i, case in ipairs(wrong) do
      calls[i] = ("assert.error_matches(function() test.%s end, %q, 1, true)"):format(case[1], case[2])
    end
    passes(1, 'it("refuses", function()\n' .. table.concat(calls, "\n") .. "\nend)")
  end)

  it("refuses what a fake or a server does not have", function()
    passes(1, SITE .. [[
      it("refuses", function()
        local fake = test.haproxy({ acls = { ["#1"] = { match = "reg" } }, servers = { "app/a1" } })
        local server = fake:server("app/a1")
        assert.has_error(function() fake.dealy = 5 end, "a fake HAProxy has no field 'dealy'; did you mean 'delay'?")
        assert.has_error(function() server.sesions = 5 end,
          "a server of the fake HAProxy has no field 'sesions'; did you mean 'sessions'?")
        assert.has_error(function() server.hrsp_5x = 5 end,
          "a server of the fake HAProxy has no field 'hrsp_5x'; did you mean 'hrsp_5xx'?")
        assert.has_error(function() server.rate = "5" end, "rate of a server: a number, 0 or more, expected")
        assert.error_matches(function() fake:down("ECONREFUSED") end, "the code must be", 1, true)
        assert.error_matches(function() fake:set_acl("#1", "^/x") end, "patterns must be a list of texts", 1, true)
        assert.has_error(function() fake:set_acl("#1", { "(" }) end,
          "regex '(' is invalid (error=missing closing parenthesis, erroffset=1).")
        assert.error_matches(function() fake:matches("#1") end, "value must be", 1, true)
        assert.has_error(function() fake:matches("#2", "x") end, "the fake HAProxy has no acl '#2'")
        assert.has_error(function() test.haproxy({ address = fake.address }) end,
          "test.haproxy: there is a fake HAProxy at /run/haproxy/admin.sock already")
        fake.delay, server.sessions = 1, 2
        fake:reload()
        fake:down("ENOENT")
        fake:up()
      end)
    ]])
  end)
end)

describe("the fake HAProxy", function()
  it("refuses connections, comes back, and forgets changes at a reload", function()
    local folder <close> = support.folder()
    local acl = folder.write("list.acl", "/a\n# no\n/b\n")
    passes(3, (SITE .. [[
      it("away", function()
        local fake = site()
        fake:down("ENOENT")
        assert.equal("ENOENT", assert.has_error(function() haproxy.info() end).code)
        fake:down()
        local back = task.spawn(function() task.sleep(0.5) fake:up() end)
        assert.equal(fake.pid + 17, haproxy.info().Pid)
        back:wait()
      end)
      it("reload", function()
        local fake = test.haproxy({ acls = { [%q] = { match = "beg" }, ["#5"] = { entries = { "/x" } } },
          servers = { "app/a1" } })
        acl_add(%q, "/c")
        acl_clear("#5")
        haproxy.server_set({ server = "app/a1", state = "maint" })
        assert.same({ "/a", "/b", "/c" }, fake:acl(%q))
        test.advance(100)
        assert.equal(100, haproxy.info().Uptime_sec)
        local pid = fake.pid
        fake:reload()
        assert.not_equal(pid, haproxy.info().Pid)
        assert.equal(0, haproxy.info().Uptime_sec)
        assert.same({ "/a", "/b" }, fake:acl(%q))
        assert.same({ "/x" }, fake:acl("#5"))
        assert.equal("ready", servers()[1].admin)
      end)
      it("by hand", function()
        local fake = site()
        fake:set_acl("#9999", { "^/x", "^/y" })
        assert.same({ "^/x", "^/y" }, haproxy.acl_list("#9999"))
        assert.same({ "show acl", "show acl #9999" }, fake.log)
      end)
    ]]):format(acl, acl, acl, acl))
  end)

  it("has the changes that haplua makes to lists and servers, in each version", function()
    passes(8, [[
      for _, version in ipairs({ "2.2", "2.6", "3.0", "3.2" }) do
        it("lists of " .. version, function()
          local fake = test.haproxy({ version = version, acls = { ["#1"] = { match = "reg" }, ["#2"] = { fetch = "src" } },
            maps = { ["/m"] = { entries = { { key = "k", value = "v 1" } } } } })
          assert.equal(tonumber(version), tonumber(haproxy.version():match("^%d+%.%d+")))
          haproxy.acl_replace("#1", { "^/a b", "^/;c", "^/\\d$" })
          assert.same({ "^/a b", "^/;c", "^/\\d$" }, fake:acl("#1"))
          assert.equal("^/\\d$", acl_get("#1", "/7").pattern)
          assert.is_nil(acl_get("#1", "/77"))
          assert.equal("refused", assert.has_error(function() acl_add("#1", "(") end).kind)
          assert.equal(1, haproxy.acl_del("#1", "^/;c"))
          assert.equal(2, acl_clear("#1"))
          haproxy.acl_add("#2", "192.0.2.0/24", "2001:db8::/32")
          assert.equal("2001:db8::/32", acl_get("#2", "2001:db8::7").pattern)
          assert.equal("v 1", haproxy.map_get("/m", "k"))
          haproxy.map_replace("/m", { a = "1", b = "2" })
          assert.same({ a = "1", b = "2" }, fake:map("/m"))
        end)
        it("servers of " .. version, function()
          local fake = test.haproxy({ version = version,
            servers = { ["app/a1"] = { weight = 10 }, ["app/a2"] = { disabled = true } } })
          assert.equal("drain", haproxy.server_set({ server = "app/a1", state = "drain", weight = "50%" }).admin)
          assert.equal(5, fake:server("app/a1").weight)
          assert.equal("192.0.2.9", haproxy.server_set({ server = "app/a1", addr = "192.0.2.9", port = 80 }).srv_addr)
          assert.equal("maint", servers("app")[2].admin)
          assert.equal("DRAIN", haproxy.stat("app")[1].status)
          local row, fields = servers("app")[1], {}
          for name, value in pairs(servers("app")[1]) do
            fields[name] = value
          end
          assert.same(fields, row)
          assert.is_not.same({ admin = "drain" }, servers("app")[1])
          assert.contains("No such server", tostring(assert.has_error(function()
            haproxy.server_set({ server = "app/a9", state = "ready" })
          end)))
        end)
      end
    ]])
  end)

  it("lets a server be drained", function()
    passes(1, [[
      it("drains", function()
        local fake = test.haproxy({ servers = { "app/a1", "app/a2" } })
        fake:server("app/a1").sessions = 3
        local drain = test.start("drain", "app/a1")
        test.advance(5)
        assert.is_false(drain:done())
        fake:server("app/a1").sessions = 0
        local result = drain:wait()
        assert.equal(0, result.status, result.err)
        assert.contains("app/a1 is in maintenance, idle after", result.out)
        assert.equal(1, fake:server("app/a1").admin)
      end)
    ]])
  end)
end)
