-- SPDX-License-Identifier: MIT
--
--- An occurrence of a window as text and as a table for JSON.

local civil = require("haplua.time.civil")
local span = require("haplua.time.instant").span

local M = {}

local day_names <const> = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" }

--- A function as a table that remembers its results: most lines of a list share their days and offsets.
local function memoized(fn)
  return setmetatable({}, {
    __index = function(t, value)
      local text = fn(value)
      t[value] = text
      return text
    end,
  })
end

local dates = memoized(function(day)
  return day_names[civil.weekday(day)] .. " " .. civil.date_text(day)
end)
local utc_dates = memoized(civil.date_text)
local clocks = memoized(civil.clock_text)
local offsets = memoized(function(offset)
  return offset == 0 and "+00:00" or civil.offset_text(offset)
end)

--- As haplua.window.moment(), which documents it.
---@param instant number
---@param zone haplua.Zone
---@return string
function M.moment(instant, zone)
  if instant == math.huge then
    return "no end in sight"
  elseif instant == -math.huge then
    return "since ever"
  end
  local offset = zone:offset(instant)
  local time = instant // 1 + offset
  return dates[time // 86400] .. " " .. clocks[time % 86400] .. " " .. offsets[offset]
end

--- "2026-11-29T01:00Z".
local function utc(instant)
  if instant == math.huge or instant == -math.huge then
    return ".."
  end
  return utc_dates[instant // 86400] .. "T" .. clocks[instant % 86400] .. "Z"
end

--- "Sun 2026-11-29 02:00 +01:00  Sun 2026-11-29 04:00 +01:00  2026-11-29T01:00Z/2026-11-29T03:00Z".
---@param occurrence haplua.window.Occurrence
---@return string
function M.line(occurrence)
  local zone = occurrence.zone
  return M.moment(occurrence.opens, zone) .. "  " .. M.moment(occurrence.closes, zone) .. "  " .. utc(occurrence.opens) .. "/"
    .. utc(occurrence.closes)
end

--- As haplua.window.state(), which documents it.
---@param one haplua.window.Occurrence?
---@param now number
---@return string
function M.state(one, now)
  if not one then
    return "closed; it does not open any more"
  end
  local names = table.concat(one.names, ", ")
  if one.opens > now then
    return ("closed; opens %s, in %s: %s"):format(M.moment(one.opens, one.zone), span(one.opens - now), names)
  elseif one.closes == math.huge then
    return ("open, %s: %s"):format(M.moment(one.closes, one.zone), names)
  end
  return ("open, until %s, %s left: %s"):format(M.moment(one.closes, one.zone), span(one.closes - now), names)
end

--- "2026-11-29T02:00:00+01:00".
local function iso(instant, offset)
  local time = instant + offset
  local seconds = time % 86400
  return ("%sT%02d:%02d:%02d%s"):format(utc_dates[time // 86400], seconds // 3600, seconds // 60 % 60, seconds % 60,
    civil.offset_text(offset))
end

--- An occurrence for JSON. Times without a beginning or an end are null, and then the others are in UTC.
---@param occurrence haplua.window.Occurrence
---@return table
function M.portable(occurrence)
  local null, zone = require("cjson").null, occurrence.zone
  local opens, closes = occurrence.opens, occurrence.closes
  local is_whole = closes ~= math.huge and opens ~= -math.huge
  local function text(instant, is_utc)
    if instant == math.huge or instant == -math.huge then
      return null
    end
    return iso(instant, is_whole and not is_utc and zone:offset(instant) or 0)
  end
  return { opens = text(opens), closes = text(closes), opens_utc = text(opens, true), closes_utc = text(closes, true),
    seconds = is_whole and closes - opens or null, windows = occurrence.names, zone = zone.name }
end

return M
