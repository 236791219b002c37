-- SPDX-License-Identifier: MIT
--
--- Text for the cells of a terminal: its width, bars, numbers and times, and how it is set off.

local visible = require("haplua.error").visible

local M = {}

---@class haplua.view.Theme
---@field unicode boolean  else ASCII alone
---@field colour boolean
---@field plain boolean?  no sequences at all, for tests

-- Ranges of characters that take no cell, and of those that take two.
local NONE <const> = { { 0x300, 0x36f }, { 0x1ab0, 0x1aff }, { 0x200b, 0x200f }, { 0x20d0, 0x20ff }, { 0xfe00, 0xfe0f } }
local TWO <const> = {
  { 0x1100, 0x115f }, { 0x2e80, 0xa4cf }, { 0xac00, 0xd7a3 }, { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 },
  { 0xffe0, 0xffe6 }, { 0x1f300, 0x1f64f }, { 0x1f680, 0x1f6ff }, { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd },
}

local function is_in(ranges, point)
  for _, range in ipairs(ranges) do
    if point >= range[1] and point <= range[2] then
      return true
    end
  end
  return false
end

local function cells_of(point)
  return is_in(NONE, point) and 0 or is_in(TWO, point) and 2 or 1
end

--- The cells that a text takes.
---@param text string  printable
---@return integer
function M.width(text)
  if not text:find("[\x80-\xff]") then
    return #text
  end
  local n = 0
  for _, point in utf8.codes(text) do
    n = n + cells_of(point)
  end
  return n
end

--- Text from outside, so that a terminal can show it: nothing in it steers the terminal.
---@param theme haplua.view.Theme
---@param text any
---@return string
function M.clean(theme, text)
  text = visible(tostring(text))
  return theme.unicode and text or (text:gsub("[\xc0-\xff][\x80-\xbf]*", "?"))
end

--- The longest beginning of a text that takes at most n cells, and its cells.
local function cut(text, n)
  local used = 0
  for at, point in utf8.codes(text) do
    local cells = cells_of(point)
    if used + cells > n then
      return text:sub(1, at - 1), used
    end
    used = used + cells
  end
  return text, used
end

--- A text in just n cells: filled up with blanks, or cut and marked.
---@param theme haplua.view.Theme
---@param text string  printable
---@param n integer
---@param to_right boolean?  fill up on the left
---@return string
function M.fit(theme, text, n, to_right)
  local width = M.width(text)
  if width > n and n > 0 then
    local head, used = cut(text, n - 1)
    text, width = head .. (theme.unicode and "…" or "~"), used + 1
  elseif n <= 0 then
    return ""
  end
  local blanks = (" "):rep(n - width)
  return to_right and blanks .. text or text .. blanks
end

--- A text as lines of at most n cells, cut at blanks where there are any.
---@param text string  printable, with line ends
---@param n integer
---@return string[]
function M.wrap(text, n)
  local lines = {}
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    while M.width(line) > n do
      local head = cut(line, n)
      local at = #head
      if line:sub(at + 1, at + 1) ~= " " then
        local blank = head:match("^.*() ")
        at = blank and blank > n // 2 and blank - 1 or at
      end
      at = math.max(at, 1)
      lines[#lines + 1], line = line:sub(1, at), "    " .. line:sub(at + 1):gsub("^ +", "")
      if n <= 8 then
        line = line:gsub("^ +", "")
      end
    end
    lines[#lines + 1] = line
  end
  return lines
end

--- A bar of n cells that is full where share is 1, in steps of half a cell.
---@param theme haplua.view.Theme
---@param share number
---@param n integer
---@return string
function M.bar(theme, share, n)
  share = math.max(0, math.min(1, share))
  local halves = math.floor(share * n * 2 + 0.5)
  halves = share > 0 and math.max(1, halves) or 0
  if not theme.unicode then
    local full = (halves + 1) // 2
    return ("#"):rep(full) .. (" "):rep(n - full)
  end
  local full, half = halves // 2, halves % 2
  return ("━"):rep(full) .. ("╸"):rep(half) .. (" "):rep(n - full - half)
end

local HEIGHTS <const> = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }
local MARKS <const> = { "_", ".", ":", "-", "=", "+", "*", "#" }

--- The latest n values as bars, the last one on the right.
---@param theme haplua.view.Theme
---@param values number[]
---@param most number  what has the full height
---@param n integer
---@return string
function M.spark(theme, values, most, n)
  local heights, marks = theme.unicode and HEIGHTS or MARKS, {}
  for i = math.max(1, #values - n + 1), #values do
    local level = most > 0 and math.ceil(values[i] / most * #heights) or 1
    marks[#marks + 1] = heights[math.max(1, math.min(#heights, level))]
  end
  return (" "):rep(n - #marks) .. table.concat(marks)
end

--- A number in at most 5 cells: "1234", "12.3k", "4.5M".
---@param n number
---@return string
function M.count(n)
  for _, unit in ipairs({ { 1e9, "G" }, { 1e6, "M" }, { 1e4, "k", 1e3 } }) do
    local by = unit[3] or unit[1]
    if n >= unit[1] then
      return (n / by < 99.95 and "%.1f%s" or "%.0f%s"):format(n / by, unit[2])
    end
  end
  return ("%.0f"):format(n)
end

--- Seconds in at most 6 cells: "42s", "42m05s", "3h05m", "2d04h".
---@param seconds number
---@return string
function M.span(seconds)
  local n = math.max(0, math.floor(seconds))
  if n < 60 then
    return n .. "s"
  elseif n < 3600 then
    return ("%dm%02ds"):format(n // 60, n % 60)
  elseif n < 86400 then
    return ("%dh%02dm"):format(n // 3600, n % 3600 // 60)
  end
  return ("%dd%02dh"):format(n // 86400, n % 86400 // 3600)
end

-- The attributes of a style, and its colour.
local STYLES <const> = {
  title = { "1;7" }, head = { "2" }, strong = { "1" }, faint = { "2" }, chosen = { "7" }, good = { "", "32" },
  soft = { "", "33" }, calm = { "", "36" }, bad = { "1", "31" }, bar = { "", "34" },
}

--- Set a text off. The meaning must be in the text as well.
---@param theme haplua.view.Theme
---@param style string
---@param text string
---@return string
function M.paint(theme, style, text)
  local found = STYLES[style]
  local code = found[1]
  if theme.colour and found[2] then
    code = code == "" and found[2] or code .. ";" .. found[2]
  end
  if theme.plain or code == "" or text == "" then
    return text
  end
  return ("\27[%sm%s\27[0m"):format(code, text)
end

return M
