-- SPDX-License-Identifier: MIT
--
--- What the nodes of a fleet say of themselves, in etcd: keys below nd/NODE/, which the node alone writes. Its maintenances
-- do not depend on them.
--
--   nd/NODE/card          what it is: place, labels, switches, version
--   nd/NODE/live          it runs: under a lease, so that it goes when the node does
--   nd/NODE/seen/SWITCH   what it has made of the maintenances of a switch, and when, by its clock
--   nd/NODE/can/TOKEN     its answer to a question: could it carry a change out? Under a lease

local records = require("haplua.store.etcd_records")

local M = {}

---@class haplua.fleet.Seen  what a node has made of a switch
---@field revision integer  of the latest change of a maintenance of this switch that it has carried out
---@field ids integer[]  the maintenances that are in force on it
---@field outcome string  "done", or what is wrong
---@field worker integer?  HAProxy's process
---@field probed string?  what the switch's probes have shown: "asked" (they are under way), "good", or what is wrong
---@field at number  by the node's clock
---@field unsynchronised boolean?  nothing synchronises that clock

---@class haplua.fleet.NodeState
---@field name string
---@field card table?
---@field live {at: number, store: integer, refused: string?}?  nil: it does not run, or does not reach the store; `refused`:
--- why it takes nothing of the store
---@field seen table<string, haplua.fleet.Seen>  by switch
---@field can table<string, {problem: string?, at: number}>?  by the question's token; no problem: it could

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
---@param record {at: number, store: integer, refused: string?}
function M.put_live(store, node, lease, record)
  put(store, head(store, node) .. "live", record, lease)
end

---@param switch string
---@param seen haplua.fleet.Seen
function M.put_seen(store, node, switch, seen)
  put(store, head(store, node) .. "seen/" .. records.escape(switch), seen)
end

--- Answer a question.
---@param token string  of the question
---@param lease integer
---@param can {problem: string?, at: number}
function M.put_can(store, node, token, lease, can)
  put(store, head(store, node) .. "can/" .. token, can, lease)
end

--- A node as haplua.plan.fleet takes it: its name, and the labels of its card.
---@param node haplua.fleet.NodeState
---@return {name: string, labels: table<string, string>}
function M.labelled(node)
  return { name = node.name, labels = (node.card or {}).labels or {} }
end

--- Put one key below nd/ into what is known of the nodes.
---@param store haplua.EtcdStore
---@param known table<string, haplua.fleet.NodeState>  by name
---@param key string
---@param value string?  nil: the key is gone
function M.take(store, known, key, value)
  local prefix = store.prefix .. "nd/"
  local part, rest = key:sub(#prefix + 1):match("^([^/]+)/(.+)$")
  local ok, record
  if part and value then
    ok, record = pcall(records.decode, key, value)
  end
  local name = part and (ok or not value) and records.unescape(part)
  if not name then
    return
  end
  known[name] = known[name] or { name = name, seen = {} }
  local node, switch = known[name], rest:match("^seen/(.+)$")
  if switch then
    node.seen[records.unescape(switch)] = record
  elseif rest:find("^can/") then
    node.can = node.can or {}
    node.can[rest:sub(5)] = record
  elseif rest == "card" or rest == "live" then
    node[rest] = record
  end
end

--- All nodes.
---@param store haplua.EtcdStore
---@return table<string, haplua.fleet.NodeState> known  by name
---@return integer revision  of the store
function M.known(store)
  local known = {}
  local read = store.client:range({ key = store.prefix .. "nd/", prefix = true })
  for _, kv in ipairs(read.kvs) do
    M.take(store, known, kv.key, kv.value)
  end
  return known, read.revision
end

--- All nodes in the order of their names.
---@param known table<string, haplua.fleet.NodeState>
---@return haplua.fleet.NodeState[]
function M.sorted(known)
  local list = {}
  for _, node in pairs(known) do
    list[#list + 1] = node
  end
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  return list
end

--- Remove all that is known of a node.
---@param store haplua.EtcdStore
---@param node string
function M.forget(store, node)
  store.client:txn({ success = { { "delete", key = head(store, node), prefix = true } } })
end

--- The node that plans the windows.
---@param store haplua.EtcdStore
---@return string?
function M.planner(store)
  local kv = store.client:range({ key = store.prefix .. "elect/planner" }).kvs[1]
  return kv and records.decode(kv.key, kv.value).node
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
