---@meta haplua.lines
-- SPDX-License-Identifier: MIT
--
-- The lines of a calendar, RFC 5545, 3.1 (src/bindings/system/lines.c).

local lines = {}

--- The lines of a calendar that begin with a known name, each joined with the lines that continue it.
---@param text string
---@param known table<string, "text"|"time"?>  what the value of each name is. A time has no colon, so the last colon of
--- the line stands before it, since an earlier one belongs to a parameter; elsewhere it is the first colon that is not
--- in quotes. The names are looked up as the text has them, also through `__index`
---@return string[] heads  what stands before the colon
---@return (string|false)[] values  without the space around them; false: the line has no colon
---@return integer[] places  where each line begins in the text
function lines.known(text, known) end

return lines
