-- SPDX-License-Identifier: MIT
--
-- agents.lua - run agents of a fleet in one process, without HAProxy: each has a connection, a lease, a watch and a journal
-- of its own, and reports what it has read as applied. tests/bench/fleets.lua starts several of these.
-- Usage: ./haplua tests/bench/agents.lua CONFIG FOLDER FIRST LAST

local agents = require("haplua.keep.agent")
local config = require("haplua.store.config")
local sqlite = require("haplua.store.sqlite")

local place, folder, first, last = table.unpack(arg)

--- What the agent uses of a keeper (haplua.keep.keeper).
local function keeper(found, name)
  local settings = setmetatable({ node = name, labels = {} }, { __index = found.fleet })
  return {
    found = setmetatable({ fleet = settings }, { __index = found }), planners = {},
    c = { store = sqlite.open(("%s/%s.db"):format(folder, name)), name = settings.name, person = { host = name } },
    switches = { [found.switches.site.acl] = { seen = "" } }, say = function() end, complain = function() end,
  }
end

--- Report for ever, as the resident loop does.
local function run_agent(found, name)
  local agent <close> = agents.open(keeper(found, name))
  while true do
    agent:wait(task.sleep, 3600)
    agent:report(agent:marks(), true)
  end
end

local running = {}
for i = tonumber(first), tonumber(last) do
  running[#running + 1] = task.spawn(run_agent, config.read(place), "sim" .. i)
end
for _, one in ipairs(running) do
  one:wait()
end
