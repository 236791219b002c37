-- SPDX-License-Identifier: MIT
--
--- A machine that becomes a node of a fleet: what is in force on it goes into the fleet's store, where that has nothing for
-- the switch; and what it remembers of another fleet of the same name is forgotten.

local cache = require("haplua.fleet.cache")
local config = require("haplua.store.config")
local context = require("haplua.apply.context")
local errors = require("haplua.error")
local fleet = require("haplua.plan.fleet")
local maintenance = require("haplua.plan.maintenance")
local results = require("haplua.apply.result")
local task = require("haplua.task")

local M = {}

--- The maintenances of this machine that are not the fleet's, or not any more, since its store was restored.
---@param there table<string, boolean>  the `occurrence` of those that the fleet has, and their `uid`
---@return haplua.Maintenance[]
local function own(c, switch, there)
  local found = {}
  for _, m in ipairs(c.store:current(c.name, switch.acl)) do
    local is_over, is_own = m.ends and m.ends <= task.time(), not m.occurrence
    local id, uid = fleet.id(c.fleet_name, m)
    if id then
      is_own = not there[m.occurrence] and not there[uid]
    end
    found[#found + 1] = is_own and not is_over and m or nil
  end
  return found
end

--- Refuse to decide where both have something.
local function refuse_both(name, here, there)
  local lines = {}
  for _, m in ipairs(here) do
    lines[#lines + 1] = "here:  " .. results.summary(m)
  end
  for _, m in ipairs(there) do
    lines[#lines + 1] = "fleet: " .. results.summary(m)
  end
  errors.raise("ambiguous", ("the switch %s has maintenances here, and others in the fleet"):format(name),
    table.concat(lines, "\n") .. "\n--import gives those of this machine to the fleet as well: they close on every node"
    .. "\n--keep leaves them to this machine alone")
end

--- Put the maintenances of this machine into the fleet's store. Each stays in force here all the time: its row becomes the
--- one that the agent finds.
---@param f haplua.FleetContext
---@param c haplua.Context  of this machine, and the switch
local function import(f, c, list)
  local adds, numbers = {}, {}
  for i, m in ipairs(list) do
    local _, uid = fleet.id(f.name, m) -- by which other nodes that have it find it again
    adds[i] = { add = maintenance.with(m, { id = false, uid = uid, occurrence = false,
      target = f.name, acl = c.switch.name, switch = c.switch.name,
      origin = m.origin == "by hand" and "on" or m.origin, pid = false }) }
  end
  f.store:settle(f.store:begin({ target = f.name, acl = c.switch.name, switch = c.switch.name, action = "join", patterns = {},
    user = f.person.user, host = f.person.host, login = f.person.login }, adds), "done")
  for _, record in ipairs((f.store:records())) do
    numbers[record.id] = record
  end
  local edits = {}
  for i, m in ipairs(list) do
    edits[i] = { of = m, set = { occurrence = fleet.occurrence(f.name, numbers[adds[i].add.id]) } }
  end
  c.store:edit(edits)
end

--- Join: for each switch of the configuration.
---@param f haplua.FleetContext
---@param found haplua.Config
---@param request haplua.Request  config and journal
---@param how {import: boolean?, keep: boolean?}  where both have maintenances
---@return string[] lines  what was done
function M.run(f, found, request, how)
  local c = context.open(maintenance.with(request, { switch = false, acl = "servers" }))
  if not c.journal then
    errors.raise("journal", "a node of a fleet keeps a journal: " .. tostring(c.no_journal or "none, as asked"))
  end
  c.fleet_name = f.name
  local lines = {}
  if cache.open(c.store, f.name):forget_other(f.store:snapshot().uid) then
    lines[1] = ("another fleet of the name %s is forgotten; what it had in force here stays in force"):format(f.name)
  end
  local known = {}
  for _, record in ipairs((f.store:records())) do
    known[fleet.occurrence(f.name, record)] = true
    known[record.uid ~= "-" and record.uid or false] = true
  end
  for _, name in ipairs(config.names(found)) do
    local of = context.of_switch(c, found, { switch = name })
    local here, there = own(of, of.switch, known), f.store:current(f.name, name)
    if #here > 0 and #there > 0 and not how.import and not how.keep then
      refuse_both(name, here, there)
    elseif #here > 0 and not how.keep then
      import(f, of, here)
    end
    lines[#lines + 1] = ("%s: %s"):format(name, #here == 0 and "nothing is in force here" or how.keep
      and "what is in force here stays this machine's"
      or ("what is in force here (%d) is the fleet's now"):format(#here))
  end
  lines[#lines + 1] = c.store:kept(c.name) and "restart haplua keep: it becomes the node's agent"
    or "start haplua keep: it is the node's agent"
  return lines
end

return M
