-- SPDX-License-Identifier: MIT
--
--- The keys of a fake etcd: every version of each since the latest compaction, and the leases. No clock, no I/O, no faults:
-- haplua.test.etcd adds these. tests/fleet/corpus holds what etcd itself answers.

local errors = require("haplua.error")

local M = {}

-- --max-txn-ops
local MOST <const> = 128

---@class haplua.test.etcd.KeyValue
---@field key string
---@field value string
---@field create_revision integer
---@field mod_revision integer
---@field version integer
---@field lease integer

---@class haplua.test.etcd.Keys
---@field revision integer  of the latest write
---@field compacted integer  of the latest compaction; 0: there was none
---@field names string[]  every key that has a version, sorted
---@field versions table<string, haplua.test.etcd.KeyValue[]>  the oldest first; version 0 is a deletion
---@field log haplua.test.etcd.KeyValue[]  every write since the compaction, the oldest first
---@field writes integer
---@field leases table<integer, {ttl: integer, keys: table<string, boolean>}>
---@field no_space boolean  the alarm NOSPACE
local Keys = {}
Keys.__index = Keys

---@return haplua.test.etcd.Keys
function M.new()
  return setmetatable({ revision = 1, compacted = 0, names = {}, versions = {}, log = {}, leases = {}, no_space = false,
    writes = 0, serial = 7000 }, Keys)
end

--- Raise what etcd answers with a status other than 0.
---@param code integer  gRPC's
---@param text string  etcd's words
local function refuse(code, text)
  error(errors.new({ kind = "refused", message = "etcd: " .. text, code = tostring(code) }), 0)
end

M.refuse = refuse

--- The first place in a sorted list whose text is not below `key`.
local function find(list, key)
  local from, to = 1, #list + 1
  while from < to do
    local middle = (from + to) // 2
    if list[middle] < key then
      from = middle + 1
    else
      to = middle
    end
  end
  return from
end

--- The end of the range that an operation names: nil is one key, false everything from `key` on.
---@return string|false|nil
local function range_end(op)
  if op.prefix then
    local head = op.key:gsub("\xff+$", "")
    return head ~= "" and head:sub(1, -2) .. string.char(head:byte(-1) + 1) or false
  elseif op.range_end == nil or op.range_end == "" then
    return nil
  end
  return op.range_end ~= "\0" and op.range_end
end

--- Does an operation's range have a key?
---@param op {key: string, range_end: string?, prefix: boolean?}
---@return boolean
function M.covers(op, key)
  local stop = range_end(op)
  if stop == nil then
    return key == op.key
  end
  return key >= op.key and (not stop or key < stop)
end

--- A key as it was at a revision; nil: it was not there.
local function version_at(versions, revision)
  for i = #versions, 1, -1 do
    local kv = versions[i]
    if kv.mod_revision <= revision then
      return kv.version > 0 and kv or nil
    end
  end
end

---@param key string
---@param revision integer?
---@return haplua.test.etcd.KeyValue?
function Keys:get(key, revision)
  local versions = self.versions[key]
  return versions and version_at(versions, revision or self.revision) or nil
end

--- The keys of a range that have a version, sorted.
---@return string[]
local function names_of(self, op)
  local stop, found = range_end(op), {}
  if stop == nil then
    return { self.versions[op.key] and op.key or nil }
  end
  for i = find(self.names, op.key), #self.names do
    local name = self.names[i]
    if stop and name >= stop then
      break
    end
    found[#found + 1] = name
  end
  return found
end

--- Those of a range at a revision, sorted.
---@return haplua.test.etcd.KeyValue[]
local function select(self, op, revision)
  local found = {}
  for _, name in ipairs(names_of(self, op)) do
    found[#found + 1] = version_at(self.versions[name], revision)
  end
  return found
end

local function copy(kv, without_value)
  return {
    key = kv.key, value = without_value and "" or kv.value, create_revision = kv.create_revision,
    mod_revision = kv.mod_revision, version = kv.version, lease = kv.lease,
  }
end

M.copy = copy

--- Answer a range. Raises as etcd does where the revision is compacted, or is to come.
---@param op table  as the client's range()
---@param seen integer?  the latest revision that the member has
---@return table
function Keys:range(op, seen)
  local latest = seen or self.revision
  local revision = (op.revision or 0) > 0 and op.revision or latest
  if revision > latest then
    refuse(11, "mvcc: required revision is a future revision")
  elseif revision < self.compacted then
    refuse(11, "mvcc: required revision has been compacted")
  end
  local all, kvs = select(self, op, revision), {}
  local limit = (op.limit or 0) > 0 and op.limit or #all
  for i = 1, op.count_only and 0 or math.min(limit, #all) do
    kvs[i] = copy(all[i], op.keys_only)
  end
  return { revision = latest, count = #all, more = not op.count_only and #all > limit, kvs = kvs }
end

-- Writing.

--- Add a version of a key. `version` 0 is a deletion.
local function write(self, kv)
  if not self.versions[kv.key] then
    self.versions[kv.key] = {}
    table.insert(self.names, find(self.names, kv.key), kv.key)
  end
  self.writes = self.writes + 1
  kv.serial = self.writes
  table.insert(self.versions[kv.key], kv)
  self.log[#self.log + 1] = kv
end

local function put(self, op, revision)
  local before = self:get(op.key, revision)
  local lease = op.lease or 0
  if before and before.lease ~= 0 and self.leases[before.lease] then
    self.leases[before.lease].keys[op.key] = nil
  end
  if lease ~= 0 then
    self.leases[lease].keys[op.key] = true
  end
  write(self, { key = op.key, value = op.value or "", create_revision = before and before.create_revision or revision,
    mod_revision = revision, version = (before and before.version or 0) + 1, lease = lease })
end

local function delete(self, op, revision)
  local found = select(self, op, revision)
  for _, kv in ipairs(found) do
    if kv.lease ~= 0 and self.leases[kv.lease] then
      self.leases[kv.lease].keys[kv.key] = nil
    end
    write(self, { key = kv.key, value = "", create_revision = 0, mod_revision = revision, version = 0, lease = 0 })
  end
  return #found
end

local fields = { mod = "mod_revision", create = "create_revision", version = "version", lease = "lease", value = "value" }

--- Is a condition of a transaction true? A key that is not there has revisions, version and lease 0, and no value.
local function holds(self, compare)
  local kv = self:get(compare.key)
  local field = fields[compare.target]
  if not kv and field == "value" then
    return false
  end
  local found, value = kv and kv[field] or 0, compare.value or 0
  if compare.result == "=" then
    return found == value
  elseif compare.result == "!=" then
    return found ~= value
  elseif compare.result == "<" then
    return found < value
  end
  return found > value
end

--- Refuse what etcd refuses of the operations of a transaction before it looks at the conditions.
local function check_ops(self, ops)
  local put_keys = {}
  if #ops > MOST then
    refuse(3, "too many operations in txn request")
  end
  for _, op in ipairs(ops) do
    if op[1] == "put" then
      if put_keys[op.key] then
        refuse(3, "duplicate key given in txn request")
      end
      put_keys[op.key] = true
      if self.no_space then
        refuse(8, "mvcc: database space exceeded")
      end
    end
  end
end

--- Refuse, before anything of it is done, what puts a key under a lease that is gone.
local function check_leases(self, ops)
  for _, op in ipairs(ops) do
    if op[1] == "put" and (op.lease or 0) ~= 0 and not self.leases[op.lease] then
      refuse(5, "requested lease not found")
    end
  end
end

--- Carry a transaction out. All that it writes has one revision.
---@param txn table  as the client's txn()
---@return table
function Keys:txn(txn)
  check_ops(self, txn.success or {})
  check_ops(self, txn.failure or {})
  check_ops(self, txn.compare or {})
  local succeeded = true
  for _, compare in ipairs(txn.compare or {}) do
    succeeded = succeeded and holds(self, compare)
  end
  local ops, revision, responses, written = succeeded and txn.success or txn.failure or {}, self.revision + 1, {}, #self.log
  check_leases(self, ops)
  for i, op in ipairs(ops) do
    if op[1] == "put" then
      put(self, op, revision)
      responses[i] = {}
    elseif op[1] == "delete" then
      responses[i] = { deleted = delete(self, op, revision) }
    else
      responses[i] = self:range(op, #self.log > written and revision or self.revision)
    end
  end
  if #self.log > written then
    self.revision = revision
  end
  return { succeeded = succeeded, revision = self.revision, responses = responses }
end

--- Forget what was before a revision. Watches from an earlier one are not possible any more.
---@param revision integer
function Keys:compact(revision)
  if revision > self.revision then
    refuse(11, "mvcc: required revision is a future revision")
  elseif revision <= self.compacted then
    refuse(11, "mvcc: required revision has been compacted")
  end
  self.compacted = revision
  local log = {}
  for _, event in ipairs(self.log) do
    log[#log + 1] = event.mod_revision >= revision and event or nil
  end
  self.log = log
  for i = #self.names, 1, -1 do
    local name = self.names[i]
    local versions, kept = self.versions[name], {}
    local at = version_at(versions, revision)
    for _, kv in ipairs(versions) do
      kept[#kept + 1] = (kv == at or kv.mod_revision >= revision) and kv or nil
    end
    self.versions[name] = kept
    if #kept == 0 then
      self.versions[name] = nil
      table.remove(self.names, i)
    end
  end
end

-- Leases.

---@param ttl integer  seconds
---@return integer id
function Keys:grant(ttl)
  if self.no_space then
    refuse(8, "mvcc: database space exceeded")
  end
  self.serial = self.serial + 1
  self.leases[self.serial] = { ttl = ttl, keys = {} }
  return self.serial
end

--- End a lease, and delete the keys under it.
---@param id integer
---@return boolean there  it was there
function Keys:revoke(id)
  local lease = self.leases[id]
  if not lease then
    return false
  end
  self.leases[id] = nil
  local names = {}
  for name in pairs(lease.keys) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    delete(self, { key = name }, self.revision + 1)
  end
  self.revision = self.revision + (#names > 0 and 1 or 0)
  return true
end

--- The leases of the keys of a range.
---@param op {key: string, prefix: boolean?, range_end: string?}
---@return integer[]
function Keys:leases_of(op)
  local found = {}
  for _, name in ipairs(names_of(self, op)) do
    local versions = self.versions[name]
    local lease = versions[#versions].lease
    found[#found + 1] = lease ~= 0 and lease or nil
  end
  return found
end

-- Watching.

--- The events of a range from a revision on.
---@param op {key: string, prefix: boolean?, range_end: string?}
---@param from integer
---@param to integer  the latest revision that the member has
---@return table[] events  raises nothing; the caller looks at `compacted` first
function Keys:events(op, from, to)
  local found = {}
  for _, name in ipairs(names_of(self, op)) do
    local versions = self.versions[name]
    local i = #versions
    while i > 0 and versions[i].mod_revision >= from do
      found[#found + 1] = versions[i].mod_revision <= to and versions[i] or nil
      i = i - 1
    end
  end
  table.sort(found, function(a, b)
    return a.serial < b.serial
  end)
  for i, kv in ipairs(found) do
    found[i] = { type = kv.version > 0 and "put" or "delete", kv = copy(kv) }
  end
  return found
end

--- The keys that were written since a revision.
---@param from integer
---@return string[]
function Keys:written(from)
  local found, i = {}, #self.log
  while i > 0 and self.log[i].mod_revision >= from do
    found[#found + 1], i = self.log[i].key, i - 1
  end
  return found
end

-- Snapshots.

local function deep(value)
  if type(value) ~= "table" then
    return value
  end
  local made = {}
  for key, item in pairs(value) do
    made[key] = deep(item)
  end
  return made
end

--- A copy of all, as `etcdctl snapshot save` makes one.
---@return haplua.test.etcd.Keys
function Keys:snapshot()
  return setmetatable(deep(self), Keys)
end

return M
