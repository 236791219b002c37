-- SPDX-License-Identifier: MIT
--
-- Probes: which URLs a maintenance covers, how answers are read, and what is asked again.

local config = require("haplua.store.config")
local coverage = require("haplua.plan.coverage")
local probe = require("haplua.visit.probe")
local support = require("support")
local visitors = require("haplua.apply.visitors")

local BASE <const> = { kind = "base", method = "reg", allow = {} }

--- Does a scope cover a URL: true, false, or nil for "not known".
local function covers(scope, url, view, host)
  return coverage.covers(scope, coverage.parse(url, host), view or BASE)
end

describe("the scope of a maintenance", function()
  it("covers URLs by host and by the beginning of the path", function()
    local at = "https://Shop.example.com.:8443"
    for _, case in ipairs({
      { true, {}, "/" },
      { true, { paths = { "/shop" } }, "/shop" }, { true, { paths = { "/shop" } }, "/shopping?x=/" },
      { true, { paths = { "/pay", "/shop" } }, "/shop/cart#top" },
      { false, { paths = { "/shop" } }, "/" }, { false, { paths = { "/shop" } }, "/x/shop" },
      { false, { paths = { "/shop" } }, "/a?b=/shop" }, { false, { paths = { "/shop" } }, "" },
      { nil, { paths = { "/shop" } }, "/SHOP" }, -- an ACL with -i takes it
      { true, { paths = { "/" } }, "" },
      { true, { hosts = { "shop.example.com" } }, "/a" }, { false, { hosts = { "example.com" } }, "/a" },
      { true, { hosts = { "a.example.com", "shop.example.com" }, paths = { "/x" } }, "/x/y" },
      { false, { hosts = { "a.example.com" }, paths = { "/x" } }, "/x" },
      { false, { hosts = { "shop.example.com" }, paths = { "/x" } }, "/y" },
    }) do
      assert.equal(case[1], covers(case[2], at .. case[3]), case[3])
    end
    assert.is_true(covers({ hosts = { "www.example.com" } }, "http://127.0.0.1:8080/", BASE, "www.example.com:80"))
  end)

  it("covers by patterns what the list sees of a request", function()
    local url = "http://www.example.com/shop?x=1"
    for _, case in ipairs({
      { true, "base", "reg", "^www\\.example\\.com/shop" }, { false, "base", "reg", "^/shop" },
      { true, "path", "reg", "^/shop$" }, { nil, "path", "reg", "^/SHOP$" }, { nil, "path", "reg", "^(" },
      { true, "path", "map_reg", "(?i)^/SHOP" }, { true, "url", "reg", "x=1$" },
      { true, "path", "beg", "/sh" }, { false, "path", "beg", "/x" }, { nil, "path", "beg", "/SH" },
      { true, "host", "str", "www.example.com" }, { false, "name", "str", "example.com" },
      { nil, "path", "sub", "shop" }, { nil, nil, "reg", "^/shop" }, { nil, "address", "ip", "127.0.0.1" },
    }) do
      assert.equal(case[1], covers({ patterns = { case[4] } }, url, { kind = case[2], method = case[3] }), case[4])
    end
    assert.is_true(covers({ patterns = { "^x" }, paths = { "/shop" } }, url))
  end)

  it("lets clients pass by address: of a list each maintenance, of a map each by its own networks", function()
    local function wanted(now, address)
      now.view = now.view or BASE
      return (coverage.wanted(now, coverage.parse("http://a/shop"), address))
    end
    local whole, shop = { scope = {} }, { scope = { paths = { "/shop" } }, bypass = { "192.0.2.0/24" } }
    local elsewhere, pattern = { scope = { paths = { "/b" } } }, { scope = { patterns = { "^a/SHOP" } } }
    for _, case in ipairs({
      { "open", {} }, { "closed", { whole } }, { "open", { elsewhere } }, { nil, { pattern } },
      { "closed", { pattern, shop } }, { "closed", { shop }, "192.0.2.7" },
      { "open", { shop }, "192.0.2.7", { "192.0.2.0/24" } }, { "closed", { shop }, nil, { "192.0.2.0/24" } },
      { nil, { shop, pattern }, "192.0.2.7", { "192.0.2.0/24" } },
      { "closed", { shop }, "2001:db8::1", { "192.0.2.0/24", "::/0x" } },
    }) do
      assert.equal(case[1], wanted({ in_force = case[2], bypass = case[4] }, case[3]))
    end
    assert.equal("open", wanted({ in_force = { shop }, values = {} }, "192.0.2.7"))
    assert.equal("closed", wanted({ in_force = { shop, whole }, values = {} }, "192.0.2.7"))
    assert.equal("open", wanted({ in_force = { whole }, values = {}, view = { method = "map_reg", allow = { "::1" } } }, "::1"))
  end)
end)

describe("an answer", function()
  it("of 503 is closed and any other open, unless the probe says otherwise", function()
    local function read(expect, status, headers)
      return probe.read({ expect = expect }, { status = status, headers = headers or {} })
    end
    assert.same({ "closed", "open", "open" }, { read(nil, 503), read(nil, 200), read(nil, 404) })
    local by_header = { closed = { header = "X-Maintenance" } }
    assert.same({ "closed", "open" }, { read(by_header, 200, { ["x-maintenance"] = "" }), read(by_header, 503) })
    local exact = { closed = { status = 200, header = "X-State: closed" }, open = { status = 200, header = "x-state: open" } }
    assert.same({ "closed", "open", "neither", "neither" }, {
      read(exact, 200, { ["x-state"] = "closed" }), read(exact, 200, { ["x-state"] = "open" }),
      read(exact, 200, { ["x-state"] = "half" }), read(exact, 503, { ["x-state"] = "closed" }),
    })
  end)
end)

describe("a probe", function()
  local CLOSED = "say HTTP/1.1 503 Closed\\x0d\\nContent-Length: 0\\x0d\\n\\x0d\\n"
  local OPEN = "say HTTP/1.1 200 OK\\x0d\\nContent-Length: 0\\x0d\\n\\x0d\\n"
  local now <const> = { in_force = { { scope = {} } }, view = BASE }

  local function ask(steps, given, once)
    local fake <close> = support.fake({ tcp = true, table.unpack(steps) })
    given = given or {}
    given.url, given.within = ("http://%s/"):format(fake.address), given.within or 60
    local visits = visitors.ask({ given }, now, once)
    return visits[1], visitors.status(visits), visitors.lines(visits)[1]:gsub("127[%d.:]+", "HOST")
  end

  it("asks again until the answer is as wanted", function()
    local visit, status, line = ask({ "read", OPEN, "next", "read", "next", "read", CLOSED })
    assert.same({ true, "closed", 503, "127.0.0.1" }, { visit.ok, visit.seen, visit.status, visit.source })
    assert.is_nil(status)
    assert.equal("http://HOST/ is closed for visitors: 503 over HTTP/1.1", line)
  end)

  it("tells a wrong answer from none", function()
    local visit, status, line = ask({ "read", OPEN }, {}, true)
    assert.same({ false, "open", 1 }, { visit.ok, visit.seen, status })
    assert.equal("but http://HOST/ should be closed for visitors, and is open: 200 over HTTP/1.1", line)
    visit, status, line = ask({ "read" }, { within = 0.05 })
    assert.same({ nil, nil, 3 }, { visit.ok, visit.seen, status })
    assert.matches("^but http://HOST/ should be closed: no answer: ", line)
    visit, status, line = ask({ "read", CLOSED }, { expect = { closed = { header = "X" }, open = { status = 200 } } }, true)
    assert.same({ "neither", 1 }, { visit.seen, status })
    assert.matches("and is neither closed nor open: 503", line)
  end)

  it("that cannot be asked at all does not take away the result of the change", function()
    local visits = visitors.ask({ { url = "http://[::x]/", within = 60 } }, now)
    assert.same({ 3, "refused" }, { visitors.status(visits), visits[1].error.kind })
    -- a program without its module
    local ran = support.haplua({ "-e", [[
      package.loadlib = function()
        return nil, "libcurl.so.4: cannot open shared object file: No such file or directory", "open"
      end
      local visitors = require("haplua.apply.visitors")
      local now = { in_force = {}, view = { allow = {} } }
      local visits = visitors.ask({ { url = "http://a/" }, { url = "http://b/" } }, now)
      print(visitors.status(visits), visitors.lines(visits)[2])
    ]] })
    assert.equal("", ran.err)
    assert.matches("^3\tbut http://b/ should be open: no answer: .*curl.so cannot be loaded: libcurl.so.4: cannot open", ran.out)
    assert.matches("Install libcurl.so.4: apt%-get install libcurl4", ran.out)
  end)

  it("of a list are asked at once", function()
    local first <close> = support.fake({ tcp = true, "hold" })
    local second <close> = support.fake({ tcp = true, "hold" })
    local asking <close> = task.spawn(visitors.ask, {
      { url = ("http://%s/"):format(first.address), within = 60 }, { url = ("http://%s/"):format(second.address), within = 60 },
    }, now)
    repeat
      task.sleep(0.01)
    until first.holds and second.holds
    asking:cancel()
    assert.equal("interrupted", support.failure(asking.wait, asking).kind)
  end)

  it("in the configuration is checked when that is read", function()
    local function read(text)
      return config.parse("c", ("return { switches = { site = { acl = '#1', probe = %s } } }"):format(text)).switches.site.probes
    end
    assert.equal("www.example.com", read("{ url = 'http://127.0.0.1/', host = 'www.example.com', source = '::1' }")[1].host)
    assert.equal(2, #read("{ { url = 'http://a/' }, { url = 'https://b/', expect = { open = { status = 200 } } } }"))
    for text, problem in pairs({
      ["{ url = 'a' }"] = "switch 'site': probe: option 'url' must be a URL",
      ["{ host = 'a' }"] = "probe: the field 'url' is missing",
      ["{ { url = 'http://a/' }, { url = 'http://a/', hots = 'b' } }"] = "probe 2: no option 'hots'; did you mean 'host'",
      ["{ url = 'http://a/', method = 'POST' }"] = "option 'method' must be 'GET', 'HEAD' or 'OPTIONS'",
      ["{ url = 'http://a/', expect = { closed = { status = 1 } } }"] = "option 'expect': .* a status from 100 to 599",
      ["{ url = 'http://a/', expect = { closed = { header = 'a b' } } }"] = "'NAME' or 'NAME: VALUE'",
      ["'http://a/'"] = "option 'probe' must be a table",
    }) do
      support.refused(problem, read, text)
    end
  end)
end)
