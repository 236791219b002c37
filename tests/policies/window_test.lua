-- SPDX-License-Identifier: MIT
--
-- What `window run` reads.

local calendar = require("haplua.calendar")
local test = require("haplua.test")

local CALENDAR = [[
BEGIN:VCALENDAR
BEGIN:VEVENT
DTSTART:20261201T020000Z
DTEND:20261201T040000Z
SUMMARY:upgrade
END:VEVENT
BEGIN:VEVENT
SUMMARY:broken
END:VEVENT
END:VCALENDAR
]]

describe("window run", function()
  local site, folder

  local function write(name, text)
    local f <close> = assert(io.open(folder .. "/" .. name, "w"))
    f:write(text)
    return folder .. "/" .. name
  end

  before_each(function()
    folder = test.folder()
    site = test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
    test.env({ HAPLUA_JOURNAL = folder .. "/journal.db", HAPLUA_CONFIG = "none" })
    test.clock({ at = "2026-12-01T01:00:00Z" })
  end)

  --- How often something was printed.
  local function times(text, words)
    local _, n = text:gsub(words, words)
    return n
  end

  it("reads a calendar once, and names what it leaves out", function()
    local reads, read = 0, calendar.read
    function calendar.read(...)
      reads = reads + 1
      return read(...)
    end
    local _ <close> = setmetatable({}, { __close = function()
      calendar.read = read
    end })
    local process = test.start("scripts/window.lua", "--lenient", "calendar", write("a.ics", CALENDAR))
    test.advance("1h1m")
    assert.equal(1, reads)
    assert.equal(1, times(process:err(), "window: left out: [^\n]*a.ics:7: an event without DTSTART"))
    assert.is_true(site:matches("#9999", "/any"))
    write("a.ics", CALENDAR:gsub("T04", "T05"))
    test.advance("2h")
    assert.equal(2, reads)
    assert.equal(2, times(process:err(), "window: left out: "))
    assert.is_true(site:matches("#9999", "/any"))
  end)
end)
