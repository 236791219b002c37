-- SPDX-License-Identifier: MIT

-- A fleet's nodes whose clocks are not synchronised.

local clock = require("haplua.keep.clock")
local file = require("haplua.file")
local test = require("haplua.test")
package.path = "tests/fleet/?.lua;" .. package.path
local fleets = require("fleets")

describe("a clock that is not synchronised", function()
  local before <const> = clock.FOLDER

  after_each(function()
    clock.FOLDER = before
  end)

  it("is reported before an end goes by it, and in status and doctor", function()
    clock.FOLDER = test.folder() .. "/timesync"
    local fleet = fleets.new(2)
    test.advance(2)
    local function maint(...)
      return fleet:maint(...).out
    end
    local words <const> = "clock is not synchronised"
    assert.not_contains(words, maint("on", "--path", "/a", "--for", "1h")) -- nobody knows
    file.folder(clock.FOLDER)
    assert.contains("lb2  its clock is not synchronised, and the end goes by it", maint("on", "--path", "/b", "--for", "1h"))
    assert.not_contains(words, maint("on", "--path", "/c"))
    assert.contains(words, maint("status"))
    assert.contains("the clock of lb1 is not synchronised", maint("doctor"))
    local f <close> = assert(io.open(clock.FOLDER .. "/synchronized", "w"))
    assert.is_userdata(f)
    assert.not_contains(words, maint("on", "--path", "/d", "--for", "1h"))
    assert.not_contains(words, maint("status") .. maint("doctor"))
  end)
end)
