-- SPDX-License-Identifier: MIT
--
-- Maintenances of servers: `maint on --server`, what they add up to, hands, reloads, and their ends.

local json = require("haplua.json")
local running = require("running")
local site = require("site")
local support = require("support")

local eventually = running.eventually
local good = support.good

local backends = [[
backend pool
    server a1 127.0.0.1:1 weight 100
    server a2 127.0.0.1:2 weight 100
    server a3 127.0.0.1:3 weight 100 disabled
backend tracking
    server b1 127.0.0.1:5 check inter 1h
    server t1 127.0.0.1:6 track tracking/b1
backend single
    server only 127.0.0.1:4
]]

describe("a maintenance of a server", function()
  local s

  setup(function()
    s = site.start({ more = backends })
    s.config = s.folder.write("config.lua", [[return { switches = { site = { acl = "#9999" } } }]])
  end)

  teardown(function()
    s:close()
  end)

  local function set(server, state, weight)
    s.target:server_set({ server = server, state = state, weight = weight })
  end

  local n = 0

  before_each(function()
    n = n + 1
    s.journal = ("%s/journal%d.db"):format(s.dir, n)
    for name, state in pairs({ ["pool/a1"] = "ready", ["pool/a2"] = "ready", ["pool/a3"] = "maint" }) do
      set(name, state, 100)
    end
    set("single/only", "ready", 1)
  end)

  --- The states of the pool's servers.
  local function states(backend)
    local admin = {}
    for i, row in ipairs(s.target:servers(backend or "pool")) do
      admin[i] = row.admin
    end
    return table.concat(admin, " ")
  end

  local function on(...)
    return good(s:maint("on", "--server", ...))
  end

  local function off(...)
    return good(s:maint("off", ...))
  end

  local function status()
    return json.decode(good(s:maint("status", "--json")))
  end

  --- scripts/keep.lua, running until the end of the block.
  local function keep()
    return running.keep(s)
  end

  it("is named by maint off, which without --server ends those of the switch alone", function()
    on("pool/a1", "--reason", "kernel")
    on("pool/a1", "--drain", "--reason", "disk")
    on("pool/a2", "--drain", "--force")
    assert.equal("maintenance was off already: #9999 matches nothing\n"
      .. "  pool/a1 is under maintenance: maint off --server pool/a1 ends it\n"
      .. "  pool/a2 is under maintenance: maint off --server pool/a2 ends it\n", off())
    assert.equal("maint drain maint", states())
    good(s:maint("on", "--path", "/shop"))
    assert.is_nil(off():find("under maintenance", 1, true))
    off("--server", "pool/a2")
    off("--server", "pool/a1", "--all")
    assert.equal("maintenance was off already: #9999 matches nothing\n", off())
  end)

  it("begins, is shown, and ends", function()
    assert.equal("pool/a1 is maint, as m1\n  reason: kernel\n", on("pool/a1", "--reason", "kernel"))
    assert.equal("maint ready maint", states())
    local shown = good(s:maint("status"))
    assert.matches("m1  pool/a1 maint  .*  on  +kernel", shown)
    assert.matches("\npool/a1 is maint (before: ready)", shown, 1, true)
    assert.matches("^id .*\nm1  pool/a1 maint [^\n]*\npool/a1 is maint %(before: ready%)\n$",
      good(s:maint("status", "--server", "pool/a1")))
    assert.equal("no server is under maintenance\n", good(s:maint("status", "--server", "pool/a2")))
    local found = status()
    assert.same({}, found.disagreements)
    assert.same({ server = "pool/a1", state = "maint" }, found.maintenances[1].scope)
    assert.matches("^pool/a1 is ready\n  ended: m1  pool/a1 maint", off("--server", "pool/a1"))
    assert.equal("ready ready maint", states())
    assert.is_nil(status().servers)
    assert.equal("no server is under maintenance\n", good(s:maint("status", "--server", "pool/")))
    local log = good(s:maint("log", "--server", "pool/a1"))
    assert.matches("pool/a1  on .*m1, reason: kernel.*done.*\n.*pool/a1  off .*m1.*done", log)
  end)

  it("gives the state back that the server had", function()
    for _, before in ipairs({ "ready", "drain", "maint" }) do
      for _, drain in ipairs({ false, "--drain" }) do
        set("pool/a1", before, 37)
        on("pool/a1", drain or "--yes")
        assert.equal(drain and before ~= "maint" and "drain" or "maint", s.target:servers("pool")[1].admin)
        off("--server", "pool/a1")
        local row = s.target:servers("pool")[1]
        assert.same({ before, 37 }, { row.admin, row.srv_uweight })
      end
    end
  end)

  it("adds up with others: the strictest wins, and the last one gives it back", function()
    on("pool/a1", "--drain", "--reason", "one")
    on("pool/a1", "--reason", "two")
    assert.equal("maint ready maint", states())
    local ran = s:maint("off", "--server", "pool/a1")
    assert.equal(2, ran.status)
    assert.matches("2 maintenances are in force: which one?", ran.err, 1, true)
    assert.matches("m1  pool/a1 drain.*m2  pool/a1 maint", ran.err)
    assert.matches("pool/a1 is drain\n.*still in force: m1", off("m2"))
    assert.equal("drain ready maint", states())
    assert.matches("^pool/a1 is ready\n", off("m1"))
    assert.equal("ready ready maint", states())
    on("pool/a1", "--drain")
    on("pool/a1")
    off("--server", "pool/a1", "--all")
    assert.equal("ready ready maint", states())
  end)

  it("is refreshed by the same person, and changed", function()
    on("pool/a1", "--reason", "one")
    assert.equal("pool/a1 was maint already, as m1\n  reason: two\n", on("pool/a1", "--reason", "two"))
    assert.equal("pool/a1 was maint already, as m1\n  reason: three\n", good(s:maint("change", "m1", "--reason", "three")))
    assert.equal("pool/a1 is drain, as m1\n  reason: three\n", good(s:maint("change", "m1", "--drain")))
    assert.equal("drain ready maint", states())
    off("m1")
    assert.matches("m1 is over: ended at", s:maint("off", "m1").err, 1, true)
    assert.matches("m1 is over: ended at", s:maint("change", "m1", "--reason", "x").err, 1, true)
  end)

  it("is of several servers, or of a backend", function()
    on("pool/a1", "--server", "single/only", "--force", "--reason", "both")
    assert.same({ "maint ready maint", "maint" }, { states(), states("single") })
    off("--server", "pool/", "--server", "single/only")
    assert.same({ "ready ready maint", "ready" }, { states(), states("single") })
    local ran = s:maint("on", "--server", "pool/")
    assert.equal(1, ran.status)
    assert.matches("is the last server of its backend that takes requests", ran.err, 1, true)
    assert.equal("ready ready maint", states())
    on("pool/", "--force")
    assert.equal("maint maint maint", states())
    local result = json.decode(off("--server", "pool/", "--json"))
    assert.same({ "ready", "ready", "maint" },
      { result.servers[1].state, result.servers[2].state, result.servers[3].state })
    assert.equal("ready ready maint", states())
  end)

  it("leaves as many servers of a backend as are to stay up", function()
    local ran = s:maint("on", "--server", "pool/a1", "--keep-up", "100%")
    assert.equal(1, ran.status)
    assert.matches("are to (--keep-up 100%)", ran.err, 1, true)
    assert.equal(2, s:maint("on", "--keep-up", "1").status)
  end)

  it("leaves the servers alone that a call cannot name", function()
    for _, words in ipairs({ { "--server", "pool" }, { "--server", "/a1" }, { "--server", "pool/a1", "/x" },
      { "--server", "pool/a1", "--path", "/x" }, { "--drain" }, { "--server", "pool/a1", "--wait", "--for", "1s" } }) do
      assert.equal(2, s:maint("on", table.unpack(words)).status)
    end
    assert.matches("pool/a9 does not exist", s:maint("on", "--server", "pool/a1", "--server", "pool/a9").err, 1, true)
    assert.matches("nope/ does not exist", s:maint("on", "--server", "nope/").err, 1, true)
    assert.equal("ready ready maint", states())
  end)

  it("says what to do where none is known", function()
    set("pool/a1", "maint")
    local ran = s:maint("off", "--server", "pool/a1")
    assert.equal(1, ran.status)
    assert.matches("no maintenance of pool/a1 is known\n", ran.err, 1, true)
    assert.matches("haplua -e 'haproxy.server_set{server=\"pool/a1\", state=\"ready\"}'", ran.err, 1, true)
    good(s:haplua({ "-e", ran.err:match("haplua %-e '(.-)'") }))
    assert.equal("ready ready maint", states())
    set("pool/a1", "maint")
    ran = s:maint("--no-journal", "off", "--server", "pool/a1")
    assert.equal(1, ran.status)
    assert.matches("server_set{server=\"pool/a1\", state=\"ready\"}", ran.err, 1, true)
    set("pool/a1", "ready")
    assert.equal("pool/a1 is maint\n", good(s:maint("--no-journal", "on", "--server", "pool/a1")))
    assert.equal("maint ready maint", states())
  end)

  it("changes nothing in a dry run", function()
    local ran = s:haplua({ "-n", "scripts/maint.lua", "on", "--server", "pool/a1" })
    assert.equal(4, ran.status)
    assert.matches("would send to .*: set server pool/a1 state maint\npool/a1 would be maint\n", ran.out)
    assert.equal("ready ready maint", states())
    on("pool/a1")
    ran = s:haplua({ "-n", "scripts/maint.lua", "off", "m1" })
    assert.equal(4, ran.status)
    assert.matches("would send to .*: set server pool/a1 state ready\n", ran.out)
    assert.equal("maint ready maint", states())
    assert.equal(1, #status().maintenances)
  end)

  it("gives way to a hand", function()
    on("pool/a1", "--reason", "one")
    set("pool/a1", "ready")
    assert.equal("by hand", status().disagreements[1].kind)
    assert.matches("^pool/a1 was ready already\n  somebody has set it to ready by hand, and it is kept so\n  ended: m1",
      off("--server", "pool/a1"))
    assert.same({}, status().disagreements)
    on("pool/a1")
    set("pool/a1", "drain")
    do
      local k <close> = keep()
      eventually("it is reported", function()
        return k:out():find("pool/a1: somebody has set it to drain by hand, and it is kept so; it is drain", 1, true)
      end)
    end
    assert.equal("drain ready maint", states())
    assert.same({}, status().maintenances)
  end)

  it("ends without overwriting a stricter state that a hand gave the server", function()
    on("pool/a1", "--drain")
    set("pool/a1", "maint")
    assert.matches("^pool/a1 was maint already\n.*still in force: m2  pool/a1 maint, .* by hand", off("m1"))
    assert.equal("maint ready maint", states())
    off("--server", "pool/a1")
    assert.equal("ready ready maint", states())
  end)

  it("begins and ends at an answer that is garbled once as at a true one", function()
    local row = "(%d+) pool 1 a1 (%S+ %d+) %d+"
    local function act(name, answer, garbled)
      return s:haplua({ "-e", [[
        local core, nth, name, row, garbled = require("haplua.core"), tonumber(arg[1]), table.unpack(arg, 2)
        local batch = core.methods.batch
        function core.methods.batch(target, commands)
          local texts = batch(target, commands)
          if commands[2] and table.concat(commands[2], " ") == "show servers state" then
            nth = nth - 1
            texts[2] = nth == 0 and texts[2]:gsub(row, garbled) or texts[2]
          end
          return texts
        end
        require("haplua.apply.server_actions")[name]({ servers = { "pool/a1" }, drain = name == "begin" or nil })
      ]], answer, name, row, garbled })
    end
    for _, garbled in ipairs({ "%1 ppool 1 a1 %2 8", "%1 pool 1 aa1 %2 8", "%1 pool 1 a1 %2 0", "%1 pool 1 a1 %2 1",
      "%1 pool 1 a1 %2 8" }) do
      for answer = 1, 4 do
        local what = garbled .. " in answer " .. answer
        local ran = act("begin", answer, garbled)
        if ran.status ~= 0 then
          assert.matches("haplua: ", ran.err, 1, true)
          on("pool/a1", "--drain", "--yes")
        end
        assert.equal("drain ready maint", states(), what)
        ran = act("off", answer, garbled)
        if ran.status ~= 0 then
          assert.matches("haplua: ", ran.err, 1, true)
          off("--server", "pool/a1")
        end
        assert.equal("ready ready maint", states(), what)
        assert.same({}, status().maintenances)
      end
    end
  end)

  it("is put back where a hand counts for nothing", function()
    local config = s.config
    local _ <close> = setmetatable({}, { __close = function() s.config = config end })
    s.config = s.folder.write("undo.lua", [[return { by_hand = "undo", switches = { site = { acl = "#9999" } } }]])
    on("pool/a1")
    local k <close> = keep()
    set("pool/a1", "ready")
    eventually("it is back", function()
      return states() == "maint ready maint"
    end)
    eventually("it is reported", function()
      return k:out():find("pool/a1: somebody had set it to ready by hand; it is maint", 1, true)
    end)
    off("m1")
    assert.equal("ready ready maint", states())
  end)

  it("is begun on all targets, or on none", function()
    local other <close> = site.start({ more = "backend pool\n    server a1 127.0.0.1:1\n    server a2 127.0.0.1:2" })
    local function both(...)
      local words = { "-s", s.socket, "-s", other.socket, "scripts/maint.lua", ... }
      words.env = { HAPLUA_JOURNAL = s.journal, HAPLUA_CONFIG = s.config }
      return support.haplua(words)
    end
    local function there()
      return states() .. ", " .. other.target:servers("pool")[1].admin
    end
    assert.equal(0, both("on", "--server", "pool/a1").status)
    assert.equal("maint ready maint, maint", there())
    assert.equal(0, both("off", "--server", "pool/a1").status)
    assert.equal("ready ready maint, ready", there())
    assert.not_equal(0, both("on", "--server", "pool/a1", "--server", "pool/a3").status)
    assert.equal("ready ready maint, ready", there())
  end)

  it("is ended though HAProxy has no such server any more", function()
    local gone <close> = site.start({ more = "backend pool\n    server a1 127.0.0.1:1\n    server a2 127.0.0.1:2" })
    gone.journal, gone.config = s.journal, s.config
    good(gone:maint("on", "--server", "pool/a2"))
    local path = gone.dir .. "/haproxy.cfg"
    local text = running.content(path)
    gone.folder.write("haproxy.cfg", (text:gsub("[^\n]*server a2[^\n]*", "")))
    gone:reload()
    assert.matches("HAProxy has no server pool/a2", good(gone:maint("status")), 1, true)
    assert.matches("ended: m1", good(gone:maint("off", "--server", "pool/a2")))
    assert.not_matches("pool/a2", good(gone:maint("status")), 1, true)
  end)

  it("comes back after a reload, with the weight that the server had", function()
    local k <close> = keep()
    set("pool/a1", "ready", 37)
    on("pool/a1", "--drain")
    s:reload()
    eventually("it is back", function()
      local row = s.target:servers("pool")[1]
      return row.admin == "drain" and row.srv_uweight == 37
    end)
    eventually("it is reported", function()
      return k:out():find("pool/a1: HAProxy's process was replaced; it is drain", 1, true)
    end)
    off("--server", "pool/a1")
    local row = s.target:servers("pool")[1]
    assert.same({ "ready", 37 }, { row.admin, row.srv_uweight })
    assert.equal("", k:err())
  end)

  it("is over after a reload where nobody keeps it", function()
    set("pool/a1", "drain", 37)
    on("pool/a1")
    s:reload()
    assert.equal("forgotten", status().disagreements[1].kind)
    off("--server", "pool/a1")
    local row = s.target:servers("pool")[1]
    assert.same({ "ready", 37 }, { row.admin, row.srv_uweight }) -- off never closes
    on("pool/a1")
    s:reload()
    on("pool/a1")
    assert.equal("maint ready maint", states())
  end)

  it("is one of commands beside what HAProxy does by itself", function()
    local function t1()
      return s.target:servers("tracking")[2].admin
    end
    set("tracking/b1", "maint")
    assert.equal("maint", t1())
    assert.matches("^tracking/t1 is maint, as m1\n  HAProxy keeps it from taking requests: ", on("tracking/t1"))
    set("tracking/b1", "ready")
    assert.equal("maint", t1())
    assert.same({}, status().disagreements)
    set("tracking/b1", "maint")
    assert.matches("^tracking/t1 is ready\n  HAProxy keeps it from taking requests: ", off("--server", "tracking/t1"))
    assert.equal("maint", t1())
    set("tracking/b1", "ready")
    assert.equal("ready", t1())
  end)

  it("is held against an agent check that would bring the server back", function()
    local port = site.free_port()
    local agent = task.spawn(run, { "socat", "-U", ("tcp-listen:%d,bind=127.0.0.1,fork,reuseaddr"):format(port),
      "system:cat " .. s.folder.write("agent", "ready,up\n"), stderr = "null" })
    local _ <close> = setmetatable({}, { __close = function() agent:cancel() end })
    local held <close> = site.start({ more = ([[
backend pool
    timeout check 2s # HAProxy 2.2 takes 200 ms for one
    server a1 127.0.0.1:1 agent-check agent-port %d agent-inter 200ms
    server a2 127.0.0.1:2]]):format(port) })
    held.journal, held.config = s.journal, s.config
    local function row()
      return held.target:servers("pool")[1]
    end
    local function wait_for_agent()
      held.target:send("set server pool/a1 state drain")
      eventually("the agent brings the server back", function()
        return row().admin == "ready"
      end)
    end
    wait_for_agent()
    for _, state in ipairs({ "maint", "drain" }) do
      local words = { "on", "--server", "pool/a1", state == "drain" and "--drain" or nil }
      assert.matches("its agent check is off meanwhile", good(held:maint(table.unpack(words))), 1, true)
      assert.equal(state, row().admin)
      assert.equal(0, row().srv_agent_state & 4)
      assert.matches("its agent check runs again", good(held:maint("off", "--server", "pool/a1")), 1, true)
      assert.equal("ready", row().admin)
      assert.equal(4, row().srv_agent_state & 4)
    end
    -- after a reload the agent runs again, and wins until haplua looks
    good(held:maint("on", "--server", "pool/a1"))
    held:reload()
    wait_for_agent()
    do
      local k = running.start(held, "-s", held.socket, "scripts/keep.lua", "--journal", s.journal, "--config", s.config)
      local ends <close> = setmetatable({}, { __close = function()
        k:signal("TERM")
        k:wait()
      end })
      eventually("keep holds it against the agent", function()
        return ends and row().admin == "maint" and row().srv_agent_state & 4 == 0
      end)
    end
    -- a hand that puts it back into service gets the agent back at the end
    held.target:server_set({ server = "pool/a1", state = "ready" })
    good(held:maint("off", "--server", "pool/a1"))
    assert.equal(4, row().srv_agent_state & 4)
    assert.same({ "ready", "ready" }, { row().admin, held.target:servers("pool")[2].admin })
  end)

  it("is not counted on where it carries no traffic: a backup, and one of weight 0", function()
    local few <close> = site.start({ more = [[
backend spare
    server a1 127.0.0.1:1
    server b1 127.0.0.1:2 backup
backend idle
    server a1 127.0.0.1:1
    server a2 127.0.0.1:2 weight 0]] })
    few.journal, few.config = s.journal, s.config
    for _, name in ipairs({ "spare/a1", "idle/a1" }) do
      local ran = few:maint("on", "--server", name)
      assert.equal(1, ran.status)
      assert.matches(name .. " is the last server of its backend that takes requests", ran.err, 1, true)
      assert.matches("^" .. name .. " is maint", good(few:maint("on", "--server", name, "--force")))
    end
  end)

  it("does not count on a server that its check has taken out, and stays whatever the check says", function()
    local port = site.free_port()
    local checked <close> = site.start({ more = ([[
frontend health
    bind 127.0.0.1:%d
    acl gone hdr(host) -u 5001
    acl broken hdr(host) -u 5002
    http-request return status 404 if gone
    http-request return status 500 if broken
    http-request return status 200
backend pool
    option httpchk
    http-check send meth GET uri / ver HTTP/1.1 hdr host a1
    http-check disable-on-404
    server a1 127.0.0.1:1 check inter 100ms fall 1 rise 1 port %d
    server a2 127.0.0.1:2 track other/a2
backend other
    option httpchk
    http-check send meth GET uri / ver HTTP/1.1 hdr host a2
    http-check disable-on-404
    server a2 127.0.0.1:2 check inter 100ms fall 1 rise 1 port %d]]):format(port, port, port) })
    checked.journal, checked.config = s.journal, s.config
    local function status_of(name)
      for _, row in ipairs(checked.target:stat("pool")) do
        if row.svname == name then
          return tostring(row.status)
        end
      end
    end
    local function wait_for(name, pattern)
      eventually(("%s is %s"):format(name, pattern), function()
        return status_of(name):find(pattern) ~= nil
      end)
    end
    wait_for("a2", "^UP")
    -- a check that answers 404 keeps new sessions away, as a drained server does
    checked.target:acl_add("#5001", "a2")
    wait_for("a2", "NOLB")
    local ran = checked:maint("on", "--server", "pool/a1")
    assert.equal(1, ran.status)
    assert.matches("pool/a1 is the last server of its backend that takes requests", ran.err, 1, true)
    checked.target:acl_clear("#5001")
    wait_for("a2", "^UP")
    good(checked:maint("on", "--server", "pool/a1", "--drain"))
    for _ = 1, 2 do -- a check that flaps
      checked.target:acl_add("#5002", "a1")
      wait_for("a1", "DOWN")
      checked.target:acl_clear("#5002")
      wait_for("a1", "DRAIN")
      assert.equal("drain", checked.target:servers("pool")[1].admin)
    end
    good(checked:maint("off", "--server", "pool/a1"))
    wait_for("a1", "^UP")
  end)

  it("adds up in any order, with hands in between", function()
    good(s:haplua({ "-e", ([[
      math.randomseed(SEED)
      local maintenance, task = require("haplua.maintenance"), require("task")
      local rank, words = { ready = 0, drain = 1, maint = 2 }, { "ready", "drain", "maint" }
      local function row() return servers("pool")[1] end
      local trail
      local function check(ok, text) if not ok then error(text .. ": " .. table.concat(trail, " "), 0) end end
      for _ = 1, 60 do
        local base, hand, ids = words[math.random(3)], false, {}
        trail = { base }
        haproxy.server_set({ server = "pool/a1", state = base, weight = math.random(256) })
        local weight = row().srv_uweight
        for _ = 1, math.random(12) do
          local before, what = row().admin, math.random(5)
          if what <= 2 then
            local state = words[1 + math.random(2)]
            trail[#trail + 1] = "on " .. state
            local m = maintenance.on({ servers = { "pool/a1" }, drain = state == "drain", force = true }).servers[1]
            check(rank[row().admin] >= rank[before] and rank[row().admin] >= rank[state], "on opened")
            ids[m.about.id] = state
          elseif what == 3 then
            trail[#trail + 1] = "hand " .. words[math.random(3)]
            haproxy.server_set({ server = "pool/a1", state = trail[#trail]:match(" (.*)") })
            hand, base = hand or next(ids), next(ids) and base or row().admin
          elseif next(ids) then
            local id = next(ids)
            trail[#trail + 1] = "off " .. ids[id]
            local ok, result = pcall(maintenance.off, { ids = { id } })
            ids[id] = nil
            check(ok or tostring(result):find("is over"), "off failed: " .. tostring(result))
            check(rank[row().admin] <= rank[before], "off closed")
            local strictest = 0
            for _, m in ipairs(ok and result.servers[1].in_force or {}) do
              strictest = math.max(strictest, rank[m.scope.state])
            end
            check(rank[row().admin] >= strictest, "off opened what another holds")
          end
        end
        pcall(maintenance.off, { servers = { "pool/a1" }, all = true })
        trail[#trail + 1] = "off all"
        check(#maintenance.status({}).maintenances == 0, "one is left")
        check(row().srv_uweight == weight, "another weight")
        check(hand or row().admin == base, "another state")
      end
    ]]):gsub("SEED", os.getenv("SEED") or os.time()) }))
  end)

  describe("killed at each system call", function()
    local KILLER = (os.getenv("BUILD") or "build") .. "/killer"
    local STEP = tonumber(os.getenv("KILL_STEP")) or 7

    --- What HAProxy has is what the journal says, and nothing is broken off.
    local function check_together(admin, about)
      local row = s.target:servers("pool")[1]
      assert.same({ admin, 37 }, { row.admin, row.srv_uweight }, about)
      assert.same({}, status().disagreements, about)
    end

    --- Bring all together, each time in another way: `on`, `off`, or keep.
    local function recover(way, about)
      local there = #status().maintenances
      if way == 0 then
        on("pool/a1")
        check_together("maint", about)
      elseif way == 1 then
        s:maint("off", "--server", "pool/a1", "--all")
        check_together("ready", about)
      else
        local _ <close> = keep()
        eventually(about, function()
          return s.target:servers("pool")[1].admin == (there > 0 and "maint" or "ready") and #status().disagreements == 0
        end)
      end
      s:maint("off", "--server", "pool/a1", "--all")
      check_together("ready", about)
    end

    for _, command in ipairs({ "on", "off" }) do
      it("of `" .. command .. "`", function()
        set("pool/a1", "ready", 37)
        local number, status_of_run = 1, 137
        while status_of_run == 137 do
          if command == "off" then
            on("pool/a1")
          end
          local words = { KILLER, tostring(number), support.program()[1], "-s", s.socket, "scripts/maint.lua", command,
            "--server", "pool/a1" }
          words.env, words.stdout, words.stderr = { HAPLUA_JOURNAL = s.journal, HAPLUA_CONFIG = s.config }, "null", "null"
          status_of_run = run(words)
          recover(number // STEP % 3, ("%s, killed at system call %d"):format(command, number))
          number = number + STEP
        end
        assert.equal(0, status_of_run)
        print(("kill: maint %s --server: %d system calls"):format(command, number))
      end)
    end
  end)

  it("begins and ends by itself", function()
    local k <close> = keep()
    set("pool/a1", "ready", 37)
    support.in_time(function(seconds)
      local begun = os.time()
      on("pool/a1", "--for", seconds .. "s")
      local meanwhile = states()
      local in_time = os.time() < begun + seconds
      eventually("it has ended", function()
        return states() == "ready ready maint"
      end)
      assert.equal(in_time and "maint ready maint", in_time and meanwhile)
      return in_time
    end, 2)
    eventually("it is reported", function()
      return k:out():find("ended as planned", 1, true)
    end)
    on("pool/a1", "--drain", "--from", os.date("%Y-%m-%dT%H:%M:%S", os.time() + 2), "--for", "1h")
    eventually("it has begun", function()
      return states() == "drain ready maint"
    end)
    off("--server", "pool/a1")
    assert.equal(37, s.target:servers("pool")[1].srv_uweight)
    assert.same({}, status().maintenances)
  end)

  it("is refused for the last server that takes requests at that time", function()
    local _ <close> = keep()
    local function planned(server, hour)
      return s:maint("on", "--server", server, "--from", os.date("%Y-%m-%d ", os.time() + 86400 * 2) .. hour, "--for", "1h")
    end
    good(planned("pool/a1", "02:00"))
    local ran = planned("pool/a2", "02:30")
    assert.equal(1, ran.status)
    assert.matches("pool/a2 is the last server of its backend that takes requests", ran.err, 1, true)
    good(planned("pool/a2", "04:00"))
    good(planned("pool/a2", "00:30"))
  end)
end)
