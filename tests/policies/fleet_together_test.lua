-- SPDX-License-Identifier: MIT

-- `maint --together` of a fleet.

local json = require("haplua.json")
local records = require("haplua.store.etcd_records")
local test = require("haplua.test")
package.path = "tests/fleet/?.lua;" .. package.path
local fleets = require("fleets")
local good = fleets.good

local fleet

local function maint(...)
  return fleet:maint(...)
end

describe("maint --together", function()
  before_each(function()
    fleet = fleets.new(3)
    test.advance(2)
  end)

  --- No question and no maintenance is in the store.
  local function check_nothing_left()
    local left = {}
    for _, kv in ipairs(fleet.client:range({ key = fleet.store.prefix .. "m/", prefix = true }).kvs) do
      left[#left + 1] = kv.key
    end
    assert.same({}, left)
    assert.same({ "", "", "" }, fleet:lists())
  end

  it("changes what all nodes could", function()
    assert.contains("m1 is in force: /a, on 3 of 3 nodes", good(maint("on", "--path", "/a", "--together")))
    assert.contains("m1 is in force: /b, on 3 of 3 nodes", good(maint("change", "--path", "/b", "--together")))
    assert.same({ "^/b", "^/b", "^/b" }, fleet:lists())
    assert.contains("m2 is in force: /c, on 3 of 3", good(maint("on", "--path", "/c", "--replace", "--together")))
    assert.contains("m2 ended, on 3 of 3 nodes", good(maint("off", "--together")))
    assert.same({ "", "", "" }, fleet:lists())
    for i = 1, 3 do
      assert.not_contains("holds no maintenance", fleet.runs[i]:err())
    end
  end)

  it("changes nothing where one node could not, and says which and why", function()
    fleet.fakes[2]:set_acl("#9999", { "^/else" })
    fleets.configure(fleet, 3)
    local f <close> = assert(io.open(fleet.configs[3], "r+"))
    local text = f:read("a"):gsub("site = {", "shop = {")
    f:seek("set")
    f:write(text)
    f:flush()
    test.advance(10) -- keep reads it
    local result = maint("on", "--path", "/a", "--together")
    assert.equal(1, result.status, result.err)
    assert.equal("nothing was changed: 2 of 3 nodes of the fleet shop could do it\n"
      .. "  lb3  this node has no switch site\n", result.out)
    result = maint("on", "--host", "a.example", "--together", "--nodes", "lb1,lb2", "--json")
    assert.equal(1, result.status, result.err)
    local portable = json.decode(result.out)
    assert.is_true(portable.refused)
    assert.same({ "lb1", "failed" }, { portable.nodes[1].name, portable.nodes[1].state })
    assert.contains("cannot tell hosts apart", portable.nodes[1].text)
    assert.equal(1, maint("during", "--host", "a.example", "--together", "--", "true").status)
    assert.equal(1, maint("on", "--path", "/a", "--bypass", "192.0.2.0/24", "--together", "--nodes", "lb1").status)
    assert.equal(1, maint("on", "--server", "app/none", "--together", "--nodes", "lb1").status)
    assert.equal(0, fleet.client:range({ key = fleet.store.prefix .. "m/", prefix = true }).count)
  end)

  it("changes nothing where a node does not answer; one that does not live does not count", function()
    fleet.runs[2]:kill()
    local result = maint("on", "--path", "/a", "--together", "--within", "3")
    assert.equal(1, result.status)
    assert.contains("lb2  has not answered within 3 s", result.out)
    check_nothing_left()
    test.advance(60)
    assert.contains("lb2  is not live", good(maint("on", "--path", "/a", "--together")))
    local refused = maint("on", "--path", "/x", "--nodes", "lb2", "--together")
    assert.equal(1, refused.status)
    assert.contains("0 of 0 nodes", refused.out)
  end)

  it("is not obeyed by a node as a maintenance, and answers vanish", function()
    local lease = fleet.client:grant(20)
    local wanted = { { id = 0, uid = "u", target = "shop", acl = "site", switch = "site", scope = { paths = { "/q" } },
      origin = "on", user = "op", host = "desk", begins = 1 } }
    fleet.client:txn({ success = { { "put", key = fleet.store.prefix .. "m/site/asked/abc", lease = lease.id,
      value = records.encode({ token = "abc", wanted = wanted }) } } })
    test.advance(5)
    assert.same({ "", "", "" }, fleet:lists())
    local function answers()
      local n = 0
      for _, kv in ipairs(fleet.client:range({ key = fleet.store.prefix .. "nd/", prefix = true }).kvs) do
        n = n + (kv.key:find("/can/abc$") and 1 or 0)
      end
      return n
    end
    assert.equal(3, answers())
    test.advance(120)
    assert.equal(0, answers())
    check_nothing_left()
  end)

  it("says that nothing was changed where the store goes away", function()
    fleet.etcd:stop(fleets.MEMBERS[1])
    fleet.etcd:stop(fleets.MEMBERS[2])
    assert.equal(3, maint("on", "--path", "/a", "--together").status)
    assert.same({ "", "", "" }, fleet:lists())
  end)
end)
