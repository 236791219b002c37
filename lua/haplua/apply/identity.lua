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

-- HAProxy numbers lists from 0 on. A list with a number from here on is taken to have it from `-u`.
local SMALL <const> = 100

--- HAProxy numbers lists without `-u` in the order of its configuration, at each start anew. Note what the number of a
-- switch means now, for the store, and refuse one that in a new process means another list, or may do so.
---@param c haplua.Context
---@param look haplua.Look  its state.declared is set
function M.check_number(c, look)
  local id = tonumber(c.switch.acl:match("^#(%d+)$"))
  if not id or id >= SMALL then
    return
  end
  local state = look.state
  local found = require("haplua.haproxy.frontends").numbered(c.target, state.worker, tostring(id), state.declared)
  if found and found.fixed then
    state.declared = nil
    return
  end
  state.declared = ("%s%s"):format(found and found.name and found.name .. ": " or "", state.declared or "gone")
  local before = look.latest and look.latest.declared
  if before and not look.same_process and before ~= state.declared then
    errors.refuse(("%s may be another list since HAProxy was started anew: it was %s, and is %s"):format(c.switch.acl, before,
      state.declared), "give the ACL a number of its own (-u 9999) or a file, and name that; nothing was changed")
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
