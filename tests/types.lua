-- SPDX-License-Identifier: MIT
--
-- types.lua - write docs/types/haproxy.lua, the module haproxy as the Lua language server reads it. Its functions are the
-- methods of a target, which are annotated where they are: in lua/haproxy.lua, and, of those in C, in docs/types/core.lua.
-- Usage: haplua tests/types.lua check|make, in the top folder. `check` says whether the file differs, and then exits with 1.

local file = require("haplua.file")

local PATH <const> = "docs/types/haproxy.lua"
local HEAD <const> = [[
---@meta haproxy
-- SPDX-License-Identifier: MIT
---@errors HAProxy
--
-- The module haproxy as a script calls it: the methods of Target, on the current target. `make docs` writes this file from
-- the annotations in lua/haproxy.lua and docs/types/core.lua.

---@class haproxy
local haproxy = {}
]]

-- In which file which functions are those of the module.
local SOURCES <const> = {
  { "docs/types/core.lua", { "^function Target:([%w_]+)(%b())", "^function core%.(barrier)(%b())" } },
  { "lua/haproxy.lua", { "^function Target:([%w_]+)(%b())", "^function OfList:([%w_]+)(%b())", "^function M%.([%w_]+)(%b())" } },
}

--- The name and the arguments of the function that begins in a line, if it is one of the module.
local function declared(line, patterns)
  for _, pattern in ipairs(patterns) do
    local name, arguments = line:match(pattern)
    if name then
      return name, arguments
    end
  end
end

--- Add the functions of a file, each with the comment above it.
local function add(parts, path, patterns)
  local comment = {}
  for line in io.lines(path) do
    local name, arguments = declared(line, patterns)
    if name then
      parts[#parts + 1] = ("%sfunction haproxy.%s%s end\n"):format(table.concat(comment), name, arguments)
    end
    comment[#comment + 1] = line .. "\n"
    comment = line:find("^%-%-") and comment or {}
  end
end

local parts = { HEAD }
for _, source in ipairs(SOURCES) do
  add(parts, source[1], source[2])
end
parts[#parts + 1] = "return haproxy\n"
local text = table.concat(parts, "\n")

if arg[1] == "make" then
  assert(file.replace(PATH, text))
elseif file.read(PATH) ~= text then
  io.stderr:write(("types.lua: %s is not what the annotations say: `make docs` writes it\n"):format(PATH))
  return 1
end
