-- SPDX-License-Identifier: MIT
--
--- Change servers: look, decide, make plans, write them down, change HAProxy, write down the outcomes.
-- haplua.plan.servers says what state a server shall have.

local change = require("haplua.apply.change")
local context = require("haplua.apply.context")
local core = require("haplua.core")
local errors = require("haplua.error")
local haproxy = require("haproxy")
local maintenance = require("haplua.plan.maintenance")
local plans = require("haplua.plan.servers")
local reply = require("haplua.reply")
local server = require("haplua.haproxy.server")
local switch = require("haplua.haproxy.switch")
local time = require("haplua.task").time

local M = {}

---@class haplua.Servers  all servers of an HAProxy
---@field seen string  fingerprint
---@field process {worker: integer, started: integer, asked: string?, uptime: integer}
---@field rows table<string, haplua.Server>  by "backend/server"
---@field names string[]  in HAProxy's order

---@class haplua.ServerStep  one server in a change
---@field look haplua.ServerLook
---@field plan haplua.ServerPlan
---@field edits haplua.Edit[]
---@field about haplua.Maintenance?  the maintenance that the change is about
---@field refreshed boolean?  `about` was in force before
---@field ended haplua.Maintenance[]?
---@field handled boolean  a hand had changed the server

--- The context for servers: no switch is meant.
---@param request haplua.Request
---@param readonly boolean?
---@return haplua.Context
function M.open(request, readonly)
  return context.open(
    { config = request.config, journal = request.journal, file = request.file, acl = "servers" }, readonly)
end

--- Read all servers, in one request.
---@return haplua.Servers
function M.read(c)
  local texts = c.target:batch(server.shows)
  local found = { seen = server.fingerprint(texts), process = switch.process(texts[1]), rows = {}, names = {} }
  for i, row in ipairs(reply.servers(texts[2])) do
    local name = ("%s/%s"):format(row.be_name, row.srv_name)
    found.rows[name], found.names[i] = row, name
  end
  return found
end

--- The maintenances of servers that are not ended: of one, or of all.
---@param c haplua.Context
---@param name string?
---@return haplua.Maintenance[]
function M.current(c, name)
  return name and c.store:current(c.name, plans.object(name)) or c.store:servers(c.name)
end

--- The servers that words name: "app/a1", or "app/" for those of a backend. A server that HAProxy does not have any more
-- is one while it has a maintenance.
---@param all haplua.Servers
---@param words string[]
---@return string[]  each once, in HAProxy's order. Raises `refused`
function M.names(c, all, words)
  local names, there, wanted = table.move(all.names, 1, #all.names, 1, {}), {}, {}
  for _, m in ipairs(M.current(c)) do
    if not all.rows[m.scope.server] then
      names[#names + 1] = m.scope.server
    end
  end
  for _, word in ipairs(words) do
    local known = false
    for _, name in ipairs(names) do
      if name == word or word:sub(-1) == "/" and name:sub(1, #word) == word then
        known, wanted[name] = true, true
      end
    end
    if not known then
      errors.refuse(("%s: %s does not exist"):format(tostring(c.target), word))
    end
  end
  local found = {}
  for _, name in ipairs(names) do
    found[#found + 1] = wanted[name] and not there[name] and name or nil
    there[name] = true
  end
  return found
end

--- A new maintenance of a server.
---@param c haplua.Context
---@param name string
---@param fields table
---@return haplua.Maintenance
function M.entity(c, name, fields)
  fields.acl, fields.switch = plans.object(name), name
  return context.sign(c, fields)
end

--- What HAProxy and the store say of a server.
---@param all haplua.Servers
---@param name string
---@return haplua.ServerLook
function M.look(c, all, name)
  local object, row = plans.object(name), all.rows[name]
  local latest = c.store:latest(c.name, object)
  local left = plans.left(latest)
  return {
    name = name, now = time(), current = c.store:current(c.name, object), latest = latest, left = left, gone = not row,
    held = row ~= nil and server.is_held(row),
    row = row and { admin = server.forced(row), weight = row.srv_uweight, initial = row.srv_iweight }
      or { admin = left[1] or "ready", weight = 1, initial = 1 },
    same_process = latest ~= nil and (not latest.worker or switch.is_same_process(all.process, latest)),
    by_hand = c.switch.by_hand,
    entity = function(fields)
      return M.entity(c, name, fields)
    end,
  }
end

--- Make the step for one server. What a hand did, and what time has ended, is part of it.
---@param look haplua.ServerLook
---@param decide fun(look: haplua.ServerLook): haplua.Decision?
---@return haplua.ServerStep?
function M.step(look, decide)
  local by_hand = plans.edits_by_hand(look)
  local decision = decide(setmetatable({ current = maintenance.after(look.current, by_hand) }, { __index = look }))
  if not decision then
    return nil
  end
  local edits = table.move(by_hand, 1, #by_hand, 1, {})
  table.move(decision.edits, 1, #decision.edits, #edits + 1, edits)
  local expiring = maintenance.expiring(maintenance.after(look.current, edits), look.now)
  table.move(expiring, 1, #expiring, #edits + 1, edits)
  return {
    look = look, edits = edits, plan = plans.plan(look, by_hand, edits), about = decision.about,
    refreshed = decision.refreshed, ended = decision.ended, handled = #by_hand > 0,
  }
end

--- Refuse steps after which a backend has no server left that takes requests.
---@param all haplua.Servers
---@param steps haplua.ServerStep[]
local function guard(c, all, steps)
  local out = {}
  for _, step in ipairs(steps) do
    local planned = step.about and not step.ended and step.about.begins > step.look.now
    out[step.look.name] = step.plan.state ~= "ready" or planned or nil
  end
  for _, step in ipairs(steps) do
    local backend, left = step.look.name:match("^[^/]*/"), 0
    for name, row in pairs(all.rows) do
      local takes = name:sub(1, #backend) == backend and row.admin == "ready" and row.operational == "running"
      left = left + (takes and not out[name] and 1 or 0)
    end
    if left == 0 and out[step.look.name] and all.rows[step.look.name].admin == "ready" then
      errors.refuse(("%s: %s is the last server of its backend that takes requests"):format(tostring(c.target),
        step.look.name), "put another one into service first, or force it (--force)")
    end
  end
end

local function warn(form, ...)
  io.stderr:write("haplua: ", form:format(...), "\n")
end

--- Change HAProxy as planned. Where that fails, try to give the server the state that it had.
local function carry_out(c, step)
  local look, plan = step.look, step.plan
  local state = plan.state ~= look.row.admin and plan.state or nil
  if look.gone or not state and not plan.weight then
    return
  end
  local ok, problem = pcall(server.force, c.target, look.name, state, plan.weight)
  if not ok then
    if not errors.is(problem) or problem.kind ~= "unreachable" then
      pcall(server.force, c.target, look.name, look.row.admin)
    end
    error(problem, 0)
  end
  step.changed = true
end

--- Write a step down, carry it out, and write the outcome down. The server's lock is held.
---@param all haplua.Servers
---@param step haplua.ServerStep
---@param action string  the log's word
---@param made? fun(step: haplua.ServerStep)
function M.record(c, all, step, action, made)
  local plan, about = step.plan, step.about
  local first = plan.in_force[1]
  change.write(c.store, context.sign(c, {
    acl = plans.object(step.look.name), switch = step.look.name, action = action,
    patterns = plan.patterns, ours = plan.ours, settled = plan.settled, since = first and first.begins,
    ends = about and about.ends, reason = about and about.reason,
  }), step.edits, all.process, function()
    carry_out(c, step)
    return step
  end, made)
end

--- The locks of servers, for a <close> variable.
---@return any
local function lock(c, names)
  local held = setmetatable({}, {
    __close = function(locks)
      for _, one in ipairs(locks) do
        one:release()
      end
    end,
  })
  local sorted = table.move(names, 1, #names, 1, {})
  table.sort(sorted)
  local ok, problem = pcall(function()
    for i, name in ipairs(sorted) do
      held[i] = c.store:lock(c.name, plans.object(name))
    end
  end)
  if not ok then
    getmetatable(held).__close(held)
    error(problem, 0)
  end
  return held
end

--- Read all servers for a change of some. That a server is gone, or has another state than haplua left it in, is believed
-- when a second answer says so: after one garbled answer haplua would end a maintenance and leave its server as it is.
---@param c haplua.Context
---@param names string[]
---@return haplua.Servers
function M.read_for(c, names)
  local all = M.read(c)
  for _, name in ipairs(names) do
    local look = M.look(c, all, name)
    if look.gone or look.row.admin ~= (look.left[1] or "ready") then
      return M.read(c)
    end
  end
  return all
end

---@class haplua.ServerChange
---@field force boolean?  also the last server of a backend that takes requests
---@field made fun(step: haplua.ServerStep)?  called when a server is changed
---@field action string?  the log's word
---@field together boolean?  with several targets: wait until all of them are judged

--- Change servers under their locks. All are judged before the first is changed. In a dry run nothing is written, and
-- HAProxy is asked only.
---@param c haplua.Context
---@param words string[]  as names() takes them
---@param decide fun(look: haplua.ServerLook): haplua.Decision?  nil: leave this server alone
---@param decided? fun()  called before the first change: it may raise
---@param how haplua.ServerChange
---@return haplua.ServerStep[] steps, haplua.Servers all
function M.change(c, words, decide, decided, how)
  local dry = haproxy.dry_run()
  local names = M.names(c, M.read(c), words)
  local _ <close> = not dry and lock(c, names) or nil
  local all, steps = M.read_for(c, names), {}
  for _, name in ipairs(names) do
    steps[#steps + 1] = M.step(M.look(c, all, name), decide)
  end
  if decided then
    decided()
  end
  if how.action == "on" and not how.force then
    guard(c, all, steps)
  end
  if c.no_journal and how.action == "on" and not dry and not c.warned then
    c.warned = true
    warn("this is in no journal (%s): nothing puts it back after a reload, or ends it", c.no_journal)
  end
  if how.together and core.several() then
    core.barrier()
  end
  for i, step in ipairs(steps) do
    local ok, problem = true, nil
    if dry then
      carry_out(c, step)
    else
      ok, problem = pcall(M.record, c, all, step, how.action, how.made)
    end
    if not ok and i > 1 and errors.is(problem) then
      warn("%d of %d servers were changed before this: maint status shows them", i - 1, #steps)
    end
    if not ok then
      error(problem, 0)
    end
  end
  return steps, all
end

return M
