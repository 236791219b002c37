-- SPDX-License-Identifier: MIT
--
-- What visitors get, asked as they ask: probes over TLS and HTTP/2, `--check`, and the connections that go on.

local json = require("haplua.json")
local running = require("running")
local site = require("site")
local support = require("support")
local visitor = require("haplua.visit.visitor")

local haproxy_config = [[
global
    stats socket SOCKET mode 666 level admin
defaults
    mode http
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
frontend web
    bind 127.0.0.1:PORT
    bind 127.0.0.1:TLSPORT ssl crt DIR/site.pem alpn h2,http/1.1
    acl maintenance base -i -m reg -f DIR/site.acl
    acl maintenance-bypass src -f DIR/bypass.acl
    use_backend health if { path /health }
    use_backend maintenance if maintenance !maintenance-bypass
    default_backend app
frontend tunnel
    bind 127.0.0.1:TUNNELPORT
    acl maintenance base -i -m reg -f DIR/site.acl
    acl maintenance-bypass src -f DIR/bypass.acl
    use_backend maintenance if maintenance !maintenance-bypass
    default_backend tunnels
frontend unaware
    bind 127.0.0.1:OTHERPORT
    acl elsewhere path -m reg -u 77
    default_backend app
frontend raw
    mode tcp
    bind 127.0.0.1:RAWPORT
    acl raw-closed src -u 78
    tcp-request content reject if raw-closed
    default_backend raw
backend app
    server app 127.0.0.1:APPPORT
backend health
    server app 127.0.0.1:APPPORT
backend tunnels
    server far TUNNELS
backend raw
    mode tcp
    server raw RAWS
backend maintenance
    server page 127.0.0.1:PAGEPORT
]]

-- The answer to the request in UPGRADE, with the key of RFC 6455's example.
local SWITCHING = ([[HTTP/1.1 101 Switching Protocols\x0d\nConnection: Upgrade\x0d\nUpgrade: websocket\x0d\n]]
  .. [[Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\x0d\n\x0d\n]])
local UPGRADE = {
  Connection = "Upgrade", Upgrade = "websocket", ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==",
  ["Sec-WebSocket-Version"] = "13",
}

local haplua_config = [[return {
  switches = {
    site = { acl = "DIR/site.acl", bypass = "DIR/bypass.acl", allow = { "127.0.0.9" }, probe = {
      { url = "https://shop.example.com/a", address = "127.0.0.1:TLSPORT", ca = "DIR/site.crt", version = "2", within = 60 },
      { url = "https://127.0.0.1:TLSPORT/b", host = "shop.example.com", ca = "DIR/site.crt", source = "127.0.0.9",
        version = "1.1", within = 60 },
      { url = "http://127.0.0.1:PORT/b", host = "shop.example.com", version = "1.0", within = 60 },
    } },
    other = { acl = "#77" },
    raw = { acl = "#78", fetch = "src" },
  },
  default = "site",
}]]

describe("visitors of a site", function()
  local s, tunnels, raws

  setup(function()
    tunnels = support.fake({ tcp = true, "read", "say " .. SWITCHING, "hold" })
    raws = support.fake({ tcp = true, "read", "hold" })
    s = site.start({ files = { ["site.acl"] = "", ["bypass.acl"] = "127.0.0.9\n" }, config = function(made)
      site.certificate(made.dir, "shop.example.com")
      made.tls_port, made.other_port, made.raw_port = site.free_port(), site.free_port(), site.free_port()
      made.tunnel_port = site.free_port()
      local words = {
        SOCKET = made.socket, PORT = made.port, TLSPORT = made.tls_port, OTHERPORT = made.other_port,
        RAWPORT = made.raw_port, APPPORT = made.app_port, PAGEPORT = made.page_port, DIR = made.dir,
        TUNNELPORT = made.tunnel_port, TUNNELS = tunnels.address, RAWS = raws.address,
      }
      made.config = made.folder.write("haplua.lua", (haplua_config:gsub("%f[%w][A-Z]+%f[%W]", words)))
      return (haproxy_config:gsub("%f[%w][A-Z]+%f[%W]", words))
    end })
    s.journal = s.dir .. "/journal.db"
  end)

  teardown(function()
    s:close()
    local _ <close> = tunnels
    local _ <close> = raws
  end)

  after_each(function()
    for _, name in ipairs({ "site", "other", "raw" }) do
      s:maint("--switch", name, "off", "--all", "--no-probe")
    end
  end)

  it("are asked over TLS, HTTP/2 and from an address that may pass", function()
    local ran = s:maint("on", "--path", "/a")
    assert.same({ 0, "" }, { ran.status, ran.err })
    local tls = "https://shop.example.com/a at 127.0.0.1:" .. s.tls_port
    assert.truthy(ran.out:find(tls .. " is closed for visitors: 503 over HTTP/2\n", 1, true), ran.out)
    assert.truthy(ran.out:find("/b is open for visitors: 200 over HTTP/1.1\n", 1, true), ran.out)
    ran = s:maint("change", "--path", "/b")
    assert.equal(0, ran.status)
    assert.truthy(ran.out:find(tls .. " is open for visitors: 200 over HTTP/2\n", 1, true), ran.out)
    local _, opened = ran.out:gsub("/b is open for visitors", "")
    local _, closed = ran.out:gsub("/b is closed for visitors", "")
    assert.same({ 1, 1 }, { opened, closed }) -- 127.0.0.9 passes
    ran = s:maint("off")
    assert.equal(0, ran.status)
    assert.is_nil(ran.out:find("closed for visitors", 1, true))
  end)

  it("cost nothing where none are asked: libcurl is not loaded", function()
    local ran = s:haplua({ "-e", [[
      local maintenance = require("haplua.maintenance")
      local function loaded()
        local f <close> = io.open("/proc/self/maps")
        return f:read("a"):find("curl", 1, true) ~= nil
      end
      maintenance.on({ acl = "#77" })
      maintenance.off({ acl = "#77" })
      maintenance.on({ acl = "#77", probe = false })
      print(loaded())
      maintenance.off({ acl = "#77", probe = { url = "http://127.0.0.1:]] .. s.port .. [[/" } })
      print(loaded())
    ]] })
    assert.same({ "false\ntrue\n", "" }, { ran.out, ran.err })
  end)

  it("get what a rule above the list gives them, and `on` says so", function()
    local url = ("http://127.0.0.1:%d/health"):format(s.port)
    local ran = s:maint("on", "--no-check", "--json", "--no-probe")
    assert.equal(0, ran.status)
    assert.is_nil(json.decode(ran.out).probes)
    ran = s:maint("status", "--visitors", "--probe", url)
    assert.equal(1, ran.status)
    assert.truthy(ran.out:find(("but %s should be closed for visitors, and is open: 200"):format(url), 1, true), ran.out)
    assert.matches("frontend web: closed where the list matches: ", ran.out)
    assert.matches("frontend unaware: open where the list matches: ", ran.out)
    ran = s:maint("status", "--visitors", "--json")
    assert.equal(0, ran.status)
    local found = json.decode(ran.out).visitors
    assert.same({ "2", true, "closed" }, { found.probes[1].version, found.probes[1].ok, found.probes[1].seen })
    assert.same({ true, "open", "127.0.0.9" }, { found.probes[2].ok, found.probes[2].seen, found.probes[2].source })
    assert.equal(4, #found.frontends)
  end)

  it("do not see a maintenance whose list no rule asks: `--check` says so", function()
    local ran = s:maint("--switch", "other", "on", "--check")
    assert.equal(1, ran.status)
    assert.matches("but no visitor sees it, by HAProxy's configuration", ran.out)
    assert.matches("the maintenance stays in force", ran.out)
    ran = s:maint("--switch", "other", "status", "--visitors")
    assert.equal(1, ran.status)
    -- on a terminal that is the default
    for option, shown in pairs({ ["--yes"] = true, ["--no-check"] = false }) do
      s:maint("--switch", "other", "off")
      local words = support.program("-s", s.socket, "scripts/maint.lua", "--switch", "other", "on", option)
      local code, out = run({ "script", "-qec", table.concat(words, " "), "/dev/null", stdin = "", stdout = "capture",
        env = { HAPLUA_CONFIG = s.config, HAPLUA_JOURNAL = s.journal } })
      assert.same({ shown and 1 or 0, shown }, { code, out:find("no visitor sees it", 1, true) ~= nil })
    end
    ran = s:maint("on", "--check", "--no-probe")
    assert.equal(0, ran.status)
    assert.matches("some requests do not get the maintenance: .*use_backend health", ran.out)
  end)

  --- Begin connections that last, and wait until all are at a server of this backend.
  ---@return fun(): integer ended  how many have ended
  local function connect(n, backend, given)
    local function count()
      return select(2, s.target:send("show sess"):gsub(" be=" .. backend .. " srv=[^<]", ""))
    end
    local tasks, before = {}, count()
    given.within = 600
    for i = 1, n do
      tasks[i] = task.spawn(pcall, visitor.ask, given)
    end
    running.eventually(("%d connections at %s"):format(n, backend), function()
      return count() == before + n
    end)
    return setmetatable({}, {
      __call = function()
        local ended = 0
        for _, t in ipairs(tasks) do
          ended = ended + (t:done() and 1 or 0)
        end
        return ended
      end,
      __close = function()
        for _, t in ipairs(tasks) do
          t:cancel()
        end
      end,
    })
  end

  it("keep their WebSockets under a maintenance, unless these are cut", function()
    local url = ("http://127.0.0.1:%d/ws"):format(s.tunnel_port)
    local ended <close> = connect(3, "tunnels", { url = url, headers = UPGRADE })
    local passing <close> = connect(1, "tunnels", { url = url, headers = UPGRADE, source = "127.0.0.9" })
    local raw <close> = connect(1, "raw", { url = ("http://127.0.0.1:%d/"):format(s.raw_port) })
    local ran = s:maint("on", "--path", "/ws", "--no-probe", "--check")
    assert.equal(0, ran.status)
    assert.matches("\n  up to 3 connections of before may go on %(the oldest for %d+ s%): HAProxy does not tell", ran.out)
    ran = s:maint("on", "--path", "/ws", "--no-probe", "--cut")
    assert.same({ 1, "" }, { ran.status, ran.out })
    assert.matches("HAProxy tells of a connection its frontend and backend, but neither path nor host", ran.err)
    ran = s:maint("on", "--no-probe", "--check")
    assert.equal(0, ran.status)
    assert.matches("\n  3 connections of before go on %(the oldest for %d+ s%): %-%-cut ends them\n", ran.out)
    assert.matches("\n  1 connection of clients that may pass go on\n", ran.out)
    assert.same({ 0, 0, 0 }, { ended(), passing(), raw() })
    ran = s:haplua({ "--read-only", "scripts/maint.lua", "on", "--no-probe", "--cut" })
    assert.same({ 1, 0 }, { ran.status, ended() })
    ran = s:maint("on", "--no-probe", "--cut", "--json")
    assert.equal(0, ran.status)
    local effect = json.decode(ran.out).effect
    assert.same({ 3, 0, 3, 1 }, { effect.cut, effect.left, effect.connections, effect.passing })
    running.eventually("the clients know of the end", function()
      return ended() == 3
    end)
    assert.same({ 0, 0 }, { passing(), raw() })
    ran = s:maint("on", "--no-probe", "--cut")
    assert.same({ 0, 0 }, { ran.status, passing() })
    assert.matches("\n  0 connections ended\n", ran.out)
  end)

  it("keep connections over TCP, too, unless these are cut", function()
    local raw <close> = connect(2, "raw", { url = ("http://127.0.0.1:%d/"):format(s.raw_port) })
    local url = ("http://127.0.0.1:%d/"):format(s.tunnel_port)
    local tunnel <close> = connect(1, "tunnels", { url = url, headers = UPGRADE })
    local ran = s:maint("--switch", "raw", "on", "--check")
    assert.equal(0, ran.status)
    assert.matches("\n  2 connections of before go on", ran.out)
    ran = s:maint("--switch", "raw", "on", "--cut")
    assert.equal(0, ran.status)
    assert.matches("\n  2 connections ended", ran.out)
    running.eventually("the clients know of the end", function()
      return raw() == 2
    end)
    assert.equal(0, tunnel())
  end)
end)
