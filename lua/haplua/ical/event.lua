-- SPDX-License-Identifier: MIT
--
--- One event: from a VEVENT to a plain value, and from that to its occurrences.

local civil = require("haplua.time.civil")
local ical = require("haplua.ical.text")
local recur = require("haplua.ical.recurrence")
local rules = require("haplua.ical.rule")
local visible = require("haplua.error").visible
local sorted_merge = require("haplua.time.sorted_merge")
local zone_at = require("haplua.ical.vtimezone").at

local M = {}

local DAY <const> = civil.DAY
local SLACK <const> = 2 * DAY
local none <const> = {}

---@class haplua.calendar.Event
---@field summary string  as the calendar has it: not to be printed
---@field cancelled boolean?
---@field instead haplua.ical.Time?  RECURRENCE-ID: the start that this event replaces
---@field onward boolean?  RANGE=THISANDFUTURE: it replaces all later starts, too
---@field start integer?  a civil time; nil: it is cancelled, and has none
---@field date boolean?  it is of whole days, in the zone of the windows
---@field zone haplua.Zone?  nil: the window's zone
---@field days integer  its length is the sum of these days of the calendar,
---@field wall integer  of these seconds by the clocks,
---@field seconds integer  and of these elapsed seconds
---@field recurs boolean?  nil: it occurs once, at its DTSTART; none of the fields below is set
---@field rules haplua.Rule[]
---@field dates haplua.ical.Time[]  RDATE
---@field without haplua.ical.Time[]  EXDATE, and the occurrences that other events replace
---@field series haplua.calendar.Event?  with `onward`: the event whose starts it replaces
---@field before haplua.ical.Time?  from this start on, an event with `onward` replaces it

-- What most events have; a calendar may have 20,000.
local Event = { __index = { days = 0, wall = 0, seconds = 0, length = 0, rules = none, dates = none, without = none } }

--- Set the length of an event: `days`, `wall`, `seconds`, and `length` for all of them.
---@param tzid string?  DTSTART's
local function set_length(book, event, component, tzid)
  local length = ical.get(component, "DURATION")
  if component.DTEND then
    local to, _, to_utc, to_tzid = ical.time_of(component, "DTEND")
    local zone = zone_at(book, to_utc, to_tzid, component, "DTEND")
    if zone == event.zone or not zone and tzid then
      event.wall = to - event.start
    elseif zone and event.zone then
      event.seconds = zone:first(to) - event.zone:first(event.start)
    else
      ical.refuse(ical.get(component, "DTEND"), "DTSTART has a zone and DTEND none, or the other way round")
    end
  elseif length then
    event.days, event.seconds = ical.duration(length)
  end
  local days, wall, seconds = event.days, event.wall, event.seconds
  if event.date and days + wall + seconds == 0 then
    event.wall, wall = DAY, DAY
  end
  if wall < 0 or seconds < 0 then
    ical.refuse(component, "an event ends before it starts")
  end
  event.length = days * DAY + wall + seconds
  if event.length > 3660 * DAY then
    ical.refuse(component, "an event of more than ten years")
  end
end

--- The dates of EXDATE or RDATE. A period has `days` and `seconds`, too.
local function dates_of(book, component, name)
  if not component[name] then
    return none
  end
  local list = {}
  for _, property in ipairs(ical.all(component, name)) do
    for value in property.value:gmatch("[^,]+") do
      local time = ical.time(property, value:match("^[^/]+"))
      time.zone = zone_at(book, time.utc, time.tzid, property)
      local last = value:match("/(.+)$")
      if last and last:find("^%+?P") then
        time.days, time.seconds = ical.duration(property, last)
      elseif last then
        local to = ical.time(property, last)
        time.days, time.seconds = 0, to.civil - time.civil
      end
      list[#list + 1] = time
    end
  end
  return list
end

--- Read a VEVENT's RRULE, RDATE and EXDATE.
local function read_series(book, event, component)
  if not (component.RRULE or component.RDATE or component.EXDATE or component.EXRULE) then
    return
  end
  event.rules, event.recurs = {}, true
  for _, property in ipairs(ical.all(component, "RRULE")) do
    -- some programs write an empty line for an event that does not recur
    local rule, problem = rules.parse(property.value)
    if property.value == "" then
      goto continue
    elseif not rule then
      ical.refuse(property, "%s", problem)
    end
    local stop, by = rule.until_, rule.by
    if event.date then
      by.BYHOUR, by.BYMINUTE, by.BYSECOND = nil, nil, nil
      rule.until_ = stop and { civil = stop.civil - stop.civil % DAY, date = true }
    end
    event.rules[#event.rules + 1] = rule
    ::continue::
  end
  local exrule = ical.get(component, "EXRULE")
  if exrule then
    ical.refuse(exrule, "haplua does not read EXRULE, which RFC 5545 has deprecated")
  end
  event.dates, event.without = dates_of(book, component, "RDATE"), dates_of(book, component, "EXDATE")
  for _, time in ipairs(event.dates) do
    if not time.days and event.date then
      time.civil, time.zone = time.civil - time.civil % DAY, nil
    elseif time.date and not event.date then
      time.civil, time.zone = time.civil + event.start % DAY, event.zone
    end
  end
end

--- Read a VEVENT.
---@param book table  of haplua.calendar: zones, described; cancels: all its events are cancelled
---@param component haplua.ical.Component
---@return haplua.calendar.Event  raises `refused`, with the line
function M.read(book, component)
  local id, status = ical.get(component, "RECURRENCE-ID"), ical.value(component, "STATUS")
  local summary = ical.value(component, "SUMMARY")
  -- haplua.calendar reads these, perhaps; where one has no value, this event is refused, and not the calendar
  ical.value(component, "UID")
  ical.value(component, "SEQUENCE")
  ical.value(component, "DTSTAMP")
  -- all fields of most events are named here, so that the table has space for them
  local event = setmetatable({
    summary = summary and ical.text(summary) or "an event without a summary",
    cancelled = book.cancels or status and status:upper() == "CANCELLED" or nil,
    start = nil, date = nil, zone = nil, wall = nil, length = nil,
  }, Event)
  if id then
    local range = id.parameters.RANGE
    if range and range:upper() ~= "THISANDFUTURE" then
      ical.refuse(id, "haplua does not read RANGE=%s", range)
    end
    event.instead, event.onward = ical.time(id), range ~= nil
    event.instead.zone = zone_at(book, event.instead.utc, event.instead.tzid, id)
  end
  if event.cancelled then
    return event
  elseif not component.DTSTART then
    ical.refuse(component, "an event without DTSTART")
  end
  local utc, tzid
  event.start, event.date, utc, tzid = ical.time_of(component, "DTSTART")
  event.zone = zone_at(book, utc, tzid, component, "DTSTART")
  set_length(book, event, component, tzid)
  if not id then
    read_series(book, event, component)
  end
  return event
end

-- From an event to its occurrences. `zone` is the window's, `there` the event's; that is also the zone of its other
-- times that have none. The *original* start of an occurrence
-- is the one that its series gives, which RANGE=THISANDFUTURE may have moved.

--- The original start that EXDATE or RECURRENCE-ID names. If the event or the time has no time of day, days count.
local function original_start(event, time, zone)
  if event.date then
    return zone:first(time.civil - time.civil % DAY)
  elseif time.date then
    return (event.zone or zone):first(time.civil + event.start % DAY)
  end
  return (time.zone or event.zone or zone):first(time.civil)
end

--- The instant at which an occurrence ends that begins at a civil time.
local function closing(event, zone, start, opens)
  local closes = opens
  if event.days + event.wall > 0 then
    closes = zone:first(start + event.days * DAY + event.wall)
  end
  return closes + event.seconds
end

--- Iterate over the occurrences that DTSTART and RDATE list, in order.
local function listed(event, there)
  local list = {}
  if #event.rules == 0 then
    local opens = there:first(event.start)
    list[1] = { opens, closing(event, there, event.start, opens) }
  end
  for _, time in ipairs(event.dates) do
    local opens = (time.zone or there):first(time.civil)
    local own = time.days and { days = time.days, wall = 0, seconds = time.seconds } or event
    list[#list + 1] = { opens, closing(own, time.zone or there, time.civil, opens) }
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

local function never()
  return false
end

--- Two functions for what EXDATE and other events leave out. The first returns whether an occurrence is left out, the
-- second whether one is that opens between two instants of one day.
local function filter(event, zone, there)
  if not event.without[1] then
    return never, never
  end
  local instants, days, sorted = {}, {}, {}
  for _, time in ipairs(event.without) do
    if time.date and not event.date then
      days[time.civil // DAY] = true
    else
      local instant = original_start(event, time, zone)
      instants[instant] = true
      sorted[#sorted + 1] = instant
    end
  end
  table.sort(sorted)
  local function one_of(opens)
    return instants[opens] or days[there:civil(opens) // DAY]
  end
  local function some_between(first, last)
    local i = recur.first_index(1, #sorted, function(k)
      return sorted[k] >= first
    end)
    return sorted[i] and sorted[i] <= last or next(days) and (one_of(first) or one_of(last))
  end
  return one_of, some_between
end

--- Iterate over the occurrences of a rule.
---@param may_join fun(opens: integer, opens_last: integer): boolean
local function recurring(event, rule, zone, from, may_join)
  local there = event.zone or zone
  local starts = recur.instants(rule, event.start, from - SLACK, there, zone, event.length, may_join)
  return function()
    local opens, opens_last, _, last = starts()
    if opens then
      return opens, closing(event, there, last, opens_last)
    end
  end
end

--- Iterate over the occurrences of an event without those that are left out: opens, closes.
---@param joined boolean  may one stand for several that touch?
local function own_occurrences(event, zone, from, joined)
  local there = event.zone or zone
  local left_out, left_out_between = filter(event, zone, there)
  local iterators = { (#event.rules == 0 or event.dates[1]) and listed(event, there) or nil }
  -- an event without a length opens no window, however often it recurs
  for _, rule in ipairs((event.length > 0 or not joined) and event.rules or {}) do
    iterators[#iterators + 1] = recurring(event, rule, zone, from, function(...)
      return joined and not left_out_between(...)
    end)
  end
  local occurrences = sorted_merge(iterators)
  return function()
    while true do
      local opens, closes = occurrences()
      if not opens or not left_out(opens) then
        return opens, closes
      end
    end
  end
end

--- Iterate over those occurrences of an event with RANGE=THISANDFUTURE: the starts of its series, each later or earlier
-- by as much as the first.
local function moved(event, zone, from, low)
  local there = event.zone or zone
  local shift = event.start - there:civil(low)
  local starts = own_occurrences(event.series, zone, math.max(from - shift, zone:civil(low)) - SLACK, false)
  return function()
    local original
    repeat
      original = starts()
    until not original or original >= low
    if original then
      local start = there:civil(original) + shift
      local opens = there:first(start)
      return opens, closing(event, there, start, opens), original
    end
  end
end

--- What an event is called, as a list that occurrences share. It may be printed.
---@return string[]
function M.names(event)
  event.names = event.names or { visible(event.summary) }
  return event.names
end

--- The instant at which an event that occurs once opens.
---@param zone haplua.Zone  the window's
---@return integer
function M.opening(event, zone)
  return (event.zone or zone):first(event.start)
end

--- The instant at which an event that occurs once closes.
---@param zone haplua.Zone  the window's
---@param opens integer
---@return integer
function M.closing(event, zone, opens)
  return closing(event, event.zone or zone, event.start, opens)
end

--- Is an event over before a civil time, as far as can be seen without computing its occurrences?
---@param from integer
---@return boolean
function M.is_over(event, from)
  local stop = event.rules[1] and recur.stop(event.rules[1], event.start)
  return stop and not event.rules[2] and #event.dates == 0 and not event.series
    and stop + event.length + 2 * SLACK < from or false
end

--- Iterate over the occurrences of an event: opens, closes, day, names.
---@param event haplua.calendar.Event
---@param zone haplua.Zone  the window's
---@param from integer  a civil time of that zone
function M.occurrences(event, zone, from)
  local series, names = event.series or event, M.names(event)
  local high = event.before and original_start(series, event.before, zone)
  local occurrences = event.series and moved(event, zone, from, original_start(series, event.instead, zone))
    or own_occurrences(event, zone, from, not high)
  return function()
    while true do
      local opens, closes, original = occurrences()
      if not opens or high and (original or opens) >= high then
        return nil
      elseif closes > opens then
        return opens, closes, zone:civil(opens) // DAY, names
      end
    end
  end
end

return M
