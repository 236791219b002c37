-- SPDX-License-Identifier: MIT
--
--- Is this machine's clock synchronised? systemd-timesyncd tells by a file (systemd-timesyncd.service(8)). Where it does not
-- run, as in a container or beside chrony, this is not known.

local file = require("haplua.file")

local M = {}

--- The folder of systemd-timesyncd.
M.FOLDER = "/run/systemd/timesync"

--- Is the clock known not to be synchronised?
---@return boolean
function M.is_unsynchronised()
  return file.info(M.FOLDER) ~= nil and file.info(M.FOLDER .. "/synchronized") == nil
end

return M
