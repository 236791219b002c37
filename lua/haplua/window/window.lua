-- SPDX-License-Identifier: MIT
---@errors refused, interrupted, timeout  the last two where the call waits
--
--- Time windows: from "Sun 02:00-04:00" and a zone to the instants at which it opens and closes.
-- docs/windows.md says what a window means where clocks change. Only each() and occurrence:wait() use the clock of
-- this machine. haplua.window has what scripts call.

local options = require("haplua.base.options")
local combine = require("haplua.window.combine")
local search_limit = require("haplua.time.search_limit")
local sources = require("haplua.window.source")
local windowspec = require("haplua.window.spec")
local zones = require("haplua.time.zone")

local M = {}

---@class haplua.Window
---@field zone haplua.Zone
---@field sources haplua.window.Source[]
---@field except (haplua.window.Days|haplua.window.Source)[]  days on which nothing starts; a calendar's whole-day events
---@field holes haplua.Window?  while it is open, this window is closed
local Window = {}
Window.__index = Window

---@class haplua.window.Occurrence
---@field opens number  seconds since 1970; -math.huge where no beginning was found
---@field closes number  math.huge where no end was found
---@field names string[]  the windows that it belongs to, in their canonical form
---@field zone haplua.Zone
local Occurrence = {}
Occurrence.__index = Occurrence

local spec_kind = options.where('a text such as "Sun 02:00-04:00", or what window.parse() or haplua.calendar returns',
  function(value)
    return type(value) == "string" or type(value) == "table" and (value.kind or value.starting) ~= nil
  end)
local specs_kind = options.any(spec_kind, options.list(spec_kind))
local option_kinds = {
  tz = options.any("text", options.where("a zone", function(value)
    return type(value) == "table" and value.first ~= nil
  end)),
  except = specs_kind, calendars = options.list("text"), match = "text", lenient = "boolean",
}

--- Iterate over the occurrences in order, from the one that is open at `from`, if one is. It computes; it does not wait.
---@param from number  an instant, in seconds since 1970
---@return fun(): haplua.window.Occurrence?  nil: there are no more. Raises `refused` where the search takes too long;
--- occurrences() does so, too
function Window:occurrences(from)
  options.argument("window", "the instant", from, "number")
  local instant, back = math.floor(from), sources.SLACK // 8
  local occurrences, opens, closes, names
  search_limit.begin()
  repeat
    back = math.min(back * 8, combine.ENDLESS)
    -- an occurrence that opens after this instant was found with its whole length
    local known = instant - back
    occurrences = combine.from(self, known)
    repeat
      opens, closes, names = occurrences()
    until not opens or closes > from
  until not opens or opens > known or back == combine.ENDLESS
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

--- The occurrences in order, each for itself also where they touch or overlap, from those that are open at `from`.
---@param from number  seconds since 1970
---@return fun(): haplua.window.Occurrence?  raises `refused` where the search takes too long
function Window:separate(from)
  options.argument("window", "the instant", from, "number")
  search_limit.begin()
  local occurrences, zone = combine.separate(self, math.floor(from)), self.zone
  return function()
    local opens, closes, names = occurrences()
    search_limit.begin()
    return opens and setmetatable({ opens = opens, closes = closes, names = names, zone = zone }, Occurrence)
  end
end

--- The occurrence that is open at an instant.
---@param instant number  seconds since 1970
---@return haplua.window.Occurrence?  nil: the window is closed. Raises `refused` where the search takes too long
function Window:open_at(instant)
  local occurrence = self:occurrences(instant)()
  return occurrence and occurrence.opens <= instant and occurrence or nil
end

--- Its beginning and its end, in the window's zone and in UTC: "Sun 2026-11-29 02:00 +01:00  Sun 2026-11-29 04:00 +01:00
--- 2026-11-29T01:00Z/2026-11-29T03:00Z".
function Occurrence:__tostring()
  return require("haplua.window.text").line(self)
end

--- The occurrence for JSON: opens, closes, opens_utc and closes_utc as texts, seconds, windows (its names), zone.
---@return table
function Occurrence:portable()
  return require("haplua.window.text").portable(self)
end

-- The host sleeps until this instant at most.
local FAR <const> = 8e9
-- Seconds. A clock that is set back by less, to before the opening, does not close a window.
local BACK <const> = 60

--- Wait for its end, by the wall clock. Raises what ends a task early, as each wait does.
---@return boolean over  false: the clock was set back to more than a minute before its beginning
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

--- As haplua.window.each(), which documents it.
---@param window haplua.Window
---@return fun(): haplua.window.Occurrence?
function M.each(window)
  local task = require("haplua.task")
  local last

  local function due(now)
    for occurrence in window:occurrences(now) do
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
      -- when the clock is set meanwhile, another one may be due
      task.sleep_until(math.min(occurrence.opens, FAR))
    end
  end
end

--- The first occurrence that opens after an instant.
---@param after number  seconds since 1970
---@return haplua.window.Occurrence?  nil: there is none. Raises `refused` where the search takes too long
function Window:next(after)
  for occurrence in self:occurrences(after) do
    if occurrence.opens > after then
      return occurrence
    end
  end
end

-- Making windows.

--- One or several as a list.
---@return table
function M.list_of(specs)
  return options.fits(spec_kind, specs) and { specs } or specs
end

local function set_exceptions(window, except)
  local holes = {}
  for _, item in ipairs(M.list_of(except)) do
    local days = type(item) == "string" and windowspec.days(item)
    if type(item) == "table" and item.split then
      window.except[#window.except + 1], holes[#holes + 1] = item.split()
    elseif days then
      window.except[#window.except + 1] = days
    else
      holes[#holes + 1] = item
    end
  end
  if #holes > 0 then
    window.holes = M.new(holes, { tz = window.zone })
  end
end

--- Check the arguments of haplua.window.new().
function M.check(specs, given)
  options.argument("window.new", "specs", specs, specs_kind)
  options.check("window.new", given or {}, option_kinds)
end

--- As haplua.window.new(), which documents it, but that `except` has no paths of calendars.
---@return haplua.Window
function M.new(specs, given)
  M.check(specs, given)
  local tz, except = given and given.tz, given and given.except
  local zone = type(tz) == "string" and zones.load(tz) or tz or zones.here()
  local window = setmetatable({ zone = zone, sources = {}, except = {} }, Window)
  for i, spec in ipairs(M.list_of(specs)) do
    spec = type(spec) == "string" and windowspec.parse(spec) or spec
    if spec.kind == "once" then
      local opens, closes = sources.once(spec, zone)
      if closes <= opens then
        require("haplua.error").refuse(("window '%s' never opens: the clocks of %s jump over it"):format(spec, zone))
      end
    end
    window.sources[i] = spec.starting and spec or sources.of(spec)
  end
  if #window.sources == 0 then
    options.misuse("window.new", 'at least one window is expected, such as "Sun 02:00-04:00"')
  end
  if except then
    set_exceptions(window, except)
  end
  return window
end

--- Is a value a window that new() has made?
function M.is_window(value)
  return getmetatable(value) == Window
end

return M
