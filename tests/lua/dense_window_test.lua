-- SPDX-License-Identifier: MIT

-- Windows that recur so often that haplua cannot go through their occurrences one by one. Each question is answered at
-- once or refused. A search without end fails at the time limit of a test.

local calendar = require("haplua.calendar")
local occurrences = require("occurrences")
local window = require("haplua.window")

local at, utc = occurrences.at, occurrences.utc
local FROM <const> = "2026-12-01T00:00Z"

--- The next occurrences of a window, at most n, as "opens/closes" in UTC.
local function coming(specs, n, options, from)
  return occurrences.coming(specs, options or { tz = "UTC" }, from or FROM, n)
end

--- The numbers from 0 to a last one, for BYSECOND and the like, without one of them.
local function up_to(last, without)
  local list = {}
  for i = 0, last do
    list[#list + 1] = i ~= without and i or nil
  end
  return table.concat(list, ",")
end

--- A rule that starts on 1 November 2026, and the length of its occurrences.
local function rule(text, length)
  return ("DTSTART:20261101T000000;RRULE:%s for %s"):format(text, length)
end

local function refusal(fn, ...)
  local ok, problem = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(require("haplua.error").is(problem), tostring(problem))
  assert.are.equal("refused", problem.kind)
  return problem
end

describe("a window that recurs every few seconds", function()
  for _, case in ipairs({
    { "FREQ=SECONDLY", "1s" }, { "FREQ=SECONDLY", "2h" }, { "FREQ=MINUTELY", "1m" }, { "FREQ=HOURLY", "30d" },
    { "FREQ=SECONDLY;INTERVAL=7", "7s" }, { "FREQ=SECONDLY;INTERVAL=29989", "10h" },
    { "FREQ=MINUTELY;BYSECOND=" .. up_to(59), "1s" }, { "FREQ=SECONDLY;BYMINUTE=" .. up_to(59, 30), "61s" },
    { "FREQ=DAILY;BYHOUR=" .. up_to(23) .. ";BYMINUTE=" .. up_to(59) .. ";BYSECOND=" .. up_to(59), "1s" },
    { "FREQ=MONTHLY;BYMONTHDAY=1,-1;BYHOUR=0;BYMINUTE=" .. up_to(59) .. ";BYSECOND=" .. up_to(59), "32d" },
  }) do
    it(("is open for ever when it lasts so long: %.50s for %s"):format(case[1], case[2]), function()
      assert.are.same({ "2026-11-01 00:00/inf" }, coming(rule(case[1], case[2]), 9))
    end)
  end

  it("ends with UNTIL and COUNT", function()
    assert.are.same({ "2026-11-01 00:00/2036-11-01 00:00:01" },
      coming(rule("FREQ=SECONDLY;UNTIL=20361101T000000Z", "1s"), 9))
    assert.are.same({ "2026-11-01 00:00/2026-12-05 00:00:59" },
      coming(rule("FREQ=SECONDLY;COUNT=" .. 34 * 86400, "1m"), 9))
    assert.are.same({ "2026-11-01 00:00/2027-01-01 00:00" },
      coming(rule("FREQ=SECONDLY;UNTIL=20261231", "1s"), 9))
    assert.are.same({}, coming(rule("FREQ=SECONDLY;COUNT=9999999", "1s"), 9, nil, "2099-01-01T00:00Z"))
  end)

  it("counts a time that is there once a day", function()
    assert.are.same({ "2029-07-27 03:03:03/2029-07-27 03:03:04" },
      coming(rule("FREQ=SECONDLY;BYHOUR=3;BYMINUTE=3;BYSECOND=3;COUNT=1000", "1s"), 9, nil, "2029-07-27T00:00Z"))
    assert.are.same({ "2099-01-01 03:03:03/2099-01-01 03:03:04" },
      coming(rule("FREQ=SECONDLY;BYHOUR=3;BYMINUTE=3;BYSECOND=3;COUNT=999999999", "1s"), 1, nil, "2099-01-01T00:00Z"))
  end)

  it("has the gaps that its parts leave", function()
    assert.are.same({ "2026-11-30 23:31/2026-12-01 00:30", "2026-12-01 00:31/2026-12-01 01:30" },
      coming(rule("FREQ=SECONDLY;BYMINUTE=" .. up_to(59, 30), "1s"), 2))
    assert.are.same({ "2026-12-01 00:00/2026-12-01 00:00:03", "2026-12-01 00:00:04/2026-12-01 00:00:07" },
      coming(rule("FREQ=SECONDLY;INTERVAL=4", "3s"), 2))
    assert.are.same({ "2026-12-02 00:00/2026-12-03 00:00:29", "2026-12-09 00:00/2026-12-10 00:00:29" },
      coming(rule("FREQ=SECONDLY;BYDAY=WE", "30s"), 2))
  end)

  it("is closed in the hour that the clocks show a second time", function()
    assert.are.same({ "2026-10-31 23:00/2027-10-31 01:01:59", "2027-10-31 02:00/2028-10-29 01:01:59" },
      coming(rule("FREQ=SECONDLY", "2m"), 2, { tz = "Europe/Paris" }))
    assert.are.same({ "2026-10-31 23:00/inf" }, coming(rule("FREQ=SECONDLY", "2h"), 2, { tz = "Europe/Paris" }))
  end)

  it("does not start on days that are left out, by the asking zone's days", function()
    assert.are.same({ "2026-11-01 00:00/2026-12-25 00:59:59", "2026-12-26 00:00/2027-12-25 00:59:59" },
      coming(rule("FREQ=SECONDLY", "1h"), 2, { tz = "UTC", except = "12-25" }))
    assert.are.same({ "2026-10-31 15:00/2026-12-25 00:59:59", "2026-12-26 00:00/2027-12-25 00:59:59" },
      coming("DTSTART;TZID=Asia/Tokyo:20261101T000000;RRULE:FREQ=SECONDLY for 1h", 2, { tz = "UTC", except = "12-25" }))
    assert.are.same({}, coming(rule("FREQ=SECONDLY", "1h"), 2, { tz = "UTC", except = "01-01..12-31" }))
  end)

  it("cuts out what it is an exception of", function()
    assert.are.same({ "2026-12-01 00:59/2026-12-01 01:00", "2026-12-01 01:59/2026-12-01 02:00" },
      coming("daily 00:00-24:00", 2, { tz = "UTC", except = rule("FREQ=SECONDLY;BYMINUTE=" .. up_to(58), "1s") }))
  end)

  for name, case in pairs({
    ["it joins to no end"] = { { rule("FREQ=SECONDLY;INTERVAL=2", "1s"), "daily 00:00-24:00" } },
    ["it is cut out, always"] = { rule("FREQ=SECONDLY;INTERVAL=2", "1s"), "daily 00:00-24:00" },
    ["its days are left out"] = { rule("FREQ=SECONDLY;INTERVAL=2", "1s"), "01-01..12-31" },
    ["it cuts holes into a year"] = { "2028-12-01T00:00 for 1h", rule("FREQ=SECONDLY;INTERVAL=2", "1s") },
  }) do
    it("is refused, by its name, where it would be gone through for long: " .. name, function()
      local problem = refusal(coming, case[1], 1, { tz = "UTC", except = case[2] })
      assert.matches("FREQ=SECONDLY;INTERVAL=2.* recurs too often", problem.message)
      assert.matches("last until the next", problem.advice)
    end)
  end

  it("does not stop what is asked afterwards", function()
    refusal(coming, rule("FREQ=SECONDLY;INTERVAL=2", "1s"), 1, { tz = "UTC", except = "daily 00:00-24:00" })
    assert.are.same({ "2026-12-06 02:00/2026-12-06 04:00" }, coming("Sun 02:00-04:00", 1))
  end)
end)

--- A calendar of these lines, in events that start at 22:00.
local function events(...)
  local list = {}
  for i, lines in ipairs({ ... }) do
    list[i] = ("BEGIN:VEVENT\r\nUID:%d\r\nDTSTART:20261201T220000Z\r\n%s\r\nEND:VEVENT\r\n"):format(i, lines)
  end
  return calendar.parse("BEGIN:VCALENDAR\r\n" .. table.concat(list) .. "END:VCALENDAR\r\n")
end

describe("a rule by months that gives nothing", function()
  it("gives nothing when it is asked again, and what is there from an earlier time on", function()
    local asked = window.new(rule("FREQ=MONTHLY;BYMONTHDAY=31;BYMONTH=2", "2h"), { tz = "UTC" })
    assert.is_nil(asked:next(at(FROM)))
    assert.is_nil(asked:next(at(FROM)))
    local ended = window.new(rule("FREQ=MONTHLY;UNTIL=20270105", "2h"), { tz = "UTC" })
    assert.is_nil(ended:next(at("2028-01-01T00:00Z")))
    assert.are.equal("2027-01-01 00:00", utc(ended:next(at("2026-12-02T00:00Z")).opens))
    assert.is_nil(ended:next(at("2028-01-01T00:00Z")))
  end)
end)

describe("a calendar's event that recurs every few seconds", function()
  for _, freq in ipairs({ "SECONDLY", "MINUTELY", "HOURLY" }) do
    it("is open for ever when it lasts so long: " .. freq, function()
      assert.are.same({ "2026-12-01 22:00/inf" }, coming(events("DTEND:20261202T000000Z\r\nRRULE:FREQ=" .. freq), 9))
      assert.are.same({ "2026-12-01 22:00/inf" }, coming(events("DURATION:P1DT1H\r\nRRULE:FREQ=" .. freq), 9))
    end)
  end

  it("leaves out what EXDATE says", function()
    assert.are.same({ "2026-12-01 22:00/2026-12-01 23:00", "2026-12-01 23:00:01/2026-12-02 22:00",
      "2026-12-02 22:00:01/inf" },
      coming(events("DURATION:PT1S\r\nRRULE:FREQ=SECONDLY\r\nEXDATE:20261201T230000Z,20261202T220000Z"), 9))
    assert.are.same({ "2026-12-01 22:00/2026-12-02 00:00", "2026-12-03 00:00/inf" },
      coming(events("DURATION:PT1S\r\nRRULE:FREQ=SECONDLY\r\nEXDATE;VALUE=DATE:20261202"), 9))
  end)

  it("is not looked at for as long as another event lasts", function()
    local asked = window.new(events("DURATION:PT1S\r\nRRULE:FREQ=SECONDLY;INTERVAL=2",
      "DURATION:P3650D\r\nRRULE:FREQ=YEARLY;COUNT=1;BYMONTH=1;BYMONTHDAY=1"), { tz = "UTC" })
    assert.are.equal("2026-12-01 22:00:02", utc(asked:next(at("2026-12-01T22:00:00Z")).opens))
  end)

  it("is joined from many, each with its name", function()
    local list = {}
    for i = 1, 5000 do
      list[i] = ("DURATION:PT2H\r\nSUMMARY:event %d"):format(i)
    end
    local occurrence = window.new(events(table.unpack(list)), { tz = "UTC" }):occurrences(at(FROM))()
    assert.are.equal(5000, #occurrence.names)
    table.sort(occurrence.names)
    assert.are.equal("event 1", occurrence.names[1])
    assert.are.equal("event 999", occurrence.names[5000])
  end)

  it("is refused where many search for long, and find nothing", function()
    local list = {}
    for i = 1, 1000 do
      list[i] = "DURATION:PT2H\r\nRRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"
    end
    local asked = window.new(events(table.unpack(list)), { tz = "UTC" })
    assert.matches("BYMONTHDAY=30' recurs too often", refusal(asked.next, asked, at(FROM)).message)
  end)

  it("may have so many dates and no more", function()
    local dates = ("20261201T230000Z,"):rep(100001):sub(1, -2)
    assert.matches("more than 100000 dates", refusal(events, "DURATION:PT2H\r\nRDATE:" .. dates).message)
  end)
end)

describe("a zone that a calendar describes", function()
  local function with(observance, n)
    return calendar.parse("BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nTZID:Own\r\n" .. observance:rep(n)
      .. "END:VTIMEZONE\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTART;TZID=Own:20261201T220000\r\nDURATION:PT1H\r\n"
      .. "END:VEVENT\r\nEND:VCALENDAR\r\n")
  end
  local changing = "BEGIN:STANDARD\r\nDTSTART:20000101T000000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\n"
    .. "RRULE:FREQ=%s\r\nEND:STANDARD\r\n"

  it("may change every day", function()
    assert.are.same({ "2026-12-01 20:00/2026-12-01 21:00" }, coming(with(changing:format("DAILY"), 3), 9))
  end)

  it("is refused where it changes too often to be searched through", function()
    assert.matches("FREQ=SECONDLY' recurs too often", refusal(coming, with(changing:format("SECONDLY"), 1), 9).message)
  end)
end)
