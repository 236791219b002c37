-- SPDX-License-Identifier: MIT

-- The stores of maintenances and changes: what both do, and what the journal alone does, which several processes share.

local etcd = require("haplua.store.etcd")
local memory = require("haplua.store.memory")
local sqlite = require("haplua.store.sqlite")
local support = require("support")

local function with(fields, more)
  for key, value in pairs(more or {}) do
    fields[key] = value
  end
  return fields
end

local function wish(more)
  return with({ target = "/s", acl = "#1", switch = "site", action = "on", patterns = { "^/a", "^/b" }, user = "u",
    host = "h" }, more)
end

local function entity(more)
  return with({ target = "/s", acl = "#1", switch = "site", scope = { paths = { "/a", "/b" } }, origin = "on",
    user = "u", host = "h", begins = 10 }, more)
end

local live <const> = { worker = 42, started = 1000 }

--- The field of each item of a list, in one text.
local function fields(list, name)
  local found = {}
  for i, item in ipairs(list) do
    found[i] = tostring(item[name])
  end
  return table.concat(found, " ")
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

local stores = {
  { name = "the journal", open = function(folder)
    return assert(sqlite.open(folder.path .. "/deep/journal.db"))
  end },
  { name = "the store in memory", open = function()
    return memory.open()
  end },
  { name = "the store of a fleet", open = function()
    local client = require("haplua.test.etcd").new():connect({})
    etcd.init(client, "shop")
    return etcd.open(client, "shop")
  end },
}

for _, one in ipairs(stores) do
  describe(one.name, function()
    local folder, store

    before_each(function()
      folder = support.folder()
      store = one.open(folder)
    end)

    after_each(function()
      store:close()
      getmetatable(folder).__close(folder)
    end)

    --- Record a change that is carried out. Returns its first new maintenance's number.
    local function done(edits, more)
      store:finish(store:begin(wish(more), edits), live)
      return edits[1] and edits[1].add and edits[1].add.id
    end

    it("remembers a maintenance with all its fields", function()
      local m = entity({ scope = { patterns = { "^/x" }, paths = { "/a" }, hosts = { "h1", "h2" } },
        bypass = { "192.0.2.0/24" }, reason = "a 'reason'; --", origin = "window daily", occurrence = "k|1", login = "l",
        pid = 7, begins = 5.5, ends = 7.25 })
      done({ { add = m } })
      local id = m.id
      assert.same({ m }, store:current("/s", "#1"))
      assert.same({ m }, store:current("/s"))
      assert.same(m, store:maintenance("/s", id))
      assert.same(m, store:maintenance(nil, id))
      assert.same(m, store:occurrence("/s", "#1", "k|1"))
      for _, other in ipairs({ { "/t", "#1" }, { "/s", "#2" } }) do
        assert.same({}, store:current(table.unpack(other)))
        assert.is_nil(store:occurrence(other[1], other[2], "k|1"))
      end
      assert.is_nil(store:maintenance("/t", id))
      assert.is_nil(store:occurrence("/s", "#1", "k"))
      store:current("/s", "#1")[1].reason = "changed by a reader"
      assert.equal("a 'reason'; --", store:maintenance("/s", id).reason)
    end)

    it("finds the maintenances of servers beside those of switches", function()
      done({ { add = entity() } })
      local m = entity({ acl = "server app/a1", scope = { server = "app/a1", state = "drain" } })
      done({ { add = m } })
      done({ { add = entity({ acl = "servers" }) } })
      assert.same({ m }, store:servers("/s"))
      assert.same({ m }, store:current("/s", "server app/a1"))
      assert.same({}, store:servers("/t"))
      done({ { of = m, set = { ended = 9, why = "off" } } })
      assert.same({}, store:servers("/s"))
    end)

    it("keeps an empty list of networks apart from none", function()
      local id = done({ { add = entity({ bypass = {} }) } })
      assert.same({}, store:maintenance("/s", id).bypass)
      done({ { of = { id = id }, set = { bypass = false } } })
      assert.is_nil(store:maintenance("/s", id).bypass)
      done({ { of = { id = id }, set = { bypass = { "192.0.2.1" } } } })
      assert.same({ "192.0.2.1" }, store:maintenance("/s", id).bypass)
    end)

    it("changes the fields that an edit names, and clears those that are false", function()
      local id = done({ { add = entity({ reason = "r", ends = 20 }) } })
      done({ { of = { id = id }, set = { reason = false, ends = 30, scope = { hosts = { "h" } } } } })
      local m = store:maintenance("/s", id)
      assert.same({ hosts = { "h" } }, m.scope)
      assert.same({ 30, 10 }, { m.ends, m.begins })
      assert.is_nil(m.reason)
    end)

    it("has those that are not ended, the oldest first, and the ended, the latest first", function()
      local ids = {}
      for i = 1, 5 do
        ids[i] = done({ { add = entity({ reason = tostring(i) }) } })
      end
      for at, i in ipairs({ 4, 1, 3 }) do
        done({ { of = { id = ids[i] }, set = { ended = 100 + at, why = "off", ended_by = "me" } } })
      end
      assert.equal("2 5", fields(store:current("/s", "#1"), "reason"))
      assert.equal("3 1", fields(store:ended("/s", "#1", 2), "reason"))
      assert.equal("3 1 4", fields(store:ended("/s", "#1", 9), "reason"))
      assert.same({}, store:ended("/s", "#2", 9))
      assert.same({ 101, "off", "me" }, { store:maintenance("/s", ids[4]).ended, store:maintenance("/s", ids[4]).why,
        store:maintenance("/s", ids[4]).ended_by })
    end)

    it("remembers a change: under way, and done", function()
      assert.is_nil(store:latest("/s", "#1"))
      local edits = { { add = entity() }, { add = entity() } }
      local begun = store:begin(wish({ reason = "r", bypass = { "192.0.2.0/24" }, ours = {}, since = 5, ends = 7.5 }), edits)
      local latest = store:latest("/s", "#1")
      assert.same({ "^/a", "^/b" }, latest.patterns)
      assert.same({ { "192.0.2.0/24" }, {}, "r", 5, 7.5, "on" },
        { latest.bypass, latest.ours, latest.reason, latest.since, latest.ends, latest.action })
      assert.equal(support.pid(), latest.pid)
      assert.is_nil(latest.outcome)
      assert.is_nil(store:latest_done("/s", "#1"))
      assert.equal(2, #store:current("/s", "#1"))
      store:finish(begun, { worker = 42, started = 1000, asked = "boot 7" }, { "192.0.2.0/24" })
      latest = store:latest_done("/s", "#1")
      assert.same({ "done", 42, 1000, "boot 7", { "192.0.2.0/24" } },
        { latest.outcome, latest.worker, latest.started, latest.asked, latest.ours })
      assert.is_number(latest.ended)
      assert.is_nil(store:latest("/s", "#2"))
      assert.is_nil(store:latest("/t", "#1"))
      store:finish(latest, { worker = 43, started = 1001 })
      assert.same({ 43, { "192.0.2.0/24" } }, { store:latest("/s", "#1").worker, store:latest("/s", "#1").ours })
    end)

    it("takes the edits of a change that fails back", function()
      local id = done({ { add = entity({ reason = "first" }) } })
      local before = store:maintenance("/s", id)
      local added = entity({ origin = "window daily", occurrence = "k|1" })
      local begun = store:begin(wish({ patterns = {} }), {
        { of = { id = id }, set = { ended = 50, why = "off" } }, { add = added },
        { of = { id = id }, set = { reason = "second" } },
      })
      assert.equal("second", store:maintenance("/s", id).reason)
      store:undo(begun, "HAProxy refused")
      assert.same({ before }, store:current("/s", "#1"))
      assert.equal("failed", store:maintenance("/s", added.id).why)
      assert.is_nil(store:occurrence("/s", "#1", "k|1"))
      assert.equal("HAProxy refused", store:log("/s", "#1", 9)[2].outcome)
      assert.same({ "^/a", "^/b" }, store:latest("/s", "#1").patterns)
    end)

    it("leaves a later change when an earlier one fails", function()
      local first = store:begin(wish(), { { add = entity({ reason = "first" }) } })
      local second = store:begin(wish({ patterns = {} }), { { add = entity({ reason = "second" }) } })
      store:undo(first, "late")
      assert.same({}, store:latest("/s", "#1").patterns)
      assert.equal("second", fields(store:current("/s", "#1"), "reason"))
      store:finish(second, live)
      assert.equal("done", store:latest("/s", "#1").outcome)
    end)

    it("lists the latest changes, the oldest first, and the switches", function()
      for i = 1, 5 do
        done({}, { acl = i % 2 == 0 and "#2" or "#1", reason = tostring(i) })
      end
      store:note(wish({ action = "keep", reason = "6", maintenances = "m1" }), live)
      store:edit({ { add = entity({ acl = "#3" }) } })
      assert.equal("4 5 6", fields(store:log("/s", nil, 3), "reason"))
      assert.equal("2 4", fields(store:log("/s", "#2", 9), "reason"))
      assert.same({}, store:log("/t", nil, 9))
      assert.same({ "6", "done", "m1", 42 }, { store:latest("/s", "#1").reason, store:latest("/s", "#1").outcome,
        store:latest("/s", "#1").maintenances, store:latest("/s", "#1").worker })
      local touched = store:touched("/s")
      assert.is_truthy(touched["#1"] and touched["#2"] and touched["#3"])
      assert.is_nil(touched["#4"])
      assert.same({}, store:touched("/t"))
      done({}, { acl = "#2" })
      assert.not_equal(touched["#2"], store:touched("/s")["#2"])
      store:edit({ { add = entity({ acl = "#3" }) } })
      assert.not_equal(touched["#3"], store:touched("/s")["#3"])
    end)

    it("says of a change which maintenances it has begun, ended or changed", function()
      local a = done({ { add = entity() } })
      local name = store:latest("/s", "#1").maintenances
      assert.matches(tostring(math.abs(a)), name)
      done({ { of = { id = a }, set = { reason = "x" } }, { of = { id = a }, set = { reason = "y" } } })
      assert.equal(name, store:latest("/s", "#1").maintenances)
      done({})
      assert.is_nil(store:latest("/s", "#1").maintenances)
    end)
  end)
end

describe("the journal of several processes", function()
  local folder, path

  before_each(function()
    folder = support.folder()
    path = folder.path .. "/deep/journal.db"
  end)

  after_each(function()
    getmetatable(folder).__close(folder)
  end)

  it("is opened by several at once, also when it is new", function()
    local opened = {}
    for i = 1, 6 do
      opened[i] = task.spawn(function()
        return support.haplua({ "-e", [[
          local j <close> = require("haplua.store.sqlite").open(arg[1])
          for i = 1, 20 do
            local m = { target = "/s", acl = "#" .. i, switch = "x", scope = {}, origin = "on", user = "u", host = "h",
              begins = 1, reason = arg[2] }
            j:begin({ target = "/s", acl = "#" .. i, switch = "x", action = "on", patterns = { arg[2] }, user = "u",
              host = "h" }, { { add = m } })
          end]], path, tostring(i) })
      end)
    end
    for _, one in ipairs(opened) do
      local ran = one:wait()
      assert.same({ 0, "" }, { ran.status, ran.err })
    end
    local j <close> = assert(sqlite.open(path))
    assert.equal(120, #j:log("/s", nil, 1000))
    assert.equal(120, #j:current("/s"))
    assert.equal(6, #j:current("/s", "#7"))
    assert.is_truthy(j:touched("/s")["#20"])
  end)

  it("shows the latest changes of all switches, or of few among many", function()
    local j <close> = assert(sqlite.open(path))
    for i = 1, 60 do
      local acl = "#" .. (i % 20 == 0 and 2 or i % 3 + 10)
      j:begin(wish({ acl = acl, reason = tostring(i), target = i % 7 == 0 and "/t" or "/s" }), {})
    end
    assert.equal("54 55 57 58 59 60", fields(j:log("/s", nil, 6), "reason"))
    assert.equal("42 49 56", fields(j:log("/t", nil, 3), "reason"))
    assert.equal("20 40 60", fields(j:log("/s", "#2", 9), "reason"))
    assert.equal(52, #j:log("/s", nil, 1000))
  end)

  it("is read through where it counts: damage there raises `journal`", function()
    local history = require("haplua.store.history")
    local j <close> = assert(sqlite.open(path))
    j:begin(wish({ patterns = { ("^/long"):rep(3000) } }), { { add = entity() } })
    history.read_through(j)
    j:run("PRAGMA wal_checkpoint(TRUNCATE)")
    local whole, file, damaged = require("haplua.file").read(path), folder.path .. "/damaged.db", 0
    for page = 1, #whole // 4096 - 1 do
      folder.write("damaged.db", whole:sub(1, page * 4096) .. ("\xff"):rep(4096) .. whole:sub(page * 4096 + 4097))
      local other <close> = assert(sqlite.open(file))
      local ok, problem = pcall(history.read_through, other)
      damaged = damaged + (ok and 0 or 1)
      assert.is_true(ok or problem.kind == "journal")
    end
    assert.is_true(damaged >= 3, damaged) -- the two tables, and a page of the long text
  end)

  it("has one maintenance for an occurrence, whoever plans it", function()
    local j <close> = assert(sqlite.open(path))
    j:edit({ { add = entity({ occurrence = "k|1" }) } })
    local problem = support.failure(j.edit, j, { { add = entity() }, { add = entity({ occurrence = "k|1" }) } })
    assert.equal("journal", problem.kind)
    assert.equal(1, #j:current("/s"))
    j:edit({ { add = entity({ occurrence = "k|1", acl = "#2" }) }, { add = entity({ occurrence = "k|1", target = "/t" }) } })
  end)

  it("shows a reader what another process has written, and a number that differs then", function()
    local j <close> = assert(sqlite.open(path))
    local other <close> = assert(sqlite.open(path))
    local before = j:version()
    assert.equal(before, j:version())
    other:edit({ { add = entity() } })
    assert.not_equal(before, j:version())
    assert.equal(1, #j:current("/s"))
  end)

  it("records the changes of several targets over one connection", function()
    local ran = support.haplua({ "-s", "/a", "-s", "/b", "-e", [[
      local j <close> = require("haplua.store.sqlite").open(...)
      local t = haproxy.target():address()
      local begun = j:begin({ target = t, acl = "#1", switch = "s", action = "on", patterns = { "^" .. t }, user = "u",
        host = "h" }, {})
      haproxy.barrier()
      j:finish(begun, { worker = 1, started = 2 })
      local latest = j:latest(t, "#1")
      print(#j:log(t, "#1", 9), latest.patterns[1], latest.outcome, begun.id == latest.id)
    ]], path })
    assert.same({ 0, "", "/a: 1\t^/a\tdone\ttrue\n/b: 1\t^/b\tdone\ttrue" }, { ran.status, ran.err, sorted(ran.out) })
    local j <close> = assert(sqlite.open(path))
    assert.equal(2, j:run("SELECT count(*) AS n FROM changes")[1].n)
  end)

  it("raises in each target why nothing could be written", function()
    local j <close> = assert(sqlite.open(path))
    j:run("CREATE TRIGGER no BEFORE INSERT ON changes BEGIN SELECT RAISE(ABORT, 'no room'); END")
    local ran = support.haplua({ "-s", "/a", "-s", "/b", "-e", [[
      local j <close> = require("haplua.store.sqlite").open(...)
      local m = { target = "t", acl = "#1", switch = "s", scope = {}, origin = "on", user = "u", host = "h", begins = 1 }
      local ok, problem = pcall(j.begin, j, { target = "t", acl = "#1", switch = "s", action = "on", patterns = {},
        user = "u", host = "h" }, { { add = m } })
      print(ok, problem.kind, tostring(problem):match("no room"))
    ]], path })
    assert.same({ 0, "", "/a: false\tjournal\tno room\n/b: false\tjournal\tno room" }, { ran.status, ran.err, sorted(ran.out) })
    assert.equal(0, j:run("SELECT (SELECT count(*) FROM changes) + (SELECT count(*) FROM maintenances) AS n")[1].n)
  end)

  it("has one change a switch at a time, and names the process that makes it", function()
    local j <close> = assert(sqlite.open(path))
    local other <close> = assert(sqlite.open(path))
    local lock = j:lock("/s", "#1")
    local elsewhere = other:lock("/s", "#2")
    elsewhere:release()
    assert.is_true(other:locked("/s", "#1"))
    j:begin(wish(), {})
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
    local j <close> = assert(sqlite.open(path))
    local other <close> = assert(sqlite.open(path))
    local lock = j:lock("/s", "#1")
    local waiter = task.spawn(other.lock, other, "/s", "#1", 60)
    task.sleep(0.01) -- in which it tries
    assert.is_false(waiter:done())
    lock:release()
    waiter:wait():release()
  end)

  it("records the next change after one that could not be recorded", function()
    local j <close> = assert(sqlite.open(path))
    local other <close> = assert(sqlite.open(path))
    other:run("CREATE TRIGGER no BEFORE INSERT ON changes BEGIN SELECT RAISE(ABORT, 'no room'); END")
    assert.matches("no room", tostring(support.failure(j.begin, j, wish(), {})))
    other:run("DROP TRIGGER no")
    assert.equal(j:begin(wish(), {}).id, other:latest("/s", "#1").id)
  end)

  it("has one keeper a target", function()
    local j <close> = assert(sqlite.open(path))
    assert.is_false(j:kept("/s"))
    local lock = j:keeper("/s")
    assert.is_true(j:kept("/s"))
    assert.is_false(j:kept("/t"))
    assert.is_nil((j:keeper("/s")))
    lock:release()
    assert.is_false(j:kept("/s"))
  end)

  it("is locked in the same order, whatever the order of several targets", function()
    local function order(...)
      local words = {}
      for _, target in ipairs({ ... }) do
        table.move({ "-s", target }, 1, 2, #words + 1, words)
      end
      table.move({ "-e", [[
        local file = require("haplua.file")
        if not file.asked then -- the first of the targets, which share modules
          local take = file.lock
          file.asked = {}
          function file.lock(path, slot)
            table.insert(file.asked, slot)
            return take(path, slot)
          end
        end
        local j <close> = require("haplua.store.sqlite").open(arg[1])
        local lock <close> = j:lock(tostring(haproxy.target()), "#1")
        haproxy.barrier()
        io.stdout:write(table.concat(file.asked, "\n"))
        file.asked = {}]], path }, 1, 3, #words + 1, words)
      local ran = support.haplua(words)
      assert.same({ 0, "" }, { ran.status, ran.err })
      return ran.out
    end
    local found = order("/a", "/b", "/c", "/d")
    assert.equal(4, select(2, found:gsub("%d+", "")))
    assert.equal(found, order("/d", "/c", "/b", "/a"))
    assert.equal(found, order("/b", "/d", "/a", "/c"))
  end)

  it("removes history that is older than its days, and nothing that is in force or is needed", function()
    local j <close> = assert(sqlite.open(path, { days = 10 }))
    local now = task.time()
    local function old(days, edits, more)
      j:finish(j:begin(wish(more), edits), live)
      j:run("UPDATE changes SET time = ? WHERE id = (SELECT max(id) FROM changes)", now - days * 86400)
    end
    old(30, { { add = entity({ reason = "over", begins = 1, ended = now - 30 * 86400 }) } })
    old(29, { { add = entity({ reason = "in force", begins = 1 }) } })
    old(28, {}, { acl = "#2" })
    old(9, { { add = entity({ reason = "over, but lately", ended = now - 9 * 86400 }) } })
    for _ = 1, 20 do -- it is done now and then
      j:finish(j:begin(wish({ acl = "#3" }), {}), live)
    end
    assert.equal("1 1 20", ("%d %d %d"):format(#j:log("/s", "#1", 99), #j:log("/s", "#2", 99), #j:log("/s", "#3", 99)))
    assert.equal("in force", fields(j:current("/s", "#1"), "reason"))
    assert.equal("over, but lately", fields(j:ended("/s", "#1", 9), "reason"))
  end)

  it("removes old history behind that of many switches, which stays", function()
    local j <close> = assert(sqlite.open(path, { days = 10 }))
    local old = task.time() - 30 * 86400
    local numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) "
    j:run(numbers .. "INSERT INTO switches SELECT '/s', '#k' || i, 1 FROM n")
    j:run(numbers .. [[INSERT INTO changes (time, target, acl, switch, action, patterns, user, host, pid, outcome)
      SELECT ?, '/s', '#k' || i, 'x', 'on', '/', 'u', 'h', 1, 'done' FROM n]], old)
    j:run(numbers .. [[INSERT INTO maintenances (target, acl, switch, origin, user, host, begins)
      SELECT '/s', '#k' || i, 'x', 'on', 'u', 'h', 1 FROM n]])
    j:finish(j:begin(wish(), { { add = entity({ reason = "over", ended = old }) } }), live)
    j:run("UPDATE changes SET time = ?", old)
    for _ = 1, 20 do
      j:finish(j:begin(wish(), {}), live)
    end
    assert.equal(120, #j:log("/s", nil, 999))
    assert.equal("0 100", ("%d %d"):format(#j:ended("/s", "#1", 9), #j:current("/s")))
  end)

  it("is read where a killed process has left it half made", function()
    local made, copy = folder.path .. "/making.db", folder.path .. "/killed.db"
    local db = require("haplua.sqlite").open(made, { mode = "0640" })
    db:run("PRAGMA cache_size = 1")
    db:run("BEGIN IMMEDIATE")
    db:run("CREATE TABLE t (a)")
    for _ = 1, 20 do -- more than the cache holds: SQLite writes into the file
      db:run("INSERT INTO t VALUES (zeroblob(4000))")
    end
    run({ "cp", made, copy })
    run({ "cp", made .. "-journal", copy .. "-journal" })
    db:close()
    local j, why = sqlite.open(copy, { readonly = true })
    assert.is_nil(j)
    assert.equal("there is none", why)
    sqlite.open(copy):close()
  end)

  it("says what is wrong with a file that is no journal", function()
    local bad = folder.write("bad.db", ("this is no database\n"):rep(100))
    local ok, problem = pcall(sqlite.open, bad)
    assert.is_false(ok)
    assert.equal("journal", problem.kind)
    assert.matches("bad.db: ", problem.message)
    assert.is_string(problem.advice)
    local j, why = sqlite.open(folder.path .. "/none.db", { readonly = true })
    assert.is_nil(j)
    assert.equal("there is none", why)
  end)
end)

-- A journal of version 1 or 2, as the haplua of that version wrote it: one maintenance of each switch, the change that
-- `wanted` names.

local OLD <const> = [[
CREATE TABLE changes (id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, target TEXT NOT NULL, acl TEXT NOT NULL,
  switch TEXT NOT NULL, action TEXT NOT NULL, patterns TEXT NOT NULL, bypass TEXT, reason TEXT, since REAL, ends REAL,
  user TEXT NOT NULL, host TEXT NOT NULL, login TEXT, pid INTEGER NOT NULL, before INTEGER, outcome TEXT, ended REAL,
  worker INTEGER, started INTEGER);
CREATE TABLE wanted (target TEXT NOT NULL, acl TEXT NOT NULL, change INTEGER NOT NULL REFERENCES changes(id),
  PRIMARY KEY (target, acl)) WITHOUT ROWID;
CREATE INDEX changes_of ON changes (target, acl, id);
PRAGMA user_version = 1;
]]

local AS_OF_2 <const> = "ALTER TABLE changes ADD COLUMN asked TEXT; PRAGMA user_version = 2;"

--- The SQL of a change: its action, patterns and outcome, and what else is given. It is the one wanted, unless it failed
-- or is a note.
local function old_change(id, action, patterns, outcome, more)
  more = more or {}
  local function text(value)
    return value == nil and "NULL" or type(value) == "number" and ("%g"):format(value) or ("'%s'"):format(value)
  end
  local sql = ("INSERT INTO changes VALUES (%d, %d, '/s', '#1', 's', '%s', '%s', %s, %s, %s, %s, 'root', 'h', NULL, 1, "
    .. "NULL, %s, 6, 42, 1000);\n"):format(id, id, action, patterns, text(more.bypass), text(more.reason), text(more.since),
    text(more.ends), text(outcome))
  local wanted = action ~= "keep" and (outcome == nil or outcome == "done")
  return wanted and sql .. ("INSERT OR REPLACE INTO wanted VALUES ('/s', '#1', %d);\n"):format(id) or sql
end

describe("a journal in a closed folder", function()
  it("stops a user who may not look there, and whose change others would not see", function()
    local folder <close> = support.folder()
    local words = { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--" }
    table.move(support.program("-e", [[
      local ok, problem = pcall(require("haplua.store.sqlite").open, (...))
      print(ok, problem.kind, problem.message)
    ]], folder.path .. "/journal.db"), 1, 4, #words + 1, words)
    words.stdout, words.stderr = "capture", "null"
    local status, out = run(words)
    if status ~= 0 or not support.is_root() then
      return pending("needs root, and a program that others may run")
    end
    assert.equal(("false\tjournal\tthe journal %s/journal.db: this user may not look there\n"):format(folder.path), out)
  end)
end)

describe("a journal of an older version", function()
  --- Write one. Returns its path.
  local function write(folder, version, ...)
    local path = folder.path .. "/journal.db"
    -- in a process of its own: a connection that stays open would have the file's locks
    local sql = OLD .. table.concat({ ... }) .. (version == 2 and AS_OF_2 or "")
    support.good(support.haplua({ "-e", [[
      local db = assert(require("haplua.sqlite").open(arg[1], { mode = "0640" }))
      assert(db:run("PRAGMA journal_mode = WAL"))
      assert(db:script(arg[2]))
    ]], path, sql }))
    return path
  end

  local on = old_change(1, "on", "^/a", "done", { reason = "r", since = 3, ends = 99, bypass = "192.0.2.1\n192.0.2.2" })
  -- what is there, the scopes in force and the latest change's outcome afterwards
  local states = {
    { "an `on`", { on }, "^/a", "done on" },
    { "an `on` that is under way or was broken off", { old_change(1, "on", "^/a\n^/b") }, "^/a ^/b", "nil on" },
    { "an `off`", { on, old_change(2, "off", "", "done") }, "", "done off" },
    { "an `off` that was broken off", { on, old_change(2, "off", "") }, "", "nil off" },
    { "an `off` that failed", { on, old_change(2, "off", "", "refused") }, "^/a", "done on" },
    { "another `on`", { on, old_change(2, "on", "^/b", "done") }, "^/b", "done on" },
    { "another `on` that was broken off", { on, old_change(2, "during", "^/b") }, "^/b", "nil during" },
    { "notes of keep after it", { on, old_change(2, "keep", "^/a", "done"), old_change(3, "keep", "^/a", "done") },
      "^/a", "done on" },
    { "nothing but a failed `on`", { old_change(1, "on", "^/a", "refused") }, "", "nil" },
    { "nothing", {}, "", "nil" },
  }
  for version = 1, 2 do
    for _, state in ipairs(states) do
      it(("%d with %s is taken over, and is read as it is"):format(version, state[1]), function()
        local folder <close> = support.folder()
        local path = write(folder, version, table.unpack(state[2]))
        for _, readonly in ipairs({ true, true, false, false }) do
          local j <close> = assert(sqlite.open(path, { readonly = readonly }))
          local scopes = {}
          for i, m in ipairs(j:current("/s", "#1")) do
            scopes[i] = table.concat(m.scope.patterns, " ")
          end
          assert.equal(state[3], table.concat(scopes, ", "))
          local latest = j:latest("/s", "#1")
          assert.equal(state[4], latest and ("%s %s"):format(latest.outcome, latest.action) or "nil")
          local actions = {}
          for i, entry in ipairs(j:log("/s", "#1", 99)) do
            actions[i] = entry.action
          end
          table.sort(actions)
          local _, expected = table.concat(state[2]):gsub("INSERT INTO changes", "")
          local keeps = readonly and select(2, table.concat(state[2]):gsub("'keep'", "")) or 0
          assert.equal(expected - keeps, #actions, table.concat(actions, " "))
        end
      end)
    end
  end

  it("keeps who, when, why and whom a maintenance lets pass", function()
    local folder <close> = support.folder()
    local path = write(folder, 2, on)
    for _, readonly in ipairs({ true, false }) do
      local j <close> = assert(sqlite.open(path, { readonly = readonly }))
      local m = j:current("/s", "#1")[1]
      assert.same({ "r", "on", "root", "h", 3, 99, { "192.0.2.1", "192.0.2.2" }, 1 },
        { m.reason, m.origin, m.user, m.host, m.begins, m.ends, m.bypass, m.id })
      local latest = j:latest("/s", "#1")
      assert.same({ { "192.0.2.1", "192.0.2.2" }, 42, 1000 }, { latest.ours, latest.worker, latest.started })
    end
  end)

  it("is taken over once, by whichever of several processes is the first", function()
    local folder <close> = support.folder()
    local path, runs = write(folder, 1, on), {}
    for i = 1, 4 do
      runs[i] = task.spawn(support.haplua, { "-e", [[
        local j <close> = require("haplua.store.sqlite").open(arg[1])
        print(#j:current("/s", "#1"), #j:log("/s", "#1", 99))]], path })
    end
    for _, one in ipairs(runs) do
      assert.equal("1\t1\n", support.good(one:wait()))
    end
  end)

  it("has the tables and indexes of a new one", function()
    local folder <close> = support.folder()
    --- Columns and indexes of a journal; version 1 had a column that nothing uses.
    local function shape(path)
      local found = {}
      local j <close> = assert(sqlite.open(path))
      for _, thing in ipairs(j:run("SELECT type, name, tbl_name, sql FROM sqlite_master")) do
        found[#found + 1] = thing.type == "index" and ("%s of %s: %s"):format(thing.name, thing.tbl_name, thing.sql) or nil
        for _, column in ipairs(j:run(("PRAGMA table_info(%s)"):format(thing.name))) do
          found[#found + 1] = thing.type == "table" and column.name ~= "before" and ("%s.%s %s %d %d"):format(
            thing.name, column.name, column.type, column.notnull, column.pk) or nil
        end
      end
      table.sort(found)
      return found
    end
    local new = shape(folder.path .. "/new.db")
    assert.is_true(#new > 40)
    for version = 1, 2 do
      local path = write(folder, version, on)
      assert.same(new, shape(path))
      assert(os.remove(path))
    end
  end)

  it("of a later haplua is refused", function()
    local folder <close> = support.folder()
    local path = write(folder, 2, on)
    local j <close> = assert(sqlite.open(path))
    j:run("PRAGMA user_version = 4")
    for _, readonly in ipairs({ false, true }) do
      assert.matches("was written by a later haplua",
        tostring(support.failure(sqlite.open, path, { readonly = readonly })), 1, true)
    end
  end)
end)
