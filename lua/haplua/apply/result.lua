-- SPDX-License-Identifier: MIT
--
--- What a change came to, and how it prints: one line on the state, then one for each detail.

local haproxy = require("haproxy")
local maintenance = require("haplua.plan.maintenance")
local scope = require("haplua.plan.scope")
local time = require("haplua.task").time
local visible = require("haplua.error").visible

local M = {}

--- Patterns as a part of a line: all of them, or how many there are and the first two.
---@param patterns string[]
---@param values string[]?  one for each, shown behind it
---@return string
function M.enumerate(patterns, values)
  local shown = patterns
  if values then
    shown = {}
    for i, pattern in ipairs(patterns) do
      shown[i] = ("%s (%s)"):format(pattern, values[i])
    end
  end
  if #shown == 0 then
    return "nothing"
  end
  return visible(#shown <= 8 and table.concat(shown, "  ") or ("%d patterns (%s  %s  ...)"):format(#shown, shown[1], shown[2]))
end

--- A switch's list for people: as it was given, with what it stands for.
---@param ref string?  "#9999", or a file
---@param given string?  the ACL's name, where that was given
---@return string?
function M.list_name(ref, given)
  return given and visible(("%s (%s)"):format(given, ref)) or ref
end

---@class haplua.Result: haplua.Plan, haplua.switch.Result
---@field given string?  the name of the ACL, where the list was given by it
---@field confirmed string?  a value that HAProxy, asked afterwards, says is under maintenance
---@field refreshed boolean?  the maintenance was in force before
---@field ended haplua.Maintenance[]?  those that this change has ended
---@field effect haplua.Effect?  frontends that it does not close, and connections that go on
---@field probes haplua.Visit[]?  what visitors get now
local Result = {}

--- A detail as a line.
function M.line(form, ...)
  return "\n  " .. visible(form:format(...))
end

--- Lines on the reason of a maintenance, and on its end while that is to come.
---@param about {reason: string?, ends: number?}
---@return string
function M.why_and_until(about)
  local moment = about.ends and require("haplua.time.instant")
  return (about.reason and M.line("reason: %s", about.reason) or "") .. (moment and about.ends > time()
    and M.line("until %s (in %s)", moment.text(about.ends), moment.span(about.ends - time())) or "")
end

--- A maintenance as a line: "m12  /shop, since 2026-11-30 12:00:00 +0100, by root@web1: new database".
---@param m haplua.Maintenance
---@return string
function M.summary(m)
  local text = require("haplua.time.instant").text
  return visible(("%s  %s, %s %s%s, by %s%s"):format(maintenance.name(m), scope.text(m.scope),
    m.begins > time() and "from" or "since", text(m.begins), m.ends and " until " .. text(m.ends) or "",
    m.origin == "by hand" and "hand" or maintenance.who(m), m.reason and ": " .. m.reason or ""))
end

-- So many maintenances at most are listed behind a change.
local LISTED = 8

--- A line for each of several maintenances but one, or for the first of them. What HAProxy's list had before, without a
-- journal, is no news.
---@param but haplua.Maintenance?
local function listed(all, label, but)
  local lines, n = {}, 0
  for i = 1, #all do
    local m = all[i]
    if (m.id or 0) >= 0 and not (but and m.id == but.id) then
      n = n + 1
      if n <= LISTED then
        lines[n] = M.line("%s: %s", label, M.summary(m))
      end
    end
  end
  if n > LISTED then
    lines[#lines + 1] = M.line("%s: %d more; maint status shows them", label, n - LISTED)
  end
  return table.concat(lines)
end

--- Lines on the maintenances that a change has ended, and on those that are in force afterwards besides its own.
---@param ended haplua.Maintenance[]
---@param in_force haplua.Maintenance[]
---@param about haplua.Maintenance?  the change's own
---@return string
function M.others(ended, in_force, about)
  return listed(ended, "ended") .. listed(in_force, about and "also in force" or "still in force", about)
end

--- Lines on the maintenance that the change is about, on those that it has ended, and on those that are in force beside.
local function details(result)
  local about, text = result.about, ""
  if about then
    text = M.why_and_until(about)
  end
  if result.passing and #result.passing > 0 and #result.patterns > 0 then
    text = text .. M.line("passing: %s", table.concat(result.passing, "  "))
  end
  local asked = result.denied or {}
  if #asked > 0 and #result.patterns > 0 then
    text = text .. M.line("asked to pass: %s; but a client passes only where each maintenance in force lets it pass",
      table.concat(asked, "  "))
  end
  if #(result.stopped or {}) > 0 and #result.patterns > 0 then
    text = text .. M.line("not passing any more: %s", table.concat(result.stopped, "  "))
  end
  if about and #(about.bypass or {}) > 0 and not result.journal then
    text = text .. M.line("without a journal, maint off leaves them in the bypass list: %s", table.concat(about.bypass, "  "))
  end
  for _, note in ipairs(result.notes or {}) do
    text = text .. M.line("%s", note)
  end
  for _, line in ipairs(result.effect and require("haplua.apply.effect").lines(result.effect) or {}) do
    text = text .. "\n  " .. line
  end
  for _, line in ipairs(result.probes and require("haplua.apply.visitors").lines(result.probes) or {}) do
    text = text .. "\n  " .. line
  end
  if #result.patterns > 0 and result.about and M.status(result) then
    text = text .. "\n  the maintenance stays in force"
  end
  return text .. M.others(result.ended or {}, result.in_force, about)
end

--- The first line of a result.
local function headline(result)
  local state = #result.patterns > 0 and "on" or "off"
  local now = ("%s matches %s"):format(M.list_name(result.acl, result.given), M.enumerate(result.patterns))
  local about = result.about
  local name = about and (about.id or 0) > 0 and ", as " .. maintenance.name(about) or ""
  if about and about.begins > time() then
    return ("maintenance is planned: %s, from %s%s"):format(scope.text(about.scope),
      require("haplua.time.instant").text(about.begins), name)
  elseif result.added + result.removed == 0 and #(result.ended or {}) == 0 and (result.others == 0 or not haproxy.dry_run()) then
    return ("maintenance was %s already: %s%s"):format(state, now, name)
  elseif haproxy.dry_run() then
    return ("maintenance would be %s (%d to add, %d to remove)"):format(state, result.added, result.removed)
  end
  state = not about and state == "on" and "still on" or state
  return ("maintenance is %s: %s (%d added, %d removed%s)%s"):format(state, now, result.added, result.removed,
    result.confirmed and ", confirmed for " .. result.confirmed or "", name)
end

function Result.__tostring(result)
  return headline(result) .. details(result)
end

--- The exit status of a command line by what visitors get and what goes on.
---@param result haplua.Result
---@param cut boolean?  the connections that go on were to be ended
---@return integer? status  nil: all is as wanted, as far as was asked
function M.status(result, cut)
  local status = result.effect and require("haplua.apply.effect").status(result.effect, cut)
  return status or result.probes and require("haplua.apply.visitors").status(result.probes) or nil
end

--- Make a plan that has been carried out a result: this very table.
---@param plan haplua.Plan
---@param outcome haplua.switch.Result
---@return haplua.Result
function M.of(plan, outcome)
  for key, value in pairs(outcome) do
    plan[key] = value
  end
  plan.id = plan.about and plan.about.id
  return setmetatable(plan, Result)
end

return M
