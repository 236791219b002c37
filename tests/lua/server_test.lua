-- SPDX-License-Identifier: MIT
--
-- haproxy.server_set and haplua.server against an HAProxy that does not do, or shows, what it should.

local core = require("haplua.core")
local module = require("haproxy")
local server = require("haplua.server")
local support = require("support")

describe("a change of a server", function()
  local Target = core.methods
  local batch, servers, stat = Target.batch, Target.servers, Target.stat
  local sent, row, looks, other

  before_each(function()
    sent, looks, other = {}, 0, "ready"
    row = { be_name = "app", srv_name = "a1", admin = "ready", operational = "running", srv_addr = "192.0.2.1", srv_port = 80,
      srv_uweight = 7, srv_iweight = 10 }
    function Target:batch(commands)
      for _, command in ipairs(commands) do
        sent[#sent + 1] = table.concat(command, " ", 4)
      end
    end
    function Target:servers()
      looks = looks + 1
      return { row, { be_name = "app", srv_name = "a2", admin = other, operational = "running", srv_uweight = 7 } }
    end
  end)

  after_each(function()
    Target.batch, Target.servers, Target.stat = batch, servers, stat
    module.servers, module.stat = nil, nil -- the module remembers the methods that were called
  end)

  local function set(want)
    want.server = want.server or "app/a1"
    return haproxy.connect("/nowhere.sock"):server_set(want)
  end

  it("is read back, each field of it", function()
    for reply, want in pairs({
      ["admin is ready afterwards"] = { state = "drain" },
      ["srv_uweight is 7 afterwards"] = { weight = 8 },
      ["srv_addr is 192.0.2.1 afterwards"] = { addr = "192.0.2.2" },
      ["srv_port is 80 afterwards"] = { addr = "192.0.2.1", port = 81 },
    }) do
      local ok, problem = pcall(set, want)
      assert.is_false(ok, reply)
      assert.same({ "protocol", reply }, { problem.kind, problem.reply })
    end
    local ok, problem = pcall(set, { weight = "50%" })
    assert.same({ false, "srv_uweight is 7 afterwards" }, { ok, problem.reply })
    row = nil
    ok, problem = pcall(set, { state = "ready" })
    assert.same({ false, "the server is gone afterwards" }, { ok, problem.reply })
  end)

  it("may show later, as HAProxy 3.0's new addresses do", function()
    function Target:servers()
      looks = looks + 1
      row.srv_port = looks > 3 and 81 or 80
      return { row }
    end
    assert.equal(81, set({ addr = "192.0.2.1", port = 81 }).srv_port)
    assert.equal(4, looks)
  end)

  it("is one where HAProxy shows what is wanted in another form", function()
    row.srv_addr, row.srv_uweight = "2001:db8::1", 5
    for _, want in ipairs({
      { addr = "2001:DB8:0::01" }, { weight = "50%" }, { weight = "5" },
      { weight = 5, state = "ready", port = 80, addr = "2001:db8::1" },
    }) do
      assert.equal(row, set(want))
    end
    assert.same({
      "addr 2001:DB8:0::01", "weight 50%", "weight 5", "addr 2001:db8::1 port 80", "weight 5", "state ready",
    }, sent)
  end)

  it("is refused before anything is sent where HAProxy would refuse a part, or leave it out", function()
    for text, want in pairs({
      ["option 'port' needs 'addr'"] = { port = 80, state = "drain" },
      ["option 'port' must be an integer from 1 to 65535, not a string ('80')"] = { addr = "192.0.2.1", port = "80" },
      ["option 'port' must be an integer from 1 to 65535, not a number (65536)"] = { addr = "192.0.2.1", port = 65536 },
      ["option 'addr' must be an IPv4 or IPv6 address, not a string ('a.example')"] = { addr = "a.example", state = "drain" },
      ["option 'addr' must be an IPv4 or IPv6 address, not a string ('192.0.2.01')"] = { addr = "192.0.2.01" },
      ["not a number (257)"] = { weight = 257, state = "drain" },
      ["not a number (-1)"] = { weight = -1 },
      ["not a number (1.5)"] = { weight = 1.5 },
      ["not a string ('300')"] = { weight = "300" },
      ["not a string ('half')"] = { weight = "half" },
      ["option 'state' must be 'ready', 'drain' or 'maint', not a string ('darin'); did you mean 'drain'?"] = { state = "darin" },
      ["no option 'wieght'; did you mean 'weight'?"] = { wieght = 1 },
      ["state, weight or addr expected"] = {},
      ["option 'server' must be a text such as 'backend/server', not a string ('a1')"] = { server = "a1", state = "drain" },
      ["option 'server' must be a text such as 'backend/server', not a number (5)"] = { server = 5, state = "drain" },
    }) do
      local ok, problem = pcall(set, want)
      assert.is_false(ok, text)
      assert.matches(text, problem, 1, true)
      assert.matches("server_test%.lua:%d+: server_set: ", problem)
    end
    assert.is_false((pcall(Target.server_set, haproxy.connect("/nowhere.sock"))))
    assert.same({}, sent)
  end)

  --- Have `batch` answer what haplua.server asks, and set row.admin.
  local function answer_batches()
    local bits = { ready = 0, maint = 1, drain = 8 }
    row.srv_admin_state, row.srv_agent_state = 0, 0
    Target.stat = Target.stat ~= stat and Target.stat or function()
      return { { svname = "a1", scur = 0, bck = 0 } }
    end
    function Target:batch(commands)
      if commands[1][1] == "set" then
        row.admin, row.srv_admin_state = commands[1][5], bits[commands[1][5]]
        return {}
      end
      return { "Pid: 1\nUptime_sec: 5\nVersion: 2.6.12\n", ([[
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_agent_state srv_port
3 app 1 a1 192.0.2.1 2 %d 7 10 0 80
3 app 2 a2 192.0.2.2 2 0 7 10 0 80
]]):format(bits[row.admin]) }
    end
  end

  it("waits for those that wait for the server, too", function()
    local idle = 0
    function Target:stat()
      idle = idle + 1
      return { { svname = "a1", scur = idle == 1 and 1 or 0, qcur = idle == 2 and 1 or 0, bck = 0 } }
    end
    answer_batches()
    do
      local held <close> = server.hold("app/a1", { journal = "none" })
      held:drain(60)
      assert.same({ 3, "drain" }, { idle, row.admin })
      held:keep()
    end
    assert.equal("drain", row.admin)
  end)

  it("that is undone while the server drains is refused", function()
    function Target:stat()
      row.admin = "ready" -- as a reload does
      return { { svname = "a1", scur = 0, bck = 0 } }
    end
    answer_batches()
    local held = server.hold("app/a1", { journal = "none" })
    local ok, problem = pcall(held.drain, held, 60)
    assert.is_false(ok)
    assert.equal("refused", problem.kind)
    assert.matches(": app/a1 is ready although it was drained$", problem.message)
  end)

  it("gives way to somebody who takes the other server away at the same time", function()
    answer_batches()
    local batch_of_one = Target.batch
    function Target:batch(commands)
      other = commands[1][1] == "set" and "drain" or other
      return batch_of_one(self, commands)
    end
    local held <close> = server.hold("app/a1", { journal = "none" })
    local problem = support.refusal(held.drain, held, 60)
    assert.matches("app/a1 is the last server of its backend", problem.message, 1, true)
    assert.same({ "ready", "drain" }, { row.admin, other })
  end)

  it("that somebody undoes after the wait is refused before the work begins", function()
    for _, state in ipairs({ false, "maint" }) do
      row.admin = "ready"
      function Target:stat()
        return { { svname = "a1", scur = 0, bck = 0 } }
      end
      answer_batches()
      local held = server.hold("app/a1", { journal = "none" })
      held:drain(60)
      row.admin, row.srv_admin_state = "ready", 0
      local problem = support.refusal(held.keep, held, state or nil)
      assert.matches("app/a1 is not out of service any more", problem.message, 1, true)
      assert.is_false(held.kept)
    end
  end)

  it("of a run leaves a server alone that somebody has taken meanwhile", function()
    answer_batches()
    local next_one, _, _, _ <close> = server.each("app", { journal = "none", force = true })
    row.admin, row.srv_admin_state = "drain", 8
    assert.equal("app/a2", next_one().name)
    assert.is_nil(next_one())
  end)

  it("waits for another process that changes a server of the same backend", function()
    answer_batches()
    local folder <close> = support.folder()
    local journal = folder.path .. "/journal.db"
    local held = server.hold("app/a1", { journal = journal })
    local lock = held.c.store:lock(held.c.name, "backend app")
    local setting = task.spawn(held.set, held, "drain")
    task.sleep(0.1)
    assert.equal("ready", row.admin)
    lock:release()
    assert.equal("drain", setting:wait())
    held.c.store:close()
  end)

  it("of a held one is checked before anything is sent", function()
    answer_batches()
    local held = server.hold("app/a1", { journal = "none" })
    for text, call in pairs({
      ["server.hold: name must be a text such as 'backend/server', not a string ('a1')"] = function() server.hold("a1") end,
      ["server.hold: name must be a text such as 'backend/server', not nil"] = function() server.hold() end,
      ["server.hold: no option 'froce'; did you mean 'force'?"] = function() server.hold("app/a1", { froce = true }) end,
      ["server.hold: option 'force' must be true or false, not a string ('yes')"] = function()
        server.hold("app/a1", { force = "yes" })
      end,
      ["server.hold: a table of options is expected, not true"] = function() server.hold("app/a1", true) end,
      ["held:drain: timeout must be seconds, 0 or more, not nil"] = function() held:drain() end,
      ["held:drain: timeout must be seconds, 0 or more, not a string ('60')"] = function() held:drain("60") end,
      ["held:drain: timeout must be seconds, 0 or more, not a number (-1)"] = function() held:drain(-1) end,
      ["held:set: state must be 'ready', 'drain' or 'maint', not nil"] = function() held:set() end,
      ["held:keep: state must be 'ready', 'drain' or 'maint', not a string ('mnaint'); did you mean 'maint'?"] = function()
        held:keep("mnaint")
      end,
      ["held:keep: state must be 'ready', 'drain' or 'maint', not false"] = function() held:keep(false) end,
      ["held:wait_up: settle must be seconds, 0 or more, not nil"] = function() held:wait_up(nil, 1) end,
      ["held:wait_up: timeout must be seconds, 0 or more, not nil"] = function() held:wait_up(1) end,
    }) do
      local ok, problem = pcall(call)
      assert.is_false(ok, text)
      assert.matches("server_test.lua:%d+: ", problem)
      assert.matches(text, problem, 1, true)
    end
    assert.same({}, sent)
    assert.is_false(held.kept)
  end)
end)
