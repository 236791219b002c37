-- SPDX-License-Identifier: MIT
--
--- iCalendar's text (RFC 5545): from lines to components and properties, with the line of each. It passes over the
-- properties that say nothing about time, whatever their lines look like.

local rule = require("haplua.ical.rule")

local M = {}

---@class haplua.ical.Property
---@field name string  in capitals
---@field value string
---@field parameters table<string, string>
---@field line integer

---@class haplua.ical.Component
---@field name string
---@field line integer
---@field properties table<string, haplua.ical.Property[]>  by their names, in the order of the file
---@field components haplua.ical.Component[]

local SIZE_MAX <const> = 10 << 20
local DEPTH_MAX <const> = 8

-- The properties that are read, and what is read of them: their "text", or their parameters and a "time" or number.
local known = {
  BEGIN = "text", END = "text", METHOD = "text", UID = "text", SUMMARY = "text", STATUS = "text", SEQUENCE = "text",
  DTSTAMP = "text", TZID = "text", DTSTART = "time", DTEND = "time", DURATION = "time", RRULE = "time", EXRULE = "time",
  RDATE = "time", EXDATE = "time", ["RECURRENCE-ID"] = "time", TZOFFSETFROM = "time", TZOFFSETTO = "time",
}
-- The parameters that change what a time means.
local needed = { TZID = true, VALUE = true, RANGE = true }
M.SIZE_MAX = SIZE_MAX

--- Raise `refused` for a line of a file.
function M.refuse(name, line, message, ...)
  local visible = require("haplua.error").visible
  error(require("haplua.error").new({
    kind = "refused",
    message = ("%s:%d: %s"):format(visible(name), line, visible(message:format(...))),
    line = line,
  }), 0)
end

--- Call a function with each line as it was before a program folded it, and the number of its first part.
local function each_line(text, fn)
  local n, line, first, more = 0, nil, nil, {}

  local function flush()
    if more[1] then
      line, more = line .. table.concat(more), {}
    end
    if line then
      fn(line, first)
    end
  end

  for part in (text .. "\n"):gmatch("([^\n]*)\n") do
    n = n + 1
    local byte = part:byte()
    if (byte == 32 or byte == 9) and line then
      more[#more + 1] = part:sub(2)
    elseif byte then
      flush()
      line, first = part, n
    end
  end
  flush()
end

--- The place of the colon before the value. A time has no colon, but a parameter before it may: TZID=GMT+01:00.
local function colon(text, kind)
  if kind == "time" then
    return text:find(":[^:]*$")
  end
  local unquoted = text:gsub('"[^"]*"', function(quoted)
    return ("x"):rep(#quoted)
  end)
  return unquoted:find(":", 1, true)
end

--- The parameters between a name and its value.
local function parameters_of(file, line, name, head)
  local found, at = {}, #name + 1
  while at <= #head do
    local key, after = head:match('^;%s*([^=;"]*)()', at)
    local value, next_at = head:match('^="([^"]*)"[^;]*()', after)
    if not value then
      value, next_at = head:match('^=([^;"]*)()', after)
    end
    if not key or not value and needed[key:upper()] then
      M.refuse(file, line, "a parameter of %s cannot be read", name)
    end
    found[key:upper()], at = value, next_at or after
  end
  return found
end

--- One line: NAME;PARAMETER="value":VALUE. Returns nil for a property that is not read.
local function property(file, text, line)
  local name = text:match("^[^:;]*")
  name = known[name] and name or name:upper()
  local kind = known[name]
  if not kind then
    return nil
  end
  local at = colon(text, kind)
  if not at then
    M.refuse(file, line, "%s has no value", name)
  end
  return {
    name = name, line = line, value = text:match("^%s*(.-)%s*$", at + 1),
    parameters = kind == "time" and parameters_of(file, line, name, text:sub(1, at - 1)) or nil,
  }
end

--- Add a line's property to the innermost component of a stack.
local function add(file, stack, found)
  local inner = stack[#stack]
  if found.name == "BEGIN" then
    local component = { name = found.value:upper(), line = found.line, properties = {}, components = {} }
    table.insert(inner.components, component)
    stack[#stack + 1] = component
    if #stack > DEPTH_MAX then
      M.refuse(file, found.line, "components are nested more than %d deep", DEPTH_MAX - 1)
    end
  elseif found.name == "END" then
    if #stack == 1 or found.value:upper() ~= inner.name then
      M.refuse(file, found.line, "END:%s without its BEGIN", found.value)
    end
    stack[#stack] = nil
  else
    local list = inner.properties[found.name] or {}
    inner.properties[found.name] = list
    list[#list + 1] = found
  end
end

--- Read a calendar's text.
---@param text string
---@param file string  its name, for errors
---@return haplua.ical.Component[] calendars  one or more; raises `refused`
function M.parse(text, file)
  if #text > SIZE_MAX then
    M.refuse(file, 1, "a calendar of more than %d MiB", SIZE_MAX >> 20)
  end
  local stack = { { name = "", line = 1, properties = {}, components = {} } }
  each_line(text:gsub("^\239\187\191", ""):gsub("\r\n?", "\n"), function(line, number)
    local found = property(file, line, number)
    if found then
      add(file, stack, found)
    end
  end)
  if #stack > 1 then
    M.refuse(file, stack[#stack].line, "%s has no END: is the file cut off?", stack[#stack].name)
  end
  local calendars = {}
  for _, component in ipairs(stack[1].components) do
    calendars[#calendars + 1] = component.name == "VCALENDAR" and component or nil
  end
  if #calendars == 0 then
    M.refuse(file, 1, "this is no calendar: BEGIN:VCALENDAR is missing")
  end
  return calendars
end

--- The first property of this name.
---@return haplua.ical.Property?
function M.get(component, name)
  local list = component.properties[name]
  return list and list[1]
end

local none <const> = {}

--- All properties of this name.
---@return haplua.ical.Property[]
function M.all(component, name)
  return component.properties[name] or none
end

--- A text value without its escapes.
---@return string
function M.text(value)
  return (value:gsub("\\(.)", function(c)
    return (c == "n" or c == "N") and " " or c
  end))
end

---@class haplua.ical.Time
---@field civil integer
---@field utc boolean?
---@field date boolean?  it is a day without a time, in the zone of the windows
---@field tzid string?

--- Read a date or time.
---@param file string
---@param from haplua.ical.Property
---@param value string?  an element of the property's list; default: its whole value
---@return haplua.ical.Time  raises `refused`
function M.time(file, from, value)
  value = (value or from.value):match("^%s*(.-)%s*$")
  local digits, utc = value:match("^(%d+[Tt]?%d*)([Zz]?)$")
  local civil = digits and rule.civil(digits)
  local date = digits and #digits == 8 or from.parameters.VALUE and from.parameters.VALUE:upper() == "DATE"
  if not civil then
    M.refuse(file, from.line, "%s has no valid date: '%s'", from.name, value:sub(1, 40))
  end
  if date then
    return { civil = civil - civil % 86400, date = true }
  end
  return { civil = civil, utc = utc ~= "", tzid = utc == "" and from.parameters.TZID or nil }
end

--- Read a duration, "P1DT2H": days of the calendar, and seconds.
---@return integer days, integer seconds  raises `refused`
function M.duration(file, from, value)
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
    M.refuse(file, from.line, "%s cannot be '%s'", from.name, value:sub(1, 40))
  end
  return math.tointeger(tonumber(days or 0)), seconds
end

--- Read an offset from UTC, "+0100".
---@return integer seconds  raises `refused`
function M.offset(file, from)
  local sign, hours, minutes, seconds = from.value:match("^([+-])(%d%d)(%d%d)(%d?%d?)$")
  if not sign or #seconds == 1 then
    M.refuse(file, from.line, "%s cannot be '%s'", from.name, from.value:sub(1, 40))
  end
  local total = tonumber(hours) * 3600 + tonumber(minutes) * 60 + (tonumber(seconds) or 0)
  return math.tointeger(sign == "-" and -total or total)
end

return M
