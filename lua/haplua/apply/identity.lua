-- SPDX-License-Identifier: MIT
--
--- One thing under two names: the store, the locks and the files know a switch by the address of its HAProxy and by the
-- reference of its list. Looked at before the first change under a name.

local errors = require("haplua.error")
local switch = require("haplua.haproxy.switch")

local M = {}

--- Refuse a list's number where the list has a file: HAProxy gives such numbers anew at each start, in the order of its
-- configuration, and the file is what the list is known by.
---@param c haplua.Context
---@param found haplua.List?
local function check_reference(c, found)
  if found and found.file and c.switch.acl:find("^#") then
    errors.refuse(("%s is the list of the file %s, and its number may be another list's after a reload"):format(c.switch.acl,
      found.file), ("name it by its file: --acl %s"):format(found.file))
  end
end

--- Warn where the store has changes of the same HAProxy process under another address: their maintenances do not count here.
---@param c haplua.Context
---@param process {worker: integer, started: integer, asked: string?, uptime: integer}
local function warn_of_address(c, process)
  for _, change in ipairs(c.store:elsewhere(c.name, process.worker)) do
    if switch.is_same_process(process, change) then
      io.stderr:write(("haplua: %s seems to be the HAProxy that the journal knows as %s: what is in force under one address is "
        .. "not known under the other\n"):format(c.name, change.target))
      return
    end
  end
end

--- Look at the names before the first change.
---@param c haplua.Context
---@param process {worker: integer, started: integer, asked: string?, uptime: integer}
---@param found haplua.List?  of the switch; nil: servers
function M.check(c, process, found)
  check_reference(c, found)
  warn_of_address(c, process)
end

return M
