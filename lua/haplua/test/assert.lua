-- SPDX-License-Identifier: MIT
--
--- `assert` in test files: Lua's function, with assertions as fields. The names are busted's, as far as they go:
-- assert.are.equal(expected, actual), assert.is_true(x), assert.is_not_nil(x), assert.has_error(fn, text), ...

local M = {}

--- A value for people: strings quoted, tables with sorted keys.
---@return string
function M.show(value, depth)
  depth = depth or 0
  if type(value) == "string" then
    return (("%q"):format(value):gsub("\\\n", "\\n"))
  elseif type(value) ~= "table" or (getmetatable(value) or {}).__tostring then
    return tostring(value)
  elseif depth > 4 then
    return "{...}"
  end
  local keys, parts = {}, {}
  for key in pairs(value) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then
      return a < b
    end
    return type(a) < type(b)
  end)
  for i, key in ipairs(keys) do
    local name = type(key) == "string" and key:find("^[%a_][%w_]*$") and key .. " = "
      or key == i and "" or ("[%s] = "):format(M.show(key, depth + 1))
    parts[i] = name .. M.show(value[key], depth + 1)
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b
  end
  for key, value in pairs(a) do
    if not same(value, b[key]) then
      return false
    end
  end
  for key in pairs(b) do
    if a[key] == nil then
      return false
    end
  end
  return true
end

--- The line of the test that asserts: the innermost one that lies in a file.
---@return string?
function M.place()
  for level = 2, math.huge do
    local info = debug.getinfo(level, "Sl")
    if not info then
      return nil
    elseif info.source:sub(1, 1) == "@" then
      return ("%s:%d"):format(info.short_src, info.currentline)
    end
  end
end

-- A failed assertion.
local Failure = {}
Failure.__tostring = function(failure)
  return failure.message
end
M.Failure = Failure

---@param message string?
local function fail(text, message)
  error(setmetatable({ message = (message and tostring(message) .. "\n" or "") .. text, place = M.place() }, Failure), 0)
end

local function both(expected, actual)
  return ("expected: %s\n     got: %s"):format(M.show(expected), M.show(actual))
end

--- Each: (not, arguments...) -> does it hold, what to say if not, the message, what to return.
local tests = {}

function tests.equal(negated, expected, actual, message)
  return expected == actual, negated and "expected another value than " .. M.show(actual) or both(expected, actual), message
end

function tests.same(negated, expected, actual, message)
  return same(expected, actual), negated and "expected something else than " .. M.show(actual) or both(expected, actual),
    message
end

function tests.near(negated, expected, actual, tolerance, message)
  local close = type(actual) == "number" and math.abs(expected - actual) <= tolerance
  return close, (negated and "not " or "") .. both(expected, actual) .. "\n  within: " .. tostring(tolerance), message
end

function tests.matches(negated, pattern, text, message)
  local found = type(text) == "string" and text:find(pattern) ~= nil
  return found, ("expected: %s match for %s\n     got: %s"):format(negated and "no" or "a", M.show(pattern),
    M.show(text)), message
end

function tests.contains(negated, part, text, message)
  local found = type(text) == "string" and text:find(part, 1, true) ~= nil
  return found, ("expected: %s %s\n     got: %s"):format(negated and "nothing with" or "something with", M.show(part),
    M.show(text)), message
end

function tests.error(negated, fn, expected)
  local ok, problem = pcall(fn)
  if negated then
    return not ok, "expected: no error\n     got: " .. M.show(problem), nil, problem
  elseif ok or expected == nil then
    return not ok, "expected: an error\n     got: none", nil, problem
  end
  local fits = same(expected, problem) or type(expected) == "string" and tostring(problem):find(expected, 1, true) ~= nil
  return fits, "expected: an error with " .. M.show(expected) .. "\n     got: " .. M.show(problem), nil, problem
end

local function is(name, holds)
  tests[name] = function(negated, value, message)
    return holds(value), ("expected: %s%s\n     got: %s"):format(negated and "not " or "", name, M.show(value)), message
  end
end

is("true", function(v) return v == true end)
is("false", function(v) return v == false end)
is("nil", function(v) return v == nil end)
is("truthy", function(v) return v and true or false end)
is("falsy", function(v) return not v end)
for _, name in ipairs({ "number", "string", "table", "boolean", "function" }) do
  is(name, function(v) return type(v) == name end)
end
tests.equals, tests.match, tests.errors, tests.error_matches = tests.equal, tests.matches, tests.error, tests.error

-- Words that may stand before an assertion's name, with "." or "_" between.
local fillers = { is = true, are = true, has = true, have = true, was = true, does = true, be = true, a = true, an = true }

local chain

--- Take words off the front of a name until what is left is an assertion, or nothing.
local function resolve(name, negated)
  local rest = name:lower()
  while rest ~= "" do
    local run = tests[rest]
    if run then
      return function(...)
        local holds, text, message, result = run(negated, ...)
        if holds == negated then
          fail(text, message)
        end
        return result == nil and (select(1, ...)) or result
      end
    end
    local word, more = rest:match("^([^_]+)_?(.*)$")
    if word == "not" or word == "no" then
      negated = not negated
    elseif not fillers[word] then
      error(("assert has no '%s'"):format(name), 3)
    end
    rest = more
  end
  return chain(negated)
end

function chain(negated)
  return setmetatable({}, {
    __index = function(_, name)
      return resolve(name, negated)
    end,
    __call = function(_, value, message, ...)
      if not value then
        fail(message == nil and "assertion failed!" or tostring(message))
      end
      return value, message, ...
    end,
  })
end

M.assert = chain(false)

return M
