-- SPDX-License-Identifier: MIT
--
-- The lists of a switch while maint changes them: in which order, and what stays of a change that fails.

local task = require("haplua.task")
local test = require("haplua.test")

local CONFIG = [[return {
  journal = %q,
  switches = { site = { acl = "#9999", bypass = "#9998", info = "info.map", file = false, allow = { "192.0.2.1" } } },
  default = "site",
}]]

-- 2.2 changes a list entry by entry; later versions commit it as a whole
for _, version in ipairs({ "2.2", "2.6", "3.2" }) do
  describe("on HAProxy " .. version, function()
    local site, config

    before_each(function()
      config = test.folder() .. "/config.lua"
      local f <close> = assert(io.open(config, "w"))
      f:write(CONFIG:format(test.folder() .. "/journal.db"))
      site = test.haproxy({
        version = version, maps = { ["info.map"] = {} },
        acls = { ["#9999"] = { match = "reg" }, ["#9998"] = { fetch = "src", entries = { "192.0.2.1" } } },
      })
    end)

    --- Run maint. Returns the lists in the order in which the command began to put changes of them in force, and what
    -- run() returns.
    local function maint(...)
      local begin, lists, seen = #site.log + 1, {}, {}
      local ran = test.run("scripts/maint.lua", "--config", config, ...)
      for i = begin, #site.log do
        local list = site.log[i]:match("^add %a+ ([^@ ]+)") or site.log[i]:match("^del %a+ (%S+)")
          or site.log[i]:match("^clear %a+ ([^@ ]+)$") or site.log[i]:match("^commit %a+ @%d+ (%S+)")
        if list and not seen[list] then
          seen[list] = true
          lists[#lists + 1] = list
        end
      end
      return table.concat(lists, " "), ran
    end

    it("the clients that pass are there before others are stopped, and stay until nobody is", function()
      assert.equal("#9998 info.map #9999", (maint("on", "--bypass", "192.0.2.7", "^/a", "^/b")))
      assert.equal("#9999 info.map #9998", (maint("off")))
      assert.same({ "192.0.2.1" }, site:acl("#9998"))
    end)

    it("a change that fails leaves every list as it was", function()
      maint("on", "--reason", "first", "^/a", "^/b")
      local before = site:map("info.map")
      local _, ran = maint("on", "--reason", "second", "--bypass", "192.0.2.7", "^/c", "(")
      assert.equal(1, ran.status)
      assert.matches("regex '%(' is invalid", ran.err)
      assert.same({ { "^/a", "^/b" }, { "192.0.2.1" }, before }, { site:acl("#9999"), site:acl("#9998"), site:map("info.map") })
    end)
  end)
end

describe("several HAProxys with a journal", function()
  local fakes, journal

  before_each(function()
    fakes, journal = {}, test.folder() .. "/journal.db"
    for i = 1, 9 do
      fakes[i] = test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
    end
  end)

  it("are changed without a wait where nobody holds a lock", function()
    local begin = task.now()
    local ran = test.run({ "scripts/maint.lua", "on", "--journal", journal, on = fakes })
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.equal(begin, task.now())
  end)

  it("wait for a lock that somebody holds, and leave none behind when they are stopped meanwhile", function()
    assert.equal(0, test.run({ "scripts/maint.lua", "on", "--journal", journal, on = fakes }).status)
    local store <close> = assert(require("haplua.store.sqlite").open(journal))
    local names = {}
    for _, row in ipairs(store:run("SELECT DISTINCT target FROM changes")) do
      names[#names + 1] = row.target
    end
    assert.equal(#fakes, #names)
    for _, name in ipairs(names) do
      local lock = store:lock(name, "#9999")
      for _, ends in ipairs({ "stop", "wait" }) do
        local started = test.start({ "scripts/maint.lua", "off", "--journal", journal, on = fakes })
        test.advance(1)
        assert.is_false(started:done())
        if ends == "wait" then
          lock:release()
        end
        assert.equal(ends == "wait" and 0 or 143, started[ends](started).status)
      end
      assert.equal(0, test.run({ "scripts/maint.lua", "on", "--journal", journal, on = fakes }).status)
    end
  end)
end)

describe("a copy of scripts/maint.lua", function()
  it("has rules of its own, for each command", function()
    local policy, journal = test.folder() .. "/maint.lua", test.folder() .. "/journal.db"
    local f <close> = assert(io.open("scripts/maint.lua"))
    local copy = assert(io.open(policy, "w"))
    copy:write((f:read("a"):gsub("= (maintenance%.(%a+)),", [[= function(request)
      assert("%2" == "status" or request.reason or request.all, "%2: why?")
      print("before %2")
      return %1(request)
    end,]])))
    copy:close()
    local site = test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
    local function maint(...)
      return test.run(policy, "--journal", journal, ...)
    end
    for _, words in ipairs({ { "on", "^/a" }, { "off" }, { "change", "--no-end" } }) do
      local ran = maint(table.unpack(words))
      assert.equal(1, ran.status)
      assert.matches(words[1] .. ": why%?", ran.err)
      assert.same({}, site:acl("#9999"))
    end
    assert.matches("^before on\nmaintenance is on", maint("on", "--reason", "new", "^/a").out)
    assert.matches("^before change\n", maint("change", "--reason", "newer").out)
    assert.matches("^before status\n", maint("status").out)
    assert.same({ "^/a" }, site:acl("#9999"))
    assert.matches("^before off\nmaintenance is off", maint("off", "--all").out)
    assert.same({}, site:acl("#9999"))
  end)
end)
