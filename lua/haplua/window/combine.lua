-- SPDX-License-Identifier: MIT
--
--- From the occurrences of several windows to those of all together: merged where they touch or overlap, without the
-- days and the time that are excepted.

local search_limit = require("haplua.time.search_limit")
local sorted_merge = require("haplua.time.sorted_merge")
local source = require("haplua.window.source")
local spec = require("haplua.window.spec")

local M = {}

local DAY <const> = 86400
--- Windows that follow each other without a gap for so long have no end.
M.ENDLESS = 3660 * DAY
local ENDLESS <const> = M.ENDLESS
--- A search that has found nothing for so long ends.
local HORIZON <const> = 36525 * DAY

--- The first three names, for an error.
local function some_names(names)
  return table.concat(names, ", ", 1, math.min(3, #names))
end

--- A function that returns whether a day is one of those of a calendar's events, asked for in about their order.
---@param from integer  a civil time of the zone; no earlier day is asked for
local function days_of(calendar, zone, from)
  local occurrences = calendar.starting(zone, from - calendar.length - 2 * source.SLACK)
  local opens, closes = occurrences()
  local days = {}
  return function(day)
    while opens and zone:civil(opens) // DAY <= day do
      for one = zone:civil(opens) // DAY, zone:civil(closes - 1) // DAY do
        days[one] = true
      end
      search_limit.spend(1, tostring, "the exceptions' calendar")
      opens, closes = occurrences()
    end
    return days[day]
  end
end

--- The occurrences that do not start on one of the days of `except`.
local function without_days(occurrences, except, zone, from)
  if #except == 0 then
    return occurrences
  end
  local last
  local calendars = {}
  for i, item in ipairs(except) do
    calendars[i] = item.starting and days_of(item, zone, from)
  end
  return function()
    while true do
      local opens, closes, day, names = occurrences()
      last = last or opens
      if not opens or opens > last + HORIZON then
        return nil
      end
      local excluded = false
      for i, days in ipairs(except) do
        if calendars[i] then
          excluded = excluded or calendars[i](day)
        else
          excluded = excluded or spec.includes(days, day)
        end
      end
      if not excluded then
        last = opens
        return opens, closes, day, names
      end
      search_limit.spend(1, some_names, names)
    end
  end
end

--- A function that adds a list of names to those of `first`, and returns all, each once. It copies `first` only when
-- another list comes.
local function collected(first)
  local all, there = first, nil
  return function(names)
    if names == first or names == nil then
      return all
    elseif not there then
      all, there = table.move(first, 1, #first, 1, {}), {}
      for _, name in ipairs(first) do
        there[name] = true
      end
    end
    for _, name in ipairs(names) do
      if not there[name] then
        there[name] = true
        all[#all + 1] = name
      end
    end
    return all
  end
end

--- One occurrence for those that touch or overlap.
local function merged(occurrences)
  local opens, closes, _, names = occurrences()
  return function()
    if not opens then
      return nil
    end
    local first, last, add = opens, closes, collected(names)
    while true do
      opens, closes, _, names = occurrences()
      if not opens or opens > last then
        return first, last, add()
      elseif opens > first + ENDLESS then
        opens = nil
        return first, math.huge, add()
      end
      search_limit.spend(1, some_names, names)
      last = closes > last and closes or last
      add(names)
    end
  end
end

--- The occurrences without the time of the holes.
local function cut(occurrences, holes)
  local opens, closes, names
  local hole, filled, whose = holes()
  local last
  return function()
    while true do
      if not opens then
        opens, closes, names = occurrences()
        last = last or opens
        if not opens or opens > last + HORIZON then
          return nil
        end
      end
      while filled and filled <= opens do
        search_limit.spend(1, some_names, whose)
        hole, filled, whose = holes()
      end
      local from, to = opens, closes
      if not hole or hole >= closes then
        opens = nil
      else
        to = hole
        opens = filled < closes and filled or nil
      end
      if to > from then
        last = from
        return from, to, names
      end
    end
  end
end

--- Drop the day, which only without_days() needs.
local function without_day(occurrences)
  return function()
    local opens, closes, _, names = occurrences()
    return opens, closes, names
  end
end

--- The occurrences of a window's sources that may close after an instant, in the order of their openings.
local function of_sources(window, instant)
  local iterators = {}
  for i, one in ipairs(window.sources) do
    local from = window.zone:civil(instant) - one.length - source.SLACK
    iterators[i] = without_days(one.starting(window.zone, from), window.except, window.zone, from)
  end
  return sorted_merge(iterators)
end

--- A window's occurrences that close after an instant, in order, each for itself also where they touch or overlap.
---@param window haplua.Window
---@param instant integer
---@return fun(): integer?, integer?, string[]?  opens, closes, names
function M.separate(window, instant)
  local occurrences, last = without_day(of_sources(window, instant)), nil
  if window.holes then
    -- a hole may lie in several occurrences, so each is cut for itself
    local whole, pieces = occurrences, nil
    occurrences = function()
      while true do
        local opens, closes, names
        if pieces then
          opens, closes, names = pieces()
        end
        if opens then
          return opens, closes, names
        end
        opens, closes, names = whole()
        if not opens then
          return nil
        end
        local given = false
        pieces = cut(function()
          if not given then
            given = true
            return opens, closes, names
          end
        end, M.from(window.holes, opens))
      end
    end
  end
  return function()
    while true do
      local opens, closes, names = occurrences()
      last = last or opens
      if not opens or opens > last + HORIZON then
        return nil
      elseif closes > instant then
        return opens, closes, names
      end
      search_limit.spend(1, some_names, names)
    end
  end
end

--- A window's occurrences that close after an instant, in order. The first may have begun earlier than it says.
---@param window haplua.Window
---@param instant integer
---@return fun(): integer?, integer?, string[]?  opens, closes, names
function M.from(window, instant)
  local occurrences = merged(of_sources(window, instant))
  return window.holes and cut(occurrences, M.from(window.holes, instant)) or occurrences
end

return M
