-- SPDX-License-Identifier: MIT
--
--- The times of a recurrence rule, by the clocks of its zone. A rule by weeks, months or years is expanded period by
-- period: the days of one period that pass the BY parts, then those that BYSETPOS chooses. A rule by days or less goes
-- in steps from its start. Pure: no clock; the work is counted (haplua.time.search_limit).

local civil = require("haplua.time.civil")
local search_limit = require("haplua.time.search_limit")
local rules = require("haplua.ical.rule")

local M = {}

local DAY <const> = civil.DAY
-- A search that has looked at so many days for the next one ends.
local HORIZON <const> = 36525
local none <const> = {}

local frequencies, weekdays = rules.frequencies, rules.weekdays

-- Each by_ function below takes (rule, start, from) and returns an iterator over the rule's days: the day, and the
-- seconds of that day at which the rule has times, in order. It begins at `from` or before.

local function lookup(values)
  local is = {}
  for _, value in ipairs(values or {}) do
    is[value] = true
  end
  return values and is
end

--- The seconds of a day at which a rule by days or more has times.
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

--- The positions of a list of `n` that BYSETPOS chooses, in order; nil: the rule has none, and all count.
local function positions(rule, n)
  local is, chosen = lookup(rule.by.BYSETPOS), {}
  for i = 1, is and n or 0 do
    chosen[#chosen + 1] = (is[i] or is[i - n - 1]) and i
  end
  return is and chosen
end

--- The parts that choose days; where the rule has none of them, those that DTSTART gives (RFC 5545, 3.3.10).
local function day_parts(rule, start)
  local by, freq = rule.by, rule.freq
  local _, month, date = civil.date(start // DAY)
  local months, dates, days = by.BYMONTH, by.BYMONTHDAY, by.BYDAY
  if not (dates or days or by.BYYEARDAY) then
    if freq == "WEEKLY" or by.BYWEEKNO then
      days = { rules.weekday_names[civil.weekday(start // DAY)] }
    elseif freq == "MONTHLY" or freq == "YEARLY" then
      dates, months = { date }, months or freq == "YEARLY" and { month } or nil
    end
  end
  return months, dates, days
end

--- What BYDAY says of each day of the week: true, or which of them in a month or year count.
local function weekday_sets(days)
  local sets = {}
  for _, text in ipairs(days or {}) do
    local n, day = text:match("^(.-)(%u%u)$")
    local i = weekdays[day]
    if n == "" then
      sets[i] = true
    elseif sets[i] ~= true then
      sets[i] = sets[i] or {}
      sets[i][math.tointeger(tonumber(n))] = true
    end
  end
  return days and sets
end

--- A function that appends the days of a month, from one date to another, that the rule chooses; `day` is that before
-- the first of the month. nil: the rule chooses all days.
local function chooser(rule, start)
  local months, dates, days = day_parts(rule, start)
  local year_days, in_month = lookup(rule.by.BYYEARDAY), rule.freq == "MONTHLY" or months
  months, dates, days = lookup(months), lookup(dates), weekday_sets(days)
  local only = days and not next(days, next(days)) and next(days)
  if not (months or dates or days or year_days) then
    return nil
  end
  local by_year = year_days or days and not in_month
  return function(found, day, year, month, first, last)
    if months and not months[month] then
      return
    end
    local length, before, year_length = civil.month_length(year, month), 0, 0
    if by_year then
      before = civil.day(year, 1, 1) - 1
      year_length = civil.day(year + 1, 1, 1) - 1 - before
    end
    local base, size = in_month and day or before, in_month and length or year_length
    search_limit.spend((last - first) // 8 + 1, rules.text, rule)
    -- where one day of the week counts, only its dates are looked at
    for date = only and first + (only - day - first - 4) % 7 or first, last, only and 7 or 1 do
      local of = not days or days[(day + date + 3) % 7 + 1]
      if of and (not dates or dates[date] or dates[date - length - 1])
        and (not year_days or year_days[day + date - before] or year_days[day + date - before - year_length - 1]) then
        local at = day + date - base
        if of == true or of[(at - 1) // 7 + 1] or of[-((size - at) // 7) - 1] then
          found[#found + 1] = day + date
        end
      end
    end
  end
end

--- The seconds from the start of an hour or a minute at which a rule has times.
local function within(rule, start, unit)
  local found = {}
  for _, m in ipairs(unit == 3600 and (rule.by.BYMINUTE or { start // 60 % 60 }) or { 0 }) do
    for _, s in ipairs(unit >= 60 and (rule.by.BYSECOND or { start % 60 }) or { 0 }) do
      found[#found + 1] = m * 60 + s
    end
  end
  return found
end

--- The periods of a rule by weeks, months or years: a function that returns the first day of the n-th after that of
-- DTSTART, and the number of days that none is longer than. With BYWEEKNO a year is that of its weeks: a week belongs to
-- the year in which its fourth day lies.
local function periods(rule, start)
  local wkst, day = weekdays[rule.wkst or "MO"], start // DAY
  local year, month = civil.date(day)
  if rule.freq == "WEEKLY" then
    local first = day - (civil.weekday(day) - wkst) % 7
    return function(n)
      return first + 7 * n
    end, 7
  elseif rule.freq == "MONTHLY" then
    return function(n)
      local m = month - 1 + n
      return civil.day(year + m // 12, m % 12 + 1, 1)
    end, 31
  elseif not rule.by.BYWEEKNO then
    return function(n)
      return civil.day(year + n, 1, 1)
    end, 366
  end
  local function first_day(of)
    local fourth = civil.day(of, 1, 4)
    return fourth - (civil.weekday(fourth) - wkst) % 7
  end
  year = day < first_day(year) and year - 1 or day >= first_day(year + 1) and year + 1 or year
  return function(n)
    return first_day(year + n)
  end, 371
end

--- The days of a period that the rule chooses, and the times of each where they differ.
---@param months integer[]?  the period is a year, and only these of its months count
local function expand(rule, choose, months, first, last, numbers, times)
  local all, y, m, d = {}, civil.date(first)
  for _, month in ipairs(months or none) do
    choose(all, civil.day(y, month, 1) - 1, y, month, 1, civil.month_length(y, month))
  end
  local before = months and last or first - d
  while before + d <= last do
    local length = civil.month_length(y, m)
    choose(all, before, y, m, d, math.min(length, last - before))
    before, y, m, d = before + length, y + m // 12, m % 12 + 1, 1
  end
  local days, n = {}, (last + 1 - first) // 7
  for _, one in ipairs(numbers and all or {}) do
    local week = (one - first) // 7 + 1
    days[#days + 1] = (numbers[week] or numbers[week - n - 1]) and one
  end
  days = numbers and days or all
  local chosen, own = positions(rule, #days * #times), {}
  if not chosen then
    return days, own
  end
  local kept = {}
  for _, i in ipairs(chosen) do
    local one, time = days[(i - 1) // #times + 1], times[(i - 1) % #times + 1]
    if kept[#kept] ~= one then
      kept[#kept + 1], own[#own + 1] = one, {}
    end
    table.insert(own[#own], time)
  end
  return kept, own
end

--- A function that returns whether the search for a rule's next day ends at `day`, where all before it was searched,
-- and one that marks a day as found.
local function horizon(rule, from)
  local empty, limit = from // DAY, rule.nothing_from or math.huge
  return function(day)
    local over = day >= limit or day > empty + HORIZON
    if over then
      rule.nothing_from = math.min(limit, empty)
    end
    return over
  end, function(day)
    empty = math.max(empty, day + 1)
  end
end

--- Rules by weeks, months and years.
local function by_periods(rule, start, from)
  local first_of, longest = periods(rule, start)
  local choose, numbers = chooser(rule, start), lookup(rule.by.BYWEEKNO)
  local months = rule.freq == "YEARLY" and not numbers and day_parts(rule, start) or nil
  local times, step = times_of_day(rule, start), rule.interval
  local n = math.max(0, (from // DAY - first_of(0)) // longest // step) * step - step
  while first_of(n + step + step) <= from // DAY do
    n = n + step
  end
  local days, own, i = {}, {}, 0
  local is_over, found = horizon(rule, from)
  return function()
    i = i + 1
    while not days[i] do
      n, i = n + step, 1
      local first = first_of(n)
      if is_over(first) then
        return nil
      end
      days, own = expand(rule, choose, months, first, first_of(n + 1) - 1, numbers, times)
    end
    found(days[i])
    return days[i], own[i] or times
  end
end

--- A function for the times of a rule by days and less on one day: from the second of the day at which its first step
-- lies to the seconds at which it has times.
local function by_first_step(rule, start, unit, step)
  local all = unit == DAY and times_of_day(rule, start) or within(rule, start, unit)
  local chosen, offsets = positions(rule, #all), {}
  for i = 1, #(chosen or all) do
    offsets[i] = all[chosen and chosen[i] or i]
  end
  local hours = unit < DAY and lookup(rule.by.BYHOUR)
  local minutes = unit < 3600 and lookup(rule.by.BYMINUTE)
  local seconds = unit < 60 and lookup(rule.by.BYSECOND)

  --- The seconds to the next step that may pass BYHOUR, BYMINUTE and BYSECOND. nil: this one passes.
  local function past(time)
    local size = hours and not hours[time // 3600] and 3600 or minutes and not minutes[time // 60 % 60] and 60
      or seconds and not seconds[time % 60] and 1
    return size and (size - time % size + step - 1) // step * step
  end

  local known = {}
  return function(first)
    local times = known[first]
    if not times then
      times = {}
      local time = first
      while time < DAY do
        local more = past(time)
        for i = 1, more and 0 or #offsets do
          times[#times + 1] = time + offsets[i]
        end
        search_limit.spend(1, rules.text, rule)
        time = time + (more or step)
      end
      known[first] = times
    end
    return times
  end
end

--- Rules by days, hours, minutes and seconds: in steps from the start, by the clock on the wall.
local function by_steps(rule, start, from)
  local unit = frequencies[rule.freq]
  local step = unit * rule.interval
  local base = start - start % unit
  local choose, times_from = chooser(rule, start), by_first_step(rule, start, unit, step)
  local day = math.max(base, from) // DAY - 1
  local is_over, found = horizon(rule, from)

  local function passes()
    local chosen, y, m, d = {}, civil.date(day)
    choose(chosen, day - d, y, m, d, d)
    return chosen[1]
  end

  return function()
    while true do
      local time = base + math.max(0, ((day + 1) * DAY - base + step - 1) // step) * step
      day = time // DAY
      if is_over(day) then
        return nil
      end
      search_limit.spend(1, rules.text, rule)
      local times = (not choose or passes()) and times_from(time % DAY)
      if times and times[1] then
        found(day)
        return day, times
      end
    end
  end
end

-- From days to times.

--- The first index from `low` to `high` for which `is` returns true; `high` + 1 where it does for none. It has to
-- return true for all that follow, too.
function M.first_index(low, high, is)
  while low <= high do
    local middle = (low + high) // 2
    if is(middle) then
      high = middle - 1
    else
      low = middle + 1
    end
  end
  return low
end

--- A civil time after which a rule has no times, as far as it can be seen without computing them: UNTIL, or with COUNT
-- a time that is late enough if each period after that of `start` has one time at least. nil: it cannot be seen.
---@param rule haplua.Rule
---@param start integer  DTSTART, a civil time
---@return number?
function M.stop(rule, start)
  local days, chosen, unit = rule.by.BYDAY, rule.by.BYSETPOS, frequencies[rule.freq]
  if not rule.count then
    return rule.until_ and rule.until_.civil
  end
  for name in pairs(rule.by) do
    if unit <= DAY or name ~= "BYDAY" and name ~= "BYSETPOS" then
      return nil
    end
  end
  local _, _, date = civil.date(start // DAY)
  -- every month has a 28th, and four of each day of the week
  local is_sure = days and math.abs(tonumber(days[1]:match("^-?%d+")) or 1) <= 4
    or not days and (unit <= 7 * DAY or date <= 28)
  if is_sure and (not chosen or math.abs(chosen[1]) == 1) then
    return start + (rule.count + 1.0) * rule.interval * unit
  end
end

--- Iterate over a rule's days from `start` to UNTIL or COUNT: the day's midnight, its times, and the indexes of the
-- first and the last of them that count.
local function limited(rule, start, from, zone)
  local stop = rule.until_ and not rule.until_.utc and rule.until_.civil + (rule.until_.date and DAY - 1 or 0)
  local stop_instant = rule.until_ and rule.until_.utc and rule.until_.civil
  local by = frequencies[rule.freq] > DAY and by_periods or by_steps
  local days = by(rule, start, rule.count and start or math.max(from, start))
  local n, over = 0, false

  local function is_late(time)
    return stop and time > stop or stop_instant and zone:first(time) > stop_instant
  end

  return function()
    while not over do
      local day, times = days()
      if not day then
        return nil
      end
      local midnight, first, last = day * DAY, 1, #times
      local function not_before(time)
        return M.first_index(first, last, function(i)
          return midnight + times[i] >= time
        end)
      end
      if midnight < start then
        first = not_before(start)
      end
      if is_late(midnight + times[last]) then
        over = true
        last = M.first_index(first, last, function(i)
          return is_late(midnight + times[i])
        end) - 1
      end
      if rule.count and n + last - first + 1 >= rule.count then
        over = true
        last = first + rule.count - n - 1
      end
      n = n + last - first + 1
      if midnight < from then
        first = not_before(from)
      end
      if first <= last then
        return midnight, times, first, last
      end
    end
  end
end

--- Iterate over the civil times of a rule in runs. A run is times of one day, each `reach` seconds or less after the
-- one before; the iterator returns its first and its last.
---@param rule haplua.Rule
---@param start integer  DTSTART, a civil time
---@param from integer  a civil time
---@param zone haplua.Zone  for an UNTIL in UTC
---@param reach integer
---@param whole fun(first: integer, last: integer): boolean  may these be one run? Where not, it is halved
---@return fun(): integer?, integer?
function M.runs(rule, start, from, zone, reach, whole)
  local days = limited(rule, start, from, zone)
  local midnight, times, i, last
  local ends = setmetatable({}, { __mode = "k" })

  --- For each time of a day the index at which its run ends.
  local function ends_of()
    local found = ends[times]
    if not found then
      found = { [#times] = #times }
      for k = #times - 1, 1, -1 do
        found[k] = times[k + 1] - times[k] <= reach and found[k + 1] or k
      end
      ends[times] = found
    end
    return found
  end

  return function()
    if not i or i > last then
      midnight, times, i, last = days()
      if not midnight then
        i, last = 1, 0
        return nil
      end
    end
    local first, finish = i, math.min(ends_of()[i], last)
    while finish > first and not whole(midnight + times[first], midnight + times[finish]) do
      finish = (first + finish) // 2
    end
    i = finish + 1
    search_limit.spend(1, rules.text, rule)
    return midnight + times[first], midnight + times[finish]
  end
end

--- Iterate over the instants of a rule in runs: the first and the last of each, and their civil times. A run lies on
-- one day of both zones.
---@param there haplua.Zone  the rule's
---@param zone haplua.Zone  the window's
---@param may_join? fun(opens: integer, opens_last: integer): boolean
---@return fun(): integer?, integer?, integer?, integer?
function M.instants(rule, start, from, there, zone, reach, may_join)
  local runs = M.runs(rule, start, from, there, reach, function(first, last)
    local opens, opens_last = there:first(first), there:first(last)
    -- where clocks are set back, more time lies between the two than between their civil times
    return opens_last - opens <= last - first and there:civil(opens) // DAY == there:civil(opens_last) // DAY
      and (there == zone or zone:civil(opens) // DAY == zone:civil(opens_last) // DAY)
      and (not may_join or may_join(opens, opens_last))
  end)
  return function()
    local first, last = runs()
    if first then
      local opens = there:first(first)
      return opens, last == first and opens or there:first(last), first, last
    end
  end
end

--- Iterate over the civil times of a rule.
---@param rule haplua.Rule
---@param start integer  DTSTART, a civil time
---@param from integer  a civil time
---@param zone haplua.Zone  for an UNTIL in UTC
---@return fun(): integer?
function M.times(rule, start, from, zone)
  return M.runs(rule, start, from, zone, -1, function()
    return false
  end)
end

return M
