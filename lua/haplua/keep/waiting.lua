-- SPDX-License-Identifier: MIT
--
--- What a foreground `keep` or `window run` waits for, as a line that changes on a terminal: HAProxy, while it does not
--- answer; else the next instant at which a window opens, or a maintenance begins or ends.

local core = require("haplua.core")
local progress = require("haplua.base.progress")
local span = require("haplua.time.instant").span
local task = require("haplua.task")

local M = {}

---@class haplua.KeepLine
---@field keeper haplua.Keeper
---@field shown table?  of base/progress
---@field trouble boolean?  it shows what is wrong
local Line = {}
Line.__index = Line

--- Remove the line, so that another can be printed.
function Line:clear()
  if self.shown then
    self.shown:clear()
  end
end
Line.__close = Line.clear

--- What is to come; nil: nothing.
local function coming(keeper)
  local now, opens, name = task.time(), math.huge, nil
  for _, one in ipairs(keeper.planners) do
    local following = one.planner.next
    if following and following.opens < opens then
      opens, name = following.opens, table.concat(following.names, ", ")
    end
  end
  if keeper.on then
    return keeper.due < math.huge and ("under maintenance; the next change is in %s"):format(span(keeper.due - now))
      or "under maintenance"
  end
  return name and ("the window %s opens in %s"):format(name, span(math.max(0, opens - now)))
end

--- Show it. For what is wrong the line says for how long it has been so.
---@return number seconds  until it is to be shown again, or the keeper has something to do
function Line:show()
  local keeper = self.keeper
  local trouble = keeper.complaint or keeper.c.complaint or keeper.trouble
  local text = trouble and "waiting: " .. trouble:match("^[^\n]*") or coming(keeper)
  if not text then
    self:clear()
  elseif not (trouble and self.trouble) then
    self.shown = progress.begin() -- in the place of the line that is there
  end
  self.trouble = trouble ~= nil
  if text then
    self.shown(text)
  end
  return math.min(1, keeper:interval())
end

--- The line of a keeper; nil where nobody would see it, or the lines of several HAProxys would overwrite each other.
---@param keeper haplua.Keeper
---@return haplua.KeepLine?
function M.open(keeper)
  return progress.is_seen() and not core.several() and setmetatable({ keeper = keeper }, Line) or nil
end

return M
