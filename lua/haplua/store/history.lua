-- SPDX-License-Identifier: MIT
--
--- The history of the SQLite store: its latest changes, however many there are, and the removal of old ones.

local task = require("haplua.task")

local M = {}

-- One change in so many removes the oldest rows, so many at most, where they are older than the history shall be.
local PRUNE_EVERY <const> = 16
local PRUNED <const> = 64

--- The rows of the latest changes of a target, the oldest first. The index has the changes of each switch in order, so
-- the latest of each are found first.
---@param store haplua.Store
---@param target string
---@param n integer
---@return table[]
function M.latest(store, target, n)
  return store:run([[WITH RECURSIVE lists(acl) AS (SELECT min(acl) FROM changes WHERE target = ?1 UNION ALL
      SELECT (SELECT min(acl) FROM changes WHERE target = ?1 AND acl > lists.acl) FROM lists WHERE acl IS NOT NULL)
    SELECT * FROM (SELECT * FROM changes WHERE id IN (SELECT c.id FROM lists, changes c WHERE c.id IN
      (SELECT id FROM changes WHERE target = ?1 AND acl = lists.acl ORDER BY id DESC LIMIT ?2))
      ORDER BY id DESC LIMIT ?2) ORDER BY id]], target, n)
end

--- Read what is in force, and the latest 1,000 rows of the history. Raises `journal` where the file is damaged there.
---@param store haplua.Store
function M.read_through(store)
  store:run("SELECT sum(length(user)) FROM maintenances WHERE ended IS NULL")
  store:run("SELECT sum(n) FROM (SELECT length(user) AS n FROM maintenances ORDER BY id DESC LIMIT 1000)")
  store:run("SELECT sum(n) FROM (SELECT length(user) + length(patterns) AS n FROM changes ORDER BY id DESC LIMIT 1000)")
end

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
