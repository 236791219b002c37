-- SPDX-License-Identifier: MIT
--
-- scripts/keep.lua: it puts maintenance back after a reload, ends it in time, and keeps what a person changed.

local running = require("running")
local site = require("site")
local support = require("support")

local json = require("haplua.json")
local eventually = running.eventually

local good = support.good

describe("scripts/keep.lua", function()
  local s

  setup(function()
    s = site.start()
    s.journal = s.dir .. "/journal.db"
    s.config = s.folder.write("config.lua", [[return { switches = { site = { acl = "#9999" } } }]])
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    good(s:maint("off", "--all"))
  end)

  local function list()
    return table.concat(s.target:acl_list("#9999"), " ")
  end

  local function disagreements()
    return #json.decode(good(s:maint("status", "--json"))).disagreements
  end

  local function keep(...)
    return running.keep(s, ...)
  end

  it("puts maintenance back after a reload", function()
    local k <close> = keep()
    good(s:maint("on", "^/a", "^/b"))
    for _ = 1, 3 do
      s:reload()
      eventually("it is back", function()
        return list() == "^/a ^/b" and disagreements() == 0
      end)
      assert.same({ "page", "application" }, { s:sees("/a"), s:sees("/") })
    end
    assert.matches("HAProxy's process %d+ was replaced by %d+; #9999 is on for %^/a  %^/b\n", k:out())
    assert.equal("", k:err())
  end)

  it("keeps the switches of a configuration without a default, and so does a window", function()
    local one = s.config
    s.config = s.folder.write("two.lua", [[return { switches = { site = { acl = "#9999" }, other = { acl = "#77" } } }]])
    local _ <close> = setmetatable({}, { __close = function() s.config = one end })
    do
      local k <close> = keep()
      good(s:maint("--switch", "site", "on", "^/a"))
      s:reload()
      eventually("it is back", function()
        return list() == "^/a"
      end)
      assert.equal("", k:err())
    end
    local r = running.start(s, "-s", s.socket, "scripts/window.lua", "run", "daily 00:00-24:00", "--switch", "site",
      "--journal", s.journal, "--config", s.config, "--path", "/w")
    eventually("it is open", function()
      return r:done() or #s.target:acl_list("#9999") == 2
    end)
    s:reload()
    eventually("it is back", function()
      return r:done() or #s.target:acl_list("#9999") == 2
    end)
    r:signal("TERM")
    assert.equal(143, r:wait().status, r:err())
    local ran = s:haplua({ "scripts/window.lua", "run", "daily 00:00-24:00" })
    assert.equal(1, ran.status)
    assert.matches("which switch? --switch takes one of other, site", ran.err, 1, true)
    good(s:maint("--switch", "site", "off", "--all"))
  end)

  it("misses no reload right behind a change", function()
    local _ <close> = keep()
    for i = 1, 15 do
      good(s:maint("on", "--replace", "^/" .. i))
      s:reload()
      eventually("it is back", function()
        return list() == "^/" .. i
      end)
    end
  end)

  it("does without what the system has none left of", function()
    local chunk = ([[
      require("haplua.watch").open = function()
        return nil, "too many open files", "EMFILE"
      end
      return require("haplua.maintenance").keep({ journal = %q, config = %q })
    ]]):format(s.journal, s.config)
    local r = running.start(s, "-s", s.socket, "-e", chunk)
    eventually("it keeps", function()
      return r:out():find("kept to", 1, true) or r:done()
    end)
    good(s:maint("on", "^/a"))
    s:reload()
    eventually("it is back", function()
      return r:done() or list() == "^/a" and disagreements() == 0
    end)
    r:signal("TERM")
    assert.equal(143, r:wait().status, r:err())
    assert.matches("#9999 is on for ^/a\n", r:out(), 1, true)
    assert.matches("no file can be watched %(too many open files%): a reload is noticed within a second\n", r:err())
  end)

  it("puts back what was lost while it did not run", function()
    good(s:maint("on", "^/a"))
    s:reload()
    assert.equal("", list())
    local _ <close> = keep()
    eventually("it is back", function()
      return list() == "^/a"
    end)
  end)

  it("ends what has an end, and says so in the journal", function()
    local k <close> = keep()
    support.in_time(function(seconds)
      local begun = os.time()
      good(s:maint("on", "^/a", "--for", seconds .. "s", "--reason", "short"))
      local meanwhile = list()
      local in_time = os.time() < begun + seconds
      eventually("it has ended", function()
        return list() == ""
      end)
      assert.equal(in_time and "^/a", in_time and meanwhile)
      return in_time
    end, 2)
    eventually("it is reported", function()
      return k:out():find("ended as planned", 1, true)
    end)
    local log = json.decode(good(s:maint("log", "--json", "--last", "1")))
    assert.same({ "expire", "done" }, { log[1].action, log[1].outcome })
    assert.equal(0, disagreements())
    s:reload()
    task.sleep(1.5)
    assert.equal("", list())
  end)

  it("ends what a process would end, and has not at its end, and leaves what is in force beside", function()
    local k <close> = keep()
    good(s:maint("on", "^/before", "--reason", "mine"))
    local ran = s:haplua({ "-e", [[
      local c = require("haplua.apply.context").open({})
      require("haplua.maintenance").during({ patterns = { "^/a" }, ends = require("task").time() + 0.1 }, function(result)
        while not c.store:maintenance(c.name, result.about.id).ended do
          require("task").sleep(0.05)
        end
      end)
    ]] })
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.equal("^/before", list())
    assert.equal("mine", json.decode(good(s:maint("status", "--json"))).maintenances[1].reason)
    eventually("it is reported", function()
      return k:out():find("ended as planned: m%d+, at")
    end)
  end)

  it("keeps a change made by hand, and reports it", function()
    local k <close> = keep()
    good(s:maint("on", "^/a"))
    s.target:acl_replace("#9999", { "^/hand" })
    eventually("it is reported", function()
      return k:out():find("changed it by hand, and it is kept so: it matches ^/hand; #9999 is on for ^/hand", 1, true)
    end)
    assert.equal("^/hand", list())
    s:reload()
    eventually("it is back", function()
      return list() == "^/hand"
    end)
    s.target:acl_clear("#9999")
    eventually("it is reported", function()
      return k:out():find("it is kept so: it matches nothing; #9999 is off", 1, true)
    end)
    s:reload()
    task.sleep(1.5)
    assert.equal("", list())
    assert.equal(0, disagreements())
  end)

  it("undoes a change made by hand with by_hand = undo, also of an ACL that is not declared", function()
    for _, switches in ipairs({ '{ site = { acl = "#9999" } }', '{ other = { acl = "#9001" } }' }) do
      s.folder.write("undo.lua", ('return { by_hand = "undo", switches = %s }'):format(switches))
      local k <close> = keep("--config", s.dir .. "/undo.lua")
      good(s:maint("on", "^/a"))
      s.target:acl_clear("#9999")
      eventually("it is undone", function()
        return list() == "^/a"
      end)
      eventually("it is reported", function()
        return k:out():find("somebody had changed it by hand: it matched nothing; #9999 is on for ^/a", 1, true)
      end)
    end
  end)

  it("waits while HAProxy cannot be reached, and reports that once", function()
    local k <close> = keep()
    good(s:maint("on", "^/a"))
    assert(os.rename(s.socket, s.socket .. ".away"))
    eventually("it is reported", function()
      return k:err():find("no such file or directory", 1, true)
    end)
    task.sleep(3)
    assert.equal(1, select(2, k:err():gsub("\n", "")), k:err())
    haproxy.connect(s.socket .. ".away"):acl_clear("#9999")
    require("haplua.store.sqlite").open(s.journal):run("UPDATE changes SET worker = 1") -- as if it were another process
    assert(os.rename(s.socket .. ".away", s.socket))
    eventually("it is back", function()
      return list() == "^/a"
    end)
  end)

  it("ends when its journal is moved away", function()
    local journal = s.journal
    local _ <close> = setmetatable({}, { __close = function() s.journal = journal end })
    s.journal = s.dir .. "/moved.db"
    local r = running.start(s, "-s", s.socket, "scripts/keep.lua", "--journal", s.journal, "--config", s.config)
    eventually("it keeps", function()
      return r:out():find("kept to", 1, true) or r:done()
    end)
    assert(os.rename(s.journal, s.dir .. "/old.db"))
    assert.equal(1, r:wait().status)
    assert.matches("moved.db: was moved away or replaced while it was in use", r:err(), 1, true)
    good(s:maint("off", "--all"))
  end)

  it("is the only one of its target", function()
    local _ <close> = keep()
    local ran = s:haplua({ "scripts/keep.lua" })
    assert.equal(1, ran.status)
    assert.matches("another process keeps .* already", ran.err)
  end)

  it("counts only where it may change all of its target", function()
    for _, option in ipairs({ "-n", "--read-only" }) do
      local ran = s:haplua({ option, "scripts/keep.lua" })
      assert.equal(1, ran.status, ran.err)
    end
    local r = running.start(s, "-s", s.socket, "--only", "#9999", "scripts/keep.lua", "--journal", s.journal, "--config",
      s.config)
    eventually("it keeps", function()
      return r:out():find("kept to", 1, true) or r:done()
    end)
    local ran = s:maint("on", "^/a", "--for", "1h")
    assert.equal(1, ran.status)
    assert.matches("nobody would end this maintenance", ran.err, 1, true)
    good(s:maint("on", "^/a"))
    s.target:acl_clear("#9999")
    r:signal("TERM")
    assert.equal(143, r:wait().status, r:err())
  end)

  it("notifies systemd that it is ready, alive, and in trouble", function()
    local path = s.dir .. "/notify"
    local listener <close> = task.spawn(run, {
      "socat", "-u", "unix-recv:" .. path, "create:" .. s.dir .. "/notified", stderr = "null",
    })
    eventually("the listener listens", function()
      return require("haplua.file").info(path) ~= nil
    end)
    local keeper <close> = task.spawn(run, {
      support.program()[1], "-s", s.socket, "scripts/keep.lua",
      env = { HAPLUA_JOURNAL = s.journal, HAPLUA_CONFIG = s.config, NOTIFY_SOCKET = path, WATCHDOG_USEC = "2000000" },
      stdout = "null", stderr = "null",
    })
    eventually("systemd knows", function()
      local notified = running.content(s.dir .. "/notified")
      return notified:find("READY=1", 1, true) and select(2, notified:gsub("WATCHDOG=1", "")) >= 3
    end)
    assert(os.rename(s.socket, s.socket .. ".away"))
    eventually("systemd knows of the trouble", function()
      return running.content(s.dir .. "/notified"):find("STATUS=in trouble: [^\n]*no such file or directory")
    end)
    assert(os.rename(s.socket .. ".away", s.socket))
    eventually("systemd knows that it is over", function()
      return running.content(s.dir .. "/notified"):find("in trouble.*STATUS=keeps ")
    end)
    assert.is_false(listener:done())
    assert.is_false(keeper:done())
  end)
end)
