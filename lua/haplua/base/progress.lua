-- SPDX-License-Identifier: MIT
--
--- What a wait waits for, for people: a line that changes on a terminal, and a line each minute elsewhere.

local is_terminal = require("haplua.terminal").is_terminal
local task = require("haplua.task")

local M = {}

-- Seconds between two lines where standard error is no terminal.
local INTERVAL = 60

--- Begin to show what a wait waits for. Closing the value removes the line from the terminal.
---@return table progress  call it with a text at each look
function M.begin()
  local shown, latest = false, task.now()
  return setmetatable({}, {
    __call = function(_, text)
      if is_terminal(2) then
        shown = true
        io.stderr:write("\r", text, "\27[K")
      elseif task.now() - latest >= INTERVAL then
        latest = task.now()
        io.stderr:write(text, "\n")
      end
    end,
    __close = function()
      if shown then
        io.stderr:write("\r\27[K")
      end
    end,
  })
end

return M
