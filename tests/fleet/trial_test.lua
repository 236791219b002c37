-- SPDX-License-Identifier: MIT

-- Twenty nodes with HAProxy under faults of nodes and members, in short; `make check-fleet-long` does it for minutes.

local etcd = require("etcd")
local trial = require("trial")

describe("a fleet of twenty nodes", function()
  it("holds what the store says, whatever is killed", function()
    local cluster <close> = etcd.start({ members = 3 })
    local counts = trial.run(cluster, { count = 20, seconds = 12, seed = 1 })
    assert.is_true(counts.looks > 0)
  end)
end)
