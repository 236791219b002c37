-- SPDX-License-Identifier: MIT
--
--- What a wait for nodes has seen so far: which have done it, and which have not reported.

local progress = require("haplua.base.progress")
local task = require("haplua.task")

local M = {}

-- So many names at most are shown of each.
local NAMES <const> = 6

local function names(list)
  local rest = #list - NAMES
  return table.concat(list, " ", 1, math.min(#list, NAMES)) .. (rest > 0 and (" and %d more"):format(rest) or "")
end

--- "2 of 4 nodes have it: lb1 lb2; missing: lb3; cannot: lb4".
---@param states haplua.FleetNode[]
---@param what string  what nodes in the state `done` do: "have it"
---@return string
function M.text(states, what)
  local lists = { done = {}, behind = {}, failed = {} }
  for _, state in ipairs(states) do
    table.insert(lists[state.state] or {}, state.name)
  end
  local text = ("%d of %d nodes %s"):format(#lists.done, #states, what)
  for _, part in ipairs({ { ": ", lists.done }, { "; missing: ", lists.behind }, { "; cannot: ", lists.failed } }) do
    text = text .. (#part[2] > 0 and part[1] .. names(part[2]) or "")
  end
  return text
end

--- The next events of a watch, for at most a second where somebody sees a line: it says for how long it has waited.
---@param watch haplua.etcd.Watch
---@param latest number  until then at most, on task.now()
---@return table? found  as of Watch:next()
---@return boolean is_over  the watch has ended, or the time
function M.next(watch, latest)
  local left = math.max(0, latest - task.now())
  local found, why = watch:next(progress.is_seen() and math.min(1, left) or left)
  return found, not found and (why ~= "timeout" or task.now() >= latest)
end

return M
