-- SPDX-License-Identifier: MIT
--
-- Values that scripts and people give: each is sent as one word, or refused before anything is sent.

local support = require("support")

local failure = support.failure

--- Values that one word can carry, whatever they look like.
local GOOD = {
  "a", " ", "\t", "a b", " a ", "a\tb", ";", "a;b", ";show info", "\\", "a\\", "\\\\", "\\;", "\\n", '"', "'", '"a b"',
  "<<", "a<<", "<<EOF", "<< ", " <<", "<<\\", "@", "@1", "@1 x", "#", "#9999", "#0x10", "$x", "!", "*", "é", "日本", "\xff\xfe",
  "\r", "a\r", "\ra", "\1", "\127", "-", "--", "%s%n", "^.*$", "^/\\d+$", "a=b,c", "prompt", "quit", ("x"):rep(10000),
  (" "):rep(3000), (";"):rep(3000),
}

--- Values that none can.
local BAD = {
  ["\n"] = "newline", ["a\nb"] = "newline", ["a\n"] = "newline", ["\nshow info"] = "newline", ["\\\n"] = "newline",
  ["\0"] = "NUL", ["a\0b"] = "NUL", ["a\0"] = "NUL", ["\0show info"] = "NUL",
  [""] = "empty", [("x"):rep(20000)] = "too long",
}

--- Read a request line as HAProxy does: commands of words, or nil where it is not one whole line.
local function as_haproxy_reads(line)
  local commands, words, word, i = {}, {}, nil, 1
  local function end_word()
    if word then
      words[#words + 1] = word
      word = nil
    end
  end
  local function end_command()
    end_word()
    commands[#commands + 1] = words
    words = {}
  end
  line = line:match("^([^\n\0]*)\n$")
  if not line or line:find("<<$") or line:find("[ \t]<<[^ \t]?[^ \t]?[^ \t]?[^ \t]?[^ \t]?[^ \t]?[^ \t]?$") then
    return nil
  end
  line = line:gsub("\r$", "")
  while i <= #line do
    local c = line:sub(i, i)
    if c == "\\" then
      i = i + 1
      word = (word or "") .. line:sub(i, i)
    elseif c == " " or c == "\t" then
      end_word()
    elseif c == ";" then
      end_command()
    else
      word = (word or "") .. c
    end
    i = i + 1
  end
  end_command()
  return commands
end

--- The bytes that a line of fake's log stands for.
local function unescape(text)
  return (text:gsub("\\(.)(%x?%x?)", function(kind, hex)
    if kind == "x" then
      return string.char(tonumber(hex, 16))
    end
    return (kind == "n" and "\n" or kind) .. hex
  end))
end

describe("a value", function()
  it("is sent as one word, whatever it holds", function()
    local fake <close> = support.fake({ "read", "say \\n\\n" })
    local target = haproxy.connect(fake.address)
    for i, value in ipairs(GOOD) do
      assert.equal(1, target:acl_add("#1", value), i)
      fake:wait(i)
      assert.same(
        { { "set", "severity-output", "number" }, { "add", "acl", "#1", value } },
        as_haproxy_reads(unescape(fake.log[i])),
        ("%q"):format(value:sub(1, 20))
      )
    end
  end)

  it("is sent as one word in any place", function()
    local fake <close> = support.fake({ "read", "say \\n\\n" })
    local target = haproxy.connect(fake.address)
    local n = 0
    for _, value in ipairs(GOOD) do
      if #value < 5000 then
        n = n + 1
        pcall(target.send, target, { "show", value, "end" })
        fake:wait(n)
        assert.same({ "show", value, "end" }, as_haproxy_reads(unescape(fake.log[n]))[2])
      end
    end
  end)

  it("that no word can carry is refused by name, and nothing is sent", function()
    local fake <close> = support.fake({ "read", "say \\nadmin\\n\\n" })
    local target = haproxy.connect(fake.address)
    for value, why in pairs(BAD) do
      for name, call in pairs({
        acl_add = function() target:acl_add("#1", "good", value) end,
        acl_add_ref = function() target:acl_add(value, "good") end,
        acl_add_list = function() target:acl_add("#1", { "good", value, "good" }) end,
        acl_del = function() target:acl_del("#1", "good", value) end,
        acl_get = function() target:acl_get("#1", value) end,
        acl_list = function() target:acl_list(value) end,
        acl_clear = function() target:acl_clear(value) end,
        acl_replace = function() target:acl_replace("#1", { "good", value }) end,
        acl_replace_ref = function() target:acl_replace(value, { "good" }) end,
        map_add = function() target:map_add("#1", "key", value) end,
        map_add_key = function() target:map_add("#1", { good = "good", [value] = "good" }) end,
        map_set = function() target:map_set("#1", "key", value) end,
        map_del = function() target:map_del("#1", value) end,
        map_get = function() target:map_get("#1", value) end,
        map_replace = function() target:map_replace("#1", { key = value }) end,
        servers = function() target:servers(value) end,
        servers_conn = function() target:servers_conn(value) end,
        send = function() target:send({ "add", "acl", "#1", value }) end,
      }) do
        local err = failure(call)
        assert.equal("string", type(err), name .. " " .. tostring(err))
        assert.matches("nothing was sent", err, 1, true)
        assert.matches(why, err, 1, true)
        assert.matches("haproxy_test.lua:%d+: ", err)
      end
    end
    assert.is_true(fake:is_untouched())
  end)

  it("of maps go as lines of a payload up to one that no line can carry", function()
    local lines = require("haplua.core").lines
    assert.same({ "a b\nc d\n", 3 }, { lines({ "a", "c" }, { "b", "d" }, 1, 8) })
    assert.same({ "a b\n", 2 }, { lines({ "a", "c" }, { "b", "d" }, 1, 7) })
    assert.same({ "c d\n", 3 }, { lines({ "a", "c" }, { "b", "d" }, 2, 100) })
    assert.same({ nil, 1 }, { lines({ "a" }, { "b" }, 1, 3) })
    assert.same({ nil, 2 }, { lines({ "a" }, { "b" }, 2, 100) })
    assert.same({ "1 2 \n", 2 }, { lines({ 1 }, { "2 " }, 1, 100) })
    for _, odd in ipairs({ "a ", "\ta", "a\tb", "\r", "a\r", "", "a\nb", "a\0" }) do
      assert.same({ "x y\n", 2 }, { lines({ "x", odd }, { "y", "y" }, 1, 100) })
    end
    for _, odd in ipairs({ " a", "\ta", "\r", "a\rb", "a\r", "", "a\nb", "a\0" }) do
      assert.same({ "x y\n", 2 }, { lines({ "x", "x" }, { "y", odd }, 1, 100) })
    end
    for value in pairs(BAD) do
      assert.same({ nil, 1 }, { lines({ value }, { "y" }, 1, 15000) })
    end
    assert.matches("value 1: a string expected", failure(lines, { {} }, { "y" }, 1, 100))
  end)

  it("that is no string is refused, and nothing is sent", function()
    local fake <close> = support.fake({ "read", "say \\nadmin\\n\\n" })
    local target = haproxy.connect(fake.address)
    for _, value in ipairs({ true, {}, print, 0 / 0 == 0, io.stdout }) do
      assert.matches("must be a list of texts; its element 2 is", failure(target.acl_add, target, "#1", "good", value))
      assert.matches("string expected", failure(target.send, target, { "show", value }))
    end
    for _, name in ipairs({
      "acl_add", "acl_clear", "acl_get", "acl_del", "acl_replace",
      "map_add", "map_set", "map_get", "map_del", "map_clear", "map_replace",
    }) do
      -- acl_add(nil, "x") used to be sent as `add acl x`.
      assert.matches("file name expected, got nil; nothing was sent", failure(target[name], target, nil, "x", "y"))
      assert.matches("file name expected, got nil; nothing was sent", failure(target[name], target))
    end
    assert.matches("string expected", failure(target.send, target))
    assert.matches("string expected", failure(target.send, target, print))
    assert.is_true(fake:is_untouched())
  end)

  it("cannot stand in a list of a negative length", function()
    local fake <close> = support.fake({ "read", "say \\nadmin\\n\\n" })
    local target = haproxy.connect(fake.address)
    local list = setmetatable({ "show" }, {
      __len = function()
        return -1
      end,
    })
    for _, call in ipairs({
      function() target:send(list) end,
      function() target:batch(list) end,
      function() target:each(list, { "a" }) end,
      function() target:each({ "show" }, list) end,
      function() require("haplua.core").check(list) end,
      function() require("haplua.core").encode(list) end,
    }) do
      assert.matches("a list expected", failure(call), 1, true)
    end
    assert.is_true(fake:is_untouched())
  end)

  it("may be one of ten thousand, in few requests, each below 15000 bytes", function()
    local fake <close> = support.fake({ "read", "say " .. ("\\n"):rep(20000) })
    local values = {}
    for i = 1, 10000 do
      values[i] = ("/path/number/%d"):format(i)
    end
    -- The fake's answers are too long for every line: what counts here is what was sent.
    pcall(haproxy.connect(fake.address).acl_add, haproxy.connect(fake.address), "#1", values)
    fake:wait(1)
    assert.is_true(#unescape(fake.log[1]) <= 15000)
    values[5000] = "a\nb"
    local err = failure(haproxy.connect(fake.address).acl_add, haproxy.connect(fake.address), "#1", values)
    assert.matches("value 5000", err)
    assert.matches("newline", err)
  end)
end)

describe("a command as one string", function()
  local function refused(command, why)
    local fake <close> = support.fake({ "read", "say \\nadmin\\n\\n" })
    local err = failure(function()
      haproxy.connect(fake.address):send(command)
    end)
    assert.equal("string", type(err))
    assert.matches("nothing was sent", err)
    assert.matches(why, err)
    assert.is_true(fake:is_untouched())
  end

  it("cannot hold a second one", function()
    refused("show info;clear acl #1", ";")
    refused("show info;", ";")
    refused(";show info", ";")
    refused("show info\nclear acl #1", "newline")
    refused("show info\n", "newline")
    refused("show info\0clear acl #1", "NUL")
    refused("show info \\", "backslash")
  end)

  it("cannot be empty, too long, or wait for more", function()
    refused("", "empty")
    refused("  \t", "empty")
    refused("add acl #1 <<", "payload")
    refused("add acl #1 x<<", "payload")
    refused("add acl #1 <<EOF", "payload")
    refused("add acl #1 " .. ("x"):rep(20000), "too long")
    refused(("x "):rep(65), "words")
  end)

  it("cannot change the connection itself", function()
    local alter = { "prompt", "quit", "prompt i", "set timeout cli 1", "set severity-output none", "user", "operator" }
    for _, command in ipairs(alter) do
      refused(command, "changes the connection")
    end
    refused({ "prompt" }, "changes the connection")
  end)

  it("is sent as it stands", function()
    local fake <close> = support.fake({ "read", "say \\n\\n" })
    haproxy.connect(fake.address):send("add acl #1 a\\ b\\;c")
    assert.same({ "set severity-output number;add acl #1 a\\\\ b\\\\;c\\n" }, fake:wait(1))
  end)
end)

describe("a payload", function()
  it("goes behind its command in one piece", function()
    local fake <close> = support.fake({ "read", "wait 5", "say \\n\\n" })
    pcall(function()
      haproxy.connect(fake.address):send("add map #1 <<", "a 1\nb 2\n")
    end)
    pcall(function()
      haproxy.connect(fake.address):send("add map #1", "a 1\nb 2\n")
    end)
    fake:wait(1)
    assert.matches("add map #1 <<\\na 1\\nb 2\\n\\n", fake.log[#fake.log], 1, true)
  end)

  it("that could end early or never is refused", function()
    local fake <close> = support.fake({ "read", "say \\nadmin\\n\\n" })
    for _, payload in ipairs({ "", "\n", "a\n\nb\n", "\na\n", "a\n\n", "a\0b\n" }) do
      local err = failure(function()
        haproxy.connect(fake.address):send("add map #1", payload)
      end)
      assert.matches("nothing was sent", err)
    end
    assert.is_true(fake:is_untouched())
  end)
end)

describe("the current target", function()
  it("raises in a finalizer that runs after its own", function()
    -- Used to crash: both die in one cycle.
    local failures = {}
    task
      .spawn(function()
        local core, target = require("haplua.core"), nil
        local _ = setmetatable({}, { -- lives as long as the target
          __gc = function()
            for _, call in ipairs({ target.send, target.address, tostring }) do
              failures[#failures + 1] = support.failure(call, target, "show info")
            end
          end,
        })
        target = core.open("/nowhere")
      end)
      :wait()
    collectgarbage()
    collectgarbage()
    assert.equal(3, #failures)
    for _, err in ipairs(failures) do
      assert.matches("collector has taken", err)
    end
  end)

  it("may be changed by a finalizer while it is asked for", function()
    local ran = support.haplua({ "-s", "/x", "-e", [[
      local core = require("haplua.core")
      local n, over = 0, false
      collectgarbage("incremental", 100, 1000, 1)
      for i = 1, 5000 do
        core.use(core.open("/a" .. i))
        setmetatable({}, { __gc = function()
          n = n + 1
          if not over then -- Lua finalizes nothing that a finalizer makes at the end
            core.use(core.open("/b" .. i))
          end
        end })
        assert(tostring(core.current()):find("^/[ab]%d+$"))
      end
      over = true
      print(n > 1000)
    ]] })
    assert.same({ 0, "true\n", "" }, { ran.status, ran.out, ran.err })
  end)
end)

describe("the module", function()
  it("raises where a name does not exist", function()
    assert.matches("no 'acl_ad'", failure(function()
      return haproxy.acl_ad
    end))
  end)

  it("says when a call is not made from a task", function()
    local ran = support.haplua({ "-e", "setmetatable({}, { __gc = function() print(pcall(send, 'show info')) end })" })
    assert.equal(0, ran.status)
    assert.matches("false\t", ran.out)
  end)
end)

describe("several targets", function()
  local MARKED = { "read", "say \\nadmin\\n\\n" }

  it("run the script at the same time, each with its own globals, and mark their lines", function()
    local a <close> = support.fake(MARKED)
    local b <close> = support.fake(MARKED)
    local ran = support.haplua({
      "-s", a.address, "-s", b.address, "-e",
      [[
        assert(rawget(_G, "x") == nil)
        x = tostring(haproxy.target())
        haproxy.barrier()
        assert(x == tostring(haproxy.target()))
        print("one\ntwo", send("show cli level"))
        io.write("three", "\n")
      ]],
    })
    assert.same({ 0, "" }, { ran.status, ran.err })
    local lines = {}
    for line in ran.out:gmatch("[^\n]+") do
      lines[#lines + 1] = line
    end
    table.sort(lines)
    local expected = {}
    for _, fake in ipairs({ a, b }) do
      for _, line in ipairs({ "one", "two\tadmin", "three" }) do
        expected[#expected + 1] = fake.address .. ": " .. line
      end
    end
    table.sort(expected)
    assert.same(expected, lines)
  end)

  it("have the worst exit status", function()
    local a <close> = support.fake(MARKED)
    local ran = support.haplua({ "-s", a.address, "-s", "/nowhere", "-e", "send('show cli level')" })
    assert.equal(3, ran.status)
    assert.matches("^/nowhere: haplua: ", ran.err)
    assert.equal(7, support.haplua({
      "-s", "/a", "-s", "/b", "-s", "/c", "-e", "return tostring(haproxy.target()) == '/b' and 7 or 0",
    }).status)
  end)

  it("pass a barrier together", function()
    local ran = support.haplua({
      "-s", "/a", "-s", "/b", "-s", "/c", "-e",
      [[
        local order = package.loaded.order or {}
        package.loaded.order = order
        for round = 1, 3 do
          task.sleep(tostring(haproxy.target()) == "/b" and 0.003 or 0)
          order[#order + 1] = "before" .. round
          haproxy.barrier()
          order[#order + 1] = "after" .. round
        end
        haproxy.barrier()
        local seen = table.concat(order, " ")
        local expected = {}
        for round = 1, 3 do
          for _, word in ipairs{ "before", "after" } do
            for _ = 1, 3 do expected[#expected + 1] = word .. round end
          end
        end
        assert(seen == table.concat(expected, " "), seen)
      ]],
    })
    assert.same({ status = 0, out = "", err = "" }, ran)
  end)

  it("fail at the barrier when one fails, or ends, before it", function()
    for _, ending in ipairs({ "error('broken')", "do return end", "os.exit(0)", "task.deadline(0, task.sleep, 1)" }) do
      local ran = support.haplua({
        "-s", "/a", "-s", "/b", "-s", "/c", "-e",
        "if tostring(haproxy.target()) == '/b' then task.sleep(0.002) " .. ending .. " end haproxy.barrier() print('past')",
      })
      assert.is_true(ran.status ~= 0, ending)
      assert.equal("", ran.out)
      assert.matches("/a: haplua: ", ran.err)
      assert.matches("/c: haplua: ", ran.err)
    end
  end)

  it("may catch a barrier that failed", function()
    local ran = support.haplua({
      "-s", "/a", "-s", "/b", "-e",
      "if tostring(haproxy.target()) == '/b' then return end print(pcall(haproxy.barrier))",
    })
    assert.equal(0, ran.status)
    assert.matches("^/a: false\t", ran.out)
  end)

  it("are all ended by a signal", function()
    local ran = support.signalled({ "INT" }, [[
      local _ <close> = setmetatable({}, { __close = function() print("closed") end })
      haproxy.barrier()
      if tostring(haproxy.target()) == "/a" then ready() end
      task.sleep(3600)
    ]], "-s", "/a", "-s", "/b")
    assert.equal(130, ran.status)
  end)

  it("do not concern a single one: its barrier always passes", function()
    assert.equal(0, support.haplua({ "-e", "haproxy.barrier() haproxy.barrier()" }).status)
    local ran = support.haplua({
      "-s", "/a", "-s", "/b", "-e",
      "task.spawn(haproxy.barrier) task.spawn(haproxy.barrier) task.sleep(60)",
    })
    assert.matches("another task of this run waits", ran.err)
  end)
end)
