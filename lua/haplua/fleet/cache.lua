-- SPDX-License-Identifier: MIT
--
--- What a node remembers of its fleet beside the maintenances, in its journal: how far it has read, so that no later read
-- is older, whatever becomes of the process. The table is there once a fleet was configured; older versions of haplua
-- pass over it.

local M = {}

---@class haplua.fleet.Cache
---@field private store haplua.Store  of SQLite
---@field private fleet string
---@field uid string?  the fleet's
---@field generation integer  of the store: another one was accepted by a person
---@field restored boolean  the store had less than what was read before, and nobody has accepted that
---@field private token string?  of the latest change that this process has read
---@field revision integer  of the latest change of a maintenance that was read
---@field private known table<string, integer>  revisions of maintenances, by "ID UID"
local Cache = {}
Cache.__index = Cache

--- Open the cache of a fleet.
---@param store haplua.Store
---@param fleet string
---@return haplua.fleet.Cache
function M.open(store, fleet)
  store:run([[CREATE TABLE IF NOT EXISTS fleet (name TEXT NOT NULL, key TEXT NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (name, key)) WITHOUT ROWID]])
  local self = setmetatable({ store = store, fleet = fleet, revision = 0, generation = 0, restored = false, known = {} }, Cache)
  for _, row in ipairs(store:run("SELECT key, revision FROM fleet WHERE name = ?", fleet)) do
    local uid = row.key:match("^uid (.*)$")
    if uid then
      self.uid = uid
    elseif row.key == "revision" or row.key == "generation" then
      self[row.key] = row.revision
    elseif row.key == "restored" then
      self.restored = true
    else
      self.known[row.key] = row.revision
    end
  end
  return self
end

--- What a node remembers, without beginning to; nil: nothing.
---@param store haplua.Store
---@param fleet string
---@return {uid: string?, revision: integer}?
function M.peek(store, fleet)
  local there = store:run("SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'fleet'")[1]
  return there and M.open(store, fleet) or nil
end

--- Write a row. This does not wait for the disk: a row that is lost is written again.
local function write(self, key, revision)
  self.store:synchronous("NORMAL")
  self.store:run("INSERT INTO fleet VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET revision = excluded.revision", self.fleet,
    key, revision)
end

--- The latest revision of a maintenance that was read.
---@param id integer
---@param uid string
---@return integer?
function Cache:seen(id, uid)
  return self.known[("%d %s"):format(id, uid)]
end

--- Is a record older than what was read of it before?
---@param record haplua.fleet.Record
---@return boolean
function Cache:is_older(record)
  return record.revision < (self:seen(record.id, record.uid) or 0)
end

--- The revision of the latest change in a read. A change writes its maintenances and `ids` at one revision, and the events
-- of a watch bring the former alone.
---@param read haplua.etcd.Snapshot
---@param records haplua.fleet.Record[]
---@return integer
local function revision_of(read, records)
  local revision = read.ids_revision
  for _, record in ipairs(records) do
    revision = math.max(revision, record.revision)
  end
  return revision
end

--- Has a read less than what was read before? That is remembered: later changes do not bring back what is forgotten.
---@param read haplua.etcd.Snapshot
---@param records haplua.fleet.Record[]
---@return boolean
function Cache:is_restored(read, records)
  local revision = revision_of(read, records)
  local is_same = revision == self.revision and self.token and read.ids.token == self.token
  if read.generation < self.generation or revision < self.revision then
    self:refuse()
  elseif self.restored and is_same then
    self.restored = false
    self.store:run("DELETE FROM fleet WHERE name = ? AND key = 'restored'", self.fleet)
  end
  return self.restored
end

--- Take nothing more of this generation.
function Cache:refuse()
  if not self.restored then
    self.restored = true
    write(self, "restored", 1)
  end
end

--- Take what a later generation has, whatever was read before.
---@param generation integer
function Cache:accept(generation)
  self.store:run("DELETE FROM fleet WHERE name = ? AND key NOT LIKE 'uid %'", self.fleet)
  self.revision, self.known, self.restored, self.generation = 0, {}, false, generation
  write(self, "generation", generation)
end

--- Forget all, where it is of a fleet that has another identity.
---@param uid string
---@return boolean  it was of another one
function Cache:forget_other(uid)
  if not self.uid or self.uid == uid then
    return false
  end
  self.store:run("DELETE FROM fleet WHERE name = ?", self.fleet)
  self.uid, self.revision, self.known, self.generation, self.restored = nil, 0, {}, 0, false
  return true
end

--- Remember a read. Call this after what it says was written.
---@param read haplua.etcd.Snapshot
---@param records haplua.fleet.Record[]
function Cache:remember(read, records)
  if not self.uid then
    self.uid, self.generation = read.uid, read.generation
    write(self, "uid " .. read.uid, 0)
    write(self, "generation", read.generation)
  end
  local revision = revision_of(read, records)
  self.token = revision == read.ids_revision and read.ids.token or nil -- events bring none: the next whole read does
  local known = {}
  for _, record in ipairs(records) do
    local key = ("%d %s"):format(record.id, record.uid)
    known[key] = math.max(record.revision, self.known[key] or 0)
    if known[key] ~= self.known[key] then
      write(self, key, known[key])
    end
  end
  for key in pairs(self.known) do
    if not known[key] then
      self.store:run("DELETE FROM fleet WHERE name = ? AND key = ?", self.fleet, key)
    end
  end
  self.known = known
  if revision ~= self.revision then
    self.revision = revision
    write(self, "revision", revision)
  end
end

return M
