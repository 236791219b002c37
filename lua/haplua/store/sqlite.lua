-- SPDX-License-Identifier: MIT
--
--- The store of one machine: the journal, a SQLite file, which a kill -9 at any moment leaves whole.
-- It holds the maintenances, and every change of a switch: begin() records it before HAProxy is asked for anything,
-- finish() records its outcome. A change without an outcome, whose lock no process holds, was broken off.
-- haplua.store.memory has the same functions.

local complain = require("haplua.store.trouble").complain
local core = require("haplua.core")
local edits = require("haplua.store.edits")
local errors = require("haplua.error")
local history = require("haplua.store.history")
local file = require("haplua.file")
local locks = require("haplua.store.locks")
local rows = require("haplua.store.rows")
local process = require("haplua.process")
local sqlite = require("haplua.sqlite")
local task = require("haplua.task")

local CURRENT = [[SELECT %s id, switch, patterns, paths, hosts, bypass, reason, origin, occurrence, user, host, login,
  pid, begins, ends FROM maintenances WHERE target = ? %s AND ended IS NULL ORDER BY id]]

local changes, maintenances, lines = rows.changes, rows.maintenances, rows.lines

local M = {}

-- Seconds for which a statement waits while another process writes.
local BUSY_TIMEOUT = 5

-- So many pages are written before a checkpoint, which waits for the disk twice. The next process reads all of them.
local CHECKPOINT = "PRAGMA wal_autocheckpoint = 64"

--- The version of the tables that this haplua writes.
local VERSION <const> = 3

---@class haplua.Store
---@field path string
---@field file string?  the file's identity when it was opened
---@field db any  haplua.sqlite's
---@field mode "FULL"|"NORMAL"  SQLite's `synchronous`; FULL is its default
---@field users integer  the targets of this run that share it
---@field queue table[]  changes that wait for begin()
---@field days number?  the age in days at which history is removed
local Store = {}
Store.__index = Store

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
function Store:run(sql, ...)
  local values = table.pack(...)
  local found, problem, code = while_busy(function()
    return self.db:run(sql, table.unpack(values, 1, values.n))
  end)
  return found or complain(self.path, problem, code)
end

--- Choose whether the end of a transaction waits for the disk ("FULL") or not ("NORMAL").
function Store:synchronous(mode)
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

-- Opening.

local function version_of(self)
  return self:run("PRAGMA user_version")[1].user_version
end

local function run_script(self, sql)
  local ok, problem, code = self.db:script(sql)
  return ok or complain(self.path, problem, code)
end

--- Make a new file a journal, or bring an old journal to this version. Another process may do so at the same time.
local function make_schema(self)
  self:run("PRAGMA journal_mode = WAL")
  local _ <close> = begin_transaction(self)
  local version = version_of(self)
  while version < VERSION do
    run_script(self, require("haplua.store.schema").STEPS[version])
    version = version_of(self)
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

--- Have SQLite take back what a killed process has left half done. A reader cannot.
local function recover(path)
  local db = sqlite.open(path, { mode = "0640" })
  if db then
    db:run("PRAGMA user_version")
    db:close()
  end
end

--- Bring the journal to this version, or have a reader see it so. Returns false where there is nothing to read.
local function adapt(self, readonly)
  local ok, version = pcall(version_of, self)
  if not ok and readonly and errors.is(version) and tostring(version.code):find("^READONLY") then
    recover(self.path)
    version = version_of(self)
  elseif not ok then
    error(version, 0)
  end
  if version > VERSION then
    complain(self.path, "was written by a later haplua")
  elseif version < VERSION and not readonly then
    make_schema(self)
  elseif version > 0 and version < VERSION then
    run_script(self, require("haplua.store.schema").view(version))
  end
  return version > 0 or not readonly
end

--- Open the journal, and begin one where there is none.
---@param path string
---@param options? {readonly: boolean?, days: number?}  readonly: begin none, and take no older version over; days: the
--- age at which history is removed
---@return haplua.Store? store, string? problem  nil: there is none, and none can be begun. Raises `journal`
function M.open(path, options)
  local readonly = options and options.readonly
  local open = not readonly and shared_one(path)
  local known, _, why = file.real(path)
  if open then
    return open
  elseif why == "EACCES" then -- there may be one, of others
    complain(path, "this user may not look there", "CANTOPEN")
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
  local self = setmetatable({
    path = path, db = db, mode = "FULL", users = 1, queue = {}, days = options and options.days,
  }, Store)
  if not adapt(self, readonly) then
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

function Store:close()
  self.users = self.users - 1
  if self.users == 0 then
    self.db:close()
  end
end
Store.__close = Store.close

-- Reading.

--- The maintenances that are not ended: in force, planned, or past their end and not yet ended. The oldest first.
---@param target string
---@param acl string?  nil: of every switch
---@return haplua.Maintenance[]
function Store:current(target, acl)
  return maintenances(acl and self:run(CURRENT:format("", "AND acl = ?"), target, acl)
    or self:run(CURRENT:format("acl,", ""), target), target, acl)
end

--- The maintenances of servers that are not ended, the oldest first.
---@return haplua.Maintenance[]
function Store:servers(target)
  return maintenances(self:run(CURRENT:format("acl,", "AND acl > 'server ' AND acl < 'server!'"), target), target)
end

--- The latest maintenances that are over.
---@param n integer
---@return haplua.Maintenance[]
function Store:ended(target, acl, n)
  return maintenances(self:run([[SELECT * FROM maintenances WHERE target = ? AND acl = ? AND ended IS NOT NULL
    ORDER BY ended DESC LIMIT ?]], target, acl, n), target, acl)
end

--- The maintenance of a number, whether it is ended or not.
---@param target string?  nil: of any
---@return haplua.Maintenance?
function Store:maintenance(target, id)
  return maintenances(self:run("SELECT * FROM maintenances WHERE id = ? AND coalesce(target = ?, 1)", id, target))[1]
end

--- The maintenance of a window's occurrence, whether it is ended or not.
---@return haplua.Maintenance?
function Store:occurrence(target, acl, occurrence)
  return maintenances(self:run("SELECT * FROM maintenances WHERE target = ? AND acl = ? AND occurrence = ?",
    target, acl, occurrence), target, acl)[1]
end

--- The latest change of a switch that was carried out, is under way, or was broken off.
---@param patterns string[]?  the change's own where they are the same: a thousand need not be made again
---@return haplua.Change?  nil: there was none
function Store:latest(target, acl, patterns)
  return changes(self:run([[SELECT * FROM changes WHERE target = ? AND acl = ? AND (outcome IS NULL OR outcome = 'done')
    ORDER BY id DESC LIMIT 1]], target, acl), patterns)[1]
end

--- The latest change of a switch that was carried out.
---@return haplua.Change?
function Store:latest_done(target, acl)
  return changes(self:run([[SELECT * FROM changes WHERE target = ? AND acl = ? AND outcome = 'done'
    ORDER BY id DESC LIMIT 1]], target, acl))[1]
end

--- The switches that a target has in the store: by ACL, a number that differs once the switch was changed, or a
-- maintenance of it.
---@return table<string, integer>
function Store:touched(target)
  local found = {}
  for _, row in ipairs(self:run("SELECT acl, touched FROM switches WHERE target = ?", target)) do
    found[row.acl] = row.touched
  end
  return found
end

--- The latest change of each object under other names of targets, where it was carried out on a process of this number.
---@return haplua.Change[]
function Store:elsewhere(target, worker)
  return changes(self:run([[SELECT c.* FROM switches s JOIN changes c ON c.id = (SELECT max(id) FROM changes
    WHERE target = s.target AND acl = s.acl AND outcome = 'done') WHERE s.target <> ? AND c.worker = ?]], target, worker))
end

--- The latest changes, the oldest first.
---@param target string
---@param acl string?  nil: of every switch
---@param n integer
---@return haplua.Change[]
function Store:log(target, acl, n)
  return changes(acl
    and self:run([[SELECT * FROM (SELECT * FROM changes WHERE target = ? AND acl = ? ORDER BY id DESC LIMIT ?)
      ORDER BY id]], target, acl, n)
    or history.latest(self, target, n))
end

--- A number that differs once another process has written.
---@return integer
function Store:version()
  return self:run("PRAGMA data_version")[1].data_version
end

-- Writing.

--- Note that a switch is another than before.
local function touch(self, of)
  self:run("INSERT INTO switches VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET touched = touched + 1", of.target, of.acl)
end

--- Insert a change. Returns its number.
---@param wish haplua.Wish
---@param touched string?  the maintenances
---@param outcome string?
---@return integer id
local function insert_change(self, wish, touched, outcome)
  return self:run([[INSERT INTO changes (time, target, acl, switch, action, patterns, bypass, ours, reason, since, ends,
      user, host, login, pid, outcome, maintenances, declared)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id]],
    task.time(), wish.target, wish.acl, wish.switch, wish.action, table.concat(wish.patterns, "\n"),
    wish.bypass and table.concat(wish.bypass, "\n"), wish.ours and table.concat(wish.ours, "\n"), wish.reason, wish.since,
    wish.ends, wish.user, wish.host, wish.login, process.pid(), outcome, touched, wish.declared)[1].id
end

---@param m haplua.Maintenance
---@return integer id
local function insert_maintenance(self, m)
  return self:run([[INSERT INTO maintenances (target, acl, switch, patterns, paths, hosts, bypass, reason, origin,
      occurrence, user, host, login, pid, begins, ends, ended, ended_by, why)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id]],
    m.target, m.acl, m.switch, rows.state(m.scope) or lines(m.scope.patterns), lines(m.scope.paths), lines(m.scope.hosts),
    m.bypass and table.concat(m.bypass, "\n"), m.reason, m.origin, m.occurrence, m.user, m.host, m.login, m.pid,
    m.begins, m.ends, m.ended, m.ended_by, m.why)[1].id
end

--- Set fields of a maintenance. Returns what they were, as another `set`.
local function update(self, id, set)
  local row = maintenances(self:run("SELECT * FROM maintenances WHERE id = ?", id))[1]
  local before, assignments, values = {}, {}, {}
  for field, value in pairs(set) do
    before[field] = row[field] or false
    for column, text in pairs(rows.columns(field, value)) do
      assignments[#assignments + 1] = column .. " = ?"
      values[#assignments] = text or nil
    end
  end
  values[#assignments + 1] = id
  self:run(("UPDATE maintenances SET %s WHERE id = ?"):format(table.concat(assignments, ", ")),
    table.unpack(values, 1, #assignments + 1))
  return before
end

--- Carry edits out. Returns the edits that undo them, and the names of the maintenances.
local function carry_out(self, list)
  return edits.carry_out(list, function(m)
    return insert_maintenance(self, m)
  end, function(id, set)
    return update(self, id, set)
  end)
end

--- Write all changes that are queued, in one transaction.
local function write_queue(self)
  local _ <close> = begin_transaction(self, "FULL")
  local queue = self.queue
  self.queue = {}
  local ok, problem = pcall(function()
    for _, waiting in ipairs(queue) do
      if not waiting.gone then
        waiting.undo, waiting.touched = carry_out(self, waiting.edits)
        waiting.id = insert_change(self, waiting.wish, waiting.touched or waiting.wish.maintenances)
        touch(self, waiting.wish)
        history.prune(self, waiting.id)
      end
    end
    self:run("COMMIT")
  end)
  for _, waiting in ipairs(queue) do
    waiting.written, waiting.problem = true, not ok and problem or nil
  end
  if not ok then
    error(problem, 0)
  end
end

local function leave_queue(waiting)
  waiting.gone = not waiting.written
end

--- Record a change, and carry its edits out; undo() takes both back. On return they are on the disk, and an `add` has
-- its id. Changes of several targets that come at the same time share one transaction, since each waits for the disk.
---@param wish haplua.Wish
---@param list haplua.Edit[]
---@return table begun  for finish() and undo(); raises `journal`
function Store:begin(wish, list)
  local waiting <close> = setmetatable({ wish = wish, edits = list }, { __close = leave_queue })
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
  return waiting
end

--- Record a change that was done, without edits. This does not wait for the disk.
---@param wish haplua.Wish
---@param live haplua.switch.State
---@return integer id
function Store:note(wish, live)
  self:synchronous("NORMAL")
  local _ <close> = begin_transaction(self)
  local id = insert_change(self, wish, wish.maintenances)
  self:finish({ id = id }, live)
  touch(self, wish)
  self:run("COMMIT")
  return id
end

--- Record that a change is done. This does not wait for the disk: after a loss of power the change counts as broken off.
---@param begun {id: integer}  from begin(), or the latest change
---@param live haplua.switch.State|{worker: integer, started: integer, asked: string?}  the HAProxy process
---@param ours string[]?  what the change's `ours` is now
function Store:finish(begun, live, ours)
  self:synchronous("NORMAL")
  self:run([[UPDATE changes SET outcome = 'done', ended = ?, worker = ?, started = ?, asked = ?, ours = coalesce(?, ours)
    WHERE id = ?]], task.time(), live.worker, live.started, live.asked, ours and table.concat(ours, "\n"), begun.id)
end

--- Record that a change failed, and take its edits back.
---@param begun table  from begin()
---@param outcome string  the error
function Store:undo(begun, outcome)
  local _ <close> = begin_transaction(self, "FULL")
  self:run("UPDATE changes SET outcome = ?, ended = ? WHERE id = ?", outcome, task.time(), begun.id)
  carry_out(self, begun.undo)
  touch(self, begun.wish)
  self:run("COMMIT")
end

--- Carry edits out that change nothing in HAProxy, such as plans ahead.
---@param list haplua.Edit[]
function Store:edit(list)
  local _ <close> = begin_transaction(self, "FULL")
  carry_out(self, list)
  for _, edit in ipairs(list) do
    touch(self, edit.add or edit.of)
  end
  self:run("COMMIT")
end

-- Locks.

--- The process that holds the lock of a switch or a backend: that of the latest change without an outcome.
local function holder(self, target, acl)
  local backend = acl:match("^backend (.*)$")
  local first = backend and "server " .. backend .. "/" or acl
  local busy = self:run([[SELECT * FROM changes WHERE target = ? AND substr(acl, 1, ?) = ? AND outcome IS NULL
    ORDER BY id DESC LIMIT 1]], target, backend and #first or #acl + 1, first)[1]
  return busy and ("%s (process %d) began '%s' at %s"):format(busy.login or busy.user, busy.pid, busy.action,
    require("haplua.time.instant").text(busy.time)) or "another haplua"
end

--- Take the lock of a switch; wait while another process holds it.
---@param timeout number?  seconds; 10
---@return any lock  to be released, or left to <close>; raises `refused` after the timeout
function Store:lock(target, acl, timeout)
  return locks.take(self.path .. ".lock", timeout or 10, "change", target, acl)
    or errors.refuse(("%s is being changed by somebody else: %s"):format(acl, holder(self, target, acl)),
      "nothing was changed; try again, or look with: maint log")
end

--- Does a process hold the lock of a switch?
---@return boolean
function Store:locked(target, acl)
  return locks.held(self.path .. ".lock", "change", target, acl)
end

--- Take the keeper's lock of a target.
---@param restricted boolean?  the process may not change all of the target: kept() does not count it
---@return any? lock  nil: another such process holds it
function Store:keeper(target, restricted)
  return locks.try(self.path .. ".lock", restricted and "keep in part" or "keep", target)
end

--- Does a resident policy keep a target, and so end what has expired?
---@return boolean
function Store:kept(target)
  return locks.held(self.path .. ".lock", "keep", target)
end

return M
