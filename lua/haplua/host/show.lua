-- SPDX-License-Identifier: MIT
--
--- Values as the prompt prints them: rows as a table, other tables with their fields, errors in full.

local show = require("haplua.test.show").show
local visible = require("haplua.error").visible
local is_error = require("haplua.error").is

local M = {}

-- Rows and lines that are printed of one value, and the characters of a cell.
local ROWS_MAX, CELL_MAX = 200, 60

-- The fields that come first, in this order, where a row has them.
local FIRST <const> = {
  "id", "file", "key", "value", "pattern", "be_name", "pxname", "srv_name", "svname", "admin", "operational", "status",
  "srv_addr", "srv_port", "srv_uweight", "weight", "scur", "qcur", "smax", "stot", "rate", "ref", "fe", "be", "srv", "src",
  "age",
}
local rank = {}
for i, name in ipairs(FIRST) do
  rank[name] = i
end

local function width_of(text)
  return utf8.len(text) or #text
end

--- A text whose control characters are visible, but for line ends and tabs.
local function plain(text)
  return (text:gsub("[^\n\t]+", visible))
end

local function has_tostring(value)
  local meta = debug.getmetatable(value)
  return type(meta) == "table" and rawget(meta, "__tostring") ~= nil
end

--- A value in a cell or on a line.
local function cell(value)
  local text = type(value) == "string" and visible(value) or (show(value):gsub("%c", " "))
  local cut = width_of(text) > CELL_MAX and utf8.len(text) and utf8.offset(text, CELL_MAX - 2)
  return cut and text:sub(1, cut - 1) .. "..." or text
end

--- The fields of rows, those that people look for first; without those that are empty everywhere.
local function fields_of(rows)
  local names, seen = {}, {}
  for _, row in ipairs(rows) do
    for name, value in pairs(row) do
      if type(name) == "string" and not seen[name] and value ~= "" then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  table.sort(names, function(a, b)
    local x, y = rank[a] or #FIRST + 1, rank[b] or #FIRST + 1
    return x < y or x == y and a < b
  end)
  return names
end

--- Rows with a heading, as many fields as the terminal has room for.
local function table_of(rows, width)
  local names, lines, used, n = fields_of(rows), {}, 0, 0
  local shown = math.min(#rows, ROWS_MAX)
  for i = 0, shown do
    lines[i] = ""
  end
  for _, name in ipairs(names) do
    local cells, widest = { [0] = name }, #name
    for i = 1, shown do
      local value = rawget(rows[i], name)
      cells[i] = value == nil and "-" or cell(value)
      widest = math.max(widest, width_of(cells[i]))
    end
    if n > 0 and used + widest > width then
      break
    end
    for i = 0, shown do
      lines[i] = lines[i] .. cells[i] .. (" "):rep(widest - width_of(cells[i]) + 2)
    end
    used, n = used + widest + 2, n + 1
  end
  for i = 0, shown do
    lines[i] = lines[i]:gsub(" +$", "")
  end
  local text = table.concat(lines, "\n", 0, shown)
  if #rows > shown then
    text = ("%s\n(%d more rows)"):format(text, #rows - shown)
  end
  return n < #names and ("%s\n(%d of %d fields; a row alone has all)"):format(text, n, #names) or text
end

--- Is a table a list of rows?
local function are_rows(value)
  for _, row in ipairs(value) do
    if type(row) ~= "table" or has_tostring(row) or #row > 0 or next(row) == nil and not debug.getmetatable(row) then
      return false
    end
  end
  return #value > 0
end

--- A table that is no list of rows: on one line where it is short, else a line for each element.
local function lines_of(value, width)
  local keys, lines, widest = {}, {}, 0
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then
      return a < b
    end
    return type(a) < type(b)
  end)
  local short = #keys <= 8 and show(value)
  if short and not debug.getmetatable(value) and width_of(short) <= width and not short:find("%c") then
    return short
  end
  for _, key in ipairs(keys) do
    widest = math.max(widest, math.min(30, width_of(tostring(key))))
  end
  for i, key in ipairs(keys) do
    local name = visible(tostring(key))
    lines[i] = name .. (" "):rep(math.max(0, widest - width_of(name)) + 2) .. cell(value[key])
    if i == ROWS_MAX and #keys > i then
      lines[i + 1] = ("(%d more)"):format(#keys - i)
      break
    end
  end
  return #lines > 0 and table.concat(lines, "\n") or "{}"
end

--- An error object: its text, and its fields but for what the text has.
---@param problem table
---@return string
function M.error(problem)
  local lines = { plain(tostring(problem)) }
  for _, name in ipairs({ "kind", "phase", "code", "command", "reply", "done", "index", "in_doubt", "look" }) do
    local value = problem[name]
    if value ~= nil and value ~= 0 then
      lines[#lines + 1] = ("  %-9s%s"):format(name, plain(tostring(value)):gsub("\n+$", ""):gsub("\n", "\n           "))
    end
  end
  return table.concat(lines, "\n")
end

--- A value as the prompt prints it.
---@param value any
---@param width integer?  columns of the terminal; 80 unless given
---@return string
function M.value(value, width)
  if type(value) == "table" and is_error(value) then
    return M.error(value)
  elseif type(value) ~= "table" or has_tostring(value) then
    return plain(tostring(value))
  elseif are_rows(value) then
    return table_of(value, width or 80)
  end
  return lines_of(value, width or 80)
end

return M
