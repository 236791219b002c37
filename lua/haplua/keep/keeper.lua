-- SPDX-License-Identifier: MIT
--
--- The resident policy: it holds an HAProxy to what the journal wants.
-- A new HAProxy process knows nothing of the old one's lists. Nothing on the socket announces it; but a reload
-- begins with HAProxy opening its configuration, and that can be watched. So the keeper asks once a
-- second whether the lists are as it left them, and every few milliseconds for a while after the
-- configuration was opened. It ends what has expired, and finishes what was broken off.

local change = require("haplua.apply.change")
local config = require("haplua.store.config")
local context = require("haplua.apply.context")
local enumerate = require("haplua.apply.result").enumerate
local is_error = require("haplua.error").is
local moment = require("haplua.time.instant")
local plan = require("haplua.apply.plan")
local process = require("haplua.process")
local status = require("haplua.apply.status")
local switch = require("haplua.haproxy.switch")
local task = require("haplua.task")

local M = {}

-- Seconds between two looks: at rest, and for how long after the configuration was opened.
local REST = 1
local ALERT = {
  { within = 3, pause = 0.003 },
  { within = 30, pause = 0.02 },
}

-- So many seconds after its end, what a living process should have ended is ended here.
local ATTENDED = 2

---@class haplua.Kept
---@field c haplua.Context
---@field seen string?  the lists' text when all was well: the same again needs no second look
---@field complaint string?  the last that was said, so that it is said once
---@field wanted integer  the journal's change
---@field on boolean  is anything under maintenance?
---@field ends number?  when it is to be looked at, whatever HAProxy has

---@class haplua.Keeper
---@field options haplua.MaintenanceOptions
---@field c haplua.Context
---@field switches table<string, haplua.Kept>  by ACL
---@field watch any?
---@field status string?  as systemd knows it
---@field alert number?  when the configuration was opened last, on task.now()
---@field written integer?  the journal's version
local Keeper = {}
Keeper.__index = Keeper

local function say(c, form, ...)
  c.print(c.name .. ": " .. form:format(...))
  io.stdout:flush()
end

--- Say something once, until something else is to be said.
local function complain(about, text)
  if about.complaint ~= text then
    about.complaint = text
    if text then
      io.stderr:write("keep: ", text, "\n")
    end
  end
end

-- What a look at one switch can come to. Each is called with the switch's lock held.

--- The journal's row of something that the keeper does.
local function row_of(c, wanted, action)
  return {
    target = c.name, acl = c.switch.acl, switch = c.switch.name, action = action, patterns = wanted.patterns,
    bypass = wanted.bypass, reason = wanted.reason, since = wanted.since, ends = wanted.ends,
  }
end

--- Have HAProxy be again as the journal wants it.
local function put_back(c, live, wanted, why)
  change.carry_out(c, live, plan.from_entry(c, wanted, live))
  c.journal:note(row_of(c, wanted, "keep"), "done")
  c.journal:finish(wanted.id, live)
  say(c, "%s; %s is again %s, as %s wanted at %s", why, c.switch.acl,
    #wanted.patterns > 0 and "on for " .. enumerate(wanted.patterns) or "off",
    status.who(wanted), moment.text(wanted.time))
end

--- Is what has expired another process's to end, which stays with it (--wait, during, a window)? Not for long.
local function is_attended(wanted)
  return process.alive(wanted.pid) and task.time() < wanted.ends + ATTENDED
end

--- Carry out what the keeper wants itself, written down before and after.
---@param wish {patterns: string[], bypass: string[]?, reason: string?, since: number?, ends: number?}
local function enact(c, live, action, wish)
  local id = c.journal:begin(row_of(c, wish, action))
  change.carry_out(c, live, plan.from_entry(c, wish, live))
  c.journal:finish(id, live)
end

local function expire(c, live, wanted)
  enact(c, live, "expire", { patterns = {}, bypass = live.bypass and c.switch.allow, reason = wanted.reason })
  say(c, "maintenance by %s ended as planned at %s: %s is off", status.who(wanted), moment.text(wanted.ends),
    c.switch.acl)
end

--- Somebody has changed a list without haplua. That is believed when it is seen twice: what is written down from one
-- answer that was garbled would be put back for ever.
local function by_hand(c, live, wanted)
  if switch.look(c.target, c.switch).seen ~= live.seen then
    return
  end
  local now = ("%s matches %s"):format(c.switch.acl, enumerate(live.patterns))
  if c.switch.by_hand == "undo" then
    put_back(c, live, wanted, ("somebody had changed it by hand: %s"):format(now))
    return
  end
  local on = #live.patterns > 0
  enact(c, live, "by hand", {
    patterns = live.patterns, bypass = live.passing, since = on and (wanted.since or task.time()) or nil,
    reason = on and wanted.reason or nil, ends = on and wanted.ends or nil,
  })
  say(c, "somebody has changed it by hand, and it is kept so: %s", now)
end

--- Decide on one switch, and do it.
---@return number? again  when to look again, where something is another process's to do first
---@return boolean? acted  has anything been changed?
local function settle(c, live, wanted)
  local lists_differ = not status.same(wanted.patterns, live.patterns)
  local same_process = switch.is_same_process(live, wanted)
  if not wanted.outcome then
    put_back(c, live, wanted, ("'%s' by process %d was broken off"):format(wanted.action, wanted.pid))
  elseif #wanted.patterns > 0 and wanted.ends and wanted.ends <= task.time() then
    if is_attended(wanted) then
      return wanted.ends + ATTENDED
    end
    expire(c, live, wanted)
  elseif lists_differ and (same_process or #wanted.patterns == 0) then
    by_hand(c, live, wanted)
  elseif lists_differ then
    put_back(c, live, wanted, ("HAProxy's process %d was replaced by %d"):format(wanted.worker or 0, live.worker))
  elseif #status.disagreements(c, live, wanted) > 0 then
    put_back(c, live, wanted, "a list beside it, or a file, was out of step")
  else
    if not same_process then
      c.journal:finish(wanted.id, live)
    end
    return nil, false
  end
  return nil, true
end

--- Look closely at a switch whose lists, or whose wish, have changed.
---@return number? again, boolean acted
local function look_closely(kept)
  local c, again, acted = kept.c, nil, false
  local _ <close> = c.journal:lock(c.name, c.switch.acl)
  local live = switch.look(c.target, c.switch)
  local wanted = c.journal:wanted(c.name, c.switch.acl)
  if wanted then
    again, acted = settle(c, live, wanted)
  end
  -- what was judged, and not what is there now: a reload or a hand in between would pass unseen
  kept.seen = not acted and live.seen or nil
  return again, acted
end

-- The whole target.

--- Which files HAProxy reads when it reloads, for what this machine can see of them.
---@return string[]
local function configuration_files(c)
  local file = require("haplua.file")
  local texts = c.target:batch({ { "show", "acl" }, { "show", "info" } })
  local cwd = file.link(("/proc/%s/cwd"):format(texts[2]:match("Pid: (%d+)") or "self"))
  local found, list = {}, {}
  for path in texts[1]:gmatch("file '([^']*)' line %d+") do
    local absolute = path:find("^/") and path or cwd and cwd .. "/" .. path
    -- a link may be turned, and what it leads to may be opened
    for _, name in ipairs({ absolute, absolute and file.real(absolute) }) do
      if not found[name] then
        found[name] = true
        list[#list + 1] = name
      end
    end
  end
  return list
end

--- Begin to watch the configuration, once HAProxy has told where it is.
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

--- The switches that the journal wants something of.
function Keeper:read_journal()
  local version = self.c.journal:version()
  if version == self.written then
    return
  end
  local found = config.read(self.options.config)
  for _, wanted in ipairs(self.c.journal:all_wanted(self.c.name)) do
    local kept = self.switches[wanted.acl] or { c = setmetatable({}, { __index = self.c }) }
    kept.c.switch = config.switch(found, nil, wanted.acl)
    if self.options.file == false then
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

--- When the next maintenance ends, as far as is known.
function Keeper:next_end()
  local next_end
  for _, kept in pairs(self.switches) do
    if kept.ends and (not next_end or kept.ends < next_end) then
      next_end = kept.ends
    end
  end
  return next_end
end

--- One switch: has anything been done about it?
---@return boolean acted
local function tend(kept)
  local over = kept.ends and kept.ends <= task.time()
  if kept.seen and not over and switch.fingerprint(kept.c.target, kept.c.switch) == kept.seen then
    complain(kept, nil)
    return false
  end
  kept.seen = nil
  if over then
    kept.ends = nil -- also when HAProxy is away: it is tried again at rest, not at once and for ever
  end
  local again, acted = look_closely(kept)
  if acted then
    again = look_closely(kept) -- at what was made of it: that is what is to stay
  end
  kept.ends = again or kept.ends
  complain(kept, nil)
  return acted
end

--- Tell systemd how things are, for `systemctl status`: also that what was ready is in trouble.
function Keeper:tell_status()
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

--- Look at everything once. What goes wrong is told, and tried again.
function Keeper:round()
  local ok, problem = pcall(function()
    self:read_journal()
    for _, kept in pairs(self.switches) do
      local tended, trouble = pcall(tend, kept)
      if not tended then
        if not is_error(trouble) or trouble.kind == "interrupted" then
          error(trouble, 0)
        end
        complain(kept, tostring(trouble))
      elseif trouble then
        self.written = nil
        -- a reload that is over; one right behind it is still to come
        self.alert = not kept.seen and self.alert or nil
      end
    end
    self:watch_configuration()
  end)
  if not ok and (not is_error(problem) or problem.kind == "interrupted") then
    error(problem, 0)
  end
  complain(self, not ok and tostring(problem) or nil)
  self:tell_status()
end

--- Is there anything that a reload would undo?
function Keeper:holds()
  for _, kept in pairs(self.switches) do
    if kept.on then
      return true
    end
  end
  return false
end

--- How long to wait until the next look.
function Keeper:pause()
  local pause, since = REST, self.alert and self:holds() and task.now() - self.alert
  for _, stage in ipairs(since and ALERT or {}) do
    if since <= stage.within then
      pause = stage.pause
      break
    end
  end
  local next_end = self:next_end()
  return next_end and math.max(0, math.min(pause, next_end - task.time())) or pause
end

--- Tell systemd that all is well, often enough.
function Keeper:pet_watchdog()
  local every = process.watchdog()
  if every and task.now() - (self.petted or -math.huge) >= math.max(0, every / 2 - REST) then
    process.notify("WATCHDOG=1")
    self.petted = task.now()
  end
end

--- Look, wait, look again.
function Keeper:watch_over()
  while true do
    local events = self.watch:wait(self:pause())
    for _, event in ipairs(events or {}) do
      self.alert = task.now()
      if event.what == "lost" then
        self.watched = false
      end
    end
    if not events and self.alert and task.now() - self.alert > ALERT[#ALERT].within then
      self.alert = nil
    end
    self:round()
    self:pet_watchdog()
  end
end

--- The same until a signal comes, which is the ordinary end of a service and no failure.
---@return integer status
function Keeper:attend()
  local _, problem = pcall(self.watch_over, self)
  process.notify("STOPPING=1")
  if not is_error(problem) or not problem.signal then
    error(problem, 0)
  end
  return 128 + problem.signal
end

--- Keep a target, until a signal ends it.
---@param options haplua.MaintenanceOptions
---@return integer status  128 + the signal's number
function M.run(options)
  local c = context.open(options)
  c.print = options.print or print
  if not c.journal then
    error(require("haplua.error").new({
      kind = "journal",
      message = "there is no journal to keep to: " .. tostring(c.no_journal or "it was declined"),
      advice = "run as a user who may write /var/lib/haplua, or name another with --journal FILE",
    }), 0)
  end
  local lock <close> = c.journal:keeper(c.name)
  if not lock then
    error(require("haplua.error").new({
      kind = "refused",
      message = ("another process keeps %s already"):format(c.name),
      advice = "one is enough; `systemctl status haplua-keep` may tell",
    }), 0)
  end
  local watch <close> = require("haplua.watch").open()
  local self = setmetatable({ options = options, c = c, switches = {}, watch = watch, unwatched = {} }, Keeper)
  self:round()
  process.notify("READY=1")
  say(c, "kept to %s", c.journal.path)
  return self:attend()
end

return M
