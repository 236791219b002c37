-- SPDX-License-Identifier: MIT
--
--- How much may be looked at for one answer about windows. Windows that recur every second and yet do not join
-- would be searched for minutes; that is refused instead. What is counted is work, not time, but for libical's,
-- so that a window is refused everywhere or nowhere.

local M = {}

-- Days, times and occurrences; about a second of work.
local STEPS <const> = 600000

local left = STEPS

--- An answer begins.
function M.begin()
  left = STEPS
end

--- Take steps from it. `name(subject)` says whose they are. Raises `refused` when none are left.
---@param steps number
---@param name fun(subject: any): string
function M.spend(steps, name, subject)
  left = left - steps
  if left < 0 then
    error(require("haplua.error").new({
      kind = "refused",
      message = ("'%s' recurs too often to be searched through"):format(name(subject)),
      advice = "what is to be always open lasts as long as its steps; else give it fewer times, or a later DTSTART",
    }), 0)
  end
end

return M
