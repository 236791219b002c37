-- SPDX-License-Identifier: MIT
--
--- Bring a switch together: what the store says is in force, HAProxy's lists, and their files.

local change = require("haplua.apply.change")
local lists = require("haplua.base.lists")
local maintenance = require("haplua.plan.maintenance")
local moment = require("haplua.time.instant")
local plans = require("haplua.apply.plan")
local results = require("haplua.apply.result")

local enumerate, same, who = results.enumerate, lists.same, maintenance.who

local M = {}

--- Those of `list` that are in force now, and were not at the latest change.
local function begun(look, list)
  local since, found = look.latest and (look.latest.ended or look.latest.time) or -math.huge, {}
  for _, m in ipairs(list) do
    found[#found + 1] = m.begins > since and m.origin ~= "by hand" and m or nil
  end
  return found
end

--- Those that the edits end since their time is over.
local function expired(look)
  local found = {}
  for _, m in ipairs(look.current) do
    found[#found + 1] = not m.ended and m.ends and m.ends <= look.now and m or nil
  end
  return found
end

--- "m12 m13"; nil: none.
local function names(list)
  local found = {}
  for i, m in ipairs(list) do
    found[i] = maintenance.name(m)
  end
  return #found > 0 and table.concat(found, " ") or nil
end

local function state_of(c, plan)
  return ("%s is %s"):format(results.list_name(c.switch.acl, c.switch.given),
    #plan.patterns > 0 and "on for " .. enumerate(plan.patterns) or "off")
end

--- Why HAProxy's list is not as planned, where time is not the reason.
local function reason_for(look)
  local latest = look.latest
  if not latest then
    return "a maintenance was not carried out"
  elseif not latest.outcome then
    return ("'%s' by process %d was broken off"):format(latest.action, latest.pid)
  elseif look.same_process and same(latest.patterns, look.state.patterns) then
    return "what is wanted has changed"
  elseif look.same_process then
    return ("somebody had changed it by hand: it matched %s"):format(enumerate(look.state.patterns))
  end
  return ("HAProxy's process %d was replaced by %d"):format(latest.worker or 0, look.state.worker)
end

--- Lines on what was done, the log's word for it first.
---@return string action, string[] lines
local function story(c, look, plan, by_hand)
  local lines, action = {}, "keep"
  local function add(word, form, ...)
    action = action == "keep" and word or action
    lines[#lines + 1] = form:format(...)
  end
  for _, m in ipairs(expired(look)) do
    local window = m.origin:match("^window (.*)$")
    add("expire", window and "the window %s is closed: %s ended as planned at %s"
      or "maintenance by %s ended as planned: %s, at %s", window or who(m), maintenance.name(m), moment.text(m.ends))
  end
  for _, m in ipairs(begun(look, plan.in_force)) do
    local window = m.origin:match("^window (.*)$")
    add("begin", window and "the window %s is open until %s: %s" or "maintenance by %s has begun, until %s: %s",
      window or who(m), m.ends and moment.text(m.ends) or "further notice", results.summary(m))
  end
  if by_hand then
    add("by hand", "somebody has changed it by hand, and it is kept so: it matches %s", enumerate(look.state.patterns))
  elseif #lines == 0 and not same(plan.patterns, look.state.patterns) then
    add("keep", "%s", reason_for(look))
  elseif #lines == 0 and look.latest and not look.latest.outcome then
    add("keep", "%s", reason_for(look))
  elseif #lines == 0 then
    add("keep", "a list beside it, or a file, was out of step")
  end
  lines[#lines] = lines[#lines] .. "; " .. state_of(c, plan)
  return action, lines
end

--- Does HAProxy hold what is planned, and do the files?
local function is_in_step(c, look, plan)
  local found = plans.differences(c, look.state, plan)
  return not found.patterns and not found.bypass and not found.info and #found.files == 0
end

---@class haplua.Reconciled
---@field plan haplua.Plan?  what HAProxy was changed to
---@field lines string[]?  what was done; nil: nothing was to be done
---@field seen string  the fingerprint of the lists that were judged
---@field untold {of: haplua.Maintenance, problem: any}[]  scopes that the ACL cannot tell apart
---@field idle boolean?  HAProxy need not be looked at until the store has something else

--- Do what time, a hand, a reload or a killed process have left to be done on a switch.
---@param c haplua.Context
---@return haplua.Reconciled
function M.reconcile(c)
  local store = c.store
  local _ <close> = store:lock(c.name, c.switch.acl)
  local look = change.look(c)
  if look.latest and c.switch.acl:find("^#%d%d?$") then
    require("haplua.apply.identity").check_number(c, look)
  end
  local by_hand = #look.edits > 0
  local expiring = maintenance.expiring(maintenance.after(look.current, look.edits), look.now)
  local edits = table.move(expiring, 1, #expiring, #look.edits + 1, look.edits)
  local plan = plans.of(c, look, "keep", edits)
  local found = { seen = look.state.seen, untold = plan.untold }
  local unfinished = look.latest and not look.latest.outcome
  -- what has begun is noted also where its patterns were in the list before: a hand that removes them ends it, too
  local new = begun(look, plan.in_force)
  if #edits == 0 and not unfinished and #new == 0
    and (not look.latest and #plan.patterns == 0 or is_in_step(c, look, plan)) then
    if look.latest and not look.same_process then
      store:finish(look.latest, look.state)
    end
    return found
  end
  plan.action, found.lines = story(c, look, plan, by_hand)
  found.plan = plan
  table.move(look.set_back, 1, #look.set_back, #edits + 1, edits)
  if #edits > 0 or not same(plan.patterns, look.latest and look.latest.patterns or {}) then
    plan.maintenances = names(new)
    change.record(c, look.state, plan, edits)
  else -- what the store has already: were this process killed now, the next one would know the patterns
    change.carry_out(c, look.state, plan)
    change.note(c, look.state, plan)
  end
  return found
end

return M
