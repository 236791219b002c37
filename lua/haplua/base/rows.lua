-- SPDX-License-Identifier: MIT
--
--- The part of haplua.reply that is written in Lua: the pairs of `show info`, and rows in which a misspelt field raises,
-- instead of passing for one that is empty. src/bindings/haproxy/fields.c loads this module with the first use.

local error_module = require("haplua.error")

local M = {}

--- A metatable for rows: to read a field that is neither in the set of names nor one of another version raises. Without
-- a set, each row has the fields that are in it.
---@param set? table<string, any>
function M.metatable(set)
  return {
    __metatable = false,
    __index = function(row, key)
      local fields = set or row
      if type(key) == "string" and rawget(fields, key) == nil then
        require("haplua.base.no_field")(key, fields)
      end
    end,
  }
end

local function set_of(...)
  local set = {}
  for _, name in ipairs({ ... }) do
    set[name] = true
  end
  return set
end

--- Raise `protocol`: this text does not read as the reply that it should be.
local function mismatch(text)
  error(error_module.new({ kind = "protocol", message = "the answer was cut or is not understood", reply = text }), 0)
end

--- The lines of a text, whose last LF may be missing.
local function lines(text)
  return text:gsub("[^\n]$", "%0\n"):gmatch("([^\n]*)\n")
end

-- Fields of `show info` that are text whatever they look like: a node may be called 007.
local text_fields = set_of("Name", "Version", "node", "description")

function M.pairs(text)
  local found = {}
  for line in lines(text) do
    local name, value = line:match("^([^:]+): ?(.*)$")
    if not name then
      mismatch(line)
    elseif value ~= "" and value ~= "-" then
      local integer = not text_fields[name] and value:find("^%-?%d+$") and math.tointeger(tonumber(value))
      found[name] = integer or value
    end
  end
  return setmetatable(found, M.metatable())
end

return M
