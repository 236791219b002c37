-- SPDX-License-Identifier: MIT
--
--- Time windows: from "Sun 02:00-04:00" and a zone to the instants at which it opens and closes.
-- docs/windows.md says what a window means where clocks change. Plain values; only each() and
-- occurrence:wait() look at the clock.

local civil = require("haplua.time.civil")
local sorted_merge = require("haplua.time.sorted_merge")
local search_limit = require("haplua.time.search_limit")
local windowspec = require("haplua.window.spec")
local zones = require("haplua.time.zone")

local M = {}

---@class haplua.Window
---@field zone haplua.Zone
---@field sources haplua.window.Source[]
---@field except haplua.window.Days[]  days on which nothing starts
---@field holes haplua.Window?  time that is cut out
local Window = {}
Window.__index = Window

---@class haplua.window.Occurrence
---@field opens number  seconds since 1970; -math.huge: it has been open for ever
---@field closes number  math.huge: no end in sight
---@field names string[]  the windows that it comes from, in their canonical form
---@field zone haplua.Zone
local Occurrence = {}
Occurrence.__index = Occurrence

--- What gives occurrences; a Spec is made into one.
---@class haplua.window.Source
---@field spec haplua.window.Spec?
---@field length integer  no occurrence lasts longer, by its civil times or in seconds
---@field starting fun(zone: haplua.Zone, from: integer): fun(): integer?, integer?, integer?, string[]?
---  opens, closes, the day it belongs to, names; in the order of `opens`; from a civil time of the zone on

local DAY <const> = civil.DAY
local SLACK <const> = 2 * DAY
--- Windows that follow each other without a gap for so long have no end.
local ENDLESS <const> = 3660 * DAY
--- When nothing has come for so long, nothing comes.
local HORIZON <const> = 36525 * DAY

local function refuse(message, advice)
  error(require("haplua.error").new({ kind = "refused", message = message, advice = advice }), 0)
end

-- From a spec to the civil times at which it starts.

--- Days of the week: seconds into a day, on the days of a set.
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

--- The n-th of a weekday of each month.
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

--- Occurrences by days of the week.
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

--- Occurrences by a rule; those that join on one day come as one.
---@param asking haplua.Zone  whose day they have
local function by_rule(spec, zone, from, names, asking)
  local runs = require("haplua.ical.recurrence").runs(spec.rule, spec.from, from, zone, spec.elapsed, function(first, last)
    local opens, opens_last = zone:first(first), zone:first(last)
    -- where clocks are set back, times that follow each other lie further apart
    return opens_last - opens <= last - first
      and (asking == zone or asking:civil(opens) // DAY == asking:civil(opens_last) // DAY)
  end)
  return function()
    local first, last = runs()
    if first then
      local opens = zone:first(first)
      return opens, (last == first and opens or zone:first(last)) + spec.elapsed,
        (asking == zone and first or asking:civil(opens)) // DAY, names
    end
  end
end

--- A window that was written with its offset from UTC, or that is there once.
local function once(spec, zone, names)
  local opens = spec.from_offset and spec.from - spec.from_offset or zone:first(spec.from)
  local closes = spec.elapsed and opens + spec.elapsed
    or spec.to_offset and spec.from + spec.wall - spec.to_offset or zone:first(spec.from + spec.wall)
  local day = (spec.from_offset and zone:civil(opens) or spec.from) // DAY
  return opens, closes, day, names
end

---@param spec haplua.window.Spec
---@return haplua.window.Source
local function source_of(spec)
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
            return once(spec, zone, names)
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

-- Several into one.

--- For messages.
local function some_names(names)
  return table.concat(names, ", ", 1, math.min(3, #names))
end

--- Leave out what starts on some days.
local function without_days(occurrences, except)
  if #except == 0 then
    return occurrences
  end
  local last
  return function()
    while true do
      local opens, closes, day, names = occurrences()
      last = last or opens
      if not opens or opens > last + HORIZON then
        return nil
      end
      local excluded = false
      for _, days in ipairs(except) do
        excluded = excluded or windowspec.includes(days, day)
      end
      if not excluded then
        last = opens
        return opens, closes, day, names
      end
      search_limit.spend(1, some_names, names)
    end
  end
end

--- Names of several, each once: a function that takes lists, and gives the names of all so far.
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

--- Make one of those that touch or overlap.
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

--- Cut the holes out.
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

--- All that closes after an instant, merged and cut; the first may have begun earlier than is told.
local function from_instant(window, instant)
  local iterators = {}
  for i, source in ipairs(window.sources) do
    local from = window.zone:civil(instant) - source.length - SLACK
    iterators[i] = without_days(source.starting(window.zone, from), window.except)
  end
  local occurrences = merged(sorted_merge(iterators))
  return window.holes and cut(occurrences, from_instant(window.holes, instant)) or occurrences
end

--- Its occurrences in order, from the one that is open at `from`, if one is.
---@param from number
---@return fun(): haplua.window.Occurrence?
function Window:occurrences(from)
  local instant, back = math.floor(from), SLACK // 8
  local occurrences, opens, closes, names
  search_limit.begin()
  repeat
    back = math.min(back * 8, ENDLESS)
    -- what opens after this was found whole
    local known = instant - back
    occurrences = from_instant(self, known)
    repeat
      opens, closes, names = occurrences()
    until not opens or closes > from
  until not opens or opens > known or back == ENDLESS
  if opens and opens <= instant - back then
    opens = -math.huge
  end
  local zone, found = self.zone, opens ~= nil
  return function()
    if not found then
      search_limit.begin()
      opens, closes, names = occurrences()
    end
    found = false
    return opens and setmetatable({ opens = opens, closes = closes, names = names, zone = zone }, Occurrence)
  end
end

--- The one that is open at an instant.
---@param instant number
---@return haplua.window.Occurrence?
function Window:open_at(instant)
  local occurrence = self:occurrences(instant)()
  return occurrence and occurrence.opens <= instant and occurrence or nil
end

-- What is far away is not told to the host's clock.
local FAR <const> = 8e9
-- A clock that was set back by less than this has not gone back before a window.
local BACK <const> = 60

--- Wait for its end. False: the clock was set back to before its beginning, by more than a minute.
---@return boolean over
function Occurrence:wait()
  local task = require("haplua.task")
  while true do
    local now = task.time()
    if now >= self.closes then
      return true
    elseif now < self.opens - BACK then
      return false
    end
    task.sleep_until(math.min(self.closes, FAR))
  end
end

--- Its occurrences as they come, each when it opens; one that is open already at once. The loop's body may use
-- occurrence:wait() to wait for the end; if it ends earlier, the next occurrence is waited for.
---@param specs string|haplua.Window|haplua.window.Spec|(string|haplua.window.Spec)[]
---@param options {tz: string?, except: string|string[]?}?
---@return fun(): haplua.window.Occurrence?
function M.each(specs, options)
  if getmetatable(specs) == Window and options then
    error("window.each: a window that is made already takes no options", 2)
  end
  local asked = getmetatable(specs) == Window and specs or M.new(specs, options)
  local task = require("haplua.task")
  local last

  local function due(now)
    for occurrence in asked:occurrences(now) do
      if occurrence.opens ~= last then
        return occurrence
      end
    end
  end

  return function()
    while true do
      local now = task.time()
      if last and now < last - BACK then
        last = nil
      end
      local occurrence = due(now)
      if not occurrence or occurrence.opens <= now then
        last = occurrence and occurrence.opens
        return occurrence
      end
      -- when the clock is set meanwhile, another may be due
      task.sleep_until(math.min(occurrence.opens, FAR))
    end
  end
end

--- The first that opens after an instant.
---@param after number
---@return haplua.window.Occurrence?
function Window:next(after)
  for occurrence in self:occurrences(after) do
    if occurrence.opens > after then
      return occurrence
    end
  end
end

-- Making windows.

--- Read one window. tostring() gives its canonical form; two that print alike are equal.
---@param text string
---@return haplua.window.Spec  raises `refused`, with the place marked in `advice`
function M.parse(text)
  return windowspec.parse(text)
end

--- A text, a Spec, or a list of them, as a list of Specs; what is a Source already stays.
local function specs_of(specs)
  if type(specs) == "string" or type(specs) == "table" and (specs.kind or specs.starting) then
    specs = { specs }
  end
  local list = {}
  for i, spec in ipairs(specs or {}) do
    list[i] = type(spec) == "string" and windowspec.parse(spec) or spec
  end
  return list
end

local function set_exceptions(window, except)
  local holes = {}
  for _, item in ipairs(type(except) == "table" and not except.kind and except or { except }) do
    local days = type(item) == "string" and windowspec.days(item)
    if days then
      window.except[#window.except + 1] = days
    else
      holes[#holes + 1] = item
    end
  end
  if #holes > 0 then
    window.holes = M.new(holes, { tz = window.zone })
  end
end

--- A window of one or several specs in a zone: open when one of them is.
---@param specs string|haplua.window.Spec|haplua.window.Source|(string|haplua.window.Spec|haplua.window.Source)[]
---@param options {tz: string|haplua.Zone?, except: string|haplua.window.Spec|(string|haplua.window.Spec)[]?}?
--- `tz`: default the machine's zone. `except`: days on which nothing starts ("2026-12-25",
--- "12-24..12-26"), and windows whose time is cut out
---@return haplua.Window  raises `refused`
function M.new(specs, options)
  local window = setmetatable({ sources = {}, except = {} }, Window)
  for key in pairs(options or {}) do
    if key ~= "tz" and key ~= "except" then
      error(("window: there is no option '%s'"):format(tostring(key)), 2)
    end
  end
  local tz = options and options.tz
  window.zone = type(tz) == "string" and zones.load(tz) or tz or zones.here()
  for i, spec in ipairs(specs_of(specs)) do
    if spec.kind == "once" then
      local opens, closes = once(spec, window.zone)
      if closes <= opens then
        refuse(("window '%s' never opens: the clocks of %s jump over it"):format(spec, window.zone))
      end
    end
    window.sources[i] = spec.starting and spec or source_of(spec)
  end
  if #window.sources == 0 then
    error("window: at least one window is expected, such as \"Sun 02:00-04:00\"", 2)
  end
  if options and options.except then
    set_exceptions(window, options.except)
  end
  return window
end

return M
