-- SPDX-License-Identifier: MIT
--
--- Check what a script gives to a public function: tables of options, rows, lists.
-- A check that passes allocates nothing. One that fails raises a text with the script's line, the name
-- of the function, the name of the option and what to write instead (haplua.base.misuse).
--
--   local kinds = { paths = options.list("text"), lasts = options.any("number", "text") }
--
--   function M.on(given)
--     options.check("maintenance.on", given, kinds)

local M = {}

--- What a value may be: a name below, or what a function below returns.
---@alias haplua.options.Kind "text"|"word"|"number"|"integer"|"boolean"|"function"|"table"|haplua.options.Made

---@class haplua.options.Made
---@field fits fun(value: any): boolean
---@field text string?  of where(): what it is, for the error
---@field element haplua.options.Kind?  of list()
---@field values any[]?  of one_of()
---@field kinds haplua.options.Kind[]?  of any()
---@field spec table<any, haplua.options.Kind>?  of record()
---@field required any[]?  likewise

local function has_type(name)
  return function(value)
    return type(value) == name
  end
end

---@type table<string, fun(value: any): boolean>
local named = {
  text = has_type("string"),
  boolean = has_type("boolean"),
  ["function"] = has_type("function"),
  table = has_type("table"),
  word = function(value)
    return type(value) == "string" or type(value) == "number"
  end,
  number = function(value)
    return type(value) == "number" and value == value
  end,
  integer = function(value)
    return math.type(value) == "integer"
  end,
}

local function fits(kind, value)
  return (named[kind] or kind.fits)(value)
end

local function fail(...)
  require("haplua.base.misuse").raise(fits, ...)
end

--- A list of values, without holes and without other keys.
---@param element haplua.options.Kind
---@return haplua.options.Made
function M.list(element)
  return {
    element = element,
    fits = function(value)
      if type(value) ~= "table" then
        return false
      end
      local n = 0
      for _ in pairs(value) do
        n = n + 1
      end
      for i = 1, n do
        if value[i] == nil or not fits(element, value[i]) then
          return false
        end
      end
      return n == #value
    end,
  }
end

--- One of these values.
---@return haplua.options.Made
function M.one_of(...)
  local is = {}
  for _, value in ipairs({ ... }) do
    is[value] = true
  end
  return {
    values = { ... },
    fits = function(value)
      return is[value] ~= nil
    end,
  }
end

--- A value of one of these kinds.
---@param ... haplua.options.Kind
---@return haplua.options.Made
function M.any(...)
  local kinds = { ... }
  return {
    kinds = kinds,
    fits = function(value)
      for i = 1, #kinds do
        if fits(kinds[i], value) then
          return true
        end
      end
      return false
    end,
  }
end

--- A value for which a function returns true.
---@param text string  what it is, for the error: "an integer from 1 to 65535"
---@param test fun(value: any): boolean
---@return haplua.options.Made
function M.where(text, test)
  return { text = text, fits = test }
end

--- A table with these fields and no others.
---@param spec table<any, haplua.options.Kind>
---@param required any[]?  the fields that it must have
---@return haplua.options.Made
function M.record(spec, required)
  return {
    spec = spec,
    required = required,
    fits = function(value)
      if type(value) ~= "table" then
        return false
      end
      for name, field in next, value do
        if spec[name] == nil or not fits(spec[name], field) then
          return false
        end
      end
      for i = 1, required and #required or 0 do
        if value[required[i]] == nil then
          return false
        end
      end
      return true
    end,
  }
end

--- Raise unless `given` is a table whose every key is an option of the kind that `spec` says.
---@param call string  the public function, for the error: "maintenance.on"
---@param given any
---@param spec table<any, haplua.options.Kind>
function M.check(call, given, spec)
  if type(given) ~= "table" then
    fail(call, "options", given, M.record(spec))
  end
  for name, value in next, given do
    local kind = spec[name]
    if kind == nil or not fits(kind, value) then
      fail(call, "options", given, M.record(spec))
    end
  end
end

--- Raise unless an argument is of a kind.
---@param call string
---@param name string  the argument, for the error: "patterns"
---@param value any
---@param kind haplua.options.Kind
function M.argument(call, name, value, kind)
  if not fits(kind, value) then
    fail(call, name, value, kind)
  end
end

return M
