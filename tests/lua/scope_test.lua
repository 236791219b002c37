-- SPDX-License-Identifier: MIT

local scope = require("haplua.plan.scope")

--- The patterns of a scope, the probe, and whether they are the whole site, as one text; or the refusal's message.
local function patterns(wanted, kind, method)
  local ok, found = pcall(scope.patterns, wanted, kind, method)
  if not ok then
    assert.equal("refused", found.kind, tostring(found))
    return "refused: " .. found.message
  end
  local probe, whole = scope.probe(wanted, kind, method)
  return table.concat(found, "  ") .. " | " .. tostring(probe) .. (whole and " | whole" or "")
end

describe("scope", function()
  it("knows what an ACL looks at from HAProxy's words", function()
    for expression, kind in pairs({
      ["path"] = "path", ["path_beg"] = "path", ["path,lower"] = "path", ["pathq"] = "path", ["url"] = "url",
      ["capture.req.uri"] = "url", ["url_beg"] = "url", ["base"] = "base", ["base_reg"] = "base", ["base,lower"] = "base",
      ["hdr(host)"] = "host", ["req.hdr(Host)"] = "host", ["hdr_dom(host)"] = "host",
      ["req.hdr(host,1),field(1,:),lower"] = "name", ["hdr(host),host_only"] = "name", ["src"] = "address",
      ["ssl_fc_sni"] = "name", ["req.ssl_sni"] = "name", ["req.ssl_sni,lower"] = "name", ["req_ssl_sni"] = "name",
    }) do
      assert.equal(kind, scope.kind(expression), expression)
    end
    for _, expression in ipairs({ "hdr(user-agent)", "req.hdr(hostile)", "var(txn.x)", "", "str(a)", "pathological" }) do
      assert.is_nil(scope.kind(expression), expression)
    end
    assert.is_nil(scope.kind(nil))
  end)

  it("is the whole site without hosts, paths and patterns", function()
    assert.equal("^.*$ | / | whole", patterns({}, "path", "reg"))
    assert.equal("^.*$ | host.example/ | whole", patterns({}, "base", "reg"))
    assert.equal("^.*$ | / | whole", patterns({}, nil, "reg"))
    assert.equal("/ | / | whole", patterns({}, "path", "beg"))
    assert.equal("/  http  * | / | whole", patterns({}, "url", "beg"))
    assert.equal("^.*$ | / | whole", patterns({}, "url", "reg"))
    assert.equal("0.0.0.0/0  ::/0 | 192.0.2.1 | whole", patterns({}, "address", "ip"))
    for _, case in ipairs({ { "base", "beg" }, { "host", "sub" }, { nil, "beg" }, { "path", "str" }, { "host", "dom" } }) do
      assert.matches("^refused: .*no pattern that matches every request", patterns({}, case[1], case[2]))
    end
  end)

  it("takes path prefixes, whose special characters are escaped", function()
    assert.equal("^/shop | /shop", patterns({ paths = { "/shop" } }, "path", "reg"))
    assert.equal("^/a\\.b\\(c\\)\\*\\+\\$\\|\\[d\\]\\{e\\}\\^\\\\ | /a.b(c)*+$|[d]{e}^\\",
      patterns({ paths = { "/a.b(c)*+$|[d]{e}^\\" } }, "path", "reg"))
    assert.equal("/a.b  /c | /a.b", patterns({ paths = { "/a.b", "/c" } }, "path", "beg"))
    assert.equal("^[^/]*/shop | host.example/shop", patterns({ paths = { "/shop" } }, "base", "reg"))
    assert.equal("^([a-z]+://[^/]*)?/shop | /shop", patterns({ paths = { "/shop" } }, "url", "reg"))
    assert.matches("^refused: .*cannot tell path prefixes apart", patterns({ paths = { "/shop" } }, "url", "beg"))
    assert.equal("^/x  ^/shop | /shop", patterns({ patterns = { "^/x" }, paths = { "/shop" } }, "path", "reg"))
  end)

  it("refuses a path that no request has, and an ACL that cannot tell prefixes apart", function()
    for _, path in ipairs({ "shop", "", "/a b", "/café", "/a?b", "/a#b", "/a\n", "/a\0" }) do
      assert.matches("^refused: ", patterns({ paths = { path } }, "path", "reg"))
    end
    for _, case in ipairs({ { "path", "str" }, { "path", "sub" }, { "path", "dir" }, { "base", "beg" }, { nil, "reg" },
      { "host", "reg" }, { "address", "ip" } }) do
      assert.matches("^refused: .*cannot tell path prefixes apart", patterns({ paths = { "/a" } }, case[1], case[2]))
    end
  end)

  it("refuses an ACL that never asks its list", function()
    for _, method in ipairs({ "found", "bool" }) do
      for _, wanted in ipairs({ {}, { patterns = { "^/x" } }, { paths = { "/x" } } }) do
        assert.matches("^refused: .*never asks its list", patterns(wanted, "path", method))
      end
    end
  end)

  it("takes hosts, and paths of hosts", function()
    assert.equal("^a\\.example\\.?(:[^/]*)?/ | a.example/", patterns({ hosts = { "a.example" } }, "base", "reg"))
    assert.equal("^a\\.?(:[^/]*)?/x  ^a\\.?(:[^/]*)?/y  ^b\\.?(:[^/]*)?/x  ^b\\.?(:[^/]*)?/y | a/x",
      patterns({ hosts = { "a", "b" }, paths = { "/x", "/y" } }, "base", "reg"))
    assert.equal("^\\[2001:db8::1\\]\\.?(:[^/]*)?$ | [2001:db8::1]", patterns({ hosts = { "[2001:db8::1]" } }, "host", "reg"))
    assert.equal("a.example | a.example", patterns({ hosts = { "a.example" } }, "name", "str"))
    assert.equal("^a\\.example\\.?$ | a.example", patterns({ hosts = { "a.example" } }, "name", "reg"))
    assert.matches("^refused: .*cannot tell hosts apart: it misses hosts with a port",
      patterns({ hosts = { "a" } }, "host", "str"))
    assert.matches("^refused: .*cannot tell hosts apart: it takes each host below", patterns({ hosts = { "a" } }, "host", "dom"))
    for _, host in ipairs({ "a/b", "a:80", "", "a b", "^a", "*.example" }) do
      assert.matches("^refused: ", patterns({ hosts = { host } }, "base", "reg"))
    end
    for _, kind in ipairs({ "path", "address" }) do
      assert.matches("^refused: .*cannot tell hosts apart", patterns({ hosts = { "a" } }, kind, "reg"))
    end
    assert.matches("^refused: .*cannot tell path prefixes apart", patterns({ hosts = { "a" }, paths = { "/x" } }, "host", "reg"))
  end)

  it("is the same as another with the same names, in any order, and as no other", function()
    for _, field in ipairs({ "patterns", "paths", "hosts" }) do
      local function is_same(a, b)
        return scope.same({ [field] = a }, { [field] = b })
      end
      assert.is_true(is_same({ "/a" }, { "/a" }))
      assert.is_true(is_same({ "/a", "/b" }, { "/b", "/a" }))
      assert.is_false(is_same({ "/a", "/b" }, { "/a", "/c" }))
      assert.is_false(is_same({ "/a", "/b" }, { "/a" }))
      assert.is_false(is_same({ "/a" }, { "/a", "/b" }))
      assert.is_false(is_same({ "/a" }, nil))
    end
    assert.is_true(scope.same({}, {}))
  end)
end)
