-- SPDX-License-Identifier: MIT
--
--- The errors of haplua.base.options: which value is wrong, why, and what to write instead.
-- This module is loaded only when a check has failed.

local M = {}

-- Each named kind, and several of it.
local texts = {
  text = { "a text", "texts" }, word = { "a text or a number", "texts" }, number = { "a finite number", "numbers" },
  integer = { "an integer", "integers" }, boolean = { "true or false", "booleans" },
  ["function"] = { "a function", "functions" }, table = { "a table", "tables" }, value = { "a value", "values" },
}

-- options.fits(), which text() is given: haplua.base.options requires this module.
local fits

local visible = require("haplua.error").visible

--- The name that was probably meant: one that begins like it, or the nearest.
local function nearest(word, names)
  for _, name in ipairs(names) do
    if #word > 2 and name:sub(1, #word) == word then
      return name
    end
  end
  return require("haplua.error").nearest(word, names)
end

--- A value as an error shows it: its type, and the value where it is short.
local function shown(value)
  local text = type(value) == "string" and ("'%s'"):format(value) or tostring(value)
  if value == nil or type(value) == "boolean" then
    return text
  elseif type(value) ~= "string" and type(value) ~= "number" then
    return "a " .. type(value)
  elseif #text > 60 then
    text = text:sub(1, 50) .. "...'"
  end
  return ("a %s (%s)"):format(type(value), visible(text))
end

local function joined(parts, last)
  local n = #parts
  return n < 2 and (parts[1] or "") or table.concat(parts, ", ", 1, n - 1) .. last .. parts[n]
end

local function describe(kind)
  local parts = {}
  if texts[kind] or kind.text then
    return kind.text or texts[kind][1]
  elseif kind.element then
    local element = texts[kind.element]
    return "a list of " .. (element and element[2] or kind.element.spec and "tables"
      or ("values, each of them %s"):format(describe(kind.element)))
  elseif kind.spec then
    return "a table"
  end
  for i, value in ipairs(kind.values or {}) do
    parts[i] = type(value) == "string" and ("'%s'"):format(value) or tostring(value)
  end
  for i, other in ipairs(kind.kinds or {}) do
    parts[i] = describe(other)
  end
  return joined(parts, " or ")
end

local function sorted_keys(t)
  local keys = {}
  for key in next, t do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    return tostring(a) < tostring(b)
  end)
  return keys
end

local function unknown(key, value, spec, noun)
  local names = sorted_keys(spec)
  if type(names[1]) ~= "string" then
    table.remove(names, 1) -- the field 1 of a declaration
  end
  local all, near = joined(names, " and "), type(key) == "string" and nearest(key, names)
  if type(key) ~= "string" then
    return ("%s %s, %s, has no name; the names are %s"):format(noun, tostring(key), shown(value), all)
  end
  return ("no %s '%s'; %s"):format(noun, visible(key),
    near and ("did you mean '%s'?"):format(near) or ("the %ss are %s"):format(noun, all))
end

local problem

--- What is wrong with a table of options (`noun` "option") or a row ("field").
local function record_problem(value, kind, noun)
  for _, key in ipairs(sorted_keys(value)) do
    if kind.spec[key] == nil then
      return unknown(key, value[key], kind.spec, noun)
    elseif not fits(kind.spec[key], value[key]) then
      return problem(("%s '%s'"):format(noun, key), value[key], kind.spec[key])
    end
  end
  for _, name in ipairs(kind.required or {}) do
    if value[name] == nil then
      return ("the %s '%s' is missing"):format(noun, name)
    end
  end
end

local function list_problem(what, value, kind)
  local form = ("%s must be %s; "):format(what, describe(kind))
  local n = 0
  for key in pairs(value) do
    n = n + 1
    if math.type(key) ~= "integer" or key < 1 then
      return form .. ("it has the key '%s'"):format(visible(tostring(key)))
    end
  end
  for i = 1, n do
    if value[i] == nil then
      return form .. ("its element %d is missing"):format(i)
    elseif not fits(kind.element, value[i]) then
      return kind.element.spec and type(value[i]) == "table"
        and ("%s, element %d: %s"):format(what, i, record_problem(value[i], kind.element, "field"))
        or form .. ("its element %d is %s"):format(i, shown(value[i]))
    end
  end
  return form .. "it has a length of its own"
end

--- What is wrong with a value.
---@return string
function problem(what, value, kind)
  if type(value) == "table" and kind.element then
    return list_problem(what, value, kind)
  elseif type(value) == "table" and kind.spec then
    return ("%s: %s"):format(what, record_problem(value, kind, "field"))
  end
  for _, other in ipairs(type(value) == "table" and kind.kinds or {}) do
    if other.element or other.spec then
      return problem(what, value, other)
    end
  end
  local text = ("%s must be %s, not %s"):format(what, describe(kind), shown(value))
  local near = kind.values and type(value) == "string" and nearest(value, kind.values)
  if kind.element and fits(kind.element, value) then
    text = text .. (type(value) == "string" and ": write { %q }" or ": write { %s }"):format(
      type(value) == "function" and "the function" or value)
  elseif type(value) == "table" and #value == 1 and fits(kind, value[1]) then
    text = text .. ": write it without braces"
  elseif near then
    text = text .. ("; did you mean '%s'?"):format(near)
  end
  return text
end

--- Raise a text with "FILE:LINE: " of the script's call before it: of the innermost frame that has a line. The
-- modules of haplua have none.
---@param call string?
---@param text string
function M.misuse(call, text)
  local level = 2
  local info
  repeat
    level = level + 1
    info = debug.getinfo(level, "Sl")
  until not info or info.currentline > 0
  local where = info and ("%s:%d: "):format(info.short_src, info.currentline) or ""
  error(where .. (call and call .. ": " or "") .. text, 0)
end

--- What is wrong with a value that is not of a kind.
---@param test fun(kind: haplua.options.Kind, value: any): boolean
---@param what string  the argument; "options" for a table of options
---@param value any
---@param kind haplua.options.Kind
---@return string
function M.text(test, what, value, kind)
  fits = test
  if what ~= "options" then
    return problem(what, value, kind)
  elseif type(value) ~= "table" then
    return ("a table of options is expected, not %s"):format(shown(value))
  end
  return record_problem(value, kind, "option")
end

return M
