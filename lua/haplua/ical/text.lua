-- SPDX-License-Identifier: MIT
--
--- iCalendar's text (RFC 5545): from lines to components and properties, with the line of each. It passes over the
-- properties that say nothing about time, whatever their lines look like.

local computed = require("haplua.base.computed")
local lines = require("haplua.lines")
local rule = require("haplua.ical.rule")

local M = {}

local byte = string.byte

---@class haplua.ical.Source  a calendar's text
---@field file string  its name, for errors
---@field text string
---@field heads string[]  of each line that is read, what stands before its colon,
---@field values (string|false)[]  its value; false: it has no colon
---@field places integer[]  and where it begins in the text
---@field parameters table<string, table<string, string>>  of each head that was read
---@field counted {at: integer, line: integer}?  a place, and its line

---@class haplua.ical.Property
---@field name string  in capitals
---@field value string
---@field parameters table<string, string>
---@field at integer  where it stands in the text
---@field source haplua.ical.Source

---@class haplua.ical.Component
---@field name string
---@field at integer
---@field source haplua.ical.Source
---@field more table<string, integer[]>?  the numbers of the other lines with a name
---@field components haplua.ical.Component[]
---@field [string] integer  the number of the first line with a name in capitals, such as DTSTART

local SIZE_MAX <const> = 10 << 20
local DEPTH_MAX <const> = 8

-- The properties that are read, and what their values are: "text" or "time".
local known = {
  BEGIN = "text", END = "text", METHOD = "text", UID = "text", SUMMARY = "text", STATUS = "text", SEQUENCE = "text",
  DTSTAMP = "text", TZID = "text", DTSTART = "time", DTEND = "time", DURATION = "time", RRULE = "time", EXRULE = "time",
  RDATE = "time", EXDATE = "time", ["RECURRENCE-ID"] = "time", TZOFFSETFROM = "time", TZOFFSETTO = "time",
}
-- The components that are read, and that which most events have.
local components = {
  VCALENDAR = true, VEVENT = true, VTIMEZONE = true, STANDARD = true, DAYLIGHT = true, VALARM = true,
}
-- The parameters that change what a time means.
local needed = { TZID = true, VALUE = true, RANGE = true }
local none <const> = {}
M.SIZE_MAX = SIZE_MAX

--- Raise `refused` for a place in a calendar.
---@param where haplua.ical.Property|haplua.ical.Component
---@param message string  a format
function M.refuse(where, message, ...)
  local visible = require("haplua.error").visible
  local source = where.source
  local counted = source.counted
  if not counted or counted.at > where.at then
    counted = { at = 1, line = 1 }
  end
  -- from the line that was refused last on: --lenient may leave out thousands of events
  local _, more = source.text:sub(counted.at, where.at - 1):gsub("\n", "")
  local line = counted.line + more
  source.counted = { at = where.at, line = line }
  error(require("haplua.error").new({
    kind = "refused",
    message = ("%s:%d: %s"):format(visible(source.file), line, visible(message:format(...))),
    line = line,
  }), 0)
end

--- The parameters between a name and its value.
local function parameters_of(property, head)
  local found, at = {}, #property.name + 1
  while at <= #head do
    local key, after = head:match('^;%s*([^=;"]*)()', at)
    local value, next_at = head:match('^="([^"]*)"[^;]*()', after)
    if not value then
      value, next_at = head:match('^=([^;"]*)()', after)
    end
    if not key or not value and needed[key:upper()] then
      M.refuse(property, "a parameter of %s cannot be read", property.name)
    end
    found[key:upper()], at = value, next_at or after
  end
  property.source.parameters[head] = found
  return found
end

--- The value of a line, by its number. Raises `refused` if the line has no colon.
local function value_of(source, name, i)
  return source.values[i] or M.refuse({ source = source, at = source.places[i] }, "%s has no value", name)
end

--- The parameters of a line.
local function parameters(component, name, i)
  local source = component.source
  local head = source.heads[i]
  return source.parameters[head] or parameters_of({ name = name, at = source.places[i], source = source }, head)
end

--- The property of a line: NAME;PARAMETER="value":VALUE.
local function property(component, name, i)
  local source = component.source
  return {
    name = name, at = source.places[i], source = source, value = value_of(source, name, i),
    parameters = parameters(component, name, i),
  }
end

--- The value of the first property of this name.
---@return string?  raises `refused` if the property has none
function M.value(component, name)
  local i = component[name]
  return i and (component.source.values[i] or value_of(component.source, name, i))
end

--- The first property of this name.
---@return haplua.ical.Property?
function M.get(component, name)
  local i = component[name]
  return i and property(component, name, i)
end

--- All properties of this name.
---@return haplua.ical.Property[]
function M.all(component, name)
  local first = component[name]
  if not first then
    return none
  end
  local list = { property(component, name, first) }
  for _, i in ipairs(component.more and component.more[name] or none) do
    list[#list + 1] = property(component, name, i)
  end
  return list
end

--- A component that begins at a place.
local function new_component(source, name, at)
  return name == "VEVENT" and {
    -- the table has space for the properties of most events
    name = name, at = at, source = source, components = none, UID = nil, DTSTAMP = nil, DTSTART = nil, DTEND = nil,
    SUMMARY = nil, SEQUENCE = nil, STATUS = nil, RRULE = nil, EXDATE = nil,
  } or { name = name, at = at, source = source, components = none }
end

--- The name of the component that a line begins or ends. A program that removes a line by its name, as grep does, leaves
-- behind the lines that continue it. They may follow a BEGIN or END, and are no part of its name.
local function component_name(source, name, i)
  local value = value_of(source, name, i)
  return components[value] and value or source.text:match("^%a+:[ \t]*([%w-]+)[ \t]*\r?\n", source.places[i]) or value
end

--- Begin or end a component at the line of a number. The last of a stack is the innermost.
local function nest(stack, name, i)
  local inner = stack[#stack]
  local source = inner.source
  local value = component_name(source, name, i)
  if name == "BEGIN" then
    local component = new_component(source, value:upper(), source.places[i])
    inner.components = inner.components == none and {} or inner.components
    inner.components[#inner.components + 1] = component
    stack[#stack + 1] = component
    if #stack > DEPTH_MAX then
      M.refuse(component, "components are nested more than %d deep", DEPTH_MAX - 1)
    end
  elseif #stack == 1 or value:upper() ~= inner.name then
    M.refuse({ source = source, at = source.places[i] }, "END:%s without its BEGIN", value)
  else
    stack[#stack] = nil
  end
end

--- The name that a head begins with, in capitals.
local function name_of(head)
  return head:match("^[%a-]*"):upper()
end

--- Read a calendar's text.
---@param text string
---@param file string  its name, for errors
---@return haplua.ical.Component[] calendars  one or more; raises `refused`
function M.parse(text, file)
  local source = { file = file, text = "", parameters = {} }
  local top = new_component(source, "", 1)
  if #text > SIZE_MAX then
    M.refuse(top, "a calendar of more than %d MiB", SIZE_MAX >> 20)
  end
  text = text:gsub("^\239\187\191", "")
  source.text = text:find("\n", 1, true) and text or text:gsub("\r", "\n")
  source.heads, source.values, source.places = lines.known(source.text, computed(function(name)
    return known[name:upper()] or false
  end))
  local stack, inner, names = { top }, top, computed(name_of)
  local heads = source.heads
  for i = 1, #heads do
    local name = names[heads[i]]
    if name == "BEGIN" or name == "END" then
      nest(stack, name, i)
      inner = stack[#stack]
    elseif not inner[name] then
      inner[name] = i
    else
      inner.more = inner.more or {}
      inner.more[name] = inner.more[name] or {}
      table.insert(inner.more[name], i)
    end
  end
  if #stack > 1 then
    M.refuse(stack[#stack], "%s has no END: is the file cut off?", stack[#stack].name)
  end
  local calendars = {}
  for _, component in ipairs(top.components) do
    calendars[#calendars + 1] = component.name == "VCALENDAR" and component or nil
  end
  if #calendars == 0 then
    M.refuse(top, "this is no calendar: BEGIN:VCALENDAR is missing")
  end
  return calendars
end

--- A text value without its escapes.
---@return string
function M.text(value)
  return not value:find("\\", 1, true) and value or (value:gsub("\\(.)", function(c)
    return (c == "n" or c == "N") and " " or c
  end))
end

---@class haplua.ical.Time
---@field civil integer
---@field utc boolean?
---@field date boolean?  it is a day without a time, in the zone of the windows
---@field tzid string?

--- Read a date or time. Returns nil where there is no such time.
---@return integer? civil, boolean? date, boolean? utc
local function read_time(value, given)
  local n, last, kind = #value, byte(value, -1), given.VALUE
  local utc = last == 90 or last == 122
  local civil = rule.civil(value, utc and n - 1 or n)
  if civil and (n < 10 or kind and kind:upper() == "DATE") then
    return civil - civil % 86400, true, false
  end
  return civil, false, utc
end

local function refuse_time(from, value)
  M.refuse(from, "%s has no valid date, such as 20261201 or 20261201T220000: '%s'", from.name, value:sub(1, 40))
end

--- The time of the first property of this name, as time() reads it, without a table.
---@return integer civil, boolean date, boolean utc, string? tzid  raises `refused`
function M.time_of(component, name)
  local i = component[name]
  local value, given = M.value(component, name), parameters(component, name, i)
  local civil, date, utc = read_time(value, given)
  if not civil then
    refuse_time(property(component, name, i), value)
  end
  return civil, date, utc, not date and not utc and given.TZID or nil
end

--- Read a date or time.
---@param from haplua.ical.Property
---@param value string?  an element of the property's list; default: its whole value
---@return haplua.ical.Time  raises `refused`
function M.time(from, value)
  value = value and value:match("^%s*(.-)%s*$") or from.value
  local civil, date, utc = read_time(value, from.parameters)
  if not civil then
    refuse_time(from, value)
  elseif date then
    return { civil = civil, date = true }
  end
  return { civil = civil, utc = utc, tzid = not utc and from.parameters.TZID or nil }
end

--- Read a duration, "P1DT2H": days of the calendar, and seconds.
---@return integer days, integer seconds  raises `refused`
function M.duration(from, value)
  value = value or from.value
  local weeks = value:match("^%+?P(%d%d?%d?)W$")
  if weeks then
    return 7 * math.tointeger(tonumber(weeks)), 0
  end
  local rest = value:match("^%+?P(.+)$")
  local days = rest and rest:match("^(%d%d?%d?%d?)D")
  local clock = rest and rest:match("T(.+)$")
  local seconds = 0
  if clock then
    local left = clock
    for unit, size in ("H3600M0060S0001"):gmatch("(%u)(%d+)") do
      local n, after = left:match("^(%d%d?%d?%d?%d?%d?)" .. unit .. "(.*)$")
      if n then
        seconds, left = seconds + math.tointeger(tonumber(n)) * math.tointeger(tonumber(size)), after
      end
    end
    rest = left == "" and (days and rest:match("^%d+D()T") or rest:match("^()T"))
  else
    rest = days and rest:match("^%d+D()$")
  end
  if not rest then
    M.refuse(from, "%s cannot be '%s'; PT2H30M is a duration, and so is P1D", from.name, value:sub(1, 40))
  end
  return math.tointeger(tonumber(days or 0)), seconds
end

--- Read an offset from UTC, "+0100".
---@return integer seconds  raises `refused`
function M.offset(from)
  local sign, hours, minutes, seconds = from.value:match("^([+-])(%d%d)(%d%d)(%d?%d?)$")
  if not sign or #seconds == 1 or hours > "23" or minutes > "59" or seconds > "59" then
    M.refuse(from, "%s cannot be '%s'; +0100 is an offset from UTC, and all are less than a day", from.name,
      from.value:sub(1, 40))
  end
  local total = tonumber(hours) * 3600 + tonumber(minutes) * 60 + (tonumber(seconds) or 0)
  return math.tointeger(sign == "-" and -total or total)
end

return M
