-- SPDX-License-Identifier: MIT
--
--- The history of the SQLite store is removed when it is old.

local task = require("haplua.task")

local M = {}

-- One change in so many removes the oldest rows, so many at most, where they are older than the history shall be.
local PRUNE_EVERY <const> = 16
local PRUNED <const> = 64

--- Remove the oldest rows, where they are older than the store's `days`. The latest change of each switch stays, and so
-- does what is in force: so many of the oldest rows are passed over.
---@param store haplua.Store
---@param id integer  of the newest change
function M.prune(store, id)
  if not store.days or id % PRUNE_EVERY ~= 0 then
    return
  end
  local before = task.time() - store.days * 86400
  store:run([[DELETE FROM changes WHERE id IN (SELECT id FROM changes ORDER BY id
      LIMIT ? + (SELECT count(*) FROM switches)) AND time < ? AND EXISTS
    (SELECT 1 FROM changes AS later WHERE later.target = changes.target AND later.acl = changes.acl
      AND later.id > changes.id AND later.outcome = 'done')]], PRUNED, before)
  store:run([[DELETE FROM maintenances WHERE id IN (SELECT id FROM maintenances ORDER BY id
    LIMIT ? + (SELECT count(*) FROM maintenances WHERE ended IS NULL)) AND ended < ?]], PRUNED, before)
end

return M
