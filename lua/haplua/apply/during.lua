-- SPDX-License-Identifier: MIT
--
--- Maintenance for as long as a function runs. What the switch had before is remembered and restored afterwards,
-- unless somebody else has changed the switch meanwhile.

local change = require("haplua.apply.change")
local context = require("haplua.apply.context")
local haproxy = require("haproxy")
local plans = require("haplua.apply.plan")
local scope = require("haplua.plan.scope")
local switch = require("haplua.haproxy.switch")
local time = require("haplua.task").time

local M = {}

---@class haplua.Before  what the switch had before
---@field patterns string[]
---@field passing string[]?
---@field info {keys: string[], values: string[]}?
---@field wanted haplua.Entry?  the journal's maintenance, where HAProxy had the same patterns
---@field id integer?  the number of the journal's maintenance

---@class haplua.Lifetime  how a caller uses run()
---@field action string?  the journal's word for the change; "during"
---@field resume boolean?  a maintenance with the same action is a killed process's: continue it
---@field attempts {before: haplua.Before?}?  a caller that tries again after a failure gives the same table each time

--- True if HAProxy's list could be the result of an attempt that failed half-way: each pattern is one of `before` or
-- of the request, and nobody has made a change since.
local function may_be_left(before, state, wanted, request)
  local ours = {}
  for _, list in ipairs({ before.patterns, (scope.patterns(request, state.kind, state.method)) }) do
    for _, pattern in ipairs(list) do
      ours[pattern] = true
    end
  end
  for _, pattern in ipairs(state.patterns) do
    if not ours[pattern] then
      return false
    end
  end
  return before.id == (wanted and wanted.id)
end

--- Find what is to be restored afterwards. After a failed attempt, or a killed process whose maintenance is continued,
-- that is what the switch had before those.
---@return haplua.Before
local function remember(c, request, lifetime)
  local state = switch.look(c.target, c.switch)
  local wanted = c.journal and c.journal:wanted(c.name, c.switch.acl)
  local before = lifetime.attempts and lifetime.attempts.before
  local resumed = lifetime.resume and wanted and wanted.action == lifetime.action
  if before and (resumed or may_be_left(before, state, wanted, request)) then
    return before
  elseif resumed then
    repeat
      wanted = c.journal:entry(wanted.before)
    until not wanted or wanted.action ~= lifetime.action
    return { patterns = {}, passing = c.switch.allow, wanted = wanted }
  end
  local known = wanted and table.concat(wanted.patterns, "\n") == table.concat(state.patterns, "\n")
  return {
    patterns = state.patterns, passing = state.passing, info = state.info, wanted = known and wanted or nil,
    id = wanted and wanted.id,
  }
end

--- True while the switch has what `result` made of it. The resident policy may have ended that at its end: what was
-- there before is restored then, too.
local function is_ours(result, state, wanted)
  if wanted and result.id then
    return wanted.id == result.id or wanted.action == "expire" and wanted.before == result.id
  end
  return table.concat(state.patterns, "\n") == table.concat(result.patterns, "\n")
end

--- The plan that restores what the switch had before. A maintenance whose end is over is not put on again.
local function plan_of(c, before, state)
  local wanted = before.wanted
  if wanted and wanted.ends and wanted.ends <= time() then
    return plans.of(c, "restore", { patterns = {} }, state)
  elseif wanted then
    return plans.of(c, "restore", wanted, state)
  end
  local plan = plans.of(c, "restore", { patterns = before.patterns, bypass = before.passing, since = time() }, state)
  plan.bypass, plan.info = state.bypass and before.passing, before.info or plan.info
  return plan
end

---@return haplua.Result?  nil: somebody else has changed the switch, and it was left alone
local function restore(c, before, result)
  return change.change(c, function(state, wanted)
    if is_ours(result, state, wanted) then
      return plan_of(c, before, state)
    end
    io.stderr:write(("haplua: %s was changed meanwhile%s: it is left as it is\n"):format(c.switch.acl,
      wanted and result.id and " by " .. (wanted.login or wanted.user) or ""))
  end)
end

--- Restore what the switch had before failed attempts at run(), when no other attempt follows.
---@param request haplua.Request
---@param lifetime haplua.Lifetime  with the `attempts` of those
function M.give_up(request, lifetime)
  local c, before = context.open(request), lifetime.attempts.before
  return before and change.change(c, function(state, wanted)
    local left = wanted and wanted.action == lifetime.action or may_be_left(before, state, wanted, request)
    return left and plan_of(c, before, state) or nil
  end)
end

--- As maintenance.during(), which documents it.
---@param request haplua.Request
---@param lifetime haplua.Lifetime
---@param fn fun(result: haplua.Result): ...
---@param done? fun(result: haplua.Result)
---@return ...
function M.run(request, lifetime, fn, done)
  local c = context.open(request)
  local before = remember(c, request, lifetime)
  if lifetime.attempts then
    lifetime.attempts.before = before
  end
  local result = change.on(request, lifetime.action or "during", true)
  local _ <close> = setmetatable({}, {
    __close = function()
      local ok, restored = true, nil
      if not haproxy.dry_run() then
        ok, restored = pcall(restore, c, before, result)
      end
      if ok then
        return restored and done and done(restored)
      elseif type(restored) == "table" then
        restored.again = function()
          return restore(c, before, result)
        end
      end
      error(restored, 0)
    end,
  })
  return fn(result)
end

return M
