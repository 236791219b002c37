-- SPDX-License-Identifier: MIT

local errors = require("haplua.error")

--- What a call raises, as text.
local function raised(call, ...)
  local ok, problem = pcall(call, ...)
  assert.is_false(ok)
  return tostring(problem)
end

describe("haplua.error", function()
  it("has each kind once, with an exit status and a meaning", function()
    local seen = {}
    for _, kind in ipairs(errors.kinds) do
      assert.is_nil(seen[kind.name])
      seen[kind.name] = true
      assert.is_true(kind.exit >= 1 and kind.exit <= 3, kind.name)
      assert.matches("^%u.*%.$", kind.meaning)
    end
    assert.is_true(seen.refused and seen.ambiguous and seen.unreachable and seen.journal and seen.file)
  end)

  it("raises every registered kind", function()
    for _, kind in ipairs(errors.kinds) do
      local _, problem = pcall(errors.raise, kind.name, "a message", "an advice")
      assert.is_true(errors.is(problem))
      assert.are.same({ kind = kind.name, message = "a message", advice = "an advice" }, setmetatable(problem, nil))
    end
    local _, problem = pcall(errors.refuse, "a message")
    assert.is_true(errors.is(problem))
    assert.are.same({ kind = "refused", message = "a message" }, setmetatable(problem, nil))
  end)

  it("refuses a kind that is not registered, and says which was meant", function()
    assert.matches("unknown kind 'refsed'; did you mean 'refused'%?$", raised(errors.new, { kind = "refsed" }))
    assert.matches("unknown kind 'journl'; did you mean 'journal'%?$", raised(errors.raise, "journl", "x"))
    assert.matches("unknown kind 'none'$", raised(errors.raise, "none", "x"))
    assert.matches("kind: a string expected, got nil$", raised(errors.new, {}))
  end)

  it("refuses unknown fields and wrong types", function()
    local wrong = {
      ["unknown field 'mesage'; did you mean 'message'?"] = { mesage = "x" },
      ["unknown field 'elsewhere'"] = { elsewhere = "x" },
      ["message: a string expected, got number"] = { message = 3 },
      ["column: an integer expected, got string"] = { column = "3" },
      ["signal: an integer expected, got number"] = { signal = 1.5 },
      ["a field's name is a string, not a number"] = { "x" },
    }
    for message, fields in pairs(wrong) do
      fields.kind = "refused"
      local text = raised(errors.new, fields)
      assert.equal(message, text:sub(-#message))
      assert.is_false(errors.is(fields))
    end
    assert.matches("string expected, got no value", raised(errors.refuse))
    assert.matches("string expected, got boolean", raised(errors.refuse, "x", false))
  end)

  it("finds the nearest name", function()
    local names = { "timeout", "paths", "pathx", 7, "never reached" }
    assert.equal("paths", errors.nearest("path", names))
    assert.equal("timeout", errors.nearest("time-out", names))
    assert.is_nil(errors.nearest("reached", names))
    assert.is_nil(errors.nearest("x", {}))
  end)
end)
