-- SPDX-License-Identifier: MIT
--
--- iCalendar's text (RFC 5545): from lines to components and properties, with the line of each. libical reads no
-- text here: its errors do not name a line, and it recurses as deep as a file nests its components.

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
---@field properties haplua.ical.Property[]
---@field components haplua.ical.Component[]

local SIZE_MAX <const> = 10 << 20
local DEPTH_MAX <const> = 8
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

--- The lines as they were before a program folded them: the parts of each, and the number of its first line.
local function unfolded(text)
  local lines, n = {}, 0
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    n = n + 1
    local more = line:match("^[ \t](.*)$")
    local last = lines[#lines]
    if more and last then
      last.parts[#last.parts + 1] = more
    elseif line ~= "" then
      lines[#lines + 1] = { parts = { line }, line = n }
    end
  end
  return lines
end

--- One line: NAME;PARAMETER="value":VALUE.
local function property(file, line)
  local text = table.concat(line.parts)
  local name, at = text:match("^([%w-]+)()")
  if not name then
    M.refuse(file, line.line, "a property is expected: '%s'", text:sub(1, 40))
  end
  local parameters = {}
  while text:sub(at, at) == ";" do
    local key, value, after = text:match('^;([%w-]+)="([^"]*)"()', at)
    if not key then
      key, value, after = text:match('^;([%w-]+)=([^";:]*)()', at)
    end
    if not key then
      M.refuse(file, line.line, "a parameter of %s cannot be read", name)
    end
    -- haplua uses the first value of a list
    after = text:match('^,[^;:]*()', after) or after
    parameters[key:upper()], at = value, after
  end
  if text:sub(at, at) ~= ":" then
    M.refuse(file, line.line, "%s has no value", name)
  end
  return { name = name:upper(), value = text:sub(at + 1), parameters = parameters, line = line.line }
end

--- Read a calendar's text.
---@param text string
---@param file string  its name, for errors
---@return haplua.ical.Component  a component without a name that holds the outermost ones; raises `refused`
function M.parse(text, file)
  if #text > SIZE_MAX then
    M.refuse(file, 1, "a calendar of more than %d MiB", SIZE_MAX >> 20)
  elseif text:find("\0", 1, true) then
    M.refuse(file, 1, "this is no text")
  end
  local top = { name = "", line = 1, properties = {}, components = {} }
  local stack = { top }
  for _, line in ipairs(unfolded((text:gsub("^\239\187\191", "")))) do
    local found = property(file, line)
    local inner = stack[#stack]
    if found.name == "BEGIN" then
      local component = { name = found.value:upper(), line = found.line, properties = {}, components = {} }
      table.insert(inner.components, component)
      stack[#stack + 1] = component
      if #stack > DEPTH_MAX then
        M.refuse(file, found.line, ("components are nested more than %d deep"):format(DEPTH_MAX - 1))
      end
    elseif found.name == "END" then
      if #stack == 1 or found.value:upper() ~= inner.name then
        M.refuse(file, found.line, "END:%s without its BEGIN", found.value)
      end
      stack[#stack] = nil
    else
      table.insert(inner.properties, found)
    end
  end
  if #stack > 1 then
    M.refuse(file, stack[#stack].line, "%s has no END: is the file cut off?", stack[#stack].name)
  elseif #top.components == 0 then
    M.refuse(file, 1, "this is no calendar: BEGIN:VCALENDAR is missing")
  end
  return top
end

--- The first property of this name.
---@return haplua.ical.Property?
function M.get(component, name)
  for _, found in ipairs(component.properties) do
    if found.name == name then
      return found
    end
  end
end

--- All properties of this name.
---@return haplua.ical.Property[]
function M.all(component, name)
  local list = {}
  for _, found in ipairs(component.properties) do
    if found.name == name then
      list[#list + 1] = found
    end
  end
  return list
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
---@field utc boolean
---@field date boolean  it is a day without a time
---@field tzid string?

--- Read a date or time.
---@param file string
---@param from haplua.ical.Property
---@param value string?  an element of the property's list; default: its whole value
---@return haplua.ical.Time  raises `refused`
function M.time(file, from, value)
  value = value or from.value
  local digits, utc = value:match("^(%d+[Tt]?%d*)([Zz]?)$")
  local civil = digits and rule.civil(digits)
  if not civil then
    M.refuse(file, from.line, "%s has no valid date: '%s'", from.name, value:sub(1, 40))
  end
  return { civil = civil, utc = utc ~= "", date = #digits == 8, tzid = utc == "" and from.parameters.TZID or nil }
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
