-- SPDX-License-Identifier: MIT
--
--- The store of a fleet, in etcd. It has the functions of haplua.store.sqlite, which documents them, and no locks: a change
-- is one transaction, which is carried out only if nobody has changed the same maintenances since they were read.
-- haplua.store.etcd_records has the keys. A read without the key `meta` is no fleet, and no read is older than one before.

local edits = require("haplua.store.edits")
local maintenance = require("haplua.plan.maintenance")
local process = require("haplua.process")
local records = require("haplua.store.etcd_records")
local task = require("haplua.task")
local transaction = require("haplua.store.etcd_transaction")

local M = {}

-- The latest changes are read in such portions: most switches have few among them.
local TAIL <const> = 256

---@class haplua.EtcdStore: haplua.Store
---@field client table  of haplua.etcd.client
---@field fleet string
---@field prefix string
---@field revision integer  of the latest read: no later one is older
---@field latest_read {revision: integer, responses: table[]}?  that read, and the events of a watch behind it
---@field uid string?  of the fleet, at the first read
---@field generation integer?  of the latest read
---@field fence {key: string, revision: integer}?  nothing is written once this key is another's (its create_revision)
---@field read_revisions table<haplua.Maintenance, integer>  the mod_revision of what was read, by what readers got
local Store = {}
Store.__index = Store

--- The store of a fleet. Sends nothing.
---@param client table  of haplua.etcd.client; the store does not close it
---@param fleet string
---@return haplua.EtcdStore
function M.open(client, fleet)
  return setmetatable({
    path = "etcd: fleet " .. fleet, client = client, fleet = fleet, prefix = records.prefix(fleet), revision = 0,
    read_revisions = setmetatable({}, { __mode = "k" }),
  }, Store)
end

function Store.close() end

--- Found a fleet.
---@param client table
---@param fleet string
---@return boolean new  false: there is one of this name
function M.init(client, fleet)
  local prefix = records.prefix(fleet)
  local meta = records.encode({
    format = records.FORMAT, reader = records.FORMAT, writer = records.FORMAT, uid = records.token(),
  })
  return client:txn({
    compare = { { key = prefix .. "meta", target = "create", result = "=", value = 0 } },
    success = { { "put", key = prefix .. "meta", value = meta },
      { "put", key = prefix .. "ids", value = records.encode({ m = 0, log = 0 }) } },
  }).succeeded
end

-- Reading.

--- The maintenances, as one read has them.
---@return haplua.etcd.Snapshot  raises `refused` where there is no fleet, and where the read is older than one before
function Store:snapshot()
  return transaction.read(self)
end

--- The maintenances as the nodes see them, ended or not.
---@param events table[]?  of a watch of m/ that began behind the latest read: they are put on top of that, and nothing is
--- read where that suffices
---@return haplua.fleet.Record[] records, haplua.etcd.Snapshot read
function Store:records(events)
  local found, snapshot = {}, events and transaction.follow(self, events) or self:snapshot()
  for i, held in ipairs(snapshot.list) do
    found[i] = records.of_fleet(held)
  end
  return found, snapshot
end

--- Those that a test accepts, as commands see them, by number.
local function select(self, test)
  local found, snapshot = {}, self:snapshot()
  for _, held in ipairs(snapshot.list) do
    if test(held.record) then
      local m = records.maintenance(held.record)
      self.read_revisions[m] = held.revision
      found[#found + 1] = m
    end
  end
  table.sort(found, function(a, b)
    return a.id < b.id
  end)
  return found
end

function Store:current(target, acl)
  return select(self, function(m)
    return not m.ended and m.target == target and (not acl or m.acl == acl)
  end)
end

function Store:servers(target)
  return select(self, function(m)
    return not m.ended and m.target == target and m.scope.server ~= nil
  end)
end

function Store:ended(target, acl, n)
  local found = select(self, function(m)
    return m.ended and m.target == target and m.acl == acl
  end)
  table.sort(found, function(a, b)
    return a.ended > b.ended or a.ended == b.ended and a.id > b.id
  end)
  return table.move(found, 1, n, 1, {})
end

function Store:maintenance(target, id)
  return select(self, function(m)
    return m.id == id and (not target or m.target == target)
  end)[1]
end

function Store:occurrence(target, acl, occurrence)
  return select(self, function(m)
    return m.target == target and m.acl == acl and m.occurrence == occurrence
  end)[1]
end

--- The latest changes that a test accepts, the oldest first.
---@param acl string?  nil: of every switch
---@param n integer
---@param test fun(change: haplua.Change): boolean
local function changes(self, acl, n, test)
  local latest = self:snapshot().ids.log
  local head = self.prefix .. "log/" .. (acl and records.escape(acl) .. "/" or "")
  local from = acl and math.max(0, latest - TAIL) or 0
  while true do
    local found = {}
    local read = self.client:range(from > 0 and {
      key = self.prefix .. records.key("log", acl, from), range_end = head:sub(1, -2) .. "0",
    } or { key = head, prefix = true })
    for _, kv in ipairs(read.kvs) do
      local change = records.decode(kv.key, kv.value)
      found[#found + 1] = not change.ahead and test(change) and change or nil
    end
    if #found >= n or from == 0 then
      table.sort(found, function(a, b)
        return a.id < b.id
      end)
      return table.move(found, math.max(1, #found - n + 1), #found, 1, {})
    end
    from = 0
  end
end

function Store:latest(target, acl)
  return changes(self, acl, 1, function(change)
    return change.target == target and (change.outcome == nil or change.outcome == "done")
  end)[1]
end

function Store:latest_done(target, acl)
  return changes(self, acl, 1, function(change)
    return change.target == target and change.outcome == "done"
  end)[1]
end

function Store:log(target, acl, n)
  return changes(self, acl, n, function(change)
    return change.target == target
  end)
end

function Store:touched(target)
  local found = {}
  local read = self.client:txn({ success = {
    { "range", key = self.prefix .. "m/", prefix = true }, { "range", key = self.prefix .. "log/", prefix = true },
  } })
  for _, response in ipairs(read.responses) do
    for _, kv in ipairs(response.kvs) do
      local record = records.decode(kv.key, kv.value)
      if record.target == target then
        found[record.acl] = math.max(found[record.acl] or 0, kv.mod_revision)
      end
    end
  end
  return found
end

function Store.elsewhere()
  return {} -- a fleet has one name
end

function Store:version()
  return self:snapshot().ids_revision
end

-- Writing.

--- Carry edits out on the maintenances of a draft, as haplua.store.edits does.
---@param draft haplua.etcd.Draft
local function carry_out(self, draft, list)
  local of = {}
  for _, edit in ipairs(list) do
    if edit.of then
      of[edit.of.id] = of[edit.of.id] or self.read_revisions[edit.of]
    end
  end
  return edits.carry_out(list, function(m)
    return draft:add(m)
  end, function(id, set)
    return draft:update(id, set, of[id])
  end)
end

-- What the history keeps of a plan.
local KEPT <const> = { "target", "acl", "switch", "action", "patterns", "scopes", "bypass", "ours", "declared", "reason",
  "since", "ends", "user", "host", "login" }

--- The record of a change.
local function change_of(wish, touched, outcome)
  local change = { time = task.time(), pid = process.pid(), outcome = outcome, maintenances = touched }
  for _, name in ipairs(KEPT) do
    change[name] = wish[name]
  end
  return change
end

--- Write a change and its edits in one transaction.
---@param outcome string?
---@return table begun
local function write(self, wish, list, outcome, live)
  local begun = { wish = wish }
  transaction.write(self, maintenance.who(wish), function(draft)
    local touched
    begun.undo, touched = carry_out(self, draft, list)
    local change = change_of(wish, touched or wish.maintenances, outcome)
    if live then
      change.ended, change.worker, change.started, change.asked = task.time(), live.worker, live.started, live.asked
    end
    begun.id = draft:log(change)
  end)
  return begun
end

function Store:begin(wish, list)
  return write(self, wish, list)
end

function Store:note(wish, live)
  write(self, wish, {}, "done", live)
end

--- Set fields of a change.
---@param acl string
---@param id integer
local function amend(self, acl, id, set)
  transaction.amend(self, records.key("log", acl, id), set)
end

function Store:finish(begun, live, ours)
  amend(self, begun.acl or begun.wish.acl, begun.id, { outcome = "done", ended = task.time(), worker = live.worker,
    started = live.started, asked = live.asked, ours = ours })
end

--- Record what has become of a change on the nodes.
---@param begun table  from begin()
---@param outcome string
function Store:settle(begun, outcome)
  amend(self, begun.wish.acl, begun.id, { outcome = outcome, ended = task.time() })
end

function Store:undo(begun, outcome)
  transaction.write(self, maintenance.who(begun.wish), function(draft)
    carry_out(self, draft, begun.undo)
    draft:log(maintenance.with(change_of(begun.wish), { ahead = true, action = "undo" }))
  end)
  amend(self, begun.wish.acl, begun.id, { outcome = outcome, ended = task.time() })
end

--- Carry edits out that change nothing in a node: so many in a transaction, since etcd's have an end.
function Store:edit(list)
  for first = 1, #list, transaction.MOST do
    local portion = table.move(list, first, math.min(#list, first + transaction.MOST - 1), 1, {})
    local of = portion[1].add or portion[1].of
    transaction.write(self, nil, function(draft)
      local _, touched = carry_out(self, draft, portion)
      draft:log({ target = of.target, acl = of.acl or draft:acl_of(of.id), action = "edit", ahead = true, time = task.time(),
        maintenances = touched })
    end)
  end
end

--- Have the nodes take what the store has, after it was restored from a snapshot.
---@param wishes haplua.Wish[]  what the history says of it: one for each switch
---@param latest integer  the latest number of a maintenance that a node has
function Store:accept(wishes, latest)
  transaction.write(self, maintenance.who(wishes[1]), function(draft)
    draft:accept(latest)
    for _, wish in ipairs(wishes) do
      draft:log(change_of(wish, nil, "done"))
    end
  end)
end

-- Transactions take the place of locks.
edits.without_locks(Store)

return M
