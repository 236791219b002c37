-- SPDX-License-Identifier: MIT
--
--- Instants and durations as people type and read them. Instants are seconds since 1970 UTC; a time
-- without an offset is the machine's own.

local civil = require("haplua.time.civil")

local M = {}

local integers = civil.integers

local units = { s = 1, m = 60, h = 3600, d = 86400, w = 604800 }

--- "30m", "1h30m", "90s", "2d". A bare number has no unit and is refused: minutes? seconds?
---@return integer? seconds, string? problem
function M.duration(text)
  local total, rest = 0, text
  repeat
    local n, unit, more = rest:match("^(%d+)([smhdw])(.*)$")
    if not n or #n > 9 then
      return nil, ("a duration such as 30m, 1h30m or 2d expected, not '%s'"):format(text)
    end
    total, rest = total + math.tointeger(tonumber(n)) * units[unit], more
  until rest == ""
  if total == 0 then
    return nil, ("'%s' is no time at all"):format(text)
  end
  return total
end

--- Do the fields name a day and a time that there are? os.time() would carry the 31st of April into May.
local function is_real(t)
  return civil.is_date(t.year, t.month, t.day) and t.hour < 24 and t.min < 60 and t.sec < 60
end

--- The offset at the end of "...T03:00+01:00" in seconds; nil: not one.
local function offset_of(text)
  if text == "Z" or text == "z" then
    return 0
  end
  local sign, hours, minutes = text:match("^([+-])(%d%d):?(%d%d)$")
  if hours and tonumber(hours) < 24 and tonumber(minutes) < 60 then
    return (sign == "-" and -1 or 1) * (hours * 3600 + minutes * 60)
  end
end

--- "03:00": when the clock shows that next.
local function next_time(text, now)
  local hour, min, sec = text:match("^(%d%d?):(%d%d):?(%d?%d?)$")
  if not hour then
    return nil
  end
  hour, min, sec = integers(hour, min, sec == "" and "0" or sec)
  if hour > 23 or min > 59 or sec > 59 then
    return nil
  end
  local today = os.date("*t", math.floor(now))
  for days = 0, 2 do
    local at = os.time({
      year = today.year, month = today.month, day = today.day + days, hour = hour, min = min, sec = sec,
    })
    if at > now then
      return at
    end
  end
end

--- "2026-12-01T03:00", with or without seconds and an offset.
local function date_time(text)
  local year, month, day, hour, min, rest = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)[T ](%d%d):(%d%d)(.*)$")
  if not year then
    return nil
  end
  local sec, zone = rest:match("^:(%d%d)(.*)$")
  local t = {}
  t.year, t.month, t.day, t.hour, t.min, t.sec = integers(year, month, day, hour, min, sec or "0")
  zone = zone or rest
  if not is_real(t) then
    return nil
  elseif zone == "" then
    return os.time(t)
  end
  local offset = offset_of(zone)
  return offset and math.tointeger(civil.day(t.year, t.month, t.day) * civil.DAY + t.hour * 3600 + t.min * 60 + t.sec - offset)
end

--- An instant to come: "03:00", "2026-12-01T03:00", "2026-12-01T03:00+01:00", "...Z".
---@param text string
---@param now number
---@return integer? instant, string? problem
function M.instant(text, now)
  local at = next_time(text, now) or date_time(text)
  if not at then
    return nil, ("a time such as 03:00 or 2026-12-01T03:00+01:00 expected, not '%s'"):format(text)
  elseif at <= now then
    return nil, ("'%s' is over: it is %s"):format(text, M.text(now))
  end
  return at
end

--- "2026-12-01 03:00:00 +0100", in the machine's own zone.
---@return string
function M.text(instant)
  return (os.date("%Y-%m-%d %H:%M:%S %z", math.floor(instant)))
end

--- "2026-12-01T02:00:00Z", for programs.
---@return string
function M.iso(instant)
  return (os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(instant)))
end

--- "1 h 30 min", "45 s", "2 d 3 h": the two largest units.
---@return string
function M.span(seconds)
  seconds = math.floor(seconds + 0.5)
  local parts = {}
  for _, unit in ipairs({ { "d", 86400 }, { "h", 3600 }, { "min", 60 }, { "s", 1 } }) do
    local n = seconds // unit[2]
    if n > 0 and #parts < 2 then
      parts[#parts + 1] = ("%d %s"):format(n, unit[1])
    elseif #parts > 0 then
      break
    end
    seconds = seconds % unit[2]
  end
  return #parts > 0 and table.concat(parts, " ") or "0 s"
end

return M
