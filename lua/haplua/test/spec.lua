-- SPDX-License-Identifier: MIT
--
--- describe, it and what belongs to them: gathers the tests of a file, and runs them one after the other, each in
-- a task and a world of its own.

local virtual = require("haplua.virtual")
local world = require("haplua.test.world")
local task = require("haplua.task")
local assertions = require("haplua.test.assert")

local M = {}

---@class haplua.test.Block
---@field name string
---@field outer haplua.test.Block?
---@field tests table[]  tests and blocks, in order
---@field hooks table<string, function[]>

local function new_block(name, outer)
  return { name = name, outer = outer, tests = {}, hooks = { setup = {}, teardown = {}, before_each = {}, after_each = {} } }
end

--- The globals of a test file, which gather into the block.
---@return table globals
function M.globals(root)
  local current = root
  local globals = { assert = assertions.assert }

  function globals.describe(name, fn)
    local block = new_block(tostring(name), current)
    table.insert(current.tests, block)
    current = block
    fn()
    current = block.outer
  end

  function globals.it(name, fn)
    table.insert(current.tests, { name = tostring(name), fn = fn, block = current, place = assertions.place() })
  end

  function globals.pending(name)
    table.insert(current.tests, { name = tostring(name), block = current })
  end

  for hook in pairs(root.hooks) do
    globals[hook] = function(fn)
      table.insert(current.hooks[hook], fn)
    end
  end
  return globals
end

--- The file's tests. What a file or its describe() raises goes through.
---@return haplua.test.Block
function M.load(path)
  local root = new_block("")
  local globals = M.globals(root)
  globals._G = globals
  virtual.load(path, globals)()
  return root
end

local function full_name(test)
  local name, block = test.name, test.block
  while block and block.outer do
    name, block = block.name .. ": " .. name, block.outer
  end
  return name
end

---@class haplua.test.Outcome
---@field name string
---@field status "ok"|"failed"|"skipped"
---@field message string?
---@field place string?

--- Handler: where in a file the error was raised.
local function with_place(problem)
  if getmetatable(problem) == assertions.Failure then
    return problem
  end
  return setmetatable({ message = tostring(problem), place = assertions.place(), cause = problem }, assertions.Failure)
end

local function call_all(hooks)
  for _, hook in ipairs(hooks) do
    hook()
  end
end

--- The blocks around a test, the outermost first.
local function blocks_of(test)
  local blocks, block = {}, test.block
  while block do
    table.insert(blocks, 1, block)
    block = block.outer
  end
  return blocks
end

--- What a test's task does: the hooks around it, however it ends.
local function run_in_task(test)
  local blocks = blocks_of(test)
  local ok, problem = xpcall(function()
    for _, block in ipairs(blocks) do
      call_all(block.hooks.before_each)
    end
    test.fn()
  end, with_place)
  for i = #blocks, 1, -1 do
    local hooked, other = xpcall(call_all, with_place, blocks[i].hooks.after_each)
    if ok and not hooked then
      ok, problem = false, other
    end
  end
  if not ok then
    error(problem, 0)
  end
end

--- Call in a task of its own, with a world of its own, for `seconds` of real time at most.
---@return boolean ok, any problem
local function guarded(seconds, fn, ...)
  local finish = world.begin()
  local worker <close> = task.spawn(fn, ...)
  virtual.guard(worker, seconds)
  local ok, problem = pcall(worker.wait, worker)
  local late = virtual.guard()
  if type(problem) == "table" and problem.signal then
    error(problem, 0) -- Ctrl-C ends it all
  end
  if not ok then -- where the wait itself was broken off, the worker's own error counts
    worker:cancel()
    ok, problem = pcall(worker.wait, worker)
  end
  pcall(finish)
  if late then
    ok = false
    problem = { message = ("it took more than %g s of real time"):format(seconds) }
  end
  return ok, problem
end

---@return haplua.test.Outcome
local function run_test(test, options)
  if not test.fn then
    return { name = full_name(test), status = "skipped" }
  end
  local ok, problem = guarded(options.seconds, run_in_task, test)
  if ok then
    return { name = full_name(test), status = "ok" }
  end
  local known = type(problem) == "table"
  return {
    name = full_name(test), status = "failed", message = known and problem.message or tostring(problem),
    place = known and problem.place or test.place,
  }
end

--- Run a block's tests, and tell of each.
---@param options {seconds: number, name: string?}
---@param tell fun(outcome: haplua.test.Outcome)
function M.run(block, options, tell)
  local ok, problem = xpcall(call_all, with_place, block.hooks.setup)
  for _, test in ipairs(ok and block.tests or {}) do
    if test.tests then
      M.run(test, options, tell)
    elseif not options.name or full_name(test):find(options.name, 1, true) then
      tell(run_test(test, options))
    end
  end
  local torn, other = xpcall(call_all, with_place, block.hooks.teardown)
  problem = not ok and problem or not torn and other or nil
  if problem then
    tell({ name = block.name .. ": setup or teardown", status = "failed", message = problem.message, place = problem.place })
  end
end

return M
