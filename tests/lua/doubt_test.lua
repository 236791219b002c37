-- SPDX-License-Identifier: MIT
--
-- haplua cannot know whether HAProxy has carried out a change when the answer is lost or the connection reset.
-- tests/fault tries that at every byte; these tests keep what it found.

local support = require("support")

local NONE = "\\n# id (file) description\\n9999 () acl 'path' file 'x' line 1. curr_ver=%d next_ver=%d entry_cnt=0\\n\\n%s\\n"
local ENTRIES = "0x55aa ^/a\\n0x55ab ^/b\\n"

local function list(version, entries)
  return "say " .. NONE:format(version, version, entries)
end

--- A replacement by two patterns, whose commit is answered by these steps. Where they hold it, each request
-- has `timeout` seconds.
local function replace(timeout, ...)
  local fake = support.fake({
    "read", list(0, ""), "next",
    "read", "say \\n[6]: New version created: 1\\n\\n", "next",
    "read", "say \\n\\n\\n" .. ENTRIES .. "\\n", "next",
    "read", ...,
  })
  local target = haproxy.connect(fake.address, { timeout = timeout })
  local ok, problem = pcall(target.acl_replace, target, "#9999", { "^/a", "^/b" })
  pcall(target.send, haproxy.connect(fake.address), "show cli level") -- nothing comes after this
  return fake, ok, problem
end

--- All that was sent.
local function sent(fake)
  for n = 1, 20 do
    local text = table.concat(fake:wait(n), "\n")
    if text:find("show cli level", 1, true) then
      return text
    end
  end
end

describe("a commit", function()
  for name, steps in pairs({
    ["whose answer is lost"] = {},
    ["whose answer is cut"] = { "say \\n\\n# id (fi" },
    ["after which the look is refused"] = { "say \\n\\n[3]: No.\\n\\n" },
  }) do
    it(name .. " may be in force, and is not emptied", function()
      steps[#steps + 1] = "next"
      steps[#steps + 1] = "read"
      steps[#steps + 1] = "say \\n\\n"
      local fake <close>, ok = replace(nil, table.unpack(steps))
      assert.is_false(ok)
      local text = sent(fake)
      assert.matches(";commit acl @1 #9999", text, 1, true)
      assert.not_matches("clear acl", text, 1, true)
    end)
  end

  it("that is not answered in time may be in force, and is not emptied", function()
    support.in_time(function(seconds)
      local fake <close>, ok = replace(10 * seconds, "hold", "next", "read", "say \\n\\n")
      assert.is_false(ok)
      local text = sent(fake)
      local held = fake.holds and text:find(";commit acl @1 #9999", 1, true)
      assert.is_falsy(held and text:find("clear acl", 1, true))
      return held
    end)
  end)

  it("after which no version can be read is not believed", function()
    local answer = "say \\n\\n" .. NONE:format(1, 1, ""):sub(3):gsub("curr_ver", "ccurr_ver")
    local fake <close>, ok, problem = replace(nil, answer)
    assert.same({ false, "protocol" }, { ok, problem.kind })
    assert.matches("version unknown is in force", tostring(problem), 1, true)
    assert.not_matches("clear acl", sent(fake), 1, true)
  end)

  it("that is refused is not in force, and is emptied", function()
    local fake <close>, ok, problem = replace(nil, "say \\n[3]: Version number out of range.\\n\\n"
      .. "# id (file) description\\n9999 () acl 'path' file 'x' line 1. curr_ver=2 next_ver=2 entry_cnt=0\\n\\n",
      "next", "read", "say \\n\\n", "next", "read", "say \\nUptime_sec: 999999\\n\\n")
    assert.same({ false, "refused" }, { ok, problem.kind })
    assert.matches("clear acl @1 #9999", sent(fake), 1, true)
  end)
end)

describe("a version", function()
  it("without one of its entries is never in force", function()
    local fake <close> = support.fake({
      "read", list(0, ""), "next",
      "read", "say \\n[6]: New version created: 1\\n\\n", "next",
      "read", "say \\n\\n\\n0x55aa ^/a\\n\\n", "next",
      "read", "say \\n\\n", "next", "read", "say \\nUptime_sec: 999999\\n\\n",
    })
    local target = haproxy.connect(fake.address)
    local problem = support.failure(target.acl_replace, target, "#9999", { "^/a", "^/b" })
    assert.equal("protocol", problem.kind)
    pcall(target.send, target, "show cli level")
    local text = sent(fake)
    assert.matches("clear acl @1 #9999", text, 1, true)
    assert.not_matches("commit acl", text, 1, true)
  end)
end)

describe("a replacement that is refused by a new process", function()
  local refusal = "say \\n[3]: Version number out of range.\\n\\n" .. NONE:format(0, 0, "")

  it("begins anew, also where the look at the process is broken off", function()
    local fake <close>, ok, problem = replace(nil, refusal, "next", "read", "say \\n\\n", "next",
      "read", "say \\nUptime_sec: 0", "next", "read", "next", "read", "say \\nName: HAProxy\\nUptime_sec: 0\\n\\n", "next",
      "read", list(1, ENTRIES))
    assert.is_true(ok, tostring(problem))
    local _, looks = sent(fake):gsub("show info", "")
    assert.equal(3, looks)
  end)

  it("fails with the refusal where nobody answers that look", function()
    local fake <close>, ok, problem = replace(nil, refusal, "next", "read", "say \\n\\n", "next", "read")
    assert.same({ false, "refused" }, { ok, problem.kind })
    assert.matches("show info", sent(fake), 1, true)
  end)
end)

describe("a connection that is reset", function()
  it("has a reading request sent again, but no other", function()
    local fake <close> = support.fake({ "reset", "next", "read", "say \\nName: x\\n\\n" })
    assert.equal("Name: x", haproxy.connect(fake.address):send("show info"))
    local other <close> = support.fake({ "reset", "next", "read", "say \\n\\n" })
    local target = haproxy.connect(other.address)
    local ok, problem = pcall(target.send, target, "add acl #9999 x")
    assert.same({ false, "unreachable", "ECONNRESET" }, { ok, problem.kind, problem.code })
  end)

  it("makes a replacement look anew at what there is", function()
    local fake <close> = support.fake({
      "read", list(0, ""), "next",
      "reset", "next",
      "read", list(1, ENTRIES),
    })
    local added, removed = haproxy.connect(fake.address):acl_replace("#9999", { "^/a", "^/b" })
    assert.same({ 2, 0 }, { added, removed })
    fake:wait(3)
    local _, looks = table.concat(fake.log):gsub("show acl #9999", "")
    assert.equal(2, looks)
  end)

  it("has what sets a server sent again", function()
    local state = "1\\n# be_id be_name srv_name srv_admin_state\\n1 app a1 8\\n"
    local fake <close> = support.fake({ "reset", "next", "read", "say \\n\\n", "next", "read", "say \\n" .. state .. "\\n" })
    assert.equal("drain", haproxy.connect(fake.address):server_set({ server = "app/a1", state = "drain" }).admin)
  end)
end)

describe("a change without an answer", function()
  local task = require("task")

  --- How many changes the error of `fn(target)` calls in doubt, and the error.
  local function doubt(steps, fn)
    local fake <close> = support.fake(steps)
    local problem = support.failure(fn, haproxy.connect(fake.address))
    return problem.in_doubt, problem
  end

  --- As doubt(), of a request that is read and never answered. fn(target, seconds) gives up after that time.
  local function doubt_held(fn)
    local n, problem
    support.in_time(function(seconds)
      local fake <close> = support.fake({ "read", "hold" })
      problem = support.failure(fn, haproxy.connect(fake.address, { timeout = 10 * seconds }), seconds)
      n = problem.in_doubt
      return fake.holds
    end)
    assert.equal("timeout", problem.kind)
    return n, problem
  end

  local function add(target)
    target:send("add acl #9999 x")
  end

  it("may have been carried out, once it was sent", function()
    for name, steps in pairs({
      closed = { "read" }, cut = { "read", "say \\n" }, reset = { "read", "reset" }, late = "hold",
      strange = { "read", "say \\x00\\n\\n" },
    }) do
      local n, problem
      if steps == "hold" then
        n, problem = doubt_held(add)
      else
        n, problem = doubt(steps, add)
      end
      assert.equal(1, n, name)
      assert.matches("; the change may have been carried out", tostring(problem), 1, true)
    end
  end)

  it("was not carried out where it was not sent, or refused", function()
    local ok, problem = pcall(add, haproxy.connect("/nonexistent/haplua.sock"))
    assert.same({ false, "unreachable" }, { ok, problem.kind, problem.in_doubt })
    for _, reply in ipairs({ "\\n[3]: No.\\n\\n", "Can't connect to the target CLI!\\n" }) do
      assert.is_nil((doubt({ "read", "say " .. reply }, add)))
    end
  end)

  it("is none where the command only reads", function()
    local function get(target)
      target:send("show info")
    end
    for _, problem in ipairs({
      select(2, doubt({ "read" }, get)), select(2, doubt({ "read", "say \\nx" }, get)), select(2, doubt_held(get)),
    }) do
      assert.is_nil(problem.in_doubt)
      assert.not_matches("carried out", tostring(problem), 1, true)
    end
  end)

  it("is counted among several, answered ones and reading ones apart", function()
    local n, problem = doubt({ "read", "say \\n\\n" }, function(target)
      target:batch({ "add acl #9999 a", "add acl #9999 b", "show acl", "add acl #9999 c" })
    end)
    assert.same({ 2, 1, 2 }, { n, problem.done, problem.index })
    assert.matches("; the 2 changes may have been carried out, or some", tostring(problem), 1, true)
    assert.not_matches(": ;", tostring(problem), 1, true)
  end)

  it("is counted by the error that breaks off the wait", function()
    assert.equal(1, (doubt_held(function(target, seconds)
      task.deadline(seconds, add, target)
    end)))
    assert.is_nil((doubt_held(function(target, seconds)
      task.deadline(seconds, target.send, target, "show info")
    end)))
  end)

  it("of a maintenance is looked for with maint status", function()
    local fake <close> = support.fake({
      "read", "say \\n[6]: New version created: 1\\n\\n", "next", "read", "say \\n\\n\\n" .. ENTRIES .. "\\n", "next", "read",
    })
    local live = { patterns = {}, state = { list = { id = 9999, curr_ver = 0 }, text = "" } }
    local wish = { patterns = { "^/a", "^/b" }, info = { keys = {}, values = {} } }
    local apply = require("haplua.haproxy.switch").apply
    local problem = support.failure(apply, haproxy.connect(fake.address), { acl = "#9999" }, live, wish, {})
    assert.matches("^commit acl", problem.command)
    assert.same({ 1, "haplua maint status" }, { problem.in_doubt, problem.look })
    assert.matches("sent again, with\n    haplua maint status", require("haplua.host.advice")(
      require("haplua.error").new({ kind = "protocol", message = "cut", in_doubt = 1, look = problem.look })), 1, true)
  end)

  it("makes the advice say where to look", function()
    for command, look in pairs({
      ["add acl #9999 x"] = "show acl #9999", ["set map /a/b.map k v"] = "show map /a/b.map",
      ["set server app/a1 state maint"] = "show servers state app",
    }) do
      local fake <close> = support.fake({ "read" })
      local ran = support.haplua({ "-s", fake.address, "-e", ("send %q"):format(command) })
      assert.matches("; the change may have been carried out\n", ran.err, 1, true)
      assert.matches(("look before it is sent again, with\n    haplua -e 'print(send \"%s\")'\n"):format(look), ran.err, 1, true)
    end
    local fake <close> = support.fake({ "read" })
    local ran = support.haplua({ "-s", fake.address, "-e", "send 'shutdown frontend x'" })
    assert.matches("look before it is sent again\n", ran.err, 1, true)
  end)
end)

describe("a row", function()
  it("with more or fewer fields than columns is not read", function()
    for _, row in ipairs({ "1 app  a1 0", "1 app a1" }) do
      local fake <close> = support.fake({ "read", "say \\n1\\n# be_id be_name srv_name srv_admin_state\\n" .. row .. "\\n\\n" })
      local target = haproxy.connect(fake.address)
      local ok, problem = pcall(target.servers, target)
      assert.is_false(ok)
      assert.equal("protocol", problem.kind)
    end
  end)
end)

describe("a long list", function()
  it("that changes while it is read is read again, also where the answer ends as it should", function()
    local module = require("haplua.haproxy.list")
    local version, reads = 1, 0
    local function shown()
      return ("# id (file) description\n1 () acl 'path' file 'x' line 1. curr_ver=%d next_ver=%d entry_cnt=2000\n")
        :format(version, version)
    end
    local target = {}
    function target.batch()
      reads = reads + 1
      local all, entries = shown(), {}
      for i = 1, reads == 1 and 1000 or 2000 do
        entries[i] = ("0x%x ^/path-number-%d\n"):format(0x1000 + i, i)
      end
      version = reads == 1 and 2 or version -- another client commits, which ends the first dump early
      return { all, table.concat(entries) }
    end
    function target.send()
      return shown()
    end
    assert.same({ 2000, 2 }, { #module.read(target, "acl", "#1"), reads })
  end)
end)

describe("a maintenance of the whole site", function()
  it("is not on where HAProxy says that a request does not match", function()
    local change, switch = require("haplua.apply.change"), require("haplua.haproxy.switch")
    local apply = switch.apply
    local _ <close> = setmetatable({}, { __close = function() switch.apply = apply end })
    local c = { target = haproxy.connect("/nowhere.sock"), switch = { acl = "#9999" } }
    local function carry_out(tests)
      function switch.apply()
        return { added = 1, removed = 0, others = 0, tests = tests }
      end
      return pcall(change.carry_out, c, {}, { action = "on", patterns = { "^.*$" }, probe = "/", whole = true, in_force = {} })
    end
    local ok, problem = carry_out({ { found = false } })
    assert.is_false(ok)
    assert.equal("protocol", problem.kind)
    assert.equal("no match, although every request should match", problem.reply)
    local found, result = carry_out({ { found = true } })
    assert.same({ true, "/" }, { found, result.confirmed })
  end)
end)
