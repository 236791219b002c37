-- SPDX-License-Identifier: MIT
--
--- The resident policy: it holds an HAProxy to what the journal wants.
-- A new HAProxy process does not have the lists of the old one. HAProxy's socket does not announce a reload, but a
-- reload begins with HAProxy opening its configuration, and the keeper watches for that. It compares the lists with
-- its last look once a second, and every few milliseconds for a while after the configuration was opened. It also
-- ends a maintenance at its end, and completes a change that a killed process has begun.

local change = require("haplua.apply.change")
local config = require("haplua.store.config")
local context = require("haplua.apply.context")
local enumerate = require("haplua.apply.result").enumerate
local errors = require("haplua.error")
local moment = require("haplua.time.instant")
local plans = require("haplua.apply.plan")
local process = require("haplua.process")
local status = require("haplua.apply.status")
local switch = require("haplua.haproxy.switch")
local task = require("haplua.task")

local M = {}

-- Seconds between two looks: usually, and for how long after the configuration was opened.
local INTERVAL = 1
local AFTER_OPEN = {
  { within = 3, interval = 0.003 },
  { within = 30, interval = 0.02 },
}

-- A process that ends its own maintenance (--wait, during, a window) has so many seconds for it.
local GRACE = 2

---@class haplua.KeptSwitch
---@field c haplua.Context
---@field seen string?  fingerprint of the lists when nothing was to be done; nil: look closely
---@field complaint string?  the error that was reported last
---@field wanted integer  the number of the journal's maintenance
---@field on boolean  it has patterns
---@field ends number?  when to look closely, whatever the lists hold

---@class haplua.Keeper
---@field request haplua.Request
---@field c haplua.Context
---@field switches table<string, haplua.KeptSwitch>  by ACL
---@field watch any  haplua.watch's
---@field watched boolean?  the configuration's files are watched
---@field unwatched {complaint: string?}  the last file that could not be
---@field status string?  as systemd knows it
---@field opened number?  when the configuration was opened last, on task.now()
---@field written integer?  the journal's version at the last look
---@field notified number?  when systemd's watchdog was notified last, on task.now()
local Keeper = {}
Keeper.__index = Keeper

local function say(c, form, ...)
  c.print(c.name .. ": " .. form:format(...))
  io.stdout:flush()
end

--- Report an error once, until another is to be reported. Nil: there is none any more.
---@param about {complaint: string?}
local function complain(about, text)
  if about.complaint ~= text then
    about.complaint = text
    if text then
      io.stderr:write("keep: ", text, "\n")
    end
  end
end

--- Raise again what is no failure of HAProxy, the journal or a file.
local function tolerate(problem)
  if not errors.is(problem) or problem.kind == "interrupted" then
    error(problem, 0)
  end
  return tostring(problem)
end

-- One switch, whose lock is held.

--- Make HAProxy hold again what the journal wants.
local function put_back(c, state, wanted, why)
  c.journal:note(change.carry_out(c, state, plans.of(c, "keep", wanted, state)), "done")
  c.journal:finish(wanted.id, state)
  say(c, "%s; %s is again %s, as %s wanted at %s", why, c.switch.acl,
    #wanted.patterns > 0 and "on for " .. enumerate(wanted.patterns) or "off",
    status.who(wanted), moment.text(wanted.time))
end

--- True while the process that ends this maintenance itself may still do so.
local function is_attended(wanted)
  return process.alive(wanted.pid) and task.time() < wanted.ends + GRACE
end

--- Carry out a plan of the keeper's own, with the journal.
---@param plan haplua.Plan
local function record(c, state, plan)
  local id = c.journal:begin(plan)
  change.carry_out(c, state, plan)
  c.journal:finish(id, state)
end

local function expire(c, state, wanted)
  local plan = plans.of(c, "expire", { patterns = {} }, state)
  plan.reason = wanted.reason
  record(c, state, plan)
  say(c, "maintenance by %s ended as planned at %s: %s is off", status.who(wanted), moment.text(wanted.ends),
    c.switch.acl)
end

--- Keep or undo a change that somebody made without haplua. It must be seen twice: one garbled answer, once in the
-- journal, would be put back for ever.
local function by_hand(c, state, wanted)
  if switch.look(c.target, c.switch).seen ~= state.seen then
    return
  end
  local now = ("%s matches %s"):format(c.switch.acl, enumerate(state.patterns))
  if c.switch.by_hand == "undo" then
    return put_back(c, state, wanted, ("somebody had changed it by hand: %s"):format(now))
  end
  record(c, state, plans.of(c, "by hand", {
    patterns = state.patterns, bypass = state.passing, since = wanted.since or task.time(), reason = wanted.reason,
    ends = wanted.ends,
  }, state))
  say(c, "somebody has changed it by hand, and it is kept so: %s", now)
end

--- Bring HAProxy and the journal together.
---@return number? again  when to look again, where another process has something to do first
---@return boolean? acted  something was changed
local function reconcile(c, state, wanted)
  local lists_differ = not status.same(wanted.patterns, state.patterns)
  local same_process = switch.is_same_process(state, wanted)
  if not wanted.outcome then
    put_back(c, state, wanted, ("'%s' by process %d was broken off"):format(wanted.action, wanted.pid))
  elseif #wanted.patterns > 0 and wanted.ends and wanted.ends <= task.time() then
    if is_attended(wanted) then
      return wanted.ends + GRACE
    end
    expire(c, state, wanted)
  elseif lists_differ and (same_process or #wanted.patterns == 0) then
    by_hand(c, state, wanted)
  elseif lists_differ then
    put_back(c, state, wanted, ("HAProxy's process %d was replaced by %d"):format(wanted.worker or 0, state.worker))
  elseif #status.disagreements(c, state, wanted) > 0 then
    put_back(c, state, wanted, "a list beside it, or a file, was out of step")
  else
    if not same_process then
      c.journal:finish(wanted.id, state)
    end
    return nil, false
  end
  return nil, true
end

--- Look closely at a switch whose lists, or whose record in the journal, have changed.
---@return number? again, boolean acted
local function look_closely(kept)
  local c, again, acted = kept.c, nil, false
  local _ <close> = c.journal:lock(c.name, c.switch.acl)
  local state = switch.look(c.target, c.switch)
  local wanted = c.journal:wanted(c.name, c.switch.acl)
  if wanted then
    again, acted = reconcile(c, state, wanted)
  end
  -- the state that was judged, and not a later one: a reload or a hand in between would go unnoticed
  kept.seen = not acted and state.seen or nil
  return again, acted
end

-- The whole target.

--- The files that HAProxy reads when it reloads, as far as this machine has them.
---@return string[]
local function configuration_files(c)
  local file = require("haplua.file")
  local texts = c.target:batch({ { "show", "acl" }, { "show", "info" } })
  local cwd = file.link(("/proc/%s/cwd"):format(texts[2]:match("Pid: (%d+)") or "self"))
  local found, list = {}, {}
  for path in texts[1]:gmatch("file '([^']*)' line %d+") do
    local absolute = path:find("^/") and path or cwd and cwd .. "/" .. path
    -- a symbolic link may be changed, and its target may be opened
    for _, name in ipairs({ absolute, absolute and file.real(absolute) }) do
      if not found[name] then
        found[name] = true
        list[#list + 1] = name
      end
    end
  end
  return list
end

--- Begin to watch the configuration, once HAProxy has answered where it is.
function Keeper:watch_configuration()
  if self.watched or self.c.name:find("^[^/]") then
    return
  end
  for _, path in ipairs(configuration_files(self.c)) do
    local ok, problem = self.watch:add(path)
    if not ok then
      complain(self.unwatched, ("%s cannot be watched (%s): a reload is noticed within a second"):format(path, problem))
    end
  end
  self.watch:add(self.c.name:match("^[^ ]*"))
  self.watched = true
end

--- Read what the journal wants of each switch, where another process has written since the last look.
function Keeper:read_journal()
  local version = self.c.journal:version()
  if version == self.written then
    return
  end
  local found = config.read(self.request.config)
  for _, wanted in ipairs(self.c.journal:all_wanted(self.c.name)) do
    local kept = self.switches[wanted.acl] or { c = setmetatable({}, { __index = self.c }) }
    kept.c.switch = config.switch(found, nil, wanted.acl)
    if self.request.file == false then
      kept.c.switch.file = false
    end
    if kept.wanted ~= wanted.id then
      kept.wanted, kept.seen = wanted.id, nil
    end
    self.switches[wanted.acl] = kept
    kept.on = #wanted.patterns > 0
    kept.ends = kept.on and wanted.ends or nil
  end
  self.written = version
end

--- Look at one switch, closely where its lists have changed or its end is over.
---@return boolean acted  something was changed
local function look(kept)
  local over = kept.ends and kept.ends <= task.time()
  if kept.seen and not over and switch.fingerprint(kept.c.target, kept.c.switch) == kept.seen then
    complain(kept, nil)
    return false
  end
  kept.seen = nil
  if over then
    kept.ends = nil -- while HAProxy cannot be reached, the next attempt comes after an interval, not at once
  end
  local again, acted = look_closely(kept)
  if acted then
    again = look_closely(kept) -- at the outcome, which is what later looks compare with
  end
  kept.ends = again or kept.ends
  complain(kept, nil)
  return acted
end

--- Send systemd the line that `systemctl status` shows, when it is another.
function Keeper:notify_status()
  local trouble = self.complaint
  for _, kept in pairs(self.switches) do
    trouble = trouble or kept.complaint
  end
  local text = trouble and "in trouble: " .. trouble:match("^[^\n]*") or "keeps " .. self.c.name
  if text ~= self.status then
    process.notify("STATUS=" .. text)
    self.status = text
  end
end

--- Look at every switch once. What fails is reported, and tried again at the next round.
function Keeper:round()
  local ok, problem = pcall(function()
    self:read_journal()
    for _, kept in pairs(self.switches) do
      local looked, acted = pcall(look, kept)
      if not looked then
        complain(kept, tolerate(acted))
      elseif acted then
        self.written = nil
        -- the reload is over, unless the lists have changed again: then another one follows
        self.opened = not kept.seen and self.opened or nil
      end
    end
    self:watch_configuration()
  end)
  complain(self, not ok and tolerate(problem) or nil)
  self:notify_status()
end

--- Seconds until the next look: at the latest when a maintenance ends, and soon where a reload may undo one.
function Keeper:interval()
  local next_end, is_on = math.huge, false
  for _, kept in pairs(self.switches) do
    next_end, is_on = math.min(next_end, kept.ends or math.huge), is_on or kept.on
  end
  local interval, since = INTERVAL, task.now() - (self.opened or -math.huge)
  for _, stage in ipairs(is_on and AFTER_OPEN or {}) do
    if since <= stage.within then
      interval = stage.interval
      break
    end
  end
  return math.max(0, math.min(interval, next_end - task.time()))
end

--- Notify systemd's watchdog, twice in its period.
function Keeper:notify_watchdog()
  local every = process.watchdog()
  if every and task.now() - (self.notified or -math.huge) >= math.max(0, every / 2 - INTERVAL) then
    process.notify("WATCHDOG=1")
    self.notified = task.now()
  end
end

--- Look and wait, for ever.
function Keeper:loop()
  while true do
    local events = self.watch:wait(self:interval())
    for _, event in ipairs(events or {}) do
      self.opened = task.now()
      if event.what == "lost" then
        self.watched = false
      end
    end
    if not events and self.opened and task.now() - self.opened > AFTER_OPEN[#AFTER_OPEN].within then
      self.opened = nil
    end
    self:round()
    self:notify_watchdog()
  end
end

--- Keep a target until a signal comes, the usual end of a service.
---@param request haplua.Request  config, journal and file
---@param print function
---@return integer status  128 + the signal's number
function M.run(request, print)
  local c = context.open(request)
  c.print = print
  if not c.journal then
    errors.raise("journal", "there is no journal to keep to: " .. tostring(c.no_journal or "none, as asked"),
      "run as a user who may write /var/lib/haplua, or name another with --journal FILE")
  end
  local lock <close> = c.journal:keeper(c.name)
  if not lock then
    errors.refuse(("another process keeps %s already"):format(c.name),
      "one is enough; `systemctl status haplua-keep` may show it")
  end
  local watch <close> = require("haplua.watch").open()
  local self = setmetatable({ request = request, c = c, switches = {}, watch = watch, unwatched = {} }, Keeper)
  self:round()
  process.notify("READY=1")
  say(c, "kept to %s", c.journal.path)
  local _, problem = pcall(self.loop, self)
  process.notify("STOPPING=1")
  if not errors.is(problem) or not problem.signal then
    error(problem, 0)
  end
  return 128 + problem.signal
end

return M
