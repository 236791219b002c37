-- SPDX-License-Identifier: MIT
--
--- What a view lists, from top to bottom: for each HAProxy its process, the maintenances, and the servers of each backend.

local clean = require("haplua.view.text").clean
local fleet = require("haplua.plan.fleet")
local maintenance = require("haplua.plan.maintenance")
local model = require("haplua.view.model")
local scope = require("haplua.plan.scope")

local M = {}

---@class haplua.view.Item
---@field kind "target"|"fleet"|"node"|"maintenance"|"backend"|"server"|"note"|"blank"
---@field key string  the same at each look
---@field target haplua.view.Target
---@field one any  the maintenance, backend, server or node
---@field text string?  of a note
---@field spare boolean?  of a blank: it is left out where not all items fit
---@field style string?  of a note
---@field most number?  of a server: the greatest rate in its backend
---@field busiest number?  of a server: the most sessions in its backend
---@field of haplua.Maintenance?  of a server: the maintenance that it is under

M.orders = { "HAProxy's order", "name", "state", "sessions", "rate" }

local RANKS <const> = { down = 1, unsteady = 2, maint = 3, drain = 4, up = 5 }

local values = {
  name = function(server)
    return server.name
  end,
  state = function(server)
    return RANKS[model.state(server.row.status)]
  end,
  sessions = function(server)
    return -(server.row.scur or 0)
  end,
  rate = function(server)
    return -(server.row.rate or 0)
  end,
}

--- The servers in an order of M.orders. What is equal stays as HAProxy has it.
local function sorted(servers, order)
  local value, keys, places = values[order], {}, {}
  if not value then
    return servers
  end
  local list = table.move(servers, 1, #servers, 1, {})
  for i, server in ipairs(servers) do
    keys[server], places[server] = value(server), i
  end
  table.sort(list, function(a, b)
    if keys[a] ~= keys[b] then
      return keys[a] < keys[b]
    end
    return places[a] < places[b]
  end)
  return list
end

--- Does a text have the filter in it, whatever the case of its letters?
local function passes(text, filter)
  return filter == "" or text:lower():find(filter:lower(), 1, true) ~= nil
end

--- The maintenance that holds each server: the one that ends last. One of the fleet's has its number there.
local function holding(known, one)
  local found = {}
  for _, m in ipairs(one.status and one.status.maintenances or {}) do
    local name = m.scope.server
    local other = name and found[name]
    if name and not (other and (other.ends or math.huge) > (m.ends or math.huge)) then
      local id = known.fleet and fleet.id(known.fleet.fleet, m)
      found[name] = id and maintenance.with(m, { id = id }) or m
    end
  end
  return found
end

local function note(list, one, theme, style, text)
  list[#list + 1] = {
    kind = "note", key = ("%s note %d"):format(one.name, #list), target = one, text = clean(theme, text), style = style,
  }
end

--- The maintenances of a target that are listed with it. Those of the fleet are listed once, with the fleet.
---@param known haplua.view.Model
---@param one haplua.view.Target
---@param which "maintenances"|"planned"
---@return haplua.Maintenance[]
function M.maintenances(known, one, which)
  local own = {}
  for _, m in ipairs(one.status and one.status[which] or {}) do
    own[#own + 1] = not (known.fleet and fleet.id(known.fleet.fleet, m)) and m or nil
  end
  return own
end

local function add_maintenances(list, known, one, theme, filter)
  local status = one.status
  if one.problem then
    note(list, one, theme, "bad", "maintenances: " .. one.problem)
  elseif status and #status.maintenances + #status.planned == 0 then
    note(list, one, theme, "faint", status.on and "maintenance is on" or "no maintenance is in force")
  end
  for _, which in ipairs({ "maintenances", "planned" }) do
    for _, m in ipairs(M.maintenances(known, one, which)) do
      if passes(("%s %s"):format(scope.text(m.scope), m.reason or ""), filter) then
        list[#list + 1] = { kind = "maintenance", key = ("%s m%s"):format(one.name, m.id), target = one, one = m }
      end
    end
  end
  for _, disagreement in ipairs(status and status.disagreements or {}) do
    note(list, one, theme, "bad", "but " .. disagreement.text)
  end
end

local function add_backend(list, one, backend, held, state)
  local shown, most, busiest = {}, 1, 1
  for _, server in ipairs(backend.servers) do
    most, busiest = math.max(most, server.row.rate or 0), math.max(busiest, server.row.scur or 0)
    for _, rate in ipairs(server.rates) do
      most = math.max(most, rate)
    end
    shown[#shown + 1] = passes(server.name, state.filter) and server or nil
  end
  if #shown == 0 and (state.filter ~= "" or #backend.servers == 0) then
    return
  end
  list[#list + 1] = { kind = "blank", key = ("%s %s blank"):format(one.name, backend.name), target = one, spare = true }
  list[#list + 1] = { kind = "backend", key = ("%s %s/"):format(one.name, backend.name), target = one, one = backend }
  if state.folded[list[#list].key] then
    return
  end
  for _, server in ipairs(sorted(shown, state.order)) do
    list[#list + 1] = {
      kind = "server", key = ("%s %s"):format(one.name, server.name), target = one, one = server, most = most,
      busiest = busiest, of = held[server.name],
    }
  end
end

-- The states of nodes, those first that somebody has to look at.
local NODE_RANKS <const> = { refused = 1, away = 2, behind = 3, ["in step"] = 4 }

--- The fleet, its maintenances, and its nodes.
local function add_fleet(list, known, state, theme)
  local one, nodes = known.fleet, {}
  list[#list + 1] = { kind = "fleet", key = one.name, target = one, one = one }
  if one.away then
    note(list, one, theme, "bad", one.away.text)
  end
  add_maintenances(list, known, one, theme, state.filter)
  for i, node in ipairs(one.nodes) do
    nodes[i] = node
  end
  if state.order == "state" then
    table.sort(nodes, function(a, b)
      local x, y = NODE_RANKS[a.state], NODE_RANKS[b.state]
      return x < y or x == y and a.name < b.name
    end)
  end
  for _, node in ipairs(nodes) do
    if passes(("%s %s"):format(node.name, node.place), state.filter) then
      list[#list + 1] = { kind = "node", key = ("%s node %s"):format(one.name, node.name), target = one, one = node }
    end
  end
end

--- Is this the only HAProxy, and was it never there? A person's machine has none, where a fleet is its concern.
---@param known haplua.view.Model
---@return boolean
function M.has_none(known)
  local one = known.targets[1]
  return known.fleet ~= nil and #known.targets == 1 and one.away ~= nil and one.info == nil
end

--- The fleet, where there is one, and the targets.
---@param known haplua.view.Model
---@return haplua.view.Target[]
function M.sections(known)
  return table.move(known.targets, 1, #known.targets, known.fleet and 2 or 1, { known.fleet })
end

--- All that can be listed.
---@param known haplua.view.Model
---@param state haplua.view.Shown
---@param theme haplua.view.Theme
---@return haplua.view.Item[]
function M.of(known, state, theme)
  local list = {}
  if known.fleet then
    add_fleet(list, known, state, theme)
  end
  if M.has_none(known) then
    note(list, known.targets[1], theme, "faint", "no HAProxy at " .. known.targets[1].name)
    return list
  end
  for i, one in ipairs(known.targets) do
    if i > 1 or known.fleet then
      list[#list + 1] = { kind = "blank", key = "blank " .. i, target = one, spare = i == 1 }
    end
    list[#list + 1] = { kind = "target", key = one.name, target = one, one = one }
    if one.away then
      note(list, one, theme, "bad", one.away.text)
    end
    add_maintenances(list, known, one, theme, state.filter)
    local held = holding(known, one)
    for _, backend in ipairs(one.backends) do
      add_backend(list, one, backend, held, state)
    end
  end
  return list
end

return M
