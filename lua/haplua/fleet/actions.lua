-- SPDX-License-Identifier: MIT
--
--- What people do with the maintenances of a fleet: begin one, change one, end some. Each is a write into the fleet's store,
-- after which the nodes' reports are awaited. This machine's HAProxy is not asked; it need not have one.

local actions = require("haplua.apply.actions")
local config = require("haplua.store.config")
local context = require("haplua.apply.context")
local core = require("haplua.core")
local errors = require("haplua.error")
local etcd = require("haplua.store.etcd")
local fleet = require("haplua.plan.fleet")
local haproxy = require("haproxy")
local maintenance = require("haplua.plan.maintenance")
local nodes = require("haplua.store.etcd_nodes")
local process = require("haplua.process")
local reports = require("haplua.fleet.reports")
local scope = require("haplua.plan.scope")
local servers = require("haplua.plan.servers")
local task = require("haplua.task")

local M = {}

-- Seconds for which reports are awaited.
M.WITHIN = 10

---@class haplua.FleetContext: haplua.Context
---@field fleet haplua.FleetConfig
---@field client table  of haplua.etcd.client

---@class haplua.FleetRequest: haplua.Request
---@field nodes string[]?  it is for these nodes alone
---@field labels table<string, string>?  it is for the nodes with these labels
---@field rollout haplua.fleet.Rollout?  the stages that are left
---@field probed boolean?  wait until the nodes' own probes show it
---@field finally table?  with `together`: what the maintenance is for after its last stage
---@field together boolean?  change nothing unless every node that lives has answered that it could
---@field within number?  seconds for which reports are awaited; 10

---@class haplua.FleetResult
---@field fleet string
---@field action string
---@field about haplua.Maintenance?
---@field refreshed boolean?
---@field ended haplua.Maintenance[]
---@field in_force haplua.Maintenance[]  on the switch, afterwards
---@field refused boolean?  nothing was changed, since not every node could: `nodes` has what they answered
---@field nodes haplua.FleetNode[]
---@field within number
---@field notes string[]?

--- The switch that a request means: it need not be declared on this machine.
---@return string
local function switch_of(found, request)
  local names = config.names(found)
  local only = found.default or #names == 1 and names[1]
  if request.acl then
    errors.refuse("a fleet's switch is named by --switch: each node has its own list for it",
      "--local acts on this node alone, and takes --acl")
  end
  return request.switch or only or errors.refuse("which switch of the fleet? --switch names one")
end

-- The end of a context closes its connections.
local Context = {
  __close = function(c)
    c.client:close()
  end,
}

--- The fleet, as the commands work on it. Sends nothing. To be closed.
---@param found haplua.Config  with a fleet
---@param request haplua.Request
---@return haplua.FleetContext
function M.open(found, request)
  local settings = found.fleet.etcd
  local client = require("haplua.etcd.client").connect({
    endpoints = settings.endpoints, ca = settings.ca, cert = settings.cert, key = settings.key, timeout = 5,
  })
  local name = request.servers and servers.object(request.servers[1]) or switch_of(found, request)
  return setmetatable({
    fleet = found.fleet, name = found.fleet.name, client = client, store = etcd.open(client, found.fleet.name), journal = true,
    switch = { name = request.servers and request.servers[1] or name, acl = name }, person = process.person(),
  }, Context)
end

--- Refuse a change where this run may change nothing, or only a part.
function M.check_permitted()
  core.permit(haproxy.target())
  if core.restricted() then
    errors.raise("denied", "--only is about one HAProxy: a fleet is not changed under it",
      "etcd's rights say who may change what")
  end
end

--- What the fleet's store has now.
---@param all boolean?  of every switch
local function look_of(c, all)
  return { current = c.store:current(c.name, not all and c.switch.acl or nil), now = task.time() }
end

--- Ask the nodes whether they could, and write into the result where they could not.
---@param finally table?  fields that the change has in the end
---@param result haplua.FleetResult
---@return boolean refused
local function could_not(c, edits, finally, result)
  local asked = {}
  for i, edit in ipairs(edits) do
    asked[i] = not (finally and (edit.add or edit.of).id == (result.about or {}).id) and edit
      or edit.add and { add = maintenance.with(edit.add, finally) } or { of = edit.of, set = finally }
  end
  local states = require("haplua.fleet.together").ask(c, asked, result.within)
  local could, others = 0, 0
  for _, node in ipairs(states) do
    could = could + (node.state == "done" and 1 or 0)
    others = others + ((node.state == "failed" or node.state == "behind") and 1 or 0)
  end
  if others == 0 and could > 0 then
    return false
  end
  result.refused, result.nodes, result.about, result.ended = true, states, nil, {}
  return true
end

--- What is in force on the switch of a change after it, for the history: the scopes as texts.
---@return string[]
local function scopes_after(c, decision, current)
  local acl, texts = (decision.about or (decision.ended or {})[1] or {}).acl or c.switch.acl, {}
  for _, m in ipairs(maintenance.in_force(maintenance.after(current, decision.edits), task.time())) do
    texts[#texts + 1] = m.acl == acl and scope.text(m.scope) or nil
  end
  return texts
end

--- Write a decision, await the reports, and write down what came of it.
---@param c haplua.FleetContext
---@param request haplua.FleetRequest
---@param decision haplua.Decision
---@param current haplua.Maintenance[]  before the change
---@return haplua.FleetResult
local function carry_out(c, request, action, decision, current)
  if haproxy.dry_run() then
    return require("haplua.fleet.dry").of(c, action, decision, request.together)
  end
  local result = {
    fleet = c.name, action = action, about = decision.about, refreshed = decision.refreshed, ended = decision.ended or {},
    nodes = {}, within = request.within or M.WITHIN, in_force = {},
  }
  local refused = request.together and #decision.edits > 0 and could_not(c, decision.edits, request.finally, result)
  if #decision.edits > 0 and not refused then
    local about = decision.about
    local begun = c.store:begin(context.sign(c, {
      action = action, patterns = {}, scopes = scopes_after(c, decision, current),
      reason = about and about.reason, ends = about and about.ends,
    }), decision.edits)
    local ids = {}
    for i, edit in ipairs(decision.edits) do
      ids[i] = (edit.add or edit.of).id
    end
    local ok, states = pcall(reports.of_change, c, ids, result.within, request.probed)
    if not ok then
      io.stderr:write(("haplua: the fleet %s has the change; the nodes carry it out, and were not waited for\n"):format(c.name))
      error(states, 0)
    end
    result.nodes = states
    pcall(c.store.settle, c.store, begun, require("haplua.fleet.result").outcome(result))
  end
  result.in_force = maintenance.in_force(c.store:current(c.name, c.switch.acl), task.time())
  return require("haplua.fleet.result").of(result)
end

-- Changes.

--- Begin a maintenance, or refresh the one that the same person has for the same scope and nodes.
---@param c haplua.FleetContext
---@param request haplua.FleetRequest
---@param how {origin: string?, pid: integer?}?
---@return haplua.FleetResult
function M.begin(c, request, how)
  how = how or {}
  M.check_permitted()
  actions.check_reason(request.reason)
  actions.check_order(request)
  local look = look_of(c)
  local m = context.sign(c, {
    scope = request.servers and servers.scope(request.servers[1], request.drain and "drain" or "maint")
      or actions.scope_of(request) or {},
    bypass = request.bypass and #request.bypass > 0 and request.bypass or nil, reason = request.reason,
    origin = how.origin or "on", pid = how.pid, begins = request.begins or look.now, ends = request.ends, nodes = request.nodes,
    labels = request.labels, rollout = request.rollout,
  })
  local same = not how.pid and not request.begins and actions.find_same(c, look, m)
  local is_same = same and fleet.is_for_same(same, m)
  return carry_out(c, request, m.origin, actions.beginning(c, look, m, request.replace, is_same and same),
    look.current)
end

--- End maintenances: the only one, or those that are selected.
---@param c haplua.FleetContext
---@param request haplua.FleetRequest
---@param which haplua.Selection
---@return haplua.FleetResult
function M.off(c, request, which)
  M.check_permitted()
  local look = look_of(c, which.ids ~= nil)
  local edits, chosen = {}, actions.select(c, look, "off", request, which)
  for i, m in ipairs(chosen) do
    edits[i] = maintenance.ending(m, look.now, "off", context.who(c))
  end
  local result = carry_out(c, request, "off", { edits = edits, ended = chosen }, look.current)
  result.notes = not result.dry and #chosen == 0 and not request.servers and actions.servers_held(c) or nil
  return result
end

--- The maintenance that a change means.
---@param c haplua.FleetContext
---@param request haplua.FleetRequest
---@param id integer?  nil: the only one
---@return haplua.Maintenance, table look
function M.one(c, request, id)
  local look = look_of(c, id ~= nil)
  return actions.select(c, look, "change", request, { ids = id and { id } })[1]
    or errors.refuse("no maintenance is in force: there is nothing to change", "maint on begins one"), look
end

--- Have a maintenance be for other nodes.
---@param c haplua.FleetContext
---@param request haplua.FleetRequest
---@param m haplua.Maintenance  as it was read
---@param set table  `nodes`, `labels`, `rollout`; false clears one
---@return haplua.FleetResult
function M.grow(c, request, m, set)
  M.check_permitted()
  return carry_out(c, request, "change", { edits = { { of = m, set = set } }, about = maintenance.with(m, set) },
    c.store:current(c.name))
end

--- Change a maintenance in one step.
---@param c haplua.FleetContext
---@param request haplua.FleetRequest
---@param id integer?  nil: the only one
---@param open_end boolean?
---@return haplua.FleetResult
function M.change(c, request, id, open_end)
  M.check_permitted()
  actions.check_reason(request.reason)
  local m, look = M.one(c, request, id)
  return carry_out(c, request, "change", actions.changing(c, look, m, request, open_end), look.current)
end

-- Looking.

---@class haplua.FleetStatus
---@field fleet string
---@field revision integer
---@field maintenances haplua.Maintenance[]  in force, or planned
---@field nodes haplua.fleet.NodeState[]
---@field revisions table<string, integer>  of the latest change of each switch
---@field unread string[]
---@field person {host: string}  who looks

--- What the fleet's store has, and what the nodes have reported.
---@param c haplua.FleetContext
---@return haplua.FleetStatus
function M.status(c)
  local records, read = c.store:records()
  local found = { fleet = c.name, revision = read.revision, maintenances = {}, revisions = {}, unread = read.unread }
  for _, record in ipairs(records) do
    found.revisions[record.acl] = math.max(record.revision, found.revisions[record.acl] or 0)
    if not record.ended and not (record.ends and record.ends <= task.time()) then
      table.insert(found.maintenances, record)
    end
  end
  found.nodes, found.person = nodes.sorted((nodes.known(c.store))), c.person
  return require("haplua.fleet.result").status(found)
end

return M
