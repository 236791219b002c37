-- SPDX-License-Identifier: MIT
--
--- Read times that people type: dates, times of day, instants, durations. Everything that takes such a text uses
-- this reader: windows, calendars' options, and the options of scripts.
-- A reader is a text and the position of the next character. A function that cannot read what stands there
-- raises `refused`, with the position marked in `advice` and in `column`.

local civil = require("haplua.time.civil")
local visible = require("haplua.error").visible

local M = {}

---@class haplua.time.Reader
---@field what string  what the text is, for the error: "window", "duration", "time"
---@field text string
---@field at integer

local DAY <const> = civil.DAY
local integers = civil.integers

--- The longest duration and the longest window, in seconds: ten years.
M.LONGEST = 3660 * DAY
local LONGEST <const> = M.LONGEST

--- Raise `refused` for the text, with a mark at a position.
local function refuse(reader, at, message, ...)
  local text, before = visible(reader.text), visible(reader.text:sub(1, at - 1))
  -- the mark stands below the column; bytes after the first of a UTF-8 character take none
  local column = utf8.len(before, 1, -1, true) or #before
  error(require("haplua.error").new({
    kind = "refused",
    message = ("%s '%s': %s"):format(reader.what, text, message:format(...)),
    advice = ("%s\n%s^"):format(text, (" "):rep(column)),
    column = at,
  }), 0)
end
M.refuse = refuse

--- Read what matches a pattern. Returns its captures, or nothing where something else stands.
local function take(reader, pattern)
  local found = table.pack(reader.text:find("^" .. pattern, reader.at))
  if found[1] then
    reader.at = found[2] + 1
    return table.unpack(found, 3, found.n)
  end
end
M.take = take

--- Does what comes next match a pattern?
local function see(reader, pattern)
  return reader.text:find("^" .. pattern, reader.at) ~= nil
end
M.see = see

--- Go past blanks.
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

--- Read a whole text with one of the functions below.
---@param what string  "duration", "time"
---@param text string
---@param fn fun(reader: haplua.time.Reader, ...): any
---@return any  what `fn` returns; raises `refused`
function M.whole(what, text, fn, ...)
  local reader = { what = what, text = text, at = 1 }
  skip(reader)
  local found = fn(reader, ...)
  expect_end(reader)
  return found
end

--- "02:00", "2:00" or "02:00:30", as seconds of the day. 24:00 is an end only.
---@param is_end boolean?
---@return integer seconds
local function time_of_day(reader, is_end)
  local at = reader.at
  local hours, minutes = integers(take(reader, "(%d%d?):(%d%d)"))
  if not hours or see(reader, "%d") then
    refuse(reader, at, "a time of day such as 02:00 is expected here")
  end
  local seconds = integers(take(reader, ":(%d%d)")) or 0
  local total = hours * 3600 + minutes * 60 + seconds
  if minutes > 59 or seconds > 59 or total > DAY or hours > 23 and not (is_end and total == DAY) then
    refuse(reader, at, total == DAY and "write 00:00 of the next day, not 24:00" or "there is no such time of day")
  end
  return total
end
M.time_of_day = time_of_day

local units = { w = 7 * DAY, d = DAY, h = 3600, m = 60, s = 1 }

--- "4h", "1h30m", "90s", "2d", "1w": from the long unit to the short one, each once.
---@return integer seconds
function M.duration(reader)
  local start, total, before = reader.at, 0, math.huge
  repeat
    local at = reader.at
    local n, unit = take(reader, "(%d+)([wdhms])")
    if not n or see(reader, "%a") then
      refuse(reader, n and reader.at or at, "a duration such as 4h, 1h30m, 90s or 2d is expected here")
    elseif units[unit] >= before then
      refuse(reader, at, "units go from long to short, each once")
    end
    before = units[unit]
    total = total + (#n <= 9 and integers(n) or LONGEST + 1) * before
  until not see(reader, "%d")
  if total == 0 or total > LONGEST then
    refuse(reader, start, total == 0 and "that is no time at all" or "ten years are the most")
  end
  return total
end

--- "for 4h". Returns nil where something else stands.
---@return integer? seconds
function M.for_duration(reader)
  skip(reader)
  if take(reader, "()[Ff][Oo][Rr][ \t]+") then
    skip(reader)
    return M.duration(reader)
  end
end

--- "2026-12-01". Returns nil where something else stands.
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

--- "Z", "+01:00" or "+0100". Returns nil where something else stands.
local function offset(reader)
  if take(reader, "()[Zz]") then
    return 0
  end
  local at = reader.at
  local sign, hours, minutes = take(reader, "([+-])(%d%d):?(%d%d)")
  if sign then
    hours, minutes = integers(hours, minutes)
    if hours > 23 or minutes > 59 then
      refuse(reader, at, "there is no such offset from UTC")
    end
    return (sign == "-" and -1 or 1) * (hours * 3600 + minutes * 60)
  end
end

--- "2026-12-01T02:00", with an offset from UTC or without.
---@return integer civil, integer? offset, integer at  where it begins
local function date_time(reader)
  local at = reader.at
  local day = date(reader)
  if not day then
    refuse(reader, at, "a date such as 2026-12-01 is expected here")
  elseif not take(reader, "()[Tt ]") then
    refuse(reader, reader.at, "at what time? 'T02:00' or the like is expected here")
  end
  return day * DAY + time_of_day(reader), offset(reader), at
end
M.date_time = date_time

local function here()
  return require("haplua.time.zone").here()
end

--- An instant, written as date_time() reads it. A time without an offset is one that the zone's clocks show.
---@param zone haplua.Zone?  default: this machine's
---@return integer instant
function M.instant(reader, zone)
  local time, from_utc = date_time(reader)
  return from_utc and time - from_utc or (zone or here()):first(time)
end

--- "03:00": the next instant at which this machine's clocks show that. Anything else as instant() reads it.
---@param now number
---@return integer instant
function M.coming(reader, now)
  if see(reader, "%d%d%d%d%-") then
    return M.instant(reader)
  elseif not see(reader, "%d") then
    refuse(reader, reader.at, "a time such as 03:00 or 2026-12-01T03:00 is expected here")
  end
  local time, zone = time_of_day(reader), here()
  local day = zone:civil(now) // DAY
  local instant
  repeat
    instant, day = zone:first(day * DAY + time), day + 1
  until instant > now
  return instant
end

--- "1h30m", as duration() reads it.
---@return string
function M.duration_text(seconds)
  local parts = {}
  for _, unit in ipairs({ "d", "h", "m", "s" }) do
    local n = seconds // units[unit]
    seconds = seconds % units[unit]
    if n > 0 then
      parts[#parts + 1] = n .. unit
    end
  end
  return table.concat(parts)
end

return M
