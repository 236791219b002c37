-- SPDX-License-Identifier: MIT

-- The metrics of a fleet's nodes.

local test = require("haplua.test")
package.path = "tests/fleet/?.lua;" .. package.path
local fleets = require("fleets")

describe("metrics of a fleet's node", function()
  local fleet

  before_each(function()
    test.clock({ at = "2026-01-01T01:40:00Z" })
    fleet = fleets.new(2, { windows = { { "daily 02:00-02:10", "/w" } } })
    for i, path in ipairs(fleet.configs) do
      local f <close> = assert(io.open(path, "r+"))
      local text = f:read("a"):gsub("^return {", ('%%0 metrics = "%s/%d.prom",'):format(test.folder(), i))
      f:seek("set")
      f:write(text)
    end
    test.advance(20) -- keep reads them
  end)

  --- The fleet's samples of a node, by the names behind haplua_fleet_.
  local function samples(i)
    local f <close> = assert(io.open(("%s/%d.prom"):format(test.folder(), i)))
    local found = {}
    for name, value in f:read("a"):gmatch('\nhaplua_fleet_([%w_]+){target="[^"]*",fleet="shop"} (%S+)') do
      found[name] = tonumber(value)
    end
    return found
  end

  it("show the store, what was read and applied, and the planner", function()
    local planner = tonumber(fleet:planner():match("%d+"))
    local before = samples(planner)
    assert.same({ 1, 1, 0, 1, nil }, { before.store_up, before.in_step, before.reports_due, before.planner,
      before.store_away_since_timestamp_seconds })
    assert.equal(0, samples(3 - planner).planner)
    assert.equal(before.revision, samples(3 - planner).revision)
    fleet:on({ paths = { "/a" } })
    test.advance(20)
    local after = samples(1)
    assert.is_true(after.revision > before.revision)
    assert.is_true(after.last_apply_timestamp_seconds > (before.last_apply_timestamp_seconds or 0))
    assert.equal(1, after.in_step)
    fleet.fakes[1].delay = 60
    fleet:on({ paths = { "/b" } })
    test.advance(40)
    assert.equal(0, samples(1).in_step)
  end)

  it("show since when the store is away", function()
    for _, endpoint in ipairs(fleets.MEMBERS) do
      fleet.etcd:stop(endpoint)
    end
    test.advance(60)
    local away = samples(1)
    assert.same({ 0, 1 }, { away.store_up, away.in_step })
    assert.is_number(away.store_away_since_timestamp_seconds)
    assert.is_true(away.store_away_since_timestamp_seconds >= away.read_timestamp_seconds)
    fleet.etcd:calm()
    test.advance(60)
    assert.same({ 1, nil }, { samples(1).store_up, samples(1).store_away_since_timestamp_seconds })
  end)
end)
