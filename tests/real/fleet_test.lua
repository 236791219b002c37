-- SPDX-License-Identifier: MIT
--
-- The same maintenance on several HAProxys, everywhere or nowhere.

local running = require("running")
local site = require("site")
local support = require("support")

local eventually = running.eventually

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

  --- `fleet` on these targets fails, and never had a version committed at `a` and `b`.
  local function check_nowhere(status, text, ...)
    local before = { versions(a).curr_ver, versions(b).curr_ver }
    local ran = fleet(...)
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

  if not site.at_least(2, 4) then
    it("is refused without transactions, and changes nothing", function()
      local s <close> = site.start()
      s.target:acl_replace("#9999", { "^/old" })
      local ran = fleet({ s }, "on")
      assert.equal(1, ran.status)
      assert.matches("does not know it", ran.err, 1, true)
      assert.same({ "^/old" }, s.target:acl_list("#9999"))
    end)
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
    check_nowhere(3, "no such file or directory", { a, a.dir .. "/nothing.sock", b }, "on")
  end)

  versioned("changes nothing when one target has no such ACL", function()
    check_nowhere(1, "Unknown ACL identifier", { b, a }, "--acl", "#8001", "on", "/x")
    assert.same({}, b.target:acl_list("#8001"))
  end)

  versioned("changes nothing when a pattern is bad", function()
    check_nowhere(1, "regex '(' is invalid", { a, b }, "on", "^/good", "(")
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
