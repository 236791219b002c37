-- SPDX-License-Identifier: MIT
--
-- day.lua - measure what a day of `window run` costs in virtual time, the fake HAProxy included, for a window that is
-- open two hours a day. Prints the rows of a table. Usage: ./haplua test tests/bench/day.lua --seconds 600

-- luacheck: std +busted

local test = require("haplua.test")

-- Holds the keeper's lock, as `keep` does, and leaves HAProxy alone.
local HOLDER = [[
  local journal <close> = require("haplua.store.sqlite").open(arg[1])
  local lock <close> = assert(journal:keeper("/run/haproxy/admin.sock"))
  task.sleep(1e9)
]]

--- The milliseconds of processor time that a day takes.
local function measure(days)
  test.start("scripts/window.lua", "run", "daily 02:00-04:00", "--tz", "UTC")
  test.settle()
  local began = os.clock()
  test.advance(days * 86400)
  return (os.clock() - began) / days * 1000
end

describe("a day of a window that is open two hours", function()
  local journal

  before_each(function()
    journal = test.folder() .. "/journal.db"
    test.env({ HAPLUA_JOURNAL = journal, HAPLUA_CONFIG = "none" })
    test.clock({ at = "2026-12-01T00:00:00Z" })
    test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
  end)

  it("beside keep", function()
    local f <close> = assert(io.open(test.folder() .. "/holder.lua", "w"))
    f:write(HOLDER)
    f:close()
    test.start(test.folder() .. "/holder.lua", journal)
    test.settle()
    print(("| beside `keep` (bar: 10 ms) | %.1f ms |"):format(measure(100)))
  end)

  it("alone", function()
    print(("| alone: HAProxy is asked 86,400 times | %.0f ms |"):format(measure(1)))
  end)
end)
