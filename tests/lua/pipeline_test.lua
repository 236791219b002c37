-- SPDX-License-Identifier: MIT
--
-- Requests to a HAProxy that misbehaves: whatever it does, a call gives the right result or raises.

local support = require("support")

local failure = support.failure

--- Bytes as one of fake's steps takes them.
local function say(bytes)
  return "say " .. bytes:gsub("[^%w]", function(c)
    return ("\\x%02x"):format(c:byte())
  end)
end

--- The results of `fn(target)`, with a fake that answers the only request with these bytes.
local function answered(bytes, fn)
  local fake <close> = support.fake({ "read", say(bytes) })
  return fn(haproxy.connect(fake.address))
end

local function get(target)
  return target:send("show info")
end

local HTTP = "HTTP/1.1 400 Bad request\r\nContent-length: 90\r\nConnection: close\r\n\r\n<html><body></body></html>\n"

describe("a reply", function()
  it("that is whole is given", function()
    assert.equal("Name: HAProxy\nVersion: 2.6", answered("\nName: HAProxy\nVersion: 2.6\n\n", get))
  end)

  it("that is cut anywhere is a protocol error", function()
    local whole = "\nName: HAProxy\nVersion: 2.6\nPid: 7\n\n"
    for n = 0, #whole - 1 do
      local err = failure(answered, whole:sub(1, n), get)
      assert.equal("protocol", err.kind, n)
    end
  end)

  it("to a change that is cut anywhere is a protocol error", function()
    local whole = "\n\n\n"
    local function add(target)
      return target:each({ "add", "acl", "#1" }, { "a", "b" })
    end
    assert.equal(2, answered(whole, add))
    for n = 0, #whole - 1 do
      assert.equal("protocol", failure(answered, whole:sub(1, n), add).kind, n)
    end
  end)

  it("of servers that is cut anywhere is a protocol error", function()
    local head = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight"
    local whole = "\n1\n" .. head .. "\n3 app 1 a1 127.0.0.1 2 0 1\n3 app 2 a2 127.0.0.1 2 0 1\n\n"
    local rows = answered(whole, function(target)
      return target:servers()
    end)
    assert.equal(2, #rows)
    assert.equal("a2", rows[2].srv_name)
    for n = 0, #whole - 1 do
      local err = failure(answered, whole:sub(1, n), function(target)
        return target:servers()
      end)
      assert.equal("protocol", err.kind, n)
    end
  end)

  it("that comes byte by byte is the same", function()
    local fake <close> = support.fake({ "read", "drip 1 \\nName: HAProxy\\n\\n" })
    assert.equal("Name: HAProxy", get(haproxy.connect(fake.address)))
  end)

  it("that refuses is `refused`, with HAProxy's words", function()
    local err = failure(answered, "\n[3]: Unknown ACL identifier. Please use #<id> or <file>.\n\n", function(target)
      return target:send("show acl #1")
    end)
    assert.equal("refused", err.kind)
    assert.matches("Unknown ACL identifier", err.reply)
    assert.equal("show acl #1", err.command)
  end)

  it("to an unknown command is no success, although HAProxy gives it the severity of one", function()
    for _, text in ipairs({
      "[6]: Unknown command. Please enter one of the following commands only :\n  help\n",
      "[6]: Unknown command, but maybe one of the following ones is a better match:\n",
      "[6]: Unknown command: 'foo', but maybe one of the following ones is a better match:\n",
    }) do
      assert.equal("refused", failure(answered, "\n" .. text .. "\n", function(target)
        return target:send("foo")
      end).kind)
    end
  end)

  it("of missing rights is `denied`", function()
    assert.equal("denied", failure(answered, "\n[3]: Permission denied\n\n", function(target)
      return target:send("show errors")
    end).kind)
  end)

  it("that says something where silence means success is no success", function()
    for _, text in ipairs({ "surprise\n", "[6]: surprise\n", "[4]: surprise\n", "[5]: surprise\n" }) do
      failure(answered, "\n" .. text .. "\n", function(target)
        return target:acl_add("#1", "a")
      end)
    end
  end)

  it("that holds another one's words is not taken apart wrongly", function()
    -- The error must name the one command of three that was refused, and count those before it.
    local err = failure(answered, "\n\n[3]: regex '(' is invalid\n\n\n", function(target)
      return target:each({ "add", "acl", "#1" }, { "a", "(", "b" })
    end)
    assert.equal("refused", err.kind)
    assert.equal(2, err.index)
    assert.equal("add acl #1 (", err.command)
  end)

  it("may be larger than any pipe", function()
    local line = ("x"):rep(60)
    local fake <close> = support.fake({ "read", "say \\nName: HAProxy\\n", "endless A: " .. line .. "\\n" })
    local err = failure(function()
      return haproxy.connect(fake.address, { timeout = 0.1 }):send("show info")
    end)
    assert.is_truthy(err.kind == "timeout" or err.kind == "protocol", err.kind)
  end)
end)

describe("a refusal", function()
  it("keeps back what was not sent yet", function()
    local values = {}
    for i = 1, 2000 do
      values[i] = ("/%04d"):format(i)
    end
    local fake <close> = support.fake({ "read", say("\n[3]: 'acl' is invalid\n\n" .. ("\n"):rep(1999)), "next", "read",
      say(("\n"):rep(2001)) })
    local err = failure(function()
      return haproxy.connect(fake.address):each({ "add", "acl", "#1" }, values)
    end)
    assert.equal("refused", err.kind)
    assert.equal(1, err.index)
    task.sleep(0.2) -- a second line would arrive meanwhile
    assert.equal(1, #fake.log)
  end)
end)

describe("texts of others", function()
  local commands = { { "show", "acl", "#1" }, { "get", "acl", "#1", "/" } }
  local shown, got = "0x1 a\n", "type=reg, case=sensitive, match=no\n"

  local function ask(steps)
    local fake <close> = support.fake(steps)
    local texts = haproxy.connect(fake.address):batch(commands)
    return texts[1] .. "|" .. texts[2]
  end

  it("share a connection, and are cut apart where the empty lines show their ends", function()
    for text, first in pairs({ ["0x1 a"] = shown, [""] = "" }) do
      local texts = ask({ "read", say("\n" .. first .. "\n" .. got .. "\n"), "next", "reset" })
      assert.equal(text .. "|type=reg, case=sensitive, match=no", texts)
    end
  end)

  it("are requested one by one where a reply holds an empty line or is incomplete", function()
    local strange = "0x1 a\n\nb\n"
    for _, first in ipairs({ strange .. "\n" .. got .. "\n", shown .. "\n", shown .. "\n" .. got, "" }) do
      local texts = ask({
        "read", say("\n" .. first), "next", "read", say("\n" .. strange .. "\n"), "next", "read", say("\n" .. got .. "\n"),
      })
      assert.equal("0x1 a\n\nb|type=reg, case=sensitive, match=no", texts)
    end
  end)

  it("that refuse are attributed to their commands", function()
    local err = failure(answered, "\n[3]: Unknown ACL identifier.\n\n[3]: Unknown ACL identifier.\n\n", function(target)
      return target:batch(commands)
    end)
    assert.equal("refused", err.kind)
    assert.equal(1, err.index)
  end)
end)

describe("what is not HAProxy", function()
  it("is recognised, whatever it answers", function()
    for name, bytes in pairs({
      http = HTTP, ssh = "SSH-2.0-OpenSSH_9.2p1 Debian\r\n", redis = "-ERR unknown command 'set'\r\n",
      empty = "", zeros = ("\0"):rep(100), lines = ("\n"):rep(100), text = "hello\n", prompt = "\n> ",
    }) do
      for what, fn in pairs({
        info = get,
        add = function(target) return target:acl_add("#1", "a") end,
        pairs = function(target) return target:info() end,
        rows = function(target) return target:stat() end,
        servers = function(target) return target:servers() end,
      }) do
        local err = failure(answered, bytes, fn)
        assert.is_truthy(err.kind == "protocol" or err.kind == "refused", name .. " " .. what .. ": " .. tostring(err))
        assert.matches(name == "http" and "400 Bad" or "", err.reply or "")
      end
    end
  end)

  it("gets status 1 and a message without control bytes", function()
    local fake <close> = support.fake({ "read", "say SSH-2.0\\x1b[31m\\r\\n" })
    local ran = support.haplua({ "-s", fake.address, "-e", "send('show info')" })
    assert.equal(1, ran.status)
    assert.is_nil(ran.err:find("[\1-\9\11-\31]"))
  end)
end)

describe("a connection", function()
  it("that says nothing runs into the deadline", function()
    for _, tcp in ipairs({ false, true }) do
      local fake <close> = support.fake({ "hold", tcp = tcp })
      local err = failure(function()
        haproxy.connect(fake.address, { timeout = 0.02 }):send("show info")
      end)
      assert.equal("timeout", err.kind)
      assert.equal(fake.address, err.target)
      assert.equal("show info", err.command)
      local ran = support.haplua({ "-t", "0.02", "-s", fake.address, "-e", "send('show info')" })
      assert.equal(3, ran.status)
      assert.matches("show info", ran.err)
      assert.matches(fake.address, ran.err, 1, true)
    end
  end)

  it("that nobody accepts runs into the deadline", function()
    local fake <close> = support.fake({ "deaf" })
    local err = failure(task.all, { 1, 2, 3, 4, 5, 6 }, function()
      haproxy.connect(fake.address, { timeout = 0.05 }):send("show info")
    end)
    assert.equal("timeout", err.kind)
  end)

  it("that is reset is an error", function()
    for _, tcp in ipairs({ false, true }) do
      for _, steps in ipairs({ { "reset" }, { "read", "reset" }, { "read", "say \\nName: x\\n", "reset" } }) do
        steps.tcp = tcp
        local fake <close> = support.fake(steps)
        local err = failure(get, haproxy.connect(fake.address))
        assert.is_truthy(err.kind == "protocol" or err.kind == "unreachable", err.kind)
      end
    end
  end)

  it("that is reset after a whole reply is an error, or the reply", function()
    local fake <close> = support.fake({ "read", "say \\nName: x\\n\\n", "reset", tcp = true })
    local ok, got = pcall(get, haproxy.connect(fake.address))
    assert.is_truthy(ok and got == "Name: x" or got.kind)
  end)

  it("that closes without an answer is a protocol error", function()
    local fake <close> = support.fake({ "read" })
    assert.equal("protocol", failure(get, haproxy.connect(fake.address)).kind)
  end)

  it("that gets no answer is broken off by task.deadline()", function()
    support.in_time(function(seconds)
      local fake <close> = support.fake({ "read", "hold" })
      local target = haproxy.connect(fake.address, { timeout = 3600 })
      assert.equal("timeout", failure(task.deadline, seconds, get, target).kind)
      if fake.holds then
        assert.same({ "set severity-output number;set timeout cli 3600;show info\\n" }, fake:wait(1))
      end
      return fake.holds
    end)
  end)

  it("is closed when its task is cancelled", function()
    local fake <close> = support.fake({ "read", "hold" })
    local t = task.spawn(get, haproxy.connect(fake.address))
    task.sleep(0)
    t:cancel()
    assert.equal("interrupted", failure(t.wait, t).kind)
    fake:wait(1)
  end)

  it("is opened for each request, and a few at a time", function()
    local fake <close> = support.fake({ "read", "wait 2", "say \\nName: x\\n\\n" })
    local target = haproxy.connect(fake.address)
    local all = {}
    for i = 1, 50 do
      all[i] = i
    end
    local got = task.all(all, function()
      return get(target)
    end)
    assert.equal(50, #got)
    assert.equal("Name: x", got[50])
    assert.equal(50, #fake:wait(50))
  end)

  it("that waits for the connection limit begins when another one is broken off", function()
    local fake <close> = support.fake({
      "hold", "next", "hold", "next", "hold", "next", "hold", "next", "read", "say \\nName: x\\n\\n",
    })
    local target, stuck = haproxy.connect(fake.address), {}
    for i = 1, 4 do
      stuck[i] = task.spawn(get, target)
    end
    task.sleep(0)
    local waiting = task.spawn(get, target)
    local dropped = task.spawn(get, target)
    task.sleep(0)
    dropped:cancel()
    pcall(dropped.wait, dropped)
    assert.is_false(waiting:done())
    stuck[2]:cancel()
    assert.equal("Name: x", waiting:wait())
    for _, t in ipairs(stuck) do
      t:cancel()
    end
  end)
end)

describe("a target", function()
  it("without a socket is unreachable", function()
    local folder <close> = support.folder()
    for path, code in pairs({
      [folder.path .. "/none"] = "ENOENT",
      [folder.write("file", "")] = "ECONNREFUSED",
      [folder.path] = "ECONNREFUSED",
      [folder.path .. "/file/x"] = "ENOTDIR",
    }) do
      local err = failure(get, haproxy.connect(path))
      assert.equal("unreachable", err.kind)
      assert.equal(code, err.code)
      local ran = support.haplua({ "-s", path, "-e", "send('show info')" })
      assert.equal(3, ran.status)
      assert.matches(path, ran.err, 1, true)
    end
  end)

  it("that permits nothing is unreachable", function()
    local fake <close> = support.fake({ "read" })
    run({ "chmod", "000", fake.address })
    run({ "chmod", "711", fake.folder.path })
    local words = { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups" }
    if run({ "sh", "-c", "test $(id -u) = 0 && setpriv --reuid=65534 --clear-groups true 2>/dev/null" }) ~= 0 then
      words = {} -- we are not root, so it does not permit us either
    end
    local ran = support.shell(table.concat(words, " ") .. ' "$@"', "-s", fake.address, "-e", "send('show info')")
    assert.equal(3, ran.status)
    assert.matches("permission denied", ran.err)
  end)

  it("that refuses the connection is unreachable", function()
    local address
    do
      local fake <close> = support.fake({ "read", tcp = true })
      address = fake.address
    end
    local err = failure(get, haproxy.connect(address))
    assert.equal("unreachable", err.kind)
    assert.equal("ECONNREFUSED", err.code)
    assert.equal(3, support.haplua({ "-s", address, "-e", "send('show info')" }).status)
  end)

  it("whose name does not resolve is unreachable", function()
    local err = failure(get, haproxy.connect("no-such-host.invalid:9999", { timeout = 10 }))
    assert.is_truthy(err.kind == "unreachable" or err.kind == "timeout")
  end)

  it("may be given in each form of HAProxy's", function()
    local fake <close> = support.fake({ "read", "say \\nName: x\\n\\n" })
    for _, form in ipairs({ "%s", "unix@%s" }) do
      assert.equal("Name: x", get(haproxy.connect(form:format(fake.address))))
    end
    local tcp <close> = support.fake({ "read", "say \\nName: x\\n\\n", tcp = true })
    local port = tcp.address:match(":(%d+)$")
    for _, form in ipairs({ "127.0.0.1:", "ipv4@127.0.0.1:" }) do
      assert.equal("Name: x", get(haproxy.connect(form .. port)))
    end
    if not support.has_localhost() then
      pending("no address of localhost, in /etc/hosts or elsewhere")
    end
    for _, form in ipairs({ "localhost:", "ipv4@localhost:" }) do
      assert.equal("Name: x", get(haproxy.connect(form .. port)))
    end
  end)

  it("with a bad address is misuse", function()
    for _, address in ipairs({ "", "x", ":1", "host:", "host:0x1", "host:65536", "a\0b", "/x\0y", ("/x"):rep(100), "@1" }) do
      local err = failure(function()
        haproxy.connect(address)
      end)
      assert.equal("string", type(err), address)
      assert.matches("pipeline_test.lua", err)
    end
    assert.matches("string expected", failure(haproxy.connect))
    assert.matches("no option 'time'; did you mean 'timeout'?", failure(haproxy.connect, "/x", { time = 1 }))
  end)
end)

describe("behind a master CLI", function()
  it("each command has the route before it, and the writing side is closed", function()
    local fake <close> = support.fake({ "drain", "say Name: x\\n\\n" })
    local target = haproxy.connect(fake.address, { via = "@1" })
    assert.equal("Name: x", get(target))
    assert.same({ "@1 show info\\n" }, fake:wait(1))
  end)
end)

describe("the trace", function()
  it("shows what is sent and received on standard error", function()
    local fake <close> = support.fake({ "read", "say \\nadmin\\x1b\\n\\n" })
    local ran = support.haplua({ "-v", "-s", fake.address, "-e", "send('show cli level')" })
    assert.matches("> set severity%-output number;show cli level\n", ran.err)
    assert.matches("< admin\\x1b\n", ran.err, 1, true)
    assert.equal("", ran.out)
  end)
end)

describe("a dry run", function()
  it("sends no change, shows it, and has status 4", function()
    local fake <close> = support.fake({ "read", "say \\nadmin\\n\\n" })
    local ran = support.haplua({
      "-n", "-s", fake.address, "-e",
      [[
        acl_add("#1", "a b", "c\27")
        send("clear acl #1")
        print(send("show cli level"))
      ]],
    })
    assert.equal(4, ran.status)
    assert.matches("add acl #1 a\\ b", ran.out, 1, true)
    assert.matches("add acl #1 c\\x1b", ran.out, 1, true)
    assert.matches("clear acl #1", ran.out, 1, true)
    assert.same({ "set severity-output number;show cli level\\n" }, fake:wait(1))
  end)

  it("that would change nothing has status 0", function()
    local fake <close> = support.fake({ "read", "say \\nadmin\\n\\n" })
    assert.equal(0, support.haplua({ "-n", "-s", fake.address, "-e", "send('show cli level')" }).status)
  end)
end)
