-- SPDX-License-Identifier: MIT
--
--- One window as people type it, "Sun 02:00-04:00": from text to a plain value, and back to its canonical form.
-- docs/windows.md has the grammar. Pure: no zone, no clock.

local civil = require("haplua.time.civil")
local reader = require("former_reader")

local M = {}

---@class haplua.window.Spec
---@field kind "once"|"weekly"|"rule"
---@field from integer?  once and rule: the civil time at which it starts
---@field from_offset integer?  once: the offset from UTC that the text has for `from`, in seconds
---@field to_offset integer?  once: that of the end
---@field days boolean[]?  weekly: 1 is Monday
---@field nth integer[]?  weekly: the n-th such days of a month, -1 is the last; nil: all
---@field at integer?  weekly: the second of the day at which it starts
---@field rule haplua.Rule?  rule: its parts
---@field zone string?  rule: the zone of DTSTART
---@field wall integer?  it ends when the clocks show this many seconds more than at the start
---@field elapsed integer?  it ends this many seconds after it has opened; a window has `wall` or `elapsed`
local Spec = {}
Spec.__index = Spec
Spec.__name = "haplua.window.Spec"

local DAY <const> = civil.DAY

local day_names = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" }
local long_names = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" }
local ordinals = { first = 1, second = 2, third = 3, fourth = 4, fifth = 5, last = -1 }
local ordinal_names = { "first", "second", "third", "fourth", "fifth", [-1] = "last" }

local refuse, take, see, skip = reader.refuse, reader.take, reader.see, reader.skip
local integers, date = civil.integers, reader.date

-- Windows with a date.

local function once(r)
  local spec = { kind = "once" }
  local place = r.at
  spec.from, spec.from_offset = reader.date_time(r)
  spec.elapsed = reader.for_duration(r)
  if spec.elapsed then
    return spec
  end
  skip(r)
  if not take(r, "()/") then
    local ahead = r.text:sub(place, r.at - 1)
    local hint = ahead:match("[+-]%d%d:?%d%d$")
    refuse(r, r.at, "when does it end? '/%sT04:00' or 'for 2h' is expected here%s",
      civil.date_text(spec.from // DAY), hint and (" ('%s' is read as an offset from UTC)"):format(hint) or "")
  end
  skip(r)
  local to, at
  to, spec.to_offset, at = reader.date_time(r)
  if (spec.from_offset == nil) ~= (spec.to_offset == nil) then
    refuse(r, at, "the start and the end both have an offset from UTC, or neither")
  end
  spec.wall = to - spec.from
  local length = spec.wall - (spec.to_offset or 0) + (spec.from_offset or 0)
  if length <= 0 then
    refuse(r, at, "it ends %s", length == 0 and "when it starts" or "before it starts")
  elseif length > reader.LONGEST then
    refuse(r, at, "a window lasts ten years at most")
  end
  return spec
end

-- Windows by days of the week.

--- Read a day's name. Returns nil where something else stands.
---@return integer? weekday
local function day_name(r)
  local word = r.text:match("^%a+", r.at)
  word = word and word:lower()
  for i = 1, 7 do
    if word == day_names[i]:lower() or word == long_names[i]:lower() then
      r.at = r.at + #word
      return i
    end
  end
end

local function expect_day_name(r)
  return day_name(r) or refuse(r, r.at, "a day of the week such as Sun is expected here")
end

--- Read "Mon..Fri,Sun": a set of weekdays, and their number.
local function week_days(r)
  local days, n = {}, 0
  repeat
    local at = r.at
    local first = expect_day_name(r)
    local last = first
    if take(r, "()%.%.") then
      last = expect_day_name(r)
      if last == first then
        refuse(r, at, "is that one day, or all of them? write '%s' or 'daily'", day_names[first])
      end
    elseif see(r, "%-%a") then
      refuse(r, r.at, "days are joined by '..': %s..%s", day_names[first], "Fri")
    end
    local day = first
    repeat
      if days[day] then
        refuse(r, at, "%s is there already", day_names[day])
      end
      days[day], n = true, n + 1
      local over = day == last
      day = day % 7 + 1
    until over
  until not take(r, "(),[ \t]*")
  return days, n
end

--- Read "first", "first,third". Returns nil where something else stands.
local function read_nth(r)
  local list = {}
  repeat
    local at = r.at
    local word = r.text:match("^%a+", at)
    local n = word and ordinals[word:lower()]
    if not n then
      if #list > 0 then
        refuse(r, at, "first, second, third, fourth, fifth or last is expected here")
      end
      return nil
    end
    for _, other in ipairs(list) do
      if other == n then
        refuse(r, at, "%s is there already", word)
      end
    end
    list[#list + 1], r.at = n, at + #word
  until not take(r, "(),[ \t]*")
  table.sort(list, function(a, b)
    return (a < 0 and 9 or a) < (b < 0 and 9 or b)
  end)
  return list
end

--- Read "02:00-04:00", "22:00-Mon 06:00" or "02:00 for 2h" into a window by days of the week.
---@param only integer?  the one day on which it starts; nil: it starts on several
local function hours(r, spec, only)
  skip(r)
  if r.at > #r.text then
    refuse(r, r.at, "at what time? '02:00-04:00', '02:00 for 2h' or '00:00-24:00' is expected here")
  end
  spec.at = reader.time_of_day(r)
  spec.elapsed = reader.for_duration(r)
  if spec.elapsed then
    return spec
  end
  skip(r)
  if not take(r, "()%-") then
    refuse(r, r.at, "when does it end? '-04:00' or 'for 2h' is expected here")
  end
  skip(r)
  local at = r.at
  local day = day_name(r)
  skip(r)
  local to = reader.time_of_day(r, true)
  if day and not only then
    refuse(r, at, "a window that ends on a named day starts on one day of the week")
  elseif day == only and day then
    refuse(r, at, "%s is the day on which it starts: is the same day meant, or a week later?", day_names[day])
  elseif day then
    spec.wall = (day - only) % 7 * DAY + to - spec.at
    if spec.wall == 7 * DAY then
      refuse(r, at, "that is the whole week: 'daily 00:00-24:00' is always open")
    end
  elseif to == spec.at then
    refuse(r, at, "it ends when it starts: for a whole day, write 00:00-24:00 or 'for 24h'")
  else
    spec.wall = to - spec.at + (to < spec.at and DAY or 0)
  end
  return spec
end

local function weekly(r)
  local spec = { kind = "weekly" }
  if take(r, "()[Dd][Aa][Ii][Ll][Yy]%f[%A]") then
    spec.days = { true, true, true, true, true, true, true }
    return hours(r, spec)
  end
  spec.nth = read_nth(r)
  skip(r)
  local at = r.at
  local n, only
  spec.days, n = week_days(r)
  if spec.nth and n > 1 then
    refuse(r, at, "'%s' goes with one day of the week", ordinal_names[spec.nth[1]])
  elseif n == 1 then
    only = next(spec.days)
  end
  return hours(r, spec, only)
end

-- Windows by RFC 5545's recurrence rules.

local function rule(r)
  local spec = { kind = "rule" }
  take(r, "()[Dd][Tt][Ss][Tt][Aa][Rr][Tt]")
  while take(r, "();") do
    local at = r.at
    local name, value = take(r, "(%a+)=([^:; \t]+)")
    name = name and name:upper()
    if name == "TZID" and not spec.zone then
      spec.zone = value
    elseif name ~= "VALUE" or value:upper() ~= "DATE" and value:upper() ~= "DATE-TIME" then
      refuse(r, at, "DTSTART takes TZID=Europe/Paris or the like")
    end
  end
  local at = r.at
  local day, time, utc = take(r, ":(%d%d%d%d%d%d%d%d)([Tt]?%d*)([Zz]?)")
  spec.from = day and require("haplua.ical.rule").civil(day .. time)
  if not spec.from then
    refuse(r, at, "a date and time such as ':20261201T220000' is expected here")
  elseif utc ~= "" and spec.zone then
    refuse(r, at, "TZID and a time in UTC do not go together")
  elseif utc ~= "" then
    spec.zone = "UTC"
  end
  if not take(r, "()[;%s]*[Rr][Rr][Uu][Ll][Ee]:") then
    refuse(r, r.at, "';RRULE:FREQ=...' is expected here")
  end
  at = r.at
  local text = take(r, "([^%s]*)")
  local problem, place
  spec.rule, problem, place = require("haplua.ical.rule").parse(text)
  if not spec.rule then
    refuse(r, at + place - 1, "%s", problem)
  end
  spec.elapsed = reader.for_duration(r)
    or refuse(r, r.at, "how long does it last? 'for 2h' is expected here")
  return spec
end

--- Read one window.
---@param text string
---@return haplua.window.Spec  raises `refused`, with the position marked in `advice`
function M.parse(text)
  local r = { what = "window", text = text, at = 1 }
  skip(r)
  local spec
  if #text > 2000 then
    refuse({ what = "window", text = text:sub(1, 40) .. "..." }, 1, "that is too long")
  elseif r.at > #text then
    refuse(r, 1, "nothing stands here: 'Sun 02:00-04:00' would be a window")
  elseif see(r, "[Dd][Tt][Ss][Tt][Aa][Rr][Tt]") then
    spec = rule(r)
  elseif see(r, "%d") then
    if see(r, "%d%d?:%d") then
      refuse(r, r.at, "on which days? 'daily %s' would be every day", text:sub(r.at))
    end
    spec = once(r)
  else
    spec = weekly(r)
  end
  reader.expect_end(r)
  return setmetatable(spec, Spec)
end

-- Excepted days.

---@class haplua.window.Days
---@field first integer  a day; with `yearly`, 100 times the month plus the date
---@field last integer
---@field yearly boolean

--- Read days: "2026-12-25", "2026-12-24..2027-01-02", or "12-24..12-26" for every year. Returns nil for a text that
-- does not begin like one of these.
---@return haplua.window.Days?  raises `refused`
function M.days(text)
  local r = { what = "window", text = text, at = 1 }
  skip(r)
  local yearly = not see(r, "%d%d%d%d%-") and see(r, "%d%d%-%d%d")
  local function one()
    local at = r.at
    if not yearly then
      return date(r) or refuse(r, at, "a date such as 2026-12-25 is expected here")
    end
    local month, day = integers(take(r, "(%d%d)%-(%d%d)"))
    if not month or not civil.is_date(2000, month, day) then
      refuse(r, at, "a month and day such as 12-25 is expected here")
    end
    return month * 100 + day
  end
  if not yearly and (not see(r, "%d%d%d%d%-%d%d%-%d%d") or see(r, "%d%d%d%d%-%d%d%-%d%d[Tt ]")) then
    return nil
  end
  local days = { first = one(), yearly = yearly }
  days.last = days.first
  if take(r, "()%.%.") then
    local at = r.at
    days.last = one()
    if not yearly and days.last < days.first then
      refuse(r, at, "the last day is before the first")
    end
  end
  reader.expect_end(r)
  return days
end

--- Is `day` one of the days?
---@param days haplua.window.Days
---@param day integer
---@return boolean
function M.includes(days, day)
  if days.yearly then
    local _, month, date_ = civil.date(day)
    day = month * 100 + date_
    if days.last < days.first then
      return day >= days.first or day <= days.last
    end
  end
  return day >= days.first and day <= days.last
end

-- Printing.

--- "Mon..Fri,Sun": three and more days in a row are written with "..".
local function days_text(days)
  local parts, i = {}, 1
  while i <= 7 do
    local last = i
    while days[i] and days[last + 1] do
      last = last + 1
    end
    if days[i] and last - i >= 2 then
      parts[#parts + 1] = day_names[i] .. ".." .. day_names[last]
      i = last
    elseif days[i] then
      parts[#parts + 1] = day_names[i]
    end
    i = i + 1
  end
  return parts[1] == "Mon..Sun" and "daily" or table.concat(parts, ",")
end

local function hours_text(spec)
  local from = civil.clock_text(spec.at)
  if spec.elapsed then
    return ("%s for %s"):format(from, reader.duration_text(spec.elapsed))
  end
  local finish = spec.at + spec.wall
  if finish <= DAY or spec.wall < DAY then
    return ("%s-%s"):format(from, civil.clock_text((finish - 1) % DAY + 1))
  end
  local day = (next(spec.days) - 1 + finish // DAY) % 7 + 1
  return ("%s-%s %s"):format(from, day_names[day], civil.clock_text(finish % DAY))
end

local writers = {
  once = function(spec)
    local from = civil.text(spec.from) .. (spec.from_offset and civil.offset_text(spec.from_offset) or "")
    if spec.elapsed then
      return ("%s for %s"):format(from, reader.duration_text(spec.elapsed))
    end
    return ("%s/%s%s"):format(from, civil.text(spec.from + spec.wall),
      spec.to_offset and civil.offset_text(spec.to_offset) or "")
  end,
  weekly = function(spec)
    local nth = {}
    for i, n in ipairs(spec.nth or {}) do
      nth[i] = ordinal_names[n]
    end
    return ("%s%s%s %s"):format(table.concat(nth, ","), spec.nth and " " or "", days_text(spec.days), hours_text(spec))
  end,
  rule = function(spec)
    local zone = spec.zone and spec.zone ~= "UTC" and ";TZID=" .. spec.zone or ""
    return ("DTSTART%s:%s%s;RRULE:%s for %s"):format(zone, require("haplua.ical.rule").civil_text(spec.from),
      spec.zone == "UTC" and "Z" or "", require("haplua.ical.rule").text(spec.rule), reader.duration_text(spec.elapsed))
  end,
}

--- The canonical form; parse() reads it back.
function Spec:__tostring()
  return writers[self.kind](self)
end

function Spec.__eq(a, b)
  return tostring(a) == tostring(b)
end

return M
