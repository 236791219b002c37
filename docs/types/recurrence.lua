---@meta haplua.recurrence
-- SPDX-License-Identifier: MIT
--
-- The days of RFC 5545's recurrence rules by months and years, by libical (src/bindings/system/recurrence.c).
-- haplua.ical.rule and haplua.ical.recurrence use it.

local recurrence = {}

---@class haplua.Days
local Days = {}

--- The next day that is not before `from`; both are numbers such as 20261201. Nothing where the rule has ended.
---@param from integer
---@return integer?
function Days:next(from) end

--- The days of a rule that begins on this day. "ENOENT": libical is not installed; "EINVAL": libical does not take
--- the rule.
---@param rule string
---@param year integer
---@param month integer
---@param day integer
---@return haplua.Days? days, string? message, string? code
function recurrence.days(rule, year, month, day) end

return recurrence
