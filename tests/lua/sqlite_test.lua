-- SPDX-License-Identifier: MIT

local sqlite = require("haplua.sqlite")
local support = require("support")

local code, refused = support.code, support.refused

local function mode_of(path)
  local _, out = run({ "stat", "-c", "%a", path, stdout = "capture" })
  return out:match("%d+")
end

local function exists(path)
  local f = io.open(path)
  if f then
    f:close()
  end
  return f ~= nil
end

--- Fail the test where a call that must succeed has failed.
local function ok(...)
  assert(...)
  return ...
end

describe("a database", function()
  local folder, path

  before_each(function()
    folder = support.folder()
    path = folder.path .. "/journal"
  end)

  after_each(function()
    local _ <close> = folder
  end)

  it("is created with its mode whatever the umask", function()
    local r = support.shell([[umask 077; exec "$@"]], "-e", ([[
      local sqlite = require("haplua.sqlite")
      assert(sqlite.open(%q))
      assert(sqlite.open(%q, { mode = "0664" }))
    ]]):format(path, path .. "2"))
    assert.same({ status = 0, out = "", err = "" }, r)
    assert.equal("640", mode_of(path))
    assert.equal("664", mode_of(path .. "2"))
    ok(sqlite.open(path, { mode = "0600" }))
    assert.equal("640", mode_of(path))
  end)

  it("keeps each kind of value, to the byte", function()
    local db <close> = ok(sqlite.open(path))
    ok(db:script("create table t (a, b, c, d, e, f)"))
    local text = "\0\1\xff'\"; --\n" .. ("x"):rep(100000)
    ok(db:run("insert into t values (?, ?, ?, ?, ?, ?)", nil, math.mininteger, 0.5, text, "", true))
    ok(db:run("insert into t values (?, ?, ?, ?, ?, ?)", "1", 1.0, 1 / 0, "007", false, nil))
    local rows = ok(db:run("select * from t"))
    assert.same({
      { b = math.mininteger, c = 0.5, d = text, e = "", f = 1 },
      { a = "1", b = 1.0, c = 1 / 0, d = "007", e = 0 },
    }, rows)
    assert.equal("integer", math.type(rows[1].b))
    assert.equal("float", math.type(rows[2].b))
    assert.same({ { n = 1, s = "x" } }, (db:run("select 1 as n, ? as s", "x")))
  end)

  it("counts the rows that a statement changed", function()
    local db <close> = ok(sqlite.open(path))
    local function run_it(...)
      local rows, n = db:run(...)
      assert.same({}, rows)
      return n
    end
    assert.equal(0, run_it("create table t (a unique)"))
    assert.equal(3, run_it("insert into t values (1), (2), (3)"))
    assert.equal(0, run_it("create table u (a)"))
    assert.equal(2, run_it("update t set a = a + 10 where a > 1"))
    assert.equal(0, run_it("update t set a = 0 where a = 99"))
    local rows, n = db:run("select a from t order by a")
    assert.same({ { a = 1 }, { a = 12 }, { a = 13 } }, rows)
    assert.equal(0, n)
    rows, n = db:run("delete from t where a > 5 returning a")
    assert.same({ { a = 12 }, { a = 13 } }, rows)
    assert.equal(2, n)
  end)

  it("runs a statement again and again, and others in between", function()
    local db <close> = ok(sqlite.open(path))
    ok(db:script("create table t (a); create index i on t (a);"))
    for i = 1, 300 do
      ok(db:run("insert into t values (?)", i))
      assert.equal(i, ok(db:run("select " .. i .. " as n"))[1].n)
    end
    assert.equal(300, ok(db:run("select count(*) as n from t"))[1].n)
    -- the kept statements follow a change of the schema
    ok(db:script("alter table t add column b default 7"))
    ok(db:run("insert into t values (?, ?)", 1, 2))
    assert.same({ a = 300, b = 7 }, ok(db:run("select * from t where a = ?", 300))[1])
  end)

  it("survives the use of a statement within itself", function()
    local db <close> = ok(sqlite.open(path))
    ok(db:script("create table t (a); insert into t values (1), (2), (3)"))
    local got
    do
      setmetatable({}, { __gc = function()
        got = db:run("select a from t")
      end })
    end
    local rows
    repeat
      rows = ok(db:run("select a from t"))
      collectgarbage("step")
    until got
    assert.same({ { a = 1 }, { a = 2 }, { a = 3 } }, rows)
    assert.same(rows, got)
  end)

  it("says what failed, with SQLite's name for it", function()
    local db <close> = ok(sqlite.open(path))
    assert.equal("ERROR", code(db:run("selekt 1")))
    assert.equal("ERROR", code(db:run("select * from nowhere")))
    ok(db:script("create table t (a unique not null)"))
    ok(db:run("insert into t values (1)"))
    assert.equal("CONSTRAINT", code(db:run("insert into t values (1)")))
    assert.equal("CONSTRAINT", code(db:run("insert into t values (?)", nil)))
    assert.equal("ERROR", code(db:script("insert into t values (2); nonsense; insert into t values (3)")))
    assert.same({ { a = 1 }, { a = 2 } }, (db:run("select a from t")))
    assert.equal("CANTOPEN", code(sqlite.open(folder.path .. "/no/folder")))
    assert.equal("CANTOPEN", code(sqlite.open(folder.path .. "/none", { readonly = true })))
    assert.is_false(exists(folder.path .. "/none"))
    local read <close> = ok(sqlite.open(path, { readonly = true }))
    assert.equal("READONLY", code(read:run("insert into t values (4)")))
    assert.equal(2, #read:run("select a from t"))
    local none <close> = ok(sqlite.open(folder.write("text", ("no database\n"):rep(100))))
    assert.equal("NOTADB", code(none:run("select * from sqlite_master")))
    ok(db:script("pragma max_page_count = 4"))
    assert.equal("FULL", code(db:run("create table u as select zeroblob(100000)")))
  end)

  it("says BUSY at once while another process writes", function()
    local db <close> = ok(sqlite.open(path))
    ok(db:script("pragma journal_mode = wal; create table t (a)"))
    local ready, go = support.event(), folder.path .. "/go"
    run({ "mkfifo", go })
    local words = support.program("-e", ([[
      local db <close> = assert(require("haplua.sqlite").open(%q))
      assert(db:run("begin immediate"))
      assert(db:run("insert into t values (1)"))
      print("ready")
      io.stdout:flush()
      run({ "cat", %q })
      assert(db:run("commit"))
    ]]):format(path, go))
    function words.stdout()
      ready.set(true)
    end
    local other <close> = task.spawn(run, words)
    ready.wait()
    local result, _, name = db:run("insert into t values (2)")
    assert.is_nil(result)
    assert.equal("BUSY", name)
    assert.same({}, (db:run("select a from t"))) -- who reads is not in the way
    run({ "sh", "-c", ": >" .. go })
    assert.equal(0, (other:wait()))
    ok(db:run("insert into t values (2)"))
    assert.same({ { a = 1 }, { a = 2 } }, (db:run("select a from t order by a")))
  end)

  it("keeps what was written when the process is killed", function()
    local r = support.signalled({ "KILL" }, ([[
      local db = assert(require("haplua.sqlite").open(%q))
      assert(db:script("pragma journal_mode = wal; pragma synchronous = full; create table t (a)"))
      assert(db:run("insert into t values (1)"))
      assert(db:run("begin immediate"))
      assert(db:run("insert into t values (2)"))
      ready()
      task.sleep(60)
    ]]):format(path))
    assert.equal(128 + 9, r.status)
    local db <close> = ok(sqlite.open(path))
    assert.same({ { a = 1 } }, (db:run("select a from t")))
    ok(db:run("insert into t values (3)"))
  end)

  it("closes without a checkpoint, and leaves its write-ahead log", function()
    local db = ok(sqlite.open(path, { mode = "0660" }))
    ok(db:script("pragma journal_mode = wal; create table t (a); insert into t values (1)"))
    ok(db:run("select * from t"))
    db:close()
    db:close()
    assert.is_true(exists(path .. "-wal"))
    assert.equal("660", mode_of(path .. "-wal"))
    local again <close> = ok(sqlite.open(path))
    assert.same({ { a = 1 } }, (again:run("select * from t")))
  end)

  it("closes its file, also while statements are prepared", function()
    local function open_files()
      local _, out = run({ "sh", "-c", ('ls -l /proc/%d/fd | grep -c -F "%s"'):format(support.pid(), path), stdout = "capture" })
      return tonumber(out)
    end
    do
      local db <close> = ok(sqlite.open(path))
      ok(db:script("create table t (a)"))
      ok(db:run("select * from t"))
      assert.equal(1, open_files())
      assert.matches("^database: " .. path:gsub("%p", "%%%0"), tostring(db))
    end
    assert.equal(0, open_files())
    ok(sqlite.open(path))
    collectgarbage()
    collectgarbage()
    assert.equal(0, open_files())
  end)

  it("takes every path for one of a file", function()
    for _, name in ipairs({ ":memory:", "file:x?mode=memory", "file::memory:" }) do
      local words = support.program("-e", [[
        local db <close> = assert(require("haplua.sqlite").open(...))
        assert(db:script("create table t (a)"))
      ]], name)
      words.cwd, words.stdin = folder.path, ""
      assert.equal(0, (run(words)))
      assert.is_true(exists(folder.path .. "/" .. name), name)
    end
  end)

  it("runs no extension, and trusts no schema", function()
    local db <close> = ok(sqlite.open(path))
    assert.is_nil((db:run("select load_extension('x')")))
    ok(db:script("pragma writable_schema = on"))
    assert.matches("may not be modified", select(2, db:run("delete from sqlite_master")))
    assert.equal(0, ok(db:run("pragma trusted_schema"))[1].trusted_schema)
  end)

  it("serves a finalizer that runs after its kept statement's own", function()
    -- Used to crash: all three die in one cycle, and the statement is finalized first.
    local rows
    do
      local db = ok(sqlite.open(path))
      ok(db:script("create table t (a); insert into t values (1)"))
      local _ = setmetatable({}, { __gc = function()
        rows = db:run("select a from t")
      end })
      ok(db:run("select a from t"))
    end
    collectgarbage()
    collectgarbage()
    assert.same({ { a = 1 } }, rows)
  end)

  -- A finalizer of the script runs within a call that allocates. Where it runs depends on how far the collector
  -- is: so it is tried with other amounts of garbage before.
  it("raises where a finalizer closes it during a call", function()
    local function close_during(call, garbage)
      local db = ok(sqlite.open(path))
      ok(db:run("select 1"))
      collectgarbage()
      collectgarbage("stop")
      local _ = setmetatable({}, { __gc = function() db:close() end })
      _ = nil
      for _ = 1, garbage do
        _ = {}
      end
      collectgarbage("restart")
      local pause, step = collectgarbage("setpause", 0), collectgarbage("setstepmul", 1000)
      local done, problem = pcall(call, db)
      collectgarbage("setpause", pause)
      collectgarbage("setstepmul", step)
      local closed = tostring(db) == "database: closed"
      db:close()
      assert.is_true(done or tostring(problem):find("the database %a+ closed") ~= nil, tostring(problem))
      return closed and not done
    end

    local db <close> = ok(sqlite.open(path))
    ok(db:script("create table long (a, b)"))
    for i = 1, 50 do
      ok(db:run("insert into long values (?, ?)", i, ("x"):rep(100)))
    end
    local interrupted = 0
    for garbage = 0, 2000, 50 do
      interrupted = interrupted + (close_during(function(d)
        return ok(d:run("select a, b from long"))
      end, garbage) and 1 or 0)
      close_during(function(d)
        return ok(d:run("select 1"))
      end, garbage)
      close_during(function(d)
        return ok(d:run("select ?, ? -- " .. garbage, 1, "x"))
      end, garbage)
    end
    assert.is_true(interrupted > 0)
  end)

  it("raises where a finalizer closes it between two rows", function()
    local db = ok(sqlite.open(path))
    collectgarbage()
    do
      setmetatable({}, { __gc = function() db:close() end })
    end
    -- so much memory that the collector runs before the last row
    refused("the database %a+ closed", db.run, db, [[with recursive n (i) as (select 1 union all select i + 1 from n
      where i < 400) select i, zeroblob(100000) as b from n]])
    assert.equal("database: closed", tostring(db))
  end)

  it("refuses misuse", function()
    local db = ok(sqlite.open(path))
    refused("one SQL statement", db.run, db, "select 1; select 2")
    refused("one SQL statement", db.run, db, "-- nothing")
    refused("SQL expected", db.run, db, "select 1\0; drop table t")
    refused("1 parameters expected, got 0", db.run, db, "select ?")
    refused("1 parameters expected, got 2", db.run, db, "select ?", 1, nil)
    refused("nil, boolean, number or string", db.run, db, "select ?", {})
    refused("unknown option 'modus'", sqlite.open, path, { modus = "0600" })
    refused("mode: a string expected, got number", sqlite.open, path, { mode = 640 })
    refused("octal", sqlite.open, path, { mode = "0888" })
    refused("a path", sqlite.open, "")
    assert.same({ { ["1"] = 1 } }, (db:run("select 1; -- and no more\n ; ")))
    db:close()
    refused("closed", db.run, db, "select 1")
    refused("closed", db.script, db, "select 1")
    assert.equal("database: closed", tostring(db))
  end)
end)
