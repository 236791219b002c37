---@meta haplua.terminal
-- SPDX-License-Identifier: MIT
--
-- Lines from the person at the prompt (src/bindings/system/terminal.c).

local terminal = {}

--- Wait for a line; nothing at the end of the input.
---@param prompt string
---@return string?
function terminal.readline(prompt) end

--- Is this file descriptor a terminal?
---@param fd integer  1: standard output, 2: standard error
---@return boolean
function terminal.is_terminal(fd) end

return terminal
