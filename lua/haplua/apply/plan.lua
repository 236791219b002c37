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
---@field passing string[]?  networks that pass, for people; of a map those of `about`
---@field stopped string[]?  networks that passed before, while something was closed, and do not pass any more
---@field denied string[]?  networks of `about` that do not pass everywhere in its scope
---@field notes string[]?  what a map cannot hold as it is wanted
---@field view haplua.View
---@field journal boolean  the store is a journal
---@field in_force haplua.Maintenance[]  afterwards
---@field previous number?  when the latest change was made
---@field untold {of: haplua.Maintenance, problem: any}[]  scopes that the ACL cannot tell apart, and so are not closed
---@field about haplua.Maintenance?  the one that the change is about
---@field together boolean?  with several targets: all change, or none
---@field probe string?  a value that the patterns of `about` match
---@field whole boolean?  these patterns match every request, so HAProxy must say that `probe` matches

-- A new process may have read the bypass list's file so many seconds before it says that it started.
local READING = 60

-- So many changes are looked through for what that file held, at most.
local RECENT = 50

--- The entries of the bypass list that haplua put there. A new process may have read a file that has changed since.
---@return string[]
local function ours_of(c, look)
  local ours = look.latest and look.latest.ours or {}
  if not look.latest or look.same_process or not look.state.bypass:find("^/") then
    return ours
  end
  local all, there, found = c.store:log(c.name, c.switch.acl, RECENT), lists.set(ours), table.move(ours, 1, #ours, 1, {})
  for i, entry in ipairs(all) do
    local following = all[i + 1] or entry
    local may_be_read = (following.ended or following.time) >= look.state.started - READING
    for _, item in ipairs(may_be_read and entry.ours or {}) do
      found[#found + 1] = not there[item] and item or nil
      there[item] = true
    end
  end
  return found
end

--- The bypass list: what others put there stays, and what haplua put there is replaced.
local function plan_bypass(plan, state, ours_before, wanted)
  local others = lists.without(state.passing, lists.set(ours_before))
  plan.settled = lists.without(wanted, lists.set(others))
  plan.ours = lists.joined(plan.settled, lists.without(ours_before, lists.set(plan.settled)))
  plan.bypass = lists.joined(others, plan.settled)
  plan.passing = plan.bypass
  plan.stopped = #state.patterns > 0 and lists.without(state.passing, lists.set(plan.bypass)) or {}
  plan.denied = plan.about and lists.without(plan.about.bypass or {}, lists.set(plan.bypass))
end

--- The content of a switch that is a map, and what it does to clients.
local function plan_maps(plan, look, ours_before)
  local maps, state = require("haplua.plan.map"), look.state
  local live = {
    keys = state.patterns, values = state.values, networks = state.passing or {}, bits = state.bits or {},
    ours = lists.set(ours_before),
  }
  local content, about = maps.of(plan.in_force, look.view, live), plan.about
  plan.patterns, plan.values, plan.untold, plan.notes = content.patterns, content.values, content.untold, content.notes
  if state.bypass then
    plan.settled, plan.bypass, plan.bits = content.ours, content.bypass, content.bits
    plan.ours = lists.joined(plan.settled, lists.without(ours_before, lists.set(plan.settled)))
    plan.between = require("haplua.plan.bits").between(live, content)
    plan.passing = about and (about.bypass or look.view.allow)
    plan.stopped, plan.denied = maps.stopped(live, content), about and maps.denied(about, content)
  end
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
  local plan = context.place(c, {
    action = action, ends = about and about.ends, reason = about and about.reason, journal = c.journal,
    in_force = in_force, about = about, declared = look.state.declared, view = look.view,
    previous = look.latest and (look.latest.ended or look.latest.time),
  })
  if look.state.values then
    plan_maps(plan, look, look.state.bypass and ours_of(c, look) or {})
  else
    local content = contents.of(in_force, look.view)
    plan.patterns, plan.untold, plan.since = content.patterns, content.untold, content.since
    plan.info = info_of(look.state, content)
    if look.state.bypass then
      plan_bypass(plan, look.state, ours_of(c, look), content.bypass)
    end
  end
  if about and maintenance.is_in_force(about, look.now) then
    plan.probe, plan.whole = scope.probe(about.scope, look.view.kind, look.view.method)
  end
  return plan
end

--- Where HAProxy and the files of its lists are not as planned. Of a map the values and the order count as well.
---@param c haplua.Context
---@param state haplua.switch.State
---@param plan haplua.Plan
---@return {patterns: boolean, bypass: boolean, info: boolean, files: {path: string, entries: integer?, expected: integer}[]}
--- info: visitors are told something else, or of a map other clients pass
function M.differences(c, state, plan)
  local info, bypass = state.info, plan.bypass ~= nil
  local found = {
    patterns = not lists.same(plan.patterns, state.patterns),
    files = switch.out_of_step(c.target, c.switch, state),
  }
  if state.values then
    found.bypass = bypass and not lists.same_entries(plan.bypass, plan.bits, state.passing, state.bits)
    found.info = not lists.same_entries(plan.patterns, plan.values, state.patterns, state.values)
  else
    found.bypass = bypass and not lists.same(plan.bypass, state.passing)
    found.info = info ~= nil
      and not (lists.same(plan.info.keys, info.keys) and lists.same(plan.info.values, info.values))
  end
  return found
end

return M
