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
local records = require("haplua.store.etcd_records")
local signal = require("haplua.base.signal")
local task = require("haplua.task")

local M = {}

-- Seconds: until all is read anew, and until the connection is made anew, since rights that were revoked count from then.
local READ_ANEW <const> = 60
local RECONNECT <const> = 3600

-- Seconds for each call. What a leader has lost when it went is sent again after that.
local TIMEOUT <const> = 3

-- Seconds for which a node counts as live after its latest word, and between two words.
local LEASE <const> = 30
local WORD <const> = 10

-- Seconds between two removals of what is long over. Any node may do it.
local PRUNE <const> = 6 * 3600

-- The longest pause between two attempts to reach the store, in seconds.
local PAUSE <const> = 5

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
---@field away_since number?  the store does not answer,
---@field private away_for string?  and why
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
    tolerate = M.tolerate, revisions = {}, unknown = {}, due = {}, sent = {}, planners = keeper.planners, tasks = {},
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
  self.keeper:complain(self, ("the store of the fleet %s is away since %s, and this node goes on with what it has: %s"):format(
    self.fleet.name, instant.text(self.away_since), tostring(problem)))
end

local function note_back(self)
  if self.away_since then
    self.keeper:say("the store of the fleet %s answers again", self.fleet.name)
    self.away_since = nil
  end
end

--- Refuse what is older than what the node has.
local function check_read(self, read)
  if read.ids_revision < self.cache.revision then
    errors.refuse(("the store is at revision %d, and was at %d: it seems to be restored from an older snapshot"):format(
      read.ids_revision, self.cache.revision), "nothing of it is applied until it is as new")
  end
end

--- Name what could not be merged; nil: there is nothing.
local function trouble_of(merge, older, unread)
  local lines = {}
  for _, m in ipairs(merge.lost) do
    lines[#lines + 1] = ("m%d is not in the fleet's store, without having been ended: it stays in force here"):format(m.fleet_id)
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
  local merge = fleet.merge(self.node, { records = believed, pruned = read.pruned, unread = unread }, function(acl, occurrence)
    return c.store:occurrence(c.name, acl, occurrence)
  end, c.store:current(c.name), task.time())
  if #merge.edits > 0 then
    c.store:edit(merge.edits)
  end
  self.cache:remember(read.uid, read.ids_revision, believed)
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
  check_read(self, read)
  note_back(self)
  take(self, all, read)
  self.can:hear(read.asked)
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
  self.reconnect_at = task.now() + RECONNECT * (0.5 + math.random() / 2)
end

--- Follow the store, until a watch ends.
local function follow(self)
  connect(self)
  self.sent = {} -- the store may have been put back
  local from = read_store(self) + 1
  self.to_send:set()
  local watch <close> = self.client:watch({ key = self.store.prefix .. "m/", prefix = true, revision = from })
  local anew = task.now() + READ_ANEW
  while task.now() < self.reconnect_at do
    local events, kind, reason = watch:next(math.max(0, anew - task.now()))
    if not events and kind == "denied" then
      errors.refuse("etcd does not let this node watch the maintenances: " .. tostring(reason),
        "`haplua fleet rights` shows the rights")
    elseif not events and kind ~= "timeout" then
      return
    end
    read_store(self, events and events.events)
    anew = events and anew or task.now() + READ_ANEW
  end
end

--- Follow the store for ever.
function Agent:follow()
  local wait = 0.2
  while true do
    local began = task.now()
    local ok, problem = pcall(follow, self)
    if not ok then
      note_away(self, tolerate(problem))
    end
    wait = task.now() - began > PAUSE and 0.2 or math.min(PAUSE, wait * 2)
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
    local text = seen and records.encode(seen)
    if text and text ~= self.sent[switch] then
      self.sent[switch], seen.at = text, task.time()
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

--- Send reports for ever.
function Agent:send_reports()
  while true do
    self.to_send:wait(task.sleep, READ_ANEW)
    local ok, problem = pcall(send, self)
    if not ok then
      tolerate(problem)
      pause(1)
      self.to_send:set()
    end
  end
end

-- Presence.

--- Say that the node runs, until its lease is lost.
local function stay_live(self)
  local store, node = self.store, self.node
  local switches = config.names(self.keeper.found)
  nodes.put_card(store, node.name, { labels = next(node.labels) and node.labels, switches = switches, target = node.target,
    version = require("haplua.core").version })
  local lease = store.client:grant(LEASE)
  nodes.put_live(store, node.name, lease.id, { at = task.time(), store = store.revision })
  repeat
    task.sleep(WORD)
  until not self.client:keepalive(lease.id)
end

--- Say so for ever.
function Agent:say_live()
  while true do
    local ok, problem = pcall(function()
      if self.store and not self.away_since then
        stay_live(self)
      end
    end)
    if not ok then
      tolerate(problem)
    end
    pause(2)
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

--- Wait for the loop: for a function that waits, or for something to do.
---@param fn fun(...)
---@param ... any
function Agent:wait(fn, ...)
  self.news:wait(fn, ...)
end

return M
