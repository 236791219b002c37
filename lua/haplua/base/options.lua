-- SPDX-License-Identifier: MIT
--
--- Check what a script gives to a public function: tables of options, rows, lists.
-- A check that passes allocates nothing. One that fails raises a text with the script's line, the function,
-- the option and what to write instead (haplua.base.misuse).
--
--   local kinds = { paths = options.list("text"), lasts = options.any("number", "text") }
--
--   function M.on(given)
--     options.check("maintenance.on", given, kinds)

local M = {}

--- What a value may be: a name, or what list(), one_of(), any(), where() or record() returns.
---@alias haplua.options.Kind
---| "text"|"boolean"|"function"|"table"
---| "word"  a text or a number
---| "value"  anything but nil
---| "number"  a finite one
---| "integer"
---| table

local types = { text = "string", boolean = "boolean", ["function"] = "function", table = "table" }

local fits

local function is_list(value, element)
  local n, text = 0, (element == "word" or element == "text") and "string"
  for _, v in pairs(value) do
    if type(v) ~= text and not fits(element, v) then
      return false
    end
    n = n + 1
  end
  if n ~= #value then
    return false
  end
  for i = 1, n do
    if value[i] == nil then
      return false
    end
  end
  return true
end

local function is_record(value, spec, required)
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
end

local function is_one_of(value, kinds)
  for i = 1, #kinds do
    if fits(kinds[i], value) then
      return true
    end
  end
  return false
end

--- Is a value of a kind?
---@param kind haplua.options.Kind
---@param value any
---@return boolean
function fits(kind, value)
  if types[kind] then
    return type(value) == types[kind]
  elseif kind == "word" then
    return type(value) == "string" or type(value) == "number"
  elseif kind == "value" then
    return value ~= nil
  elseif kind == "number" then
    return type(value) == "number" and value - value == 0
  elseif kind == "integer" then
    return math.type(value) == "integer"
  elseif kind.test then
    return kind.test(value)
  elseif kind.kinds then
    return is_one_of(value, kind.kinds)
  elseif kind.values then
    return kind.is[value] ~= nil
  elseif kind.element then
    return type(value) == "table" and is_list(value, kind.element)
  end
  return type(value) == "table" and is_record(value, kind.spec, kind.required)
end
M.fits = fits

--- Values of one kind, without holes and without other keys.
---@param element haplua.options.Kind
function M.list(element)
  return { element = element }
end

--- One of these values.
function M.one_of(...)
  local values, is = { ... }, {}
  for _, value in ipairs(values) do
    is[value] = true
  end
  return { values = values, is = is }
end

--- A value of one of these kinds.
---@param ... haplua.options.Kind
function M.any(...)
  return { kinds = { ... } }
end

--- A value for which a function returns true.
---@param text string  what it is, for the error: "an integer from 1 to 65535"
---@param test fun(value: any): boolean
function M.where(text, test)
  return { text = text, test = test }
end

--- A table with these fields and no others.
---@param spec table<any, haplua.options.Kind>
---@param required any[]?  the fields that it must have
function M.record(spec, required)
  return { spec = spec, required = required }
end

--- Raise a text with the script's line: what else is wrong with arguments.
---@param call string  the public function: "maintenance.on"
---@param text string
function M.misuse(call, text)
  require("haplua.base.misuse").misuse(call, text)
end

--- What is wrong with a table of options that no call of a script gave; nil: nothing.
---@param given any
---@param spec table<any, haplua.options.Kind>
---@return string?
function M.problem(given, spec)
  if type(given) ~= "table" or not is_record(given, spec) then
    return require("haplua.base.misuse").text(fits, "options", given, { spec = spec })
  end
end

--- Raise unless `given` is a table whose every key is an option of the kind that `spec` says.
---@param call string
---@param given any
---@param spec table<any, haplua.options.Kind>
function M.check(call, given, spec)
  local problem = M.problem(given, spec)
  if problem then
    M.misuse(call, problem)
  end
end

--- Raise unless an argument is of a kind.
---@param call string
---@param name string  the argument, for the error: "patterns"
---@param value any
---@param kind haplua.options.Kind
function M.argument(call, name, value, kind)
  if not fits(kind, value) then
    M.misuse(call, require("haplua.base.misuse").text(fits, name, value, kind))
  end
end

--- A number of things, or a share of them.
M.share = M.where("a number from 0 on, or a share such as '50%'", function(value)
  local percent = type(value) == "string" and tonumber(value:match("^(%d%d?%d?)%%$"))
  return math.type(value) == "integer" and value >= 0 or percent ~= nil and percent <= 100
end)

return M
