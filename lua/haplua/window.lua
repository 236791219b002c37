-- SPDX-License-Identifier: MIT
--
--- Time windows: from "Sun 02:00-04:00" and a zone to the instants at which it opens and closes.
-- docs/windows.md says what a window means where clocks change. Plain values; only each() and
-- occurrence:wait() look at the clock.

local combine = require("haplua.window.combine")
local search_limit = require("haplua.time.search_limit")
local sources = require("haplua.window.source")
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

--- Its occurrences in order, from the one that is open at `from`, if one is.
---@param from number
---@return fun(): haplua.window.Occurrence?
function Window:occurrences(from)
  local instant, back = math.floor(from), sources.SLACK // 8
  local occurrences, opens, closes, names
  search_limit.begin()
  repeat
    back = math.min(back * 8, combine.ENDLESS)
    -- what opens after this was found whole
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
      local opens, closes = sources.once(spec, window.zone)
      if closes <= opens then
        require("haplua.error").refuse(("window '%s' never opens: the clocks of %s jump over it"):format(spec, window.zone))
      end
    end
    window.sources[i] = spec.starting and spec or sources.of(spec)
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
