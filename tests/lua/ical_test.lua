-- SPDX-License-Identifier: MIT

-- Calendars as programs write them: each describe is a kind of line or of event, with its variants.

local calendar = require("haplua.calendar")
local occurrences = require("occurrences")
local support = require("support")
local window = require("haplua.window")

--- A calendar of these components.
local function file(...)
  return "BEGIN:VCALENDAR\r\n" .. table.concat({ ... }, "\r\n") .. "\r\nEND:VCALENDAR\r\n"
end

--- An event of these lines.
local function event(...)
  return "BEGIN:VEVENT\r\n" .. table.concat({ ... }, "\r\n") .. "\r\nEND:VEVENT"
end

--- The first n occurrences in UTC, from the beginning of 2026 on.
local function coming(text, tz, n, options)
  return occurrences.coming(calendar.parse(text, options), { tz = tz or "UTC" }, "2026-01-01T00:00Z", n or 9)
end

--- Likewise: only the beginnings, of all their text from one place to another.
local function opening(text, tz, from, to)
  local list = coming(text, tz)
  for i, item in ipairs(list) do
    list[i] = item:match("^[^/]*"):sub(from or 6, to or 16)
  end
  return table.concat(list, " ")
end

local function zone(tzid, ...)
  return "BEGIN:VTIMEZONE\r\nTZID:" .. tzid .. "\r\n" .. table.concat({ ... }, "\r\n") .. "\r\nEND:VTIMEZONE"
end

--- An observance that begins at a time, and by further lines.
local function observance(name, start, from, to, ...)
  return ("BEGIN:%s\r\nDTSTART:%s\r\nTZOFFSETFROM:%s\r\nTZOFFSETTO:%s\r\n%s\r\nEND:%s"):format(name, start, from, to,
    table.concat({ "X-A:1", ... }, "\r\n"), name)
end

--- The two observances of Central Europe, from a year on.
local function european(year)
  return observance("STANDARD", year .. "0101T030000", "+0200", "+0100", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10"),
    observance("DAYLIGHT", year .. "0101T020000", "+0100", "+0200", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3")
end

local function monthly_in(tzid)
  return event("DTSTART;TZID=" .. tzid .. ":20260101T020000", "DURATION:PT1H", "RRULE:FREQ=MONTHLY;INTERVAL=3")
end

describe("a VTIMEZONE", function()
  for _, year in ipairs({ "1601", "1883", "1970", "2020" }) do
    it("changes in each year since " .. year, function()
      local there = zone("Here", european(year))
      assert.are.equal("01-01 01:00 04-01 00:00 07-01 00:00 10-01 00:00", opening(file(there, monthly_in("Here"))):sub(1, 47))
      local far = window.new(calendar.parse(file(there, monthly_in("Here"))), { tz = "UTC" })
      assert.are.equal("2426-07-01 00:00", occurrences.utc(far:next(occurrences.at("2426-06-01T00:00Z")).opens))
      assert.are.equal("2426-01-01 01:00", occurrences.utc(far:next(occurrences.at("2425-12-31T00:00Z")).opens))
    end)
  end

  it("ends its rules by UNTIL in UTC", function()
    local standard = "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10;UNTIL=20251026T%s"
    for at, expected in pairs({ ["010000Z"] = "01-01 01:00", ["005959Z"] = "01-01 00:00", ["020000"] = "01-01 00:00" }) do
      local there = zone("Here", observance("STANDARD", "20001029T030000", "+0200", "+0100", standard:format(at)),
        observance("DAYLIGHT", "20000326T020000", "+0100", "+0200", "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3;COUNT=26"))
      assert.are.equal(expected, opening(file(there, monthly_in("Here"))):sub(1, 11), at)
    end
  end)

  for _, offset in ipairs({ "+2400", "-9900", "+0060", "+010060", "+1", "0100", "+01:00" }) do
    it("is refused where its offset is " .. offset, function()
      local there = zone("Here", observance("STANDARD", "20000101T000000", "+0000", offset))
      assert.matches("^calendar:%d+: TZOFFSETTO cannot be '" .. offset:gsub("%p", "%%%0") .. "'; %+0100 is an offset",
        tostring(support.refusal(calendar.parse, file(there, monthly_in("Here")))))
    end)
  end

  it("changes by RDATE, in local time and in UTC", function()
    local there = zone("Here", observance("STANDARD", "20000101T000000", "+0000", "+0000",
        "RDATE:20260401T010000,20270101T000000"),
      observance("DAYLIGHT", "20260201T000000", "+0000", "+0100", "RDATE:20260501T000000Z"))
    local daily = event("DTSTART;TZID=Here:20260131T120000", "DURATION:PT1H", "RRULE:FREQ=DAILY;BYMONTHDAY=1,31;COUNT=6")
    assert.are.equal("12:00 11:00 11:00 11:00 12:00 11:00", opening(file(there, daily), nil, 12, 16))
  end)
end)

describe("a name of a zone", function()
  local paris = "01-01 01:00 04-01 00:00 07-01 00:00 10-01 00:00"

  for _, name in ipairs({
    "Europe/Paris", "/Europe/Paris", '"Europe/Paris"', "/vendor.example/Tzfile/Europe/Paris",
    "mozilla.org/20050126_1/Europe/Paris", "W. Europe Standard Time", '"Romance Standard Time"', "CET",
    "X;X-A=b\\;c;TZID=Europe/Paris", 'Europe/Paris;X-A="a;b:c"',
  }) do
    it("is known: " .. name, function()
      assert.are.equal(paris, opening(file(monthly_in(name))):sub(1, 47))
    end)
  end

  for _, pair in ipairs({
    { "(UTC+01:00) A\\, B", '"(UTC+01:00) A, B"' }, { "(UTC+01:00) A\\, B", "(UTC+01:00) A\\, B" }, { "A, B", "A, B" },
    { '"A, B"', "A\\, B" }, { "/Some/Where", "/Some/Where" }, { "GMT+01:00 Here", "GMT+01:00 Here" },
    { "Zürich", "Zürich" },
  }) do
    it(("is that of the VTIMEZONE: %s, %s"):format(pair[1], pair[2]), function()
      assert.are.equal(paris, opening(file(zone(pair[1], european("1601")), monthly_in(pair[2]))):sub(1, 47))
    end)
  end

  it("such as EST is what the file says of it, and one such as Asia/Tokyo what the system says", function()
    assert.are.equal(paris, opening(file(zone("EST", european("1970")), monthly_in("EST"))):sub(1, 47))
    assert.are.equal("01-01 07:00", opening(file(monthly_in("EST"))):sub(1, 11))
    assert.are.equal("03-31 17:00", opening(file(zone("Asia/Tokyo", european("1970")), monthly_in("Asia/Tokyo"))):sub(1, 11))
  end)

  it("of Windows is one of IANA that the system has", function()
    local names, n = require("haplua.ical.windows_zones"), 0
    for _, name in pairs(names) do
      require("haplua.time.zone").load(name)
      n = n + 1
    end
    assert.are.equal(139, n)
    for name, expected in pairs({
      ["GMT Standard Time"] = "Europe/London", UTC = "Etc/UTC", ["UTC-11"] = "Etc/GMT+11",
      ["Central Standard Time (Mexico)"] = "America/Mexico_City", ["Russia Time Zone 10"] = "Asia/Srednekolymsk",
      ["W. Central Africa Standard Time"] = "Africa/Lagos", ["Dateline Standard Time"] = "Etc/GMT+12",
    }) do
      assert.are.equal(expected, names[name])
    end
  end)
end)

describe("a line that says nothing about time", function()
  local lines = { "DTSTART:20260219T020000Z", "DURATION:PT1H", "SUMMARY:x" }

  for _, odd in ipairs({
    "X-LOTUS-CHILD_UID:1234", "X-A;X-TITLE=Main street 1\\; 4041 Linz;X-R=70.5:geo:48.3,14.2", "no colon at all", "=;:",
    'X-A;B="never closed:C', "DESCRIPTION;ALTREP=\"a:b;c\":x", "ATTENDEE;CN=a:b:MAILTO:x@y", "\255\254", "{", "X-\0NUL:\0",
    'SUMMARY;LANGUAGE="de:x', "SUMMARY;A=\\;:b", "ZÜRICH:1", " ", "", "GEO;:;", "COMMENT", "DTSTAMP:today",
  }) do
    it("does not stop a calendar: " .. odd:gsub("[%c\128-\255]", "?"), function()
      local expected = { "2026-02-19 02:00/2026-02-19 03:00" }
      assert.are.same(expected, coming(file(odd, event(table.unpack(lines)))))
      assert.are.same(expected, coming(file(event(lines[1], odd, lines[2]))))
      assert.are.same(expected, coming((file(event(lines[1], odd, lines[2])):gsub("\r", ""))))
    end)
  end

  it("may end in any way", function()
    local text = file(event(table.unpack(lines)))
    for _, line_end in ipairs({ "\n", "\r", "\r\r\n", " \r\n", "\r\n\r\n" }) do
      assert.are.equal(1, #coming((text:gsub("\r\n", line_end))), line_end:byte(1, -1))
    end
  end)
end)

describe("an event of whole days", function()
  local days = { "UID:1", "DTSTART;VALUE=DATE:20260219", "DTEND;VALUE=DATE:20260220", "RRULE:FREQ=WEEKLY;COUNT=3" }

  --- The days on which it opens, in some zones.
  local function check(expected, ...)
    local list = table.move({ ... }, 1, select("#", ...), 1, {})
    for _, tz in ipairs({ "UTC", "America/New_York", "Pacific/Kiritimati" }) do
      local found = {}
      for occurrence in window.new(calendar.parse(file(table.unpack(list))), { tz = tz })
        :occurrences(occurrences.at("2026-01-01T00:00Z")) do
        found[#found + 1] = os.date("!%m-%d", occurrence.opens + occurrence.zone:offset(occurrence.opens))
      end
      assert.are.equal(expected, table.concat(found, " "), tz)
    end
  end

  local function with(...)
    return event(table.unpack(table.move({ ... }, 1, select("#", ...), #days + 1, { table.unpack(days) })))
  end

  for _, exdate in ipairs({
    "EXDATE;VALUE=DATE:20260226", "EXDATE:20260226", "EXDATE;TZID=Europe/Berlin:20260226T000000", "EXDATE:20260226T000000",
    "EXDATE:20260226T000000Z", "EXDATE;TZID=W. Europe Standard Time:20260226T120000", "EXDATE;VALUE=DATE:20260226T000000",
    "EXDATE:20260225T000000, 20260226T000000",
  }) do
    it("leaves out a day by " .. exdate, function()
      check("02-19 03-05", with(exdate))
    end)
  end

  for _, id in ipairs({ ";VALUE=DATE:20260226", ";TZID=Europe/Berlin:20260226T000000", ":20260226T000000Z" }) do
    it("is moved by RECURRENCE-ID" .. id, function()
      check("02-19 02-27 03-05", with(), event("UID:1", "RECURRENCE-ID" .. id, "DTSTART;VALUE=DATE:20260227"))
    end)
  end

  for _, stop in ipairs({ "20260226", "20260226T000000Z", "20260226T230000Z", "20260226T000000" }) do
    it("ends with UNTIL=" .. stop, function()
      check("02-19 02-26", event("DTSTART;VALUE=DATE:20260219", "RRULE:FREQ=WEEKLY;UNTIL=" .. stop))
    end)
  end

  it("has no times of day, whatever its rule says", function()
    check("02-19 02-21", event("DTSTART;VALUE=DATE:20260219",
      "RRULE:FREQ=DAILY;INTERVAL=2;BYHOUR=9,17;BYMINUTE=30;BYSECOND=1;COUNT=2"))
  end)

  it("has further days by RDATE, with or without a time", function()
    check("02-19 02-21 02-26 03-05", with("RDATE;VALUE=DATE:20260221"))
    check("02-19 02-21 02-26 03-05", with("RDATE;TZID=Europe/Berlin:20260221T000000"))
  end)

  it("lasts for a day where its DTEND is its DTSTART", function()
    local one_day = { "2026-02-19 00:00/2026-02-20 00:00" }
    for _, last in ipairs({ "DTEND;VALUE=DATE:20260219", "DTEND:20260219", "DURATION:P0D", "X-A:1" }) do
      assert.are.same(one_day, coming(file(event("DTSTART;VALUE=DATE:20260219", last))), last)
    end
    assert.are.same({}, coming(file(event("DTSTART:20260219T000000", "DTEND:20260219T000000"))))
  end)
end)

describe("an event with a time", function()
  local noon = { "UID:1", "DTSTART;TZID=Europe/Paris:20260508T120000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=4" }

  local function with(...)
    return event(table.unpack(table.move({ ... }, 1, select("#", ...), #noon + 1, { table.unpack(noon) })))
  end

  local function override(...)
    return event("UID:1", "DURATION:PT1H", ...)
  end

  it("is moved by RECURRENCE-ID once, whatever rule and dates the override has", function()
    local id, start = "RECURRENCE-ID;TZID=Europe/Paris:20260510T120000", "DTSTART;TZID=Europe/Paris:20260510T150000"
    for _, more in ipairs({ "X-A:1", "RRULE:FREQ=DAILY;COUNT=4", "RDATE:20260601T000000Z", "EXDATE:20260510T130000Z",
      "RRULE:FREQ=NEVER" }) do
      assert.are.equal("05-08 10:00 05-09 10:00 05-10 13:00 05-11 10:00", opening(file(with(), override(id, start, more))), more)
    end
    assert.are.equal("05-10 13:00", opening(file(override(id, start, "RRULE:FREQ=DAILY;COUNT=4"))))
  end)

  for _, id in ipairs({
    ":20260510T100000Z", ";TZID=Europe/Paris:20260510T120000", ";TZID=Asia/Tokyo:20260510T190000", ";VALUE=DATE:20260510",
  }) do
    it("is cancelled by RECURRENCE-ID" .. id, function()
      local expected = "05-08 10:00 05-09 10:00 05-11 10:00"
      assert.are.equal(expected, opening(file(with(), override("RECURRENCE-ID" .. id, "STATUS:CANCELLED"))))
      local cancel = "BEGIN:VCALENDAR\r\nMETHOD:CANCEL\r\n" .. override("RECURRENCE-ID" .. id) .. "\r\nEND:VCALENDAR\r\n"
      assert.are.equal(expected, opening(file(with()) .. cancel))
      assert.are.equal(expected, opening(cancel .. file(with())))
    end)
  end

  it("is cancelled by METHOD:CANCEL, unless there is a newer one", function()
    local function cancel(...)
      return "BEGIN:VCALENDAR\r\nMETHOD:CANCEL\r\n" .. event("UID:1", ...) .. "\r\nEND:VCALENDAR\r\n"
    end
    assert.are.equal("", opening(file(with()) .. cancel("X-A:1")))
    assert.are.equal("", opening(cancel("SEQUENCE:2") .. file(with("SEQUENCE:1"))))
    assert.are.equal("", opening(cancel("DTSTAMP:20260102T000000Z") .. file(with("DTSTAMP:20260101T000000Z"))))
    assert.are_not.equal("", opening(cancel("SEQUENCE:2") .. file(with("SEQUENCE:3"))))
    assert.are_not.equal("", opening(cancel("DTSTAMP:20260102T000000Z") .. file(with("DTSTAMP:20260103T000000Z"))))
  end)

  it("has the newest of several overrides, however they write their RECURRENCE-ID", function()
    local first = override("RECURRENCE-ID:20260510T100000Z", "DTSTART:20260510T130000Z", "SEQUENCE:2")
    local second = override("RECURRENCE-ID;TZID=Europe/Paris:20260510T120000", "DTSTART:20260510T150000Z", "SEQUENCE:%d")
    for sequence, time in pairs({ [1] = "13:00", [2] = "15:00", [3] = "15:00" }) do
      assert.are.equal("05-08 10:00 05-09 10:00 05-10 " .. time .. " 05-11 10:00",
        opening(file(with("SEQUENCE:5"), first, second:format(sequence))), sequence)
    end
  end)

  it("has the zone of its start where EXDATE, RDATE or RECURRENCE-ID have none", function()
    local text = file(event("UID:1", "DTSTART;TZID=Europe/Paris:20260201T020000", "DURATION:PT1H",
      "RRULE:FREQ=WEEKLY;COUNT=4", "EXDATE:20260208T020000", "RDATE:20260203T020000"),
      event("UID:1", "RECURRENCE-ID:20260215T020000", "DTSTART;TZID=Europe/Paris:20260216T020000", "DURATION:PT2H"))
    assert.are.same({ "2026-02-01 01:00/2026-02-01 02:00", "2026-02-03 01:00/2026-02-03 02:00",
      "2026-02-16 01:00/2026-02-16 03:00", "2026-02-22 01:00/2026-02-22 02:00" }, coming(text, "UTC"))
  end)

  it("ends by the clocks of its start where DTEND has no zone", function()
    assert.are.same({ "2026-02-19 01:00/2026-02-19 02:00" },
      coming(file(event("DTSTART;TZID=Europe/Paris:20260219T020000", "DTEND:20260219T030000"))))
  end)

  it("occurs once where its RRULE, RDATE and EXDATE are empty", function()
    assert.are.same({ "2026-02-19 02:00/2026-02-19 03:00" },
      coming(file(event("DTSTART:20260219T020000Z", "DURATION:PT1H", "RRULE:", "RDATE:", "EXDATE:"))))
  end)

  it("takes RDATE's days at its own time", function()
    assert.are.equal("05-08 10:00 05-09 10:00 05-10 10:00 05-11 10:00 06-01 10:00",
      opening(file(with("RDATE;VALUE=DATE:20260601"))))
  end)

  local later = override("RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Paris:20260510T120000",
    "DTSTART;TZID=Europe/Paris:20260510T150000", "SUMMARY:later")

  it("is moved from one occurrence on by RANGE=THISANDFUTURE", function()
    assert.are.equal("05-08 10:00 05-09 10:00 05-10 13:00 05-11 13:00", opening(file(with(), later)))
    assert.are.equal("05-08 10:00 05-09 10:00 05-11 08:00 05-12 08:00", opening(file(with(),
      (later:gsub("0510T150000", "0511T100000")))))
    assert.are.equal("05-08 10:00 05-09 10:00", opening(file(with(), (later:gsub("SUMMARY:later", "STATUS:CANCELLED")))))
    assert.are.equal("05-08 10:00 05-09 10:00 05-10 06:00 05-11 06:00", opening(file(with(),
      (later:gsub("Paris:20260510T150000", "Moscow:20260510T090000")))))
    assert.are.equal("05-10 13:00", opening(file(later)))
  end)

  it("is moved again by a later one, and singly within it", function()
    local again = override("RECURRENCE-ID;RANGE=THISANDFUTURE:20260511T100000Z", "DTSTART;TZID=Europe/Paris:20260511T170000")
    local single = override("RECURRENCE-ID:20260510T100000Z", "DTSTART:20260520T000000Z")
    assert.are.equal("05-08 10:00 05-09 10:00 05-10 13:00 05-11 15:00", opening(file(with(), again, later)))
    assert.are.equal("05-08 10:00 05-09 10:00 05-11 13:00 05-20 00:00", opening(file(with(), later, single)))
    assert.are.equal("05-08 10:00 05-09 10:00 05-10 13:00", opening(file(with("EXDATE:20260511T100000Z"), later)))
  end)

  it("is moved for good, across changes of the clocks, and with its new length", function()
    local text = file(event("UID:1", "DTSTART;TZID=Europe/Paris:20260101T120000", "DURATION:PT1H", "RRULE:FREQ=MONTHLY"),
      event("UID:1", "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Paris:20260201T120000",
        "DTSTART;TZID=Europe/Paris:20260202T130000", "DURATION:PT3H"))
    local found = occurrences.coming(calendar.parse(text), { tz = "UTC" }, "2036-06-20T00:00Z", 1)
    assert.are.same({ "2036-07-02 11:00/2036-07-02 14:00" }, found)
    assert.are.equal("2026-02-02 12:00/2026-02-02 15:00", coming(text)[2])
  end)
end)

describe("an event that cannot be read", function()
  local good = event("UID:1", "DTSTART:20260219T020000Z", "DURATION:PT1H")
  local bad = { event("UID:2", "DTSTART:20260230T000000Z"), event("UID:3", "DTSTART;TZID=Mars:20260101T000000"),
    event("UID:4", "DTSTART:20260101T000000Z", "RRULE:FREQ=NEVER") }

  it("stops the calendar, with its line and what helps", function()
    local problem = support.refusal(calendar.parse, file(good, bad[1]), { name = "office.ics" })
    assert.matches("^office.ics:9: DTSTART has no valid date", tostring(problem))
    assert.matches("lenient", problem.advice)
  end)

  it("has a reason that is true of its rule", function()
    for rule, reason in pairs({ ["FREQ=YEARLY;BYWEEKNO=10;BYDAY=1MO"] = "'1MO' with a number .* not with BYWEEKNO$",
      ["FREQ=DAILY;BYDAY=1MO"] = "'1MO' with a number goes with FREQ=MONTHLY and YEARLY only",
      ["FREQ=YEARLY;BYSETPOS=1"] = "BYSETPOS needs another BY part$", ["FREQ=MONTHLY;BYDAY=0MO"] = "BYDAY cannot be '0MO'$" }) do
      local problem = support.refusal(calendar.parse, file(event("DTSTART:20260101T000000Z", "RRULE:" .. rule)))
      assert.matches(reason, tostring(problem))
    end
  end)

  it("is left out where that is wished, with its line", function()
    local source = calendar.parse(file(bad[1], good, bad[2], bad[3]), { name = "office.ics", lenient = true })
    assert.are.same({ "2026-02-19 02:00/2026-02-19 03:00" },
      occurrences.coming(source, { tz = "UTC" }, "2026-01-01T00:00Z", 9))
    assert.are.equal(3, #source.left_out)
    assert.matches("^office.ics:4: DTSTART has no valid date, .*: '20260230T000000Z'$", source.left_out[1])
    assert.matches("^office.ics:13: no zone 'Mars'", source.left_out[2])
    assert.matches("^office.ics:18: FREQ cannot be 'NEVER'$", source.left_out[3])
  end)

  for _, name in ipairs({ "UID", "SEQUENCE", "DTSTAMP", "SUMMARY", "STATUS" }) do
    it("is left out, too, where the line of its " .. name .. " has no value", function()
      local text = file(event(name, "DTSTART:20260101T000000Z", "DURATION:PT1H"), good)
      local source = calendar.parse(text, { name = "office.ics", lenient = true })
      assert.are.same({ "office.ics:3: " .. name .. " has no value" }, source.left_out)
      assert.are.equal(1, source.events)
      assert.matches("lenient", support.refusal(calendar.parse, text).advice)
    end)
  end

  it("is left out with its line, also where there are very many", function()
    local source = calendar.parse(file((bad[1] .. "\r\n"):rep(15000) .. good), { name = "office.ics", lenient = true })
    assert.are.equal(15000, #source.left_out)
    assert.matches("^office.ics:4: ", source.left_out[1])
    assert.matches("^office.ics:60000: ", source.left_out[15000])
    assert.are.equal(1, source.events)
  end)

  it("is not left out where the calendar itself is broken, or too large", function()
    support.refusal(calendar.parse, "BEGIN:VCALENDAR\r\n" .. good, { lenient = true })
    support.refusal(calendar.parse, "hello", { lenient = true })
    support.refusal(calendar.parse, file((good .. "\r\n"):rep(20001)), { lenient = true })
  end)
end)

describe("a calendar of exceptions", function()
  local holidays = file(event("UID:1", "DTSTART;VALUE=DATE:20201225", "RRULE:FREQ=YEARLY", "SUMMARY:Christmas"),
    event("UID:2", "DTSTART;VALUE=DATE:20260102", "DTEND;VALUE=DATE:20260106"),
    event("UID:3", "DTSTART:20260107T223000Z", "DTEND:20260107T233000Z"))

  local function opens(except, from, n)
    local list = {}
    for i, item in ipairs(occurrences.coming("daily 22:00-02:00", { tz = "UTC", except = except }, from, n)) do
      list[i] = item:gsub("2026%-", ""):gsub("2027%-", "")
    end
    return table.concat(list, " ")
  end

  it("leaves out what starts on its whole days, and the time of its other events", function()
    local expected = "01-01 22:00/01-02 02:00 01-06 22:00/01-07 02:00 01-07 22:00/01-07 22:30 01-07 23:30/01-08 02:00"
    assert.are.equal(expected, opens(calendar.parse(holidays), "2026-01-01T12:00Z", 4))
    assert.are.equal("12-24 22:00/12-25 02:00 12-26 22:00/12-27 02:00", opens(calendar.parse(holidays), "2026-12-24T12:00Z", 2))
    assert.are.equal("12-26 22:00/12-27 02:00", opens({ "12-24", calendar.parse(holidays) }, "2026-12-24T12:00Z", 1))
  end)

  it("is a file or a folder", function()
    local folder <close> = support.folder()
    local path = folder.write("Feiertage.ICS", holidays)
    for _, except in ipairs({ path, folder.path, folder.path .. "/" }) do
      assert.are.equal("12-26 22:00/12-27 02:00", opens({ "12-24", except }, "2026-12-24T12:00Z", 1))
    end
    support.refusal(window.new, "daily 22:00-02:00", { tz = "UTC", except = folder.path .. "/none.ics" })
    assert.is_false(calendar.is_path("2026-12-24..2027-01-02"))
    assert.is_false(calendar.is_path("2026-12-01T22:00/2026-12-02T02:00"))
  end)

  it("counts its days in the zone of the window", function()
    local found = occurrences.coming("daily 22:00-02:00",
      { tz = "Pacific/Kiritimati", except = calendar.parse(holidays) }, "2026-01-01T07:00Z", 2)
    assert.are.same({ "2026-01-01 08:00/2026-01-01 12:00", "2026-01-06 08:00/2026-01-06 12:00" }, found)
  end)
end)
