-- SPDX-License-Identifier: MIT
--
--- What a change came to, and how it prints: one line on the state, then one line for each detail.

local haproxy = require("haproxy")
local moment = require("haplua.time.instant")
local time = require("haplua.task").time
local visible = require("haplua.error").visible

local M = {}

--- Patterns as one line: all of them, or how many there are and the first two.
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

---@class haplua.Change
---@field acl string
---@field patterns string[]  what the ACL holds now
---@field added integer
---@field removed integer
---@field others integer  entries added to or removed from the lists beside it
---@field confirmed string?  a value that HAProxy, asked, says is under maintenance
---@field reason string?
---@field ends number?
---@field passing string[]?
---@field before haplua.Entry?  what the journal wanted until now
---@field id integer?  its number in the journal
local Change = {}

--- Lines on what is told besides: reason, end, who passes, whose maintenance this was.
local function details(change)
  local lines = {}
  local function add(form, ...)
    lines[#lines + 1] = "\n  " .. visible(form:format(...))
  end
  if change.reason then
    add("reason: %s", change.reason)
  end
  if change.ends then
    add("until %s (in %s)", moment.text(change.ends), moment.span(change.ends - time()))
  end
  if change.passing and #change.passing > 0 and #change.patterns > 0 then
    add("passing: %s", table.concat(change.passing, "  "))
  end
  local before = change.before
  if before and before.since and change.added + change.removed > 0 then
    add("before: on for %s, by %s%s: %s", moment.span(time() - before.since), before.login or before.user,
      before.reason and (" (%s)"):format(before.reason) or "", M.enumerate(before.patterns))
  end
  return table.concat(lines)
end

function Change.__tostring(change)
  local state = #change.patterns > 0 and "on" or "off"
  local now = ("%s matches %s"):format(change.acl, M.enumerate(change.patterns))
  if change.added + change.removed == 0 and (change.others == 0 or not haproxy.dry_run()) then
    return ("maintenance was %s already: %s"):format(state, now) .. details(change)
  elseif haproxy.dry_run() then
    return ("maintenance would be %s (%d to add, %d to remove)"):format(state, change.added, change.removed)
  end
  return ("maintenance is %s: %s (%d added, %d removed%s)"):format(state, now, change.added, change.removed,
    change.confirmed and ", confirmed for " .. change.confirmed or "") .. details(change)
end

--- Make a table of its fields print itself.
---@param fields table
---@return haplua.Change
function M.new(fields)
  return setmetatable(fields, Change)
end

return M
