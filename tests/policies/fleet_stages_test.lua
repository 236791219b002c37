-- SPDX-License-Identifier: MIT

-- `maint --stages` of a fleet.

local json = require("haplua.json")
local test = require("haplua.test")
package.path = "tests/fleet/?.lua;" .. package.path
local fleets = require("fleets")
local good = fleets.good

describe("maint --stages", function()
  local fleet

  before_each(function()
    fleet = fleets.new(4) -- lb3 is in dc=par
    test.advance(2)
  end)

  local function maint(...)
    return fleet:maint(...)
  end

  it("begins one maintenance on more and more nodes", function()
    assert.equal("stage lb2 (step 1 of 4): m1 is in force: /a, on 1 of 1 nodes of the fleet shop\n"
      .. "stage dc=fra/1 (step 2 of 4): m1 is in force: /a, on 2 of 2 nodes of the fleet shop\n"
      .. "stage dc=fra/1 (step 3 of 4): m1 is in force: /a, on 3 of 3 nodes of the fleet shop\n"
      .. "stage * (step 4 of 4): m1 is in force: /a, on 4 of 4 nodes of the fleet shop\n"
      .. "m1 is in force: /a, on 4 of 4 nodes of the fleet shop\n",
      good(maint("on", "--path", "/a", "--stages", "lb2; dc=fra/1; *")))
    assert.same({ "^/a", "^/a", "^/a", "^/a" }, fleet:lists())
    local record = fleet.store:records()[1]
    assert.same({}, { record.nodes, record.labels, record.rollout })
    assert.not_contains("stages", good(maint("status")))
    assert.contains("is for all nodes already", maint("change", "--stages", "*").err)
    assert.contains("m1 ended, on 4 of 4", good(maint("off")))
  end)

  it("stops at a stage that fails, says what to do, and goes on", function()
    fleet.fakes[3].delay = 60
    local result = maint("on", "--path", "/a", "--stages", "lb1; dc=par; *", "--within", "3")
    assert.equal(5, result.status, result.err)
    assert.same({ "^/a", "", "", "" }, fleet:lists())
    assert.contains("lb3  has not reported within 3 s", result.out)
    assert.contains("stage dc=par (step 2 of 3) is not proved", result.out)
    assert.contains("to go on: haplua maint change m1 --stages '*'", result.out)
    assert.contains("to undo: haplua maint off m1", result.out)
    assert.contains("m1 is for some nodes; stages that are left: *  (haplua maint change m1 --stages '*' begins them)",
      maint("status").out)
    assert.equal("*", json.decode(maint("status", "--json").out).maintenances[1].rollout.left)
    result = maint("change", "m1", "--stages", "*", "--within", "3")
    assert.equal(5, result.status)
    assert.contains("the stages before are not proved", result.out)
    assert.same({ "^/a", "", "", "" }, fleet:lists())
    fleet.fakes[3].delay = 0
    test.advance(70)
    assert.contains("on 4 of 4 nodes", good(maint("change", "m1", "--stages", "*")))
    assert.same({ "^/a", "^/a", "^/a", "^/a" }, fleet:lists())
  end)

  it("goes on once the nodes' own probes show it", function()
    local answer = 200
    test.visitor(function(request)
      return request.url:find("lb3") and answer or 503
    end)
    for i, path in ipairs(fleet.configs) do
      local f <close> = assert(io.open(path, "r+"))
      local text = f:read("a"):gsub('acl = "#9999"', '%0, probe = { { url = "http://lb' .. i .. '/a" } }')
      f:seek("set")
      f:write(text)
    end
    test.advance(10) -- keep reads them
    local result = maint("on", "--path", "/a", "--stages", "lb1; lb3; *")
    assert.equal(5, result.status, result.err)
    assert.contains("lb3  a probe gets something else than is wanted", result.out)
    assert.contains("--stages '*'", result.out)
    assert.same({ "^/a", "", "^/a", "" }, fleet:lists())
    answer = 503
    assert.equal(0, maint("off").status)
    assert.contains("on 4 of 4 nodes", good(maint("on", "--path", "/a", "--stages", "lb1; lb3; *")))
  end)

  it("ends it everywhere with --undo-on-failure", function()
    fleet.runs[3]:kill()
    local result = maint("on", "--path", "/a", "--stages", "lb1, lb2; *", "--within", "3", "--undo-on-failure")
    assert.equal(1, result.status, result.err)
    assert.contains("m1 ended", result.out)
    assert.same({ "", "", "", "" }, fleet:lists())
  end)

  it("asks all nodes first, with --together", function()
    fleet.runs[4]:kill()
    local result = maint("on", "--path", "/a", "--stages", "lb1; *", "--within", "3", "--together")
    assert.equal(1, result.status, result.err)
    assert.contains("lb4  has not answered", result.out)
    assert.equal(0, #fleet.store:records())
    test.advance(60)
    good(maint("on", "--path", "/a", "--stages", "lb1; *", "--together"))
    assert.same({ "^/a", "^/a", "^/a", "" }, fleet:lists())
  end)

  it("stays where it is when its machine stops, and does not go on with one that was ended", function()
    fleet.fakes[3].delay = 60
    local run = test.start({ "scripts/maint.lua", "--config", fleet.operator, "on", "--path", "/a", "--stages", "lb1; lb3; *",
      on = { fleet.fakes[1] } })
    test.advance(1)
    run:kill()
    fleet.fakes[3].delay = 0
    test.advance(70)
    assert.same({ "^/a", "", "^/a", "" }, fleet:lists())
    assert.contains("stages that are left: *", good(maint("status")))
    good(maint("off", "m1"))
    assert.contains("m1 is over", maint("change", "m1", "--stages", "*").err)
  end)

  it("refuses what does not go together", function()
    assert.contains("leave --nodes and --label out", maint("on", "--stages", "*", "--nodes", "lb1").err)
    assert.contains("--stages goes with on and change\n  off ends", maint("off", "--stages", "*").err)
    assert.contains("the fleet has no node lb9", maint("on", "--stages", "lb9; *").err)
    assert.equal(0, #fleet.store:records())
  end)
end)
