-- SPDX-License-Identifier: MIT
--
-- haplua.server and the policies that use it, in virtual time: weights, loops, groups, and how they end.

local file = require("haplua.file")
local server = require("haplua.server")
local test = require("haplua.test")

local site, folder

before_each(function()
  folder = test.folder()
  site = test.haproxy({ servers = {
    ["app/a1"] = { weight = 100, addr = "192.0.2.1", port = 80 }, ["app/a2"] = { weight = 100 }, ["app/a3"] = { weight = 1 },
    "blue/b1", "blue/b2", ["green/g1"] = { check = true }, ["green/g2"] = { check = true },
  } })
end)

--- Write a script, and return its path.
local function script(text)
  local path = folder .. "/script.lua"
  assert(file.replace(path, 'local server = require("haplua.server")\n' .. text))
  return path
end

local function status(name)
  return test.run("scripts/maint.lua", "status", "--server", name).out
end

local function admin(backend)
  local states = {}
  for i, row in ipairs(servers(backend)) do
    states[i] = row.admin
  end
  return table.concat(states, " ")
end

local function refusal(fn, ...)
  local ok, problem = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal("refused", problem.kind, tostring(problem))
  return problem.message
end

describe("a weight", function()
  it("is back when the block ends, with the state and the address", function()
    do
      local held <close> = server.hold("app/a1")
      assert.same({ 5, 5 }, { held:weight("5%"), site:server("app/a1").weight })
      held:drain(60)
      held:move("192.0.2.9")
      local a1 = site:server("app/a1")
      assert.same({ "192.0.2.9", 80, 5 }, { a1.addr, a1.port, a1.weight })
      assert.contains("app/a1 drain weight 5 address 192.0.2.9:80", status("app/a1"))
      assert.contains("app/a1 is drain, weight 5 (before: ready, weight 100)", status("app/a1"))
      assert.equal("ready", held:ready())
      assert.same({ "ready", 5 }, { servers("app")[1].admin, site:server("app/a1").weight })
    end
    local a1 = site:server("app/a1")
    assert.same({ "ready", 100, "192.0.2.1" }, { servers("app")[1].admin, a1.weight, a1.addr })
    assert.equal("no server is under maintenance\n", status("app/a1"))
  end)

  it("of which a share is less than 1 is refused", function()
    local held <close> = server.hold("app/a3")
    assert.matches("has weight 1 in HAProxy's configuration: 5%% of it is less than 1", refusal(held.weight, held, "5%"))
    assert.equal(0, held:weight("0%"))
    assert.error_matches(function() held:weight(257) end, "held:weight: value must be an integer from 0 to 256")
  end)

  it("of 0 is refused where too few servers would be left", function()
    for _, name in ipairs({ "app/a2", "app/a3" }) do
      haproxy.server_set({ server = name, state = "maint" })
    end
    assert.contains("the last server", refusal(server.hold, "app/a1"))
    haproxy.server_set({ server = "app/a2", state = "ready" })
    local held <close> = server.hold("app/a1")
    haproxy.server_set({ server = "app/a2", state = "maint" })
    assert.equal(50, held:weight("50%"))
    assert.contains("the last server", refusal(held.weight, held, 0))
    assert.contains("the last server", refusal(held.drain, held, 5))
  end)

  it("that was killed with its process is given back by maint off, and put back after a reload by keep", function()
    local run = test.start(script('local held <close> = server.hold("app/a1") held:weight("5%") task.sleep(1000)'))
    test.advance(5)
    run:kill()
    local keep = test.start("scripts/keep.lua")
    test.advance(2)
    site:reload()
    assert.equal(100, site:server("app/a1").weight)
    test.advance(5)
    assert.equal(5, site:server("app/a1").weight, keep:out() .. keep:err())
    local off = test.run("scripts/maint.lua", "off", "--server", "app/a1")
    assert.contains("app/a1 is ready, with weight 100", off.out)
    assert.equal(100, site:server("app/a1").weight)
  end)

  it("is given back by keep at its end, also where its process was killed", function()
    local run = test.start(script(
      'local held <close> = server.hold("app/a1", { ends = task.time() + 60 }) held:weight("5%") task.sleep(1000)'))
    test.advance(5)
    run:kill()
    local _ = test.start("scripts/keep.lua")
    test.advance(30)
    assert.equal(5, site:server("app/a1").weight)
    test.advance(30)
    assert.equal(100, site:server("app/a1").weight)
  end)

  it("that a hand changes meanwhile stays as the hand has set it", function()
    do
      local held <close> = server.hold("app/a1")
      held:weight(20)
      haproxy.server_set({ server = "app/a1", weight = 33 })
      assert.contains("somebody has set it to weight 33", status("app/a1"))
    end
    assert.equal(33, site:server("app/a1").weight)
    do
      local held <close> = server.hold("app/a1")
      held:weight(20)
      haproxy.server_set({ server = "app/a1", weight = 44 })
      assert.contains("app/a1 is not held any more", refusal(held.weight, held, 30))
      haproxy.server_set({ server = "app/a1", weight = 100 })
    end
    do
      local held <close> = server.hold("app/a1")
      held:weight(20)
      held:drain(5)
      haproxy.server_set({ server = "app/a1", weight = 55 })
      held:ready()
      assert.same({ "ready", 55 }, { servers("app")[1].admin, site:server("app/a1").weight })
    end
    assert.equal(55, site:server("app/a1").weight)
    assert.equal("no server is under maintenance\n", status("app/a1"))
  end)

  it("that a hand changes is set again by keep, where the configuration says so", function()
    assert(file.replace(folder .. "/undo.lua", ('return { journal = %q, by_hand = "undo" }'):format(folder .. "/undo.db")))
    test.env({ HAPLUA_CONFIG = folder .. "/undo.lua" })
    local keep = test.start("scripts/keep.lua")
    local run = test.start(script('local held <close> = server.hold("app/a1") held:weight(5) task.sleep(1000)'))
    test.advance(5)
    haproxy.server_set({ server = "app/a1", weight = 33 })
    test.advance(5)
    assert.equal(5, site:server("app/a1").weight, keep:out() .. keep:err())
    run:stop()
    assert.equal(100, site:server("app/a1").weight)
  end)

  it("that is kept stays, unless it is the one from before", function()
    do
      local held <close> = server.hold("app/a1")
      held:weight(20)
      held:keep()
    end
    assert.equal(20, site:server("app/a1").weight)
    assert.contains("app/a1 weight 20", status("app/a1"))
    test.run("scripts/maint.lua", "off", "--server", "app/a1")
    do
      local held <close> = server.hold("app/a1")
      held:weight(20)
      held:weight("100%")
      held:keep()
    end
    assert.same({ 100, "no server is under maintenance\n" }, { site:server("app/a1").weight, status("app/a1") })
  end)
end)

describe("the errors of a server", function()
  it("are those since the weight was set, and then since the last look", function()
    local a1 = site:server("app/a1")
    a1.hrsp_2xx, a1.hrsp_5xx = 1000, 1000
    local held <close> = server.hold("app/a1")
    assert.error_matches(function() held:errors() end, "held:errors: since when%?")
    held:weight(50)
    a1.hrsp_2xx, a1.hrsp_3xx, a1.hrsp_4xx, a1.hrsp_5xx = 1090, 4, 4, 1002
    assert.same({ 0.02, 100 }, { held:errors() })
    assert.contains("has had no request since then", refusal(held.errors, held))
    a1.econ, a1.wredis, a1.eresp = 1, 1, 2
    assert.same({ 1.0, 4 }, { held:errors() })
  end)

  it("over some seconds are those from now on, also over a reload", function()
    local a1 = site:server("app/a1")
    a1.hrsp_2xx = 1000
    local held <close> = server.hold("app/a1")
    local share = task.spawn(held.errors, held, 60)
    test.advance(30)
    site:reload()
    site:server("app/a1").hrsp_2xx, site:server("app/a1").hrsp_5xx = 3, 1
    test.advance(30)
    assert.equal(0.25, share:wait())
    assert.contains("has had no request in 60 s", refusal(held.errors, held, 60))
  end)

  it("come with its latency, in seconds", function()
    local held <close> = server.hold("app/a1")
    assert.contains("has had no request", refusal(held.latency, held))
    local a1 = site:server("app/a1")
    a1.hrsp_2xx, a1.rtime, a1.ttime = 7, 12, 40
    assert.same({ 0.012, 0.04 }, { held:latency() })
  end)
end)

describe("a loop over servers", function()
  local function left(text)
    test.run(script(text))
    return admin("app")
  end

  it("has one server out of service at a time", function()
    local seen = {}
    for s in server.each("app") do
      s:drain(60)
      seen[#seen + 1] = s.name .. ": " .. admin("app")
      assert.same({ "app", s.name:match("/(.*)") }, { s.backend, s.server })
      s:ready({ settle = 3, within = 60 })
    end
    assert.same({ "app/a1: drain ready ready", "app/a2: ready drain ready", "app/a3: ready ready drain" }, seen)
    assert.equal("ready ready ready", admin("app"))
  end)

  it("puts a server back that the body has not, and waits for it", function()
    local began, up = task.now(), nil
    for s in server.each("green") do
      if s.server == "g2" then
        up = task.now() - began
      end
      s:drain(5)
    end
    assert.is_true(up >= 3)
    assert.equal("ready ready", admin("green"))
  end)

  it("leaves a server drained that was idle, however it ends", function()
    for _, ending in ipairs({ "break", "return 1", 'error("broken")', "os.exit(1)" }) do
      assert.equal("drain ready ready", left('for s in server.each("app") do s:drain(60) do ' .. ending .. " end end"), ending)
      assert.contains("each app", status("app/a1"))
      test.run("scripts/maint.lua", "off", "--server", "app/a1")
    end
    local run = test.start(script('for s in server.each("app") do s:drain(60) task.sleep(1000) end'))
    test.advance(5)
    run:stop()
    assert.equal("drain ready ready", admin("app"))
  end)

  it("puts a server back that has not become idle", function()
    site:server("app/a1").sessions = 1
    assert.equal("ready ready ready", left('for s in server.each("app") do s:drain(5) end'))
    local run = test.start(script('for s in server.each("app") do s:drain(1000) end'))
    test.advance(5)
    assert.equal("drain ready ready", admin("app"))
    assert.contains("app/a1 is ready again", run:stop().err)
    assert.equal("ready ready ready", admin("app"))
  end)

  it("goes on where it stopped", function()
    left('for s in server.each("app", { name = "upgrade" }) do s:drain(5) if s.server == "a2" then return 1 end end')
    assert.equal("ready drain ready", admin("app"))
    local seen = {}
    for s in server.each("app", { name = "upgrade", resume = true }) do
      seen[#seen + 1] = s.server
      s:drain(5)
    end
    assert.same({ "a2", "a3" }, seen)
    assert.equal("ready ready ready", admin("app"))
    assert.contains("has had no each", refusal(server.each, "app", { resume = true }))
  end)

  it("leaves servers kept, and works on those named", function()
    for s in server.each("app", { only = { "a3", "a1" } }) do
      s:drain(5)
      s:keep("maint")
    end
    assert.equal("maint ready maint", admin("app"))
    assert.contains("app/a9 does not exist", refusal(server.each, "app", { only = { "a9" } }))
  end)
end)

describe("a group of servers", function()
  it("is drained at once, and put into service by another run", function()
    site:server("blue/b2").sessions = 1
    local draining = task.spawn(function()
      server.group("blue"):drain(300)
    end)
    test.advance(5)
    assert.equal("drain drain", admin("blue"))
    assert.is_false(draining:done())
    site:server("blue/b2").sessions = 0
    draining:wait()
    assert.not_contains("is gone", status("blue/"))
    test.run(script('server.group("blue"):ready{ settle = 3, within = 60 }'))
    assert.equal("ready ready", admin("blue"))
  end)

  it("goes back where one is not idle in time, and at a signal", function()
    site:server("blue/b2").sessions = 1
    assert.contains("blue/b2 is not idle after 5 s", refusal(function() server.group("blue"):drain(5) end))
    assert.equal("ready ready", admin("blue"))
    local run = test.start(script('server.group("blue"):drain(500)'))
    test.advance(5)
    assert.equal("drain drain", admin("blue"))
    run:stop()
    assert.equal("ready ready", admin("blue"))
    server.group("blue"):drain(1, { cut = true })
    assert.equal("drain drain", admin("blue"))
  end)

  it("that gets requests is refused, unless it is forced", function()
    local stop = false
    local visitors <close> = task.spawn(function()
      while not stop do
        site:server("blue/b1").stot = site:server("blue/b1").stot + 1
        task.sleep(0.5)
      end
    end)
    assert.contains("blue gets requests", refusal(function() server.group("blue"):drain(5) end))
    assert.equal("ready ready", admin("blue"))
    server.group("blue", { only = { "b2" } }):drain(5)
    assert.equal("ready drain", admin("blue"))
    server.group("blue"):ready()
    assert.contains("is the last", refusal(function() server.group("blue", { keep_up = 1 }):drain(5) end))
    server.group("blue", { force = true }):drain(5)
    stop = true
    assert.equal("drain drain", admin("blue"))
    visitors:wait()
  end)

  it("is ready when all are up", function()
    site:server("green/g2").up = false
    assert.contains("green/g2 is not up after 5 s", refusal(function() server.group("green"):ready({ within = 5 }) end))
    site:server("green/g2").up = true
    server.group("green"):ready()
    haproxy.server_set({ server = "green/g1", state = "maint" })
    assert.contains("green/g1 is maint", refusal(function() server.group("green"):ready() end))
    server.group("green", { force = true }):ready()
    assert.equal("ready ready", admin("green"))
    test.run("scripts/maint.lua", "on", "--server", "green/g1")
    assert.contains("green/g1 is maint", refusal(function() server.group("green", { force = true }):ready() end))
  end)
end)

describe("scripts/canary.lua", function()
  local function canary(...)
    return test.start("scripts/canary.lua", "app/a1", "--every", "60", ...)
  end

  local function serve(good, bad, milliseconds)
    local a1 = site:server("app/a1")
    a1.hrsp_2xx, a1.hrsp_5xx, a1.rtime = a1.hrsp_2xx + good, a1.hrsp_5xx + bad, milliseconds or 5
  end

  it("gives the weight back where requests fail, or are slow, or there are none", function()
    for text, traffic in pairs({
      ["too many requests fail"] = { 98, 2 }, ["it is too slow"] = { 100, 0, 900 }, ["has had no request"] = { 0, 0 },
    }) do
      local run = canary("--max-latency", "0.5")
      test.advance(30)
      assert.equal(5, site:server("app/a1").weight)
      serve(table.unpack(traffic))
      test.advance(31)
      local ran = run:wait()
      assert.equal(1, ran.status)
      assert.contains(text, ran.err)
      assert.equal(100, site:server("app/a1").weight)
    end
  end)

  it("refuses a server that would have no traffic, and steps that are no numbers", function()
    haproxy.server_set({ server = "app/a1", state = "drain" })
    assert.contains("app/a1 is drain: it would get no traffic", canary():wait().err)
    assert.same({ 2, 2 }, { canary("--steps", "5,all"):wait().status, test.run("scripts/canary.lua", "app").status })
  end)

  it("gives the weight back at a signal, and after a step that was good", function()
    local run = canary()
    test.advance(30)
    serve(100, 0)
    test.advance(31)
    assert.equal(25, site:server("app/a1").weight)
    run:stop()
    assert.equal(100, site:server("app/a1").weight)
  end)
end)

describe("scripts/scale-guard.lua", function()
  local function once(...)
    return test.run("scripts/scale-guard.lua", "app", "--once", ...).status
  end

  it("refuses a backend that does not exist", function()
    assert.contains("Can't find backend", test.run("scripts/scale-guard.lua", "nope").err)
  end)

  it("says whether one server less would be too few", function()
    for need, expected in pairs({ ["2"] = 0, ["3"] = 1, ["50%"] = 0, ["100%"] = 1 }) do
      assert.equal(expected, once("--keep-up", need), need)
    end
    haproxy.server_set({ server = "app/a1", state = "drain" })
    assert.same({ 0, 1 }, { once("--keep-up", "1"), once("--keep-up", "2") })
  end)

  it("puts back what a hand takes away, and nothing else", function()
    haproxy.server_set({ server = "app/a3", state = "drain" })
    local run = test.start("scripts/scale-guard.lua", "app", "--keep-up", "2", "--undo")
    test.advance(3)
    haproxy.server_set({ server = "app/a1", state = "maint" })
    test.advance(3)
    assert.equal("ready ready drain", admin("app"))
    assert.contains("app/a1: was set to maint by hand, and is ready again", run:out())
    assert.equal(0, test.run("scripts/maint.lua", "on", "--server", "app/a1", "--force").status)
    test.advance(3)
    assert.equal("maint ready drain", admin("app"))
    assert.matches("1 of 3 servers take requests, and 2 are to\n$", run:out())
  end)
end)

describe("scripts/ab.lua and scripts/lunch.lua", function()
  it("leave the map as it was, also at a signal", function()
    local other = test.haproxy({ maps = { [folder .. "/ab.map"] = { match = "str", entries = { ["99"] = "old" } } },
      servers = { "app/a1", "new/n1" } })
    local run = test.start("scripts/ab.lua", "app", "new", "--map", folder .. "/ab.map", "--percent", "2")
    test.advance(3)
    assert.same({ ["0"] = "new", ["1"] = "new" }, other:map(folder .. "/ab.map"))
    run:stop()
    assert.same({ ["99"] = "old" }, other:map(folder .. "/ab.map"))
    assert.contains("new: 0 requests", run:out())
    assert.equal(2, test.run("scripts/ab.lua", "app").status)
  end)

  it("close a path over lunch", function()
    local other = test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
    test.start("scripts/lunch.lua", "--tz", "UTC")
    test.until_("2026-01-01T12:01:00Z")
    assert.same({ true, false }, { other:matches("#9999", "/orders"), other:matches("#9999", "/") })
    test.until_("2026-01-01T13:00:01Z")
    assert.is_false(other:matches("#9999", "/orders"))
  end)
end)

describe("scripts/bluegreen.lua", function()
  local map

  local function switch(...)
    return test.run("scripts/bluegreen.lua", "green", "--map", map, ...)
  end

  before_each(function()
    map = folder .. "/live.map"
    assert(file.replace(map, "# which\napp blue\nother blue\n"))
    site = test.haproxy({ maps = { [map] = { match = "str" } }, servers = {
      "blue/b1", ["green/g1"] = { check = true }, ["green/g2"] = { check = true },
    } })
    test.env({ HAPLUA_SOCKET = site.address })
  end)

  it("switches nothing where the new servers are not up", function()
    site:server("green/g2").up = false
    local ran = switch("--wait", "5")
    assert.equal(1, ran.status)
    assert.contains("green/g2 is not up after 5 s", ran.err)
    assert.same({ "blue", "ready" }, { site:map(map).app, admin("blue") })
  end)

  it("switches to servers that are up, also over a reload, and back", function()
    local ran = switch()
    assert.equal(0, ran.status, ran.err)
    assert.same({ "green", "blue", "drain" }, { site:map(map).app, site:map(map).other, admin("blue") })
    site:reload()
    assert.equal("green", site:map(map).app)
    assert.equal("app: green already\n", switch().out)
    assert.equal(0, test.run("scripts/bluegreen.lua", "blue", "--map", map).status)
    assert.same({ "blue", "drain drain" }, { site:map(map).app, admin("green") })
    assert.equal("# which\napp blue\nother blue\n", file.read(map))
  end)
end)

describe("defer", function()
  it("calls the latest first, with its arguments, however the script ends", function()
    for ending, expected in pairs({
      [""] = 0, ["return 3"] = 3, ['error("mine", 0)'] = 1, ["os.exit(4)"] = 4, ["nothing_at_all()"] = 1,
    }) do
      local ran = test.run(script('defer(print, "one", nil) defer(function() task.sleep(1) print("two") end) ' .. ending))
      assert.same({ expected, "two\none\tnil\n" }, { ran.status, ran.out }, ending)
    end
    local run = test.start(script('defer(print, "over") task.sleep(1000)'))
    test.advance(1)
    run:stop()
    assert.equal("over\n", run:out())
  end)

  it("calls the others where one fails, and reports what failed", function()
    local ran = test.run(script('defer(print, "called") defer(error, "its own", 0)'))
    assert.same({ 1, "called\n" }, { ran.status, ran.out })
    assert.contains("its own", ran.err)
    ran = test.run(script('defer(error, "its own", 0) error("the script\'s", 0)'))
    assert.contains("haplua: the script's", ran.err)
    assert.contains("a deferred function failed: its own", ran.err)
    assert.contains("defer: a function is expected, not nil", test.run(script("defer()")).err)
  end)
end)
