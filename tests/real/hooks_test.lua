-- SPDX-License-Identifier: MIT
--
-- Hooks: which changes they get, in which order, and what they cannot do to a change.

local json = require("haplua.json")
local running = require("running")
local site = require("site")
local support = require("support")

local eventually, good = running.eventually, support.good

-- A hook that adds what it gets to the file GOT.
local KEEPER <const> = "#!/bin/sh\ncat >>GOT\n"

describe("hooks", function()
  local s, got, hook

  setup(function()
    s = site.start()
    s.journal = s.dir .. "/journal.db"
    got = s.dir .. "/got"
    hook = s.folder.write("tell-team", (KEEPER:gsub("GOT", got)), "755")
  end)

  teardown(function()
    s:close()
  end)

  --- Have the configuration declare these hooks.
  local function declare(hooks, more)
    s.config = s.folder.write("config.lua", ([[return { hooks = %s, switches = { site = { acl = "#9999" %s } } }]])
      :format(hooks, more or ""), "644")
  end

  before_each(function()
    s.config = s.folder.write("config.lua", [[return { switches = { site = { acl = "#9999" } } }]])
    good(s:maint("off", "--all"))
    os.remove(got)
    declare(("{ change = %q }"):format(hook))
  end)

  --- The changes that the hook has got, once there are so many.
  local function changes(n)
    local lines = eventually(("the hook has got %d changes"):format(n), function()
      local found = running.lines(got)
      return #found >= n and found
    end)
    assert.equal(n, #lines)
    local found = {}
    for i, line in ipairs(lines) do
      found[i] = json.decode(line)
    end
    return found
  end

  --- The record of the hook that has these words, once a test of it holds.
  local function record(words, holds)
    return eventually("the hook has run", function()
      local found = require("haplua.hooks.record").read(s.journal .. ".hooks")[words]
      return found and holds(found) and found
    end)
  end

  it("get each change once, in order, with what it is about", function()
    good(s:maint("on", "^/a", "--reason", "new 'database'"))
    good(s:maint("change", "--reason", "ü <b>"))
    good(s:maint("on", "^/b"))
    good(s:maint("off", "--all"))
    good(s:maint("during", "^/c", "--", "true"))
    local all = changes(6)
    local what, events = {}, {}
    for i, one in ipairs(all) do
      what[i] = one.what
      for _, m in ipairs(one.maintenances) do
        events[#events + 1] = m.event
      end
    end
    assert.same({ "on", "change", "on", "off", "during", "off" }, what)
    assert.same({ "begun", "changed", "begun", "ended", "ended", "begun", "ended" }, events)
    local first, second, off = all[1], all[2], all[4]
    local m = first.maintenances[1]
    assert.same({ 1, "site", "#9999", true, "done" }, { first.version, first.switch, first.list, first.on, first.outcome })
    assert.same({ "^/a", "new 'database'", "on" }, { m.closes, m.reason, m.origin })
    assert.same({ "^/a" }, m.scope.patterns)
    assert.matches("^m%d+$", m.id)
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$", m.begins)
    assert.equal(s.target:info().Pid, first.haproxy.pid)
    assert.matches("^site: m%d+ %(%^/a%) begun by %S+: new 'database'$", first.text)
    assert.equal("ü <b>", second.maintenances[1].reason)
    assert.same({ false, 2, 0 }, { off.on, #off.maintenances, #off.in_force })
    assert.is_true(all[1].change < all[2].change and all[5].change < all[6].change)
    assert.equal(0, record(hook, function(one)
      return one.runs == 6
    end).failures)
  end)

  it("that hang, fail or cannot run hold no change up, and doctor shows it", function()
    local child = s.dir .. "/child"
    local hangs = s.folder.write("hangs", ("#!/bin/sh\nsleep 10000 & echo $! >%s\necho waits >&2\nwait\n"):format(child), "755")
    local fails = s.folder.write("fails", "#!/bin/sh\necho 'no route' >&2\nexit 3\n", "755")
    local plain = s.folder.write("plain", "no program\n", "644")
    declare(("{ change = { %q, %q, %q, %q }, timeout = 0.5 }"):format(hangs, fails, plain, hook))
    local ran = s:maint("on", "^/a")
    assert.same({ 0, "haplua: a hook is not run: " .. plain .. " is no program that can be run\n" }, { ran.status, ran.err })
    assert.equal("on", changes(1)[1].what)
    record(hook, function(r) return r.runs > 0 end)
    assert.matches("^did not end within 0%.5 s, and was killed: waits$", record(hangs, function(r) return r.failing end).problem)
    assert.equal("exit status 3: no route", record(fails, function(r) return r.failing end).problem)
    assert.is_false(running.is_alive(running.lines(child)[1]))
    assert.truthy(good(s:maint("status")):find("the hook " .. fails .. " failed at ", 1, true))
    local doctor = s:maint("doctor").out
    for _, line in ipairs({
      "warn  hooks          " .. hangs .. " failed at ", "warn  hooks          " .. fails .. " failed at ",
      "fail  hooks          " .. plain .. " is not run: ", "ok    hooks          " .. hook .. ": ",
    }) do
      assert.truthy(doctor:find(line, 1, true), line .. "\n" .. doctor)
    end
  end)

  it("are given changes in their order, however long one takes", function()
    local gate = s.dir .. "/gate"
    local slow = "#!/bin/sh\nwhile [ ! -e %s ]; do sleep 0.02; done\ncat >>%s\n"
    slow = s.folder.write("slow", slow:format(gate, got), "755")
    declare(("{ change = %q, timeout = 60 }"):format(slow))
    for i = 1, 8 do
      good(s:maint("on", "--replace", "^/" .. i))
    end
    s.folder.write("gate", "")
    for i, one in ipairs(changes(8)) do
      assert.same({ "^/" .. i }, one.patterns)
    end
  end)

  it("of a switch come behind those of all, with their arguments and without a shell", function()
    local words = s.folder.write("words", ('#!/bin/sh\nprintf "%%s|" "$@" >>%s\n'):format(s.dir .. "/said"), "755")
    declare(("{ change = %q }"):format(hook), (", hooks = { change = { { %q, \"$HOME\", \"a b\", \"*\" } } }"):format(words))
    good(s:maint("on", "^/a"))
    eventually("both have run", function()
      return running.content(s.dir .. "/said") == "$HOME|a b|*|"
    end)
    changes(1)
  end)

  it("get changes that are in no journal, too, and those that fail", function()
    good(s:haplua({ "scripts/maint.lua", "on", "^/a", "--no-journal", "--config", s.config }))
    local first = changes(1)[1]
    assert.same({ "on", "^/a" }, { first.what, first.maintenances[1].closes })
    assert.is_nil(first.change)
    good(s:haplua({ "scripts/maint.lua", "off", "--all", "--no-journal", "--config", s.config }))
    changes(2)
    assert.equal(1, s:maint("on", "(").status)
    local failed = changes(3)[3]
    assert.same({ "on", false }, { failed.what, failed.outcome == "done" })
    assert.matches("; this failed: ", failed.text)
  end)

  it("get changes of a journal with a relative name", function()
    local function maint(...)
      return support.haplua({ cwd = s.dir, "-s", s.socket, os.getenv("PWD") .. "/scripts/maint.lua", ... })
    end
    good(maint("on", "^/a", "--journal", "other.db", "--config", s.config))
    assert.equal("on", changes(1)[1].what)
    eventually("it is noted", function()
      return require("haplua.hooks.record").read(s.dir .. "/other.db.hooks")[hook]
    end)
    good(maint("off", "--journal", "other.db", "--config", s.config))
    changes(2)
  end)

  it("do not run in a dry run, nor for what a hook changes, nor where nothing changes", function()
    assert.equal(4, s:haplua({ "-n", "scripts/maint.lua", "on", "^/a", "--journal", s.journal, "--config", s.config }).status)
    good(s:maint("status"))
    local ran = support.haplua({ "-s", s.socket, "scripts/maint.lua", "on", "^/b", "--journal", s.journal, "--config", s.config,
      env = { HAPLUA_HOOK = "change" } })
    assert.equal(0, ran.status)
    good(s:maint("off"))
    assert.equal("off", changes(1)[1].what)
  end)

  it("are not run where others may choose what they do", function()
    if not support.is_root() then
      return
    end
    local others = s.folder.write("others", (KEEPER:gsub("GOT", got)), "755")
    local function told(form, ...)
      local ran = s:maint("on", "--replace", "^/a")
      assert.equal(0, ran.status)
      assert.truthy(ran.err:find(form:format(...), 1, true), ran.err)
    end
    declare(("{ change = %q }"):format(others))
    for i, how in ipairs({ { "chown", "nobody" }, { "chmod", "757" } }) do
      run({ "chown", "root", others })
      run({ how[1], how[2], others })
      told("a hook is not run: %s may be changed by others than root and this user", others)
      record(others, function(one) -- the hook, and the configuration, are looked at again where it is run
        return one.failures == i
      end)
    end
    declare(("{ change = %q }"):format(hook))
    run({ "chmod", "666", s.config })
    told("the hooks are not run: %s may be changed by others than root and this user", s.config)
    assert.equal("fail", s:maint("doctor").out:match("\n(%l+)  hooks "))
    run({ "chmod", "644", s.config })
    good(s:maint("off", "--all"))
    assert.equal("off", changes(1)[1].what)
  end)

  it("get what keep does: begins, ends, reloads, hands, servers", function()
    declare(("{ change = %q }"):format(hook), ', by_hand = "undo"')
    local _ <close> = running.keep(s)
    local function await(n, what, event)
      local one = changes(n)[n]
      assert.same({ what, event }, { one.what, one.maintenances[1] and one.maintenances[1].event })
      return one
    end
    -- where the machine stalls, it begins at once, or begins and ends in one change
    support.in_time(function(seconds)
      os.remove(got)
      good(s:maint("on", "^/a", "--from", os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() + seconds), "--for", seconds .. "s"))
      local seen = {}
      for i, line in ipairs(eventually("it is over", function()
        return running.content(got):find('"what":"expire"') and running.lines(got)
      end)) do
        local one = json.decode(line)
        seen[i] = one.what .. " " .. one.maintenances[1].event
      end
      return table.concat(seen, ", ") == "on planned, begin begun, expire ended"
    end, 2)
    os.remove(got)
    good(s:maint("on", "^/b"))
    await(1, "on", "begun")
    s:reload()
    local back = await(2, "keep")
    assert.same({ "site: what a reload or a hand had undone was put back", 1 }, { back.text, #back.in_force })
    s.target:acl_del("#9999", "^/b")
    await(3, "keep")
    good(s:maint("off"))
    await(4, "off", "ended")
    good(s:maint("on", "--server", "app/app", "--force"))
    assert.equal("app/app", await(5, "on", "begun").server)
    good(s:maint("off", "--server", "app/app"))
    await(6, "off", "ended")
  end)
end)
