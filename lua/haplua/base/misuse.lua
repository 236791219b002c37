-- SPDX-License-Identifier: MIT
--
--- The errors of haplua.base.options: which value is wrong, why, and what to write instead.
-- This module is loaded only when a check has failed.

local M = {}

-- Each named kind, and several of it.
local texts = {
  text = { "a text", "texts" }, word = { "a text or a number", "texts" }, number = { "a number", "numbers" },
  integer = { "an integer", "integers" }, boolean = { "true or false", "booleans" },
  ["function"] = { "a function", "functions" }, table = { "a table", "tables" },
}

-- Does a value fit a kind? haplua.base.options requires this module and passes its function to raise().
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

local function sorted_names(spec)
  local names = {}
  for name in pairs(spec) do
    names[#names + 1] = type(name) == "string" and name or nil
  end
  table.sort(names)
  return names
end

local function unknown(name, value, spec, noun)
  local names = sorted_names(spec)
  if type(name) ~= "string" then
    return ("%s %s has no name; the names are %s"):format(noun, shown(value), joined(names, " and "))
  end
  local near = nearest(name, names)
  return ("no %s '%s'; %s"):format(noun, visible(name),
    near and ("did you mean '%s'?"):format(near) or ("the %ss are %s"):format(noun, joined(names, " and ")))
end

local problem

--- What is wrong with a table of options (`noun` "option") or a row ("field").
local function record_problem(value, kind, noun)
  local names = {}
  for name in next, value do
    names[#names + 1] = name
  end
  table.sort(names, function(a, b)
    return tostring(a) < tostring(b)
  end)
  for _, name in ipairs(names) do
    if kind.spec[name] == nil then
      return unknown(name, value[name], kind.spec, noun)
    end
  end
  for _, name in ipairs(names) do
    if not fits(kind.spec[name], value[name]) then
      return problem(("%s '%s'"):format(noun, name), value[name], kind.spec[name])
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
      local element = kind.element
      if element.spec and type(value[i]) == "table" then
        return ("%s, element %d: %s"):format(what, i, record_problem(value[i], element, "field"))
      end
      return form .. ("its element %d is %s"):format(i, shown(value[i]))
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
  if kind.element and fits(kind.element, value) then
    text = text .. (type(value) == "string" and ": write { %q }" or ": write { %s }"):format(value)
  elseif type(value) == "table" and #value == 1 and fits(kind, value[1]) then
    text = text .. ": write it without braces"
  end
  return text
end

--- "FILE:LINE: " of the script's call: the innermost frame with a line. The modules of haplua have none.
local function where()
  local level = 4
  local info = debug.getinfo(level, "Sl")
  while info and (info.currentline <= 0 or info.source:find("^=") and info.source ~= "=stdin" and info.source ~= "=-e") do
    level = level + 1
    info = debug.getinfo(level, "Sl")
  end
  return info and ("%s:%d: "):format(info.short_src, info.currentline) or ""
end

--- Raise the error for a value that is not of a kind.
---@param test fun(kind: haplua.options.Kind, value: any): boolean
---@param call string
---@param what string  the argument; "options" for the table of options
---@param value any
---@param kind haplua.options.Kind
function M.raise(test, call, what, value, kind)
  local text
  fits = test
  if what == "options" and type(value) == "table" then
    text = record_problem(value, kind, "option")
  elseif what == "options" then
    text = ("a table of options is expected, not %s"):format(shown(value))
  else
    text = problem(what, value, kind)
  end
  error(("%s%s: %s"):format(where(), call, text), 0)
end

return M
