-- SPDX-License-Identifier: MIT
--
--- Values as a failed assertion prints them: strings quoted, tables with their keys in order, long ones cut.

local M = {}

-- Characters of one value, elements of one table, and levels of tables that are printed.
local TEXT_MAX, ITEMS_MAX, DEPTH_MAX = 2000, 100, 4

local function quoted(text, room)
  local shown = ("%q"):format(text:sub(1, room)):gsub("\\\n", "\\n")
  return #text > room and ("%s... (%d bytes)"):format(shown, #text) or shown
end

--- Enough digits that two different numbers look different.
local function number(value)
  local text = tostring(value)
  return value == value and tonumber(text) ~= value and ("%.17g"):format(value) or text
end

local function in_order(a, b)
  if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then
    return a < b
  end
  return type(a) < type(b)
end

--- A row of HAProxy's answers with its fields, which pairs() reads; any other table as it is.
function M.filled(row)
  local meta = debug.getmetatable(row)
  if meta and meta.__metatable == false and meta.__pairs then
    pairs(row)
  end
  return row
end

local show

---@param state {room: integer, depth: integer}
local function show_table(value, state)
  local keys, parts = {}, {}
  for key in next, M.filled(value) do
    keys[#keys + 1] = key
    if #keys > ITEMS_MAX then
      break
    end
  end
  table.sort(keys, in_order)
  for i, key in ipairs(keys) do
    if i > ITEMS_MAX or state.room <= 0 then
      parts[i] = "..."
      break
    end
    local name = type(key) == "string" and key:find("^[%a_][%w_]*$") and key .. " = "
      or key == i and "" or ("[%s] = "):format(show(key, state))
    parts[i] = name .. show(rawget(value, key), state)
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

function show(value, state)
  local text
  if type(value) == "string" then
    text = quoted(value, math.max(20, state.room))
  elseif type(value) == "number" then
    text = number(value)
  elseif type(value) ~= "table" or (debug.getmetatable(value) or {}).__tostring then
    local ok, printed = pcall(tostring, value)
    text = ok and printed:sub(1, TEXT_MAX) or ("(a %s that tostring() refuses)"):format(type(value))
  elseif state.depth == DEPTH_MAX then
    text = "{...}"
  else
    state.depth = state.depth + 1
    text = show_table(value, state)
    state.depth = state.depth - 1
    return text
  end
  state.room = state.room - #text
  return text
end

---@return string
function M.show(value)
  return show(value, { room = TEXT_MAX, depth = 0 })
end

--- Two values that should be the same. Of two long strings that begin alike, only the rest is printed.
---@return string expected, string actual
function M.pair(expected, actual)
  local from = 1
  if type(expected) == "string" and type(actual) == "string" then
    while from + TEXT_MAX // 2 < #expected and expected:sub(1, from + TEXT_MAX // 2) == actual:sub(1, from + TEXT_MAX // 2) do
      from = from + TEXT_MAX // 4
    end
  end
  if from == 1 then
    return M.show(expected), M.show(actual)
  end
  local mark = ("(from byte %d) "):format(from)
  return mark .. M.show(expected:sub(from)), mark .. M.show(actual:sub(from))
end

--- The way to an element, from its keys, the last one first: ".a[2]". Of a long one, the end.
---@param keys any[]
---@return string
function M.path(keys)
  local parts = {}
  for i = math.min(#keys, 20), 1, -1 do
    local key = keys[i]
    parts[#parts + 1] = type(key) == "string" and key:find("^[%a_][%w_]*$") and "." .. key or ("[%s]"):format(M.show(key))
  end
  return (#keys > 20 and "..." or "") .. table.concat(parts)
end

return M
