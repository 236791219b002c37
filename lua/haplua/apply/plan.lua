-- SPDX-License-Identifier: MIT
--
--- What a switch's lists shall hold: from the options of a call, or from an entry of the journal.

local haproxy = require("haproxy")
local new_error = require("haplua.error").new
local scope = require("haplua.plan.scope")
local switch = require("haplua.haproxy.switch")
local time = require("haplua.task").time

local M = {}

---@class haplua.Intent: haplua.switch.Plan
---@field whole boolean?  everything: the probe must match
---@field reason string?
---@field since number?
---@field ends number?

local function refuse(message, advice)
  error(new_error({ kind = "refused", message = message, advice = advice }), 0)
end

--- A reason is one line, that visitors may read.
function M.check_reason(reason)
  if reason and (reason:find("%c") or reason:find("^%s*$") or #reason > 1000) then
    refuse("a reason is one line of text, of 1,000 bytes at most")
  end
end

--- An end that nobody would bring about is no end.
function M.check_end(c, options)
  if not options.ends or options.attended or haproxy.dry_run() then
    return
  elseif not c.journal then
    refuse("nobody would end this maintenance: there is no journal",
      "give --wait to stay and end it, or keep a journal and run scripts/keep.lua")
  elseif not c.journal:kept(c.name) then
    refuse(("nobody would end this maintenance: no resident policy keeps %s"):format(c.name),
      "give --wait to stay and end it, or run scripts/keep.lua (docs/maintenance.md: as a systemd service)")
  end
end

--- Which clients pass from now on; nil: there is no list for them.
local function passing(c, live, bypass)
  bypass = bypass and #bypass > 0 and bypass or nil
  if bypass and not live.bypass then
    refuse("there is no list of clients that pass, so --bypass can do nothing",
      "declare one in HAProxy's frontend, and use it:\n"
      .. "  acl maintenance-bypass src -u 9998\n"
      .. "  use_backend maintenance if maintenance !maintenance-bypass\n"
      .. "another one is named by `bypass` in the configuration")
  end
  return live.bypass and (bypass or c.switch.allow)
end

--- When what is on now began, as far as anybody knows.
local function since(live, before)
  local on = #live.patterns > 0 and before and #before.patterns > 0
  return on and before.since or time()
end

--- The intent of options, for what HAProxy has.
---@return haplua.Intent
function M.from_options(c, options, live, before)
  local patterns, probe, whole = scope.patterns(options, live.kind, live.method)
  local began = since(live, before)
  return {
    patterns = patterns,
    probe = probe,
    whole = whole,
    bypass = passing(c, live, options.bypass),
    info = switch.info(began, options.ends, options.reason),
    reason = options.reason,
    since = began,
    ends = options.ends,
  }
end

--- What `off` wants: nothing matches, nobody needs to pass, nothing is told.
---@return haplua.Intent
function M.nothing(c, live)
  return { patterns = {}, bypass = live.bypass and c.switch.allow, info = { keys = {}, values = {} } }
end

--- Make HAProxy be as a journal's entry wants it: after a reload, or when a change was broken off.
---@param c haplua.Context
---@param entry haplua.Entry
---@param live haplua.switch.State
---@return haplua.Intent
function M.from_entry(c, entry, live)
  if #entry.patterns == 0 then
    return M.nothing(c, live)
  end
  return {
    patterns = entry.patterns,
    bypass = live.bypass and (entry.bypass or c.switch.allow),
    info = switch.info(entry.since or entry.time, entry.ends, entry.reason),
    reason = entry.reason,
    since = entry.since,
    ends = entry.ends,
  }
end

return M
