-- SPDX-License-Identifier: MIT
--
--- program.lua - programs as trees: printed as Lua, and made smaller.
-- A statement is a list of texts and blocks in turn: { "pcall(function()", block, "end)" }. A block is a list of
-- statements. Every block may lose any of its statements, and every statement may be replaced by those of its blocks:
-- what is left is a program still.

local M = {}

local function print_block(block, indent, lines)
  for _, statement in ipairs(block) do
    for _, part in ipairs(statement) do
      if type(part) == "string" then
        lines[#lines + 1] = indent .. part
      else
        print_block(part, indent .. "  ", lines)
      end
    end
  end
end

--- Lua source of a block. Two texts around an empty block share a line.
---@param block table
---@return string
function M.text(block)
  local lines = {}
  print_block(block, "", lines)
  local text = table.concat(lines, "\n") .. "\n"
  local n
  repeat
    text, n = text:gsub("(function%([%w, _]*%))\n%s*end", "%1 end")
  until n == 0
  return text
end

--- How many statements.
---@param block table
---@return integer
function M.size(block)
  local n = 0
  for _, statement in ipairs(block) do
    n = n + 1
    for _, part in ipairs(statement) do
      n = n + (type(part) == "table" and M.size(part) or 0)
    end
  end
  return n
end

--- All blocks of a program, the outer ones first.
local function blocks_of(block, found)
  found[#found + 1] = block
  for _, statement in ipairs(block) do
    for _, part in ipairs(statement) do
      if type(part) == "table" then
        blocks_of(part, found)
      end
    end
  end
  return found
end

--- Put `new` in the place of what is in a block, ask, and take it back where it does not fail.
local function attempt(block, new, fails)
  local old = table.move(block, 1, #block, 1, {})
  local function put(list)
    for i = 1, math.max(#block, #list) do
      block[i] = list[i]
    end
  end
  put(new)
  if fails() then
    return true
  end
  put(old)
  return false
end

--- Remove runs of statements from a block, or of anything from a list, while `fails` says true: half of it, a quarter, ...,
-- one.
---@param block table
---@param fails fun(): boolean
---@return boolean shrunk
function M.thin(block, fails)
  local width, shrunk = #block, false
  while width >= 1 do
    local i = 1
    while i <= #block do
      local rest = table.move(block, 1, i - 1, 1, {})
      table.move(block, i + width, #block, i, rest)
      if attempt(block, rest, fails) then
        shrunk = true
      else
        i = i + width
      end
    end
    width = width // 2
  end
  return shrunk
end

--- Replace statements by what stands in their blocks.
local function flatten(block, fails)
  local shrunk, i = false, 1
  while i <= #block do
    local inner = {}
    for _, part in ipairs(block[i]) do
      if type(part) == "table" then
        table.move(part, 1, #part, #inner + 1, inner)
      end
    end
    local new = table.move(block, 1, i - 1, 1, {})
    table.move(inner, 1, #inner, i, new)
    table.move(block, i + 1, #block, i + #inner, new)
    if #inner > 0 and attempt(block, new, fails) then
      shrunk = true
    else
      i = i + 1
    end
  end
  return shrunk
end

--- Make a program smaller while `fails` says true of it. It is changed in place; `fails` looks at it and takes no
-- argument.
---@param program table
---@param fails fun(): boolean
function M.shrink(program, fails)
  local shrunk
  repeat
    shrunk = false
    for _, block in ipairs(blocks_of(program, {})) do
      shrunk = M.thin(block, fails) or shrunk
    end
    for _, block in ipairs(blocks_of(program, {})) do
      shrunk = flatten(block, fails) or shrunk
    end
  until not shrunk
end

return M
