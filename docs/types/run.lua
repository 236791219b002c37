---@meta run
-- SPDX-License-Identifier: MIT
--
-- Child processes (src/bindings/system/run.c).

---@class haplua.Run
---@field [integer] string  the program and its arguments
---@field stdin string|number|nil  its standard input; nil: that of the script
---@field stdout "inherit"|"null"|"capture"|fun(line: string)|nil
---@field stderr "inherit"|"null"|"capture"|fun(line: string)|nil
---@field env table<string, string|number|false>?  changes; false unsets
---@field cwd string?
---@field group boolean?  a session of its own: no signal of the terminal reaches it, and where the call ends early the
--- signal reaches all that the program has started

--- Run a program, without a shell, and wait for its end. Raises a text where it cannot be started.
---@param options haplua.Run  the program and its arguments as a list, with options beside them
---@return integer status, string? out, string? err  128 + n for signal n
local function run(options) end

return run
