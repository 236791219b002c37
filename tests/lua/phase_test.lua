-- SPDX-License-Identifier: MIT
--
-- Where a request was when it failed, what the user is told then, and that nothing waits for a name server.

local support = require("support")

local failure = support.failure

local function ask(target)
  target:send("show info")
end

--- Run haplua for a host whose name server never answers (tests/names.c). A run that waits for it never ends.
local function haplua(...)
  local options = { "-s", "www.never.test:9999", ... }
  options.env = {
    LD_PRELOAD = (os.getenv("BUILD") or "build") .. "/names.so",
    ASAN_OPTIONS = "verify_asan_link_order=0", -- the sanitizer would rather be the first library
  }
  return support.haplua(options)
end

describe("a name server that does not answer", function()
  it("is waited for until the deadline, and the message says so", function()
    local ran = haplua("-t", "0.05", "-e", "send 'show info'")
    assert.equal(3, ran.status)
    assert.matches("www.never.test:9999: the name was not resolved within 0.05 s\n", ran.err, 1, true)
    assert.matches("no name server has answered", ran.err, 1, true)
    assert.matches("getent ahosts www.never.test", ran.err, 1, true)
    assert.not_matches("HAProxy did not answer", ran.err, 1, true)
  end)

  it("does not keep a script that ends otherwise", function()
    for chunk, status in pairs({
      ["task.spawn(send, 'show info') task.sleep(0.01) os.exit(7)"] = 7,
      ["local t = task.spawn(send, 'show info') task.sleep(0.01) t:cancel() pcall(t.wait, t) return 8"] = 8,
      ["local ok, e = pcall(task.deadline, 0.01, send, 'show info') return e.kind == 'timeout' and 9 or 0"] = 9,
      ["for _ = 1, 100 do task.spawn(send, 'show info') end task.sleep(0.01) os.exit(7)"] = 7,
      [ [[
        task.spawn(send, "show info")
        local f <close> = io.open("/proc/self/stat")
        run{ "kill", "-TERM", f:read("n") }
        task.sleep(3600)
      ]] ] = 143,
    }) do
      assert.equal(status, haplua("-e", chunk).status, chunk)
    end
  end)

  it("does not keep other targets' look-ups, nor later ones, from their answers", function()
    local fake <close> = support.fake({ "read", "say \\nName: x\\n\\n", tcp = true })
    local ran = haplua("-t", "60", "-e", [[
      for i = 1, 8 do
        task.spawn(pcall, send, "show info")
      end
      task.sleep(0.01)
      print(haproxy.connect("localhost:" .. arg[1], { timeout = 5 }):send("show info"))
      os.exit(0)
    ]], fake.address:match(":(%d+)$"))
    assert.same({ 0, "Name: x\n", "" }, { ran.status, ran.out, ran.err })
  end)
end)

describe("the phase of an error", function()
  local function phase(fn, ...)
    local problem = failure(fn, ...)
    return { problem.kind, problem.phase }
  end

  it("is resolve where there is no such name", function()
    local target = haproxy.connect("no-such-host.invalid:9999", { timeout = 60 })
    assert.same({ "unreachable", "resolve" }, phase(ask, target))
  end)

  it("is connect where nobody listens, or takes the connection", function()
    assert.same({ "unreachable", "connect" }, phase(ask, haproxy.connect("/nonexistent/haplua.sock")))
    local fake <close> = support.fake({ "deaf" })
    local problem = failure(task.all, { 1, 2, 3, 4 }, function()
      ask(haproxy.connect(fake.address, { timeout = 0.05 }))
    end)
    assert.is_truthy(problem.phase == "connect" or problem.phase == "read", problem.phase)
  end)

  it("is queue for a request that waits for others", function()
    local fake <close> = support.fake({ "hold" })
    local target = haproxy.connect(fake.address, { timeout = 60 })
    local others = {}
    for i = 1, 4 do
      others[i] = task.spawn(ask, target)
    end
    task.sleep(0)
    local ran, problem = pcall(target.batch, target, { "show info" }, nil, nil, 0.02)
    assert.is_false(ran)
    assert.same({ "timeout", "queue" }, { problem.kind, problem.phase })
    assert.matches("no connection came free within 0.02 s", tostring(problem), 1, true)
    for _, other in ipairs(others) do
      other:cancel()
    end
  end)

  it("is read where the answer is missing, and none where HAProxy has answered", function()
    for _, steps in ipairs({ { "hold" }, { "read", "reset" }, { "read", "say \\nName: x\\n", "hold" } }) do
      local fake <close> = support.fake(steps)
      assert.equal("read", failure(ask, haproxy.connect(fake.address, { timeout = 0.05 })).phase)
    end
    local fake <close> = support.fake({ "read", "say \\n[3]: No.\\n\\n" })
    assert.same({ "refused" }, phase(ask, haproxy.connect(fake.address)))
  end)

  it("decides what the user is told to do", function()
    local advice, new = require("haplua.host.advice"), require("haplua.error").new
    local seen = {}
    for _, kind in ipairs({ "timeout", "unreachable" }) do
      for _, name in ipairs({ "queue", "resolve", "connect", "write", "read" }) do
        local target = tostring(haproxy.target())
        local text = advice(new({ kind = kind, message = "x", phase = name, target = target }))
        assert.equal(kind == "unreachable" and name == "queue", text == nil)
        seen[text or ""] = true
      end
    end
    local n = 0
    for _ in pairs(seen) do
      n = n + 1
    end
    assert.equal(9, n) -- unreachable says the same for write and read
  end)
end)
