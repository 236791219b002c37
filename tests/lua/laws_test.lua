-- SPDX-License-Identifier: MIT

-- The two laws of maintenances over random histories on the virtual clock: tests/policies/laws_test.lua, by
-- `haplua test`. $SEED is the first seed. `make laws N=10000` plays more of them.

local support = require("support")

describe("the laws of maintenances", function()
  it("hold in 200 random histories", function()
    local result = support.haplua({
      env = { SEED = os.getenv("SEED"), N = "200" }, "test", "tests/policies/laws_test.lua", "--seconds", "3600",
    })
    assert.are.equal(0, result.status, result.out:match("  FAIL.*") or result.err)
    assert.is_truthy(result.out:find("200 passed, 0 failed, 0 skipped", 1, true), result.out)
  end)
end)
