-- SPDX-License-Identifier: MIT
--
--- Random calls of busted's assertions: for tests/lua/assert_test.lua, which compares what luassert and `haplua test`
-- make of them.

local M = {}

--- Random tables that contain each other, up to four of them. Many are the same, seen from the first one.
local function graph(random)
  local tables, count = {}, random(4)
  for i = 1, count do
    tables[i] = {}
  end
  for i = 1, count do
    for _ = 1, random(2) do
      tables[i][random(2)] = tables[random(count)]
    end
    tables[i].x = random(4) == 1 and 1 or nil
  end
  return tables[1]
end

--- Values with their names: `values[i]` is {name, value}.
local function make_values(random)
  local always = { __eq = function() return true end }
  local never = { __eq = function() return false end }
  local printed = { __tostring = function(t) return "printed " .. tostring(t.n) end }
  local indexed = setmetatable({}, { __index = { a = 1 } })
  local itself, other, third = {}, {}, {}
  itself.t, other.t, third.t = itself, { t = other }, { t = { t = third } }
  local deep, deeper = {}, { {} }
  for _ = 1, 5 do
    deep, deeper = { deep }, { deeper }
  end
  local values = {
    { "nil", nil }, { "false", false }, { "true", true }, { "0", 0 }, { "-0.0", -0.0 }, { "1", 1 }, { "1.0", 1.0 }, { "2", 2 },
    { "-1", -1 }, { "1e-3", 1e-3 }, { "nan", 0 / 0 }, { "inf", math.huge }, { "maxint", math.maxinteger }, { "2^63", 2.0 ^ 63 },
    { "''", "" }, { "'a'", "a" }, { "'1'", "1" }, { "'1.0'", "1.0" }, { "'abc'", "abc" }, { "'a.c'", "a.c" }, { "'b'", "b" },
    { "'(a)(b)'", "(a)(b)" }, { "'()b'", "()b" }, { "'^b'", "^b" }, { "'%a+'", "%a+" }, { "'['", "[" }, { "'raised'", "raised" },
    { "'printed 1'", "printed 1" }, { "'x:1: raised'", "x:1: raised" }, { "'5'", "5" },
    { "{}", {} }, { "{1}", { 1 } }, { "{1.0}", { 1.0 } }, { "{a=1}", { a = 1 } }, { "{a=1,b=2}", { a = 1, b = 2 } },
    { "{nan}", { 0 / 0 } }, { "{-0.0}", { -0.0 } }, { "{0}", { 0 } }, { "{[1.5]=1}", { [1.5] = 1 } }, { "{false}", { false } },
    { "{{1},{2}}", { { 1 }, { 2 } } }, { "{{1},{3}}", { { 1 }, { 3 } } }, { "deep", deep }, { "deeper", deeper },
    { "always1", setmetatable({ 1 }, always) }, { "always2", setmetatable({ 2 }, always) },
    { "{always1}", { setmetatable({ 1 }, always) } },
    { "{always2}", { setmetatable({ 2 }, always) } }, { "{never}", { setmetatable({}, never) } },
    { "{never'}", { setmetatable({}, never) } },
    { "never", setmetatable({}, never) }, { "printed1", setmetatable({ n = 1 }, printed) },
    { "printed2", setmetatable({ n = 2 }, printed) },
    { "indexed", indexed }, { "{indexed}", { indexed } }, { "hidden", setmetatable({ 1 }, { __metatable = "hidden" }) },
    { "itself", itself }, { "other", other }, { "third", third }, { "userdata", debug.upvalueid(make_values, 1) },
    { "thread", coroutine.create(print) },
    { "callable", setmetatable({}, { __call = function() error("raised", 0) end }) },
    { "returns", function() return "abc", 2 end }, { "returns nothing", function() end },
    { "raises text", function() error("raised") end },
    { "raises bare text", function() error("raised", 0) end }, { "raises '5'", function() error("5", 0) end },
    { "raises place twice", function() error("x:1: y:2: raised", 0) end }, { "raises 5", function() error(5) end },
    { "raises nil", function() error(nil) end }, { "raises true", function() error(true) end },
    { "raises {}", function() error({}) end },
    { "raises {1}", function() error({ 1 }) end }, { "raises printed", function() error(setmetatable({ n = 1 }, printed)) end },
  }
  for i = 1, 12 do
    values[#values + 1] = { "graph" .. i, graph(random) }
  end
  return values
end

local names = {
  "equal", "equals", "same", "same", "same", "near", "matches", "match", "error", "errors", "error_matches", "error_match",
  "matches_error", "match_error", "true", "false", "nil", "truthy", "falsy", "number", "string", "table", "boolean", "function",
  "userdata", "thread",
}
local modifiers = { "is", "are", "was", "has", "does", "not", "no", "is_not", "IS", "are.not" }

--- The groups of values that an assertion is mostly given: indexes are found by what type() says.
local kinds = {
  near = { "number", "number", "number" },
  matches = { "string", "string", "number", "boolean", "string" },
  match = { "string", "string", "number" }, error = { "function", "string", "string" },
  errors = { "function", "table", "string" },
  error_matches = { "function", "string", "number", "boolean" }, error_match = { "function", "string" },
  matches_error = { "function", "string", "string" }, match_error = { "function", "string", "number", "boolean", "string" },
  same = { "table", "table" },
}

local function pick(random, list)
  return list[random(#list)]
end

local function describe(value, values)
  for _, named in ipairs(values) do
    if rawequal(named[2], value) and (type(value) == "table" or type(value) == "function" or type(value) == "userdata") then
      return named[1]
    end
  end
  return type(value) == "number" and ("%s %.17g"):format(math.type(value), value)
    or type(value) == "string" and ("%q"):format(value) or type(value)
end

--- One call: its text, and the name and the arguments.
local function make_call(random, values, by_type)
  local name, args = pick(random, names), {}
  local wanted = kinds[name] or {}
  args.n = random(10) == 1 and random(6) - 1 or math.max(#wanted - random(3) + 1, name:find("^[es]") and 2 or 1)
  local texts = {}
  for i = 1, args.n do
    local value = pick(random, random(8) > 1 and by_type[wanted[i]] or values)
    args[i], texts[i] = value[2], value[1]
  end
  if name:find("match") and name:find("error") and type(args[2]) ~= "string" then
    args[2], texts[2], args.n = "r", "'r'", math.max(args.n, 2) -- busted's error for another pattern depends on the problem
  end
  local words = { name }
  for _ = 1, random(3) - 1 do
    table.insert(words, 1, pick(random, modifiers))
  end
  local path = table.concat(words, pick(random, { "_", "." }))
  return ("assert.%s(%s)"):format(path, table.concat(texts, ", ")), path, args
end

--- Make random calls of an `assert`, and note what each does.
---@param assert table
---@param random fun(n: integer): integer
---@param count integer
---@return string[] lines
function M.play(assert, random, count)
  local values, by_type, lines = make_values(random), {}, {}
  for _, value in ipairs(values) do
    local kind = type(value[2])
    by_type[kind] = by_type[kind] or {}
    table.insert(by_type[kind], value)
  end
  for i = 1, count do
    local text, path, args = make_call(random, values, by_type)
    local found = assert
    for word in path:gmatch("[^.]+") do
      found = found[word]
    end
    local result = table.pack(pcall(found, table.unpack(args, 1, args.n)))
    local shown = { "raises" }
    for j = 1, result[1] and result.n or 0 do
      shown[j] = j == 1 and "returns" or describe(result[j], values)
    end
    lines[i] = ("%d %s %s"):format(i, text, table.concat(shown, " "))
  end
  return lines
end

return M
