-- SPDX-License-Identifier: MIT
--
--- Plans: what the lists of a switch shall hold, for maintenances as they are after edits, on an HAProxy as it is now.
-- A plan begins as the row that the store keeps of the change (haplua.Wish). haplua.apply.change carries it out and
-- adds the outcome (haplua.Result).

local contents = require("haplua.plan.content")
local context = require("haplua.apply.context")
local lists = require("haplua.base.lists")
local maintenance = require("haplua.plan.maintenance")
local scope = require("haplua.plan.scope")
local switch = require("haplua.haproxy.switch")

local M = {}

---@class haplua.Plan: haplua.Wish, haplua.switch.Plan
---@field settled string[]?  what `ours` is once the change is done
---@field stopped string[]?  networks that passed before, while something was closed, and do not pass any more
---@field journal boolean  the store is a journal
---@field in_force haplua.Maintenance[]  afterwards
---@field untold {of: haplua.Maintenance, problem: any}[]  scopes that the ACL cannot tell apart, and so are not closed
---@field about haplua.Maintenance?  the one that the change is about
---@field together boolean?  with several targets: all change, or none
---@field probe string?  a value that the patterns of `about` match
---@field whole boolean?  these patterns match every request, so HAProxy must say that `probe` matches

--- The bypass list: what others put there stays, and what haplua put there is replaced.
local function plan_bypass(plan, state, latest, wanted)
  local ours_before = latest and latest.ours or {}
  local others = lists.without(state.passing, lists.set(ours_before))
  plan.settled = lists.without(wanted, lists.set(others))
  plan.ours = lists.joined(plan.settled, lists.without(ours_before, lists.set(plan.settled)))
  plan.bypass = lists.joined(others, plan.settled)
  plan.stopped = #state.patterns > 0 and lists.without(state.passing, lists.set(plan.bypass)) or {}
end

--- The map for the maintenance page: the entries of others stay.
local function info_of(state, content)
  local ours = switch.info(content.since, content.ends, content.reason)
  local keys, values = {}, {}
  for i, key in ipairs(state.info and state.info.keys or {}) do
    if not switch.INFO[key] then
      keys[#keys + 1], values[#values + 1] = key, state.info.values[i]
    end
  end
  table.move(ours.keys, 1, #ours.keys, #keys + 1, keys)
  table.move(ours.values, 1, #ours.values, #values + 1, values)
  return { keys = keys, values = values }
end

--- The plan for a switch after edits.
---@param c haplua.Context
---@param look haplua.Look
---@param action string  the log's word for the change
---@param edits haplua.Edit[]
---@param about haplua.Maintenance?
---@return haplua.Plan
function M.of(c, look, action, edits, about)
  local in_force = maintenance.in_force(maintenance.after(look.current, edits), look.now)
  local content = contents.of(in_force, look.view)
  local plan = context.place(c, {
    action = action, patterns = content.patterns, since = content.since, ends = about and about.ends,
    reason = about and about.reason, journal = c.journal, in_force = in_force, untold = content.untold, about = about,
    info = info_of(look.state, content), declared = look.state.declared,
  })
  if look.state.bypass then
    plan_bypass(plan, look.state, look.latest, content.bypass)
  end
  if about and maintenance.is_in_force(about, look.now) then
    plan.probe, plan.whole = scope.probe(about.scope, look.view.kind, look.view.method)
  end
  return plan
end

--- Where HAProxy and the files of its lists are not as planned.
---@param c haplua.Context
---@param state haplua.switch.State
---@param plan haplua.Plan
---@return {patterns: boolean, bypass: boolean, info: boolean, files: {path: string, entries: integer?, expected: integer}[]}
function M.differences(c, state, plan)
  local info = state.info
  return {
    patterns = not lists.same(plan.patterns, state.patterns),
    bypass = plan.bypass ~= nil and not lists.same(plan.bypass, state.passing),
    info = info ~= nil and not (lists.same(plan.info.keys, info.keys) and lists.same(plan.info.values, info.values)),
    files = switch.out_of_step(c.target, c.switch, state),
  }
end

return M
