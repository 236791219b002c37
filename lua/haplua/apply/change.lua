-- SPDX-License-Identifier: MIT
--
--- Change a switch: look, make a plan, write it down, change HAProxy and its files, write down the outcome.

local context = require("haplua.apply.context")
local haproxy = require("haproxy")
local is_error = require("haplua.error").is
local list = require("haplua.haproxy.list")
local plans = require("haplua.apply.plan")
local results = require("haplua.apply.result")
local switch = require("haplua.haproxy.switch")

local M = {}

--- Change HAProxy and its files as planned. Where the plan is for every request, HAProxy must say that `probe`
-- matches. The journal is not written.
---@param c haplua.Context
---@param state haplua.switch.State
---@param plan haplua.Plan  becomes the result
---@return haplua.Result
function M.carry_out(c, state, plan)
  local outcome = switch.apply(c.target, c.switch, state, plan, { together = true })
  local matched = list.match(outcome.tests or {})
  if plan.whole and outcome.tests and not matched then
    c.target:mistrust(("get acl %s %s"):format(c.switch.acl, plan.probe), "no match, although every request should match")
  end
  plan.confirmed = matched and plan.probe or nil
  return results.of(plan, outcome)
end

local function warn(form, ...)
  io.stderr:write("haplua: ", form:format(...), "\n")
end

--- Look, plan and change under the switch's lock. The plan is in the journal before HAProxy is asked for anything,
-- and the outcome afterwards.
---@param make fun(state: haplua.switch.State, before: haplua.Entry?): haplua.Plan?
---@param made? fun(result: haplua.Result)
---@return haplua.Result?
local function change_and_record(c, make, made)
  local journal = c.journal
  local _ <close> = journal:lock(c.name, c.switch.acl)
  local state = switch.look(c.target, c.switch)
  local before = journal:wanted(c.name, c.switch.acl)
  local plan = make(state, before)
  if not plan then
    return nil
  end
  local id = journal:begin(plan)
  local ok, result = pcall(M.carry_out, c, state, plan)
  if not ok then
    local recorded, problem = pcall(journal.undo, journal, id, tostring(result))
    if not recorded then
      warn("%s", tostring(problem))
    end
    error(result, 0)
  end
  result.id, result.before = id, before
  if made then
    made(result)
  end
  local recorded, problem = pcall(journal.finish, journal, id, state)
  if not recorded and is_error(problem) and problem.kind == "interrupted" then
    pcall(journal.finish, journal, id, state)
    error(problem, 0)
  elseif not recorded then
    warn("the change is done, but the journal does not have its outcome: %s", tostring(problem))
  end
  return result
end

--- Look, plan, change; with the journal where there is one, except in a dry run.
---@param c haplua.Context
---@param make fun(state: haplua.switch.State, before: haplua.Entry?): haplua.Plan?  nil: change nothing
---@param made? fun(result: haplua.Result)  called when HAProxy is changed: an interruption may still be raised after it
---@return haplua.Result?
function M.change(c, make, made)
  if c.journal and not haproxy.dry_run() then
    return change_and_record(c, make, made)
  elseif c.no_journal and not haproxy.dry_run() then
    warn("this is in no journal (%s): nothing puts it back after a reload", c.no_journal)
  end
  local state = switch.look(c.target, c.switch)
  local plan = make(state)
  return plan and M.carry_out(c, state, plan)
end

--- Put the whole site, or a part of it, under maintenance, in place of the maintenance before.
---@param request haplua.Request
---@param action string?  the journal's word for it; "on"
---@param attended boolean?  the calling process ends the maintenance: an end needs no resident policy
---@param made? fun(result: haplua.Result)  as for change()
---@return haplua.Result
function M.on(request, action, attended, made)
  plans.check_reason(request.reason)
  local c = context.open(request)
  if not attended then
    plans.check_end(c, request)
  end
  return M.change(c, function(state, before)
    return plans.of_request(c, action or "on", request, state, before)
  end, made)
end

--- Raise what on() would raise before its first change. Asks HAProxy, and changes nothing.
---@param request haplua.Request
function M.check(request)
  plans.check_reason(request.reason)
  local c = context.open(request, true)
  local state = switch.look(c.target, c.switch)
  plans.of_request(c, "on", request, state)
  switch.check_files(c.target, c.switch, state)
end

--- End the maintenance: the ACL matches nothing afterwards.
---@param request haplua.Request
---@return haplua.Result
function M.off(request)
  local c = context.open(request)
  return M.change(c, function(state)
    return plans.of(c, "off", { patterns = {} }, state)
  end)
end

return M
