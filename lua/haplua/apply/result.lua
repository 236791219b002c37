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
  local pairs_of = {}
  for i, pattern in ipairs(patterns) do
    pairs_of[i] = values and ("%s (%s)"):format(pattern, values[i]) or pattern
  end
  patterns = pairs_of
  local text = table.concat(patterns, "  ")
  if #patterns == 0 then
    return "nothing"
  elseif #patterns > 8 then
    text = ("%d patterns (%s  %s  ...)"):format(#patterns, patterns[1], patterns[2])
  end
  return visible(text)
end

---@class haplua.Result: haplua.Plan, haplua.switch.Result
---@field confirmed string?  a value that HAProxy, asked afterwards, says is under maintenance
---@field refreshed boolean?  the maintenance was in force before
---@field ended haplua.Maintenance[]?  those that this change has ended
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

--- A line for each of several maintenances, or for the first of them. What HAProxy's list had before, without a journal,
-- is no news.
local function listed(all, label)
  local lines, list = {}, {}
  for _, m in ipairs(all) do
    list[#list + 1] = (m.id or 0) >= 0 and m or nil
  end
  for i = 1, math.min(#list, LISTED) do
    lines[i] = M.line("%s: %s", label, M.summary(list[i]))
  end
  if #list > LISTED then
    lines[#lines + 1] = M.line("%s: %d more; maint status shows them", label, #list - LISTED)
  end
  return table.concat(lines)
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
  local others = {}
  for _, m in ipairs(result.in_force) do
    others[#others + 1] = (not about or m.id ~= about.id) and m or nil
  end
  text = text .. listed(result.ended or {}, "ended") .. listed(others, about and "also in force" or "still in force")
  return text
end

--- The first line of a result.
local function headline(result)
  local state = #result.patterns > 0 and "on" or "off"
  local now = ("%s matches %s"):format(result.acl, M.enumerate(result.patterns))
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
