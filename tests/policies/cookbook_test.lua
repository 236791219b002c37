-- SPDX-License-Identifier: MIT
--
-- Each recipe of docs/cookbook.md does what the page says, on a fake HAProxy and in virtual time. The test takes the
-- recipes from the page.

local test = require("haplua.test")

local reader = dofile("tests/documents/reader.lua")

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

--- The recipes of the page: name -> text.
local recipes = {}
for _, block in ipairs(reader.blocks(read("docs/cookbook.md"))) do
  local name = (reader.mark(block, "file") or ""):match("^policies/(%l+)%.lua$")
  if name then
    recipes[name] = table.concat(block.lines, "\n") .. "\n"
  end
end

local tried = {}

--- The path of a recipe, in the test's folder. `text`: in the place of that of the page.
local function recipe(name, text)
  tried[name] = true
  return write(("%s/%s.lua"):format(test.folder(), name), text or assert(recipes[name], name))
end

--- Put a program into $PATH that prints nothing and writes its words into a file. `failing`: a pattern of the shell; a
-- call whose words match it fails. Returns a function that returns the words of all calls, a line for each; the path.
local function program(name, failing)
  local path = test.folder() .. "/" .. name
  write(path, ('#!/bin/sh\necho "$*" >>%s.called\ncase "$*" in %s) exit 3 ;; esac\n'):format(path, failing or "''"))
  run({ "chmod", "755", path })
  test.env({ PATH = test.folder() .. ":" .. os.getenv("PATH") })
  return function()
    local file <close> = io.open(path .. ".called")
    return file and file:read("a") or ""
  end, path
end

local SERVERS <const> = {
  ["app/a1"] = { check = true, weight = 100 }, ["app/a2"] = { check = true, weight = 100 },
  ["app/a3"] = { check = true, weight = 100 },
}

local function new_site(more)
  local options = { acls = { ["#9999"] = { match = "reg" } }, servers = SERVERS }
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  return test.haproxy(options)
end

local function good(result)
  assert.equal(0, result.status, result.err .. result.out)
  return result.out
end

local function admin(site, name)
  return site:server(name).admin
end

describe("recipes for servers", function()
  it("restart", function()
    local site = new_site()
    local called = program("ssh")
    local out = good(test.run(recipe("restart")))
    assert.contains("app: 3 of 3 servers done: a1 a2 a3", out)
    local _, restarts = called():gsub("systemctl restart app", "")
    assert.equal(3, restarts)
    assert.equal(0, admin(site, "app/a2"))
  end)

  it("restart stops at the first failure, and leaves the server drained", function()
    local site = new_site()
    local called = program("ssh", "*")
    local result = test.run(recipe("restart"))
    assert.equal(1, result.status)
    assert.contains("app/a1: the restart failed", result.err)
    local _, restarts = called():gsub("systemctl restart app", "")
    assert.equal(1, restarts)
    assert.are_not.equal(0, admin(site, "app/a1"))
    assert.equal(0, admin(site, "app/a2"))
  end)

  it("upgrade", function()
    local site = new_site()
    local called = program("ssh")
    assert.contains("app/a2 is upgraded", good(test.run(recipe("upgrade"), "app/a2")))
    assert.matches("apt%-get %-y upgrade\n.*systemctl restart app\n.*health", called())
    assert.equal(0, admin(site, "app/a2"))
  end)

  it("upgrade leaves the server out where the application does not answer", function()
    local site = new_site()
    program("ssh", "*health*")
    local result = test.run(recipe("upgrade"), "app/a2")
    assert.equal(1, result.status)
    assert.contains("the server stays in maintenance", result.err)
    assert.are_not.equal(0, admin(site, "app/a2"))
  end)

  it("upgrade gives the server back where its sessions do not end", function()
    local site = new_site()
    local called = program("ssh")
    site:server("app/a2").sessions = 7
    local result = test.run(recipe("upgrade"), "app/a2")
    assert.equal(1, result.status)
    assert.equal("", called())
    assert.equal(0, admin(site, "app/a2"))
  end)

  it("websockets", function()
    local site = new_site()
    site:server("app/a1").sessions = 7
    local policy = test.start(recipe("websockets"), "app/a1")
    test.advance("20m")
    site:server("app/a1").sessions = 2
    test.advance("9m")
    assert.is_false(policy:done())
    good(policy:wait())
    assert.equal(0, site:server("app/a1").sessions)
    assert.are_not.equal(0, admin(site, "app/a1"))
  end)

  it("night", function()
    local site = new_site()
    test.clock({ at = "2026-06-01T12:00:00Z" })
    local policy = test.start(recipe("night"))
    test.until_("2026-06-01T20:00:01Z")
    assert.equal(10, site:server("app/a1").weight)
    test.until_("2026-06-02T04:00:01Z")
    assert.equal(100, site:server("app/a1").weight)
    test.until_("2026-06-02T21:00:00Z")
    assert.equal(10, site:server("app/a1").weight)
    policy:stop()
    assert.equal(100, site:server("app/a1").weight)
  end)
end)

describe("recipes for a new version", function()
  local site

  before_each(function()
    site = test.haproxy({ servers = {
      ["app/a1"] = { check = true, weight = 100 }, ["app/new"] = { check = true, weight = 100 },
    } })
  end)

  --- Let requests of a canary come and fail.
  local function answers(good_ones, bad_ones)
    local new = site:server("app/new")
    new.hrsp_2xx, new.hrsp_5xx = (new.hrsp_2xx or 0) + good_ones, (new.hrsp_5xx or 0) + bad_ones
    new.req_tot = (new.req_tot or 0) + good_ones + bad_ones
  end

  it("canary", function()
    local policy = test.start(recipe("canary"))
    for _, weight in ipairs({ 5, 25, 50, 100 }) do
      test.advance("1m")
      assert.equal(weight, site:server("app/new").weight)
      answers(1000, 2)
      test.advance("4m")
    end
    local out = good(policy:wait())
    assert.contains("50%: 1002 requests, 0.2% errors", out)
    assert.equal(100, site:server("app/new").weight)
  end)

  it("canary gives the weight back", function()
    local policy = test.start(recipe("canary"))
    test.advance("1m")
    answers(1000, 2)
    test.advance("5m")
    assert.equal(25, site:server("app/new").weight)
    answers(1000, 200)
    local result = policy:wait()
    assert.equal(1, result.status)
    assert.contains("too many errors", result.err)
    assert.equal(100, site:server("app/new").weight)
  end)
end)

describe("recipes for parts of the site", function()
  it("hosts", function()
    local site = test.haproxy({ acls = { ["#9999"] = { fetch = "base", match = "reg", insensitive = true } } })
    local called, migrate = program("migrate.sh")
    local text = recipes.hosts:gsub('"./migrate.sh"', ("%q"):format(migrate)) -- the folder in which it runs is another one
    assert.contains("c.example.com is migrated", good(test.run(recipe("hosts", text))))
    assert.equal("a.example.com\nb.example.com\nc.example.com\n", called())
    assert.same({}, site:acl("#9999"))
    local changes = table.concat(site.log, "\n")
    assert.matches("add acl #9999 [^\n]*a\\+%.example.*del acl #9999.*add acl #9999 [^\n]*b\\+%.example", changes)
  end)

  it("office", function()
    local config = write(test.folder() .. "/config.lua", ([[return {
      journal = %q, switches = { site = { acl = "#9999", bypass = "#9998", file = false } }, default = "site",
    }]]):format(test.folder() .. "/journal.db"))
    test.env({ HAPLUA_CONFIG = config })
    local site = new_site({ acls = { ["#9999"] = { match = "reg" }, ["#9998"] = { fetch = "src" } } })
    local policy = test.start(recipe("office"))
    test.advance("10m")
    assert.is_true(site:matches("#9999", "/"))
    assert.is_true(site:matches("#9998", "192.0.2.77"))
    assert.is_false(site:matches("#9998", "198.51.100.1"))
    assert.contains("an hour is over", good(policy:wait()))
    assert.is_false(site:matches("#9999", "/"))
    assert.is_false(site:matches("#9998", "192.0.2.77"))
  end)

  it("deploy", function()
    local site = new_site()
    site:server("app/a1").up = false
    site:server("app/a2").up = false
    local policy = test.start(recipe("deploy"), "true")
    test.advance("2m")
    assert.is_true(site:matches("#9999", "/"))
    site:server("app/a2").up = true
    test.advance("2s")
    assert.is_false(site:matches("#9999", "/"))
    assert.contains("the new version is open", good(policy:wait()))
  end)

  it("deploy gives up after ten minutes, and opens the site", function()
    local site = new_site()
    site:server("app/a1").up = false
    site:server("app/a2").up = false
    assert.equal(3, test.run(recipe("deploy"), "true").status)
    assert.is_false(site:matches("#9999", "/"))
    assert.equal(1, test.run(recipe("deploy"), "false").status)
    assert.is_false(site:matches("#9999", "/"))
  end)

  it("lunch", function()
    local site = new_site()
    local function closed_at(instant)
      test.until_(instant)
      return site:matches("#9999", "/order/now")
    end
    test.clock({ at = "2026-12-24T10:55:00Z" }) -- a Thursday
    local policy = test.start(recipe("lunch"))
    assert.is_false(closed_at("2026-12-24T10:59:00Z"))
    assert.is_true(closed_at("2026-12-24T11:00:02Z"))
    assert.is_false(closed_at("2026-12-24T12:00:02Z"))
    policy:stop()
    test.clock({ at = "2026-12-25T11:10:00Z" })
    policy = test.start(recipe("lunch"))
    assert.is_false(closed_at("2026-12-25T11:15:00Z"))
    policy:stop()
    test.clock({ at = "2026-12-28T11:10:00Z" })
    policy = test.start(recipe("lunch"))
    assert.is_true(closed_at("2026-12-28T11:15:00Z"))
    policy:stop()
    assert.is_false(site:matches("#9999", "/order/now"))
  end)
end)

describe("recipes for lists and maps", function()
  local map

  before_each(function()
    map = test.folder() .. "/live.map"
    test.env({ LIVE_MAP = map })
  end)

  it("block", function()
    local site = test.haproxy({ acls = { ["#9100"] = { fetch = "src", entries = { "203.0.113.1" } } } })
    local policy = test.start(recipe("block"), "192.0.2.7", "198.51.100.0/24")
    test.advance("59m")
    assert.is_true(site:matches("#9100", "198.51.100.99"))
    assert.contains("2 blocked for an hour", good(policy:wait()))
    assert.same({ "203.0.113.1" }, site:acl("#9100"))
    policy = test.start(recipe("block"), "192.0.2.7")
    test.advance("1m")
    policy:stop()
    assert.same({ "203.0.113.1" }, site:acl("#9100"))
  end)

  it("blocklist", function()
    local site = test.haproxy({ acls = { ["#9100"] = { fetch = "src", entries = { "203.0.113.1" } } } })
    local path = test.folder() .. "/blocked.txt"
    local lines = { "# a comment", "" }
    for i = 0, 999 do
      lines[#lines + 1] = ("10.%d.%d.0/24"):format(i // 256, i % 256)
    end
    write(path, table.concat(lines, "\n") .. "\n2001:db8::/32\n")
    assert.contains("1001 networks (1001 added, 1 removed)", good(test.run(recipe("blocklist"), path)))
    assert.is_true(site:matches("#9100", "10.3.9.1"))
    assert.is_false(site:matches("#9100", "203.0.113.1"))
    write(path, "# nothing\n")
    assert.equal(1, test.run(recipe("blocklist"), path).status)
    assert.equal(1001, #site:acl("#9100"))
  end)

  it("green", function()
    local site = test.haproxy({
      maps = { [map] = { match = "str", entries = { live = "blue" } } },
      servers = { ["blue/b1"] = { check = true }, ["green/g1"] = { check = true }, ["green/g2"] = { check = true } },
    })
    site:server("green/g2").up = false
    local result = test.run(recipe("green"), "green")
    assert.equal(1, result.status)
    assert.contains("green/g2 is not up after 60 s", result.err)
    assert.equal("blue", haproxy.map_get(map, "live"))
    assert.equal(0, admin(site, "blue/b1"))
    site:server("green/g2").up = true
    assert.contains("green in place of blue", good(test.run(recipe("green"), "green")))
    assert.equal("green", haproxy.map_get(map, "live"))
    assert.are_not.equal(0, admin(site, "blue/b1"))
    assert.contains("green is live already", test.run(recipe("green"), "green").err)
    assert.contains("blue in place of green", good(test.run(recipe("green"), "blue")))
    assert.equal(0, admin(site, "blue/b1"))
    assert.are_not.equal(0, admin(site, "green/g1"))
  end)

  it("times", function()
    test.haproxy({ maps = { [map] = { match = "str", entries = { live = "big" } } } })
    test.clock({ at = "2026-06-05T12:00:00Z" }) -- a Friday
    local policy = test.start(recipe("times"))
    local function at(instant)
      test.until_(instant)
      return (haproxy.map_get(map, "live"))
    end
    assert.equal("big", at("2026-06-05T12:00:01Z"))
    assert.equal("small", at("2026-06-05T17:00:01Z"))
    assert.equal("small", at("2026-06-07T12:00:00Z"))
    assert.equal("big", at("2026-06-08T05:30:01Z"))
    policy:stop()
    assert.equal("small", (haproxy.map_get(map, "live")))
  end)
end)

describe("recipes for watching", function()
  it("chat", function()
    local site = new_site()
    local called = program("curl")
    test.env({ WEBHOOK = "http://chat.example/hook" })
    local policy = test.start(recipe("chat"))
    test.advance("1m")
    assert.equal("", called())
    site:server("app/a2").up = false
    test.advance("10s")
    assert.contains("app/a2 is ready, stopped (it was ready, running)", called())
    assert.contains("http://chat.example/hook", called())
    policy:stop()
  end)

  it("guard", function()
    local site = new_site()
    local policy = test.start(recipe("guard"))
    test.advance("1m")
    assert.is_false(site:matches("#9999", "/"))
    site:server("app/a2").up = false
    test.advance("1m")
    assert.is_false(site:matches("#9999", "/"))
    site:server("app/a1").up = false
    test.advance("5s")
    assert.is_true(site:matches("#9999", "/"))
    site:server("app/a1").up = true
    test.advance("5s")
    assert.is_true(site:matches("#9999", "/"))
    test.advance("15s")
    assert.is_false(site:matches("#9999", "/"))
    policy:stop()
  end)

  it("weights", function()
    local site = new_site()
    local policy = test.start(recipe("weights"))
    test.advance("10s")
    haproxy.server_set({ server = "app/a3", weight = 7 })
    test.advance("10s")
    site:reload()
    assert.equal(100, site:server("app/a3").weight)
    test.advance("5s")
    assert.equal(7, site:server("app/a3").weight)
    site:down("ECONNREFUSED")
    test.advance("10s")
    site:reload()
    site:up()
    test.advance("5s")
    assert.equal(7, site:server("app/a3").weight)
    policy:stop()
  end)

  it("standby", function()
    local site = test.haproxy({ servers = { ["db/main"] = { addr = "192.0.2.10", port = 5432 } } })
    site:server("db/main").sessions = 3
    assert.contains("db/main is at 192.0.2.20:5433", good(test.run(recipe("standby"), "192.0.2.20", "5433")))
    assert.equal("192.0.2.20", site:server("db/main").addr)
    assert.equal(5433, site:server("db/main").port)
    assert.equal(0, admin(site, "db/main"))
  end)
end)

it("each recipe is tried here, or on a real HAProxy", function()
  for name in pairs(recipes) do
    assert(tried[name] or name == "certificates", name)
  end
end)
