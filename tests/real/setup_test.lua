-- SPDX-License-Identifier: MIT
--
-- scripts/maint.lua: in the set-up that haplua was made for, with ACLs of each kind, and with nothing configured.

local site = require("site")
local support = require("support")

local SOCKET_FOLDER = "/tmp/haproxy/socket"

--- Make the folder of that set-up's socket, for the block: local folder <close> = socket_folder()
---@return table?  nil: the folder is there already, and so somebody else's
local function socket_folder()
  if run({ "mkdir", "-p", "/tmp/haproxy", stderr = "null" }) ~= 0
    or run({ "mkdir", SOCKET_FOLDER, stderr = "null" }) ~= 0 then
    return nil
  end
  return setmetatable({}, {
    __close = function()
      run({ "rm", "-rf", SOCKET_FOLDER })
      run({ "rmdir", "/tmp/haproxy", stderr = "null" })
    end,
  })
end

describe("the set-up that haplua replaces", function()
  it("goes to the maintenance page and back", function()
    local folder <close> = socket_folder()
    if not folder then
      pending(SOCKET_FOLDER .. " is somebody else's")
    end
    local s <close> = site.start({ socket = SOCKET_FOLDER .. "/haproxy.sock" })

    assert.equal("application", s:sees("/"))
    local on = s:haplua({ "scripts/maint.lua", "on" })
    assert.same({ 0, "" }, { on.status, on.err })
    for _, path in ipairs({ "/", "/shop", "/any/where?x=1", "/%20%0a", "/_count" }) do
      assert.equal("page", s:sees(path))
    end
    local off = s:haplua({ "scripts/maint.lua", "off" })
    assert.same({ 0, "" }, { off.status, off.err })
    assert.equal("application", s:sees("/"))
  end)
end)

describe("scripts/maint.lua", function()
  local s

  setup(function()
    s = site.start({ frontend = [[
      acl beginnings path -u 8001 -m beg
      acl clients src -u 8002 -m ip
      acl words path -u 8003 -m str
      use_backend maintenance if beginnings || clients || words]] })
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    for _, acl in ipairs({ "#9999", "#8001", "#8002", "#8003" }) do
      s.target:acl_clear(acl)
    end
  end)

  --- Run it. It must succeed and print one line, which is returned.
  local function maint(...)
    local ran = s:maint(...)
    assert.same({ 0, "" }, { ran.status, ran.err })
    return (assert(ran.out:match("^([^\n]+)\n$")))
  end

  it("says what changed", function()
    assert.equal("maintenance is on: #9999 matches ^.*$ (1 added, 0 removed, confirmed for /)", maint("on"))
    assert.equal("maintenance is off: #9999 matches nothing (0 added, 1 removed)", maint("off"))
  end)

  it("says so when nothing changed", function()
    assert.equal("maintenance was off already: #9999 matches nothing", maint("off"))
    maint("on")
    assert.equal("maintenance was on already: #9999 matches ^.*$", maint("on"))
  end)

  it("adds patterns to those that are there, and replaces them with --replace", function()
    assert.equal("maintenance is on: #9999 matches ^/shop  ^/a (2 added, 0 removed, confirmed for /shop)",
      maint("on", "^/shop", "^/a"))
    assert.same({ "page", "page", "application" }, { s:sees("/shop/1"), s:sees("/a"), s:sees("/b") })
    maint("on", "^/shop", "^/b")
    assert.same({ "page", "page", "page" }, { s:sees("/shop/1"), s:sees("/a"), s:sees("/b") })
    maint("on", "--replace", "^/shop", "^/b")
    assert.same({ "page", "application", "page" }, { s:sees("/shop/1"), s:sees("/a"), s:sees("/b") })
    assert.same({ "^/shop", "^/b" }, s.target:acl_list("#9999"))
  end)

  it("opens no part of the whole site", function()
    maint("on")
    maint("on", "^/shop")
    assert.same({ "page", "page" }, { s:sees("/shop"), s:sees("/other") })
    maint("on", "--replace", "^/shop")
    assert.same({ "page", "application" }, { s:sees("/shop"), s:sees("/other") })
    maint("on")
    assert.same({ "page", "page" }, { s:sees("/shop"), s:sees("/other") })
    assert.equal("maintenance is off: #9999 matches nothing (0 added, 2 removed)", maint("off"))
  end)

  it("says the state, in words and in JSON", function()
    assert.equal("maintenance is off: #9999 matches nothing", maint("status"))
    maint("on", "^/a b", '^/"q"\\.')
    assert.equal('maintenance is on: #9999 matches ^/a b  ^/"q"\\.', maint("status"))
    local status = require("cjson").decode(maint("status", "--json"))
    assert.equal(s.target:info().Pid, status.worker)
    assert.equal(tostring(s.target:version()), status.version)
    status.worker, status.version = nil, nil
    for _, field in ipairs({ "begins", "user", "host", "login" }) do
      status.maintenances[1][field] = nil
    end
    assert.same({
      target = s.socket,
      switch = "#9999",
      acl = "#9999",
      on = true,
      patterns = { "^/a b", '^/"q"\\.' },
      type = "reg",
      journal = false,
      planned = {},
      maintenances = { {
        target = s.socket, switch = "#9999", acl = "#9999", origin = "by hand", scope = { patterns = { "^/a b", '^/"q"\\.' } },
        bypass = {},
      } },
      disagreements = {},
    }, status)
    maint("off")
    assert.equal("[]", maint("status", "--json"):match('"patterns":(%b[])'))
  end)

  it("closes the whole site by the pattern that fits the match method", function()
    for _, acl in ipairs({ "#8001", "#8002" }) do
      maint("--acl", acl, "on")
      assert.equal("page", s:sees("/x"))
      maint("--acl", acl, "off")
      assert.equal("application", s:sees("/x"))
    end
  end)

  it("refuses the whole site where no pattern matches every request", function()
    local ran = s:maint("--acl", "#8003", "on")
    assert.equal(1, ran.status)
    assert.matches("no pattern that matches every request", ran.err, 1, true)
    assert.same({}, s.target:acl_list("#8003"))
  end)

  it("takes its ACL from the environment", function()
    local ran = s:haplua({ "scripts/maint.lua", "on", env = { HAPLUA_ACL = "#8001" } })
    assert.equal(0, ran.status)
    assert.same({ "/" }, s.target:acl_list("#8001"))
    assert.same({}, s.target:acl_list("#9999"))
  end)

  it("takes its socket from the environment, and goes by its name", function()
    local ran = support.haplua({ "maint", "on", env = { HAPLUA_SOCKET = s.socket } })
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.equal("page", s:sees("/"))
  end)

  it("changes nothing in a dry run, and says what it would do", function()
    local versions = s.target:acl_list()
    local ran = s:haplua({ "-n", "scripts/maint.lua", "on", "^/shop" })
    assert.same({ 4, "" }, { ran.status, ran.err })
    assert.matches("would send to [^\n]*add acl [^\n]*#9999 ^/shop\n", ran.out:gsub("%^", "^"), 1, false)
    assert.matches("maintenance would be on (1 to add, 0 to remove)", ran.out, 1, true)
    assert.same({}, s.target:acl_list("#9999"))
    assert.same(versions, s.target:acl_list())
    assert.equal("application", s:sees("/shop"))
  end)

  it("has nothing to do in a dry run where the state is as asked", function()
    maint("on")
    local ran = s:haplua({ "-n", "scripts/maint.lua", "on" })
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.matches("^maintenance was on already", ran.out)
    ran = s:haplua({ "-n", "scripts/maint.lua", "off" })
    assert.equal(4, ran.status)
    assert.equal("page", s:sees("/"))
  end)

  it("has help, and status 2 for what it does not know", function()
    local help = s:maint("--help")
    assert.same({ 0, "" }, { help.status, help.err })
    assert.matches("Usage: haplua maint", help.out, 1, true)
    for _, words in ipairs({ { "onn" }, {}, { "--nope", "on" }, { "off", "--nope" }, { "off", "--mine", "--all" } }) do
      local ran = s:maint(table.unpack(words))
      assert.equal(2, ran.status)
      assert.equal("", ran.out)
    end
  end)
end)

describe("an installation with nothing configured", function()
  local s

  setup(function()
    s = site.start({ frontend = "acl words path -u 8001 -m beg" })
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    s.target:acl_clear("#9999")
    s.target:acl_clear("#8001")
  end)

  --- Run a shell script where /etc and /var/lib are empty, in a mount namespace of its own. In it, `maint` is haplua on
  -- the site, without any of haplua's variables.
  local function bare(script)
    local words = table.concat(support.program("-s", s.socket, "scripts/maint.lua"), "' '")
    local status, out, err = run({
      "unshare", "--mount", not support.is_root() and "--map-root-user" or "--propagation=private", "sh", "-ec",
      ("mount -t tmpfs none /etc; mount -t tmpfs none /var/lib; echo mounted\nmaint() { '%s' \"$@\"; }\n%s"):format(words,
        script),
      env = { HAPLUA_CONFIG = false, HAPLUA_JOURNAL = false, HAPLUA_ACL = false, HAPLUA_SOCKET = false },
      stdout = "capture", stderr = "capture",
    })
    if not out:find("^mounted\n") then
      pending("this user may not make a mount namespace: " .. err)
    end
    return { status = status, out = out:gsub("^mounted\n", ""), err = err }
  end

  it("works, with the ACL #9999, and begins its journal", function()
    local out = support.good(bare([[
      maint status
      maint on --reason first
      maint status
      maint log
      ls /var/lib/haplua
      maint doctor | grep configuration || true
      maint off]]))
    assert.matches("^maintenance is off: #9999 matches nothing\n  no journal: /var/lib/haplua/journal.db: there is none\n"
      .. "maintenance is on: #9999 matches %^%.%*%$ %(1 added, 0 removed, confirmed for /%), as m1\n  reason: first\n"
      .. "id  scope           since             until  by +origin  reason\n"
      .. "m1  the whole site  %d+%-%d%d%-%d%d %d%d:%d%d  %-      [^ ]+ +on      first\n"
      .. "maintenance is on: #9999 matches %^%.%*%$\n"
      .. ".*  #9999  on  .*reason: first  %[done%]\n.*journal%.db\n.*"
      .. "ok    configuration  no file: the ACL is #9999\nmaintenance is off", out)
  end)

  it("finds /etc/haplua/config.lua once it is there", function()
    support.good(bare([[
      mkdir /etc/haplua
      echo 'return { switches = { words = { acl = "#8001" } } }' >/etc/haplua/config.lua
      maint on --path /shop]]))
    assert.same({}, s.target:acl_list("#9999"))
    assert.same({ "/shop" }, s.target:acl_list("#8001"))
  end)

  it("works where no journal can be begun, and says so", function()
    local ran = bare("mount -t tmpfs -o ro none /var/lib; maint on; maint status")
    assert.equal(0, ran.status, ran.err)
    assert.matches("this is in no journal (/var/lib/haplua/journal.db: ", ran.err, 1, true)
    assert.same({ "^.*$" }, s.target:acl_list("#9999"))
  end)
end)
