-- SPDX-License-Identifier: MIT
--
--- The resident policy behind `window run` and `window calendar`: maintenance is on while a window is open.
-- At its end, what was there before is restored. When `maint off` ends a window's maintenance early, or somebody
-- replaces it, the policy waits for the next occurrence. Some time before an opening it checks that it could open.

local change = require("haplua.apply.change")
local config = require("haplua.store.config")
local context = require("haplua.apply.context")
local during = require("haplua.apply.during")
local errors = require("haplua.error")
local haproxy = require("haproxy")
local moment = require("haplua.time.instant")
local task = require("haplua.task")
local window = require("haplua.window")

local M = {}

-- Seconds between two looks at the journal and the calendars while a window is open, and between two attempts to open
-- or close while HAProxy cannot be reached.
local INTERVAL = 1

-- Seconds between two looks at the calendars while no window is open.
local CALENDAR_INTERVAL = 5

-- Seconds by which the clock may be set back before an opening without the window being entered anew.
local BACK = 60

-- The longest single wait, in seconds.
local LONGEST = 86400

---@class haplua.WindowPlan
---@field specs string[]
---@field calendars string[]  .ics files, or folders of them
---@field match string?
---@field lenient boolean?  leave out the events of calendars that cannot be read
---@field tz string?
---@field except string[]?
---@field lead number  seconds before an opening at which to check that it could open
---@field request haplua.Request  scope, bypass, reason, switch, journal

---@class haplua.WindowRunner
---@field plan haplua.WindowPlan
---@field print function
---@field window haplua.Window
---@field stamp string  of the calendars
---@field entered number?  the opening of the latest occurrence that was entered
---@field open_at_start number?  the opening of the occurrence that was open when the process began
local Runner = {}
Runner.__index = Runner

function Runner:say(form, ...)
  self.print(form:format(...))
  io.stdout:flush()
end

local function warn(form, ...)
  io.stderr:write("window: ", form:format(...), "\n")
end

--- Raise again what is no failure of HAProxy, the journal or a file.
local function tolerate(problem)
  if not errors.is(problem) or problem.kind == "interrupted" then
    error(problem, 0)
  end
  return tostring(problem)
end

-- The windows.

local function stamp_of(plan)
  local stamps = {}
  for i, path in ipairs(plan.calendars) do
    stamps[i] = require("haplua.calendar").stamp(path) or "-"
  end
  for _, text in ipairs(plan.except or {}) do
    local calendar = require("haplua.calendar")
    stamps[#stamps + 1] = calendar.is_path(text) and (calendar.stamp(text) or "-") or nil
  end
  return table.concat(stamps, "\n")
end

--- A calendar's windows. The events that are left out are named on standard error.
local function read_calendar(path, match, lenient)
  local source = require("haplua.calendar").read(path, { match = match, lenient = lenient })
  for _, problem in ipairs(source.left_out) do
    warn("left out: %s", problem)
  end
  return source
end

---@return haplua.Window
local function make_window(plan)
  local specs = table.move(plan.specs, 1, #plan.specs, 1, {})
  for _, path in ipairs(plan.calendars) do
    specs[#specs + 1] = read_calendar(path, plan.match, plan.lenient)
  end
  local except = {}
  for i, text in ipairs(plan.except or {}) do
    except[i] = require("haplua.calendar").is_path(text) and read_calendar(text, nil, plan.lenient) or text
  end
  local made = window.new(specs, { tz = plan.tz, except = except })
  -- a window that recurs too often to be searched through is refused here, not when it is due
  made:occurrences(task.time())
  return made
end

--- Read the calendars again when they have changed. While one cannot be read, the windows stay.
---@return boolean changed
function Runner:refresh()
  local stamp = stamp_of(self.plan)
  if stamp == self.stamp then
    return false
  end
  self.stamp = stamp
  local ok, found = pcall(make_window, self.plan)
  if not ok then
    warn("the calendar has changed, and cannot be read: %s; its former windows stay", tolerate(found))
    return false
  end
  self.window = found
  self:say("the calendar was read again")
  return true
end

-- One occurrence.

local function name_of(occurrence)
  return table.concat(occurrence.names, ", ")
end

--- The journal's word for the maintenance of an occurrence.
local function action_of(occurrence)
  return "window " .. name_of(occurrence)
end

--- Print a line on an occurrence.
function Runner:report(c, occurrence, form, ...)
  self:say("%s: the window %s " .. form, c.name, name_of(occurrence), ...)
end

---@return haplua.Request
local function request_of(plan, occurrence)
  return setmetatable({ ends = occurrence.closes < math.huge and occurrence.closes or nil }, { __index = plan.request })
end

--- Check that an occurrence could open, and report what prevents it.
function Runner:try(occurrence, when)
  local ok, problem = pcall(change.check, request_of(self.plan, occurrence))
  if not ok then
    warn("%s the window %s could not open: %s", when, name_of(occurrence), tolerate(problem))
  end
end

--- The reason not to enter an occurrence: since its opening somebody has ended or replaced its maintenance, or it was
-- over and the clock was set back into it. The journal says so also of what was before this process.
---@return string?
function Runner:why_not(c, occurrence)
  local wanted = c.journal and c.journal:wanted(c.name, c.switch.acl)
  local before = wanted and wanted.time >= occurrence.opens and c.journal:entry(wanted.before)
  if not before or before.action ~= action_of(occurrence) or wanted.action == action_of(occurrence) then
    return nil
  elseif wanted.action ~= "restore" and wanted.action ~= "expire" then
    return "was ended early"
  end
  -- a process that has seen the clock before the opening enters the window again; one that began later cannot know
  return self.open_at_start == occurrence.opens and wanted.time >= occurrence.closes
    and "was over before the clock was set back" or nil
end

--- Wait while an occurrence is open, at most until the clock is set back to before it.
---@return boolean over  false: somebody else has changed the switch meanwhile
function Runner:stay(c, occurrence, result)
  while task.time() < occurrence.closes and task.time() >= occurrence.opens - BACK do
    task.sleep_until(math.min(occurrence.closes, task.time() + INTERVAL))
    local wanted = c.journal and c.journal:wanted(c.name, c.switch.acl)
    if wanted and result.id and wanted.id ~= result.id and wanted.action ~= "expire" then
      return false
    end
    if self:refresh() then
      local open = self.window:open_at(task.time())
      if not open then
        return true
      elseif open.closes ~= occurrence.closes then
        occurrence.closes = open.closes
        result.id = change.on(request_of(self.plan, occurrence), action_of(occurrence), true).id
        self:report(c, occurrence, "is open until %s now", moment.text(occurrence.closes))
      end
    end
  end
  return true
end

--- Open an occurrence, stay, close it.
---@param lifetime haplua.Lifetime
function Runner:enter(occurrence, lifetime)
  local request = request_of(self.plan, occurrence)
  local c = context.open(request)
  local reason = self:why_not(c, occurrence)
  if reason then
    return self:report(c, occurrence, "%s: it stays so until the next", reason)
  end
  local over
  during.run(request, lifetime, function(result)
    self:report(c, occurrence, "is open until %s\n  %s",
      occurrence.closes < math.huge and moment.text(occurrence.closes) or "further notice", tostring(result))
    over = self:stay(c, occurrence, result)
  end, function(restored)
    self:report(c, occurrence, "is %s\n  %s", over and "closed" or "left", tostring(restored))
  end)
  if not over then
    self:report(c, occurrence, "was ended early, or replaced, by somebody: it is left alone until the next")
  end
end

--- Try to close until it succeeds.
---@param close function
function Runner:close_late(occurrence, close)
  while true do
    local ok, problem = pcall(close)
    if ok then
      return self:say("the window %s is closed, late: HAProxy was away", name_of(occurrence))
    end
    tolerate(problem)
    task.sleep(INTERVAL)
  end
end

--- Open an occurrence, stay, close it; try again while it is open and that fails.
function Runner:hold(occurrence)
  local reported
  local lifetime = { action = action_of(occurrence), resume = true, attempts = {} }
  while task.time() < occurrence.closes do
    local ok, problem = pcall(self.enter, self, occurrence, lifetime)
    if ok then
      return
    end
    local text = tolerate(problem)
    if text ~= reported then
      warn("the window %s: %s; it is tried again", name_of(occurrence), text)
      reported = text
    end
    task.sleep(INTERVAL)
    if problem.again then
      return self:close_late(occurrence, problem.again)
    end
  end
  if lifetime.attempts.before then
    self:close_late(occurrence, function()
      during.give_up(request_of(self.plan, occurrence), lifetime)
    end)
  end
end

-- One occurrence after the other.

--- The occurrence that is open now, or the next, without one that was entered already.
---@return haplua.window.Occurrence?
function Runner:next(now)
  if self.entered and now < self.entered - BACK then
    self.entered, self.open_at_start = nil, nil
  end
  for occurrence in self.window:occurrences(now) do
    if not self.entered or occurrence.opens > self.entered then
      return occurrence
    end
  end
end

--- Wait until an instant, and look at the calendars meanwhile.
---@return boolean reached  false: the clock was set, or a calendar has changed
function Runner:wait(instant)
  while task.time() < instant do
    local longest = #self.plan.calendars > 0 and CALENDAR_INTERVAL or LONGEST
    local reached = task.sleep_until(math.min(instant, task.time() + longest))
    if self:refresh() or not reached then
      return false
    end
  end
  return true
end

--- Wait until an occurrence opens, and check in time that it could.
---@return boolean reached  as wait()
function Runner:await(occurrence)
  local try_at = occurrence.opens - self.plan.lead
  if task.time() < try_at then
    if not self:wait(try_at) then
      return false
    end
    self:try(occurrence, ("in %s"):format(moment.span(occurrence.opens - task.time())))
  end
  return self:wait(occurrence.opens)
end

--- Run one plan until it has no more occurrences; with calendars, for ever.
---@param plan haplua.WindowPlan
---@param print function
local function run(plan, print)
  local self = setmetatable({ plan = plan, print = print, stamp = stamp_of(plan), window = make_window(plan) }, Runner)
  local open, is_first_look = self.window:open_at(task.time()), true
  self.open_at_start = open and open.opens
  while true do
    local occurrence = self:next(task.time())
    if not occurrence and #plan.calendars == 0 then
      return self:say("no window opens any more")
    elseif not occurrence then
      task.sleep(CALENDAR_INTERVAL)
      self:refresh()
    else
      if is_first_look and occurrence.opens > task.time() then
        self:say("next: %s, %s, in %s", name_of(occurrence), moment.text(occurrence.opens),
          moment.span(occurrence.opens - task.time()))
        self:try(occurrence, "as things are,")
      end
      is_first_look = false
      if self:await(occurrence) then
        self.entered = occurrence.opens
        self:hold(occurrence)
        is_first_look = true
      end
    end
  end
end

--- Keep the target meanwhile, unless another process does: after a reload, maintenance comes back.
local function keep(request, print)
  local ok, problem = pcall(require("haplua.keep.keeper").run, request, print)
  if not ok and not (errors.is(problem) and problem.kind == "refused") then
    warn("maintenance would not come back after a reload: %s", tolerate(problem))
  end
end

--- The plans to run: the given one, or those of the configuration where it names no window.
---@param plan haplua.WindowPlan
---@return haplua.WindowPlan[]  raises `refused` for windows that cannot be understood
function M.plans(plan)
  local plans = { plan }
  if #plan.specs + #plan.calendars == 0 then
    plans = {}
    for i, found in ipairs(config.read(plan.request.config).windows) do
      plans[i] = {
        specs = found.window, calendars = found.calendar, match = found.match,
        lenient = plan.lenient or found.lenient, tz = found.tz or plan.tz,
        except = found.except, lead = found.lead and found.lead * 60 or plan.lead,
        request = setmetatable({
          switch = found.switch, paths = found.paths, hosts = found.hosts, patterns = found.patterns,
          bypass = found.bypass, reason = found.reason,
        }, { __index = plan.request }),
      }
    end
  end
  if #plans == 0 then
    errors.refuse("which window?",
      "'Sun 02:00-04:00' is one; `windows` in the configuration may name several, each with its scope")
  end
  for _, one in ipairs(plans) do
    make_window(one)
  end
  return plans
end

--- Run plans side by side, each with its own scope, until the task is interrupted.
---@param plans haplua.WindowPlan[]  from plans()
---@param print function
function M.run(plans, print)
  local spawn = require("task").spawn
  local request = plans[1].request
  local keeper
  if request.journal ~= false and not haproxy.dry_run() then
    keeper = spawn(keep, { config = request.config, journal = request.journal, file = request.file }, print)
  end
  local running = {}
  for i, plan in ipairs(plans) do
    running[i] = spawn(run, plan, print)
  end
  for _, one in ipairs(running) do
    one:wait()
  end
  if keeper then
    keeper:cancel()
    pcall(keeper.wait, keeper)
  end
end

return M
