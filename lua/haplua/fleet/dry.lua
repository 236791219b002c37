-- SPDX-License-Identifier: MIT
--
--- A dry run of a change of a fleet: what would be written into its store, and for which nodes. It writes nothing.

local fleet = require("haplua.plan.fleet")
local maintenance = require("haplua.plan.maintenance")
local nodes = require("haplua.store.etcd_nodes")
local results = require("haplua.apply.result")
local scope = require("haplua.plan.scope")
local visible = require("haplua.error").visible

local M = {}

---@class haplua.FleetDryResult: haplua.FleetResult
---@field dry true
---@field lines string[]  what would be done, a line for each maintenance

local Result = {}

function Result.__tostring(result)
  local live, text = 0, #result.lines > 0 and table.concat(result.lines, "\n") or "would change nothing"
  local missing = {}
  for _, node in ipairs(result.nodes) do
    live = live + (node.state == "done" and 1 or 0)
    missing[#missing + 1] = node.state == "dead" and results.line("%s  is not live: it would do so when it is back", node.name)
      or nil
  end
  for _, note in ipairs(result.notes or {}) do
    missing[#missing + 1] = results.line("%s", note)
  end
  return ("%s\n  on %d of %d nodes of the fleet %s%s\na dry run: nothing was changed"):format(visible(text), live,
    #result.nodes, result.fleet, table.concat(missing))
end

--- The line of one edit.
local function line_of(edit)
  if edit.add then
    return ("would begin %s%s"):format(scope.text(edit.add.scope), results.why_and_until(edit.add))
  elseif edit.set.ended then
    return "would end " .. results.summary(edit.of)
  end
  return ("would change %s to %s"):format(maintenance.name(edit.of), results.summary(maintenance.with(edit.of, edit.set)))
end

--- What a decision would bring about.
---@param c haplua.FleetContext
---@param action string
---@param decision haplua.Decision
---@param together boolean?  without -n the nodes would be asked before
---@return haplua.FleetDryResult
function M.of(c, action, decision, together)
  local result = { fleet = c.name, action = action, about = decision.about, refreshed = decision.refreshed,
    ended = decision.ended or {}, nodes = {}, within = 0, in_force = {}, dry = true, lines = {},
    notes = together and { "the nodes were not asked whether they could: the question would be written into the store" } or nil }
  local about = {} -- what the change touches, as it is and as it would be
  for i, edit in ipairs(decision.edits) do
    result.lines[i] = line_of(edit)
    about[#about + 1] = edit.add or edit.of
    about[#about + 1] = edit.set and maintenance.with(edit.of, edit.set)
  end
  for _, node in ipairs(nodes.sorted((nodes.known(c.store)))) do
    if fleet.concerns(about, nodes.labelled(node)) then
      result.nodes[#result.nodes + 1] = { name = node.name, state = node.live and "done" or "dead" }
    end
  end
  return setmetatable(result, Result)
end

return M
