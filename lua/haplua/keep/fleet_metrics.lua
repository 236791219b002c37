-- SPDX-License-Identifier: MIT
--
--- What a node of a fleet knows of itself, as samples of haplua.keep.metrics.

local M = {}

--- The metrics: name, type, help.
M.FAMILIES = {
  { "haplua_fleet_store_up", "gauge", "1 if the fleet's store answers, and has what this node may believe." },
  { "haplua_fleet_store_away_since_timestamp_seconds", "gauge", "Since when it does not." },
  { "haplua_fleet_in_step", "gauge", "1 if HAProxy holds what this node has read of the fleet." },
  { "haplua_fleet_last_apply_timestamp_seconds", "gauge", "When this node last had something new to report." },
  { "haplua_fleet_read_timestamp_seconds", "gauge", "When this node last read the fleet's store." },
  { "haplua_fleet_revision", "gauge", "The store's revision of the latest change that this node has read." },
  { "haplua_fleet_reports_due", "gauge", "Reports of this node that the store does not have yet." },
  { "haplua_fleet_planner", "gauge", "1 if this node plans the windows of the fleet." },
}

--- Add the samples of an agent.
---@param agent haplua.Agent
---@param add fun(family: string, value: number|boolean|nil)
function M.add(agent, add)
  local due, is_in_step = 0, agent.read_at ~= nil
  for _ in pairs(agent.due) do
    due = due + 1
  end
  for switch in pairs(agent:marks()) do
    is_in_step = is_in_step and agent.outcomes[switch] == "done"
  end
  add("haplua_fleet_store_up", agent.read_at ~= nil and not agent.away_since)
  add("haplua_fleet_store_away_since_timestamp_seconds", agent.away_since)
  add("haplua_fleet_in_step", is_in_step)
  add("haplua_fleet_last_apply_timestamp_seconds", agent.applied_at)
  add("haplua_fleet_read_timestamp_seconds", agent.read_at)
  add("haplua_fleet_revision", agent:revision())
  add("haplua_fleet_reports_due", due)
  if #agent.planners > 0 then
    add("haplua_fleet_planner", agent.is_planner == true)
  end
end

return M
