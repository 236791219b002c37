-- SPDX-License-Identifier: MIT
--
-- The policies that move traffic, and haplua.server below them, while visitors come: canary, bluegreen, ab, and the loop of
-- a rolling restart.

local running = require("running")
local site = require("site")
local support = require("support")

local APP = (os.getenv("BUILD") or "build") .. "/app"

local eventually, good = running.eventually, support.good

-- In pool, new gets its share by its weight; it is the application, or answers 500. A visitor whose header X-User has a
-- number below the test's share is looked up in ab.map.
local CONFIG <const> = [[
backend pool
    balance roundrobin
    server old 127.0.0.1:APP weight 100
    server new 127.0.0.1:APP weight 100
    server bad 127.0.0.1:BAD weight 100
    server small 127.0.0.1:APP weight 1
backend blue
    http-response set-header X-Backend blue
    server b1 127.0.0.1:APP
backend green
    http-response set-header X-Backend green
    default-server check inter 100ms
    server g1 127.0.0.1:APP
    server g2 127.0.0.1:APP
listen bad
    bind 127.0.0.1:BAD
    http-request deny deny_status 500
]]

describe("policies that move traffic", function()
  local s, app

  setup(function()
    local bad, port = tostring(site.free_port()), support.event()
    app = task.spawn(run, { APP, "0", stdout = function(line)
      port.set(line:match("^listening (%d+)$"))
    end })
    s = site.start({
      files = { ["live.map"] = "app blue\n", ["ab.map"] = "" },
      frontend = [[use_backend pool if { path_beg /pool }
    use_backend %[str(app),map(DIR/live.map)] if { path_beg /live }
    use_backend %[req.hdr(X-User),map(DIR/ab.map,blue)] if { path_beg /ab }]],
      more = (CONFIG:gsub("BAD", bad):gsub("APP", port.wait())),
    })
    s.journal = s.dir .. "/journal.db"
  end)

  teardown(function()
    s:close()
    app:cancel()
    pcall(app.wait, app)
  end)

  local function row_of(name)
    for _, row in ipairs(s.target:servers(name:match("^[^/]*"))) do
      if name == ("%s/%s"):format(row.be_name, row.srv_name) then
        return row
      end
    end
  end

  --- The state and weight of a server.
  local function server(name)
    local row = row_of(name)
    return row.admin, row.srv_uweight
  end

  --- Visitors of a path, one after the other, until the variable is closed. `answers` returns what they have got.
  local function visitors(path, header)
    local file = ("%s/answers%d"):format(s.dir, math.random(1 << 30))
    local stop = s.folder.write("visit", "")
    local client = task.spawn(run, { "sh", "-c", [[
      while test -e "$1"; do
        curl -s -o /dev/null --noproxy '*' -w '%{http_code}\n' -H "$4" "$2" >>"$3"
      done]], "sh", stop, ("http://127.0.0.1:%d%s"):format(s.port, path), file, header or "X-User: none" })
    return setmetatable({ answers = function() return running.lines(file) end }, { __close = function()
      run({ "rm", "-f", stop })
      client:wait()
    end })
  end

  describe("scripts/canary.lua", function()
    local function canary(name, seconds, ...)
      return s:haplua({ "scripts/canary.lua", name, "--every", tostring(seconds), ... })
    end

    it("takes the traffic back from a server that answers 500", function()
      local _ <close> = visitors("/pool")
      support.in_time(function(seconds)
        local ran = canary("pool/bad", seconds, "--reason", "version 2")
        assert.same({ 1, "ready", 100 }, { ran.status, server("pool/bad") })
        assert.matches("pool/bad is ready again, with weight 100\n", ran.err, 1, true)
        -- in so short a time there may be no visitor
        return ran.err:find("pool/bad: too many requests fail", 1, true)
      end, 0.5)
    end)

    it("gives all of it to one that is good", function()
      local _ <close> = visitors("/pool")
      support.in_time(function(seconds)
        local ran = canary("pool/new", seconds, "--steps", "50,100", "--max-errors", "0")
        assert.same({ "ready", 100 }, { server("pool/new") })
        return ran.status == 0 and ran.out:find("pool/new: has its whole weight\n", 1, true)
      end, 0.3)
      assert.equal("no server is under maintenance\n", s:maint("status", "--server", "pool/new").out)
    end)

    it("gives the weight back at Ctrl-C, and after a kill by maint off", function()
      for _, signal in ipairs({ "INT", "KILL" }) do
        local r = running.start(s, "-s", s.socket, "scripts/canary.lua", "pool/new", "--journal", s.journal)
        eventually("the weight is set", function()
          return select(2, server("pool/new")) == 5
        end)
        r:signal(signal)
        r:wait()
        if signal == "KILL" then
          local shown = s:maint("status", "--server", "pool/new").out
          assert.matches("pool/new weight 5", shown, 1, true)
          assert.matches("the process %d+ that would end m%d+ is gone", shown)
          good(s:maint("off", "--server", "pool/new"))
        end
        assert.same({ "ready", 100 }, { server("pool/new") })
      end
    end)

    it("refuses a share of a small weight", function()
      local ran = canary("pool/small", 0)
      assert.equal(1, ran.status)
      assert.matches("5% of it is less than 1", ran.err, 1, true)
      assert.same({ "ready", 1 }, { server("pool/small") })
    end)
  end)

  it("a server that is sent to another address is back afterwards", function()
    local before = row_of("pool/new").srv_port
    local ran = s:haplua({ "-e", [[
      local new <close> = require("haplua.server").hold("pool/new")
      new:move("127.0.0.1", 9)
      print(servers("pool")[2].srv_port)]] })
    assert.same({ 0, "9\n" }, { ran.status, ran.out }, ran.err)
    local now = row_of("pool/new")
    assert.same({ "ready", 100, before }, { now.admin, now.srv_uweight, now.srv_port })
  end)

  it("a weight comes back after a reload", function()
    local keep = running.start(s, "-s", s.socket, "scripts/keep.lua", "--journal", s.journal)
    local r = running.start(s, "-s", s.socket, "-e", ([[
      local new <close> = require("haplua.server").hold("pool/new", { journal = %q })
      new:weight(7)
      task.sleep(1000)]]):format(s.journal))
    eventually("the weight is set", function()
      return select(2, server("pool/new")) == 7
    end)
    s:reload()
    eventually("the weight is there again", function()
      return select(2, server("pool/new")) == 7
    end)
    r:signal("TERM")
    assert.equal(128 + 15, r:wait().status)
    assert.same({ "ready", 100 }, { server("pool/new") })
    keep:signal("TERM")
    keep:wait()
  end)

  it("the loop of a rolling restart runs as it is written", function()
    local _ <close> = visitors("/live")
    s.folder.write("ssh", "#!/bin/sh\necho \"$*\" >>\"$0.called\"\n")
    run({ "chmod", "755", s.dir .. "/ssh" })
    local ran = s:haplua({ env = { PATH = s.dir .. ":" .. os.getenv("PATH") }, "-e", [[
      local server = require("haplua.server")
      for s in server.each("green") do
        s:drain(60)
        if run{ "ssh", s.address, "systemctl restart app" } ~= 0 then return 1 end
        s:ready{ settle = 0.1, within = 60 }
      end]] })
    assert.equal("127.0.0.1 systemctl restart app\n127.0.0.1 systemctl restart app\n", running.content(s.dir .. "/ssh.called"))
    assert.same({ 0, "green: 2 of 2 servers done: g1 g2\n", "" }, { ran.status, ran.out, ran.err })
  end)

  describe("scripts/bluegreen.lua", function()
    local function switch(to)
      return s:haplua({ "scripts/bluegreen.lua", to, "--map", s.dir .. "/live.map", "--settle", "0.2" })
    end

    it("switches there and back, and no visitor gets an error", function()
      do
        local seen <close> = visitors("/live")
        eventually("a visitor comes", function() return seen.answers()[1] end)
        local ran = switch("green")
        assert.equal(("green: 2 servers are up\napp: green in place of blue\nblue: 1 servers are idle, and stay drained\n"),
          ran.out, ran.err)
        assert.equal("drain", (server("blue/b1")))
        assert.equal("green", s.target:map_get(s.dir .. "/live.map", "app"))
        good(switch("blue"))
        assert.same({ "ready", "drain" }, { (server("blue/b1")), (server("green/g2")) })
        for _, answer in ipairs(seen.answers()) do
          assert.equal("200", answer)
        end
      end
      assert.equal("app blue\n", running.content(s.dir .. "/live.map"))
    end)
  end)

  it("scripts/ab.lua sends a share of the visitors elsewhere, until it ends", function()
    local function backend_of(user)
      local _, head = run({ "curl", "-s", "-o", "/dev/null", "-D", "-", "--noproxy", "*", "-H", "X-User: " .. user,
        ("http://127.0.0.1:%d/ab"):format(s.port), stdout = "capture" })
      return head:lower():match("x%-backend: (%w+)")
    end
    good(s:maint("off", "--server", "green/", "--all"))
    local r = running.start(s, "-s", s.socket, "scripts/ab.lua", "blue", "green", "--percent", "10", "--map", s.dir .. "/ab.map")
    eventually("the share is sent elsewhere", function()
      return backend_of("9") == "green"
    end)
    assert.same({ "green", "blue", "blue" }, { backend_of("0"), backend_of("10"), backend_of("99") })
    r:signal("INT")
    assert.equal(128 + 2, r:wait().status)
    assert.equal("blue", backend_of("9"))
    assert.matches("green: %d+ requests, 0.0%% failed", r:out())
  end)

  it("a dry run changes nothing", function()
    for _, words in ipairs({
      { "scripts/canary.lua", "pool/new" }, { "scripts/bluegreen.lua", "green", "--map", s.dir .. "/live.map" },
      { "scripts/ab.lua", "blue", "green", "--map", s.dir .. "/ab.map" }, { "-e", [[
        local server = require("haplua.server")
        local held <close> = server.hold("pool/new")
        held:weight(5) held:move("127.0.0.1", 9) held:drain(5) held:errors() held:latency() held:ready()
        for s in server.each("pool") do s:drain(5) end
        server.group("blue"):drain(5)
        server.group("blue"):ready()]] },
    }) do
      local before = s.target:send("show servers state")
      local ran = s:haplua({ "-n", table.unpack(words) })
      assert.same({ 4, "" }, { ran.status, ran.err }, table.concat(words, " "))
      assert.matches("would send to ", ran.out, 1, true)
      assert.equal("blue", s.target:map_get(s.dir .. "/live.map", "app"))
      assert.same({}, s.target:map_list(s.dir .. "/ab.map"))
      -- without the time since the latest change, and how the checks go
      local function plain(text)
        return (text:gsub("(\n" .. ("%S+ "):rep(9) .. ")" .. ("%S+ "):rep(6), "%1"))
      end
      assert.equal(plain(before), plain(s.target:send("show servers state")))
    end
    local drain = 'require("haplua.server").group("blue"):drain(5)'
    for _, words in ipairs({ { "scripts/canary.lua", "pool/new" }, { "-e", drain } }) do
      local ran = s:haplua({ "--read-only", table.unpack(words) })
      assert.equal(1, ran.status)
      assert.matches("--read-only refuses what changes HAProxy", ran.err, 1, true)
    end
  end)
end)
