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

--- Where the expression matches first.
---@param text string
---@param inside? boolean  the text is the rest of one: ^ does not match at its beginning
---@return integer? first, integer? last, integer|false|nil ...  then those of each group, false where it took no part;
--- nothing: no match
function Regex:find(text, inside) end

--- Compile an expression. A NUL ends it, as in HAProxy. Raises where the library is not installed.
---@param pattern string
---@param insensitive? boolean
---@param old? boolean  match as HAProxy 2.2 does, which looks at (*NO_JIT) and (*NOTEMPTY)
---@param captures? boolean  its groups capture, as for the converter regsub
---@return haplua.Regex? regex, string? problem  "is invalid (error=missing closing parenthesis, erroffset=1)"
function regex.compile(pattern, insensitive, old, captures) end

--- An expression that matches a text alone, behind another one. Needs no library.
---@param text string
---@param before string  an expression
---@return string
function regex.quote(text, before) end

return regex
