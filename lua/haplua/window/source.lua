-- SPDX-License-Identifier: MIT
--
--- From one window to its occurrences: the civil times at which it starts, and the instants at which it opens and
-- closes in a zone.

local civil = require("haplua.time.civil")
local zones = require("haplua.time.zone")

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

--- Iterate over the civil times at which a window by the n-th weekdays of a month starts.
local function monthly_starts(spec, from)
  local weekday = next(spec.days)
  local year, month = civil.date(from // DAY)
  local queue, i = {}, 1
  return function()
    while true do
      while queue[i] do
        i = i + 1
        if queue[i - 1] >= from then
          return queue[i - 1]
        end
      end
      queue, i = {}, 1
      for _, n in ipairs(spec.nth) do
        local day = civil.nth_weekday(year, month, weekday, n)
        queue[#queue + 1] = day and day * DAY + spec.at
      end
      table.sort(queue)
      if queue[2] == queue[1] then
        table.remove(queue, 1)
      end
      year, month = year + month // 12, month % 12 + 1
    end
  end
end

--- The occurrences of a window by days of the week.
local function by_week(spec, zone, from, names)
  local wall, elapsed = spec.wall, spec.elapsed
  local starts = spec.nth and monthly_starts(spec, from) or weekly_starts(spec, from)
  return function()
    while true do
      local start = starts()
      if not start then
        return nil
      end
      local opens = zone:first(start)
      local closes = elapsed and opens + elapsed or zone:first(start + wall)
      if closes > opens then
        return opens, closes, start // DAY, names
      end
    end
  end
end

--- The occurrences of a window by a rule.
---@param zone haplua.Zone  of the rule
---@param asking haplua.Zone  of the window; its days count
local function by_rule(spec, zone, from, names, asking)
  local starts = require("haplua.ical.recurrence").instants(spec.rule, spec.from, from, zone, asking, spec.elapsed)
  return function()
    local opens, opens_last, first = starts()
    if opens then
      return opens, opens_last + spec.elapsed, (asking == zone and first or asking:civil(opens)) // DAY, names
    end
  end
end

--- The occurrence of a window with a date.
---@param spec haplua.window.Spec
---@param zone haplua.Zone
---@param names string[]?
---@return integer opens, integer closes, integer day, string[]? names
function M.once(spec, zone, names)
  local opens = spec.from_offset and spec.from - spec.from_offset or zone:first(spec.from)
  local closes = spec.elapsed and opens + spec.elapsed
    or spec.to_offset and spec.from + spec.wall - spec.to_offset or zone:first(spec.from + spec.wall)
  local day = (spec.from_offset and zone:civil(opens) or spec.from) // DAY
  return opens, closes, day, names
end

--- The source of a window that was read.
---@param spec haplua.window.Spec
---@return haplua.window.Source
function M.of(spec)
  local own = spec.zone and zones.load(spec.zone)
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
      if spec.kind == "weekly" then
        return by_week(spec, zone, from, names)
      end
      return by_rule(spec, own or zone, own and own ~= zone and from - SLACK or from, names, zone)
    end,
  }
end

return M
