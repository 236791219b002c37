-- SPDX-License-Identifier: MIT
--
--- The agent of a fleet's node: tasks beside the resident loop. One follows the fleet's store, and writes what it reads into
-- the node's own; the loop applies that as it applies everything. One reports what was applied, one says that the node
-- runs, one plans windows where the node is elected (haplua.keep.fleet_planner). Where the store is away, the node
-- goes on with what it has.

local cache = require("haplua.fleet.cache")
local config = require("haplua.store.config")
local context = require("haplua.apply.context")
local errors = require("haplua.error")
local etcd = require("haplua.store.etcd")
local fleet = require("haplua.plan.fleet")
local instant = require("haplua.time.instant")
local maintenance = require("haplua.plan.maintenance")
local nodes = require("haplua.store.etcd_nodes")
local periods = require("haplua.keep.periods")
local records = require("haplua.store.etcd_records")
local restored = require("haplua.fleet.restored")
local signal = require("haplua.base.signal")
local task = require("haplua.task")

local M = {}

-- Seconds for each call. What a leader has lost when it went is sent again after that.
local TIMEOUT <const> = 3

-- Seconds between two removals of what is long over. Any node may do it.
local PRUNE <const> = 6 * 3600

---@class haplua.Agent
---@field fleet haplua.FleetConfig
---@field node haplua.fleet.Node
---@field store haplua.EtcdStore
---@field private client table  of haplua.etcd.client
---@field private former table?  the client before
---@field private reconnect_at number  on task.now()
---@field private keeper haplua.Keeper
---@field private cache haplua.fleet.Cache
---@field private news haplua.base.Signal  the resident loop has something to do
---@field private revisions table<string, integer>  by switch: what the node's store has; a new table at each change
---@field private named table<string, string>?  lists by their ACLs' names,
---@field private named_in haplua.Config?  in this configuration
---@field private tasks haplua.Task[]
---@field private unknown table<string, boolean>  switches that the node does not have
---@field private reported table?  the revisions of the latest reports
---@field private due table<string, haplua.fleet.Seen>  reports that are to be sent
---@field private sent table<string, string>  what was reported last, without the time
---@field private to_send haplua.base.Signal
---@field private can haplua.keep.Can
---@field outcomes table<string, string>  by switch: of the latest report
---@field read_at number?  when the store was read last,
---@field applied_at number?  and when a report last had something new
---@field is_planner boolean?  this node plans the windows
---@field away_since number?  the store does not answer,
---@field private away_for string?  and why
---@field private refusal string?  why nothing of the store is applied: it was restored
---@field private refused_at integer?  the store's revision then
---@field private to_show haplua.base.Signal  `refusal` has changed
---@field complaint string?
---@field tolerate fun(problem: any): haplua.Error
---@field planners {planner: haplua.Planner, c: haplua.Context}[]  of the configuration's windows
local Agent = {}
Agent.__index = Agent

--- What has failed, as an error object. An interruption is raised again. An error of the agent itself is one as well: the
-- loop, which holds HAProxy, goes on without it.
---@return haplua.Error
function M.tolerate(problem)
  if errors.is(problem) and problem.kind == "interrupted" then
    error(problem, 0)
  end
  return errors.is(problem) and problem or errors.new({ kind = "protocol", message = tostring(problem) })
end

local tolerate = M.tolerate

--- Up to so many seconds, so that not all agents come at once.
local function pause(seconds)
  task.sleep(seconds * (0.5 + math.random() / 2))
end

--- The list of a switch on this node; nil: there is none. Asks HAProxy once where the list is given by its name.
local function list_of(self, switch)
  local found = self.keeper.found
  local acl = switch:find("^server ") and switch or (found.switches[switch] or {}).acl
  if not config.is_name(acl) or switch == acl then
    return acl
  elseif self.named_in ~= found then
    self.named, self.named_in = {}, found
  end
  self.named[acl] = self.named[acl] or context.of_switch(self.keeper.c, found, { switch = switch }).switch.acl
  return self.named[acl]
end

--- Begin the agent of a keeper, whose configuration names a fleet.
---@param keeper haplua.Keeper
---@return haplua.Agent
function M.open(keeper)
  local settings, c = keeper.found.fleet, keeper.c
  local self = setmetatable({
    fleet = settings, keeper = keeper, cache = cache.open(c.store, settings.name), news = signal.new(), to_send = signal.new(),
    to_show = signal.new(),
    tolerate = M.tolerate, revisions = {}, unknown = {},
    outcomes = {}, due = {}, sent = {}, planners = keeper.planners, tasks = {},
  }, Agent)
  self.node = {
    fleet = settings.name, name = settings.node or c.person.host, labels = settings.labels, target = c.name,
    list = function(switch)
      return list_of(self, switch)
    end,
  }
  self.can = require("haplua.keep.can").new(self)
  keeper.planners = {}
  local planner = require("haplua.keep.fleet_planner")
  for i, fn in ipairs({ self.follow, self.send_reports, self.say_live, self.prune, planner.run }) do
    self.tasks[i] = task.spawn(fn, self)
  end
  table.insert(self.tasks, task.spawn(self.can.run, self.can))
  return self
end

--- End the tasks.
function Agent:__close()
  for _, one in ipairs(self.tasks) do
    one:cancel()
  end
  for _, one in ipairs(self.tasks) do
    pcall(one.wait, one)
  end
  for _, client in ipairs({ self.client, self.former }) do
    client:close()
  end
end

-- Following the store.

--- The store does not answer, or not with what could be believed.
---@param problem haplua.Error
local function note_away(self, problem)
  local reason = problem.kind == "refused" and problem.message or problem.kind
  if self.away_since and reason == self.away_for then -- who cannot be reached gets another text at each attempt
    return
  end
  self.away_since, self.away_for = self.away_since or task.time(), reason
  self.keeper:complain(self, ("the store of the fleet %s is away since %s, and this node goes on with what it has: %s%s"):format(
    self.fleet.name, instant.text(self.away_since), tostring(problem), problem.advice and "\n  " .. problem.advice or ""))
end

local function note_back(self)
  if self.away_since then
    self.keeper:say("the store of the fleet %s answers again", self.fleet.name)
    self.away_since = nil
  end
end

--- Remember and report that the store was restored, or with nil that this is over.
---@param problem haplua.Error?
local function set_refusal(self, problem)
  local text = problem and problem.message
  if text ~= self.refusal or text and self.refused_at ~= self.store.revision then
    self.refusal, self.refused_at = text, self.store.revision
    self.revisions = maintenance.with(self.revisions, {}) -- all switches are reported anew
    self.news:set()
    self.to_show:set()
  end
  if problem then
    self.cache:refuse()
  end
end

--- Name what could not be merged; nil: there is nothing.
local function trouble_of(merge, older, unread)
  local lines = {}
  for _, m in ipairs(merge.lost) do
    lines[#lines + 1] = ("m%d is not in the fleet's store, without having been ended: it stays in force here, "
      .. "as m%d of this node"):format(m.fleet_id, m.id)
  end
  for _, record in ipairs(older) do
    lines[#lines + 1] = ("m%d is older in the fleet's store than it was: it stays here as it was"):format(record.id)
  end
  for _, key in ipairs(unread) do
    lines[#lines + 1] = ("the fleet's store has a key that holds no maintenance: %s"):format(key)
  end
  return lines[1] and table.concat(lines, "\n") or nil
end

--- Write what was read into the node's store, and have the loop look.
---@param all haplua.fleet.Record[]
---@param read haplua.etcd.Snapshot
local function take(self, all, read)
  local c, believed, older, revisions, unread = self.keeper.c, {}, {}, {}, {}
  for _, key in ipairs(read.unread) do
    unread[math.tointeger(tonumber(key:match("[^/]*$"))) or 0] = true
  end
  for _, record in ipairs(all) do
    local list = self.cache:is_older(record) and older or believed
    list[#list + 1] = record
    unread[record.id] = unread[record.id] or list == older or nil
    revisions[record.acl] = math.max(record.revision, revisions[record.acl] or 0)
  end
  local merge
  repeat
    merge = fleet.merge(self.node, { records = believed, pruned = read.pruned, unread = unread, seen = function(...)
      return self.cache:seen(...)
    end }, function(acl, occurrence)
      return c.store:occurrence(c.name, acl, occurrence)
    end, c.store:current(c.name), task.time())
    if #merge.edits > 0 then
      c.store:edit(merge.edits)
    end
  until not merge.again
  self.cache:remember(read, all)
  for _, record in ipairs(merge.reopened) do
    self.keeper:say("m%d was ended on this node alone, and is in force again: %s is the fleet's", record.id, record.acl)
  end
  for _, m in ipairs(merge.lost) do
    m.fleet_id = fleet.id(self.fleet.name, m)
  end
  self.unknown = {}
  for _, record in ipairs(merge.unknown) do
    self.unknown[record.acl] = true
  end
  self.revisions = revisions
  self.keeper:complain(self, trouble_of(merge, older, read.unread))
  self.keeper.written = nil
  self.news:set()
end

--- Read all of the fleet's maintenances.
---@param events table[]?  of the watch: what has changed
---@return integer revision  of the store
local function read_store(self, events)
  local all, read = self.store:records(events)
  restored.check(self.cache, self.node, self.keeper.c.store, all, read)
  note_back(self)
  set_refusal(self)
  take(self, all, read)
  self.can:hear(read.asked)
  self.read_at = task.time()
  return read.revision
end

--- Connect where there is no connection, or where it is to be made anew. The other tasks may be in calls of the one before,
-- which is closed at the next time.
local function connect(self)
  if self.client and task.now() < self.reconnect_at then
    return
  end
  local settings, former = self.fleet.etcd, self.store
  if self.former then
    self.former:close()
  end
  self.former = self.client
  self.client = require("haplua.etcd.client").connect({
    endpoints = settings.endpoints, ca = settings.ca, cert = settings.cert, key = settings.key, timeout = TIMEOUT,
  })
  self.store = etcd.open(self.client, self.fleet.name)
  self.store.revision, self.store.uid = former and former.revision or 0, self.cache.uid
  self.store.generation = former and former.generation
  self.reconnect_at = task.now() + periods.reconnect * (0.5 + math.random() / 2)
end

--- Follow the store, until a watch ends.
local function follow(self)
  connect(self)
  self.sent = {} -- the store may have been put back
  local from = read_store(self) + 1
  self.to_send:set()
  local watch <close> = self.client:watch({ key = self.store.prefix .. "m/", prefix = true, revision = from })
  local anew = task.now() + periods.read_anew
  while task.now() < self.reconnect_at do
    local events, kind, reason = watch:next(math.max(0, anew - task.now()))
    if not events and kind == "denied" then
      errors.refuse("etcd does not let this node watch the maintenances: " .. tostring(reason),
        "`haplua fleet rights` shows the rights")
    elseif not events and kind ~= "timeout" then
      return
    end
    read_store(self, events and events.events)
    anew = events and anew or task.now() + periods.read_anew
  end
end

--- Follow the store for ever.
function Agent:follow()
  local wait = 0.2
  while true do
    local began = task.now()
    local ok, problem = pcall(follow, self)
    if not ok then
      problem = tolerate(problem)
      note_away(self, problem)
      if problem.code == "RESTORED" then
        set_refusal(self, problem)
      elseif problem.kind == "refused" then
        set_refusal(self)
      end -- else the store does not answer: it is refused as before until it was read
    end
    wait = task.now() - began > periods.pause and 0.2 or math.min(periods.pause, wait * 2)
    pause(wait)
  end
end

-- Reports.

--- What the node's store has of the fleet, for a report of the look that follows.
---@return table<string, integer>
function Agent:marks()
  return self.revisions
end

--- The fleet's maintenances that are in force on this node.
local function ids_of(self, list)
  local c, ids = self.keeper.c, {}
  for _, m in ipairs(maintenance.in_force(c.store:current(c.name, list), task.time())) do
    ids[#ids + 1] = fleet.id(self.fleet.name, m)
  end
  return ids
end

--- What has become of a switch; nil: that is open yet.
---@return haplua.fleet.Seen?
local function seen_of(self, switch, revision)
  local c, list = self.keeper.c, not self.unknown[switch] and list_of(self, switch)
  if not list then
    return { revision = revision, ids = {}, outcome = "this node has no switch of that name" }
  end
  if self.refusal then
    return { revision = self.refused_at, ids = ids_of(self, list), outcome = self.refusal }
  end
  local kept = self.keeper.switches[list:find("^server ") and "servers" or list]
  if kept and (kept.seen or kept.complaint) then
    return { revision = revision, ids = ids_of(self, list), outcome = kept.complaint or "done",
      worker = (c.store:latest(c.name, list) or {}).worker, probed = kept.probed }
  end
  -- nil: it has never had a maintenance here
  return not kept and { revision = revision, ids = {}, outcome = "done" } or nil
end

--- Queue reports of what a look has brought about.
---@param marks table<string, integer>  from before the look
---@param closely boolean  some switch was looked at closely
function Agent:report(marks, closely)
  if not closely and marks == self.reported then
    return
  end
  self.reported = marks
  for switch, revision in pairs(marks) do
    local ok, seen = pcall(seen_of, self, switch, revision)
    if not ok then
      tolerate(seen)
      seen = nil
    end
    self.outcomes[switch] = seen and seen.outcome
    if seen then
      seen.unsynchronised = require("haplua.keep.clock").is_unsynchronised() or nil
    end
    local text = seen and records.encode(seen)
    if text and text ~= self.sent[switch] then
      self.sent[switch], seen.at = text, task.time()
      self.applied_at = seen.at
      self.due[switch] = seen
      self.to_send:set()
    end
  end
end

--- Report again at the next round, which is begun: something has changed that no look at HAProxy shows.
function Agent:report_anew()
  self.reported = nil
  self.news:set()
end

--- Send the reports that are due.
local function send(self)
  for switch, seen in pairs(self.due) do
    nodes.put_seen(self.store, self.node.name, switch, seen)
    if self.due[switch] == seen then
      self.due[switch] = nil
    end
  end
end

--- The store takes something that a node says of itself, or refuses it. That it is away is told already.
---@param about {complaint: string?}
---@param what string
---@param problem any  nil: it takes it
local function note_refusal(self, about, what, problem)
  problem = problem and tolerate(problem)
  if not problem or problem.kind == "refused" then
    self.keeper:complain(about, problem and ("this node cannot %s the fleet %s: %s\n  %s"):format(what, self.fleet.name,
      tostring(problem), problem.advice or "`haplua fleet status` shows the members of etcd"))
  end
end

--- Send reports for ever.
function Agent:send_reports()
  local about, wait = {}, 1
  while true do
    self.to_send:wait(task.sleep, periods.read_anew)
    local ok, problem = pcall(send, self)
    note_refusal(self, about, "report to", not ok and problem or nil)
    if ok then
      wait = 1
    else
      pause(wait)
      wait = math.min(periods.pause, wait * 2)
      self.to_send:set()
    end
  end
end

-- Presence.

--- Say that the node runs, until its lease is lost.
---@param on_good fun()  called once the store has taken it
local function stay_live(self, on_good)
  local store, node = self.store, self.node
  local switches = config.names(self.keeper.found)
  nodes.put_card(store, node.name, { labels = next(node.labels) and node.labels, switches = switches, target = node.target,
    version = require("haplua.core").version })
  local lease = store.client:grant(periods.lease)
  local shown
  repeat
    if not shown or (shown.refused == nil) ~= (self.refusal == nil) then
      shown = { at = task.time(), store = store.revision, refused = self.refusal }
      nodes.put_live(store, node.name, lease.id, shown)
      on_good()
    end
    self.to_show:wait(task.sleep, periods.word)
  until not self.client:keepalive(lease.id)
end

--- Say so for ever.
function Agent:say_live()
  local about, wait = {}, 2
  while true do
    local ok, problem = pcall(function()
      if self.store and (self.refusal or not self.away_since) then
        stay_live(self, function()
          note_refusal(self, about, "show that it lives to")
        end)
      end
    end)
    wait = ok and 2 or math.min(periods.pause, wait * 2)
    if not ok then
      note_refusal(self, about, "show that it lives to", problem)
    end
    pause(wait)
  end
end

-- What is long over.

--- Remove it from the fleet's store, for ever; a node that has not the right leaves it to others.
function Agent:prune()
  while true do
    pause(PRUNE)
    local ok, problem = pcall(function()
      repeat
        local removed = not self.away_since and self.store and require("haplua.fleet.prune").run(self.store) or 0
      until removed == 0
    end)
    if not ok and tolerate(problem).kind == "refused" then
      return
    end
  end
end

-- The loop's side.

--- The revision of the latest change that this node has read.
---@return integer
function Agent:revision()
  return self.cache.revision
end

--- Wait for the loop: for a function that waits, or for something to do.
---@param fn fun(...)
---@param ... any
function Agent:wait(fn, ...)
  self.news:wait(fn, ...)
end

return M
