-- SPDX-License-Identifier: MIT
--
--- What people, programs and keep do with the maintenances of servers.

local actions = require("haplua.apply.actions")
local errors = require("haplua.error")
local maintenance = require("haplua.plan.maintenance")
local moment = require("haplua.time.instant")
local plans = require("haplua.plan.servers")
local results = require("haplua.apply.server_result")
local servers = require("haplua.apply.servers")

local M = {}

---@class haplua.ServerBeginning: haplua.ServerChange  how a caller uses begin()
---@field origin string?  "on"
---@field pid integer?  the process that ends the maintenance
---@field occurrence string?
---@field context haplua.Context?
---@field scope haplua.Scope?  in place of the request's, for one server

--- The maintenance of the same person, origin and state that is in force; nil: none is.
local function find_same(c, look, m)
  for _, other in ipairs(maintenance.in_force(look.current, look.now)) do
    if other.origin == m.origin and maintenance.is_of(other, c.person) and other.scope.state == m.scope.state then
      return other
    end
  end
end

--- Begin a maintenance of each server, or refresh those that the same person has.
---@param request haplua.Request  with `servers`
---@param how haplua.ServerBeginning?
---@return haplua.ServerResult
function M.begin(request, how)
  how = how or {}
  actions.check_reason(request.reason)
  local state = how.scope and how.scope.state or request.drain and "drain" or "maint"
  local c = how.context or servers.open(maintenance.with(request, { state = state }))
  if not how.pid then
    actions.check_times(c, request)
  end
  local steps = servers.change(c, request.servers, function(look)
    local m = servers.entity(c, look.name, {
      scope = how.scope or plans.scope(look.name, state), reason = request.reason,
      origin = how.origin or "on", pid = how.pid, occurrence = how.occurrence, begins = request.begins or look.now,
      ends = request.ends,
    })
    return actions.beginning(c, look, m, request.replace,
      not how.pid and not request.begins and find_same(c, look, m))
  end, nil, {
    action = "on", state = state, force = request.force, keep_up = request.keep_up, made = how.made,
    together = not how.context,
  })
  return results.of(c, steps)
end

--- The server of each id; nil: the ids are of switches. Raises `refused` where some are and some are not.
---@param request haplua.EndRequest
---@param ids integer[]
---@return string[]?
function M.servers_of(request, ids)
  local c, found = servers.open(request, true), {}
  for _, id in ipairs(ids) do
    local m = c.store:maintenance(c.name, id)
    found[#found + 1] = m and m.scope.server or nil
  end
  if #found > 0 and #found < #ids then
    errors.refuse("some of these are maintenances of servers, and some are not", "end them one after the other")
  end
  return #found > 0 and found or nil
end

--- Refuse a call that finds no maintenance, with the call to HAProxy that changes a server whatever holds it.
local function refuse_none(c, which, words)
  if which.ids then
    actions.refuse_id(c, which.ids[1], "a server")
  end
  local what = table.concat(words, " ")
  errors.refuse(which.mine and ("no maintenance of %s is yours"):format(what)
    or ("no maintenance of %s is %s"):format(what, c.journal and "known" or "known without a journal"),
    ("what holds it was set by hand, by HAProxy's configuration, or without a journal. To put it into service:\n"
      .. "  haplua -e 'haproxy.server_set{server=\"%s\", state=\"ready\"}'"):format(words[1]:sub(-1) == "/" and words[1] .. "NAME"
      or words[1]))
end

--- A decide() for maintenances that somebody means, and a decided(). Where a killed process has left a change of a server
-- unfinished, `off` finishes it, also if that has ended the last maintenance.
---@param which haplua.EndRequest
---@param call string  "off" or "change"
---@param words string[]
---@param edit fun(m: haplua.Maintenance, look: haplua.ServerLook): haplua.Edit
local function selection(c, which, call, words, edit)
  local ids, all, found, unfinished = {}, {}, {}, false
  for _, id in ipairs(which.ids or {}) do
    ids[id] = true
  end
  local function decide(look)
    local chosen, edits = {}, {} -- a chosen one that a hand has ended just now needs no edit
    for _, m in ipairs(look.current) do
      if (not which.ids or ids[m.id]) and (not which.mine or maintenance.is_of(m, c.person))
        and (not which.origin or m.origin == which.origin) then
        chosen[#chosen + 1] = m
        found[#found + 1] = m
        edits[#edits + 1] = not m.ended and edit(m, look) or nil
      end
    end
    if #edits > 1 and not (which.ids or which.mine or which.all or which.origin) then
      table.move(chosen, 1, #chosen, #all + 1, all)
    end
    local about = call == "change" and edits[1] and maintenance.with(chosen[1], edits[1].set) or nil
    local broken_off = call == "off" and look.latest and not look.latest.outcome
    unfinished = unfinished or broken_off
    return (#chosen > 0 or broken_off) and { edits = edits, ended = call == "off" and chosen or nil, about = about } or nil
  end
  return decide, function()
    if #all > 0 then
      actions.say_which(all, call)
    elseif #found == 0 and not unfinished then
      refuse_none(c, which, words)
    end
  end
end

--- End maintenances of servers: of each server the only one, or those that are selected. A server that none holds any
-- more goes back to what it was before, unless somebody has changed it by hand.
---@param request haplua.EndRequest  servers or ids; `origin`: only those of it
---@return haplua.ServerResult
function M.off(request)
  local words = request.servers or M.servers_of(request, request.ids) or refuse_none(servers.open(request, true), request, {})
  local c = servers.open(maintenance.with(request, { servers = words }))
  local decide, decided = selection(c, request, "off", words, function(m, look)
    return maintenance.ending(m, look.now, "off", maintenance.who(c.person))
  end)
  return results.of(c, (servers.change(c, words, decide, decided, { action = "off", together = true })))
end

--- End maintenances by their numbers, where that has not happened yet.
---@param c haplua.Context
---@param list haplua.Maintenance[]
---@param why string
---@return haplua.ServerResult?  nil: all are over
function M.finish(c, list, why)
  local words, ids = {}, {}
  for i, m in ipairs(list) do
    words[i], ids[m.id] = m.scope.server, true
  end
  local steps = servers.change(c, words, function(look)
    for _, m in ipairs(look.current) do
      if ids[m.id] then
        local ending = not m.ended and maintenance.ending(m, look.now, why, maintenance.who(c.person))
        return { edits = { ending or nil }, ended = { m } }
      end
    end
  end, nil, { action = "off" })
  return #steps > 0 and results.of(c, steps) or nil
end

--- Change fields of a maintenance.
---@param c haplua.Context
---@param m haplua.Maintenance
---@param set table|fun(m: haplua.Maintenance): table  the fields, or a function that makes them of what it is now
---@param how haplua.ServerChange?
---@return haplua.ServerResult?  nil: it is over
function M.set(c, m, set, how)
  local steps = servers.change(c, { m.scope.server }, function(look)
    for _, other in ipairs(look.current) do
      if other.id == m.id and not other.ended then
        local fields = type(set) == "function" and set(other) or set
        return { edits = { { of = other, set = fields } }, about = maintenance.with(other, fields) }
      end
    end
  end, nil, how or { action = "change" })
  return #steps > 0 and results.of(c, steps) or nil
end

--- Change a maintenance in one step: those of its fields that the request names.
---@param request haplua.ChangeRequest
---@return haplua.ServerResult
function M.change(request)
  actions.check_reason(request.reason)
  local words = M.servers_of(request, { request.id })
  local c = servers.open(maintenance.with(request, { servers = words }))
  actions.check_times(c, request)
  for _, list in ipairs({ request.patterns or {}, request.paths or {}, request.hosts or {}, request.bypass or {} }) do
    if list[1] then
      errors.refuse(("m%d is a maintenance of a server: it has no paths, hosts or bypass"):format(request.id))
    end
  end
  local decide, decided = selection(c, { ids = { request.id } }, "change", words, function(m)
    local set = {
      reason = request.reason, ends = request.ends or (request.open_end and false or nil), begins = request.begins,
      scope = request.drain and maintenance.with(m.scope, { state = "drain" }) or nil,
    }
    local changed = maintenance.with(m, set)
    actions.check_order(changed)
    return { of = m, set = set }
  end)
  return results.of(c, (servers.change(c, words, decide, decided, { action = "change", together = true })))
end

-- What keep does.

--- The servers that need a look: those with a maintenance, and those whose latest change was broken off.
---@return string[]
local function held(c)
  local names, there = {}, {}
  local function add(name)
    names[#names + 1] = not there[name] and name or nil
    there[name] = true
  end
  for _, m in ipairs(servers.current(c)) do
    add(m.scope.server)
  end
  for object in pairs(c.store:touched(c.name)) do
    local name = plans.name(object)
    local latest = name and not there[name] and c.store:latest(c.name, object)
    if latest and (not latest.outcome or #latest.patterns > 0) then
      add(name)
    end
  end
  table.sort(names)
  return names
end

--- Lines on what is done with a server, and the log's word for it.
---@param step haplua.ServerStep
---@return string action, string[] lines
local function story(step)
  local look, lines, action = step.look, {}, "keep"
  local function add(word, form, ...)
    action = action == "keep" and word or action
    lines[#lines + 1] = ("%s: "):format(look.name) .. form:format(...)
  end
  for _, m in ipairs(look.current) do
    if m.ends and m.ends <= look.now then
      add("expire", "%s by %s ended as planned at %s", maintenance.name(m), maintenance.who(m), moment.text(m.ends))
    end
  end
  if step.handled then
    add("by hand", "somebody has set it to %s by hand, and it is kept so", plans.by_hand(look))
  elseif #lines == 0 and look.latest and not look.latest.outcome then
    add("keep", "'%s' by process %d was broken off", look.latest.action, look.latest.pid)
  elseif #lines == 0 and look.left[1] and not look.same_process then
    add("keep", "HAProxy's process was replaced")
  elseif #lines == 0 and look.left[1] == look.row.admin or not look.left[1] then
    add("begin", "a maintenance has begun")
  elseif #lines == 0 then
    add("keep", "somebody had set it to %s by hand", plans.by_hand(look))
  end
  lines[#lines] = ("%s; it is %s%s%s"):format(lines[#lines], step.plan.state,
    step.plan.weight and ", with weight " .. step.plan.weight or "", step.plan.address and ", at " .. step.plan.address or "")
  return action, lines
end

local function nothing()
  return { edits = {} }
end

--- What is to be done with a server; nil: nothing.
---@param found haplua.Reconciled?  to note in it a server that is gone
---@return haplua.ServerStep?
local function needed(c, all, name, found)
  local look = servers.look(c, all, name)
  local step = servers.step(look, nothing)
  if found and look.gone and #look.current > 0 then
    found.untold[#found.untold + 1] = { of = look.current[1], problem = "HAProxy has no server " .. name }
  end
  if #step.edits > 0 or not plans.is_in_step(look, step.plan) then
    return step
  elseif look.latest and not look.same_process then
    c.store:finish(look.latest, all.process)
  end
end

--- Do what time, a hand, a reload or a killed process have left to be done on servers.
---@param c haplua.Context
---@return haplua.Reconciled
function M.reconcile(c)
  local all = servers.read(c)
  local names = held(c)
  local found = { seen = all.seen, untold = {}, idle = #names == 0 }
  for _, name in ipairs(names) do
    local step = needed(c, all, name, found)
    if step then
      -- another process may have been at work: only what is seen under the lock counts
      local _ <close> = c.store:lock(c.name, plans.backend(name))
      local now = servers.read_for(c, { name })
      step = needed(c, now, name)
      if step then
        local action, lines = story(step)
        servers.record(c, now, step, action)
        found.lines = table.move(lines, 1, #lines, #(found.lines or {}) + 1, found.lines or {})
      end
    end
  end
  return found
end

return M
