-- SPDX-License-Identifier: MIT
--
-- docs/security.md, as far as no real HAProxy is needed: what a run may send, what a hostile reply and a
-- hostile folder can do. tests/lua/limits_test.lua has the limits, tests/real/security_test.lua the rest.

local support = require("support")

-- Tries one change in every way that a script has; prints the kind of error of each, and what went through.
local TRY_ALL = [[
local tried, through = {}, {}
local function try(name, fn, ...)
  local ok, e = pcall(fn, ...)
  if ok then
    through[#through + 1] = name
  else
    local kind = type(e) == "table" and e.kind or "misuse"
    tried[kind] = (tried[kind] or 0) + 1
  end
end
local t = haproxy.connect(arg[1])
try("send a string", send, "add acl #1 x")
try("send words", send, { "add", "acl", "#1", "x" })
try("escapes", send, "\\a\\dd \\acl \\#1 x")
try("blanks", send, " \t add \t acl \t #1 x")
try("a version", send, "add acl @1 #1 x")
try("a payload", send, "add map #1", "k v\n")
try("a payload behind a reader", send, "show acl #1", "add acl #1 x\n")
try("an unknown command", send, "frobnicate")
try("another case", send, "Show info")
try("a batch", t.batch, t, { "show info", "add acl #1 x" })
try("each", t.each, t, { "add", "acl", "#1" }, { "x" })
try("each, in the values", t.each, t, { "add" }, { "acl" }, { "#1" })
try("each, in the closing command", t.each, t, { "get", "acl", "#1" }, { "x" }, nil, nil, "clear acl #1")
try("acl_add", acl_add, "#1", "x")
try("map_set", haproxy.map_set, "#1", "k", "v")
try("server_set", haproxy.server_set, { server = "a/b", state = "maint" })
try("another target", t.acl_add, t, "#1", "x")
try("another process", haproxy.connect("/nowhere").acl_add, haproxy.connect(arg[1], { via = "@1" }), "#1", "x")
try("a task", function() task.spawn(acl_add, "#1", "x"):wait() end)
try("a coroutine", coroutine.wrap(function() acl_add("#1", "x") end))
try("a cleanup", function()
  local _ <close> = setmetatable({}, { __close = function() acl_add("#1", "x") end })
end)
try("the core", require("haplua.core").current().each, require("haplua.core").current(), { "add", "acl", "#1" }, { "x" })
try("the library's own functions put aside", function()
  package.loaded["haplua.core"].check = function() end
  require("haplua.haproxy.list").replace(t, "acl", "#1", {}, nil, { state = { text = "0x1 x" } })
end)
-- these are no commands at all
try("two commands", send, "show info;add acl #1 x")
try("two lines", send, "show info\nadd acl #1 x")
try("a NUL", send, "show info\0add acl #1 x")
try("a prefix", send, "@1 add acl #1 x")
try("an escaped prefix", send, "\\@1 add acl #1 x")
try("a mark", send, "show info <<")
try("a route with a command", haproxy.connect, arg[1], { via = "@1 add acl #1 x;@1" })
try("a route with a line", haproxy.connect, arg[1], { via = "@1\nadd acl #1 x\n@1" })
try("prompt", send, "prompt")
print(tried.denied, tried.misuse, table.concat(through, ", "))
]]

--- Run TRY_ALL with these options; nothing at all may have been sent.
local function try_all(...)
  local fake <close> = support.fake({ "read", "say \\n\\n\\n" })
  local words = { "-s", fake.address, "-e", TRY_ALL, fake.address }
  for i, word in ipairs({ ... }) do
    table.insert(words, i, word)
  end
  local ran = support.haplua(words)
  assert.equal("", ran.err)
  assert.equal("23\t9\t\n", ran.out)
  assert.equal(0, ran.status)
  assert.is_true(fake:is_untouched())
end

--- What the fake got from one run that changes #1, and the run.
local function changed_by(chunk, ...)
  local fake <close> = support.fake({ "read", "say \\n\\n" })
  local words = { "-s", fake.address, "-e", chunk }
  for i, word in ipairs({ ... }) do
    table.insert(words, i, word)
  end
  local ran = support.haplua(words)
  local untouched = ran.status ~= 0 and fake:is_untouched()
  return ran, not untouched and fake:wait(1)[1] or nil
end

describe("--read-only", function()
  it("sends no change, in whatever way a script tries", function()
    try_all("--read-only")
  end)

  it("refuses in a dry run as without", function()
    try_all("--read-only", "-n")
  end)

  it("counts over --only", function()
    try_all("--read-only", "--only", "#1", "--only", "a")
  end)

  it("reads", function()
    local fake <close> = support.fake({ "read", "say \\nName: HAProxy\\nVersion: 9\\n\\n" })
    local ran = support.haplua({ "--read-only", "-s", fake.address, "-e", "print(haproxy.info().Version)" })
    assert.same({ 0, "9\n", "" }, { ran.status, ran.out, ran.err })
  end)

  it("says what it refused, where, and why, with status 1", function()
    local ran, got = changed_by('send("clear acl #1")', "--read-only")
    assert.is_nil(got)
    assert.equal(1, ran.status)
    assert.truthy(ran.err:find("'clear acl #1' at /", 1, true))
    assert.truthy(ran.err:find("--read-only refuses what changes HAProxy", 1, true))
    assert.truthy(ran.err:find("nothing was sent", 1, true))
    assert.is_nil(ran.err:find("stats socket", 1, true)) -- it is not HAProxy that refused
  end)

  it("leaves the rest of the machine to the script", function()
    local folder <close> = support.folder()
    local ran = support.haplua({ "--read-only", "-s", "/nowhere", "-e", [[
      io.open(arg[1], "w"):close()
      return (run({ "true" }))
    ]], folder.path .. "/file" })
    assert.equal(0, ran.status)
    io.open(folder.path .. "/file"):close()
  end)
end)

describe("--only", function()
  it("sends no other change, in whatever way a script tries", function()
    try_all("--only", "#2", "--only", "a/c", "--only", "/etc/x.lst")
  end)

  it("refuses in a dry run as without", function()
    try_all("-n", "--only", "#2")
  end)

  it("lets the changes of its reference through", function()
    local ran, got = changed_by('acl_add("#1", "x")', "--only", "#2", "--only", "#1")
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.equal("set severity-output number;add acl #1 x\\n", got)
  end)

  it("lets a backend's servers, or one, be changed", function()
    for _, reference in ipairs({ "a", "a/b" }) do
      local ran, got = changed_by('send("set server a/b state maint")', "--only", reference)
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.equal("set severity-output number;set server a/b state maint\\n", got)
    end
    for _, reference in ipairs({ "a/c", "b", "a/", "A", "#1" }) do
      local ran, got = changed_by('send("set server a/b state maint")', "--only", reference)
      assert.equal(1, ran.status)
      assert.is_nil(got)
    end
  end)

  it("takes the number of a list for no backend's, and a backend's for no list's", function()
    for command, references in pairs({
      ["disable server #4/o1"] = { "#4", "#4/o2", "#4/#1" }, ["add acl #4 x"] = { "#4/o1", "4" },
      ["disable server /x/o1"] = { "/x" }, ["disable server two\\ words/o1"] = { "two words" },
    }) do
      for _, reference in ipairs(references) do
        local ran, got = changed_by(("send %q"):format(command), "--only", reference)
        assert.same({ 1 }, { ran.status, got }, command .. " " .. reference)
        assert.truthy(ran.err:find("--only refuses", 1, true))
      end
    end
    local ran, got = changed_by("send 'disable server #4/o1'", "--only", "#4/o1")
    assert.same({ 0, "set severity-output number;disable server #4/o1\\n" }, { ran.status, got })
  end)

  it("goes by the name as it is written, for a list may have two", function()
    for _, reference in ipairs({ "#01", "x.lst", "./x.lst", "#0" }) do
      local ran, got = changed_by(('acl_add(%q, "x")'):format(reference), "--only", "#1", "--only", "/x.lst")
      assert.equal(1, ran.status)
      assert.is_nil(got)
      assert.truthy(ran.err:find("this run may change #1, /x.lst alone, by that name", 1, true))
    end
  end)

  it("reads everything", function()
    local fake <close> = support.fake({ "read", "say \\n0x1 a\\n0x2 b\\n\\n" })
    local ran = support.haplua({ "--only", "#1", "-s", fake.address, "-e", 'print(send("show acl #2"))' })
    assert.same({ 0, "0x1 a\n0x2 b\n", "" }, { ran.status, ran.out, ran.err })
  end)

  it("takes no reference that would never match", function()
    for _, reference in ipairs({ "", "#", "#x", "#0x10", "@1", "#4/", "#x/o1" }) do
      local ran = support.haplua({ "--only", reference, "-e", "" })
      assert.equal(2, ran.status)
      assert.truthy(ran.err:find("--only takes", 1, true))
    end
  end)
end)

--- No byte that a terminal acts on, and no text that runs backwards.
local function assert_harmless(text)
  local left = text:gsub("[\n\t]", "")
  assert.is_nil(left:find("[\0-\31\127]"), text)
  assert.is_nil(left:find("\xc2[\x80-\x9f]"), text)
  assert.is_nil(left:find("\xe2\x80[\xa8-\xae]"), text)
  assert.truthy(utf8.len(left), text)
end

-- ESC [2J, an 8-bit CSI, the same in UTF-8, BEL, backspace, right-to-left override
local STEERING = [[\x1b[2J\x9b2J\xc2\x9b2J\x07\x08\xe2\x80\xae]]

describe("a reply that steers terminals", function()
  it("is shown harmless in an error", function()
    local fake <close> = support.fake({ "read", "say \\n[3]: no " .. STEERING .. "\\n\\n" })
    local ran = support.haplua({ "-s", fake.address, "-e", 'send("clear acl #1")' })
    assert.equal(1, ran.status)
    assert.truthy(ran.err:find("\\x1b[2J\\x9b2J\\xc2\\x9b2J\\x07\\x08\\xe2\\x80\\xae", 1, true))
    assert_harmless(ran.err)
  end)

  it("is shown harmless in what to do about an error", function()
    local fake <close> = support.fake({
      "read", "say \\n[3]: Unknown ACL identifier. Please use #<id> or <file>.\\n\\n", "next",
      "read", "say \\n# id (file) description\\n7 (" .. STEERING .. ") acl 'x'\\n\\n",
    })
    local ran = support.haplua({ "-s", fake.address, "-e", 'send("clear acl #1")' })
    assert.truthy(ran.err:find("there are these:\n", 1, true))
    assert.truthy(ran.err:find("7 (\\x1b[2J", 1, true) or ran.err:find("\n    \\x1b[2J", 1, true))
    assert_harmless(ran.err)
  end)

  it("is shown harmless by -v", function()
    local fake <close> = support.fake({ "read", "say \\nName: " .. STEERING .. "\\n\\n" })
    local ran = support.haplua({ "-v", "-s", fake.address, "-e", 'send("show info")' })
    assert.equal(0, ran.status)
    assert.truthy(ran.err:find("Name: \\x1b[2J\\x9b2J\\xc2\\x9b2J", 1, true))
    assert_harmless(ran.err)
  end)

  it("is shown harmless at the prompt, as a value and as an error", function()
    local fake <close> = support.fake({
      "read", "say \\nName: a" .. STEERING .. "\\n\\n", "next", "read", "say \\n[3]: b" .. STEERING .. "\\n\\n",
    })
    local ran = support.shell([[
      { echo 'send("show info")'; echo 'send("clear acl #1")'; } |
        script -qec "$(printf '%s ' "$@")" /dev/null]], "-s", fake.address)
    assert.truthy(ran.out:find("Name: a\\x1b[2J\\x9b2J\\xc2\\x9b2J\\x07", 1, true), ran.out)
    assert.truthy(ran.out:find("refused: b\\x1b[2J\\x9b2J", 1, true), ran.out)
    assert.is_nil(ran.out:find("\27[2J", 1, true))
    assert.is_nil(ran.out:find("\x9b", 1, true))
  end)

  it("is given to the script as it came", function()
    local fake <close> = support.fake({ "read", "say \\nName: " .. STEERING .. "\\n\\n" })
    local name = haproxy.connect(fake.address):send("show info")
    assert.equal("Name: \x1b[2J\x9b2J\xc2\x9b2J\a\b\xe2\x80\xae", name)
  end)
end)

describe("the folder that one is in", function()
  local is_root = support.is_root

  it("does not choose what a name means, unless it is ours or root's alone", function()
    local folder <close> = support.folder()
    run({ "mkdir", folder.path .. "/policies" })
    folder.write("policies/maint.lua", "print('mine')")
    folder.write("policies/other.lua", "print('mine')")
    --- Is it the script of this folder that the name leads to? Else the installed one, or none.
    local function is_mine(name)
      return support.haplua({ "-s", "/nowhere", name, "status", cwd = folder.path }).out == "mine\n"
    end
    assert.is_true(is_mine("maint"))
    run({ "chmod", "o+w", folder.path .. "/policies/maint.lua" })
    assert.is_false(is_mine("maint"))
    run({ "chmod", "o-w", folder.path .. "/policies/maint.lua" })
    run({ "chmod", "o+w", folder.path .. "/policies" })
    assert.is_false(is_mine("maint"))
    assert.is_false(is_mine("other"))
    run({ "chmod", "o-w", folder.path .. "/policies" })
    assert.is_true(is_mine("other"))
    if is_root() then
      run({ "chmod", "g+w", folder.path .. "/policies/maint.lua", folder.path .. "/policies" })
      assert.is_true(is_mine("maint"), "root's private group")
      run({ "chgrp", "65534", folder.path .. "/policies" })
      assert.is_false(is_mine("maint"))
      run({ "chmod", "g-w", folder.path .. "/policies" })
      assert.is_true(is_mine("maint"))
      run({ "chgrp", "65534", folder.path .. "/policies/maint.lua" })
      assert.is_false(is_mine("maint"))
      run({ "chmod", "g-w", folder.path .. "/policies/maint.lua" })
      assert.is_true(is_mine("maint"))
      run({ "mv", folder.path .. "/policies", folder.path .. "/elsewhere" })
      run({ "ln", "-s", "elsewhere", folder.path .. "/policies" })
      assert.is_true(is_mine("maint"))
      run({ "chown", "-h", "65534", folder.path .. "/policies" })
      assert.is_false(is_mine("maint"), "another user's link")
      run({ "chown", "-h", "0", folder.path .. "/policies" })
      run({ "chown", "65534", folder.path .. "/policies/maint.lua" })
      assert.is_false(is_mine("maint"))
    end
    -- a path is the choice of the user
    local ran = support.haplua({ "-s", "/nowhere", "policies/maint.lua", cwd = folder.path })
    assert.equal("mine\n", ran.out)
  end)

  it("does not step in for a module", function()
    local folder <close> = support.folder()
    run({ "mkdir", folder.path .. "/elsewhere" })
    folder.write("elsewhere/x.lua", [[
      print(pcall(require, "stray"))
      print(package.path:find("./?", 1, true), package.cpath:find("./?", 1, true))
    ]])
    folder.write("stray.lua", "print('stray')")
    local ran = support.haplua({ "-s", "/nowhere", "elsewhere/x.lua", cwd = folder.path })
    assert.truthy(ran.out:find("^false\t"), ran.out)
    assert.truthy(ran.out:find("\nnil\tnil\n$"), ran.out)
  end)
end)

describe("the environment", function()
  it("does not run what $LUA_INIT says", function()
    local init = { LUA_INIT = "print('run')", LUA_INIT_5_4 = "print('run')" }
    local ran = support.haplua({ "-s", "/nowhere", "-e", "print('script')", env = init })
    assert.same({ 0, "script\n", "" }, { ran.status, ran.out, ran.err })
  end)
end)

describe("the configuration", function()
  it("reaches nothing", function()
    local config = require("haplua.store.config")
    for _, name in ipairs({
      "io", "os", "run", "require", "load", "dofile", "package", "debug", "haproxy", "send", "task", "print", "_G",
      "setmetatable", "getmetatable", "string", "coroutine", "collectgarbage", "pcall",
    }) do
      assert.is_false((pcall(config.parse, "conf", ("return { default = %s.x or %s() }"):format(name, name))), name)
      assert.same({}, config.parse("conf", ("return %s == nil and {} or 7"):format(name)).switches, name)
    end
    assert.is_false((pcall(config.parse, "conf", "while true do end")))
    assert.is_false((pcall(config.parse, "conf", "local function f() return f() end return f()")))
    assert.is_false((pcall(config.parse, "conf", "\27Lua")))
  end)
end)

describe("the journal", function()
  it("is closed to others", function()
    local folder <close> = support.folder()
    local journal = require("haplua.store.sqlite")
    journal.open(folder.path .. "/new/journal.db"):close()
    local _, modes = run({ "stat", "-c", "%a", folder.path .. "/new", folder.path .. "/new/journal.db", stdout = "capture" })
    assert.equal("750\n640\n", modes)
  end)
end)

describe("what the journal tells", function()
  it("is shown harmless", function()
    local folder <close> = support.folder()
    local path = folder.path .. "/journal.db"
    require("haplua.store.sqlite").open(path):close()
    local steering = STEERING:gsub("\\x(%x%x)", function(hex)
      return string.char(tonumber(hex, 16))
    end)
    local db = require("haplua.sqlite").open(path)
    assert(db:run([[INSERT INTO changes (time, target, acl, switch, action, patterns, reason, user, host, pid, outcome)
      VALUES (0, ?, ?, ?, 'on', ?, ?, ?, ?, 1, ?)]], "/nowhere", "#1", "#1", "p" .. steering, "r" .. steering,
      "u" .. steering, "h" .. steering, "o" .. steering))
    db:close()
    local ran = support.haplua({ "-s", "/nowhere", "scripts/maint.lua", "--journal", path, "log" })
    assert.same({ 0, "" }, { ran.status, ran.err })
    for _, letter in ipairs({ "p", "r", "u", "h", "o" }) do
      assert.truthy(ran.out:find(letter .. "\\x1b[2J\\x9b2J\\xc2\\x9b2J", 1, true), letter)
    end
    assert_harmless(ran.out)
  end)
end)

describe("a link", function()
  it("to a socket is followed, as for any program", function()
    local fake <close> = support.fake({ "read", "say \\nadmin\\n\\n" })
    local link = fake.folder.path .. "/link"
    run({ "ln", "-s", fake.address, link })
    assert.equal("admin", haproxy.connect(link):send("show cli level"))
  end)

  it("to a file is never written through: the socket is all that is opened", function()
    local folder <close> = support.folder()
    local file = folder.write("file", "kept")
    run({ "ln", "-s", file, folder.path .. "/link" })
    local ran = support.haplua({ "-s", folder.path .. "/link", "-e", 'send("clear acl #1")' })
    assert.equal(3, ran.status)
    local f <close> = assert(io.open(file))
    assert.equal("kept", f:read("a"))
  end)
end)
