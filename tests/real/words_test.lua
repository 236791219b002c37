-- SPDX-License-Identifier: MIT
--
-- A short run of tests/fuzz/real_words.lua: HAProxy returns words as they were sent.

local support = require("support")

describe("words of any bytes", function()
  it("come back as they were sent", function()
    local ran = support.haplua({ "tests/fuzz/real_words.lua", "1", "1", env = { HAPROXY = os.getenv("HAPROXY") } })
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.matches("%d%d%d words in 1 s, all the same\n$", ran.out)
  end)
end)
