-- SPDX-License-Identifier: MIT

-- Tests docs/windows.md sentence by sentence. tests/window/oracle.py compares the arithmetic with Python's.

local occurrences = require("occurrences")
local support = require("support")
local window = require("haplua.window")

local at, coming = occurrences.at, occurrences.coming

local paris = { tz = "Europe/Paris" }

local refusal = support.refusal

describe("a window's text", function()
  for text, canonical in pairs({
    ["2026-12-01T22:00/2026-12-02T02:00"] = "2026-12-01T22:00/2026-12-02T02:00",
    ["2026-12-01 22:00 / 2026-12-02 2:00"] = "2026-12-01T22:00/2026-12-02T02:00",
    ["2026-12-01T22:00 for 4h"] = "2026-12-01T22:00 for 4h",
    ["2026-12-01T22:00:30 for 90m"] = "2026-12-01T22:00:30 for 1h30m",
    ["2026-12-01T22:00Z for 4h"] = "2026-12-01T22:00Z for 4h",
    ["2026-12-01T22:00+00:00 for 4h"] = "2026-12-01T22:00Z for 4h",
    ["2026-10-25T02:30+02:00/2026-10-25T02:30+01:00"] = "2026-10-25T02:30+02:00/2026-10-25T02:30+01:00",
    ["Sun 02:00-04:00"] = "Sun 02:00-04:00",
    [" sunday  2:00 - 4:00 "] = "Sun 02:00-04:00",
    ["Mon..Fri 22:00-02:00"] = "Mon..Fri 22:00-02:00",
    ["mon,tue,WED,Fri 22:00-02:00"] = "Mon..Wed,Fri 22:00-02:00",
    ["Sat..Mon 22:00-02:00"] = "Mon,Sat,Sun 22:00-02:00",
    ["Fri,Sun..Tue 22:00-02:00"] = "Mon,Tue,Fri,Sun 22:00-02:00",
    ["Mon..Sun 00:00-24:00"] = "daily 00:00-24:00",
    ["daily 03:00 for 15m"] = "daily 03:00 for 15m",
    ["DAILY 03:00 FOR 1h"] = "daily 03:00 for 1h",
    ["Sun 22:00-00:00"] = "Sun 22:00-24:00",
    ["Sun 02:00 for 48h"] = "Sun 02:00 for 2d",
    ["Sun 02:00 for 3661s"] = "Sun 02:00 for 1h1m1s",
    ["Fri 22:00-Mon 06:00"] = "Fri 22:00-Mon 06:00",
    ["Fri 22:00-Sat 02:00"] = "Fri 22:00-02:00",
    ["Fri 22:00-Sat 22:00"] = "Fri 22:00-Sat 22:00",
    ["Sat 00:00-Sun 24:00"] = "Sat 00:00-Mon 00:00",
    ["Sat 00:00-Sun 00:00"] = "Sat 00:00-24:00",
    ["first Sun 02:00-04:00"] = "first Sun 02:00-04:00",
    ["last,Third Tuesday 02:00-04:00"] = "third,last Tue 02:00-04:00",
    ["first Fri 22:00-Mon 06:00"] = "first Fri 22:00-Mon 06:00",
    ["DTSTART:20261201T220000;RRULE:FREQ=MONTHLY;BYDAY=2TU for 4h"] =
      "DTSTART:20261201T220000;RRULE:FREQ=MONTHLY;BYDAY=2TU for 4h",
    ["dtstart;tzid=Europe/Paris:20261201T220000\nrrule:byday=+2tu;interval=1;freq=monthly for 240m"] =
      "DTSTART;TZID=Europe/Paris:20261201T220000;RRULE:FREQ=MONTHLY;BYDAY=2TU for 4h",
    ["DTSTART:20261201T220000Z;RRULE:FREQ=WEEKLY;WKST=SU;UNTIL=20271201T000000Z;BYMONTH=3,1 for 1m"] =
      "DTSTART:20261201T220000Z;RRULE:FREQ=WEEKLY;UNTIL=20271201T000000Z;BYMONTH=1,3;WKST=SU for 1m",
    ["DTSTART;VALUE=DATE:20261201;RRULE:FREQ=DAILY;COUNT=3 for 1d"] =
      "DTSTART:20261201T000000;RRULE:FREQ=DAILY;COUNT=3 for 1d",
  }) do
    it(("has one form: '%s'"):format(text), function()
      local spec = window.parse(text)
      assert.are.equal(canonical, tostring(spec))
      assert.are.equal(canonical, tostring(window.parse(canonical)))
      assert.is_true(window.parse(canonical) == spec)
    end)
  end

  -- the text, the column of the mark, and a word of the message
  for _, case in ipairs({
    { "", 1, "nothing stands here" },
    { "   ", 1, "nothing stands here" },
    { "Sun", 4, "at what time" },
    { "Sun 02:00", 10, "when does it end" },
    { "Sun 02:00-", 11, "time of day" },
    { "Sun 02:00-02:00", 11, "24 ?h" },
    { "Sun 00:00-00:00", 11, "00:00%-24:00" },
    { "Sun 24:00-02:00", 5, "next day" },
    { "Sun 02:00-24:01", 11, "no such time" },
    { "Sun 02:60-04:00", 5, "no such time" },
    { "Sun 25:00-04:00", 5, "no such time" },
    { "Sun 02:00-04:00 x", 17, "nothing more" },
    { "Sun 02:00-04:00,05:00-06:00", 16, "nothing more" },
    { "Son 02:00-04:00", 1, "day of the week" },
    { "Sun..Sun 02:00-04:00", 1, "daily" },
    { "Sun,Sun 02:00-04:00", 5, "already" },
    { "Mon..Fri,Tue 02:00-04:00", 10, "already" },
    { "first Sat,Sun 02:00-04:00", 7, "one day" },
    { "first,first Sun 02:00-04:00", 7, "already" },
    { "sixth Sun 02:00-04:00", 1, "day of the week" },
    { "02:00-04:00", 1, "daily 02:00%-04:00" },
    { "Mon..Fri 22:00-Sat 02:00", 16, "named day" },
    { "Fri 22:00-Fri 21:00", 11, "a week later" },
    { "Fri 00:00-Thu 24:00", 11, "whole week" },
    { "Sun 02:00 for", 14, "duration" },
    { "Sun 02:00 for 4", 15, "duration" },
    { "Sun 02:00 for 4 x", 15, "duration" },
    { "Sun 02:00 for 30m1h", 18, "long to short" },
    { "Sun 02:00 for 0s", 15, "no time at all" },
    { "Sun 02:00 for 99999d", 15, "ten years" },
    { "Sun 02:00 for 4M", 15, "duration" },
    { "Sun 02:00 for 4y", 15, "duration" },
    { "2026-12-01 02:00-0400", 22, "offset from UTC" },
    { "2026-12-01", 11, "what time" },
    { "2026-13-01T02:00 for 1h", 1, "no such day" },
    { "2026-02-29T02:00 for 1h", 1, "no such day" },
    { "2026-12-01T02:00", 17, "when does it end" },
    { "2026-12-01 02:00-04:00", 23, "offset from UTC" },
    { "2026-12-01T02:00-04:00", 23, "offset from UTC" },
    { "2026-12-01T02:00/2026-12-01T02:00", 18, "when it starts" },
    { "2026-12-01T02:00/2026-12-01T01:00", 18, "before it starts" },
    { "2026-12-01T02:00Z/2026-12-01T04:00", 19, "or neither" },
    { "2026-12-01T02:00/2126-12-01T02:00", 18, "ten years" },
    { "2026-12-01T02:00+25:00 for 1h", 17, "offset" },
    { "1.12.2026 02:00 for 1h", 1, "2026%-12%-01T02:00" },
    { "DTSTART:20261301T220000;RRULE:FREQ=DAILY for 1h", 8, "date and time" },
    { "DTSTART;TZID=Europe/Paris:20261201T220000Z;RRULE:FREQ=DAILY for 1h", 26, "go together" },
    { "DTSTART;X=1:20261201T220000;RRULE:FREQ=DAILY for 1h", 9, "TZID" },
    { "DTSTART:20261201T220000 for 1h", 24, "RRULE" },
    { "DTSTART:20261201T220000;RRULE:FREQ=DAILY", 41, "how long" },
    { "DTSTART:20261201T220000;RRULE:FREQ=SOMETIMES for 1h", 31, "FREQ" },
    { "DTSTART:20261201T220000;RRULE:BYDAY=MO for 1h", 31, "FREQ is missing" },
    { "DTSTART:20261201T220000;RRULE:FREQ=DAILY;BYHOUR=24 for 1h", 42, "BYHOUR" },
    { "DTSTART:20261201T220000;RRULE:FREQ=DAILY;COUNT=0 for 1h", 42, "COUNT" },
    { "DTSTART:20261201T220000;RRULE:FREQ=DAILY;COUNT=1;UNTIL=20270101 for 1h", 31, "UNTIL and COUNT" },
    { "DTSTART:20261201T220000;RRULE:FREQ=DAILY;FREQ=DAILY for 1h", 42, "already" },
    { "DTSTART:20261201T220000;RRULE:FREQ=DAILY;X=1 for 1h", 42, "no part" },
    { "DTSTART:20261201T220000;RRULE:FREQ=DAILY;BYWEEKNO=1 for 1h", 31, "BYWEEKNO" },
    { "DTSTART:20261201T220000;RRULE:FREQ=WEEKLY;BYDAY=2TU for 1h", 31, "2TU" },
    { "DTSTART:20261201T220000;RRULE:FREQ=DAILY;BYSETPOS=1 for 1h", 31, "BYSETPOS" },
    { "Sun\t02:00-04:\27[2J", 11, "time" },
    { ("x"):rep(3000), 1, "too long" },
  }) do
    it(("is refused with the place marked: '%s'"):format(case[1]:sub(1, 60):gsub("%c", "?")), function()
      local problem = refusal(window.parse, case[1])
      assert.matches(case[3], tostring(problem))
      local mark = problem.advice:match("\n( *)%^$")
      assert.are.equal(case[2], problem.column, tostring(problem))
      if not case[1]:find("%c") and #case[1] < 100 then
        assert.are.equal(case[2] - 1, #mark)
      end
      assert.is_nil(problem.advice:find("\27"))
    end)
  end

  it("never makes the reader fail otherwise, whatever it is", function()
    local texts = {
      "Sun 02:00-04:00", "Mon..Wed,Fri 22:00-02:00", "first,last Tue 03:00 for 1h30m", "Fri 22:00-Mon 06:00",
      "2026-12-01T22:00/2026-12-02T02:00", "2026-12-01T22:00+01:00 for 4h", "daily 00:00-24:00",
      "DTSTART;TZID=Europe/Paris:20261201T220000;RRULE:FREQ=MONTHLY;BYDAY=2TU,-1MO;UNTIL=20301201 for 4h",
    }
    local pieces = { "", " ", "-", ":", ",", "..", "0", "9", "Z", ";", "=", "for", "Sun", "\n", "\0", "\195\169", "%", "/" }
    local random, accepted = support.random(1), 0
    for _ = 1, 20000 do
      local source = texts[random(#texts)]
      for _ = 1, random(3) do
        local place = random(#source + 1)
        source = source:sub(1, place - 1) .. pieces[random(#pieces)] .. source:sub(place + random(3) - 1)
      end
      local ok, spec = pcall(window.parse, source)
      if ok then
        accepted = accepted + 1
        assert.are.equal(tostring(spec), tostring(window.parse(tostring(spec))))
      else
        assert.is_true(require("haplua.error").is(spec), source .. ": " .. tostring(spec))
      end
    end
    assert.is_true(accepted > 100 and accepted < 19000)
  end)
end)

describe("a window", function()
  it("opens and closes by the zone's clocks, in winter and in summer", function()
    assert.are.same({ "2026-01-04 01:00/2026-01-04 03:00" }, coming("Sun 02:00-04:00", paris, "2026-01-01T00:00Z", 1))
    assert.are.same({ "2026-07-05 00:00/2026-07-05 02:00" }, coming("Sun 02:00-04:00", paris, "2026-07-01T00:00Z", 1))
  end)

  it("belongs to the day on which it starts, also over midnight", function()
    -- Friday's window lasts into Saturday, and none starts on Sunday; kured took the current day instead
    local shift = window.new("Mon..Fri 22:00-02:00", paris)
    assert.is_truthy(shift:open_at(at("2026-11-28T00:30+01:00")))
    assert.is_nil(shift:open_at(at("2026-11-29T00:30+01:00")))
    assert.is_nil(shift:open_at(at("2026-11-30T01:59+01:00")))
    assert.is_truthy(shift:open_at(at("2026-12-01T01:59+01:00")))
    assert.is_nil(shift:open_at(at("2026-12-01T02:00+01:00")))
  end)

  it("has its days in its zone, not in UTC", function()
    -- in Auckland it is Sunday while it is Saturday in UTC; GKE took the day in UTC
    assert.are.same({ "2026-11-28 13:00/2026-11-28 15:00" },
      coming("Sun 02:00-04:00", { tz = "Pacific/Auckland" }, "2026-11-26T00:00Z", 1))
    assert.are.same({ "2026-11-30 05:00/2026-11-30 07:00" },
      coming("Sun 21:00-23:00", { tz = "America/Los_Angeles" }, "2026-11-27T00:00Z", 1))
  end)

  it("ends on the day on which it ends, not a day late", function()
    -- robotics' windows lasted until Monday
    local weekend = window.new("Fri 22:00-Mon 06:00", paris)
    assert.are.equal(at("2026-11-30T06:00+01:00"), weekend:open_at(at("2026-11-28T12:00+01:00")).closes)
    assert.is_nil(weekend:open_at(at("2026-11-30T06:00+01:00")))
    assert.are.equal(at("2026-11-29T00:00+01:00"),
      window.new("Sat 22:00-24:00", paris):open_at(at("2026-11-28T23:59+01:00")).closes)
  end)

  it("comes again and again", function()
    -- Uptime Kuma's windows opened only once
    local list = coming("daily 03:00 for 15m", paris, "2026-01-01T00:00Z", 800)
    assert.are.equal(800, #list)
    assert.are.equal("2028-03-10 02:00/2028-03-10 02:15", list[800])
  end)

  it("means wall-clock times by 02:00-04:00, and elapsed time by 'for 2h'", function()
    -- on 2026-10-25 the clocks go from 03:00 back to 02:00; kured subtracted 24 hours
    assert.are.same({ "2026-10-24 23:00/2026-10-25 03:00" }, coming("Sun 01:00-04:00", paris, "2026-10-24T12:00Z", 1))
    assert.are.same({ "2026-10-24 23:00/2026-10-25 02:00" }, coming("Sun 01:00 for 3h", paris, "2026-10-24T12:00Z", 1))
    -- on 2026-03-29 the clocks go from 02:00 to 03:00
    assert.are.same({ "2026-03-29 00:00/2026-03-29 02:00" }, coming("Sun 01:00-04:00", paris, "2026-03-28T12:00Z", 1))
    assert.are.same({ "2026-03-29 00:00/2026-03-29 03:00" }, coming("Sun 01:00 for 3h", paris, "2026-03-28T12:00Z", 1))
    assert.are.same({ "2026-03-27 23:00/2026-03-29 23:00" }, coming("Sat 00:00 for 2d", paris, "2026-03-27T12:00Z", 1))
    assert.are.same({ "2026-03-27 23:00/2026-03-29 22:00" }, coming("Sat 00:00-Mon 00:00", paris, "2026-03-27T12:00Z", 1))
  end)

  it("opens at the end of the gap when its start does not exist", function()
    assert.are.same({ "2026-03-29 01:00/2026-03-29 02:00" }, coming("Sun 02:30-04:00", paris, "2026-03-28T12:00Z", 1))
    assert.are.same({ "2026-03-29 01:00/2026-03-29 03:00" }, coming("Sun 02:30 for 2h", paris, "2026-03-28T12:00Z", 1))
  end)

  it("does not open when the clocks jump over all of it", function()
    assert.are.same({ "2026-04-05 00:15/2026-04-05 00:45" }, coming("Sun 02:15-02:45", paris, "2026-03-28T12:00Z", 1))
    assert.are.same({ "2026-03-29 01:00/2026-03-29 01:30" }, coming("Sun 02:15 for 30m", paris, "2026-03-28T12:00Z", 1))
    local problem = refusal(window.new, "2026-03-29T02:15/2026-03-29T02:45", paris)
    assert.matches("never opens", tostring(problem))
  end)

  it("opens, and closes, at the first of two such times", function()
    assert.are.same({ "2026-10-25 00:30/2026-10-25 02:00" }, coming("Sun 02:30-03:00", paris, "2026-10-24T12:00Z", 1))
    assert.are.same({ "2026-10-25 00:15/2026-10-25 00:45" }, coming("Sun 02:15-02:45", paris, "2026-10-24T12:00Z", 1))
    assert.are.same({ "2026-10-25 00:15/2026-10-25 00:25" }, coming("Sun 02:15 for 10m", paris, "2026-10-24T12:00Z", 1))
  end)

  it("can be written with its offset, for the second of two such times", function()
    assert.are.same({ "2026-10-25 01:30/2026-10-25 02:30" },
      coming("2026-10-25T02:30+01:00 for 1h", paris, "2026-10-24T12:00Z", 1))
  end)

  it("knows half an hour of daylight saving time", function()
    local lord_howe = { tz = "Australia/Lord_Howe" }
    assert.are.same({ "2026-10-03 15:30/2026-10-03 16:00" }, coming("Sun 02:15-03:00", lord_howe, "2026-10-02T12:00Z", 1))
    assert.are.same({ "2026-04-04 14:45/2026-04-04 16:30" }, coming("Sun 01:45-03:00", lord_howe, "2026-04-03T12:00Z", 1))
  end)

  it("may be the first, second, ... or last such day of a month", function()
    assert.are.same({ "2026-12-06 01:00/2026-12-06 03:00", "2027-01-03 01:00/2027-01-03 03:00" },
      coming("first Sun 02:00-04:00", paris, "2026-11-22T00:00Z", 2))
    assert.are.same({ "2026-11-29 01:00/2026-11-29 03:00", "2026-12-27 01:00/2026-12-27 03:00" },
      coming("last Sun 02:00-04:00", paris, "2026-11-22T00:00Z", 2))
    -- not every month has a fifth Sunday; where a month has one, it is the last
    assert.are.same({ "2026-11-29 01:00/2026-11-29 03:00", "2026-12-27 01:00/2026-12-27 03:00",
      "2027-01-31 01:00/2027-01-31 03:00" }, coming("fifth,last Sun 02:00-04:00", paris, "2026-11-22T00:00Z", 3))
    assert.are.same({ "2026-11-29 01:00/2026-11-29 03:00", "2027-01-31 01:00/2027-01-31 03:00" },
      coming("fifth Sun 02:00-04:00", paris, "2026-11-22T00:00Z", 2))
  end)

  it("is there once, when it has a date", function()
    assert.are.same({ "2026-12-01 21:00/2026-12-02 01:00" },
      coming("2026-12-01T22:00 for 4h", paris, "2026-11-22T00:00Z", 5))
    assert.are.same({}, coming("2026-12-01T22:00 for 4h", paris, "2026-12-02T01:00Z", 5))
  end)
end)

describe("several windows", function()
  it("are one where they overlap or touch, and that one has all their names", function()
    local both = window.new({ "Sun 02:00-04:00", "Sun 03:00-05:00", "Sun 05:00 for 30m", "Sun 05:31 for 1m" }, paris)
    local found = both:next(at("2026-11-28T00:00Z"))
    assert.are.equal(at("2026-11-29T05:30+01:00"), found.closes)
    assert.are.same({ "Sun 02:00-04:00", "Sun 03:00-05:00", "Sun 05:00 for 30m" }, found.names)
    assert.are.equal(at("2026-11-29T05:31+01:00"), both:next(found.opens).opens)
  end)

  it("are one over several days", function()
    assert.are.same({ "2026-11-22 23:00/2026-11-27 23:00" },
      coming("Mon..Fri 00:00-24:00", paris, "2026-11-25T12:00Z", 1))
  end)

  it("may be always open", function()
    assert.are.same({ "-inf/inf" }, coming("daily 00:00-24:00", paris, "2026-11-25T12:00Z", 2))
    assert.are.same({ "2026-12-24 23:00/inf" }, coming({ "2026-12-25T00:00 for 1d", "daily 00:00-24:00" },
      { tz = "Europe/Paris", except = "2026-11-01..2026-12-24" }, "2026-11-25T12:00Z", 2))
  end)

  it("are in the zone of the rule that has one", function()
    assert.are.same({ "2026-12-08 21:00/2026-12-08 22:00", "2026-12-09 03:00/2026-12-09 04:00" },
      coming({ "DTSTART;TZID=Europe/Paris:20261201T220000;RRULE:FREQ=MONTHLY;BYDAY=2TU for 1h", "2026-12-08T22:00 for 1h" },
        { tz = "America/New_York" }, "2026-12-07T00:00Z", 2))
  end)
end)

describe("an exception", function()
  local function without(except, from, n)
    return coming("Mon..Fri 22:00-02:00", { tz = "Europe/Paris", except = except }, from, n)
  end

  it("by a day leaves out what starts on it in the zone, and no more", function()
    assert.are.same({ "2026-12-23 21:00/2026-12-24 01:00", "2026-12-25 21:00/2026-12-26 01:00" },
      without("2026-12-24", "2026-12-23T12:00Z", 2))
  end)

  it("may be many days, and every year's", function()
    assert.are.same({ "2026-12-23 21:00/2026-12-24 01:00", "2027-01-04 21:00/2027-01-05 01:00" },
      without("2026-12-24..2027-01-03", "2026-12-23T12:00Z", 2))
    assert.are.same({ "2026-12-23 21:00/2026-12-24 01:00", "2027-01-04 21:00/2027-01-05 01:00" },
      without("2026-12-24 to 2027-01-03", "2026-12-23T12:00Z", 2))
    assert.are.same({ "2030-12-23 21:00/2030-12-24 01:00", "2030-12-27 21:00/2030-12-28 01:00" },
      without({ "12-24..12-26" }, "2030-12-23T12:00Z", 2))
    assert.are.same({ "2030-12-26 21:00/2030-12-27 01:00", "2031-01-06 21:00/2031-01-07 01:00" },
      without({ "12-27..01-03" }, "2030-12-26T12:00Z", 2))
  end)

  it("by a window cuts out its time", function()
    assert.are.same({ "2026-12-24 21:00/2026-12-24 22:00", "2026-12-24 22:30/2026-12-25 01:00" },
      without("Thu 23:00-23:30", "2026-12-24T12:00Z", 2))
    assert.are.same({ "2026-12-24 22:30/2026-12-25 01:00" }, without({ "Thu 20:00-23:30" }, "2026-12-24T12:00Z", 1))
    assert.are.same({ "2026-12-25 21:00/2026-12-26 01:00" }, without({ "Thu 20:00-Fri 03:00" }, "2026-12-24T12:00Z", 1))
  end)

  it("that leaves nothing does not search for ever", function()
    assert.are.same({}, without("daily 21:00 for 6h", "2026-12-24T12:00Z", 1))
    assert.are.same({}, without("daily 00:00-24:00", "2026-12-24T12:00Z", 1))
    assert.are.same({}, without("01-01..12-31", "2026-12-24T12:00Z", 1))
  end)

  for _, text in ipairs({ "2026-02-30", "2026-12-25..2026-12-24", "13-01", "2026-12-25..", "12-25..2026-12-26", "Christmas" }) do
    it("is refused: " .. text, function()
      refusal(window.new, "Sun 02:00-04:00", { tz = "UTC", except = text })
    end)
  end
end)

describe("a recurrence rule", function()
  local function rule(text, from, n)
    return coming("DTSTART:20261201T220000;RRULE:" .. text .. " for 1h", paris, from or "2026-12-01T00:00Z", n or 3)
  end

  it("recurs by months and years", function()
    assert.are.same({ "2026-12-08 21:00/2026-12-08 22:00", "2027-01-12 21:00/2027-01-12 22:00",
      "2027-02-09 21:00/2027-02-09 22:00" }, rule("FREQ=MONTHLY;BYDAY=2TU"))
    assert.are.same({ "2026-12-31 21:00/2026-12-31 22:00", "2027-12-31 21:00/2027-12-31 22:00" },
      rule("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=-1", nil, 2))
    assert.are.same({ "2028-02-29 21:00/2028-02-29 22:00", "2032-02-29 21:00/2032-02-29 22:00" },
      rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", nil, 2))
  end)

  it("recurs where other programs find nothing, or another week", function()
    assert.are.same({ "2026-12-31 21:00/2026-12-31 22:00", "2027-01-31 21:00/2027-01-31 22:00" },
      rule("FREQ=DAILY;BYMONTHDAY=-1", nil, 2))
    assert.are.same({ "2026-12-06 21:00/2026-12-06 22:00", "2026-12-27 21:00/2026-12-27 22:00" },
      rule("FREQ=WEEKLY;INTERVAL=3;BYDAY=SU", nil, 2))
  end)

  --- The days of a rule's next occurrences, or their times in UTC.
  local function starts(start, text, n, from, to)
    local found = {}
    for i, item in ipairs(coming(("DTSTART:%s;RRULE:%s for 1h"):format(start, text), { tz = "UTC" },
      start:gsub("^(%d%d%d%d)(%d%d)(%d%d)T.*", "%1-%2-%3T00:00Z"), n)) do
      found[i] = item:sub(from or 1, to or 10)
    end
    return table.concat(found, " ")
  end

  it("takes the days that pass all its parts", function()
    assert.are.equal("2026-04-10 2027-04-10 2028-04-09", starts("20260101T000000", "FREQ=YEARLY;BYYEARDAY=100;BYMONTH=4", 3))
    assert.are.equal("2028-04-09 2032-04-09", starts("20260101T000000", "FREQ=YEARLY;BYYEARDAY=100;BYMONTHDAY=9", 2))
    assert.are.equal("2026-12-31 2037-12-31", starts("20260101T000000", "FREQ=YEARLY;BYYEARDAY=-1;BYDAY=TH;BYMONTH=12", 2))
    assert.are.equal("2026-02-13 2026-03-13", starts("20260101T000000", "FREQ=MONTHLY;BYDAY=2FR;BYMONTHDAY=13", 2))
    assert.are.equal("2026-01-05 2026-01-13 2026-01-19", starts("20260101T000000", "FREQ=MONTHLY;BYDAY=1MO,2TU,3MO", 3))
    assert.are.equal("2026-01-05 2026-01-12 2026-01-13", starts("20260101T000000", "FREQ=MONTHLY;BYDAY=MO,2TU,1MO", 3))
    assert.are.equal("2026-12-28 2032-12-27", starts("20260101T000000", "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=12;BYDAY=MO", 2))
    assert.are.equal("2026-12-31 2032-12-31", starts("20260101T000000", "FREQ=YEARLY;BYWEEKNO=53;BYMONTHDAY=31", 2))
  end)

  it("counts a day once that two of its parts name", function()
    assert.are.equal("2026-01-31 2026-03-31", starts("20260101T000000", "FREQ=MONTHLY;BYMONTHDAY=30,31,-1;BYSETPOS=2", 2))
    assert.are.equal("2026-01-31 2026-02-28", starts("20260101T000000", "FREQ=MONTHLY;BYMONTHDAY=31,-1", 2))
    assert.are.equal("2026-12-31 2027-12-31", starts("20260101T000000", "FREQ=YEARLY;BYYEARDAY=365,-1", 2))
  end)

  it("counts its years by weeks from the week of its start", function()
    assert.are.equal("2027-01-01 2032-12-31", starts("20270101T000000", "FREQ=YEARLY;INTERVAL=2;BYWEEKNO=53;BYDAY=FR", 2))
    assert.are.equal("2025-12-30 2028-01-04", starts("20251230T000000", "FREQ=YEARLY;INTERVAL=2;BYWEEKNO=1;BYDAY=TU", 2))
  end)

  it("chooses among several times of a day, an hour, a minute by BYSETPOS", function()
    assert.are.equal("2026-01-01 17:30 2026-01-02 17:30",
      starts("20260101T000000", "FREQ=DAILY;BYHOUR=9,17;BYMINUTE=0,30;BYSETPOS=-1", 2, 1, 16))
    assert.are.equal("2026-01-02 09:00 2026-01-30 17:00",
      starts("20260101T000000", "FREQ=MONTHLY;BYDAY=FR;BYHOUR=9,17;BYSETPOS=1,-1", 2, 1, 16))
    assert.are.equal("2026-01-01 00:40", starts("20260101T000000", "FREQ=HOURLY;BYMINUTE=0,20,40;BYSETPOS=3;COUNT=1", 2, 1, 16))
    assert.are.equal("", starts("20260101T000000", "FREQ=SECONDLY;BYMINUTE=3;BYSETPOS=2", 2))
  end)

  it("reads second 60 as 59, and RSCALE=GREGORIAN as nothing", function()
    assert.are.equal("DTSTART:20260101T000059;RRULE:FREQ=DAILY;BYSECOND=0,59 for 1h",
      tostring(window.parse("DTSTART:20260101T000060;RRULE:RSCALE=GREGORIAN;FREQ=DAILY;SKIP=OMIT;BYSECOND=60,0,59 for 1h")))
    assert.matches("RSCALE cannot be 'CHINESE'",
      tostring(refusal(window.parse, "DTSTART:20260101T000000;RRULE:RSCALE=CHINESE;FREQ=YEARLY for 1h")))
  end)

  it("never refuses one that recurs never", function()
    assert.are.same({}, rule("FREQ=MONTHLY;BYMONTHDAY=-23;BYDAY=FR,SU,WE,TH,TU;BYSETPOS=3"))
    assert.are.same({}, rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;BYHOUR=1,2,3;BYMINUTE=4,5"))
  end)

  it("counts weeks as ISO 8601 does", function()
    local function days(text)
      local list = {}
      for i, item in ipairs(coming("DTSTART:19941119T120000;RRULE:FREQ=YEARLY;" .. text .. " for 1h", paris,
        "1994-11-19T00:00Z", 6)) do
        list[i] = item:sub(1, 10)
      end
      return table.concat(list, " ")
    end
    assert.are.equal("1995-01-01 1995-12-31 1996-12-29 1997-12-28 1998-12-27 2000-01-02", days("BYWEEKNO=52;BYDAY=SU"))
    assert.are.equal("1998-12-28 1999-01-03 2004-12-27 2005-01-02 2009-12-28 2010-01-03", days("BYWEEKNO=53;BYDAY=MO,SU"))
    assert.are.equal("1995-01-01 1995-12-31 1996-12-29 1997-12-28 1999-01-03 2000-01-02", days("BYWEEKNO=-1;BYDAY=SU"))
    assert.are.equal("1996-01-02 1997-12-30 2000-01-04 2002-01-01 2003-12-30 2006-01-03",
      days("INTERVAL=2;BYWEEKNO=1;BYDAY=TU"))
  end)

  it("ends with COUNT and UNTIL, in UTC and by the zone's clocks", function()
    assert.are.equal(2, #rule("FREQ=DAILY;COUNT=2", nil, 9))
    assert.are.equal(2, #rule("FREQ=DAILY;UNTIL=20261202T210000Z", nil, 9))
    assert.are.equal(1, #rule("FREQ=DAILY;UNTIL=20261202T205959Z", nil, 9))
    assert.are.equal(2, #rule("FREQ=DAILY;UNTIL=20261202T220000", nil, 9))
    assert.are.equal(2, #rule("FREQ=DAILY;UNTIL=20261202", nil, 9))
    assert.are.equal(0, #rule("FREQ=DAILY;COUNT=2", "2027-01-01T00:00Z", 9))
  end)

  it("counts what came before, with several times of day", function()
    assert.are.same({ "2026-12-03 07:00/2026-12-03 08:00" }, rule("FREQ=DAILY;BYHOUR=8,23;COUNT=4", "2026-12-03T00:00Z", 9))
  end)

  it("keeps to the zone's clocks", function()
    assert.are.same({ "2027-03-27 21:00/2027-03-27 22:00", "2027-03-28 20:00/2027-03-28 21:00" },
      rule("FREQ=DAILY", "2027-03-27T00:00Z", 2))
  end)

  for _, text in ipairs({
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=WEEKLY;BYDAY=SU;BYSETPOS=2", "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=MINUTELY;INTERVAL=60;BYMINUTE=7",
    "FREQ=SECONDLY;INTERVAL=2;BYSECOND=1", "FREQ=SECONDLY;INTERVAL=29989;BYMONTH=2;BYMONTHDAY=30",
  }) do
    it("that gives nothing ends: " .. text, function()
      assert.are.same({}, rule(text))
    end)
  end
end)

describe("windows of a script", function()
  it("take no other options", function()
    assert.has_error(function()
      window.new("Sun 02:00-04:00", { timezone = "UTC" })
    end)
    assert.has_error(function()
      window.new({}, { tz = "UTC" })
    end)
    refusal(window.new, "Sun 02:00-04:00", { tz = "Europe/Atlantis" })
  end)

  it("tell what is open, and what comes next", function()
    local sunday = window.new("Sun 02:00-04:00", paris)
    local opens = at("2026-11-29T02:00+01:00")
    assert.is_nil(sunday:open_at(opens - 1))
    assert.are.equal(opens, sunday:open_at(opens).opens)
    assert.are.equal(opens, sunday:open_at(opens + 7199.5).opens)
    assert.is_nil(sunday:open_at(opens + 7200))
    assert.are.equal(opens, sunday:next(opens - 1).opens)
    assert.are.equal(opens + 7 * 86400, sunday:next(opens).opens)
  end)
end)

describe("a script's windows", function()
  --- Run fn(clock) with a clock that only sleeping advances. `clock.set[instant] = other` sets it to another time when a
  -- sleep reaches that instant.
  local function with_clock(start, fn)
    local real = package.loaded["haplua.task"]
    local clock = { now = at(start), set = {} }
    package.loaded["haplua.task"] = {
      time = function()
        return clock.now
      end,
      sleep_until = function(instant)
        for when, other in pairs(clock.set) do
          if when >= clock.now and when <= instant then
            clock.set[when], clock.now = nil, other
            return clock.now >= instant
          end
        end
        clock.now = math.max(clock.now, instant)
        return true
      end,
    }
    local ok, problem = pcall(fn, clock)
    package.loaded["haplua.task"] = real
    assert(ok, problem)
  end

  local opens = at("2026-11-29T02:00+01:00")

  it("are entered as they open, and left at their end: a year of Sundays", function()
    with_clock("2026-01-01T00:00Z", function(clock)
      local n = 0
      for occurrence in window.each("Sun 02:00-04:00", paris) do
        if occurrence.opens > at("2027-01-01T00:00Z") then
          break
        end
        n = n + 1
        assert.are.equal(occurrence.opens, clock.now)
        assert.is_true(occurrence:wait())
        assert.are.equal(occurrence.closes, clock.now)
      end
      assert.are.equal(52, n)
    end)
  end)

  it("are entered at once when they are open", function()
    with_clock("2026-11-29T03:00+01:00", function(clock)
      local occurrence = window.each("Sun 02:00-04:00", paris)()
      assert.are.equal(at("2026-11-29T03:00+01:00"), clock.now)
      assert.are.equal(opens, occurrence.opens)
    end)
  end)

  it("that were left early are not entered again", function()
    with_clock("2026-11-29T03:00+01:00", function(clock)
      local each = window.each("Sun 02:00-04:00", paris)
      each()
      clock.now = clock.now + 60
      assert.are.equal(opens + 7 * 86400, each().opens)
      assert.are.equal(opens + 7 * 86400, clock.now)
    end)
  end)

  it("come to an end when nothing comes any more", function()
    with_clock("2026-11-29T00:00Z", function()
      local n = 0
      for _ in window.each({ "2026-11-29T02:00 for 1h", "2026-11-30T02:00 for 1h", "2020-01-01T02:00 for 1h" }, paris) do
        n = n + 1
      end
      assert.are.equal(2, n)
    end)
  end)

  it("are looked for again when the clock is set while one is waited for", function()
    with_clock("2026-11-23T00:00Z", function(clock)
      -- forward into a window, and past one
      clock.set[at("2026-11-24T00:00Z")] = at("2026-11-29T03:30+01:00")
      local each = window.each("Sun 02:00-04:00", paris)
      assert.are.equal(opens, each().opens)
      assert.are.equal(at("2026-11-29T03:30+01:00"), clock.now)
      clock.set[at("2026-12-01T00:00Z")] = at("2026-12-10T00:00Z")
      assert.are.equal(opens + 14 * 86400, each().opens)
      assert.are.equal(opens + 14 * 86400, clock.now)
    end)
  end)

  it("are not entered twice when the clock is set back by seconds, but are when by days", function()
    with_clock("2026-11-29T00:00Z", function(clock)
      local each = window.each("Sun 02:00-04:00", paris)
      local first = each()
      clock.now = opens - 2
      clock.set[opens + 10] = opens - 3
      assert.is_true(first:wait())
      assert.are.equal(first.closes, clock.now)
      clock.set[first.closes + 10] = opens - 86400
      assert.are.equal(opens, each().opens)
      assert.are.equal(opens, clock.now)
    end)
  end)

  it("are left when the clock is set to before them, or behind them", function()
    with_clock("2026-11-29T00:00Z", function(clock)
      local occurrence = window.each("Sun 02:00-04:00", paris)()
      clock.set[opens + 600] = opens - 3600
      assert.is_false(occurrence:wait())
      assert.are.equal(opens - 3600, clock.now)
      clock.now = opens
      clock.set[opens + 600] = opens + 86400
      assert.is_true(occurrence:wait())
      assert.are.equal(opens + 86400, clock.now)
    end)
  end)

  it("run on the real clock", function()
    local start = math.floor(task.time()) + 1
    for occurrence in window.each(require("haplua.time.civil").text(start) .. "Z for 600s", { tz = "UTC" }) do
      assert.is_true(task.time() >= occurrence.opens)
      assert.are.equal(start, occurrence.opens)
    end
  end)

  it("take a window that was made before, without options", function()
    local past = window.new("2020-01-01T00:00Z for 1h", { tz = "UTC" })
    for _ in window.each(past) do
      error("it is over")
    end
    assert.has_error(function()
      window.each(past, { tz = "UTC" })
    end)
  end)
end)

describe("task.sleep_until", function()
  it("returns when the wall clock shows it, and at once when it has", function()
    local at_ = task.time() + 0.05
    assert.is_true(task.sleep_until(at_))
    assert.is_true(task.time() >= at_)
    assert.is_true(task.sleep_until(0))
    assert.is_true(task.sleep_until(-1000))
  end)

  it("is cut short by what ends a task", function()
    local sleeper = task.spawn(task.sleep_until, task.time() + 100000)
    task.sleep(0)
    sleeper:cancel()
    local _, problem = pcall(sleeper.wait, sleeper)
    assert.are.equal("interrupted", problem.kind)
    _, problem = pcall(task.deadline, 0.02, task.sleep_until, task.time() + 100000)
    assert.are.equal("timeout", problem.kind)
  end)

  it("takes seconds since 1970", function()
    for _, value in ipairs({ "soon", 1e300, -1e300, 0 / 0 }) do
      assert.has_error(function()
        task.sleep_until(value)
      end)
    end
  end)
end)

describe("haplua window", function()
  local script = "scripts/window.lua"

  it("lists the coming occurrences, in the zone and in UTC", function()
    local found = support.haplua({ script, "next", "Sun 02:00-04:00", "--tz", "Europe/Paris", "-n", "2",
      "--at", "2026-10-20T00:00" })
    assert.are.equal("Sun 2026-10-25 02:00 +02:00  Sun 2026-10-25 04:00 +01:00  2026-10-25T00:00Z/2026-10-25T03:00Z\n"
      .. "Sun 2026-11-01 02:00 +01:00  Sun 2026-11-01 04:00 +01:00  2026-11-01T01:00Z/2026-11-01T03:00Z\n", found.out, found.err)
    assert.are.equal(0, found.status)
  end)

  it("lists them for programs", function()
    local found = support.haplua({ script, "next", "Sun 02:00-04:00", "--tz=Europe/Paris", "-n", "1", "--json",
      "--at=2026-10-20T00:00Z", "--except", "2026-10-25" })
    assert.are.same({ {
      opens = "2026-11-01T02:00:00+01:00", closes = "2026-11-01T04:00:00+01:00", opens_utc = "2026-11-01T01:00:00Z",
      closes_utc = "2026-11-01T03:00:00Z", seconds = 7200, windows = { "Sun 02:00-04:00" }, zone = "Europe/Paris",
    } }, require("haplua.json").decode(found.out))
  end)

  it("says by its status whether one is open", function()
    for time, status in pairs({ ["01:59"] = 1, ["02:00"] = 0, ["03:59"] = 0, ["04:00"] = 1 }) do
      local found = support.haplua({ script, "check", "Sun 02:00-04:00", "--tz", "Europe/Paris", "--at", "2026-11-29T" .. time })
      assert.are.equal(status, found.status, time)
      assert.matches(status == 0 and "^open" or "^closed", found.out)
    end
    local found = support.haplua({ script, "check", "Sun 02:00-04:00", "--tz", "Europe/Paris", "--json",
      "--at", "2026-11-29T03:00" })
    local answer = require("haplua.json").decode(found.out)
    assert.is_true(answer.open)
    assert.are.equal("2026-11-29T04:00:00+01:00", answer.occurrence.closes)
  end)

  it("has another status for what it cannot understand", function()
    for _, words in ipairs({
      { "check", "Sun 02:00-02:00" }, { "check" }, { "check", "Sun 02:00-04:00", "--tz", "Europe/Atlantis" },
      { "check", "Sun 02:00-04:00", "--at", "tomorrow" }, { "check", "Sun 02:00-04:00", "--except", "never" },
      { "next", "Sun 02:00-04:00", "-n", "0" }, { "next", "--calendar", "/nonexistent.ics" },
    }) do
      local found = support.haplua({ script, table.unpack(words) })
      assert.are.equal(2, found.status, table.concat(words, " ") .. found.err)
      assert.are.equal("", found.out)
    end
    local found = support.haplua({ script, "check", "Sun 02:00-02:00" })
    assert.matches("\n  Sun 02:00%-02:00\n            %^\n$", found.err)
  end)

  it("takes calendars whatever their names are, and may leave out what it cannot read", function()
    local folder <close> = support.folder()
    local text = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261201T020000Z\nDTEND:20261201T040000Z\nSUMMARY:upgrade\nEND:VEVENT\n"
      .. "BEGIN:VEVENT\nSUMMARY:broken\nEND:VEVENT\nEND:VCALENDAR\n"
    local plain, named = folder.write("office", text), folder.write("office.ics", text)
    local at_ = { "--tz", "UTC", "--at", "2026-12-01T03:00" }
    for _, words in ipairs({ { "--calendar", plain }, { named } }) do
      local asked = { "--lenient", "check", table.unpack(words) }
      table.move(at_, 1, #at_, #asked + 1, asked)
      local found = support.haplua({ script, table.unpack(asked) })
      assert.are.equal(0, found.status, found.err)
      assert.matches("^left out: [^\n]*:7: an event without DTSTART", found.err)
      assert.matches(": upgrade\n$", found.out)
      table.remove(asked, 1)
      assert.are.equal(2, support.haplua({ script, table.unpack(asked) }).status)
    end
  end)

  it("has that status for a script of one's own, too, without the script's lines", function()
    for _, call in ipairs({ 'new("Sun 02:00-02:00")', 'hold("Sun 02:00-02:00")', 'hold({})', 'parse("x")', 'instant("x")',
      'intervals("/nonexistent")', 'hold({}, { calendars = { "/nonexistent" } })' }) do
      local found = support.haplua({ "-e", 'require("haplua.window").' .. call })
      assert.are.equal(2, found.status, call .. found.err)
      assert.is_nil(found.err:find("raised at", 1, true), found.err)
    end
  end)

  it("says when nothing comes any more", function()
    local found = support.haplua({ script, "next", "2020-01-01T00:00Z for 1h" })
    assert.are.equal(1, found.status)
    assert.matches("any more", found.err)
  end)
end)
