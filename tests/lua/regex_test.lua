-- SPDX-License-Identifier: MIT

-- haplua.regex, and the fake HAProxy's match method "reg". tests/real/regex_test.lua compares it with a real HAProxy.

local regex = require("haplua.regex")
local support = require("support")

--- Run a chunk of Lua in a haplua of its own, where `regex` is the module.
local function chunk(text, env)
  return support.haplua({ "-e", 'local regex = require("haplua.regex")\n' .. text, env = env })
end

--- Does the pattern match the text, in a haplua of its own? Valgrind takes the machine code of PCRE2 for an error.
local function matches(pattern, text, ...)
  local options = table.concat({ ... }, ", ")
  local out = support.good(chunk(("print(assert(regex.compile(%q, %s)):matches(%s))"):format(pattern,
    options == "" and "false" or options, text)))
  return out == "true\n"
end

describe("haplua.regex", function()
  it("compiles as HAProxy does: no captures, no UTF-8, case by option", function()
    assert.same({ nil, "is invalid (error=missing closing parenthesis, erroffset=1)" }, { regex.compile("(") })
    assert.same({ nil, "is invalid (error=reference to non-existent subpattern, erroffset=4)" }, { regex.compile("(a)\\1") })
    assert.is_true(matches("(?<n>a)\\1", '"aa"'))
    assert.is_true(matches("^..$", '"\u{e4}"'))
    assert.is_false(matches("^a$", '"A"'))
    assert.is_true(matches("^a$", '"A"', "true"))
    assert.is_false(matches("^(?-i)a$", '"A"', "true"))
    assert.is_true(matches("(?s)^a.b$", '"a\\nb"'))
    assert.is_true(matches("^\\0$", '"\\0"'))
    assert.is_true(matches("a\0b", '"a"')) -- in HAProxy, too, a NUL ends the pattern
  end)

  it("quotes a text: it matches itself, and nothing else", function()
    assert.equal("^/a\\.b\\?\\(\\^\\$\\)\\[c\\]\\{\\}\\*\\+\\|\\\\-_%~", regex.quote("/a.b?(^$)[c]{}*+|\\-_%~", "^"))
    assert.equal("\0\xff", regex.quote("\0\xff", ""))
    assert.equal("^x", regex.quote("", "^x"))
    local text = ("/."):rep(50000)
    assert.equal((text:gsub("%.", "\\.")), regex.quote(text, ""))
    assert.is_true(matches("^" .. regex.quote("a.b*", "") .. "$", '"a.b*"'))
    assert.is_false(matches("^" .. regex.quote("a.b*", "") .. "$", '"aXbb"'))
  end)

  it("finds the places of a match and of its groups, where they are asked for", function()
    assert.same({ 2, 4, 3, 3, false, false, 5, 4 },
      { regex.compile("a(b)(x)?c()", false, false, true):find("zabc") })
    assert.same({}, { regex.compile("^a", false, false, true):find("a", true) })
    assert.same({ 1, 1 }, { regex.compile("(a)"):find("a") })
    assert.has_error(function() regex.compile("a"):find({}) end)
  end)

  it("matches as HAProxy of the version does", function()
    assert.is_false(matches("(*NO_JIT)a", '"a"'))
    assert.is_true(matches("(*NO_JIT)a", '"a"', "false", "true"))
    assert.is_false(matches("(*UTF)a", '"a\\xff"')) -- not UTF-8
  end)

  it("ends where matching takes long, with no match", function()
    assert.is_false(matches("^(a+)+$", '("a"):rep(5000) .. "b"'))
    assert.is_false(matches("^(a|b|ab)*c$", '("ab"):rep(100000)'))
    assert.is_true(matches("^(?:a|b)*+$", '("ab"):rep(100000)'))
  end)

  it("refuses what is no text, and an expression that was collected", function()
    assert.has_error(function() regex.compile({}) end)
    assert.same({ "false", "false", "false" }, { support.good(chunk([[
      local r = regex.compile("a")
      local meta = debug.getmetatable(r)
      print(pcall(r.matches, r, {}))
      meta.__gc(r)
      meta.__gc(r)
      print(pcall(r.matches, r, "a"))
      print(pcall(r.matches, io.stdout, "a"))
    ]])):match("^(%w+)[^\n]*\n(%w+)[^\n]*\n(%w+)[^\n]*\n$") })
  end)

  it("loads the library when it is used, and says what to install without it", function()
    local loaded = 'print(io.open("/proc/self/maps"):read("a"):find("libpcre2", 1, true) ~= nil)\n'
    assert.equal("false\ntrue\n", support.good(chunk(loaded .. 'regex.compile("a")\n' .. loaded)))
    local folder <close> = support.folder()
    folder.write("libpcre2-8.so.0", "no library")
    local env = { LD_LIBRARY_PATH = folder.path }
    assert.equal("false\n", support.good(chunk(loaded, env)))
    local ran = chunk('regex.compile("a")', env)
    assert.equal(1, ran.status)
    assert.matches("cannot be loaded: install the package libpcre2-8-0", ran.err, 1, true)
    local file = folder.write("a_test.lua", [[
      it("needs no library", function() require("haplua.test").haproxy({ acls = { ["#1"] = { match = "beg" } } }) end)
      it("needs it", function() require("haplua.test").haproxy({ acls = { ["#1"] = { match = "reg" } } }) end)
    ]])
    ran = support.haplua({ "test", file, env = env })
    assert.matches("ok    needs no library\n", ran.out, 1, true)
    assert.matches("FAIL  needs it\n[^\n]*install the package libpcre2%-8%-0", ran.out)
  end)

  it("is declared as it is in docs/types/regex.lua", function()
    local f <close> = assert(io.open("docs/types/regex.lua"))
    local declared = {}
    for owner, name in f:read("a"):gmatch("\nfunction (%w+)[.:](%w+)%(") do
      declared[#declared + 1] = owner .. "." .. name
    end
    local there = { "Regex.find", "Regex.matches" }
    for name in pairs(regex) do
      there[#there + 1] = "regex." .. name
    end
    table.sort(declared)
    table.sort(there)
    assert.same(there, declared)
  end)
end)
