-- SPDX-License-Identifier: MIT
--
-- One HTTP request, as a visitor's client makes it, over TLS and HTTP/2.

local site = require("site")
local support = require("support")
local visitor = require("haplua.visit.visitor")

local config = [[
global
    stats socket SOCKET mode 666 level admin
defaults
    mode http
    timeout connect 10s
    timeout client 1h
    timeout server 1h
frontend frontend-http
    bind 127.0.0.1:PORT
    bind 127.0.0.1:TLSPORT ssl crt DIR/site.pem alpn h2,http/1.1 ca-file DIR/site.pem verify optional
    bind 127.0.0.1:CLEARPORT proto h2
    http-request return status 200 HEADERS content-type text/plain string ok
]]

-- What HAProxy shows of a request, by the header of its answer.
local shown = {
  "hdr X-Version %[req.ver] hdr X-Name %[ssl_fc_sni] hdr X-Host %[req.hdr(host)] hdr X-From %[src]",
  "hdr X-Client %[ssl_c_used] hdr X-Url %[url]",
}

describe("a visitor, asking HAProxy", function()
  local s

  setup(function()
    s = site.start({ config = function(made)
      site.certificate(made.dir, "shop.example.com")
      made.tls_port, made.clear_port = site.free_port(), site.free_port()
      return (config:gsub("%f[%w][A-Z]+%f[%W]", {
        SOCKET = made.socket, PORT = made.port, TLSPORT = made.tls_port, CLEARPORT = made.clear_port, DIR = made.dir,
        HEADERS = table.concat(shown, " "),
      }))
    end })
  end)

  teardown(function()
    s:close()
  end)

  local function ask(given)
    given.within = 60
    return visitor.ask(given)
  end

  --- The options for TLS at the site's port, by the name in its certificate.
  local function tls(given)
    given = given or {}
    given.url = "https://shop.example.com/a"
    given.address, given.ca = "127.0.0.1:" .. s.tls_port, s.dir .. "/site.crt"
    return given
  end

  it("keeps the name apart from the address", function()
    local answer = ask(tls())
    assert.same({ 200, "2", "shop.example.com", "shop.example.com" },
      { answer.status, answer.version, answer.headers["x-name"], answer.headers["x-host"] })
    -- an address in the URL and a name beside it
    answer = ask({ url = ("https://127.0.0.1:%d/"):format(s.tls_port), host = "shop.example.com", ca = s.dir .. "/site.crt" })
    assert.same({ "shop.example.com", "shop.example.com" }, { answer.headers["x-name"], answer.headers["x-host"] })
  end)

  it("takes the version of HTTP that is asked for", function()
    for version, seen in pairs({ ["1.0"] = "1.0", ["1.1"] = "1.1", ["2"] = "2.0" }) do
      local answer = ask(tls({ version = version }))
      assert.equal(seen, answer.headers["x-version"])
      assert.equal(version == "2" and "2" or "1.1", answer.version) -- HAProxy answers HTTP/1.0 with 1.1
    end
    local answer = ask({ url = ("http://127.0.0.1:%d/"):format(s.clear_port), version = "2", host = "a.example.com" })
    assert.same({ "2", "2.0", "a.example.com" },
      { answer.version, answer.headers["x-version"], answer.headers["x-host"] })
  end)

  it("checks the certificate, unless told otherwise", function()
    local function fails(given)
      local problem = support.failure(ask, given)
      assert.same({ "unreachable", "connect" }, { problem.kind, problem.phase })
      return problem
    end
    local given = tls()
    given.ca = nil
    assert.matches("^no TLS: .*certificate", fails(given).message)
    assert.matches("^The certificate is checked against the name in the URL and against the system's", fails(given).advice)
    given = tls()
    given.url = "https://www.example.com/"
    assert.matches("^no TLS: .*www.example.com", fails(given).message)
    given.insecure = true
    assert.equal("www.example.com", ask(given).headers["x-name"])
    given = tls({ cert = "/nowhere/client.pem" })
    assert.matches("^The files of `ca`, `cert` and `key` hold PEM", fails(given).advice)
  end)

  it("shows a certificate of its own, and comes from the address that it is given", function()
    local answer = ask(tls({ cert = s.dir .. "/site.pem", source = "127.0.0.77" }))
    assert.same({ "1", "127.0.0.77" }, { answer.headers["x-client"], answer.headers["x-from"] })
    assert.equal("0", ask(tls()).headers["x-client"])
    local problem = support.failure(ask, { url = ("http://127.0.0.1:%d/"):format(s.port), source = "192.0.2.1" })
    assert.same({ "unreachable", "connect" }, { problem.kind, problem.phase })
  end)

  it("sends a target that is no path", function()
    local answer = ask({ url = ("http://127.0.0.1:%d/"):format(s.port), method = "OPTIONS", target = "*" })
    assert.same({ 200, "*" }, { answer.status, answer.headers["x-url"] })
  end)
end)
