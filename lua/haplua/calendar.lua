-- SPDX-License-Identifier: MIT
---@errors none
--
--- Windows from calendar files: the events of .ics files as a source for haplua.window.

local DAY <const> = require("haplua.time.civil").DAY
local errors = require("haplua.error")
local events = require("haplua.ical.event")
local ical = require("haplua.ical.text")
local options = require("haplua.base.options")
local refuse = errors.refuse
local search_limit = require("haplua.time.search_limit")
local sorted_merge = require("haplua.time.sorted_merge")
local zone_name = require("haplua.ical.vtimezone").name

local M = {}

local none <const> = {}

local EVENTS_MAX <const> = 20000
local RULES_MAX <const> = 2000
local DATES_MAX <const> = 100000

-- Reading.

---@class haplua.calendar.Series  the events of one UID
---@field master haplua.calendar.Event?
---@field overrides haplua.calendar.Event[]  those with RECURRENCE-ID

--- An event's SEQUENCE and DTSTAMP.
local function version(event)
  return tonumber(ical.value(event.component, "SEQUENCE") or 0) or 0, ical.value(event.component, "DTSTAMP") or ""
end

--- Of two events for one thing the one that is newer; the second of two that are equally new.
local function newer(a, b)
  if not a then
    return b
  end
  local a_sequence, a_stamp = version(a)
  local b_sequence, b_stamp = version(b)
  return (a_sequence > b_sequence or a_sequence == b_sequence and a_stamp > b_stamp) and a or b
end

--- Count what an event adds. Raises `refused` at a limit: with more, haplua would be slow.
local function count(book, event, component)
  book.events = book.events + 1
  if event.recurs then
    book.rules = book.rules + #event.rules
    book.dates = book.dates + #event.dates + #event.without
  end
  if book.events > EVENTS_MAX then
    ical.refuse(component, "more than %d events", EVENTS_MAX)
  elseif book.rules > RULES_MAX then
    ical.refuse(component, "more than %d recurring events", RULES_MAX)
  elseif book.dates > DATES_MAX then
    ical.refuse(component, "more than %d dates of RDATE and EXDATE", DATES_MAX)
  end
end

--- Read an event. nil: it cannot be read, and is left out.
local function read(book, component)
  local ok, event = pcall(events.read, book, component)
  if ok then
    return event
  elseif not errors.is(event) or event.kind ~= "refused" then
    error(event, 0)
  elseif not book.lenient then
    event.advice = event.advice or "'--lenient', or lenient = true in the configuration, leaves out events that haplua "
      .. "cannot read"
    error(event, 0)
  end
  book.left_out[#book.left_out + 1] = tostring(event)
end

local function add(book, component)
  local event = read(book, component)
  if not event then
    return
  end
  count(book, event, component)
  event.component = component
  local key = ical.value(component, "UID") or event
  local series = book.series[key]
  if not series then
    series = { master = nil, overrides = none }
    book.series[key], book.order[#book.order + 1] = series, series
  end
  if event.instead then
    series.overrides = series.overrides == none and {} or series.overrides
    table.insert(series.overrides, event)
  else
    series.master = newer(series.master, event)
  end
end

local function add_file(book, text, file)
  book.zones, book.described = {}, {}
  local calendars = ical.parse(text, file)
  for _, calendar in ipairs(calendars) do
    for _, component in ipairs(calendar.components) do
      local tzid = component.name == "VTIMEZONE" and ical.value(component, "TZID")
      if tzid then
        book.described[zone_name(tzid)] = component
      end
    end
  end
  for _, calendar in ipairs(calendars) do
    book.cancels = (ical.value(calendar, "METHOD") or ""):upper() == "CANCEL"
    for _, component in ipairs(calendar.components) do
      if component.name == "VEVENT" then
        add(book, component)
      end
    end
  end
end

-- Which event counts.

--- The newest override for each start, in the order of the starts.
local function newest(overrides, master)
  local by_start, starts, found = {}, {}, {}
  for _, event in ipairs(overrides) do
    local id = event.instead
    local by_day = id.date or master and master.date
    local start = by_day and id.civil - id.civil % DAY or id.zone and id.zone:first(id.civil) or id.civil
    local key = ("%015d%s%s"):format(start, event.onward and "+" or "", by_day and "d" or "")
    starts[#starts + 1] = not by_start[key] and key or nil
    by_start[key] = newer(by_start[key], event)
  end
  table.sort(starts)
  for i, key in ipairs(starts) do
    found[i] = by_start[key]
  end
  return found
end

--- The events of a series that open windows. Those with RANGE=THISANDFUTURE divide the series: each has the starts up
-- to the next.
local function divided(series)
  local master, last = series.master, series.master
  local found = { master }
  local without = master and table.move(master.without, 1, #master.without, 1, {})
  for _, event in ipairs(newest(series.overrides, master)) do
    if master and event.onward then
      last.before = event.instead
      event.series, event.recurs, last = master, true, event
    elseif master then
      without[#without + 1] = event.instead
    end
    found[#found + 1] = event
  end
  if master then
    master.without, master.recurs = without, true
  end
  return found
end

--- A function that returns whether a summary has the text, in upper or lower case.
local function matcher(match)
  if not match then
    return function()
      return true
    end
  elseif not match:find("[\128-\255]") then
    match = match:lower()
    return function(summary)
      return summary:lower():find(match, 1, true) ~= nil
    end
  end
  local regex = require("haplua.regex")
  local ok, expression, problem = pcall(regex.compile, "(*UTF)\\Q" .. match:gsub("\\E", "\\E\\\\E\\Q"), true)
  if not ok or not expression then
    refuse("the text to match: " .. tostring(problem or expression))
  end
  return function(summary)
    return expression:matches(summary)
  end
end

--- The events that open a window: not cancelled, not replaced, and with the text in their summary.
local function chosen(book, match)
  local list, matches = {}, matcher(match)
  local function take(event)
    if not event.cancelled and matches(event.summary) then
      list[#list + 1], event.component = event, nil
    end
  end
  for _, series in ipairs(book.order) do
    if series.overrides == none then
      take(series.master)
    elseif not (series.master and series.master.cancelled) then
      for _, event in ipairs(divided(series)) do
        take(event)
      end
    end
  end
  return list
end

-- From events to windows.

---@class haplua.calendar.Source : haplua.window.Source
---@field events integer  how many there are
---@field left_out string[]  why events were left out, with file and line; made visible
---@field split fun(): haplua.window.Source, haplua.window.Source  the events of whole days, and those with times

-- Times are sorted as integers, each with the number of its event in the list: time * NUMBERS + number.
local NUMBERS <const> = 1 << 15
-- Seconds by which instants are computed ahead of what is asked for.
local BATCH <const> = 30 * DAY

--- Iterate over the events that occur once, in the order in which they open: opens, closes, day, names.
---@param list haplua.calendar.Event[]
---@param zone haplua.Zone
---@param from integer  a civil time; those that start before may be left out
local function singles(list, zone, from)
  local starts, k = {}, 1
  for i, event in ipairs(list) do
    starts[#starts + 1] = not event.recurs and event.start >= from - 4 * DAY and event.start * NUMBERS + i or nil
  end
  table.sort(starts)
  -- the instants at which those open that start before a civil time, `limit`
  local instants, i, limit = {}, 1, -math.huge

  local function add_batch()
    limit = starts[k] // NUMBERS + BATCH
    instants, i = table.move(instants, i, #instants, 1, {}), 1
    while starts[k] and starts[k] // NUMBERS < limit do
      local n = starts[k] % NUMBERS
      instants[#instants + 1], k = events.opening(list[n], zone) * NUMBERS + n, k + 1
    end
    table.sort(instants)
  end

  return function()
    while true do
      while starts[k] and (not instants[i] or instants[i] // NUMBERS >= limit - 2 * DAY) do
        add_batch()
      end
      local one = instants[i]
      if not one then
        return nil
      end
      i = i + 1
      local event, opens = list[one % NUMBERS], one // NUMBERS
      local closes = events.closing(event, zone, opens)
      if closes > opens then
        return opens, closes, zone:civil(opens) // DAY, events.names(event)
      end
    end
  end
end

--- The occurrences of an event that recurs. Where its first one is not near, it is not computed before it is needed.
---@param from integer  a civil time
local function recurring_from(event, zone, from)
  local earliest = event.start - 2 * DAY
  if event.series or #event.dates > 0 or earliest <= from then
    return events.occurrences(event, zone, from)
  end
  local begun, occurrences = false, nil
  return function()
    if not begun then
      begun = true
      return earliest
    end
    occurrences = occurrences or events.occurrences(event, zone, from)
    return occurrences()
  end
end

local function source_of(list)
  local source, recurring = { length = 0, events = #list }, {}
  for _, event in ipairs(list) do
    source.length = event.length > source.length and event.length or source.length
    recurring[#recurring + 1] = event.recurs and event or nil
    for _, time in ipairs(event.recurs and event.dates or none) do
      source.length = math.max(source.length, (time.days or 0) * DAY + (time.seconds or 0))
    end
  end
  function source.starting(zone, from)
    local iterators = { singles(list, zone, from) }
    for _, event in ipairs(recurring) do
      -- `from` allows for the longest event; this one needs no more than its own length
      local own = from + source.length - event.length
      if not events.is_over(event, own) then
        iterators[#iterators + 1] = recurring_from(event, zone, own)
      end
    end
    return sorted_merge(iterators)
  end
  return source
end

---@return haplua.calendar.Source
local function finish(book, match)
  local list = chosen(book, match)
  local source = source_of(list)
  source.left_out = book.left_out
  function source.split()
    local of_days, timed = {}, {}
    for _, event in ipairs(list) do
      table.insert(event.date and of_days or timed, event)
    end
    return source_of(of_days), source_of(timed)
  end
  return source
end

local function new_book(lenient)
  search_limit.begin()
  return { series = {}, order = {}, events = 0, rules = 0, dates = 0, lenient = lenient, left_out = {} }
end

--- The windows of a calendar's text.
---@param text string
---@param given {match: string?, name: string?, lenient: boolean?}?  `match`: only events with this text in their
--- summary, in upper or lower case; `name`: the file's, for errors; `lenient`: leave out events that cannot be read
---@return haplua.calendar.Source  for window.new(); raises `refused`
---@error refused  with `line`
function M.parse(text, given)
  options.argument("calendar.parse", "text", text, "text")
  given = given or {}
  options.check("calendar.parse", given, { match = "text", name = "text", lenient = "boolean" })
  local book = new_book(given.lenient)
  add_file(book, text, given.name or "calendar")
  return finish(book, given.match)
end

--- The path itself, or the .ics files of the folder at it.
local function files_of(path)
  local file = require("haplua.file")
  local info, problem = file.info(path)
  local names = info and info.type == "folder" and file.list(path)
  if not info then
    refuse(problem)
  elseif not names then
    return { path }
  end
  local paths = {}
  table.sort(names)
  for _, name in ipairs(names) do
    if name:lower():find("%.ics$") and name:sub(1, 1) ~= "." then
      paths[#paths + 1] = path .. "/" .. name
    end
  end
  return paths
end

--- The windows of an .ics file, or of all .ics files of a folder.
---@param path string  of the file or the folder
---@param given {match: string?, lenient: boolean?}?  as of parse()
---@return haplua.calendar.Source  for window.new(); raises `refused`
---@error refused  with `line`
function M.read(path, given)
  options.argument("calendar.read", "path", path, "text")
  given = given or {}
  options.check("calendar.read", given, { match = "text", lenient = "boolean" })
  local book = new_book(given.lenient)
  for _, name in ipairs(files_of(path)) do
    local text, problem = require("haplua.file").read(name, ical.SIZE_MAX)
    if not text then
      refuse(problem)
    end
    add_file(book, text, name)
  end
  return finish(book, given.match)
end

--- Does a text name a calendar file or a folder, where a window or a day could stand, too?
---@param text string
---@return boolean
function M.is_path(text)
  return text:lower():find("%.ics$") ~= nil or text:find("^%.?%.?/") ~= nil
end

--- A text that differs after the file, or a file of the folder, was changed, added or removed.
---@param path string  of the file or the folder
---@return string? stamp  nil: there is no such file
function M.stamp(path)
  options.argument("calendar.stamp", "path", path, "text")
  local ok, paths = pcall(files_of, path)
  if not ok then
    return nil
  end
  local parts = {}
  for i, name in ipairs(paths) do
    local info = require("haplua.file").info(name)
    parts[i] = info and ("%s %d %d %d %.9f"):format(name, info.device, info.inode, info.size, info.mtime) or name
  end
  return table.concat(parts, "\n")
end

return M
