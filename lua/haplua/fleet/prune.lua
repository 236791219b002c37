-- SPDX-License-Identifier: MIT
--
--- Remove from the fleet's store what has long been over. A maintenance goes once every node that lives has reported
-- what it made of its end. The key `pruned` of its switch then says that maintenances up to its number, where they are
-- not there, were ended: a node that comes back after a month has that word.

local nodes = require("haplua.store.etcd_nodes")
local records = require("haplua.store.etcd_records")
local task = require("haplua.task")

local M = {}

-- Seconds for which an ended maintenance is kept, and a change of the history.
M.KEEP = 7 * 86400
M.HISTORY = 400 * 86400

-- So many keys go in one transaction; etcd takes 128 operations.
local MOST <const> = 50

--- The latest revision of a switch that every node that lives has carried out.
---@param known table<string, haplua.fleet.NodeState>
local function seen_by_all(known, switch)
  local least = math.huge
  for _, node in pairs(known) do
    if node.live then
      least = math.min(least, (node.seen[switch] or { revision = 0 }).revision)
    end
  end
  return least
end

--- Those of a snapshot that may go, by switch.
---@return table<string, haplua.etcd.Held[]>
local function candidates(snapshot, known, before)
  local found = {}
  for _, held in ipairs(snapshot.list) do
    local over = held.record.ended or held.record.ends
    local switch = held.record.acl
    if over and over < before and held.revision <= seen_by_all(known, switch) then
      found[switch] = found[switch] or {}
      table.insert(found[switch], held)
    end
  end
  return found
end

--- Remove maintenances of one switch, unless somebody has changed one of them meanwhile.
local function remove(store, snapshot, switch, list)
  local key = store.prefix .. records.key("m", switch, "pruned")
  local through = snapshot.pruned[switch] or 0
  local txn = {
    compare = { { key = key, target = "mod", result = "=", value = snapshot.pruned_revisions[switch] or 0 } }, success = {},
  }
  if store.fence then
    table.insert(txn.compare, { key = store.fence.key, target = "create", result = "=", value = store.fence.revision })
  end
  for i = 1, math.min(#list, MOST) do
    local held = list[i]
    through = math.max(through, held.record.id)
    table.insert(txn.compare, { key = held.key, target = "mod", result = "=", value = held.revision })
    table.insert(txn.success, { "delete", key = held.key })
  end
  table.insert(txn.success, { "put", key = key, value = records.encode({ through = through }) })
  return store.client:txn(txn).succeeded and #txn.success - 1 or 0
end

--- Remove the oldest changes of a switch. The latest ones stay, however old.
local function remove_history(store, switch, before)
  local head = store.prefix .. "log/" .. records.escape(switch) .. "/"
  local read, ops = store.client:range({ key = head, prefix = true, limit = 2 * MOST }), {}
  for i = 1, math.min(MOST, #read.kvs - MOST) do
    local change = records.decode(read.kvs[i].key, read.kvs[i].value)
    if (change.time or math.huge) < before then
      ops[#ops + 1] = { "delete", key = read.kvs[i].key }
    end
  end
  if #ops > 0 then
    store.client:txn({ success = ops })
  end
end

--- Remove what is long over: a portion of it. An outcome in doubt needs no look: the next portion begins with a read.
---@param store haplua.EtcdStore
---@param keep number?  seconds; M.KEEP
---@return integer removed  maintenances
function M.run(store, keep)
  local snapshot, now, removed = store:snapshot(), task.time(), 0
  local switches = {}
  for switch, list in pairs(candidates(snapshot, (nodes.known(store)), now - (keep or M.KEEP))) do
    removed = removed + remove(store, snapshot, switch, list)
  end
  for _, held in ipairs(snapshot.list) do
    switches[held.record.acl] = true
  end
  for switch in pairs(switches) do
    remove_history(store, switch, now - M.HISTORY)
  end
  return removed
end

return M
