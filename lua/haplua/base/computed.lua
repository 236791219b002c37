-- SPDX-License-Identifier: MIT

--- A table that calls a function for a key that it lacks, and keeps the result.
---@param fn fun(key: any): any  nil is not kept
---@param most integer?  so many keys are kept at most; then it forgets them all
---@return table
return function(fn, most)
  local n = 0
  return setmetatable({}, {
    __index = function(t, key)
      local value = fn(key)
      n = n + 1
      if n == most then
        n = 0
        for old in pairs(t) do
          t[old] = nil
        end
      end
      t[key] = value
      return value
    end,
  })
end
