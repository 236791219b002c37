-- SPDX-License-Identifier: MIT
--
--- From one window to its occurrences: the civil times at which it starts, and the instants at which it opens and
-- closes in a zone.

local civil = require("haplua.time.civil")
local load_zone = require("haplua.time.reader").load

local M = {}

--- The occurrences of one window or of one calendar, to be asked for.
---@class haplua.window.Source
---@field spec haplua.window.Spec?
---@field length integer  seconds; no occurrence is longer, by the clocks or elapsed
---@field starting fun(zone: haplua.Zone, from: integer): fun(): integer?, integer?, integer?, string[]?
---  iterates from a civil time of the zone on, in the order of `opens`: opens, closes, the day it belongs to, names

local DAY <const> = civil.DAY
--- More than the distance between a civil time and an instant, in seconds.
M.SLACK = 2 * DAY
local SLACK <const> = M.SLACK

--- Iterate over the civil times at which a window by days of the week starts.
local function weekly_starts(spec, from)
  local jump = {}
  for day = 1, 7 do
    local n = 1
    while not spec.days[(day + n - 1) % 7 + 1] do
      n = n + 1
    end
    jump[day] = n
  end
  local day = (from - spec.at + DAY - 1) // DAY - 1
  local weekday = civil.weekday(day)
  local at = spec.at
  return function()
    local n = jump[weekday]
    day, weekday = day + n, (weekday + n - 1) % 7 + 1
    return day * DAY + at
  end
end

--- Iterate over the civil times at which a window by the n-th of some days of a month starts.
local function monthly_starts(spec, from)
  local year, month = civil.date(from // DAY)
  local only = next(spec.days)
  only = not next(spec.days, only) and only
  local queue, i = {}, 0
  return function()
    repeat
      i = i + 1
      while not queue[i] do
        local days, first = {}, civil.day(year, month, 1)
        local skipped = only and (only - civil.weekday(first)) % 7 or 0
        for day = first + skipped, first + civil.month_length(year, month) - 1, only and 7 or 1 do
          days[#days + 1] = (only or spec.days[civil.weekday(day)]) and day or nil
        end
        queue, i = {}, 1
        for _, n in ipairs(spec.nth) do
          local start = (days[n] or days[#days + 1 + n] or -math.huge) * DAY + spec.at
          queue[#queue + 1] = start > (queue[#queue] or -math.huge) and start or nil
        end
        year, month = year + month // 12, month % 12 + 1
      end
    until queue[i] >= from
    return queue[i]
  end
end

--- The occurrences of a window by days of the week.
---@param zone haplua.Zone  its own, or the asking window's
---@param asking haplua.Zone  of the window; its days count
local function by_week(spec, zone, from, names, asking)
  local wall, elapsed = spec.wall, spec.elapsed
  local starts = spec.nth and monthly_starts(spec, from) or weekly_starts(spec, from)
  return function()
    while true do
      local start = starts()
      local opens = zone:first(start)
      local closes = elapsed and opens + elapsed or zone:first(start + wall)
      if closes > opens then
        return opens, closes, (asking == zone and start or asking:civil(opens)) // DAY, names
      end
    end
  end
end

--- The occurrences of a window by a rule.
---@param zone haplua.Zone  of the rule
---@param asking haplua.Zone  of the window; its days count
local function by_rule(spec, zone, from, names, asking)
  local length = spec.wall or spec.elapsed
  local starts = require("haplua.ical.recurrence").instants(spec.rule, spec.from, from, zone, asking, length)
  return function()
    local opens, closes, first, last
    repeat
      opens, closes, first, last = starts()
      if not opens then
        return nil
      end
      closes = spec.elapsed and closes + spec.elapsed or zone:first(last + spec.wall)
    until closes > opens
    return opens, closes, (asking == zone and first or asking:civil(opens)) // DAY, names
  end
end

--- The occurrence of a window with a date.
---@param spec haplua.window.Spec
---@param zone haplua.Zone  of the window
---@param names string[]?
---@return integer opens, integer closes, integer day, string[]? names
function M.once(spec, zone, names)
  local own = spec.zone and load_zone(spec.zone) or zone
  local opens = spec.from_offset and spec.from - spec.from_offset or own:first(spec.from)
  local closes = spec.elapsed and opens + spec.elapsed
    or spec.to_offset and spec.from + spec.wall - spec.to_offset or own:first(spec.from + spec.wall)
  local day = ((spec.from_offset or own ~= zone) and zone:civil(opens) or spec.from) // DAY
  return opens, closes, day, names
end

--- The source of a window that was read.
---@param spec haplua.window.Spec
---@return haplua.window.Source
function M.of(spec)
  local own = spec.zone and load_zone(spec.zone)
  local names = { tostring(spec) }
  if spec.kind == "once" then
    return {
      spec = spec,
      length = (spec.wall or spec.elapsed) + SLACK,
      starting = function(zone)
        local given = false
        return function()
          if not given then
            given = true
            return M.once(spec, zone, names)
          end
        end
      end,
    }
  end
  return {
    spec = spec,
    length = spec.wall or spec.elapsed,
    starting = function(zone, from)
      local occurrences = spec.kind == "weekly" and by_week or by_rule
      return occurrences(spec, own or zone, own and own ~= zone and from - SLACK or from, names, zone)
    end,
  }
end

return M
