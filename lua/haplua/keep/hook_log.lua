-- SPDX-License-Identifier: MIT
--
--- keep prints the failures of hooks: nobody else may be there to be told.

local record = require("haplua.hooks.record")

local M = {}

---@class haplua.Keeper
---@field hooks table<string, integer>?  the failures of hooks at the last look, by their names

--- Print the failures since the last step.
---@param keeper haplua.Keeper
function M.step(keeper)
  local path, hooks = keeper.c.store.path, keeper.found and keeper.found.hooks
  for _, switch in pairs(keeper.found and keeper.found.switches or {}) do
    hooks = hooks or switch.hooks
  end
  if not hooks or not path or not keeper.guards then
    return
  end
  local known, now = keeper.hooks, {}
  for name, one in pairs(record.read(record.folder(path))) do
    now[name] = one.failures
    if keeper.metrics and (not known or one.failures ~= known[name]) then
      keeper.metrics.due = nil -- written in this round
    end
    if known and one.failing and one.failures ~= (known[name] or 0) then
      keeper:warn("the hook %s failed at %s: %s", name, one.failed, one.problem)
    end
  end
  keeper.hooks = now
end

return M
