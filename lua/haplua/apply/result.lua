-- SPDX-License-Identifier: MIT
--
--- What a change came to, and how it prints: one line on the state, then one for each detail.

local haproxy = require("haproxy")
local time = require("haplua.task").time
local visible = require("haplua.error").visible

local M = {}

--- Patterns as a part of a line: all of them, or how many there are and the first two.
---@param patterns string[]
---@return string
function M.enumerate(patterns)
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
---@field before haplua.Entry?  the maintenance that the journal wanted before
---@field id integer?  the number of the change in the journal
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

--- Lines on reason, end, clients that pass, and the maintenance that was replaced.
local function details(result)
  local text = M.why_and_until(result)
  if result.bypass and #result.bypass > 0 and #result.patterns > 0 then
    text = text .. M.line("passing: %s", table.concat(result.bypass, "  "))
  end
  local before = result.before
  if before and before.since and result.added + result.removed > 0 then
    text = text .. M.line("before: on for %s, by %s%s: %s",
      require("haplua.time.instant").span(time() - before.since), before.login or before.user,
      before.reason and (" (%s)"):format(before.reason) or "", M.enumerate(before.patterns))
  end
  return text
end

function Result.__tostring(result)
  local state = #result.patterns > 0 and "on" or "off"
  local now = ("%s matches %s"):format(result.acl, M.enumerate(result.patterns))
  if result.added + result.removed == 0 and (result.others == 0 or not haproxy.dry_run()) then
    return ("maintenance was %s already: %s"):format(state, now) .. details(result)
  elseif haproxy.dry_run() then
    return ("maintenance would be %s (%d to add, %d to remove)"):format(state, result.added, result.removed)
  end
  return ("maintenance is %s: %s (%d added, %d removed%s)"):format(state, now, result.added, result.removed,
    result.confirmed and ", confirmed for " .. result.confirmed or "") .. details(result)
end

--- Make a plan that has been carried out a result: this very table.
---@param plan haplua.Plan
---@param outcome haplua.switch.Result
---@return haplua.Result
function M.of(plan, outcome)
  for key, value in pairs(outcome) do
    plan[key] = value
  end
  return setmetatable(plan, Result)
end

return M
