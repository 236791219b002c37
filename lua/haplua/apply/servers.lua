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
---@field out table<string, boolean>?  the servers that are out of service afterwards
---@field need integer?  so many of the others must take requests
---@field keep_up integer|string|nil  as it was asked for

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

--- The context for servers: no switch is meant.
---@param request haplua.Request
---@param readonly boolean?
---@return haplua.Context  raises `denied` where --read-only or --only holds a change of these servers back
function M.open(request, readonly)
  local names = request.servers
  if core.restricted() and names and not readonly then
    local c = M.open({ config = request.config, journal = request.journal }, true)
    names = M.names(c, M.read(c), names)
  end
  return context.open(
    { config = request.config, journal = request.journal, file = request.file, acl = "servers", servers = names,
      state = request.state }, readonly)
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
    row = row and { admin = server.forced(row), weight = row.srv_uweight, initial = row.srv_iweight,
      agent = server.has_agent(row), address = server.address(row) }
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

--- Add the backup servers of a backend to those that are out: they take requests where no other one does.
local function add_backups(c, backend, out)
  for _, row in ipairs(c.target:stat(backend)) do
    if row.bck == 1 then
      out[("%s/%s"):format(backend, row.svname)] = true
    end
  end
end

--- How many servers of a backend must go on to take requests.
---@param rows table<any, haplua.Server>  those of all backends, or of this one
---@param keep_up integer|string|nil  a number, or a share of the backend's servers such as "50%"; nil: 1
---@return integer
local function needed(rows, backend, keep_up)
  local share, all = tostring(keep_up or 1):match("^(%d+)%%$"), 0
  for _, row in pairs(rows) do
    all = all + (tostring(row.be_name) == backend and 1 or 0)
  end
  return share and math.ceil(all * tonumber(share) / 100) or math.tointeger(keep_up or 1) or 1
end

--- Refuse a change that leaves a backend fewer servers than it needs.
local function refuse_few(c, name, left, need, keep_up)
  if need <= 1 then
    errors.refuse(("%s: %s is the last server of its backend that takes requests"):format(tostring(c.target), name),
      "put another one into service first, or force it (--force)")
  end
  errors.refuse(("%s: without %s, %d servers of its backend take requests, and %d are to (--keep-up %s)"):format(
    tostring(c.target), name, left, need, tostring(keep_up)), "put others into service first, or ask for fewer")
end

--- How many of a backend's servers take requests and are not of `out`?
---@param rows table<any, haplua.Server>
---@param backend string
---@param out table<string, boolean>  by "backend/server"
local function count_serving(rows, backend, out)
  local n = 0
  for _, row in pairs(rows) do
    if tostring(row.be_name) == backend and server.takes(row) and not out[("%s/%s"):format(row.be_name, row.srv_name)] then
      n = n + 1
    end
  end
  return n
end

--- The servers that are out of service while a maintenance begins, and until its end where it has one: those of other
-- maintenances, too.
local function out_with(c, steps)
  local out, others = {}, M.current(c)
  for _, step in ipairs(steps) do
    local about = not step.ended and step.about or { begins = math.huge }
    local last = about.ends or math.max(about.begins, step.look.now)
    out[step.look.name] = step.plan.state ~= "ready" or step.plan.weight == 0
      or about.begins < math.huge and about.begins > step.look.now or nil
    for _, m in ipairs(others) do
      local takes = m.scope.state == "ready" and m.scope.weight ~= 0
      if not takes and m.begins <= last and (m.ends or math.huge) > about.begins then
        out[m.scope.server] = true
      end
    end
  end
  return out
end

--- Refuse steps after which a backend has too few servers that take requests. carry_out() looks again: a hand, or a
-- haplua without this journal, may take another server away at the same time.
---@param all haplua.Servers
---@param steps haplua.ServerStep[]
---@param keep_up integer|string|nil
---@param quick boolean?  do not ask HAProxy which of the servers are backups: another look follows
local function guard(c, all, steps, keep_up, quick)
  local out = out_with(c, steps)
  for _, step in ipairs(steps) do
    local name = step.look.name
    local row = all.rows[name]
    if out[name] and row and row.admin == "ready" then
      local backend = name:match("^[^/]*")
      local need = needed(all.rows, backend, keep_up)
      step.out, step.need, step.keep_up = out, need, keep_up
      if not quick and count_serving(all.rows, backend, out) >= need then
        add_backups(c, backend, out)
      end
      local left = count_serving(all.rows, backend, out)
      if left < need then
        refuse_few(c, name, left, need, keep_up)
      end
    end
  end
end

--- Refuse a server that may not be taken out of service, as change() will. Changes nothing.
---@param all haplua.Servers  just read
---@param name string
---@param keep_up integer|string|nil
function M.check_others(c, all, name, keep_up)
  local step = M.step(M.look(c, all, name), function(look)
    local m = M.entity(c, name, { scope = plans.scope(name, "drain"), begins = look.now, origin = "hold" })
    return { edits = { { add = m } }, about = m }
  end)
  guard(c, all, { step }, keep_up, not haproxy.dry_run())
end

local function warn(form, ...)
  io.stderr:write("haplua: ", form:format(...), "\n")
end

--- Change HAProxy as planned. Where that fails, try to give the server the state that it had.
local function carry_out(c, step)
  local look, plan = step.look, step.plan
  local state = plan.state ~= look.row.admin and plan.state or nil
  if look.gone or not state and not plan.weight and not plan.address and plan.agent == nil then
    return
  end
  local ok, problem = pcall(function()
    local rows = server.force(c.target, look.name, {
      state = state, weight = plan.weight, address = plan.address, agent = plan.agent,
    })
    local left = rows and step.out and count_serving(rows, look.name:match("^[^/]*"), step.out)
    if left and left < step.need then
      refuse_few(c, look.name, left, step.need, step.keep_up)
    end
  end)
  if not ok then
    if not errors.is(problem) or problem.kind ~= "unreachable" then
      pcall(server.force, c.target, look.name, {
        state = look.row.admin, agent = look.row.agent or nil, weight = plan.weight and look.row.weight,
        address = plan.address and look.row.address,
      })
    end
    error(problem, 0)
  end
  step.changed = true
end

--- Write a step down, carry it out, and write the outcome down. The lock of the server's backend is held.
---@param all haplua.Servers
---@param step haplua.ServerStep
---@param action string  the log's word
---@param made? fun(step: haplua.ServerStep)
function M.record(c, all, step, action, made)
  local plan, about = step.plan, step.about
  local first = plan.in_force[1]
  local latest = step.look.latest
  change.write(c, context.sign(c, {
    acl = plans.object(step.look.name), switch = step.look.name, action = action,
    patterns = plan.patterns, ours = plan.ours, settled = plan.settled, since = first and first.begins,
    ends = about and about.ends, reason = about and about.reason,
    in_force = plan.in_force, previous = latest and (latest.ended or latest.time),
  }), step.edits, all.process, function()
    carry_out(c, step)
    return step
  end, made)
end

--- The locks of the backends of servers, for a <close> variable.
---@return any
local function lock(c, names)
  local held = setmetatable({}, {
    __close = function(locks)
      for _, one in ipairs(locks) do
        one:release()
      end
    end,
  })
  local sorted, there = {}, {}
  for _, name in ipairs(names) do
    local backend = plans.backend(name)
    sorted[#sorted + 1] = not there[backend] and backend or nil
    there[backend] = true
  end
  table.sort(sorted)
  local ok, problem = pcall(function()
    for i, backend in ipairs(sorted) do
      held[i] = c.store:lock(c.name, backend)
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
---@field keep_up integer|string|nil  so many servers of a backend must go on to take requests, or a share: "50%"; nil: 1
---@field guard boolean?  judge a change as a beginning: enough servers must be left
---@field made fun(step: haplua.ServerStep)?  called when a server is changed
---@field action string?  the log's word
---@field state string?  that the servers shall have, for the error where --only refuses it
---@field together boolean?  with several targets: wait until all of them are judged

--- Change servers under the locks of their backends. All are judged before the first is changed. In a dry run nothing
-- is written, and HAProxy is asked only.
---@param c haplua.Context
---@param words string[]  as names() takes them
---@param decide fun(look: haplua.ServerLook): haplua.Decision?  nil: leave this server alone
---@param decided? fun()  called before the first change: it may raise
---@param how haplua.ServerChange
---@return haplua.ServerStep[] steps, haplua.Servers all
function M.change(c, words, decide, decided, how)
  local dry = haproxy.dry_run()
  local names = M.names(c, M.read(c), words)
  for _, name in ipairs(names) do
    core.permit(c.target, { "set", "server", name, "state", how.state or "ready" })
  end
  local _ <close> = not dry and lock(c, names) or nil
  local all, steps, known = M.read_for(c, names), {}, false
  for _, name in ipairs(names) do
    local look = M.look(c, all, name)
    known = known or look.latest ~= nil
    steps[#steps + 1] = M.step(look, decide)
  end
  if not known then
    require("haplua.apply.identity").check(c, all.process)
  end
  if decided then
    decided()
  end
  if (how.action == "on" or how.guard) and not how.force then
    guard(c, all, steps, how.keep_up)
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
