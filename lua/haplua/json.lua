-- SPDX-License-Identifier: MIT
--
--- JSON for programs that read a policy's output, through lua-cjson. That one writes an empty list as {};
-- here an empty table is [].

local cjson = require("cjson")

local M = { null = cjson.null, decode = cjson.decode }

local encode

local function encode_table(value)
  local parts = {}
  if #value > 0 or next(value) == nil then
    for i, item in ipairs(value) do
      parts[i] = encode(item)
    end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key, item in pairs(value) do
    parts[#parts + 1] = cjson.encode(tostring(key)) .. ":" .. encode(item)
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

--- One line of JSON, keys in alphabetical order.
---@return string
function encode(value)
  return type(value) == "table" and encode_table(value) or (cjson.encode(value):gsub("\\/", "/"))
end
M.encode = encode

return M
