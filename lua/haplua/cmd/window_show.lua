-- SPDX-License-Identifier: MIT
--
--- What scripts/window.lua prints: occurrences, as lines and as JSON.

local civil = require("haplua.time.civil")
local span = require("haplua.time.instant").span

local M = {}

local day_names <const> = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" }

--- Minutes of an option, or a duration, as seconds.
---@return number?, string?
function M.minutes(text)
  local n = tonumber(text)
  if n and n >= 0 and n < 1e6 then
    return n * 60
  end
  return require("haplua.time.instant").duration(text)
end

-- Formatting. Most rows share their days and offsets, so the texts of these are remembered.

--- A function as a table that remembers its results.
local function memoized(fn)
  return setmetatable({}, {
    __index = function(t, value)
      local text = fn(value)
      t[value] = text
      return text
    end,
  })
end

local dates = memoized(function(day)
  return day_names[civil.weekday(day)] .. " " .. civil.date_text(day)
end)
local utc_dates = memoized(civil.date_text)
local clocks = memoized(civil.clock_text)
local offsets = memoized(function(offset)
  return " " .. (offset == 0 and "+00:00" or civil.offset_text(offset))
end)

--- "Sun 2026-11-29 02:00 +01:00".
---@param instant number
---@param zone haplua.Zone
---@return string
function M.moment(instant, zone)
  if instant == math.huge then
    return "no end in sight"
  elseif instant == -math.huge then
    return "since ever"
  end
  local offset = zone:offset(instant)
  local time = instant // 1 + offset
  return dates[time // 86400] .. " " .. clocks[time % 86400] .. offsets[offset]
end

--- "2026-11-29T01:00Z".
local function utc(instant)
  if instant == math.huge or instant == -math.huge then
    return ".."
  end
  return utc_dates[instant // 86400] .. "T" .. clocks[instant % 86400] .. "Z"
end

local iso_offsets = memoized(function(offset)
  return civil.offset_text(offset) .. '"'
end)
local iso_clocks = memoized(function(seconds)
  return ("T%02d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
end)
local name_lists = setmetatable({}, { __mode = "k" })

--- An instant in JSON; null for a time without a beginning or an end.
local function iso(instant, offset)
  if instant == math.huge or instant == -math.huge then
    return "null"
  end
  local time = instant + offset
  return '"' .. utc_dates[time // 86400] .. iso_clocks[time % 86400] .. iso_offsets[offset]
end

--- An occurrence as JSON; written by hand, because lua-cjson would be slower for a thousand of them.
---@param occurrence haplua.window.Occurrence
---@return string
function M.json(occurrence)
  local opens, closes, zone, names = occurrence.opens, occurrence.closes, occurrence.zone, occurrence.names
  if not name_lists[names] then
    local encode = require("haplua.json").encode
    name_lists[names] = '"windows":' .. encode(names) .. ',"zone":' .. encode(zone.name) .. "}"
  end
  local whole = closes ~= math.huge and opens ~= -math.huge
  return '{"closes":' .. iso(closes, whole and zone:offset(closes) or 0) .. ',"closes_utc":' .. iso(closes, 0)
    .. ',"opens":' .. iso(opens, whole and zone:offset(opens) or 0) .. ',"opens_utc":' .. iso(opens, 0)
    .. ',"seconds":' .. (whole and closes - opens or "null") .. "," .. name_lists[names]
end

--- Call `fn`. Where it raises `refused`, end the script with status 2: status 1 is an answer of `check`.
local function or_usage(fn, ...)
  local found = table.pack(pcall(fn, ...))
  if found[1] then
    return table.unpack(found, 2, found.n)
  elseif not require("haplua.error").is(found[2]) or found[2].kind ~= "refused" then
    error(found[2], 0)
  end
  local problem = found[2]
  io.stderr:write(tostring(problem), "\n", problem.advice and "  " .. problem.advice:gsub("\n", "\n  ") .. "\n" or "")
  os.exit(2)
end

--- The windows that the arguments give by their texts, and those of Alertmanager's time intervals.
---@return string[]
local function specs_of(args)
  local specs = table.move(args.spec or {}, 1, #(args.spec or {}), 1, {})
  for _, path in ipairs(args.intervals or {}) do
    for _, spec in ipairs(require("haplua.window").intervals(path, { match = args.match })) do
      specs[#specs + 1] = tostring(spec)
    end
  end
  return specs
end

M.or_usage = or_usage

--- A calendar's windows. The events that are left out are named on standard error.
---@param path string
---@param match string?
---@param lenient boolean?
---@return haplua.calendar.Source  raises `refused`
function M.calendar(path, match, lenient)
  local source = require("haplua.calendar").read(path, { match = match, lenient = lenient })
  for _, problem in ipairs(source.left_out) do
    io.stderr:write("left out: ", problem, "\n")
  end
  return source
end

--- The windows and the instant that the arguments name. Ends the script with status 2 where they cannot be understood:
-- status 1 is an answer of `check`.
---@return haplua.Window, number instant
function M.ask(args)
  local reader, window = require("haplua.time.reader"), require("haplua.window")
  return or_usage(function()
    local specs = specs_of(args)
    for _, path in ipairs(args.calendar) do
      specs[#specs + 1] = M.calendar(path, args.match, args.lenient)
    end
    if #specs == 0 then
      require("haplua.error").refuse("which window?",
        "'Sun 02:00-04:00' is one, and --calendar office.ics takes those of a calendar")
    end
    local except = {}
    for i, text in ipairs(args.except) do
      except[i] = args.lenient and require("haplua.calendar").is_path(text) and M.calendar(text, nil, true) or text
    end
    local asked = window.new(specs, { tz = args.tz, except = except })
    return asked, args.at and reader.whole("time", args.at, reader.instant, asked.zone, task.time())
      or task.time()
  end)
end

--- What `run` and `calendar` shall do, by the arguments or by the configuration. Ends the script with status 2 where
-- a window cannot be understood.
---@param request haplua.Request
---@return haplua.WindowPlan, haplua.ReadWindows
function M.plan(args, request)
  local calendars, planner = args.calendar or {}, require("haplua.keep.planner")
  if args.file then
    calendars = { args.file, table.unpack(args.files) }
  end
  return or_usage(function()
    local given = {
      specs = specs_of(args), calendars = calendars, match = args.match, tz = args.tz, except = args.except,
      lenient = args.lenient, lead = args.lead, request = request,
    }
    local source, place = require("haplua.store.config").source(request.config)
    local read = planner.read(given, source, place, function(form, ...)
      io.stderr:write("window: ", form:format(...), "\n")
    end)
    if #read.planners == 0 then
      require("haplua.error").refuse("which window?",
        "'Sun 02:00-04:00' is one; `windows` in the configuration may name several, each with its scope")
    end
    return given, read
  end)
end

--- Print the coming occurrences.
---@param asked haplua.Window
---@param at number
---@param n integer
---@param as_json boolean?
---@param print function
---@return integer status  0: there are some
function M.next(asked, at, n, as_json, print)
  local rows, zone = {}, asked.zone
  local several = #asked.sources > 1 or not asked.sources[1].spec
  for occurrence in asked:occurrences(at) do
    if as_json then
      rows[#rows + 1] = M.json(occurrence)
    else
      rows[#rows + 1] = M.moment(occurrence.opens, zone) .. "  " .. M.moment(occurrence.closes, zone) .. "  "
        .. utc(occurrence.opens) .. "/" .. utc(occurrence.closes)
        .. (several and "  " .. table.concat(occurrence.names, ", ") or "")
    end
    if #rows >= n then
      break
    end
  end
  if as_json then
    print("[" .. table.concat(rows, ",") .. "]")
  elseif #rows > 0 then
    print(table.concat(rows, "\n"))
  else
    io.stderr:write("it does not open any more\n")
  end
  return #rows > 0 and 0 or 1
end

--- Print whether a window is open.
---@param asked haplua.Window
---@param at number
---@param as_json boolean?
---@param print function
---@return integer status  0: open, 1: closed
function M.check(asked, at, as_json, print)
  local occurrence = asked:occurrences(at)()
  local open = occurrence ~= nil and occurrence.opens <= at
  if as_json then
    local text = occurrence and M.json(occurrence) or "null"
    print(('{"next":%s,"occurrence":%s,"open":%s}'):format(open and "null" or text, open and text or "null", open))
  elseif open then
    print(("open, %s%s: %s"):format(occurrence.closes < math.huge and "until " .. M.moment(occurrence.closes, asked.zone)
      or M.moment(occurrence.closes, asked.zone),
      occurrence.closes < math.huge and (", %s left"):format(span(occurrence.closes - at)) or "",
      table.concat(occurrence.names, ", ")))
  elseif occurrence then
    print(("closed; opens %s, in %s: %s"):format(M.moment(occurrence.opens, asked.zone), span(occurrence.opens - at),
      table.concat(occurrence.names, ", ")))
  else
    print("closed; it does not open any more")
  end
  return open and 0 or 1
end

return M
