-- SPDX-License-Identifier: MIT
--
--- Wait for what the nodes of a fleet report: on a change that they carry out, or on a question.

local fleet = require("haplua.plan.fleet")
local nodes = require("haplua.store.etcd_nodes")
local shown = require("haplua.fleet.progress")
local task = require("haplua.task")

local M = {}

---@class haplua.FleetNode  a node that a change, or a question, is for
---@field name string
---@field state "done"|"failed"|"behind"|"dead"
---@field text string?  failed: why
---@field note string?  worth knowing, though it is done

--- The state of a node; nil: it is not concerned.
---@alias haplua.fleet.Judge fun(node: haplua.fleet.NodeState): haplua.FleetNode?

---@class haplua.fleet.Wait  what is waited for
---@field records haplua.fleet.Record[]  that the change has touched
---@field revisions table<string, integer>  by switch
---@field probed boolean?  what a node's own probes show counts as well

--- Those that a change has touched, as the store has them now.
local function touched(c, ids)
  local wait, is_one = { records = {}, revisions = {} }, {}
  for _, id in ipairs(ids) do
    is_one[id] = true
  end
  for _, record in ipairs((c.store:records())) do
    if is_one[record.id] then
      table.insert(wait.records, record)
      wait.revisions[record.acl] = math.max(wait.revisions[record.acl] or 0, record.revision)
    end
  end
  return wait
end

--- What a node has made of a change.
---@param wait haplua.fleet.Wait
---@param node haplua.fleet.NodeState
---@return haplua.FleetNode? state  nil: the change is not for it
local function state_of(wait, node)
  if not fleet.concerns(wait.records, nodes.labelled(node)) then
    return nil
  elseif not node.live then
    return { name = node.name, state = "dead" }
  end
  for switch, revision in pairs(wait.revisions) do
    local seen = node.seen[switch]
    if not seen or seen.revision < revision then
      return { name = node.name, state = "behind" }
    elseif seen.outcome ~= "done" then
      return { name = node.name, state = "failed", text = seen.outcome }
    elseif wait.probed and seen.probed == "asked" then
      return { name = node.name, state = "behind" }
    elseif wait.probed and seen.probed and seen.probed ~= "good" then
      return { name = node.name, state = "failed", text = seen.probed }
    end
  end
  local note
  for _, record in ipairs(wait.records) do
    local seen = node.seen[record.acl]
    note = note or record.ends and not record.ended and seen and seen.unsynchronised
      and "its clock is not synchronised, and the end goes by it" or nil
  end
  return { name = node.name, state = "done", note = note }
end

--- The states of all nodes that are concerned.
---@param known table<string, haplua.fleet.NodeState>
---@param judge haplua.fleet.Judge
---@return haplua.FleetNode[] states, integer open  how many have not reported
local function states_of(known, judge)
  local states, open = {}, 0
  for _, node in ipairs(nodes.sorted(known)) do
    local state = judge(node)
    states[#states + 1] = state
    open = open + (state and state.state == "behind" and 1 or 0)
  end
  return states, open
end

--- Follow the nodes' reports until all have come, or the time is over. A store that goes away meanwhile ends the wait.
---@param c haplua.FleetContext
---@param judge haplua.fleet.Judge
---@param within number  seconds
---@param what string  "have it": what nodes in the state `done` do, for people
---@return haplua.FleetNode[]
function M.await(c, judge, within, what)
  local latest = task.now() + within
  local progress <close> = require("haplua.base.progress").begin()
  while true do
    local known, revision = nodes.known(c.store)
    local states, open = states_of(known, judge)
    if open == 0 or task.now() >= latest then
      return states
    end
    local watch <close> = c.client:watch({ key = c.store.prefix .. "nd/", prefix = true, revision = revision + 1 })
    repeat
      progress(shown.text(states, what))
      local found, is_over = shown.next(watch, latest)
      for _, event in ipairs(found and found.events or {}) do
        nodes.take(c.store, known, event.kv.key, event.type == "put" and event.kv.value or nil)
      end
      states, open = states_of(known, judge)
    until open == 0 or is_over
    if open == 0 then
      return states
    end
  end
end

--- Wait until the nodes have carried a change out.
---@param c haplua.FleetContext
---@param ids integer[]  the maintenances that the change has touched
---@param within number  seconds
---@param probed boolean?  and until their own probes show it
---@return haplua.FleetNode[]
function M.of_change(c, ids, within, probed)
  local wait = touched(c, ids)
  wait.probed = probed
  return M.await(c, function(node)
    return state_of(wait, node)
  end, within, "have it")
end

return M
