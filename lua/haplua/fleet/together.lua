-- SPDX-License-Identifier: MIT
--
--- Ask the nodes of a fleet whether they could carry a change out, before it is made. The question is a key below m/,
-- which the nodes follow; it is no maintenance, so nothing applies it. It is under a lease, and so goes with who asks. Each
-- node answers under nd/NODE/can/ (haplua.keep.can). A haplua from before this question does not answer.

local fleet = require("haplua.plan.fleet")
local maintenance = require("haplua.plan.maintenance")
local nodes = require("haplua.store.etcd_nodes")
local records = require("haplua.store.etcd_records")
local reports = require("haplua.fleet.reports")

local M = {}

-- Seconds for which a question stays in the store behind its deadline, where nobody removes it.
local SPARE <const> = 10

--- The maintenances that edits touch, as they would be afterwards. New ones have the number 0.
---@param c haplua.FleetContext
---@param edits haplua.Edit[]
---@param token string  of the question
---@return haplua.fleet.Record[] wanted, haplua.fleet.Record[] before
local function wanted_by(c, edits, token)
  local wanted, before, by_id = {}, {}, {}
  for _, record in ipairs((c.store:records())) do
    by_id[record.id] = record
  end
  for i, edit in ipairs(edits) do
    local record = edit.of and by_id[edit.of.id]
    before[#before + 1] = record or nil
    wanted[#wanted + 1] = edit.add and maintenance.with(edit.add, { id = 0, uid = token .. i })
      or record and maintenance.with(record, edit.set) or nil
  end
  return wanted, before
end

--- Is a node one of those that the change is for, or was for before?
local function is_concerned(node, wanted, before)
  local found = nodes.labelled(node)
  return not wanted[1] -- there is no change: all are asked whether they are there
    or fleet.concerns(wanted, found) or fleet.concerns(before, found)
end

--- Ask all nodes that live. Changes no maintenance.
---@param c haplua.FleetContext
---@param edits haplua.Edit[]  none: the nodes are asked whether they, and their HAProxys, answer
---@param within number  seconds
---@param heard (fun(node: haplua.fleet.NodeState, answer: {problem: string?, at: number}))?  gets each answer, perhaps several
--- times
---@return haplua.FleetNode[]  "done": it could
function M.ask(c, edits, within, heard)
  local token = records.token()
  local wanted, before = wanted_by(c, edits, token)
  local lease = c.client:grant(math.ceil(within) + SPARE)
  local _ <close> = setmetatable({}, {
    __close = function()
      pcall(c.client.revoke, c.client, lease.id)
    end,
  })
  local key = records.key("m", wanted[1] and wanted[1].acl or c.switch.acl, "asked/" .. token)
  c.client:txn({ success = { { "put", key = c.store.prefix .. key, lease = lease.id,
    value = records.encode({ token = token, wanted = wanted, asked_by = maintenance.who(c.person) }) } } })
  return reports.await(c, function(node)
    local answer = (node.can or {})[token]
    if not is_concerned(node, wanted, before) then
      return nil
    elseif not node.live then
      return { name = node.name, state = "dead" }
    elseif not answer then
      return { name = node.name, state = "behind" }
    elseif heard then
      heard(node, answer)
    end
    return { name = node.name, state = answer.problem and "failed" or "done", text = answer.problem }
  end, within, "could")
end

return M
