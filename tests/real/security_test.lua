-- SPDX-License-Identifier: MIT
--
-- The claims of docs/security.md that need a real HAProxy: who may open a socket, what each level allows, what runs with
-- --read-only and --only can change.

local site = require("site")
local support = require("support")

local OTHER = 65534 -- a user and a group that own nothing

local is_root = support.is_root

--- Run haplua as this user, with this group and no other.
local function as(user, group, ...)
  if not is_root() then
    pending("needs root, to be another user")
  end
  local ran = support.shell(('exec setpriv --reuid %d --regid %d --clear-groups "$@"'):format(user, group), ...)
  if ran.status > 125 or ran.err:find("Permission denied", 1, true) then
    pending("another user may not run haplua from this folder: " .. ran.err)
  end
  return ran
end

describe("security", function()
  local s

  setup(function()
    s = site.start({
      global = ([[
    stats socket DIR/group.sock mode 660 group GID level admin
    stats socket DIR/private.sock mode 600 level admin
    stats socket DIR/operator.sock mode 600 level operator
    stats socket DIR/user.sock mode 600 level user]]):gsub("GID", "daemon"),
      frontend = [[acl other path -u 9997 -m str
    acl listed path -i -f DIR/listed.lst
    acl mapped path,map(DIR/values.map) -m found]],
      files = { ["listed.lst"] = "/from-file\n", ["values.map"] = "/k v\n" },
      more = "backend pool\n    server a 127.0.0.1:1\n    server b 127.0.0.1:1\n"
        .. "backend counting\n    stick-table type string size 10 store gpc0\n",
    })
    run({ "chmod", "711", s.dir })
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    s.target:acl_replace("#9999", {})
    s.target:acl_replace("#9997", { "/other" })
    s.target:server_set({ server = "pool/a", state = "ready", weight = 1 })
    s.target:server_set({ server = "pool/b", state = "ready", weight = 1 })
  end)

  --- The state of the servers, without the columns that change with time.
  local function servers_state()
    local texts = {}
    for _, row in ipairs(s.target:servers()) do
      texts[#texts + 1] = table.concat({
        row.be_name, row.srv_name, tostring(row.srv_addr), row.srv_port, row.srv_op_state, row.srv_admin_state, row.srv_uweight,
      }, " ")
    end
    return table.concat(texts, "\n")
  end

  --- Everything that the commands below could change, as text.
  local function state()
    local texts = s.target:batch({
      "show acl", "show acl #9999", "show acl #9997", "show acl " .. s.dir .. "/listed.lst",
      "show map " .. s.dir .. "/values.map", "show table counting", "show backend",
    })
    texts[#texts + 1] = servers_state()
    for _, frontend in ipairs(s.target:stat("frontend-http")) do
      texts[#texts + 1] = tostring(frontend.status) .. tostring(frontend.slim)
    end
    local info = s.target:info()
    texts[#texts + 1] = ("%s %s %s"):format(info.Maxconn, info.ConnRateLimit, info.Pid)
    -- the versions in `show acl` also count prepared ones
    return table.concat(texts, "\n")
  end

  local list, map

  before_each(function()
    list, map = s.dir .. "/listed.lst", s.dir .. "/values.map"
  end)

  --- Try to send these commands with these options.
  ---@return string out  a line for each command that haplua has not denied, and the number of the denied ones
  local function try(options, commands)
    local words = { "-s", s.socket, "-e", [[
      local denied = 0
      for _, command in ipairs(arg) do
        local ok, e = pcall(send, command)
        if not ok and e.kind == "denied" and not e.reply then
          denied = denied + 1
        else
          print(command, ok, e)
        end
      end
      print(denied)
    ]] }
    for i, word in ipairs(options) do
      table.insert(words, i, word)
    end
    for _, command in ipairs(commands) do
      words[#words + 1] = command
    end
    local ran = support.haplua(words)
    assert.same({ 0, "" }, { ran.status, ran.err })
    return ran.out
  end

  --- A command for each kind of change.
  local function changes()
    return {
      "add acl #9997 /x", "add acl " .. list .. " /x", "add acl #0 /x", "clear acl #9997", "del acl #9997 /other",
      "prepare acl #9997", "commit acl @1 #9997", "add map " .. map .. " /x y", "set map " .. map .. " /k w",
      "clear map " .. map, "del map " .. map .. " /k", "clear acl @0 #9997",
      "set server pool/b state maint", "set weight pool/b 0", "disable server pool/b", "disable health pool/b",
      "set server pool/b addr 127.0.0.9", "set maxconn server pool/b 1", "shutdown sessions server pool/b",
      "disable frontend frontend-http", "set maxconn frontend frontend-http 1", "set maxconn global 5",
      "set rate-limit connections global 5", "set table counting key x data.gpc0 1", "clear table counting",
      "clear counters all", "add server pool/c 127.0.0.1:1", "del server pool/b", "shutdown frontend counting",
      "debug dev exit 1", "set var proc.x int(1)", "set anon global-key 5", "set profiling tasks on",
    }
  end

  describe("--read-only", function()
    it("sends no command that changes HAProxy", function()
      local before, commands = state(), changes()
      assert.equal(#commands .. "\n", try({ "--read-only" }, commands))
      assert.equal(before, state())
    end)

    it("allows all reading calls", function()
      local ran = s:haplua({ "--read-only", "-e", [[
        acl_get("#9997", "/other")
        print(#haproxy.acl_list("#9997"), #haproxy.map_list(arg[1]), #servers("pool"), #haproxy.stat("pool"),
          type(haproxy.info().Pid), #haproxy.sessions() > 0)
      ]], map })
      assert.same({ 0, "1\t1\t2\t3\tnumber\ttrue\n", "" }, { ran.status, ran.out, ran.err })
    end)

    it("allows no command that changes HAProxy though it counts as reading", function()
      local before = state()
      local ran = s:haplua({ "--read-only", "-e", [[
        for _, command in ipairs({
          "show info", "show info typed", "show stat", "show stat json", "show servers state", "show servers conn",
          "show backend", "show sess", "show sess all", "show errors", "show table counting", "show peers", "show fd",
          "show pools", "show activity", "show profiling", "show tasks", "show cache", "show env", "show resolvers",
          "show cli level", "show cli sockets", "show events", "show startup-logs", "show threads", "show trace",
          "show schema json", "show libs", "show version", "show dev", "show ssl cert", "show tls-keys", "show anon",
          "show acl", "show map", "help", "wait 1ms", "get weight pool/a", "get var proc.x", "dump stats-file",
          "echo x",
        }) do
          local ok, e = pcall(send, command)
          -- this version may not have the command, or nothing to show
          assert(ok or e.kind == "refused" or e.kind == "protocol", e)
        end
      ]] })
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.equal(before, state())
    end)

    it("lets maint show the state, and not change it", function()
      local ran = s:haplua({ "--read-only", "scripts/maint.lua", "status" })
      assert.same({ 0, "maintenance is off: #9999 matches nothing\n", "" }, { ran.status, ran.out, ran.err })
      for _, dry in ipairs({ "-v", "-n" }) do
        ran = s:haplua({ dry, "--read-only", "scripts/maint.lua", "on" })
        assert.same({ 1, "" }, { ran.status, ran.out })
        assert.truthy(ran.err:find("--read-only refuses what changes HAProxy", 1, true))
      end
      assert.equal("application", s:sees("/"))
    end)

    it("begins no journal, and changes no file", function()
      local journal = s.dir .. "/journal.db"
      local function maint(option, ...)
        local words = { "scripts/maint.lua", "--journal", journal, "--acl", list, ... }
        if option then
          table.insert(words, 1, option)
        end
        return s:haplua(words)
      end
      for _, option in ipairs({ "--read-only", "--only=#1" }) do
        local ran = maint(option, "on", "/new")
        assert.equal(1, ran.status, ran.err)
        assert.truthy(ran.err:find("nothing was sent", 1, true), ran.err)
      end
      local f <close> = assert(io.open(list))
      assert.equal("/from-file\n", f:read("a"))
      assert.is_nil(io.open(journal))
      assert.same({ "/from-file" }, s.target:acl_list(list))
    end)

    it("holds through a master CLI", function()
      local before, commands = state(), changes()
      commands[#commands + 1] = "reload"
      local words = { "--via", "@1", "--read-only" }
      local real = s.socket
      s.socket = s.master
      local out = try(words, commands)
      local on_master = try({ "--via", "@master", "--read-only" }, { "reload", "hard-reload" })
      s.socket = real
      assert.equal(#commands .. "\n", out)
      assert.equal("2\n", on_master)
      assert.equal(before, state())
    end)
  end)

  describe("HAProxy", function()
    it("accepts no command whose words are shortened or in capitals", function()
      local before = state()
      for _, command in ipairs({
        "ad acl #9997 /x", "add ac #9997 /x", "ADD acl #9997 /x", "add ACL #9997 /x", "addacl #9997 /x",
        "clear ac #9997", "cle acl #9997", "set serv pool/b state maint", "disab server pool/b", "sho info",
      }) do
        local ok, e = pcall(s.target.send, s.target, command)
        assert.same({ false, "refused" }, { ok, e.kind }, command)
      end
      assert.equal(before, state())
    end)

    it("finds an entry by its reference in its own list only", function()
      local pointer = s.target:send("show acl #9997"):match("^(0x%x+) ")
      local ok, e = pcall(s.target.send, s.target, "del acl #9999 #" .. pointer)
      assert.same({ false, "Key not found." }, { ok, e.reply })
      assert.same({ "/other" }, s.target:acl_list("#9997"))
      pointer = s.target:send("show map " .. map):match("^(0x%x+) ")
      ok = pcall(s.target.send, s.target, "set map #9999 #" .. pointer .. " stolen")
      assert.is_false(ok)
      assert.equal("v", (s.target:map_get(map, "/k")))
    end)
  end)

  describe("--only", function()
    it("sends no command that changes anything else", function()
      local before, commands = state(), changes()
      assert.equal(#commands .. "\n", try({ "--only", "#9999", "--only", "pool/a" }, commands))
      assert.equal(before, state())
    end)

    it("lets maint change its ACL, and no other one", function()
      local ran = s:haplua({ "--only", "#9999", "scripts/maint.lua", "on" })
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.equal("page", s:sees("/"))
      ran = s:haplua({ "--only", "#9999", "scripts/maint.lua", "on", "^/a", "^/b" })
      assert.same({ 0, "" }, { ran.status, ran.err })
      ran = s:haplua({ "--only", "#9999", "scripts/maint.lua", "off" })
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.equal("application", s:sees("/"))
      for _, dry in ipairs({ "-v", "-n" }) do
        ran = s:haplua({ dry, "--only", "#9997", "scripts/maint.lua", "on" })
        assert.same({ 1, "" }, { ran.status, ran.out })
        assert.truthy(ran.err:find("this run may change #9997 alone", 1, true))
      end
      assert.equal("application", s:sees("/"))
    end)

    it("allows a list with a file, a map and a server, by their names", function()
      local ran = s:haplua({ "--only", list, "--only", map, "--only", "pool/a", "-e", [[
        local list, map = ...
        haproxy.acl_replace(list, { "/1", "/2", "/3" })
        haproxy.map_replace(map, { k = "1", l = "2" })
        haproxy.map_set(map, "k", "3")
        send({ "add", "map", map }, "m 4\n")
        haproxy.server_set({ server = "pool/a", state = "drain", weight = 7 })
        for i, change in ipairs({
          function() acl_add("#9999", "/x") end,
          function() haproxy.server_set({ server = "pool/b", state = "drain" }) end,
          function() send("shutdown sessions server pool/a") end,
          function() send("set server pool/a name c") end,
        }) do
          local ok, e = pcall(change)
          assert(not ok and e.kind == "denied", i)
        end
      ]], list, map })
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.same({ "/1", "/2", "/3" }, s.target:acl_list(list))
      assert.same({ "3", "4" }, { (s.target:map_get(map, "k")), (s.target:map_get(map, "m")) })
      local row = s.target:servers("pool")[1]
      assert.same({ "a", "drain", 7 }, { row.srv_name, row.admin, row.srv_uweight })
      s.target:acl_replace(list, { "/from-file" })
      s.target:map_replace(map, { ["/k"] = "v" })
    end)

    it("does not allow a list by its other name", function()
      local id
      for _, one in ipairs(s.target:acl_list()) do
        id = one.file == list and "#" .. one.id or id
      end
      local before = state()
      assert.equal("1\n", try({ "--only", list }, { "add acl " .. id .. " /x" }))
      assert.equal("1\n", try({ "--only", id }, { "add acl " .. list .. " /x" }))
      assert.equal(before, state())
    end)
  end)

  describe("a socket's mode", function()
    it("660 admits the owner, the group and root only", function()
      local path = s.dir .. "/group.sock"
      local _, gid = run({ "sh", "-c", "getent group daemon | cut -d: -f3", stdout = "capture" })
      local chunk = 'acl_add("#9999", "/by-group") print(haproxy.info().Pid ~= nil)'
      local ran = as(OTHER, tonumber(gid), "-s", path, "-e", chunk)
      assert.same({ 0, "true\n", "" }, { ran.status, ran.out, ran.err })
      ran = as(OTHER, OTHER, "-s", path, "-e", chunk)
      assert.equal(3, ran.status)
      assert.truthy(ran.err:find("permission denied", 1, true))
      assert.same({ "/by-group" }, s.target:acl_list("#9999"))
    end)

    it("600 admits its owner and root only", function()
      local ran = as(OTHER, OTHER, "-s", s.dir .. "/private.sock", "-e", 'acl_add("#9999", "/x")')
      assert.equal(3, ran.status)
      assert.equal(0, #s.target:acl_list("#9999"))
    end)

    it("666 admits every user, who may change everything", function()
      local ran = as(OTHER, OTHER, "-s", s.socket, "-e", [[
        acl_add("#9999", "/by-anybody")
        haproxy.server_set({ server = "pool/a", state = "maint" })
      ]])
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.same({ "/by-anybody" }, s.target:acl_list("#9999"))
    end)
  end)

  describe("a level", function()
    local function may(level, chunk)
      local ran = s:haplua({ "-e", chunk, socket = s.dir .. "/" .. level .. ".sock" })
      if ran.status ~= 0 then
        assert.equal(1, ran.status)
        assert.truthy(ran.err:find("the socket's level does not allow this", 1, true), ran.err)
      end
      return ran.status == 0
    end

    it("below admin may not change servers", function()
      for _, level in ipairs({ "operator", "user" }) do
        assert.is_false(may(level, 'haproxy.server_set({ server = "pool/a", state = "maint" })'))
        assert.is_false(may(level, 'send("disable server pool/a")'))
        assert.is_false(may(level, 'send("shutdown sessions server pool/a")'))
        assert.is_false(may(level, 'send("set maxconn global 1")'))
      end
      assert.equal("ready", s.target:servers("pool")[1].admin)
    end)

    it("of user may not read sessions and captured requests", function()
      assert.is_true(may("operator", 'send("show errors") haproxy.sessions()'))
      assert.is_false(may("user", 'send("show errors")'))
      assert.is_false(may("user", "haproxy.sessions()"))
      assert.is_true(may("user", "haproxy.stat() haproxy.info() servers()"))
    end)

    it("of any kind may change ACLs and maps, before 3.4", function()
      if site.at_least(3, 3) then
        pending("from 3.4 on it may not")
      end
      for _, level in ipairs({ "operator", "user" }) do
        assert.is_true(may(level, ('acl_add("#9999", "/%s")'):format(level)))
        assert.is_true(may(level, ('haproxy.map_set(%q, "/k", "v")'):format(map)))
      end
      assert.same({ "/operator", "/user" }, s.target:acl_list("#9999"))
    end)
  end)

  it("the file for sudo allows three commands", function()
    local page <close> = assert(io.open("docs/security.md"))
    local text = page:read("a"):match("\n    (#!/bin/sh\n.-)\n\n"):gsub("\n    ", "\n")
    text = text:gsub("/usr/local/bin/haplua", '"$HAPLUA" -s "$SOCKET"'):gsub("/usr/local/share/haplua/", "")
    local file = s.folder.write("site-maintenance", text)
    local function status(...)
      local words = { "HAPLUA=$1 SOCKET=$2; export HAPLUA SOCKET; shift 2; exec sh \"$@\"", s.socket, file, ... }
      return support.shell(table.unpack(words))
    end
    assert.equal(0, status("on").status)
    assert.equal("page", s:sees("/"))
    assert.truthy(status("status").out:find("maintenance is on", 1, true))
    assert.equal(0, status("off", "--acl", "#9997").status)
    assert.equal("application", s:sees("/"))
    assert.same({ "/other" }, s.target:acl_list("#9997"))
    for _, words in ipairs({ { "during", "--", "true" }, { "-e", "print(1)" }, { "--journal", "/x", "on" }, {} }) do
      assert.equal(2, status(table.unpack(words)).status)
    end
  end)

  it("HAProxy does not run commands in a pattern", function()
    local before = servers_state()
    local patterns = {
      "x;disable server pool/a", "x ; disable server pool/a", "x\\;disable server pool/a", "@1 disable server pool/a",
      "x <<", "<<", "x\\", "'; disable server pool/a", '"', "#0x1", "x\r", "\x1b[2J", "%0adisable server pool/a",
    }
    s.target:acl_replace("#9997", patterns)
    assert.same(patterns, s.target:acl_list("#9997"))
    for _, pattern in ipairs({ "x\ndisable server pool/a", "x\\\ndisable server pool/a", "x\0disable server pool/a" }) do
      local ok = pcall(s.target.acl_add, s.target, "#9997", pattern)
      assert.is_false(ok)
    end
    assert.same(patterns, s.target:acl_list("#9997"))
    assert.equal(before, servers_state())
  end)

  it("a visitor's request changes no list, and status shows control bytes of a pattern escaped", function()
    assert.equal("application", s:sees("/%1b%5b2J;clear%20acl%20%239997"))
    assert.same({ "/other" }, s.target:acl_list("#9997"))
    s.target:acl_add("#9999", "^/\x1b.2J\xc2\x9b")
    local ran = s:maint("status")
    assert.truthy(ran.out:find("^/\\x1b.2J\\xc2\\x9b", 1, true), ran.out)
    assert.is_nil(ran.out:find("[\27\155]"))
  end)
end)
