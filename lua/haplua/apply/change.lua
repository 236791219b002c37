-- SPDX-License-Identifier: MIT
--
--- Change a switch: look, decide, write down what is wanted, change HAProxy and its files, write down the outcome.

local context = require("haplua.apply.context")
local haproxy = require("haproxy")
local list = require("haplua.haproxy.list")
local plan = require("haplua.apply.plan")
local result = require("haplua.apply.result")
local switch = require("haplua.haproxy.switch")

local M = {}

--- Change HAProxy and its files; look that the whole site is what was asked for.
---@param intent haplua.Intent
---@return haplua.Change
function M.carry_out(c, live, intent)
  local applied = switch.apply(c.target, c.switch, live, intent, { together = true })
  local confirmed = list.match(applied.tests or {})
  if intent.whole and applied.tests and not confirmed then
    c.target:mistrust(("get acl %s %s"):format(c.switch.acl, intent.probe),
      "no match, although every request should match")
  end
  return result.new({
    acl = c.switch.acl,
    patterns = intent.patterns,
    added = applied.added,
    removed = applied.removed,
    others = applied.others,
    confirmed = confirmed and intent.probe or nil,
    reason = intent.reason,
    ends = intent.ends,
    passing = intent.bypass,
  })
end

local function warn(form, ...)
  io.stderr:write("haplua: ", form:format(...), "\n")
end

--- The same, written down before and after.
---@param make fun(live: haplua.switch.State, before: haplua.Entry?): haplua.Intent
local function write_down(c, action, make)
  local journal = c.journal
  local _ <close> = journal:lock(c.name, c.switch.acl)
  local live = switch.look(c.target, c.switch)
  local before = journal:wanted(c.name, c.switch.acl)
  local intent = make(live, before)
  if not intent then
    return nil
  end
  local id = journal:begin({
    target = c.name, acl = c.switch.acl, switch = c.switch.name, action = action, patterns = intent.patterns,
    bypass = intent.bypass, reason = intent.reason, since = intent.since, ends = intent.ends,
  })
  local ok, change = pcall(M.carry_out, c, live, intent)
  if not ok then
    local noted, problem = pcall(journal.undo, journal, id, tostring(change))
    if not noted then
      warn("%s", tostring(problem))
    end
    error(change, 0)
  end
  local noted, problem = pcall(journal.finish, journal, id, live)
  if not noted then
    warn("the change is done, but not its outcome written down: %s", tostring(problem))
  end
  change.id, change.before = id, before
  return change
end

--- Look, decide, change: under the lock, and written down, where there is a journal.
---@param c haplua.Context
---@param action string
---@param make fun(live: haplua.switch.State, before: haplua.Entry?): haplua.Intent?  nil: nothing shall be done
---@return haplua.Change?
function M.alter(c, action, make)
  if c.journal and not haproxy.dry_run() then
    return write_down(c, action, make)
  elseif c.no_journal and not haproxy.dry_run() then
    warn("this is in no journal (%s): nothing puts it back after a reload", c.no_journal)
  end
  local live = switch.look(c.target, c.switch)
  local intent = make(live)
  return intent and M.carry_out(c, live, intent)
end

--- Put the whole site, or a part of it, under maintenance. What was so before is replaced.
---@param options haplua.MaintenanceOptions
---@return haplua.Change
function M.on(options)
  plan.check_reason(options.reason)
  local c = context.open(options)
  plan.check_end(c, options)
  return M.alter(c, options.action or "on", function(live, before)
    return plan.from_options(c, options, live, before)
  end)
end

--- Could `on` be carried out now? Asks HAProxy, and changes nothing.
---@param options haplua.MaintenanceOptions
function M.check(options)
  plan.check_reason(options.reason)
  local c = context.open(options, true)
  local live = switch.look(c.target, c.switch)
  plan.from_options(c, options, live)
  switch.check_files(c.target, c.switch, live)
end

--- End it: the ACL matches nothing any more.
---@param options haplua.MaintenanceOptions
---@return haplua.Change
function M.off(options)
  local c = context.open(options)
  return M.alter(c, options.action or "off", function(live)
    return plan.nothing(c, live)
  end)
end

return M
