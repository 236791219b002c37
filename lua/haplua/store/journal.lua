-- SPDX-License-Identifier: MIT
--
--- The journal: the maintenance that is wanted of each switch on each HAProxy, who wanted it, when, why and until when,
-- and the outcome of each change. It is a SQLite file, so a kill -9 at any moment leaves it whole.
-- begin() records a change before HAProxy is asked for anything, and finish() its outcome. A change without an outcome,
-- whose lock no process holds, was broken off.
-- A process that changes a switch holds the switch's lock; the resident policy holds the keeper's lock of its target as
-- long as it runs. Both are locks on bytes of PATH.lock, and end with their process.

local core = require("haplua.core")
local errors = require("haplua.error")
local file = require("haplua.file")
local process = require("haplua.process")
local sqlite = require("haplua.sqlite")
local task = require("haplua.task")

local M = {}

-- Seconds for which a statement waits while another process writes.
local BUSY_TIMEOUT = 5

-- So many pages are written before a checkpoint, which waits for the disk twice. The next process that opens the
-- journal reads all of them.
local CHECKPOINT = "PRAGMA wal_autocheckpoint = 64"

local SCHEMA = [[
CREATE TABLE changes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  time REAL NOT NULL,      -- seconds since 1970
  target TEXT NOT NULL,    -- the address, in one spelling
  acl TEXT NOT NULL,
  switch TEXT NOT NULL,    -- its name in the configuration, else the ACL
  action TEXT NOT NULL,    -- on, off, during, restore, expire, keep, by hand
  patterns TEXT NOT NULL,  -- one a line; none: off
  bypass TEXT,             -- one a line; NULL: the switch has no list for it
  reason TEXT,
  since REAL,              -- when this maintenance began; NULL: off
  ends REAL,               -- when it shall end; NULL: never by itself
  user TEXT NOT NULL, host TEXT NOT NULL, login TEXT, pid INTEGER NOT NULL,
  before INTEGER,          -- the change that was wanted until then
  outcome TEXT,            -- done, or what went wrong; NULL: under way, or broken off
  ended REAL,
  worker INTEGER, started INTEGER  -- the HAProxy process that was changed, and when that one started
  -- since version 2: asked TEXT, for a process that does not tell when it started: when it was asked
);
CREATE TABLE wanted (
  target TEXT NOT NULL, acl TEXT NOT NULL,
  change INTEGER NOT NULL REFERENCES changes(id),
  PRIMARY KEY (target, acl)
) WITHOUT ROWID;
CREATE INDEX changes_of ON changes (target, acl, id);
PRAGMA user_version = 1;
]]

-- From each version to the next.
local VERSION = 2
local STEPS = { [0] = SCHEMA, [1] = "ALTER TABLE changes ADD COLUMN asked TEXT; PRAGMA user_version = 2;" }

--- What is wanted of a switch, and who says so: a row as begin() takes it.
---@class haplua.Maintenance
---@field target string
---@field acl string
---@field switch string
---@field action string
---@field patterns string[]
---@field bypass string[]?
---@field reason string?
---@field since number?
---@field ends number?

--- A row as the journal has it.
---@class haplua.Entry: haplua.Maintenance
---@field id integer
---@field time number
---@field user string
---@field host string
---@field login string?  the person behind sudo
---@field pid integer
---@field before integer?
---@field outcome string?
---@field ended number?
---@field worker integer?
---@field started integer?
---@field asked string?

---@class haplua.Journal
---@field path string
---@field file string?  the file's identity when it was opened
---@field db any  haplua.sqlite's
---@field mode "FULL"|"NORMAL"  SQLite's `synchronous`; FULL is its default
---@field users integer  the targets of this run that share it
---@field queue table[]  changes that wait for begin()'s transaction
local Journal = {}
Journal.__index = Journal

local advice = {
  FULL = "the disk is full: make room, or give --no-journal to do without",
  READONLY = "this user may not write it: use sudo, or give --no-journal to do without",
  CANTOPEN = "this user may not open it: use sudo, or give --no-journal to do without",
  BUSY = "another program holds it: `fuser` tells which",
  CORRUPT = "move it away: a new one is begun",
  NOTADB = "--journal, $HAPLUA_JOURNAL or the configuration names a file that is something else",
}

local function complain(path, message, code)
  error(errors.new({
    kind = "journal",
    message = ("the journal %s: %s"):format(path, message),
    code = code,
    advice = advice[tostring(code):match("^[A-Z]+")],
  }), 0)
end

--- Call `attempt` again while SQLite says that another process is writing.
local function while_busy(attempt)
  local latest = task.now() + BUSY_TIMEOUT
  while true do
    local result, problem, code = attempt()
    if result or not tostring(code):find("^BUSY") or task.now() > latest then
      return result, problem, code
    end
    task.sleep(0.003)
  end
end

--- Run one statement.
---@param sql string
---@param ... any  its parameters
---@return table[] rows  raises `journal`
function Journal:run(sql, ...)
  local values = table.pack(...)
  local rows, problem, code = while_busy(function()
    return self.db:run(sql, table.unpack(values, 1, values.n))
  end)
  return rows or complain(self.path, problem, code)
end

--- Choose whether the end of a transaction waits for the disk ("FULL") or not ("NORMAL").
function Journal:synchronous(mode)
  if self.mode ~= mode then
    self:run("PRAGMA synchronous = " .. mode)
    self.mode = mode
  end
end

--- Begin a transaction. Several tasks share the connection, so no task may wait between here and COMMIT.
---@param mode? "FULL"|"NORMAL"  of this transaction
---@return any transaction  a <close> variable: an error rolls back
local function begin_transaction(self, mode)
  local ok, problem, code = while_busy(function()
    self:synchronous(mode or self.mode)
    return self.db:run("BEGIN IMMEDIATE")
  end)
  if not ok then
    complain(self.path, problem, code)
  end
  return setmetatable({}, {
    __close = function(_, raised)
      if raised ~= nil then
        self.db:run("ROLLBACK")
      end
    end,
  })
end

local function version_of(self)
  return self:run("PRAGMA user_version")[1].user_version
end

--- Make a new file a journal, or bring an old journal to this version. Another process may do so at the same time.
local function make_schema(self)
  self:run("PRAGMA journal_mode = WAL")
  local _ <close> = begin_transaction(self)
  for version = version_of(self), VERSION - 1 do
    local ok, problem, code = self.db:script(STEPS[version])
    if not ok then
      complain(self.path, problem, code)
    end
  end
  self:run("COMMIT")
end

-- The open journals by path.
local shared = setmetatable({}, { __mode = "v" })

--- The journal of this path that another target of this run has open. Both share its connection.
local function shared_one(path)
  local open = core.several() and shared[path]
  local id = open and file.id(path)
  if id and open.users > 0 and id == open.file then
    open.users = open.users + 1
    return open
  end
end

--- Open the journal, and begin one where there is none.
---@param path string
---@param options? {readonly: boolean?}  readonly: begin none, and take no older version over
---@return haplua.Journal? journal, string? problem  nil: there is none, and none can be begun. Raises `journal`
function M.open(path, options)
  local readonly = options and options.readonly
  local known = file.real(path)
  local open = not readonly and shared_one(path)
  if open then
    return open
  elseif not known and readonly then
    return nil, "there is none"
  elseif not known then
    local folder = path:match("^(.*)/[^/]*$")
    if folder and folder ~= "" and not file.real(folder) then
      file.folder(folder)
    end
  end
  local db, problem, code = sqlite.open(path, { mode = "0640", readonly = readonly })
  if not db then
    if not known then
      return nil, problem
    end
    complain(path, problem, code)
  end
  local self = setmetatable({ path = path, db = db, mode = "FULL", users = 1, queue = {} }, Journal)
  local version = version_of(self)
  if version > VERSION then
    complain(path, "was written by a later haplua")
  elseif version < VERSION and not readonly then
    make_schema(self)
  elseif version == 0 then
    db:close()
    return nil, "there is none"
  end
  if not readonly then
    self:run(CHECKPOINT)
    self.file = file.id(path)
    shared[path] = self
  end
  return self
end

function Journal:close()
  self.users = self.users - 1
  if self.users == 0 then
    self.db:close()
  end
end
Journal.__close = Journal.close

-- Reading.

local function lines(list)
  return list and table.concat(list, "\n")
end

local function split(text)
  local list = {}
  for line in text:gmatch("[^\n]+") do
    list[#list + 1] = line
  end
  return list
end

--- Make rows entries: these very tables.
---@return haplua.Entry[]
local function entries(rows)
  for _, row in ipairs(rows) do
    row.patterns = split(row.patterns)
    row.bypass = row.bypass and split(row.bypass)
  end
  return rows
end

--- The change that is wanted of a switch.
---@return haplua.Entry?  nil: there was none
function Journal:wanted(target, acl)
  return entries(self:run("SELECT c.* FROM wanted w JOIN changes c ON c.id = w.change WHERE w.target = ? AND w.acl = ?",
    target, acl))[1]
end

--- The changes that are wanted of every switch of a target.
---@return haplua.Entry[]
function Journal:all_wanted(target)
  return entries(self:run("SELECT c.* FROM wanted w JOIN changes c ON c.id = w.change WHERE w.target = ? ORDER BY w.acl",
    target))
end

---@param id integer?
---@return haplua.Entry?
function Journal:entry(id)
  return id and entries(self:run("SELECT * FROM changes WHERE id = ?", id))[1]
end

--- The latest changes, the oldest first.
---@param target string
---@param acl string?  nil: of every switch
---@param n integer
---@return haplua.Entry[]
function Journal:log(target, acl, n)
  return entries(self:run([[SELECT * FROM (SELECT * FROM changes WHERE target = ? AND (? IS NULL OR acl = ?)
    ORDER BY id DESC LIMIT ?) ORDER BY id]], target, acl, acl, n))
end

--- A number that differs once another process has written.
---@return integer
function Journal:version()
  return self:run("PRAGMA data_version")[1].data_version
end

-- Writing.

local person

--- Insert a row. Its `before` is the change that is wanted until now.
---@param change haplua.Maintenance
---@return integer id
local function insert(self, change, outcome)
  person = person or process.person()
  return self:run([[INSERT INTO changes (time, target, acl, switch, action, patterns, bypass, reason, since, ends,
      user, host, login, pid, outcome, before) VALUES (?, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?2,
      (SELECT change FROM wanted WHERE target = ?3 AND acl = ?4)) RETURNING id]],
    task.time(), outcome, change.target, change.acl, change.switch, change.action, lines(change.patterns),
    lines(change.bypass), change.reason, change.since, change.ends, person.user, person.host, person.login,
    process.pid())[1].id
end

--- Insert a change into the open transaction, as the one that is wanted.
local function put(self, change)
  local id = insert(self, change)
  self:run("INSERT OR REPLACE INTO wanted (target, acl, change) VALUES (?, ?, ?)", change.target, change.acl, id)
  return id
end

--- Write all changes that are queued, in one transaction.
local function write_queue(self)
  local _ <close> = begin_transaction(self, "FULL")
  local queue = self.queue
  self.queue = {}
  local ok, problem = pcall(function()
    for _, waiting in ipairs(queue) do
      waiting.id = not waiting.gone and put(self, waiting.change) or nil
    end
    self:run("COMMIT")
  end)
  for _, waiting in ipairs(queue) do
    waiting.written = true
    waiting.problem = not ok and problem or nil
  end
  if not ok then
    error(problem, 0)
  end
end

local function leave_queue(waiting)
  waiting.gone = true
end

--- Record what is wanted from now on; undo() takes it back. On return it is on the disk. Changes of several targets
-- that come at the same time share one transaction, since each waits for the disk.
---@param change haplua.Maintenance
---@return integer id  raises `journal`
function Journal:begin(change)
  local waiting <close> = setmetatable({ change = change }, { __close = leave_queue })
  self.queue[#self.queue + 1] = waiting
  if core.several() then
    task.sleep(0)
  end
  if not waiting.written then
    write_queue(self)
  end
  if waiting.problem then
    error(waiting.problem, 0)
  end
  return waiting.id
end

--- Record something that was done, without a change of what is wanted.
---@param change haplua.Maintenance
---@param outcome string
function Journal:note(change, outcome)
  self:synchronous("NORMAL")
  insert(self, change, outcome)
end

--- Record that a change is done. This does not wait for the disk: after a loss of power the change counts as broken off.
---@param id integer
---@param live? haplua.switch.State|{worker: integer, started: integer, asked: string?}  the HAProxy process
function Journal:finish(id, live)
  live = live or {}
  self:synchronous("NORMAL")
  self:run("UPDATE changes SET outcome = 'done', ended = ?, worker = ?, started = ?, asked = ? WHERE id = ?",
    task.time(), live.worker, live.started, live.asked, id)
end

--- Record that a change failed: what was wanted before is wanted again.
---@param id integer
---@param outcome string  the error
function Journal:undo(id, outcome)
  self:synchronous("FULL")
  local _ <close> = begin_transaction(self)
  self:run("UPDATE changes SET outcome = ?, ended = ? WHERE id = ?", outcome, task.time(), id)
  local row = self:run("SELECT target, acl, before FROM changes WHERE id = ?", id)[1]
  if row.before then
    self:run("UPDATE wanted SET change = ? WHERE change = ?", row.before, id)
  else
    self:run("DELETE FROM wanted WHERE change = ?", id)
  end
  self:run("COMMIT")
end

-- Locks.

--- The byte of the lock file that stands for a name: FNV-1a, in 62 bits.
local function slot(...)
  local hash = 0xcbf29ce484222325
  for byte in table.concat({ ... }, "\0"):gmatch(".") do
    hash = (hash ~ byte:byte()) * 0x100000001b3
  end
  return hash & 0x3fffffffffffffff
end

--- The process that holds the lock of a switch, for the message: that of the latest change without an outcome.
local function holder(self, target, acl)
  local busy = self:run([[SELECT * FROM changes WHERE target = ? AND acl = ? AND outcome IS NULL
    ORDER BY id DESC LIMIT 1]], target, acl)[1]
  return busy and ("%s (process %d) began '%s' at %s"):format(busy.login or busy.user, busy.pid, busy.action,
    require("haplua.time.instant").text(busy.time)) or "another haplua"
end

--- Take the lock of a switch; wait while another process holds it.
---@param target string
---@param acl string
---@param timeout number?  seconds; 10
---@return any lock  to be released, or left to <close>; raises `refused` after the timeout
function Journal:lock(target, acl, timeout)
  local latest = task.now() + (timeout or 10)
  local pause = 0.002
  while true do
    local lock, problem, code = file.lock(self.path .. ".lock", slot("change", target, acl))
    if lock then
      return lock
    elseif code ~= "BUSY" then
      complain(self.path .. ".lock", problem, code)
    elseif task.now() > latest then
      errors.refuse(("%s is being changed by somebody else: %s"):format(acl, holder(self, target, acl)),
        "nothing was changed; try again, or look with: maint log")
    end
    task.sleep(pause)
    pause = math.min(pause * 1.5, 0.1)
  end
end

--- True while a process holds the lock of a switch.
---@return boolean
function Journal:locked(target, acl)
  return file.locked(self.path .. ".lock", slot("change", target, acl)) == true
end

--- Take the keeper's lock of a target.
---@param target string
---@return any? lock  nil: another process holds it
function Journal:keeper(target)
  local lock, problem, code = file.lock(self.path .. ".lock", slot("keep", target))
  if not lock and code ~= "BUSY" then
    complain(self.path .. ".lock", problem, code)
  end
  return lock
end

--- True while a resident policy keeps a target, and so ends what has expired.
---@return boolean
function Journal:kept(target)
  return file.locked(self.path .. ".lock", slot("keep", target)) == true
end

return M
