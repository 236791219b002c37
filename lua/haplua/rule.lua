-- SPDX-License-Identifier: MIT
--
--- RFC 5545's recurrence rules, "FREQ=MONTHLY;BYDAY=2TU": checked here, printed in one form, and expanded to
-- civil times. Which days a rule by months or years gives is libical's answer (haplua.recurrence). Rules by
-- weeks and less are stepped through here, and so are the times of day, UNTIL and COUNT: libical 3.0 finds
-- nothing for FREQ=DAILY;BYMONTHDAY=-1, is a week off for some FREQ=WEEKLY;INTERVAL=2;BYDAY=SU, takes
-- weeks at the end of a year for others (BYWEEKNO=52), and may search for hours where a rule gives nothing.

local civil = require("haplua.civil")

local M = {}

---@class haplua.Rule
---@field freq string
---@field interval integer
---@field count integer?
---@field until_ {civil: integer, utc: boolean, date: boolean}?
---@field by table<string, string[]|integer[]>  BYMONTH and so on
---@field wkst string?

local DAY <const> = civil.DAY
-- Candidates that are looked at for one occurrence.
local PATIENCE <const> = 1000000
-- Days that are looked at for one occurrence: after so many nothing comes.
local HORIZON <const> = 36525

local frequencies = { SECONDLY = 1, MINUTELY = 60, HOURLY = 3600, DAILY = 86400, WEEKLY = 604800, MONTHLY = 0, YEARLY = 0 }
local weekdays = { MO = 1, TU = 2, WE = 3, TH = 4, FR = 5, SA = 6, SU = 7 }

-- The order in which the parts are printed, and the numbers that they take; negative ones, too, where `back`.
local parts = {
  { "BYMONTH", 1, 12 }, { "BYWEEKNO", 1, 53, back = true }, { "BYYEARDAY", 1, 366, back = true },
  { "BYMONTHDAY", 1, 31, back = true }, { "BYDAY" }, { "BYHOUR", 0, 23 }, { "BYMINUTE", 0, 59 },
  { "BYSECOND", 0, 59 }, { "BYSETPOS", 1, 366, back = true },
}
local known = {}
for _, part in ipairs(parts) do
  known[part[1]] = part
end

--- "20261201T220000" or "20261201" as a civil time. Nil: there is no such time.
---@return integer?
function M.civil(text)
  local y, m, d, rest = text:match("^(%d%d%d%d)(%d%d)(%d%d)(.*)$")
  y, m, d = math.tointeger(tonumber(y)), math.tointeger(tonumber(m)), math.tointeger(tonumber(d))
  if not y or not civil.is_date(y, m, d) then
    return nil
  end
  local day = civil.day(y, m, d) * DAY
  if rest == "" then
    return day
  end
  local h, min, s = rest:match("^[Tt](%d%d)(%d%d)(%d%d)$")
  h, min, s = math.tointeger(tonumber(h)), math.tointeger(tonumber(min)), math.tointeger(tonumber(s))
  if h and h < 24 and min < 60 and s < 60 then
    return day + h * 3600 + min * 60 + s
  end
end

--- A civil time as "20261201T220000".
function M.civil_text(time)
  local y, m, d = civil.date(time // DAY)
  local s = time % DAY
  return ("%04d%02d%02dT%02d%02d%02d"):format(y, m, d, s // 3600, s // 60 % 60, s % 60)
end

-- Reading.

local function positive(text)
  local n = text:find("^%d+$") and #text <= 9 and math.tointeger(tonumber(text))
  return n and n > 0 and n or nil
end

--- The value of a BY part as a list without repetitions, or nil.
local function list(part, text)
  local found, seen = {}, {}
  for item in (text .. ","):gmatch("([^,]*),") do
    local value
    if part[2] then
      value = #item < 6 and item:find("^[+-]?%d+$") and math.tointeger(tonumber((item:gsub("^%+", ""))))
      local size = value and (value < 0 and part.back and -value or value)
      value = size and size >= part[2] and size <= part[3] and value
    else
      local n, day = item:match("^([+-]?%d?%d?)(%u%u)$")
      local size = n and math.tointeger(tonumber((n:gsub("^[+-]", "")))) or n == "" and 1
      value = weekdays[day or ""] and size and size >= 1 and size <= 53 and n:gsub("^%+", ""):gsub("^(%-?)0", "%1") .. day
    end
    if not value then
      return nil
    elseif not seen[value] then
      seen[value] = true
      found[#found + 1] = value
    end
  end
  if part[2] then
    table.sort(found)
  end
  return found
end

local readers = {
  FREQ = function(rule, value)
    rule.freq = frequencies[value] and value
    return rule.freq
  end,
  INTERVAL = function(rule, value)
    rule.interval = positive(value)
    return rule.interval and rule.interval <= 30000
  end,
  COUNT = function(rule, value)
    rule.count = positive(value)
    return rule.count
  end,
  UNTIL = function(rule, value)
    local time = M.civil((value:gsub("Z$", "")))
    rule.until_ = { civil = time, utc = value:find("Z$") ~= nil, date = #value == 8 }
    return time and not (rule.until_.utc and #value < 16)
  end,
  WKST = function(rule, value)
    rule.wkst = weekdays[value] and value
    return rule.wkst
  end,
}

--- What RFC 5545 leaves without a meaning, or does not allow.
local function contradiction(rule)
  local by, freq = rule.by, rule.freq
  if not freq then
    return "FREQ is missing"
  elseif rule.count and rule.until_ then
    return "UNTIL and COUNT do not go together"
  elseif by.BYWEEKNO and freq ~= "YEARLY" then
    return "BYWEEKNO goes with FREQ=YEARLY only"
  elseif by.BYYEARDAY and (freq == "DAILY" or freq == "WEEKLY" or freq == "MONTHLY") then
    return "BYYEARDAY does not go with FREQ=" .. freq
  elseif by.BYMONTHDAY and freq == "WEEKLY" then
    return "BYMONTHDAY does not go with FREQ=WEEKLY"
  elseif by.BYSETPOS and (not next(by, next(by)) or frequencies[freq] > 0 and freq ~= "WEEKLY") then
    return "BYSETPOS chooses from what other parts give in a week or more"
  end
  for _, day in ipairs(by.BYDAY or {}) do
    if #day > 2 and (freq ~= "MONTHLY" and freq ~= "YEARLY" or by.BYWEEKNO) then
      return ("'%s' with a number goes with FREQ=MONTHLY and YEARLY only"):format(day)
    end
  end
  if by.BYSETPOS and #(by.BYHOUR or {}) < 2 and #(by.BYMINUTE or {}) < 2 and #(by.BYSECOND or {}) < 2 then
    return nil
  end
  return by.BYSETPOS and "BYSETPOS with several times of day is more than haplua takes"
end

--- Read a rule, what stands behind "RRULE:".
---@param text string
---@return haplua.Rule?, string? problem, integer? at
function M.parse(text)
  local rule, seen = { interval = 1, by = {} }, {}
  for at, item in text:upper():gmatch("()([^;]+)") do
    local name, value = item:match("^(%u+)=(.+)$")
    local read, part = readers[name], known[name]
    if not read and not part then
      return nil, ("'%s' is no part of a recurrence rule"):format(item), at
    elseif seen[name] then
      return nil, name .. " is there already", at
    end
    seen[name] = true
    if part then
      rule.by[name] = list(part, value)
    end
    if part and not rule.by[name] or read and not read(rule, value) then
      return nil, ("%s cannot be '%s'"):format(name, value), at
    end
  end
  local problem = contradiction(rule)
  if problem then
    return nil, problem, 1
  end
  return rule
end

-- Printing.

local function add_parts(words, rule, first, last)
  for i = first, last do
    local values = rule.by[parts[i][1]]
    if values then
      words[#words + 1] = ("%s=%s"):format(parts[i][1], table.concat(values, ","))
    end
  end
end

--- The part of a rule that is about days, for libical.
local function days_text(rule)
  local words = { "FREQ=" .. rule.freq, "INTERVAL=" .. rule.interval }
  add_parts(words, rule, 1, 5)
  add_parts(words, rule, 9, 9)
  words[#words + 1] = rule.wkst and "WKST=" .. rule.wkst
  return table.concat(words, ";")
end

--- The one form in which a rule is printed.
---@param rule haplua.Rule
---@return string
function M.text(rule)
  local words = { "FREQ=" .. rule.freq }
  if rule.until_ then
    local text = M.civil_text(rule.until_.civil)
    words[2] = "UNTIL=" .. (rule.until_.date and text:sub(1, 8) or text) .. (rule.until_.utc and "Z" or "")
  end
  words[#words + 1] = rule.count and "COUNT=" .. rule.count
  words[#words + 1] = rule.interval > 1 and "INTERVAL=" .. rule.interval or nil
  add_parts(words, rule, 1, #parts)
  words[#words + 1] = rule.wkst and "WKST=" .. rule.wkst
  return table.concat(words, ";")
end

-- Expanding. Each expansion is a function that gives one civil time after the other, then nil; it may begin
-- at `from` where the times before need not be counted.

local function refuse(message, advice)
  error(require("haplua.error").new({ kind = "refused", message = message, advice = advice }), 0)
end

--- The times of a day of a rule that recurs by days.
local function times_of_day(rule, start)
  local second = start % DAY
  local times = {}
  for _, h in ipairs(rule.by.BYHOUR or { second // 3600 }) do
    for _, m in ipairs(rule.by.BYMINUTE or { second // 60 % 60 }) do
      for _, s in ipairs(rule.by.BYSECOND or { second % 60 }) do
        times[#times + 1] = h * 3600 + m * 60 + s
      end
    end
  end
  return times
end

local function as_number(time)
  local y, m, d = civil.date(time // DAY)
  return (y * 100 + m) * 100 + d
end

--- By months and years.
local function by_days(rule, start, from)
  local days, problem, code = require("haplua.recurrence").days(days_text(rule), civil.date(start // DAY))
  if not days then
    refuse(("the rule '%s': %s"):format(M.text(rule), problem),
      code == "ENOENT" and "recurrence rules need the package libical3" or nil)
  end
  local times = times_of_day(rule, start)
  local day, i = nil, #times
  local number = as_number(from)
  return function()
    i = i + 1
    if i > #times then
      local found = days:next(number)
      if not found then
        return nil
      end
      i = 1
      day = civil.day(found // 10000, found // 100 % 100, found % 100) * DAY
    end
    return day + times[i]
  end
end

--- Does a day pass the parts of a rule that choose days?
local function day_filter(rule)
  local function set(values)
    local is = {}
    for _, value in ipairs(values or {}) do
      is[weekdays[value] or value] = true
    end
    return values and is
  end
  local months, dates = set(rule.by.BYMONTH), set(rule.by.BYMONTHDAY)
  local year_days, week_days = set(rule.by.BYYEARDAY), set(rule.by.BYDAY)
  return function(day)
    local y, m, d = civil.date(day)
    local length = civil.month_length(y, m)
    local n = day - civil.day(y, 1, 1) + 1
    local last = civil.day(y + 1, 1, 1) - civil.day(y, 1, 1)
    return (not months or months[m]) and (not dates or dates[d] or dates[d - length - 1])
      and (not year_days or year_days[n] or year_days[n - last - 1])
      and (not week_days or week_days[civil.weekday(day)])
  end
end

--- The seconds from a unit's start at which a rule has times: of an hour or of a minute.
local function within(rule, start, unit)
  local found = {}
  for _, m in ipairs(unit == 3600 and (rule.by.BYMINUTE or { start // 60 % 60 }) or { 0 }) do
    for _, s in ipairs(unit >= 60 and (rule.by.BYSECOND or { start % 60 }) or { 0 }) do
      found[#found + 1] = m * 60 + s
    end
  end
  return found
end

local function lookup(values)
  local is = {}
  for _, value in ipairs(values or {}) do
    is[value] = true
  end
  return values and is
end

--- What BYSETPOS leaves of a period's days.
local function at_positions(rule, days)
  if not rule.by.BYSETPOS then
    return days
  end
  local positions, chosen = lookup(rule.by.BYSETPOS), {}
  for i, day in ipairs(days) do
    if positions[i] or positions[i - #days - 1] then
      chosen[#chosen + 1] = day
    end
  end
  return chosen
end

--- The days of a week that a rule chooses.
local function days_of_week(rule, week, wanted, months)
  local days = {}
  for day = week, week + 6 do
    local _, month = civil.date(day)
    if wanted[civil.weekday(day)] and (not months or months[month]) then
      days[#days + 1] = day
    end
  end
  return at_positions(rule, days)
end

--- By weeks.
local function by_weeks(rule, start, from)
  local first = start // DAY
  local base = first - (civil.weekday(first) - weekdays[rule.wkst or "MO"]) % 7
  local step = 7 * rule.interval
  local week = base + math.max(0, (from // DAY - base) // step) * step - step
  local wanted, months = { [civil.weekday(first)] = true }, lookup(rule.by.BYMONTH)
  if rule.by.BYDAY then
    wanted = {}
    for _, day in ipairs(rule.by.BYDAY) do
      wanted[weekdays[day]] = true
    end
  end
  local times = times_of_day(rule, start)
  local days, i, j = {}, 0, #times
  return function()
    j = j + 1
    if j > #times then
      i, j = i + 1, 1
      local last = week + HORIZON
      while not days[i] do
        week, i = week + step, 1
        if week > last then
          return nil
        end
        days = days_of_week(rule, week, wanted, months)
      end
    end
    return days[i] * DAY + times[j]
  end
end

--- By days, hours, minutes and seconds: in steps from the start, by the clock on the wall.
local function by_steps(rule, start, from)
  local unit = frequencies[rule.freq]
  local step = unit * rule.interval
  local base = start - start % unit
  local offsets = unit == DAY and times_of_day(rule, start) or within(rule, start, unit)
  local passes = day_filter(rule)
  local hours = unit < DAY and lookup(rule.by.BYHOUR)
  local minutes = unit < 3600 and lookup(rule.by.BYMINUTE)
  local seconds = unit < 60 and lookup(rule.by.BYSECOND)
  local time = base + math.max(0, (from - base) // step) * step - step
  local day, good
  local i = #offsets

  --- Go on to the next step whose unit passes.
  local function go_on()
    local last = time // DAY + HORIZON
    for _ = 1, PATIENCE do
      time = time + step
      if time // DAY ~= day then
        day = time // DAY
        good = passes(day)
      end
      if day > last then
        return false
      elseif not good then
        time = base + ((day + 1) * DAY - 1 - base) // step * step
      elseif (not hours or hours[time % DAY // 3600]) and (not minutes or minutes[time // 60 % 60])
        and (not seconds or seconds[time % 60]) then
        return true
      end
    end
    refuse(("the rule '%s' gives nothing for a very long time"):format(M.text(rule)))
  end

  return function()
    i = i + 1
    if i > #offsets then
      i = 1
      if not go_on() then
        return nil
      end
    end
    return time + offsets[i]
  end
end

--- By the numbers of weeks, which belong to the year in which their fourth day lies.
local function by_week_numbers(rule, start, from)
  local wkst = weekdays[rule.wkst or "MO"]
  local passes, numbers = day_filter(rule), lookup(rule.by.BYWEEKNO)
  local own_day = not rule.by.BYDAY and civil.weekday(start // DAY)
  local times = times_of_day(rule, start)
  local year = civil.date(start // DAY) - rule.interval
  year = year + math.max(0, (civil.date(from // DAY) - 1 - year) // rule.interval) * rule.interval - rule.interval
  local days, i, j = {}, 0, #times

  local function first_day(of)
    local day = civil.day(of, 1, 4)
    return day - (civil.weekday(day) - wkst) % 7
  end

  local function days_of_year()
    local found, first, last = {}, first_day(year), first_day(year + 1) - 1
    for day = first, last do
      local n = (day - first) // 7 + 1
      if (numbers[n] or numbers[n - (last + 1 - first) // 7 - 1])
        and (not own_day or civil.weekday(day) == own_day) and passes(day) then
        found[#found + 1] = day
      end
    end
    return at_positions(rule, found)
  end

  return function()
    j = j + 1
    if j > #times then
      local last = year + HORIZON // 365
      i, j = i + 1, 1
      while not days[i] do
        year, i = year + rule.interval, 1
        if year > last then
          return nil
        end
        days = days_of_year()
      end
    end
    return days[i] * DAY + times[j]
  end
end

--- The civil times of a rule from `from` on.
---@param rule haplua.Rule
---@param start integer  DTSTART, a civil time
---@param from integer  a civil time
---@param zone haplua.Zone  for an UNTIL in UTC
---@return fun(): integer?
function M.times(rule, start, from, zone)
  local stop = rule.until_ and not rule.until_.utc and rule.until_.civil + (rule.until_.date and DAY - 1 or 0)
  local stop_instant = rule.until_ and rule.until_.utc and rule.until_.civil
  local expand = rule.freq == "WEEKLY" and by_weeks or rule.by.BYWEEKNO and by_week_numbers
    or frequencies[rule.freq] > 0 and by_steps or by_days
  local times = expand(rule, start, rule.count and start or math.max(from, start))
  local n = 0
  return function()
    for _ = 1, PATIENCE do
      local time = times()
      if not time or stop and time > stop or stop_instant and zone:first(time) > stop_instant then
        return nil
      end
      if time >= start then
        n = n + 1
        if rule.count and n > rule.count then
          return nil
        elseif time >= from then
          return time
        end
      end
    end
    refuse(("the rule '%s' gives very many times before %s"):format(M.text(rule), civil.text(from)),
      "give it a later DTSTART")
  end
end

return M
