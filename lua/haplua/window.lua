-- SPDX-License-Identifier: MIT
--
--- Time windows: from "Sun 02:00-04:00" and a zone to the instants at which it opens and closes, and maintenance by them.
-- docs/windows.md says how a window is written, and what it means where clocks change.

local options = require("haplua.base.options")
local windows = require("haplua.window.window")
local windowspec = require("haplua.window.spec")

local M = {}

--- Read one window. tostring() of it is its canonical form; windows with the same form are equal.
---@param text string  as people write it, or cron, systemd or RDS (docs/windows.md)
---@return haplua.window.Spec  raises `refused`, with the position in `column` and marked in `advice`; where another
--- spelling of this text would do, the message names it
function M.parse(text)
  options.argument("window.parse", "text", text, "text")
  return windowspec.parse(text)
end

--- The windows of an Alertmanager configuration's time intervals.
---@param path string  of the configuration
---@param given {match: string?}?  `match`: only those with this text in their name, in upper or lower case
---@return haplua.window.Spec[]  for new(); raises `refused`, with file and line
function M.intervals(path, given)
  options.argument("window.intervals", "path", path, "text")
  options.check("window.intervals", given or {}, { match = "text" })
  local text, problem = require("haplua.file").read(path, 1 << 20)
  return require("haplua.window.intervals").parse(text or require("haplua.error").refuse(problem), path, given and given.match)
end

--- A window of one or several specs in a zone. It is open when one of them is. A spec with a zone of its own opens by
-- that one's clocks.
---@param specs string|haplua.window.Spec|haplua.window.Source|(string|haplua.window.Spec|haplua.window.Source)[]
---@param given {tz: string|haplua.Zone?, except: string|haplua.window.Spec|haplua.calendar.Source|table?}?
--- `tz`: default the machine's zone. `except`: days on which nothing starts ("2026-12-25",
--- "12-24..12-26"), windows during which this one is closed, and calendars ("holidays.ics", or what calendar.read()
--- returns): nothing starts on the days of their whole-day events, and it is closed during the others; or a list of these
---@return haplua.Window  raises `refused` for a text that is no window, an unknown zone, and a single window that never
--- opens
function M.new(specs, given)
  windows.check(specs, given)
  if given and given.except then
    local calendar, except = require("haplua.calendar"), {}
    for i, item in ipairs(windows.list_of(given.except)) do
      except[i] = type(item) == "string" and calendar.is_path(item) and calendar.read(item) or item
    end
    given = { tz = given.tz, except = except }
  end
  return windows.new(specs, given)
end

--- Iterate over the occurrences, and wait for each until it opens. The loop's body may call occurrence:wait() to wait
-- for the end; where it returns earlier, the iterator waits for the next occurrence.
---@param specs string|haplua.Window|haplua.window.Spec|haplua.window.Source|(string|haplua.window.Spec|haplua.window.Source)[]
--- as of new(), or a Window
---@param given {tz: string|haplua.Zone?, except: string|haplua.window.Spec|(string|haplua.window.Spec)[]?}?  as of new();
--- none for a Window
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
---@field match string?  of calendars: only events with this text in their summary
---@field lenient boolean?  of calendars: leave out events that cannot be read, and name them on standard error
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
local hold_options = {
  tz = text, except = texts, match = text, lenient = "boolean", lead = options.where("seconds, 0 or more", function(value)
    return options.fits("number", value) and value >= 0
  end),
  patterns = options.list(text), paths = options.list(text), hosts = options.list(text), bypass = options.list(text),
  reason = text, switch = text, acl = text, config = text,
  journal = options.any(text, options.one_of(false)), file = "boolean",
}

local function list_of(value)
  return type(value) == "string" and { value } or value or {}
end

--- The plan for hold(), for haplua.keep.
---@return haplua.WindowPlan
local function plan_of(specs, given)
  local plan = {
    specs = {}, calendars = {}, match = given.match, tz = given.tz, except = list_of(given.except), lenient = given.lenient,
    lead = given.lead or 600, request = {
      switch = given.switch, acl = given.acl, config = given.config, journal = given.journal, file = given.file ~= false,
      patterns = given.patterns, paths = given.paths, hosts = given.hosts, bypass = given.bypass, reason = given.reason,
    },
  }
  for _, one in ipairs(list_of(specs)) do
    table.insert(require("haplua.calendar").is_path(one) and plan.calendars or plan.specs, one)
  end
  return plan
end

--- Stay, and keep a part of a site under maintenance while a window is open. Each occurrence is a maintenance of its own.
-- HAProxy may be away, be reloaded or replaced meanwhile: what is due is done as soon as it answers again. Where no `haplua
-- keep` runs, this call does its work, too. At a signal the occurrence that is open is ended. A process that was killed
-- leaves it in force; the next call with these windows goes on with it. Prints what happens. Returns when no window opens
-- any more. Raises `refused` for a text that is no window, and in a dry run; and what ends the task.
---@param specs string|string[]  windows ("Sun 02:00-04:00"), and .ics files or folders of them; none (`{}`): the windows of
--- the configuration
---@param given? haplua.WindowHoldOptions
function M.hold(specs, given)
  given = given or {}
  options.argument("window.hold", "specs", specs, texts)
  options.check("window.hold", given, hold_options)
  local plan = plan_of(specs, given)
  local source, place = require("haplua.store.config").source(given.config)
  local read = require("haplua.keep.planner").read(plan, source, place, function(form, ...)
    io.stderr:write("window: ", form:format(...), "\n")
  end)
  if #read.planners == 0 then
    require("haplua.error").refuse("which window?",
      "'Sun 02:00-04:00' is one; `windows` in the configuration may name several, each with its scope")
  end
  require("haplua.keep.keeper").run_windows(plan, read, print)
end

return M
