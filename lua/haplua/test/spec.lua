-- SPDX-License-Identifier: MIT
--
--- describe(), it() and the hooks: read the tests of a file, and run them one after the other, each in a task and a
-- world of its own.

local virtual = require("haplua.virtual")
local options = require("haplua.base.options")
local world = require("haplua.test.world")
local task = require("haplua.task")
local assertions = require("haplua.test.assert")
local show = require("haplua.test.show")

local M = {}

---@class haplua.test.Block
---@field name string
---@field outer haplua.test.Block?
---@field tests table[]  tests and blocks, in order
---@field hooks table<string, function[]>

local function new_block(name, outer)
  return { name = name, outer = outer, tests = {}, hooks = { setup = {}, teardown = {}, before_each = {}, after_each = {} } }
end

-- What pending() raises within a test.
local Pending = { __tostring = function(pending) return "pending: " .. pending.message end }

--- The globals of a test file. While it is loaded they add to the block that `loading.block` is.
---@param loading {block: haplua.test.Block?}
---@return table globals
local function make_globals(loading)
  local globals = { assert = assertions.assert }

  local function add_to(call, ...)
    for i = 1, select("#", ...), 3 do
      options.argument(call, select(i, ...))
    end
    return loading.block or error(call .. ": not within a test", 3)
  end

  function globals.describe(name, fn)
    local outer = add_to("describe", "name", name, "word", "function", fn, "function")
    local block = new_block(tostring(name), outer)
    table.insert(outer.tests, block)
    loading.block = block
    fn()
    loading.block = outer
  end

  function globals.it(name, fn)
    local block = add_to("it", "name", name, "word", "function", fn, "function")
    table.insert(block.tests, { name = tostring(name), fn = fn, block = block, place = assertions.place() })
  end

  function globals.pending(name)
    options.argument("pending", "name", name, "word")
    if not loading.block then
      error(setmetatable({ message = tostring(name) }, Pending), 0)
    end
    table.insert(loading.block.tests, { name = tostring(name), block = loading.block })
  end

  for hook in pairs(loading.block.hooks) do
    globals[hook] = function(fn)
      table.insert(add_to(hook, "function", fn, "function").hooks[hook], fn)
    end
  end
  return globals
end

--- Read a file's tests. Raises what the file, or a describe() of it, raises.
---@return haplua.test.Block
function M.load(path)
  local root = new_block("")
  local loading = { block = root }
  local globals = make_globals(loading)
  globals._G = globals
  virtual.load(path, globals)()
  loading.block = nil
  return root
end

local function full_name(test)
  local name, block = test.name, test.block
  while block and block.outer do
    name, block = block.name .. ": " .. name, block.outer
  end
  return name
end

local function is_chosen(test, text)
  return not text or full_name(test):find(text, 1, true) ~= nil
end

--- The names of a block's tests.
---@param text string?  only of those that have it in their names
---@return string[]
function M.names(block, text)
  local names = {}
  for _, test in ipairs(block.tests) do
    if test.tests then
      local inner = M.names(test, text)
      table.move(inner, 1, #inner, #names + 1, names)
    elseif is_chosen(test, text) then
      names[#names + 1] = full_name(test)
    end
  end
  return names
end

---@class haplua.test.Outcome
---@field name string
---@field status "ok"|"failed"|"skipped"
---@field message string?
---@field place string?

--- Is this the error of a signal, which ends `haplua test`?
function M.is_signal(problem)
  return type(problem) == "table" and problem.signal ~= nil
end

--- Handler: add the place in a file where the error was raised.
local function with_place(problem)
  local meta = getmetatable(problem)
  if meta == assertions.Failure or meta == Pending or M.is_signal(problem) then
    return problem
  end
  local message = type(problem) == "string" and problem or show.show(problem)
  return setmetatable({ message = message, place = assertions.place(), cause = problem }, assertions.Failure)
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

--- Run a test and the hooks around it: after_each() is called however the test ends.
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
    if not hooked and (ok or getmetatable(problem) == Pending) then
      ok, problem = false, other
    end
  end
  if not ok then
    error(problem, 0)
  end
end

--- Run a test in a task and a world of its own, for `seconds` of real time at most.
---@return boolean ok, any problem
local function run_guarded(test, seconds)
  local finish = world.begin()
  local worker <close> = task.spawn(run_in_task, test)
  virtual.guard(worker, seconds)
  local ok, problem = pcall(worker.wait, worker)
  local late = virtual.guard()
  if not ok and not M.is_signal(problem) then -- where the wait itself was broken off, the worker's own error counts
    worker:cancel()
    ok, problem = pcall(worker.wait, worker)
  end
  if not ok then -- where the wait itself was broken off, the worker's own error counts
    worker:cancel()
    ok, problem = pcall(worker.wait, worker)
  end
  pcall(finish)
  if M.is_signal(problem) then
    error(problem, 0)
  elseif late then
    return false, { message = ("it took more than %g s of real time"):format(seconds) }
  end
  return ok, problem
end

---@return haplua.test.Outcome
local function run_test(test, seconds)
  local outcome = { name = full_name(test), status = test.fn and "ok" or "skipped" }
  local ok, problem = true, nil
  if test.fn then
    ok, problem = run_guarded(test, seconds)
  end
  if not ok then
    local known = type(problem) == "table"
    outcome.status = getmetatable(problem) == Pending and "skipped" or "failed"
    outcome.message, outcome.place = known and problem.message or tostring(problem), known and problem.place or test.place
  end
  return outcome
end

--- Run the chosen tests of a block, and report each. A block without one runs no hook.
---@param chosen {seconds: number, name: string?}  real time for each test; a text that their names have
---@param report fun(outcome: haplua.test.Outcome)
function M.run(block, chosen, report)
  if #M.names(block, chosen.name) == 0 then
    return
  end
  local ok, problem = xpcall(call_all, with_place, block.hooks.setup)
  for _, test in ipairs(ok and block.tests or {}) do
    if test.tests then
      M.run(test, chosen, report)
    elseif is_chosen(test, chosen.name) then
      report(run_test(test, chosen.seconds))
    end
  end
  local torn, other = xpcall(call_all, with_place, block.hooks.teardown)
  problem = not ok and problem or not torn and other or nil
  if M.is_signal(problem) then
    error(problem, 0)
  elseif problem then
    report({ name = block.name .. ": setup or teardown", status = "failed", message = problem.message, place = problem.place })
  end
end

return M
