-- SPDX-License-Identifier: MIT
--
--- Lists of texts, and sets of their items. A set has its items as keys.

local M = {}

--- The items of a list as a set.
---@param list string[]?
---@param set table<string, true>?  it gets the items, too
---@return table<string, true>
function M.set(list, set)
  set = set or {}
  for i = 1, #(list or "") do
    set[list[i]] = true
  end
  return set
end

--- The items of a set, or the keys of a table, in order.
---@param set table
---@return any[]
function M.keys(set)
  local list = {}
  for item in pairs(set) do
    list[#list + 1] = item
  end
  table.sort(list)
  return list
end

--- The items of a list that a set has not, in their order.
---@param list string[]
---@param set table<string, true>
---@return string[]
function M.without(list, set)
  local found, n = {}, 0
  for i = 1, #list do
    local item = list[i]
    if not set[item] then
      n = n + 1
      found[n] = item
    end
  end
  return found
end

--- The items of one list, and behind them those of another.
---@param a string[]
---@param b string[]
---@return string[]
function M.joined(a, b)
  return table.move(b, 1, #b, #a + 1, table.move(a, 1, #a, 1, {}))
end

--- Each item of a list once, in the order of their first places.
---@param list string[]
---@return string[]
function M.unique(list)
  local found, there = {}, {}
  for _, item in ipairs(list) do
    found[#found + 1] = not there[item] and item or nil
    there[item] = true
  end
  return found
end

local function sorted(list)
  local copy = table.move(list, 1, #list, 1, {})
  table.sort(copy)
  return copy
end

local function equal(a, b)
  for i = 1, #a do
    if a[i] ~= b[i] then
      return false
    end
  end
  return true
end

--- Do two lists have the same items, as often and in whatever order?
---@param a string[]
---@param b string[]
---@return boolean
function M.same(a, b)
  return a == b or #a == #b and (equal(a, b) or #a > 1 and equal(sorted(a), sorted(b)))
end

--- Do two lists of keys, and of their values where there are any, have the same entries in the same order?
---@param keys string[]
---@param values string[]?
---@return boolean
function M.same_entries(keys, values, other_keys, other_values)
  return #keys == #other_keys and equal(keys, other_keys) and (not values or equal(values, other_values))
end

return M
