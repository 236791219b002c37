-- SPDX-License-Identifier: MIT
--
-- The module haproxy.

local site = require("site")
local support = require("support")
local reply = require("haplua.reply")

local failure = support.failure

-- Values that a line protocol without quotes could misread.
local odd = {
  "a b", " a", "a ", "a\tb", "\ta\t", "a;b", ";", "clear acl #8003;", "a\\b", "\\", "\\\\", "a\\",
  "\\n", '"', '"a b"', "'a'", "a<<", "<<", "<<EOF", "a <<", "a <<x", "@1", "@", "@a b", "#1", "#", "#0x10",
  "#0xffffffffff", "gr\u{fc}n", "\u{1f600}", "\xff\xfe", "\1\2\127", "a\rb", "a\r", "\r", "\r\r", "a \r",
  "a;\r", "a\\\r", "$HOME `id` $(id)", "%0A", "-i", "--", "add acl #8003 x", "0x55d0c0ffee00 /x",
  ("x"):rep(10000), ("; "):rep(3000), ("\\"):rep(5000), ("\r"):rep(3000),
}

describe("haproxy", function()
  local s, t

  setup(function()
    s = site.start({
      frontend = [[
    acl words path -u 8003 -m str
    acl from_file path -f DIR/list.acl
    use_backend maintenance if words || from_file
    http-request set-header x-map %[path,map(DIR/site.map,none)]
    http-request set-header x-regex %[path,map_reg(DIR/regex.map,none)] ]],
      more = "backend spare\n    server one 127.0.0.1:1\n    server two 127.0.0.1:2\n",
      files = { ["list.acl"] = "/from/file\n", ["site.map"] = "/k1 v1\n/k2 v 2\n", ["regex.map"] = "^/r 1\n" },
    })
    t = s.target
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    t:acl_clear("#9999")
    t:acl_clear("#8003")
  end)

  it("connect gives an object with the same calls, usable with <close>", function()
    local other = haproxy.connect("unix@" .. s.socket, { timeout = 30 })
    assert.equal(t:info().Pid, other:info().Pid)
    assert.is_false((pcall(haproxy.connect, s.socket, { tiemout = 3 })))
    local ran = s:haplua({ "-e", [[
      local there <close> = haproxy.connect(arg[1])
      print(there:acl_add("#9999", "^/x"), there)
    ]], s.socket })
    assert.same({ 0, "1\t" .. s.socket .. "\n", "" }, { ran.status, ran.out, ran.err })
  end)

  it("stores every value byte for byte", function()
    for _, value in ipairs(odd) do
      t:acl_replace("#8003", { value })
      assert.same({ value }, t:acl_list("#8003"))
      assert.equal(1, t:acl_clear("#8003"))
      t:acl_add("#8003", value)
      assert.same({ value }, t:acl_list("#8003"))
      assert.equal(1, t:acl_del("#8003", value))
      assert.same({}, t:acl_list("#8003"))
    end
  end)

  it("stores all of them together, in order", function()
    assert.equal(#odd, (t:acl_replace("#8003", odd)))
    assert.same(odd, t:acl_list("#8003"))
    assert.equal("/from/file", t:acl_list(s.dir .. "/list.acl")[1])
  end)

  it("refuses what cannot be sent, before anything is", function()
    for _, value in ipairs({ "", "a\nb", "a\0b", "\n", ("x"):rep(20000) }) do
      assert.is_false((pcall(t.acl_add, t, "#8003", "/good", value)))
      assert.is_false((pcall(t.acl_replace, t, "#8003", { "/good", value })))
      assert.same({}, t:acl_list("#8003"))
    end
  end)

  it("acl_list lists the ACLs that there are", function()
    local found = {}
    for _, list in ipairs(t:acl_list()) do
      found[list.file or list.id] = list
    end
    assert.is_truthy(found[9999])
    assert.is_truthy(found[s.dir .. "/list.acl"])
  end)

  it("acl_del removes a pattern with its duplicates, and refuses one that is not there", function()
    t:acl_add("#8003", "/x", "/y", "/x")
    assert.equal(2, t:acl_del("#8003", "/x"))
    assert.same({ "/y" }, t:acl_list("#8003"))
    assert.equal("refused", failure(t.acl_del, t, "#8003", "/x").kind)
  end)

  it("acl_replace says what it did, and does nothing where nothing changes", function()
    assert.same({ 3, 0 }, { t:acl_replace("#9999", { "^/a", "^/b", "^/c" }) })
    assert.same({ 1, 1 }, { t:acl_replace("#9999", { "^/c", "^/b", "^/d" }) })
    local before = t:acl_list()
    assert.same({ 0, 0 }, { t:acl_replace("#9999", { "^/b", "^/c", "^/d" }) })
    assert.same(before, t:acl_list())
    assert.same({ 0, 3 }, { t:acl_replace("#9999", {}) })
  end)

  it("acl_replace is all or nothing", function()
    t:acl_replace("#9999", { "^/a" })
    local problem = failure(t.acl_replace, t, "#9999", { "^/b", "(", "^/c" })
    assert.equal("refused", problem.kind)
    if site.at_least(2, 4) then
      assert.same({ "^/a" }, t:acl_list("#9999"))
    end
    assert.equal("page", s:sees("/a"))
  end)

  it("acl_replace takes thousands", function()
    local many = {}
    for i = 1, 3000 do
      many[i] = ("/path/%d"):format(i)
    end
    assert.same({ 3000, 0 }, { t:acl_replace("#8003", many) })
    assert.same(many, t:acl_list("#8003"))
    assert.equal("page", s:sees("/path/2999"))
    assert.equal(3000, t:acl_clear("#8003"))
  end)

  it("works on an ACL from a file", function()
    local file = s.dir .. "/list.acl"
    assert.equal("page", s:sees("/from/file"))
    assert.same({ 1, 1 }, { t:acl_replace(file, { "/other" }) })
    assert.same({ "application", "page" }, { s:sees("/from/file"), s:sees("/other") })
    t:acl_replace(file, { "/from/file" })
  end)

  it("maps: list, get, add, set, del, clear, replace", function()
    local map = s.dir .. "/site.map"
    assert.same({ { key = "/k1", value = "v1" }, { key = "/k2", value = "v 2" } }, t:map_list(map))
    assert.equal("v 2", (t:map_get(map, "/k2")))
    assert.is_nil(t:map_get(map, "/k3"))
    assert.equal(1, t:map_add(map, "/k3", "x; y\\ \"z\" <<"))
    assert.equal("x; y\\ \"z\" <<", (t:map_get(map, "/k3")))
    t:map_set(map, "/k3", "new")
    assert.equal("new", (t:map_get(map, "/k3")))
    assert.equal("refused", failure(t.map_set, t, map, "/nope", "x").kind)
    assert.equal(1, t:map_del(map, "/k1"))
    assert.equal("refused", failure(t.map_del, t, map, "/k1").kind)
    assert.same({ 2, 2 }, { t:map_replace(map, { ["/a"] = "1", ["/b"] = "2" }) })
    assert.same({ { key = "/a", value = "1" }, { key = "/b", value = "2" } }, t:map_list(map))
    assert.same({ 0, 0 }, { t:map_replace(map, { ["/a"] = "1", ["/b"] = "2" }) })
    assert.same({ 1, 1 }, { t:map_replace(map, { { key = "/a", value = "1" }, { key = "/b", value = "3" } }) })
    assert.equal(2, t:map_clear(map))
    assert.same({}, t:map_list(map))
    local found = false
    for _, list in ipairs(t:map_list()) do
      found = found or list.file == map
    end
    assert.is_true(found)
  end)

  it("maps of many entries, of whatever bytes, in their order", function()
    local map = s.dir .. "/site.map"
    local bytes = { " ", "\t", "a\r", " a", "\ta", "a ", "a\tb", "\r", "\ra", "\\", ";", "<<", "a <<", "#", '"', "é", "\xff" }
    for _, every in ipairs({ 1, 40, 100000 }) do -- each, some, or no entries have odd bytes
      local entries = {}
      for i = 1, 1500 do
        local is_odd = i % every == 0
        entries[i] = { key = is_odd and bytes[i % #bytes + 1] .. i or "/key<<;\\" .. i, value = "value " .. i .. " #; << \\" }
        if is_odd and not entries[i].key:find("[ \t\r]") then
          entries[i].value = bytes[i // every % #bytes + 1]
        end
      end
      t:map_replace(map, entries)
      local keys, _, values = reply.entries(t:send({ "show", "map", map }), true)
      for i, entry in ipairs(entries) do -- a key may have a space: it is parted at another place then
        assert.equal(entry.key .. " " .. entry.value, keys[i] .. " " .. values[i])
      end
      assert.equal(1500, #keys)
    end
    t:map_clear(map)
  end)

  it("map_replace names the entry that HAProxy refuses, and leaves the map as it was", function()
    local map, entries = s.dir .. "/regex.map", {}
    for i = 1, 1500 do
      entries[i] = { key = i == 1400 and "(" or "^/" .. i, value = tostring(i) }
    end
    local problem = failure(t.map_replace, t, map, entries)
    assert.same({ "refused", 1400, true }, { problem.kind, problem.index, problem.done >= 1399 })
    assert.matches("add map .*regex.map %( 1400", problem.command)
    if site.at_least(2, 4) then
      assert.same({ { key = "^/r", value = "1" } }, t:map_list(map))
    end
  end)

  it("info, version and has tell what HAProxy this is", function()
    local major, minor = site.version()
    local text, its_major, its_minor = t:version()
    assert.same({ major, minor }, { its_major, its_minor })
    assert.equal(text, t:info().Version)
    assert.equal("integer", math.type(t:info().Pid))
    assert.equal(site.at_least(2, 4), t:has("transactions"))
    assert.equal(site.at_least(3, 0), t:has("wait"))
    assert.is_false((pcall(t.has, t, "wings")))
  end)

  it("stat gives rows by name", function()
    local rows = t:stat("spare")
    local names = {}
    for _, row in ipairs(rows) do
      names[#names + 1] = row.svname
    end
    assert.same({ "one", "two", "BACKEND" }, names)
    assert.equal("integer", math.type(t:stat("frontend-http")[1].req_tot))
    assert.same({}, t:stat("nope"))
  end)

  it("servers_conn counts connections per server", function()
    local rows = t:servers_conn("spare")
    assert.equal(2, #rows)
    assert.equal(0, rows[1].used_cur)
  end)

  it("server_set changes a server and reads it back", function()
    for _, state in ipairs({ "drain", "maint", "ready", "ready" }) do
      assert.equal(state, t:server_set({ server = "spare/one", state = state }).admin)
    end
    assert.equal(7, t:server_set({ server = "spare/one", weight = 7 }).srv_uweight)
    local row = t:server_set({ server = "spare/one", addr = "127.0.0.2", port = 81 })
    assert.same({ "127.0.0.2", 81 }, { row.srv_addr, row.srv_port })
    t:server_set({ server = "spare/one", addr = "127.0.0.2", port = 81 })
    assert.equal("2001:db8::1", t:server_set({ server = "spare/one", addr = "2001:DB8:0::01" }).srv_addr)
    for _, port in ipairs({ 0, 65536, -1, "81" }) do
      local ok, problem = pcall(t.server_set, t, { server = "spare/one", addr = "127.0.0.2", port = port })
      assert.is_false(ok)
      assert.matches("from 1 to 65535", problem, 1, true)
    end
    t:server_set({ server = "spare/one", addr = "127.0.0.2", port = 81 })
    assert.equal("refused", failure(t.server_set, t, { server = "spare/nope", state = "maint" }).kind)
    for _, want in ipairs({ { weight = 1000 }, { state = "asleep" }, { addr = "no.such.host.invalid" }, { port = 82 } }) do
      want.server, want.state = "spare/one", want.state or "drain"
      assert.is_string(failure(t.server_set, t, want))
    end
    assert.equal(3, t:server_set({ server = "spare/one", weight = "300%" }).srv_uweight)
    assert.equal("ready", t:servers("spare")[1].admin)
    assert.is_false((pcall(t.server_set, t, { server = "spare/one", wieght = 1 })))
  end)

  it("sessions lists the streams, this one among them", function()
    local rows = t:sessions()
    assert.is_true(#rows >= 1)
    assert.matches("^0x%x+$", rows[1].ref)
    assert.is_truthy(rows[1].age)
  end)

  it("runs many calls at a time", function()
    local tasks = {}
    for i = 1, 60 do
      tasks[i] = task.spawn(function()
        return t:acl_add("#9999", "^/" .. i)
      end)
    end
    for _, one in ipairs(tasks) do
      assert.equal(1, one:wait())
    end
    assert.equal(60, #t:acl_list("#9999"))
  end)
end)
