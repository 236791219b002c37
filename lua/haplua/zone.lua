-- SPDX-License-Identifier: MIT
---@errors refused
--
--- Time zones for scripts. haplua.time.zone describes the zone objects.

local zones = require("haplua.time.zone")

local M = {}

--- The zone of this name. UTC needs no zone data.
---@param name string  "Europe/Paris"
---@return haplua.Zone
function M.load(name)
  return zones.load(name)
end

--- The machine's zone: that of $TZ; without it of /etc/localtime, of /etc/timezone, or UTC.
---@return haplua.Zone
function M.here()
  return zones.here()
end

return M
