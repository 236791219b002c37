-- SPDX-License-Identifier: MIT
--
-- The policies that keep one HAProxy's ACL for a while, or watch it: during, watch.

local running = require("running")
local site = require("site")

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

  --- The ACL holds what others had put there before the test, each pattern once.
  local function is_restored()
    local list = s.target:acl_list("#9999")
    assert.same({ "^/b", "^/a" }, { list[1], list[2] })
    assert.is_true(#list == 2 or #list == 3 and list[3] == "^/a")
  end

  --- During must fail before its command would run.
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
    assert.same({ "^/b", "^/a", "^.*$" }, s.target:acl_list("#9999"))
    return r, pid
  end

  it("adds its maintenance while the command runs, and leaves what was there", function()
    local url = ("http://127.0.0.1:%d/"):format(s.port)
    local ran = during("--", "curl", "-s", "--noproxy", "*", url)
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.equal("maintenance is on: #9999 matches ^/b  ^/a  ^.*$ (1 added, 1 removed, confirmed for /)\n" .. site.page
      .. "maintenance is still on: #9999 matches ^/b  ^/a (0 added, 1 removed)\n", ran.out)
    is_restored()
    assert.same({ "application", "page" }, { s:sees("/"), s:sees("/a") })
  end)

  it("leaves nothing where nothing was", function()
    s.target:acl_clear("#9999")
    local ran = during("--path", "/shop", "--", "true")
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.matches("maintenance is off: #9999 matches nothing %(0 added, 1 removed%)\n$", ran.out)
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
    check_not_run(1, "regex '^/shop(' is invalid", "^/shop(", table.unpack(command))
    check_not_run(2, "during: unknown option '--nope'", "--nope", table.unpack(command))
    check_not_run(2, "there is no command to run", "--path", "/shop")
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
      assert.matches("matches ^/b  ^/a (", ran.out, 1, true)
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
      return ("\n" .. r:out()):find("\n%d%d:%d%d:%d%d " .. line:gsub("%p", "%%%0") .. "\n")
    end)
  end

  it("prints what changes, and ends at a signal", function()
    local r = running.start(s, "-s", s.socket, "scripts/watch.lua", "--every", "0.05")
    prints(r, "#9999 matches nothing")
    assert(s:maint("on", "^/shop", "^/a").status == 0)
    prints(r, "#9999 matches ^/shop  ^/a")
    s.target:acl_replace("#9999", { "^/x\27c" })
    prints(r, "#9999 matches ^/x\\x1bc")
    s.target:server_set({ server = "app/app", state = "drain" })
    prints(r, "app/app is drain, running")
    s.target:server_set({ server = "app/app", state = "ready" })
    prints(r, "app/app is ready, running")
    s:reload()
    prints(r, ("HAProxy is process %d"):format(s.target:info().Pid))
    r:signal("INT")
    assert.equal(128 + 2, r:wait().status)
  end)

  it("goes on while HAProxy cannot be reached, and says so", function()
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
