-- SPDX-License-Identifier: MIT
--
--- Change a switch: look, decide, make a plan, write it down, change HAProxy and its files, write down the outcome.

local context = require("haplua.apply.context")
local haproxy = require("haproxy")
local is_error = require("haplua.error").is
local list = require("haplua.haproxy.list")
local lists = require("haplua.base.lists")
local maintenance = require("haplua.plan.maintenance")
local plans = require("haplua.apply.plan")
local results = require("haplua.apply.result")
local switch = require("haplua.haproxy.switch")
local time = require("haplua.task").time

local M = {}

-- So many looks at most until two of them see the same.
local LOOKS = 5

-- So many maintenances that are over may explain what a new process has read from the list's file.
local PAST = 100

---@class haplua.Look  what HAProxy and the store say of a switch
---@field now number
---@field state haplua.switch.State
---@field view haplua.View
---@field current haplua.Maintenance[]  not ended; those "by hand" as HAProxy's list has them
---@field latest haplua.Change?
---@field same_process boolean  HAProxy's process is that of the latest change
---@field edits haplua.Edit[]  what a hand has done, for the store
---@field set_back haplua.Edit[]  what the clock has done that was set back

---@param look haplua.Look
---@return haplua.Edit[]
local function edits_by_hand(c, look)
  if c.switch.by_hand == "undo" and look.latest
    or lists.same(look.state.patterns, look.latest and look.latest.patterns or {}) then
    return {}
  end
  return require("haplua.plan.by_hand").edits({
    now = look.now, patterns = look.state.patterns, passing = not look.state.bits and look.state.passing or nil,
    view = look.view,
    current = look.current, latest = look.latest, same_process = look.same_process,
    before = function()
      local done = c.store:latest_done(c.name, c.switch.acl)
      return done and done.patterns or {}
    end,
    over = function()
      return c.store:ended(c.name, c.switch.acl, PAST)
    end,
    ended = function()
      local has_file = c.switch.acl:find("^/")
      local found = has_file and c.store:ended(c.name, c.switch.acl, PAST) or {}
      for _, entry in ipairs(has_file and look.state.values and c.store:log(c.name, c.switch.acl, PAST) or {}) do
        found[#found + 1] = { scope = { patterns = entry.patterns } }
      end
      return found
    end,
    entity = function(fields)
      return context.sign(c, fields)
    end,
  })
end

--- The maintenances of a switch that are not ended. One that had begun before the clock was set back begins now; only
-- those of windows go by the clock alone.
---@return haplua.Maintenance[], haplua.Edit[] edits  for the store
local function current_of(c, now, latest)
  local all, edits = c.store:current(c.name, c.switch.acl), {}
  for i = 1, latest and #all or 0 do
    local m = all[i]
    if m.begins > now and m.begins <= latest.time and not m.occurrence then
      m.begins = now
      edits[#edits + 1] = { of = m, set = { begins = now } }
    end
  end
  return all, edits
end

--- Has the bypass list, or the map for visitors, entries that haplua did not leave there? A change keeps them.
---@param look haplua.Look
local function has_news_of_others(look)
  local state, latest = look.state, look.latest
  local news = state.passing ~= nil and not lists.same(state.passing, latest and latest.bypass or {})
  for _, key in ipairs(state.info and state.info.keys or {}) do
    news = news or not switch.INFO[key]
  end
  return news
end

--- Look at a switch. What a hand has done, and what others have put into the lists beside, is believed when two looks
-- have seen it: one garbled answer would be put back for ever.
---@param c haplua.Context
---@return haplua.Look
function M.look(c)
  local seen, look
  for _ = 1, LOOKS do
    local state = switch.look(c.target, c.switch)
    local latest = c.store:latest(c.name, c.switch.acl, state.patterns)
    local now = time()
    local current, set_back = current_of(c, now, latest)
    look = {
      now = now, state = state, latest = latest, current = current, set_back = set_back,
      view = { kind = state.kind, method = state.method, allow = c.switch.allow },
      same_process = latest ~= nil and (not latest.worker or switch.is_same_process(state, latest)),
    }
    look.edits = edits_by_hand(c, look)
    local news = #look.edits > 0 and c.journal or has_news_of_others(look)
    if not news or seen == state.seen then
      break
    end
    seen = state.seen
  end
  return look
end

--- Change HAProxy and its files as planned. Where the plan is for every request, HAProxy must say that `probe`
-- matches. The store is not written.
---@param c haplua.Context
---@param state haplua.switch.State
---@param plan haplua.Plan  becomes the result
---@return haplua.Result
function M.carry_out(c, state, plan)
  local outcome = switch.apply(c.target, c.switch, state, plan, { together = plan.together })
  local matched = list.match(outcome.tests or {})
  if plan.whole and outcome.tests and not matched then
    c.target:mistrust(("get %s %s %s"):format(c.switch.kind, c.switch.acl, plan.probe),
      "no match, although every request should match")
  end
  plan.given = c.switch.given
  plan.confirmed = matched and plan.probe or nil
  return results.of(plan, outcome)
end

local function warn(form, ...)
  io.stderr:write("haplua: ", form:format(...), "\n")
end

-- The words of the log for what keep does by itself. It tries again and again, so hooks get what succeeds alone.
local BY_ITSELF <const> = { keep = true, begin = true, expire = true, ["by hand"] = true }

--- Start the hooks of a change.
local function start_hooks(c, plan, edits, state, begun, outcome)
  local hooks = c.switch.hooks
  if hooks and (outcome == "done" or not BY_ITSELF[plan.action]) then
    require("haplua.hooks.start").start(hooks, c, plan, edits, state, begun and begun.id, outcome, time())
  end
end

--- Write a change and its edits down, carry it out, and write the outcome down. Then its hooks are started. The lock of
--- what it changes is held.
---@param c haplua.Context
---@param plan haplua.Wish  with `in_force` and `previous`, for hooks
---@param edits haplua.Edit[]
---@param state haplua.switch.State|{worker: integer, started: integer, asked: string?}  the HAProxy process
---@param carry_out fun(): any
---@param made? fun(result: any)
---@return any  what carry_out returns
function M.write(c, plan, edits, state, carry_out, made)
  local store = c.store
  local begun = store:begin(plan, edits)
  local ok, result = pcall(carry_out)
  if not ok then
    local recorded, problem = pcall(store.undo, store, begun, tostring(result))
    if not recorded then
      warn("%s", tostring(problem))
    end
    start_hooks(c, plan, edits, state, begun, tostring(result))
    error(result, 0)
  end
  if made then
    made(result)
  end
  local recorded, problem = pcall(store.finish, store, begun, state, plan.settled)
  if not recorded and is_error(problem) and problem.kind == "interrupted" then
    pcall(store.finish, store, begun, state, plan.settled)
    start_hooks(c, plan, edits, state, begun, "done")
    error(problem, 0)
  elseif not recorded then
    warn("the change is done, but the journal does not have its outcome: %s", tostring(problem))
  end
  start_hooks(c, plan, edits, state, begun, "done")
  return result
end

--- Record a change that was done without edits: what a reload or a hand had undone is back.
---@param c haplua.Context
---@param state haplua.switch.State
---@param plan haplua.Plan
function M.note(c, state, plan)
  plan.ours = plan.settled or plan.ours
  start_hooks(c, plan, {}, state, { id = c.store:note(context.sign(c, plan), state) }, "done")
end

--- Write the plan and its edits down, and carry it out. The switch's lock is held.
---@param c haplua.Context
---@param state haplua.switch.State
---@param plan haplua.Plan
---@param edits haplua.Edit[]
---@param made? fun(result: haplua.Result)
---@return haplua.Result
function M.record(c, state, plan, edits, made)
  switch.check_permitted(c.target, c.switch, state, plan)
  return M.write(c, context.sign(c, plan), edits, state, function()
    return M.carry_out(c, state, plan)
  end, made)
end

---@class haplua.Decision
---@field edits haplua.Edit[]
---@field about haplua.Maintenance?  the one that the change is about
---@field action string?  the log's word, in place of the caller's
---@field refreshed boolean?  `about` was in force before
---@field ended haplua.Maintenance[]?  those that the edits end
---@field apart boolean?  of several targets, this one changes whatever becomes of the others

--- Change a switch under its lock. In a dry run nothing is written, and HAProxy is asked only.
---@param c haplua.Context
---@param action string  the log's word for the change
---@param decide fun(look: haplua.Look): haplua.Decision?  nil: change nothing
---@param made? fun(result: haplua.Result)  called when HAProxy is changed: an interruption may still be raised after it
---@return haplua.Result?, haplua.Look
function M.change(c, action, decide, made)
  local dry = haproxy.dry_run()
  local _ <close> = not dry and c.store:lock(c.name, c.switch.acl) or nil
  local look = M.look(c)
  if not look.latest then
    require("haplua.apply.identity").check(c, look.state, look.state.state.list)
  end
  if c.switch.acl:find("^#%d%d?$") then
    require("haplua.apply.identity").check_number(c, look)
  end
  local current = {}
  for _, m in ipairs(maintenance.after(look.current, look.edits)) do
    current[#current + 1] = not m.ended and m or nil
  end
  local decision = decide(setmetatable({ current = current }, { __index = look }))
  if not decision then
    return nil, look
  elseif c.no_journal and not dry then
    warn("this is in no journal (%s): nothing puts it back after a reload", c.no_journal)
  end
  local edits = table.move(decision.edits, 1, #decision.edits, #look.edits + 1, look.edits)
  local expiring = maintenance.expiring(maintenance.after(look.current, edits), look.now)
  table.move(expiring, 1, #expiring, #edits + 1, edits)
  table.move(look.set_back, 1, #look.set_back, #edits + 1, edits)
  local plan = plans.of(c, look, decision.action or action, edits, decision.about)
  plan.refreshed, plan.ended, plan.together = decision.refreshed, decision.ended, not decision.apart
  if dry then
    return M.carry_out(c, look.state, plan), look
  end
  return M.record(c, look.state, plan, edits, made), look
end

return M
