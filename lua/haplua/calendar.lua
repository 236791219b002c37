-- SPDX-License-Identifier: MIT
--
--- Windows from calendar files: the events of .ics files as a source for haplua.window.

local DAY <const> = require("haplua.time.civil").DAY
local events = require("haplua.ical.event")
local ical = require("haplua.ical.text")
local options = require("haplua.base.options")
local refuse = require("haplua.error").refuse
local search_limit = require("haplua.time.search_limit")
local sorted_merge = require("haplua.time.sorted_merge")

local M = {}

local EVENTS_MAX <const> = 20000

--- Add an event, unless a newer one with the same UID is there.
local function add(book, component)
  local event = events.read(book, component)
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

--- The events that open a window: not cancelled, not replaced, and with the text in their summary.
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
  local list = chosen(book, match)
  local source = { length = 0, events = #list }
  for _, event in ipairs(list) do
    source.length = math.max(source.length, event.length)
    for _, time in ipairs(event.dates) do
      source.length = math.max(source.length, (time.days or 0) * DAY + (time.seconds or 0))
    end
  end
  function source.starting(zone, from)
    local iterators = {}
    for i, event in ipairs(list) do
      -- `from` allows for the longest event; this one needs no more than its own length
      iterators[i] = events.occurrences(event, zone, from + source.length - event.length)
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
---@param given {match: string?, name: string?}?  `match`: only events with this text in their summary, in upper or
--- lower case; `name`: the file's, for errors
---@return haplua.window.Source  for window.new(); raises `refused`
function M.parse(text, given)
  options.argument("calendar.parse", "text", text, "text")
  options.check("calendar.parse", given or {}, { match = "text", name = "text" })
  local book = new_book()
  search_limit.begin()
  add_file(book, text, given and given.name or "calendar")
  return source_of(book, given and given.match)
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
---@param path string
---@param given {match: string?}?  as of parse()
---@return haplua.window.Source  for window.new(); raises `refused`
function M.read(path, given)
  options.argument("calendar.read", "path", path, "text")
  options.check("calendar.read", given or {}, { match = "text" })
  local book = new_book()
  search_limit.begin()
  for _, name in ipairs(files_of(path)) do
    local text, problem = require("haplua.file").read(name, ical.SIZE_MAX)
    if not text then
      refuse(problem)
    end
    add_file(book, text, name)
  end
  return source_of(book, given and given.match)
end

--- A text that differs after the file, or a file of the folder, was changed, added or removed.
---@param path string
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
