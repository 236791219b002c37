-- SPDX-License-Identifier: MIT

local file = require("haplua.file")
local process = require("haplua.process")
local support = require("support")

local function shell(command, ...)
  local _, out = run({ "sh", "-c", command, "sh", stdin = "", stdout = "capture", ... })
  return (out:gsub("\n$", ""))
end

--- The output of a process with this environment for this expression.
local function printed(env, expression)
  local r = support.haplua({ env = env, "-e", ([[
    local process = require("haplua.process")
    print(%s)
  ]]):format(expression) })
  assert.same({ 0, "" }, { r.status, r.err })
  return (r.out:gsub("\n$", ""))
end

--- The user name of the kernel's login uid, or nil.
local function kernel_login()
  local uid = file.read("/proc/self/loginuid")
  return uid and uid ~= "4294967295" and shell('id -un "$1"', uid) or nil
end

describe("process", function()
  it("pid and identity are this process's", function()
    assert.equal(support.pid(), process.pid())
    assert.equal(shell('echo "$(id -un) (uid $(id -u))"'), process.identity())
  end)

  it("alive is true for a process that runs, and false for a zombie", function()
    assert.is_true(process.alive(process.pid()))
    assert.is_true(process.alive(1))
    assert.is_false(process.alive(2 ^ 31 - 1 | 0))
    assert.is_false(process.alive(2 ^ 32 + 1 | 0))
    assert.is_false((pcall(process.alive, 0)))
    assert.is_false((pcall(process.alive, -1)))
    local folder <close> = support.folder()
    local gate, parent = folder.path .. "/gate", support.event()
    run({ "mkfifo", gate })
    -- a parent that does not wait for its child: the shell becomes cat
    local t <close> = task.spawn(run, { "sh", "-c", 'sleep 60 & echo $!; exec cat "$0"', gate, stdout = function(line)
      parent.set(line)
    end })
    local pid = math.tointeger(parent.wait())
    assert.is_true(process.alive(pid))
    run({ "kill", "-KILL", tostring(pid) })
    while process.alive(pid) do
      task.sleep(0.001)
    end
    assert.matches("%) Z", file.read(("/proc/%d/stat"):format(pid)))
    run({ "sh", "-c", ': >"$0"', gate })
    t:wait()
  end)

  it("person has the user, the machine and the login", function()
    local person = process.person()
    assert.equal(shell("id -un"), person.user)
    assert.equal(math.tointeger(shell("id -u")), person.uid)
    assert.equal(shell("uname -n"), person.host)
    local known = kernel_login()
    assert.equal(known or support.is_root() and "somebody" or "nil", printed({ SUDO_USER = "somebody" },
      "process.person().login"))
    assert.equal(known or "nil", printed({ SUDO_USER = false }, "process.person().login"))
    assert.equal(known or "nil", printed({ SUDO_USER = "" }, "process.person().login"))
  end)

  it("person knows a user without a name by number, and does not believe such a one's environment", function()
    local words = support.program("-e", [[
      local process = require("haplua.process")
      print(process.person().user, process.person().uid, process.identity())
      print(process.person().login ~= "somebody")
    ]])
    local as = { "setpriv", "--reuid=4242", "--regid=4242", "--clear-groups", "--" }
    table.move(words, 1, #words, #as + 1)
    table.move(as, 1, #as, 1, words)
    words.stdout, words.stderr, words.stdin, words.env = "capture", "null", "", { SUDO_USER = "somebody" }
    local status, out = run(words)
    if status ~= 0 then
      return pending("needs root, and a program that others may run")
    end
    assert.equal("4242\t4242\ta user without name (uid 4242)\ntrue\n", out)
  end)

  it("person finds the login behind sudo and su where the kernel knows it", function()
    -- only root may set the login uid, and only in a process outside of any login
    local words = { "sh", "-c", 'echo 1 >/proc/self/loginuid && exec "$@"', "sh" }
    table.move(support.program("-e", 'print(require("haplua.process").person().login)'), 1, 9, #words + 1, words)
    words.stdout, words.stderr, words.stdin, words.env = "capture", "null", "", { SUDO_USER = "somebody" }
    local status, out = run(words)
    if status ~= 0 then
      return pending("the kernel keeps no logins, or this is one")
    end
    assert.equal(shell("id -un 1"), (out:gsub("\n", "")))
  end)

  describe("notify", function()
    --- What arrives at the service manager's socket while a process prints the expression's value.
    local function notified(address, expression)
      local folder <close> = support.folder()
      local log, ready = folder.path .. "/log", support.event()
      address = address:gsub("FOLDER", folder.path)
      local kind = address:sub(1, 1) == "@" and "ABSTRACT-RECV:" .. address:sub(2) or "UNIX-RECV:" .. address
      local _ <close> = task.spawn(run, { "socat", "-d", "-d", "-u", kind, "OPEN:" .. log .. ",creat,append",
        stderr = function(line)
          if line:find("starting data transfer loop", 1, true) then
            ready.set(true)
          end
        end })
      ready.wait()
      local out = printed({ NOTIFY_SOCKET = address }, expression)
      while (file.read(log) or "") == "" do
        task.sleep(0.005)
      end
      return out, file.read(log)
    end

    it("reaches the service manager, at a path or an abstract name", function()
      local out, log = notified("FOLDER/notify", [[process.notify("READY=1\nSTATUS=on")]])
      assert.same({ "true", "READY=1\nSTATUS=on" }, { out, log })
      local name = "@haplua-test-" .. process.pid()
      out, log = notified(name, [[process.notify("WATCHDOG=1")]])
      assert.same({ "true", "WATCHDOG=1" }, { out, log })
    end)

    it("is false without a service manager, and says why it cannot", function()
      assert.equal("false", printed({ NOTIFY_SOCKET = false }, [[process.notify("READY=1")]]))
      assert.equal("false", printed({ NOTIFY_SOCKET = "" }, [[process.notify("READY=1")]]))
      for address, name in pairs({
        ["/nowhere/notify"] = "ENOENT",
        ["@haplua-test-nobody"] = "ECONNREFUSED",
        ["@"] = "EINVAL",
        ["vsock:2:1234"] = "EAFNOSUPPORT",
        ["/" .. ("n"):rep(107)] = "ENAMETOOLONG",
      }) do
        assert.equal("nil " .. name, printed({ NOTIFY_SOCKET = address },
          [[(function() local ok, _, code = process.notify("READY=1"); return tostring(ok) .. " " .. code end)()]]))
      end
      assert.is_false((pcall(process.notify, "")))
    end)
  end)

  it("watchdog is the time that the service manager waits", function()
    local function watchdog(usec, pid)
      return printed({ WATCHDOG_USEC = usec, WATCHDOG_PID = pid }, "process.watchdog()")
    end
    assert.equal("30.0", watchdog("30000000", false))
    assert.equal("0.25", watchdog("250000", false))
    assert.equal("nil", watchdog(false, false))
    for _, nonsense in ipairs({ "", "0", "-5", "x", "5x", " 5", ("9"):rep(30) }) do
      assert.equal("nil", watchdog(nonsense, false), nonsense)
    end
    assert.equal("nil", watchdog("30000000", "1"))
    local r = support.shell([[WATCHDOG_USEC=5000000 WATCHDOG_PID=$$ exec "$@"]], "-e",
      "print(require('haplua.process').watchdog())")
    assert.same({ status = 0, out = "5.0\n", err = "" }, r)
  end)

  it("detach starts a program that outlives its starter, apart from it", function()
    local folder <close> = support.folder()
    local out = folder.path .. "/out"
    local program = folder.write("program", [[#!/bin/sh
      { cat /proc/$$/stat; echo "$PWD $1"
        # by the shell itself: while it starts a program it blocks all signals
        while read -r line; do case $line in SigBlk* | SigIgn*) echo "$line" ;; esac; done </proc/$$/status
        ls -l /proc/$$/fd; wc -c; } >"$2.new"
      mv "$2.new" "$2"
    ]], "755")
    -- it holds no pipe of its starter: this call ends although the program may not have
    local ran = support.haplua({ "-e", ([[
      local opened = io.open(%q, "w")
      assert(require("haplua.process").detach({ %q, "a b", %q }, ("x"):rep(300000)))
      print(tostring(opened):sub(1, 4))
    ]]):format(folder.path .. "/marker", program, out) })
    assert.same({ status = 0, out = "file\n", err = "" }, ran)
    while not file.info(out) do
      task.sleep(0.005)
    end
    local text = file.read(out)
    local stat <const> = "^%d+ %(.-%) %a %d+ %d+ (%d+)" -- the session
    assert.not_equal(file.read("/proc/self/stat"):match(stat), assert(text:match(stat)))
    -- below make, glibc's own signals 32 and 33 are ignored
    assert.matches("\n/ a b\nSigBlk:%s0+\nSigIgn:%s0000000[01][08]0000000\n", text)
    assert.matches("\n300000\n$", text)
    assert.is_nil(text:find("marker", 1, true))
    assert.is_false((pcall(process.detach, {}, "")))
    assert.is_false((pcall(process.detach, { "a\0b" }, "")))
    assert.is_false((pcall(process.detach, "/bin/true", "")))
    assert.is_true(process.detach({ folder.path .. "/nowhere" }, ""))
  end)
end)
