-- SPDX-License-Identifier: MIT

-- `maint` on a fleet: what people see, and the exit status.

local json = require("haplua.json")
local test = require("haplua.test")
package.path = "tests/fleet/?.lua;" .. package.path
local fleets = require("fleets")
local good = fleets.good

describe("maint, of a fleet,", function()
  local fleet

  before_each(function()
    fleet = fleets.new(3)
    test.advance(2)
  end)

  local function maint(...)
    return fleet:maint(...)
  end

  it("begins and ends on all nodes, and says so", function()
    assert.equal("m1 is in force: /shop, on 3 of 3 nodes of the fleet shop\n  reason: db\n",
      good(maint("on", "--path", "/shop", "--reason", "db")))
    assert.same({ "^/shop", "^/shop", "^/shop" }, fleet:lists())
    assert.equal("m2 is in force: the whole site, on 3 of 3 nodes of the fleet shop\n", good(maint("on")):match("^[^\n]*\n"))
    local which = maint("off")
    assert.same({ 2, "" }, { which.status, which.out })
    assert.contains("maint off takes ids", which.err)
    assert.contains("m2 ended, on 3 of 3 nodes of the fleet shop\n  still in force: m1  /shop", good(maint("off", "m2")))
    assert.equal("m1 ended, on 3 of 3 nodes of the fleet shop\n", good(maint("off")))
    assert.same({ "", "", "" }, fleet:lists())
    assert.equal("no maintenance was in force in the fleet shop\n", good(maint("off")))
    maint("on", "--server", "app/a1", "--within", "1") -- the nodes may have no such server
    assert.equal("no maintenance was in force in the fleet shop\n"
      .. "  app/a1 is under maintenance: maint off --server app/a1 ends it\n", good(maint("off")))
  end)

  it("shows with -n what would be done, and changes nothing", function()
    good(maint("on", "--path", "/a", "--reason", "db"))
    local haproxy = require("haproxy")
    local real <const> = haproxy.dry_run
    local function dry(...)
      local _ <close> = setmetatable({}, { __close = function()
        haproxy.dry_run = real
      end })
      haproxy.dry_run = function() -- as under -n
        return true
      end
      return good(maint(...))
    end
    fleet.runs[2]:kill()
    test.advance(60)
    assert.matches("^would begin /b.*\n  on 2 of 3 nodes of the fleet shop\n  lb2  is not live: it would do so",
      dry("on", "--path", "/b"))
    assert.matches("\n  on 1 of 1 nodes of the fleet shop\na dry run: nothing was changed\n$",
      dry("on", "--path", "/b", "--nodes", "lb1"))
    assert.matches("^would change m1 to m1  /c.*db", dry("change", "m1", "--path", "/c"))
    assert.matches("^would end m1  /a", dry("off"))
    assert.is_true(json.decode(dry("off", "--json")).dry_run)
    local revision = fleet.etcd.keys.revision
    assert.matches("^stage lb1 %(step 1 of 2%): lb1\nstage %* %(step 2 of 2%): all nodes that are left\n"
      .. "would begin /b\n  on 2 of 3 nodes of the fleet shop\n", dry("on", "--path", "/b", "--stages", "lb1; *"))
    assert.matches("^stage lb1 %(step 1 of 2%): lb1\nstage lb3 %(step 2 of 2%): lb3\nwould begin /b\n  on 2 of 2 nodes",
      dry("on", "--path", "/b", "--stages", "lb1; lb3"))
    assert.is_true(json.decode(dry("on", "--path", "/b", "--stages", "lb1; *", "--json")).dry_run)
    assert.contains("the nodes were not asked whether they could", dry("on", "--path", "/b", "--together"))
    assert.equal(revision, fleet.etcd.keys.revision)
    good(maint("on", "--path", "/only", "--nodes", "lb1"))
    revision = fleet.etcd.keys.revision
    assert.matches("would change m2 to m2  /only.*\n  on 2 of 2 nodes", dry("change", "m2", "--stages", "lb3"))
    assert.equal(revision, fleet.etcd.keys.revision)
    good(maint("off", "m2"))
    haproxy.dry_run, revision = function()
      return true
    end, fleet.etcd.keys.revision
    local refused = maint("during", "--path", "/b", "--", "true")
    haproxy.dry_run = real
    assert.contains("there is no dry run of during on a fleet", refused.err)
    assert.equal(revision, fleet.etcd.keys.revision)
    assert.same({ "^/a", "^/a", "^/a" }, fleet:lists())
    assert.contains("the fleet shop has 1 maintenance,", good(maint("status")))
  end)

  it("refreshes what the same person begins again, and changes", function()
    good(maint("on", "--path", "/a"))
    assert.contains("m1 is in force: /a", good(maint("on", "--path", "/a", "--for", "1h")))
    assert.contains("m1 is in force: /b", good(maint("change", "m1", "--path", "/b")))
    assert.same({ "^/b", "^/b", "^/b" }, fleet:lists())
    local log = good(maint("log"))
    assert.matches("change.*%[done%]\n$", log)
    assert.matches("on +%S+@%S+ .* /a ", log)
    assert.matches("change +%S+@%S+ .* /b ", log)
    good(maint("on", "--path", "/c"))
    good(maint("off", "m1"))
    assert.matches("off +%S+@%S+ .* /c ", good(maint("log", "--last", "1")))
    good(maint("off"))
    assert.matches("off +%S+@%S+ +%-  m2  %[done%]", good(maint("log", "--last", "1")))
    assert.contains("m1 is over", maint("off", "m1").err)
  end)

  it("shows on a terminal which nodes have it, which are missing, and for how long", function()
    local progress = require("haplua.base.progress")
    local is_seen = progress.is_seen
    function progress.is_seen()
      return true
    end
    local _ <close> = setmetatable({}, { __close = function()
      progress.is_seen = is_seen
    end })
    fleet.runs[3]:kill()
    local result = maint("on", "--path", "/a", "--within", "4")
    assert.equal(5, result.status)
    assert.contains("2 of 3 nodes have it: lb1 lb2; missing: lb3\27[K", result.err)
    assert.contains("2 of 3 nodes have it: lb1 lb2; missing: lb3; 3 s so far\27[K", result.err)
    assert.matches("\r\27%[K$", result.err)
  end)

  it("names the nodes that are not there, with exit status 5", function()
    fleet.runs[2]:stop()
    fleet.fakes[3].delay = 60
    local result = maint("on", "--path", "/a", "--within", "3")
    assert.equal(5, result.status)
    assert.contains("m1 is in force: /a, on 1 of 3 nodes", result.out)
    assert.contains("lb2  has not reported within 3 s", result.out) -- its lease is not over
    assert.contains("lb3  has not reported within 3 s", result.out)
    fleet.fakes[3].delay = 0
    test.advance(60)
    result = maint("on", "--path", "/b")
    assert.equal(0, result.status, result.out)
    assert.contains("m2 is in force: /b, on 2 of 2 nodes", result.out)
    assert.contains("lb2  is not live", result.out)
    assert.equal(5, maint("on", "--path", "/b", "--every-node").status)
    local status = maint("status")
    assert.equal(0, status.status, status.out)
    assert.matches("lb2 +no +site: no report", status.out)
    assert.matches("lb1 +yes +site: m1 m2", status.out)
    local ran = maint("status", "--json")
    assert.equal("", ran.err)
    local portable = json.decode(ran.out)
    assert.same({ 2, 3 }, { #portable.maintenances, #portable.nodes })
    assert.same({ true, false }, { portable.nodes[1].live, portable.nodes[2].live })
  end)

  it("is for the nodes that are named", function()
    assert.contains("on 1 of 1 nodes", good(maint("on", "--path", "/a", "--nodes", "lb2")))
    assert.contains("on 1 of 1 nodes", good(maint("on", "--path", "/b", "--label", "dc=par")))
    assert.same({ "", "^/a", "^/b" }, fleet:lists())
    local nowhere = maint("on", "--path", "/c", "--nodes", "lb9")
    assert.equal(5, nowhere.status)
    assert.contains("on 0 of 0 nodes", nowhere.out)
  end)

  it("says why a node cannot", function()
    local result = maint("on", "--host", "a.example")
    assert.equal(5, result.status)
    assert.contains("lb1  m1 is not closed:", result.out)
    assert.equal(5, maint("on", "--path", "/a", "--switch", "other").status)
  end)

  it("ends everywhere what some node cannot do, with --undo-on-failure", function()
    local result = maint("on", "--host", "a.example", "--undo-on-failure")
    assert.equal(1, result.status)
    assert.contains("lb1  m1 is not closed:", result.out)
    assert.contains("m1 ended, on 3 of 3 nodes", result.out)
    assert.contains("no maintenance was in force", maint("off").out)
    assert.equal(0, maint("on", "--path", "/a", "--undo-on-failure").status)
    fleet.runs[2]:kill()
    result = maint("on", "--path", "/b", "--undo-on-failure", "--within", "2")
    assert.equal(1, result.status, result.out)
    assert.same({ "^/a", "^/a", "^/a" }, fleet:lists())
    -- what was in force before stays
    assert.equal(5, maint("on", "--path", "/a", "--undo-on-failure", "--within", "2").status)
    assert.same({ "^/a", "^/a", "^/a" }, fleet:lists())
    assert.contains("--replace", maint("on", "--replace", "--undo-on-failure").err)
  end)

  it("ends what `during` has begun, when its command ends", function()
    local result = maint("during", "--path", "/a", "--", "true")
    assert.equal(0, result.status, result.err)
    assert.contains("m1 is in force", result.out)
    assert.contains("m1 ended, on 3 of 3 nodes", result.out)
    assert.same({ "", "", "" }, fleet:lists())
  end)

  it("refuses what is about one HAProxy, and acts on one node with --local", function()
    for words, expected in pairs({
      ["--cut"] = "--cut is about one HAProxy", ["--acl #1"] = "named by --switch", ["--label x"] = "NAME=VALUE",
      ["--for 1h --wait"] = "leave --wait out",
    }) do
      local list = {}
      for word in words:gmatch("%S+") do
        list[#list + 1] = word
      end
      local result = maint("on", table.unpack(list))
      assert.equal(1, result.status, words)
      assert.contains(expected, result.err)
    end
    local function alone(...)
      local words = { "scripts/maint.lua", "--config", fleet.configs[2], "on", "--local", "--path", "/e", ... }
      words.on = { fleet.fakes[2] }
      return test.run(words)
    end
    assert.contains("4h at most", alone().err)
    assert.contains("4h at most", alone("--for", "5h").err)
    assert.equal(0, alone("--for", "5m").status)
    assert.same({ "", "^/e", "" }, fleet:lists())
    good(maint("on", "--path", "/a"))
    assert.same({ "^/a", "^/a ^/e", "^/a" }, fleet:lists())
    test.advance("5m")
    assert.same({ "^/a", "^/a", "^/a" }, fleet:lists())
  end)

  it("refuses with the store away, names the endpoints, and settles a doubt", function()
    fleet.etcd:doubt("done")
    assert.contains("m1 is in force", good(maint("on", "--path", "/a")))
    fleet.etcd:doubt("lost")
    assert.contains("m2 is in force", good(maint("on", "--path", "/b")))
    assert.same({ "^/a ^/b", "^/a ^/b", "^/a ^/b" }, fleet:lists())
    fleet.etcd:stop(fleets.MEMBERS[1])
    assert.contains("m3 is in force", good(maint("on", "--path", "/c")))
    fleet.etcd:stop(fleets.MEMBERS[2])
    local result = maint("on", "--path", "/d")
    assert.equal(3, result.status)
    assert.contains("https://e1:2379: refused the connection; https://e2:2379", result.err)
    assert.same({ "^/a ^/b ^/c", "^/a ^/b ^/c", "^/a ^/b ^/c" }, fleet:lists())
  end)
end)
