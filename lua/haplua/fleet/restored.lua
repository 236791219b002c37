-- SPDX-License-Identifier: MIT
--
--- A store that was restored from a snapshot has forgotten what was written since. No node takes what it says until a
--- person has accepted it, which begins a new generation.

local context = require("haplua.apply.context")
local fleet = require("haplua.plan.fleet")
local nodes = require("haplua.store.etcd_nodes")
local transaction = require("haplua.store.etcd_transaction")

local M = {}

--- Keep what a node knows in a later form than the store has it: as a maintenance of its own, beside the store's.
---@param cache haplua.fleet.Cache
---@param node haplua.fleet.Node
---@param store haplua.Store  the node's
---@param all haplua.fleet.Record[]
local function keep_later(cache, node, store, all)
  local edits = {}
  for _, record in ipairs(all) do
    local list = cache:is_older(record) and node.list(record.acl)
    local m = list and store:occurrence(node.target, list, fleet.occurrence(node.fleet, record))
    if m and fleet.is_other(record, m, node) then
      -- the revision: all nodes that know this form call it the same
      local uid = ("%s+%d"):format(record.uid, cache:seen(record.id, record.uid))
      edits[#edits + 1] = { of = m, set = { occurrence = fleet.occurrence(node.fleet, { id = record.id, uid = uid }) } }
    end
  end
  if #edits > 0 then
    store:edit(edits)
  end
end

--- Refuse a read of a store that was restored, until a person has accepted it.
---@param cache haplua.fleet.Cache
---@param node haplua.fleet.Node
---@param store haplua.Store  the node's
---@param all haplua.fleet.Record[]
---@param read haplua.etcd.Snapshot
function M.check(cache, node, store, all, read)
  if cache.uid and read.generation > cache.generation then
    keep_later(cache, node, store, all)
    cache:accept(read.generation)
  elseif cache:is_restored(read, all) then
    transaction.refuse_restored(("the store has forgotten the change of revision %d, which this node has read"):format(
      cache.revision))
  end
end

--- The maintenances that nodes have in force and the store does not have: a line for each.
---@param f haplua.FleetContext
---@return string[] lines, integer latest  the latest number that a node has reported
local function only_on_nodes(f)
  local there, latest, only, lines = {}, 0, {}, {}
  for _, record in ipairs((f.store:records())) do
    there[record.id] = true
  end
  for _, node in ipairs(nodes.sorted((nodes.known(f.store)))) do
    for switch, seen in pairs(node.seen) do
      for _, id in ipairs(seen.ids or {}) do
        latest = math.max(latest, id)
        local key = ("m%d of %s"):format(id, switch)
        only[key] = not there[id] and (only[key] or "") .. " " .. node.name or nil
      end
    end
  end
  for key, names in pairs(only) do
    lines[#lines + 1] = ("%s is not in the store, and stays in force on%s"):format(key, names)
  end
  table.sort(lines)
  return lines, latest
end

--- Accept what the store has.
---@param f haplua.FleetContext
---@param switches string[]  of the configuration: their histories tell of it
---@return string[] lines  for people
function M.accept(f, switches)
  local lines, latest = only_on_nodes(f)
  local wishes = {}
  for i, name in ipairs(switches) do
    wishes[i] = context.sign(f, { action = "accept", patterns = {} })
    wishes[i].target, wishes[i].acl, wishes[i].switch = f.name, name, name
  end
  f.store:accept(wishes, latest)
  if #lines > 0 then
    lines[#lines + 1] = "`haplua fleet join --import` on such a node gives it back to the fleet, and `maint off --local` "
      .. "ends it there"
  end
  table.insert(lines, 1, ("the nodes of the fleet %s go on with what its store has"):format(f.name))
  return lines
end

return M
