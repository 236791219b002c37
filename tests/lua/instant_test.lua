-- SPDX-License-Identifier: MIT

local instants = require("haplua.time.instant")

describe("instants and durations", function()
  it("reads durations that have units", function()
    for text, seconds in pairs({ ["30m"] = 1800, ["1h30m"] = 5400, ["90s"] = 90, ["2d"] = 172800, ["1w"] = 604800 }) do
      assert.equal(seconds, instants.duration(text), text)
    end
    for _, text in ipairs({ "", "30", "m", "1h30", "-1h", "1.5h", "1 h", "1y", "0m", "9999999999s", "1h\n" }) do
      local seconds, problem = instants.duration(text)
      assert.is_nil(seconds, text)
      assert.is_string(problem)
    end
  end)

  it("reads instants with an offset", function()
    for text, instant in pairs({
      ["2026-12-01T03:00+01:00"] = 1796090400, ["2026-12-01T02:00Z"] = 1796090400, ["2026-12-01 02:00:00Z"] = 1796090400,
      ["2026-12-01T07:30:30+0530"] = 1796090430, ["2026-11-30T23:00-03:00"] = 1796090400,
      ["2028-02-29T00:00Z"] = 1835395200,
    }) do
      assert.equal(instant, instants.instant(text, 0), text)
    end
  end)

  it("reads local times: a time of the day is the next one", function()
    local now = os.time({ year = 2026, month = 6, day = 10, hour = 12, min = 0, sec = 0 })
    assert.equal(now + 3600, instants.instant("13:00", now))
    assert.equal(os.time({ year = 2026, month = 6, day = 11, hour = 12 }), instants.instant("12:00", now))
    assert.equal(os.time({ year = 2026, month = 6, day = 11, hour = 3, min = 5, sec = 9 }), instants.instant("3:05:09", now))
    assert.equal(now + 3600, instants.instant("2026-06-10T13:00", now))
  end)

  it("refuses what is no time, and what is over", function()
    for _, text in ipairs({ "", "24:00", "12:60", "noon", "2026-02-29T00:00Z", "2026-13-01T00:00", "2026-04-31T10:00",
      "2026-12-01T03:00+25:00", "2026-12-01", "2026-12-01T03:00 Z", "03:00x" }) do
      local instant, problem = instants.instant(text, 0)
      assert.is_nil(instant, text)
      assert.matches("expected, not", problem)
    end
    local instant, problem = instants.instant("2026-01-01T00:00Z", 1796090400)
    assert.is_nil(instant)
    assert.matches("is over", problem)
  end)

  it("prints spans by their two largest units", function()
    for seconds, text in pairs({ [0] = "0 s", [59.6] = "1 min", [45] = "45 s", [5400] = "1 h 30 min", [3605] = "1 h",
      [90061] = "1 d 1 h" }) do
      assert.equal(text, instants.span(seconds))
    end
    assert.equal("2026-12-01T02:00:00Z", instants.iso(1796090400))
  end)
end)
