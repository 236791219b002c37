-- SPDX-License-Identifier: MIT
--
--- The tables of the SQLite store, and the steps from each version to the next.

local M = {}

--- Version 1 knew one maintenance of each switch: the change that `wanted` names.
local FIRST = [[
CREATE TABLE changes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  time REAL NOT NULL,      -- seconds since 1970
  target TEXT NOT NULL,    -- the address, in one spelling
  acl TEXT NOT NULL,
  switch TEXT NOT NULL,    -- its name in the configuration, else the ACL
  action TEXT NOT NULL,
  patterns TEXT NOT NULL,  -- what the list shall hold, one a line; none: off
  bypass TEXT,             -- what the bypass list shall hold; NULL: the switch has none
  reason TEXT,
  since REAL,
  ends REAL,
  user TEXT NOT NULL, host TEXT NOT NULL, login TEXT, pid INTEGER NOT NULL,
  before INTEGER,          -- not used since version 3
  outcome TEXT,            -- done, or what went wrong; NULL: under way, or broken off
  ended REAL,
  worker INTEGER, started INTEGER  -- the HAProxy process that was changed, and when that one started
  -- version 2: asked TEXT, for a process that does not tell when it started: when it was asked
  -- version 3: ours TEXT, the entries of the bypass list that haplua put there, one a line
  --            declared TEXT, of a list that HAProxy has numbered: what the number meant
  --            maintenances TEXT, the numbers of those that the change began, ended or changed
);
CREATE TABLE wanted (
  target TEXT NOT NULL, acl TEXT NOT NULL,
  change INTEGER NOT NULL REFERENCES changes(id),
  PRIMARY KEY (target, acl)
) WITHOUT ROWID;
CREATE INDEX changes_of ON changes (target, acl, id);
PRAGMA user_version = 1;
]]

local SECOND = "ALTER TABLE changes ADD COLUMN asked TEXT; PRAGMA user_version = 2;"

-- haplua.plan.maintenance documents the fields. Lists have one item a line.
local MAINTENANCES = [[
CREATE TABLE maintenances (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  target TEXT NOT NULL, acl TEXT NOT NULL, switch TEXT NOT NULL,
  patterns TEXT, paths TEXT, hosts TEXT, bypass TEXT, reason TEXT,
  origin TEXT NOT NULL, occurrence TEXT,
  user TEXT NOT NULL, host TEXT NOT NULL, login TEXT, pid INTEGER,
  begins REAL NOT NULL, ends REAL, ended REAL, ended_by TEXT, why TEXT
);
INSERT INTO maintenances (target, acl, switch, patterns, bypass, reason, origin, user, host, login, begins, ends)
  SELECT c.target, c.acl, c.switch, c.patterns, c.bypass, c.reason, c.action, c.user, c.host, c.login,
    coalesce(c.since, c.time), c.ends FROM wanted w JOIN main.changes c ON c.id = w.change WHERE c.patterns <> '';
]]

-- What was wanted becomes the latest change: it gets a new number where notes of keep follow it. All that the bypass list
-- held was haplua's.
local THIRD = MAINTENANCES .. [[
ALTER TABLE changes ADD COLUMN ours TEXT;
ALTER TABLE changes ADD COLUMN maintenances TEXT;
ALTER TABLE changes ADD COLUMN declared TEXT;
UPDATE changes SET ours = bypass WHERE id IN (SELECT change FROM wanted);
UPDATE changes SET id = id + (SELECT max(id) FROM changes) WHERE id IN (SELECT w.change FROM wanted w JOIN changes later
  ON later.target = w.target AND later.acl = w.acl AND later.id > w.change AND later.outcome = 'done');
UPDATE sqlite_sequence SET seq = (SELECT max(id) FROM changes) WHERE name = 'changes';
CREATE TABLE switches (
  target TEXT NOT NULL, acl TEXT NOT NULL,
  touched INTEGER NOT NULL,  -- goes up with each change of the switch, and with each edit of its maintenances
  PRIMARY KEY (target, acl)
) WITHOUT ROWID;
INSERT INTO switches SELECT target, acl, 1 FROM wanted;
DROP TABLE wanted;
CREATE INDEX maintenances_of ON maintenances (target, acl) WHERE ended IS NULL;
CREATE INDEX maintenances_ended ON maintenances (target, acl, ended) WHERE ended IS NOT NULL;
CREATE UNIQUE INDEX occurrences ON maintenances (target, acl, occurrence) WHERE occurrence IS NOT NULL;
PRAGMA user_version = 3;
]]

--- From each version to the next: SQL. An empty file has version 0.
M.STEPS = { [0] = FIRST, [1] = SECOND, [2] = THIRD }

--- SQL by which a reader that may not write sees an older journal as one of this version.
---@param version integer  1 or 2
---@return string
function M.view(version)
  return MAINTENANCES:gsub("CREATE TABLE", "CREATE TEMP TABLE"):gsub("INTO maintenances", "INTO temp.maintenances")
    .. ([[CREATE TEMP VIEW changes AS SELECT c.*, %s NULL AS maintenances, NULL AS declared, c.bypass AS ours FROM main.changes c
      WHERE c.id IN (SELECT change FROM wanted) OR c.action <> 'keep';]]):format(version == 1 and "NULL AS asked," or "")
end

return M
