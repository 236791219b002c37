-- SPDX-License-Identifier: MIT
--
--- What keep tells others besides systemd, where they ask for it: metrics, and failures of hooks.

local M = {}

--- After a round.
---@param keeper haplua.Keeper
---@param good boolean  nothing has failed in it
function M.step(keeper, good)
  local found = keeper.found
  local path = keeper.request.metrics or found and found.metrics
  if found and found.has_hooks then
    require("haplua.keep.hook_log").step(keeper)
  end
  if path then
    require("haplua.keep.metrics").step(keeper, path, good)
  end
end

--- At the end of keep.
---@param keeper haplua.Keeper
function M.close(keeper)
  if keeper.metrics.path then
    require("haplua.keep.metrics").close(keeper)
  end
end

return M
