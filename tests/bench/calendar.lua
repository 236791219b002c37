-- SPDX-License-Identifier: MIT
--
-- calendar.lua - measure `window next` on calendars of 10,000 events, of which 2,000 recur: the least wall time and
-- processor time of several runs. Prints the rows of a table. Usage: BUILD=build ./haplua tests/bench/calendar.lua [RUNS]

package.path = "tests/lua/?.lua;" .. package.path

local support = require("support")

local RUNS = tonumber(arg[1]) or 10
local EVENTS, RECURRING_EACH = 10000, 5
local ZONES <const> = { "Europe/Berlin", "America/New_York", "Europe/Paris" }
local WINDOWS_ZONES <const> = { "W. Europe Standard Time", "Eastern Standard Time", "Romance Standard Time" }
local RULES <const> = {
  "FREQ=WEEKLY;BYDAY=MO,WE", "FREQ=WEEKLY;BYDAY=FR", "FREQ=WEEKLY", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TH",
  "FREQ=MONTHLY;BYDAY=2TU", "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
  "FREQ=WEEKLY;COUNT=20", "FREQ=DAILY;UNTIL=%dT000000Z", "FREQ=WEEKLY;UNTIL=%dT000000Z;BYDAY=MO",
  "FREQ=WEEKLY;UNTIL=%dT000000Z",
}
local VTIMEZONE <const> = [[
BEGIN:VTIMEZONE
TZID:%s
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE]]
-- What other programs write, and haplua passes over.
local MORE <const> = "CREATED:20200101T000000Z\nLAST-MODIFIED:20200101T000000Z\nTRANSP:OPAQUE\nSEQUENCE:1\nSTATUS:CONFIRMED"
local LONG <const> = "DESCRIPTION:" .. ("A line of a text that is folded after seventy-five bytes\\, as it has to be\n "):rep(6)
  .. "\nX-MICROSOFT-CDO-BUSYSTATUS:BUSY\nBEGIN:VALARM\nACTION:DISPLAY\nTRIGGER:-PT15M\nDESCRIPTION:soon\nEND:VALARM"

local shapes <const> = {
  { name = "few lines for each event", first = 2016, last = 2030, more = "STATUS:CONFIRMED" },
  { name = "all events are over", first = 2015, last = 2024, more = MORE, rules = { 9, 12 } },
  { name = "all events are to come", first = 2027, last = 2032, more = MORE },
  { name = "events of 15 years", first = 2016, last = 2030, more = MORE },
  { name = "the same in UTC", first = 2016, last = 2030, more = MORE, utc = true },
  { name = "the same, with VTIMEZONEs from 1601 on", first = 2016, last = 2030, more = MORE, zones = WINDOWS_ZONES },
  { name = "the same, with long texts and alarms, 9 MB", first = 2016, last = 2030, more = MORE .. "\n" .. LONG,
    zones = WINDOWS_ZONES },
}

local random = math.random

local function add_event(lines, shape, i)
  local day = random(shape.first, shape.last) * 10000 + random(12) * 100 + random(28)
  local recurs = i % RECURRING_EACH == 0
  local zone = shape.utc and "" or ";TZID=" .. (shape.zones or ZONES)[random(3)]
  local form = zone .. ":%dT%02d%s00" .. (shape.utc and "Z" or "")
  local hour, minute = random(8, 16), ({ "00", "15", "30", "45" })[random(4)]
  local add = function(...)
    lines[#lines + 1] = string.format(...)
  end
  add("BEGIN:VEVENT\nUID:%016x%016x@example.com\nDTSTAMP:%d0102T030405Z", random(0), random(0), random(2015, 2026))
  if not recurs and random(10) == 1 then
    add("DTSTART;VALUE=DATE:%d", day)
  else
    add("DTSTART" .. form, day, hour, minute)
    add("DTEND" .. form, day, hour + 2, minute)
  end
  if recurs then
    add("RRULE:" .. RULES[random(table.unpack(shape.rules or { #RULES }))], day + 10000)
    if random(3) == 1 then
      add("EXDATE" .. form, day, hour, minute)
    end
  end
  add("SUMMARY:Meeting %d about things\n%s\nEND:VEVENT", i, shape.more)
end

local function write(path, shape)
  math.randomseed(1)
  local lines = { "BEGIN:VCALENDAR\nVERSION:2.0" }
  for _, name in ipairs(shape.zones or {}) do
    lines[#lines + 1] = VTIMEZONE:format(name)
  end
  for i = 1, EVENTS do
    add_event(lines, shape, i)
  end
  lines[#lines + 1] = "END:VCALENDAR\n"
  local f <close> = assert(io.open(path, "w"))
  f:write((table.concat(lines, "\n"):gsub("\n", "\r\n")))
end

--- The milliseconds that one run takes, and those of the processor.
local function measure(path)
  local began, used = task.now(), nil
  run({
    "sh", "-c", '"$@" >/dev/null 2>&1; times', "sh", support.program()[1], "scripts/window.lua", "next", "--calendar", path,
    "--tz", "Europe/Paris", "--at", "2026-11-30T12:00",
    stdout = function(line)
      used = line -- the second line is that of the child
    end,
  })
  local wall = task.now() - began
  local m, s, sys_m, sys_s = used:match("^(%d+)m([%d.]+)s (%d+)m([%d.]+)s")
  return wall * 1000, (m * 60 + s + sys_m * 60 + sys_s) * 1000
end

print("| a calendar of 10,000 events, of which 2,000 recur: `window next` | least wall time | processor time |")
print("| --- | ---: | ---: |")
local path = os.tmpname()
for _, shape in ipairs(shapes) do
  write(path, shape)
  local least, least_used = math.huge, math.huge
  for _ = 1, RUNS do
    local wall, used = measure(path)
    least, least_used = math.min(least, wall), math.min(least_used, used)
  end
  print(("| %s | %.0f ms | %.0f ms |"):format(shape.name, least, least_used))
end
os.remove(path)
