-- SPDX-License-Identifier: MIT
--
-- kinds.lua - write the table of error kinds in docs/scripting.md and the alias in docs/types/error.lua
-- from haplua.error's list (src/base/err.c).
--
--   ./haplua tests/kinds.lua make     write both
--   ./haplua tests/kinds.lua check    exit status 1 where one of them is another than `make` would write

local kinds = require("haplua.error").kinds

local function table_of_kinds()
  local rows = { "| kind | when | exit status |", "| --- | --- | --- |" }
  for _, kind in ipairs(kinds) do
    rows[#rows + 1] = ("| `%s` | %s | %d |"):format(kind.name, kind.meaning, kind.exit)
  end
  return table.concat(rows, "\n") .. "\n"
end

local function alias_of_kinds()
  local names = {}
  for i, kind in ipairs(kinds) do
    names[i] = ('"%s"'):format(kind.name)
  end
  return "---@alias haplua.Kind " .. table.concat(names, "|") .. "\n"
end

-- Each page, the pattern of the head of what is generated, that of each line below it, and what belongs there.
local pages = {
  { "docs/scripting.md", "| kind | when | exit status |\n[^\n]+\n", "^|[^\n]*\n", table_of_kinds() },
  { "docs/types/error.lua", "%-%-%-@alias haplua%.Kind [^\n]*\n", false, alias_of_kinds() },
}

local function content(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

--- The page with what is generated in its place.
local function renewed(path, head, row, made)
  local text = content(path)
  local first, last = text:find(head)
  if not first then
    error(path .. " has no place for the kinds", 0)
  end
  while row do
    local _, behind = text:sub(last + 1):find(row)
    if not behind then
      break
    end
    last = last + behind
  end
  return text:sub(1, first - 1) .. made .. text:sub(last + 1), text
end

local asked = (...)
if asked ~= "make" and asked ~= "check" then
  io.stderr:write("usage: haplua tests/kinds.lua make | check\n")
  os.exit(2)
end
local failed = false
for _, page in ipairs(pages) do
  local new, old = renewed(table.unpack(page))
  if new ~= old and asked == "make" then
    local file <close> = assert(io.open(page[1], "w"))
    file:write(new)
  elseif new ~= old then
    io.stderr:write(page[1], ": the kinds are others in src/base/err.c; `make docs` writes them\n")
    failed = true
  end
end
os.exit(not failed)
