-- SPDX-License-Identifier: MIT
---@errors interrupted, timeout  or what a function raised
--
--- The module `task`: the functions of src/bindings/task.c, and task.all.

local task = require("haplua.task")

--- Run functions at the same time and wait for all of them. The first that fails cancels the
-- others, and its error is raised.
---@param work function[]|any[]  functions; or values for `fn`
---@param fn? fun(value: any, index: integer): any  called with each value
---@return any[] results  the first result of each, in the order of `work`
function task.all(work, fn)
  local options = require("haplua.base.options")
  if fn ~= nil then
    options.argument("task.all", "fn", fn, "function")
  end
  options.argument("task.all", "work", work, options.list(fn and "value" or "function"))
  return task.spawn(function()
    local tasks, results = {}, {}
    for i, item in ipairs(work) do
      tasks[i] = fn and task.spawn(fn, item, i) or task.spawn(item)
    end
    for i, t in ipairs(tasks) do
      results[i] = t:wait()
    end
    return results
  end):wait()
end

return task
