-- SPDX-License-Identifier: MIT
--
-- --acl NAME: an ACL by the name that HAProxy's configuration gives it.

local running = require("running")
local site = require("site")
local support = require("support")

local eventually, good = running.eventually, support.good
local json = require("haplua.json")

--- The entries of a list's file.
local function entries(path)
  local found = running.lines(path)
  table.remove(found, 1)
  return found
end

local function refused(ran, ...)
  assert.equal(1, ran.status, ran.out)
  for _, text in ipairs({ ... }) do
    assert.matches(text, ran.err, 1, true)
  end
end

describe("an ACL by its name", function()
  it("is the list of -u, and is shown as it was given", function()
    local s <close> = site.start()
    s.journal = s.dir .. "/journal.db"
    assert.matches("maintenance is on: maintenance (#9999) matches ^/shop", good(s:maint("--acl", "maintenance", "on", "--path",
      "/shop")), 1, true)
    assert.equal("page", s:sees("/shop"))
    assert.matches("maintenance (#9999) matches", good(s:maint("--acl", "maintenance", "status")), 1, true)
    assert.matches("maintenance (#9999) looks at the path", s:maint("--acl", "maintenance", "doctor").out, 1, true)
    local status = json.decode(good(s:maint("--acl", "maintenance", "status", "--json")))
    assert.same({ "#9999", "maintenance" }, { status.acl, status.given })
    -- the same list under its number
    assert.matches("ended: m1  /shop", good(s:maint("--acl", "#9999", "off")), 1, true)
    assert.equal("application", s:sees("/shop"))
    good(s:haplua({ "scripts/maint.lua", "on", env = { HAPLUA_ACL = "maintenance" } }))
    assert.equal("page", s:sees("/"))
    refused(s:haplua({ "--only", "#1", "scripts/maint.lua", "--acl", "maintenance", "off" }), "add acl #9999")
    good(s:haplua({ "--only", "#9999", "scripts/maint.lua", "--acl", "maintenance", "off" }))
  end)

  it("is the file of -f, whose entries are kept on disk, one by one, too", function()
    local s <close> = site.start({ acl = "path -i -m reg -f DIR/list.acl", files = { ["list.acl"] = "" } })
    s.journal = s.dir .. "/journal.db"
    good(s:maint("--acl", "maintenance", "on", "--path", "/shop"))
    good(s:maint("--acl", "maintenance", "on", "--path", "/pay"))
    assert.same({ "^/shop", "^/pay" }, entries(s.dir .. "/list.acl"))
    good(s:maint("--acl", "maintenance", "off", "--path", "/shop"))
    assert.same({ "^/pay" }, entries(s.dir .. "/list.acl"))
    s:reload()
    assert.same({ "application", "page" }, { s:sees("/shop"), s:sees("/pay") })
  end)

  it("is that of a configured switch, with its bypass, for keep, too", function()
    local s <close> = site.start({ acl = "path -i -m reg -u 77", frontend = "acl office src -u 78", condition = "!office" })
    s.journal = s.dir .. "/journal.db"
    s.config = s.folder.write("config.lua",
      [[return { switches = { site = { acl = "maintenance", bypass = "office", allow = { "127.0.0.1" } } } }]])
    good(s:maint("on"))
    assert.equal("application", s:sees("/"))
    assert.same({ "127.0.0.1" }, s.target:acl_list("#78"))
    local keeper = running.start(s, "-s", s.socket, "scripts/keep.lua", "--journal", s.journal, "--config", s.config)
    eventually("keep runs", function()
      return keeper:out():find("kept to", 1, true)
    end)
    s:reload()
    eventually("keep has put both lists back", function()
      return s.target:acl_list("#78")[1] == "127.0.0.1" and s.target:acl_list("#77")[1] ~= nil
    end)
    keeper:signal("TERM")
    keeper:wait()
    -- the switch by its list is the same switch
    assert.matches("passing: 127.0.0.1", good(s:maint("--acl", "#77", "status")), 1, true)
    good(s:maint("--switch", "site", "off"))
    assert.same({}, s.target:acl_list("#77"))
  end)

  it("is refused where it is none, several, or cannot be read", function()
    local s <close> = site.start({
      frontend = "acl twice path -u 1001\n    acl twice path -u 1002\n"
        .. "    acl same path -f DIR/list\n    acl same path -f DIR/list",
      more = ("frontend second\n    bind 127.0.0.1:%d\n    acl maintenance path -u 2000"):format(site.free_port()),
      files = { list = "" },
    })
    refused(s:maint("--acl", "maintenance", "on"), "'maintenance': it stands for several lists: ",
      "#9999 in frontend frontend-http", "#2000 in frontend second", "--acl '#9999' for -u 9999")
    refused(s:maint("--acl", "twice", "on"), "several lists", "#1001", "#1002")
    refused(s:maint("--acl", "maintenanc", "on"), "no ACL of this name: it has maintenance")
    assert.matches("same (" .. s.dir .. "/list)", good(s:maint("--acl", "same", "status")), 1, true)
    local tcp <close> = site.start({ global = "stats socket 127.0.0.1:" .. site.free_port() .. " level admin" })
    local port = running.content(tcp.dir .. "/haproxy.cfg"):match("stats socket 127.0.0.1:(%d+)")
    os.remove(tcp.dir .. "/haproxy.cfg")
    refused(tcp:haplua({ "scripts/maint.lua", "--acl", "maintenance", "on", socket = "127.0.0.1:" .. port }),
      "HAProxy does not tell the names of ACLs, and its configuration cannot be read: ")
    assert.equal("application", s:sees("/"))
  end)
end)
