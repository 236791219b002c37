-- SPDX-License-Identifier: MIT
--
--- What a change of a fleet came to, and what its nodes are, for people and for JSON.

local during = require("haplua.apply.during")
local event = require("haplua.hooks.event")
local instant = require("haplua.time.instant")
local maintenance = require("haplua.plan.maintenance")
local results = require("haplua.apply.result")
local scope = require("haplua.plan.scope")
local status = require("haplua.apply.status")
local task = require("haplua.task")
local visible = require("haplua.error").visible

local M = {}

-- Seconds between a node's clock and this one's from which on a status says so.
local SKEW <const> = 2

local words = {
  behind = "has not reported within %g s", unanswered = "has not answered within %g s",
  dead = "is not live: it will do so when it is back", failed = "%s",
}

--- A line on a node that has not carried a change out, or could not.
---@param result haplua.FleetResult
---@param node haplua.FleetNode
local function line_of(result, node)
  local word = words[result.refused and node.state == "behind" and "unanswered" or node.state]
  return results.line("%s  %s", node.name, word:format(node.state == "failed" and node.text or result.within))
end

--- How many nodes are in each state.
local function counts_of(list)
  local counts = { done = 0, failed = 0, behind = 0, dead = 0 }
  for _, node in ipairs(list) do
    counts[node.state] = counts[node.state] + 1
  end
  return counts
end

--- The exit status: 1 where nothing was changed, since a node could not; 5 where the fleet has the change, and not every
-- node that lives has carried it out.
---@param result haplua.FleetResult
---@param all boolean?  nodes that do not live count as well
---@return integer
function M.exit_status(result, all)
  if result.dry then
    return 0
  end
  local counts = counts_of(result.nodes)
  if result.refused then
    return 1
  end
  local missing = counts.failed + counts.behind + (all and counts.dead or 0)
  local is_nowhere = #result.nodes > 0 and counts.done == 0 or result.about and #result.nodes == 0
  return (missing > 0 or is_nowhere) and 5 or 0
end

--- The outcome, for the history.
---@param result haplua.FleetResult
---@return string
function M.outcome(result)
  if M.exit_status(result) == 0 then
    return "done"
  end
  local missing = {}
  for _, node in ipairs(result.nodes) do
    missing[#missing + 1] = node.state ~= "done" and node.name or nil
  end
  return ("not everywhere at first: %s"):format(missing[1] and table.concat(missing, " ") or "no node is there")
end

local Result = {}

--- The first line of a result.
---@param result haplua.FleetResult
---@return string
function M.headline(result)
  local about, counts = result.about, counts_of(result.nodes)
  if result.refused then
    return ("nothing was changed: %d of %d nodes of the fleet %s could do it"):format(counts.done, #result.nodes - counts.dead,
      result.fleet)
  end
  local where = ("on %d of %d nodes of the fleet %s"):format(counts.done, #result.nodes - counts.dead, result.fleet)
  if about and about.begins > task.time() then
    return ("%s is planned: %s, from %s, %s"):format(maintenance.name(about), scope.text(about.scope),
      instant.text(about.begins), where)
  elseif about then
    return ("%s is in force: %s, %s"):format(maintenance.name(about), scope.text(about.scope), where)
  elseif #result.ended == 0 then
    return ("no maintenance was in force in the fleet %s"):format(result.fleet)
  end
  local names = {}
  for i, m in ipairs(result.ended) do
    names[i] = maintenance.name(m)
  end
  return ("%s ended, %s"):format(table.concat(names, " "), where)
end

function Result.__tostring(result)
  local text = visible(M.headline(result)) .. (result.about and results.why_and_until(result.about) or "")
  for _, node in ipairs(result.nodes) do
    text = text .. (node.state ~= "done" and line_of(result, node)
      or node.note and results.line("%s  %s", node.name, node.note) or "")
  end
  for _, note in ipairs(result.notes or {}) do
    text = text .. results.line("%s", note)
  end
  return text .. results.others({}, result.in_force, result.about)
end

--- Give a result its text.
---@param result haplua.FleetResult
---@return haplua.FleetResult  this very table
function M.of(result)
  return setmetatable(result, Result)
end

--- A result for JSON.
---@param result haplua.FleetResult
---@return table
function M.portable(result)
  return { fleet = result.fleet, action = result.action, maintenance = result.about and event.entry(result.about),
    ended = event.entries(result.ended), in_force = event.entries(result.in_force), nodes = result.nodes, within = result.within,
    refused = result.refused, dry_run = result.dry }
end

-- Status.

local Status = {}
Status.__index = Status

--- What a node has made of the switches, in a few words.
---@param found haplua.FleetStatus
---@param node haplua.fleet.NodeState
---@return string text, boolean is_well, "in step"|"behind"|"refused" state
local function site_of(found, node)
  if node.live and node.live.refused then -- its reports may be those of the restored store, from before
    return ("keeps what it has: %s"):format(node.live.refused), false, "refused"
  end
  local parts, is_well, refused = {}, true, false
  for switch, revision in pairs(found.revisions) do
    local seen = node.seen[switch]
    local names = {}
    for i, id in ipairs(seen and seen.ids or {}) do
      names[i] = "m" .. math.tointeger(id)
    end
    local text = not seen and "no report" or seen.outcome ~= "done" and seen.outcome:match("^[^\n]*")
      or (names[1] and table.concat(names, " ") or "open") .. (seen.revision < revision and " (behind)" or "")
    refused = refused or seen ~= nil and seen.outcome ~= "done"
    is_well = is_well and seen ~= nil and seen.outcome == "done" and seen.revision >= revision
    parts[#parts + 1] = ("%s: %s"):format(switch, text)
  end
  table.sort(parts)
  return table.concat(parts, ", "), is_well, is_well and "in step" or refused and "refused" or "behind"
end

M.site_of = site_of

--- A row for each node. That a clock is ahead shows in the node's latest report.
local function rows_of(found)
  local rows = { { "NODE", "LIVE", "MAINTENANCES" } }
  for _, node in ipairs(found.nodes) do
    local text = site_of(found, node)
    local at, clock = 0, ""
    for _, seen in pairs(node.seen) do
      at = math.max(at, seen.at or 0)
      clock = seen.unsynchronised and "  its clock is not synchronised" or clock
    end
    if at > task.time() + SKEW then
      clock = ("  its clock is %s ahead"):format(instant.span(at - task.time()))
    end
    rows[#rows + 1] = { visible(node.name), node.live and "yes" or at > 0 and "last word " .. instant.text(at) or "no",
      visible(text) .. clock }
  end
  return rows
end

--- The nodes as a table with a line for each.
---@param found haplua.FleetStatus
---@return string
function M.node_table(found)
  return table.concat(status.aligned(rows_of(found)), "\n")
end

--- Which nodes a maintenance is for, in a few words.
---@param m {nodes: string[]?, labels: table<string, string>?}
---@return string
function M.for_whom(m)
  local parts = table.move(m.nodes or {}, 1, #(m.nodes or {}), 1, {})
  for label, value in pairs(m.labels or {}) do
    parts[#parts + 1] = ("%s=%s"):format(label, value)
  end
  table.sort(parts)
  return table.concat(parts, " ")
end

function Status.__tostring(found)
  local text = #found.maintenances > 0 and status.table_of(found.maintenances) .. "\n" or ""
  text = text .. ("the fleet %s has %d maintenance%s, %d nodes\n"):format(found.fleet, #found.maintenances,
    #found.maintenances == 1 and "" or "s", #found.nodes) .. M.node_table(found)
  for _, m in ipairs(found.maintenances) do
    text = text .. (m.rollout and results.line("%s is for some nodes; stages that are left: %s  (haplua maint change %s "
      .. "--stages '%s' begins them)", maintenance.name(m), m.rollout.left, maintenance.name(m), m.rollout.left)
      or (m.nodes or m.labels) and results.line("%s is for %s", maintenance.name(m), M.for_whom(m)) or "")
      .. (during.is_abandoned(m, found.person) and results.line("the process %d that would end %s is gone; maint off %s ends it",
        m.pid, maintenance.name(m), maintenance.name(m)) or "")
  end
  for _, key in ipairs(found.unread) do
    text = text .. results.line("but a key of the store holds no maintenance: %s", key)
  end
  return text
end

--- Give a status its text and its methods.
---@param found haplua.FleetStatus
---@return haplua.FleetStatus  this very table
function M.status(found)
  return setmetatable(found, Status)
end

--- The exit status of `status`: 5 where a node that lives is not where the fleet is.
---@param found haplua.FleetStatus
---@return integer
function M.status_code(found)
  for _, node in ipairs(found.nodes) do
    local _, is_well = site_of(found, node)
    if node.live and not is_well then
      return 5
    end
  end
  return 0
end

--- A status for JSON.
---@param found haplua.FleetStatus
---@return table
function M.portable_status(found)
  local list = {}
  for i, node in ipairs(found.nodes) do
    local _, is_well = site_of(found, node)
    list[i] = { name = node.name, live = node.live ~= nil, labels = (node.card or {}).labels, in_step = is_well,
      refused = node.live and node.live.refused,
      seen = next(node.seen) and node.seen or nil }
  end
  local maintenances = event.entries(found.maintenances)
  for i, m in ipairs(found.maintenances) do
    maintenances[i].nodes, maintenances[i].labels, maintenances[i].rollout = m.nodes, m.labels, m.rollout
  end
  return { fleet = found.fleet, maintenances = maintenances, nodes = list }
end

Status.nodes_table, Status.portable, Status.exit_status = M.node_table, M.portable_status, M.status_code

return M
