-- SPDX-License-Identifier: MIT
--
--- The resident policy behind `window run` and `window calendar`: maintenance is on while a window is open.
-- What was there before a window comes back at its end. Ended early by `maint off`, or replaced by somebody, it is
-- left alone until the next occurrence. Before a window opens it is tried whether it could.

local change = require("haplua.apply.change")
local config = require("haplua.store.config")
local context = require("haplua.apply.context")
local during = require("haplua.apply.during")
local haproxy = require("haproxy")
local is_error = require("haplua.error").is
local moment = require("haplua.time.instant")
local task = require("haplua.task")
local window = require("haplua.window")

local M = {}

-- Seconds between two looks: whether somebody has ended it early, whether a calendar has changed; and between two
-- attempts to open, when HAProxy is away.
local LOOK = 1

-- So far may the clock go back before an opening, and the window is still the one that was entered.
local BACK = 60

-- What is far away is waited for in parts.
local FAR = 86400

---@class haplua.WindowPlan
---@field specs string[]?
---@field calendars string[]?  .ics files, or folders of them
---@field match string?
---@field tz string?
---@field except string[]?
---@field lead number  seconds before an opening at which it is tried again
---@field options haplua.MaintenanceOptions  scope, bypass, reason, switch, journal

---@class haplua.WindowRunner
---@field plan haplua.WindowPlan
---@field window haplua.Window
---@field stamp string  of the calendars
---@field left number?  the opening of the occurrence that is over, or was left early
---@field within number?  the opening of the occurrence that was open when the process began
local Runner = {}
Runner.__index = Runner

function Runner:say(form, ...)
  self.plan.options.print(form:format(...))
  io.stdout:flush()
end

local function warn(form, ...)
  io.stderr:write("window: ", form:format(...), "\n")
end

--- Raise again what is no failure of HAProxy, the journal or a file.
local function tolerate(problem)
  if not is_error(problem) or problem.kind == "interrupted" then
    error(problem, 0)
  end
  return tostring(problem)
end

-- The windows.

local function stamp_of(plan)
  local stamps = {}
  for i, path in ipairs(plan.calendars or {}) do
    stamps[i] = require("haplua.calendar").stamp(path) or "-"
  end
  return table.concat(stamps, "\n")
end

---@return haplua.Window
local function make_window(plan)
  local specs = table.move(plan.specs or {}, 1, #(plan.specs or {}), 1, {})
  for _, path in ipairs(plan.calendars or {}) do
    specs[#specs + 1] = require("haplua.calendar").read(path, { match = plan.match })
  end
  local made = window.new(specs, { tz = plan.tz, except = plan.except })
  -- one that recurs too often to be searched through is refused here, not when it is due
  made:occurrences(task.time())
  return made
end

--- Read the calendars again when they have changed. One that cannot be read leaves what was known.
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

--- What the journal calls it.
local function action_of(occurrence)
  return "window " .. name_of(occurrence)
end

--- Its maintenance, as options for haplua.maintenance.
local function options_for(plan, occurrence)
  return setmetatable({
    ends = occurrence.closes < math.huge and occurrence.closes or nil,
    action = action_of(occurrence),
    attended = true,
    resumes = true,
  }, { __index = plan.options })
end

--- Would it open? Says what is in the way.
function Runner:try(occurrence, when)
  local ok, problem = pcall(change.check, options_for(self.plan, occurrence))
  if not ok then
    warn("%s the window %s could not open: %s", when, name_of(occurrence), tolerate(problem))
  end
  return ok
end

--- Why this occurrence is not entered, if it is not: somebody has ended, or replaced, its maintenance since it opened,
-- or it was over, and the clock was set back into it. Also before this process began.
function Runner:was_left(c, occurrence)
  local wanted = c.journal and c.journal:wanted(c.name, c.switch.acl)
  local before = wanted and wanted.time >= occurrence.opens and c.journal:entry(wanted.before)
  if not before or before.action ~= action_of(occurrence) or wanted.action == action_of(occurrence) then
    return nil
  elseif wanted.action ~= "restore" and wanted.action ~= "expire" then
    return "was ended early"
  end
  -- a process that has seen the clock before the opening enters it again; one that begins within it cannot know
  return self.within == occurrence.opens and wanted.time >= occurrence.closes and "was over before the clock was set back"
    or nil
end

--- Stay while it is open, also when the clock is set back before it. False: somebody has changed it meanwhile.
function Runner:stay(c, occurrence, made)
  while task.time() < occurrence.closes and task.time() >= occurrence.opens - BACK do
    task.sleep_until(math.min(occurrence.closes, task.time() + LOOK))
    local wanted = c.journal and c.journal:wanted(c.name, c.switch.acl)
    if wanted and made.id and wanted.id ~= made.id and wanted.action ~= "expire" then
      return false
    end
    if self:refresh() then
      local open = self.window:open_at(task.time())
      if not open then
        return true
      elseif open.closes ~= occurrence.closes then
        occurrence.closes = open.closes
        made.id = change.on(options_for(self.plan, occurrence)).id
        self:say("%s: the window %s is open until %s now", c.name, name_of(occurrence), moment.text(occurrence.closes))
      end
    end
  end
  return true
end

--- Open it, stay, close it.
---@param tried table  what was there before the first attempt
function Runner:attend(occurrence, tried)
  local options = options_for(self.plan, occurrence)
  options.tried = tried
  local c = context.open(options)
  local left = self:was_left(c, occurrence)
  if left then
    self:say("%s: the window %s %s: it stays so until the next", c.name, name_of(occurrence), left)
    return
  end
  local over
  during.run(options, function(made)
    self:say("%s: the window %s is open until %s\n  %s", c.name, name_of(occurrence),
      occurrence.closes < math.huge and moment.text(occurrence.closes) or "further notice", tostring(made))
    over = self:stay(c, occurrence, made)
  end, function(restored)
    self:say("%s: the window %s is %s\n  %s", c.name, name_of(occurrence), over and "closed" or "left", tostring(restored))
  end)
  if not over then
    self:say("%s: the window %s was ended early, or replaced, by somebody: it is left alone until the next", c.name,
      name_of(occurrence))
  end
end

--- HAProxy was away when it should have closed: try until it is closed.
function Runner:close_late(occurrence, problem)
  while true do
    local ok, trouble = pcall(problem.again)
    if ok then
      self:say("the window %s is closed, late: HAProxy was away", name_of(occurrence))
      return
    end
    tolerate(trouble)
    task.sleep(LOOK)
  end
end

--- The same, tried again while it is open, when HAProxy cannot be reached.
function Runner:hold(occurrence)
  local told, tried = nil, {}
  while task.time() < occurrence.closes do
    local ok, problem = pcall(self.attend, self, occurrence, tried)
    if ok then
      return
    end
    local text = tolerate(problem)
    if text ~= told then
      warn("the window %s: %s; it is tried again", name_of(occurrence), text)
      told = text
    end
    task.sleep(LOOK)
    if problem.again then
      self:close_late(occurrence, problem)
      return
    end
  end
  if tried.before then
    local options = options_for(self.plan, occurrence)
    options.tried = tried
    self:close_late(occurrence, { again = function()
      during.give_up(options)
    end })
  end
end

-- One occurrence after the other.

--- The occurrence that is open now, or the next; not the one that was left.
---@return haplua.window.Occurrence?
function Runner:next(now)
  if self.left and now < self.left - BACK then
    self.left, self.within = nil, nil
  end
  for occurrence in self.window:occurrences(now) do
    if not self.left or occurrence.opens > self.left then
      return occurrence
    end
  end
end

--- Wait until an instant, and look at the calendars meanwhile. False: something has changed, look again.
function Runner:wait(instant)
  while task.time() < instant do
    local pause = self.plan.calendars and #self.plan.calendars > 0 and LOOK * 5 or FAR
    local reached = task.sleep_until(math.min(instant, task.time() + pause))
    if self:refresh() or not reached then
      return false
    end
  end
  return true
end

--- Wait for an occurrence to open, trying it in time. False: look again which one is next.
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

--- Run one plan for ever, or until it has no more occurrences.
---@param plan haplua.WindowPlan
local function run(plan)
  local self = setmetatable({ plan = plan, stamp = stamp_of(plan), window = make_window(plan) }, Runner)
  local open, first = self.window:open_at(task.time()), true
  self.within = open and open.opens
  while true do
    local occurrence = self:next(task.time())
    if not occurrence and #(plan.calendars or {}) == 0 then
      self:say("no window opens any more")
      return
    elseif not occurrence then
      task.sleep(LOOK * 5)
      self:refresh()
    else
      if first and occurrence.opens > task.time() then
        self:say("next: %s, %s, in %s", name_of(occurrence), moment.text(occurrence.opens),
          moment.span(occurrence.opens - task.time()))
        self:try(occurrence, "as things are,")
      end
      first = false
      if self:await(occurrence) then
        self.left = occurrence.opens
        self:hold(occurrence)
        first = true
      end
    end
  end
end

--- Keep the target meanwhile, unless another process does: after a reload, maintenance comes back.
local function keep(options)
  local ok, problem = pcall(require("haplua.keep.keeper").run, { config = options.config, journal = options.journal,
    file = options.file, print = options.print })
  if not ok and not (is_error(problem) and problem.kind == "refused") then
    warn("maintenance would not come back after a reload: %s", tolerate(problem))
  end
end

--- What shall be run: the plan itself, or those of the configuration when it names no window.
---@param plan haplua.WindowPlan
---@return haplua.WindowPlan[]  raises `refused` for windows that cannot be understood
function M.plans(plan)
  local plans = { plan }
  if #plan.specs + #plan.calendars == 0 then
    plans = {}
    for i, found in ipairs(config.read(plan.options.config).windows) do
      plans[i] = {
        specs = found.window, calendars = found.calendar, match = found.match, tz = found.tz or plan.tz,
        except = found.except, lead = found.lead and found.lead * 60 or plan.lead,
        options = setmetatable({
          switch = found.switch, paths = found.paths, hosts = found.hosts, patterns = found.patterns,
          bypass = found.bypass, reason = found.reason,
        }, { __index = plan.options }),
      }
    end
  end
  if #plans == 0 then
    error(require("haplua.error").new({ kind = "refused", message = "which window?",
      advice = "'Sun 02:00-04:00' is one; `windows` in the configuration may name several, each with its scope" }), 0)
  end
  for _, one in ipairs(plans) do
    make_window(one)
  end
  return plans
end

--- Run plans side by side, each with its own scope, until the task is interrupted.
---@param plans haplua.WindowPlan[]  from plans()
function M.run(plans)
  local task_module = require("task")
  local keeper
  if plans[1].options.journal ~= false and not haproxy.dry_run() then
    keeper = task_module.spawn(keep, plans[1].options)
  end
  local running = {}
  for i, plan in ipairs(plans) do
    running[i] = task_module.spawn(run, plan)
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
