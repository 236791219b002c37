-- SPDX-License-Identifier: MIT

-- A fleet of nodes, each with a fake HAProxy and `haplua keep`, on a fake etcd.

local etcd_store = require("haplua.store.etcd")
local nodes = require("haplua.store.etcd_nodes")
local prune = require("haplua.fleet.prune")
local test = require("haplua.test")
package.path = "tests/fleet/?.lua;" .. package.path
local fleets = require("fleets")

describe("a fleet", function()
  local fleet

  before_each(function()
    fleet = fleets.new(3)
  end)

  it("has on every node what was begun once, and off what was ended, with reports", function()
    local m = fleet:on({ paths = { "/a" } })
    test.advance(1)
    assert.same({ "^/a", "^/a", "^/a" }, fleet:lists())
    for i, node in ipairs(nodes.sorted((nodes.known(fleet.store)))) do
      local seen = node.seen.site
      assert.same({ "lb" .. i, "done", { m.id }, true }, { node.name, seen.outcome, seen.ids, node.live ~= nil })
    end
    local other = fleet:on({ paths = { "/b" } })
    fleet:off(m.id)
    test.advance(1)
    assert.same({ "^/b", "^/b", "^/b" }, fleet:lists())
    fleet:off(other.id)
    test.advance(1)
    assert.same({ "", "", "" }, fleet:lists())
  end)

  it("has what a watch tells on top of a read, and reads anew only after a removal", function()
    local m, reads = fleet:on({ paths = { "/a" } }), 0
    local reader = etcd_store.open(setmetatable({ txn = function(client, op)
      reads = reads + 1
      return fleet.client.txn(client, op)
    end }, { __index = fleet.client }), "shop")
    local _, read = reader:records()
    local watch <close> = fleet.client:watch({ key = reader.prefix .. "m/", prefix = true, revision = read.revision + 1 })
    local function follow()
      local all, snapshot = reader:records(assert(watch:next(5)).events)
      local expected, same = fleet.store:records()
      assert.same(expected, all)
      assert.equal(same.pruned.site, snapshot.pruned.site)
      return reads
    end
    fleet:on({ paths = { "/b" } })
    assert.equal(1, follow())
    fleet:off(m.id)
    assert.equal(1, follow())
    reader:records()
    local late = { { type = "put", kv = { key = reader.prefix .. "m/site/000000000001", value = "", mod_revision = 2 } } }
    assert.same((fleet.store:records()), (reader:records(late))) -- it was in the read
    fleet.client:txn({ success = { { "delete", key = reader.prefix .. "m/site/000000000001" } } })
    assert.equal(3, follow())
  end)

  it("ends a maintenance everywhere at its time, also with the store away", function()
    fleet:on({ paths = { "/a" }, lasts = 600 })
    test.advance(1)
    for _, endpoint in ipairs(fleet.etcd.endpoints) do
      fleet.etcd:stop(endpoint)
    end
    test.advance(500)
    assert.same({ "^/a", "^/a", "^/a" }, fleet:lists())
    assert.contains("the store of the fleet shop is away since", fleet.runs[1]:err())
    test.advance(100)
    assert.same({ "", "", "" }, fleet:lists())
    fleet.etcd:calm()
    test.advance(60)
    assert.contains("answers again", fleet.runs[1]:out())
  end)

  it("opens nothing when the store is empty, denied, of another fleet, or older", function()
    local before = fleet.etcd.keys:snapshot()
    fleet:on({ paths = { "/a" } })
    test.advance(70) -- each node has read all anew
    local after = fleet.etcd.keys:snapshot()
    local function is_closed(why, words)
      test.advance(200)
      assert.same({ "^/a", "^/a", "^/a" }, fleet:lists(), why)
      assert.contains(words, fleet.runs[2]:err())
    end
    fleet.etcd:restore(require("haplua.test.etcd_keys").new())
    is_closed("empty", "no fleet 'shop'")
    etcd_store.init(fleet.client, "shop")
    is_closed("founded anew", "another fleet of the name 'shop'")
    fleet.etcd:restore(before)
    is_closed("older", "restored from an older snapshot")
    fleet.etcd:restore(after)
    fleet.etcd:deny(nil, "/haplua/v1/shop/m/", "read")
    is_closed("denied", "permission denied")
    fleet.etcd:deny(nil, "/haplua/v1/shop/m/", false)
    fleet.client:txn({ success = { { "delete", key = "/haplua/v1/shop/m/", prefix = true } } })
    is_closed("deleted by a hand", "m1 is not in the fleet's store")
  end)

  it("tells of a node that may follow the fleet, and may not report to it", function()
    fleet.etcd:deny("lb2", "/haplua/v1/shop/nd/", "write")
    fleet:on({ paths = { "/a" } })
    test.advance(40)
    assert.same({ "^/a", "^/a", "^/a" }, fleet:lists())
    assert.contains("this node cannot report to the fleet shop: ", fleet.runs[2]:err())
    assert.contains("permission denied", fleet.runs[2]:err())
    assert.not_contains("cannot report", fleet.runs[1]:err())
    fleet.etcd:deny("lb2", "/haplua/v1/shop/nd/", false)
    test.advance(80)
    assert.is_not_nil(fleet.client:range({ key = "/haplua/v1/shop/nd/lb2/live" }).kvs[1])
  end)

  it("undoes what a hand changes on one node", function()
    fleet:on({ paths = { "/a" } })
    test.advance(1)
    fleet.fakes[2]:set_acl("#9999", { "^/else" })
    test.advance(2)
    assert.same({ "^/a", "^/a", "^/a" }, fleet:lists())
    local status = test.run({ "scripts/maint.lua", "--config", fleet.configs[3], "--journal", fleet.journals[3], "off", "--local",
      "--all", on = { fleet.fakes[3] } })
    assert.equal(0, status.status)
    test.advance(70)
    assert.same({ "^/a", "^/a", "^/a" }, fleet:lists())
    assert.contains("m1 was ended on this node alone", fleet.runs[3]:out())
  end)

  it("has a node that was away catch up, also where what it had was ended and pruned", function()
    local m, kept = fleet:on({ paths = { "/a" } }), fleet:on({ paths = { "/c" } })
    fleet:on({ paths = { "/d" }, lasts = 30 })
    test.advance(1)
    fleet.runs[2]:kill()
    fleet:off(m.id)
    fleet:off(kept.id)
    fleet:on({ paths = { "/b" } })
    test.advance(2)
    assert.equal(0, prune.run(fleet.store)) -- not yet
    test.advance(60)
    for _, endpoint in ipairs(fleets.MEMBERS) do
      fleet.etcd:cut("lb3", endpoint)
    end
    fleet:off(fleet:on({ paths = { "/e" } }).id)
    test.advance(5)
    assert.equal(3, prune.run(fleet.store, 1)) -- lb3 lives, and has not reported the end of the fourth
    assert.equal(0, prune.run(fleet.store, 1))
    fleet.etcd:calm()
    test.advance(30)
    assert.equal(1, prune.run(fleet.store, 1))
    assert.equal(1, #fleet.store:records())
    fleet.fakes[2]:reload()
    assert.same({ "^/b", "", "^/b" }, fleet:lists())
    fleet:start(2)
    test.advance(2)
    assert.same({ "^/b", "^/b", "^/b" }, fleet:lists())
  end)

  it("closes on the nodes that a maintenance is for, and says why one cannot", function()
    fleet:on({ paths = { "/a" }, nodes = { "lb2" } })
    fleet:on({ paths = { "/c" }, labels = { dc = "par" } })
    fleet:on({ paths = { "/x" }, acl = "shop", switch = "shop" })
    test.advance(1)
    assert.same({ "", "^/a", "^/c" }, fleet:lists())
    local state = nodes.sorted((nodes.known(fleet.store)))
    assert.equal("this node has no switch of that name", state[1].seen.shop.outcome)
  end)

  it("plans windows once, ahead, by an elected node; another takes over", function()
    test.clock({ at = "2026-01-01T01:40:00Z" })
    fleet = fleets.new(3, { windows = { { "daily 02:00-02:10", "/w" } } })
    test.advance(10)
    local planned, planner = fleet.store:current("shop"), fleet:planner()
    assert.same({ 1, "window daily 02:00-02:10" }, { #planned, planned[1].origin })
    fleet.runs[tonumber(planner:match("%d+"))]:kill()
    test.advance(12)
    assert.not_equal(planner, fleet:planner())
    assert.is_string(fleet:planner())
    test.advance(1200)
    local closed = fleet:lists()
    table.sort(closed)
    assert.same({ "", "^/w", "^/w" }, closed) -- the killed one does nothing
    test.advance(605)
    assert.same({ "", "", "" }, fleet:lists())
    assert.equal(2, #fleet.store:records())
  end)

  it("connects anew once an hour, and nobody notices", function()
    fleet = fleets.new(1, { windows = { { "daily 02:00-02:10", "/w" } } })
    fleet.etcd.delay = 0.5
    local began = #fleet.etcd.watches
    test.advance("4h")
    assert.equal("", fleet.runs[1]:err())
    assert.is_true(#fleet.etcd.watches <= began + 3)
    assert.equal("lb1", fleet:planner())
    fleet:on({ paths = { "/a" } })
    test.advance(5)
    assert.same({ "^/a" }, fleet:lists())
  end)
end)
