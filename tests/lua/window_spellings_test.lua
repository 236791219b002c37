-- SPDX-License-Identifier: MIT

-- How people write windows in other tools: what haplua makes of each spelling, or what it says would do instead.

local occurrences = require("occurrences")
local support = require("support")
local window = require("haplua.window")

-- The text, and its canonical form.
local read = {
  -- days
  { "weekdays 22:00-02:00", "Mon..Fri 22:00-02:00" },
  { "weekends 10:00-18:00", "Sat,Sun 10:00-18:00" },
  { "weekend 10:00-18:00", "Sat,Sun 10:00-18:00" },
  { "every Sunday 02:00-04:00", "Sun 02:00-04:00" },
  { "each sun 02:00-04:00", "Sun 02:00-04:00" },
  { "on Sundays 02:00-04:00", "Sun 02:00-04:00" },
  { "Sundays 02:00-04:00", "Sun 02:00-04:00" },
  { "Tues 02:00-04:00", "Tue 02:00-04:00" },
  { "Weds 02:00-04:00", "Wed 02:00-04:00" },
  { "Thurs 02:00-04:00", "Thu 02:00-04:00" },
  { "Thur 02:00-04:00", "Thu 02:00-04:00" },
  { "Su 02:00-04:00", "Sun 02:00-04:00" },
  { "every day 02:00-04:00", "daily 02:00-04:00" },
  { "every weekday 22:00-02:00", "Mon..Fri 22:00-02:00" },
  { "Mon-Fri 22:00-02:00", "Mon..Fri 22:00-02:00" },
  { "Mon\226\128\147Fri 22:00\226\128\14702:00", "Mon..Fri 22:00-02:00" },
  { "Mon to Fri 22:00-02:00", "Mon..Fri 22:00-02:00" },
  { "Monday through Friday, 22:00 - 02:00", "Mon..Fri 22:00-02:00" },
  { "Mon and Wed 02:00-04:00", "Mon,Wed 02:00-04:00" },
  { "Mon, Wed & Fri 02:00-04:00", "Mon,Wed,Fri 02:00-04:00" },
  { "Sat, Sun, 10:00-18:00", "Sat,Sun 10:00-18:00" },
  { "weekdays and Sun 02:00-04:00", "Mon..Fri,Sun 02:00-04:00" },
  { "03:00-04:00 daily", "daily 03:00-04:00" },
  { "02:00-04:00 on Sundays", "Sun 02:00-04:00" },
  { "2am-4am every Sunday", "Sun 02:00-04:00" },
  { "02:00 for 2h every day", "daily 02:00 for 2h" },
  -- days of a month
  { "1st Sun 02:00-04:00", "first Sun 02:00-04:00" },
  { "2nd and 4th Tue 03:00-05:00", "second,fourth Tue 03:00-05:00" },
  { "second and fourth Tue 03:00-05:00", "second,fourth Tue 03:00-05:00" },
  { "1st, 3rd Sat 03:00-05:00", "first,third Sat 03:00-05:00" },
  { "first Sunday of the month 02:00-04:00", "first Sun 02:00-04:00" },
  { "1st Sunday of each month 2am-4am", "first Sun 02:00-04:00" },
  { "every last Sun 02:00-04:00", "last Sun 02:00-04:00" },
  { "every second Sunday of the month 02:00-04:00", "second Sun 02:00-04:00" },
  { "last day 02:00-04:00", "last day 02:00-04:00" },
  { "last day of the month 22:00-02:00", "last day 22:00-02:00" },
  { "1st and 15th of the month 02:00-04:00", "first,15th day 02:00-04:00" },
  { "22nd day 02:00-04:00", "22nd day 02:00-04:00" },
  { "last weekday 18:00 for 2h", "last weekday 18:00 for 2h" },
  { "first weekday of the month 18:00 for 2h", "first weekday 18:00 for 2h" },
  -- every so many
  { "every 2 weeks Sun 02:00-04:00 from 2026-12-06",
    "DTSTART:20261206T020000;DTEND:20261206T040000;RRULE:FREQ=WEEKLY;INTERVAL=2" },
  { "every 2 weeks from 2026-12-06 02:00 for 2h", "DTSTART:20261206T020000;RRULE:FREQ=WEEKLY;INTERVAL=2 for 2h" },
  { "every two weeks from 2026-12-06T02:00 for 2h", "DTSTART:20261206T020000;RRULE:FREQ=WEEKLY;INTERVAL=2 for 2h" },
  { "every other Sunday 2am-4am starting 2026-12-06",
    "DTSTART:20261206T020000;DTEND:20261206T040000;RRULE:FREQ=WEEKLY;INTERVAL=2" },
  { "every 3 weeks Mon..Wed 22:00 for 4h from 2026-12-07",
    "DTSTART:20261207T220000;RRULE:FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,TU,WE for 4h" },
  { "every 10 days from 2026-12-06 02:00 for 2h", "DTSTART:20261206T020000;RRULE:FREQ=DAILY;INTERVAL=10 for 2h" },
  { "every 6 hours from 2026-12-06 00:00 for 10m", "DTSTART:20261206T000000;RRULE:FREQ=HOURLY;INTERVAL=6 for 10m" },
  -- times
  { "Sun 2am-4am", "Sun 02:00-04:00" },
  { "Sun 2 am - 4 a.m.", "Sun 02:00-04:00" },
  { "Fri 10:30pm-2am", "Fri 22:30-02:00" },
  { "Sun 12:30am-4am", "Sun 00:30-04:00" },
  { "Sun 9am to 5:30pm", "Sun 09:00-17:30" },
  { "Sun 0200-0400", "Sun 02:00-04:00" },
  { "Sun 02:00 to 04:00", "Sun 02:00-04:00" },
  { "Sun 02:00 until 04:00", "Sun 02:00-04:00" },
  { "Sun from 02:00 till 04:00", "Sun 02:00-04:00" },
  { "Sun between 02:00 and 04:00", "Sun 02:00-04:00" },
  { "Sun 02:00\226\128\14704:00", "Sun 02:00-04:00" },
  { "Sun 02:00 \226\128\148 04:00", "Sun 02:00-04:00" },
  { "Sun 02:00\226\136\14604:00", "Sun 02:00-04:00" },
  { "Sun\194\16002:00-04:00", "Sun 02:00-04:00" },
  { "Sun 10:00-noon", "Sun 10:00-12:00" },
  { "Sun 22:00-midnight", "Sun 22:00-24:00" },
  { "Sun at 02:00 for 2h", "Sun 02:00 for 2h" },
  { "Fri 22:00 to Mon 06:00", "Fri 22:00-Mon 06:00" },
  { "Fri 22:00-Fri 23:00", "Fri 22:00-23:00" },
  { "Sat 23:00-Fri 24:00", "Sat 23:00-Fri 24:00" },
  -- durations
  { "Sun 02:00 for 2 hours", "Sun 02:00 for 2h" },
  { "Sun 02:00 for 2 hrs", "Sun 02:00 for 2h" },
  { "Sun 02:00 for PT2H", "Sun 02:00 for 2h" },
  { "Sun 02:00 for PT1H30M", "Sun 02:00 for 1h30m" },
  { "Sun 02:00 for P1D", "Sun 02:00 for 1d" },
  { "Sun 02:00 for 2h 30m", "Sun 02:00 for 2h30m" },
  { "Sun 02:00 for 1 hour and 30 minutes", "Sun 02:00 for 1h30m" },
  { "Sun 02:00 for 90 min", "Sun 02:00 for 1h30m" },
  { "Sun 02:00 for 1 day", "Sun 02:00 for 1d" },
  { "2026-12-01T22:00 for 1w", "2026-12-01T22:00 for 7d" },
  -- once
  { "2026-12-25 00:00-24:00", "2026-12-25T00:00/2026-12-26T00:00" },
  { "2026-12-25 22:00-23:00", "2026-12-25T22:00/2026-12-25T23:00" },
  { "2026-12-25 02:00 - 04:00", "2026-12-25T02:00/2026-12-25T04:00" },
  { "2026-12-25 02:00\226\128\14704:00", "2026-12-25T02:00/2026-12-25T04:00" },
  { "2026-12-25 02:00 to 04:00", "2026-12-25T02:00/2026-12-25T04:00" },
  { "2026-12-25 2am to 4am", "2026-12-25T02:00/2026-12-25T04:00" },
  { "2026-12-25 22:00 to 02:00", "2026-12-25T22:00/2026-12-26T02:00" },
  { "2026-12-25 22:00 to 2026-12-26 02:00", "2026-12-25T22:00/2026-12-26T02:00" },
  { "Fri 2026-12-25 02:00 to 04:00", "2026-12-25T02:00/2026-12-25T04:00" },
  { "2026-12-25T02:00/PT2H", "2026-12-25T02:00 for 2h" },
  { "2026-12-25T02:00/04:00", "2026-12-25T02:00/2026-12-25T04:00" },
  { "2026-12-25T02:00+0100 for 2h", "2026-12-25T02:00+01:00 for 2h" },
  { "2026-12-25 02:00:00 +0100 for 2h", "2026-12-25T02:00+01:00 for 2h" },
  { "2026-12-25 02:00 -0500 for 2h", "2026-12-25T02:00-05:00 for 2h" },
  -- zones
  { "Sun 02:00-04:00 Europe/Paris", "Sun 02:00-04:00 Europe/Paris" },
  { "Sun 02:00-04:00 UTC", "Sun 02:00-04:00 UTC" },
  { "Sun 02:00-04:00 GMT", "Sun 02:00-04:00 UTC" },
  { "Sun 02:00-04:00 Z", "Sun 02:00-04:00 UTC" },
  { "Sun 02:00-04:00 +0100", "Sun 02:00-04:00 +01:00" },
  { "first Sun 02:00 for 2h America/New_York", "first Sun 02:00 for 2h America/New_York" },
  { "2026-12-25 02:00 to 04:00 Europe/Paris", "2026-12-25T02:00/2026-12-25T04:00 Europe/Paris" },
  { "2026-12-25 02:00 to 04:00 UTC", "2026-12-25T02:00Z/2026-12-25T04:00Z" },
  { "2026-12-25 02:00 UTC for 2h", "2026-12-25T02:00Z for 2h" },
  -- cron, systemd, RDS, iCalendar
  { "0 2 * * 0 for 2h", "Sun 02:00 for 2h" },
  { "0 2 * * 7 for 2h", "Sun 02:00 for 2h" },
  { "30 22 * * MON-FRI for 4 hours", "Mon..Fri 22:30 for 4h" },
  { "0 2 1,15 * * for 2h", "first,15th day 02:00 for 2h" },
  { "0 2 1 1 * for 2h", "DTSTART:19700101T020000;RRULE:FREQ=DAILY;BYMONTH=1;BYMONTHDAY=1 for 2h" },
  { "*/15 * * * * for 5m", "DTSTART:19700101T000000;RRULE:FREQ=HOURLY;BYMINUTE=0,15,30,45 for 5m" },
  { "0 0-6/3 * jan,jul * for 1h", "DTSTART:19700101T000000;RRULE:FREQ=DAILY;BYMONTH=1,7;BYHOUR=0,3,6 for 1h" },
  { "@weekly for 2h", "Sun 00:00 for 2h" },
  { "CRON_TZ=Europe/Paris 0 2 * * 0 for 2h", "Sun 02:00 for 2h Europe/Paris" },
  { "OnCalendar=Sun *-*-* 02:00:00 for 2h", "Sun 02:00 for 2h" },
  { "Mon..Fri *-*-* 22:00 for 4h", "Mon..Fri 22:00 for 4h" },
  { "Sat *-*-1..7 18:00:00 for 2h", "first Sat 18:00 for 2h" },
  { "*-*~01 02:00 for 2h", "last day 02:00 for 2h" },
  { "Sun *-*-* 02:00 Europe/Paris for 2h", "Sun 02:00 for 2h Europe/Paris" },
  { "*-1,7-1 02:00 for 2h", "DTSTART:19700101T020000;RRULE:FREQ=DAILY;BYMONTH=1,7;BYMONTHDAY=1 for 2h" },
  { "2026..2027-*-1 02:00 for 2h",
    "DTSTART:20260101T020000;RRULE:FREQ=DAILY;UNTIL=20271231T235959;BYMONTHDAY=1 for 2h" },
  { "OnCalendar=weekly for 2h", "Mon 00:00 for 2h" },
  { "sun:02:00-sun:04:00", "Sun 02:00-04:00 UTC" },
  { "Fri:23:30-Sat:01:00", "Fri 23:30-01:00 UTC" },
  { "DTSTART;TZID=Europe/Paris:20261206T020000\nDTEND;TZID=Europe/Paris:20261206T040000\nRRULE:FREQ=DAILY",
    "DTSTART;TZID=Europe/Paris:20261206T020000;DTEND;TZID=Europe/Paris:20261206T040000;RRULE:FREQ=DAILY" },
}

-- The text, a part of the refusal, and the canonical form of what would do, or several in one text.
local refused = {
  { "02:00-04:00", "on which days", "daily 02:00-04:00" },
  { "Sun", "at what time", "Sun 00:00-24:00" },
  { "Sun 02:00", "when does it end", "Sun 02:00 for 1h" },
  { "2026-12-25", "at what time", "2026-12-25T00:00/2026-12-26T00:00" },
  { "2026-12-24..2026-12-26", "at what time", "2026-12-24T00:00/2026-12-27T00:00" },
  { "2026-12-25 02:00-04:00", "offset from UTC", "2026-12-25T02:00/2026-12-25T04:00" },
  { "2026-12-25 02:00 -04:00", "offset from UTC", "2026-12-25T02:00/2026-12-25T04:00" },
  { "2026-12-25T02:00-0400", "offset from UTC", "2026-12-25T02:00/2026-12-25T04:00" },
  { "Sun 12am-2am", "midnight", "Sun 00:00-02:00" },
  { "Sun 10am-12pm", "noon", "Sun 10:00-12:00" },
  { "Sun midnight-02:00", "00:00", "Sun 00:00-02:00" },
  { "Sun 2-4am", "time of day", "Sun 02:00-04:00" },
  { "Sun 2:30-4pm", "both times", "Sun 14:30-16:00" },
  { "Sun 10-2pm", "time of day", "Sun 10:00-14:00" },
  { "Sun 9am-17:30", "both times", "Sun 09:00-17:30" },
  { "2026-12-25 2:30 to 4am", "both times", "2026-12-25T02:30/2026-12-25T04:00" },
  { "Sun 02:00/PT2H", "when does it end", "Sun 02:00 for 2h" },
  { "Sun 02:00 2h", "when does it end", "Sun 02:00 for 2h" },
  { "Sunday night 22:00-02:00", "time of day", "Sun 22:00-02:00" },
  { "Sat/Sun 10:00-18:00", "time of day", "Sat,Sun 10:00-18:00" },
  { "Mon-Fri", "at what time", "Mon..Fri 00:00-24:00" },
  { "24/7", "day of the week", "daily 00:00-24:00" },
  { "20261225T020000Z/20261225T040000Z", "day of the week", "2026-12-25T02:00Z/2026-12-25T04:00Z" },
  { "Sun 2-4", "time of day", "Sun 02:00-04:00" },
  { "Sun 02 to 04", "time of day", "Sun 02:00-04:00" },
  { "Sun 02h00-04h00", "time of day", "Sun 02:00-04:00" },
  { "Sun 02.00-04.00 Uhr", "time of day", "Sun 02:00-04:00" },
  { "Sun 02:00-02:00", "ends when it starts", "Sun 02:00 for 1d" },
  { "Sun 02:00Z-04:00Z", "when does it end", "Sun 02:00-04:00 UTC" },
  { "Sun 02:00-04:00 EST", "nothing more", "Sun 02:00-04:00 America/New_York" },
  { "Sun 02:00-04:00 CET", "nothing more", "Sun 02:00-04:00 Europe/Berlin" },
  { "Sun 02:00-04:00 UTC+1", "nothing more", "Sun 02:00-04:00 +01:00" },
  { "Sun 02:00-04:00,05:00-06:00", "nothing more", "give two windows, 'Sun 02:00-04:00' and 'Sun 05:00-06:00'" },
  { "Sun 02:00-04:00, Tue 03:00-05:00", "nothing more", "give two windows, 'Sun 02:00-04:00' and 'Tue 03:00-05:00'" },
  { "Sun 02:00 for 1.5h", "duration", "Sun 02:00 for 1h30m" },
  { "Sun 02:00 for 30", "duration", "Sun 02:00 for 30m" },
  { "nightly 02:00-04:00", "day of the week", "daily 02:00-04:00" },
  { "business days 22:00-02:00", "day of the week", "Mon..Fri 22:00-02:00" },
  { "Wednsday 02:00-04:00", "day of the week", "Wed 02:00-04:00" },
  { "15th 02:00-04:00", "day of the week", "15th day 02:00-04:00" },
  { "last 02:00-04:00", "day of the week", "last day 02:00-04:00" },
  { "every second Sunday 02:00-04:00", "of each month, or",
    "DTSTART:20261206T020000;DTEND:20261206T040000;RRULE:FREQ=WEEKLY;INTERVAL=2" },
  { "every 2 weeks Tue 02:00-04:00", "since when",
    "DTSTART:20261208T020000;DTEND:20261208T040000;RRULE:FREQ=WEEKLY;INTERVAL=2" },
  { "fortnightly Sun 02:00 for 2h", "day of the week", "DTSTART:20261206T020000;RRULE:FREQ=WEEKLY;INTERVAL=2 for 2h" },
  { "weekly on Sun 02:00-04:00", "day of the week", "Sun 02:00-04:00" },
  { "weekly for 2h", "day of the week", "Mon 00:00 for 2h" },
  { "25.12.2026 02:00 for 1h", "day of the week", "2026-12-25T02:00 for 1h" },
  { "25/12/2026 02:00 for 1h", "day of the week", "2026-12-25T02:00 for 1h" },
  { "2026/12/25 02:00 for 1h", "", "2026-12-25T02:00 for 1h" },
  { "Dec 25, 2026 02:00 to 04:00", "day of the week", "2026-12-25T02:00/2026-12-25T04:00" },
  { "25 December 2026 02:00 to 04:00", "", "2026-12-25T02:00/2026-12-25T04:00" },
  { "12-25 02:00 for 1h", "", "DTSTART:19700101T020000;RRULE:FREQ=DAILY;BYMONTH=12;BYMONTHDAY=25 for 1h" },
  { "0 2 * * 0", "five fields", "Sun 02:00 for 1h" },
  { "0 2 13 * 5 for 1h", "fit either", "give two windows, '0 2 13 * * for 1h' and '0 2 * * 5 for 1h'" },
  { "5/15 * * * * for 5m", "not every cron", "5-59/15" },
  { "0 0 2 ? * SUN for 2h", "", "Sun 02:00 for 2h" },
  { "Sun *-*-* 02:00", "how long", "Sun 02:00 for 1h" },
  { "12-25 00:00-24:00", "", "DTSTART:19700101T000000;RRULE:FREQ=DAILY;BYMONTH=12;BYMONTHDAY=25 for 1d" },
  { "yearly 12-25 02:00 for 1h", "", "DTSTART:19700101T020000;RRULE:FREQ=DAILY;BYMONTH=12;BYMONTHDAY=25 for 1h" },
  { "every month on the 3rd Thursday 02:00-04:00", "", "third Thu 02:00-04:00" },
  { "monthly on the 1st 02:00-04:00", "", "first day 02:00-04:00" },
  { "0 2 L * * for 2h", "", "last day 02:00 for 2h" }, { "30 2 * * 5L for 2h", "", "last Fri 02:30 for 2h" },
  { "30 2 * * 0L for 2h", "", "last Sun 02:30 for 2h" }, { "30 2 * * 7L for 2h", "", "last Sun 02:30 for 2h" },
  { "FREQ=DAILY for 1h", "", "DTSTART:20260101T000000;RRULE:FREQ=DAILY for 1h" },
  { "RRULE:FREQ=DAILY for 1h", "", "DTSTART:20260101T000000;RRULE:FREQ=DAILY for 1h" },
  { "every 2 weekdays from 2026-12-07 02:00 for 1h", "or every 2 of these days", "" },
  { "6th Sun 02:00-04:00", "five of these", "" },
  { "2026,2028-*-1 02:00 for 1h", "each year", "" },
  { "CRON_TZ=CET 0 2 * * 0 for 2h", "a zone such as", "" },
  { "@reboot for 1h", "no window of this name", "" },
  { "Sun 2026-12-25 02:00 to 04:00", "is a Fri", "" },
  { "Mon:02:00-04:00", "time of day", "" },
}

describe("a window in other words", function()
  for _, case in ipairs(read) do
    it("is read: " .. case[1], function()
      local spec = window.parse(case[1])
      assert.are.equal(case[2], tostring(spec))
      assert.is_true(window.parse(case[2]) == spec)
    end)
  end

  for _, case in ipairs(refused) do
    it("is refused, and the refusal says what would do: " .. case[1], function()
      local problem = tostring(support.refusal(window.parse, case[1]))
      assert.is_truthy(problem:find(case[2], 1, true), problem)
      assert.is_truthy(problem:find(case[3], 1, true), problem)
    end)
  end

  it("has 130 spellings here at least", function()
    assert.is_true(#read + #refused >= 130)
  end)
end)

describe("a window with a zone of its own", function()
  local utc = { tz = "UTC" }

  it("opens by the clocks of that zone", function()
    assert.are.same({ "2026-07-05 00:00/2026-07-05 02:00" },
      occurrences.coming("Sun 02:00-04:00 Europe/Paris", utc, "2026-07-01T00:00Z", 1))
    assert.are.same({ "2026-07-05 01:00/2026-07-05 03:00" },
      occurrences.coming("Sun 02:00-04:00 +01:00", { tz = "Europe/Paris" }, "2026-07-01T00:00Z", 1))
    assert.are.same({ "2026-07-05 02:00/2026-07-05 04:00" },
      occurrences.coming("sun:02:00-sun:04:00", { tz = "Asia/Tokyo" }, "2026-07-01T00:00Z", 1))
    assert.are.same({ "2026-07-01 00:00/2026-07-01 02:00" },
      occurrences.coming("2026-07-01 02:00 to 04:00 Europe/Paris", utc, "2026-06-01T00:00Z", 1))
    -- the clocks of Paris jump over this one on 29 March
    assert.are.same({ "2026-04-05 00:15/2026-04-05 00:45" },
      occurrences.coming("Sun 02:15-02:45 Europe/Paris", utc, "2026-03-28T12:00Z", 1))
  end)

  it("has its excepted days in the zone that is asked for", function()
    -- Sunday 02:00 in Auckland is Saturday in UTC
    assert.are.same({ "2026-12-12 13:00/2026-12-12 15:00" }, occurrences.coming("Sun 02:00-04:00 Pacific/Auckland",
      { tz = "UTC", except = "2026-12-05" }, "2026-12-01T00:00Z", 1))
  end)

  it("is refused where there is no such zone", function()
    support.refusal(window.new, "Sun 02:00-04:00 Europe/Atlantis", utc)
  end)
end)

describe("days of a month", function()
  local function days(text, n)
    local list = {}
    for i, item in ipairs(occurrences.coming(text, { tz = "UTC" }, "2026-01-01T00:00Z", n)) do
      list[i] = item:sub(6, 10)
    end
    return table.concat(list, " ")
  end

  it("are counted from its beginning and its end", function()
    assert.are.equal("01-31 02-28 03-31", days("last day 02:00-04:00", 3))
    assert.are.equal("01-31 03-31 05-31", days("31st day 02:00-04:00", 3))
    assert.are.equal("01-01 01-15 01-31 02-01", days("first,15th,last day 02:00-04:00", 4))
    assert.are.equal("01-30 02-27 03-31 04-30 05-29", days("last weekday 02:00-04:00", 5))
    assert.are.equal("01-01 02-02 03-02 04-01 05-01 06-01 07-01 08-03", days("first weekday 02:00-04:00", 8))
  end)
end)

describe("a rule with DTEND", function()
  it("ends by the clocks", function()
    -- on 2026-10-25 the clocks go back from 03:00 to 02:00
    assert.are.same({ "2026-10-24 23:00/2026-10-25 03:00", "2026-10-26 00:00/2026-10-26 03:00" },
      occurrences.coming("DTSTART:20261001T010000;DTEND:20261001T040000;RRULE:FREQ=DAILY", { tz = "Europe/Paris" },
        "2026-10-24T12:00Z", 2))
    -- and on 2026-03-29 they jump over this window
    assert.are.same({ "2026-03-28 01:15/2026-03-28 01:45", "2026-03-30 00:15/2026-03-30 00:45" },
      occurrences.coming("DTSTART:20260301T021500;DTEND:20260301T024500;RRULE:FREQ=DAILY", { tz = "Europe/Paris" },
        "2026-03-28T00:00Z", 2))
  end)

  for _, text in ipairs({ "DTSTART:20261001T010000;DTEND:20261001T010000;RRULE:FREQ=DAILY",
    "DTSTART:20261001T010000;DTEND:20261001T040000Z;RRULE:FREQ=DAILY",
    "DTSTART;TZID=Europe/Paris:20261001T010000;DTEND;TZID=Europe/Rome:20261001T040000;RRULE:FREQ=DAILY",
    "DTSTART:20261001T010000;DTEND:20261001T040000;RRULE:FREQ=DAILY for 1h",
    "DTSTART:20261001T010000;DTEND:20991001T040000;RRULE:FREQ=DAILY" }) do
    it("is refused where its end is none: " .. text, function()
      support.refusal(window.parse, text)
    end)
  end
end)
