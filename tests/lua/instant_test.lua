-- SPDX-License-Identifier: MIT

local instants = require("haplua.time.instant")
local occurrences = require("occurrences")
local reader = require("haplua.time.reader")
local support = require("support")
local window = require("haplua.window")
local zones = require("haplua.zone")

describe("instants and durations", function()
  --- Does a script take the text as one of its options?
  local function is_taken(...)
    local status = support.haplua({ "-s", "/nowhere.sock", ... }).status
    assert.is_true(status == 0 or status == 2 or status == 3, status)
    return status ~= 2
  end

  -- All functions that read a duration. Each returns seconds, or nil and what is wrong.
  local ways = {
    instant = instants.duration,
    ["a window"] = function(text)
      local ok, spec = pcall(window.parse, "Sun 02:00 for " .. text)
      return ok and spec.elapsed or nil, not ok and spec.message or nil
    end,
    ["a window's rule"] = function(text)
      local ok, spec = pcall(window.parse, "DTSTART:20261201T220000;RRULE:FREQ=DAILY for " .. text)
      return ok and spec.elapsed or nil, not ok and spec.message or nil
    end,
  }

  for text, expected in pairs({
    ["30m"] = 1800, ["1h30m"] = 5400, ["90s"] = 90, ["2d"] = 172800, ["1w"] = 604800, ["1w2d3h4m5s"] = 788645, ["01h"] = 3600,
    ["3660d"] = 316224000, ["3661d"] = "ten years", ["9999999999s"] = "ten years", ["999999999w"] = "ten years",
    ["99999999999999999999h"] = "ten years", ["0m"] = "no time at all", ["30m30m"] = "each once", ["30m1h"] = "long to short",
    ["1d1w"] = "long to short", [""] = "such as", ["30"] = "such as", ["m"] = "such as", ["1h30"] = "such as",
    ["-1h"] = "such as", ["1.5h"] = "such as", ["1,5h"] = "such as", ["1y"] = "such as", ["1M"] = "such as",
    ["1 h"] = 3600, ["1H"] = 3600, ["1hour"] = 3600, ["2 hours"] = 7200, ["1h 30m"] = 5400, ["1 day and 2 hours"] = 93600,
    ["90 mins"] = 5400, ["PT2H"] = 7200, ["pt2h30m"] = 9000, ["P1D"] = 86400, ["P1W"] = 604800, ["P1DT1S"] = 86401,
    ["P1M"] = "such as", ["P2H"] = "such as", ["PT"] = "such as", ["P"] = "such as", ["PT0S"] = "no time at all",
    ["PT30M1H"] = "long to short",
    ["1h 30"] = "nothing more", ["1h\n"] = "nothing more", ["1h\0"] = "nothing more",
  }) do
    it(("are alike everywhere: '%s'"):format((text:gsub("%c", "?"))), function()
      for name, read in pairs(ways) do
        local seconds, problem = read(text)
        assert.equal(type(expected) == "number" and expected or nil, seconds, name)
        if not seconds and not (text == "" and name ~= "instant") then
          assert.matches(expected, problem)
        end
      end
    end)
  end

  it("are what options of scripts take", function()
    for text, expected in pairs({
      ["1h30m"] = true, ["1w"] = true, ["30m30m"] = false, ["30m1h"] = false, ["1.5h"] = false, ["4000d"] = false,
    }) do
      assert.equal(expected, is_taken("scripts/maint.lua", "--no-journal", "on", "--wait", "--for", text), text)
    end
  end)

  -- All functions that read an instant with a date. Each returns it, or nil.
  local here = require("haplua.zone").here()
  local instant_ways = {
    instant = function(text)
      return (instants.instant(text, 0))
    end,
    ["a window"] = function(text)
      local ok, opening = pcall(function()
        return window.new(text .. " for 1h", { tz = here }):next(0).opens
      end)
      return ok and opening or nil
    end,
    ["a reader"] = function(text)
      local ok, instant = pcall(reader.whole, "time", text, reader.instant)
      return ok and instant or nil
    end,
  }

  for text, expected in pairs({
    ["2096-12-01T03:00+01:00"] = 4005165600, ["2096-12-01T03:00+0100"] = 4005165600, ["2096-12-01 02:00:00Z"] = 4005165600,
    ["2096-12-01t2:00z"] = 4005165600, ["2096-11-30T23:00-03:00"] = 4005165600,
    ["2096-12-01T02:00"] = here:first(4005165600), ["2096-06-01T02:00:30"] = here:first(3989354430),
    ["2096-02-30T00:00Z"] = false, ["2096-13-01T00:00"] = false, ["2096-12-01T24:00"] = false, ["2096-12-01T02:60"] = false,
    ["2096-12-01T03:00+25:00"] = false, ["2096-12-01T03:00+01"] = false, ["2096-12-01T02:00 Z"] = 4005165600,
    ["2096-12-01 02:00 UTC"] = 4005165600, ["2096-12-01"] = false,
    ["2096-12-01T03:00 Europe/Paris"] = 4005165600, ["2096-12-01 03:00:00 +0100"] = 4005165600,
    ["Sat 2096-12-01 02:00 UTC"] = 4005165600,
    ["2096-12-01 2am UTC"] = 4005165600, ["Sun 2096-12-01 02:00 UTC"] = false,
    ["2096-12-01T"] = false, ["2096-12-01T03"] = false, ["2096-12-01T03:00:5"] = false, ["96-12-01T03:00"] = false,
    ["2096-12-01T03:00x"] = false, ["2096/12/01 03:00"] = false,
  }) do
    it(("are alike everywhere: '%s'"):format(text), function()
      for name, read in pairs(instant_ways) do
        assert.equal(expected or nil, read(text), name)
      end
      assert.equal(expected ~= false, is_taken("scripts/window.lua", "next", "daily 00:00-04:00", "--at", text))
      assert.equal(expected ~= false, is_taken("scripts/maint.lua", "--no-journal", "on", "--wait", "--until", text))
    end)
  end

  it("reads instants with an offset", function()
    for text, instant in pairs({
      ["2026-12-01T03:00+01:00"] = 1796090400, ["2026-12-01T02:00Z"] = 1796090400, ["2026-12-01 02:00:00Z"] = 1796090400,
      ["2026-12-01T07:30:30+0530"] = 1796090430, ["2026-11-30T23:00-03:00"] = 1796090400,
      ["2028-02-29T00:00Z"] = 1835395200,
    }) do
      assert.equal(instant, instants.instant(text, 0), text)
    end
  end)

  it("reads local times: a time of the day is the next one", function()
    local now = os.time({ year = 2026, month = 6, day = 10, hour = 12, min = 0, sec = 0 })
    assert.equal(now + 3600, instants.instant("13:00", now))
    assert.equal(os.time({ year = 2026, month = 6, day = 11, hour = 12 }), instants.instant("12:00", now))
    assert.equal(os.time({ year = 2026, month = 6, day = 11, hour = 3, min = 5, sec = 9 }), instants.instant("3:05:09", now))
    assert.equal(now + 3600, instants.instant("2026-06-10T13:00", now))
  end)

  it("refuses what is no time, and what is over", function()
    for _, text in ipairs({ "", "12:60", "13pm", "12am", "2030", "2030 UTC",
      "tomorrow", "Sun", "2026-02-29T00:00Z", "2026-13-01T00:00",
      "2026-04-31T10:00",
      "2026-12-01T03:00+25:00", "2026-12-01", "03:00x" }) do
      local instant, problem = instants.instant(text, 0)
      assert.is_nil(instant, text)
      assert.matches("^time '", problem)
    end
    local instant, problem = instants.instant("2026-01-01T00:00Z", 1796090400)
    assert.is_nil(instant)
    assert.matches("it is past; now is 2026%-1", problem)
  end)

  --- The instant that a text without a date means for a zone, when it is `now` there, as "2026-10-25 00:30" in UTC.
  local function coming(text, now, zone)
    return occurrences.utc(reader.whole("time", text, reader.instant, zones.load(zone or "Europe/Paris"), occurrences.at(now)))
  end

  it("takes the next time that the clocks show, also where they show it twice or not at all", function()
    -- the clocks go from 03:00 back to 02:00
    assert.equal("2026-10-25 00:30", coming("02:30", "2026-10-25T02:15+02:00"))
    assert.equal("2026-10-25 01:30", coming("02:30", "2026-10-25T02:30+02:00"))
    assert.equal("2026-10-25 01:30", coming("02:30", "2026-10-25T02:45+02:00"))
    assert.equal("2026-10-25 01:30", coming("02:30", "2026-10-25T02:15+01:00"))
    assert.equal("2026-10-26 01:30", coming("02:30", "2026-10-25T02:30+01:00"))
    assert.equal("2026-10-25 01:00", coming("02:00", "2026-10-25T02:00+02:00"))
    -- the clocks go from 02:00 to 03:00: as for a window, the end of the gap
    assert.equal("2026-03-29 01:00", coming("02:30", "2026-03-29T01:00+01:00"))
    assert.equal("2026-03-30 00:30", coming("02:30", "2026-03-29T03:00+02:00"))
    -- from 24:00 back to 23:00
    assert.equal("2026-04-05 03:30", coming("23:30", "2026-04-04T23:45-03:00", "America/Santiago"))
  end)

  it("takes a day of the week, tomorrow, a zone, and words for times", function()
    local now = "2026-11-29T12:00+01:00"
    for text, expected in pairs({
      ["Sun 13:00"] = "2026-11-29 12:00", ["Sun 11:00"] = "2026-12-06 10:00", ["monday 03:00"] = "2026-11-30 02:00",
      ["today 13:00"] = "2026-11-29 12:00", ["tomorrow 03:00"] = "2026-11-30 02:00", ["tomorrow 13:00"] = "2026-11-30 12:00",
      ["3am"] = "2026-11-30 02:00", ["0300"] = "2026-11-30 02:00", ["noon"] = "2026-11-30 11:00",
      ["24:00"] = "2026-11-29 23:00",
      ["midnight"] = "2026-11-29 23:00", ["13:00 UTC"] = "2026-11-29 13:00", ["13:00 America/New_York"] = "2026-11-29 18:00",
      ["07:00-0500"] = "2026-11-29 12:00", ["2026-12-24 18:00"] = "2026-12-24 17:00", ["2026-12-24 6pm"] = "2026-12-24 17:00",
    }) do
      assert.equal(expected, coming(text, now), text)
    end
    assert.equal("2026-11-30 11:00", coming("noon", "2026-11-29T12:00+01:00"))
  end)

  it("agrees with clocks that are looked at each minute", function()
    local random = support.random(7)
    for _, case in ipairs({ { "Europe/Paris", "2026-03-28" }, { "Europe/Paris", "2026-10-24" }, { "Australia/Lord_Howe",
      "2026-04-04" },
      { "Australia/Lord_Howe", "2026-10-03" }, { "America/Santiago", "2026-04-04" }, { "America/Santiago", "2026-09-05" },
      { "America/St_Johns", "2006-10-28" }, { "America/St_Johns", "2006-04-01" } }) do
      local zone = zones.load(case[1])
      for _ = 1, 40 do
        local now, wanted = occurrences.at(case[2] .. "T00:00Z") + random(2880) * 60, (random(288) - 1) * 300
        local instant, before = now
        repeat
          before, instant = zone:civil(instant), instant + 60
          local shown = zone:civil(instant)
          local due = shown - (shown - wanted) % 86400
        until shown == due or before < due and due <= shown
        local text = ("%02d:%02d"):format(wanted // 3600, wanted // 60 % 60)
        assert.equal(instant, reader.whole("time", text, reader.instant, zone, now), case[1] .. " " .. text .. " at " .. now)
      end
    end
  end)

  it("prints spans by their two largest units", function()
    for seconds, text in pairs({ [0] = "0 s", [59.6] = "1 min", [45] = "45 s", [5400] = "1 h 30 min", [3605] = "1 h",
      [90061] = "1 d 1 h" }) do
      assert.equal(text, instants.span(seconds))
    end
    assert.equal("2026-12-01T02:00:00Z", instants.iso(1796090400))
  end)
end)
