-- SPDX-License-Identifier: MIT
--
--- Read times that people type: dates, times of day, instants, durations, zones. Everything that takes such a text
-- uses this reader: windows, and the options of scripts. docs/windows.md has the grammar.
-- A reader is a text and the position of the next character. A function that cannot read what stands there raises
-- `refused`, with the position marked in `advice` and in `column`; one that says so returns nil instead. All but
-- take() and see() go past blanks first.

local civil = require("haplua.time.civil")
local visible = require("haplua.error").visible

local M = {}

---@class haplua.time.Reader
---@field what string  what the text is, for the error: "window", "duration", "time"
---@field text string
---@field at integer

local DAY <const> = civil.DAY
local integers = civil.integers

--- The longest duration and the longest window, in seconds: ten years.
M.LONGEST = 3660 * DAY
local LONGEST <const> = M.LONGEST

--- Raise `refused` for the text, with a mark at a position.
local function refuse(reader, at, message, ...)
  local text, before = visible(reader.text), visible(reader.text:sub(1, at - 1))
  -- the mark stands below the column; bytes after the first of a UTF-8 character take none
  local column = utf8.len(before, 1, -1, true) or #before
  error(require("haplua.error").new({
    kind = "refused",
    message = ("%s '%s': %s"):format(reader.what, text, message:format(...)),
    advice = ("%s\n%s^"):format(text, (" "):rep(column)),
    column = at,
  }), 0)
end
M.refuse = refuse

local function past(reader, first, last, ...)
  if first then
    reader.at = last + 1
    return ...
  end
end

--- Read what matches a pattern. Returns its captures, or nothing where something else stands.
local function take(reader, pattern)
  return past(reader, reader.text:find("^" .. pattern, reader.at))
end
M.take = take

--- Does what comes next match a pattern?
local function see(reader, pattern)
  return reader.text:find("^" .. pattern, reader.at) ~= nil
end
M.see = see

--- Go past blanks, also U+00A0 and those of U+2000 to U+200A and U+202F, which word processors put between digits.
local function skip(reader)
  local text, at = reader.text, reader.at
  repeat
    reader.at = text:find("[^ \t]", at) or #text + 1
    local wide = (text:byte(reader.at) or 0) > 127
    at = wide and (text:match("^\194\160()", reader.at) or text:match("^\226\128[\128-\138\175]()", reader.at))
  until not at
end
M.skip = skip

--- "to until" as { to = true, ["until"] = true }.
local sets = setmetatable({}, {
  __index = function(t, names)
    t[names] = {}
    for name in names:gmatch("%a+") do
      t[names][name] = true
    end
    return t[names]
  end,
})

--- Read a word in any case. Returns nil where something else stands.
---@param words string|table  words, as "to until"; or a table with them as keys
---@return any  the word's value in the table, or true
local function word(reader, words)
  local start = reader.at
  skip(reader)
  local text = reader.text:match("^%a+", reader.at)
  local value = text and (type(words) == "string" and sets[words] or words)[text:lower()]
  reader.at = value ~= nil and reader.at + #text or start
  return value
end
M.word = word

local function expect_end(reader)
  skip(reader)
  if reader.at <= #reader.text then
    refuse(reader, reader.at, "nothing more is expected here")
  end
end
M.expect_end = expect_end

--- Read a whole text with one of the functions below.
---@param what string  "duration", "time"
---@param text string
---@param fn fun(reader: haplua.time.Reader, ...): any
---@return any  what `fn` returns; raises `refused`
function M.whole(what, text, fn, ...)
  local reader = { what = what, text = text, at = 1 }
  skip(reader)
  local found = fn(reader, ...)
  expect_end(reader)
  return found
end

--- Read what joins the two ends of a range: "-", a longer dash, "to", "until". Returns nil where something else stands.
---@return boolean?
function M.range_sign(reader)
  if word(reader, "to until till through thru") then
    return true
  end
  local start = reader.at
  skip(reader)
  -- U+2010 to U+2015 are dashes, U+2212 is the minus sign
  if take(reader, "()%-") or take(reader, "()\226\128[\144-\149]") or take(reader, "()\226\136\146") then
    return true
  end
  reader.at = start
end

local weekdays = {}
M.day_names = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" }
for i, long in ipairs({ "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday" }) do
  weekdays[long], weekdays[long .. "s"], weekdays[long:sub(1, 3)], weekdays[long:sub(1, 2)] = i, i, i, i
end
for other, i in pairs({ tues = 2, weds = 3, thur = 4, thurs = 4 }) do
  weekdays[other] = i
end

--- "Sun", "sunday", "Sundays": the day of the week. Returns nil where something else stands.
---@return integer? weekday  1 is Monday
function M.weekday(reader)
  return word(reader, weekdays)
end

local halves = { a = 0, p = 12 }

--- "2am", "2:30 p.m.": read what follows the hour and the minutes.
---@return integer hours  of 24
---@return boolean is_half  does "am" or "pm" stand there?
local function half_day(reader, at, hours, minutes)
  local half = take(reader, "[ \t]*([AaPp])%.?[Mm]%f[^%w]%.?")
  if not half then
    return hours, false
  elseif hours < 1 or hours > 12 then
    refuse(reader, at, "there is no such time of day")
  elseif hours == 12 and minutes == 0 then
    refuse(reader, at, "write 12:00 for noon, and 00:00 or 24:00 for midnight")
  end
  return hours % 12 + halves[half:lower()], true
end

--- "02:00", "2:00", "02:00:30", "0200", "2am", "2:30pm" or "noon", as seconds of the day. 24:00 and "midnight" are ends
-- only.
---@param is_end boolean?
---@return integer seconds
---@return boolean? is_half  does the text say "am" or "pm"? nil: it needs neither
local function time_of_day(reader, is_end)
  skip(reader)
  local at = reader.at
  local name = word(reader, { noon = DAY // 2, midnight = DAY })
  if name == DAY and not is_end then
    refuse(reader, at, "the midnight at which that day begins is 00:00")
  elseif name then
    return name
  end
  local hours, minutes = integers(take(reader, "(%d%d?):(%d%d)"))
  if not hours and see(reader, "%d%d?[ \t]*[AaPp]%.?[Mm]") then
    hours, minutes = integers(take(reader, "(%d%d?)")), 0
  elseif not hours then
    hours, minutes = integers(take(reader, "(%d%d)(%d%d)"))
  end
  if not hours or see(reader, "%d") then
    refuse(reader, at, "a time of day such as 02:00 is expected here")
  end
  local seconds = integers(take(reader, ":(%d%d)")) or 0
  local hour, is_half = half_day(reader, at, hours, minutes)
  local total = hour * 3600 + minutes * 60 + seconds
  if minutes > 59 or seconds > 59 or total > DAY or hours > 23 and not (is_end and total == DAY) then
    refuse(reader, at, total == DAY and "write 00:00 of the next day, not 24:00" or "there is no such time of day")
  end
  return total, is_half
end
M.time_of_day = time_of_day

-- Durations.

local units = { w = 7 * DAY, d = DAY, h = 3600, m = 60, s = 1 }
for unit, names in pairs({ w = "wk wks week weeks", d = "day days", h = "hr hrs hour hours",
  m = "min mins minute minutes", s = "sec secs second seconds" }) do
  for name in names:gmatch("%a+") do
    units[name] = units[unit]
  end
end

--- Read a number and its unit. Returns nil where something else stands; "M" may be months.
---@return string? number, integer? unit
local function amount(reader)
  local start = reader.at
  local n, unit = take(reader, "(%d+)[ \t]*(%a+)")
  local seconds = n and unit ~= "M" and units[unit:lower()]
  if seconds then
    return n, seconds
  end
  reader.at = start
end

--- "4h", "1h30m", "1h 30m", "2 hours", "1 hour and 30 minutes", "90s", "2d", "1w": from the long unit to the short one,
-- each once. "PT2H30M" and "P1D", too: a day has 24 hours here.
---@return integer seconds
function M.duration(reader)
  skip(reader)
  local start, total, before = reader.at, 0, math.huge
  local days, rest = take(reader, "[Pp]([%dWwDd]*)[Tt]([%dHhMmSs]+)%f[^%w]")
  days = days or take(reader, "[Pp]([%dWwDd]+)%f[^%w]")
  if days then
    return M.whole(reader.what, (days .. (rest or "")):lower(), M.duration)
  end
  local more
  repeat
    local at = reader.at
    local n, unit = amount(reader)
    if not n then
      refuse(reader, reader.at, "a duration such as 4h, 1h30m, 90s or 2d is expected here")
    elseif unit >= before then
      refuse(reader, at, "units go from long to short, each once")
    end
    before = unit
    total = total + (#n <= 9 and integers(n) or LONGEST + 1) * before
    local finish = reader.at
    skip(reader)
    word(reader, "and")
    skip(reader)
    more = reader.at == finish and see(reader, "%d")
    if not more then
      local next_at = reader.at
      more = amount(reader)
      reader.at = more and next_at or finish
    end
  until not more
  if total == 0 or total > LONGEST then
    refuse(reader, start, total == 0 and "that is no time at all" or "ten years are the most")
  end
  return total
end

--- "for 4h". Returns nil where something else stands.
---@return integer? seconds
function M.for_duration(reader)
  return word(reader, "for") and M.duration(reader)
end

-- Dates and instants.

--- "2026-12-01", or "Tue 2026-12-01". Returns nil where something else stands.
---@return integer? day
local function date(reader)
  local start, weekday = reader.at, M.weekday(reader)
  skip(reader)
  local at = reader.at
  local year, month, day = integers(take(reader, "(%d%d%d%d)%-(%d%d)%-(%d%d)"))
  if not year then
    reader.at = start
    return nil
  elseif not civil.is_date(year, month, day) then
    refuse(reader, at, "there is no such day")
  end
  local found = civil.day(year, month, day)
  if weekday and civil.weekday(found) ~= weekday then
    refuse(reader, start, "%s is a %s", civil.date_text(found), M.day_names[civil.weekday(found)])
  end
  return found
end
M.date = date

--- "Z", "+01:00" or "+0100", without a blank before it. Returns nil where something else stands.
---@return integer? seconds  east of UTC
function M.offset(reader)
  if take(reader, "()[Zz]%f[%A]") then
    return 0
  end
  local at = reader.at
  local sign, hours, minutes = take(reader, "([+-])(%d%d):?(%d%d)")
  if sign then
    hours, minutes = integers(hours, minutes)
    if hours > 23 or minutes > 59 then
      refuse(reader, at, "there is no such offset from UTC")
    end
    return (sign == "-" and -1 or 1) * (hours * 3600 + minutes * 60)
  end
end

--- A zone: "Europe/Paris", "UTC", "GMT", or an offset. Returns nil where something else stands.
---@return string? name  "UTC" for the offset 0, "+01:00" for another
---@return integer? offset  seconds east of UTC, where the text says no more than that
function M.zone(reader)
  skip(reader)
  local name = take(reader, "(%a[%w_+-]*/%a[%w_+/-]*)")
  if name then
    return name
  end
  local from_utc = word(reader, { utc = 0, gmt = 0 }) or M.offset(reader)
  return from_utc and (from_utc == 0 and "UTC" or civil.offset_text(from_utc)), from_utc
end

--- The zone that zone() has read.
---@param name string
---@return haplua.Zone  raises `refused` where the system's data have no such zone
function M.load(name)
  local zones = require("haplua.time.zone")
  if name:find("^[+-]") then
    return zones.make(name, M.offset({ text = name, at = 1 }))
  end
  return zones.load(name)
end

--- "2026-12-01T02:00" or "2026-12-01 02:00". Returns nil where no date stands.
---@param is_end boolean?
---@return integer? civil, boolean? is_half  as of time_of_day()
function M.date_time(reader, is_end)
  local day = date(reader)
  if day and not take(reader, "()[Tt]%f[%d]") and not see(reader, "[ \t]+[%dnm]") then
    refuse(reader, reader.at, "at what time? 'T02:00' or the like is expected here")
  end
  if day then
    local seconds, is_half = time_of_day(reader, is_end)
    return day * DAY + seconds, is_half
  end
end

--- The first instant after `now` at which the clocks show a civil time or have passed it. Where they show it twice, that
-- may be the second time. Returns nil where they have passed it.
local function next_showing(zone, time, now)
  local first = zone:first(time)
  local again = first <= now and zone:instants(time)[2] or first
  return again > now and again or nil
end

--- An instant: "2026-12-01T02:00", "03:00", "Sun 03:00", "tomorrow 03:00", with a zone behind it or without. A time of day
-- is the next at which the clocks show that.
---@param zone haplua.Zone?  of a text without a zone; default: this machine's
---@param now number?  seconds since 1970; without it, a date is expected
---@return integer instant
function M.instant(reader, zone, now)
  local dated, weekday, day, time = M.date_time(reader), nil, nil, nil
  if not dated then
    weekday = M.weekday(reader)
    day = not weekday and word(reader, { today = 0, tomorrow = 1 })
    skip(reader)
    if not (weekday or day) and see(reader, "20%d%d%f[^%w:]") then
      refuse(reader, reader.at, "a year, or a time of day? '%s' is a time", reader.text:sub(reader.at):gsub("^..", "%0:"))
    elseif not now or not see(reader, "[%dnNmM]") then
      refuse(reader, reader.at, "a time such as %s2026-12-01T03:00 is expected here", now and "03:00 or " or "")
    end
    time = time_of_day(reader, not (weekday or day))
  end
  local name = M.zone(reader)
  zone = name and M.load(name) or zone or require("haplua.time.zone").here()
  if dated then
    return zone:first(dated)
  end
  local today = zone:civil(now) // DAY
  if day then
    return zone:first((today + day) * DAY + time)
  end
  -- where the clocks are set back over midnight, yesterday's time comes once more
  for coming = today - 1, today + 8 do
    local instant = (not weekday or civil.weekday(coming) == weekday) and next_showing(zone, coming * DAY + time, now)
    if instant then
      return instant
    end
  end
end

--- "1h30m", as duration() reads it.
---@return string
function M.duration_text(seconds)
  local parts = {}
  for _, unit in ipairs({ "d", "h", "m", "s" }) do
    local n = seconds // units[unit]
    seconds = seconds % units[unit]
    if n > 0 then
      parts[#parts + 1] = n .. unit
    end
  end
  return table.concat(parts)
end

return M
