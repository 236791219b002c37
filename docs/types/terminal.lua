---@meta haplua.terminal
-- SPDX-License-Identifier: MIT
--
-- Lines from the person at the prompt (src/lua_terminal.c).

local terminal = {}

--- Wait for a line; nothing at the end of the input.
---@param prompt string
---@return string?
function terminal.readline(prompt) end

return terminal
