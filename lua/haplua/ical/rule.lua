-- SPDX-License-Identifier: MIT
--
--- RFC 5545's recurrence rules, "FREQ=MONTHLY;BYDAY=2TU": checked, and printed in one form. haplua.ical.recurrence
-- computes their times.

local civil = require("haplua.time.civil")
local computed = require("haplua.base.computed")

local M = {}

---@class haplua.Rule
---@field freq string
---@field interval integer
---@field count integer?
---@field until_ {civil: integer, utc: boolean, date: boolean}?
---@field by table<string, string[]|integer[]>  the values of each BY part, by its name
---@field wkst string?
---@field nothing_from integer?  haplua.ical.recurrence has found no day from this one on

local DAY <const> = civil.DAY

--- The seconds of each unit, at most, and the days of the week with their numbers.
M.frequencies = {
  SECONDLY = 1, MINUTELY = 60, HOURLY = 3600, DAILY = DAY, WEEKLY = 7 * DAY, MONTHLY = 31 * DAY, YEARLY = 366 * DAY,
}
M.weekdays = { MO = 1, TU = 2, WE = 3, TH = 4, FR = 5, SA = 6, SU = 7 }
M.weekday_names = { "MO", "TU", "WE", "TH", "FR", "SA", "SU" }
local frequencies, weekdays = M.frequencies, M.weekdays

-- The parts in the order in which they are printed, with their least and greatest number; `back`: negative numbers
-- count from the end.
local parts = {
  { "BYMONTH", 1, 12 }, { "BYWEEKNO", 1, 53, back = true }, { "BYYEARDAY", 1, 366, back = true },
  { "BYMONTHDAY", 1, 31, back = true }, { "BYDAY" }, { "BYHOUR", 0, 23 }, { "BYMINUTE", 0, 59 },
  { "BYSECOND", 0, 60 }, { "BYSETPOS", 1, 366, back = true },
}
local known = {}
for _, part in ipairs(parts) do
  known[part[1]] = part
end

--- The day of a date, "20261201", in seconds. Returns nil where there is no such day.
local function day_of(text)
  local date = tonumber(text:match("^%d%d%d%d%d%d%d%d$"))
  local year, month, day = (date or 0) // 10000, (date or 0) // 100 % 100, (date or 0) % 100
  return date and civil.is_date(year, month, day) and civil.day(year, month, day) * DAY or nil
end

--- The seconds of a time of day, "T220000". Returns nil where there is no such time.
local function seconds_of(text)
  local clock = tonumber(text:match("^[Tt](%d%d%d%d%d%d)$"))
  local h, min, s = (clock or 999999) // 10000, (clock or 0) // 100 % 100, (clock or 0) % 100
  return h < 24 and min < 60 and s <= 60 and h * 3600 + min * 60 + math.min(s, 59) or nil
end

-- In a calendar many texts come again.
local days, times = computed(day_of, 1000), computed(seconds_of, 1000)

--- "20261201T220000" or "20261201" as a civil time. Returns nil where there is no such time.
---@param text string
---@param n integer?  only the first n bytes of the text count
---@return integer?
function M.civil(text, n)
  n = n or #text
  local day = n >= 8 and days[text:sub(1, 8)]
  if not day or n == 8 then
    return day or nil
  end
  local seconds = times[text:sub(9, n)]
  return seconds and day + seconds
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

--- The value of a BY part as a list without repetitions. Returns nil where it is not valid.
local function list(part, text)
  local found, seen = {}, {}
  for item in (text .. ","):gmatch("([^,]*),") do
    local value
    if part[2] then
      value = #item < 6 and item:find("^[+-]?%d+$") and math.tointeger(tonumber((item:gsub("^%+", ""))))
      local size = value and (value < 0 and part.back and -value or value)
      value = size and size >= part[2] and size <= part[3] and value
      -- haplua has no leap seconds: RFC 5545 lets it read second 60 as 59
      value = value and part[1] == "BYSECOND" and math.min(value, 59) or value
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
  -- RFC 7529: what a rule without these parts means, too
  RSCALE = function(_, value)
    return value == "GREGORIAN"
  end,
  SKIP = function(_, value)
    return value == "OMIT"
  end,
}

--- Why a rule is not valid, or has no meaning in RFC 5545.
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
  elseif by.BYSETPOS and not next(by, next(by)) then
    return "BYSETPOS needs another BY part"
  end
  for _, day in ipairs(by.BYDAY or {}) do
    if #day > 2 and (freq ~= "MONTHLY" and freq ~= "YEARLY" or by.BYWEEKNO) then
      return ("'%s' with a number goes with FREQ=MONTHLY and YEARLY only, and not with BYWEEKNO"):format(day)
    end
  end
end

--- Read a rule.
---@param text string  without "RRULE:"
---@return haplua.Rule?, string? problem, integer? at  where in the text the problem is
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

--- A rule's canonical form.
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

return M
