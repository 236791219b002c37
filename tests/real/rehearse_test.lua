-- SPDX-License-Identifier: MIT
--
-- maint rehearse: what it says of faults, that it leaves nothing behind, and where it can be held.

local json = require("haplua.json")
local running = require("running")
local site = require("site")
local support = require("support")

local HAPROXY = os.getenv("HAPROXY") or "haproxy"

-- Can this user have namespaces of its own?
local can_part = run({ "unshare", support.is_root() and "-nmi" or "-Urnmi", "true", stderr = "null" }) == 0
local can_mount = support.is_root() and can_part

local head = [[
global
    stats socket DIR/own.sock level admin
defaults
    mode http
    timeout connect 2s
    timeout client 5s
    timeout server 5s
]]

local tail = [[
backend app
    server a 192.0.2.80:80 check
    server b app.internal.example:8080 check
backend other
    server a 192.0.2.81:80
backend maint
    http-request return status 503 content-type text/plain string maint
]]

local LIST <const> = "acl m base -i -m reg -f DIR/m.acl\n"
local SWITCH <const> = LIST .. "use_backend maint if m\ndefault_backend app\n"

-- name -> a fault in the frontend, and what the rehearsal says of it
local faults = {
  ["a rule before"] = { "use_backend app if { path_beg / }\n" .. SWITCH, "NOT closed", "/: backend app" },
  ["a second frontend that asks for a name"] = { SWITCH .. "frontend second\nbind 127.0.0.1:8081\n"
    .. "http-request auth unless { http_auth(u) }\ndefault_backend app\nuserlist u\nuser a insecure-password b",
    "the answer is the same where nothing is closed" },
  ["no list"] = { "default_backend app", "Unknown ACL identifier", "/: backend app" },
  ["no rule"] = { LIST .. "default_backend app", "NOT closed", "/: backend app" },
  ["return below"] = { SWITCH .. "http-request return status 200 content-type text/plain string x", "200 without a backend" },
  ["a rewrite"] = { "acl m path -i -m reg -f DIR/m.acl\nhttp-request set-path /elsewhere\n" .. SWITCH:gsub("^[^\n]*\n", ""),
    "NOT closed", "backend app", scope = "/shop" },
  ["allow before deny"] = { LIST .. "http-request allow\nhttp-request deny deny_status 503 if m\ndefault_backend app",
    "NOT closed" },
  ["the wrong way round"] = { LIST .. "use_backend maint if !m\ndefault_backend app", "the list opens what is closed" },
  ["one method alone"] = { LIST .. "use_backend maint if m METH_POST\ndefault_backend app", "NOT closed" },
  ["more than the scope"] = { LIST .. "acl n path_beg /\nuse_backend maint if m or n\ndefault_backend app", "not known",
    scope = "/shop" },
  ["a computed name"] = { "use_backend %[str(app)]\n" .. SWITCH, "NOT closed", "/: backend app" },
  ["a response"] = { LIST .. "http-response deny if m\ndefault_backend app", "FAIL" },
  ["a second frontend"] = { SWITCH .. "frontend other\nbind 127.0.0.1:8081\ndefault_backend app", "frontend other: NOT closed" },
  ["a cache before the rule"] = { "http-request cache-use c\nhttp-response cache-store c\n" .. SWITCH
    .. "cache c\ntotal-max-size 1\nmax-age 60", "it comes from HAProxy's cache" },
  ["a page that says 200"] = { LIST .. "http-request return status 200 content-type text/plain string sorry if m\n"
    .. "default_backend app", "not known", "which is no error" },
  ["a redirect"] = { LIST .. "http-request redirect location /sorry if m\ndefault_backend app", "not known", "302 to /sorry" },
  ["visitors change the list"] = { "http-request del-acl(DIR/m.acl) ^[^/]*/\n" .. SWITCH, "visitors change the list" },
}

-- name -> a frontend where all is as wanted
local right = {
  plain = { SWITCH },
  ["a limit of requests"] = { "stick-table type ip size 1k expire 1m store http_req_rate(1m)\nhttp-request track-sc0 src\n"
    .. "http-request deny deny_status 429 if { sc_http_req_rate(0) gt 1 }\n" .. SWITCH },
  ["an interface"] = { SWITCH .. "frontend second\nbind 127.0.0.1:8082 interface eth77\n" .. SWITCH },
  ["behind a proxy"] = { SWITCH .. "frontend second\nbind 127.0.0.1:8082 accept-proxy\n" .. SWITCH
    .. "frontend third\nbind 127.0.0.1:8083\ntcp-request connection expect-proxy layer4\n" .. SWITCH,
    "frontend third: closed" },
  ["statistics"] = { SWITCH .. "listen metrics\nbind 127.0.0.1:8404\nstats enable\nstats uri /stats", "not a part of this" },
  ["monitor-uri"] = { SWITCH .. "monitor-uri /health", "some requests do not get", "/health: 200" },
  ["to https first"] = { "http-request redirect scheme https unless { ssl_fc }\n" .. SWITCH, "redirected before" },
  ["another site"] = { SWITCH .. "frontend metrics\nbind 127.0.0.1:8404\ndefault_backend other", "not a part of this" },
  ["a second frontend behind a server"] = { "default_backend hop\nbackend hop\nserver s 127.0.0.1:8081\n"
    .. "frontend inner\nbind 127.0.0.1:8081\n" .. SWITCH, "hop > maint" },
  ["in the backend"] = { "default_backend own\nbackend own\n" .. LIST .. "http-request deny deny_status 503 if m\n"
    .. "server a 192.0.2.80:80", "backend own (503)" },
  ["a server by TLS, one behind a socket, one by PROXY"] = { SWITCH:gsub("default_backend app", "default_backend own")
    .. "backend own\nserver a 192.0.2.80:443 ssl verify none\nbackend own2\nserver a /run/haplua-none/app.sock\n"
    .. "server b 192.0.2.80:81 send-proxy-v2" },
}

describe("a rehearsal", function()
  local folder

  setup(function()
    folder = support.folder()
    folder.write("m.acl", "")
  end)

  teardown(function()
    getmetatable(folder).__close(folder)
  end)

  --- Rehearse a configuration of its own, with no HAProxy running.
  local function rehearse(text, ...)
    text = text:gsub("%f[%w]DIR%f[%W]", folder.path)
    local path = folder.write("haproxy.cfg", text)
    return support.haplua({ "-s", folder.path .. "/none.sock", "scripts/maint.lua", "rehearse", "--acl", folder.path .. "/m.acl",
      "--haproxy", HAPROXY, "--haproxy-config", path, env = { HAPLUA_CONFIG = "none", HAPLUA_JOURNAL = "none" }, ... })
  end

  local function frontend(lines)
    return head .. "frontend www\nbind 127.0.0.1:8080\n" .. lines .. "\n" .. tail
  end

  local function each(list, check)
    if not can_part then
      return pending("this user cannot have namespaces")
    end
    for name, case in pairs(list) do
      local words = case.scope and { "--path", case.scope } or {}
      local ran = rehearse(frontend(case[1]), table.unpack(words))
      local about = ("%s\n%s%s"):format(name, ran.out, ran.err)
      check(ran, about)
      for i = 2, #case do
        assert.is_true(ran.out:find(case[i], 1, true) ~= nil, about .. "\nlacks: " .. case[i])
      end
    end
  end

  it("finds faults", function()
    each(faults, function(ran, about)
      assert.equal(1, ran.status, about)
    end)
  end)

  it("has no complaint where there is no fault", function()
    each(right, function(ran, about)
      assert.equal(0, ran.status, about)
    end)
  end)

  it("lets those through who are named, and leaves the rest as it was", function()
    if not can_part then
      return pending("this user cannot have namespaces")
    end
    local text = frontend(LIST .. "acl office src -f DIR/office.acl\nuse_backend maint if m !office\ndefault_backend app")
    folder.write("office.acl", "")
    local config = folder.write("config.lua", ("return { switches = { site = { acl = %q, bypass = %q } } }"):format(
      folder.path .. "/m.acl", folder.path .. "/office.acl"))
    local ran = rehearse(text, "--config", config, "--path", "/shop", "--bypass", "192.0.2.0/24", "--json")
    assert.equal(0, ran.status, ran.out .. ran.err)
    local by = {}
    for _, told in ipairs(json.decode(ran.out).frontends[1].questions) do
      by[told.path .. " " .. told.source] = told.state .. " " .. tostring(told.after.backend)
    end
    assert.same({
      ["/shop 198.51.100.7"] = "closed maint", ["/shop 192.0.2.1"] = "as before app", ["/ 198.51.100.7"] = "as before app",
      ["/haplua-other 198.51.100.7"] = "as before app",
    }, by)
    text = text:gsub("!office", "")
    ran = rehearse(text, "--config", config, "--path", "/shop", "--bypass", "192.0.2.0/24")
    assert.equal(1, ran.status, ran.out)
    assert.matches("/shop from 192.0.2.1: backend maint (503), and before: backend app", ran.out, 1, true)
  end)

  it("asks what it is told to ask", function()
    if not can_part then
      return pending("this user cannot have namespaces")
    end
    local ran = rehearse(frontend(SWITCH), "--path", "/shop", "--source", "192.0.2.9", "--http", "1.0",
      "http://shop.example.com:8080/shop?x=1", "/other")
    assert.equal(0, ran.status, ran.out .. ran.err)
    assert.matches("shop?x=1 HTTP/1.0 from 192.0.2.9: backend maint", ran.out, 1, true)
    assert.matches("2 of 2 questions", ran.out, 1, true)
    ran = rehearse(frontend(SWITCH), "https://shop.example.com/")
    assert.equal(1, ran.status, ran.out)
    assert.matches("no frontend is at this port", ran.out, 1, true)
  end)

  it("that cannot be held says why", function()
    assert.equal(2, rehearse(frontend(SWITCH), "--http", "3").status)
    assert.equal(2, rehearse(frontend(SWITCH), "--source", "here").status)
    if not can_part then
      return pending("this user cannot have namespaces")
    end
    local ran = rehearse(frontend("use_backend nowhere\n" .. SWITCH))
    assert.equal(3, ran.status, ran.out)
    assert.matches("does not start", ran.err, 1, true)
    assert.matches("nowhere", ran.err, 1, true)
    ran = rehearse(frontend(SWITCH), "--haproxy", "/nonexistent/haproxy")
    assert.equal(3, ran.status, ran.out)
  end)

  it("lets Lua of the configuration write into folders in memory alone", function()
    if not can_part then
      return pending("this user cannot have namespaces")
    end
    folder.write("writes.lua", (([[
    for _, path in ipairs({ "DIR/written", "/proc/self/comm", "/etc/haplua-test", "/haplua-test" }) do
      local f = io.open(path, "a")
      print(path .. (f and " can be written" or " is read only"))
    end]]):gsub("DIR", folder.path)))
    local text = frontend("use_backend nowhere\n" .. SWITCH):gsub("global\n", "global\nlua-load DIR/writes.lua\n", 1)
    local ran = rehearse(text)
    assert.equal(3, ran.status, ran.out)
    for path, what in ran.err:gmatch("\n%s+(/%S+) ([^\n]+)") do
      assert.equal(path == folder.path .. "/written" and "can be written" or "is read only", what, path)
    end
    assert.matches("  /haplua-test is read only", ran.err, 1, true)
    assert.is_nil(require("haplua.file").info(folder.path .. "/written"))
  end)

  it("takes the addresses of a new network alone", function()
    if not can_part then
      return pending("this user cannot have namespaces")
    end
    local words = { "unshare", support.is_root() and "-n" or "-Urn", table.unpack(support.program("-e",
      'local n = require("haplua.namespace") print(n.loopback()) print(select(3, n.loopback()))')) }
    words.stdout = "capture"
    local _, out = run(words)
    assert.matches("^true\t%a+\nEBUSY\n$", out)
  end)

  it("works for an ordinary user, and does without another one's rights", function()
    local function as_user(words)
      -- a shell between: setpriv itself finds its program with root's rights
      words = { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "-c", 'exec "$@"', "sh",
        table.unpack(words) }
      words.stdout, words.stderr, words.env = "capture", "capture", { HAPLUA_CONFIG = "none", HAPLUA_JOURNAL = "none" }
      return run(words)
    end
    if not can_mount or as_user({ "unshare", "-Urnm", "true" }) ~= 0 or as_user({ HAPROXY, "-v" }) ~= 0
      or as_user(support.program("-e", "return 0")) ~= 0 then
      return pending("ordinary users cannot have namespaces here, or not run the programs of this test")
    end
    local text = frontend(SWITCH):gsub("global\n", "global\nuser nobody\ngroup nogroup\nchroot /var/empty\ndaemon\n"
      .. (site.at_least(2, 5) and "" or "nbproc 2\n"), 1)
    local path = folder.write("user.cfg", (text:gsub("%f[%w]DIR%f[%W]", folder.path)))
    run({ "chmod", "-R", "a+rX", folder.path })
    local status, out, err = as_user(support.program("scripts/maint.lua", "rehearse", "--acl", folder.path .. "/m.acl",
      "--haproxy", HAPROXY, "--haproxy-config", path))
    assert.equal(0, status, out .. err)
    assert.matches("left out for the rehearsal: user, group, chroot", out, 1, true)
  end)
end)

describe("a rehearsal beside a running HAProxy", function()
  local s

  setup(function()
    s = site.start({
      files = { ["state"] = "1\n" },
      config = function(one)
        one.folder.write("hello.lua", (([[core.register_init(function()
          local f = io.open("DIR/written", "w")
          if f then f:write("x") f:close() end
        end)]]):gsub("DIR", one.dir)))
        return (([[
global
    lua-load DIR/hello.lua
    log DIR/log.sock local0
    log 127.0.0.1:PORT local0
    server-state-file DIR/state
    pidfile DIR/pid
    daemon
    stats socket SOCKET mode 666 level admin expose-fd listeners
    stats socket DIR/second.sock mode 600 level admin
defaults
    mode http
    log global
    option httplog
    load-server-state-from-file global
    timeout connect 2s
    timeout client 5s
    timeout server 5s
peers those
    peer NAME 127.0.0.1:PEER
    peer other 192.0.2.77:PEER
frontend www
    bind 127.0.0.1:PORT
    acl m path -i -m reg -u 9999
    acl api path -m beg -u 77
    stick-table type ip size 1k store conn_cnt peers those
    http-request track-sc0 src
    use_backend app if api
    use_backend maint if m
    default_backend app
backend app
    server a 127.0.0.1:APP check
    server b LOCAL:80 check disabled
backend maint
    server m 127.0.0.1:PAGE
]]):gsub("%f[%w][A-Z]+%f[%W]", {
          DIR = one.dir, SOCKET = one.socket, PORT = one.port, PEER = site.free_port(), APP = one.app_port, PAGE = one.page_port,
          NAME = running.content("/proc/sys/kernel/hostname"):match("%S+"),
          LOCAL = support.has_localhost() and "localhost" or "127.0.0.1",
        }))
      end,
    })
    local master = haproxy.connect(s.master, { via = "@master" })
    running.eventually("the master has started", function()
      return pcall(master.send, master, "show proc")
    end)
  end)

  teardown(function()
    s:close()
  end)

  --- All files of the site, with sizes and times.
  local function listing()
    local _, text = run({ "find", s.dir, "-printf", "%p %s %T@ %i %m\n", stdout = "capture", stderr = "null" })
    local lines = {}
    for line in text:gmatch("[^\n]+") do
      local name = line:match("^%S+"):sub(#s.dir + 1)
      if name ~= "" and not name:find("^/master.sock") and not name:find("^/running%d") then
        lines[#lines + 1] = line
      end
    end
    table.sort(lines)
    return table.concat(lines, "\n")
  end

  --- Is there a process of a rehearsal of this site?
  local function left_over()
    local _, text = run({ "sh", "-c", "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done 2>/dev/null",
      stdout = "capture" })
    for line in text:gmatch("[^\n]+") do
      if line:find("haplua[.-]rehears") and line:find(s.dir, 1, true) then
        return true
      end
    end
    return false
  end

  it("takes its program, files and lists, and changes nothing", function()
    if not can_part then
      return pending("this user cannot have namespaces")
    end
    local logged = {}
    local logger = task.spawn(run, { "socat", "-u", "UNIX-RECV:" .. s.dir .. "/log.sock", "-", stdout = function(line)
      logged[#logged + 1] = line
    end })
    running.eventually("the log's socket is there", function()
      return require("haplua.file").info(s.dir .. "/log.sock")
    end)
    local before = listing()
    s.target:acl_add("#77", "/api")
    s:reset_counts()
    local ran = s:maint("rehearse", "--no-journal", "/", "/api/x")
    assert.equal(1, ran.status, ran.err)
    assert.matches("/api/x: backend app", ran.out, 1, true)
    assert.matches("1 of 2 questions as wanted", ran.out, 1, true)
    s.target:acl_clear("#77")
    ran = s:maint("rehearse", "--no-journal")
    assert.equal(0, ran.status, ran.out .. ran.err)
    assert.matches("/: backend maint", ran.out, 1, true)
    assert.same({}, s.target:acl_list("#9999"))
    assert.equal(before, listing())
    assert.is_false(left_over())
    local counts = s:counted()
    assert.is_nil(counts["/api/x"])
    assert.same({}, logged)
    assert.equal("application", s:sees("/"))
    running.eventually("the running HAProxy logs", function()
      return #logged > 0
    end)
    logger:cancel()
    pcall(logger.wait, logger)
  end)

  it("knows the maintenances that are in force", function()
    if not can_part then
      return pending("this user cannot have namespaces")
    end
    s:maint("on", "--no-journal")
    local ran = s:maint("rehearse", "--no-journal", "--path", "/shop", "--replace", "/shop", "/other")
    assert.equal(0, ran.status, ran.out .. ran.err)
    ran = s:maint("rehearse", "--no-journal", "--path", "/shop", "--json", "/shop", "/other")
    assert.equal(0, ran.status, ran.out .. ran.err)
    assert.equal("maint", json.decode(ran.out).frontends[1].questions[2].after.backend)
    s:maint("off", "--no-journal")
  end)

  it("is used by doctor", function()
    if not can_part then
      return pending("this user cannot have namespaces")
    end
    local ran = s:maint("doctor", "--rehearse", "--no-journal")
    assert.matches("ok    rehearsal      frontend www: closed", ran.out, 1, true)
  end)

  it("leaves nothing where it is killed", function()
    if not can_part then
      return pending("this user cannot have namespaces")
    end
    local before = listing()
    local haplua = running.start(s, table.unpack(support.program("-s", s.socket, "scripts/maint.lua", "rehearse",
      "--no-journal")))
    running.eventually("a rehearsal has begun", function()
      return left_over() or haplua:done()
    end)
    haplua:signal("KILL")
    running.eventually("all its processes have ended", function()
      return not left_over()
    end)
    assert.equal(before, listing())
  end)

  it("enters the mounts and the root of a container", function()
    if not can_mount then
      return pending("mounting needs root")
    end
    local own <close> = support.folder()
    local root = own.path .. "/root"
    own.write("haproxy.cfg", ([[
global
    stats socket /box/own.sock level admin
defaults
    mode http
    timeout connect 2s
    timeout client 5s
    timeout server 5s
frontend www
    bind 127.0.0.1:%d
    acl m path -i -m reg -f /box/list.acl
    use_backend maint if m
    default_backend app
backend app
    server a 127.0.0.1:9
backend maint
    http-request return status 503
]]):format(site.free_port()))
    own.write("list.acl", "")
    local started = task.spawn(run, { "sh", "-c", 'echo $$ >"$1"; shift; exec "$@"', "sh", own.path .. "/pid",
      "unshare", "-mp", "--fork", "--kill-child", "sh", "-ec", ([[
      mkdir ROOT; mount -t tmpfs none ROOT; cd ROOT; mkdir -p box old proc dev tmp
      for folder in /*; do
        name=${folder#/}
        case $name in proc | tmp | box | old | dev) continue;; esac
        if [ -L "$folder" ]; then cp -P "$folder" "$name"; elif [ -d "$folder" ]; then
          mkdir "$name"; mount --rbind "$folder" "$name"; fi
      done
      mount --rbind /dev dev; mount --bind DIR box; mount -t proc proc proc
      pivot_root . old; cd /; umount -l old
      exec "$@"]]):gsub("ROOT", root):gsub("DIR", own.path), "sh", HAPROXY, "-db", "-f", "/box/haproxy.cfg",
      stdout = "null", stderr = "null" })
    local ran
    local ok, problem = pcall(running.eventually, "HAProxy answers in its container", function()
      assert(not started:done(), "it does not start")
      return pcall(haproxy.connect(own.path .. "/own.sock").info, haproxy.connect(own.path .. "/own.sock"))
    end)
    if ok then
      ran = support.haplua({ "-s", own.path .. "/own.sock", "scripts/maint.lua", "rehearse", "--no-journal", "--acl",
        "/box/list.acl", env = { HAPLUA_CONFIG = "none" } })
    end
    run({ "kill", "-KILL", running.lines(own.path .. "/pid")[1] })
    started:wait()
    assert(ok, problem)
    assert.equal(0, ran.status, ran.out .. ran.err)
    assert.equal("", running.content(own.path .. "/list.acl"))
  end)
end)
