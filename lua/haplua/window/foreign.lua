-- SPDX-License-Identifier: MIT
--
--- Windows as other programs write them: a line of cron (crontab(5)), systemd's OnCalendar (systemd.time(7)). of_fields()
-- makes windows of their lists of minutes, hours and days, and of those of Alertmanager.

local civil = require("haplua.time.civil")
local keys_of = require("haplua.base.lists").keys
local reader = require("haplua.time.reader")
local words = require("haplua.window.words")

local M = {}

local refuse, take, see, skip = reader.refuse, reader.take, reader.see, reader.skip

---@class haplua.window.Fields  when a window opens: nil stands for all
---@field seconds integer[]?
---@field minutes integer[]?
---@field hours integer[]?
---@field dates integer[]?  days of the month, all negative where they count from its end
---@field months integer[]?
---@field weekdays integer[]?  1 is Monday
---@field years integer[]?

local month_names, weekday_names = {}, {}
for i, name in ipairs({ "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec" }) do
  month_names[name] = i
end
for i, name in ipairs(reader.day_names) do
  weekday_names[name:lower()] = i % 7
end

-- The name of each field, its least and its greatest number, and names for numbers.
local year, month, month_day = { "year", 1970, 2199 }, { "month", 1, 12, month_names }, { "day", 1, 31 }
local hour, minute, second = { "hour", 0, 23 }, { "minute", 0, 59 }, { "second", 0, 59 }
local cron_fields = { minute, hour, month_day, month, { "day of the week", 0, 7, weekday_names } }

--- Days of the month as a window's `nth`: where no weekdays are given, or where they are the days of one week.
local function nth_of(dates, weekdays)
  local first, last = dates[1], dates[#dates]
  if weekdays then
    local week = #weekdays == 1 and #dates == 7 and last - first == 6
    return week and (last == -1 and { -1 } or last % 7 == 0 and last > 0 and { last // 7 }) or nil
  end
  return first > 0 and dates or #dates == 1 and first == -1 and dates or nil
end

--- The window that opens at these times. It has no `wall` and no `elapsed` yet.
---@param fields haplua.window.Fields
---@return haplua.window.Spec?  nil: the years are not in a row
function M.of_fields(fields)
  local h, m, s = fields.hours, fields.minutes, fields.seconds
  local at = (h or { 0 })[1] * 3600 + (m or { 0 })[1] * 60 + (s or { 0 })[1]
  local dates = fields.dates and #fields.dates < 31 and fields.dates or nil
  local on_days = fields.weekdays and #fields.weekdays < 7 and fields.weekdays or nil
  local nth = dates and nth_of(dates, on_days)
  if h and m and s and #h * #m * #s == 1 and not fields.months and not fields.years and (nth or not dates) then
    local on = {}
    for _, day in ipairs(on_days or { 1, 2, 3, 4, 5, 6, 7 }) do
      on[day] = true
    end
    return { kind = "weekly", days = on, nth = nth, at = at }
  end
  local years = fields.years or { 1970, math.huge }
  local first, last = years[1], years[#years]
  if fields.years and last - first ~= #years - 1 then
    return nil
  end
  local freq = not s and "SECONDLY" or not m and "MINUTELY" or not h and "HOURLY" or "DAILY"
  local text = "FREQ=" .. freq .. (last < year[3] and (";UNTIL=%04d1231T235959"):format(last) or "")
  local weekdays = {}
  for i, day in ipairs(on_days or {}) do
    weekdays[i] = reader.day_names[day]:sub(1, 2):upper()
  end
  for _, part in ipairs({
    { "BYMONTH", fields.months }, { "BYMONTHDAY", dates }, { "BYDAY", weekdays[1] and weekdays },
    { "BYHOUR", h and (#h > 1 or not m or not s) and h }, { "BYMINUTE", m and (#m > 1 or not s) and m },
    { "BYSECOND", s and #s > 1 and s },
  }) do
    text = text .. (part[2] and (";%s=%s"):format(part[1], table.concat(part[2], ",")) or "")
  end
  return { kind = "rule", from = civil.day(first, 1, 1) * civil.DAY + at,
    rule = assert(require("haplua.ical.rule").parse(text)) }
end

-- Lists of numbers.

local function number(r, field)
  local at = r.at
  local n = civil.integers(take(r, "(%d+)")) or field[4] and reader.word(r, field[4])
  if not n or n < field[2] or n > field[3] then
    refuse(r, at, "%s: a number from %d to %d is expected here", field[1], field[2], field[3])
  end
  return n
end

--- Read "*", "1,15", "0-30/10": a sorted list, or nil for "*".
---@param to string  the pattern of what joins a range
---@param back boolean?  systemd's "~": the days count from the end
---@return integer[]?
local function list_of(r, field, to, back)
  local cron, set = to == "%-", {}
  if see(r, "%*") and not (cron and see(r, "%*/")) then
    r.at = r.at + 1
    return nil
  end
  repeat
    local at = r.at
    local all = cron and take(r, "()%*")
    local first = all and field[2] or number(r, field)
    local ranged = all or take(r, "()" .. to)
    local last = all and field[3] or ranged and number(r, field) or first
    local step = civil.integers(take(r, "/(%d+)"))
    if step and not ranged and cron then
      refuse(r, at, "not every cron reads this: '%d-%d/%d' is expected here", first, field[3], step)
    elseif step and not ranged then
      last = back and 1 or field[3]
      step = back and -step or step
    end
    if step == 0 or (last - first) * (step or 1) < 0 or step and not ranged and math.abs(last - first) < math.abs(step) then
      refuse(r, at, "there is nothing in this range")
    end
    for n = first, last, step or 1 do
      set[back and -n or n] = true
    end
  until not take(r, "(),")
  return keys_of(set)
end

local function length_of(r, spec)
  spec.elapsed = reader.for_duration(r) or refuse(r, r.at, "how long does it last? 'for 1h' is expected here")
  return spec
end

-- cron.

local cron_names = { yearly = "0 0 1 1 *", annually = "0 0 1 1 *", monthly = "0 0 1 * *", weekly = "0 0 * * 0",
  daily = "0 0 * * *", midnight = "0 0 * * *", hourly = "0 * * * *" }

local function cron(r)
  local zone = take(r, "[Cc][Rr][Oo][Nn]_[Tt][Zz]=()")
    and (reader.zone(r) or refuse(r, r.at, "a zone such as Europe/Paris is expected here")) or nil
  skip(r)
  local at, lists = r.at, {}
  local name = take(r, "@(%a+)")
  local five = name and { text = cron_names[name:lower()] or refuse(r, at, "cron has no window of this name"), at = 1 } or r
  for i, field in ipairs(cron_fields) do
    lists[i] = list_of(five, field, "%-")
    if five == r and not see(r, "[ \t]") then
      refuse(r, r.at, "a line of cron has five fields: minute, hour, day, month, day of the week; 'for 1h' follows")
    end
    skip(five)
  end
  if lists[3] and lists[5] then
    local times, on, months, weekdays, rest = r.text:sub(at):match("^(%S+%s+%S+)%s+(%S+)%s+(%S+)%s+(%S+)(.*)$")
    refuse(r, at, "cron means the days that fit either: give two windows, '%s %s %s *%s' and '%s * %s %s%s'",
      times, on, months, rest, times, months, weekdays, rest)
  end
  local weekdays = {}
  for _, day in ipairs(lists[5] or {}) do
    weekdays[(day + 6) % 7 + 1] = true
  end
  local spec = M.of_fields({ seconds = { 0 }, minutes = lists[1], hours = lists[2], dates = lists[3], months = lists[4],
    weekdays = lists[5] and keys_of(weekdays) })
  spec.zone = zone
  return length_of(r, spec)
end

-- systemd.

local systemd_names = { minutely = "*-*-* *:*:00", hourly = "*-*-* *:00:00", daily = "*-*-* 00:00:00",
  monthly = "*-*-01 00:00:00", weekly = "Mon *-*-* 00:00:00", yearly = "*-01-01 00:00:00", annually = "*-01-01 00:00:00",
  quarterly = "*-01,04,07,10-01 00:00:00", semiannually = "*-01,07-01 00:00:00", biannually = "*-01,07-01 00:00:00" }

--- Read "2026-*-01", "*-01", "*-*~03".
local function systemd_date(r, fields)
  local text = r.text:match("^[%d*,./~-]+", r.at)
  local _, parts = text:gsub("[-~]", "")
  if parts == 2 then
    fields.years = list_of(r, year, "%.%.")
    take(r, "()%-")
  end
  fields.months = list_of(r, month, "%.%.")
  local back = take(r, "()~")
  if not back then
    take(r, "()%-")
  end
  fields.dates = list_of(r, month_day, "%.%.", back ~= nil)
end

--- Read "Mon *-*-* 02:00:00".
---@return haplua.window.Fields
local function systemd_fields(r)
  local fields = { seconds = { 0 }, minutes = { 0 }, hours = { 0 } }
  if see(r, "%a") then
    fields.weekdays = keys_of(words.week_days(r))
    skip(r)
  end
  if see(r, "[%d*][%d*,./]*[-~]") then
    systemd_date(r, fields)
    skip(r)
  end
  if see(r, "[%d*][%d*,./]*:") then
    fields.hours = list_of(r, hour, "%.%.")
    take(r, "():")
    fields.minutes = list_of(r, minute, "%.%.")
    if take(r, "():") then
      fields.seconds = list_of(r, second, "%.%.")
    end
  end
  return fields
end

local function systemd(r)
  take(r, "[Oo][Nn][Cc][Aa][Ll][Ee][Nn][Dd][Aa][Rr]%s*=%s*()")
  local at = r.at
  local name = reader.word(r, systemd_names)
  local fields = systemd_fields(name and { text = name, at = 1 } or r)
  if r.at == at or r.text:find("^%S", r.at) and r.text:find("^%S", r.at - 1) then
    refuse(r, r.at, "a time of systemd's OnCalendar is expected here, such as 'Mon *-*-* 02:00:00'")
  end
  local spec = M.of_fields(fields) or refuse(r, at, "give a window of its own for each year")
  spec.zone = reader.zone(r)
  return length_of(r, spec)
end

--- Read a window of another program. Returns nil for another text.
---@param r haplua.time.Reader
---@return haplua.window.Spec?
function M.read(r)
  if see(r, "@") or see(r, "[Cc][Rr][Oo][Nn]_[Tt][Zz]=") or see(r, "[%d*][%d*,/-]*[ \t]+[%d*]+[%d*,/-]*[ \t]") then
    return cron(r)
  elseif see(r, "[Oo][Nn][Cc][Aa][Ll][Ee][Nn][Dd][Aa][Rr]%s*=") or r.text:find("[*~]") then
    return systemd(r)
  end
end

return M
