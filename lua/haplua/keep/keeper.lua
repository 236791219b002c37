-- SPDX-License-Identifier: MIT
--
--- The resident loop: it plans the windows, and holds an HAProxy to what the store says is in force.
-- Once a second, at each instant at which a maintenance begins or ends, and every few milliseconds after HAProxy has
-- opened its configuration, it compares HAProxy's lists with its last look, all in one request. Where the lists or the
-- store have changed, it looks closely (haplua.apply.reconcile).

local config = require("haplua.store.config")
local context = require("haplua.apply.context")
local core = require("haplua.core")
local errors = require("haplua.error")
local maintenance = require("haplua.plan.maintenance")
local periods = require("haplua.keep.periods")
local planner = require("haplua.keep.planner")
local process = require("haplua.process")
local reload = require("haplua.keep.reload")
local report = require("haplua.keep.report")
local switch = require("haplua.haproxy.switch")
local systemd = require("haplua.keep.systemd")
local task = require("haplua.task")

local M = {}

-- The longest single wait, in seconds.
local LONGEST = 86400

---@class haplua.KeptSwitch
---@field c haplua.Context
---@field seen string?  fingerprint of the lists when nothing was to be done; nil: look closely
---@field complaint string?  the error that was reported last
---@field touched table<string, integer>  the store's numbers at the last look
---@field idle boolean?  HAProxy is not looked at until the store has something else
---@field on boolean  a maintenance is in force
---@field asking haplua.Task?  it asks the switch's probes
---@field probed string?  "asked", "good", or what is wrong; nil: none was asked
---@field due number  when to look closely, whatever the lists hold

---@class haplua.Keeper
---@field request haplua.Request
---@field c haplua.Context
---@field print function
---@field warning string  begins each line of trouble: "keep: "
---@field found haplua.Config
---@field source string?  the configuration's text
---@field given haplua.WindowPlan  windows of the command line; none: those of the configuration
---@field planners {planner: haplua.Planner, c: haplua.Context, complaint: string?}[]
---@field read haplua.ReadWindows?  what was read before the start
---@field switches table<string, haplua.KeptSwitch>  by ACL
---@field acls string[]  those of `switches`, sorted
---@field watch haplua.switch.Watch?  of `others`; nil: a switch is to be looked at closely, or has been
---@field others haplua.KeptSwitch[]  those whose lists were as they were at the latest look
---@field due number  when the first of the switches is due
---@field on boolean  on one of them a maintenance is in force
---@field trouble string?  the error of one of them
---@field unseen boolean  on one of them something is left to do
---@field reload haplua.ReloadWatch
---@field guards boolean  this process holds the keeper's lock: it looks at HAProxy all the time
---@field written integer?  the store's version at the last look
---@field status string?  as systemd knows it
---@field agent haplua.Agent?  of the fleet that the configuration names
---@field notified number?  when systemd's watchdog was notified last, on task.now()
---@field line haplua.KeepLine?  what it waits for, on a terminal
---@field down boolean  HAProxy did not answer when it was asked last
---@field files_at number  when to look at calendars and the configuration, on task.now()
local Keeper = {}
Keeper.__index = Keeper

function Keeper:say(form, ...)
  if self.line then
    self.line:clear()
  end
  self.print(self.c.name .. ": " .. form:format(...))
  io.stdout:flush()
end

function Keeper:warn(form, ...)
  if self.line then
    self.line:clear()
  end
  io.stderr:write(self.warning, form:format(...), "\n")
end

--- Report an error once, until another is to be reported. Nil: there is none any more.
---@param about {complaint: string?}
function Keeper:complain(about, text)
  if about.complaint ~= text then
    about.complaint = text
    if text then
      self:warn("%s", text)
    end
  end
end

--- Raise again what is no failure of HAProxy, the store or a file.
function Keeper:tolerate(problem)
  if not errors.is(problem) or problem.kind == "interrupted" then
    error(problem, 0)
  end
  self.down = self.down or problem.kind == "unreachable" or problem.kind == "timeout"
  return tostring(problem)
end

-- The switches.

--- Know a switch from now on.
---@return haplua.KeptSwitch
function Keeper:know(request)
  local c = context.of_switch(self.c, self.found, request)
  local acl = c.switch.acl
  if not self.switches[acl] then
    self.switches[acl] = { due = -math.huge, on = false, touched = {} }
    table.insert(self.acls, acl)
    table.sort(self.acls)
  end
  self.switches[acl].c, self.watch = c, nil
  return self.switches[acl]
end

--- Look closely at the switches of which the store has something else than at the last look.
function Keeper:read_store()
  local version = self.c.store:version()
  if version == self.written then
    return
  end
  for acl, touched in pairs(self.c.store:touched(self.c.name)) do
    -- one pseudo switch stands for all servers
    local is_server = acl:find("^server ") ~= nil
    local kept = self:know({ acl = is_server and "servers" or acl, file = self.request.file })
    kept.c.switch.servers = is_server or nil
    if kept.touched[acl] ~= touched then
      kept.touched[acl], kept.seen = touched, nil
    end
  end
  self.written = version
end

--- When time is to change something.
local function set_due(kept)
  local c, now = kept.c, task.time()
  local all = c.switch.servers and require("haplua.apply.servers").current(c) or c.store:current(c.name, c.switch.acl)
  kept.due = maintenance.next_instant(all, now)
  kept.on = #maintenance.in_force(all, now) > 0
end

--- Ask the probes of a switch that was changed.
---@param plan haplua.Plan
function Keeper:visit(kept, plan)
  if kept.asking then
    kept.asking:cancel()
  end
  kept.probed = "asked"
  kept.asking = require("haplua.keep.visits").begin(kept.c.switch.probes, plan, function(line)
    self:say("%s", line)
  end, function(line)
    self:warn("%s", line)
  end, function(problem)
    kept.probed = problem or "good"
    if self.agent then
      self.agent:report_anew()
    end
  end)
end

--- Bring one switch together.
---@return boolean acted  something was changed
function Keeper:look_closely(kept)
  -- required here: a window that waits needs none of it
  local found = require(kept.c.switch.servers and "haplua.apply.server_actions" or "haplua.apply.reconcile").reconcile(kept.c)
  for _, line in ipairs(found.lines or {}) do
    self:say("%s", line)
  end
  if found.plan and kept.c.switch.probes then
    self:visit(kept, found.plan)
  end
  -- the state that was judged, and not a later one: a reload or a hand in between would go unnoticed
  kept.seen, kept.idle = not found.lines and found.seen or nil, found.idle
  set_due(kept)
  local untold = found.untold[1]
  self:complain(kept, untold and ("%s is not closed: %s"):format(maintenance.name(untold.of), tostring(untold.problem)) or nil)
  return found.lines ~= nil
end

--- The switches that need a close look, in the order of their ACLs, whatever their lists hold. The others are watched.
---@return haplua.KeptSwitch[] close, haplua.switch.Watch watch
function Keeper:divide()
  local close, others, switches = {}, {}, {}
  for _, acl in ipairs(self.acls) do
    local kept = self.switches[acl]
    if not kept.seen or kept.due <= task.time() then
      close[#close + 1] = kept
    elseif self.guards and not kept.idle then
      others[#others + 1], switches[#switches + 1] = kept, kept.c.switch
    end
  end
  self.others = others
  return close, switch.watch(switches)
end

--- The switches that need a close look. The lists of the others are as they were.
---@return haplua.KeptSwitch[]
function Keeper:changed()
  local close, watch = {}, self.watch
  if not watch or self.due <= task.time() then
    close, watch = self:divide()
  end
  self.watch = nil -- where HAProxy does not answer, too
  for i, text in ipairs(#self.others > 0 and switch.fingerprints(self.c.target, watch) or {}) do
    if text ~= self.others[i].seen then
      close[#close + 1] = self.others[i]
    end
  end
  self.watch = #close == 0 and watch or nil
  return close
end

--- Look at every switch once.
function Keeper:look()
  self:read_store()
  for _, kept in ipairs(self:changed()) do
    if kept.due <= task.time() then
      kept.due = task.time() + periods.retry -- where the attempt fails
    end
    kept.seen = nil
    local looked, acted = pcall(self.look_closely, self, kept)
    if looked and acted then
      self.written = nil
      looked, acted = pcall(self.look_closely, self, kept) -- at the outcome, which is what later looks compare with
      if kept.seen then
        self.reload:over() -- unless the lists have changed again: then another reload follows
      end
    end
    if not looked then
      self:complain(kept, self:tolerate(acted))
    end
  end
end

-- The windows.

--- Read the configuration, and make planners for its windows. One that cannot be read leaves all as it was.
function Keeper:read_configuration()
  local source, place = config.source(self.request.config)
  if self.found and source == self.source then
    return
  end
  local first, read = not self.found, self.read
  if not read or read.source ~= source then
    read = planner.read(self.given, source, place, function(...)
      self:warn(...)
    end)
  end
  local planners = {}
  for i, one in ipairs(read.planners) do
    planners[i] = { planner = one, c = context.of_switch(self.c, read.found, one.plan.request) }
  end
  self.found, self.source, self.planners, self.written, self.read = read.found, source, planners, nil, nil
  if self.agent then -- the fleet has one planner
    self.agent.planners, self.planners = planners, {}
  end
  if not first then
    self:say("the configuration was read again")
  end
end

--- End what windows of the configuration have planned that are not there any more.
function Keeper:cancel_orphans()
  local edits = {}
  for _, m in ipairs(self.c.store:current(self.c.name)) do
    local is_owned = not (m.occurrence or ""):find("^config|")
    for _, one in ipairs(self.planners) do
      is_owned = is_owned or one.planner:owns(m) and one.c.switch.acl == m.acl
    end
    edits[#edits + 1] = not is_owned and maintenance.ending(m, task.time(), "cancelled") or nil
  end
  if #edits > 0 then
    self.c.store:edit(edits)
    self.written = nil
  end
end

--- Write what the windows want.
function Keeper:plan()
  if task.now() >= self.files_at then
    self.files_at = task.now() + periods.files
    local ok, problem = pcall(self.read_configuration, self)
    self:complain(self.c, not ok and self:tolerate(problem) or nil)
    if self.source ~= self.planned then
      self:cancel_orphans()
      self.planned = self.source
    end
  end
  local function say(...)
    self:say(...)
  end
  local function warn(...)
    self:warn(...)
  end
  for _, one in ipairs(self.planners) do
    local ok, changed = pcall(one.planner.step, one.planner, one.c, say, warn)
    if ok and changed then
      local kept = self:know(one.planner.plan.request)
      kept.seen = nil
    end
    local at = one.planner:check_at()
    if at and at <= task.time() then
      one.planner:check(warn)
    end
    self:complain(one, not ok and self:tolerate(changed) or nil)
  end
end

-- The loop.

--- Plan and look once. What fails is reported, and tried again at the next round.
function Keeper:round()
  local marks = self.agent and self.agent:marks()
  local ok, problem = pcall(function()
    self:plan()
    self:look()
    if self.guards then
      self.reload:begin(self.c.target, self.c.name, function(text)
        self:complain(self.reload, text)
      end)
    end
  end)
  self:complain(self, not ok and self:tolerate(problem) or nil)
  if self.agent and ok then
    self.agent:report(marks, not self.watch)
  end
  if not self.watch then
    self:sum_up()
  end
  systemd.status(self)
  if self.metrics then
    report.step(self, ok and not self.trouble)
  end
end

--- Sum up what is left to do on the switches. A hundred of them are not gone through each second.
function Keeper:sum_up()
  self.due, self.on, self.trouble, self.unseen = math.huge, false, nil, false
  for _, acl in ipairs(self.acls) do
    local kept = self.switches[acl]
    self.due, self.on = math.min(self.due, kept.due), self.on or kept.on
    self.trouble, self.unseen = self.trouble or kept.complaint, self.unseen or not kept.seen
  end
end

--- Seconds until the next round: at the latest when a maintenance or a window begins or ends, and soon where a reload
-- may undo one.
---@return number
function Keeper:interval()
  local due, is_on, calendars = self.due, self.on, false
  local trouble = self.complaint ~= nil or self.trouble ~= nil or self.unseen
  for _, one in ipairs(self.planners) do
    due = math.min(due, one.planner.due, one.planner:check_at() or math.huge)
    calendars = calendars or #one.planner.files > 0
    trouble = trouble or one.complaint ~= nil
  end
  local longest = trouble and periods.retry or (self.guards or calendars and is_on) and periods.look
    or calendars and periods.files or LONGEST
  return math.max(0, math.min(is_on and self.reload:interval() or longest, longest, due - task.time()))
end

--- Is there nothing left to do? The windows never open again, and those of calendars cannot change.
function Keeper:is_over()
  local over = #self.given.specs > 0 and #self.given.calendars == 0
  for _, one in ipairs(over and self.planners or {}) do
    over = over and one.planner.due == math.huge
  end
  for _, m in ipairs(over and self.c.store:current(self.c.name) or {}) do
    for _, one in ipairs(self.planners) do
      over = over and not one.planner:owns(m)
    end
  end
  return over
end

--- Raise `journal` where the path of the journal names another file than the one that was opened, or none.
---@param store haplua.Store
local function check_place(store)
  if store.file and require("haplua.file").id(store.path) ~= store.file then
    errors.raise("journal", ("the journal %s: was moved away or replaced while it was in use"):format(store.path),
      "what has changed since is in the file that was moved; start again")
  end
end

--- Look and wait, until nothing is left to do; as a service, for ever.
function Keeper:loop()
  local line <close> = require("haplua.keep.waiting").open(self)
  self.line = line
  while not self:is_over() do
    local seconds = line and line:show() or self:interval()
    if self.agent then
      self.agent:wait(self.reload.wait, self.reload, seconds)
    elseif self.guards then
      self.reload:wait(seconds)
    else -- this wait ends when the clock is set
      task.sleep_until(task.time() + seconds)
    end
    check_place(self.c.store)
    self:round()
    systemd.watchdog(self, periods.look)
  end
end

--- Begin to keep a target.
---@param request haplua.Request  config, journal and file
---@param given haplua.WindowPlan
---@param print function
---@param warning string
---@return haplua.Keeper
local function new(request, given, print, warning)
  planner.check_permitted(request, given)
  -- any switch will do here: each that is kept has a context of its own
  local c = context.open(maintenance.with(request, { switch = false, acl = "servers" }))
  return setmetatable({
    request = request, given = given, c = c, print = print, warning = warning, switches = {}, acls = {},
    others = {}, due = math.huge, on = false, unseen = false, down = false, planners = {},
    reload = reload.open(), guards = false, files_at = -math.huge,
  }, Keeper)
end

local NO_WINDOWS <const> = { specs = {}, calendars = {}, lead = 600 }

--- Keep a target, and its windows, until a signal comes, the usual end of a service.
---@param request haplua.Request  config, journal and file
---@param print function
---@return integer status  128 + the signal's number
function M.run(request, print)
  local given = maintenance.with(NO_WINDOWS, { request = request })
  local self = new(request, given, print, "keep: ")
  local c, _ <close> = self.c, self.reload
  if not c.journal then
    errors.raise("journal", "keep needs a journal: " .. (c.no_journal or "$HAPLUA_JOURNAL or --journal says none"),
      "run as a user who may write /var/lib/haplua, or name another with --journal FILE")
  end
  local lock <close> = c.store:keeper(c.name, core.restricted())
  if not lock then
    errors.refuse(("another process keeps %s already"):format(c.name),
      "one is enough; `systemctl status haplua-keep` may show it")
  end
  self.guards, self.metrics = true, { began = task.time() }
  self:read_configuration()
  local agent <close> = self.found.fleet and require("haplua.keep.agent").open(self) or nil
  self.agent = agent
  self:round()
  process.notify("READY=1")
  self:say("kept to %s", c.store.path)
  local _, problem = pcall(self.loop, self)
  process.notify("STOPPING=1")
  report.close(self)
  if not errors.is(problem) or not problem.signal then
    error(problem, 0)
  end
  return 128 + problem.signal
end

--- At the end of a foreground process: end what its windows have open, unless another process keeps the target.
function Keeper:leave()
  if self.c.journal and not self.guards then
    return
  end
  for _, one in ipairs(self.planners) do
    if one.planner:leave(one.c) then
      self:look_closely(self:know(one.planner.plan.request))
      self:say("the window %s is left", one.planner.plan.name)
    end
  end
end

--- Run windows until they never open again, or a signal comes. Where no other process keeps the target, this one does so
-- meanwhile: a `maint on --for` is ended, and after a reload maintenance comes back.
---@param given haplua.WindowPlan  without specs and calendars: those of the configuration
---@param read haplua.ReadWindows  the windows, as they were read to be checked
---@param print function
function M.run_windows(given, read, print)
  local self = new(given.request, given, print, "window: ")
  self.read = read
  local _ <close> = self.reload
  self:read_configuration()
  local lock <close> = self.c.store:keeper(self.c.name, core.restricted())
  self.guards = lock ~= nil
  local _ <close> = setmetatable({}, {
    __close = function()
      self:leave()
    end,
  })
  self:round()
  self:loop()
  self:say("no window opens any more")
end

return M
