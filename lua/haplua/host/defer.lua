-- SPDX-License-Identifier: MIT
--
--- The global `defer` of scripts: functions that are called at the script's end.

local M = {}

--- Call the functions, the latest first. They may wait, and may defer others.
---@param list table  its functions are removed
---@return any? problem  what the first of those that failed has raised
local function call_all(list)
  local problem
  while #list > 0 do
    local one = table.remove(list)
    local ok, raised = pcall(one.fn, table.unpack(one, 1, one.n))
    if not ok and problem == nil then
      problem = raised
    elseif not ok then
      io.stderr:write("haplua: a deferred function failed: ", tostring(raised), "\n")
    end
  end
  return problem
end

-- What a script returns passes through: its functions are called when it has ended.
local Deferred = {
  __close = function(list, problem)
    local own = call_all(list)
    if own ~= nil and problem == nil then
      error(own, 0)
    elseif own ~= nil then -- the script's own error is the one that is reported
      io.stderr:write("haplua: a deferred function failed: ", tostring(own), "\n")
    end
  end,
}

--- Give a script the global `defer`, and have what it defers called at its end.
---@param globals table  of the script
---@param main function  the script
---@return function  to call in the place of `main`
function M.add(globals, main)
  local list = setmetatable({}, Deferred)

  function globals.defer(fn, ...)
    local call = getmetatable(fn) and getmetatable(fn).__call
    if type(fn) ~= "function" and not call then
      error(("defer: a function is expected, not %s"):format(type(fn)), 2)
    end
    list[#list + 1] = { fn = fn, n = select("#", ...), ... }
  end

  return function(...)
    local _ <close> = list
    return main(...)
  end
end

return M
