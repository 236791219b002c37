-- SPDX-License-Identifier: MIT
--
--- What a node makes of the maintenances of its fleet: edits of its own store. A maintenance of the fleet is one of the
-- node's, found again by its `occurrence`. It ends by the fleet's word or by its `ends`, and never since it is not there.

local maintenance = require("haplua.plan.maintenance")

local M = {}

---@class haplua.fleet.Record: haplua.Maintenance  a maintenance as the fleet's store has it
---@field uid string  differs for two maintenances that have the same number, in a store that was put back
---@field revision integer  of its latest change
---@field nodes string[]?  the nodes that it is for; nil: all
---@field labels table<string, string>?  it is for the nodes that have these labels
---@field rollout haplua.fleet.Rollout?  its stages are not all begun

---@class haplua.fleet.Node
---@field fleet string
---@field name string
---@field labels table<string, string>
---@field target string  as the node's store names its HAProxy
---@field list fun(switch: string): string?  the list of a switch here; nil: there is no such switch

---@class haplua.fleet.Read  what was read of the fleet
---@field records haplua.fleet.Record[]
---@field pruned table<string, integer>  by switch: the number until which what is not there was ended
---@field seen fun(id: integer, uid: string): any  has the node read this one before?
---@field unread table<integer, boolean>  numbers that are there, of records that cannot be read or are not believed

local FIELDS <const> = { "bypass", "reason", "begins", "ends" }

--- The `occurrence` of a fleet's maintenance.
---@param fleet string
---@param record {id: integer, uid: string}
---@return string
function M.occurrence(fleet, record)
  return ("fleet|%s|%d|%s"):format(fleet, record.id, record.uid)
end

--- The number that the fleet knows a node's maintenance by; nil: it is none of the fleet's.
---@param fleet string
---@param m haplua.Maintenance
---@return integer? id, string? uid
function M.id(fleet, m)
  local head = ("fleet|%s|"):format(fleet)
  if not m.occurrence or m.occurrence:sub(1, #head) ~= head then
    return nil
  end
  local id, uid = m.occurrence:sub(#head + 1):match("^(%d+)|(.*)$")
  return math.tointeger(tonumber(id)), uid
end

--- Is a maintenance for this node?
---@param record haplua.fleet.Record
---@param node {name: string, labels: table<string, string>}
---@return boolean
function M.is_for(record, node)
  local named = record.nodes == nil
  for _, name in ipairs(record.nodes or {}) do
    named = named or name == node.name
  end
  for label, value in pairs(record.labels or {}) do
    named = named and node.labels[label] == value
  end
  return named
end

--- Is one of these for this node?
---@param list haplua.fleet.Record[]
---@param node {name: string, labels: table<string, string>}
---@return boolean
function M.concerns(list, node)
  for _, record in ipairs(list) do
    if M.is_for(record, node) then
      return true
    end
  end
  return false
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in pairs(a) do
    if not same(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

--- Are two maintenances for the same nodes?
---@param a {nodes: string[]?, labels: table?}
---@param b {nodes: string[]?, labels: table?}
---@return boolean
function M.is_for_same(a, b)
  return same(a.nodes, b.nodes) and same(a.labels, b.labels)
end

--- Those fields of a node's maintenance that are not as the fleet has them.
local function differences(record, m)
  local set = not same(record.scope, m.scope) and { scope = record.scope } or {}
  for _, name in ipairs(FIELDS) do
    if not same(record[name], m[name]) then
      set[name] = record[name] or false
    end
  end
  return set
end

--- Has the node a maintenance in force otherwise than a record says?
---@param record haplua.fleet.Record
---@param m haplua.Maintenance
---@param node haplua.fleet.Node
---@return boolean
function M.is_other(record, m, node)
  return not m.ended and (record.ended ~= nil or not M.is_for(record, node) or next(differences(record, m)) ~= nil)
end

--- Has the node ended what the fleet has in force? Its end may have been put off, or somebody has ended it here.
local function may_reopen(record, now)
  return not record.ended and (not record.ends or record.ends > now)
end

local function added(node, record, list)
  local m = maintenance.with(record, {
    id = false, uid = false, revision = false, nodes = false, labels = false, rollout = false, target = node.target, acl = list,
    occurrence = M.occurrence(node.fleet, record),
  })
  return { add = m }
end

--- The edit for one maintenance of the fleet; nil: the node has it.
---@param m haplua.Maintenance?  the node's
---@return haplua.Edit?, boolean? by_hand  it was ended here, by nobody of the fleet
local function edit_for(node, record, m, list, now)
  if not M.is_for(record, node) then -- it was narrowed to others
    return m and not m.ended and maintenance.ending(m, now, "change") or nil
  elseif not m then
    return may_reopen(record, now) and added(node, record, list) or nil
  elseif record.ended then
    return not m.ended and maintenance.ending(m, record.ended, record.why or "off", record.ended_by) or nil
  end
  local set = differences(record, m)
  if m.ended and may_reopen(record, now) then
    set.ended, set.ended_by, set.why = false, false, false
    return { of = m, set = set }, m.why ~= "expired" and m.why ~= "change"
  end
  return not m.ended and next(set) and { of = m, set = set } or nil
end

---@class haplua.fleet.Merge
---@field edits haplua.Edit[]
---@field reopened haplua.fleet.Record[]  those that were ended on this node by hand
---@field unknown haplua.fleet.Record[]  those of a switch that the node does not have
---@field again boolean?  only numbers are changed: merge again
---@field lost haplua.Maintenance[]  those in force on the node that the fleet's store does not have, without a word

--- Those of a node's maintenances that the fleet has under another number: somebody has given them back to it.
local function renumbered(node, read, current)
  local edits, numbers = {}, {}
  for _, record in ipairs(read.records) do
    numbers[record.uid] = record
  end
  for _, m in ipairs(current) do
    local id, uid = M.id(node.fleet, m)
    local record = uid and uid ~= "-" and numbers[uid]
    if record and record.id ~= id and node.list(record.acl) == m.acl then
      edits[#edits + 1] = { of = m, set = { occurrence = M.occurrence(node.fleet, record) } }
    end
  end
  return edits
end

--- What a node has to change for what was read of the fleet. Where maintenances have other numbers now, only those are
--- changed: then call it again.
---@param node haplua.fleet.Node
---@param read haplua.fleet.Read
---@param find fun(acl: string, occurrence: string): haplua.Maintenance?  in the node's store, ended or not
---@param current haplua.Maintenance[]  of the node's store: those not ended
---@param now number
---@return haplua.fleet.Merge
function M.merge(node, read, find, current, now)
  local merge, there = { edits = renumbered(node, read, current), reopened = {}, unknown = {}, lost = {} }, {}
  if #merge.edits > 0 then
    merge.again = true
    return merge
  end
  for _, record in ipairs(read.records) do
    local list = node.list(record.acl)
    there[M.occurrence(node.fleet, record)] = true
    if list then
      local edit, by_hand = edit_for(node, record, find(list, M.occurrence(node.fleet, record)), list, now)
      merge.edits[#merge.edits + 1] = edit
      merge.reopened[#merge.reopened + 1] = by_hand and record or nil
    elseif not record.ended and M.is_for(record, node) then
      merge.unknown[#merge.unknown + 1] = record
    end
  end
  local through = {}
  for switch, id in pairs(read.pruned) do
    through[node.list(switch) or false] = id
  end
  for _, m in ipairs(current) do
    local id, uid = M.id(node.fleet, m)
    if id and not there[m.occurrence] and not read.unread[id] and id <= (through[m.acl] or 0) and read.seen(id, uid) then
      merge.edits[#merge.edits + 1] = maintenance.ending(m, now, "off")
    elseif id and not there[m.occurrence] then
      merge.lost[#merge.lost + 1] = m
    end
  end
  return merge
end

return M
