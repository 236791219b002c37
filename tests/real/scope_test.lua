-- SPDX-License-Identifier: MIT
--
-- A scope against the forms in which clients write hosts and URLs: none gets past a maintenance.

local site = require("site")
local support = require("support")

local good = support.good

--- What a visitor gets with these words of curl: "closed" or "open".
local function visit(url, ...)
  local _, text = run({ "curl", url, "-s", "--noproxy", "*", "--max-time", "10", "-o", "/dev/null", "-w", "%{http_code}",
    stdout = "capture", ... })
  return text == "503" and "closed" or text == "200" and "open" or text
end

describe("a scope", function()
  it("of a host is that host, however a client writes it", function()
    local s <close> = site.start({ acl = "base -i -m reg -u 9999" })
    local url = ("http://127.0.0.1:%d/x"):format(s.port)
    good(s:maint("--no-journal", "on", "--host", "shop.example.com", "--path", "/x"))
    for host, wanted in pairs({
      ["shop.example.com"] = "closed", ["SHOP.Example.Com"] = "closed", ["shop.example.com."] = "closed",
      ["shop.example.com:80"] = "closed", ["shop.example.com.:8080"] = "closed", ["shop.example.com:"] = "closed",
      ["shop.example.com.evil.example"] = "open", ["a.shop.example.com"] = "open", ["shopxexample.com"] = "open",
    }) do
      assert.equal(wanted, visit(url, "-H", "Host: " .. host), host)
    end
    assert.equal("open", visit(("http://127.0.0.1:%d/y"):format(s.port), "-H", "Host: shop.example.com"))
  end)

  it("of a host is written in small letters, for an ACL that tells letters apart", function()
    local s <close> = site.start({ acl = "req.hdr(host),lower -m reg -u 9999" })
    s.config = s.folder.write("config.lua",
      [[return { switches = { site = { acl = "#9999", fetch = "hdr(host)" } } }]])
    good(s:maint("--no-journal", "on", "--host", "Shop.Example.COM"))
    local url = ("http://127.0.0.1:%d/"):format(s.port)
    for _, host in ipairs({ "shop.example.com", "SHOP.example.com" }) do
      assert.equal("closed", visit(url, "-H", "Host: " .. host))
    end
  end)

  it("is refused where haplua's configuration has another fetch than HAProxy", function()
    local s <close> = site.start()
    for fetch, text in pairs({ ["hdr(host)"] = "fetch = \"hdr(host)\"", url = "fetch = \"url\"" }) do
      s.config = s.folder.write("config.lua", ([[return { switches = { site = { acl = "#9999", fetch = %q } } }]]):format(fetch))
      local ran = s:maint("--no-journal", "on", "--host", "a.example")
      assert.equal(1, ran.status)
      assert.matches("#9999 looks at 'path', as HAProxy shows", ran.err, 1, true)
      assert.matches(text, ran.err, 1, true)
      assert.same({}, s.target:acl_list("#9999"))
    end
    s.config = s.folder.write("config.lua", [[return { switches = { site = { acl = "#9999", fetch = "path" } } }]])
    good(s:maint("--no-journal", "on", "--path", "/x"))
  end)

  it("with capitals closes nothing where the list sees small letters, and doctor says so", function()
    local s <close> = site.start({ acl = "path,lower -m beg -u 9999" })
    assert.matches("warn  rules          frontend frontend-http: a maintenance of /Shop closes nothing", s:maint("doctor").out,
      1, true)
    local other <close> = site.start({ acl = "path,lower -i -m beg -u 9999" })
    assert.not_matches("/Shop closes nothing", other:maint("doctor").out, 1, true)
  end)

  it("of a path holds for an ACL on the URL, with and without a scheme", function()
    local h2 = site.free_port()
    local s <close> = site.start({
      acl = "url -m reg -u 9999", frontend = ("bind 127.0.0.1:%d proto h2"):format(h2),
    })
    good(s:maint("--no-journal", "on", "--path", "/x"))
    local one, two = ("http://127.0.0.1:%d"):format(s.port), ("http://127.0.0.1:%d"):format(h2)
    assert.equal("closed", visit(one .. "/x/1"))
    assert.equal("open", visit(one .. "/y?/x"))
    assert.equal("closed", visit(one, "-H", "Host: www.example.com", "--request-target", "http://www.example.com/x"))
    assert.equal("open", visit(one, "-H", "Host: www.example.com", "--request-target", "http://www.example.com/y"))
    assert.equal("closed", visit(two .. "/x/1", "--http2-prior-knowledge"))
    assert.equal("open", visit(two .. "/y", "--http2-prior-knowledge"))
    good(s:maint("--no-journal", "off"))
    assert.equal("open", visit(two .. "/x/1", "--http2-prior-knowledge"))
  end)

  it("is refused where the ACL cannot hold it", function()
    for acl, text in pairs({
      ["hdr(host) -m str -u 9999"] = "misses hosts with a port", ["hdr_dom(host) -u 9999"] = "takes each host below",
      ["path -m found -u 9999"] = "never asks its list",
    }) do
      local s <close> = site.start({ acl = acl })
      s.config = s.folder.write("config.lua", ("return { switches = { site = { acl = '#9999', fetch = %q } } }"):format(
        acl:find("^hdr") and "hdr(host)" or "path"))
      local ran = s:maint("--no-journal", "on", "--host", "shop.example.com")
      assert.equal(1, ran.status, ran.out)
      assert.matches(text, ran.err, 1, true)
      assert.same({}, s.target:acl_list("#9999"))
    end
  end)
end)
