-- SPDX-License-Identifier: MIT
--
--- Plans: what the lists of a switch shall hold, and what the journal shall say of it.
-- One record grows from a wish to its outcome. A request (haplua.maintenance) says what a caller asks for. A plan is
-- made of a request or of a journal's entry, for the state that HAProxy is in; its first fields are the journal's
-- row (haplua.Maintenance). haplua.apply.change carries it out and adds the outcome (haplua.Result).

local haproxy = require("haproxy")
local refuse = require("haplua.error").refuse
local scope = require("haplua.plan.scope")
local switch = require("haplua.haproxy.switch")
local time = require("haplua.task").time

local M = {}

---@class haplua.Plan: haplua.Maintenance, haplua.switch.Plan
---@field whole boolean?  the patterns match every request, so HAProxy must say that `probe` matches

--- Refuse a reason that a line of the journal or a visitor's page cannot show.
---@param reason string?
function M.check_reason(reason)
  if reason and (reason:find("%c") or reason:find("^%s*$") or #reason > 1000) then
    refuse("a reason is one line of text, of 1,000 bytes at most")
  end
end

--- Refuse an end that no process would bring about.
---@param c haplua.Context
---@param request haplua.Request
function M.check_end(c, request)
  if not request.ends or haproxy.dry_run() then
    return
  elseif not c.journal then
    refuse("nobody would end this maintenance: there is no journal",
      "give --wait to stay and end it, or keep a journal and run scripts/keep.lua")
  elseif not c.journal:kept(c.name) then
    refuse(("nobody would end this maintenance: no resident policy keeps %s"):format(c.name),
      "give --wait to stay and end it, or run scripts/keep.lua (docs/maintenance.md: as a systemd service)")
  end
end

--- The networks that the bypass list shall hold; nil: HAProxy has no such list.
local function bypass_of(c, state, asked)
  asked = asked and #asked > 0 and asked or nil
  if asked and not state.bypass then
    refuse("there is no list of clients that pass, so --bypass can do nothing",
      "declare one in HAProxy's frontend, and use it:\n"
      .. "  acl maintenance-bypass src -u 9998\n"
      .. "  use_backend maintenance if maintenance !maintenance-bypass\n"
      .. "another one is named by `bypass` in the configuration")
  end
  return state.bypass and (asked or c.switch.allow)
end

--- When the maintenance began: now, or where one is on and in the journal, when that began.
local function since(state, before)
  local on = #state.patterns > 0 and before and #before.patterns > 0
  return on and before.since or time()
end

--- Add what every plan has.
local function complete(c, action, plan)
  plan.target, plan.acl, plan.switch, plan.action = c.name, c.switch.acl, c.switch.name, action
  plan.info = #plan.patterns > 0 and switch.info(plan.since, plan.ends, plan.reason)
    or { keys = {}, values = {} }
  return plan
end

--- The plan of a request.
---@param c haplua.Context
---@param action string  the journal's word for the change
---@param request haplua.Request
---@param state haplua.switch.State
---@param before haplua.Entry?  the maintenance that the journal wants until now
---@return haplua.Plan  raises `refused`
function M.of_request(c, action, request, state, before)
  local patterns, probe, whole = scope.patterns(request, state.kind, state.method)
  return complete(c, action, {
    patterns = patterns, probe = probe, whole = whole, bypass = bypass_of(c, state, request.bypass),
    reason = request.reason, since = since(state, before), ends = request.ends,
  })
end

--- The plan of what the journal, or another record, has. Without patterns: the switch is off, and its other lists
-- hold what they hold at rest.
---@param c haplua.Context
---@param action string
---@param wanted {patterns: string[], bypass: string[]?, reason: string?, since: number?, ends: number?, time: number?}
---@param state haplua.switch.State
---@return haplua.Plan
function M.of(c, action, wanted, state)
  if #wanted.patterns == 0 then
    return complete(c, action, { patterns = {}, bypass = state.bypass and c.switch.allow })
  end
  return complete(c, action, {
    patterns = wanted.patterns, bypass = state.bypass and (wanted.bypass or c.switch.allow), reason = wanted.reason,
    since = wanted.since or wanted.time, ends = wanted.ends,
  })
end

return M
