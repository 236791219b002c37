-- SPDX-License-Identifier: MIT

-- Random texts of windows: what the former reader took (former_reader.lua, former_spec.lua) means the same now; the
-- canonical form of a window has the window's occurrences; cron's and systemd's lines open when these programs would
-- act. $ROUNDS is the number of texts of each kind (500), $SEED begins other ones:
-- ROUNDS=20000 SEED=7 make check-lua LUA_TESTS=tests/lua/window_reader_test.lua

local civil = require("haplua.time.civil")
local errors = require("haplua.error")
local former = require("former_spec")
local former_reader = require("former_reader")
local instants = require("haplua.time.instant")
local reader = require("haplua.time.reader")
local spec = require("haplua.window.spec")
local support = require("support")
local window = require("haplua.window")

local ROUNDS = tonumber(os.getenv("ROUNDS")) or 500
local random = support.random(tonumber(os.getenv("SEED")) or 1)

local function one_of(list)
  return list[random(#list)]
end

--- Texts of a small grammar: a word in braces is replaced by one of its alternatives, at random.
local grammar = {
  window = { "{days}{ }{span}", "{days}{ }{span}", "{nth}{ }{day}{ }{span}", "{moment}{ }/{ }{moment}",
    "{moment} for {duration}",
    "{day}{ }{time}{ }-{ }{day} {time}", "DTSTART{tzid}:{compact};RRULE:{rule} for {duration}", "{loose}" },
  loose = { "{span}{ }{days}", "every {n} {unit} from {date} {span}", "{days} from {time} to {time}", "{days} {span} {zone}",
    "{nth} day {span}", "{nth} weekday of the month {time} for {duration}", "{date} {time} to {time}", "{date} {time}-{time}",
    "every {n} weeks {days} {span} from {date}", "{day}:{time}-{day}:{time}", "{moment} - {moment} {zone}",
    "{cron} for {duration}", "{systemd} for {duration}", "{days}, {word} {span}" },
  days = { "{day}", "{day},{day}", "{day}..{day}", "daily", "{day}, {day}..{day}", "{day} and {day}", "weekdays", "weekends",
    "{day}-{day}", "every {day}", "on {day}s" },
  day = { "Mon", "tue", "WED", "Thursday", "Fri", "saturday", "Sun", "Sunday" },
  nth = { "first", "second", "third,last", "Fifth", "last", "1st", "2nd and 4th", "15th", "first,third" },
  span = { "{time}{ }-{ }{time}", "{time} for {duration}", "{time} to {time}" },
  time = { "02:00", "2:00", "22:30", "00:00", "24:00", "23:59:59", "02:00:30", "2am", "10:30pm", "0400", "noon",
  "12:0{digit}" },
  moment = { "{date}T{time}{offset}", "{date} {time}{offset}" },
  offset = { "", "", "Z", "+01:00", "-0400", "+0530", " +01:00", "-{digit}{digit}:00" },
  date = { "2026-12-{digit}{digit}", "2026-0{digit}-{digit}{digit}", "2028-02-29", "2026-12-06", "2026-10-25" },
  duration = { "{digit}h", "{digit}{digit}m", "1h30m", "2d", "1w", "90s", "{digit} hours", "1h 30m", "PT{digit}H",
  "1 day and 2 hours" },
  zone = { "UTC", "Europe/Paris", "+01:00", "+0100", "GMT", "EST", "America/New_York" },
  tzid = { "", ";TZID=Europe/Paris" },
  compact = { "20261201T220000", "20261201T220000Z", "20261201" },
  rule = { "FREQ=DAILY", "FREQ=WEEKLY;INTERVAL={n};BYDAY=MO,FR", "FREQ=DAILY;BYMONTHDAY=-1", "FREQ=HOURLY;BYMINUTE=0,30" },
  unit = { "weeks", "days", "hours", "months" }, n = { "2", "3", "10" }, digit = { "0", "1", "2", "3", "4", "5", "9" },
  [" "] = { "", " ", "  ", "\t" }, word = { "at", "from", "on", "for", "every", "to", "and", "the", "of", "month" },
  cron = { "{digit} {digit} * * {dow}", "0 2 1,15 * *", "*/15 * * * *", "0 22 * 1-3 MON-FRI", "{digit} */6 {digit} * *" },
  dow = { "*", "0", "7", "SUN", "1-5" },
  systemd = { "{day} *-*-* {time}", "*-*-0{digit} {time}", "*-*~0{digit} 02:00", "*:0/{digit}", "Sat *-*-1..7 02:00",
  "*-{digit}-1" },
}

local function made(text)
  return (text:gsub("{([^}]+)}", function(name)
    return made(one_of(grammar[name]))
  end))
end

--- A text of the grammar, which may be spoilt.
local function some_text()
  local text = made("{window}")
  for _ = 1, random(4) - 2 do
    local place = random(#text + 1)
    text = text:sub(1, place - 1) .. one_of({ "", " ", "-", ":", ",", "..", "0", "12", "Z", "\226\128\147", "for", "Sun",
      "/", "+" })
      .. text:sub(place + random(3) - 1)
  end
  return text
end

--- Call `fn`: its value, or nil where it raises `refused`.
local function read(fn, ...)
  local found = table.pack(pcall(fn, ...))
  if not found[1] then
    assert(errors.is(found[2]) and found[2].kind == "refused", tostring(found[2]))
    return nil
  end
  return table.unpack(found, 2, found.n)
end

--- The first occurrences of a window, as a text; nil where it has no zone of this name, or never opens.
local function occurrences(made_of, zone)
  local made_ok, made_window = pcall(window.new, made_of, { tz = zone })
  local list = {}
  local ok = made_ok and pcall(function()
    for occurrence in made_window:occurrences(1790000000) do
      list[#list + 1] = ("%.0f/%.0f"):format(occurrence.opens, occurrence.closes)
      if #list == 6 then
        break
      end
    end
  end)
  return ok and table.concat(list, " ") or nil
end

describe("texts of windows", function()
  it("mean what they meant to the former reader", function()
    local taken, new = 0, 0
    for _ = 1, ROUNDS * 4 do
      local text = some_text()
      local before, now = read(former.parse, text), read(spec.parse, text)
      if before then
        taken = taken + 1
        -- "Sat 23:00-Fri 24:00" was printed as "Sat 23:00-Sat 00:00", which did not read back
        if read(former.parse, tostring(before)) then
          assert.are.equal(tostring(before), now and tostring(now), text)
        end
        for _, name in ipairs({ "kind", "from", "from_offset", "to_offset", "at", "zone", "wall", "elapsed" }) do
          assert.are.equal(before[name], now[name], text)
        end
        assert.are.same(before.days, now.days, text)
        assert.are.same(before.nth, now.nth, text)
      else
        new = new + (now and 1 or 0)
      end
    end
    assert.is_true(taken > ROUNDS / 4 and new > ROUNDS / 4, taken .. " " .. new)
  end)

  it("have a canonical form that reads back with the same occurrences", function()
    for _ = 1, ROUNDS do
      local text = some_text()
      local found = read(spec.parse, text)
      if found then
        local again = spec.parse(tostring(found))
        assert.are.equal(tostring(found), tostring(again), text)
        for _, zone in ipairs({ "Europe/Paris", "Pacific/Auckland" }) do
          assert.are.equal(occurrences(found, zone), occurrences(again, zone), text)
        end
      end
    end
  end)

  it("for the days of exceptions mean what they meant", function()
    for _ = 1, ROUNDS do
      local text = made(one_of({ "{date}", "{date}..{date}", "{date} .. {date}", "12-{digit}{digit}..0{digit}-01", "12-25",
        "{date} {time}",
        "{date}T{time}{offset} for 1h", "{days} {span}" }))
      local before = read(former.days, text)
      if before then
        assert.are.same(before, spec.days(text), text)
      end
    end
  end)
end)

describe("instants and durations", function()
  it("mean what they meant to the former reader", function()
    local taken = 0
    for _ = 1, ROUNDS do
      local text = made(one_of({ "{moment}", "{time}", "{duration}", "{date}{ }{time}", "{digit}{digit}:{digit}{digit}" }))
      -- not in an hour that the clocks show twice: the former reader did not know of its second time
      local now = 1790000000 + random(10000)
      local before = read(former_reader.whole, "time", text, former_reader.coming, now)
      taken = taken + (before and 1 or 0)
      assert.are.equal(before, before and read(reader.whole, "time", text, reader.instant, nil, now), text)
      local length = read(former_reader.whole, "duration", text, former_reader.duration)
      taken = taken + (length and 1 or 0)
      assert.are.equal(length, length and instants.duration(text), text)
    end
    assert.is_true(taken > ROUNDS / 4)
  end)
end)

-- Oracles of cron and systemd.

describe("a line of cron", function()
  local limits = { { 0, 59 }, { 0, 23 }, { 1, 31 }, { 1, 12 }, { 0, 7 } }

  --- A random field, and the numbers that it stands for.
  local function field(i)
    local low, high = limits[i][1], limits[i][2]
    local texts, set = {}, {}
    if random(5) <= 2 then
      for n = low, high do
        set[n] = true
      end
      return "*", set
    end
    for k = 1, random(3) do
      local first = low + random(high - low + 1) - 1
      local last = first + random(high - first + 1) - 1
      local step = random(4)
      texts[k] = random(2) == 1 and tostring(first) or step == 1 and ("%d-%d"):format(first, last)
        or ("%d-%d/%d"):format(first, last, step)
      for n = first, texts[k]:find("-", 1, true) and last or first, texts[k]:find("/", 1, true) and step or 1 do
        set[n] = true
      end
    end
    return table.concat(texts, ","), set
  end

  it("opens in each minute that its fields choose, and in no other", function()
    for _ = 1, ROUNDS // 40 do
      local texts, sets = {}, {}
      for i = 1, 5 do
        texts[i], sets[i] = field(i)
      end
      if texts[3] ~= "*" then
        texts[5], sets[5] = "*", setmetatable({}, { __index = function() return true end })
      end
      local line = table.concat(texts, " ") .. " for 1s"
      local from = civil.day(2026, random(12), random(28)) * 86400
      local asked, expected, found = window.new(line, { tz = "UTC" }), {}, {}
      for minute = from, from + 40 * 86400, 60 do
        local day = minute // 86400
        local _, month, date = civil.date(day)
        local weekday = civil.weekday(day) % 7
        if sets[1][minute // 60 % 60] and sets[2][minute // 3600 % 24] and sets[3][date] and sets[4][month]
          and (sets[5][weekday] or weekday == 0 and sets[5][7]) then
          expected[#expected + 1] = minute
          if #expected == 20 then
            break
          end
        end
      end
      for occurrence in asked:occurrences(from) do
        if #found == #expected or occurrence.opens > from + 40 * 86400 then
          break
        end
        found[#found + 1] = occurrence.opens
      end
      assert.are.same(expected, found, line)
    end
  end)
end)

describe("a line of OnCalendar", function()
  local parts = {
    line = { "{days}{date}{time}{zone}", "{days}{date}{time}{zone}", "{name}" },
    days = { "", "Sun ", "Mon..Fri ", "Sat,Sun ", "Mon,Wed..Fri " },
    date = { "*-*-* ", "*-{month}-* ", "*-*-{date1} ", "*-*~{back} ", "*-{month}-{date1} ", "2026..2030-*-* ",
    "2027-{month}-{date1} ",
      "{month}~{back} " },
    month = { "01", "2", "3,9", "01/3", "4..6", "*", "1..12/5" },
    date1 = { "1", "15,31", "1..7", "1/10", "29", "5..25/4", "*" }, back = { "01", "1..3", "07/1", "10/3", "1,3" },
    time = { "02:00", "{h}:{m}", "{h}:{m}:{s}", "*:0/15", "" },
    h = { "2", "0/6", "1..3", "22", "*" }, m = { "0", "30", "0/20", "5,55" }, s = { "0", "30", "0,45" },
    zone = { "", " UTC" },
    name = { "minutely", "hourly", "daily", "weekly", "monthly", "yearly", "quarterly", "semiannually" },
  }

  it("opens when systemd's timer would elapse", function()
    if not os.execute("systemd-analyze calendar daily >/dev/null 2>&1") then
      return pending("systemd-analyze is not installed")
    end
    for _ = 1, ROUNDS // 20 do
      local text = "{line}"
      repeat
        local n
        text, n = text:gsub("{(%w+)}", function(name)
          return one_of(parts[name])
        end)
      until n == 0
      text = text:gsub(" $", "")
      local _, printed = run({ "systemd-analyze", "calendar", "--iterations=12", "--base-time=2026-11-30 00:00:00 UTC", text,
        stdout = "capture", stderr = "null", env = { TZ = "UTC" } })
      local expected, found = {}, {}
      for date, time in printed:gsub("Normalized[^\n]*", ""):gmatch("%u%l%l (%d%d%d%d%-%d%d%-%d%d) (%d%d:%d%d:%d%d) UTC") do
        local instant = reader.whole("time", date .. "T" .. time .. "Z", reader.instant)
        expected[#expected + 1] = #expected < 12 and expected[#expected] ~= instant and instant or nil
      end
      local asked = read(window.new, "OnCalendar=" .. text .. " for 1s", { tz = "UTC" })
      assert.are.equal(printed:find("Normalized") ~= nil, asked ~= nil, text)
      local from = 1796000400 // 86400 * 86400
      for occurrence in asked and asked:occurrences(from) or function() end do
        if #found == #expected then
          break
        end
        found[#found + 1] = occurrence.opens > from and occurrence.opens or nil
      end
      assert.are.same(expected, found, text .. "\n" .. printed)
    end
  end)
end)
