-- SPDX-License-Identifier: MIT

-- The assertions of `haplua test`. $CALLS says how many random ones are compared with busted's (5,000), $SEED which.

local assertions = require("assertions")
local support = require("support")

--- Run `haplua test` on tests that all pass.
local function passes(text)
  local folder <close> = support.folder()
  local ran = support.haplua({ "test", folder.write("a_test.lua", text) })
  assert.are.equal(0, ran.status, ran.out .. ran.err)
  return ran.out
end

--- The message of an assertion that has to fail.
local function message(assertion)
  return passes(([[
    it("fails", function()
      local ok, failure = pcall(function() %s end)
      assert(not ok, "it holds")
      print(failure)
    end)
  ]]):format(assertion)):match("\n(.*)\n  ok  ")
end

local HERE = debug.getinfo(1, "S").source:match("^@(.*)/")

describe("assert under haplua test", function()
  it("does what busted's does", function()
    local count, seed = math.tointeger(os.getenv("CALLS")) or 5000, math.tointeger(os.getenv("SEED")) or 1
    local folder <close> = support.folder()
    local file = folder.write("a_test.lua", ([[
      package.path = %q .. "/?.lua;" .. %q .. "/../conformance/?.lua;" .. package.path
      it("is compared", function()
        local lines = require("assertions").play(assert, require("support").random(%d), %d)
        local f <close> = io.open(%q, "w")
        f:write(table.concat(lines, "\n"))
      end)
    ]]):format(HERE, HERE, seed, count, folder.path .. "/out"))
    local ran = support.haplua({ "test", file })
    assert.equal(0, ran.status, ran.out .. ran.err)
    local theirs, i, differences, returned = assertions.play(assert, support.random(seed), count), 0, {}, 0
    for ours in io.lines(folder.path .. "/out") do
      i = i + 1
      returned = returned + (ours:find(") returns", 1, true) and 1 or 0)
      if ours ~= theirs[i] then
        differences[#differences + 1] = ("busted: %s\n  ours: %s"):format(theirs[i], ours)
      end
    end
    assert.equal(count, i)
    assert.is_true(returned > count / 5 and returned < count * 4 / 5, "the generator makes too much of one kind: " .. returned)
    assert.equal("", table.concat(differences, "\n"), #differences .. " differences")
  end)

  it("ends for tables that contain themselves, and for deep ones", function()
    passes([[
      local function nested(depth, last)
        local t = { last }
        for _ = 1, depth do
          t = { t }
        end
        return t
      end
      it("compares them", function()
        local a, b, c = {}, {}, {}
        a.t, b.t, c.t = a, { t = b }, { t = c, u = 1 }
        assert.same(a, b)
        assert.is_not.same(a, c)
        assert.is_not.same(c, a)
        assert.same({ a, b }, { b, a })
        assert.same(nested(300000, 1), nested(300000, 1))
        assert.is_not.same(nested(300000, 1), nested(300000, 2))
        assert.is_not.same(nested(300000, 1), nested(300001, 1))
      end)
    ]])
  end)

  it("says where tables differ", function()
    assert.equal('expected: { a = { 1, { x = 2 } } }\n     got: { a = { 1, { x = 3 } } }\n      at: .a[2].x',
      message("assert.same({ a = { 1, { x = 2 } } }, { a = { 1, { x = 3 } } })"))
    assert.matches("^expected: {[^\n]*\n     got: {[^\n]*\n      at: %.%.%.[%[%]1]+$",
      message("local a, b = { 1 }, { 2 } for _ = 1, 3000 do a, b = { a }, { b } end assert.same(a, b)"))
    assert.matches("\n      at: .t.u$", message([[local a, b = {}, { t = { u = 1 } }
      a.t, b.t.t = a, b assert.same(a, b)]]))
  end)

  it("fails with messages that can be read", function()
    local long = message('assert.equal(("x"):rep(1000000) .. "1", ("x"):rep(1000000) .. "2")')
    assert.is_true(#long < 5000, #long .. " bytes")
    assert.matches('expected: %(from byte %d+%) "x+1"\n     got: %(from byte %d+%) "x+2"$', long)
    assert.is_true(#message([[local wide = {}
      for i = 1, 100 do
        wide[i] = wide
      end
      assert.is_nil(wide)]]) < 50000)
    assert.is_true(#message("local t = {} for i = 1, 1000000 do t[i] = i end assert.is_nil(t)") < 5000)
    assert.equal("expected: 0.3\n     got: 0.30000000000000004", message("assert.equal(0.3, 0.1 + 0.2)"))
    assert.equal("expected: nil\n     got: (a table that tostring() refuses)",
      message("assert.is_nil(setmetatable({}, { __tostring = function() return {} end }))"))
    assert.equal("why\nexpected: 1\n     got: 2", message('assert.equal(1, 2, "why")'))
    assert.equal("{ 1 }\nexpected: 1\n     got: 2", message("assert.equal(1, 2, { 1 })"))
    assert.equal("expected: not 1\n     got: 1", message("assert.is_not.equal(1, 1)"))
    assert.equal('expected: the error "a"\n     got: "ab"', message('assert.has_error(function() error("ab") end, "a")'))
    assert.equal("expected: not an error\n     got: 5", message("assert.has_no.error(function() error(5) end)"))
  end)

  it("refuses what it does not know, where busted does nothing", function()
    assert.matches("assert has no 'tru'", message("assert.is_tru(true)"), 1, true)
    assert.matches("assert.is.not names no assertion", message("assert.is.no_t = nil assert.is['not'](true)"), 1, true)
    assert.matches("assert.matches: where to begin must be a number", message('assert.matches("a", "a", false)'), 1, true)
  end)

  it("raises the message of assert() itself as Lua does", function()
    passes([[
      it("is raised", function()
        local object = { kind = "x" }
        assert.equal(object, select(2, pcall(assert, nil, object)))
        assert.equal("text", tostring(select(2, pcall(assert, false, "text"))))
        assert.equal("assertion failed!", tostring(select(2, pcall(assert, false))))
        assert.equal(3, select("#", assert(1, nil, nil)))
      end)
    ]])
  end)
end)
