-- SPDX-License-Identifier: MIT
--
--- Maintenance for as long as something lasts: what was there before is remembered, and is there again afterwards,
-- unless somebody else has changed it meanwhile. maintenance.during() is how scripts call it.

local haproxy = require("haproxy")
local change = require("haplua.apply.change")
local context = require("haplua.apply.context")
local plan = require("haplua.apply.plan")
local scope = require("haplua.plan.scope")
local switch = require("haplua.haproxy.switch")
local time = require("haplua.task").time

local M = {}

--- Could what is there be what an attempt has left, of which nobody knows how far it came? `first`: what was before.
local function may_be_left(first, live, wanted, options)
  local ours = {}
  for _, pattern in ipairs(first.patterns) do
    ours[pattern] = true
  end
  for _, pattern in ipairs((scope.patterns(options, live.kind, live.method))) do
    ours[pattern] = true
  end
  for _, pattern in ipairs(live.patterns) do
    if not ours[pattern] then
      return false
    end
  end
  return first.id == (wanted and wanted.id)
end

--- What there was before, to be put back. Where a process that was killed had begun it (`resumes`), or an attempt has
-- failed, that is what there was before those.
local function remember(c, options)
  local live = switch.look(c.target, c.switch)
  local wanted = c.journal and c.journal:wanted(c.name, c.switch.acl)
  local first, resumed = options.tried and options.tried.before, options.resumes and wanted and wanted.action == options.action
  if first and (resumed or may_be_left(first, live, wanted, options)) then
    return first
  elseif resumed then
    repeat
      wanted = c.journal:entry(wanted.before)
    until not wanted or wanted.action ~= options.action
    return { patterns = {}, passing = c.switch.allow, wanted = wanted }
  end
  local known = wanted and table.concat(wanted.patterns, "\n") == table.concat(live.patterns, "\n")
  return {
    patterns = live.patterns, passing = live.passing, info = live.info, wanted = known and wanted or nil,
    id = wanted and wanted.id,
  }
end

--- Is what we put there still there? What the keeper has ended, when it was over, is ours to restore, too: what was
-- there before comes back.
local function is_ours(made, live, wanted)
  if wanted and made.id then
    return wanted.id == made.id or wanted.action == "expire" and wanted.before == made.id, wanted
  end
  return table.concat(live.patterns, "\n") == table.concat(made.patterns, "\n")
end

--- That what there was before be again.
local function as_before(c, before, live)
  local old = before.wanted
  if old and old.ends and old.ends <= time() then
    return plan.from_entry(c, { patterns = {} }, live)
  elseif old then
    return plan.from_entry(c, old, live)
  end
  return {
    patterns = before.patterns, bypass = live.bypass and before.passing, info = before.info or { keys = {}, values = {} },
    since = #before.patterns > 0 and time() or nil,
  }
end

---@return haplua.Change?  nil: somebody else has changed it meanwhile, and it was left
local function restore(c, before, made)
  return change.alter(c, "restore", function(live, wanted)
    local ours, other = is_ours(made, live, wanted)
    if not ours then
      io.stderr:write(("haplua: %s was changed meanwhile%s: it is left as it is\n"):format(c.switch.acl,
        other and " by " .. (other.login or other.user) or ""))
      return nil
    end
    return as_before(c, before, live)
  end)
end

--- Take back what attempts at run() may have left, when none is made any more.
---@param options haplua.MaintenanceOptions  with the `tried` of those
function M.give_up(options)
  local c, first = context.open(options), options.tried.before
  return first and change.alter(c, "restore", function(live, wanted)
    local left = wanted and wanted.action == options.action or may_be_left(first, live, wanted, options)
    return left and as_before(c, first, live) or nil
  end)
end

--- As maintenance.during(), which documents it.
function M.run(options, fn, done)
  options = setmetatable({ attended = true, action = options.action or "during" }, { __index = options })
  local c = context.open(options)
  local before = remember(c, options)
  if options.tried then
    options.tried.before = before
  end
  local made = change.on(options)
  local _ <close> = setmetatable({}, {
    __close = function()
      local ok, restored = pcall(function()
        return not haproxy.dry_run() and restore(c, before, made)
      end)
      if not ok and type(restored) == "table" then
        restored.again = function()
          return restore(c, before, made)
        end
      end
      if not ok then
        error(restored, 0)
      elseif restored and done then
        done(restored)
      end
    end,
  })
  return fn(made)
end

return M
