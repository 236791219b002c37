-- SPDX-License-Identifier: MIT
--
--- The difference of two values as lines: what was expected with '-', what there is with '+', what is the same with ' '.

local show = require("haplua.test.show").show
local visible = require("haplua.error").visible

local M = {}

-- Lines of a value, levels of a table, equal lines around a difference, and lines of the result.
local LINES_MAX, DEPTH_MAX, AROUND, SHOWN_MAX = 400, 6, 2, 60

-- Values that are shorter on one line are compared by eye.
local SHORT = 60

local function in_order(a, b)
  if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then
    return a < b
  end
  return type(a) < type(b)
end

--- Add the lines of a table: one for each element, indented by its level.
local function add_table(lines, value, depth)
  local keys = {}
  for key in next, value do
    keys[#keys + 1] = key
  end
  table.sort(keys, in_order)
  for _, key in ipairs(keys) do
    local field = rawget(value, key)
    local name = ("  "):rep(depth) .. (type(key) == "string" and key:find("^[%a_][%w_]*$") and key or "[" .. show(key) .. "]")
    local meta = type(field) == "table" and debug.getmetatable(field)
    if #lines >= LINES_MAX then
      return
    elseif type(field) == "table" and next(field) ~= nil and depth < DEPTH_MAX and not (meta and meta.__tostring) then
      lines[#lines + 1] = name .. ":"
      add_table(lines, field, depth + 1)
    else
      lines[#lines + 1] = name .. " = " .. show(field)
    end
  end
end

--- The lines of a value; nil: it is of one line.
local function lines_of(value)
  local lines = {}
  if type(value) == "table" then
    add_table(lines, value, 0)
  elseif type(value) == "string" then
    for line in (value .. "\n"):gmatch("([^\n]*)\n") do
      lines[#lines + 1] = visible(line)
      if #lines == LINES_MAX then
        break
      end
    end
  end
  return lines
end

--- The longest common subsequence of two lists of lines, as lengths from each pair of places on.
local function lengths_of(a, b)
  local lengths = {}
  for i = #a + 1, 1, -1 do
    lengths[i] = {}
    for j = #b + 1, 1, -1 do
      if i > #a or j > #b then
        lengths[i][j] = 0
      elseif a[i] == b[j] then
        lengths[i][j] = lengths[i + 1][j + 1] + 1
      else
        lengths[i][j] = math.max(lengths[i + 1][j], lengths[i][j + 1])
      end
    end
  end
  return lengths
end

--- All lines with their marks.
local function marked(a, b)
  local lengths, out, i, j = lengths_of(a, b), {}, 1, 1
  while i <= #a or j <= #b do
    if i <= #a and j <= #b and a[i] == b[j] then
      out[#out + 1] = "  " .. a[i]
      i, j = i + 1, j + 1
    elseif j > #b or i <= #a and lengths[i + 1][j] >= lengths[i][j + 1] then
      out[#out + 1] = "- " .. a[i]
      i = i + 1
    else
      out[#out + 1] = "+ " .. b[j]
      j = j + 1
    end
  end
  return out
end

--- The lines that differ, and some around them.
local function around_differences(lines)
  local near = {}
  for i, line in ipairs(lines) do
    for k = line:find("^[-+]") and i - AROUND or i + 1, line:find("^[-+]") and i + AROUND or i do
      near[k] = true
    end
  end
  local out, gap = {}, false
  for i, line in ipairs(lines) do
    if near[i] and #out < SHOWN_MAX then
      out[#out + 1] = gap and "  ..." or nil
      out[#out + 1] = line
      gap = false
    else
      gap = true
    end
  end
  out[#out + 1] = gap and "  ..." or nil
  return out
end

--- The difference of two tables, or of two texts of which one has several lines.
---@param expected any
---@param actual any
---@return string?  nil: the two values, each on a line, say as much
function M.text(expected, actual)
  local of_tables = type(expected) == "table" and type(actual) == "table"
  if not of_tables and not (type(expected) == "string" and type(actual) == "string") then
    return nil
  end
  local a, b = lines_of(expected), lines_of(actual)
  if of_tables and #show(expected) <= SHORT and #show(actual) <= SHORT or #a < 2 and #b < 2 then
    return nil
  end
  local lines = marked(a, b)
  local text = table.concat(around_differences(lines), "\n")
  return text:find("%f[^\n\0][-+]") and text or nil
end

return M
