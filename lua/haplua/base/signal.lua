-- SPDX-License-Identifier: MIT
--
--- A signal between tasks: one waits for it, any other sets it. The wait is a task of its own, which set() ends.

local task = require("haplua.task")

---@class haplua.base.Signal
---@field private is_set boolean
---@field private waiting haplua.Task?
local Signal = {}
Signal.__index = Signal

local M = {}

---@return haplua.base.Signal
function M.new()
  return setmetatable({ is_set = false }, Signal)
end

--- End the wait, or the next one where nobody waits.
function Signal:set()
  self.is_set = true
  if self.waiting then
    self.waiting:cancel()
  end
end

--- Wait until the signal is set, or until a function returns. One task may wait at a time.
---@param fn fun(...)  what to do meanwhile: task.sleep, or a function that waits
---@param ... any  its arguments
---@return boolean set
function Signal:wait(fn, ...)
  if not self.is_set then
    self.waiting = task.spawn(fn, ...)
    local ok, problem = pcall(self.waiting.wait, self.waiting)
    self.waiting = nil
    if not ok and not self.is_set then
      error(problem, 0)
    end
  end
  local was_set = self.is_set
  self.is_set = false
  return was_set
end

return M
