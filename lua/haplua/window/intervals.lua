-- SPDX-License-Identifier: MIT
--
--- The time intervals of an Alertmanager configuration as windows. Facts: Alertmanager's documentation of
-- <time_interval>. The reader takes the YAML that such intervals are written in, line by line, and refuses the rest. A
-- library would make the number 1320 of 22:00, and would have to read the whole file.

local civil = require("haplua.time.civil")
local errors = require("haplua.error")
local foreign = require("haplua.window.foreign")
local keys_of = require("haplua.base.lists").keys
local reader = require("haplua.time.reader")
local spec = require("haplua.window.spec")

local M = {}

local DAY <const>, integers = civil.DAY, civil.integers

local function refuse(book, message, ...)
  local text = ("%s:%d: %s"):format(book.path, book.line, message:format(...))
  errors.refuse((errors.visible(text)))
end

local function numbered(names)
  local numbers, i = {}, 0
  for name in names:gmatch("%a+") do
    i = i + 1
    numbers[name] = i
  end
  return numbers
end

-- The fields of an interval that are lists of ranges: the least and the greatest number, and names for numbers.
local fields = {
  weekdays = { 1, 7, numbered("sunday monday tuesday wednesday thursday friday saturday") },
  days_of_month = { -31, 31 },
  months = { 1, 12, numbered("january february march april may june july august september october november december") },
  years = { 1970, 2199 },
}

--- Add the numbers of a range, "1:5", to a field of the interval.
local function add_range(book, name, text)
  local field, list = fields[name], book.interval[name]
  local function number(word)
    local n = field[3] and field[3][word] or name ~= "weekdays" and math.tointeger(tonumber(word))
    return n and n ~= 0 and n >= field[1] and n <= field[2] and n or refuse(book, "%s: '%s' is not known", name, word)
  end
  local from, to = text:lower():match("^([^:]+):?([^:]*)$")
  local first = number(from or text)
  local last = to == "" and first or number(to)
  last = name == "days_of_month" and first > 0 and last == -1 and 31 or last
  if last < first or first < 0 and last > 0 then
    refuse(book, "%s: no window has the range '%s'", name, text)
  end
  for n = first, last do
    local value = name == "weekdays" and (n + 5) % 7 + 1 or n
    list[value] = true
  end
end

--- Take a value: that of the key before it, or an item of the list that this key has.
local function take_value(book, text)
  local key, interval = book.key, book.interval
  if key == "name" then
    book.name, book.key, book.interval = text, nil, nil
  elseif interval and fields[key] then
    add_range(book, key, text)
  elseif interval and key == "location" then
    local is_zone, zone = pcall(reader.whole, "location", text, reader.zone)
    interval.location = text == "Local" and "" or is_zone and zone or refuse(book,
      "location: a name such as Europe/Paris is expected")
    book.key = nil
  elseif interval and interval.times and (key == "start_time" or key == "end_time") then
    local hours, minutes = integers(text:match("^(%d%d?):(%d%d)$"))
    local time, second = interval.times[#interval.times], hours and (hours * 60 + minutes) * 60
    if not time or time[key] or not hours or minutes > 59 or second > DAY then
      refuse(book, "'%s' is no %s", text, key)
    end
    time[key], book.key = second, nil
  else
    refuse(book, "'%s' is not expected here", text)
  end
end

local known = { name = true, time_intervals = true, times = true, start_time = true, end_time = true, location = true }

--- Take a key. Each key has one place in the file, so the keys and the beginnings of items tell what belongs together.
---@param is_item boolean  it is the first of an item of a list
local function take_key(book, key, is_item)
  local is_known = known[key] or fields[key]
  if not is_known or key == "name" and not is_item or key == "time_intervals" and (is_item or not book.name) then
    refuse(book, "'%s' is not expected here", key)
  elseif is_item and book.name and (fields[key] or key == "times" or key == "location") then
    book.interval = { name = book.name, line = book.line }
    book.intervals[#book.intervals + 1] = book.interval
  elseif is_item and key:find("_time$") and book.interval and book.interval.times then
    table.insert(book.interval.times, {})
  end
  if fields[key] or key == "times" then
    local interval = book.interval or refuse(book, "'- %s' is expected", key)
    interval[key] = interval[key] == nil and {} or refuse(book, "'%s' is there already", key)
  end
  book.key = key
end

--- Read a line without its indentation.
local function take_line(book, text)
  local is_item = false
  while text ~= "" and not text:find("^#") do
    local mark, rest = text:match("^([%[%]{},])%s*(.*)$")
    if not mark then
      mark, rest = text:match("^(%-)%s+(.*)$")
    end
    local key = text:match("^([%a_]+):%f[%s\0]")
    if mark then
      is_item = is_item and mark == "[" or mark == "-" or mark == "{"
    elseif key then
      take_key(book, key, is_item)
      rest, is_item = text:sub(#key + 2):gsub("^%s+", ""), false
    else
      local pattern = text:find("^'") and "^'([^']*)'%s*(.*)$" or text:find('^"') and '^"([^"\\]*)"%s*(.*)$'
        or "^([%w\128-\255+./-][^#,%[%]{}]*)(.*)$"
      local value, after = text:match(pattern)
      take_value(book, value and value:match("^(.-)%s*$") or refuse(book, "'%s' is not read here", text))
      rest, is_item = after, false
    end
    text = rest
  end
end

--- The windows of one interval: one for each of its times.
local function windows_of(book, interval, found)
  local lists = {}
  book.line = interval.line
  for name in pairs(fields) do
    lists[name] = interval[name] and keys_of(interval[name])
    if lists[name] and not lists[name][1] or interval.times and not interval.times[1] then
      refuse(book, "%s: nothing stands there", lists[name] and name or "times")
    end
  end
  for _, time in ipairs(interval.times or { { start_time = 0, end_time = DAY } }) do
    local from, to = time.start_time, time.end_time
    if not from or not to or to <= from then
      refuse(book, "start_time and a later end_time are expected")
    end
    local window = foreign.of_fields({ seconds = { 0 }, minutes = { from // 60 % 60 }, hours = { from // 3600 },
      weekdays = lists.weekdays, dates = lists.days_of_month, months = lists.months, years = lists.years })
      or refuse(book, "years: give an interval of its own for each")
    window.wall = to - from
    window.zone = interval.location ~= "" and (interval.location or "UTC") or nil
    found[#found + 1] = spec.make(window)
  end
end

--- The windows of the `time_intervals` and `mute_time_intervals` of an Alertmanager configuration's text.
---@param text string
---@param path string  for errors
---@param match string?  only those with this text in their name, in upper or lower case
---@return haplua.window.Spec[]  for window.new(); raises `refused` with file and line, and where there are none
function M.parse(text, path, match)
  local book, found, inside = { path = path, line = 0, intervals = {} }, {}, false
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    book.line = book.line + 1
    if line:find("^[^ #-]") then
      inside = line:find("^time_intervals:%s*$") or line:find("^mute_time_intervals:%s*$")
    elseif inside then
      take_line(book, line:match("^ *(.-)%s*$"))
    end
  end
  for _, interval in ipairs(book.intervals) do
    if not match or interval.name:lower():find(match:lower(), 1, true) then
      windows_of(book, interval, found)
    end
  end
  return found[1] and found or errors.refuse((errors.visible(path .. " has no time intervals"
    .. (match and " with this text in their names" or ""))))
end

return M
