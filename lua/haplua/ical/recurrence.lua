-- SPDX-License-Identifier: MIT
--
--- The civil times of a recurrence rule. libical (haplua.recurrence) computes the days of rules by months and years.
-- This module computes rules by weeks and less, times of day, UNTIL and COUNT: libical 3.0 finds nothing for
-- FREQ=DAILY;BYMONTHDAY=-1, is a week off for some FREQ=WEEKLY;INTERVAL=2;BYDAY=SU, numbers weeks at the end of some
-- years wrongly (BYWEEKNO=52), and may search for hours where a rule gives nothing.

local civil = require("haplua.time.civil")
local search_limit = require("haplua.time.search_limit")
local rules = require("haplua.ical.rule")

local M = {}

local DAY <const> = civil.DAY
-- A search that has looked at so many days for the next one ends.
local HORIZON <const> = 36525
-- A second of libical counts as so many steps of the search limit.
local LIBICAL <const> = 200000

local frequencies, weekdays = rules.frequencies, rules.weekdays

-- Each by_ function below takes (rule, start, from) and returns an iterator over the rule's days: the day, and the
-- seconds of that day at which the rule has times, in order. It begins at `from` or before.

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

local function as_number(time)
  local y, m, d = civil.date(time // DAY)
  return (y * 100 + m) * 100 + d
end

--- Call libical, and count the time that it takes: it may search for a second and find nothing.
local function searched(rule, fn, ...)
  local before = os.clock()
  local found, problem, code = fn(...)
  search_limit.spend(1 + (os.clock() - before) * LIBICAL // 1, rules.text, rule)
  return found, problem, code
end

--- Rules by months and years.
local function by_days(rule, start, from)
  if rule.nothing_from and from >= rule.nothing_from then
    return function() end
  end
  local days, problem, code =
    searched(rule, require("haplua.recurrence").days, rules.days_text(rule), civil.date(start // DAY))
  if not days then
    require("haplua.error").refuse(("the rule '%s': %s"):format(rules.text(rule), problem),
      code == "ENOENT" and "recurrence rules need the package libical3" or nil)
  end
  local times, number, any = times_of_day(rule, start), as_number(from), false
  return function()
    local found = searched(rule, days.next, days, number)
    any = any or found
    rule.nothing_from = not any and from or rule.nothing_from
    if found then
      return civil.day(found // 10000, found // 100 % 100, found % 100), times
    end
  end
end

--- A function that returns whether a day passes the BY parts that choose days. nil: the rule has no such part.
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
  if not (months or dates or year_days or week_days) then
    return nil
  end
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

local function lookup(values)
  local is = {}
  for _, value in ipairs(values or {}) do
    is[value] = true
  end
  return values and is
end

--- The days of a period that BYSETPOS chooses; all where the rule has none.
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

--- The days of the week that begins on day `week` that a rule chooses.
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

--- Rules by weeks.
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
  local days, i = {}, 0
  return function()
    i = i + 1
    local last = week + HORIZON
    while not days[i] do
      week, i = week + step, 1
      if week > last then
        return nil
      end
      search_limit.spend(7, rules.text, rule)
      days = days_of_week(rule, week, wanted, months)
    end
    return days[i], times
  end
end

--- A function for the times of a rule by days and less on one day: from the second of the day at which its first step
-- lies to the seconds at which it has times.
local function by_first_step(rule, start, unit, step)
  local offsets = unit == DAY and times_of_day(rule, start) or within(rule, start, unit)
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
  local passes, times_from = day_filter(rule), by_first_step(rule, start, unit, step)
  local day = math.max(base, from) // DAY - 1
  return function()
    local last = day + HORIZON
    while true do
      local time = base + math.max(0, ((day + 1) * DAY - base + step - 1) // step) * step
      day = time // DAY
      if day > last then
        return nil
      end
      search_limit.spend(1, rules.text, rule)
      local times = (not passes or passes(day)) and times_from(time % DAY)
      if times and times[1] then
        return day, times
      end
    end
  end
end

--- Rules by the numbers of weeks. A week belongs to the year in which its fourth day lies.
local function by_week_numbers(rule, start, from)
  local wkst = weekdays[rule.wkst or "MO"]
  local passes, numbers = day_filter(rule), lookup(rule.by.BYWEEKNO)
  local own_day = not rule.by.BYDAY and civil.weekday(start // DAY)
  local times = times_of_day(rule, start)
  local year = civil.date(start // DAY) - rule.interval
  year = year + math.max(0, (civil.date(from // DAY) - 1 - year) // rule.interval) * rule.interval - rule.interval
  local days, i = {}, 0

  local function first_day(of)
    local day = civil.day(of, 1, 4)
    return day - (civil.weekday(day) - wkst) % 7
  end

  local function days_of_year()
    local found, first, last = {}, first_day(year), first_day(year + 1) - 1
    for day = first, last do
      local n = (day - first) // 7 + 1
      if (numbers[n] or numbers[n - (last + 1 - first) // 7 - 1])
        and (not own_day or civil.weekday(day) == own_day) and (not passes or passes(day)) then
        found[#found + 1] = day
      end
    end
    return at_positions(rule, found)
  end

  return function()
    i = i + 1
    local last = year + HORIZON // 365
    while not days[i] do
      year, i = year + rule.interval, 1
      if year > last then
        return nil
      end
      search_limit.spend(100, rules.text, rule)
      days = days_of_year()
    end
    return days[i], times
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

--- Iterate over a rule's days from `start` to UNTIL or COUNT: the day's midnight, its times, and the indexes of the
-- first and the last of them that count.
local function limited(rule, start, from, zone)
  local stop = rule.until_ and not rule.until_.utc and rule.until_.civil + (rule.until_.date and DAY - 1 or 0)
  local stop_instant = rule.until_ and rule.until_.utc and rule.until_.civil
  local expand = rule.freq == "WEEKLY" and by_weeks or rule.by.BYWEEKNO and by_week_numbers
    or frequencies[rule.freq] > 0 and by_steps or by_days
  local days = expand(rule, start, rule.count and start or math.max(from, start))
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
