-- SPDX-License-Identifier: MIT

-- `haplua fleet`: founding, joining, rights, nodes.

local json = require("haplua.json")
local task = require("haplua.task")
local test = require("haplua.test")
package.path = "tests/fleet/?.lua;" .. package.path
local fleets = require("fleets")

describe("haplua fleet", function()
  local fleet

  before_each(function()
    fleet = fleets.new(2)
    test.advance(2)
  end)

  local function run(script, config, fake, ...)
    local words = { "scripts/" .. script .. ".lua", "--config", config, ... }
    words.on = { fake }
    return test.run(words)
  end

  local function command(...)
    return run("fleet", fleet.operator, fleet.fakes[1], ...)
  end

  --- Begin a maintenance on machine 3 before it has heard of a fleet.
  local function close_alone(machine)
    local path = test.folder() .. "/alone.lua"
    local f <close> = assert(io.open(path, "w"))
    f:write(('return { journal = %q, switches = { site = { acl = "#9999" } } }'):format(fleet.journals[3]))
    f:flush()
    assert.equal(0, run("maint", path, machine, "on", "--path", "/mine").status)
  end

  it("writes nothing in a dry run", function()
    local haproxy = require("haproxy")
    local real = haproxy.dry_run
    local _ <close> = setmetatable({}, { __close = function()
      haproxy.dry_run = real
    end })
    fleet.runs[2]:kill()
    test.advance(40)
    haproxy.dry_run = function() -- as under -n
      return true
    end
    for _, words in ipairs({ { "init" }, { "join" }, { "accept" }, { "forget", "lb2" } }) do
      local refused = command(table.unpack(words))
      assert.same({ 1, "" }, { refused.status, refused.out })
      assert.contains(("fleet %s has no dry run"):format(words[1]), refused.err)
    end
    assert.contains("lb2", command("nodes").out)
  end)

  it("founds a fleet once, and refuses without one", function()
    assert.equal("the fleet shop is there already\n", command("init").out)
    local path = test.folder() .. "/new.lua"
    local f <close> = assert(io.open(path, "w"))
    f:write('return { fleet = { name = "new", etcd = { endpoints = { "https://e1:2379" } } } }')
    f:flush()
    assert.contains("no fleet 'new'", run("fleet", path, fleet.fakes[1], "status").err)
    assert.equal("the fleet new is founded\n", run("fleet", path, fleet.fakes[1], "init").out)
    assert.equal(0, run("fleet", path, fleet.fakes[1], "status").status)
    local plain = test.run("scripts/fleet.lua", "status")
    assert.same({ 1, true }, { plain.status, plain.err:find("names no fleet", 1, true) ~= nil })
  end)

  it("shows members and nodes, and forgets one that is gone", function()
    local status = command("status")
    assert.equal(0, status.status, status.out .. status.err)
    assert.contains("https://e1:2379  etcd 3.5.16, leader, revision", status.out)
    fleet.etcd:stop(fleets.MEMBERS[2])
    status = command("status")
    assert.equal(5, status.status)
    assert.contains("https://e2:2379  cannot be reached", status.out)
    assert.contains("lb2 is live", command("forget", "lb2").err)
    fleet.runs[2]:kill()
    test.advance(40)
    assert.equal("lb2 is forgotten\n", command("forget", "lb2").out)
    assert.contains("has no node lb2", command("forget", "lb2").err)
    local nodes = json.decode(command("nodes", "--json").out)
    assert.same({ 1, "lb1" }, { #nodes, nodes[1].name })
  end)

  it("is followed by who looks on: maintenances, nodes, a store that goes away and comes back", function()
    local config, follow = require("haplua.store.config"), require("haplua.fleet.follow")
    fleet = fleets.new(3)
    test.advance(2)
    local found = assert(config.of(config.peek(fleet.operator)))
    local sight, changes = follow.sight(found), 0
    local following = task.spawn(follow.run, found, sight, function()
      changes = changes + 1
    end)
    local function nodes()
      local texts = {}
      for i, node in ipairs(sight.nodes) do
        texts[i] = ("%s %s %s"):format(node.name, node.state, node.text)
      end
      return table.concat(texts, "; ")
    end
    test.advance(1)
    assert.equal("lb1 in step ; lb2 in step ; lb3 in step ", nodes())
    assert.equal("dc=par", sight.nodes[3].place)
    fleet:on({ paths = { "/a" } })
    fleet:on({ paths = { "/b" }, acl = "other" })
    test.advance(3)
    assert.equal("lb1 refused other: this node has no switch of that name, site: m1", nodes():match("^[^;]*"))
    assert.same({ 2, 0 }, { #sight.status.maintenances, #sight.status.planned })
    fleet.runs[2]:kill()
    test.advance(60)
    assert.matches("; lb2 away other: ", nodes())
    local gone = task.time() - sight.nodes[2].since -- the lease of a node is of 30 s
    assert.is_true(gone >= 20 and gone <= 50, gone)
    assert.is_true(sight.nodes[2].heard <= task.time() - 60)
    local late = follow.sight(found)
    local looking = task.spawn(follow.run, found, late, function() end)
    test.advance(1)
    assert.same({ "away", nil }, { late.nodes[2].state, late.nodes[2].since })
    looking:cancel()
    for _, member in ipairs(fleets.MEMBERS) do
      fleet.etcd:stop(member)
    end
    test.advance(30)
    assert.is_truthy(sight.away)
    assert.matches("; lb2 away other: ", nodes())
    local before = changes
    for _, member in ipairs(fleets.MEMBERS) do
      fleet.etcd:start(member)
    end
    test.advance(30)
    assert.is_nil(sight.away)
    assert.is_true(changes > before)
    following:cancel()
  end)

  it("has a module for scripts of one's own, whose options are checked", function()
    local path = test.folder() .. "/own.lua"
    local f <close> = assert(io.open(path, "w"))
    f:write([[
      local fleet = require("haplua.fleet")
      local shop <close> = fleet.open({ config = os.getenv("SHOP") })
      local found, planner = shop:status(), shop:planner()
      local members, are_well = shop:members()
      print(shop.name, #members, are_well, planner, found:exit_status(), #found:portable().nodes)
      for _, call in ipairs({
        function() fleet.open({ confg = "x" }) end,
        function() shop:rights({ node = "lb1", operator = "alice" }) end,
        function() shop:rights({ nod = "lb1" }) end,
        function() shop:join({ import = "yes" }) end,
        function() shop:forget(3) end,
      }) do
        local ok, problem = pcall(call)
        print(ok, type(problem), (tostring(problem):match("fleet[.:]%w+: (.*)$")))
      end
    ]])
    f:flush()
    test.env({ SHOP = fleet.operator })
    local ran = test.run(path)
    assert.equal([[
shop	3	true	nil	0	2
false	string	no option 'confg'; did you mean 'config'?
false	string	of whom? Give either `node` or `operator`
false	string	no option 'nod'; did you mean 'node'?
false	string	option 'import' must be true or false, not a string ('yes')
false	string	node must be a text, not a number (3)
]], ran.out, ran.err)
  end)

  it("is not content with members that have no space", function()
    fleet.etcd.keys.no_space = true
    local status = command("status")
    assert.equal(5, status.status)
    assert.contains(", NOSPACE\n", status.out)
  end)

  it("tells of an etcd that is too old", function()
    local shop <close> = require("haplua.fleet").open({ config = fleet.operator })
    local member = shop:members()[1]
    assert.not_contains("too old", tostring(member))
    member.version = "3.4.23"
    assert.contains("etcd 3.4.23 (too old: haplua needs 3.5.16), ", tostring(member))
  end)

  it("shows a maintenance whose process is gone, on the machine where it ran", function()
    local host = require("haplua.process").person().host
    for name, where in pairs({ here = host, there = "another" }) do
      fleet.store:begin({ target = "shop", acl = "site", switch = "site", action = "during", patterns = {}, user = "op",
        host = where }, { { add = { target = "shop", acl = "site", switch = "site", scope = { paths = { "/" .. name } },
        origin = "during", user = "op", host = where, begins = require("haplua.task").time(), pid = 99999999 } } })
    end
    local out = command("status").out
    assert.matches("the process 99999999 that would end m%d is gone; maint off m%d ends it", out)
    assert.equal(1, select(2, out:gsub("is gone", "")))
  end)

  it("prints rights, and these suffice", function()
    local node = command("rights", "--node", "lb1").out
    assert.contains("etcdctl role grant-permission haplua-shop-node-lb1 readwrite --prefix=true /haplua/v1/shop/nd/lb1/\n", node)
    assert.contains("elect/planner", node)
    assert.not_contains("/m/", command("rights", "--node", "lb1", "--no-windows").out)
    local person = command("rights", "--operator", "o'hara", "--switch", "site").out
    assert.not_contains("meta", person)
    assert.contains("without --switch", command("rights", "--operator", "alice", "--accept", "--switch", "site").err)
    assert.contains("readwrite /haplua/v1/shop/meta\n", command("rights", "--operator", "alice", "--accept").out)
    assert.contains([[etcdctl user add 'o'\''hara' --no-password]], person)
    assert.contains("readwrite --prefix=true /haplua/v1/shop/m/site/", person)
    -- whoever may write m/site/, log/site/ and ids alone begins and ends maintenances of that switch
    for _, key in ipairs({ "nd/", "elect/", "meta", "m/other/" }) do
      fleet.etcd:deny("operator", "/haplua/v1/shop/" .. key, "write")
    end
    assert.equal(0, run("maint", fleet.operator, fleet.fakes[1], "on", "--path", "/a").status)
    local refused = run("maint", fleet.operator, fleet.fakes[1], "on", "--switch", "other")
    assert.same({ 1, true }, { refused.status, refused.err:find("permission denied", 1, true) ~= nil })
    for i = 1, 2 do -- a node without windows
      for _, key in ipairs({ "m/", "log/", "ids", "meta", "elect/" }) do
        fleet.etcd:deny("lb" .. i, "/haplua/v1/shop/" .. key, "write")
      end
    end
    assert.equal(0, run("maint", fleet.operator, fleet.fakes[1], "on", "--path", "/b").status)
  end)

  it("gives the fleet what is in force on a machine that joins, and opens nothing meanwhile", function()
    local machine = test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
    fleets.configure(fleet, 3)
    close_alone(machine)
    local joined = run("fleet", fleet.configs[3], machine, "join")
    assert.equal("site: what is in force here (1) is the fleet's now\nstart haplua keep: it is the node's agent\n", joined.out)
    test.advance(2)
    assert.same({ "^/mine", "^/mine" }, fleet:lists())
    fleet.fakes[3] = machine
    fleet:start(3)
    test.advance(2)
    assert.same({ "^/mine", "^/mine", "^/mine" }, fleet:lists())
    assert.contains("on 3 of 3 nodes", run("maint", fleet.operator, fleet.fakes[1], "off").out)
    assert.same({ "", "", "" }, fleet:lists())
  end)

  it("asks where a machine that joins and the fleet both have maintenances", function()
    local machine = test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
    fleets.configure(fleet, 3)
    fleet:on({ paths = { "/theirs" } })
    close_alone(machine)
    local asked = run("fleet", fleet.configs[3], machine, "join")
    assert.equal(2, asked.status)
    assert.matches("here:  m1  /mine.*fleet: m1  /theirs", asked.err)
    assert.contains("stays this machine's", run("fleet", fleet.configs[3], machine, "join", "--keep").out)
    assert.equal(0, run("fleet", fleet.configs[3], machine, "join", "--import").status)
    test.advance(1)
    assert.same({ "^/mine ^/theirs", "^/mine ^/theirs" }, fleet:lists())
  end)

  it("takes a node over to a fleet that was founded anew", function()
    fleet:on({ paths = { "/a" } })
    test.advance(1)
    fleet.etcd:restore(require("haplua.test.etcd_keys").new())
    command("init")
    test.advance(20)
    assert.contains("another fleet", fleet.runs[1]:err())
    fleet.runs[1]:stop()
    local joined = run("fleet", fleet.configs[1], fleet.fakes[1], "join")
    assert.contains("another fleet of the name shop is forgotten", joined.out, joined.err)
    fleet:start(1)
    test.advance(2)
    assert.same({ "^/a", "^/a" }, fleet:lists())
    assert.equal("", fleet.runs[1]:err())
    fleet.runs[2]:stop()
    joined = run("fleet", fleet.configs[2], fleet.fakes[2], "join")
    assert.contains("nothing is in force here", joined.out, joined.err) -- but what the fleet has
    fleet:start(2)
    test.advance(2)
    assert.contains("on 2 of 2 nodes", run("maint", fleet.operator, fleet.fakes[1], "on", "--path", "/b").out)
    assert.same({ "^/a ^/b", "^/a ^/b" }, fleet:lists())
    assert.contains("on 2 of 2 nodes", run("maint", fleet.operator, fleet.fakes[1], "off", "--all").out)
    assert.same({ "", "" }, fleet:lists())
  end)

  it("goes on with a store that was restored, once a person has accepted it", function()
    local function maint(...)
      return run("maint", fleet.operator, fleet.fakes[1], ...)
    end
    fleet:on({ paths = { "/kept" } })
    local changed = fleet:on({ paths = { "/changed" }, lasts = 100 })
    test.advance(1)
    local before = fleet.etcd.keys:snapshot()
    fleet:on({ paths = { "/lost" } })
    fleet.store:edit({ { of = changed, set = { ends = changed.ends + 5000 } } })
    test.advance(1)
    fleet.etcd:restore(before)
    test.advance(200) -- the restored end of /changed is over
    local all = { "^/changed ^/kept ^/lost", "^/changed ^/kept ^/lost" }
    assert.same(all, fleet:lists())
    fleet.store = require("haplua.store.etcd").open(fleet.client, "shop")
    for _ = 1, 20 do -- the store is at a later revision than before the restore
      fleet:off(fleet:on({ paths = { "/new" } }).id)
    end
    local failed = maint("on", "--path", "/more")
    assert.equal(5, failed.status)
    assert.contains("restored from an older snapshot", failed.out)
    fleet.runs[2]:stop()
    fleet:start(2) -- which remembers it
    test.advance(20)
    assert.same(all, fleet:lists())

    for _, key in ipairs({ "nd/", "elect/" }) do -- as rights --operator NAME --accept has it
      fleet.etcd:deny("operator", "/haplua/v1/shop/" .. key, "write")
    end
    fleet.etcd:deny("operator", "/haplua/v1/shop/meta", "write")
    assert.contains("permission denied", command("accept").err)
    fleet.etcd:deny("operator", "/haplua/v1/shop/meta", false)
    local accepted = command("accept")
    assert.equal(0, accepted.status, accepted.err)
    test.advance(10)
    local more = { "^/changed ^/kept ^/lost ^/more", "^/changed ^/kept ^/lost ^/more" }
    assert.same(more, fleet:lists())
    assert.contains("not in the fleet's store", fleet.runs[1]:err())
    local joined = run("fleet", fleet.configs[1], fleet.fakes[1], "join", "--import")
    assert.equal(0, joined.status, joined.err)
    test.advance(10)
    assert.same(more, fleet:lists())
    for _, m in ipairs(fleet.store:current("shop")) do
      assert.equal(0, maint("off", ("m%d"):format(m.id)).status)
    end
    assert.same({ "", "" }, fleet:lists())
    assert.contains("accept", maint("log").out)
  end)

  it("shows no report of a restored store as the truth", function()
    local function status()
      return run("maint", fleet.operator, fleet.fakes[1], "status")
    end
    fleet:off(fleet:on({ paths = { "/old" } }).id)
    test.advance(2)
    local before = fleet.etcd.keys:snapshot()
    fleet:on({ paths = { "/lost" } })
    test.advance(2)
    fleet.runs[2]:kill()
    fleet.etcd:restore(before)
    fleet:start(2) -- the changes that it had read are in its journal
    test.advance(40)
    assert.same({ "^/lost", "^/lost" }, fleet:lists())
    local found = status()
    assert.equal(5, found.status, found.out)
    assert.matches("lb1 +yes +keeps what it has: ", found.out)
    assert.matches("lb2 +yes +keeps what it has: ", found.out)
    assert.not_contains("open", found.out)
    for _, member in ipairs(fleets.MEMBERS) do
      fleet.etcd:stop(member)
    end
    test.advance(60)
    for _, member in ipairs(fleets.MEMBERS) do -- that it was away makes the store no better
      fleet.etcd:start(member)
    end
    test.advance(20)
    found = status()
    assert.same({ 5, 2 }, { found.status, select(2, found.out:gsub("keeps what it has", "")) }, found.out)
    assert.equal(0, command("accept").status)
    test.advance(20)
    found = status()
    assert.equal(0, found.status, found.out)
    assert.not_contains("keeps what it has", found.out)
    assert.same({ "^/lost", "^/lost" }, fleet:lists())
  end)
end)
