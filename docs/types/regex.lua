---@meta haplua.regex
-- SPDX-License-Identifier: MIT
--
-- Regular expressions as HAProxy compiles and matches them, by PCRE2 (src/bindings/system/regex.c).

local regex = {}

---@class haplua.Regex
local Regex = {}

--- Does the expression match somewhere in these bytes? A match that reaches one of PCRE2's limits is none.
---@param text string
---@return boolean
function Regex:matches(text) end

--- Compile an expression. A NUL ends it, as in HAProxy. Raises where the library is not installed.
---@param pattern string
---@param insensitive? boolean
---@param old? boolean  match as HAProxy 2.2 does, which looks at (*NO_JIT) and (*NOTEMPTY)
---@return haplua.Regex? regex, string? problem  "is invalid (error=missing closing parenthesis, erroffset=1)"
function regex.compile(pattern, insensitive, old) end

--- An expression that matches a text alone, behind another one. Needs no library.
---@param text string
---@param before string  an expression
---@return string
function regex.quote(text, before) end

return regex
