-- SPDX-License-Identifier: MIT
--
-- Several maintenances on one switch: beginning one opens nothing, ending one leaves the others in force.

local running = require("running")
local site = require("site")
local support = require("support")

local json = require("haplua.json")
local moment = require("haplua.time.instant")
local eventually, good = running.eventually, support.good

local s

setup(function()
  s = site.start()
  s.journal = s.dir .. "/journal.db"
end)

teardown(function()
  s:close()
end)

before_each(function()
  s.config = nil
  good(s:maint("off", "--all"))
end)

local function list()
  return table.concat(s.target:acl_list("#9999"), " ")
end

local function maint(...)
  return good(s:maint(...))
end

local function status()
  return json.decode(maint("status", "--json"))
end

--- Begin a maintenance. Returns its name.
local function on(...)
  return json.decode(maint("on", "--json", ...)).maintenance.id
end

--- A run must fail with this status and these words, and change nothing.
local function refused(expected, ran, ...)
  assert.equal(expected, ran.status, ran.out .. ran.err)
  for _, words in ipairs({ ... }) do
    assert.matches(words, ran.err, 1, true)
  end
end

--- Make a maintenance somebody else's.
local function give_away(name)
  require("haplua.store.sqlite").open(s.journal)
    :run("UPDATE maintenances SET user = 'bob', login = NULL WHERE id = ?", name:sub(2))
end

--- haplua, running until the end of the block.
local function start(...)
  local r = running.start(s, "-s", s.socket, ...)
  return setmetatable({ r = r }, {
    __index = r,
    __close = function()
      if not r:done() then
        r:signal("TERM")
        r:wait()
      end
    end,
  })
end

local function keep(...)
  local r = start("scripts/keep.lua", "--journal", s.journal, ...)
  eventually("it keeps", function()
    return r:out():find("kept to", 1, true) or r:done() and error(r:err(), 0)
  end)
  return r
end

local function at(seconds)
  return moment.iso(os.time() + seconds)
end

describe("several maintenances", function()
  it("of the whole site and of a part: the whole site is closed", function()
    maint("on", "--reason", "db is corrupt")
    local out = maint("on", "--path", "/x")
    assert.matches("\n  also in force: m%d+  the whole site, since [^\n]*: db is corrupt\n", out)
    assert.same({ "page", "page" }, { s:sees("/"), s:sees("/x") })
  end)

  it("of two commands that overlap: each part is closed for its own command, and none afterwards", function()
    -- each command waits for the other one's marks, so that they overlap on every machine
    local function during(path, command)
      return start("scripts/maint.lua", "--journal", s.journal, "during", "--path", path, "--", "sh", "-c",
        "cd '" .. s.dir .. "'; " .. command)
    end
    local function mark(name)
      s.folder.write(name, "")
    end
    local wait = "while ! [ -e %s ]; do sleep 0.02; done"
    local one <close> = during("/shop", wait:format("first"))
    eventually("one is on", function()
      return list() == "^/shop"
    end)
    local other <close> = during("/pay", wait:format("second"))
    eventually("both are on", function()
      return list() == "^/shop ^/pay"
    end)
    assert.same({ "page", "page", "application" }, { s:sees("/shop"), s:sees("/pay"), s:sees("/") })
    mark("first")
    assert.equal(0, one:wait().status)
    assert.same({ "application", "page" }, { s:sees("/shop"), s:sees("/pay") })
    mark("second")
    assert.equal(0, other:wait().status)
    assert.same({ "application", "application", "" }, { s:sees("/shop"), s:sees("/pay"), list() })
  end)

  for _, way in ipairs({ "keep", "window run" }) do
    it(("of two windows of the configuration, by %s: each is closed in its own time"):format(way), function()
      support.in_time(function(unit)
        s.folder.write("windows.lua", ([[return { switches = { site = { acl = "#9999" } }, windows = {
          { window = "%s for %ds", switch = "site", paths = { "/api" } },
          { window = "%s for %ds", switch = "site", paths = { "/shop" } } } }]]):format(at(unit), 4 * unit, at(2 * unit), unit))
        local config = s.dir .. "/windows.lua"
        local r <close> = way == "keep" and keep("--config", config)
          or start("scripts/window.lua", "run", "--journal", s.journal, "--config", config)
        local seen, last = {}, nil
        eventually("it is over", function()
          local now = list()
          if now ~= last then
            seen[#seen + 1], last = now, now
          end
          assert.is_true(now == "" or now == "^/api" or now == "^/api ^/shop", now)
          return now == "" and os.time() > unit and (#seen > 1 or r:done())
        end)
        return table.concat(seen, "|") == "|^/api|^/api ^/shop|^/api|"
      end, 2)
    end)
  end

  it("of calendar events back to back: the second, added while the first is over, is entered", function()
    local function calendar(...)
      local text = { "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//x//EN" }
      for i, times in ipairs({ ... }) do
        local function stamp(t)
          return os.date("!%Y%m%dT%H%M%SZ", t)
        end
        table.move({ "BEGIN:VEVENT", "UID:" .. i, "DTSTAMP:20260101T000000Z", "DTSTART:" .. stamp(times[1]),
          "DTEND:" .. stamp(times[2]), "SUMMARY:event " .. i, "END:VEVENT" }, 1, 7, #text + 1, text)
      end
      text[#text + 1] = "END:VCALENDAR\r\n"
      s.folder.write("new.ics", table.concat(text, "\r\n"))
      assert(os.rename(s.dir .. "/new.ics", s.dir .. "/events.ics"))
    end
    local first = { os.time() - 60, os.time() + 4 }
    calendar(first)
    local r <close> = start("scripts/window.lua", "calendar", s.dir .. "/events.ics", "--journal", s.journal)
    eventually("the first is open, or was", function()
      return list() == "^.*$" or os.time() > first[2]
    end)
    eventually("the first is over", function()
      return os.time() > first[2] and list() == ""
    end)
    calendar(first, { first[2], first[2] + 3600 })
    eventually("the second is open", function()
      return list() == "^.*$"
    end)
    assert.equal(0, s:haplua({ "scripts/window.lua", "check", "--calendar", s.dir .. "/events.ics" }).status)
    assert.equal("window event 2", status().maintenances[1].origin)
    assert.is_false(r:done())
  end)

  it("of which one was there before a window that is killed: it is closed when the window is over", function()
    local config = s.folder.write("no_windows.lua", [[return { switches = { site = { acl = "#9999" } } }]])
    local old = on("^/old")
    local r = start("scripts/window.lua", "run", at(-5) .. " for 8s", "--journal", s.journal).r
    eventually("it is open, or over", function()
      return list() == "^/old ^.*$" or r:done()
    end)
    r:signal("KILL")
    r:wait()
    do
      local _ <close> = keep("--config", config)
      eventually("its end has passed", function()
        return list() == "^/old"
      end)
    end
    local now = status()
    assert.same({ old, 1, {} }, { now.maintenances[1].id, #now.maintenances, now.disagreements })
  end)

  it("are refused where an option of the library is misspelt, before anything is sent", function()
    local ran = s:haplua({ "-v", "-e", 'require("haplua.maintenance").on{path="/x"}' })
    refused(1, ran, "no option 'path'", "paths")
    assert.not_matches("haproxy.sock >", ran.err, 1, true)
    assert.equal("", list())
  end)

  it("of the same scope by the same person are one, whose reason and end are set anew", function()
    local first = on("--path", "/shop", "--reason", "one")
    assert.equal(first, on("--path", "/shop", "--reason", "two"))
    local all = status().maintenances
    assert.same({ 1, "two" }, { #all, all[1].reason })
    give_away(first)
    assert.not_equal(first, on("--path", "/shop"))
    assert.equal("^/shop", list())
    maint("off", "--mine")
    assert.equal("^/shop", list())
  end)
end)

describe("maint off", function()
  it("ends nothing where there is nothing, and the only one where there is one", function()
    assert.equal("maintenance was off already: #9999 matches nothing\n", maint("off"))
    local name = on("--path", "/shop", "--reason", "because")
    assert.matches("^maintenance is off: #9999 matches nothing %(0 added, 1 removed%)\n  ended: " .. name
      .. "  /shop, since [^\n]*, by [^\n]*: because\n$", maint("off"))
  end)

  it("asks which where there are several, and changes nothing", function()
    local one, two = on("--path", "/a", "--reason", "first"), on("^/b")
    refused(2, s:maint("off"), "2 maintenances are in force: which one?", one .. "  /a, since ", ": first\n",
      two .. "  ^/b, since", "ids, a scope (--path, --host, patterns), --mine, or --all")
    assert.equal("^/a ^/b", list())
  end)

  it("ends those of the ids, of just a scope, or all, and says what is still closed", function()
    local a, b, c, d = on("^/a"), on("--path", "/b"), on("^/c"), on("^/d")
    local out = maint("off", a, c)
    assert.equal("^/b ^/d", list())
    assert.matches("\n  still in force: " .. b .. "  /b, since ", out, 1, true)
    assert.matches("\n  still in force: " .. d, out, 1, true)
    refused(1, s:maint("off", "--path", "/bb"), "no maintenance has just this scope: /bb")
    refused(1, s:maint("off", a), a .. " is over: ended at ", "(off by ")
    refused(1, s:maint("off", "m99999"), "there is no maintenance m99999")
    refused(1, s:maint("off", b, "m99999"), "there is no maintenance m99999")
    assert.equal("^/b ^/d", list())
    maint("off", "--path", "/b")
    assert.equal("^/d", list())
    on("^/e", "^/f")
    refused(1, s:maint("off", "^/e"), "no maintenance has just this scope")
    maint("off", "^/f", "^/e")
    assert.equal("^/d", list())
    on("^/g")
    maint("off", "--all")
    assert.equal("", list())
  end)

  it("keeps what two have in common until both are ended", function()
    local one = on("^/a", "^/b")
    on("^/b", "^/c")
    assert.equal("^/a ^/b ^/c", list())
    maint("off", one)
    assert.equal("^/b ^/c", list())
    maint("off")
    assert.equal("", list())
  end)

  it("--mine leaves what is somebody else's, and ends it without --mine", function()
    local theirs = on("^/theirs")
    give_away(theirs)
    refused(1, s:maint("off", "--mine"), "no maintenance here is yours")
    on("^/mine")
    assert.matches("still in force: " .. theirs .. "  %^/theirs, since [^\n]*, by bob@", maint("off", "--mine"))
    assert.equal("^/theirs", list())
    maint("off") -- no terminal: nobody is asked
    assert.equal("", list())
  end)

  it("asks on a terminal before somebody else's is ended or replaced", function()
    local function on_terminal(answer, ...)
      local words = table.concat(support.program("-s", s.socket, "scripts/maint.lua", ...), " ")
      local code, out = run({ "script", "-qec", words, "/dev/null", stdin = answer .. "\n", stdout = "capture",
        env = { HAPLUA_JOURNAL = s.journal, HAPLUA_CONFIG = "none" } })
      return code, out
    end
    local mine, theirs = on("^/mine"), on("^/theirs")
    give_away(theirs)
    local code, out = on_terminal("n", "off", theirs)
    assert.equal(1, code, out)
    assert.matches("not yours:", out, 1, true)
    assert.matches(theirs .. "  ^/theirs, since ", out, 1, true)
    assert.equal(1, (on_terminal("", "on", "--replace", "^/x")))
    assert.equal(1, (on_terminal("n", "change", theirs, "--reason", "x")))
    assert.equal("^/mine ^/theirs", list())
    assert.equal(0, (on_terminal("n", "off", mine)))
    assert.equal("^/theirs", list())
    assert.equal(0, (on_terminal("y", "off", theirs)))
    give_away(on("^/theirs"))
    assert.equal(1, (on_terminal("n", "change", "--reason", "x")))
    assert.is_nil(status().maintenances[1].reason)
    assert.equal(0, (on_terminal("y", "change", "--reason", "x")))
    assert.equal("x", status().maintenances[1].reason)
    on("^/mine")
    code, out = on_terminal("", "change", "--reason", "y")
    assert.equal(2, code, out)
    assert.not_matches("not yours:", out, 1, true)
    assert.equal(0, (on_terminal("n", "off", "--all", "--yes")))
    assert.equal("", list())
  end)
end)

describe("maint change", function()
  it("changes what its options name, in one step, and nothing else", function()
    local name = on("--path", "/shop", "--reason", "because")
    on("^/beside")
    local ran = s:haplua({ "-v", "scripts/maint.lua", "change", name, "--path", "/pay", "--path", "/cart" })
    assert.equal(0, ran.status, ran.err)
    if site.at_least(2, 4) then
      assert.equal(1, select(2, ran.err:gsub("commit acl", "")))
    end
    local patterns = s.target:acl_list("#9999") -- HAProxy 2.2 appends what is new
    table.sort(patterns)
    assert.same({ "^/beside", "^/cart", "^/pay" }, patterns)
    local m = status().maintenances[1]
    assert.same({ name, "because", { paths = { "/pay", "/cart" } } }, { m.id, m.reason, m.scope })
    maint("change", name, "--reason", "another")
    m = status().maintenances[1]
    assert.same({ name, "another", { paths = { "/pay", "/cart" } } }, { m.id, m.reason, m.scope })
  end)

  it("moves the end, and takes it away", function()
    local _ <close> = keep("--config", "none")
    local name = on("^/a", "--for", "1h")
    local function ends()
      return status().maintenances[1]["until"]
    end
    local before = ends()
    maint("change", name, "--for", "2h")
    assert.is_true(ends() > before)
    maint("change", "--no-end")
    assert.is_nil(ends())
  end)

  it("asks which where there are several, and refuses what is over", function()
    refused(1, s:maint("change", "--reason", "x"), "there is nothing to change")
    local one = on("^/a")
    on("^/b")
    refused(2, s:maint("change", "--reason", "x"), "which one?", "maint change takes the id")
    refused(1, s:maint("change", one), "nothing is to be changed")
    maint("off", one)
    refused(1, s:maint("change", one, "--reason", "x"), one .. " is over")
    assert.equal("^/b", list())
  end)
end)

describe("maint on", function()
  it("--replace ends all others in one step", function()
    local theirs = on("^/a")
    give_away(theirs)
    on("^/b")
    local ran = s:haplua({ "-v", "scripts/maint.lua", "on", "--replace", "^/c" })
    assert.equal(0, ran.status, ran.err)
    if site.at_least(2, 4) then
      assert.equal(1, select(2, ran.err:gsub("commit acl", "")))
    end
    assert.same({ "^/c", 1 }, { list(), #status().maintenances })
  end)

  it("--from begins later, through keep; until then it can be ended", function()
    refused(1, s:maint("on", "^/a", "--from", at(3600)), "nobody would begin this maintenance", "haplua keep")
    local _ <close> = keep("--config", "none")
    local never = on("^/never", "--from", at(3600), "--for", "1h")
    assert.matches("1 planned: maint status --planned", maint("status"), 1, true)
    assert.matches("planned:\n[^\n]*\n" .. never .. "  %^/never ", maint("status", "--planned"))
    maint("off", never)
    assert.not_matches("planned", maint("status"), 1, true)
    support.in_time(function(seconds)
      local begins = os.time() + seconds
      local out = maint("on", "^/later", "--from", moment.iso(begins), "--for", seconds .. "s")
      local before = list()
      local early = os.time() < begins
      local opened
      eventually("it has begun, or is over", function()
        opened = opened or list() == "^/later"
        return opened or os.time() > begins + seconds
      end)
      eventually("it is over", function()
        return list() == ""
      end)
      assert.matches("^maintenance is planned: ^/later, from ", out)
      return early and opened and before == ""
    end, 2)
  end)
end)
