-- SPDX-License-Identifier: MIT
--
--- The probes of switches that keep has changed: asked beside the loop, which goes on meanwhile.

local errors = require("haplua.error")
local task = require("haplua.task")
local visitors = require("haplua.apply.visitors")

local M = {}

--- Ask the probes of a switch, and report. A change that comes meanwhile makes the answers old: then the caller cancels
-- the task.
---@param list haplua.Probe[]
---@param plan haplua.InForce
---@param say fun(line: string)  all is as wanted
---@param warn fun(line: string)  it is not
---@param finished fun(problem: string?)  called at the end; nil: all is as wanted
---@return haplua.Task  it never fails
function M.begin(list, plan, say, warn, finished)
  return task.spawn(function()
    local ok, found = pcall(visitors.ask, list, plan)
    if not ok then
      if not errors.is(found) or found.kind ~= "interrupted" then
        warn("the probes were not asked: " .. tostring(found))
        finished("the probes were not asked")
      end
      return
    end
    local good = visitors.status(found) == nil
    for _, line in ipairs(visitors.lines(found)) do
      (good and say or warn)(line)
    end
    finished(not good and "a probe gets something else than is wanted" or nil)
  end)
end

return M
