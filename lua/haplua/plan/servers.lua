-- SPDX-License-Identifier: MIT
--
--- Maintenances of servers: what state a server shall have.
-- A server is an object of the store, as an ACL is: where a switch has "#9999", it has "server app/a1". The scope of its
-- maintenance is a server and a state: "maint", "drain", or "ready" with a weight or an address. In a change of it,
-- `patterns` is what haplua gave the server: its state, "weight N" and "address A:P" (nothing: no maintenance holds it).
-- `ours` is what it goes back to: its state and weights before the first of the maintenances that hold it, with the word
-- "agent" where an agent check ran, and its address. While the change is under way, that follows which the server may
-- have been left in.

local lists = require("haplua.base.lists")
local maintenance = require("haplua.plan.maintenance")

local M = {}

---@alias haplua.ServerState "ready"|"drain"|"maint"

---@class haplua.Base  what a server was before haplua held it
---@field admin haplua.ServerState
---@field weight integer
---@field initial integer  the weight of HAProxy's configuration
---@field agent boolean?  an agent check runs
---@field address string?  "192.0.2.1:8080"

---@class haplua.ServerLook  what HAProxy and the store say of a server
---@field name string  "backend/server"
---@field now number
---@field row haplua.Base  what HAProxy has now: the state is that of commands
---@field gone boolean?  HAProxy has no such server
---@field held boolean?  HAProxy itself keeps it from taking requests
---@field current haplua.Maintenance[]  not ended
---@field latest haplua.Change?
---@field left string[]  from left(): what haplua may have given it, the state first
---@field same_process boolean  HAProxy's process is that of the latest change
---@field by_hand "keep"|"undo"
---@field entity fun(fields: table): haplua.Maintenance

---@class haplua.ServerPlan
---@field state haplua.ServerState
---@field weight integer?  nil: it stays as it is
---@field address string?  likewise
---@field agent boolean?  shall its agent check run? nil: it stays as it is
---@field base haplua.Base
---@field in_force haplua.Maintenance[]
---@field patterns string[]  these three are for the store
---@field ours string[]
---@field settled string[]

local PREFIX <const> = "server "

local rank <const> = { ready = 0, drain = 1, maint = 2 }

--- The object of a server.
---@param name string  "backend/server"
---@return string
function M.object(name)
  return PREFIX .. name
end

--- The server of an object; nil: it is an ACL.
---@param object string
---@return string?
function M.name(object)
  return object:sub(1, #PREFIX) == PREFIX and object:sub(#PREFIX + 1) or nil
end

--- The object whose lock is held while a server of a backend changes: whether enough others are left is judged under it.
---@param name string  "backend/server"
---@return string
function M.backend(name)
  return "backend " .. name:match("^[^/]*")
end

---@param name string
---@param state haplua.ServerState
---@param weight integer?
---@param address string?  "192.0.2.1:8080"
---@return haplua.Scope
function M.scope(name, state, weight, address)
  return { server = name, state = state, weight = weight, address = address }
end

--- What haplua may have given a server: its state, "weight N" and "address A:P"; of each several where it is not known how
-- far changes came.
---@param latest haplua.Change?
---@return string[]
function M.left(latest)
  local patterns = latest and latest.patterns or {}
  local left = table.move(patterns, 1, #patterns, 1, {})
  if latest and not latest.outcome then
    table.move(latest.ours or {}, 4, #(latest.ours or {}), #left + 1, left)
  end
  return left
end

--- The strictest of a state and the states of maintenances: "maint" before "drain" before "ready".
---@param state haplua.ServerState
---@param in_force haplua.Maintenance[]
---@return haplua.ServerState
function M.strictest(state, in_force)
  for _, m in ipairs(in_force) do
    state = rank[m.scope.state] > rank[state] and m.scope.state or state
  end
  return state
end

--- Has a hand given the server another state than haplua left? `lower` and `higher` say which way. After a change that
-- was broken off nobody knows; a new process has lost all states.
---@param look haplua.ServerLook
---@return "lower"|"higher"|nil
local function hand(look)
  local latest = look.latest
  if not look.left[1] or not latest or not latest.outcome or look.by_hand == "undo" then
    return nil
  end
  local now, left = rank[look.row.admin], rank[look.left[1]]
  return now > left and "higher" or now < left and look.same_process and "lower" or nil
end

local FIELDS <const> = { "weight", "address" }

--- Is a server's weight or address one that haplua has given it?  nil: haplua has given it none.
---@param field "weight"|"address"
---@return boolean?
local function is_ours(look, field)
  local given
  for _, text in ipairs(look.left) do
    local value = text:match("^" .. field .. " (.*)$")
    if value then
      given = given or value == tostring(look.row[field])
    end
  end
  return given
end

--- What of a server is not as haplua left it, in words: "drain", "weight 7".
---@param look haplua.ServerLook
---@return string
function M.by_hand(look)
  local words = { look.row.admin ~= look.left[1] and look.row.admin or nil }
  for _, field in ipairs(FIELDS) do
    words[#words + 1] = is_ours(look, field) == false and ("%s %s"):format(field, look.row[field]) or nil
  end
  return words[1] and table.concat(words, ", ") or look.row.admin
end

--- Take a weight and an address that a hand has changed out of the maintenances that hold them.
---@param edits haplua.Edit[]  those of the state; it gets the others
local function add_fields_by_hand(look, in_force, edits)
  local latest = look.latest
  if not latest or not latest.outcome or look.by_hand == "undo" or not look.same_process then
    return
  end
  local ended = {}
  for _, edit in ipairs(edits) do
    ended[edit.of or edit] = true
  end
  for _, m in ipairs(in_force) do
    local scope = { server = m.scope.server, state = m.scope.state }
    local changed = false
    for _, field in ipairs(FIELDS) do
      local by_hand = m.scope[field] and is_ours(look, field) == false
      scope[field] = not by_hand and m.scope[field] or nil
      changed = changed or by_hand
    end
    if changed and not ended[m] then
      local is_left = scope.state ~= "ready" or scope.weight or scope.address
      edits[#edits + 1] = is_left and { of = m, set = { scope = scope } }
        or maintenance.ending(m, look.now, "by hand", "somebody at HAProxy's socket")
    end
  end
end

--- The edits that make the store say what a hand did. A state that is less strict than that of a maintenance ends it, and
-- so does another weight or address. A stricter state becomes a maintenance "by hand", where others hold the server.
---@param look haplua.ServerLook
---@return haplua.Edit[]
function M.edits_by_hand(look)
  local edits, way = {}, hand(look)
  local in_force = maintenance.in_force(look.current, look.now)
  if way == "lower" then
    for _, m in ipairs(in_force) do
      if rank[m.scope.state] > rank[look.row.admin] then
        edits[#edits + 1] = maintenance.ending(m, look.now, "by hand", "somebody at HAProxy's socket")
      end
    end
  elseif way == "higher" and #in_force > 0 then
    edits[1] = { add = look.entity({ scope = M.scope(look.name, look.row.admin), origin = "by hand", begins = look.now }) }
  end
  add_fields_by_hand(look, in_force, edits)
  return edits
end

local function lines_of(base)
  return { base.admin .. (base.agent and " agent" or "") .. (base.address and " at " .. base.address or ""),
    tostring(base.weight), tostring(base.initial) }
end

--- What the server goes back to.
---@param look haplua.ServerLook
---@param edits haplua.Edit[]  those of edits_by_hand()
---@return haplua.Base
local function base_of(look, edits)
  local ours, row = look.latest and look.latest.ours or {}, look.row
  if #ours == 0 then
    return row
  end
  local base = {
    admin = ours[1]:match("^%l+"), agent = ours[1]:find(" agent", 1, true) ~= nil,
    weight = math.tointeger(ours[2]), initial = math.tointeger(ours[3]), address = ours[1]:match(" at (.*)$"),
  }
  if hand(look) == "lower" then
    local in_force = maintenance.in_force(maintenance.after(look.current, edits), look.now)
    if #in_force == 0 then
      return { admin = row.admin, weight = is_ours(look, "weight") and base.weight or row.weight, initial = row.initial,
        agent = base.agent, address = is_ours(look, "address") and base.address or row.address }
    end
    -- those that are left may give it a weight alone: then the hand's state is its own
    local is_own = rank[M.strictest("ready", in_force)] < rank[row.admin]
    base.admin = (is_own or rank[row.admin] < rank[base.admin]) and row.admin or base.admin
  end
  return base
end

--- Plan the weight and the address: those of maintenances in force, of several weights the smallest; else those from
-- before, where the server has what haplua gave it.
---@param plan haplua.ServerPlan
local function plan_fields(look, plan)
  local row, base = look.row, plan.base
  for _, field in ipairs(FIELDS) do
    local wanted
    for _, m in ipairs(plan.in_force) do
      local value = m.scope[field]
      wanted = value and wanted and field == "weight" and math.min(value, wanted) or value or wanted
    end
    if wanted then
      plan.patterns[#plan.patterns + 1] = ("%s %s"):format(field, wanted)
    elseif is_ours(look, field) then
      wanted = base[field]
    end
    plan[field] = wanted ~= row[field] and wanted or nil
  end
end

--- The state that a server shall have after edits. A server that no maintenance holds any more goes back to what it was,
-- unless somebody has changed it since: then it stays as it is.
---@param look haplua.ServerLook
---@param by_hand haplua.Edit[]  from edits_by_hand()
---@param edits haplua.Edit[]  all, those among them
---@return haplua.ServerPlan
function M.plan(look, by_hand, edits)
  local row, base = look.row, base_of(look, by_hand)
  local in_force = maintenance.in_force(maintenance.after(look.current, edits), look.now)
  local plan = { base = base, in_force = in_force, ours = table.move(look.left, 1, #look.left, 4, lines_of(base)) }
  if #in_force > 0 then
    plan.state = M.strictest(base.admin, in_force)
    plan.patterns, plan.settled = { plan.state }, lines_of(base)
    if row.agent then
      plan.agent = false
    end
  else
    if base.agent and not row.agent then
      plan.agent = true
    end
    plan.state, plan.patterns, plan.settled = row.admin, {}, {}
    for _, state in ipairs(look.left) do
      plan.state = state == row.admin and base.admin or plan.state
    end
  end
  plan_fields(look, plan)
  -- a new process has lost a weight that was set before
  local is_new = not look.same_process or not look.latest.outcome
  if is_new and not M.holds(in_force, "weight") and row.weight == row.initial and base.initial == row.initial
    and base.weight ~= row.weight then
    plan.weight = base.weight
  end
  return plan
end

--- Does one of these maintenances give their server a weight, or an address?
---@param in_force haplua.Maintenance[]
---@param field "weight"|"address"
---@return boolean
function M.holds(in_force, field)
  for _, m in ipairs(in_force) do
    if m.scope[field] then
      return true
    end
  end
  return false
end

--- Is the server as planned, and does the latest change say so?
---@param look haplua.ServerLook
---@param plan haplua.ServerPlan
---@return boolean
function M.is_in_step(look, plan)
  local latest = look.latest
  return plan.state == look.row.admin and not plan.weight and not plan.address and plan.agent == nil
    and (not latest or latest.outcome ~= nil)
    and lists.same(latest and latest.patterns or {}, plan.patterns)
end

return M
