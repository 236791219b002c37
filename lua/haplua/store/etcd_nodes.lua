-- SPDX-License-Identifier: MIT
--
--- What the nodes of a fleet say of themselves, in etcd: keys below nd/NODE/, which the node alone writes. Its maintenances
-- do not depend on them.
--
--   nd/NODE/card          what it is: place, labels, switches, version
--   nd/NODE/live          it runs: under a lease, so that it goes when the node does
--   nd/NODE/seen/SWITCH   what it has made of the maintenances of a switch, and when, by its clock

local records = require("haplua.store.etcd_records")

local M = {}

---@class haplua.fleet.Seen  what a node has made of a switch
---@field revision integer  of the latest change of a maintenance of this switch that it has carried out
---@field ids integer[]  the maintenances that are in force on it
---@field outcome string  "done", or what is wrong
---@field worker integer?  HAProxy's process
---@field at number  by the node's clock

---@class haplua.fleet.NodeState
---@field name string
---@field card table?
---@field live table?  nil: it does not run, or does not reach the store
---@field seen table<string, haplua.fleet.Seen>  by switch

local function head(store, node)
  return ("%snd/%s/"):format(store.prefix, records.escape(node))
end

local function put(store, key, record, lease)
  store.client:txn({ success = { { "put", key = key, value = records.encode(record), lease = lease } } })
end

---@param store haplua.EtcdStore
---@param node string
---@param card {place: string?, labels: table?, switches: string[], version: string}
function M.put_card(store, node, card)
  put(store, head(store, node) .. "card", card)
end

---@param lease integer
---@param record {at: number}
function M.put_live(store, node, lease, record)
  put(store, head(store, node) .. "live", record, lease)
end

---@param switch string
---@param seen haplua.fleet.Seen
function M.put_seen(store, node, switch, seen)
  put(store, head(store, node) .. "seen/" .. records.escape(switch), seen)
end

--- All nodes, by name.
---@param store haplua.EtcdStore
---@return haplua.fleet.NodeState[]
function M.read(store)
  local prefix, nodes, by_name = store.prefix .. "nd/", {}, {}
  for _, kv in ipairs(store.client:range({ key = prefix, prefix = true }).kvs) do
    local part, rest = kv.key:sub(#prefix + 1):match("^([^/]+)/(.+)$")
    local ok, record = pcall(records.decode, kv.key, kv.value)
    local name = part and records.unescape(part)
    if ok and name then
      local node = by_name[name] or { name = name, seen = {} }
      if not by_name[name] then
        by_name[name], nodes[#nodes + 1] = node, node
      end
      local switch = rest:match("^seen/(.+)$")
      if switch then
        node.seen[records.unescape(switch)] = record
      elseif rest == "card" or rest == "live" then
        node[rest] = record
      end
    end
  end
  return nodes
end

--- Stand for election: the node becomes the planner if there is none.
---@param store haplua.EtcdStore
---@param node string
---@param lease integer
---@return {key: string, revision: integer}? fence  for the store's writes; nil: another node is the planner
function M.elect(store, node, lease)
  local key = store.prefix .. "elect/planner"
  local answer = store.client:txn({
    compare = { { key = key, target = "create", result = "=", value = 0 } },
    success = { { "put", key = key, value = records.encode({ node = node }), lease = lease } },
    failure = { { "range", key = key } },
  })
  if answer.succeeded then
    return { key = key, revision = answer.revision }
  end
  local kv = answer.responses[1].kvs[1]
  return kv and kv.lease == lease and { key = key, revision = kv.create_revision } or nil
end

return M
