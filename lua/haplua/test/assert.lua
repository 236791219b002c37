-- SPDX-License-Identifier: MIT
--
--- `assert` in test files: Lua's function, with busted's assertions as fields: assert.are.equal(expected, actual),
-- assert.is_not_nil(x), assert.has_error(fn, text), ... They hold, fail and return what busted's do, which
-- tests/lua/assert_test.lua compares. assert.contains(part, text) is haplua's own.

local show = require("haplua.test.show")

local M = {}

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

local function fail(message)
  error(setmetatable({ message = message, place = M.place() }, Failure), 0)
end

-- An assertion is a function (arguments) that returns: does it hold, what was expected, in words, the value that there
-- is (or, instead of the two, a function that returns the words for both), the test's own message, and what the call
-- returns (nil: its arguments).
local assertions = {}

--- Refuse arguments with which an assertion has no meaning, negated or not.
local function check(holds, name, text)
  return holds or error(("assert.%s: %s"):format(name, text), 0)
end

local function has_tostring(value)
  return type(value) == "string" or type((debug.getmetatable(value) or {}).__tostring) == "function"
end

--- Two values that should be the same, and their difference line by line where they have several.
---@param place string?  where they differ
---@return string expected, string actual
local function both(expected, actual, place)
  local left, right = show.pair(expected, actual)
  local lines = require("haplua.test.diff").text(expected, actual)
  return left, right .. (place or "") .. (lines and "\n- expected, + got:\n" .. lines or "")
end

function assertions.equal(args)
  check(args.n >= 2, "equal", "two values expected")
  return args[1] == args[2], function()
    return both(args[1], args[2])
  end, nil, args[3]
end

--- The keys that lead to a pair of elements.
local function way_to(pair, key)
  local keys = { key }
  while pair.outer do
    keys[#keys + 1] = pair.key
    pair = pair.outer
  end
  return keys
end

--- Have two tables the same content? Metatables do not count, but that of elements with __eq. Tables that contain
-- themselves are the same if no way through them tells one from the other.
---@return boolean same, any[]? keys  the way to a difference, the last key first
local function compare(expected, actual)
  local seen, todo = {}, { { expected, actual } }
  while #todo > 0 do
    local pair = table.remove(todo)
    local a, b = pair[1], pair[2]
    local tables = type(a) == "table" and type(b) == "table"
    local meta = tables and debug.getmetatable(a)
    local by_eq = meta and rawequal(meta, debug.getmetatable(b)) and meta.__eq
    if not tables or by_eq and pair.outer then
      if a ~= b then
        return false, way_to(pair)
      end
    elseif (by_eq or not rawequal(a, b)) and not (seen[a] and seen[a][b]) then
      seen[a] = seen[a] or {}
      seen[a][b] = true
      for key, value in next, show.filled(a) do
        local other = b[key]
        if other == nil then
          return false, way_to(pair, key)
        elseif not rawequal(value, other) then
          todo[#todo + 1] = { value, other, outer = pair, key = key }
        end
      end
      for key in next, show.filled(b) do
        if a[key] == nil then
          return false, way_to(pair, key)
        end
      end
    end
  end
  return true
end

function assertions.same(args)
  check(args.n >= 2, "same", "two values expected")
  local same, keys = compare(args[1], args[2])
  return same, function()
    return both(args[1], args[2], keys and keys[1] ~= nil and "\n      at: " .. show.path(keys) or "")
  end, nil, args[3]
end

function assertions.near(args)
  local expected, actual, tolerance = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
  check(expected and actual and tolerance, "near", "two numbers and a tolerance expected")
  return actual >= expected - tolerance and actual <= expected + tolerance,
    ("%s, or nearer to it than %s"):format(show.show(expected), show.show(tolerance)), actual, args[4]
end

--- What follows the pattern: where to begin, whether it is plain text, and a message in any place.
---@return any init, any plain, any message
local function search_options(args, name)
  local rest, n, message = {}, 0, nil
  for i = 3, args.n do
    local value = args[i]
    if message == nil and value and type(value) ~= "boolean" and not tonumber(value) then
      message = value
    else
      n = n + 1
      rest[n] = value
    end
  end
  check(rest[1] == nil or tonumber(rest[1]), name, "where to begin must be a number")
  return rest[1], rest[2], message
end

--- Look for a pattern. Returns: is it there, and its captures; of a plain text, itself.
local function search(text, pattern, init, plain)
  if plain then
    local holds = text:find(pattern, init, true) ~= nil
    return holds, { pattern, n = holds and 1 or 0 }
  end
  local found = table.pack(text:match(pattern, init))
  found.n = found[1] == nil and 0 or found.n
  return found.n > 0, found
end

function assertions.matches(args)
  check(type(args[1]) == "string" and (has_tostring(args[2]) or type(args[2]) == "number"), "matches",
    "a pattern and a text expected")
  local init, plain, message = search_options(args, "matches")
  local holds, found = search(tostring(args[2]), args[1], init, plain)
  return holds, "a match for " .. show.show(args[1]), args[2], message, found
end

function assertions.contains(args)
  check(type(args[1]) == "string", "contains", "two texts expected")
  local holds = type(args[2]) == "string" and args[2]:find(args[1], 1, true) ~= nil
  return holds, "something with " .. show.show(args[1]), args[2], args[3]
end

local NO_ERROR = setmetatable({}, { __tostring = function() return "no error" end })

--- Call the function that has to raise. From the beginning of a text, the place of the error is removed.
---@return boolean raised, any problem, any shown  shown: the problem, or NO_ERROR
local function call(fn, name)
  check(type(fn) == "function" or type((debug.getmetatable(fn) or {}).__call) == "function", name, "a function expected")
  local ok, problem = pcall(fn)
  if type(problem) == "string" then
    problem = problem:gsub("^.-:%d+: ", "", 1)
  end
  return not ok, problem, ok and NO_ERROR or problem
end

function assertions.error(args)
  local holds, problem, shown = call(args[1], "error")
  local expected, returned = args[2], table.pack(problem, table.unpack(args, 2, args.n))
  if holds and expected ~= nil then
    local text = problem
    if type(expected) == "string" and has_tostring(problem) then
      text = tostring(problem)
      returned[1] = text
    elseif type(expected) == "number" and type(problem) == "string" then
      expected, text = tostring(expected), tostring(tonumber(problem))
    end
    holds = compare(expected, text)
  end
  return holds, expected == nil and "an error" or "the error " .. show.show(expected), shown, args[3], returned
end

function assertions.error_matches(args)
  check(type(args[2]) == "string", "error_matches", "a function and a pattern expected")
  local init, plain, message = search_options(args, "error_matches")
  local holds, problem, shown = call(args[1], "error_matches")
  local returned = table.pack(problem, table.unpack(args, 2, args.n))
  holds = holds and (has_tostring(problem) or type(problem) == "number" or type(problem) == "boolean")
  if holds then
    local found
    returned[1] = tostring(problem)
    holds, found = search(returned[1], args[2], init, plain)
    returned = holds and found or returned
  end
  return holds, "an error with a match for " .. show.show(args[2]), shown, message, returned
end

local function is(name, holds, least)
  assertions[name] = function(args)
    check(args.n >= (least or 0), name, "a value expected")
    return holds(args[1]), name, args[1], args[2]
  end
end

is("true", function(v) return v == true end)
is("false", function(v) return v == false end)
is("truthy", function(v) return v and true or false end, 1)
is("falsy", function(v) return not v end, 1)
for _, name in ipairs({ "nil", "number", "string", "table", "boolean", "function", "userdata", "thread" }) do
  is(name, function(v) return type(v) == name end)
end
assertions.equals, assertions.match, assertions.errors = assertions.equal, assertions.matches, assertions.error
for _, name in ipairs({ "error_match", "matches_error", "match_error" }) do
  assertions[name] = assertions.error_matches
end

-- Words that may stand before an assertion's name; true: the word negates it.
local modifiers = { is = false, are = false, was = false, has = false, does = false, ["not"] = true, no = true }

--- The assertion that words name. From the end, as many of them as possible make one name.
---@param words string[]
---@return function? assertion, boolean? negated, string? unknown
local function resolve(words)
  local assertion, negated, i = nil, false, #words
  while i > 0 do
    local name = words[i]
    while i > 1 and assertions[words[i - 1] .. "_" .. name] do
      i = i - 1
      name = words[i] .. "_" .. name
    end
    if assertions[name] then
      assertion = assertion or assertions[name]
    elseif modifiers[name] == nil then
      return nil, nil, name
    end
    negated = negated ~= (modifiers[name] or false)
    i = i - 1
  end
  return assertion, negated
end

local function run(words, ...)
  local assertion, negated, unknown = resolve(words)
  if not assertion then
    error(unknown and ("assert has no '%s'"):format(unknown)
      or ("assert.%s names no assertion"):format(table.concat(words, ".")), 3)
  end
  local args = table.pack(...)
  local holds, expected, actual, message, returned = assertion(args)
  if holds == negated then
    if type(expected) == "function" then
      expected, actual = expected()
    else
      actual = show.show(actual)
    end
    message = message == nil and "" or (has_tostring(message) and tostring(message) or show.show(message)) .. "\n"
    fail(("%sexpected: %s%s\n     got: %s"):format(message, negated and "not " or "", expected, actual))
  end
  returned = returned or args
  return table.unpack(returned, 1, returned.n)
end

--- assert.is_not.equal: each index adds words, the call looks for the assertion that they name.
local function chain(words)
  return setmetatable({}, {
    __index = function(self, name)
      local longer = table.move(words, 1, #words, 1, {})
      for word in tostring(name):lower():gmatch("[^_]+") do
        longer[#longer + 1] = word
      end
      self[name] = chain(longer)
      return self[name]
    end,
    __call = function(_, ...)
      return run(words, ...)
    end,
  })
end

--- assert(value, message) itself. A message that is no string is raised as it is, as by Lua's function.
local function plain(_, ...)
  local value, message = ...
  if value then
    return ...
  elseif message ~= nil and type(message) ~= "string" then
    error(message, 0)
  end
  fail(message or "assertion failed!")
end

M.assert = chain({})
getmetatable(M.assert).__call = plain

return M
