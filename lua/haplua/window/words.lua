-- SPDX-License-Identifier: MIT
--
--- Windows in people's words: "Sun 02:00-04:00", "2026-12-25 02:00 for 2h". docs/windows.md has the grammar.

local civil = require("haplua.time.civil")
local reader = require("haplua.time.reader")

local M = {}

local DAY <const> = civil.DAY

local day_names = reader.day_names
local ordinals = { first = 1, second = 2, third = 3, fourth = 4, fifth = 5, last = -1 }

local refuse, take, see, skip, word = reader.refuse, reader.take, reader.see, reader.skip, reader.word
local integers, date = civil.integers, reader.date

-- Windows with a date.

--- The zone behind the start. Minus and digits may be an offset, unless no end follows and no place on earth is so far
-- from UTC: "00:00-24:00" is a range.
local function start_zone(r, spec)
  local hours, follows = r.text:match("^[ \t]*%-(%d%d):?%d%d[ \t]*([/fF]?)", r.at)
  if not hours or follows ~= "" or tonumber(hours) <= 14 then
    local name, offset = reader.zone(r)
    spec.from_offset, spec.zone = offset, not offset and name or nil
  end
end

--- Refuse "2:30-4pm": is that 02:30 or 14:30?
local function expect_one_clock(r, at, from_half, to_half)
  if from_half ~= nil and to_half ~= nil and from_half ~= to_half then
    refuse(r, at, "am or pm stands behind both times, or behind neither")
  end
end

--- Read a window with a date: "2026-12-25 02:00 to 04:00". Returns nil where no date stands.
---@param r haplua.time.Reader
---@return haplua.window.Spec?
function M.once(r)
  local place, spec, from_half, to_half = r.at, { kind = "once" }
  spec.from, from_half = reader.date_time(r)
  if not spec.from then
    return nil
  end
  start_zone(r, spec)
  spec.elapsed = reader.for_duration(r)
  skip(r)
  local slash = not spec.elapsed and take(r, "()/")
  if slash and see(r, "[ \t]*[Pp]") then
    spec.elapsed = reader.duration(r)
  end
  if spec.elapsed then
    return spec
  elseif not slash and not reader.range_sign(r) then
    local hint = r.text:sub(place, r.at - 1):match("[+-]%d%d:?%d%d$")
    refuse(r, r.at, "when does it end? '/%sT04:00' or 'for 2h' is expected here%s",
      civil.date_text(spec.from // DAY), hint and (" ('%s' is read as an offset from UTC)"):format(hint) or "")
  end
  skip(r)
  local at, dated, to = r.at
  dated, to_half = reader.date_time(r, true)
  if not dated then
    to, to_half = reader.time_of_day(r, true)
  end
  to = dated or spec.from // DAY * DAY + to
  expect_one_clock(r, at, from_half, to_half)
  spec.to_offset = reader.offset(r) or not dated and spec.from_offset or nil
  if (spec.from_offset == nil) ~= (spec.to_offset == nil) then
    refuse(r, at, "the start and the end both have an offset from UTC, or neither")
  end
  spec.wall = to - spec.from + (not dated and to <= spec.from and DAY or 0)
  local length = spec.wall - (spec.to_offset or 0) + (spec.from_offset or 0)
  if length <= 0 then
    refuse(r, at, "it ends %s", length == 0 and "when it starts" or "before it starts")
  elseif length > reader.LONGEST then
    refuse(r, at, "a window lasts ten years at most")
  end
  return spec
end

-- Windows by days of the week or of the month.

--- Read what stands between the items of a list: ",", "and", "&".
local function separator(r)
  skip(r)
  local sign = take(r, "()[,&]")
  return word(r, "and") or sign
end

local groups = { weekday = { 1, 5 }, weekdays = { 1, 5 }, weekend = { 6, 7 }, weekends = { 6, 7 }, daily = { 1, 7 } }

--- Read "Mon..Fri, Sun", "weekdays".
---@param r haplua.time.Reader
---@return boolean[] days  1 is Monday
---@return integer n  their number
function M.week_days(r)
  local days, n = {}, 0
  repeat
    skip(r)
    local at = r.at
    local group = word(r, groups)
    local first = group and group[1] or reader.weekday(r)
      or refuse(r, r.at, "a day of the week such as Sun is expected here")
    local last = group and group[2] or first
    if not group and (take(r, "()%.%.") or reader.range_sign(r)) then
      last = reader.weekday(r) or refuse(r, r.at, "a day of the week such as Sun is expected here")
      if last == first then
        refuse(r, at, "is that one day, or all of them? write '%s' or 'daily'", day_names[first])
      end
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
    -- a comma before the time ends the list
  until see(r, "[ \t]*,[ \t]*%d") or not separator(r)
  return days, n
end

--- Read "first", "1st and 3rd". Returns nil where something else stands.
local function read_nth(r)
  local list = {}
  repeat
    skip(r)
    local at = r.at
    local n = word(r, ordinals) or integers(take(r, "(%d%d?)[snrtSNRT][tdhTDH]%f[%A]"))
    if not n and #list == 0 then
      return nil
    elseif not n or n == 0 or n > 31 then
      refuse(r, at, "first, second, third, fourth, fifth, last or the like is expected here")
    end
    for _, other in ipairs(list) do
      if other == n then
        refuse(r, at, "%s is there already", r.text:sub(at, r.at - 1))
      end
    end
    list[#list + 1] = n
  until not separator(r)
  table.sort(list, function(a, b)
    return (a < 0 and 99 or a) < (b < 0 and 99 or b)
  end)
  return list
end

--- Read "of the month".
---@return boolean
local function of_the_month(r)
  local start = r.at
  while word(r, "the of in a each every") do
    -- the next word
  end
  if word(r, "month") then
    return true
  end
  r.at = start
  return false
end

--- Read "Sun", "first Sun", "last day", "15th of the month" into `spec`.
---@param every boolean  behind "every"; there "second Sun" may mean every other Sunday
local function plain_days(r, spec, every)
  skip(r)
  local place = r.at
  spec.nth = read_nth(r)
  skip(r)
  local at, n = r.at
  local of_month = spec.nth and of_the_month(r)
  if of_month or spec.nth and word(r, "day") then
    spec.days = { true, true, true, true, true, true, true }
  elseif spec.nth and word(r, "weekday") then
    spec.days = { true, true, true, true, true }
  else
    spec.days, n = M.week_days(r)
    if spec.nth and n > 1 then
      refuse(r, at, "'%s' goes with one day of the week", r.text:sub(place, at - 1):match("^%w+"))
    elseif spec.nth and math.max(table.unpack(spec.nth)) > 5 then
      refuse(r, place, "a month has five of these at most")
    end
  end
  of_month = spec.nth and of_the_month(r) or of_month
  if every and spec.nth and not of_month and spec.nth[1] ~= 1 and spec.nth[1] ~= -1 then
    refuse(r, place, "of each month, or every so many weeks?")
  end
end

local numbers = { other = 2, two = 2, three = 3, four = 4 }
local frequencies = {}
for _, name in ipairs({ "minute", "hour", "day", "week", "month", "year" }) do
  frequencies[name] = name == "day" and "DAILY" or name:upper() .. "LY"
  frequencies[name .. "s"] = frequencies[name]
end

--- Read the days on which a window starts, "every 2 weeks" or "Mon..Fri", into `spec`.
local function days_of(r, spec)
  word(r, "on")
  local every = word(r, "every each")
  skip(r)
  local n = every and (word(r, numbers) or integers(take(r, "(%d+)%f[^%w]")))
  local freq = every and word(r, frequencies)
  if freq == "DAILY" and not n then
    spec.days = { true, true, true, true, true, true, true }
  elseif n or freq and freq ~= "WEEKLY" then
    spec.every = { n = n or 1, freq = freq or "WEEKLY" }
  end
  word(r, "on")
  local at, count = r.at
  if spec.every and (reader.weekday(r) or word(r, groups)) then
    r.at = at
    spec.days, count = M.week_days(r)
    if count > 1 and not freq then
      refuse(r, at, "every %d weeks on these days, or every %d of these days?", n, n)
    end
  elseif not spec.every and not spec.days then
    plain_days(r, spec, every)
  end
end

--- Read "from 2026-12-06" into `spec`.
local function start_date(r, spec)
  local start = r.at
  local day = not spec.start and word(r, "from since starting beginning") and date(r)
  if day then
    spec.start = day
    take(r, "()[Tt]%f[%d]")
  else
    r.at = start
  end
end

--- Read "02:00-04:00", "22:00-Mon 06:00" or "02:00 for 2h".
---@return {at: integer, elapsed: integer?, to: integer?, day: integer?, place: integer?} span
local function span_of(r)
  word(r, "at from")
  local between = word(r, "between")
  skip(r)
  if r.at > #r.text then
    refuse(r, r.at, "at what time? '02:00-04:00', '02:00 for 2h' or '00:00-24:00' is expected here")
  end
  local span, from_half, to_half = {}
  span.at, from_half = reader.time_of_day(r)
  span.elapsed = reader.for_duration(r)
  if not span.elapsed then
    skip(r)
    if not reader.range_sign(r) and not (between and word(r, "and")) then
      refuse(r, r.at, "when does it end? '-04:00' or 'for 2h' is expected here")
    end
    skip(r)
    span.place = r.at
    span.day = reader.weekday(r)
    span.to, to_half = reader.time_of_day(r, true)
    expect_one_clock(r, span.place, from_half, to_half)
  end
  return span
end

--- How long does a window last that is given by a span, by the clocks?
---@param only integer?  the one day on which it starts; nil: it starts on several
---@return integer seconds
local function wall_of(r, span, only)
  local at, day, place = span.at, span.day, span.place
  local wall = span.to - at
  if day and not only then
    refuse(r, place, "a window that ends on a named day starts on one day of the week")
  elseif day == only and day and wall <= 0 then
    refuse(r, place, "%s is the day on which it starts: is the same day meant, or a week later?", day_names[day])
  elseif day then
    wall = (day - only) % 7 * DAY + wall
    if wall == 7 * DAY then
      refuse(r, place, "that is the whole week: 'daily 00:00-24:00' is always open")
    end
  elseif wall == 0 then
    refuse(r, place, "it ends when it starts: for a whole day, write 00:00-24:00 or 'for 24h'")
  elseif wall < 0 then
    wall = wall + DAY
  end
  return wall
end

--- The window that `spec` describes with `every` and `start`.
local function recurring(r, spec, span, at)
  local n, freq = spec.every.n, spec.every.freq
  if not spec.start then
    refuse(r, at, "since when? 'from 2026-12-06' or another first day is expected here")
  elseif spec.days and freq ~= "WEEKLY" then
    refuse(r, at, "days of the week go with 'every %d weeks'", n)
  end
  local first, by = civil.weekday(spec.start), {}
  for day = 1, 7 do
    by[#by + 1] = spec.days and spec.days[day] and day_names[day]:sub(1, 2):upper() or nil
    if spec.days and (spec.days[day] and day < first or day == first and not spec.days[day]) then
      refuse(r, at, "'from %s' is a %s, which is not the first of its days in a week", civil.date_text(spec.start),
        day_names[first])
    end
  end
  local _, _, date_ = civil.date(spec.start)
  if date_ > 28 and (freq == "MONTHLY" or freq == "YEARLY") then
    refuse(r, at, "not each month has a day %d", date_)
  end
  local text = ("FREQ=%s;INTERVAL=%d"):format(freq, n) .. (#by > 1 and ";BYDAY=" .. table.concat(by, ",") or "")
  local parts, problem = require("haplua.ical.rule").parse(text)
  return { kind = "rule", from = spec.start * DAY + span.at, rule = parts or refuse(r, at, "%s", problem) },
    #by < 2 and first or nil
end

--- Read a window by days of the week or the month: "Sun 02:00-04:00".
---@param r haplua.time.Reader
---@return haplua.window.Spec
function M.weekly(r)
  local found, span = { kind = "weekly" }, nil
  local place = r.at
  word(r, "at from between")
  if see(r, "[ \t]*%d%d?:%d") or see(r, "[ \t]*%d%d?[ \t]*[AaPp]%.?[Mm]") or see(r, "[ \t]*%d%d%d%d%f[^%w]") then
    r.at = place
    span = span_of(r)
    separator(r)
    skip(r)
    if r.at > #r.text then
      refuse(r, place, "on which days? 'daily %s' would be every day", r.text:sub(place))
    end
  else
    r.at = place
  end
  local at = r.at
  days_of(r, found)
  start_date(r, found)
  take(r, "(),")
  span = span or span_of(r)
  start_date(r, found)
  local spec, only
  if found.every then
    spec, only = recurring(r, found, span, at)
  elseif found.start then
    refuse(r, at, "'from' goes with 'every 2 weeks' and the like")
  else
    spec = { kind = "weekly", days = found.days, nth = found.nth, at = span.at }
    only = next(found.days)
    only = not next(found.days, only) and only or nil
  end
  spec.elapsed = span.elapsed
  spec.wall = not span.elapsed and wall_of(r, span, only) or nil
  return spec
end

return M
