---@meta haplua.terminal
-- SPDX-License-Identifier: MIT
--
-- Lines from the person at the prompt (src/bindings/system/terminal.c).

local terminal = {}

--- Wait for a line; other tasks run meanwhile. Raises a text where another task reads already, and where the input is
--- a file.
---@param prompt string
---@param complete? fun(line: string, point: integer): string, string?  called when TAB is typed, with the line and the
--- bytes before the cursor; returns the text to insert, and a text to print below the line. It may wait, and must not raise
---@return string? line  without its end; nil at the end of the input
function terminal.readline(prompt, complete) end

--- Is libedit there? Without it there is no history and no completion, and the terminal's own editing.
---@return boolean
function terminal.can_edit() end

--- Add a line to the history of this process, which the keys Up and Down walk through.
---@param line string
function terminal.remember(line) end

--- For a `<close>` variable: until it is closed, SIGINT interrupts the running task alone, and forgive() lets the task
--- go on. Raises a text where there is a session already.
---@return any
function terminal.session() end

--- Let the running task go on after an `interrupted` that it has caught, where SIGINT was the cause. The next signal
--- then counts as the first.
---@return boolean  was SIGINT the cause?
function terminal.forgive() end

--- Is this file descriptor a terminal?
---@param fd integer  1: standard output, 2: standard error
---@return boolean
function terminal.is_terminal(fd) end

--- The columns of a terminal; nil: it is none.
---@param fd? integer  1 unless given: standard output
---@return integer?
function terminal.width(fd) end

return terminal
