-- SPDX-License-Identifier: MIT
--
--- What the resident policy tells systemd of itself.

local process = require("haplua.process")
local task = require("haplua.task")

local M = {}

--- Send the line that `systemctl status` shows, when it is another.
---@param keeper haplua.Keeper
function M.status(keeper)
  local trouble = keeper.complaint or keeper.c.complaint or keeper.trouble or keeper.agent and keeper.agent.complaint
  local text = trouble and "in trouble: " .. trouble:match("^[^\n]*") or "keeps " .. keeper.c.name
  if text ~= keeper.status then
    process.notify("STATUS=" .. text)
    keeper.status = text
  end
end

--- Notify the watchdog, twice in its period.
---@param keeper haplua.Keeper
---@param interval number  seconds between two calls, at most
function M.watchdog(keeper, interval)
  local every = process.watchdog()
  if every and task.now() - (keeper.notified or -math.huge) >= math.max(0, every / 2 - interval) then
    process.notify("WATCHDOG=1")
    keeper.notified = task.now()
  end
end

return M
