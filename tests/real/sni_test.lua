-- SPDX-License-Identifier: MIT
--
-- TLS that HAProxy passes on: the name that a client asks for is all that it sees of a visitor, and hosts are told apart
-- by it. The backend of the maintenance page ends the TLS.

local site = require("site")
local visitor = require("haplua.visit.visitor")

local CONFIG <const> = [[
global
    stats socket SOCKET level admin
defaults
    mode tcp
    timeout connect 10s
    timeout client 1m
    timeout server 1m
frontend pass
    bind 127.0.0.1:PASSPORT
    tcp-request inspect-delay 10s
    tcp-request content accept if { req.ssl_hello_type 1 }
    acl maintenance req.ssl_sni -i -m reg -u 9999
    use_backend maintenance if maintenance
    default_backend app
backend app
    server app 127.0.0.1:APPTLS
backend maintenance
    server page 127.0.0.1:PAGETLS
frontend app-tls
    mode http
    bind 127.0.0.1:APPTLS ssl crt DIR/site.pem
    http-request return status 200
frontend plain
    mode http
    bind 127.0.0.1:PORT
    http-request return status 200
frontend page-tls
    mode http
    bind 127.0.0.1:PAGETLS ssl crt DIR/site.pem
    http-request return status 503
]]

describe("a list that looks at the name in TLS", function()
  local s

  setup(function()
    s = site.start({ config = function(made)
      site.certificate(made.dir, "shop.example.com")
      made.pass_port = site.free_port()
      return (CONFIG:gsub("%f[%w][A-Z]+%f[%W]", {
        SOCKET = made.socket, PORT = made.port, DIR = made.dir, PASSPORT = made.pass_port,
        APPTLS = site.free_port(), PAGETLS = site.free_port(),
      }))
    end })
  end)

  teardown(function()
    s:close()
  end)

  local function status_of(host)
    return visitor.ask({
      url = ("https://%s/"):format(host), address = "127.0.0.1:" .. s.pass_port, insecure = true, version = "1.1", within = 60,
    }).status
  end

  it("tells hosts apart, and refuses paths", function()
    local ran = s:maint("--no-journal", "on", "--host", "shop.example.com")
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.same({ 503, 503, 200, 200 }, {
      status_of("shop.example.com"), status_of("SHOP.Example.com"), status_of("www.shop.example.com"), status_of("example.com"),
    })
    ran = s:maint("--no-journal", "on", "--path", "/x")
    assert.equal(1, ran.status)
    assert.matches("cannot tell path prefixes apart", ran.err)
    s:maint("--no-journal", "off")
    assert.equal(200, status_of("shop.example.com"))
  end)
end)
