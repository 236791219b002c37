-- SPDX-License-Identifier: MIT
--
-- A switch that is a map, in the sample configuration: each maintenance lets its own networks pass, and visitors read the
-- reason and the end of the maintenance that covers their request.

local cjson = require("cjson")
local running = require("running")
local sample = require("sample")
local site = require("site")
local support = require("support")

local json = require("haplua.json")
local eventually, good = running.eventually, support.good

local NOBODY <const> = "4611686018427387904"

local s

setup(function()
  s = sample.start()
  s.config = s.folder.write("config.lua",
    ([[return { switches = { site = { map = %q, bypass = %q } } }]]):format(s.map, s.bypass))
  s.journal = s.dir .. "/journal.db"
end)

teardown(function()
  s:close()
end)

local function maint(...)
  return good(s:maint(...))
end

local function status(...)
  return json.decode(maint("status", "--json", ...))
end

--- Begin a maintenance. Returns its name.
local function on(...)
  return json.decode(maint("on", "--json", ...)).maintenance.id
end

before_each(function()
  maint("off", "--all")
  assert.same({ {}, {} }, { s.target:map_list(s.map), s.target:map_list(s.bypass) })
end)

--- The entries of a map as lines, without the beginnings of maintenances.
local function entries(ref)
  local lines = {}
  for i, entry in ipairs(s.target:map_list(ref)) do
    lines[i] = entry.key .. " " .. entry.value:gsub("^%d+|", "|")
  end
  return lines
end

local function sorted(lines)
  table.sort(lines)
  return lines
end

--- What clients get of paths: a table by "client path", 127.0.0.1 is client 1. "open", or the reason.
local function seen(clients, ...)
  local found = {}
  for _, client in ipairs(clients) do
    for _, path in ipairs({ ... }) do
      local host, rest = path:match("^([^/]*)(.*)$")
      local answer = sample.ask(s, rest, "--interface", "127.0.0." .. client, "-H", "Accept: application/json",
        "-H", "Host: " .. (host ~= "" and host or "localhost"))
      found[client .. " " .. path] = answer.status == 200 and "open" or cjson.decode(answer.body).reason
    end
  end
  return found
end

--- haplua's keep, running until the end of the block.
local function keep()
  local r = running.start(s, "-s", s.socket, "scripts/keep.lua", "--journal", s.journal, "--config", s.config)
  eventually("it keeps", function()
    return r:out():find("kept to", 1, true) or r:done() and error(r:err(), 0)
  end)
  return setmetatable({ r = r }, {
    __index = r,
    __close = function()
      r:signal("TERM")
      r:wait()
    end,
  })
end

describe("maintenances of a switch that is a map", function()
  it("let their own networks pass, and tell their own reason and end", function()
    local _ <close> = keep()
    maint("on", "--path", "/shop", "--reason", "New shelves | \"50 %\"", "--bypass", "127.0.0.2", "--for", "1h")
    maint("on", "--path", "/api", "--reason", "API", "--bypass", "127.0.0.3")
    assert.same({
      ["1 /shop"] = 'New shelves | "50 %"', ["2 /shop"] = "open", ["3 /shop"] = 'New shelves | "50 %"',
      ["1 /api/x"] = "API", ["2 /api/x"] = "API", ["3 /api/x"] = "open", ["1 /"] = "open", ["2 /"] = "open", ["3 /"] = "open",
    }, seen({ 1, 2, 3 }, "/shop", "/api/x", "/"))
    local shop, api = sample.ask(s, "/shop"), sample.ask(s, "/api/x")
    local wait = tonumber(shop.headers["retry-after"])
    assert.is_true(wait <= 3600 and wait > 300, shop.headers["retry-after"])
    assert.matches(">New shelves | &quot;50 %%&quot;</p>", shop.body)
    assert.equal("300", api.headers["retry-after"])
    local now = status()
    assert.same({ {}, 2 }, { now.disagreements, #now.maintenances })
    assert.matches(("\n  passing %s: 127.0.0.2\n  passing %s: 127.0.0.3\n"):format(now.maintenances[1].id,
      now.maintenances[2].id), maint("status"), 1, true)
  end)

  it("tell any reason as it is, from memory and from the file", function()
    local reasons = {
      [[a \ b \n "c" 'd' $HOME `e` %[src] ; # << <b> |x||y| ]] .. "e", "  two blanks, then \u{1f6a7}", "\\", "#", ("é"):rep(500),
    }
    for i, reason in ipairs(reasons) do
      maint("on", "--path", "/r" .. i, "--reason", reason)
    end
    for _, when in ipairs({ "in memory", "from the file" }) do
      for i, reason in ipairs(reasons) do
        assert.same({ ["1 /r" .. i] = reason }, seen({ 1 }, "/r" .. i), when)
      end
      s:reload()
    end
    assert.same({}, status().disagreements)
  end)

  it("that overlap let a client pass where each of them does, and tell of the one that ends last", function()
    maint("on", "--reason", "site", "--bypass", "127.0.0.2", "--bypass", "127.0.0.3")
    maint("on", "--path", "/shop", "--reason", "shop", "--bypass", "127.0.0.3", "--bypass", "127.0.0.4")
    assert.same({
      ["1 /"] = "site", ["2 /"] = "open", ["3 /"] = "open", ["4 /"] = "site",
      ["1 /shop"] = "site", ["2 /shop"] = "site", ["3 /shop"] = "open", ["4 /shop"] = "site",
    }, seen({ 1, 2, 3, 4 }, "/", "/shop"))
    maint("off", "--all")
    maint("on", "--host", "A.example", "--reason", "host", "--bypass", "127.0.0.0/30")
    maint("on", "--path", "/SHOP", "--reason", "path", "--bypass", "127.0.0.2")
    assert.same({
      ["1 a.example/"] = "open", ["2 a.example/"] = "open", ["4 a.example/"] = "host",
      ["1 a.example:80/shop"] = "host", ["2 a.example:80/shop"] = "open", ["4 a.example:80/shop"] = "host",
      ["1 b.example/shop"] = "path", ["2 b.example/shop"] = "open", ["4 b.example/shop"] = "path",
      ["1 b.example/"] = "open", ["2 b.example/"] = "open", ["4 b.example/"] = "open",
    }, seen({ 1, 2, 4 }, "a.example/", "a.example:80/shop", "b.example/shop", "b.example/"))
  end)

  it("catch OPTIONS *, where the whole site or the host is closed", function()
    maint("on", "--host", "a.example")
    local function options(host)
      return sample.ask(s, "", "-X", "OPTIONS", "--request-target", "*", "-H", "Host: " .. host).status
    end
    assert.same({ 503, 200 }, { options("a.example"), options("b.example") })
    maint("on")
    assert.equal(503, options("b.example"))
  end)

  it("are changed and ended, and leave the others as they are", function()
    local shop = on("--path", "/shop", "--reason", "one", "--bypass", "127.0.0.2")
    local api = on("--path", "/api", "--reason", "two", "--bypass", "127.0.0.2")
    assert.same({ "(?i)^[^/]*/shop ||1|one", "(?i)^[^/]*/api ||1|two" }, entries(s.map))
    maint("change", shop, "--path", "/pay", "--bypass", "127.0.0.3", "--reason", "three")
    assert.same({ "(?i)^[^/]*/api ||1|two", "(?i)^[^/]*/pay ||2|three" }, sorted(entries(s.map)))
    assert.same({ "127.0.0.2 1", "127.0.0.3 2" }, sorted(entries(s.bypass)))
    maint("off", api)
    assert.same({ { "(?i)^[^/]*/pay ||2|three" }, { "127.0.0.3 2" } }, { entries(s.map), entries(s.bypass) })
    maint("on", "--replace", "--path", "/x")
    assert.same({ { "(?i)^[^/]*/x ||" .. NOBODY .. "|" }, {} }, { entries(s.map), entries(s.bypass) })
    assert.same({}, status().disagreements)
  end)

  it("say whose way they take away, and who does not pass everywhere", function()
    maint("on", "--path", "/shop", "--bypass", "127.0.0.2")
    local out = maint("on", "--reason", "all", "--bypass", "127.0.0.3")
    assert.matches("\n  passing: 127.0.0.3\n", out, 1, true)
    assert.matches("asked to pass: 127.0.0.3; but", out, 1, true)
    assert.matches("not passing any more: 127.0.0.2\n", out, 1, true)
    assert.not_matches("not passing any more", maint("on", "--path", "/api", "--bypass", "127.0.0.2"), 1, true)
    local ran = s:maint("on", "--path", "/x", "--bypass", "localhost")
    assert.equal(1, ran.status)
    assert.matches("'localhost' is no network", ran.err, 1, true)
  end)

  it("close patterns of a person's own to all whom one maintenance in force does not let pass", function()
    maint("on", "^[^/]*/(a|b)$", "--reason", "own", "--bypass", "127.0.0.2")
    maint("on", "--path", "/b", "--reason", "path", "--bypass", "127.0.0.3")
    assert.same({
      ["2 /a"] = "own", ["3 /a"] = "own", ["2 /b"] = "own", ["3 /b"] = "own", ["3 /bb"] = "open", ["2 /bb"] = "path",
    }, seen({ 2, 3 }, "/a", "/b", "/bb"))
  end)

  it("survive a reload, by their files", function()
    maint("on", "--path", "/shop", "--reason", "spät \u{1f6a7}  <b>", "--bypass", "127.0.0.2")
    s:reload()
    assert.same({ ["1 /shop"] = "spät \u{1f6a7}  <b>", ["2 /shop"] = "open" }, seen({ 1, 2 }, "/shop"))
    assert.same({}, status().disagreements)
  end)
end)

it("the sample configuration is one that doctor finds right", function()
  maint("on", "--path", "/shop")
  local ran = s:maint("doctor")
  assert.matches("ok    rules          frontend www: closed: [^\n]*: http%-request return answers 503\n", ran.out)
  assert.not_matches("fail", ran.out, 1, true)
end)

describe("a reload", function()
  it("in the middle of changes opens nothing that is closed before and after", function()
    maint("on", "--path", "/z", "--reason", "z", "--bypass", "127.0.0.3")
    local over = false
    local changes <close> = task.spawn(function()
      for i = 1, 1000 do
        -- a change may fail that a reload interrupts; what is closed stays so
        s:maint("on", "--replace", "--path", "/z", "--path", "/" .. i % 3, "--reason", "z", "--bypass", "127.0.0." .. 3 + i % 2)
        if over then
          return
        end
      end
    end)
    for _ = 1, 3 do
      s:reload()
      assert.same({ ["2 /z"] = "z" }, seen({ 2 }, "/z"))
    end
    over = true
    changes:wait()
    maint("on", "--path", "/end")
    assert.same({ {}, { ["2 /z"] = "z" } }, { status().disagreements, seen({ 2 }, "/z") })
  end)

  it("into a process whose maps are empty is made good by keep", function()
    maint("on", "--no-file", "--path", "/shop", "--reason", "shop", "--bypass", "127.0.0.2")
    s:reload()
    assert.equal("forgotten", status().disagreements[1].kind)
    local _ <close> = keep()
    eventually("it is put back", function()
      return #status().disagreements == 0
    end)
    assert.same({ ["1 /shop"] = "shop", ["2 /shop"] = "open" }, seen({ 1, 2 }, "/shop"))
  end)

  it("that reads a file of old brings nothing back that is over, where keep runs", function()
    maint("on", "--host", "a.example")
    maint("on", "--path", "/shop", "--bypass", "127.0.0.2")
    local old, old_bypass = running.content(s.map), running.content(s.bypass)
    maint("off", "--all")
    s.folder.write("maintenance.map", old)
    s.folder.write("maintenance-bypass.map", old_bypass)
    s:reload()
    assert.same({ 3, 1 }, { #s.target:map_list(s.map), #s.target:map_list(s.bypass) })
    local r <close> = keep()
    eventually("it is off again", function()
      return #s.target:map_list(s.map) + #s.target:map_list(s.bypass) == 0 and #status().disagreements == 0
    end)
    assert.not_matches("by hand", r:out(), 1, true)
  end)
end)

describe("a map that an ACL shares", function()
  it("decides for both", function()
    local t <close> = site.start({
      frontend = [[
    acl closed base -i -m reg -M -f DIR/x.map
    http-request set-var(txn.m) base,map_reg(DIR/x.map)
    http-response set-header X-Told %[var(txn.m)]
    use_backend maintenance if closed]],
      files = { ["x.map"] = "" },
    })
    t.config = t.folder.write("config.lua", ([[return { switches = { site = { map = "%s/x.map" } } }]]):format(t.dir))
    good(t:maint("--no-journal", "on", "--path", "/shop", "--reason", "why"))
    assert.same({ "page", "page", "application" }, { t:sees("/shop"), t:sees("/SHOP/x"), t:sees("/") })
    local ran = t:maint("--no-journal", "on", "--bypass", "192.0.2.0/24")
    assert.equal(1, ran.status)
    assert.matches("there is no list of clients that pass", ran.err, 1, true)
    assert.matches("map_ip_int(" .. t.dir .. "/x-bypass.map,0)", ran.err, 1, true)
    good(t:maint("--no-journal", "off"))
    assert.equal("application", t:sees("/shop"))
  end)
end)

describe("a hand at the maps", function()
  it("has entries that stay as they are, and are ended by off", function()
    s.target:map_add(s.map, "^[^/]*/hand", "1700000000||4|by hand")
    s.target:map_add(s.map, "^[^/]*/one", "1")
    maint("on", "--path", "/shop", "--reason", "shop", "--bypass", "127.0.0.2")
    assert.same({ "^[^/]*/hand ||5|by hand", "^[^/]*/one 1", "(?i)^[^/]*/shop ||1|shop" }, entries(s.map))
    assert.same({
      ["2 /hand"] = "by hand", ["2 /one"] = "We are working on this site.", ["2 /shop"] = "open", ["2 /"] = "open",
    }, seen({ 2 }, "/hand", "/one", "/shop", "/"))
    local now = status()
    assert.same({ {}, "by hand" }, { now.disagreements, now.maintenances[1].origin })
    maint("off", now.maintenances[1].id)
    assert.same({ "(?i)^[^/]*/shop ||1|shop" }, entries(s.map))
  end)

  it("has removed an entry: its maintenance is over, and no other", function()
    maint("on", "--host", "a.example", "--reason", "host")
    local path = on("--path", "/shop", "--reason", "path")
    assert.equal(3, #s.target:map_list(s.map))
    s.target:map_del(s.map, "(?i)^a\\.example\\.?(:[^/]*)?(/|$)")
    maint("on", "--path", "/x")
    local now = status()
    assert.same({ {}, 2, path }, { now.disagreements, #now.maintenances, now.maintenances[1].id })
    assert.same({ "(?i)^[^/]*/shop ||" .. NOBODY .. "|path", "(?i)^[^/]*/x ||" .. NOBODY .. "|" }, sorted(entries(s.map)))
  end)

  it("has changed a value or a network: status says so, and keep puts it back", function()
    maint("on", "--path", "/shop", "--reason", "shop", "--bypass", "127.0.0.2")
    s.target:map_set(s.map, "(?i)^[^/]*/shop", "1||0|open")
    assert.equal("info", status().disagreements[1].kind)
    s.target:map_set(s.bypass, "127.0.0.2", "0")
    local _ <close> = keep()
    eventually("it is put back", function()
      return #status().disagreements == 0
    end)
    assert.same({ { "(?i)^[^/]*/shop ||1|shop" }, { "127.0.0.2 1" } }, { entries(s.map), entries(s.bypass) })
  end)

  it("has networks that stay, and pass everywhere with -1", function()
    s.target:map_add(s.bypass, "127.0.0.8/29", "-1")
    s.target:map_add(s.bypass, "127.0.1.0/24", "0")
    maint("on", "--path", "/shop", "--reason", "shop", "--bypass", "127.0.0.9", "--bypass", "127.0.0.2")
    maint("on", "--path", "/api", "--reason", "api")
    assert.same({ ["2 /shop"] = "open", ["9 /shop"] = "open", ["9 /api/"] = "open", ["2 /api/"] = "api", ["10 /api/"] = "open",
      ["10 /shop"] = "open" }, seen({ 2, 9, 10 }, "/shop", "/api/"))
    maint("off", "--all")
    assert.same({ "127.0.0.8/29 -1", "127.0.1.0/24 0" }, entries(s.bypass))
    assert.matches("127.0.0.8/29 -1\n127.0.1.0/24 0\n", running.content(s.bypass), 1, true)
    s.target:map_replace(s.bypass, {})
    s.folder.write("maintenance-bypass.map", "")
  end)
end)

describe("a switch that is a map, without a journal", function()
  it("is added to by on, and emptied by off; networks stay", function()
    local function plain(...)
      return good(s:haplua({ "scripts/maint.lua", "--no-journal", ... }))
    end
    plain("on", "--path", "/shop", "--reason", "shop", "--bypass", "127.0.0.2")
    plain("on", "--path", "/api", "--reason", "api", "--bypass", "127.0.0.2")
    assert.same({ ["2 /shop"] = "open", ["1 /shop"] = "shop", ["2 /api/"] = "open", ["1 /api/"] = "api" },
      seen({ 1, 2 }, "/shop", "/api/"))
    plain("on", "--path", "/x", "--reason", "x")
    assert.same({ ["2 /shop"] = "shop", ["2 /x"] = "x" }, seen({ 2 }, "/shop", "/x"))
    assert.matches("since 20", plain("status"), 1, true)
    plain("off")
    assert.same({ {}, { "127.0.0.2 1" } }, { entries(s.map), entries(s.bypass) })
    s.target:map_replace(s.bypass, {})
    s.folder.write("maintenance-bypass.map", "")
  end)
end)
