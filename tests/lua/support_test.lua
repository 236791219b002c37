-- SPDX-License-Identifier: MIT

local support = require("support")

describe("support", function()
  it("makes a folder and removes it", function()
    local path
    do
      local folder <close> = support.folder()
      path = folder.write("file", "text", "600")
      assert.is_truthy(io.open(path))
    end
    assert.is_nil((io.open(path)))
  end)

  it("acts as HAProxy and records what it was sent", function()
    local fake <close> = support.fake({ "read", "say \\nadmin\\n\\n" })
    assert.is_true(fake:is_untouched())
    assert.same({ "set severity-output number;show cli level\\n" }, fake.log)
  end)

  it("does not confuse success and failure", function()
    for _, call in ipairs({
      function() support.failure(print) end,
      function() support.refused("x", error, "y") end,
      function() support.code("result") end,
      function() support.refusal(error, "refused") end,
      function() support.code(nil) end,
      function() support.good({ status = 1, out = "", err = "" }) end,
      function() support.good({ status = 0, out = "", err = "!" }) end,
    }) do
      assert.is_false((pcall(call)))
    end
    support.refused("^%S+: x$", error, "here: x", 0)
    assert.equal("why", support.failure(error, "why", 0))
    assert.equal("CODE", (support.code(nil, "in words", "CODE")))
    assert.equal("out", support.good({ status = 0, out = "out", err = "" }))
  end)

  it("runs haplua", function()
    local ran = support.haplua({ "-e", "print(...)", "a", "b" })
    assert.same({ status = 0, out = "a\tb\n", err = "" }, ran)
  end)
end)
