-- SPDX-License-Identifier: MIT
--
-- haplua cannot be made to send what brings a HAProxy down: tests/conformance/hostile_test.lua.

local support = require("support")

describe("what leaves haplua", function()
  it("is harmless, whatever it is given", function()
    local ran = support.haplua({ "test", "tests/conformance/hostile_test.lua" })
    assert.same({ 0, "" }, { ran.status, ran.err }, ran.out)
    assert.truthy(ran.out:find("\n32 passed, 0 failed, 0 skipped ", 1, true), ran.out)
  end)
end)
