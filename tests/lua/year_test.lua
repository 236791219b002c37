-- SPDX-License-Identifier: MIT

-- A year of `window run` on the virtual clock: tests/policies/year_test.lua, by `haplua test`. $SEED is its seed.

local support = require("support")

describe("window run", function()
  it("is right at every boundary of a year, with calendars, and when the clock is set back", function()
    local result = support.haplua({
      env = { SEED = os.getenv("SEED") }, "test", "tests/policies/year_test.lua", "--seconds", "3600",
    })
    assert.are.equal(0, result.status, result.out .. result.err)
    assert.is_truthy(result.out:find("7 passed, 0 failed, 0 skipped", 1, true), result.out)
  end)
end)
