-- SPDX-License-Identifier: MIT
--
--- What a change of servers came to, what their maintenances are, and how both print.

local haproxy = require("haproxy")
local is_abandoned = require("haplua.apply.during").is_abandoned
local maintenance = require("haplua.plan.maintenance")
local moment = require("haplua.time.instant")
local plans = require("haplua.plan.servers")
local results = require("haplua.apply.result")
local servers = require("haplua.apply.servers")
local time = require("haplua.task").time

local M = {}

---@class haplua.ServerOutcome
---@field server string
---@field state haplua.ServerState  now
---@field before haplua.ServerState  what it goes back to
---@field weight integer?  it was given this weight
---@field address string?  it was given this address and port
---@field changed boolean  HAProxy was changed
---@field about haplua.Maintenance?
---@field refreshed boolean?
---@field ended haplua.Maintenance[]?
---@field in_force haplua.Maintenance[]
---@field held boolean?  HAProxy itself keeps it from taking requests, whatever its state is
---@field agent boolean?  its agent check was switched on or off
---@field by_hand haplua.ServerState?  what somebody has set it to meanwhile

---@class haplua.ServerResult
---@field target string
---@field servers haplua.ServerOutcome[]
local Result = {}

--- The first line on a server.
local function headline(one)
  local about = one.about
  local name = about and (about.id or 0) > 0 and ", as " .. maintenance.name(about) or ""
  if about and about.begins > time() then
    return ("%s is planned to be %s, from %s%s"):format(one.server, about.scope.state, moment.text(about.begins), name)
  elseif not one.changed then
    return ("%s was %s already%s"):format(one.server, one.state, name)
  end
  return ("%s %s %s%s%s%s"):format(one.server, haproxy.dry_run() and "would be" or "is", one.state,
    one.weight and ", with weight " .. one.weight or "",
    one.address and ", at " .. one.address or "", name)
end

local function text_of(one)
  local text = headline(one) .. (one.about and results.why_and_until(one.about) or "")
  if one.by_hand then
    text = text .. results.line("somebody has set it to %s by hand, and it is kept so", one.by_hand)
  end
  if one.held then
    text = text .. results.line("HAProxy keeps it from taking requests: a server that it tracks does not, or DNS has no address")
  end
  if one.agent ~= nil then
    text = text .. results.line(one.agent and "its agent check runs again"
      or "its agent check is off meanwhile: it could bring the server back")
  end
  return text .. results.others(one.ended or {}, one.in_force, one.about)
end

function Result.__tostring(result)
  local lines = {}
  for i, one in ipairs(result.servers) do
    lines[i] = text_of(one)
  end
  return table.concat(lines, "\n")
end

--- The result of steps that were carried out.
---@param c haplua.Context
---@param steps haplua.ServerStep[]
---@return haplua.ServerResult
function M.of(c, steps)
  local list = {}
  for i, step in ipairs(steps) do
    local look, plan = step.look, step.plan
    local is_kept = look.left[1] and look.latest.outcome and look.same_process and look.row.admin ~= look.left[1]
      and plan.state == look.row.admin
    list[i] = {
      server = look.name, state = plan.state, before = plan.base.admin, changed = step.changed or false,
      about = step.about, refreshed = step.refreshed, ended = step.ended, in_force = plan.in_force,
      held = look.held or nil, agent = plan.agent, by_hand = (step.handled or is_kept) and plans.by_hand(look) or nil,
      weight = plan.weight, address = plan.address,
    }
  end
  return setmetatable({ target = tostring(c.target), servers = list }, Result)
end

---@param portable fun(m: haplua.Maintenance): table
local function each(list, portable)
  local copies = {}
  for i, m in ipairs(list or {}) do
    copies[i] = portable(m)
  end
  return copies
end

--- A result for JSON.
---@param result haplua.ServerResult
---@param portable fun(m: haplua.Maintenance): table  a maintenance for JSON
---@return table
function M.portable(result, portable)
  local list = {}
  for i, one in ipairs(result.servers) do
    list[i] = {
      server = one.server, state = one.state, before = one.before, changed = one.changed, held = one.held, agent = one.agent,
      by_hand = one.by_hand, weight = one.weight, address = one.address,
      maintenance = one.about and portable(one.about), refreshed = one.refreshed, ended = each(one.ended, portable),
      in_force = each(one.in_force, portable),
    }
  end
  return { target = result.target, servers = list }
end

-- Status.

---@param look haplua.ServerLook
---@param add fun(kind: string, advice: string, form: string, ...)
local function disagree(c, look, plan, edits, add)
  local off = "maint off --server " .. look.name
  local latest = look.latest
  if look.gone then
    add("gone", off, "HAProxy has no server %s", look.name)
  elseif latest and not latest.outcome and not c.store:locked(c.name, plans.backend(look.name)) then
    add("broken off", off .. " or maint on, or haplua keep, brings it together again",
      "'%s' of %s by %s at %s (process %d) was broken off: it may have been carried out in part", latest.action, look.name,
      maintenance.who(latest), moment.text(latest.time), latest.pid)
  elseif #edits > 0 then
    add("by hand", "haplua keep, maint on or maint off keeps it so", "%s should be %s: somebody has set it to %s",
      look.name, table.concat(look.left, ", "), plans.by_hand(look))
  elseif plan.state ~= look.row.admin then
    add(look.same_process and "due" or "forgotten", "maint on puts it back; haplua keep does so by itself",
      "%s should be %s, and is %s", look.name, plan.state, look.row.admin)
  elseif plan.weight or plan.address then
    add(look.same_process and "due" or "forgotten", "maint on puts it back; haplua keep does so by itself",
      "%s should have %s, and has %s", look.name, plan.weight and "weight " .. plan.weight or "address " .. plan.address,
      plan.weight and look.row.weight or look.row.address)
  end
  for _, m in ipairs(look.current) do
    if m.ends and m.ends <= look.now then
      add("expired", "maint off ends it; haplua keep would have", "%s should have ended at %s", maintenance.name(m),
        moment.text(m.ends))
    elseif m.pid and is_abandoned(m, c.person) then
      add("abandoned", ("maint off %s ends it"):format(maintenance.name(m)), "the process %d that would end %s is gone",
        m.pid, maintenance.name(m))
    end
  end
end

--- Add the servers that have maintenances to a status: their maintenances, their states, and what does not fit.
---@param c haplua.Context
---@param status haplua.Status
---@param words string[]?  only these servers, as servers.names() takes them
function M.add_to(c, status, words)
  local list = servers.current(c)
  if #list == 0 and not words then
    return
  end
  local all, there, only = servers.read(c), {}, {}
  for _, name in ipairs(words and servers.names(c, all, words) or {}) do
    only[name] = true
  end
  for i = #list, 1, -1 do
    if words and not only[list[i].scope.server] then
      table.remove(list, i)
    end
  end
  status.servers = #list > 0 and {} or nil
  for _, m in ipairs(list) do
    local name = m.scope.server
    local look = servers.look(c, all, name)
    if not there[name] then
      local edits = plans.edits_by_hand(look)
      local plan = plans.plan(look, edits, edits)
      there[name] = true
      table.insert(status.servers, { server = name, state = not look.gone and look.row.admin or nil,
        before = plan.base.admin, weight = plan.base.weight,
        weight_now = look.row.weight ~= plan.base.weight and look.row.weight or nil })
      disagree(c, look, plan, edits, function(kind, advice, form, ...)
        table.insert(status.disagreements, { kind = kind, text = form:format(...), advice = advice })
      end)
    end
    table.insert(m.begins > look.now and status.planned or status.maintenances, m)
  end
end

--- The servers of a status as lines, to stand behind the line on its switch, if there is one.
---@param status haplua.Status
---@return string
function M.lines(status)
  local lines = { status.acl and "" }
  for _, one in ipairs(status.servers or {}) do
    local now = one.weight_now and ", weight " .. one.weight_now or ""
    lines[#lines + 1] = ("%s is %s%s (before: %s%s)"):format(one.server, one.state or "gone", now, one.before,
      one.weight_now and ", weight " .. one.weight or "")
  end
  return #lines == 0 and "no server is under maintenance" or table.concat(lines, "\n")
end

return M
