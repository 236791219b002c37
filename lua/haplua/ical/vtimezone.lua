-- SPDX-License-Identifier: MIT
--
--- The zones of a calendar: VTIMEZONE, and the zone that a TZID names.

local ical = require("haplua.ical.text")
local recur = require("haplua.ical.recurrence")
local rules = require("haplua.ical.rule")
local sorted_merge = require("haplua.time.sorted_merge")
local zones = require("haplua.time.zone")

local M = {}

--- Add the iterators over the instants at which an observance, STANDARD or DAYLIGHT, begins: the instant, the offset
-- from then on, the offset before.
local function add_onsets(iterators, observance)
  local start, from, to = ical.get(observance, "DTSTART"), ical.get(observance, "TZOFFSETFROM"),
    ical.get(observance, "TZOFFSETTO")
  if not start or not from or not to then
    ical.refuse(observance, "%s lacks DTSTART, TZOFFSETFROM or TZOFFSETTO", observance.name)
  end
  local before, after = ical.offset(from), ical.offset(to)
  local first = ical.time(start).civil
  local instants = { first - before }
  for _, property in ipairs(ical.all(observance, "RDATE")) do
    for value in property.value:gmatch("[^,]+") do
      local time = ical.time(property, value)
      instants[#instants + 1] = time.utc and time.civil or time.civil - before
    end
  end
  table.sort(instants)
  local i = 0
  iterators[#iterators + 1] = function()
    i = i + 1
    return instants[i], after, before
  end
  for _, property in ipairs(ical.all(observance, "RRULE")) do
    local rule, problem = rules.parse(property.value)
    if not rule then
      ical.refuse(property, "%s", problem)
    end
    local times = recur.times(rule, first, first, zones.make("", before))
    iterators[#iterators + 1] = function()
      local time = times()
      return time and time - before, after, before
    end
  end
end

--- The zone that a VTIMEZONE describes. Its changes are computed as far as they are asked for, from 1601 on if the
-- VTIMEZONE begins then.
local function described(component, name)
  local iterators = {}
  for _, observance in ipairs(component.components) do
    if observance.name == "STANDARD" or observance.name == "DAYLIGHT" then
      add_onsets(iterators, observance)
    end
  end
  if #iterators == 0 then
    ical.refuse(component, "a VTIMEZONE without STANDARD or DAYLIGHT")
  end
  local changes = sorted_merge(iterators)
  local instant, after, before = changes()
  return zones.make(name, before, function()
    local at, offset = instant, after
    instant, after = changes()
    return at, offset
  end)
end

--- A TZID as it is looked up: without the escapes and quotes that some programs write, and others leave out.
---@param text string
---@return string
function M.name(text)
  return (ical.text(text):gsub('^[%s"]*(.-)[%s"]*$', "%1"))
end

local function installed(name)
  local ok, zone = pcall(zones.load, name)
  return ok and zone or nil
end

--- The zone of a TZID. A name such as Europe/Paris, also at the end of a path, is that of the system's zone data, which
-- are newer than a file's. For any other name, such as EST, what the file says of it counts, then the system's zone
-- data, then the names that Windows has.
local function find_zone(book, tzid, where)
  local description = book.described[tzid]
  local name = tzid:gsub("^/+", "")
  while name do
    local found = (name:find("/", 1, true) or not description) and installed(name)
    if found then
      return found
    end
    name = name:match("^[^/]*/(.+)$")
  end
  if description then
    return described(description, tzid)
  end
  local windows = require("haplua.ical.windows_zones")[tzid]
  return windows and zones.load(windows) or ical.refuse(where,
    "no zone '%s': it is a name neither of IANA nor of Windows, and the file has no VTIMEZONE for it", tzid)
end

local function look_up(book, tzid, where)
  local name = M.name(tzid)
  local zone = book.zones[name] or find_zone(book, name, where)
  book.zones[name], book.zones[tzid] = zone, zone
  return zone
end

--- The zone of a time that was read. nil: it has none, and the window's is meant.
---@param book {zones: table<string, haplua.Zone>, described: table<string, haplua.ical.Component>, utc: haplua.Zone?}
---@param utc boolean?
---@param tzid string?
---@param where haplua.ical.Property|haplua.ical.Component  for the error: the property,
---@param name string?  or the component whose first property of this name it is
---@return haplua.Zone?  raises `refused`
function M.at(book, utc, tzid, where, name)
  if utc then
    book.utc = book.utc or zones.load("UTC")
    return book.utc
  elseif tzid then
    return book.zones[tzid] or look_up(book, tzid, name and ical.get(where, name) or where)
  end
end

return M
