-- SPDX-License-Identifier: MIT
--
--- The limit of a search for one occurrence. A search through windows that recur every second and do not join would
-- take minutes; it is refused instead. Steps are counted, not time, so that a window is refused on every machine or
-- on none.

local M = {}

-- Days, times and occurrences that a search looks at; about a second.
local STEPS <const> = 600000

local left = STEPS

--- Begin a search.
function M.begin()
  left = STEPS
end

--- Count steps of the search. Raises `refused` at the limit, with the exit status of a window that cannot be understood.
---@param steps number
---@param name fun(subject: any): string  the window's or rule's name, for the error
function M.spend(steps, name, subject)
  left = left - steps
  if left < 0 then
    error(require("haplua.error").new({
      kind = "refused", message = ("'%s' recurs too often to be searched through"):format(name(subject)), exit = 2,
      advice = "for a window that is always open, let each occurrence last until the next; else choose fewer times, or a later "
        .. "DTSTART",
    }), 0)
  end
end

return M
