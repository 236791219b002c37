-- SPDX-License-Identifier: MIT
--
-- maint doctor: what it finds in set-ups that are right, and in set-ups that are not.

local running = require("running")
local site = require("site")

local json = require("haplua.json")

--- What doctor finds, as "state about" -> text.
local function examine(s, ...)
  local words = { ... }
  table.move({ "doctor", "--json" }, 1, 2, #words + 1, words)
  local ran = s:maint(table.unpack(words))
  assert.equal("", ran.err)
  local found = {}
  for _, finding in ipairs(json.decode(ran.out).findings) do
    local key = finding.state .. " " .. finding.about
    found[key] = (found[key] and found[key] .. "\n" or "") .. finding.text .. (finding.advice and "\n" .. finding.advice or "")
  end
  return found, ran.status
end

local function start(options)
  local s = site.start(options)
  s.journal = s.dir .. "/journal.db"
  local config = ([[return { switches = { site = { acl = "DIR/list.acl", bypass = "DIR/bypass.acl" } } }]]):gsub("DIR", s.dir)
  s.config = s.folder.write("config.lua", config)
  return s
end

local whole = {
  acl = "base -i -m reg -f DIR/list.acl",
  frontend = "acl passes src -f DIR/bypass.acl",
  condition = "!passes",
  files = { ["list.acl"] = "", ["bypass.acl"] = "" },
}

describe("maint doctor", function()
  it("warns of nothing in a set-up that is right", function()
    local s <close> = start(whole)
    run({ "chmod", "660", s.socket })
    assert(s:maint("on", "--path", "/shop").status == 0)
    local found, status = examine(s)
    assert.equal(0, status)
    assert.matches("looks at the base, match method 'reg'", found["ok ACL"])
    assert.matches("frontend frontend%-http: closed: .*haproxy.cfg:%d+: the servers of backend maintenance get it",
      found["ok rules"])
    assert.matches("a new process begins with the current state", found["ok reload"])
    assert.matches("mode 0660", found["ok socket"])
    assert.matches("journal.db, .* mode 0640", found["ok journal"])
    for key in pairs(found) do
      assert.is_nil(key:match("^warn") or key:match("^fail"), key)
    end
  end)

  it("names each thing that is wrong", function()
    local s <close> = start(whole)
    assert(s:maint("on", "--path", "/shop", "--bypass", "0.0.0.0/0").status == 0)
    s.folder.write("list.acl", "^/other\n")
    s.target:acl_add(s.dir .. "/list.acl", "^/by-hand")
    run({ "chmod", "o+w", s.config })
    local found, status = examine(s)
    assert.equal(1, status)
    assert.matches("mode 0666: every user of this machine", found["warn socket"])
    assert.matches("mode 660 group haproxy level admin", found["warn socket"])
    assert.matches("list.acl is out of step: a reload would undo", found["warn reload"])
    assert.matches("0.0.0.0/0 lets everybody pass", found["fail bypass"])
    assert.matches("somebody has changed HAProxy since", found["warn journal"])
    assert.matches("may be written by everybody", found["warn configuration"])
  end)

  it("warns of a list that a reload empties, and of an ACL that no rule uses", function()
    local s <close> = site.start({ frontend = "acl unused path -u 9001 -m str" })
    local found, status = examine(s, "--acl", "#9001")
    assert.equal(1, status)
    assert.matches("no visitor would see the maintenance", found["fail rules"])
    assert.matches("frontend frontend%-http: open: .*: the servers of backend app get it", found["fail rules"])
    assert.matches("use_backend maintenance if unused", found["fail rules"])
    assert.matches("has no pattern for the whole site", found["warn ACL"])
    assert.matches("a reload empties the list", found["warn reload"])
    assert.matches("upper and lower case differ", found["note ACL"])
    found = examine(s)
    assert.matches("hosts cannot be told apart", found["note ACL"])
  end)

  it("says which rule takes the requests before the maintenance does", function()
    local s <close> = site.start({
      acl = "base -i -m reg -u 9999",
      frontend = "use_backend %[req.hdr(host),lower,map_dom(DIR/hosts.map)]",
      files = { ["hosts.map"] = "www.example.com app\n" },
    })
    local found, status = examine(s)
    assert.equal(1, status)
    assert.matches("frontend frontend%-http: not known: .*%d: the name of the backend, .*map_dom.* is computed for each request, "
      .. "before any rule below it", found["fail rules"])
  end)

  it("knows the uses of an ACL that close nothing, and those that do", function()
    local s <close> = site.start({
      acl = "path -u 9998 -m reg",
      files = { ["list.acl"] = "" },
      frontend = [[acl list path -m reg -f DIR/list.acl
    monitor-uri /health
    monitor fail if list
    # use_backend maintenance if list
    default_backend app
frontend second
    bind 127.0.0.1:]] .. site.free_port() .. [[

    acl maintenance always_false
    acl list path -m reg -f DIR/list.acl
    http-request deny if list]],
    })
    local found, status = examine(s, "--acl", s.dir .. "/list.acl")
    assert.matches("frontend second: closed: .*http%-request deny answers 403", found["ok rules"])
    assert.matches("frontend frontend%-http: open.*so visitors reach backend app here, which frontend second closes",
      found["warn rules"])
    assert.equal(1, status)
  end)

  it("names what was asked for where --only refuses it, and a map that is taken for an ACL", function()
    local s <close> = site.start({
      frontend = "acl mapped path,map(DIR/values.map) -m found", files = { ["values.map"] = "/k v\n" },
    })
    for text, words in pairs({
      ["'add acl #9999'"] = { "scripts/maint.lua", "on" },
      ["'set server app/app state maint'"] = { "scripts/maint.lua", "on", "--server", "app/app", "--force" },
      ["'set server app/app state drain'"] = { "scripts/drain.lua", "app/app", "--force" },
    }) do
      local ran = s:haplua({ "--only", "#9998", table.unpack(words) })
      assert.equal(1, ran.status)
      assert.matches(text, ran.err, 1, true)
    end
    local ran = s:maint("--acl", s.dir .. "/values.map", "on")
    assert.matches("is a map of HAProxy, and no ACL", ran.err, 1, true)
    assert.matches("a switch { map = FILE }", ran.err, 1, true)
  end)

  it("warns of clients that reach a server under maintenance", function()
    local s <close> = site.start({ more = [[backend sticky
    cookie S insert
    option persist
    server a1 127.0.0.1:1 cookie a1
    server a2 127.0.0.1:2 cookie a2
backend forced
    cookie S insert
    force-persist if { src 192.0.2.0/24 }
    server a1 127.0.0.1:1 cookie a1
backend without
    no option persist
    option persist
    no option persist
    cookie S insert
    server a1 127.0.0.1:1 cookie a1]] })
    local found = examine(s)
    assert.matches("backend sticky: 'option persist' sends", found["note servers"], 1, true)
    assert.matches("backend forced: 'force-persist if { src 192.0.2.0/24 }' sends", found["note servers"], 1, true)
    assert.is_nil(found["note servers"]:find("without", 1, true))
    assert(s:maint("on", "--server", "sticky/a1").status == 0)
    found = examine(s)
    assert.matches("backend sticky: .* also while it is under maintenance, as sticky/a1 is", found["warn servers"])
  end)

  it("stops where no further check is possible", function()
    local s <close> = site.start({ global = "stats socket DIR/low.sock level operator" })
    local found, status = examine(s, "--acl", "#7777")
    assert.equal(1, status)
    assert.matches("Unknown ACL identifier", found["fail ACL"])
    local ran = s:haplua({ "scripts/maint.lua", "doctor", socket = s.dir .. "/low.sock" })
    assert.matches("warn  level          operator: servers cannot be changed", ran.out, 1, true)
    ran = s:haplua({ "scripts/maint.lua", "doctor", socket = s.dir .. "/none.sock" })
    assert.equal(3, ran.status)
    assert.matches("fail  HAProxy        'show info' at", ran.out, 1, true)
    s.config = s.folder.write("wrong.lua", "return { switches = 1 }")
    found, status = examine(s)
    assert.equal(1, status)
    assert.matches("option 'switches' must be a table", found["fail configuration"])
  end)
end)

describe("maint doctor, of a switch that is a map,", function()
  local lines = [[
http-request set-var(txn.m) base,map_reg(DIR/list.map)
    http-request set-var(txn.mask) var(txn.m),field(3,|),add(0)
    http-request set-var(txn.lacks) src,map_ip_int(DIR/bypass.map,0),cpl,and(txn.mask)
    acl is_closed var(txn.m) -m found]]
  local files = { ["list.map"] = "", ["bypass.map"] = "" }

  local function start_map(frontend)
    local s = site.start({ frontend = frontend, files = files })
    s.journal = s.dir .. "/journal.db"
    s.config = s.folder.write("config.lua",
      [[return { switches = { site = { map = "]] .. s.dir .. [[/list.map", bypass = "]] .. s.dir .. [[/bypass.map" } } }]])
    run({ "chmod", "660", s.socket })
    return s
  end

  it("warns of nothing in a set-up that is right", function()
    local s <close> = start_map(lines .. "\n    use_backend maintenance if is_closed !{ var(txn.lacks) -m int 0 }")
    assert(s:maint("on", "--path", "/shop", "--bypass", "192.0.2.0/24").status == 0)
    local found, status = examine(s)
    for key, text in pairs(found) do
      assert.is_nil(key:match("^warn") or key:match("^fail"), key .. ": " .. text)
    end
    assert.equal(0, status)
    assert.matches("looks at the base, match method 'map_reg', can take the whole site", found["ok ACL"])
    assert.matches("frontend frontend%-http: closed: .*: the servers of backend maintenance get it", found["ok rules"])
    assert.matches("bypass.map: 192.0.2.0/24 (1)", found["ok bypass"], 1, true)
    assert.is_nil(found["note ACL"])
  end)

  it("prints lines that HAProxy takes, where no rule uses the map and where HAProxy does not have it", function()
    local s <close> = start_map(lines)
    local found = examine(s)
    assert.matches("no visitor would see the maintenance", found["fail rules"])
    s.config = s.folder.write("other.lua", [[return { switches = { site = { map = "]] .. s.dir .. [[/new.map" } } }]])
    local ran = s:maint("on")
    assert.equal(1, ran.status)
    for _, text in ipairs({ found["fail rules"], ran.err, examine(s)["fail ACL"] }) do
      local advised = {}
      for line in text:gmatch("[^\n]+") do
        line = line:match("^%s*(http%-request set%-var.*)") or line:match("^%s*(use_backend.*)")
        advised[#advised + 1] = line
      end
      assert.equal(4, #advised, text)
      for _, name in ipairs({ "new.map", "new-bypass.map" }) do
        s.folder.write(name, "")
      end
      local config = running.content(s.dir .. "/haproxy.cfg"):gsub("default_backend app",
        table.concat(advised, "\n    ") .. "\n    %0")
      local accepted, output = site.accepts(s.folder.write("advised.cfg", config))
      assert.is_true(accepted, output)
    end
  end)
end)
