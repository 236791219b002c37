-- SPDX-License-Identifier: MIT
--
--- The tables of the SQLite store, and the steps from each version to the next.

local M = {}

-- haplua.plan.maintenance documents the fields of a maintenance, haplua.store.rows those of a change. Lists have one item a
-- line. SQLite keeps these texts, and reads them at each start: so they have no comments.
local MAINTENANCES = [[
CREATE TABLE maintenances (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  target TEXT NOT NULL, acl TEXT NOT NULL, switch TEXT NOT NULL,
  patterns TEXT, paths TEXT, hosts TEXT, bypass TEXT, reason TEXT,
  origin TEXT NOT NULL, occurrence TEXT,
  user TEXT NOT NULL, host TEXT NOT NULL, login TEXT, pid INTEGER,
  begins REAL NOT NULL, ends REAL, ended REAL, ended_by TEXT, why TEXT
);
]]

-- `touched` goes up with each change of the switch, and with each edit of its maintenances.
local SWITCHES = [[
CREATE TABLE switches (
  target TEXT NOT NULL, acl TEXT NOT NULL, touched INTEGER NOT NULL, PRIMARY KEY (target, acl)
) WITHOUT ROWID;
]]

local INDEXES = [[
CREATE INDEX maintenances_of ON maintenances (target, acl) WHERE ended IS NULL;
CREATE INDEX maintenances_ended ON maintenances (target, acl, ended) WHERE ended IS NOT NULL;
CREATE UNIQUE INDEX occurrences ON maintenances (target, acl, occurrence) WHERE occurrence IS NOT NULL;
PRAGMA user_version = 3;
]]

-- `outcome` is "done", or what went wrong; NULL: under way, or broken off.
local CHANGES = [[
CREATE TABLE changes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  time REAL NOT NULL, target TEXT NOT NULL, acl TEXT NOT NULL, switch TEXT NOT NULL, action TEXT NOT NULL,
  patterns TEXT NOT NULL, bypass TEXT, reason TEXT, since REAL, ends REAL,
  user TEXT NOT NULL, host TEXT NOT NULL, login TEXT, pid INTEGER NOT NULL,
  outcome TEXT, ended REAL, worker INTEGER, started INTEGER, asked TEXT,
  ours TEXT, maintenances TEXT, declared TEXT
);
CREATE INDEX changes_of ON changes (target, acl, id);
]]

-- Version 1 had neither `asked` nor the last three columns of a change, and a column `before`, which nothing uses now. It
-- knew one maintenance of each switch: the change that its table `wanted` names.
local FROM_1 = "ALTER TABLE changes ADD COLUMN asked TEXT; PRAGMA user_version = 2;"

local FROM_WANTED = [[
INSERT INTO maintenances (target, acl, switch, patterns, bypass, reason, origin, user, host, login, begins, ends)
  SELECT c.target, c.acl, c.switch, c.patterns, c.bypass, c.reason, c.action, c.user, c.host, c.login,
    coalesce(c.since, c.time), c.ends FROM wanted w JOIN main.changes c ON c.id = w.change WHERE c.patterns <> '';
]]

-- What was wanted becomes the latest change: it gets a new number where notes of keep follow it. All that the bypass list
-- held was haplua's.
local FROM_2 = MAINTENANCES .. FROM_WANTED .. [[
ALTER TABLE changes ADD COLUMN ours TEXT;
ALTER TABLE changes ADD COLUMN maintenances TEXT;
ALTER TABLE changes ADD COLUMN declared TEXT;
UPDATE changes SET ours = bypass WHERE id IN (SELECT change FROM wanted);
UPDATE changes SET id = id + (SELECT max(id) FROM changes) WHERE id IN (SELECT w.change FROM wanted w JOIN changes later
  ON later.target = w.target AND later.acl = w.acl AND later.id > w.change AND later.outcome = 'done');
UPDATE sqlite_sequence SET seq = (SELECT max(id) FROM changes) WHERE name = 'changes';
]] .. SWITCHES .. [[
INSERT INTO switches SELECT target, acl, 1 FROM wanted;
DROP TABLE wanted;
]] .. INDEXES

--- From each version to a later one: SQL. An empty file has version 0.
M.STEPS = { [0] = CHANGES .. MAINTENANCES .. SWITCHES .. INDEXES, [1] = FROM_1, [2] = FROM_2 }

--- SQL by which a reader that may not write sees an older journal as one of this version.
---@param version integer  1 or 2
---@return string
function M.view(version)
  return MAINTENANCES:gsub("CREATE TABLE", "CREATE TEMP TABLE")
    .. FROM_WANTED:gsub("INTO maintenances", "INTO temp.maintenances")
    .. ([[CREATE TEMP VIEW changes AS SELECT c.*, %s NULL AS maintenances, NULL AS declared, c.bypass AS ours FROM main.changes c
      WHERE c.id IN (SELECT change FROM wanted) OR c.action <> 'keep';]]):format(version == 1 and "NULL AS asked," or "")
end

return M
