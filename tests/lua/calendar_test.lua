-- SPDX-License-Identifier: MIT

local calendar = require("haplua.calendar")
local civil = require("haplua.time.civil")
local ical = require("haplua.ical.text")
local occurrences = require("occurrences")
local support = require("support")
local window = require("haplua.window")

--- A calendar of these components.
local function file(...)
  return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n" .. table.concat({ ... }, "\r\n") .. "\r\nEND:VCALENDAR\r\n"
end

--- An event of these lines.
local function event(...)
  return "BEGIN:VEVENT\r\n" .. table.concat({ ... }, "\r\n") .. "\r\nEND:VEVENT"
end

--- The first n occurrences in UTC, from the beginning of December 2026 on.
local function coming(text, n, options, tz)
  return occurrences.coming(calendar.parse(text, options), { tz = tz or "Europe/Paris" }, "2026-12-01T00:00Z", n)
end

local function refusal(text, options)
  return support.refusal(calendar.parse, text, options)
end

local weekly = {
  "UID:1", "SUMMARY:Weekly maintenance", "DTSTART;TZID=Europe/Paris:20261206T020000",
  "DTEND;TZID=Europe/Paris:20261206T040000", "RRULE:FREQ=WEEKLY",
}

local function weekly_and(...)
  return event(table.unpack(table.move({ ... }, 1, select("#", ...), #weekly + 1, { table.unpack(weekly) })))
end

describe("an event with COUNT", function()
  -- begun in 2020, and not over in December 2026: a period without a time does not count
  for _, case in ipairs({
    { "20200229", "FREQ=YEARLY;COUNT=3", "2028-02-29" },
    { "20200131", "FREQ=MONTHLY;COUNT=49", "2026-12-31" },
    { "20200329", "FREQ=MONTHLY;BYDAY=5SU;COUNT=30", "2027-01-31" },
    { "20200329", "FREQ=MONTHLY;BYDAY=SU;BYSETPOS=5;COUNT=30", "2027-01-31" },
    { "20200106", "FREQ=WEEKLY;BYMONTH=12;COUNT=28", "2026-12-07" },
    { "20200106", "FREQ=DAILY;BYDAY=MO;COUNT=362", "2026-12-07" },
    { "20200106", "FREQ=WEEKLY;BYDAY=MO;COUNT=362", "2026-12-07" },
    { "20190107", "FREQ=MONTHLY;BYDAY=1MO;COUNT=96", "2026-12-07" },
  }) do
    it("lasts to its last time: " .. case[2], function()
      local list = coming(file(event("DTSTART;VALUE=DATE:" .. case[1], "RRULE:" .. case[2])), 1, nil, "UTC")
      assert.equal(case[3], list[1]:sub(1, 10))
    end)
  end
end)

describe("a calendar's event", function()
  it("has its times in its zone, in UTC, or in the zone of the windows", function()
    assert.are.same({ "2026-12-06 01:00/2026-12-06 02:00" }, coming(file(event(
      "DTSTART;TZID=Europe/Paris:20261206T020000", "DTEND;TZID=Europe/Paris:20261206T030000")), 2, nil, "Asia/Tokyo"))
    assert.are.same({ "2026-12-06 02:00/2026-12-06 03:00" }, coming(file(event(
      "DTSTART:20261206T020000Z", "DTEND:20261206T030000Z")), 2, nil, "Asia/Tokyo"))
    assert.are.same({ "2026-12-05 17:00/2026-12-05 18:00" }, coming(file(event(
      "DTSTART:20261206T020000", "DTEND:20261206T030000")), 2, nil, "Asia/Tokyo"))
    assert.are.same({ "2026-12-06 01:00/2026-12-06 08:00" }, coming(file(event(
      "DTSTART;TZID=Europe/Paris:20261206T020000", "DTEND;TZID=America/New_York:20261206T030000")), 2))
  end)

  it("lasts to its DTEND, for its DURATION, or all day", function()
    assert.are.same({ "2026-12-06 01:00/2026-12-06 03:30" }, coming(file(event(
      "DTSTART;TZID=Europe/Paris:20261206T020000", "DURATION:PT2H30M")), 2))
    assert.are.same({ "2026-12-24 23:00/2026-12-25 23:00" }, coming(file(event("DTSTART;VALUE=DATE:20261225")), 2))
    assert.are.same({ "2026-12-24 23:00/2026-12-26 23:00" }, coming(file(event(
      "DTSTART;VALUE=DATE:20261225", "DTEND;VALUE=DATE:20261227")), 2))
    assert.are.same({}, coming(file(event("DTSTART:20261225T020000")), 2))
    assert.are.same({}, coming(file(event("DTSTART:20261225T020000", "RRULE:FREQ=WEEKLY")), 2))
  end)

  it("counts DURATION's days by the calendar, and its hours as they pass", function()
    local function lasting(duration)
      return coming(file(event("DTSTART;TZID=Europe/Paris:20270327T120000", "DURATION:" .. duration)), 1)[1]
    end
    assert.are.equal("2027-03-27 11:00/2027-03-28 10:00", lasting("P1D"))
    assert.are.equal("2027-03-27 11:00/2027-03-28 11:00", lasting("PT24H"))
    assert.are.equal("2027-03-27 11:00/2027-04-03 10:00", lasting("P1W"))
    assert.are.equal("2027-03-27 11:00/2027-03-28 11:30:05", lasting("P1DT1H30M5S"))
  end)

  it("recurs by its RRULE, at its wall-clock times", function()
    local list = coming(file(weekly_and()), 20)
    assert.are.equal("2026-12-06 01:00/2026-12-06 03:00", list[1])
    assert.are.equal("2027-03-21 01:00/2027-03-21 03:00", list[16])
    assert.are.equal("2027-03-28 01:00/2027-03-28 02:00", list[17])
    assert.are.equal("2027-04-04 00:00/2027-04-04 02:00", list[18])
    assert.are.same({ "2026-12-08 01:00/2026-12-08 02:00", "2027-01-12 01:00/2027-01-12 02:00" }, coming(file(event(
      "DTSTART;TZID=Europe/Paris:20261208T020000", "DURATION:PT1H", "RRULE:FREQ=MONTHLY;BYDAY=2TU")), 2))
  end)

  it("has further dates by RDATE, and fewer by EXDATE", function()
    assert.are.same({ "2026-12-09 01:00/2026-12-09 03:00", "2026-12-11 08:00/2026-12-11 09:00",
      "2026-12-20 01:00/2026-12-20 03:00" }, coming(file(weekly_and(
      "EXDATE;TZID=Europe/Paris:20261206T020000,20261213T020000",
      "RDATE;TZID=Europe/Paris:20261209T020000",
      "RDATE;VALUE=PERIOD:20261211T080000Z/PT1H")), 3))
    assert.are.same({ "2026-12-13 01:00/2026-12-13 03:00" }, coming(file(weekly_and("EXDATE:20261206T010000Z")), 1))
    assert.are.same({ "2026-12-13 01:00/2026-12-13 03:00" }, coming(file(weekly_and("EXDATE;VALUE=DATE:20261206")), 1))
  end)

  it("is moved, and taken away, by RECURRENCE-ID", function()
    local moved = event("UID:1", "SUMMARY:Weekly maintenance", "RECURRENCE-ID;TZID=Europe/Paris:20261206T020000",
      "DTSTART;TZID=Europe/Paris:20261207T030000", "DTEND;TZID=Europe/Paris:20261207T040000")
    local away = event("UID:1", "RECURRENCE-ID:20261213T010000Z", "STATUS:CANCELLED",
      "DTSTART;TZID=Europe/Paris:20261213T020000")
    for _, text in ipairs({ file(weekly_and(), moved, away), file(away, moved, weekly_and()) }) do
      assert.are.same({ "2026-12-07 02:00/2026-12-07 03:00", "2026-12-20 01:00/2026-12-20 03:00" }, coming(text, 2))
    end
  end)

  it("that is cancelled is none", function()
    assert.are.same({}, coming(file(weekly_and("STATUS:CANCELLED")), 1))
  end)

  it("is the one with the higher SEQUENCE", function()
    local old = event("UID:9", "SEQUENCE:1", "DTSTART:20261206T020000Z", "DURATION:PT1H")
    local new = event("UID:9", "SEQUENCE:10", "DTSTART:20261207T020000Z", "DURATION:PT1H")
    assert.are.same({ "2026-12-07 02:00/2026-12-07 03:00" }, coming(file(old, new), 5))
    assert.are.same({ "2026-12-07 02:00/2026-12-07 03:00" }, coming(file(new, old), 5))
  end)

  it("counts if its summary has the text", function()
    local both = file(weekly_and(), event("UID:2", "SUMMARY:Lunch\\, all hands", "DTSTART:20261202T110000Z", "DURATION:PT1H"))
    assert.are.same({ "2026-12-02 11:00/2026-12-02 12:00" }, coming(both, 1))
    assert.are.same({ "2026-12-06 01:00/2026-12-06 03:00" }, coming(both, 1, { match = "MAINTENANCE" }))
    assert.are.same({ "2026-12-02 11:00/2026-12-02 12:00" }, coming(both, 1, { match = "lunch, all" }))
    assert.are.same({}, coming(both, 1, { match = "%" }))
    local found = window.new(calendar.parse(both), { tz = "UTC" }):next(civil.day(2026, 12, 1) * 86400)
    assert.are.same({ "Lunch, all hands" }, found.names)
  end)

  for _, case in ipairs({
    { "Größere Wartung", "GRÖSSERE", false }, { "Größere Wartung", "gRÖßERE w", true }, { "ОБСЛУЖИВАНИЕ", "обслуж", true },
    { "a\\\\Eé", "\\EÉ", true }, { "é(x)", "É(X", true }, { "\255é", "é", false },
  }) do
    it(("counts by letters of every script: %s, %s"):format(case[1]:gsub("\255", "?"), case[2]), function()
      local text = file(event("SUMMARY:" .. case[1], "DTSTART:20261202T110000Z", "DURATION:PT1H"))
      assert.are.equal(case[3] and 1 or 0, #coming(text, 1, { match = case[2] }))
    end)
  end

  it("has a name that a terminal can show", function()
    local found = window.new(calendar.parse(file(event("SUMMARY:\27[2Jred\7\255", "DTSTART:20261202T110000Z", "DURATION:PT1H"))),
      { tz = "UTC" }):next(civil.day(2026, 12, 1) * 86400)
    assert.are.same({ "\\x1b[2Jred\\x07\\xff" }, found.names)
  end)

  it("is not mixed up with its alarm", function()
    assert.are.same({ "2026-12-06 02:00/2026-12-06 03:00" }, coming(file(event("DTSTART:20261206T020000Z",
      "BEGIN:VALARM", "TRIGGER:-PT15M", "DURATION:PT5M", "REPEAT:2", "END:VALARM", "DURATION:PT1H")), 1))
  end)
end)

describe("a calendar's zone", function()
  local own = table.concat({
    "BEGIN:VTIMEZONE", "TZID:%s", "BEGIN:DAYLIGHT", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200",
    "DTSTART:19700329T020000", "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", "END:DAYLIGHT", "BEGIN:STANDARD",
    "TZOFFSETFROM:+0200", "TZOFFSETTO:+0100", "DTSTART:19701025T030000",
    "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU", "END:STANDARD", "END:VTIMEZONE",
  }, "\r\n")

  local function in_zone(tzid, ...)
    return coming(file(..., event("DTSTART;TZID=" .. tzid .. ":20270329T020000", "DURATION:PT1H", "RRULE:FREQ=MONTHLY")), 9)
  end

  it("is known by its name, also at the end of a path", function()
    local expected = in_zone("Europe/Paris", "X-A:1")
    assert.are.equal("2027-03-29 00:00/2027-03-29 01:00", expected[1])
    assert.are.same(expected, in_zone("/freeassociation.sourceforge.net/Europe/Paris", "X-A:1"))
  end)

  it("is taken from the file where it has another name", function()
    local expected = in_zone("Europe/Paris", "X-A:1")
    assert.are.equal("2027-11-29 01:00/2027-11-29 02:00", expected[9])
    assert.are.same(expected, in_zone("Romance Standard Time", own:format("Romance Standard Time")))
    assert.are.same(expected, in_zone('"Paris, the one in France"', own:format("Paris, the one in France")))
  end)

  it("is refused where nobody knows it", function()
    local problem = refusal(file(event("DTSTART;TZID=Romantic Standard Time:20270329T020000", "DURATION:PT1H")),
      { name = "office.ics" })
    assert.are.equal("office.ics:4: no zone 'Romantic Standard Time': it is a name neither of IANA nor of Windows, and the "
      .. "file has no VTIMEZONE for it", tostring(problem))
  end)
end)

it("events that open together are named in one order: those that occur once, then those that recur", function()
  local function at(name, ...)
    return event("UID:" .. name, "SUMMARY:" .. name, "DURATION:PT1H", ...)
  end
  local text = file(at("a", "DTSTART:20261204T100000Z", "RRULE:FREQ=WEEKLY"), at("b", "DTSTART:20261211T100000Z"),
    at("c", "DTSTART:20261106T100000Z", "RRULE:FREQ=WEEKLY"), at("d", "DTSTART:20261211T100000Z"))
  local orders = {}
  for occurrence in window.new(calendar.parse(text), { tz = "UTC" }):occurrences(occurrences.at("2026-12-01T00:00Z")) do
    orders[#orders + 1] = table.concat(occurrence.names, " ")
    if #orders == 3 then
      break
    end
  end
  assert.are.same({ "a c", "b d a c", "a c" }, orders)
end)

describe("a calendar's text", function()
  it("may be folded, with either end of line and a byte order mark", function()
    local text = file(weekly_and()):gsub("DTSTART", "DTS\r\n TART"):gsub("maintenance", "mainte\r\n\tnance")
    assert.are.equal("2026-12-06 01:00/2026-12-06 03:00", coming(text, 1, { match = "maintenance" })[1])
    assert.are.equal("2026-12-06 01:00/2026-12-06 03:00", coming("\239\187\191" .. text:gsub("\r", ""), 1)[1])
  end)

  it("may have rests of a folded line after BEGIN or END, and a BEGIN or END may be folded", function()
    local alarm = "BEGIN:VALARM\r\n rest\r\nEND:VALARM\r\n"
    local text = file(weekly_and()):gsub("BEGIN:VEVENT", "%0\r\n  the rest: a", 1)
    text = text:gsub("END:VEVENT", alarm .. "%0\n\n\trest", 1)
    assert.are.equal("2026-12-06 01:00/2026-12-06 03:00", coming(text, 1)[1])
    text = file(weekly_and()):gsub("VCALENDAR", "VCAL\r\n ENDAR"):gsub("END:VEV", "E\r\n ND:VEV\r\n ")
    assert.are.equal("2026-12-06 01:00/2026-12-06 03:00", coming(text, 1)[1])
  end)

  for _, case in ipairs({
    { "", 1 },
    { "hello", 1 },
    { "\0", 1 },
    { "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20261206T020000Z\n", 2 },
    { "BEGIN:VCALENDAR\nEND:VEVENT\n", 2 },
    { "END:VCALENDAR\n", 1 },
    { file(event("SUMMARY:no start")), 3 },
    { file(event("DTSTART:20261306T020000Z")), 4 },
    { file(event("DTSTART:tomorrow")), 4 },
    { file(event("DTSTART;TZID:20261206T020000")), 4 },
    { file(event("DTSTART")), 4 },
    { file(event("DTSTART:20261206T020000Z", "DTEND:20261206T010000Z")), 3 },
    { file(event("DTSTART:20261206T020000Z", "DTEND:20261206T030000")), 5 },
    { file(event("DTSTART:20261206T020000Z", "DURATION:-PT1H")), 5 },
    { file(event("DTSTART:20261206T020000Z", "DURATION:PT")), 5 },
    { file(event("DTSTART:20261206T020000Z", "DURATION:P9999D")), 3 },
    { file(event("DTSTART:20261206T020000Z", "RRULE:FREQ=NEVER")), 5 },
    { file(event("DTSTART:20261206T020000Z", "EXRULE:FREQ=DAILY")), 5 },
    { file(event("DTSTART:20261206T020000Z", "EXDATE:x")), 5 },
    { file(event("DTSTART:20261206T020000Z", "RECURRENCE-ID;RANGE=THISANDPRIOR:20261206T020000Z")), 5 },
    { file(event('DTSTART;X="A;TZID=Europe/Paris:20261206T020000')), 4 },
    { file(event("DTSTART:20261206T020000Z", "RECURRENCE-ID;TZID=Mars:20261206T020000")), 5 },
    { "BEGIN:VCARD\nVERSION:4.0\nEND:VCARD\n", 1 },
    { "BEGIN:VEVENT\nDTSTART:20261206T020000Z\nEND:VEVENT\n", 1 },
    { "\255\254B\0E\0G\0I\0N\0", 1 },
    { file("BEGIN:VTIMEZONE", "TZID:X", "END:VTIMEZONE", event("DTSTART;TZID=X:20261206T020000")), 3 },
    { ("BEGIN:A\n"):rep(100000), 8 },
  }) do
    it("is refused at its line: " .. case[1]:sub(-60):gsub("%c+", " "), function()
      assert.are.equal(case[2], refusal(case[1]).line)
    end)
  end

  it("is bounded in size", function()
    assert.matches("MiB", tostring(refusal((" "):rep(ical.SIZE_MAX + 1))))
    local many = {}
    for i = 1, 20001 do
      many[i] = "BEGIN:VEVENT\nDTSTART:20261206T020000Z\nEND:VEVENT"
    end
    local problem = refusal("BEGIN:VCALENDAR\n" .. table.concat(many, "\n") .. "\nEND:VCALENDAR")
    assert.matches("more than 20000 events", tostring(problem))
  end)

  it("cannot make the reader fail otherwise, whatever it is", function()
    local text = file(weekly_and("EXDATE;TZID=Europe/Paris:20261206T020000", "RDATE:20261209T020000Z"),
      event("DTSTART;VALUE=DATE:20261225", "DURATION:P1DT1H"))
    local pieces = {
      "", ":", ";", "\r\n", "\r\n ", "=", "9", "-", "T", "Z", ",", "\"", "BEGIN:VEVENT\r\n", "END:VEVENT\r\n", "\255",
    }
    local random, accepted = support.random(7), 0
    for _ = 1, 3000 do
      local damaged = text
      for _ = 1, random(3) do
        local at = random(#damaged)
        damaged = damaged:sub(1, at - 1) .. pieces[random(#pieces)] .. damaged:sub(at + random(3) - 1)
      end
      local ok, problem = pcall(coming, damaged, 3)
      accepted = accepted + (ok and 1 or 0)
      assert.is_true(ok or require("haplua.error").is(problem), tostring(problem) .. "\n" .. damaged)
    end
    assert.is_true(accepted > 100 and accepted < 2900, "accepted " .. accepted)
  end)

  it("may hold rules that give nothing, or too much", function()
    assert.are.same({}, coming(file(event("DTSTART:20261206T020000Z", "DURATION:PT1H",
      "RRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")), 1))
    assert.are.equal(3, #coming(file(event("DTSTART:20261206T020000Z", "DURATION:PT1H",
      "RRULE:FREQ=DAILY;COUNT=999999999")), 3))
  end)
end)

describe("a calendar on the disk", function()
  local function listing(...)
    return support.haplua({ "scripts/window.lua", "next", "--tz", "Europe/Paris", "--at", "2026-12-01T00:00", ... })
  end

  it("is a file, or the files of a folder", function()
    local folder <close> = support.folder()
    local path = folder.write("b.ics", file(weekly_and()))
    folder.write("A.ICS", file(event("UID:2", "SUMMARY:Lunch", "DTSTART:20261202T110000Z", "DURATION:PT1H")))
    folder.write("c.txt", "no calendar")
    local found = listing("--calendar", path, "-n", "1")
    assert.are.equal("Sun 2026-12-06 02:00 +01:00  Sun 2026-12-06 04:00 +01:00  2026-12-06T01:00Z/2026-12-06T03:00Z"
      .. "  Weekly maintenance\n", found.out, found.err)
    found = listing("--calendar", folder.path, "-n", "2")
    assert.matches("Lunch\n.*Weekly maintenance\n$", found.out)
    found = listing("--calendar", folder.path, "--match", "lunch")
    assert.matches("Lunch\n$", found.out)
    found = listing("--calendar", folder.path, "Thu 02:00-03:00", "--except", "2026-12-02", "-n", "2")
    assert.matches("Thu 02:00%-03:00\n.*Weekly maintenance\n$", found.out)
  end)

  it("has a stamp that changes with it", function()
    local folder <close> = support.folder()
    local path = folder.write("a.ics", file(weekly_and()))
    local stamps = { calendar.stamp(folder.path), calendar.stamp(path) }
    assert.are.equal(stamps[1], calendar.stamp(folder.path))
    folder.write("a.ics", file(weekly_and("X-A:1")))
    assert.are_not.equal(stamps[1], calendar.stamp(folder.path))
    assert.are_not.equal(stamps[2], calendar.stamp(path))
    stamps[1] = calendar.stamp(folder.path)
    folder.write("b.ics", file(weekly_and()))
    assert.are_not.equal(stamps[1], calendar.stamp(folder.path))
    assert.is_nil(calendar.stamp(folder.path .. "/none"))
  end)

  it("is read without the events that cannot be read where --lenient says so", function()
    local folder <close> = support.folder()
    local path = folder.write("some.ics", file(weekly_and(), event("UID:2", "SUMMARY:no start")))
    assert.are.equal(2, listing("--calendar", path).status)
    local found = listing("--calendar", path, "--lenient", "-n", "1")
    assert.matches("Weekly maintenance\n$", found.out)
    assert.matches("left out: .*some.ics:10: an event without DTSTART\n$", found.err)
    found = listing("daily 01:00-02:00", "--except", path, "--lenient", "-n", "1")
    assert.matches("left out: .*some.ics:10", found.err)
  end)

  it("that recurs too often is refused, and is not closed", function()
    local rule = "DTSTART:20261101T000000;RRULE:FREQ=SECONDLY;INTERVAL=2 for 1s"
    for _, command in ipairs({ "next", "check" }) do
      local found = support.haplua({ "scripts/window.lua", command, "--tz", "UTC", rule, "--except", "daily 00:00-24:00" })
      assert.are.equal(2, found.status)
      assert.matches("recurs too often", found.err)
      assert.are.equal("", found.out)
    end
  end)

  it("that cannot be read is refused with another status", function()
    local folder <close> = support.folder()
    assert.are.equal(2, listing("--calendar", folder.path .. "/none.ics").status)
    local found = listing("--calendar", folder.write("bad.ics", file(event("SUMMARY:x"))))
    assert.are.equal(2, found.status)
    assert.matches("bad.ics:3: an event without DTSTART", found.err)
  end)
end)
