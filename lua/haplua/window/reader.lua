-- SPDX-License-Identifier: MIT
--
--- Reading what people type as a window, piece by piece: times of day, dates, durations. A reader is a text and
-- the place up to which it is read; what cannot be read is refused with the place marked.

local civil = require("haplua.time.civil")

local M = {}

---@class haplua.window.Reader
---@field text string
---@field at integer

local DAY <const> = civil.DAY
local integers = civil.integers

--- The longest window there is.
M.LONGEST = 3660 * DAY
local LONGEST <const> = M.LONGEST

local function refuse(reader, at, message, ...)
  local shown = require("haplua.error").visible
  -- the mark stands below the column; bytes after the first of a UTF-8 character take none
  local column = utf8.len(shown(reader.text:sub(1, at - 1)), 1, -1, true)
    or #shown(reader.text:sub(1, at - 1))
  error(require("haplua.error").new({
    kind = "refused",
    message = ("window '%s': %s"):format(shown(reader.text), message:format(...)),
    advice = ("%s\n%s^"):format(shown(reader.text), (" "):rep(column)),
    column = at,
  }), 0)
end
M.refuse = refuse

--- Read a pattern at this place, which then moves behind it. Nothing: it is not there.
local function take(reader, pattern)
  local found = table.pack(reader.text:find("^" .. pattern, reader.at))
  if found[1] then
    reader.at = found[2] + 1
    return table.unpack(found, 3, found.n)
  end
end
M.take = take

local function see(reader, pattern)
  return reader.text:find("^" .. pattern, reader.at) ~= nil
end
M.see = see

local function skip(reader)
  reader.at = reader.text:find("[^ \t]", reader.at) or #reader.text + 1
end
M.skip = skip

local function expect_end(reader)
  skip(reader)
  if reader.at <= #reader.text then
    refuse(reader, reader.at, "nothing more is expected here")
  end
end
M.expect_end = expect_end

--- "02:00", "2:00" or "02:00:30". 24:00 only where `last` allows it.
---@return integer seconds
local function time_of_day(reader, last)
  local at = reader.at
  local hours, minutes = integers(take(reader, "(%d%d?):(%d%d)"))
  if not hours or see(reader, "%d") then
    refuse(reader, at, "a time of day such as 02:00 is expected here")
  end
  local seconds = integers(take(reader, ":(%d%d)")) or 0
  local total = hours * 3600 + minutes * 60 + seconds
  if minutes > 59 or seconds > 59 or total > DAY or hours > 23 and not (last and total == DAY) then
    refuse(reader, at, total == DAY and "a window starts at 00:00 of the next day, not at 24:00"
      or "there is no such time of day")
  end
  return total
end
M.time_of_day = time_of_day

local unit_seconds = { d = DAY, h = 3600, m = 60, s = 1 }

--- "4h", "1h30m", "90s", "2d".
---@return integer seconds
local function duration(reader)
  local at, total, before = reader.at, 0, math.huge
  repeat
    local place = reader.at
    local n, unit = take(reader, "(%d+)([dhms])")
    if not n then
      refuse(reader, place, "a duration such as 4h, 1h30m, 90s or 2d is expected here")
    elseif #n > 9 or unit_seconds[unit] >= before then
      refuse(reader, place, #n > 9 and "that is too long" or "units go from long to short, each once")
    end
    before = unit_seconds[unit]
    total = total + integers(n) * before
  until not see(reader, "%d")
  if total == 0 or total > LONGEST or see(reader, "%w") then
    refuse(reader, see(reader, "%w") and reader.at or at, total == 0 and "that is no time at all"
      or total > LONGEST and "a window lasts ten years at most" or "a duration such as 1h30m is expected")
  end
  return total
end
M.duration = duration

--- "for 4h", if it stands here.
local function for_duration(reader)
  skip(reader)
  if take(reader, "()[Ff][Oo][Rr][ \t]+") then
    skip(reader)
    return duration(reader)
  end
end
M.for_duration = for_duration

--- "2026-12-01".
---@return integer? day
local function date(reader)
  local at = reader.at
  local year, month, day = integers(take(reader, "(%d%d%d%d)%-(%d%d)%-(%d%d)"))
  if not year then
    return nil
  elseif not civil.is_date(year, month, day) then
    refuse(reader, at, "there is no such day")
  end
  return civil.day(year, month, day)
end
M.date = date

--- "Z" or "+01:00" behind a date and time. Nil: the zone's own time is meant.
local function offset(reader)
  if take(reader, "()[Zz]") then
    return 0
  end
  local at = reader.at
  local sign, hours, minutes = take(reader, "([+-])(%d%d):(%d%d)")
  if sign then
    hours, minutes = integers(hours, minutes)
    if hours > 23 or minutes > 59 then
      refuse(reader, at, "there is no such offset from UTC")
    end
    return (sign == "-" and -1 or 1) * (hours * 3600 + minutes * 60)
  end
end
M.offset = offset

--- "1h30m", as duration() reads it.
---@return string
function M.duration_text(seconds)
  local parts = {}
  for _, unit in ipairs({ "d", "h", "m", "s" }) do
    local n = seconds // unit_seconds[unit]
    seconds = seconds % unit_seconds[unit]
    if n > 0 then
      parts[#parts + 1] = n .. unit
    end
  end
  return table.concat(parts)
end

return M
