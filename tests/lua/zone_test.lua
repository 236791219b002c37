-- SPDX-License-Identifier: MIT

local civil = require("haplua.time.civil")
local posix_tz = require("haplua.time.posix_tz")
local support = require("support")
local zone = require("haplua.zone")

--- "2026-03-29T02:30" as a civil time.
local function at(text)
  local y, m, d, h, min, s = text:match("^(%d+)-(%d+)-(%d+)T(%d+):(%d+):?(%d*)$")
  return civil.day(y // 1, m // 1, d // 1) * 86400 + h * 3600 // 1 + min * 60 // 1 + (tonumber(s) or 0) // 1
end

--- "2026-03-29T02:30" in UTC as an instant.
local utc = at

local function same_time(expected, instant)
  assert.are.equal(expected, civil.text(instant))
end

--- Run a chunk in another environment, and return its output.
local function under(env, chunk)
  return support.haplua({ "-e", chunk, env = env }).out
end

describe("civil", function()
  it("counts days as the proleptic Gregorian calendar does", function()
    for day = -800000, 800000, 997 do
      local y, m, d = civil.date(day)
      assert.are.equal(day, civil.day(y, m, d))
      assert.is_true(civil.is_date(y, m, d))
    end
    assert.are.equal(0, civil.day(1970, 1, 1))
    assert.are.equal(11016, civil.day(2000, 2, 29))
    assert.are.same({ 2000, 2, 29 }, { civil.date(11016) })
    assert.is_false(civil.is_date(2100, 2, 29))
    assert.is_true(civil.is_date(2000, 2, 29))
  end)

  it("knows the days of the week", function()
    assert.are.equal(4, civil.weekday(0))
    assert.are.equal(7, civil.weekday(civil.day(2026, 11, 22)))
    assert.are.equal(civil.day(2026, 11, 29), civil.nth_weekday(2026, 11, 7, -1))
    assert.are.equal(civil.day(2026, 11, 1), civil.nth_weekday(2026, 11, 7, 1))
    assert.are.equal(civil.day(2026, 11, 29), civil.nth_weekday(2026, 11, 7, 5))
    assert.is_nil(civil.nth_weekday(2026, 12, 7, 5))
  end)
end)

describe("a zone's rule for ever", function()
  for text, expected in pairs({
    ["UTC0"] = { 0 },
    ["CET-1CEST,M3.5.0,M10.5.0/3"] = { 3600, 7200 },
    ["<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"] = { 37800, 39600 },
    ["<-02>2<-01>,M3.5.0/-1,M10.5.0/0"] = { -7200, -3600 },
    ["IST-1GMT0,M10.5.0,M3.5.0/1"] = { 3600, 0 },
    ["EST5EDT,0/0,J365/25"] = { -18000, -14400 },
    ["XXX-3:15:30YYY,M1.1.0/-167,M12.5.6/167"] = { 11730, 15330 },
  }) do
    it("is read: " .. text, function()
      local rule = posix_tz.parse(text)
      assert.are.same(expected, { rule.offset, rule.dst_offset })
    end)
  end

  for _, text in ipairs({
    "", "C", "CET", "CET-", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0", "CET-1CEST,M3.6.0,M10.5.0",
    "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0/", "CET-1CEST,M3.5.0,M10.5.0x", "CET-1CEST,J0,J9", "<+1-1",
    "CET-1,M3.5.0,M10.5.0", "CET-1CEST,400,J9",
  }) do
    it("is refused: '" .. text .. "'", function()
      assert.is_nil(posix_tz.parse(text))
    end)
  end

  it("counts Julian days with and without the leap day", function()
    local rule = posix_tz.parse("EST5EDT,J60/2,300/2")
    for year, expected in pairs({ [2024] = "2024-10-27", [2025] = "2025-10-28" }) do
      local first, second = posix_tz.changes(rule, year)
      same_time(year .. "-03-01T02:00", first[1] - 5 * 3600)
      assert.are.equal(expected, civil.date_text((second[1] - 4 * 3600) // 86400))
    end
  end)

  it("may be daylight saving all year", function()
    local z = support.haplua({
      "-e", [[local z = require("haplua.zone").here()
        for y = 2020, 2040 do for d = 0, 364, 7 do
          local t = require("haplua.time.civil").day(y, 1, 1) * 86400 + d * 86400 + 3 * 3600
          assert(z:offset(t) == -4 * 3600, y .. " " .. d)
        end end print("ok")]],
      env = { TZ = "EST5EDT,0/0,J365/25" },
    })
    assert.are.equal("ok\n", z.out, z.err)
  end)
end)

describe("a zone", function()
  it("knows its offset at each instant", function()
    local paris = zone.load("Europe/Paris")
    assert.are.same({ 3600, "CET" }, { paris:offset(utc("2026-03-29T00:59:59")) })
    assert.are.same({ 7200, "CEST" }, { paris:offset(utc("2026-03-29T01:00")) })
    assert.are.same({ 7200, "CEST" }, { paris:offset(utc("2026-10-25T00:59:59")) })
    assert.are.same({ 3600, "CET" }, { paris:offset(utc("2026-10-25T01:00")) })
    assert.are.equal(7200, (paris:offset(utc("2026-07-01T00:00") + 0.25)))
  end)

  it("goes on after the last change in its data, in any order of asking", function()
    local lord_howe = zone.load("Australia/Lord_Howe")
    for _, year in ipairs({ 2450, 2037, 2100, 2038, 2999, 2450 }) do
      assert.are.equal(39600, (lord_howe:offset(civil.day(year, 1, 15) * 86400)))
      assert.are.equal(37800, (lord_howe:offset(civil.day(year, 7, 15) * 86400)))
    end
  end)

  it("has past rules as they were", function()
    assert.are.equal(561, (zone.load("Europe/Paris"):offset(utc("1900-01-01T00:00"))))
    assert.are.equal(-39600 - 0, (zone.load("Pacific/Apia"):offset(utc("2010-06-01T00:00"))))
    assert.are.equal(46800 + 3600, (zone.load("Pacific/Apia"):offset(utc("2012-01-15T00:00"))))
  end)

  it("gives none, one or two instants for a civil time", function()
    local paris = zone.load("Europe/Paris")
    assert.are.same({ utc("2026-03-29T00:30") }, paris:instants(at("2026-03-29T01:30")))
    assert.are.same({}, paris:instants(at("2026-03-29T02:00")))
    assert.are.same({}, paris:instants(at("2026-03-29T02:59:59")))
    assert.are.same({ utc("2026-03-29T01:00") }, paris:instants(at("2026-03-29T03:00")))
    assert.are.same({ utc("2026-10-25T00:30"), utc("2026-10-25T01:30") }, paris:instants(at("2026-10-25T02:30")))
    assert.are.same({ utc("2026-10-25T02:00") }, paris:instants(at("2026-10-25T03:00")))
    assert.are.same({ 0 }, zone.load("UTC"):instants(0))
  end)

  it("gives the first instant at which its clocks have got to a civil time", function()
    local paris = zone.load("Europe/Paris")
    assert.are.equal(utc("2026-03-29T01:00"), paris:first(at("2026-03-29T02:30")))
    assert.are.equal(utc("2026-03-29T01:00"), paris:first(at("2026-03-29T03:00")))
    assert.are.equal(utc("2026-03-29T01:00:01"), paris:first(at("2026-03-29T03:00:01")))
    assert.are.equal(utc("2026-10-25T00:30"), paris:first(at("2026-10-25T02:30")))
    -- half an hour
    local lord_howe = zone.load("Australia/Lord_Howe")
    assert.are.equal(utc("2026-10-03T15:30"), lord_howe:first(at("2026-10-04T02:15")))
    assert.are.equal(utc("2026-04-04T14:45"), lord_howe:first(at("2026-04-05T01:45")))
    -- a whole day
    assert.are.equal(utc("2011-12-30T10:00"), zone.load("Pacific/Apia"):first(at("2011-12-30T12:00")))
  end)

  it("is told the same whatever was asked before", function()
    local asked = {}
    for i = 1, 400 do
      asked[i] = (i * 7919 % 400) * 8000000 + i * 977
    end
    local fresh, used = {}, {}
    for i, time in ipairs(asked) do
      fresh[i] = ("%d %d"):format(zone.load("America/St_Johns"):first(time), zone.load("America/St_Johns"):civil(time))
    end
    for i = #asked, 1, -1 do
      used[i] = ("%d %d"):format(zone.load("America/St_Johns"):first(asked[i]), zone.load("America/St_Johns"):civil(asked[i]))
    end
    assert.are.same(fresh, used)
  end)

  for _, name in ipairs({
    "", "/etc/passwd", "../../etc/passwd", "Europe/../../../etc/passwd", "Europe/Par is", "Europe/Paris\0", ".", "-x",
    "Europe/Atlantis", "Europe", "zone.tab", "tzdata", ("x"):rep(200), "right/Europe/Paris",
  }) do
    it("is not read from a name such as " .. ("%q"):format(name), function()
      local ok, problem = pcall(zone.load, name)
      assert.is_false(ok)
      assert.are.equal("refused", problem.kind, tostring(problem))
    end)
  end

  it("is not read from damaged data", function()
    local f <close> = assert(io.open("/usr/share/zoneinfo/Europe/Paris", "rb"))
    local bytes = f:read("a")
    local folder <close> = support.folder()
    for i, damaged in ipairs({
      "", "TZif", "TZif2", bytes:sub(1, 60), bytes:sub(1, #bytes // 2), bytes:sub(1, -20), bytes:sub(1, -2) .. "x\n",
      bytes:sub(1, 43) .. "\255" .. bytes:sub(45), bytes:sub(1, 20) .. ("\255"):rep(24) .. bytes:sub(45),
      ("\0"):rep(1000),
    }) do
      folder.write("Zone" .. i, damaged)
      local out = under({ TZDIR = folder.path }, ("print(pcall(require('haplua.zone').load, 'Zone%d'))"):format(i))
      assert.matches("^false", out, "damage " .. i)
    end
    folder.write("Whole", bytes)
    assert.matches("^true\tWhole", under({ TZDIR = folder.path }, "print(pcall(require('haplua.zone').load, 'Whole'))"))
  end)

  it("is there for UTC without zone data", function()
    local folder <close> = support.folder()
    local out = under({ TZDIR = folder.path }, "print(require('haplua.zone').load('UTC'):offset(0))")
    assert.are.equal("0\tUTC\n", (out:gsub("\t\n", "\tUTC\n")))
  end)
end)

describe("the machine's zone", function()
  local print_it = "local z = require('haplua.zone').here() print(z, (z:offset(1783000000)))"

  for tz, expected in pairs({
    ["Europe/Paris"] = "Europe/Paris\t7200\n",
    [":Europe/Paris"] = "Europe/Paris\t7200\n",
    ["/usr/share/zoneinfo/Asia/Kathmandu"] = "Asia/Kathmandu\t20700\n",
    [""] = "UTC\t0\n",
    ["UTC"] = "UTC\t0\n",
    ["CET-1CEST,M3.5.0,M10.5.0/3"] = "CET-1CEST,M3.5.0,M10.5.0/3\t7200\n",
  }) do
    it(("is what TZ says: '%s'"):format(tz), function()
      assert.are.equal(expected, under({ TZ = tz }, print_it))
    end)
  end

  it("is refused where TZ says nothing that there is", function()
    assert.matches("refused", under({ TZ = "Nowhere/At_All" },
      "local ok, e = pcall(require('haplua.zone').here) print(e.kind)"))
  end)

  it("is the one that the C library has where TZ says nothing", function()
    local out = support.shell([[unset TZ; exec "$@" -e 'print((require("haplua.zone").here():offset(task.time())))
      print(os.date("%z"))']])
    local offset, text = out.out:match("^(%-?%d+)\n([+-]%d%d%d%d)\n$")
    assert.are.equal(tonumber(offset), (text:sub(1, 1) == "-" and -1 or 1) * (text:sub(2, 3) * 3600 + text:sub(4) * 60), out.err)
  end)
end)
