-- SPDX-License-Identifier: MIT

local journal = require("haplua.store.journal")
local support = require("support")

local function change(more)
  local entry = { target = "/s", acl = "#1", switch = "site", action = "on", patterns = { "^/a", "^/b" } }
  for key, value in pairs(more or {}) do
    entry[key] = value
  end
  return entry
end

--- The lines of several targets, in an order that does not depend on them.
local function sorted(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  table.sort(lines)
  return table.concat(lines, "\n")
end

describe("the journal", function()
  local folder, path

  before_each(function()
    folder = support.folder()
    path = folder.path .. "/deep/journal.db"
  end)

  after_each(function()
    getmetatable(folder).__close(folder)
  end)

  it("remembers what is wanted, and who wanted it", function()
    local j <close> = assert(journal.open(path))
    assert.is_nil(j:wanted("/s", "#1"))
    local id = j:begin(change({ reason = "a 'reason'; --", bypass = { "192.0.2.0/24" }, since = 5, ends = 7.5 }))
    local wanted = j:wanted("/s", "#1")
    assert.same({ "^/a", "^/b" }, wanted.patterns)
    assert.same({ "192.0.2.0/24" }, wanted.bypass)
    assert.same({ id, "a 'reason'; --", 5, 7.5, "on" }, { wanted.id, wanted.reason, wanted.since, wanted.ends, wanted.action })
    assert.is_nil(wanted.outcome)
    assert.is_string(wanted.user)
    assert.is_string(wanted.host)
    j:finish(id, { worker = 42, started = 1000 })
    wanted = j:wanted("/s", "#1")
    assert.same({ "done", 42, 1000 }, { wanted.outcome, wanted.worker, wanted.started })
    assert.is_nil(j:wanted("/s", "#2"))
    assert.is_nil(j:wanted("/t", "#1"))
    local again <close> = assert(journal.open(path, { readonly = true }))
    assert.equal(id, again:wanted("/s", "#1").id)
  end)

  it("goes back to what was wanted when a change fails", function()
    local j <close> = assert(journal.open(path))
    local first = j:begin(change())
    j:finish(first)
    local second = j:begin(change({ patterns = {} }))
    assert.equal(second, j:wanted("/s", "#1").id)
    j:undo(second, "HAProxy refused")
    assert.equal(first, j:wanted("/s", "#1").id)
    assert.equal("HAProxy refused", j:log("/s", "#1", 9)[2].outcome)
    local only = j:begin(change({ acl = "#2" }))
    j:undo(only, "no")
    assert.is_nil(j:wanted("/s", "#2"))
  end)

  it("takes over a journal of the version before, and reads it as it is", function()
    support.haplua({ "-e", [[require("haplua.file").folder(arg[1]:match("^(.*)/"))
      local db = assert(require("haplua.sqlite").open(arg[1], { mode = "0640" }))
      assert(db:script([=[CREATE TABLE changes (id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL, target TEXT, acl TEXT,
        switch TEXT, action TEXT, patterns TEXT, bypass TEXT, reason TEXT, since REAL, ends REAL, user TEXT, host TEXT,
        login TEXT, pid INTEGER, before INTEGER, outcome TEXT, ended REAL, worker INTEGER, started INTEGER);
        CREATE TABLE wanted (target TEXT, acl TEXT, change INTEGER, PRIMARY KEY (target, acl)) WITHOUT ROWID;
        INSERT INTO changes VALUES (1, 5, '/s', '#1', 's', 'on', '^/a', NULL, NULL, 5, NULL, 'root', 'h', NULL, 1, NULL,
        'done', 6, 42, 1000);
        INSERT INTO wanted VALUES ('/s', '#1', 1); PRAGMA user_version = 1]=]))]], path })
    local reader <close> = assert(journal.open(path, { readonly = true }))
    assert.same({ 42, 1000 }, { reader:wanted("/s", "#1").worker, reader:wanted("/s", "#1").started })
    local j <close> = assert(journal.open(path))
    assert.same({ "^/a" }, j:wanted("/s", "#1").patterns)
    j:finish(1, { worker = 43, started = 1001, asked = "boot 7" })
    local again <close> = assert(journal.open(path))
    assert.same({ 43, 1001, "boot 7" }, { again:wanted("/s", "#1").worker, again:wanted("/s", "#1").started,
      again:wanted("/s", "#1").asked })
    j:run("PRAGMA user_version = 3")
    assert.matches("was written by a later haplua", tostring(assert.has_error(function() journal.open(path) end)), 1, true)
  end)

  it("leaves a later change wanted when an earlier one fails", function()
    local j <close> = assert(journal.open(path))
    local first = j:begin(change())
    local second = j:begin(change({ patterns = {} }))
    j:undo(first, "late")
    assert.equal(second, j:wanted("/s", "#1").id)
  end)

  it("lists the latest changes, the oldest first", function()
    local j <close> = assert(journal.open(path))
    for i = 1, 5 do
      j:begin(change({ acl = i % 2 == 0 and "#2" or "#1", reason = tostring(i) }))
    end
    j:note(change({ action = "keep", reason = "6" }), "done")
    local function reasons(acl, n)
      local list = {}
      for i, entry in ipairs(j:log("/s", acl, n)) do
        list[i] = entry.reason
      end
      return table.concat(list, " ")
    end
    assert.equal("4 5 6", reasons(nil, 3))
    assert.equal("2 4", reasons("#2", 9))
    assert.equal("5", j:wanted("/s", "#1").reason)
    assert.equal(2, #j:all_wanted("/s"))
  end)

  it("is opened by several at once, also when it is new", function()
    local opened = {}
    for i = 1, 6 do
      opened[i] = task.spawn(function()
        return support.haplua({ "-e", [[
          local j <close> = require("haplua.store.journal").open(arg[1])
          for i = 1, 20 do
            j:begin({ target = "/s", acl = "#" .. i, switch = "x", action = "on", patterns = { arg[2] } })
          end]], path, tostring(i) })
      end)
    end
    for _, one in ipairs(opened) do
      local ran = one:wait()
      assert.same({ 0, "" }, { ran.status, ran.err })
    end
    local j <close> = assert(journal.open(path))
    assert.equal(120, #j:log("/s", nil, 1000))
    assert.equal(20, #j:all_wanted("/s"))
  end)

  it("records the changes of several targets over one connection", function()
    local ran = support.haplua({ "-s", "/a", "-s", "/b", "-e", [[
      local j <close> = require("haplua.store.journal").open(...)
      local t = haproxy.target():address()
      local id = j:begin({ target = t, acl = "#1", switch = "s", action = "on", patterns = { "^" .. t } })
      haproxy.barrier()
      j:finish(id)
      print(#j:log(t, "#1", 9), j:wanted(t, "#1").patterns[1], j:wanted(t, "#1").outcome, id == j:wanted(t, "#1").id)
    ]], path })
    assert.same({ 0, "", "/a: 1\t^/a\tdone\ttrue\n/b: 1\t^/b\tdone\ttrue" }, { ran.status, ran.err, sorted(ran.out) })
    local j <close> = assert(journal.open(path))
    assert.equal(2, j:run("SELECT count(*) AS n FROM changes")[1].n)
  end)

  it("raises in each target why nothing could be written", function()
    local j <close> = assert(journal.open(path))
    j:run("CREATE TRIGGER no BEFORE INSERT ON wanted BEGIN SELECT RAISE(ABORT, 'no room'); END")
    local ran = support.haplua({ "-s", "/a", "-s", "/b", "-e", [[
      local j <close> = require("haplua.store.journal").open(...)
      local ok, problem = pcall(j.begin, j, { target = "t", acl = "#1", switch = "s", action = "on", patterns = {} })
      print(ok, problem.kind, tostring(problem):match("no room"))
    ]], path })
    assert.same({ 0, "", "/a: false\tjournal\tno room\n/b: false\tjournal\tno room" }, { ran.status, ran.err, sorted(ran.out) })
    assert.equal(0, j:run("SELECT count(*) AS n FROM changes")[1].n)
  end)

  it("has one change a switch at a time, and names the process that makes it", function()
    local j <close> = assert(journal.open(path))
    local other <close> = assert(journal.open(path))
    local lock = j:lock("/s", "#1")
    local elsewhere = other:lock("/s", "#2")
    elsewhere:release()
    assert.is_true(other:locked("/s", "#1"))
    j:begin(change())
    local ok, problem = pcall(other.lock, other, "/s", "#1", 0.05)
    assert.is_false(ok)
    assert.equal("refused", problem.kind)
    assert.matches("#1 is being changed by somebody else: .* %(process %d+%) began 'on' at", problem.message)
    local waiter = task.spawn(other.lock, other, "/s", "#1", 30)
    lock:release()
    waiter:wait():release()
    assert.is_false(other:locked("/s", "#1"))
  end)

  it("has who wants a lock wait for it", function()
    local j <close> = assert(journal.open(path))
    local other <close> = assert(journal.open(path))
    local lock = j:lock("/s", "#1")
    local waiter = task.spawn(other.lock, other, "/s", "#1", 60)
    task.sleep(0.01) -- in which it tries
    assert.is_false(waiter:done())
    lock:release()
    waiter:wait():release()
  end)

  it("records the next change after one that could not be recorded", function()
    local j <close> = assert(journal.open(path))
    local other <close> = assert(journal.open(path))
    other:run("CREATE TRIGGER no BEFORE INSERT ON changes BEGIN SELECT RAISE(ABORT, 'no room'); END")
    assert.matches("no room", tostring(support.failure(j.begin, j, change())))
    other:run("DROP TRIGGER no")
    assert.equal(j:begin(change()), other:wanted("/s", "#1").id)
  end)

  it("has one keeper a target", function()
    local j <close> = assert(journal.open(path))
    assert.is_false(j:kept("/s"))
    local lock = j:keeper("/s")
    assert.is_true(j:kept("/s"))
    assert.is_false(j:kept("/t"))
    assert.is_nil((j:keeper("/s")))
    lock:release()
    assert.is_false(j:kept("/s"))
  end)

  it("says what is wrong with a file that is no journal", function()
    local bad = folder.write("bad.db", ("this is no database\n"):rep(100))
    local ok, problem = pcall(journal.open, bad)
    assert.is_false(ok)
    assert.equal("journal", problem.kind)
    assert.matches("bad.db: ", problem.message)
    assert.is_string(problem.advice)
    local j, why = journal.open(folder.path .. "/none.db", { readonly = true })
    assert.is_nil(j)
    assert.equal("there is none", why)
  end)
end)
