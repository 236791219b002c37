-- SPDX-License-Identifier: MIT
--
-- The policies that hold an ACL or look at it: during, fleet, watch.

local running = require("running")
local site = require("site")
local support = require("support")

local eventually = running.eventually

describe("scripts/during.lua", function()
  local s

  setup(function()
    s = site.start()
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    s.target:acl_replace("#9999", { "^/b", "^/a", "^/a" })
  end)

  local function during(...)
    return s:haplua({ "scripts/during.lua", ... })
  end

  --- The ACL holds what it held before the test.
  local function is_restored()
    assert.same({ "^/b", "^/a", "^/a" }, s.target:acl_list("#9999"))
  end

  --- A run that fails before its command would run.
  local function check_not_run(status, text, ...)
    local ran = during(...)
    assert.equal(status, ran.status)
    assert.matches(text, ran.err, 1, true)
    assert.not_matches("the command ran", ran.out, 1, true)
    is_restored()
  end

  --- Start a command under maintenance, and wait until it runs. Returns haplua and the command's PID.
  local function begin(command)
    local file = s.dir .. "/command.pid"
    run({ "rm", "-f", file })
    local r = running.start(s, "-s", s.socket, "scripts/during.lua", "--", "sh", "-c", command, "sh", file)
    local pid = eventually("the command runs", function()
      return running.lines(file)[1]
    end)
    assert.same({ "^.*$" }, s.target:acl_list("#9999"))
    return r, pid
  end

  it("holds maintenance while the command runs, and restores what was there", function()
    local url = ("http://127.0.0.1:%d/"):format(s.port)
    local ran = during("--", "curl", "-s", "--noproxy", "*", url)
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.equal("maintenance is on: #9999 matches ^.*$ (1 added, 3 removed, confirmed for /)\n" .. site.page
      .. "maintenance is on: #9999 matches ^/b  ^/a  ^/a\n", ran.out)
    is_restored()
    assert.same({ "application", "page" }, { s:sees("/"), s:sees("/a") })
  end)

  it("restores nothing where nothing was", function()
    s.target:acl_clear("#9999")
    local ran = during("--path", "^/shop", "--", "true")
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.matches("maintenance is off: #9999 matches nothing\n$", ran.out)
    assert.same({}, s.target:acl_list("#9999"))
  end)

  it("hands on the command's exit status", function()
    for _, status in ipairs({ 1, 7, 128 }) do
      assert.equal(status, during("--", "sh", "-c", "exit " .. status).status)
      is_restored()
    end
    assert.equal(128 + 9, during("--", "sh", "-c", "kill -KILL $$").status)
    is_restored()
  end)

  it("takes the command's words as they are", function()
    local ran = during("--", "printf", "%s|", "a b", "--acl", "--", "-n", "")
    assert.equal(0, ran.status)
    assert.matches("a b|--acl|--|-n||", ran.out, 1, true)
  end)

  it("does not run the command when maintenance cannot be put on", function()
    local command = { "--", "echo", "the command ran" }
    check_not_run(1, "Unknown ACL identifier", "--acl", "#7777", table.unpack(command))
    check_not_run(1, "regex '^/shop(' is invalid", "--path", "^/shop(", table.unpack(command))
    check_not_run(2, "Usage: during", "--nope", table.unpack(command))
    check_not_run(2, "what shall run?", "--path", "^/shop")
  end)

  it("restores when there is no such command", function()
    check_not_run(1, "cannot start '/nowhere/at/all'", "--", "/nowhere/at/all")
  end)

  it("restores at a signal, which ends the command", function()
    for name, number in pairs({ TERM = 15, INT = 2, HUP = 1 }) do
      local r, pid = begin('echo $$ >"$1"; exec sleep 3600')
      r:signal(name)
      assert.equal(128 + number, r:wait().status)
      assert.is_false(running.is_alive(pid))
      is_restored()
    end
  end)

  it("restores after a command that ignores the signal, and kills it", function()
    for name, number in pairs({ TERM = 15, INT = 2 }) do
      local r, pid = begin('trap "" INT TERM; echo $$ >"$1"; exec sleep 3600')
      r:signal(name)
      local ran = r:wait()
      assert.equal(128 + number, ran.status, ran.err)
      assert.is_false(running.is_alive(pid))
      is_restored()
      assert.matches("matches ^/b  ^/a  ^/a\n", ran.out, 1, true)
    end
  end)

  it("changes and runs nothing in a dry run", function()
    local versions = s.target:acl_list()
    local ran = s:haplua({ "-n", "scripts/during.lua", "--", "echo", "the command ran" })
    assert.same({ 4, "" }, { ran.status, ran.err })
    assert.matches("would send to [^\n]*add acl [^\n]*%^%.%*%$\n", ran.out)
    assert.matches("\nwould run: echo the command ran\n", ran.out, 1, true)
    assert.not_matches("\nthe command ran", ran.out, 1, true)
    assert.same(versions, s.target:acl_list())
    is_restored()
  end)
end)

describe("scripts/fleet.lua", function()
  local a, b, c

  setup(function()
    if site.at_least(2, 4) then
      a, b, c = site.start(), site.start({ frontend = "acl others path -u 8001 -m beg" }), site.start()
    end
  end)

  teardown(function()
    for _, s in pairs({ a, b, c }) do
      s:close()
    end
  end)

  before_each(function()
    for _, s in pairs({ a, b, c }) do
      s.target:acl_replace("#9999", { "^/old" })
    end
  end)

  --- A test that needs versions of ACLs.
  local function versioned(name, fn)
    it(name, function()
      if not a then
        pending("HAProxy has no transactions before 2.4")
      end
      fn()
    end)
  end

  --- The words for several targets: their sites or addresses, then the script's words.
  local function words(targets, ...)
    local all = {}
    for i, target in ipairs(targets) do
      all[2 * i - 1], all[2 * i] = "-s", target.socket or target
    end
    for _, word in ipairs({ "scripts/fleet.lua", ... }) do
      all[#all + 1] = word
    end
    return table.unpack(all)
  end

  local function fleet(...)
    return support.haplua({ words(...) })
  end

  --- An ACL's row of `show acl`.
  local function versions(s)
    for _, list in ipairs(s.target:acl_list()) do
      if list.id == 9999 then
        return list
      end
    end
  end

  --- These sites hold these patterns, and no version that was filled and not committed.
  local function hold(patterns, ...)
    for _, s in ipairs({ ... }) do
      assert.same(patterns, s.target:acl_list("#9999"))
      local list = versions(s)
      for version = list.curr_ver + 1, list.next_ver do
        assert.equal("", s.target:send(("show acl @%d #9999"):format(version)))
      end
    end
  end

  --- Call with HAProxy stopped, which then answers nobody; it goes on afterwards.
  local function while_stopped(s, fn)
    local pid = s.target:info().Pid
    local _ <close> = setmetatable({}, {
      __close = function()
        s:signal("CONT", pid)
      end,
    })
    s:signal("STOP", pid)
    return fn()
  end

  --- `fleet on ^/new` on these, with `between` called when the first two have come to the first barrier and
  -- wait there for `c`.
  local function interrupted(targets, between)
    return while_stopped(c, function()
      local versions_before = { versions(targets[1]).next_ver, versions(targets[2]).next_ver }
      local r = running.start(c, "-t", "60", words(targets, "on", "^/new"))
      for i = 1, 2 do
        local show = ("show acl @%d #9999"):format(versions_before[i] + 1)
        eventually("a version is filled", function()
          return targets[i].target:send(show):find("^/new", 1, true)
        end)
      end
      between(r)
      return r
    end):wait()
  end

  versioned("is on everywhere, and off", function()
    local ran = fleet({ a, b, c }, "on", "^/shop", "^/b")
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.equal(3, select(2, ran.out:gsub("maintenance is on: #9999 matches ^/shop  ^/b\n", "")))
    hold({ "^/shop", "^/b" }, a, b, c)
    for _, s in ipairs({ a, b, c }) do
      assert.same({ "page", "application" }, { s:sees("/shop"), s:sees("/old") })
    end
    ran = fleet({ a, b, c }, "off")
    assert.same({ 0, "" }, { ran.status, ran.err })
    hold({}, a, b, c)
    assert.equal(0, fleet({ a }, "on").status)
    hold({ "^.*$" }, a)
  end)

  versioned("changes nothing when one target is not there", function()
    local ran = fleet({ a, a.dir .. "/nothing.sock", b }, "on")
    assert.equal(3, ran.status)
    assert.matches("no such file or directory", ran.err, 1, true)
    hold({ "^/old" }, a, b)
  end)

  versioned("changes nothing when one target has no such ACL", function()
    local ran = fleet({ a, b }, "--acl", "#8001", "on", "/x")
    assert.equal(1, ran.status)
    assert.matches("Unknown ACL identifier", ran.err, 1, true)
    assert.same({}, b.target:acl_list("#8001"))
    hold({ "^/old" }, a, b)
  end)

  versioned("changes nothing when a pattern is bad", function()
    local ran = fleet({ a, b }, "on", "^/good", "(")
    assert.equal(1, ran.status)
    assert.matches("regex '(' is invalid", ran.err, 1, true)
    hold({ "^/old" }, a, b)
  end)

  versioned("changes nothing at a signal before the commit", function()
    local ran = interrupted({ a, b, c }, function(r)
      r:signal("TERM")
    end)
    assert.equal(128 + 15, ran.status)
    hold({ "^/old" }, a, b, c)
  end)

  versioned("undoes the others' commits when one is refused, and leaves what went before it", function()
    local ran = interrupted({ a, b, c }, function()
      b.target:acl_replace("#9999", { "^/theirs" })
    end)
    assert.equal(1, ran.status)
    assert.matches("commit acl @%d+ #9999' at " .. b.socket .. ": HAProxy refused", ran.err)
    hold({ "^/old" }, a, c)
    hold({ "^/theirs" }, b)
  end)

  versioned("undoes the others' commits when one target dies before its own", function()
    local doomed <close> = site.start()
    local pid = doomed.target:info().Pid
    local ran = interrupted({ a, doomed, c }, function()
      doomed:signal("KILL", pid)
      eventually("HAProxy has died", function()
        return not running.is_alive(pid)
      end)
    end)
    assert.equal(3, ran.status)
    assert.matches("at " .. doomed.socket, ran.err, 1, true)
    hold({ "^/old" }, a, c)
  end)

  versioned("changes nothing in a dry run", function()
    local before = { versions(a), versions(b) }
    local ran = support.haplua({ "-n", words({ a, b }, "on", "^/shop") })
    assert.same({ 4, "" }, { ran.status, ran.err })
    for _, s in ipairs({ a, b }) do
      assert.matches(("would send to %s: add acl @NEW #9999 ^/shop\n"):format(s.socket), ran.out, 1, true)
      assert.matches(("would send to %s: commit acl @NEW #9999\n"):format(s.socket), ran.out, 1, true)
    end
    assert.same(before, { versions(a), versions(b) })
    hold({ "^/old" }, a, b)
  end)
end)

describe("scripts/watch.lua", function()
  local s

  setup(function()
    s = site.start()
  end)

  teardown(function()
    s:close()
  end)

  --- Wait until a line is printed, with the time before it.
  local function prints(r, line)
    eventually("watch prints: " .. line, function()
      if r:done() then
        error("watch has ended:\n" .. r:err(), 0)
      end
      return ("\n" .. r:out()):find("\n%d%d:%d%d:%d%d\t" .. line:gsub("%p", "%%%0") .. "\n")
    end)
  end

  it("prints what changes, and ends at a signal", function()
    local r = running.start(s, "-s", s.socket, "scripts/watch.lua", "--every", "0.05")
    prints(r, "#9999 matches nothing")
    assert(s:maint("on", "^/shop", "^/a").status == 0)
    prints(r, "#9999 matches ^/shop  ^/a")
    s.target:server_set({ server = "app/app", state = "drain" })
    prints(r, "app/app is drain, running")
    s.target:server_set({ server = "app/app", state = "ready" })
    prints(r, "app/app is ready, running")
    s:reload()
    prints(r, ("HAProxy is process %d"):format(s.target:info().Pid))
    r:signal("INT")
    assert.equal(128 + 2, r:wait().status)
  end)

  it("outlives HAProxy's absence, and says it", function()
    local link = s.dir .. "/link.sock"
    local absence = "'show info' at " .. link .. ": no such file or directory"
    run({ "ln", "-s", s.socket, link })
    local r = running.start(s, "-s", link, "scripts/watch.lua", "--every", "0.05")
    prints(r, "#9999 matches nothing")
    run({ "rm", link })
    prints(r, absence)
    run({ "ln", "-s", s.socket, link })
    prints(r, ("HAProxy is process %d"):format(s.target:info().Pid))
    r:signal("TERM")
    assert.equal(128 + 15, r:wait().status)
  end)

  it("ends at once when there is nothing to watch", function()
    local ran = s:haplua({ "scripts/watch.lua", "--acl", "#7777" })
    assert.equal(1, ran.status)
    assert.matches("Unknown ACL identifier", ran.err, 1, true)
    assert.equal(3, s:haplua({ "scripts/watch.lua", socket = s.dir .. "/nothing.sock" }).status)
  end)
end)
