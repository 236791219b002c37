-- SPDX-License-Identifier: MIT
--
--- What a wait waits for, for people: a line that changes on a terminal, and a line each minute elsewhere.

local task = require("haplua.task")
local terminal = require("haplua.terminal")
local visible = require("haplua.error").visible

local M = {}

-- Seconds between two lines where standard error is no terminal.
local INTERVAL = 60

-- From so many seconds on the line says for how long it has waited.
local NEWS = 2

---@class haplua.Deadline  of a wait
---@field latest number  when it is over, in seconds of task.now()
---@field outcome string  what happens then: "it gives up"

--- Is there a person who sees the line? Under `haplua test` what a policy prints goes into memory.
---@return boolean
function M.is_seen()
  return io.type(io.stderr) == "file" and terminal.is_terminal(2)
end

--- "45 s", "12 min", "3 h 5 min". haplua.time is above this folder.
local function span(n)
  n = math.max(0, math.floor(n + 0.5))
  if n < 3600 then
    return n < 120 and n .. " s" or n // 60 .. " min"
  end
  return ("%d h %d min"):format(n // 3600, n % 3600 // 60)
end

--- The line: what is waited for, since when, and what happens at the deadline.
---@param text string
---@param began number
---@param deadline haplua.Deadline?
---@param now number
---@return string
function M.line(text, began, deadline, now)
  if now - began >= NEWS then
    text = ("%s; %s so far"):format(text, span(now - began))
  end
  if deadline then
    text = ("%s; in %s %s"):format(text, span(deadline.latest - now), deadline.outcome)
  end
  return visible(text)
end

--- The beginning of a text that is in one line of the terminal.
local function cut(text)
  local room = (terminal.width(2) or 80) - 1
  local at = utf8.len(text) and utf8.offset(text, room + 1)
  return at and text:sub(1, at - 1) or text
end

--- Begin to show what a wait waits for. Closing the value removes the line from the terminal.
---@param deadline haplua.Deadline?  nil: the wait has none
---@return table progress  call it with a text at each look; its function `clear` removes the line until the next one
function M.begin(deadline)
  local shown, began = false, task.now()
  local latest = began
  local function clear()
    if shown then
      io.stderr:write("\r\27[K")
    end
    shown = false
  end
  return setmetatable({ clear = clear }, {
    __call = function(_, text)
      local now = task.now()
      if M.is_seen() then
        shown = true
        io.stderr:write("\r", cut(M.line(text, began, deadline, now)), "\27[K")
      elseif now - latest >= INTERVAL then
        latest = now
        io.stderr:write(M.line(text, began, deadline, now), "\n")
      end
    end,
    __close = clear,
  })
end

return M
