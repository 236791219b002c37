---@meta haplua.screen
-- SPDX-License-Identifier: MIT
--
-- The whole terminal, for a view that draws itself (src/bindings/system/screen.c).

local screen = {}

--- The terminal of standard input and output while a view draws on it: the other screen of the terminal, without a cursor;
-- keys come one by one and without echo. Ctrl-C and Ctrl-Z stay signals. Closing it, a signal that stops or ends the
-- process, and the end of the process give the terminal back as it was; SIGKILL alone does not.
---@class haplua.Screen
local Screen = {}

--- Wait for keys; other tasks run meanwhile. Raises a text where another task reads already.
---@return string? typed  bytes. "": all is to be drawn anew, perhaps in another size. nil: the input has ended, or the
--- screen was closed
function Screen:read() end

--- Write to the terminal. Does not wait for a terminal that is stopped (Ctrl-S).
---@param text string
---@return boolean done  false: nothing was written, or a part
function Screen:write(text) end

--- 80 and 24 where the terminal does not say.
---@return integer columns, integer rows
function Screen:size() end

--- Forget what was typed and not read.
function Screen:flush() end

--- Raises a text where standard input or output is no terminal, and where there is a screen already.
---@return haplua.Screen
function screen.open() end

return screen
