-- SPDX-License-Identifier: MIT
--
-- Addresses over TCP, in HAProxy's own syntax.

local site = require("site")
local support = require("support")

--- Does this machine have an IPv6 loopback address?
local function has_ipv6()
  local f <close> = io.open("/proc/net/if_inet6")
  return f ~= nil and f:read("a"):find(("0"):rep(31) .. "1 ") ~= nil
end

describe("over TCP", function()
  local s, port, port6

  setup(function()
    port, port6 = site.free_port(), site.free_port()
    s = site.start({
      global = ("stats socket ipv4@127.0.0.1:%d level admin\n"):format(port)
        .. (has_ipv6() and ("    stats socket ipv6@[::1]:%d level admin"):format(port6) or ""),
    })
  end)

  teardown(function()
    s:close()
  end)

  --- Switch maintenance on and off through this address.
  local function check(address)
    local ran = s:haplua({ "scripts/maint.lua", "on", socket = address })
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.equal("page", s:sees("/"))
    ran = s:haplua({ "scripts/maint.lua", "off", socket = address })
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.equal("application", s:sees("/"))
  end

  it("takes ipv4@host:port and host:port", function()
    check("ipv4@127.0.0.1:" .. port)
    check("127.0.0.1:" .. port)
  end)

  it("takes a name", function()
    if not support.has_localhost() then
      pending("no address of localhost, in /etc/hosts or elsewhere")
    end
    check("ipv4@localhost:" .. port)
    check("localhost:" .. port)
  end)

  it("takes ipv6@[host]:port", function()
    if not has_ipv6() then
      pending("no IPv6 on the loopback")
    end
    check("ipv6@[::1]:" .. port6)
    check("[::1]:" .. port6)
  end)

  it("sends much and reads much", function()
    local t = haproxy.connect("127.0.0.1:" .. port, { timeout = site.ANSWER_SECONDS })
    local patterns = {}
    for i = 1, 5000 do
      patterns[i] = ("^/some/longer/path/%d/%s"):format(i, ("x"):rep(100))
    end
    assert.equal(5000, (t:acl_replace("#9999", patterns)))
    assert.same(patterns, t:acl_list("#9999"))
    assert.equal(5000, t:acl_clear("#9999"))
  end)
end)
