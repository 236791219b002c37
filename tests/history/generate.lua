-- SPDX-License-Identifier: MIT
--
--- generate.lua - a random history for a seed: a small program that spawns, waits, yields, closes, cancels, fails, ...
-- The same seed gives the same program everywhere. Each seed leaves out some kinds of statements and prefers others, so
-- that rare ones meet.

local statements = require("statements")
local program = require("program")

local M = {}

-- Statements of one history.
local STATEMENTS_MAX = 60
-- How many of a hundred statements hold others, by how deep they stand.
local NESTING = { [0] = 80, 70, 60, 50, 40, 25, 0 }

--- Random integers (splitmix64): random(n) is one from 1 to n.
local function new_random(seed)
  local state = seed * 0x2545F4914F6CDD1D
  return function(n)
    state = state + 0x9E3779B97F4A7C15
    local z = state
    z = (z ~ (z >> 30)) * 0xBF58476D1CE4E5B9
    z = (z ~ (z >> 27)) * 0x94D049BB133111EB
    return ((z ~ (z >> 31)) >> 1) % n + 1
  end
end

---@class history.Generator
---@field random fun(n: integer): integer
---@field time "virtual"|"real"
---@field alone boolean  has it a process to itself?
---@field left integer  statements that may still be made
---@field depth integer
---@field count integer  distinguishes errors and deadlines from each other
---@field inside table<string, boolean>  what surrounds the next statement: "coroutine", "finalizer"
---@field nesting table[]  the kinds of statements that hold others
---@field simple table[]  and those that do not
---@field weights table<table, number>  by kind
local Generator = {}
Generator.__index = Generator

--- One of these.
function Generator:pick(list)
  return list[self.random(#list)]
end

--- A number that this history has not used yet.
function Generator:number()
  self.count = self.count + 1
  return self.count
end

--- How likely a kind of statement is here.
local function weight_of(g, kind)
  if kind.without and g.inside[kind.without] then
    return 0
  elseif kind.within and not g.inside[kind.within] then
    return g.weights[kind] / 20
  end
  return g.weights[kind]
end

--- One of these kinds, by their weights.
local function choose(g, kinds)
  local total = 0
  for _, kind in ipairs(kinds) do
    total = total + weight_of(g, kind)
  end
  local at = total * (g.random(1000000) - 1) / 1000000
  for _, kind in ipairs(kinds) do
    at = at - weight_of(g, kind)
    if at < 0 then
      return kind
    end
  end
end

local function statement(g)
  local nests = g.left > 1 and g.random(100) <= NESTING[g.depth]
  g.left = g.left - 1
  local kind = choose(g, nests and g.nesting or g.simple)
  return kind and kind.make(g) or { "task.sleep(0)" }
end

--- A block of up to n statements that stands within another statement.
---@param n integer
---@param inside? string  "coroutine", "finalizer"; "task": none of these
function Generator:block(n, inside)
  local before = self.inside
  if inside then
    self.inside = { [inside] = true, finalizer = before.finalizer and inside ~= "task" or inside == "finalizer" }
  end
  self.depth = self.depth + 1
  local block = {}
  for _ = 1, self.random(n) do
    if self.left > 0 then
      block[#block + 1] = statement(self)
    end
  end
  self.depth = self.depth - 1
  self.inside = before
  return block
end

---@class history.History
---@field seed integer
---@field program table  the block of its statements
local History = {}
History.__index = History

--- Lua source, as it is played.
---@return string
function History:text()
  return statements.prelude(program.text(self.program))
end

--- The kinds of this history. Half of the histories are about tasks and coroutines alone; the others have one or two
-- groups of bindings as well.
local function choose_kinds(g)
  local groups = { core = true }
  if g.random(2) == 1 then
    groups[g:pick(statements.groups)] = true
    groups[g:pick(statements.groups)] = true
  end
  for _, kind in ipairs(statements.kinds) do
    if groups[kind.group] and (not kind.time or kind.time == g.time) and (not kind.alone or g.alone) then
      local list = kind.nests and g.nesting or g.simple
      list[#list + 1] = kind
      g.weights[kind] = kind.weight * g:pick(kind.always and { 0.5, 1, 2 } or { 0, 0.1, 0.3, 1, 1, 3 })
    end
  end
end

--- The history for a seed.
---@param seed integer
---@param time "virtual"|"real"
---@param alone boolean?
---@return history.History
function M.history(seed, time, alone)
  local random = new_random(seed)
  local g = setmetatable({
    random = random, time = time, alone = alone, depth = 0, count = 0, inside = {}, weights = {}, nesting = {}, simple = {},
  }, Generator)
  choose_kinds(g)
  g.left = 5 + random(STATEMENTS_MAX - 5)
  local block = { random(2) == 1 and statements.collector(g) or nil }
  while g.left > 0 do
    local one = statement(g)
    -- an error ends the program: let most go on behind it
    block[#block + 1] = random(3) > 1 and { "pcall(function()", { one }, "end)" } or one
  end
  return setmetatable({ seed = seed, program = block }, History)
end

return M
