-- SPDX-License-Identifier: MIT
--
-- Probes of a switch: maint and keep ask as visitors what has come of a change.

local test = require("haplua.test")

local CONFIG = [[return {
  journal = %q,
  switches = {
    site = { acl = "#9999", bypass = "#9998", probe = { { url = "http://127.0.0.1:8080/", host = "www.example.com" },
      { url = "https://www.example.com/shop", address = "127.0.0.1:8443", source = "127.0.0.9" } } },
    plain = { acl = "#9997" },
  },
  default = "site",
}]]

describe("probes", function()
  local site, config, asked, answers

  before_each(function()
    config = test.folder() .. "/config.lua"
    local f <close> = assert(io.open(config, "w"))
    f:write(CONFIG:format(test.folder() .. "/journal.db"))
    site = test.haproxy({
      acls = { ["#9999"] = { match = "reg", fetch = "path" }, ["#9998"] = { fetch = "src" }, ["#9997"] = { match = "reg" } },
    })
    asked, answers = {}, {}
    -- what HAProxy's rules make of its list, unless a test says otherwise
    test.visitor(function(request)
      local path = request.url:match("^%a+://[^/]*(/.*)$")
      asked[#asked + 1] = path
      local closed = false
      for _, pattern in ipairs(site:acl("#9999")) do
        closed = closed or path:find((pattern:gsub("%.%*%$$", ""))) ~= nil
      end
      if answers[path] then
        return answers[path] ~= "none" and answers[path] or nil
      end
      return closed and 503 or 200
    end)
  end)

  local function maint(...)
    return test.run("scripts/maint.lua", "--config", config, ...)
  end

  it("are compared with what the maintenances in force cover", function()
    local ran = maint("on")
    assert.equal(0, ran.status)
    assert.matches("\n  http://127.0.0.1:8080/ is closed for visitors: 503 over HTTP/1.1\n", ran.out)
    assert.matches("\n  https://www.example.com/shop at 127.0.0.1:8443 is closed", ran.out)
    ran = maint("change", "--path", "/shop")
    assert.same({ 0, true }, { ran.status, ran.out:find("8080/ is open for visitors: 200", 1, true) ~= nil })
    assert.matches("/shop at 127.0.0.1:8443 is closed", ran.out)
    ran = maint("off")
    assert.equal(0, ran.status)
    assert.matches("/shop at 127.0.0.1:8443 is open", ran.out)
  end)

  it("say what is not as wanted, by the exit status too, and the maintenance stays in force", function()
    answers["/"] = 200
    local ran = maint("on")
    assert.equal(1, ran.status)
    assert.matches("\n  but http://127.0.0.1:8080/ should be closed for visitors, and is open: 200 over HTTP/1.1\n", ran.out)
    assert.matches("\n  the maintenance stays in force", ran.out)
    assert.same({ "^.*$" }, site:acl("#9999"))
    answers["/"] = 503
    ran = maint("off")
    assert.equal(1, ran.status)
    assert.matches("but http://127.0.0.1:8080/ should be open for visitors, and is closed: 503", ran.out)
    answers["/"] = "none"
    ran = maint("on", "--json")
    assert.equal(3, ran.status)
    local found = require("haplua.json").decode(ran.out)
    assert.same({ "closed", true }, { found.probes[1].wanted, found.probes[1].error:find("nobody listens", 1, true) ~= nil })
    assert.same({ true, "closed", 503 }, { found.probes[2].ok, found.probes[2].seen, found.probes[2].status })
  end)

  it("of a client that may pass are to be open", function()
    local ran = maint("on", "--bypass", "127.0.0.0/28")
    assert.equal(1, ran.status)
    assert.matches("/shop at 127.0.0.1:8443 should be open for visitors, and is closed", ran.out)
    answers["/shop"] = 200 -- and so is the other one, which comes from 127.0.0.1
    assert.matches("8080/ should be open for visitors, and is closed", maint("on", "--bypass", "127.0.0.0/28").out)
    assert.equal(0, maint("on", "--bypass", "127.0.0.9").status)
  end)

  it("are asked again for a while, since HAProxy may be under a reload", function()
    local n, begin = 0, task.now()
    test.visitor(function()
      n = n + 1
      return n > 6 and 503 or 200
    end)
    assert.equal(0, maint("on").status)
    assert.is_true(n > 6 and task.now() - begin < 2)
    n = -1000
    assert.equal(1, maint("on").status)
    assert.is_true(task.now() - begin < 8)
  end)

  it("are not asked for what is to come, or if they are declined", function()
    local keep = test.start("scripts/keep.lua", "--config", config)
    test.settle()
    assert.equal(0, maint("on", "--from", "23:00").status)
    keep:stop()
    assert.equal(0, maint("on", "--no-probe").status)
    assert.equal(0, maint("--switch", "plain", "on").status)
    assert.same({}, asked)
    answers["/x"] = 200
    assert.equal(0, maint("--switch", "plain", "off", "--probe", "http://a/x").status)
    assert.same({ "/x" }, asked)
  end)

  it("have `during` run nothing where visitors do not get the maintenance", function()
    answers["/"] = 200
    local ran = maint("during", "--", "false")
    assert.equal(1, ran.status)
    assert.matches("should be closed for visitors, and is open", ran.err)
    assert.same({}, site:acl("#9999"))
    answers["/"] = nil
    ran = maint("during", "--", "sh", "-c", "exit 7")
    assert.equal(7, ran.status)
  end)

  it("are asked by keep at each beginning and end, without holding it up", function()
    local keep = test.start("scripts/keep.lua", "--config", config)
    test.settle()
    assert.equal(0, maint("on", "--for", "10m", "--no-probe").status)
    asked = {}
    answers["/shop"] = 503 -- keep's change opens the site, and this page stays closed
    test.advance("11m")
    assert.same({}, site:acl("#9999"))
    assert.matches("8080/ is open for visitors", keep:err() .. keep:out())
    assert.matches("keep: but https://www.example.com/shop at 127.0.0.1:8443 should be open for visitors", keep:err())
    local before = #asked
    test.visitor(function()
      return nil
    end)
    assert.equal(0, maint("on", "--for", "10m", "--no-probe").status)
    test.advance("10m")
    test.advance(3) -- an attempt lasts 5 s
    assert.same({}, site:acl("#9999"))
    assert.equal(before, #asked)
    keep:stop()
  end)

  it("are asked by `status --visitors`", function()
    maint("on", "--no-probe", "--path", "/shop")
    local ran = maint("status", "--visitors")
    assert.equal(0, ran.status)
    assert.matches("8080/ is open for visitors: 200", ran.out)
    site:acl("#9999", {})
    answers["/shop"] = 200
    ran = maint("status", "--visitors")
    assert.equal(1, ran.status)
    assert.matches("but https://www.example.com/shop at 127.0.0.1:8443 should be closed for visitors, and is open", ran.out)
    ran = maint("status", "--visitors", "--json")
    local found = require("haplua.json").decode(ran.out)
    assert.same({ 1, false, "open" }, { ran.status, found.visitors.probes[2].ok, found.visitors.probes[2].seen })
  end)
end)
