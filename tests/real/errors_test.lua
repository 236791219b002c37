-- SPDX-License-Identifier: MIT
--
-- The failures of the first day, each with its message and its exit status.

local site = require("site")
local support = require("support")

local is_root = support.is_root

--- Run haplua as a user who may not write to this socket.
local function as_stranger(...)
  if is_root() then
    return support.shell('exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@"', ...)
  end
  run({ "chmod", "0", (select(2, ...)) })
  return support.shell('exec "$@"', ...)
end

describe("the usual failures", function()
  local s

  setup(function()
    s = site.start({ global = [[
    stats socket DIR/private.sock mode 600 level admin
    stats socket DIR/operator.sock level operator
    stats socket DIR/user.sock level user]],
      frontend = "http-request set-header X-Some %[path,map(DIR/some.map)]", files = { ["some.map"] = "" } })
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    s.target:acl_clear("#9999")
  end)

  --- Assert that a run failed with this status, with nothing on standard output and with these texts, in this order,
  -- on standard error.
  local function check(ran, status, ...)
    assert.equal("", ran.out)
    local at = 1
    for _, text in ipairs({ ... }) do
      local _, last = ran.err:find(text, at, true)
      if not last then
        error(("expected %q in, after byte %d:\n%s"):format(text, at, ran.err))
      end
      at = last + 1
    end
    assert.equal(status, ran.status)
  end

  it("the socket is missing", function()
    local path = s.dir .. "/nothing.sock"
    check(s:haplua({ "scripts/maint.lua", "on", socket = path }), 3,
      "haplua: 'show info' at " .. path .. ": no such file or directory",
      "is HAProxy running",
      "stats socket " .. path .. " mode 600 level admin",
      "-s PATH or $HAPLUA_SOCKET")
  end)

  it("the socket's permissions keep us out", function()
    run({ "chmod", "711", s.dir })
    local path = s.dir .. "/private.sock"
    local ran = as_stranger("-s", path, "scripts/maint.lua", "on")
    if ran.err:find("haplua: Permission denied", 1, true) or ran.status > 125 then
      pending("another user may not run haplua from this folder: " .. ran.err)
    end
    check(ran, 3, path .. ": permission denied", "the socket belongs to", "with mode", "and you are",
      "stats socket " .. path .. " mode 660 group")
  end)

  it("a folder's permissions keep us out", function()
    if not is_root() then
      pending("needs root, to be another user")
    end
    run({ "chmod", "700", s.dir })
    check(as_stranger("-s", s.dir .. "/private.sock", "-e", "send('show info')"), 3,
      "permission denied", "may not go through a folder on the way to it")
  end)

  it("the path is no socket", function()
    check(s:haplua({ "-e", "send('show info')", socket = s.dir .. "/haproxy.cfg" }), 3,
      s.dir .. "/haproxy.cfg")
  end)

  it("nobody listens at the socket any more", function()
    local path
    do
      local other <close> = site.start()
      path = other.dir .. "/haproxy.sock"
      assert(run({ "cp", "-a", path, s.dir .. "/stale.sock" }) == 0)
    end
    check(s:haplua({ "scripts/maint.lua", "on", socket = s.dir .. "/stale.sock" }), 3,
      "connection refused", "the socket is there, but nobody listens")
  end)

  it("the level is too low", function()
    for _, level in ipairs({ "operator", "user" }) do
      local path = ("%s/%s.sock"):format(s.dir, level)
      check(s:haplua({ "-e", "haproxy.server_set{server='app/app', state='maint'}", socket = path }), 1,
        "at " .. path .. ": ", "Permission denied",
        "stats socket " .. path .. " mode 600 level admin")
    end
    assert.equal("application", s:sees("/"))
  end)

  it("the ACL is not there", function()
    check(s:maint("--acl", "#7777", "on"), 1,
      "at " .. s.socket .. ": ", "Unknown ACL identifier",
      "there are these:", "#9999  acl 'path'",
      "to add it, in a frontend:", "acl maintenance path -i -u 7777 -m reg", "use_backend maintenance if maintenance")
    check(s:maint("--acl", "9999", "on"), 1, "Unknown ACL identifier", "#9999  acl 'path'")
    check(s:maint("--acl", "9999", "on"), 1, "'9999' is neither")
    check(s:maint("--acl", "/no/file", "on"), 1, "Unknown ACL identifier", "acl maintenance base -i -m reg -f /no/file")
    check(s:maint("--acl", s.dir .. "/some.map", "on"), 1, s.dir .. "/some.map is a map of HAProxy, and no ACL")
  end)

  it("the ACL is not there, and HAProxy takes the lines that declare it", function()
    for _, name in ipairs({ "#7777", s.dir .. "/new.acl", s.dir .. "/it's $new #1.acl" }) do
      local ran = s:maint("--acl", name, "on")
      assert.equal(1, ran.status)
      run({ "touch", name:sub(1, 1) == "/" and name or s.dir .. "/any" })
      local declared = {}
      for line in ran.err:gmatch("\n(    [au][^\n]*)") do
        declared[#declared + 1] = line
      end
      assert.equal(2, #declared, ran.err)
      local path = s.folder.write("declared.cfg", "defaults\n    mode http\n    timeout connect 1s\n    timeout client 1s\n"
        .. "    timeout server 1s\nfrontend www\n    bind 127.0.0.1:" .. s.port .. "\n" .. table.concat(declared, "\n")
        .. "\nbackend maintenance\n")
      local accepted, output = site.accepts(path)
      assert.is_true(accepted, output)
    end
  end)

  it("the pattern is no regular expression", function()
    assert(s:maint("on", "^/shop").status == 0)
    check(s:maint("on", "^/a", "^/shop("), 1, "^/shop(", "HAProxy refused: regex '^/shop(' is invalid",
      "this ACL takes regular expressions")
    assert.equal("page", s:sees("/shop"))
    if site.at_least(2, 4) then
      assert.same({ "^/shop" }, s.target:acl_list("#9999"))
    end
  end)

  it("the pattern cannot be sent", function()
    check(s:maint("on", "^/a\n^/b"), 1, "haplua: ")
    check(s:maint("on", ""), 2, "maint: 'pattern' is empty")
    check(s:maint("on", ("x"):rep(20000)), 1, "haplua: ")
    assert.same({}, s.target:acl_list("#9999"))
  end)

  it("nobody listens at the TCP address", function()
    local address = "127.0.0.1:" .. site.free_port()
    check(s:haplua({ "scripts/maint.lua", "on", socket = address }), 3,
      "at " .. address .. ": connection refused", "nobody listens at that address and port",
      "stats socket ipv4@" .. address .. " level admin")
  end)

  it("something else than HAProxy answers", function()
    local address = "127.0.0.1:" .. s.page_port
    check(s:haplua({ "scripts/maint.lua", "on", socket = address }), 1, "at " .. address .. ": ")
  end)

  it("HAProxy does not answer in time", function()
    local pid = s.target:info().Pid
    local ran
    do
      local _ <close> = setmetatable({}, {
        __close = function()
          s:signal("CONT", pid)
        end,
      })
      s:signal("STOP", pid)
      ran = s:haplua({ "-t", "0.3", "scripts/maint.lua", "on" })
    end
    check(ran, 3, "'show info' at " .. s.socket .. ": no answer within 0.3 s", "-t SECONDS")
  end)

  it("the address is none", function()
    for _, address in ipairs({ "", "nonsense", "127.0.0.1", "127.0.0.1:99999", "ipv6@[::1]", "ipv4@" }) do
      check(s:haplua({ "scripts/maint.lua", "on", socket = address }), 2, "haplua: ")
    end
  end)
end)
