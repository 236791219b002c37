-- SPDX-License-Identifier: MIT
--
--- POSIX's value of TZ, "CET-1CEST,M3.5.0,M10.5.0/3", with the times from -167 to 167 hours that RFC 8536 adds. Zone
-- files end with one: it describes the changes after the last in the file.

local civil = require("haplua.time.civil")

local M = {}

---@class haplua.PosixZone
---@field name string  of standard time
---@field offset integer
---@field dst_name string?  nil: no daylight saving
---@field dst_offset integer?
---@field begins table?  the change to daylight saving, by the clock of standard time
---@field ends table?  the change back, by the clock of daylight saving

--- Read "[+-]hh[:mm[:ss]]" at a position. Returns the seconds, or nil, and the next position.
local function clock(text, at)
  local sign, hours, next_at = text:match("^([+-]?)(%d%d?%d?)()", at)
  if not hours then
    return nil, at
  end
  local seconds = math.tointeger(tonumber(hours)) * 3600
  for _, unit in ipairs({ 60, 1 }) do
    local n, after = text:match("^:(%d%d)()", next_at)
    if not n then
      break
    end
    seconds, next_at = seconds + math.tointeger(tonumber(n)) * unit, after
  end
  return sign == "-" and -seconds or seconds, next_at
end

local function name(text, at)
  local found, next_at = text:match("^<([%w+-]+)>()", at)
  if not found then
    found, next_at = text:match("^(%a%a%a+)()", at)
  end
  return found, next_at or at
end

local function integer(text)
  return math.tointeger(tonumber(text))
end

--- Read a change: a day of the year, and the time on it. Returns it, or nil, and the next position.
local function change(text, at)
  local rule = {}
  local next_at
  local month, week, weekday, after = text:match("^,M(%d%d?)%.(%d)%.(%d)()", at)
  if month then
    rule.month, rule.week, rule.weekday, next_at = integer(month), integer(week), integer(weekday), after
    if rule.month < 1 or rule.month > 12 or rule.week < 1 or rule.week > 5 or rule.weekday > 6 then
      return nil, at
    end
  else
    local julian, n
    julian, n, next_at = text:match("^,(J?)(%d%d?%d?)()", at)
    if not n or integer(n) > 365 or julian == "J" and integer(n) < 1 then
      return nil, at
    end
    rule.julian, rule.n = julian == "J", integer(n)
  end
  rule.time = 7200
  if text:sub(next_at, next_at) == "/" then
    rule.time, next_at = clock(text, next_at + 1)
  end
  return rule.time and rule, next_at
end

--- Read the text. Returns nil where it is not of this form.
---@param text string
---@return haplua.PosixZone?
function M.parse(text)
  local zone, at = {}, 1
  zone.name, at = name(text, at)
  zone.offset, at = clock(text, at)
  if not zone.name or not zone.offset then
    return nil
  end
  zone.offset = -zone.offset
  if at > #text then
    return zone
  end
  zone.dst_name, at = name(text, at)
  local offset
  offset, at = clock(text, at)
  zone.dst_offset = offset and -offset or zone.offset + 3600
  zone.begins, at = change(text, at)
  if zone.begins then
    zone.ends, at = change(text, at)
  end
  if not zone.dst_name or not zone.ends or at <= #text then
    return nil
  end
  return zone
end

--- The civil time of a change in a year.
local function civil_of(rule, year)
  local day
  if rule.month then
    local weekday = (rule.weekday + 6) % 7 + 1
    local week = rule.week < 5 and rule.week or -1
    day = civil.nth_weekday(year, rule.month, weekday, week)
  else
    day = civil.day(year, 1, 1) + rule.n
    if rule.julian and (rule.n < 60 or civil.month_length(year, 2) == 28) then
      day = day - 1
    end
  end
  return day * civil.DAY + rule.time
end

--- The two changes of a year, the earlier first: {instant, offset from then on, name}.
---@param zone haplua.PosixZone  with daylight saving
---@param year integer
---@return table, table
function M.changes(zone, year)
  local begins = { civil_of(zone.begins, year) - zone.offset, zone.dst_offset, zone.dst_name }
  local ends = { civil_of(zone.ends, year) - zone.dst_offset, zone.offset, zone.name }
  if ends[1] < begins[1] then
    return ends, begins
  end
  return begins, ends
end

return M
