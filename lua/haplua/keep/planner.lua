-- SPDX-License-Identifier: MIT
--
--- A planner: it writes the occurrences of a window as maintenances into the store. An occurrence has one maintenance,
-- whoever plans it, and however often: one that was ended early stays so. Where a calendar changes, planned and open
-- maintenances are moved, lengthened or ended.

local config = require("haplua.store.config")
local context = require("haplua.apply.context")
local core = require("haplua.core")
local errors = require("haplua.error")
local haproxy = require("haproxy")
local instant = require("haplua.time.instant")
local maintenance = require("haplua.plan.maintenance")
local task = require("haplua.task")
local window = require("haplua.window.window")

local M = {}

---@class haplua.WindowPlan
---@field name string  for people: "Sun 02:00-04:00"
---@field key string  begins the `occurrence` of its maintenances
---@field ahead boolean  the next occurrence is planned before it opens
---@field specs string[]
---@field calendars string[]  .ics files, or folders of them
---@field match string?
---@field lenient boolean?  events that cannot be read are left out
---@field tz string?
---@field except string[]?
---@field lead number  seconds before an opening at which to check that it could open
---@field request haplua.Request  scope, bypass, reason, switch, journal

---@class haplua.Planner
---@field plan haplua.WindowPlan
---@field window haplua.Window
---@field files string[]  the calendars
---@field stamp string  of the calendars
---@field due number  the instant of the next look
---@field looked number?  the instant of the latest look
---@field next haplua.window.Occurrence?  the next that opens
---@field tried number?  the opening that was checked last, within `lead`; 0: only at the start
---@field began number  when the process began
local Planner = {}
Planner.__index = Planner

-- So many occurrences at most are looked at for one plan.
local MOST = 1000

-- Seconds by which the clock may be set back without the occurrences being looked at anew.
local BACK = 60

--- The calendars of a plan, those of its exceptions included.
---@return string[]
local function files_of(plan)
  local files = table.move(plan.calendars, 1, #plan.calendars, 1, {})
  for _, text in ipairs(plan.except or {}) do
    files[#files + 1] = require("haplua.calendar").is_path(text) and text or nil
  end
  return files
end

local function stamp_of(files)
  local stamps = {}
  for i, path in ipairs(files) do
    stamps[i] = require("haplua.calendar").stamp(path) or "-"
  end
  return table.concat(stamps, "\n")
end

--- Read a calendar. Events that cannot be read are refused, or left out and named.
---@param warn fun(form: string, ...)
local function read_calendar(plan, path, match, warn)
  local calendar = require("haplua.calendar").read(path, { match = match, lenient = plan.lenient })
  for _, problem in ipairs(calendar.left_out) do
    warn("left out: %s", problem)
  end
  return calendar
end

---@param warn fun(form: string, ...)
---@return haplua.Window
local function make_window(plan, warn)
  local specs, except = table.move(plan.specs, 1, #plan.specs, 1, {}), {}
  for _, path in ipairs(plan.calendars) do
    specs[#specs + 1] = read_calendar(plan, path, plan.match, warn)
  end
  for i, text in ipairs(plan.except or {}) do
    except[i] = require("haplua.calendar").is_path(text) and read_calendar(plan, text, nil, warn) or text
  end
  local made = window.new(specs, { tz = plan.tz, except = except })
  -- a window that recurs too often to be searched through is refused here, not when it is due
  made:separate(task.time())()
  return made
end

--- A planner for a plan.
---@param plan haplua.WindowPlan
---@param warn fun(form: string, ...)  for events that are left out
---@return haplua.Planner  raises `refused` for windows that cannot be understood
function M.new(plan, warn)
  local files = files_of(plan)
  return setmetatable({
    plan = plan, files = files, stamp = stamp_of(files), window = make_window(plan, warn), due = -math.huge,
    began = task.time(),
  }, Planner)
end

--- Read the calendars again when they have changed. While one cannot be read, the windows stay.
---@param say fun(form: string, ...)
---@param warn fun(form: string, ...)
local function refresh(self, say, warn)
  local stamp = stamp_of(self.files)
  if stamp == self.stamp then
    return
  end
  self.stamp, self.due = stamp, -math.huge
  local ok, found = pcall(make_window, self.plan, warn)
  if ok then
    self.window = found
    say("the calendar was read again")
  elseif errors.is(found) and found.kind ~= "interrupted" then
    warn("the calendar has changed, and cannot be read: %s; its former windows stay", tostring(found))
  else
    error(found, 0)
  end
end

--- The occurrences from now to the next opening, and to `latest`, by their keys.
---@return table<string, haplua.window.Occurrence> wanted, haplua.window.Occurrence? next
local function occurrences(self, now, latest)
  local wanted, n, following = {}, 0, nil
  for one in self.window:separate(now) do
    if following and one.opens > math.max(following.opens, latest) or n == MOST then
      break
    end
    local key = ("%s|%s|%d"):format(self.plan.key, table.concat(one.names, ", "), one.opens)
    local known = wanted[key]
    if not known or known.closes < one.closes then
      wanted[key] = one
    end
    n = n + 1
    following = following or one.opens > now and one or nil
  end
  return wanted, following
end

--- Is a maintenance one of this plan's?
local function is_of(plan, m)
  return m.occurrence ~= nil and m.occurrence:sub(1, #plan.key + 1) == plan.key .. "|"
end

--- May an occurrence that is ended go on? A person has not ended it, and either its window lasts longer now than it did,
-- or the clock was set back to before its opening.
local function may_go_on(m, one, now)
  return m.why == "left" or m.why == "cancelled"
    or m.why == "expired" and (m.ends ~= nil and m.ends <= now or one.opens > now)
end

--- The edit for an occurrence that shall be planned; nil: it is already, or it was ended early. One that is entered late
-- begins now: nothing was closed before.
local function edit_for(self, c, key, one, now, say)
  local ends = one.closes < math.huge and one.closes or nil
  local m = c.store:occurrence(c.name, c.switch.acl, key)
  if not m and (one.opens <= now or self.plan.ahead) then
    local request = self.plan.request
    return { add = context.sign(c, {
      scope = { patterns = request.patterns, paths = request.paths, hosts = request.hosts },
      bypass = request.bypass and #request.bypass > 0 and request.bypass or nil, reason = request.reason,
      origin = "window " .. table.concat(one.names, ", "), occurrence = key, begins = math.max(one.opens, now), ends = ends,
    }) }
  elseif not m then
    return nil
  elseif m.ended and may_go_on(m, one, now) and (not ends or ends > now) then
    return { of = m, set = { ended = false, ended_by = false, why = false, begins = math.max(one.opens, now),
      ends = ends or false } }
  elseif not m.ended and (m.ends ~= ends or one.opens <= now and now < m.begins) then
    -- its beginning is to come, and its window is open: the clock was set back
    return { of = m, set = { begins = math.min(m.begins, math.max(one.opens, now)), ends = ends or false } }
  elseif m.ended and one.opens <= now and (not ends or ends > now) then
    say("the window %s was ended early by %s: it stays so", table.concat(one.names, ", "), m.ended_by or "nobody")
  end
end

--- Write what the windows want from now on. Call this when `due` has come, and when the clock was set.
---@param c haplua.Context
---@param now number
---@param say fun(form: string, ...)
---@return haplua.Edit[]
local function plan_ahead(self, c, now, say)
  local edits, latest, ours = {}, -math.huge, {}
  for _, m in ipairs(c.store:current(c.name, c.switch.acl)) do
    if is_of(self.plan, m) then
      ours[#ours + 1] = m
      latest = math.max(latest, m.begins)
    end
  end
  local wanted, following = occurrences(self, now, latest)
  for key, one in pairs(wanted) do
    edits[#edits + 1] = edit_for(self, c, key, one, now, say)
  end
  for _, m in ipairs(ours) do
    if not wanted[m.occurrence] and (not m.ends or m.ends > now) then
      edits[#edits + 1] = maintenance.ending(m, now, "cancelled")
    end
  end
  if following and following.opens ~= (self.next or {}).opens then
    say("next: the window %s, %s, in %s", table.concat(following.names, ", "), instant.text(following.opens),
      instant.span(following.opens - now))
  end
  self.next, self.looked = following, now
  self.due = following and following.opens or math.huge
  return edits
end

--- Look at the calendars and at the clock, and write what has changed.
---@param c haplua.Context
---@param say fun(form: string, ...)
---@param warn fun(form: string, ...)
---@return boolean? changed  what is in force may be another
function Planner:step(c, say, warn)
  refresh(self, say, warn)
  local now = task.time()
  local set_back = self.looked and now <= self.looked - BACK
  if now < self.due and self.looked and not set_back then
    return false
  end
  local _ <close> = c.store:lock(c.name, c.switch.acl)
  local edits = plan_ahead(self, c, now, say)
  if #edits > 0 then
    c.store:edit(edits)
  end
  return #edits > 0 or set_back
end

--- The instant at which the next opening is to be checked; nil: there is none, or it was checked. The first is checked
-- at once, too: somebody may still be there who reads what is wrong.
---@return number?
function Planner:check_at()
  local opens = self.next and self.next.opens
  return opens and opens ~= self.tried and (self.tried and opens - self.plan.lead or self.looked) or nil
end

--- Check that the next occurrence could open, and report what prevents it.
---@param warn fun(form: string, ...)
function Planner:check(warn)
  local left = self.next.opens - task.time()
  self.tried = left <= self.plan.lead and self.next.opens or 0
  local ok, problem = pcall(require("haplua.apply.actions").check, self.plan.request)
  if not ok and (not errors.is(problem) or problem.kind == "interrupted") then
    error(problem, 0)
  elseif not ok then
    warn("in %s the window %s could not open: %s", instant.span(math.max(0, left)),
      table.concat(self.next.names, ", "), tostring(problem))
  end
end

--- Is a maintenance one that this planner has planned, or would?
---@param m haplua.Maintenance
---@return boolean
function Planner:owns(m)
  return is_of(self.plan, m)
end

--- End what this process has open, since nobody else would. A process that begins again opens it anew.
---@param c haplua.Context
---@return boolean changed
function Planner:leave(c)
  local edits, now = {}, task.time()
  for _, m in ipairs(c.store:current(c.name, c.switch.acl)) do
    edits[#edits + 1] = is_of(self.plan, m) and maintenance.ending(m, now, "left") or nil
  end
  if #edits > 0 then
    c.store:edit(edits)
  end
  return #edits > 0
end

--- The plans of windows: those given, or those of the configuration where none are.
---@param given haplua.WindowPlan  without name and key
---@param found haplua.Config
---@return haplua.WindowPlan[]
function M.plans(given, found)
  local plans = {}
  local function add(plan, owner)
    local words = table.concat(table.move(plan.calendars, 1, #plan.calendars, #plan.specs + 1,
      table.move(plan.specs, 1, #plan.specs, 1, {})), ", ")
    local request = plan.request
    plan.name, plan.ahead = words, owner == "config"
    plan.key = table.concat({
      owner, words, plan.match or "", plan.tz or "", table.concat(request.patterns or {}, " "),
      table.concat(request.paths or {}, " "), table.concat(request.hosts or {}, " "),
    }, "|")
    plans[#plans + 1] = plan
  end
  if #given.specs + #given.calendars > 0 then
    add(given, "run")
    return plans
  end
  for _, one in ipairs(found.windows) do
    add({
      specs = one.window, calendars = one.calendar, match = one.match, lenient = one.lenient or given.lenient,
      tz = one.tz or given.tz, except = one.except,
      lead = one.lead and one.lead * 60 or given.lead,
      request = setmetatable({
        switch = one.switch, paths = one.paths, hosts = one.hosts, patterns = one.patterns, bypass = one.bypass,
        reason = one.reason,
      }, { __index = given.request }),
    }, "config")
  end
  return plans
end

--- Refuse what this run could not do: all of it, or a window.
---@param request haplua.Request
---@param given haplua.WindowPlan
function M.check_permitted(request, given)
  local target = haproxy.target()
  core.permit(target)
  if haproxy.dry_run() then
    errors.refuse("there is no dry run of what acts until it is stopped",
      "`haplua -n maint on` shows the commands of one change, and `haplua window next` when windows open")
  end
  local found = config.read(request.config)
  for _, plan in ipairs(core.restricted() and M.plans(given, found) or {}) do
    local acl = context.resolve(target, found, plan.request)
    core.permit(target, { "add", "acl", config.switch(found, plan.request.switch, acl).acl })
  end
end

---@class haplua.ReadWindows
---@field source string?  the configuration's text
---@field found haplua.Config
---@field planners haplua.Planner[]

--- Read the configuration, and make planners for the windows.
---@param given haplua.WindowPlan  as for plans()
---@param source string?  what config.source() returns,
---@param place string
---@param warn fun(form: string, ...)  for events that are left out
---@return haplua.ReadWindows  raises `refused`
function M.read(given, source, place, warn)
  local read = { source = source, found = config.of(source, place), planners = {} }
  for i, plan in ipairs(M.plans(given, read.found)) do
    read.planners[i] = M.new(plan, warn)
  end
  return read
end

return M
