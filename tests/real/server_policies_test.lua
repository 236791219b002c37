-- SPDX-License-Identifier: MIT
--
-- The policies that take servers out of service: drain, rolling, and what they share.

local running = require("running")
local site = require("site")
local support = require("support")

local APP = (os.getenv("BUILD") or "build") .. "/app"

local eventually = running.eventually
local good = support.good

--- Start an application that answers with its name, at a port or a free one. Returns its port and its task.
local function start_app(name, at)
  local port = support.event()
  local app = task.spawn(run, { APP, at or "0", name, stdout = function(line)
    port.set(line:match("^listening (%d+)$"))
  end })
  return port.wait(), app
end

-- In pool, maintenance ends the sessions of a server, and a path that begins with a server's name leads to it. In
-- checked, checks notice quickly that a server does not answer. In queued, nothing listens at a1: a request that cannot
-- be connected is no session of it between two attempts, but keeps its one place, so the next request stays in its queue.
local backends = [[
backend pool
    balance roundrobin
    use-server a1 if { path_beg /a1 }
    default-server on-marked-down shutdown-sessions
    server a1 127.0.0.1:A1
    server a2 127.0.0.1:A2
    server a3 127.0.0.1:A3
backend single
    server only 127.0.0.1:A1
backend queued
    timeout queue 1h
    retries 1000000
    use-server a1 if { always_true }
    server a1 127.0.0.1:UNUSED maxconn 1
    server a2 127.0.0.1:A2
backend checked
    option httpchk GET /
    timeout check 10s
    default-server check inter 100ms fall 2 rise 2
    server a1 127.0.0.1:A1
    server a2 127.0.0.1:A2
    server a3 127.0.0.1:A3
]]

describe("a server taken out of service", function()
  local s, apps, ports

  setup(function()
    apps, ports = {}, {}
    for _, name in ipairs({ "A1", "A2", "A3" }) do
      ports[name], apps[name] = start_app(name:lower())
    end
    ports.UNUSED = tostring(site.free_port())
    s = site.start({
      frontend = "use_backend pool if { path_beg /pool /a1 }\n    use_backend queued if { path_beg /queued }",
      more = backends:gsub("%u+%d?", ports),
    })
  end)

  teardown(function()
    s:close()
    for _, app in pairs(apps) do
      app:cancel()
      pcall(app.wait, app)
    end
  end)

  before_each(function()
    for _, backend in ipairs({ "pool", "single", "queued", "checked" }) do
      for _, row in ipairs(s.target:servers(backend)) do
        s.target:server_set({ server = backend .. "/" .. row.srv_name, state = "ready" })
      end
    end
  end)

  --- The states of a backend's servers, in order: "ready drain ready".
  local function states(backend)
    local admin = {}
    for i, row in ipairs(s.target:servers(backend or "pool")) do
      admin[i] = row.admin
    end
    return table.concat(admin, " ")
  end

  local function set(server, state, weight)
    s.target:server_set({ server = server, state = state, weight = weight })
  end

  --- A request to pool/a1 that is answered when slow.let_go() is called: local slow <close> = slow_request()
  local function slow_request()
    eventually("the one before is over", function()
      return s.target:stat("pool")[1].scur == 0
    end)
    local hold = s.folder.write("hold", "")
    local client = task.spawn(run, {
      "sh", "-c", [[
        { printf 'POST /a1 HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\n'
          while test -e "$1"; do sleep 0.01; done
          printf x
        } | socat -t 60 stdio "tcp:127.0.0.1:$2"]], "sh", hold, s.port, stdout = "capture",
    })
    local function let_go()
      run({ "rm", "-f", hold })
      local _, answer = client:wait()
      return answer
    end
    eventually("the request is at its server", function()
      return s.target:stat("pool")[1].scur == 1
    end)
    return setmetatable({ let_go = let_go }, { __close = let_go })
  end

  --- Start drain, and wait until it has found the server busy.
  local function begin_drain(...)
    local r = running.start(s, "-v", "-s", s.socket, "scripts/drain.lua", "pool/a1", ...)
    eventually("drain looks at the server", function()
      return select(2, r:err():gsub("show stat", "")) >= 2
    end)
    return r
  end

  describe("scripts/drain.lua", function()
    local function drain(...)
      return s:haplua({ "scripts/drain.lua", ... })
    end

    it("puts an idle server in maintenance", function()
      local ran = drain("pool/a1")
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.matches("^pool/a1 is in maintenance, idle after [%d.]+ s\n$", ran.out)
      assert.equal("maint ready ready", states())
      ran = drain("pool/a1")
      assert.same({ 0, "pool/a1 is in maintenance already\n", "" }, { ran.status, ran.out, ran.err })
      assert.equal("maint ready ready", states())
    end)

    it("wants a backend and a server", function()
      for _, name in ipairs({ "pool", "pool/", "/a1", "a/b/c" }) do
        local ran = drain(name)
        assert.same({ 2, "" }, { ran.status, ran.out })
        assert.matches(("drain: '%s' is not BACKEND/SERVER\n"):format(name), ran.err, 1, true)
      end
    end)

    it("waits for a request that is running, and keeps new ones away", function()
      local slow <close> = slow_request()
      local r = begin_drain()
      assert.equal("drain ready ready", states())
      for _ = 1, 6 do
        assert.not_equal("a1\n", s:get("/pool").body)
      end
      assert.is_false(r:done())
      assert.matches("a1\n$", slow.let_go())
      assert.equal(0, r:wait().status)
      assert.equal("maint ready ready", states())
    end)

    it("ends the sessions that are left, where that is asked for", function()
      local slow <close> = slow_request()
      local ran = drain("pool/a1", "--wait", "0.3")
      assert.equal(1, ran.status)
      assert.matches("pool/a1 is not idle after 0.3 s: 1 sessions are open, 0 requests wait", ran.err, 1, true)
      assert.equal("ready ready ready", states())
      ran = drain("pool/a1", "--wait", "0.3", "--cut")
      assert.equal(0, ran.status, ran.err)
      assert.equal("maint ready ready", states())
      assert.not_matches("a1\n$", slow.let_go())
    end)

    it("waits for a request that is in the server's queue", function()
      local clients = {}
      for i = 1, 2 do
        clients[i] = task.spawn(s.get, s, "/queued", "--max-time", "60")
      end
      eventually("no session, and one request in the queue", function()
        local row = s.target:stat("queued")[1]
        return row.scur == 0 and row.qcur == 1
      end)
      local ran = drain("queued/a1", "--wait", "0.3")
      assert.equal(1, ran.status)
      assert.matches("queued/a1 is not idle after 0.3 s: 0 sessions are open, 1 requests wait", ran.err, 1, true)
      assert.equal("ready ready", states("queued"))
      local r = running.start(s, "-v", "-s", s.socket, "scripts/drain.lua", "queued/a1")
      eventually("drain looks at the server, or is over", function()
        return select(2, r:err():gsub("show stat", "")) >= 2 or r:done()
      end)
      assert.same({ false, "drain ready" }, { r:done(), states("queued") })
      local _ <close> = select(2, start_app("found", ports.UNUSED))
      for _, client in ipairs(clients) do
        assert.same({ status = 200, body = "found\n" }, client:wait())
      end
      assert.equal(0, r:wait().status)
      assert.equal("maint ready", states("queued"))
    end)

    it("puts the server back when that takes too long", function()
      for _, before in ipairs({ "ready", "drain" }) do
        local slow <close> = slow_request()
        set("pool/a1", before)
        local ran = drain("pool/a1", "--wait", "0.3")
        assert.equal(1, ran.status)
        assert.matches(("pool/a1 is %s again\n"):format(before), ran.err, 1, true)
        assert.equal(before .. " ready ready", states())
        assert.matches("a1\n$", slow.let_go())
        set("pool/a1", "ready")
      end
    end)

    it("puts the server back at a signal", function()
      for name, number in pairs({ TERM = 15, INT = 2 }) do
        local slow <close> = slow_request()
        local r = begin_drain()
        r:signal(name)
        assert.equal(128 + number, r:wait().status)
        assert.equal("ready ready ready", states())
        assert.matches("a1\n$", slow.let_go())
      end
    end)

    it("refuses the last server that takes requests, unless forced", function()
      set("pool/a2", "maint")
      set("pool/a3", "drain")
      local ran = drain("pool/a1")
      assert.same({ 1, "" }, { ran.status, ran.out })
      assert.matches("pool/a1 is the last server of its backend that takes requests", ran.err, 1, true)
      assert.equal("ready maint drain", states())
      assert.equal(1, drain("single/only").status)
      assert.equal("ready", states("single"))
      assert.equal(0, drain("pool/a1", "--force").status)
      assert.equal("maint maint drain", states())
    end)

    it("leaves as many as are to stay up", function()
      for _, n in ipairs({ "3", "67%", "100%" }) do
        local ran = drain("pool/a1", "--keep-up", n)
        assert.equal(1, ran.status)
        assert.matches(("without pool/a1, 2 servers of its backend take requests, and 3 are to (--keep-up %s)"):format(n),
          ran.err, 1, true)
      end
      assert.equal("ready ready ready", states())
      assert.equal(0, drain("pool/a1", "--keep-up", "50%").status)
      assert.equal(1, drain("pool/a2", "--keep-up", "2").status)
      assert.equal("maint ready ready", states())
      -- one that is down by its checks, or has no weight, carries no traffic
      s.target:server_set({ server = "pool/a3", weight = 0 })
      assert.equal(1, drain("pool/a2", "--keep-up", "1").status)
      assert.equal(0, drain("pool/a2", "--keep-up", "0").status)
      s.target:server_set({ server = "pool/a3", weight = 1 })
      for _, words in ipairs({ { "half" }, { "101%" }, { "-1" }, { "" } }) do
        assert.equal(2, drain("pool/a3", "--keep-up", words[1]).status)
      end
    end)

    it("leaves one server, however many are drained at once", function()
      local _ <close> = setmetatable({}, { __close = function() s.journal = nil end })
      for i = 1, 6 do
        s.journal = i <= 4 and s.dir .. "/atonce.db" or "none"
        set("pool/a3", "maint")
        local runs = {}
        for n, name in ipairs({ "pool/a1", "pool/a2" }) do
          runs[n] = task.spawn(drain, name)
        end
        local one, two = runs[1]:wait(), runs[2]:wait()
        local done = (one.status == 0 and 1 or 0) + (two.status == 0 and 1 or 0)
        assert.is_truthy(states():find("ready"), states() .. one.err .. two.err)
        -- without a journal nothing keeps the two apart: each may see the other's server drained, and give way
        assert.is_true(done == 1 or done == 0 and i > 4, one.err .. two.err)
        assert.matches("is the last server of its backend that takes requests", one.err .. two.err, 1, true)
        if s.journal ~= "none" then
          good(s:maint("off", "--server", "pool/", "--all"))
        end
        set("pool/a1", "ready")
        set("pool/a2", "ready")
      end
    end)

    it("leaves a maintenance that --undo ends", function()
      s.journal = s.dir .. "/drain.db"
      local _ <close> = setmetatable({}, { __close = function() s.journal = nil end })
      set("pool/a1", "ready", 37)
      assert.equal(0, drain("pool/a1", "--reason", "new kernel").status)
      assert.equal("maint ready ready", states())
      local shown = s:maint("status").out
      assert.matches("m1  pool/a1 maint  .*  drain  +new kernel", shown)
      assert.not_matches("but", shown)
      local ran = drain("pool/a1", "--undo")
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.matches("^pool/a1 is ready\n  ended: m1", ran.out)
      assert.same({ "ready ready ready", 37 }, { states(), s.target:servers("pool")[1].srv_uweight })
      ran = drain("pool/a1", "--undo")
      assert.equal(1, ran.status)
      assert.matches("no maintenance of pool/a1 is known", ran.err, 1, true)
      set("pool/a1", nil, 1)
    end)

    it("leaves the server drained, and says so, when it is killed", function()
      s.journal = s.dir .. "/killed.db"
      local _ <close> = setmetatable({}, { __close = function() s.journal = nil end })
      do
        local slow <close> = slow_request()
        local r = begin_drain("--journal", s.journal)
        r:signal("KILL")
        r:wait()
        assert.matches("a1\n$", slow.let_go())
      end
      assert.equal("drain ready ready", states())
      assert.matches("but the process %d+ that would end m1 is gone\n +maint off m1 ends it", s:maint("status").out)
      assert.equal(0, s:maint("off", "m1").status)
      assert.equal("ready ready ready", states())
    end)

    it("changes nothing for a name that there is not", function()
      for name, text in pairs({
        ["pool/a9"] = "pool/a9 does not exist", ["nope/a1"] = "refused",
      }) do
        local ran = drain(name)
        assert.same({ 1, "" }, { ran.status, ran.out })
        assert.matches(text, ran.err, 1, true)
      end
      assert.equal(2, drain("pool/a1", "--wait", "soon").status)
      assert.equal("ready ready ready", states())
    end)

    it("changes nothing in a dry run", function()
      local ran = s:haplua({ "-n", "scripts/drain.lua", "pool/a1" })
      assert.same({ 4, "" }, { ran.status, ran.err })
      for _, state in ipairs({ "drain", "maint" }) do
        assert.matches(("would send to %s: set server pool/a1 state %s\n"):format(s.socket, state), ran.out, 1, true)
      end
      assert.equal("ready ready ready", states())
    end)
  end)

  describe("scripts/rolling.lua", function()
    local notes

    before_each(function()
      notes = s.dir .. "/notes"
      run({ "rm", "-f", notes })
    end)

    --- Run rolling with a shell command; its $1 is a file for notes, its $2 the pool's address.
    local function words(backend, command)
      return "scripts/rolling.lua", backend, "--settle", "0.1", "--wait", "30", "--", "sh", "-c", command, "sh", notes,
        ("http://127.0.0.1:%d/pool"):format(s.port)
    end

    local function rolling(...)
      return s:haplua({ words(...) })
    end

    it("goes through the servers one after the other, with none of them in use", function()
      local ran = rolling("pool", [[
        echo "$SERVER $ADDRESS" >>"$1"
        for i in 1 2 3 4 5 6; do curl -s --noproxy '*' "$2"; done | sort -u >>"$1"]])
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.same({
        "a1 127.0.0.1:" .. ports.A1, "a2", "a3",
        "a2 127.0.0.1:" .. ports.A2, "a1", "a3",
        "a3 127.0.0.1:" .. ports.A3, "a1", "a2",
      }, running.lines(notes))
      assert.equal("ready ready ready", states())
      local out = {}
      for _, name in ipairs({ "pool/a1", "pool/a2", "pool/a3" }) do
        out[#out + 1] = ("%s: drain\n%s: idle, and drained until the command has done its work\n%s: up\n"):format(
          name, name, name)
      end
      out[#out + 1] = "pool: 3 of 3 servers done: a1 a2 a3\n"
      assert.equal(table.concat(out), ran.out)
    end)

    it("leaves servers alone that are out of service", function()
      set("pool/a1", "drain")
      set("pool/a3", "maint")
      local ran = rolling("pool", 'echo "$SERVER" >>"$1"')
      assert.equal(1, ran.status)
      assert.matches("pool/a2 is the last server", ran.err, 1, true)
      set("pool/a1", "ready")
      assert.equal(0, rolling("pool", 'echo "$SERVER" >>"$1"').status)
      assert.same({ "a1", "a2" }, running.lines(notes))
      assert.equal("ready ready maint", states())
    end)

    it("stops at the first command that fails", function()
      local ran = rolling("pool", 'echo "$SERVER" >>"$1"; test "$SERVER" != a2 || exit 9')
      assert.same({ 9, "" }, { ran.status, ran.err })
      assert.matches("pool/a2: the command failed (9), and the server stays drained\n", ran.out, 1, true)
      assert.same({ "a1", "a2" }, running.lines(notes))
      assert.equal("ready drain ready", states())
    end)

    it("leaves a server drained whose command cannot be started", function()
      local ran = s:haplua({ "scripts/rolling.lua", "pool", "--", "/nowhere/at/all" })
      assert.equal(1, ran.status)
      assert.matches("cannot start '/nowhere/at/all'", ran.err, 1, true)
      assert.equal("drain ready ready", states())
    end)

    --- Wait until the checks have found all servers of `checked` up.
    local function all_up()
      eventually("the checks have found the servers", function()
        local up = 0
        for _, row in ipairs(s.target:stat("checked")) do
          up = up + (row.svname ~= "BACKEND" and row.status == "UP" and 1 or 0)
        end
        return up == 3
      end)
    end

    it("waits until the server is up, by its checks", function()
      all_up()
      local ran = rolling("checked", 'echo "$SERVER" >>"$1"')
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.same({ "a1", "a2", "a3" }, running.lines(notes))
    end)

    it("goes no further when a server does not come up again", function()
      -- nothing listens at port 1
      local command = [[
        echo "$SERVER" >>"$1"
        test "$SERVER" != a2 || echo 'set server checked/a2 addr 127.0.0.1 port 1' | socat stdio "unix-connect:$2"]]
      support.in_time(function(seconds)
        run({ "rm", "-f", notes })
        s.target:server_set({ server = "checked/a2", addr = "127.0.0.1", port = math.tointeger(ports.A2) })
        set("checked/a2", "ready")
        all_up()
        local ran = s:haplua({
          "scripts/rolling.lua", "checked", "--settle", tostring(seconds), "--wait", tostring(8 * seconds), "--", "sh", "-c",
          command, "sh", notes, s.socket,
        })
        assert.matches("checked/a1: up\n", ran.out, 1, true)
        local noticed = not ran.out:find("checked/a2: up\n", 1, true) -- else the checks were slower than that
        assert.equal(noticed and 1, noticed and ran.status)
        assert.same(noticed and { "a1", "a2" }, noticed and running.lines(notes))
        return noticed
      end, 0.5)
    end)

    it("puts a server back when it does not become idle, or at a signal, and goes no further", function()
      do
        local slow <close> = slow_request()
        local ran = s:haplua({ "scripts/rolling.lua", "pool", "--wait", "0.3", "--", "touch", notes })
        assert.equal(1, ran.status)
        assert.matches("pool/a1 is ready again\n", ran.err, 1, true)
        assert.equal("ready ready ready", states())
        assert.matches("a1\n$", slow.let_go())
      end
      local slow <close> = slow_request()
      local r = running.start(s, "-s", s.socket, "scripts/rolling.lua", "pool", "--", "touch", notes)
      eventually("the first is drained", function()
        return states() == "drain ready ready"
      end)
      r:signal("TERM")
      assert.equal(128 + 15, r:wait().status)
      assert.equal("ready ready ready", states())
      assert.equal("", slow.let_go():match("a1\n(.*)$"))
      assert.is_nil(io.open(notes))
    end)

    it("leaves a server drained whose command is ended by a signal to haplua", function()
      local r = running.start(s, "-s", s.socket, words("pool", 'echo $$ >"$1"; exec sleep 3600'))
      local pid = eventually("the command runs", function()
        return running.lines(notes)[1]
      end)
      r:signal("TERM")
      assert.equal(128 + 15, r:wait().status)
      assert.is_false(running.is_alive(pid))
      assert.equal("drain ready ready", states())
    end)

    it("goes on where it stopped", function()
      s.journal = s.dir .. "/rolling.db"
      local _ <close> = setmetatable({}, { __close = function() s.journal = nil end })
      local ran = s:haplua({ "scripts/rolling.lua", "pool", "--resume", "--", "true" })
      assert.same({ 1, "" }, { ran.status, ran.out })
      assert.matches("pool has had no rolling", ran.err, 1, true)
      local command = 'echo "$SERVER" >>"$1"; test "$SERVER" != a2 || test -e "$1.repaired" || exit 9'
      ran = rolling("pool", command)
      assert.equal(9, ran.status)
      assert.matches("\npool: 1 of 3 servers done: a1; stopped at a2; not begun: a3\n$", ran.out)
      assert.matches("m2  pool/a2 drain .* rolling pool 2", s:maint("status").out)
      running.content(s.folder.write("notes.repaired", ""))
      local resumed = { words("pool", command) }
      table.insert(resumed, 3, "--resume")
      ran = s:haplua(resumed)
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.matches("\npool: 3 of 3 servers done: a1 a2 a3\n$", ran.out)
      assert.same({ "a1", "a2", "a2", "a3" }, running.lines(notes))
      assert.equal("ready ready ready", states())
      resumed = { words("pool", command) }
      table.insert(resumed, 3, "--resume")
      assert.equal("pool: 3 of 3 servers done: a1 a2 a3\n", s:haplua(resumed).out)
      run({ "rm", s.dir .. "/notes.repaired" })
    end)

    it("goes on after a kill", function()
      s.journal = s.dir .. "/rollingkill.db"
      local _ <close> = setmetatable({}, { __close = function() s.journal = nil end })
      local r = running.start(s, "-s", s.socket, "scripts/rolling.lua", "pool", "--settle", "0.1", "--journal", s.journal,
        "--", "sh", "-c", 'echo "$SERVER" >>"$1"; test "$SERVER" != a2 || exec sleep 3600', "sh", notes)
      eventually("the command runs", function()
        return running.lines(notes)[2]
      end)
      r:signal("KILL")
      r:wait()
      assert.equal("ready drain ready", states())
      local ran = s:haplua({ "scripts/rolling.lua", "pool", "--settle", "0.1", "--resume", "--", "sh", "-c",
        'echo "$SERVER" >>"$1"', "sh", notes })
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.same({ "a1", "a2", "a2", "a3" }, running.lines(notes))
      assert.equal("ready ready ready", states())
    end)

    it("works on the servers that it is to work on", function()
      local ran = s:haplua({ "scripts/rolling.lua", "pool", "--settle", "0.1", "--only-servers", "a3,a1", "--", "sh", "-c",
        'echo "$SERVER" >>"$1"', "sh", notes })
      assert.equal(0, ran.status)
      assert.same({ "a1", "a3" }, running.lines(notes))
      assert.matches("\npool: 2 of 2 servers done: a1 a3\n$", ran.out)
      ran = s:haplua({ "scripts/rolling.lua", "pool", "--only-servers", "a1,a9", "--", "touch", notes })
      assert.equal(1, ran.status)
      assert.matches("pool/a9 does not exist", ran.err, 1, true)
    end)

    it("takes the last server where it is forced", function()
      local ran = s:haplua({ "scripts/rolling.lua", "single", "--settle", "0.1", "--force", "--", "touch", notes })
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.equal("ready", states("single"))
      assert.is_truthy(io.open(notes))
    end)

    it("refuses a backend of one server, and one that there is not", function()
      assert.equal(1, rolling("single", 'echo >"$1"').status)
      assert.equal(1, rolling("nope", 'echo >"$1"').status)
      assert.is_nil(io.open(notes))
      assert.equal("ready", states("single"))
    end)

    it("changes and runs nothing in a dry run", function()
      local ran = s:haplua({ "-n", words("pool", 'echo >"$1"') })
      assert.same({ 4, "" }, { ran.status, ran.err })
      for _, name in ipairs({ "a1", "a2", "a3" }) do
        for _, state in ipairs({ "drain", "ready" }) do
          local text = ("would send to %s: set server pool/%s state %s\n"):format(s.socket, name, state)
          assert.matches(text, ran.out, 1, true)
        end
      end
      assert.is_nil(io.open(notes))
      assert.equal("ready ready ready", states())
    end)
  end)

  describe("haplua.server", function()
    --- Run a block of Lua in which `held` holds pool/a1.
    local function hold(block)
      return s:haplua({ "-e", ([[
        do
          local held <close> = require("haplua.server").hold("pool/a1")
          %s
        end
        print("after", servers("pool")[1].admin)
      ]]):format(block) })
    end

    it("puts the server back to what it was", function()
      for _, before in ipairs({ "ready", "drain", "maint" }) do
        set("pool/a1", before)
        local ran = hold('held:drain(60) held:set("maint") print("in", servers("pool")[1].admin)')
        assert.same({ 0, "in\tmaint\nafter\t" .. before .. "\n" }, { ran.status, ran.out })
        assert.equal(("pool/a1 is %s again\n"):format(before), ran.err)
      end
    end)

    it("puts it back after an error, too", function()
      local ran = hold('held:drain(60) error("broken", 0)')
      assert.equal(1, ran.status)
      assert.matches("broken", ran.err, 1, true)
      assert.equal("ready ready ready", states())
    end)

    it("leaves what is kept", function()
      assert.same({ 0, "after\tdrain\n", "" }, (function(ran)
        return { ran.status, ran.out, ran.err }
      end)(hold("held:drain(60) held:keep()")))
      set("pool/a1", "ready")
      assert.equal("after\tmaint\n", hold('held:drain(60) held:keep("maint")').out)
    end)
  end)
end)
