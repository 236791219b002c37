-- SPDX-License-Identifier: MIT

-- The demo of a fleet ends its servers and removes its folder, also where its reader goes away before its end.

local run = require("run")
local support = require("support")

describe("make demo-fleet", function()
  local function check(command)
    local folder <close> = support.folder()
    local _, out, err = run({ "sh", "-c", command, env = { TMPDIR = folder.path }, stdout = "capture", stderr = "capture" })
    local _, left = run({ "ls", "-A", folder.path, stdout = "capture" })
    assert.equal("", left)
    -- its servers have the folder in their command lines
    _, left = run({ "pgrep", "-f", "--", folder.path .. "/haplua-demo", stdout = "capture" })
    assert.equal("", left)
    return out, err
  end

  it("goes to its end, and leaves neither processes nor a folder", function()
    local out, err = check("sh tests/demo_fleet.sh; echo status $?")
    assert.matches("See docs/fleet.md for more.\nstatus 0\n$", out, err)
  end)

  it("leaves nothing when its reader goes away", function()
    local out, err = check("{ sh tests/demo_fleet.sh; echo status $? >&2; } | head -n 15")
    assert.equal("status 0\n", err, out)
  end)
end)
