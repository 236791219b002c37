-- SPDX-License-Identifier: MIT
--
-- What haplua did not put there: entries of the bypass list and of the map that others use, what the configuration or a
-- hand has put into the switch's own list, and journals of older versions.

local running = require("running")
local site = require("site")
local support = require("support")

local json = require("haplua.json")
local eventually, good = running.eventually, support.good

--- A site whose lists others use, too. The switch "site" has files; "office" has lists in the configuration.
local function start()
  local s = site.start({
    condition = "!office",
    frontend = [[
    acl office src -u 9998 203.0.113.1 203.0.113.2
    acl passes src -f DIR/bypass.acl
    acl by-file base -i -m reg -f DIR/site.acl
    http-request deny if { path_beg /admin } !passes
    http-response set-header X-Contact %[str(contact),map_str(DIR/info.map,none)]
    use_backend maintenance if by-file !passes]],
    files = {
      ["site.acl"] = "# the site\n", ["bypass.acl"] = "# of all of us\n203.0.113.7\n203.0.113.8\n",
      ["info.map"] = "contact ops@example.com\n",
    },
  })
  s.config = s.folder.write("config.lua", ([[return { default = "site", switches = {
    site = { acl = "DIR/site.acl", bypass = "DIR/bypass.acl", info = "DIR/info.map" },
    office = { acl = "#9999", bypass = "#9998" },
  } }]]):gsub("DIR", s.dir))
  s.journal = s.dir .. "/journal.db"
  return s
end

local s

setup(function()
  s = start()
end)

teardown(function()
  s:close()
end)

before_each(function()
  for _, switch in ipairs({ "site", "office" }) do
    good(s:maint("--switch", switch, "off", "--all"))
  end
end)

local function maint(...)
  return good(s:maint(...))
end

local function status(...)
  return json.decode(maint("status", "--json", ...))
end

local function list(ref)
  return table.concat(s.target:acl_list(ref or s.dir .. "/site.acl"), " ")
end

--- haplua's keep, running until the end of the block.
local function keep(config)
  local r = running.start(s, "-s", s.socket, "scripts/keep.lua", "--journal", s.journal, "--config", config or s.config)
  eventually("it keeps", function()
    return r:out():find("kept to", 1, true) or r:done() and error(r:err(), 0)
  end)
  return setmetatable({ r = r }, {
    __index = r,
    __close = function()
      r:signal("TERM")
      r:wait()
    end,
  })
end

describe("entries of others", function()
  --- Those of the bypass list and of the map are there, in memory and on disk.
  local function are_there(about)
    local lists = {
      [list(s.dir .. "/bypass.acl")] = { "203.0.113.7", "203.0.113.8" },
      [running.content(s.dir .. "/bypass.acl")] = { "# of all of us\n", "203.0.113.7", "203.0.113.8" },
      [running.content(s.dir .. "/info.map")] = { "contact ops@example.com\n" },
      [s.target:map_get(s.dir .. "/info.map", "contact")] = { "ops@example.com" },
    }
    for text, entries in pairs(lists) do
      for _, entry in ipairs(entries) do
        assert.truthy(text:find(entry, 1, true), about .. ": " .. entry .. " is not in:\n" .. text)
      end
    end
  end

  it("of the bypass list and the map stay, whatever is begun, changed and ended", function()
    maint("on", "--path", "/a")
    are_there("on")
    maint("on", "--path", "/b", "--bypass", "127.0.0.0/8", "--reason", "why")
    are_there("on with a bypass")
    assert.equal("page", s:sees("/a"))
    maint("on", "--replace", "--path", "/b", "--bypass", "127.0.0.0/8", "--bypass", "203.0.113.7")
    are_there("replaced")
    assert.equal("application", s:sees("/b"))
    maint("off")
    are_there("off")
    assert.equal("203.0.113.7 203.0.113.8", list(s.dir .. "/bypass.acl"))
    s:reload()
    are_there("reloaded")
    assert.same({ "403 ", {} }, { s:sees("/admin"):sub(1, 4), status().disagreements })
  end)

  it("are not those that haplua has put there, although a new process reads them from a file of a moment before", function()
    maint("on", "--path", "/a", "--bypass", "127.0.0.0/8")
    local old = running.content(s.dir .. "/bypass.acl")
    maint("off")
    s.folder.write("bypass.acl", old)
    s:reload()
    assert.equal("203.0.113.7 203.0.113.8 127.0.0.0/8", list(s.dir .. "/bypass.acl"))
    maint("on", "--path", "/a")
    assert.equal("203.0.113.7 203.0.113.8", list(s.dir .. "/bypass.acl"))
    are_there("on after the reload")
  end)

  it("that were added by hand while a maintenance is in force stay when it ends", function()
    maint("on", "--path", "/a", "--bypass", "127.0.0.0/8")
    s.target:acl_add(s.dir .. "/bypass.acl", "192.0.2.1")
    s.target:map_add(s.dir .. "/info.map", "phone", "112")
    maint("on", "--path", "/b")
    maint("off", "--all")
    are_there("off")
    assert.equal("203.0.113.7 203.0.113.8 192.0.2.1", list(s.dir .. "/bypass.acl"))
    assert.equal("112", s.target:map_get(s.dir .. "/info.map", "phone"))
    s.target:acl_del(s.dir .. "/bypass.acl", "192.0.2.1")
    s.target:map_del(s.dir .. "/info.map", "phone")
    maint("on")
    maint("off")
  end)

  it("are all that pass, beside those whom each maintenance lets pass: on says who is stopped", function()
    local function on(...)
      return maint("--switch", "office", "on", ...)
    end
    assert.matches("passing: 203.0.113.1  203.0.113.2  127.0.0.0/8", on("--path", "/a", "--bypass", "127.0.0.0/8"), 1, true)
    assert.matches("not passing any more: 127.0.0.0/8", on("--path", "/b"), 1, true)
    assert.matches("asked to pass: 192.0.2.0/24", on("--path", "/c", "--bypass", "192.0.2.0/24"), 1, true)
    assert.not_matches("asked to pass", on("--replace", "--path", "/a", "--bypass", "127.0.0.0/8"), 1, true)
    assert.equal("203.0.113.1 203.0.113.2 127.0.0.0/8", list("#9998"))
  end)

  it("and one that haplua put there without a journal stay, and on says so", function()
    assert.matches("without a journal, maint off leaves them", maint("--no-journal", "--switch", "office", "on", "--bypass",
      "192.0.2.1"), 1, true)
    maint("--no-journal", "--switch", "office", "off")
    assert.equal("203.0.113.1 203.0.113.2 192.0.2.1", list("#9998"))
    s.target:acl_del("#9998", "192.0.2.1")
  end)

  it("from the configuration stay in a list without a file", function()
    maint("--switch", "office", "on", "--bypass", "127.0.0.0/8")
    assert.equal("203.0.113.1 203.0.113.2 127.0.0.0/8", list("#9998"))
    assert.equal("application", s:sees("/"))
    maint("--switch", "office", "off")
    assert.equal("203.0.113.1 203.0.113.2", list("#9998"))
    maint("--no-journal", "--switch", "office", "on")
    maint("--no-journal", "--switch", "office", "off")
    assert.equal("203.0.113.1 203.0.113.2", list("#9998"))
  end)
end)

describe("what a hand has put into the list", function()
  it("is one more maintenance, which on leaves and off ends", function()
    s.target:acl_add("#9999", "^/hand")
    local before = status("--switch", "office")
    assert.same({ "by hand" }, { before.maintenances[1].origin })
    assert.equal("by hand", before.disagreements[1].kind)
    local out = maint("--switch", "office", "on", "^/a")
    assert.matches("also in force: m%d+  %^/hand, since [^\n]*, by hand\n", out)
    assert.equal("^/hand ^/a", list("#9999"))
    local ran = s:maint("--switch", "office", "off")
    assert.equal(2, ran.status)
    assert.matches("m%d+  %^/hand, since [^\n]*, by hand\n", ran.err)
    assert.matches("still in force: m%d+  %^/hand", maint("--switch", "office", "off", "--mine"))
    assert.matches("ended: m%d+  %^/hand, since [^\n]*, by hand\n", maint("--switch", "office", "off"))
    assert.equal("", list("#9999"))
  end)

  it("and has removed ends the maintenances concerned, and no other", function()
    maint("--switch", "office", "on", "^/a", "^/both")
    maint("--switch", "office", "on", "^/b")
    s.target:acl_del("#9999", "^/a")
    local now = status("--switch", "office")
    assert.equal("by hand", now.disagreements[1].kind)
    do
      local k <close> = keep()
      eventually("it is reported", function()
        return k:out():find("changed it by hand, and it is kept so: it matches", 1, true)
      end)
    end
    assert.equal("^/both ^/b", list("#9999"))
    now = status("--switch", "office")
    local origins = {}
    for _, m in ipairs(now.maintenances) do
      origins[table.concat(m.scope.patterns, " ")] = m.origin
    end
    assert.same({ { ["^/b"] = "on", ["^/both"] = "by hand" }, {} }, { origins, now.disagreements })
  end)

  it("and has removed is put back, with by_hand = \"undo\", and what is in force beside stays", function()
    local config = s.folder.write("undo.lua", [[return { by_hand = "undo", switches = { office = { acl = "#9999" } } }]])
    maint("--switch", "office", "on", "^/a")
    maint("--switch", "office", "on", "^/b")
    local _ <close> = keep(config)
    s.target:acl_del("#9999", "^/a")
    s.target:acl_add("#9999", "^/hand")
    eventually("it is undone", function()
      return list("#9999") == "^/a ^/b" or list("#9999") == "^/b ^/a" -- HAProxy 2.2 appends what is new
    end)
    eventually("it is recorded", function()
      local now = json.decode(good(s:haplua({ "scripts/maint.lua", "--config", config, "status", "--json" })))
      return #now.disagreements == 0 and #now.maintenances == 2
    end)
  end)
end)

describe("a second name", function()
  it("of a list is its first, or is refused", function()
    maint("--acl", "#09999", "on", "^/a")
    assert.equal("^/a", list("#9999"))
    assert.equal("office", status("--acl", "#9999").switch)
    assert.equal(1, #status("--acl", "#9999").maintenances)
    local all = s.target:send("show acl")
    local number = all:match("(%d+) %([^)]*/site%.acl%)")
    local ran = s:maint("--acl", "#" .. number, "on", "^/b")
    assert.equal(1, ran.status)
    assert.matches(("name it by its file: --acl %s/site.acl"):format(s.dir), ran.err, 1, true)
    assert.equal("", list(s.dir .. "/site.acl"))
  end)

  it("of the socket's path is the same, and another address of the same HAProxy is told", function()
    local port = site.free_port()
    local t <close> = site.start({ global = ("stats socket 127.0.0.1:%d level admin"):format(port) })
    t.journal = t.dir .. "/journal.db"
    good(t:maint("on", "^/a"))
    run({ "ln", "-s", t.socket, t.dir .. "/link.sock" })
    local function on(socket)
      return t:haplua({ "scripts/maint.lua", "on", "^/a", socket = socket })
    end
    assert.matches("m1", good(on(t.dir .. "/./link.sock")), 1, true)
    local ran = on("127.0.0.1:" .. port)
    assert.equal(0, ran.status)
    assert.matches(("127.0.0.1:%d seems to be the HAProxy that the journal knows as %s"):format(port, t.socket), ran.err, 1, true)
  end)
end)

describe("an entry of the list from the configuration", function()
  it("is a maintenance by hand, which on leaves, and off ends and names; a reload brings it back, and status says so", function()
    local t <close> = site.start({ acl = "path -i -u 9999 -m reg ^/configured" })
    t.journal = t.dir .. "/journal.db"
    local function entries()
      return table.concat(t.target:acl_list("#9999"), " ")
    end
    assert.matches("maintenance is on: #9999 matches ^/configured\n", good(t:maint("status")), 1, true)
    good(t:maint("on", "--path", "/a"))
    assert.matches("\nm%d+  %^/configured  [^\n]*  by hand  %-\n", good(t:maint("status")))
    assert.equal("^/configured ^/a", entries())
    good(t:maint("off", "--mine"))
    assert.equal("^/configured", entries())
    assert.matches("ended: m%d+  %^/configured, since [^\n]*, by hand\n", good(t:maint("off")))
    assert.equal("", entries())
    t:reload()
    assert.equal("^/configured", entries())
    assert.matches("\n%-  +%^/configured  [^\n]*  by hand  %-\n.*but wanted is: nothing", "\n" .. good(t:maint("status")))
    good(t:maint("off"))
    assert.equal("", entries())
  end)
end)

describe("an entry of the list's file", function()
  it("that was ended stays so after a reload that reads it again, where keep runs", function()
    local t <close> = site.start({
      frontend = "acl by-file base -i -m reg -f DIR/site.acl\n    use_backend maintenance if by-file",
      files = { ["site.acl"] = "^placeholder\n" },
    })
    t.config = t.folder.write("config.lua", ([[return { switches = { site = { acl = "DIR/site.acl" } } }]]):gsub("DIR", t.dir))
    t.journal = t.dir .. "/journal.db"
    local r = running.start(t, "-s", t.socket, "scripts/keep.lua", "--journal", t.journal, "--config", t.config)
    eventually("it keeps", function()
      return r:out():find("kept to", 1, true) or r:done() and error(r:err(), 0)
    end)
    assert.matches("ended: m%d+  %^placeholder", good(t:maint("off")))
    t.folder.write("site.acl", "^placeholder\n")
    t:reload()
    eventually("it is off again", function()
      return #t.target:acl_list(t.dir .. "/site.acl") == 0
        and #json.decode(good(t:maint("status", "--json"))).disagreements == 0
    end)
    assert.not_matches("by hand, and it is kept so", r:out(), 1, true)
    r:signal("TERM")
    r:wait()
  end)
end)

describe("without a journal", function()
  it("on adds to the list, during removes what it has added, off empties the list", function()
    local function plain(...)
      return maint("--no-journal", "--acl", "#9999", ...)
    end
    plain("on", "^/a")
    local other = table.concat(support.program("-s", s.socket, "scripts/maint.lua", "--no-journal", "--acl", "#9999"), "' '")
    plain("during", "^/b", "--", "sh", "-c", ("'%s' on ^/c"):format(other))
    assert.equal("^/a ^/c", list("#9999"))
    plain("on", "^/a")
    assert.equal("^/a ^/c", list("#9999"))
    assert.matches("^maintenance is off: #9999 matches nothing %(0 added, 2 removed%)\n$", plain("off"))
    local ran = s:maint("--no-journal", "--acl", "#9999", "on", "--for", "1h")
    assert.equal(1, ran.status)
    assert.matches("there is no journal", ran.err, 1, true)
  end)
end)

-- Journals as the haplua of versions 1 and 2 wrote them.

local VERSION_1 <const> = [[
CREATE TABLE changes (id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, target TEXT NOT NULL, acl TEXT NOT NULL,
  switch TEXT NOT NULL, action TEXT NOT NULL, patterns TEXT NOT NULL, bypass TEXT, reason TEXT, since REAL, ends REAL,
  user TEXT NOT NULL, host TEXT NOT NULL, login TEXT, pid INTEGER NOT NULL, before INTEGER, outcome TEXT, ended REAL,
  worker INTEGER, started INTEGER);
CREATE TABLE wanted (target TEXT NOT NULL, acl TEXT NOT NULL, change INTEGER NOT NULL REFERENCES changes(id),
  PRIMARY KEY (target, acl)) WITHOUT ROWID;
CREATE INDEX changes_of ON changes (target, acl, id);
PRAGMA user_version = 1;]]

describe("a journal of an older version", function()
  --- Write one with these changes of #9999, the last of which is wanted.
  local function old_journal(version, ...)
    local path = ("%s/old%d.db"):format(s.dir, version)
    run({ "sh", "-c", 'rm -f "$1"*', "sh", path })
    local db <close> = require("haplua.sqlite").open(path)
    assert(db:script(VERSION_1 .. (version == 2 and "ALTER TABLE changes ADD COLUMN asked TEXT; PRAGMA user_version = 2;" or "")))
    local info, began = s.target:info(), os.time() - 3600
    for i, change in ipairs({ ... }) do
      assert(db:run([[INSERT INTO changes (time, target, acl, switch, action, patterns, reason, since, user, host, pid, outcome,
        ended, worker, started) VALUES (?, ?, '#9999', 'office', ?, ?, ?, ?, 'ann', 'lb1', 1, ?, ?, ?, ?)]],
        began + i, require("haplua.file").real(s.socket), change.action, change.patterns, change.reason, began + i,
        change.outcome, change.outcome and began + i, change.outcome and info.Pid,
        change.outcome and info.Start_time_sec))
    end
    assert(db:run("INSERT INTO wanted SELECT target, acl, max(id) FROM changes"))
    return path
  end

  for version = 1, 2 do
    local function go(path, ...)
      return good(s:haplua({ "scripts/maint.lua", "--journal", path, "--switch", "office", ... }))
    end

    it(("(%d) with a maintenance in force is taken over, with its history"):format(version), function()
      s.target:acl_replace("#9999", { "^/old", "^/older" })
      local path = old_journal(version, { action = "on", patterns = "^/first", outcome = "done" },
        { action = "on", patterns = "^/old\n^/older", reason = "disk", outcome = "done" })
      for _, when in ipairs({ "read", "taken over" }) do
        local text = go(path, "status")
        assert.matches("\nm1  ^/old  ^/older  20", text, 1, true)
        assert.matches("ann@lb1  on      disk\n", text, 1, true)
        if version == 2 or s.target:info().Start_time_sec then
          assert.not_matches("but ", text, 1, true)
        end
        local log = json.decode(go(path, "log", "--json"))
        assert.same({ "^/first" }, log[1].patterns, when)
        if when == "read" then
          go(path, "on", "^/new")
          go(path, "off", "^/new")
        end
      end
      assert.equal("^/old ^/older", list("#9999"))
      go(path, "off")
      assert.equal("", list("#9999"))
    end)

    it(("(%d) with a change that was broken off is taken over"):format(version), function()
      s.target:acl_replace("#9999", { "^/old" })
      local path = old_journal(version, { action = "on", patterns = "^/old", outcome = "done" },
        { action = "on", patterns = "^/new", reason = "disk" })
      local before = go(path, "status")
      assert.matches("m1  ^/new ", before, 1, true)
      assert.matches("but 'on' by ann@lb1 at [^\n]* was broken off", before)
      go(path, "on", "^/beside")
      assert.equal("^/new ^/beside", list("#9999"))
      go(path, "off", "--all")
      assert.equal("", list("#9999"))
    end)

    it(("(%d) of a switch that is off is taken over"):format(version), function()
      s.target:acl_clear("#9999")
      local path = old_journal(version, { action = "on", patterns = "^/old", outcome = "done" },
        { action = "off", patterns = "", outcome = "done" })
      assert.equal("maintenance is off: #9999 matches nothing\n", go(path, "status"))
      assert.equal("maintenance was off already: #9999 matches nothing\n", go(path, "off"))
      assert.same({ "^/old" }, json.decode(go(path, "log", "--json"))[1].patterns)
    end)
  end
end)
