-- SPDX-License-Identifier: MIT
---@errors refused, interrupted, timeout  the last two where the call waits
--
--- Time windows: from "Sun 02:00-04:00" and a zone to the instants at which it opens and closes, and maintenance by them.
-- docs/windows.md says how a window is written, and what it means where clocks change.

local options = require("haplua.base.options")
local windows = require("haplua.window.window")
local windowspec = require("haplua.window.spec")

local M = {}

--- Call a function that reads what somebody has typed. Where it refuses that, the error ends a script with status 2.
local function understood(fn, ...)
  local found = table.pack(pcall(fn, ...))
  if found[1] then
    return table.unpack(found, 2, found.n)
  elseif type(found[2]) == "table" and found[2].kind == "refused" then
    found[2].exit = 2
  end
  error(found[2], 0)
end

--- Refuse that there is no window.
local function which_window(advice)
  require("haplua.error").refuse("which window?", "'Sun 02:00-04:00' is one; " .. advice)
end

--- Read one window. tostring() of it is its canonical form; windows with the same form are equal.
---@param text string  as people write it, or cron, systemd or RDS (docs/windows.md)
---@return haplua.window.Spec  raises `refused`, with the position in `column` and marked in `advice`; where another
--- spelling of this text would do, the message names it
function M.parse(text)
  options.argument("window.parse", "text", text, "text")
  return understood(windowspec.parse, text)
end

--- The windows of an Alertmanager configuration's time intervals.
---@param path string  of the configuration
---@param given {match: string?}?  `match`: only those with this text in their name, in upper or lower case
---@return haplua.window.Spec[]  for new(); raises `refused`, with file and line
function M.intervals(path, given)
  options.argument("window.intervals", "path", path, "text")
  options.check("window.intervals", given or {}, { match = "text" })
  return understood(function()
    local text, problem = require("haplua.file").read(path, 1 << 20)
    return require("haplua.window.intervals").parse(text or require("haplua.error").refuse(problem), path, given and given.match)
  end)
end

---@class haplua.WindowOptions
---@field tz string|haplua.Zone?  default: the machine's zone
---@field except string|haplua.window.Spec|haplua.calendar.Source|table?  days on which nothing starts ("2026-12-25",
--- "12-24..12-26"), windows during which this one is closed, and calendars ("holidays.ics", or what calendar.read()
--- returns): nothing starts on the days of their whole-day events, and it is closed during the others; or a list of these
---@field calendars string[]?  .ics files and folders of them, whatever their names are
---@field match string?  of calendars: only events with this text in their summary
---@field lenient boolean?  of calendars: leave out events that cannot be read, and name them on standard error

--- Read a calendar, and name what it leaves out.
local function read_calendar(path, match, lenient)
  local found = require("haplua.calendar").read(path, { match = match, lenient = lenient })
  for _, problem in ipairs(found.left_out) do
    io.stderr:write("left out: ", problem, "\n")
  end
  return found
end

--- The values of a list, and calendars in the place of their paths.
local function with_calendars(list, match, lenient)
  local found = {}
  for i, one in ipairs(list) do
    found[i] = type(one) == "string" and require("haplua.calendar").is_path(one) and read_calendar(one, match, lenient) or one
  end
  return found
end

local function new(specs, given)
  local list = with_calendars(windows.list_of(specs), given.match, given.lenient)
  for _, path in ipairs(given.calendars or {}) do
    list[#list + 1] = read_calendar(path, given.match, given.lenient)
  end
  if #list == 0 and given.calendars then
    which_window("--calendar office.ics takes those of a calendar")
  end
  local except = given.except and with_calendars(windows.list_of(given.except), nil, given.lenient)
  return windows.new(list, { tz = given.tz, except = except })
end

--- A window of one or several specs in a zone. It is open when one of them is. A spec with a zone of its own opens by
-- that one's clocks.
---@param specs string|haplua.window.Spec|haplua.window.Source|(string|haplua.window.Spec|haplua.window.Source)[]  texts such as
--- "Sun 02:00-04:00", or that name an .ics file or, beginning with "/" or "./", a folder of them; what parse(), intervals()
--- and calendar.read() return; none (`{}`) where there are `calendars`
---@param given haplua.WindowOptions?
---@return haplua.Window  raises `refused` for a text that is no window, an unknown zone, and a single window that never
--- opens
function M.new(specs, given)
  windows.check(specs, given)
  return understood(new, specs, given or {})
end

--- Iterate over the occurrences, and wait for each until it opens. The loop's body may call occurrence:wait() to wait
-- for the end; where it returns earlier, the iterator waits for the next occurrence.
---@param specs string|haplua.Window|haplua.window.Spec|haplua.window.Source|(string|haplua.window.Spec|haplua.window.Source)[]
--- as of new(), or a Window
---@param given haplua.WindowOptions?  as of new(); none for a Window
---@return fun(): haplua.window.Occurrence?  nil: there are no more. Raises `refused` as new() and occurrences() do
function M.each(specs, given)
  local is_window = windows.is_window(specs)
  if is_window and given ~= nil then
    options.misuse("window.each", "a window that is made already takes no options")
  end
  return windows.each(is_window and specs or M.new(specs, given))
end

---@class haplua.WindowHoldOptions: haplua.Place  with no patterns, paths and hosts: the whole site
---@field tz string?  the zone of the windows: "Europe/Paris"; default: the machine's
---@field except string|string[]|nil  as of new(): days, windows, and .ics files
---@field calendars string[]?  as of new()
---@field match string?  as of new()
---@field lenient boolean?  as of new()
---@field lead number?  seconds before an opening at which to check that it can open (600)
---@field patterns string[]?  in the ACL's own match method
---@field paths string[]?  prefixes: "/shop" is /shop, /shop/cart and /shopping
---@field hosts string[]?  names; with paths: these paths of these hosts
---@field bypass string[]?  networks whose clients pass
---@field reason string?  for the journal and the visitors

local text = options.where("a text that is not empty", function(value)
  return type(value) == "string" and value ~= ""
end)
local texts = options.any(text, options.list(text))
local spec = options.where('a text such as "Sun 02:00-04:00", or what window.parse() returns', function(value)
  return type(value) == "string" and value ~= "" or type(value) == "table" and value.kind ~= nil
end)
local hold_specs = options.any(spec, options.list(spec))
local hold_options = {
  tz = text, except = texts, calendars = options.list(text), match = text, lenient = "boolean",
  lead = options.where("seconds, 0 or more", function(value)
    return options.fits("number", value) and value >= 0
  end),
  patterns = options.list(text), paths = options.list(text), hosts = options.list(text), bypass = options.list(text),
  reason = text, switch = text, acl = text, config = text,
  journal = options.any(text, options.one_of(false)), file = "boolean",
}

--- The plan for hold(), for haplua.keep.
---@return haplua.WindowPlan
local function plan_of(specs, given)
  local calendars = table.move(given.calendars or {}, 1, #(given.calendars or {}), 1, {})
  local plan = {
    specs = {}, calendars = calendars, match = given.match, tz = given.tz, lenient = given.lenient,
    except = windows.list_of(given.except or {}), lead = given.lead or 600, request = {
      switch = given.switch, acl = given.acl, config = given.config, journal = given.journal, file = given.file ~= false,
      patterns = given.patterns, paths = given.paths, hosts = given.hosts, bypass = given.bypass, reason = given.reason,
    },
  }
  for _, one in ipairs(windows.list_of(specs)) do
    one = tostring(one)
    table.insert(require("haplua.calendar").is_path(one) and plan.calendars or plan.specs, one)
  end
  return plan
end

--- Read the windows of a plan, and the configuration.
---@return haplua.ReadWindows
local function read(plan)
  local source, place = require("haplua.store.config").source(plan.request.config)
  local found = require("haplua.keep.planner").read(plan, source, place, function(form, ...)
    io.stderr:write("window: ", form:format(...), "\n")
  end)
  if #found.planners == 0 then
    which_window("`windows` in the configuration may name several, each with its scope")
  end
  return found
end

--- Stay, and keep a part of a site under maintenance while a window is open. Each occurrence is a maintenance of its own.
-- HAProxy may be away, be reloaded or replaced meanwhile: what is due is done as soon as it answers again. Where no `haplua
-- keep` runs, this call does its work, too. At a signal the occurrence that is open is ended. A process that was killed
-- leaves it in force; the next call with these windows goes on with it. Prints what happens. Returns when no window opens
-- any more. Raises `refused` for a text that is no window, and in a dry run; and what ends the task.
---@param specs string|haplua.window.Spec|(string|haplua.window.Spec)[]  texts, and what parse() and intervals() return, as of
--- new(). Calendars are read again when they change. None (`{}`) and no `calendars`: the windows of the configuration
---@param given? haplua.WindowHoldOptions
---@param print? fun(line: string)  called with each line about what was done. Default: print
function M.hold(specs, given, print)
  given = given or {}
  options.argument("window.hold", "specs", specs, hold_specs)
  options.check("window.hold", given, hold_options)
  local plan = plan_of(specs, given)
  require("haplua.keep.keeper").run_windows(plan, understood(read, plan), print or _G.print)
end

-- For people.

--- An instant in a zone.
---@param instant number  seconds since 1970; math.huge and -math.huge are "no end in sight" and "since ever"
---@param in_zone haplua.Zone  such as an occurrence's
---@return string  "Sun 2026-11-29 02:00 +01:00"
function M.moment(instant, in_zone)
  options.argument("window.moment", "instant", instant, "number")
  return require("haplua.window.text").moment(instant, in_zone)
end

--- Whether a window is open, in a sentence.
---@param occurrence haplua.window.Occurrence?  the first of w:occurrences(now); nil: there is none
---@param now number  seconds since 1970
---@return string  "open, until Sun 2026-11-29 04:00 +01:00, 1 h 30 min left: Sun 02:00-04:00"
function M.state(occurrence, now)
  options.argument("window.state", "now", now, "number")
  return require("haplua.window.text").state(occurrence, now)
end

--- The instant that a text names.
---@param time string  "2026-12-01T02:00", "03:00", "tomorrow 03:00", with or without a zone behind it ("Z", "+01:00"). A time
--- of day is the next at which the clocks show it
---@param in_zone haplua.Zone?  of a text without a zone; default: the machine's
---@return number instant  seconds since 1970. Raises `refused`
function M.instant(time, in_zone)
  options.argument("window.instant", "time", time, "text")
  local reader = require("haplua.time.reader")
  return understood(reader.whole, "time", time, reader.instant, in_zone, require("haplua.task").time())
end

return M
