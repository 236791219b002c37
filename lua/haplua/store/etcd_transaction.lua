-- SPDX-License-Identifier: MIT
--
--- Reads and writes of a fleet's maintenances (haplua.store.etcd): each is one transaction.
-- A write reads first, makes a draft of what shall be, and is carried out only if nobody has written in between; otherwise
-- it begins anew. Each writes the key `ids`, and only on top of the `ids` that it has read: of one write that was sent
-- twice, since its outcome was in doubt, at most one is carried out.

local errors = require("haplua.error")
local records = require("haplua.store.etcd_records")
local task = require("haplua.task")

local M = {}

-- A write is tried so often at most: others come first, or its outcome is in doubt.
local ATTEMPTS <const> = 12

--- So many maintenances may be changed in one transaction: etcd takes 128 operations (--max-txn-ops).
M.MOST = 100

---@class haplua.etcd.Held  a maintenance in the store
---@field key string
---@field record table
---@field revision integer  its mod_revision

---@class haplua.etcd.Question  to the nodes: could they carry a change out?
---@field token string
---@field wanted haplua.fleet.Record[]  the maintenances that the change touches, as they would be afterwards

---@class haplua.etcd.Snapshot  what one read has
---@field revision integer  of the store
---@field list haplua.etcd.Held[]
---@field by_id table<integer, haplua.etcd.Held>
---@field pruned table<string, integer>  by switch: the number until which a maintenance that is not there was ended
---@field pruned_revisions table<string, integer>  the mod_revision of that word
---@field asked haplua.etcd.Question[]
---@field unread string[]  keys that hold no maintenance that this haplua understands
---@field ids {m: integer, log: integer}  the latest numbers
---@field ids_revision integer
---@field uid string  of the fleet: of another one of this name it differs
---@field meta table  the record of the key `meta`
---@field meta_revision integer
---@field generation integer  a later one: the nodes take what the store has, although they have seen more
---@field writable boolean  this haplua is new enough to write

--- Judge the key `meta`.
local function read_meta(store, kv, snapshot)
  if not kv then
    errors.refuse(("the store has no fleet '%s': nothing is concluded from that"):format(store.fleet),
      "`haplua fleet init` founds one; `fleet` in the configuration names it")
  end
  local meta = records.decode(kv.key, kv.value)
  if (meta.reader or math.huge) > records.FORMAT then
    errors.refuse(("the fleet '%s' was written by a later haplua"):format(store.fleet), "install that one on this machine")
  end
  snapshot.uid, snapshot.meta, snapshot.generation = meta.uid or "-", meta, meta.generation or 0
  snapshot.meta_revision, snapshot.writable = kv.mod_revision, (meta.writer or math.huge) <= records.FORMAT
end

--- Put a key below m/ into the snapshot.
local function take(store, snapshot, kv)
  local switch, name = kv.key:sub(#store.prefix + 1):match("^m/([^/]+)/([^/]+)$")
  local ok, record = pcall(records.decode, kv.key, kv.value)
  local token = kv.key:match("/asked/(%w+)$")
  if ok and token and type(record.wanted) == "table" then
    table.insert(snapshot.asked, { token = token, wanted = record.wanted })
  elseif ok and name == "pruned" and math.type(record.through) == "integer" then
    snapshot.pruned[records.unescape(switch)] = record.through
    snapshot.pruned_revisions[records.unescape(switch)] = kv.mod_revision
  elseif ok and records.is_maintenance(record) and records.key("m", record.acl, record.id) == "m/" .. switch .. "/" .. name then
    local held = { key = kv.key, record = record, revision = kv.mod_revision }
    snapshot.list[#snapshot.list + 1] = held
    snapshot.by_id[record.id] = held
  else
    snapshot.unread[#snapshot.unread + 1] = kv.key
  end
end

--- Raise where the store has forgotten what was read of it.
---@param message string  with the revisions
function M.refuse_restored(message)
  error(errors.new({ kind = "refused", code = "RESTORED", message = message .. ": it seems to be restored from an older snapshot",
    advice = "`haplua fleet accept` has the fleet go on with what the store has now" }), 0)
end

--- Make a snapshot of an answer to the ranges of read().
local function snapshot_of(store, revision, responses)
  local snapshot = { revision = revision, list = {}, by_id = {}, pruned = {}, pruned_revisions = {}, unread = {},
    asked = {}, ids = { m = 0, log = 0 }, ids_revision = 0 }
  read_meta(store, responses[1].kvs[1], snapshot)
  store.uid = store.uid or snapshot.uid
  if store.uid ~= snapshot.uid then
    errors.refuse(("the store has another fleet of the name '%s' than before"):format(store.fleet),
      "nothing of it is applied here")
  elseif revision < store.revision and snapshot.generation <= (store.generation or snapshot.generation) then
    M.refuse_restored(("the store of the fleet '%s' is at revision %d, and was at %d"):format(store.fleet, revision,
      store.revision))
  end
  store.revision, store.generation = revision, snapshot.generation
  local ids = responses[2].kvs[1]
  if ids then
    snapshot.ids, snapshot.ids_revision = records.decode(ids.key, ids.value), ids.mod_revision
  end
  for _, kv in ipairs(responses[3].kvs) do
    take(store, snapshot, kv)
  end
  return snapshot
end

--- Read all maintenances, in one transaction with `meta`.
---@param store haplua.EtcdStore
---@return haplua.etcd.Snapshot  raises `refused` where there is no fleet, and where the read is older than one before
function M.read(store)
  local answer = store.client:txn({ success = {
    { "range", key = store.prefix .. "meta" }, { "range", key = store.prefix .. "ids" },
    { "range", key = store.prefix .. "m/", prefix = true },
  } })
  local snapshot = snapshot_of(store, answer.revision, answer.responses)
  store.latest_read = { revision = answer.revision, responses = answer.responses }
  return snapshot
end

--- Put events of a watch of m/ on top of the latest read, behind which the watch began: a thousand nodes need not read
-- all anew at each change. `ids` stays that of the read, so that a later read is no older by it.
---@param store haplua.EtcdStore
---@param events {type: "put"|"delete", kv: table}[]
---@return haplua.etcd.Snapshot? snapshot  nil: read anew, since something was removed, or nothing was read
function M.follow(store, events)
  local latest, at = store.latest_read, {}
  local kvs = latest and latest.responses[3].kvs or {}
  for i, kv in ipairs(kvs) do
    at[kv.key] = i
  end
  local revision = latest and latest.revision
  for _, event in ipairs(events) do
    local kv = event.kv
    if not latest or event.type == "delete" then
      return nil
    elseif kv.mod_revision > latest.revision then -- else it was read already
      at[kv.key] = at[kv.key] or #kvs + 1
      kvs[at[kv.key]] = kv
      revision = math.max(revision, kv.mod_revision)
    end
  end
  latest.revision = revision
  table.sort(kvs, function(a, b)
    return a.key < b.key
  end)
  return snapshot_of(store, math.max(revision, store.revision), latest.responses)
end

-- Drafts.

---@class haplua.etcd.Draft  a write that is being put together
---@field private snapshot haplua.etcd.Snapshot
---@field private prefix string
---@field private writer string?  who writes, for people
---@field private ids {m: integer, log: integer, token: string}
---@field private changed table<integer, table>  records by number
---@field private order integer[]  their numbers
---@field private puts table[]
---@field private log_key string  of the change
local Draft = {}
Draft.__index = Draft

--- Add a maintenance.
---@param m haplua.Maintenance
---@return integer id
function Draft:add(m)
  for _, held in ipairs(m.occurrence and self.snapshot.list or {}) do
    local other = self.changed[held.record.id] or held.record
    if other.occurrence == m.occurrence and other.acl == m.acl and other.target == m.target then
      errors.refuse(("m%d is the maintenance of this occurrence already"):format(other.id))
    end
  end
  local id = self.ids.m + 1
  self.ids.m = id
  local record = records.maintenance(m)
  record.id, record.writer, record.uid = id, self.writer, m.uid or records.token()
  self.changed[id] = record
  self.order[#self.order + 1] = id
  return id
end

--- Set fields of a maintenance. Returns what they were, as another `set`.
---@param id integer
---@param set table  false clears a field
---@param read integer?  the mod_revision that the caller has read: another one, and somebody else was faster
---@return table
function Draft:update(id, set, read)
  local held = self.snapshot.by_id[id]
  if not self.changed[id] then
    if not held then
      errors.refuse(("m%d is not in the store any more"):format(id), "maint status shows those there are")
    elseif read and held.revision ~= read then
      errors.refuse(("m%d was changed meanwhile%s: nothing is changed"):format(id,
        held.record.writer and " by " .. held.record.writer or ""), "maint status shows what is in force now; try again")
    end
    local copy = {}
    for name, value in pairs(held.record) do
      copy[name] = value
    end
    self.changed[id] = copy
    self.order[#self.order + 1] = id
  end
  local record, before = self.changed[id], {}
  for name, value in pairs(set) do
    before[name] = record[name] or false
    record[name] = value or nil
  end
  record.writer = self.writer
  return before
end

--- Add a change to the history.
---@param change table
---@return integer id
function Draft:log(change)
  change.id, change.token = self.ids.log + 1, self.ids.token
  self.ids.log = change.id
  self:put(records.key("log", change.acl, change.id), change)
  self.log_key = self.prefix .. records.key("log", change.acl, change.id)
  return change.id
end

--- Begin a new generation.
---@param latest integer  no maintenance has this number, or an earlier one, that the store does not know
function Draft:accept(latest)
  self.ids.m = math.max(self.ids.m, latest)
  local meta = {}
  for name, value in pairs(self.snapshot.meta) do
    meta[name] = value
  end
  -- the time, so that it is later than one that a restored store has forgotten
  meta.generation = math.max(math.floor(task.time()), self.snapshot.generation + 1)
  self:put("meta", meta)
end

--- The switch of a maintenance.
---@param id integer
---@return string
function Draft:acl_of(id)
  local held = self.changed[id] or (self.snapshot.by_id[id] or {}).record
  return held and held.acl or "-"
end

--- Put a record.
---@param key string  without the prefix
---@param record table
function Draft:put(key, record)
  self.puts[#self.puts + 1] = { "put", key = self.prefix .. key, value = records.encode(record) }
end

--- The transaction of a draft.
local function transaction_of(draft, store)
  local snapshot, prefix = draft.snapshot, store.prefix
  if #draft.order > M.MOST then
    errors.refuse(("%d maintenances at once are more than etcd takes in one step: %d"):format(#draft.order, M.MOST),
      "change them in several steps")
  end
  local compare = {
    { key = prefix .. "meta", target = "mod", result = "=", value = snapshot.meta_revision },
    { key = prefix .. "ids", target = "mod", result = "=", value = snapshot.ids_revision },
  }
  if store.fence then
    compare[3] = { key = store.fence.key, target = "create", result = "=", value = store.fence.revision }
  end
  for _, id in ipairs(draft.order) do
    local record, held = draft.changed[id], snapshot.by_id[id]
    local key = records.key("m", record.acl, id)
    compare[#compare + 1] = { key = prefix .. key, target = "mod", result = "=", value = held and held.revision or 0 }
    draft:put(key, record)
  end
  draft:put("ids", draft.ids)
  return { compare = compare, success = draft.puts }
end

--- Is an error one that leaves open whether a write was done?
local function is_doubt(problem)
  return errors.is(problem) and (problem.kind == "doubt" or problem.in_doubt ~= nil)
end

--- Was one of these drafts written? Call this after the read on which the next draft is made: one that is written later
-- has the same `ids` beneath it as the next one, which then is not carried out.
local function was_done(store, drafts)
  for _, draft in ipairs(drafts) do
    local kv = store.client:range({ key = draft.log_key }).kvs[1]
    if kv and records.decode(kv.key, kv.value).token == draft.ids.token then
      return true
    end
  end
  return false
end

--- Refuse to go on once the place that a write depends on is another's.
local function check_fence(store)
  local kv = store.fence and store.client:range({ key = store.fence.key }).kvs[1]
  if store.fence and (not kv or kv.create_revision ~= store.fence.revision) then
    errors.refuse("another node plans the windows of the fleet now")
  end
end

local function pause(attempt)
  task.sleep(math.random() * 0.02 * attempt)
end

--- Write: read, have `make` put a draft together, and carry it out; again where others were faster. Where the outcome is
-- in doubt, look for it.
---@param store haplua.EtcdStore
---@param writer string?  who, for people
---@param make fun(draft: haplua.etcd.Draft)  adds one change to the history; called again at each attempt
function M.write(store, writer, make)
  local doubtful, problem = {}, nil
  for attempt = 1, ATTEMPTS do
    local snapshot = M.read(store)
    if was_done(store, doubtful) then
      return
    elseif not snapshot.writable then
      errors.refuse(("the fleet '%s' is written by a later haplua: this one only reads it"):format(store.fleet),
        "install that one on this machine")
    end
    local draft = setmetatable({
      snapshot = snapshot, prefix = store.prefix, writer = writer, changed = {}, order = {}, puts = {},
      ids = { m = snapshot.ids.m, log = snapshot.ids.log, token = records.token() },
    }, Draft)
    make(draft)
    local ok, answer = pcall(store.client.txn, store.client, transaction_of(draft, store))
    if ok and answer.succeeded then
      store.revision = math.max(store.revision, answer.revision)
      return
    elseif not ok and not is_doubt(answer) then
      error(answer, 0)
    elseif not ok then
      doubtful[#doubtful + 1], problem = draft, answer
    end
    check_fence(store)
    pause(attempt)
  end
  error(problem or errors.new({ kind = "refused", message = "others change the fleet's maintenances all the time",
    advice = "nothing was changed; try again" }), 0)
end

--- Set fields of one record, whatever else it holds.
---@param store haplua.EtcdStore
---@param key string  without the prefix
---@param set table
function M.amend(store, key, set)
  key = store.prefix .. key
  for attempt = 1, ATTEMPTS do
    local kv = store.client:range({ key = key }).kvs[1]
    if not kv then
      return -- pruned meanwhile
    end
    local record = records.decode(key, kv.value)
    for name, value in pairs(set) do
      record[name] = value
    end
    local ok, answer = pcall(store.client.txn, store.client, {
      compare = { { key = key, target = "mod", result = "=", value = kv.mod_revision } },
      success = { { "put", key = key, value = records.encode(record) } },
    })
    if ok and answer.succeeded then
      return
    elseif not ok and not is_doubt(answer) then
      error(answer, 0)
    end
    pause(attempt)
  end
end

return M
