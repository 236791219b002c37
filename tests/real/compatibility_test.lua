-- SPDX-License-Identifier: MIT
--
-- How each feature works on this version of HAProxy. Each probe below uses a feature as a user does, checks the outcome,
-- and returns in words how the feature works. The test compares the words with docs/compatibility.md, and writes them
-- to $BUILD/compatibility/VERSION, from which `make check-versions` makes that page.

local features = require("features")
local running = require("running")
local site = require("site")
local support = require("support")

local json = require("haplua.json")

local CONFIG = [[return { default = "site", switches = {
  site = { acl = "DIR/site.acl", bypass = "DIR/bypass.acl", info = "DIR/info.map" },
  plain = { acl = "#9999" },
} }]]

local FRONTEND = [[acl passes src -f DIR/bypass.acl
    acl by-file base -i -m reg -f DIR/site.acl
    acl words path -u 9001 -m str
    http-response set-header X-Reason %[str(reason),map_str(DIR/info.map,none)]
    use_backend maintenance if by-file !passes]]

local s, port
local probes = {}

--- Run haplua on the site; it must succeed.
---@return string out, string trace  what it has printed, and the trace of -v
local function good(options, ...)
  local words = { "-v", table.unpack(options) }
  table.move({ ... }, 1, select("#", ...), #words + 1, words)
  words.socket = options.socket
  local ran = s:haplua(words)
  if ran.status ~= 0 then
    error(("status %d\n%s%s"):format(ran.status, ran.out, ran.err), 2)
  end
  return ran.out, ran.err
end

local function maint(...)
  return good({ "scripts/maint.lua" }, ...)
end

local failure = support.failure

local function status()
  return json.decode((maint("status", "--json")))
end

--- How a list was replaced, by the trace.
local function way_of(trace, kind)
  if trace:find("commit " .. kind, 1, true) then
    assert.is_nil(trace:find("del " .. kind, 1, true))
    return "in one step: prepare, add, compare, commit"
  end
  local add, del = trace:find("add " .. kind, 1, true), trace:find("del " .. kind, 1, true)
  assert(add and del and add < del, trace)
  return "what is new is added, then what is old deleted"
end

function probes.maint()
  maint("on", "--path", "/a", "--reason", "tests")
  assert.same({ "page", "application" }, { s:sees("/a"), s:sees("/b") })
  local found = status()
  assert.same({ true, "tests", {} }, { found.on, found.maintenances[1].reason, found.disagreements })
  maint("off")
  assert.equal("application", s:sees("/a"))
  local log = json.decode((maint("log", "--json", "--last", "1")))
  assert.same({ "off", "done" }, { log[1].action, log[1].outcome })
  return "yes"
end

function probes.during()
  local seen = maint("during", "--path", "/a", "--", "curl", "-s", "--noproxy", "*",
    ("http://127.0.0.1:%d/a"):format(s.port))
  assert.matches(site.page, seen, 1, true)
  assert.equal("application", s:sees("/a"))
  assert.equal(7, s:maint("during", "--", "sh", "-c", "exit 7").status)
  assert.equal("application", s:sees("/a"))
  return "yes"
end

function probes.switch()
  maint("on", "--path", "/a", "--bypass", "127.0.0.0/8", "--reason", "tests")
  assert.equal("application", s:sees("/a"))
  maint("on", "--path", "/a", "--reason", "others") -- the same maintenance: reason and bypass are set anew
  assert.equal("page", s:sees("/a"))
  local _, headers = run({ "curl", "-si", "--noproxy", "*", ("http://127.0.0.1:%d/a"):format(s.port), stdout = "capture" })
  assert.matches("others", headers:lower():match("x%-reason: [^\r]*"), 1, true)
  local _, trace = maint("on", "--replace", "--path", "/b", "--reason", "third")
  maint("off")
  return way_of(trace, "acl"):find("one step", 1, true) and "yes, each list in one step"
    or "yes, each list entry by entry"
end

function probes.acl_replace()
  s.target:acl_replace("#9001", { "/a", "/b" })
  local _, trace = good({ "-e" }, 'print(haproxy.acl_replace("#9001", { "/b", "/c", "/d" }))')
  assert.same({ "/b", "/c", "/d" }, s.target:acl_list("#9001"))
  return way_of(trace, "acl")
end

function probes.map_replace()
  local map = s.dir .. "/info.map"
  s.target:map_replace(map, { a = "1", b = "2" })
  local _, trace = good({ "-e" }, 'haproxy.map_replace(arg[1], { b = "2", c = "3", d = "4" })', map)
  assert.same({ { key = "b", value = "2" }, { key = "c", value = "3" }, { key = "d", value = "4" } },
    s.target:map_list(map))
  s.target:map_clear(map)
  return way_of(trace, "map")
end

function probes.several()
  local other <close> = site.start()
  local function both(...)
    return s:haplua({ "-s", other.socket, "scripts/maint.lua", "--acl", "#9999", "--no-journal", ... })
  end
  assert.equal(0, both("on", "^/a").status)
  assert.same({ "page", "page" }, { s:sees("/a"), other:sees("/a") })
  other.target:acl_clear("#9999")
  local ran = both("on", "^/b", "(")
  assert.same({ 1, "application", "application" }, { ran.status, s:sees("/b"), other:sees("/b") })
  return "yes"
end

function probes.file()
  maint("on", "--path", "/a")
  assert.equal("page", s:sees("/a"))
  s:reload()
  assert.same({ "page", {} }, { s:sees("/a"), status().disagreements })
  maint("off")
  s:reload()
  assert.equal("application", s:sees("/a"))
  return "yes; the file is in step, and holds after a reload"
end

--- Start a site with a list that is declared like this, and try the names by which HAProxy may know it.
local function named(declared, names)
  local line = "acl other path -m beg -f " .. declared
  local text = "frontend f\n    mode http\n    timeout client 1s\n    bind 127.0.0.1:%d\n    %s\n"
    .. "    http-request deny if other\n"
  text = text:format(site.free_port(), (line:gsub("DIR", s.dir)))
  local works, complaint = site.accepts(s.folder.write("try.cfg", text))
  if not works then
    assert.truthy(complaint:find("file", 1, true), complaint)
    return "no: HAProxy does not start"
  end
  local other <close> = site.start({ frontend = line .. "\n    use_backend maintenance if other" })
  local known = {}
  for _, name in ipairs(names) do
    local ref = name:gsub("DIR", other.dir)
    if pcall(other.target.acl_replace, other.target, ref, { "/a" }) then
      assert.same({ "page", "application" }, { other:sees("/a"), other:sees("/b") })
      assert.equal(1, other.target:acl_clear(ref))
      known[#known + 1] = "`" .. name:gsub("DIR/absent", "FILE"):gsub("words", "NAME") .. "`"
    end
  end
  assert.is_true(#known > 0)
  return "yes, by the name " .. table.concat(known, " or ")
end

function probes.opt()
  return named("opt@DIR/absent", { "DIR/absent", "opt@DIR/absent" })
end

function probes.virt()
  return named("virt@words", { "virt@words", "words" })
end

function probes.expression()
  maint("on", "--path", "/a")
  local patterns = s.target:acl_list(s.dir .. "/site.acl")
  maint("off")
  -- the ACL looks at `base`, the host and the path: only with that knowledge haplua writes this pattern
  assert.same({ "^[^/]*/a" }, patterns)
  return "yes"
end

function probes.process()
  local info, fields = s.target:info(), {}
  for _, name in ipairs({ "Pid", "Start_time_sec", "Uptime_sec" }) do
    if info[name] and not (name == "Uptime_sec" and info.Start_time_sec) then
      fields[#fields + 1] = "`" .. name .. "`"
    end
  end
  assert.equal(2, #fields)
  return table.concat(fields, ", ")
end

function probes.reload()
  maint("on", "--switch", "plain", "--path", "/a")
  local before = s.target:info().Pid
  s:reload()
  assert.not_equal(before, s.target:info().Pid)
  local found = json.decode((maint("status", "--switch", "plain", "--json")))
  assert.same({ false, true }, { found.on, #found.disagreements > 0 })
  maint("off", "--switch", "plain")
  return "lists as configured; `status` tells that they were on"
end

function probes.socket()
  local function inode()
    local _, text = run({ "stat", "-c", "%i", s.socket, stdout = "capture" })
    return text
  end
  local before = inode()
  s:reload()
  return inode() == before and "stays" or "is another one: opened anew for each request, haplua finds it"
end

function probes.keep()
  local r = running.start(s, "-s", s.socket, "scripts/keep.lua", "--journal", s.journal, "--config", s.config)
  running.eventually("it keeps", function()
    return r:out():find("kept to", 1, true) or r:done() and error(r:err(), 0)
  end)
  maint("on", "--switch", "plain", "--path", "/a")
  s:reload()
  local ok = pcall(running.eventually, "", function()
    return s:sees("/a") == "page"
  end)
  if not ok then
    error("keep has not restored it:\n" .. r:out() .. r:err(), 0)
  end
  r:signal("TERM")
  assert.equal(143, r:wait().status)
  maint("off", "--switch", "plain")
  return "puts back what was on"
end

function probes.reload_answer()
  local before = s.target:info().Pid
  local master = haproxy.connect(s.master, { via = "@master", timeout = 20 })
  local ok, answer = pcall(master.send, master, "reload")
  s:wait_for_successor(before)
  if ok and answer:find("Success=1", 1, true) then
    return "answers `Success=1` when it is done"
  end
  assert.is_nil(ok and answer:find("Success", 1, true) or nil)
  return "reloads without an answer"
end

--- Use maint and change a server through another socket. Returns what works there.
local function by(options)
  local function go(...)
    return good(options, ...)
  end
  go("scripts/maint.lua", "on", "--path", "/a")
  assert.equal("page", s:sees("/a"))
  go("scripts/maint.lua", "off")
  assert.equal("application", s:sees("/a"))
  go("-e", "servers() haproxy.info() haproxy.stat()")
  local words = { table.unpack(options) }
  words.socket = options.socket
  table.move({ "-e", 'haproxy.server_set({ server = "pool/a", state = "drain" })' }, 1, 2, #words + 1, words)
  local ran = s:haplua(words)
  local admin = s.target:servers("pool")[1].admin
  s.target:server_set({ server = "pool/a", state = "ready" })
  if ran.status == 0 then
    assert.equal("drain", admin)
    return "yes, all of it"
  end
  assert.same({ 1, "ready" }, { ran.status, admin })
  assert.matches("the socket's level does not allow this", ran.err, 1, true)
  return "lists and reading; servers are refused with `denied`"
end

function probes.master()
  return by({ "--via", "@1", socket = s.master })
end

function probes.tcp()
  return by({ socket = "127.0.0.1:" .. port })
end

function probes.operator()
  return by({ socket = s.dir .. "/operator.sock" })
end

function probes.user()
  local says = by({ socket = s.dir .. "/user.sock" })
  local problem = failure(function()
    haproxy.connect(s.dir .. "/user.sock"):sessions()
  end)
  assert.equal("denied", problem.kind)
  return says:gsub("servers are", "servers and `sessions` are"), nil
end

function probes.servers()
  local row = s.target:server_set({ server = "pool/a", state = "drain", weight = 3, addr = "127.0.0.2", port = 2 })
  assert.same({ "drain", 3, "127.0.0.2", 2 }, { row.admin, row.srv_uweight, row.srv_addr, row.srv_port })
  row = s.target:server_set({ server = "pool/a", state = "ready", weight = 1, addr = "127.0.0.1", port = 1 })
  assert.same({ "ready", 1, "127.0.0.1", 1 }, { row.admin, row.srv_uweight, row.srv_addr, row.srv_port })
  return "yes; state, weight, address and port read back"
end

function probes.drain()
  good({ "scripts/drain.lua" }, "pool/a")
  assert.equal("maint", s.target:servers("pool")[1].admin)
  s.target:server_set({ server = "pool/a", state = "ready" })
  local out = good({ "scripts/rolling.lua" }, "pool", "--settle", "0", "--", "true")
  assert.matches("pool/b: up", out, 1, true)
  return "yes"
end

function probes.add_server()
  local ok, problem = pcall(s.target.send, s.target, "add server pool/c 127.0.0.1:1")
  assert.equal(ok and 3 or 2, #s.target:servers("pool"))
  assert.equal(s.target:has("dynamic_servers"), ok)
  if ok then
    s.target:send("del server pool/c")
    assert.equal(2, #s.target:servers("pool"))
    return "yes"
  end
  assert.equal("refused", problem.kind)
  return "no: refused"
end

function probes.wait()
  local ok, problem = pcall(s.target.send, s.target, "wait 10ms")
  assert.equal(s.target:has("wait"), ok)
  return ok and "yes" or problem.kind == "refused" and "no: refused" or error(problem, 0)
end

function probes.read_only()
  local ran = s:haplua({ "-n", "scripts/maint.lua", "on" })
  assert.same({ 4, "application" }, { ran.status, s:sees("/") })
  for _, option in ipairs({ "--read-only", "--only=#1" }) do
    ran = s:haplua({ option, "scripts/maint.lua", "on" })
    assert.same({ 1, "application" }, { ran.status, s:sees("/") })
    assert.matches("refuses", ran.err, 1, true)
  end
  return "yes"
end

--- The cells of the page for a version such as "2.6".
---@return table<string, string>? cells  text by feature; nil: the page has no such column
local function cells_of_page(version)
  local f <close> = assert(io.open("docs/compatibility.md"))
  local column, cells
  for line in f:lines() do
    local row = {}
    for cell in line:gmatch("| ([^|]*) %f[|]") do
      row[#row + 1] = cell
    end
    for i, cell in ipairs(row) do
      if row[1] == "feature" and cell:match("^%d+%.%d+") == version then
        column, cells = i, {}
      end
    end
    if column and row[column] then
      cells[row[1]] = row[column]
    end
  end
  return cells
end

describe("compatibility", function()
  local found, version, page = {}, nil, nil

  setup(function()
    port = site.free_port()
    version = ("%d.%d"):format(site.version())
    page = not os.getenv("COMPATIBILITY_ANEW") and cells_of_page(version)
    s = site.start({
      global = ("stats socket ipv4@127.0.0.1:%d level admin\n"):format(port)
        .. "    stats socket DIR/operator.sock level operator\n    stats socket DIR/user.sock level user",
      frontend = FRONTEND,
      files = { ["site.acl"] = "# the site\n", ["bypass.acl"] = "", ["info.map"] = "" },
      more = "backend pool\n    server a 127.0.0.1:1\n    server b 127.0.0.1:1\n",
    })
    s.config = s.folder.write("config.lua", (CONFIG:gsub("DIR", s.dir)))
    s.journal = s.dir .. "/journal.db"
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    for _, switch in ipairs({ "site", "plain" }) do
      maint("off", "--switch", switch, "--all")
    end
    s.target:acl_clear("#9001")
  end)

  for _, feature in ipairs(features) do
    local id, title = feature[1], feature[2]
    it(title, function()
      local text = probes[id]()
      found[#found + 1] = id .. "\t" .. text .. "\n"
      if page and page[title] ~= text then
        error(("docs/compatibility.md says of HAProxy %s: %s\nThis test has seen: %s\n`make check-versions` makes that page")
          :format(version, tostring(page[title]), text), 0)
      end
    end)
  end

  it("has a probe for each feature, and no other", function()
    for _, feature in ipairs(features) do
      assert.is_function(probes[feature[1]], feature[1])
      probes[feature[1]] = nil
    end
    assert.is_nil(next(probes))
  end)

  it("is written to a file for make check-versions", function()
    local folder = (os.getenv("BUILD") or "build") .. "/compatibility"
    run({ "mkdir", "-p", folder })
    local f <close> = assert(io.open(folder .. "/" .. version, "w"))
    f:write("version\t", (s.target:version()), "\n", table.concat(found))
  end)
end)
