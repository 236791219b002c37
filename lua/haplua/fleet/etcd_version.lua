-- SPDX-License-Identifier: MIT
--
--- Which etcd haplua needs. Watches of one before 3.5.13 may lose events after a compaction; 3.5.16 is the first one that
-- haplua's tests run on.

local M = { OLDEST = "3.5.16" }

--- A version as one number; nil: it is none.
local function number_of(version)
  local major, minor, patch = tostring(version):match("^(%d+)%.(%d+)%.(%d+)")
  return major and major * 1000000 + minor * 1000 + patch
end

--- Is this version too old?
---@param version string?  as a member says it: "3.4.23"
---@return boolean
function M.is_too_old(version)
  local number = number_of(version)
  return number ~= nil and number < number_of(M.OLDEST)
end

return M
