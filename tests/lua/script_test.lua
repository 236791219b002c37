-- SPDX-License-Identifier: MIT
--
-- The command line; how scripts are found and loaded, their globals, and how they end.

local support = require("support")
local haplua = support.haplua

--- A cleanup that waits and then prints.
local CLOSE = [[
  local function close(name)
    return setmetatable({}, { __close = function(_, err)
      task.sleep(0.001)
      run{ "true" }
      print(name, type(err) == "table" and err.kind or err)
    end })
  end
]]

describe("the command line", function()
  it("helps", function()
    for _, option in ipairs({ "-h", "--help" }) do
      local ran = haplua({ option })
      assert.equal(0, ran.status)
      assert.equal("", ran.err)
      assert.matches("^Usage: haplua %[options%] SCRIPT", ran.out)
      for _, word in ipairs({ "--socket", "--via", "--timeout", "--dry-run", "--execute", "--trace" }) do
        assert.is_truthy(ran.out:find(word, 1, true))
      end
    end
  end)

  it("prints its version", function()
    for _, option in ipairs({ "-V", "--version" }) do
      local ran = haplua({ option })
      assert.equal(0, ran.status)
      assert.matches("^haplua %S+\n$", ran.out)
    end
  end)

  it("refuses unknown options, with status 2 and nothing on standard output", function()
    for _, words in ipairs({
      { "--nope" }, { "-Z" }, { "-e" }, { "-s" }, { "-t" }, { "-t", "0" }, { "-t", "-1" }, { "-t", "abc" }, { "-t", "" },
      { "-t", "1x" }, { "-t", "nan" }, { "-t", "inf" }, { "--via", "1" }, { "--via", "@1 ;x" }, { "--via", "" },
      {}, { "-s", "x", "-e", "" }, { "-s", "", "-e", "" }, { "-s", "/" .. ("x"):rep(200), "-e", "" },
      { "-s", "host:99999", "-e", "" }, { "-s", "ipv4@x", "-e", "" },
    }) do
      local ran = haplua(words)
      assert.equal(2, ran.status, table.concat(words, " "))
      assert.equal("", ran.out)
      assert.matches("haplua: ", ran.err)
    end
  end)

  it("says what is wrong with an option", function()
    assert.matches("%-%-timeout takes seconds over 0, not soon", haplua({ "-t", "soon", "-e", "" }).err)
    assert.matches("%-%-via takes a process .*, not 1", haplua({ "--via", "1", "-e", "" }).err)
    assert.matches("Try 'haplua %-%-help'", haplua({ "--nope" }).err)
    assert.matches("no script given", haplua({}).err)
  end)

  it("takes the target from -s, else from $HAPLUA_SOCKET, else the usual one", function()
    local chunk = "print(haproxy.target())"
    local env = { HAPLUA_SOCKET = "/from/env" }
    assert.equal("/from/option\n", haplua({ "-s", "/from/option", "-e", chunk, env = env }).out)
    assert.equal("/from/env\n", haplua({ "-e", chunk, env = env }).out)
    assert.equal("/run/haproxy/admin.sock\n", haplua({ "-e", chunk, env = { HAPLUA_SOCKET = "" } }).out)
    assert.equal("/run/haproxy/admin.sock\n", haplua({ "-e", chunk, env = { HAPLUA_SOCKET = false } }).out)
  end)

  it("leaves the script's own options alone", function()
    local folder <close> = support.folder()
    local script = folder.write("s.lua", "print(...)")
    assert.equal("-n\t--help\t--\n", haplua({ script, "-n", "--help", "--" }).out)
    assert.equal("-x\n", haplua({ "-e", "print(...)", "--", "-x" }).out)
  end)
end)

describe("a script", function()
  it("comes from -e", function()
    assert.equal("1\n", haplua({ "-e", "print(1)" }).out)
    assert.equal("-e\t2\ta\tb\ta\tb\n", haplua({ "-e", "print(arg[0], #arg, arg[1], arg[2], ...)", "a", "b" }).out)
  end)

  it("comes from standard input", function()
    assert.equal("-\t1\tx\tx\n", haplua({ "-", "x", stdin = "print(arg[0], #arg, arg[1], ...)" }).out)
  end)

  it("runs whole for each of several targets, and is compiled once", function()
    local stdin = "local at = debug.getinfo(1, 'l').currentline\nprint(at, rawget(_G, 'x'))\nx = at"
    local found = haplua({ "-s", "/a", "-s", "/b", "-", stdin = stdin })
    assert.equal("/a: 1\tnil\n/b: 1\tnil\n", found.out)
    assert.matches("/b: haplua: stdin:2: here\n", haplua({ "-s", "/a", "-s", "/b", "-", stdin = "\nerror('here')" }).err, 1, true)
  end)

  it("comes from a file", function()
    local folder <close> = support.folder()
    local script = folder.write("s.lua", "print(arg[0], #arg, arg[1], arg[2], ...)")
    assert.equal(script .. "\t2\ta\t\ta\t\n", haplua({ script, "a", "" }).out)
    assert.equal("s.lua\t0\tnil\tnil\n", haplua({ "s.lua", cwd = folder.path }).out)
  end)

  it("may begin with a shebang line", function()
    local folder <close> = support.folder()
    local script = folder.write("s.lua", "#!/usr/bin/env haplua\nprint(1)\nnope()\n")
    local ran = haplua({ script })
    assert.equal("1\n", ran.out)
    assert.matches("s.lua:3:", ran.err, 1, true)
    local name = io.open("/proc/self/cmdline"):read("a"):match("^[^\0]+")
    name = name:sub(1, 1) == "/" and name or os.getenv("PWD") .. "/" .. name
    script = folder.write("t.lua", "#!" .. name .. "\nprint(...)\n", "755")
    local _, out = run({ script, "a", "b c", stdout = "capture" })
    assert.equal("a\tb c\n", out)
  end)

  it("says in plain words that a module is not there, or does not compile", function()
    local folder <close> = support.folder()
    folder.write("bad.lua", "local x = = 3")
    folder.write("nothing", "")
    local nowhere = "    no file of this name beside the script, in package.path or in package.cpath, and no module of haplua"
    for name, message in pairs({
      nothing = "-e:1: module 'nothing' not found:\n" .. nowhere,
      ["haplua.maintenence"] = "-e:1: module 'haplua.maintenence' not found:\n" .. nowhere
        .. "; did you mean 'haplua.maintenance'?",
      bad = "error loading module 'bad' from file './bad.lua':\n    ./bad.lua:1: unexpected symbol near '='",
    }) do
      local ran = haplua({ "-e", ("require('%s')"):format(name), cwd = folder.path })
      assert.same({ 1, "haplua: " .. message .. "\n  raised at\n    -e:1: in the main chunk\n" }, { ran.status, ran.err })
    end
    assert.equal("mine\n", haplua({ "-e", [[
      table.insert(package.searchers, function(name) return function() return name end end)
      print((require("mine")))
    ]] }).out)
  end)

  it("requires modules that lie beside it", function()
    local folder <close> = support.folder()
    folder.write("mine.lua", "return { name = 'mine' }")
    local script = folder.write("s.lua", "print(require('mine').name)")
    assert.equal("mine\n", haplua({ script, cwd = "/" }).out)
    assert.equal("mine\n", haplua({ "s.lua", cwd = folder.path }).out)
    assert.equal("mine\n", haplua({ "-e", "print(require('mine').name)", cwd = folder.path }).out)
  end)

  it("gets the library even where a stray file has its name", function()
    local folder <close> = support.folder()
    folder.write("haproxy.lua", "error('stray')")
    assert.equal("table\n", haplua({ "-e", "print(type(require('haproxy')))", cwd = folder.path }).out)
  end)

  it("that is not there or cannot be read is a usage error", function()
    local folder <close> = support.folder()
    for _, name in ipairs({ "nope.lua", "./nope", "/nowhere/x.lua" }) do
      local ran = haplua({ name, cwd = folder.path })
      assert.equal(2, ran.status)
      assert.matches("cannot read " .. name:gsub("%p", "%%%0") .. ": No such file", ran.err)
    end
    assert.equal(2, haplua({ folder.path .. "/" }).status)
  end)

  it("with a syntax error is a usage error with file and line", function()
    local folder <close> = support.folder()
    local script = folder.write("s.lua", "\nlocal x = = 1\n")
    local ran = haplua({ script })
    assert.equal(2, ran.status)
    assert.matches("s.lua:2: unexpected symbol", ran.err, 1, true)
    assert.equal("", ran.out)
    assert.matches("-e:1:", haplua({ "-e", "x = = 1" }).err, 1, true)
    assert.matches("stdin:1:", haplua({ "-", stdin = "x = = 1" }).err, 1, true)
  end)

  it("may be empty, and may not be binary rubbish", function()
    assert.same({ status = 0, out = "", err = "" }, haplua({ "-e", "" }))
    assert.same({ status = 0, out = "", err = "" }, haplua({ "-", stdin = "" }))
    assert.equal(2, haplua({ "-", stdin = "\27Lua\0\0" }).status)
    assert.equal(2, haplua({ "-", stdin = "\0\1\2" }).status)
  end)
end)

describe("globals", function()
  it("that are not defined are errors with file and line", function()
    local folder <close> = support.folder()
    local script = folder.write("s.lua", "local function f()\n  return acl_ad('#1')\nend\nf()\n")
    local ran = haplua({ script })
    assert.equal(1, ran.status)
    assert.matches("s.lua:2: undefined name 'acl_ad'", ran.err, 1, true)
  end)

  it("are defined at the top level, not in functions", function()
    assert.equal("1\n", haplua({ "-e", "x = 1; local function f() return x end; print(f())" }).out)
    assert.equal("2\n", haplua({ "-e", "x = 1; local function f() x = 2 end; f() print(x)" }).out)
    local ran = haplua({ "-e", "local function f() y = 1 end f()" })
    assert.equal(1, ran.status)
    assert.matches("-e:1: assignment to the undefined name 'y'", ran.err, 1, true)
    assert.equal("nil\n", haplua({ "-e", "print(rawget(_G, 'y'))" }).out)
  end)

  it("are those of chunks that the script loads, too", function()
    local folder <close> = support.folder()
    local file = folder.write("c.lua", "z = mine task.sleep(0) return mine, ...")
    local ran = haplua({ "-e", ([[
      mine = "m"
      print(load("x = mine return mine, ...")(1), x)
      print(loadfile(%q)(2), z, rawget(_G, "z"))
      z = nil
      print(dofile(%q), z)
      print(load("return mine", "c", "t", { mine = "other" })(), load("return x", "c", "t", {})())
      print(load(string.dump(load("return mine")))(), load(string.dump(function() return 3 end))())
      print(load("x ="))
      print(pcall(load("return mien")))
      print(select("#", loadfile("/nonexistent")), pcall(dofile, "/nonexistent"))
      print(_G.load == load, rawget(package.loaded._G, "x"))
    ]]):format(file, file) })
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.equal(table.concat({
      "m\tm", "m\tm\tm", "m\tm", "other\tnil", "m\t3", 'nil\t[string "x ="]:1: unexpected symbol near <eof>',
      "false\t[string \"return mien\"]:1: undefined name 'mien'",
      "2\tfalse\tcannot open /nonexistent: No such file or directory", "true\tnil", "",
    }, "\n"), ran.out)
  end)

  it("are strict in modules beside the script, and not in libraries elsewhere", function()
    local folder <close> = support.folder()
    run({ "mkdir", folder.path .. "/lib" })
    folder.write("mine.lua", "return function() return nope end")
    folder.write("lib/theirs.lua", "unpack = unpack or table.unpack; return unpack")
    local script = folder.write("s.lua", "require('mine')()")
    assert.matches("mine.lua:1: undefined name 'nope'", haplua({ script }).err, 1, true)
    local ran = haplua({
      "-e", "print(require('theirs') == table.unpack)",
      env = { LUA_PATH_5_4 = folder.path .. "/lib/?.lua;;" },
    })
    assert.same({ status = 0, out = "true\n", err = "" }, ran)
  end)

  it("hold the five primitives, haproxy, task and run", function()
    local ran = haplua({
      "-e",
      [[for _, f in ipairs{ send, acl_add, acl_clear, acl_get, servers, run, haproxy.send, task.spawn } do
          io.write(type(f), " ")
        end]],
    })
    assert.equal(("function "):rep(8), ran.out)
  end)

  it("hold arg for libraries, too", function()
    assert.equal("x\n", haplua({ "-e", "print(package.loaded._G.arg[1])", "x" }).out)
  end)
end)

describe("an error", function()
  it("is printed with a traceback of the script's lines only", function()
    local folder <close> = support.folder()
    local script = folder.write(
      "s.lua",
      "local function inner()\n  error('broken')\nend\nlocal function outer()\n  inner()\nend\n"
        .. "table.sort({ 1, 2 }, function()\n  outer()\nend)\n"
    )
    local ran = haplua({ script })
    assert.equal(1, ran.status)
    assert.equal("", ran.out)
    assert.matches("^haplua: .-s.lua:2: broken\n", ran.err)
    for _, line in ipairs({ "s.lua:2:", "s.lua:5:", "s.lua:8:", "s.lua:7: in the main chunk" }) do
      assert.is_truthy(ran.err:find(line, 1, true), line)
    end
    assert.is_nil(ran.err:find("[C]", 1, true))
    assert.is_nil(ran.err:find("src/", 1, true))
  end)

  it("in a task names the line in the task", function()
    local ran = haplua({ "-e", "task.spawn(function()\n  task.sleep(0)\n  error('broken')\nend)\ntask.sleep(60)" })
    assert.equal(1, ran.status)
    assert.matches("-e:3: broken", ran.err, 1, true)
    assert.matches("\n    -e:3: in the function of line 1", ran.err, 1, true)
  end)

  it("of any kind is printed", function()
    assert.matches("haplua: table: ", haplua({ "-e", "error({})" }).err)
    assert.matches("haplua: nil", haplua({ "-e", "error()" }).err)
    assert.matches("haplua: 42", haplua({ "-e", "error(42)" }).err)
    assert.matches("haplua: mine", haplua({
      "-e", "error(setmetatable({}, { __tostring = function() return 'mine' end }))",
    }).err)
    for _, bad in ipairs({ "error('no')", "return 1", "task.sleep(1)", "error(nil)" }) do
      local ran = haplua({ "-e", "error(setmetatable({}, { __tostring = function() " .. bad .. " end }))" })
      assert.equal(1, ran.status, bad)
      assert.matches("haplua: ", ran.err)
    end
  end)

  it("cannot control the terminal", function()
    local ran = haplua({ "-e", "error('a\\27[31mb\\0c\\rd', 0)" })
    assert.matches("haplua: a\\x1b[31mb\\x00c\\x0dd", ran.err, 1, true)
  end)

  it("of the stack and of memory is printed", function()
    local ran = haplua({ "-e", "local function f() return 1 + f() end f()" })
    assert.equal(1, ran.status)
    assert.matches("stack overflow", ran.err)
    ran = support.shell('ulimit -v 200000; "$@"', "-e", "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1e6) .. i end")
    if not ran.err:find("AddressSanitizer") then
      assert.equal(1, ran.status)
      assert.matches("not enough memory", ran.err)
    end
  end)
end)

describe("the exit status", function()
  it("is 0, or the integer that the script returns", function()
    for chunk, status in pairs({
      ["return"] = 0, ["return 0"] = 0, ["return 4"] = 4, ["return 255"] = 255,
      ["return 256"] = 1, ["return -1"] = 1, ["return 'x'"] = 0, ["return nil"] = 0, ["return true"] = 0,
      ["return 3, 5"] = 3, ["return 2.0"] = 0,
    }) do
      assert.equal(status, haplua({ "-e", chunk }).status, chunk)
    end
  end)

  it("is that of an error object that has one; for wrong usage no lines of the script are printed", function()
    for status, is_usage in pairs({ [2] = true, [7] = false }) do
      local ran = haplua({ "-e", ([[
        error(require("haplua.error").new({ kind = "timeout", message = "typed wrongly", exit = %d }), 0)
      ]]):format(status) })
      assert.equal(status, ran.status)
      assert.matches("^haplua: typed wrongly\n", ran.err)
      assert.equal(is_usage, not ran.err:find("raised at", 1, true))
    end
    for _, status in ipairs({ 0, -1, 256, 3 << 32 }) do
      local ran = haplua({ "-e", ('error(require("haplua.error").new({ kind = "timeout", exit = %d }), 0)'):format(status) })
      assert.equal(3, ran.status)
    end
  end)

  it("is the argument of os.exit, after the cleanups", function()
    for call, status in pairs({
      ["os.exit()"] = 0, ["os.exit(true)"] = 0, ["os.exit(false)"] = 1, ["os.exit(7)"] = 7, ["os.exit(7, true)"] = 7,
    }) do
      local ran = haplua({ "-e", CLOSE .. "local _ <close> = close('closed') " .. call .. " print('not this')" })
      assert.same({ status = status, out = "closed\tinterrupted\n", err = "" }, ran)
    end
  end)

  it("is that of os.exit within a task, too, which ends the others", function()
    local ran = haplua({
      "-e", CLOSE .. [[
        task.spawn(function()
          local _ <close> = close("other")
          task.sleep(3600)
        end)
        task.spawn(function()
          local _ <close> = close("mine")
          os.exit(9)
        end)
        local _ <close> = close("main")
        task.sleep(3600)
      ]],
    })
    assert.equal(9, ran.status)
    assert.equal("", ran.err)
    for _, name in ipairs({ "other", "mine", "main" }) do
      assert.matches(name .. "\tinterrupted", ran.out)
    end
  end)

  it("is that of the first os.exit, also where pcall() caught it and the script went on", function()
    local ran = haplua({ "-e", "pcall(os.exit, 7) print('here') os.exit(8)" })
    assert.same({ status = 7, out = "here\n", err = "" }, ran)
    assert.equal(7, haplua({ "-e", "pcall(os.exit, 7) error('x')" }).status)
  end)

  it("is that of os.exit in a coroutine or a callback, too", function()
    assert.equal(7, haplua({ "-e", "coroutine.wrap(function() os.exit(7) end)()" }).status)
    assert.equal(7, haplua({ "-e", "table.sort({ 1, 2 }, function() os.exit(7) end)" }).status)
  end)

  it("is 3 when HAProxy cannot be reached or is too slow", function()
    assert.equal(3, haplua({ "-s", "/nowhere", "-e", "send('show info')" }).status)
    assert.equal(3, haplua({ "-e", "task.deadline(0.001, task.sleep, 60)" }).status)
    assert.equal(0, haplua({ "-s", "/nowhere", "-e", "print(pcall(send, 'show info'))" }).status)
  end)

  it("is 1 when what was printed could not be written", function()
    for _, chunk in ipairs({ "print(1)", "io.write(('x'):rep(100000))", "print(1) os.exit(0)" }) do
      local ran = support.shell('"$@" >/dev/full', "-e", chunk)
      assert.equal(1, ran.status)
      assert.matches("standard output", ran.err)
    end
    local ran = support.shell('{ "$@"; echo $? >&2; } | true', "-e", "task.sleep(0.05) for i = 1, 1e5 do print(i) end")
    assert.matches("1\n$", ran.err)
    assert.equal(1, support.shell('"$@" >&-', "-e", "print(1)").status)
    assert.equal(0, support.shell('"$@" >&-', "-e", "").status)
  end)
end)

describe("finalizers", function()
  it("all run at the end, the newest first, whatever one of them does", function()
    for _, all in ipairs({ false, "1" }) do
      local ran = haplua({ "-e", [[
        local function object(name)
          local value
          value = setmetatable({}, { __gc = function()
            print(name)
            if name == "second" then
              setmetatable({}, { __gc = print })
              error(name)
            end
          end })
          return value
        end
        first, second, third = object("first"), object("second"), object("third")
        io.write("script\n")
      ]], env = all and { HAPLUA_FREE = all } })
      assert.equal("script\nthird\nsecond\nfirst\n", ran.out)
      assert.equal(0, ran.status)
    end
  end)
end)

describe("a signal", function()
  it("ends a wait with `interrupted`, after the cleanups, and sets the status", function()
    for name, number in pairs({ INT = 2, TERM = 15, HUP = 1 }) do
      local ran = support.signalled({ name }, CLOSE .. [[
        local _ <close> = close("closed")
        ready()
        task.sleep(3600)
      ]])
      assert.equal(128 + number, ran.status)
      assert.equal("closed\tinterrupted", ran.out)
      assert.matches("interrupted by SIG" .. name, ran.err)
    end
  end)

  it("ends a loop that never waits", function()
    local ran = support.signalled({ "INT" }, CLOSE .. 'local _ <close> = close("closed") ready() while true do end')
    assert.equal(130, ran.status)
    assert.equal("closed\tinterrupted", ran.out)
  end)

  it("ends a loop in a coroutine and in a task, cleanups first", function()
    for _, loop in ipairs({
      "coroutine.wrap(function() while true do end end)()",
      "task.spawn(function() while true do end end):wait()",
      "task.spawn(function() while true do end end) task.sleep(3600)",
    }) do
      local ran = support.signalled({ "TERM" }, CLOSE .. 'local _ <close> = close("closed") ready() ' .. loop)
      assert.equal(143, ran.status, loop)
      assert.matches("closed", ran.out, loop)
    end
  end)

  it("ends a loop that eats errors once the time for cleanups is over", function()
    for _, loop in ipairs({
      "while true do pcall(function() while true do end end) end",
      "while true do pcall(error, 'x') end",
      "while true do xpcall(function() while true do end end, function() for _ = 1, 10 do end end) end",
      "while true do coroutine.wrap(function() pcall(function() while true do end end) end)() end",
      "local function nest(n) while true do pcall(n > 0 and nest or error, n - 1) end end nest(100)",
    }) do
      local ran = support.signalled({ "TERM" }, "ready() " .. loop)
      assert.equal(143, ran.status, loop)
    end
  end)

  it("ends a loop that eats the errors of its waits, some seconds later", function()
    local ran = support.signalled({ "TERM" }, "ready() while true do pcall(task.sleep, 3600) end")
    assert.equal(143, ran.status)
  end)

  it("reaches every task", function()
    local ran = support.signalled({ "INT" }, CLOSE .. [[
      for i = 1, 3 do
        task.spawn(function()
          local _ <close> = close("task" .. i)
          task.sleep(3600)
        end)
      end
      task.sleep(0)
      ready()
      task.sleep(3600)
    ]])
    assert.equal(130, ran.status)
    for i = 1, 3 do
      assert.matches("task" .. i .. "\tinterrupted", ran.out)
    end
  end)

  it("may be caught, and then decides nothing", function()
    local ran = support.signalled({ "INT" }, [[
      local ok, err = pcall(function()
        ready()
        task.sleep(3600)
      end)
      print(ok, err.kind, err.signal)
      task.sleep(0)
    ]])
    assert.equal(0, ran.status)
    assert.equal("false\tinterrupted\t2", ran.out)
  end)

  it("a second time ends the process at once", function()
    local ran = support.signalled({ "TERM", "TERM" }, [[
      local _ <close> = setmetatable({}, { __close = function()
        task.sleep(0.15) -- two within a tenth of a second are taken for one
        ready()
        task.sleep(3600)
        print("not this")
      end })
      ready()
      task.sleep(3600)
    ]])
    assert.equal(143, ran.status)
    assert.equal("", ran.out)
  end)

  it("that was ignored at the start stays ignored", function()
    local ran = support.shell([[trap '' HUP; "$@"]], "-e", 'run{"sh", "-c", "kill -HUP $PPID"} print("alive")')
    assert.same({ status = 0, out = "alive\n", err = "" }, ran)
  end)

  it("that arrives during os.exit changes nothing", function()
    local ran = support.signalled({ "INT" }, [[
      local _ <close> = setmetatable({}, { __close = function()
        ready()
        pcall(task.sleep, 0.3)
      end })
      os.exit(5)
    ]])
    assert.equal(5, ran.status)
  end)
end)
