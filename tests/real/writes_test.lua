-- SPDX-License-Identifier: MIT
--
-- The kernel's view of what haplua sends: each request in one write, whole, over each way to HAProxy; and when
-- the system will not take it whole, nothing at all. tests/real/writes.c watches the system calls.

local danger = require("danger")
local running = require("running")
local site = require("site")
local support = require("support")

local WRITES = (os.getenv("BUILD") or "build") .. "/writes"

-- Lists of many sizes, patterns of the greatest length, and payloads.
local SIZES = [[
  local maps = arg[1]
  for _, size in ipairs({ 2, 100, 1100, 2048, 2240, 4480, 7500, 14000, 14500 }) do
    haproxy.acl_replace("#8001", { "first", ("x"):rep(size), (";"):rep(size // 2), "last" })
    haproxy.map_replace(maps, { k = ("v"):rep(size), [("k"):rep(size)] = "v" })
    haproxy.map_clear(maps)
    for _, lines in ipairs({ 1, 2, 99 }) do
      send("add map " .. maps, ("k " .. ("v"):rep(size // lines) .. "\n"):rep(lines))
    end
    send("add map " .. maps, "k " .. ("v"):rep(size))
  end
  local many = {}
  for i = 1, 3000 do
    many[i] = ("/some/path/%d/%s"):format(i, ("y"):rep(i % 97))
  end
  haproxy.acl_replace("#8001", many)
  haproxy.acl_replace("#8001", {})
  for n = 14900, 15001 do
    pcall(acl_add, "#8001", ("z"):rep(n))
    pcall(send, "add map " .. maps, "k " .. ("v"):rep(n - #maps) .. "\n")
  end
]]

describe("the kernel sees", function()
  local s, port

  setup(function()
    port = site.free_port()
    s = site.start({
      global = ("stats socket ipv4@127.0.0.1:%d level admin"):format(port),
      frontend = "acl words path -u 8001 -m str\n    acl mapped path,map(DIR/values.map) -m found",
      files = { ["values.map"] = "" },
      more = "backend pool\n    server a 127.0.0.1:1\n    server b 127.0.0.1:1\n",
    })
    s.journal = s.dir .. "/journal.db"
    s.config = s.folder.write("config.lua", [[return { switches = { site = { acl = "#9999" } } }]])
  end)

  teardown(function()
    s:close()
  end)

  --- The words that run haplua under tests/real/writes.c.
  local function watched(buffers, log, ...)
    local words = { WRITES, log, buffers, support.program()[1] }
    for _, word in ipairs({ ... }) do
      words[#words + 1] = word
    end
    -- LeakSanitizer cannot work under ptrace
    words.env = { HAPLUA_JOURNAL = s.journal, HAPLUA_CONFIG = s.config, ASAN_OPTIONS = "detect_leaks=0" }
    return words
  end

  --- What was sent, in order: {connection=, address=, call=, asked=, returned=, bytes=}
  local function calls(log)
    local found = {}
    for _, line in ipairs(running.lines(log)) do
      local connection, address, call, asked, returned, hex = line:match("^(%d+) (%S+) (%a+) (%d+) (%-?%d+) (%x*)$")
      assert(connection, line)
      found[#found + 1] = {
        connection = connection, address = address, call = call, asked = tonumber(asked), returned = tonumber(returned),
        bytes = hex:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end),
      }
    end
    return found
  end

  --- Each connection to `address` has one request, sent by one call. Returns how many there were, and the
  -- size of the longest.
  local function check(log, address, route)
    local seen, n, longest = {}, 0, 0
    for _, call in ipairs(calls(log)) do
      local about = ("%s %d of %d bytes %q"):format(call.call, call.returned, call.asked, call.bytes:sub(1, 80))
      assert.not_equal("unseen", call.call)
      if call.address == address and call.call ~= "shutdown" then
        assert.is_nil(seen[call.connection], "a second write: " .. about)
        assert.equal(call.asked, call.returned, "not whole: " .. about)
        assert.equal(call.asked, #call.bytes, about)
        assert.is_nil(danger.why(call.bytes, route), about)
        seen[call.connection] = true
        n, longest = n + 1, math.max(longest, call.asked)
      end
    end
    return n, longest
  end

  --- Run haplua to its end, and check what it sent.
  local function looked_at(way, ...)
    local log = s.dir .. "/writes.log"
    local words = watched(way.buffers or "no", log, "-t", tostring(site.ANSWER_SECONDS), table.unpack(way.words))
    for _, word in ipairs({ ... }) do
      words[#words + 1] = word
    end
    words.stdout, words.stderr = "capture", "capture"
    local status, out, err = run(words)
    assert.equal(way.status or 0, status, out .. err)
    local n, longest = check(log, way.seen, way.route)
    return n, longest, err
  end

  local ways = {
    ["a local socket"] = function()
      return { words = { "-s", s.socket }, seen = s.socket }
    end,
    ["a local socket with the smallest buffer"] = function()
      return { words = { "-s", s.socket }, seen = s.socket, buffers = "once" }
    end,
    ["TCP"] = function()
      return { words = { "-s", "127.0.0.1:" .. port }, seen = tostring(port) }
    end,
    ["TCP with the smallest buffer"] = function()
      return { words = { "-s", "127.0.0.1:" .. port }, seen = tostring(port), buffers = "once" }
    end,
    ["the master CLI"] = function()
      return { words = { "-s", s.master, "--via", "@1" }, seen = s.master, route = "@1" }
    end,
    ["the master CLI with the smallest buffer"] = function()
      return { words = { "-s", s.master, "--via", "@1" }, seen = s.master, route = "@1", buffers = "once" }
    end,
  }

  for name, find in pairs(ways) do
    it("each policy's requests whole, each in one write, over " .. name, function()
      local way = find()
      assert.is_true(looked_at(way, "scripts/maint.lua", "on", "--path", "/a", "--reason", "why") > 0)
      assert.is_true(looked_at(way, "scripts/maint.lua", "status") > 0)
      assert.is_true(looked_at(way, "scripts/maint.lua", "off") > 0)
      assert.is_true(looked_at(way, "scripts/maint.lua", "during", "--", "true") > 0)
      assert.is_true(looked_at(way, "scripts/drain.lua", "pool/a") > 0)
      assert.is_true(looked_at(way, "-e", 'haproxy.server_set({ server = "pool/a", state = "ready", weight = 1 })') > 0)
      assert.is_true(looked_at(way, "scripts/rolling.lua", "pool", "--settle", "0", "--", "true") > 0)
    end)

    it("requests of every size whole, each in one write, over " .. name, function()
      local n, longest = looked_at(find(), "-e", SIZES, s.dir .. "/values.map")
      assert.is_true(n > 150, n)
      assert.equal(danger.MAX, longest)
    end)
  end

  --- Run a policy that does not end by itself, until it has printed a text.
  local function looked_at_until(said, ...)
    local log = s.dir .. "/writes.log"
    local words = watched("no", log, "-s", s.socket, ...)
    local out = {}
    function words.stdout(line)
      out[#out + 1] = line
    end
    words.stderr = words.stdout
    local policy = task.spawn(run, words)
    running.eventually(said, function()
      local text = table.concat(out, "\n")
      return text:find(said) or policy:done() and error(text, 0)
    end)
    policy:cancel()
    pcall(policy.wait, policy)
    return check(log, s.socket)
  end

  it("the same of those that go on: watch, keep, window", function()
    assert.is_true(looked_at_until("matches nothing", "scripts/watch.lua", "--every", "0.05") > 0)
    assert.is_true(looked_at_until("kept to", "scripts/keep.lua") > 0)
    local now = require("haplua.time.instant").iso(os.time())
    assert.is_true(looked_at_until("is on", "scripts/window.lua", "run", now .. " for 1h") > 0)
    assert.equal(0, s:maint("off").status)
  end)

  it("nothing of a request that the system will not take whole", function()
    local way = { words = { "-s", s.socket }, seen = s.socket, buffers = "always", status = 3 }
    local n, _, err = looked_at(way, "-e", 'acl_add("#8001", ("x"):rep(5000))')
    assert.equal(0, n)
    assert.matches("HAProxy before 3.0 can stall", err, 1, true)
    assert.matches("net.core.wmem_max", err, 1, true)
    way.status = 0
    assert.equal(1, (looked_at(way, "-e", 'acl_add("#8001", ("x"):rep(2000))')))
  end)

  it("nothing of a first line that one segment of TCP will not take", function()
    local short = site.free_port()
    local other <close> = site.start({
      global = ("stats socket ipv4@127.0.0.1:%d level admin mss 1400"):format(short),
      frontend = "acl mapped path,map(DIR/values.map) -m found",
      files = { ["values.map"] = "" },
    })
    local way = { words = { "-s", "127.0.0.1:" .. short }, seen = tostring(short), status = 3 }
    local n, _, err = looked_at(way, "-e", 'acl_add("#9999", ("x"):rep(1400))')
    assert.equal(0, n)
    assert.matches("use HAProxy's local socket", err, 1, true)
    way.status = 0
    assert.equal(1, (looked_at(way, "-e", 'acl_add("#9999", ("x"):rep(1200))')))
    n = looked_at(way, "-e", [[local many = {} for i = 1, 500 do many[i] = "/some/path/" .. i end
      haproxy.acl_replace("#9999", many)]])
    assert.is_true(n > 10)
    assert.equal(500, #other.target:acl_list("#9999"))
  end)
end)
