-- SPDX-License-Identifier: MIT

-- Windows from the time intervals of an Alertmanager configuration.

local civil = require("haplua.time.civil")
local support = require("support")
local window = require("haplua.window")
local zones = require("haplua.zone")

local BEFORE = "global:\n  resolve_timeout: 5m\nroute:\n  routes:\n  - matchers: [ a=\"b\" ]\n    mute_time_intervals: [night]\n"
local AFTER = "receivers:\n- name: x\n  time_intervals: not these\n"

--- The canonical forms of the windows of a configuration.
local function windows(text, given)
  local folder <close> = support.folder()
  local list = window.intervals(folder.write("alertmanager.yml", text), given)
  for i, spec in ipairs(list) do
    list[i] = tostring(spec)
    assert.is_true(window.parse(list[i]) == spec)
  end
  return list
end

describe("Alertmanager's time intervals", function()
  local text = BEFORE .. [[
time_intervals:
  # people are at home
  - name: "off: hours"   # a comment
    time_intervals:
      - times:
          - start_time: '18:00'
            end_time: "24:00"

          - start_time: 00:00
            end_time: 08:00
        weekdays: ['monday:friday']
        location: 'Europe/Paris'
      - weekdays: [saturday,
                   "sunday"]
mute_time_intervals:
- name: Quarter's end
  time_intervals:
  - days_of_month: ['-3:-1']
    months: ['march', 'june:august', 12]
    times: [{start_time: '20:00', end_time: '22:00'}]
    years: ['2026:2028']
  - days_of_month:
    - -1
    location: Local
  - { days_of_month: ['1:-1'], weekdays: ['sunday:saturday'] }
]] .. AFTER

  it("are windows, in each way in which YAML writes them", function()
    local quarter = {
      "DTSTART:20260101T200000Z;DTEND:20260101T220000Z;RRULE:FREQ=DAILY;UNTIL=20281231T235959;"
        .. "BYMONTH=3,6,7,8,12;BYMONTHDAY=-3,-2,-1",
      "last day 00:00-24:00", "daily 00:00-24:00 UTC",
    }
    local all = { "Mon..Fri 18:00-24:00 Europe/Paris", "Mon..Fri 00:00-08:00 Europe/Paris", "Sat,Sun 00:00-24:00 UTC" }
    assert.are.same(quarter, windows(text, { match = "QUARTER" }))
    assert.are.same(table.move(quarter, 1, #quarter, #all + 1, all), windows((text:gsub("\n", "\r\n"))))
  end)

  it("are what --intervals takes", function()
    local folder <close> = support.folder()
    local path = folder.write("alertmanager.yml", text)
    local found = support.haplua({ "scripts/window.lua", "next", "--intervals", path, "--match", "hours", "-n", "1",
      "--at", "2026-12-01T12:00", "--tz", "Europe/Paris" })
    assert.matches("^Tue 2026%-12%-01 18:00 %+01:00  Wed 2026%-12%-02 08:00 %+01:00", found.out, found.err)
    found = support.haplua({ "scripts/window.lua", "check", "--intervals", folder.path .. "/none.yml" })
    assert.are.equal(2, found.status)
  end)

  local function interval(line)
    return BEFORE .. "time_intervals:\n- name: x\n  time_intervals:\n  - " .. line .. "\n" .. AFTER
  end

  for line, problem in pairs({
    ["weekdays: ['friday:sunday']"] = ":10: weekdays: no window has the range",
    ["weekdays: ['fri']"] = ":10: weekdays: 'fri' is not known", ["weekdays: [1]"] = "not known",
    ["days_of_month: ['5:-3']"] = "no window has the range", ["days_of_month: ['-3:5']"] = "no window has the range",
    ["days_of_month: [0]"] = "not known", ["days_of_month: [32]"] = "not known", ["months: [13]"] = "not known",
    ["months: ['1:2:3']"] = "not known", ["years: ['2026', '2028']"] = ":10: years: give an interval of its own",
    ["times: [{start_time: '20:00', end_time: '02:00'}]"] = "a later end_time",
    ["times: [{start_time: '20:00'}]"] = "a later end_time",
    ["times: [{start_time: '2pm', end_time: '18:00'}]"] = "no start_time",
    ["times: [{start_time: '20:00', end_time: '24:01'}]"] = "no end_time",
    ["times:\n    - end_time: '20:00'\n      end_time: '22:00'"] = ":12: '22:00' is no end_time",
    ["weekdays: &days [monday]"] = "not read here", ["weekdays: *days"] = "not read here", ["<<: *x"] = "not read here",
    ["weekdays: |"] = "not read here", ["location: !!str UTC"] = "not read here", ["week_days: [monday]"] = "not expected here",
    ["months: [1]\n    months: [2]"] = "already", ["location: Europe/Paris\n      Rome"] = "not expected here",
    ["location: EST"] = ":10: location: a name", ["location: Europe/Paris x"] = "a name",
    ["weekdays: []"] = ":10: weekdays: nothing",
    ["times: []"] = ":10: times: nothing", ["location: 'Europe/Par"] = "not read here", ["name: y"] = "no time intervals",
    ["weekdays: \27[2J"] = "not read here",
  }) do
    it("are refused with file and line: " .. line:gsub("%c", " "), function()
      local found = tostring(support.refusal(windows, interval(line)))
      assert.is_truthy(found:find(problem, 1, true), found)
      assert.is_nil(found:find("\27"))
    end)
  end

  it("are refused where a file has none", function()
    support.refusal(windows, BEFORE .. AFTER)
    support.refusal(windows, "")
    support.refusal(windows, text, { match = "lunch" })
    support.refusal(window.intervals, "/nonexistent.yml")
    support.failure(window.intervals, "/nonexistent.yml", { name = "x" })
  end)

  it("open in each minute in which Alertmanager is silent", function()
    local random = support.random(tonumber(os.getenv("SEED")) or 3)
    local day_names = { "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday" }
    local function ranges(low, high, n, name)
      local texts, set = {}, {}
      for i = 1, n do
        local first = low + random(high - low + 1) - 1
        local last = math.min(high, first + random(4) - 1)
        texts[i] = first == last and name(first) or name(first) .. ":" .. name(last)
        for k = first, last do
          set[k] = true
        end
      end
      return "['" .. table.concat(texts, "', '") .. "']", set
    end
    for _ = 1, 40 do
      local from_end = random(2) == 1
      local dates_text, dates = ranges(from_end and -9 or 1, from_end and -1 or 28, 2, tostring)
      local months_text, months = ranges(1, 12, 2, tostring)
      local weekdays_text, weekdays = ranges(1, 6, 2, function(i) return day_names[i] end)
      local start = random(1380)
      local finish = start + random(1440 - start)
      local clock = "{start_time: '%02d:%02d', end_time: '%02d:%02d'}"
      local parts = { "times: [" .. clock:format(start // 60, start % 60, finish // 60, finish % 60) .. "]" }
      local use = { dates = random(2) == 1, months = random(3) == 1, weekdays = random(2) == 1 }
      parts[#parts + 1] = use.dates and "days_of_month: " .. dates_text or nil
      parts[#parts + 1] = use.months and "months: " .. months_text or nil
      parts[#parts + 1] = use.weekdays and "weekdays: " .. weekdays_text or nil
      parts[#parts + 1] = "location: Europe/Paris"
      local yaml = interval(table.concat(parts, "\n    "))
      local folder <close> = support.folder()
      local asked = window.new(window.intervals(folder.write("a.yml", yaml)), { tz = "UTC" })
      -- not in an hour that the clocks show twice: there a window opens once (docs/windows.md)
      local zone, from = zones.load("Europe/Paris"), civil.day(2026, 4 + random(5), random(28)) * 86400
      for minute = from, from + 21 * 86400, 420 do
        local time = zone:civil(minute)
        local day = time // 86400
        local year, month, date = civil.date(day)
        local back = date - civil.month_length(year, month) - 1
        local second = time % 86400
        local open = second >= start * 60 and second < finish * 60 and (not use.dates or dates[date] or dates[back])
          and (not use.months or months[month]) and (not use.weekdays or weekdays[civil.weekday(day)])
        assert.are.equal(open and true or false, asked:open_at(minute) ~= nil, yaml .. minute)
      end
    end
  end)
end)
