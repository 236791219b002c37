-- SPDX-License-Identifier: MIT
--
--- Dates and times of day as a calendar and a clock on the wall show them: integers, without a zone.
-- A *civil* time is the number of seconds from 1970-01-01 00:00 to it by that calendar and clock; a day is the number
-- of days to it. haplua.time.zone turns civil times into instants and back.

local M = {}

M.DAY = 86400

local month_lengths = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

---@param year integer
---@param month integer  1 to 12
---@return integer
function M.month_length(year, month)
  if month == 2 and year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0) then
    return 29
  end
  return month_lengths[month]
end

--- Does the calendar have this day?
---@return boolean
function M.is_date(year, month, day)
  return month >= 1 and month <= 12 and day >= 1 and day <= M.month_length(year, month)
end

--- The day of a date. The computation counts years from March on, so that the leap day is a year's last.
---@param year integer
---@param month integer
---@param day integer
---@return integer
function M.day(year, month, day)
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month - 457) // 5 + day - 719469
end

--- The date of a day.
---@param day integer
---@return integer year, integer month, integer day
function M.date(day)
  local n = day + 719468
  local era = n // 146097
  n = n % 146097
  local year = (n - n // 1460 + n // 36524 - n // 146096) // 365
  n = n - (365 * year + year // 4 - year // 100)
  local month = (5 * n + 2) // 153
  local date = n - (153 * month + 2) // 5 + 1
  year = year + 400 * era
  if month >= 10 then
    return year + 1, month - 9, date
  end
  return year, month + 3, date
end

--- The day of the week: 1 is Monday, 7 is Sunday.
---@param day integer
---@return integer
function M.weekday(day)
  return (day + 3) % 7 + 1
end

--- The n-th such weekday of a month, counted from the end when n is negative. nil: the month has none.
---@param weekday integer
---@param n integer
---@return integer? day
function M.nth_weekday(year, month, weekday, n)
  local first = M.day(year, month, 1)
  local length = M.month_length(year, month)
  local date
  if n > 0 then
    date = (weekday - M.weekday(first)) % 7 + 7 * n - 6
  else
    date = length - (M.weekday(first + length - 1) - weekday) % 7 + 7 * (n + 1)
  end
  return date >= 1 and date <= length and first + date - 1 or nil
end

--- Texts of digits as integers; nil stays nil.
---@param ... string?
---@return integer? ...
function M.integers(...)
  local numbers = table.pack(...)
  for i = 1, numbers.n do
    numbers[i] = math.tointeger(tonumber(numbers[i]))
  end
  return table.unpack(numbers, 1, numbers.n)
end

--- "2026-12-01".
---@return string
function M.date_text(day)
  return ("%04d-%02d-%02d"):format(M.date(day))
end

--- "02:00", or "02:00:30" where there are seconds; 86400 is "24:00".
---@param seconds integer
---@return string
function M.clock_text(seconds)
  if seconds % 60 ~= 0 then
    return ("%02d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
  end
  return ("%02d:%02d"):format(seconds // 3600, seconds // 60 % 60)
end

--- "2026-12-01T02:00".
---@return string
function M.text(civil)
  return M.date_text(civil // 86400) .. "T" .. M.clock_text(civil % 86400)
end

--- An offset from UTC as "+01:00", or "Z".
---@return string
function M.offset_text(seconds)
  if seconds == 0 then
    return "Z"
  end
  return (seconds < 0 and "-" or "+") .. M.clock_text(math.abs(seconds))
end

return M
