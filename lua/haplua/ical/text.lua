-- SPDX-License-Identifier: MIT
--
--- iCalendar's text (RFC 5545): from lines to components and properties, with the line of each. It passes over the
-- properties that say nothing about time, whatever their lines look like.

local rule = require("haplua.ical.rule")

local M = {}

local byte, find, match, sub = string.byte, string.find, string.match, string.sub

---@class haplua.ical.Source  a calendar's text
---@field file string  its name, for errors
---@field text string
---@field heads table<string, table<string, string>>  the parameters of each "DTSTART;TZID=Europe/Paris" that was read

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
---@field properties table<string, integer|integer[]>  where the properties of a name stand
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
local none <const> = {}
M.SIZE_MAX = SIZE_MAX

--- Raise `refused` for a place in a calendar.
---@param where haplua.ical.Property|haplua.ical.Component
---@param message string  a format
function M.refuse(where, message, ...)
  local visible = require("haplua.error").visible
  local _, before = where.source.text:sub(1, where.at - 1):gsub("\n", "")
  local line = before + 1
  error(require("haplua.error").new({
    kind = "refused",
    message = ("%s:%d: %s"):format(visible(where.source.file), line, visible(message:format(...))),
    line = line,
  }), 0)
end

--- The place of the colon before the value. A time has no colon, but a parameter before it may: TZID=GMT+01:00.
local function colon(text, kind, at)
  local place = text:find(":", at, true)
  if place == at or kind == "time" and place and not text:find(":", place + 1, true) then
    return place
  elseif kind == "time" then
    return text:find(":[^:]*$", at)
  end
  local unquoted = text:gsub('"[^"]*"', function(quoted)
    return ("x"):rep(#quoted)
  end)
  return unquoted:find(":", 1, true)
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
  property.source.heads[head] = found
  return found
end

--- The line at a place as it was before a program folded it: continued on lines that begin with a space.
local function unfolded(text, at)
  local parts = {}
  while at do
    local finish = find(text, "\n", at, true) or #text + 1
    parts[#parts + 1] = sub(text, at, byte(text, finish - 1) == 13 and finish - 2 or finish - 1)
    at = match(text, "^[\r\n]*\n[ \t]()", finish)
  end
  return table.concat(parts)
end

--- What line_at() returns for a line that need not be taken apart: not folded, without space around its value, and
-- with one colon if it has parameters. nil: it is none.
local function plain(text, name, at)
  local after = at + #name
  local finish, place = find(text, "\n", at, true), find(text, ":", after, true)
  if not finish or not place or place > finish
    or place ~= after and (known[name] == "text" or (find(text, ":", place + 1, true) or finish) < finish) then
    return nil
  end
  local first, before, last, _, following = byte(text, place + 1), byte(text, finish - 2, finish + 1)
  local is_crlf = last == 13
  if first > 32 and (is_crlf and before or last) > 32 and (following or 33) > 32 then
    return sub(text, place + 1, is_crlf and finish - 2 or finish - 1), place == after and name or sub(text, at, place - 1)
  end
end

--- The value of a property at a place, and what stands before its colon.
local function line_at(source, name, at)
  local value, head = plain(source.text, name, at)
  if not value then
    local line = unfolded(source.text, at)
    local place = colon(line, known[name], #name + 1) or M.refuse({ source = source, at = at }, "%s has no value", name)
    value, head = match(line, "^%s*(.-)%s*$", place + 1), sub(line, 1, place - 1)
  end
  return value, head
end

--- The property at a place: NAME;PARAMETER="value":VALUE.
local function property(component, name, at)
  local source = component.source
  local value, head = line_at(source, name, at)
  local found = { name = name, at = at, source = source, value = value, parameters = source.heads[head] }
  found.parameters = found.parameters or parameters_of(found, head)
  return found
end

--- The value of the first text property of this name.
---@return string?
function M.value(component, name)
  local at = component.properties[name]
  return at and (line_at(component.source, name, at))
end

--- Raise `refused` where value() would, without its work in nearly all cases.
function M.check(component, name)
  local at = component.properties[name]
  if at and byte(component.source.text, at + #name) ~= 58 then
    line_at(component.source, name, at)
  end
end

--- The first property of this name.
---@return haplua.ical.Property?
function M.get(component, name)
  local at = component.properties[name]
  return at and property(component, name, at)
end

--- All properties of this name.
---@return haplua.ical.Property[]
function M.all(component, name)
  local at = component.properties[name]
  if not at then
    return none
  end
  local list = { property(component, name, at) }
  for i, place in ipairs(component.more and component.more[name] or none) do
    list[i + 1] = property(component, name, place)
  end
  return list
end

--- A component that begins at a place. The properties of most events are given space for.
local function new_component(source, name, at)
  return {
    name = name, at = at, source = source, components = none, more = nil,
    properties = {
      UID = nil, DTSTAMP = nil, DTSTART = nil, DTEND = nil, SUMMARY = nil, SEQUENCE = nil, STATUS = nil, RRULE = nil,
    },
  }
end

--- Begin or end a component at a place. The last of a stack is the innermost.
local function nest(stack, name, at)
  local inner = stack[#stack]
  local source = inner.source
  local value = match(source.text, "^:(%u+)\r?\n", at + #name) or line_at(source, name, at)
  if name == "BEGIN" then
    local component = new_component(source, value:upper(), at)
    inner.components = inner.components == none and {} or inner.components
    inner.components[#inner.components + 1] = component
    stack[#stack + 1] = component
    if #stack > DEPTH_MAX then
      M.refuse(component, "components are nested more than %d deep", DEPTH_MAX - 1)
    end
  elseif #stack == 1 or value:upper() ~= inner.name then
    M.refuse({ source = source, at = at }, "END:%s without its BEGIN", value)
  else
    stack[#stack] = nil
  end
end

--- Enter a property's place into the innermost component of a stack; for BEGIN and END, change the stack.
local function add(stack, name, at)
  local inner = stack[#stack]
  if name == "BEGIN" or name == "END" then
    nest(stack, name, at)
  else
    inner.more = inner.more or {}
    inner.more[name] = inner.more[name] or {}
    table.insert(inner.more[name], at)
  end
end

--- The name of the property whose line begins at a place, if it is one that is read: `word` is its first word.
local function name_at(text, at, word)
  local following = byte(text, at + #word)
  if following == 45 or following == 13 or following == 10 then
    word = unfolded(text, at):match("^[%a-]+%f[:;\0]") or ""
  elseif following ~= 58 and following ~= 59 and following then
    return nil
  end
  return known[word] and word or known[word:upper()] and word:upper()
end

--- Read a calendar's text.
---@param text string
---@param file string  its name, for errors
---@return haplua.ical.Component[] calendars  one or more; raises `refused`
function M.parse(text, file)
  local source = { file = file, text = "", heads = {} }
  local top = new_component(source, "", 1)
  if #text > SIZE_MAX then
    M.refuse(top, "a calendar of more than %d MiB", SIZE_MAX >> 20)
  end
  source.text = text:find("\n", 1, true) and text or text:gsub("\r", "\n")
  text = source.text
  local stack, at, properties = { top }, text:find("^\239\187\191") and 3 or 0, top.properties
  -- the names of lines by how they begin, "DTSTART;"; false: they are passed over
  local names, passed_over = {}, {}
  while at do
    local head = match(text, "^%a+[:;]", at + 1)
    local name = head and names[head]
    if name == nil then
      local word = match(text, "^%a+", at + 1)
      name = word and not passed_over[word] and name_at(text, at + 1, word) or false
      if head then
        names[head] = name
      elseif word and not name and not known[word:upper()] and word:upper() ~= "RECURRENCE" then
        passed_over[word] = true
      end
    end
    if name and name ~= "BEGIN" and name ~= "END" and not properties[name] then
      properties[name] = at + 1
    elseif name then
      add(stack, name, at + 1)
      properties = stack[#stack].properties
    end
    at = find(text, "\n", at + 1, true)
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

--- Read a date or time.
---@param from haplua.ical.Property
---@param value string?  an element of the property's list; default: its whole value
---@return haplua.ical.Time  raises `refused`
function M.time(from, value)
  value = value and value:match("^%s*(.-)%s*$") or from.value
  local last = value:byte(-1)
  local utc = last == 90 or last == 122
  local civil = rule.civil(utc and value:sub(1, -2) or value)
  local date = #value < 10 or from.parameters.VALUE and from.parameters.VALUE:upper() == "DATE"
  if not civil then
    M.refuse(from, "%s has no valid date: '%s'", from.name, value:sub(1, 40))
  end
  if date then
    return { civil = civil - civil % 86400, date = true }
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
    M.refuse(from, "%s cannot be '%s'", from.name, value:sub(1, 40))
  end
  return math.tointeger(tonumber(days or 0)), seconds
end

--- Read an offset from UTC, "+0100".
---@return integer seconds  raises `refused`
function M.offset(from)
  local sign, hours, minutes, seconds = from.value:match("^([+-])(%d%d)(%d%d)(%d?%d?)$")
  if not sign or #seconds == 1 then
    M.refuse(from, "%s cannot be '%s'", from.name, from.value:sub(1, 40))
  end
  local total = tonumber(hours) * 3600 + tonumber(minutes) * 60 + (tonumber(seconds) or 0)
  return math.tointeger(sign == "-" and -total or total)
end

return M
