-- SPDX-License-Identifier: MIT
---@errors none
--
--- JSON for programs that read a policy's output, through lua-cjson. An empty table is [] here; lua-cjson writes {}.

local as_utf8 = require("haplua.base.utf8")
local cjson = require("cjson")

local M = { null = cjson.null }

--- The value of a JSON text, by lua-cjson, which raises a text where it is none. M.null stands for null.
---@param text string  JSON
---@return any
function M.decode(text)
  return cjson.decode(text)
end

local DEPTH_MAX <const> = 100

local function misuse(text)
  require("haplua.base.options").misuse("json.encode", text)
end

local encode

local function encode_list(list, depth)
  local parts = {}
  for key in pairs(list) do
    if math.type(key) ~= "integer" then
      misuse(("a table has list elements and the key '%s'"):format(tostring(key)))
    end
    parts[#parts + 1] = list[#parts + 1] ~= nil and encode(list[#parts + 1], depth)
      or misuse(("a list has no element %d"):format(#parts + 1))
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function encode_names(names, depth)
  local parts = {}
  for key, item in pairs(names) do
    parts[#parts + 1] = encode(tostring(key), depth) .. ":" .. encode(item, depth)
  end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

function encode(value, depth)
  local of = type(value)
  if of == "table" then
    if depth > DEPTH_MAX then
      misuse(("tables lie within tables more than %d deep"):format(DEPTH_MAX))
    end
    return (#value > 0 or next(value) == nil) and encode_list(value, depth + 1) or encode_names(value, depth + 1)
  elseif of == "number" and value - value ~= 0 then
    misuse(("the number %s has no form in JSON"):format(value))
  elseif value ~= cjson.null and (of == "function" or of == "userdata" or of == "thread") then
    misuse(("a %s has no form in JSON"):format(of))
  end
  return (cjson.encode(of == "string" and as_utf8(value) or value):gsub("\\/", "/"))
end

--- One line of JSON, keys in alphabetical order.
---@param value any  tables that are lists or have names, texts, finite numbers, booleans, M.null, nil. In texts U+FFFD
--- stands for bytes that are no UTF-8
---@return string
function M.encode(value)
  return encode(value, 1)
end

return M
