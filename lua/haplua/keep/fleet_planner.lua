-- SPDX-License-Identifier: MIT
--
--- The planner of a fleet: of the nodes whose configuration has windows one is elected, and writes their occurrences into
-- the fleet's store, the next one as soon as the one before has opened. Every node opens and closes by itself. What a node
-- writes after it has lost its place is refused by the store.

local etcd = require("haplua.store.etcd")
local nodes = require("haplua.store.etcd_nodes")
local periods = require("haplua.keep.periods")
local task = require("haplua.task")

local M = {}

--- A context in which a planner writes into the fleet's store.
---@param agent haplua.Agent
---@param store haplua.EtcdStore
---@param c haplua.Context
local function context_of(agent, store, c)
  local switch = setmetatable({ acl = c.switch.name }, { __index = c.switch })
  return setmetatable({ name = agent.fleet.name, store = store, switch = switch, journal = true }, { __index = c })
end

--- Plan, as long as the place is kept.
---@param agent haplua.Agent
---@param lease integer
local function lead(agent, client, lease, fence)
  local store = etcd.open(client, agent.fleet.name)
  store.fence = fence
  local keeper = agent.keeper
  keeper:say("this node plans the windows of the fleet %s", agent.fleet.name)
  local function say(...)
    keeper:say(...)
  end
  local function warn(...)
    keeper:warn(...)
  end
  for _, one in ipairs(agent.planners) do
    one.planner.due, one.planner.looked = -math.huge, nil -- another node may have planned meanwhile
  end
  repeat
    for _, one in ipairs(agent.planners) do
      one.planner:step(context_of(agent, store, one.c), say, warn)
    end
    task.sleep(periods.planner_word)
  until agent.client ~= client or not client:keepalive(lease) -- the agent has connected anew, or the place is lost
end

--- Stand for election, and wait for the next one where another node is the planner.
---@param agent haplua.Agent
local function stand(agent)
  local store = agent.store
  local client = store.client
  local lease = client:grant(periods.planner_lease)
  local fence = nodes.elect(store, agent.node.name, lease.id)
  if fence then
    local ok, problem = pcall(lead, agent, client, lease.id, fence)
    pcall(client.revoke, client, lease.id)
    if not ok then
      error(problem, 0)
    end
    return
  end
  client:revoke(lease.id)
  local watch <close> = client:watch({ key = store.prefix .. "elect/planner" })
  local events
  repeat
    events = watch:next(periods.stand)
  until not events or events.events[1].type == "delete"
end

--- Stand for election for ever.
---@param agent haplua.Agent
function M.run(agent)
  local wait = 1
  while true do
    local ok, problem = pcall(function()
      if agent.store and not agent.away_since and #agent.planners > 0 then
        stand(agent)
      end
    end)
    agent.keeper:complain(agent.planners, not ok and "the windows are not planned: " .. tostring(agent.tolerate(problem)) or nil)
    wait = ok and 1 or math.min(periods.pause, wait * 2)
    -- without windows: they may come with another configuration
    task.sleep(#agent.planners > 0 and wait * (1 + math.random()) or periods.word)
  end
end

return M
