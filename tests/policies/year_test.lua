-- SPDX-License-Identifier: MIT

-- A year of a site's windows in Paris, with failures of every kind in between. This file computes when a window
-- should be open from two explicit clock changes, not with haplua.window.

local test = require("haplua.test")

local SEED = tonumber(os.getenv("SEED")) or 2026
local DAY = 86400
local BEGIN = 1767225600 -- 2026-01-01T00:00:00Z
-- Paris has summer time between these: 2026-03-29T01:00Z, 2026-10-25T01:00Z.
local SUMMER, WINTER = 1774746000, 1792890000

--- The first instant at which the clocks of Paris show a time of a day. Days count from 1 January.
local function paris(day, hour, minute)
  local shown = BEGIN + day * DAY + hour * 3600 + minute * 60
  if shown - 7200 >= SUMMER and shown - 7200 < WINTER then
    return shown - 7200
  end
  local winter = shown - 3600
  return winter >= SUMMER and winter < WINTER and SUMMER or winter
end

-- 1 January 2026 is a Thursday, so day 3 is a Sunday. 24 December is day 357.
local CHRISTMAS, AFTER = 357, 359

local function is_christmas(day)
  return day >= CHRISTMAS and day <= AFTER
end

--- The windows: {opens=, closes=} of each, in order.
local function expected()
  local site, shop, api = {}, {}, {}
  local month_of = {}
  for m = 1, 12 do
    local first = (os.time({ year = 2026, month = m, day = 1, hour = 12 })
      - os.time({ year = 2026, month = 1, day = 1, hour = 12 })) // DAY
    for d = first, first + tonumber(("31 28 31 30 31 30 31 31 30 31 30 31"):sub(3 * m - 2, 3 * m - 1)) - 1 do
      month_of[d] = m
    end
  end
  for day = 0, 364 do
    if day % 7 == 3 and month_of[day + 7] ~= month_of[day] then
      site[#site + 1] = { opens = paris(day, 2, 0), closes = paris(day, 4, 0) }
    end
    if day % 7 == 1 and not is_christmas(day) then -- Fri 23:30-00:15; Christmas Day is one
      shop[#shop + 1] = { opens = paris(day, 23, 30), closes = paris(day + 1, 0, 15) }
    end
    if not is_christmas(day) then
      local opens = paris(day, 2, 40) -- in the gap of March, and there twice in October
      api[#api + 1] = { opens = opens, closes = opens + 180 }
    end
  end
  return { ["#9999"] = site, shop = shop, ["#9001"] = api }
end

--- The one that is open at an instant.
local function open_at(list, instant)
  for _, one in ipairs(list) do
    if one.opens <= instant and instant < one.closes then
      return one
    end
  end
end

local HOLDER = [[
  -- takes the place of keep, which asks HAProxy every second: most of the year it has nothing to do
  local journal <close> = require("haplua.store.sqlite").open(arg[1])
  local lock <close> = assert(journal:keeper("/run/haproxy/admin.sock"))
  task.sleep(1e9)
]]

local CONFIG = [[
  return {
    journal = %q,
    switches = { site = { acl = "#9999" }, api = { acl = "#9001" }, shop = { acl = %q } },
    default = "site",
    windows = {
      { window = "last Sun 02:00-04:00", tz = "Europe/Paris", reason = "system" },
      { window = "Fri 23:30-00:15", tz = "Europe/Paris", switch = "shop", except = "12-24..12-26", paths = { "/shop" } },
      { window = "daily 02:40 for 3m", tz = "Europe/Paris", switch = "api", except = "12-24..12-26", paths = { "/api" } },
    },
  }
]]

describe("a year of windows", function()
  local dir, site, lists, process, holder, want, history

  local function write(name, text)
    local f <close> = assert(io.open(dir .. "/" .. name, "w"))
    f:write(text)
    return dir .. "/" .. name
  end

  local function note(form, ...)
    history[#history + 1] = os.date("!%m-%dT%H:%M:%SZ ") .. form:format(...)
    table.remove(history, #history > 12 and 1 or #history + 1)
  end

  local function now()
    return require("task").time()
  end

  --- Assert that the right windows are in force.
  local function look()
    for name, list in pairs(want) do
      local acl = lists[name]
      local one = open_at(list, now())
      local on = one ~= nil and not one.left
      local path = name == "shop" and "/shop/cart" or name == "#9001" and "/api/x" or "/any"
      if site:matches(acl, path) ~= on then
        error(("seed %d: at %s %s should be %s\n%s\n%s\n%s"):format(SEED, os.date("!%Y-%m-%dT%H:%M:%SZ"), name,
          on and "on" or "off", table.concat(history, "\n"), process:out():sub(-1500), process:err():sub(-1500)), 0)
      end
    end
  end

  local function start()
    process = test.start("scripts/window.lua", "run", "--config", dir .. "/config.lua")
    test.settle()
  end

  local function keeper(wanted)
    if not wanted and not holder then
      process:kill()
      holder = test.start(write("holder.lua", HOLDER), dir .. "/journal.db")
      test.settle()
      assert(not holder:done(), holder:err())
      start()
    elseif wanted and holder then
      holder:kill()
      holder = nil
      process:kill()
      start()
    end
    test.advance(2)
  end

  --- Is a window open whose list has no file, so that a reload empties it?
  local function in_memory()
    return open_at(want["#9999"], now()) or open_at(want["#9001"], now())
  end

  before_each(function()
    math.randomseed(SEED)
    dir, history, want, holder = test.folder(), {}, expected(), nil
    lists = { ["#9999"] = "#9999", ["#9001"] = "#9001", shop = write("shop.acl", "") }
    site = test.haproxy({ acls = {
      ["#9999"] = { match = "reg" }, ["#9001"] = { match = "reg" }, [lists.shop] = { match = "reg" },
    } })
    write("config.lua", CONFIG:format(dir .. "/journal.db", lists.shop))
    start()
    keeper(false)
  end)

  -- The events, each at an instant with no boundary of a window within `span` seconds.
  local events = {
    function()
      note("killed, and started again")
      process:kill()
      test.advance(math.random(0, 20))
      start()
      test.advance(2)
    end,
    function()
      note("stopped, and started again")
      process:stop()
      test.advance(math.random(0, 5))
      start()
      test.advance(2)
    end,
    function(span)
      local by = math.random(1, math.max(1, span - 60))
      note("the clock is set forward by %d s", by)
      test.jump(by)
      test.advance(2)
    end,
    function(_, open)
      if open.shop and not open.shop.left then
        note("maint off for the shop")
        assert.equal(0, test.run("scripts/maint.lua", "off", "--switch", "shop", "--config", dir .. "/config.lua").status)
        open.shop.left = true
        test.advance(2)
      end
    end,
    function()
      if in_memory() then
        keeper(true)
      end
      note("HAProxy is reloaded")
      site:reload()
      test.advance(3)
    end,
    function()
      note("HAProxy is away for a while")
      site:down("ECONNREFUSED")
      test.advance(math.random(1, 10))
      site:up()
      if in_memory() then
        keeper(true)
      end
      test.advance(3)
    end,
    function()
      local by = math.random(1, 3 * 3600)
      local back = now() - by
      for _, list in pairs(want) do
        local there, passed = open_at(list, back), false
        for _, one in ipairs(list) do
          -- a window that is over stays closed while the clock shows it again, unless it was left early
          passed = passed or one.left and one.closes > back and one.opens <= now()
        end
        if passed or there and there ~= open_at(list, now()) then
          return
        end
        for _, one in ipairs(list) do
          if one.opens > back and one.opens < back + 70 then
            return -- less than a minute: it stays open
          end
        end
      end
      note("the clock is set back by %d s", by)
      test.jump(-by)
      test.advance(2)
    end,
  }

  -- The failures that may last over a boundary. Each returns a function that ends it.
  local over = {
    function()
      note("HAProxy is away")
      site:down("ECONNREFUSED")
      return function()
        note("HAProxy is there again")
        site:up()
      end
    end,
    function()
      note("killed")
      process:kill()
      return function()
        note("started")
        start()
      end
    end,
    function()
      note("the clock will be set forward")
      return function()
        test.jump(math.random(5, 25))
      end
    end,
  }

  --- All boundaries in order.
  local function boundaries()
    local list = {}
    for _, one in pairs(want) do
      for _, window in ipairs(one) do
        list[#list + 1] = window.opens
        list[#list + 1] = window.closes
      end
    end
    table.sort(list)
    return list
  end

  local function next_boundary(list)
    for _, boundary in ipairs(list) do
      if boundary > now() + 3 then
        return boundary
      end
    end
  end

  --- Let events happen at random instants before a boundary. Returns false where the clock was set back.
  local function before(boundary)
    local happened = 0
    while math.random() < 0.4 and boundary - now() > 120 do
      local began = math.ceil(now())
      test.until_(math.random(began, boundary - 70))
      look()
      events[math.random(#events)](boundary - math.ceil(now()) - 40, { shop = open_at(want.shop, now()) })
      happened = happened + 1
      look()
      keeper(false)
      if now() < began then
        break
      end
    end
    return happened
  end

  --- Pass a boundary, with a failure or without.
  local function pass(boundary)
    keeper(false)
    local trouble = math.random() < 0.15 and boundary - now() > 30 and over[math.random(#over)]
    if trouble then
      test.until_(boundary - 25)
      keeper(true)
      test.until_(boundary - math.random(3, 20))
      look()
      local finish = trouble()
      test.until_(boundary + math.random(0, 30))
      finish()
      test.advance(4)
      look()
      keeper(false)
    else
      test.until_(boundary - 1)
      look()
      test.until_(boundary + 1)
    end
    look()
    return trouble and 1 or 0
  end

  it("is right at every boundary, and in between", function()
    local seen, happened, troubles = {}, 0, 0
    local list, n = boundaries(), 0
    while true do
      local boundary = next_boundary(list)
      if not boundary then
        break
      end
      happened = happened + before(boundary)
      if next_boundary(list) == boundary then
        troubles = troubles + pass(boundary)
        n = n + (seen[boundary] and 0 or 1)
        seen[boundary] = true
      end
    end
    assert.is_true(n > 800 and happened > 300 and troubles > 60, ("%d %d %d"):format(n, happened, troubles))
  end)
end)

describe("a clock that is set back", function()
  local function start(dir)
    local process = test.start("scripts/window.lua", "run", "daily 02:00-04:00", "--tz", "UTC", "--acl", "#9999",
      "--journal", dir .. "/journal.db")
    test.advance(2)
    return process
  end

  local function is_on(site)
    return site:matches("#9999", "/any")
  end

  local function begin()
    local dir, site = test.folder(), test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
    local day = (require("task").time() // DAY + 1) * DAY
    local process = start(dir)
    test.until_(day + 3 * 3600)
    assert.is_true(is_on(site))
    test.until_(day + 5 * 3600)
    assert.is_false(is_on(site))
    return dir, site, day, process
  end

  it("into a window that is over does not open it again, nor does a process that begins then", function()
    local dir, site, day, process = begin()
    test.jump(-2 * 3600)
    test.advance(2)
    assert.is_false(is_on(site))
    process:kill()
    start(dir)
    assert.is_false(is_on(site))
    test.until_(day + DAY + 3 * 3600)
    assert.is_true(is_on(site))
  end)

  it("to before a window opens it again in its time", function()
    local _, site, day = begin()
    test.jump(-4 * 3600)
    test.until_(day + 3 * 3600)
    assert.is_true(is_on(site))
  end)

  it("to before it, after a process has begun within it, too", function()
    local dir, site, day, process = begin()
    test.jump(-2 * 3600)
    process:kill()
    start(dir)
    test.jump(-2 * 3600)
    test.until_(day + 3 * 3600)
    assert.is_true(is_on(site))
  end)

  it("opens nothing that somebody has closed, and ends it in its time", function()
    local site = test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
    local keep = test.start("scripts/keep.lua")
    test.advance(2)
    assert.equal(0, test.run("scripts/maint.lua", "on", "--path", "/a", "--for", "2h").status)
    test.jump(-3600)
    assert.equal(0, test.run("scripts/maint.lua", "on", "--path", "/b").status)
    test.advance(2)
    assert.is_true(site:matches("#9999", "/a"))
    assert.contains("/a", test.run("scripts/maint.lua", "status").out)
    assert.equal(2, test.run("scripts/maint.lua", "off").status)
    test.advance("2h50m")
    assert.is_true(site:matches("#9999", "/a"))
    test.advance("20m")
    assert.is_false(site:matches("#9999", "/a"))
    assert.is_true(site:matches("#9999", "/b"), keep:out())
  end)

  it("does not matter to a process that is stopped within a window, and started again", function()
    local dir, site, _, process = begin()
    test.until_((require("task").time() // DAY + 1) * DAY + 2.5 * 3600)
    assert.is_true(is_on(site))
    process:stop()
    assert.is_false(is_on(site))
    start(dir)
    assert.is_true(is_on(site))
  end)
end)

-- haplua reads calendars every five seconds, so a year would take minutes. Six days have all cases.
describe("a calendar around a change of clocks", function()
  local MARCH = BEGIN + 84 * DAY -- 2026-03-26T00:00Z, a Thursday; clocks change on Sunday

  local function text(...)
    return "BEGIN:VCALENDAR\r\n" .. table.concat({ ... }) .. "END:VCALENDAR\r\n"
  end

  local function event(uid, lines)
    return ("BEGIN:VEVENT\r\nUID:%s\r\nSUMMARY:upgrade\r\n%s\r\nEND:VEVENT\r\n"):format(uid, table.concat(lines, "\r\n"))
  end

  local function times(from, to)
    return "DTSTART;TZID=Europe/Paris:" .. from, "DTEND;TZID=Europe/Paris:" .. to
  end

  local function daily(more)
    local from, to = times("20260326T023000", "20260326T040000")
    return event("daily", { from, to, "RRULE:FREQ=DAILY", more })
  end

  local function moved()
    return event("daily", { "RECURRENCE-ID;TZID=Europe/Paris:20260330T023000", times("20260330T120000", "20260330T130000") })
  end

  --- Seconds from MARCH on: {opens, closes}.
  local function hours(day, from, to)
    return { MARCH + day * DAY + from * 3600, MARCH + day * DAY + to * 3600 }
  end

  local want = {
    hours(1, 1.5, 3), -- left out on the 28th
    hours(3, 1, 2), hours(4, 10, 11), hours(5, 0.5, 2), -- from the end of the gap; moved; as ever
    hours(6, 10, 11), -- of the calendar that comes instead
  }

  it("is kept: with an exception, a move, restarts, and a file that is replaced", function()
    local dir = test.folder()
    local site = test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
    local path = dir .. "/office.ics"
    local process, said = nil, ""

    local function write(content)
      local f <close> = assert(io.open(path, "w"))
      f:write(content)
    end

    local function start()
      process = test.start("scripts/window.lua", "calendar", path, "--acl", "#9999", "--journal", dir .. "/journal.db")
    end

    write(text(daily("EXDATE;TZID=Europe/Paris:20260328T023000"), moved()))
    test.jump(MARCH + DAY - require("task").time())
    start()
    for at = MARCH + DAY + 60, MARCH + 7 * DAY, 900 do
      test.until_(at)
      local on = false
      for _, one in ipairs(want) do
        on = on or one[1] <= at and at < one[2]
      end
      if site:matches("#9999", "/any") ~= on then
        error(("at %s it should be %s\n%s\n%s"):format(os.date("!%Y-%m-%dT%H:%M:%SZ", at), on and "on" or "off",
          process:out(), process:err()), 0)
      end
      if (at - MARCH) // 900 % 37 == 7 then
        said = said .. process:out()
        process:kill()
        start()
        test.advance(2)
      elseif at == MARCH + 60 + 5 * DAY + 12 * 3600 then
        write(text(daily("STATUS:CANCELLED"), event("new", { times("20260401T120000", "20260401T130000") })))
      end
    end
    assert.matches("the calendar was read again", said .. process:out())
  end)
end)
