-- SPDX-License-Identifier: MIT
--
--- The zones of a calendar: VTIMEZONE, and the zone that a TZID names.

local civil = require("haplua.time.civil")
local ical = require("haplua.ical.text")
local recur = require("haplua.ical.recurrence")
local rules = require("haplua.ical.rule")
local zones = require("haplua.time.zone")

local M = {}

-- Changes of a zone that a calendar describes are computed up to this civil time, and this many of each rule.
local ZONE_LAST <const> = civil.day(2100, 1, 1) * civil.DAY
local ZONE_CHANGES <const> = 400
local ZONE_CHANGES_ALL <const> = 20000

--- Add the instants at which an observance, STANDARD or DAYLIGHT, begins: {instant, offset then, offset before}.
local function add_onsets(changes, file, observance)
  local start, from, to = ical.get(observance, "DTSTART"), ical.get(observance, "TZOFFSETFROM"),
    ical.get(observance, "TZOFFSETTO")
  if not start or not from or not to then
    ical.refuse(file, observance.line, "%s lacks DTSTART, TZOFFSETFROM or TZOFFSETTO", observance.name)
  end
  local before, after = ical.offset(file, from), ical.offset(file, to)
  local first = ical.time(file, start).civil
  local times = { first }
  for _, property in ipairs(ical.all(observance, "RRULE")) do
    local rule, problem = rules.parse(property.value)
    if not rule then
      ical.refuse(file, property.line, "%s", problem)
    end
    for time in recur.times(rule, first, first, zones.make("", before, {})) do
      if time > ZONE_LAST or #times > ZONE_CHANGES then
        break
      end
      times[#times + 1] = time
    end
  end
  for _, property in ipairs(ical.all(observance, "RDATE")) do
    for value in property.value:gmatch("[^,]+") do
      times[#times + 1] = ical.time(file, property, value).civil
    end
  end
  for _, time in ipairs(times) do
    changes[#changes + 1] = { time - before, after, before }
  end
end

--- The zone that a VTIMEZONE describes.
local function described(file, component)
  local changes = {}
  for _, observance in ipairs(component.components) do
    if observance.name == "STANDARD" or observance.name == "DAYLIGHT" then
      add_onsets(changes, file, observance)
    end
    if #changes > ZONE_CHANGES_ALL then
      ical.refuse(file, observance.line, "a VTIMEZONE with more than %d changes", ZONE_CHANGES_ALL)
    end
  end
  if #changes == 0 then
    ical.refuse(file, component.line, "a VTIMEZONE without STANDARD or DAYLIGHT")
  end
  table.sort(changes, function(a, b)
    return a[1] < b[1]
  end)
  local distinct = {}
  for _, change in ipairs(changes) do
    if not distinct[1] or change[1] > distinct[#distinct][1] then
      distinct[#distinct + 1] = change
    end
  end
  return zones.make(ical.get(component, "TZID").value, changes[1][3], distinct)
end

--- The zone of a TZID: the IANA zone of that name, which may stand at the end of a path, as some programs write it;
-- otherwise the one that the file describes.
local function zone_of(book, tzid, line)
  if book.zones[tzid] then
    return book.zones[tzid]
  end
  local name, found = tzid, nil
  while name and not found do
    local ok, zone = pcall(zones.load, name)
    found = ok and zone
    name = name:match("^/?[^/]*/(.+)$")
  end
  if not found and book.described[tzid] then
    found = described(book.file, book.described[tzid])
  elseif not found then
    ical.refuse(book.file, line, "no zone '%s': it is no IANA name, and the file has no VTIMEZONE for it", tzid)
  end
  book.zones[tzid] = found
  return found
end

--- The zone of a time that was read. nil: it has none, and the window's is meant.
---@param book {file: string, zones: table<string, haplua.Zone>, described: table<string, haplua.ical.Component>}
---@param time haplua.ical.Time
---@param line integer  for the error
---@return haplua.Zone?
function M.at(book, time, line)
  if time.utc then
    return zones.load("UTC")
  end
  return time.tzid and zone_of(book, time.tzid, line)
end

return M
