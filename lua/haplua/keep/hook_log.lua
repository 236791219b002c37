-- SPDX-License-Identifier: MIT
--
--- keep prints the failures of hooks: nobody else may be there to read of them.

local file = require("haplua.file")
local record = require("haplua.hooks.record")

local M = {}

---@class haplua.Keeper
---@field hooks table<string, integer>?  the failures of hooks at the last look, by their names
---@field hooks_file string?  the file that was looked at: its inode and the time of its change

--- Print the failures since the last step.
---@param keeper haplua.Keeper
function M.step(keeper)
  local folder = record.folder(keeper.c.store.path)
  local info = file.info(folder .. "/record")
  local id = info and ("%d %.9f"):format(info.inode, info.mtime) or "none"
  if id == keeper.hooks_file then
    return
  end
  local known, now = keeper.hooks, {}
  for name, one in pairs(record.read(folder)) do
    now[name] = one.failures
    if known and one.failing and one.failures ~= (known[name] or 0) then
      keeper:warn("the hook %s failed at %s: %s", name, one.failed, one.problem)
    end
  end
  keeper.hooks, keeper.hooks_file = now, id
  if keeper.metrics then
    keeper.metrics.due = nil -- written in this round
  end
end

return M
