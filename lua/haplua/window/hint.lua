-- SPDX-License-Identifier: MIT
--
--- What to write instead of a window that cannot be read: spellings that are read, made of just this text.

local civil = require("haplua.time.civil")
local errors = require("haplua.error")

local M = {}

local months = { jan = 1, feb = 2, mar = 3, apr = 4, may = 5, jun = 6, jul = 7, aug = 8, sep = 9, oct = 10, nov = 11, dec = 12 }

--- A date by its parts. Returns nil, which leaves the text as it is, where there is none.
local function date(year, month, day)
  year, month, day = civil.integers(year, months[month] or month, day)
  return month and civil.is_date(year, month, day) and ("%04d-%02d-%02d"):format(year, month, day) or nil
end

local zones = { cet = "Europe/Berlin", cest = "Europe/Berlin", bst = "Europe/London", est = "America/New_York",
  edt = "America/New_York", cst = "America/Chicago", cdt = "America/Chicago", pst = "America/Los_Angeles",
  pdt = "America/Los_Angeles" }
local weekday_names = { "mon", "tue", "wed", "thu", "fri", "sat", "sun" }
local weekdays = { mon = "mon", tue = "tue", wed = "wed", thu = "thu", fri = "fri", sat = "sat", sun = "sun" }

-- What people write otherwise: a pattern of the text in small letters, and what stands for it. They apply one after the
-- other, until the text can be read.
local rewrites = {
  -- days of a year and of a month
  { "^yearly ", "" }, { "^(%d%d%-%d%d %d)", "*-%1" }, { "^(%*%-.*)%-24:00$", "%1 for 24h" },
  { "^every month on the ", "" }, { "^monthly on the ", "" },
  { "^(%d%d?) (%d%d?) l %* %* ", function(minute, hour)
    return ("last day %02d:%02d "):format(hour, minute)
  end },
  { "^(%d%d?) (%d%d?) %* %* (%d)l ", function(minute, hour, day)
    return day < "8" and ("last %s %02d:%02d "):format(weekday_names[(day - 1) % 7 + 1], hour, minute) or nil
  end },
  -- dates
  { "(%d%d?)%.(%d%d?)%.(%d%d%d%d)", function(day, month, year)
    return date(year, month, day)
  end },
  { "(%d%d%d%d)/(%d%d?)/(%d%d?)", date },
  { "(%d%d?)/(%d%d?)/(%d%d%d%d)", function(first, second, year)
    return tonumber(first) > 12 and date(year, second, first) or tonumber(second) > 12 and date(year, first, second) or nil
  end },
  { "(%d%d?)%a* (%a%a%a)%a*%.?,? (%d%d%d%d)", function(day, month, year)
    return date(year, month, day)
  end },
  { "(%a%a%a)%a*%.? (%d%d?)%a*,? (%d%d%d%d)", function(month, day, year)
    return date(year, month, day)
  end },
  { "%f[%w](%d%d%d%d)(%d%d)(%d%d)t(%d%d)(%d%d)(%d%d)", "%1-%2-%3t%4:%5:%6" },
  -- times
  { "%f[%w:](%d%d?)(:?%d*)( ?[t-]o? ?)(%d%d?)(:?%d* ?)([ap]m)", function(hour, minutes, to, last, rest, half)
    local other = half == "am" and "pm" or "am"
    return hour .. minutes .. (tonumber(hour) > tonumber(last) and hour ~= "12" and other or half) .. to .. last .. rest .. half
  end },
  { "12 ?am%f[%A]", "00:00" }, { "12 ?pm%f[%A]", "12:00" }, { "midnight", "00:00" }, { "(%d) ?uhr", "%1" },
  { "%f[%d](%d%d?) ?am( ?[t-]o? ?%d%d:%d%d)", "%1:00%2" },
  { "(%d:%d%d ?[t-]o? ?)(%d%d?) ?([ap])m", function(before, hour, half)
    return ("%s%d:00"):format(before, hour % 12 + (half == "p" and 12 or 0))
  end },
  { "%f[%d](%d%d?)[.h](%d%d)%f[^%w.]", "%1:%2" },
  { "%f[%w:.h-](%d%d?)h?( ?[t-]o? ?)(%d%d?)h?%f[^%w:.-]", "%1:00%2%3:00" },
  { "^(%d%d%d%d%-%d%d%-%d%d)[t ](%d%d:%d%d) ?%-(%d%d):?(%d%d)$", "%1t%2/%1t%3:%4" },
  { "(%d)z%-(%d+:%d+)z$", "%1-%2 utc" }, { "(%d%d?:%d%d)%-%1$", "%1 for 24h" },
  { "(%d+)[.,]5 ?h%a*", "%1h30m" }, { "for (%d+)$", "for %1m" }, { "for 1y%a*$", "for 365d" },
  { "(%d:%d%d) ?/? (%d+[hm])", "%1 for %2" }, { "(%d:%d%d)/(p?t?%d)", "%1 for %2" },
  -- zones
  { "utc([+-])(%d)$", "%10%2:00" }, { "utc([+-]%d%d)$", "%1:00" },
  { "%f[%S]%l%l?%lt$", zones },
  -- days
  { "day night", "day" }, { "(%l%l%l)/(%l%l%l)", "%1,%2" },
  { "^nightly", "daily" }, { "e[va][ec][rh]y? night", "daily" }, { "work%a* ?days", "weekdays" },
  { "business days", "weekdays" }, { "fortnightly", "every 2 weeks" }, { "biweekly", "every 2 weeks" },
  { "every second (%a+) ", "every other %1 " }, { "every other (weekday)", "every 2 weeks %1" },
  { "%f[%a](%a%a%a)%a+%f[%A]", weekdays }, { "(%d[snrt][tdh])( %d)", "%1 day%2" }, { "^(first)( %d)", "%1 day%2" },
  { "^(last)( %d)", "%1 day%2" }, { "^(%l+ly) for ", "oncalendar=%1 for " }, { "^monthly ", "first day " },
  { "^weekly on ", "" }, { "^weekly ", "" }, { "^rrule:", "dtstart:20260101t000000;rrule:" },
  { "^freq=", "dtstart:20260101t000000;rrule:freq=" }, { "%?", "*" },
  { "^0 ([%d*].*[%a*] for )", "%1" },
  -- what is missing
  { "^%d%d?:%d", "daily %0" }, { "^24/7$", "daily" }, { "^always$", "daily" },
  { "^%a[%a,.-]+$", "%0 00:00-24:00" }, { "^%d%d%d%d%-%d%d%-%d%d$", "%0 00:00-24:00" },
  { "^(%d%d%d%d%-%d%d%-%d%d)%.%.(%d%d%d%d%-%d%d%-%d%d)$", "%1t00:00/%2t24:00" }, { "^every .*$", "%0 from 2026-12-06" },
}
for day = 7, 12 do
  rewrites[#rewrites + 1] = { "from 2026%-12%-%d%d$", ("from 2026-12-%02d"):format(day) }
end
rewrites[#rewrites + 1] = { "$", " for 1h" }

--- Two windows in one text: both, or nil.
local function both(text, read)
  local days, first, second = text:match("^(.-)(%d%d?:%d%d%-%d%d?:%d%d)[,;] ?(.*)$")
  local ok, a = pcall(read, (days or "") .. (first or ""))
  local whole, b = pcall(read, second or "")
  if ok and not whole then
    whole, b = pcall(read, (days or "") .. (second or ""))
  end
  return ok and whole and ("give two windows, '%s' and '%s'"):format(a, b) or nil
end

--- Add to a refusal what would do instead.
---@param problem any  what `read` has raised
---@param text string
---@param read fun(text: string): haplua.window.Spec
function M.add(problem, text, read)
  if not errors.is(problem) or #text > 200 or text:find("%c") then
    return
  end
  local changed = text:gsub("%S+", function(word)
    return (not word:find("%l/%u") or weekdays[word:sub(1, 3):lower()]) and word:lower() or nil
  end)
  local hint = both(changed, read)
  for _, rewrite in ipairs(hint and {} or rewrites) do
    local now = changed:gsub(rewrite[1], rewrite[2])
    local ok, found = pcall(read, now ~= changed and now or "")
    if ok then
      hint = ("'%s' would do"):format(found)
      break
    end
    changed = now
  end
  problem.message = problem.message .. (hint and "; " .. hint or "")
end

return M
