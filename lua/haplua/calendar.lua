-- SPDX-License-Identifier: MIT
--
--- Windows from calendar files: the events of .ics files as a source for haplua.window.

local civil = require("haplua.time.civil")
local ical = require("haplua.ical.text")
local sorted_merge = require("haplua.time.sorted_merge")
local search_limit = require("haplua.time.search_limit")
local recur = require("haplua.ical.recurrence")
local rules = require("haplua.ical.rule")
local zones = require("haplua.time.zone")

local M = {}

local DAY <const> = civil.DAY
local SLACK <const> = 2 * DAY
local EVENTS_MAX <const> = 20000
local RULES_MAX <const> = 2000
local DATES_MAX <const> = 100000
-- How far the changes of a zone are followed that a calendar brings along.
local ZONE_LAST <const> = civil.day(2100, 1, 1) * DAY
local ZONE_CHANGES <const> = 400
local ZONE_CHANGES_ALL <const> = 20000

---@class haplua.calendar.Event
---@field name string
---@field start haplua.ical.Time
---@field zone haplua.Zone?  nil: the zone of whoever asks
---@field days integer  it lasts so many days by the calendar,
---@field wall integer  so long by the clocks,
---@field seconds integer  and then so many seconds more
---@field rules haplua.Rule[]
---@field dates haplua.ical.Time[]  RDATE
---@field without haplua.ical.Time[]  EXDATE, and what another event stands in for

-- Zones.

--- When a zone's observance, STANDARD or DAYLIGHT, begins: {instant, offset}.
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

--- A zone as its VTIMEZONE describes it.
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

--- The zone of a TZID: by its IANA name, also at the end of a path, as some programs write it; else as the
-- file describes it.
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
    ical.refuse(book.file, line, "no zone '%s': it is no IANA name, and the file does not describe it", tzid)
  end
  book.zones[tzid] = found
  return found
end

local function zone_at(book, time, line)
  if time.utc then
    return zones.load("UTC")
  end
  return time.tzid and zone_of(book, time.tzid, line)
end

-- Events.

--- How long an event lasts.
local function set_length(book, event, component)
  local finish, length = ical.get(component, "DTEND"), ical.get(component, "DURATION")
  event.days, event.wall, event.seconds = 0, 0, 0
  if finish then
    local to = ical.time(book.file, finish)
    local zone = zone_at(book, to, finish.line)
    if zone == event.zone then
      event.wall = to.civil - event.start.civil
    elseif zone and event.zone then
      event.seconds = zone:first(to.civil) - event.zone:first(event.start.civil)
    else
      ical.refuse(book.file, finish.line, "DTSTART has a zone and DTEND none, or the other way round")
    end
  elseif length then
    event.days, event.seconds = ical.duration(book.file, length)
  elseif event.start.date then
    event.wall = DAY
  end
  if event.wall < 0 or event.seconds < 0 then
    ical.refuse(book.file, component.line, "an event ends before it starts")
  end
  event.length = event.days * DAY + event.wall + event.seconds
  if event.length > 3660 * DAY then
    ical.refuse(book.file, component.line, "an event of more than ten years")
  end
end

--- The dates of EXDATE or RDATE; of a period, its start.
local function dates_of(book, component, name)
  local list = {}
  for _, property in ipairs(ical.all(component, name)) do
    for value in property.value:gmatch("[^,]+") do
      local time = ical.time(book.file, property, value:match("^[^/]+"))
      time.zone = zone_at(book, time, property.line)
      local last = value:match("/(.+)$")
      if last and last:find("^%+?P") then
        time.days, time.seconds = ical.duration(book.file, property, last)
      elseif last then
        local to = ical.time(book.file, property, last)
        time.days, time.seconds = 0, to.civil - time.civil
      end
      list[#list + 1] = time
    end
  end
  book.dates = book.dates + #list
  if book.dates > DATES_MAX then
    ical.refuse(book.file, component.line, "more than %d dates of RDATE and EXDATE", DATES_MAX)
  end
  return list
end

local function event_of(book, component)
  local file = book.file
  local start = ical.get(component, "DTSTART")
  if not start then
    ical.refuse(file, component.line, "an event without DTSTART")
  end
  local summary = ical.get(component, "SUMMARY")
  local event = { start = ical.time(file, start), rules = {}, line = component.line }
  event.name = summary and ical.text(summary.value) or "an event without a summary"
  event.zone = zone_at(book, event.start, start.line)
  set_length(book, event, component)
  for i, property in ipairs(ical.all(component, "RRULE")) do
    local problem
    event.rules[i], problem = rules.parse(property.value)
    if not event.rules[i] then
      ical.refuse(file, property.line, "%s", problem)
    end
    book.rules = book.rules + 1
    if book.rules > RULES_MAX then
      ical.refuse(file, property.line, "more than %d recurring events", RULES_MAX)
    end
  end
  if ical.get(component, "EXRULE") then
    ical.refuse(file, ical.get(component, "EXRULE").line, "EXRULE, which RFC 5545 has given up, is not understood")
  end
  event.dates, event.without = dates_of(book, component, "RDATE"), dates_of(book, component, "EXDATE")
  local id = ical.get(component, "RECURRENCE-ID")
  if id then
    if id.parameters.RANGE then
      ical.refuse(file, id.line, "RANGE=%s is not understood", id.parameters.RANGE)
    end
    event.instead = ical.time(file, id)
    event.instead.zone = zone_at(book, event.instead, id.line)
    event.instead.text = id.value
  end
  local status = ical.get(component, "STATUS")
  event.cancelled = status and status.value:upper() == "CANCELLED"
  return event
end

--- Take an event, or drop it for a newer one with the same UID.
local function add(book, component)
  local event = event_of(book, component)
  local uid, sequence = ical.get(component, "UID"), ical.get(component, "SEQUENCE")
  event.uid = uid and uid.value or ("%s:%d"):format(book.file, component.line)
  event.sequence = sequence and tonumber(sequence.value) or 0
  local key = event.uid .. "\0" .. (event.instead and event.instead.text or "")
  local other = book.by_key[key]
  if other and other.sequence > event.sequence then
    return
  elseif not other then
    book.order[#book.order + 1] = key
  end
  if #book.order > EVENTS_MAX then
    ical.refuse(book.file, component.line, "more than %d events", EVENTS_MAX)
  end
  book.by_key[key] = event
end

local function add_file(book, text, file)
  book.file, book.zones, book.described = file, {}, {}
  local calendars = ical.parse(text, file).components
  for _, calendar in ipairs(calendars) do
    for _, component in ipairs(calendar.components) do
      local tzid = component.name == "VTIMEZONE" and ical.get(component, "TZID")
      if tzid then
        book.described[tzid.value] = component
      end
    end
  end
  for _, calendar in ipairs(calendars) do
    for _, component in ipairs(calendar.components) do
      if component.name == "VEVENT" then
        add(book, component)
      end
    end
  end
end

-- From events to occurrences.

--- The instant of a time, in its zone or in that of whoever asks.
local function instant_of(time, zone)
  return (time.zone or zone):first(time.civil)
end

--- When an event that begins at a civil time ends.
local function closing(event, zone, start, opens)
  local closes = opens
  if event.days + event.wall > 0 then
    closes = zone:first(start + event.days * DAY + event.wall)
  end
  return closes + event.seconds
end

--- The occurrences that are listed one by one, in order.
local function listed(event, zone, there)
  local list = {}
  if #event.rules == 0 then
    local opens = there:first(event.start.civil)
    list[1] = { opens, closing(event, there, event.start.civil, opens) }
  end
  for _, time in ipairs(event.dates) do
    local opens = instant_of(time, zone)
    local own = time.days and { days = time.days, wall = 0, seconds = time.seconds } or event
    list[#list + 1] = { opens, closing(own, time.zone or zone, time.civil, opens) }
  end
  table.sort(list, function(a, b)
    return a[1] < b[1]
  end)
  local i = 0
  return function()
    i = i + 1
    if list[i] then
      return list[i][1], list[i][2]
    end
  end
end

--- What is left out: two functions. The first says whether an occurrence is, the second whether one is that opens
-- between two instants on one day.
local function filter(event, zone, there)
  local instants, days, sorted = {}, {}, {}
  for _, time in ipairs(event.without) do
    if time.date and not event.start.date then
      days[time.civil // DAY] = true
    else
      local instant = instant_of(time, zone)
      instants[instant] = true
      sorted[#sorted + 1] = instant
    end
  end
  table.sort(sorted)
  local function one_of(opens)
    return instants[opens] or days[there:civil(opens) // DAY]
  end
  local function some_between(first, last)
    local low, high = 1, #sorted
    while low <= high do
      local middle = (low + high) // 2
      if sorted[middle] < first then
        low = middle + 1
      else
        high = middle - 1
      end
    end
    return sorted[low] and sorted[low] <= last or next(days) and (one_of(first) or one_of(last))
  end
  return one_of, some_between
end

--- The occurrences by a rule; those that join on one day come as one.
local function recurring(event, rule, zone, from, left_out_between)
  local there = event.zone or zone
  local runs = recur.runs(rule, event.start.civil, from - SLACK, there, event.length, function(first, last)
    local opens, opens_last = there:first(first), there:first(last)
    -- where clocks are set back, times that follow each other lie further apart
    return opens_last - opens <= last - first and not left_out_between(opens, opens_last)
      and there:civil(opens) // DAY == there:civil(opens_last) // DAY
      and (there == zone or zone:civil(opens) // DAY == zone:civil(opens_last) // DAY)
  end)
  return function()
    local first, last = runs()
    if first then
      local opens = there:first(first)
      return opens, closing(event, there, last, last == first and opens or there:first(last))
    end
  end
end

--- The occurrences of an event.
local function occurrences_of(event, zone, from)
  local there = event.zone or zone
  local left_out, left_out_between = filter(event, zone, there)
  local iterators = { listed(event, zone, there) }
  -- what takes no time opens nothing, however often it recurs
  for _, rule in ipairs(event.length > 0 and event.rules or {}) do
    iterators[#iterators + 1] = recurring(event, rule, zone, from, left_out_between)
  end
  local occurrences, names = sorted_merge(iterators), { event.name }
  return function()
    while true do
      local opens, closes = occurrences()
      if not opens then
        return nil
      elseif closes > opens and not left_out(opens) then
        return opens, closes, zone:civil(opens) // DAY, names
      end
    end
  end
end

--- Those of the events that count: not cancelled, not replaced, and with the text in their summary.
local function chosen(book, match)
  local list, wanted = {}, match and match:lower()
  for _, key in ipairs(book.order) do
    local event = book.by_key[key]
    local master = event.instead and book.by_key[event.uid .. "\0"]
    if master then
      master.without[#master.without + 1] = event.instead
    end
    if not event.cancelled and not (master and master.cancelled)
      and (not wanted or event.name:lower():find(wanted, 1, true)) then
      list[#list + 1] = event
    end
  end
  return list
end

local function source_of(book, match)
  local events = chosen(book, match)
  local source = { length = 0, events = #events }
  for _, event in ipairs(events) do
    source.length = math.max(source.length, event.length)
    for _, time in ipairs(event.dates) do
      source.length = math.max(source.length, (time.days or 0) * DAY + (time.seconds or 0))
    end
  end
  function source.starting(zone, from)
    local iterators = {}
    for i, event in ipairs(events) do
      -- its own length, not the longest, says how far back it must be looked at
      iterators[i] = occurrences_of(event, zone, from + source.length - event.length)
    end
    return sorted_merge(iterators)
  end
  return source
end

local function new_book()
  return { by_key = {}, order = {}, rules = 0, dates = 0 }
end

--- The windows of a calendar's text.
---@param text string
---@param options {match: string?, name: string?}?  `match`: only events with this text in their summary, whatever
--- its case; `name`: for messages
---@return haplua.window.Source  for window.new(); raises `refused`
function M.parse(text, options)
  local book = new_book()
  search_limit.begin()
  add_file(book, text, options and options.name or "calendar")
  return source_of(book, options and options.match)
end

--- The files of a path: itself, or the .ics files of a folder.
local function files_of(path)
  local file = require("haplua.file")
  local info, problem = file.info(path)
  local names = info and info.type == "folder" and file.list(path)
  if not info then
    error(require("haplua.error").new({ kind = "refused", message = problem }), 0)
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

--- The windows of an .ics file, or of those of a folder.
---@param path string
---@param options {match: string?}?
---@return haplua.window.Source  raises `refused`
function M.read(path, options)
  local book = new_book()
  search_limit.begin()
  for _, name in ipairs(files_of(path)) do
    local text, problem = require("haplua.file").read(name, ical.SIZE_MAX)
    if not text then
      error(require("haplua.error").new({ kind = "refused", message = problem }), 0)
    end
    add_file(book, text, name)
  end
  return source_of(book, options and options.match)
end

--- A text that is another when a file, or one of a folder, was changed, came or went.
---@param path string
---@return string?  nil: there is no such file
function M.stamp(path)
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
