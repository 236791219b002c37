-- SPDX-License-Identifier: MIT
--
--- The option `lasts` of public functions: how long something is to last, in the place of when it ends.

local instant = require("haplua.time.instant")

local M = {}

--- Is a value a number of seconds above 0, or a duration such as "1h30m"?
---@param value any
---@return boolean
function M.is(value)
  if type(value) == "string" then
    return instant.duration(value) ~= nil
  end
  return type(value) == "number" and value > 0 and value < math.huge
end

--- Options with an end in the place of `lasts`.
---@param call string  the public function, for the error where both are given
---@param given {lasts: number|string|nil, ends: number?, begins: number?}
---@return table
function M.resolve(call, given)
  local lasts = given.lasts
  if lasts == nil then
    return given
  elseif given.ends then
    require("haplua.base.options").misuse(call, "options 'lasts' and 'ends': which?")
  end
  local copy = {}
  for name, value in pairs(given) do
    copy[name] = value
  end
  local seconds = type(lasts) == "string" and instant.duration(lasts) or lasts
  copy.lasts, copy.ends = nil, (given.begins or require("haplua.task").time()) + seconds
  return copy
end

return M
