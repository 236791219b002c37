-- SPDX-License-Identifier: MIT
--
-- Limits on what grows: replies without an end, a thousand tasks, two hundred targets, and too few descriptors.

local support = require("support")

local MIB = 1 << 20

-- Asks for a reply; prints how that ended, and by how many bytes the peak memory of this process grew.
local ASK = [[
local function peak()
  local f <close> = assert(io.open("/proc/self/status"))
  return tonumber(f:read("a"):match("VmHWM:%s+(%d+)")) * 1024
end
local before = peak()
local target = haproxy.connect(arg[1], { timeout = 60, max_reply = tonumber(arg[2]) })
local ok, e = pcall(target.send, target, "show info")
print(ok, ok or e.kind, ok or e.message, ok or #(e.reply or ""))
print(peak() - before)
]]

--- Ask a fake that never ends its answer. Returns the two lines that ASK prints.
local function ask_endlessly(options, max_reply)
  local fake <close> = support.fake({ "read", "say \\n", "endless " .. ("x"):rep(100000) .. "\\n" })
  local words = { "-s", "/nowhere", "-e", ASK, fake.address, max_reply }
  for i, word in ipairs(options) do
    table.insert(words, i, word)
  end
  local ran = support.haplua(words)
  assert.same({ "", 0 }, { ran.err, ran.status })
  local outcome, grown = ran.out:match("^(.-)\n(%d+)\n$")
  return outcome, tonumber(grown)
end

describe("a reply without an end", function()
  it("is refused at --max-reply, and no more than that is kept", function()
    local outcome, grown = ask_endlessly({ "--max-reply", "16M" })
    assert.equal("false\tprotocol\tthe answer is over 16777216 bytes (--max-reply)\t16384", outcome)
    -- sanitizers keep what was freed, and each growth of the buffer is a new block there
    assert.is_true(grown < 100 * MIB, grown)
  end)

  it("is refused at connect()'s max_reply", function()
    local outcome, grown = ask_endlessly({ "--max-reply", "1G" }, tostring(MIB))
    assert.equal("false\tprotocol\tthe answer is over 1048576 bytes (--max-reply)\t16384", outcome)
    assert.is_true(grown < 100 * MIB, grown)
  end)

  it("is refused at 256 MiB without either", function()
    local outcome, grown = ask_endlessly({})
    assert.equal("false\tprotocol\tthe answer is over 268435456 bytes (--max-reply)\t16384", outcome)
    assert.is_true(grown < 1600 * MIB, grown)
  end)

  it("is an error with its command, and status 1", function()
    local fake <close> = support.fake({ "read", "say \\n", "endless xxxxxxxx\\n" })
    local ran = support.haplua({ "--max-reply", "4K", "-s", fake.address, "-e", 'send("show info")' })
    assert.equal(1, ran.status)
    assert.truthy(ran.err:find("'show info' at " .. fake.address .. ": the answer is over 4096 bytes", 1, true))
  end)
end)

describe("a reply at the limit", function()
  --- Ask for a reply of `n` bytes in all, with this limit.
  local function ask(n, limit)
    local fake <close> = support.fake({ "read", "say \\n" .. ("x"):rep(n - 3) .. "\\n\\n" })
    local target = haproxy.connect(fake.address, { max_reply = limit })
    return pcall(target.send, target, "show info")
  end

  it("is taken, and one byte more is not", function()
    for _, n in ipairs({ 100, 16384, 16385, 50000 }) do
      local ok, e = ask(n, n - 1)
      assert.same({ false, "protocol" }, { ok, e.kind })
      assert.truthy(e.message:find(("over %d bytes"):format(n - 1), 1, true))
      ok, e = ask(n, n) -- the text is none of show info's, and that is all that is wrong with it
      assert.same({ false, "the answer was cut or is not understood" }, { ok, e.message })
    end
  end)
end)

describe("--max-reply", function()
  it("takes bytes and units", function()
    for _, size in ipairs({ "1", "1000", "64K", "64M", "1G" }) do
      assert.equal(0, support.haplua({ "--max-reply", size, "-e", "" }).status)
    end
    for _, size in ipairs({ "", "0", "-1", "64k", "64MB", "1.5G", "M", "0x10", "99999999999999999999", "9999999999G" }) do
      local ran = support.haplua({ "--max-reply", size, "-e", "" })
      assert.equal(2, ran.status, size)
      assert.truthy(ran.err:find("--max-reply takes", 1, true))
    end
  end)

  it("of connect() is a number of bytes", function()
    assert.is_false((pcall(haproxy.connect, "/nowhere", { max_reply = -1 })))
    assert.is_false((pcall(haproxy.connect, "/nowhere", { max_reply = "64M" })))
    assert.is_false((pcall(haproxy.connect, "/nowhere", { maxreply = 1 })))
  end)
end)

-- With a deadline over 5 s, `set timeout cli` stands before `show info`, too.
local VERSION = "say \\n\\nName: HAProxy\\nVersion: 2.6.0\\n\\n"

describe("a thousand tasks", function()
  it("all get their replies, a few at a time", function()
    local fake <close> = support.fake({ "read", VERSION })
    local ran = support.haplua({ "-t", "60", "-s", fake.address, "-e", [[
      local tasks, right = {}, 0
      for i = 1, 1000 do
        tasks[i] = task.spawn(function()
          assert(haproxy.info().Version == "2.6.0")
          return i
        end)
      end
      for i, t in ipairs(tasks) do
        right = right + (t:wait() == i and 1 or 0)
      end
      print(right)
    ]] })
    assert.same({ 0, "1000\n", "" }, { ran.status, ran.out, ran.err })
    assert.equal(1000, #fake:wait(1000))
  end)

  it("end when one fails, and none is left", function()
    local fake <close> = support.fake({ "read", "hold" })
    local ran = support.haplua({ "-t", "60", "-s", fake.address, "-e", [[
      local ended = 0
      local ok, e = pcall(task.all, (function()
        local list = {}
        for i = 1, 1000 do
          list[i] = function()
            local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
            if i == 1000 then
              error("the last one")
            end
            haproxy.info()
          end
        end
        return list
      end)())
      print(ok, tostring(e):match("the last one"), ended)
    ]] })
    assert.same({ 0, "false\tthe last one\t1000\n", "" }, { ran.status, ran.out, ran.err })
  end)
end)

describe("two hundred targets", function()
  --- Two hundred names of one fake, as arguments.
  local function targets(fake, n)
    local words = {}
    for i = 1, n do
      local link = ("%s/%d"):format(fake.folder.path, i)
      words[#words + 1] = "-s"
      words[#words + 1] = link
    end
    run({ "sh", "-c", 'cd "$1" && i=0; while [ $i -lt "$2" ]; do i=$((i + 1)); ln -s socket $i; done', "sh",
      fake.folder.path, tostring(n) })
    return words
  end

  --- The run printed "done" for each target.
  local function assert_all(ran, n)
    assert.same({ 0, "" }, { ran.status, ran.err })
    local seen, count = {}, 0
    for i in ran.out:gmatch("/(%d+): done\n") do
      count = count + (seen[i] and 0 or 1)
      seen[i] = true
    end
    assert.equal(n, count)
  end

  local CHUNK = [[
    haproxy.info()
    haproxy.barrier()
    task.all({ haproxy.info, haproxy.info, haproxy.info, haproxy.info })
    print("done")
  ]]

  it("are all served, with a barrier", function()
    local fake <close> = support.fake({ "read", VERSION })
    local words = targets(fake, 200)
    table.move({ "-t", "60", "-e", CHUNK }, 1, 4, #words + 1, words)
    assert_all(support.haplua(words), 200)
    assert.equal(1000, #fake:wait(1000))
  end)

  it("ask for the descriptors they need, and no more", function()
    local fake <close> = support.fake({ "read", VERSION })
    local chunk = 'print((io.open("/proc/self/limits"):read("a"):match("Max open files%s+(%d+)")))'
    local words = targets(fake, 200)
    table.move({ "-e", chunk }, 1, 2, #words + 1, words)
    local many = support.shell('ulimit -S -n 256 && exec "$@"', table.unpack(words))
    local one = support.shell('ulimit -S -n 256 && exec "$@"', "-s", fake.address, "-e", chunk)
    assert.equal("928", many.out:match(": (%d+)\n"))
    assert.equal("256\n", one.out)
  end)

  it("wait for descriptors where the system gives no more", function()
    local fake <close> = support.fake({ "read", VERSION })
    local words = targets(fake, 200)
    table.move({ "-t", "60", "-e", CHUNK }, 1, 4, #words + 1, words)
    assert_all(support.shell('ulimit -n 40 && exec "$@"', table.unpack(words)), 200)
    assert.equal(1000, #fake:wait(1000))
  end)
end)

describe("descriptors that never come free", function()
  local CHUNK = [[
    local held = {}
    repeat
      local f = io.open("/dev/null")
      held[#held + 1] = f
    until not f
    %s
  ]]

  --- Run a chunk that has none left, against this address.
  local function without(address, chunk)
    return support.shell('ulimit -n 40 && exec "$@"', "-t", "0.2", "-s", address, "-e", CHUNK:format(chunk))
  end

  it("are the error's reason, over local sockets and TCP", function()
    for _, tcp in ipairs({ false, true }) do
      local fake <close> = support.fake({ tcp = tcp, "read", VERSION })
      local ran = without(fake.address, "send('clear acl #1')")
      assert.equal(3, ran.status)
      assert.truthy(ran.err:find("too many open files", 1, true), ran.err)
      assert.truthy(ran.err:find("ulimit -n", 1, true), ran.err)
      assert.is_true(fake:is_untouched())
    end
  end)

  it("are waited for", function()
    local fake <close> = support.fake({ "read", VERSION })
    local ran = support.shell('ulimit -n 40 && exec "$@"', "-t", "60", "-s", fake.address, "-e", CHUNK:format([[
      task.spawn(function()
        task.sleep(0.02)
        for _, f in ipairs(held) do
          f:close()
        end
      end)
      print(haproxy.info().Version)
    ]]))
    assert.same({ 0, "2.6.0\n", "" }, { ran.status, ran.out, ran.err })
  end)

  it("of descriptors does not abort it", function()
    for n = 4, 16 do
      local words = { "sh", "-c", 'ulimit -n "$1"; shift; exec "$@"', "sh", tostring(n), stdout = "capture", stderr = "capture" }
      table.move(support.program("-e", "print(1)"), 1, 3, #words + 1, words)
      local status, out, err = run(words)
      assert.is_true(status == 0 and out == "1\n" or status < 128 and out == "", ("%d: %d %s"):format(n, status, err))
    end
  end)
end)
