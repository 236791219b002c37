-- SPDX-License-Identifier: MIT

local support = require("support")

describe("support", function()
  it("makes a folder and takes it away", function()
    local path
    do
      local folder <close> = support.folder()
      path = folder.write("file", "text", "600")
      assert.is_truthy(io.open(path))
    end
    assert.is_nil((io.open(path)))
  end)

  it("plays HAProxy and tells what it was sent", function()
    local fake <close> = support.fake({ "read", "say \\nadmin\\n\\n" })
    assert.is_true(fake:is_untouched())
    assert.same({ "set severity-output number;show cli level\\n" }, fake.log)
  end)

  it("runs haplua", function()
    local ran = support.haplua({ "-e", "print(...)", "a", "b" })
    assert.same({ status = 0, out = "a\tb\n", err = "" }, ran)
  end)
end)
