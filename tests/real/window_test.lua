-- SPDX-License-Identifier: MIT
--
-- scripts/window.lua run: maintenance while a window is open, on a real HAProxy.

local running = require("running")
local site = require("site")
local support = require("support")

local json = require("haplua.json")
local moment = require("haplua.time.instant")
local eventually = running.eventually

describe("window run", function()
  local s

  setup(function()
    s = site.start()
    s.journal = s.dir .. "/journal.db"
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    assert(s:maint("off", "--all").status == 0)
  end)

  local function list()
    return table.concat(s.target:acl_list("#9999"), " ")
  end

  local function status()
    return json.decode(s:maint("status", "--json").out)
  end

  --- A window that opens in so many seconds, and lasts so long.
  local function spec(from, length)
    return ("%s for %ds"):format(moment.iso(os.time() + from), length)
  end

  --- window run, until the end of the block.
  local function start(...)
    local r = running.start(s, "-s", s.socket, "scripts/window.lua", ...)
    return setmetatable({ r = r }, {
      __index = r,
      __close = function()
        if not r:done() then
          r:signal("TERM")
          r:wait()
        end
      end,
    })
  end

  local function run_window(...)
    return start("run", "--journal", s.journal, ...)
  end

  --- Wait until a run has opened a window for the whole site. False: it is over, and was not seen open.
  local function seen_open(r)
    local open
    eventually("it is open, or over", function()
      open = list() == "^.*$"
      return open or r:done()
    end)
    return open
  end

  it("is on while it is open, and status tells which and until when", function()
    support.in_time(function(seconds)
      local opens = os.time() + seconds
      local r <close> = start("run", spec(seconds, seconds), "--path", "/shop", "--reason", "weekly", "--journal", s.journal)
      eventually("it is announced", function()
        return r:out():find("next: ", 1, true) or r:done() or os.time() > opens
      end)
      local before = list()
      local in_time = os.time() < opens
      local now
      eventually("it is open and written down, or over", function()
        now = list() == "^/shop" and status()
        return now and #now.disagreements == 0 or r:done()
      end)
      in_time = in_time and os.time() < opens + seconds
      local ran = r:wait()
      assert.equal(0, ran.status, ran.err)
      assert.matches("no window opens any more", ran.out)
      assert.equal("", list())
      if in_time then
        assert.equal("", before)
        local m = now.maintenances[1]
        assert.matches("^window 20", m.origin)
        assert.same({ "weekly", { paths = { "/shop" } } }, { m.reason, m.scope })
        assert.is_string(m["until"])
        assert.same({}, now.disagreements)
        assert.matches("the window [^\n]* is closed: m%d+ ended as planned at [^\n]*; #9999 is off\n", ran.out)
      end
      return in_time
    end, 3)
  end)

  it("enters one that is open already, and leaves what was there before", function()
    assert(s:maint("on", "^/before", "--reason", "mine").status == 0)
    support.in_time(function(seconds)
      local r <close> = run_window(spec(-5, 5 + seconds))
      local seen
      eventually("it is open, or over", function()
        seen = list() == "^/before ^.*$"
        return seen or r:done()
      end)
      assert.equal(0, r:wait().status)
      assert.equal("^/before", list())
      assert.equal("mine", status().maintenances[1].reason)
      assert.equal(seen, r:out():find("the window [^\n]* is open until ") ~= nil)
      return seen
    end, 3)
  end)

  it("stays off when somebody ends it early, also for another run", function()
    local window = spec(-5, 3600)
    local r <close> = run_window(window)
    eventually("it is open", function()
      return list() == "^.*$"
    end)
    assert(s:maint("off").status == 0)
    eventually("no window opens any more", function()
      return r:done()
    end)
    assert.equal("", list())
    local again <close> = run_window(window)
    eventually("it is reported", function()
      return again:out():find("was ended early by [^\n]*: it stays so")
    end)
    assert.equal("", list())
  end)

  it("holds over a reload", function()
    local _ <close> = run_window(spec(-5, 3600))
    eventually("it is open", function()
      return list() == "^.*$"
    end)
    s:reload()
    eventually("it is open again", function()
      return list() == "^.*$"
    end)
  end)

  it("closes at a signal", function()
    local r = run_window(spec(-5, 3600)).r
    eventually("it is open", function()
      return list() == "^.*$"
    end)
    r:signal("TERM")
    r:wait()
    assert.equal("", list())
  end)

  it("closes late when HAProxy could not be reached at the end, also without a journal", function()
    support.in_time(function(seconds)
      local r <close> = start("run", "--no-journal", spec(-5, 5 + seconds))
      local away = seen_open(r) and os.rename(s.socket, s.socket .. ".away")
      eventually("it is reported, or over", function()
        return r:err():find("no such file or directory", 1, true) or r:done()
      end)
      assert(not away or os.rename(s.socket .. ".away", s.socket))
      eventually("it is closed", function()
        return list() == ""
      end)
      local late = r:err() ~= ""
      r:wait()
      assert.matches("is closed: - ended as planned", r:out(), 1, true)
      return late
    end, 3)
  end)

  it("warns early when it could not open", function()
    local r <close> = run_window(spec(3600, 60), "--acl", "#7777")
    eventually("it is reported", function()
      return r:err():find("could not open: ", 1, true)
    end)
    assert.matches("Unknown ACL identifier", r:err())
    assert.equal(1, select(2, r:err():gsub("could not open", "")))
  end)

  it("follows a calendar, and its changes", function()
    local function calendar(from, length, summary)
      local function stamp(t)
        return os.date("!%Y%m%dT%H%M%SZ", t)
      end
      local now = os.time()
      s.folder.write("new.ics", ("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//x//EN\r\nBEGIN:VEVENT\r\nUID:1\r\nDTSTAMP:%s\r\n"
        .. "DTSTART:%s\r\nDTEND:%s\r\nSUMMARY:%s\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"):format(stamp(now), stamp(now + from),
        stamp(now + from + length), summary))
      assert(os.rename(s.dir .. "/new.ics", s.dir .. "/office.ics"))
    end
    calendar(86400, 60, "Maintenance: shop")
    local r <close> = start("calendar", s.dir .. "/office.ics", "--match", "maintenance", "--journal", s.journal)
    eventually("it is announced", function()
      return r:out():find("next: ", 1, true)
    end)
    calendar(-60, 3600, "maintenance of the shop")
    eventually("it is open", function()
      return list() == "^.*$"
    end)
    local ends = status().maintenances[1]["until"]
    calendar(-60, 7200, "maintenance of the shop, longer")
    eventually("its end has moved", function()
      return status().maintenances[1]["until"] > ends
    end)
    assert.equal("^.*$", list())
    assert.same({}, status().disagreements)
    calendar(-60, 3600, "something else")
    eventually("it is closed", function()
      return list() == ""
    end)
  end)

  it("shows on a terminal what it waits for, and what is wrong meanwhile", function()
    local window = ("%s for 1h"):format(moment.iso(os.time() + 86400))
    for _, program in ipairs({ { "scripts/window.lua", "run", window }, { "scripts/keep.lua" } }) do
      local words = { (os.getenv("BUILD") or "build") .. "/typist", "size=150x10" }
      local is_keep = program[3] == nil
      local away, back = ("mv '%s' '%s.away'"):format(s.socket, s.socket), ("mv '%s.away' '%s'"):format(s.socket, s.socket)
      for _, step in ipairs({ is_keep and "see=kept to" or "see=opens in 23 h", "run=" .. away,
        "see=waiting: ", "see=no such file", "see= so far", "run=" .. back,
        is_keep and "see=^M^[[K" or "see=opens in 23 h", "signal=15", "--" }) do
        words[#words + 1] = step
      end
      for _, word in ipairs(support.program("-s", s.socket, table.unpack(program))) do
        words[#words + 1] = word
      end
      table.move({ "--journal", s.journal }, 1, 2, #words + 1, words)
      words.env, words.stdout, words.stderr = { HAPLUA_CONFIG = "none" }, "capture", "capture"
      local ended, out, err = run(words)
      assert.same({ 128 + 15, "" }, { ended, err }, out)
    end
  end)

  it("refuses what it does not understand, before it begins", function()
    local ran = s:haplua({ "scripts/window.lua", "run", "Sun 02:00" })
    assert.equal(2, ran.status)
    ran = s:haplua({ "scripts/window.lua", "run", "Sun 02:00-03:00", "--tz", "Nowhere/Never" })
    assert.equal(2, ran.status)
    ran = s:haplua({ "scripts/window.lua", "run" })
    assert.equal(2, ran.status)
    assert.matches("which window", ran.err)
  end)
end)
