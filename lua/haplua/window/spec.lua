-- SPDX-License-Identifier: MIT
--
--- One window as people type it, "Sun 02:00-04:00": from text to a plain value, and back to its canonical form.
-- haplua.window.words reads people's words, haplua.window.foreign what cron and systemd read. Pure: no zone data, no clock.

local civil = require("haplua.time.civil")
local reader = require("haplua.time.reader")
local words = require("haplua.window.words")

local M = {}

---@class haplua.window.Spec
---@field kind "once"|"weekly"|"rule"
---@field from integer?  once and rule: the civil time at which it starts
---@field from_offset integer?  once: the offset from UTC that the text has for `from`, in seconds
---@field to_offset integer?  once: that of the end
---@field days boolean[]?  weekly: 1 is Monday
---@field nth integer[]?  weekly: the n-th of these days in each month, -1 is the last; nil: all
---@field at integer?  weekly: the second of the day at which it starts
---@field rule haplua.Rule?  rule: its parts
---@field zone string?  its own zone: a name, or "+01:00"; nil: that of the window that it becomes a part of
---@field wall integer?  it ends when the clocks show this many seconds more than at the start
---@field elapsed integer?  it ends this many seconds after it has opened; a window has `wall` or `elapsed`
local Spec = {}
Spec.__index = Spec
Spec.__name = "haplua.window.Spec"

local DAY <const> = civil.DAY

local day_names = reader.day_names
local ordinal_names = { "first", "second", "third", "fourth", "fifth", [-1] = "last" }

local refuse, take, see, skip = reader.refuse, reader.take, reader.see, reader.skip
local integers, date = civil.integers, reader.date

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
  local name = take(r, "[;%s]*[Dd][Tt][Ee][Nn][Dd]([^%s:]*):")
  local to = name and require("haplua.ical.rule").civil(take(r, "([%dTt]*)"))
  if to then
    spec.wall = to - spec.from
  end
  if name and (not to or spec.wall <= 0 or spec.wall > reader.LONGEST or (take(r, "()[Zz]") ~= nil) ~= (utc ~= "")
    or name:upper() ~= (utc == "" and spec.zone and ";TZID=" .. spec.zone:upper() or "")) then
    refuse(r, at, "DTEND is a later time than DTSTART, in the same zone")
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
  spec.elapsed = not spec.wall and (reader.for_duration(r)
    or refuse(r, r.at, "how long does it last? 'for 2h' is expected here")) or nil
  return spec
end

--- A window as a value that prints itself.
---@param plain table  the fields of a Spec
---@return haplua.window.Spec
function M.make(plain)
  return setmetatable(plain, Spec)
end

--- Read one window, as parse() does.
local function read(text)
  local r = { what = "window", text = text, at = 1 }
  skip(r)
  local spec
  if #text > 2000 then
    refuse({ what = "window", text = text:sub(1, 40) .. "..." }, 1, "that is too long")
  elseif r.at > #text then
    refuse(r, 1, "nothing stands here: 'Sun 02:00-04:00' would be a window")
  elseif see(r, "[Dd][Tt][Ss][Tt][Aa][Rr][Tt]") then
    spec = rule(r)
  elseif see(r, "%a%a%a:%d%d:%d%d%-%a%a%a:%d%d:%d%d$") then
    -- AWS RDS and ElastiCache: the times are UTC
    r.text = text:gsub("(%a):", "%1 ") .. " UTC"
    spec = words.weekly(r)
  else
    spec = words.once(r) or require("haplua.window.foreign").read(r) or words.weekly(r)
  end
  local at = r.at
  local zone, offset = reader.zone(r)
  if zone and (spec.zone or spec.from_offset) then
    refuse(r, at, "it has a zone already")
  elseif offset and spec.kind == "once" then
    spec.from_offset, spec.to_offset = offset, spec.wall and offset
  else
    spec.zone = spec.zone or zone
  end
  reader.expect_end(r)
  return M.make(spec)
end

--- Read one window. tostring() of it is its canonical form.
---@param text string
---@return haplua.window.Spec  raises `refused`, with the position marked in `advice`; where another spelling of this
--- text would do, the message names it
function M.parse(text)
  local ok, found = pcall(read, text)
  if not ok then
    require("haplua.window.hint").add(found, text, read)
    error(found, 0)
  end
  return found
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
  if not yearly and (not see(r, "%d%d%d%d%-%d%d%-%d%d") or see(r, "%d%d%d%d%-%d%d%-%d%d[Tt]%d")
    or see(r, "%d%d%d%d%-%d%d%-%d%d[ \t]+[%dnNmM]")) then
    return nil
  end
  local days = { first = one(), yearly = yearly }
  days.last = days.first
  if take(r, "()%.%.") or reader.range_sign(r) then
    skip(r)
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

--- What the days of a window are called where they have another name than their list, alone and behind "first".
local names_of_days = { ["Mon..Sun"] = { "daily", "day" }, ["Mon..Fri"] = { "Mon..Fri", "weekday" } }

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
  return table.concat(parts, ",")
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
  local first = next(spec.days)
  local day = (first - 1 + finish // DAY) % 7 + 1
  if day == first then
    -- a week later at 00:00 would read as the day on which it starts
    return ("%s-%s 24:00"):format(from, day_names[(day - 2) % 7 + 1])
  end
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
    local nth, days = {}, days_text(spec.days)
    local named = names_of_days[days] or { days, days }
    for i, n in ipairs(spec.nth or {}) do
      nth[i] = ordinal_names[n] or n .. (n % 10 == 1 and "st" or n % 10 == 2 and "nd" or n % 10 == 3 and "rd" or "th")
    end
    return (spec.nth and table.concat(nth, ",") .. " " .. named[2] or named[1]) .. " " .. hours_text(spec)
  end,
  rule = function(spec)
    local rules = require("haplua.ical.rule")
    local utc, named = spec.zone == "UTC" and "Z" or "", spec.zone and spec.zone ~= "UTC" and not spec.zone:find("^[+-]%d%d:")
    local zone = named and ";TZID=" .. spec.zone or ""
    local finish = spec.wall and (";DTEND%s:%s%s"):format(zone, rules.civil_text(spec.from + spec.wall), utc) or ""
    return ("DTSTART%s:%s%s%s;RRULE:%s%s%s"):format(zone, rules.civil_text(spec.from), utc, finish, rules.text(spec.rule),
      spec.elapsed and " for " .. reader.duration_text(spec.elapsed) or "",
      spec.zone and not named and utc == "" and " " .. spec.zone or "")
  end,
}

--- The canonical form; parse() reads it back.
function Spec:__tostring()
  local zone = self.kind ~= "rule" and self.zone
  return writers[self.kind](self) .. (zone and " " .. zone or "")
end

function Spec.__eq(a, b)
  return tostring(a) == tostring(b)
end

return M
