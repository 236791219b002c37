-- SPDX-License-Identifier: MIT
--
-- The demo ends its servers and removes its folder, also where its reader goes away before its end.

local run = require("run")
local support = require("support")

describe("make demo", function()
  it("leaves neither processes nor a folder when its reader goes away", function()
    local folder <close> = support.folder()
    local status, out, err = run({
      "sh", "-c", "{ sh tests/demo.sh; echo status $? >&2; } | head -n 3", env = { TMPDIR = folder.path }, stdout = "capture",
      stderr = "capture",
    })
    assert.same({ 0, "status 0\n" }, { status, err })
    assert.matches("^A private HAProxy listens on port %d+", out)
    local _, left = run({ "ls", "-A", folder.path, stdout = "capture" })
    assert.equal("", left)
    -- its servers have the folder in their command lines
    _, left = run({ "pgrep", "-f", "--", folder.path .. "/haplua-demo", stdout = "capture" })
    assert.equal("", left)
  end)
end)
