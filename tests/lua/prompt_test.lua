-- SPDX-License-Identifier: MIT
--
-- The prompt, on a terminal: tests/typist.c types what a test says, and waits for what haplua prints.

local support = require("support")

local TYPIST = (os.getenv("BUILD") or "build") .. "/typist"

--- Type at haplua. The words begin with "see=" or "type=", as typist.c takes them; `typed.words` are those of haplua.
---@return string shown  without CR, from the first prompt on
---@return integer status
local function typed(given)
  local words = { TYPIST }
  for i, step in ipairs(given) do
    words[i + 1] = step
  end
  words[#words + 1] = "--"
  local program = given.program and { given.program, "-s", "/nowhere/there" }
    or support.program(table.unpack(given.words or { "-s", "/nowhere/there" }))
  for _, word in ipairs(program) do
    words[#words + 1] = word
  end
  words.env = {
    XDG_STATE_HOME = given.state or "/nowhere/there", HOME = "/nowhere/there", HAPLUA_JOURNAL = "none", HAPLUA_CONFIG = "none",
    LD_LIBRARY_PATH = given.libraries,
  }
  words.stdout, words.stderr = "capture", "capture"
  local status, out, err = run(words)
  assert.equal("", err, out)
  return out:gsub("\r", ""), status
end

local READY, END = "see=Ctrl-D ends it.", "type=^D"


--- Steps in one list.
local function steps(...)
  return { READY, ... }
end

local function contains(shown, text)
  assert.is_truthy(shown:find(text, 1, true), text .. "\nis not in\n" .. shown)
end

describe("the prompt", function()
  it("prints the values of a line, and goes on after an error", function()
    local shown, status = typed(steps("type=1 + 1^M= 2^^5^Mx = 5 function f()^Mreturn x, nil end^Mf()^Mnope^M)^M^M",
      "see=near ')'", "see=> ", END))
    assert.equal(0, status)
    for _, text in ipairs({
      "\n2\n", "\n32.0\n", ">> ", "\n5\tnil\n", "prompt:1: undefined name 'nope'\n", "unexpected symbol near ')'",
    }) do
      contains(shown, text)
    end
  end)

  it("shows an error in full, with what to do", function()
    local shown = typed(steps("type=haproxy.info()^M", "see=HAPLUA_SOCKET", "see=> ", END))
    contains(shown, "'show info' at /nowhere/there: no such file or directory\n  kind     unreachable\n  phase    connect\n"
      .. "  code     ENOENT\n  command  show info\n  is HAProxy running, and is")
  end)

  it("shows rows as a table, and other tables with their fields", function()
    local shown = typed(steps(
      "type={ { b = 'x', id = 1 }, { id = 22, c = '\\27' } }^M", "see=22",
      "type={ 'a', k = 1 }^M", "see=k = 1", "type=t = {} for i = 1, 9 do t['n' .. i] = i end^M", "see=> ",
      "type=t^M", "see=n9", "type=setmetatable({}, { __tostring = function() return 'mine' end })^M", "see=mine", "see=> ", END))
    contains(shown, "\nid  b  c\n1   x  -\n22  -  \\x1b\n")
    contains(shown, '\n{ "a", k = 1 }\n')
    contains(shown, "\nn1  1\nn2  2\n")
  end)

  it("explains functions by their annotations", function()
    local folder <close> = support.folder()
    local shown = typed({
      READY, "type=help^M", "see=Ctrl-C", "type=help('driain')^M", "see='driain'", "see=> ", "type=help(acl_add)^M",
      "see=returns", "see=> ", "type=help(require('haplua.server').hold)^M", "see=returns", "see=> ", "type=help(task)^M",
      "see=sleep_until", "see=> ", "type=help(1)^M", "see=nothing is known of this number", "see=> ", END,
      program = support.install(folder.path),
    })
    contains(shown, "help(acl_add)")
    contains(shown, "nothing is known of 'driain'; did you mean 'drain'?")
    contains(shown, "\nhaproxy.acl_add(ref, ...)\n  Add patterns to an ACL.")
    contains(shown, '\n  ref          string  "#9999" (from -u) or the file name given with -f\n')
    contains(shown, "\n    force        boolean?  also the last server of its backend that takes requests\n")
  end)

  it("completes names, and what HAProxy has in strings", function()
    local fake <close> = support.fake({
      "read", "say \\n# id (file) description\\n9998 () acl 'src' file 'x' line 1. curr_ver=0 next_ver=0 entry_cnt=0\\n"
        .. "9999 () acl 'path' file 'x' line 2. curr_ver=0 next_ver=0 entry_cnt=0\\n"
        .. "7 (/etc/site.acl) pattern loaded from file '/etc/site.acl' used by acl at file 'x' line 3. "
        .. "curr_ver=0 next_ver=0 entry_cnt=0\\n\\n",
    })
    local shown, status = typed({
      READY, "type=tas^I", "see=task", "type=.sle^I", "see=task.sleep", "type=(0)^M", "see=^J",
      "type=acl_get('^I^I", "see=#9998", "see=/etc/site.acl", "type=#^I", "see=#999", "type=8')^M",
      "see=^J", "see=> ", "type=haproxy.acl_re^I", "see=acl_replace", "type= == nil^M", "see=false", "see=> ",
      "type=t = haproxy.target()^M", "see=> ", "type=t:addr^I()^M", "see=/socket", "see=> ", END, words = { "-s", fake.address },
    })
    assert.equal(0, status)
    contains(shown, "haproxy.acl_replace")
  end)

  it("is not ended by a TAB where HAProxy is away, or where there is nothing", function()
    local shown, status = typed(steps("type=acl_get('^I", "type=#1')^M", "see=unreachable", "see=> ",
      "type=nope.x^I^I.y^M", "see=undefined name", "see=> ", END))
    assert.equal(0, status)
    contains(shown, "nope.x.y")
  end)

  it("takes UTF-8", function()
    local shown = typed(steps("type=utf8.len('größe')^M", "see=^J5", "type='日本'^M", "see=^J日本", "see=> ", END))
    contains(shown, "\n5\n")
  end)

  it("breaks what runs at Ctrl-C, also twice, and goes on", function()
    local shown, status = typed(steps(
      "type=print('a' .. 1) task.sleep(1000)^M", "see=a1", "type=^C", "see=interrupted", "see=^J> ",
      "type=print('a' .. 2) while true do end^M", "see=a2", "type=^C", "see=interrupted", "see=^J> ",
      "type=task.spawn(function() task.sleep(0.05) print('back' .. 'ground') end)^M", "see=task: ",
      "type=print('a' .. 3) task.sleep(1000)^M", "see=background", "type=^C", "see=interrupted", "see=^J> ",
      "type=left over", "see=left over", "type=^C", "see=^J> ", "type=6 * 7^M", "see=42", "see=^J> ", END))
    assert.equal(0, status)
    assert.is_nil(shown:find("raised at", 1, true), shown)
  end)

  it("runs the cleanups of what Ctrl-C breaks", function()
    local shown, status = typed(steps(
      "type=do local c <close> = setmetatable({}, { __close = function() task.sleep(0.01) print('clean' .. 'up') end }) "
        .. "print('a' .. 1) task.sleep(1000) end^M",
      "see=a1", "type=^C", "see=cleanup", "see=interrupted", "see=^J> ", END))
    assert.equal(0, status, shown)
  end)

  it("ends by SIGTERM", function()
    local _, status = typed(steps("type=print('a' .. 1) run{'sh', '-c', 'kill -TERM $PPID; exec sleep 100'}^M", "see=a1"))
    assert.equal(128 + 15, status)
  end)

  it("keeps its history over sessions, for its user alone", function()
    local folder <close> = support.folder()
    local file = folder.path .. "/haplua/history"
    typed({ READY, "type=40 + 2^M", "see=42", "type=40 + 2^M", "see=42", "type= 'secret'^M", "see=secret", "see=> ", END,
      state = folder.path })
    assert.equal("40 + 2\n", io.open(file):read("a"))
    local info = require("haplua.file").info
    assert.same({ "0600", "0700" }, { info(file).mode, info(folder.path .. "/haplua").mode })
    run({ "chmod", "644", file })
    local shown = typed({ READY, "see=> ", "type=^P^M", "see=42", "see=> ", END, state = folder.path })
    contains(shown, "\n42\n")
    assert.equal("0600", info(file).mode)
  end)

  it("says how the run is confined", function()
    local shown = typed({ READY, "see=^J-n --read-only> ", END, words = { "-s", "/nowhere/there", "-n", "--read-only" } })
    contains(shown, "-n --read-only> ")
    contains(typed({ READY, "see=^J--only> ", END, words = { "-s", "/nowhere/there", "--only", "#1" } }), "--only> ")
  end)

  it("runs each line for each of several targets", function()
    local shown, status = typed({
      "see=on /nowhere/there/a, /nowhere/there/b", "type=tostring(haproxy.target())^M", "see=/b: /nowhere/there/b", "see=> ",
      "type=n = 1^M", "see=> ", "type=n^M", "see=/b: 1", "see=> ",
      "type=print('x' .. 1) task.sleep(1000)^M", "see=x1", "type=^C", "see=interrupted", "see=> ", END,
      words = { "-s", "/nowhere/there/a", "-s", "/nowhere/there/b" },
    })
    assert.equal(0, status)
    contains(shown, "\n/nowhere/there/a: /nowhere/there/a\n/nowhere/there/b: /nowhere/there/b\n")
    contains(shown, "\n/nowhere/there/a: 1\n/nowhere/there/b: 1\n")
    assert.is_nil(shown:find("/b: x1", 1, true), shown)
  end)

  it("works without libedit, too, and says what to install", function()
    local folder <close> = support.folder()
    folder.write("libedit.so.2", "")
    local shown, status = typed({
      READY, "see=libedit2 on Debian", "see=> ", "type=20 + 3^M", "see=23", "see=> ", "type=if true^M", "see=>> ",
      "type=then print('y' .. 'es') end^M", "see=yes", "see=> ", "type=print('a' .. 1) task.sleep(1000)^M", "see=a1",
      "type=^C", "see=interrupted", "see=> ", END, libraries = folder.path,
    })
    assert.equal(0, status)
    contains(shown, "\n23\n")
  end)

  it("lets tasks go on, and ends with the status of os.exit", function()
    local shown, status = typed(steps(
      "type=task.spawn(function() for i = 1, 3 do task.sleep(0) end print('ov' .. 'er') os.exit(7) end)^M", "see=over"))
    assert.equal(7, status)
    contains(shown, "over")
  end)

  it("has one reader at a time", function()
    local shown = typed(steps(
      "type=t = task.spawn(function() task.sleep(0) print(pcall(require('haplua.terminal').readline, '? ')) end)^M",
      "see=another task reads from the terminal", END))
    contains(shown, "false\tanother task reads from the terminal")
  end)

  it("needs an input that can be waited for", function()
    local folder <close> = support.folder()
    local file = folder.write("input", "text\n")
    local words = support.program("-e", "print(pcall(require('haplua.terminal').readline, '> '))")
    local status, out = run({
      "sh", "-c", 'f=$1; shift; exec "$@" <"$f"', "sh", file, stdout = "capture", table.unpack(words),
    })
    assert.equal(0, status)
    assert.matches("^false\t%-e:1: cannot read from the terminal: operation not permitted\n$", out)
  end)
end)

describe("a session", function()
  it("may be left to the collector, and there is one at a time", function()
    local ran = support.haplua({ "-e", [[
      local terminal = require("haplua.terminal")
      print(terminal.forgive())
      task.spawn(function() terminal.session() end):wait()
      collectgarbage() collectgarbage()
      local session <close> = terminal.session()
      print(pcall(terminal.session))
      print(pcall(run, { "sh", "-c", "kill -INT $PPID; exec sleep 100" }))
      print(terminal.forgive(), terminal.forgive())
      task.sleep(0)
      print(pcall(run, { "sh", "-c", "kill -INT $PPID; exec sleep 100" }))
      print(terminal.forgive())
      local t = task.spawn(function() print(pcall(task.sleep, 5)) print(terminal.forgive()) end)
      task.sleep(0)
      t:cancel()
      t:wait()
    ]] })
    assert.equal("false\nfalse\t-e:6: there is a session already\nfalse\tinterrupted by SIGINT\ntrue\tfalse\n"
      .. "false\tinterrupted by SIGINT\ntrue\nfalse\tinterrupted\nfalse\n", ran.out, ran.err)
    assert.equal(0, ran.status)
  end)
end)
