-- SPDX-License-Identifier: MIT
--
-- maint on several HAProxys, `-s A -s B`: a change is made everywhere or nowhere.

local running = require("running")
local site = require("site")
local support = require("support")

local json = require("haplua.json")
local eventually = running.eventually

describe("maint on several HAProxys", function()
  local a, b, c

  setup(function()
    a, b, c = site.start(), site.start({ frontend = "acl others path -u 8001 -m beg" }), site.start()
    -- what a process of this age refuses is not taken for the outcome of a reload
    for _, s in ipairs({ a, b, c }) do
      eventually("it is no new process", function()
        return s.target:info().Uptime_sec >= 3
      end)
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
      if not site.at_least(2, 4) then
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
    for _, word in ipairs({ "scripts/maint.lua", ... }) do
      all[#all + 1] = word
    end
    return table.unpack(all)
  end

  local function maint(...)
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
      for version = (list.curr_ver or 0) + 1, list.next_ver or 0 do
        assert.equal("", s.target:send(("show acl @%d #9999"):format(version)))
      end
    end
  end

  --- `maint` on these targets fails, and never had a version committed at `a` and `b`.
  local function check_nowhere(status, text, ...)
    local before = { versions(a).curr_ver, versions(b).curr_ver }
    local ran = maint(...)
    assert.equal(status, ran.status)
    assert.matches(text, ran.err, 1, true)
    hold({ "^/old" }, a, b)
    assert.same(before, { versions(a).curr_ver, versions(b).curr_ver })
  end

  --- Call a function while HAProxy is stopped, and so answers nobody.
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

  --- `maint on --replace ^/new` on these, with `between` called when the first two have come to the first barrier and
  -- wait there for `c`.
  local function interrupted(targets, between)
    return while_stopped(c, function()
      local versions_before = { versions(targets[1]).next_ver, versions(targets[2]).next_ver }
      local r = running.start(c, "-t", "60", words(targets, "on", "--replace", "^/new"))
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

  it("is on everywhere, and off", function()
    local ran = maint({ a, b, c }, "on", "--replace", "^/shop", "^/b")
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.equal(3, select(2,
      ran.out:gsub("maintenance is on: #9999 matches ^/shop  ^/b %(2 added, 1 removed, confirmed for /shop%)\n", "")))
    hold({ "^/shop", "^/b" }, a, b, c)
    for _, s in ipairs({ a, b, c }) do
      assert.same({ "page", "application" }, { s:sees("/shop"), s:sees("/old") })
    end
    ran = maint({ a, b, c }, "off")
    assert.same({ 0, "" }, { ran.status, ran.err })
    hold({}, a, b, c)
    assert.equal(0, maint({ a }, "on").status)
    hold({ "^.*$" }, a)
  end)

  it("says in a line, and by the exit status, where they differ", function()
    local ran = maint({ a, b }, "on", "--replace", "^/shop", "^/b")
    assert.same({ 0, "" }, { ran.status, ran.err })
    ran = maint({ a, b }, "status")
    assert.equal(0, ran.status)
    assert.not_matches("does not hold the same", ran.out, 1, true)
    assert.equal(0, maint({ b }, "on", "^/only").status)
    ran = maint({ a, b }, "status")
    assert.equal(1, ran.status)
    assert.matches("this HAProxy does not hold the same as ", ran.out, 1, true)
    ran = maint({ a, b }, "status", "--json")
    assert.equal(1, ran.status)
    assert.matches('"differs_from":"', ran.out, 1, true)
    assert.equal(0, maint({ a, b }, "off", "--all").status)
    assert.equal(0, maint({ a, b }, "status").status)
  end)

  it("adds to what each has, and where one has all of it already, changes the others", function()
    local s, t <close> = site.start(), site.start()
    local _ <close> = s
    s.target:acl_add("#9999", "^/a")
    t.target:acl_add("#9999", "^/new")
    local ran = maint({ s, t }, "on", "^/new")
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.same({ "^/a", "^/new" }, s.target:acl_list("#9999"))
    assert.same({ "^/new" }, t.target:acl_list("#9999"))
  end)

  it("changes nothing when one target is not there", function()
    check_nowhere(3, "no such file or directory", { a, a.dir .. "/nothing.sock", b }, "on", "--replace")
  end)

  it("changes nothing when one target has no such ACL", function()
    check_nowhere(1, "Unknown ACL identifier", { b, a }, "--acl", "#8001", "on", "/x")
    assert.same({}, b.target:acl_list("#8001"))
  end)

  it("changes nothing when a pattern is bad", function()
    check_nowhere(1, "regex '(' is invalid", { a, b }, "on", "--replace", "^/good", "(")
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
      local version = b.target:send("prepare acl #9999"):match("%d+$")
      b.target:batch({ ("add acl @%s #9999 ^/theirs"):format(version), ("commit acl @%s #9999"):format(version) })
    end)
    assert.equal(1, ran.status)
    assert.matches("' at " .. b.socket .. ": HAProxy refused: Version number", ran.err, 1, true)
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
    local ran = support.haplua({ "-n", words({ a, b }, "on", "--replace", "^/shop") })
    assert.same({ 4, "" }, { ran.status, ran.err })
    for _, s in ipairs({ a, b }) do
      assert.matches(("would send to %s: add acl @NEW #9999 ^/shop\n"):format(s.socket), ran.out, 1, true)
      assert.matches(("would send to %s: commit acl @NEW #9999\n"):format(s.socket), ran.out, 1, true)
    end
    assert.same(before, { versions(a), versions(b) })
    hold({ "^/old" }, a, b)
  end)

  -- With a journal, which both targets share.

  --- A site on which `^/old` is under maintenance, by the journal.
  local function recorded(journal, ...)
    for _, s in ipairs({ ... }) do
      s.journal = journal
      s.target:acl_clear("#9999")
      support.good(s:maint("off", "--all"))
      support.good(s:maint("on", "^/old"))
    end
    return { HAPLUA_JOURNAL = journal }
  end

  --- What is in force by the journal, and what disagrees with it.
  local function state(s)
    local status = json.decode(support.good(s:maint("status", "--json")))
    local scopes = {}
    for i, m in ipairs(status.maintenances) do
      scopes[i] = table.concat(m.scope.patterns or { "everything" }, " ")
    end
    return { table.concat(scopes, ", "), table.concat(status.patterns, " "), #status.disagreements }
  end

  it("leaves no trace in the journal of what was changed nowhere", function()
    local env = recorded(a.dir .. "/journal.db", a, b)
    local ran = support.haplua({ env = env, words({ a, a.dir .. "/nothing.sock", b }, "on", "^/new") })
    assert.equal(3, ran.status)
    ran = support.haplua({ env = env, words({ a, b }, "on", "^/new", "(") })
    assert.equal(1, ran.status)
    for _, s in ipairs({ a, b }) do
      assert.same({ "^/old", "^/old", 0 }, state(s))
    end
    ran = support.haplua({ env = env, words({ a, b }, "on", "^/new") })
    assert.same({ 0, "" }, { ran.status, ran.err })
    for _, s in ipairs({ a, b }) do
      assert.same({ "^/old, ^/new", "^/old ^/new", 0 }, state(s))
      support.good(s:maint("off", "--all"))
    end
  end)

  it("ends nothing where an id is of one of them, and says which", function()
    local env = recorded(a.dir .. "/journal.db", a, b)
    local id = support.good(a:maint("on", "^/new")):match("as (m%d+)")
    local ran = support.haplua({ env = env, words({ a, b }, "off", id) })
    assert.equal(1, ran.status, ran.out)
    assert.matches(id .. " is of another HAProxy: " .. a.socket, ran.err, 1, true)
    assert.matches("give `-s " .. a.socket .. "` and no other", ran.err, 1, true)
    assert.same({ "^/old, ^/new", "^/old ^/new", 0 }, state(a))
    support.good(a:maint("off", id))
    for _, s in ipairs({ a, b }) do
      support.good(s:maint("off", "--all"))
    end
  end)

  it("`during` ends its maintenance on each, also where somebody has ended that of one", function()
    local env = recorded(a.dir .. "/journal.db", a, b)
    local off = table.concat(support.program("-s", a.socket, "scripts/maint.lua", "off", "--path", "/mine"), "' '")
    local command = ("if mkdir 'DIR/turn'; then '%s'; touch 'DIR/done'; fi; while ! [ -e 'DIR/done' ]; do sleep 0.05; done")
      :format(off):gsub("DIR", a.dir)
    local ran = support.haplua({ env = env, words({ a, b }, "during", "--path", "/mine", "--", "sh", "-c", command) })
    assert.equal(0, ran.status, ran.err)
    assert.matches("was ended meanwhile", ran.err)
    for _, s in ipairs({ a, b }) do
      assert.same({ "^/old", "^/old", 0 }, state(s))
      support.good(s:maint("off", "--all"))
    end
  end)

  it("keep keeps several, each for itself", function()
    local env = recorded(a.dir .. "/journal.db", a, b)
    local r = running.start(a, "-s", a.socket, "-s", b.socket, "scripts/keep.lua", "--journal", env.HAPLUA_JOURNAL)
    eventually("both are kept", function()
      return select(2, r:out():gsub("kept to", "")) == 2 or r:done() and error(r:err(), 0)
    end)
    b:reload()
    eventually("it is back", function()
      return #b.target:acl_list("#9999") == 1
    end)
    eventually("it is recorded", function()
      return state(b)[3] == 0
    end)
    r:signal("TERM")
    assert.equal(143, r:wait().status, r:err())
    for _, s in ipairs({ a, b }) do
      support.good(s:maint("off", "--all"))
    end
  end)
end)
