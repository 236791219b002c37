-- SPDX-License-Identifier: MIT

-- `maint doctor` of a fleet.

local test = require("haplua.test")
package.path = "tests/fleet/?.lua;" .. package.path
local fleets = require("fleets")

describe("maint doctor, of a fleet,", function()
  local fleet

  before_each(function()
    fleet = fleets.new(3)
    test.advance(2)
  end)

  --- The findings on an operator's machine, which has no HAProxy.
  local function doctor(expected)
    local words = { "scripts/maint.lua", "--config", fleet.operator, "doctor" }
    words.on = { { address = "/nowhere/admin.sock" } }
    local ran = test.run(words)
    assert.same({ expected or 1, "" }, { ran.status, ran.err }, ran.out) -- 1: there are no certificates
    return ran.out
  end

  it("needs no HAProxy on an operator's machine", function()
    local out = doctor()
    assert.matches("note  HAProxy +there is none at .*: this is taken for an operator's machine", out)
    assert.matches("warn  certificate +/x/operator.crt: it cannot be read", out)
    assert.matches("ok    store +fleet shop, revision %d+", out)
    assert.matches("warn  rights +.*authentication is off", out)
    assert.matches("ok    nodes +3 nodes, 3 live", out)
    assert.not_matches("fail", out)
    assert.equal(0, fleet.client:range({ key = fleet.store.prefix .. "m/", prefix = true }).count)
  end)

  it("names members that are away, nodes that are away, do not answer, or are not as the fleet has it", function()
    fleet.etcd:stop(fleets.MEMBERS[3])
    fleet.runs[1]:kill()
    test.advance(60)
    fleet.runs[2]:kill()
    fleet:on({ paths = { "/a" } })
    test.advance(2)
    local out = doctor()
    assert.matches("warn  etcd +https://e3:2379 cannot be reached", out)
    assert.matches("warn  nodes +not live: lb1", out)
    assert.matches("fail  nodes +lb2 is not as the fleet has it: site: no report", out)
    assert.matches("warn  nodes +lb2 does not answer", out)
    assert.matches("ok    nodes +3 nodes, 2 live", out)
  end)

  it("says what rights the user has", function()
    fleet.etcd:deny("operator", "\0", "read")
    fleet.etcd:deny("operator", fleet.store.prefix .. "m/", "write")
    local out = doctor()
    assert.matches("ok    rights +.*it may read only", out)
    assert.not_matches("authentication is off", out)
  end)

  it("tells a node that the store is older than what it has read, and shows its keep", function()
    local before = fleet.etcd.keys:snapshot()
    fleet:on({ paths = { "/a" } })
    test.advance(2)
    fleet.etcd:restore(before)
    local words = { "scripts/maint.lua", "--config", fleet.configs[1], "--journal", fleet.journals[1], "doctor" }
    words.on = { fleet.fakes[1] }
    local out = test.run(words).out
    assert.matches("fail  store +the store is at revision %d+, and was at %d+: it seems to be restored", out)
    assert.matches("ok    keep +it runs on this node, lb1", out)
  end)
end)
