-- SPDX-License-Identifier: MIT
--
-- The shortest form of each policy, as the design of the interface wrote it before there was one. Each runs as it is
-- written, to the letter; the texts below are not to be changed.

local file = require("haplua.file")
local test = require("haplua.test")

-- luacheck: no max line length
local IDEAL <const> = [[
maintenance.on{ paths = { "/shop" }, reason = "new database", lasts = "30m" }            -- partial path

window.hold("Sun 02:00-04:00", { tz = "Europe/Paris", paths = { "/api" } })              -- time windows: survives HAProxy away, reloads, kills

for s in server.each("app") do                                                           -- rolling restart
  s:drain(60)
  if run{ "ssh", s.address, "systemctl restart app" } ~= 0 then return 1 end
  s:ready{ settle = 3, within = 60 }
end

server.group("green"):ready{ settle = 3, within = 60 }                                   -- blue/green
haproxy.map_set("/etc/haproxy/live.map", "app", "green")
server.group("blue"):drain(300)

local new <close> = server.hold("app/new")                                               -- canary: weight comes back if anything goes wrong
for _, percent in ipairs{ 5, 25, 50, 100 } do
  new:weight(percent .. "%"); task.sleep(300)
  if new:errors() > 0.01 then error("too many errors", 0) end
end
new:keep()
]]

local REQUIRES <const> = [[
local maintenance, server, window = require("haplua.maintenance"), require("haplua.server"), require("haplua.window")
]]

local listings = {}
for text in (IDEAL .. "\n"):gmatch("(.-\n)\n") do
  listings[#listings + 1] = text
end

describe("the ideal policy", function()
  local site, folder

  before_each(function()
    folder = test.folder()
    test.env({ HAPLUA_JOURNAL = folder .. "/journal.db", HAPLUA_CONFIG = "none" })
    site = test.haproxy({
      acls = { ["#9999"] = { match = "reg" } }, maps = { ["/etc/haproxy/live.map"] = { match = "str" } },
      servers = { ["app/a1"] = { addr = "192.0.2.1", port = 80 }, ["app/a2"] = { addr = "192.0.2.2", port = 80 },
        ["app/new"] = { addr = "192.0.2.3", port = 80, weight = 100 }, "blue/b1", "blue/b2", ["green/g1"] = { check = true },
        ["green/g2"] = { check = true } },
    })
    haproxy.map_add("/etc/haproxy/live.map", "app", "blue")
  end)

  --- Begin the listing that has these words.
  local function start(words)
    for _, text in ipairs(listings) do
      if text:find(words, 1, true) then
        local path = folder .. "/policy.lua"
        assert(file.replace(path, REQUIRES .. text))
        return test.start(path)
      end
    end
  end

  local function admin(backend)
    local found = {}
    for i, row in ipairs(servers(backend)) do
      found[i] = row.admin
    end
    return table.concat(found, " ")
  end

  it("of a part of a site", function()
    local keep = test.start("scripts/keep.lua")
    test.advance(2)
    local run = start("partial path")
    test.advance(2)
    assert.equal(0, run:wait().status, run:err())
    assert.is_true(site:matches("#9999", "/shop"), keep:err())
    test.advance("30m")
    assert.is_false(site:matches("#9999", "/shop"))
  end)

  it("of a window", function()
    test.clock({ at = "2026-01-04T00:59:00Z" })
    local run = start("time windows")
    test.until_("2026-01-04T01:01:00Z")
    assert.same({ true, false }, { site:matches("#9999", "/api"), site:matches("#9999", "/") }, run:err())
    site:reload()
    test.advance(5)
    assert.is_true(site:matches("#9999", "/api"))
    run:kill()
    run = start("time windows")
    test.until_("2026-01-04T03:01:00Z")
    assert.is_false(site:matches("#9999", "/api"), run:err())
  end)

  it("of a rolling restart", function()
    local ssh = folder .. "/ssh"
    assert(file.replace(ssh, '#!/bin/sh\necho "$*" >>"$0.called"\ntest ! -e "$0.fails"\n'))
    os.execute("chmod 755 " .. ssh)
    test.env({ PATH = folder .. ":" .. os.getenv("PATH") })
    local run = start("rolling restart")
    test.advance(60)
    assert.same({ 0, "" }, { run:wait().status, run:err() })
    assert.contains("app: 3 of 3 servers done: a1 a2 new", run:out())
    assert.equal("192.0.2.1 systemctl restart app\n192.0.2.2 systemctl restart app\n192.0.2.3 systemctl restart app\n",
      file.read(ssh .. ".called", 1 << 20))
    assert.equal("ready ready ready", admin("app"))
    assert(file.replace(ssh .. ".fails", ""))
    run = start("rolling restart")
    test.advance(60)
    assert.equal(1, run:wait().status)
    assert.equal("drain ready ready", admin("app"))
  end)

  it("of blue and green", function()
    require("haplua.server").group("green"):drain(5)
    assert.equal("drain drain", admin("green"))
    local run = start("blue/green")
    test.advance(60)
    assert.same({ 0, "" }, { run:wait().status, run:err() })
    assert.same({ "ready ready", "drain drain" }, { admin("green"), admin("blue") })
    assert.equal("green", haproxy.map_get("/etc/haproxy/live.map", "app"))
  end)

  it("of a canary", function()
    local new = site:server("app/new")
    for _, bad in ipairs({ 0, 5 }) do
      local run = start("canary")
      for _, weight in ipairs(bad == 0 and { 5, 25, 50, 100 } or { 5 }) do
        test.advance(150)
        assert.equal(weight, new.weight)
        new.hrsp_2xx, new.hrsp_5xx = new.hrsp_2xx + 95, new.hrsp_5xx + bad
        test.advance(150)
      end
      assert.equal(bad == 0 and 0 or 1, run:wait().status)
      assert.equal(bad > 0, run:err():find("too many errors", 1, true) ~= nil)
      assert.equal(100, new.weight)
    end
  end)

  it("has five listings", function()
    assert.equal(5, #listings)
  end)
end)
