-- SPDX-License-Identifier: MIT
--
-- lua_fuzz.lua - a fuzzer for Lua functions that take text, guided by the lines they run.
-- Usage: haplua tests/fuzz/lua_fuzz.lua [SECONDS [SEED [TARGET...]]]     SECONDS are for each target
--
-- To add a target, write into `targets` (every field but `run` is optional):
--
--   ["window.parse"] = {
--     modules = { "haplua.window" },  -- the modules whose lines guide it; their sources in lua/ are loaded
--     words = { "daily", "weekly" },  -- seeds, and pieces for the inputs
--     run = function(text) require("haplua.window").parse(text) end,
--   },
--
-- A finding is: an error that is neither an error object of the target's `kind` ("refused") nor a text that
-- its `says` (patterns) allows; a failed assertion of `run`; more than LINES lines, SECONDS of the
-- processor's time (C libraries included) or GROWTH kilobytes for one input. The fuzzer then prints the input as a Lua
-- string, with the seed, and ends with status 1. Files in tests/fuzz/corpus/lua/TARGET are seeds.

local here = arg[0]:match("^(.*)/") or "."
local error_module = require("haplua.error")

local LINES = 30000000
local SECONDS = 60 -- the hook at each line takes thirty times as long as the code, and LINES bounds that on every machine
local GROWTH = 64 * 1024
local INPUT_MAX = 4096
local CORPUS_MAX = 2000

local function lines_of(text)
  local list = {}
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    list[#list + 1] = line
  end
  return list
end

local reply_words = {
  "0x55c02a410940 ", "# id (file) description\n", "9999 () acl 'path' file 'h.cfg' line 15",
  "curr_ver=3 next_ver=4 entry_cnt=10",
  "type=str, case=sensitive, match=yes, idx=tree, pattern=\"k\"\n",
  "found=yes, idx=list, key=\"k\", value=\"v\", type=\"str\"\n",
  "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n3 app 1 a1 127.0.0.1 2 0 1\n",
  "# pxname,svname,scur,last_chk,\n", "fe,FRONTEND,0,,\n", "\"* OK,1 \"\"x\"\"\"", "Name: HAProxy\n",
  "Uptime: 0d 0h00m01s\n",
  "0x55c0: proto=unix_stream src=unix:1 rq[f=c4h,i=0] s0=[8,0h] exp=\n", "-1", "9223372036854775808",
}

--- Go through what a reader has made of a reply.
local function walk(found)
  for _, row in pairs(type(found) == "table" and found or {}) do
    for key, value in pairs(type(row) == "table" and row or {}) do
      assert(type(key) == "string" and value ~= nil)
    end
  end
end

local targets = {
  -- All readers read the same text. One may refuse what another takes.
  reply = {
    modules = { "haplua.base.rows" },
    words = reply_words,
    run = function(text)
      for _, name in ipairs({ "lists", "entries", "matches", "rows", "pairs", "sessions", "servers" }) do
        local ok, found = pcall(require("haplua.reply")[name], text, name == "entries" or nil)
        if ok then
          walk(found)
        elseif not error_module.is(found) or found.kind ~= "protocol" then
          error(found, 0)
        end
      end
    end,
  },

  ["config.parse"] = {
    modules = { "haplua.store.config" },
    words = {
      "return {", "}", "switches = {", "site = {", "acl = \"#9999\"", "bypass = \"/b.acl\"",
      "info = \"/i.map\"", "fetch = \"base\"",
      "allow = { \"192.0.2.0/24\" }", "file = false", "by_hand = \"undo\"", "journal = \"/j.db\"",
      "default = \"site\"", ", ",
      "[1] = ", "nil", "for i = 1, 9 do end", "while true do end", "local t = {}", "setmetatable",
      "(\"x\"):rep(9)", "function() end",
      "return { switches = { site = { acl = \"#1\", bypass = \"#2\", allow = { \"::1\" } } }, default = \"site\" }",
    },
    run = function(text)
      local config = require("haplua.store.config").parse("/etc/haplua/config.lua", text)
      for name, switch in pairs(config.switches) do
        assert(type(name) == "string" and type(switch.acl) == "string" and type(switch.allow) == "table")
      end
      assert(not config.default or config.switches[config.default])
    end,
  },

  -- The canonical form of a window reads back as the same window.
  ["window.parse"] = {
    modules = { "haplua.time.reader", "haplua.window.spec", "haplua.window.words", "haplua.window.foreign",
      "haplua.window.hint", "haplua.ical.rule", "haplua.time.civil" },
    words = {
      "every 2 weeks Sun 2am-4pm from 2026-12-06", "weekdays and 1st of the month ", "sun:02:00-sun:04:00",
      "0 2 1,15 * MON-FRI for 1h", "*/15 0-6/3 * jan * for PT5M", "*-*~07/1 *:0/10", "@weekly for 2 hours",
      "OnCalendar=Sat *-*-1..7 02:00:00 Europe/Paris for 1h", "Fri 2026-12-25 02:00 to 04:00 +01:00", "CET",
      "DTEND:20261206T040000;", "between ", "noon", "midnight", "\226\128\147", "25.12.2026",
      "Sun 02:00-04:00", "Mon..Fri 22:00 for 2h30m", "daily 00:00-24:00", "last Sun 02:00-Mon 04:00",
      "first,third Tue 03:00 for 1h",
      "2026-12-01T02:00/2026-12-01T04:00", "2026-12-01T02:00Z for 2h", "+01:00", "monthly", "31 ",
      "DTSTART;TZID=Europe/Paris:20261201T220000;RRULE:FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,-1SU;COUNT=5 for 2h",
      "BYMONTHDAY=-1;", "BYSETPOS=1;", "UNTIL=20271231T000000Z;", "FREQ=YEARLY;", "WKST=SU",
      "BYYEARDAY=366;", "BYWEEKNO=53;", "FREQ=HOURLY;", "FREQ=MINUTELY;", "FREQ=SECONDLY;", "BYSECOND=0,59;",
    },
    run = function(text)
      local window = require("haplua.window")
      local spec = window.parse(text)
      local again = tostring(spec)
      assert(tostring(window.parse(again)) == again, again)
    end,
  },

  ["window.intervals"] = {
    modules = { "haplua.window.intervals", "haplua.window.foreign" },
    words = {
      "time_intervals:\n- name: x\n  time_intervals:\n  - times:\n    - start_time: '18:00'\n      end_time: 24:00\n"
        .. "    weekdays: ['monday:friday', sunday]\n    days_of_month: [1:7, -1]\n    location: Europe/Paris\n",
      "years: ['2026:2028']\n", "months: [may, 'june:august', 12]\n", "- {", "}", "# ", "- ", "\"", "'", "\n", "  ", ":",
      "- name: y\n",
    },
    run = function(text)
      for _, spec in ipairs(require("haplua.window.intervals").parse(text, "a.yml")) do
        assert(tostring(require("haplua.window").parse(tostring(spec))) == tostring(spec), tostring(spec))
      end
    end,
  },

  ["window.new"] = {
    modules = {
      "haplua.window", "haplua.window.window", "haplua.window.source", "haplua.window.combine",
      "haplua.time.sorted_merge", "haplua.time.zone", "haplua.ical.rule", "haplua.ical.recurrence", "haplua.time.civil",
    },
    words = {
      "Sun 02:00-04:00", "Mon..Fri 22:00 for 2h30m", "daily 00:00-24:00", "last Sun 02:00-04:00",
      "2026-12-01T02:00/2026-12-01T04:00",
      "DTSTART:20261201T220000;RRULE:FREQ=DAILY;COUNT=5 for 2h",
      "DTSTART:20260131T220000;RRULE:FREQ=MONTHLY;BYMONTHDAY=-1 for 2h",
      "DTSTART:20261101T000000;RRULE:FREQ=SECONDLY for 2h", "DTSTART:20261101T000000;RRULE:FREQ=HOURLY for 2h",
      "FREQ=MINUTELY", "BYSECOND=0,1,59;", "BYHOUR=3,4;", "INTERVAL=7;", "UNTIL=20271231T000000Z;", "BYMINUTE=30;",
      "\n2026-12-25", "\n12-24..12-26", "\nSat 00:00-24:00",
    },
    run = function(text)
      local lines = lines_of(text)
      local window = require("haplua.window").new(lines[1], { tz = "Europe/Paris", except = lines[2] })
      local last
      for occurrence in window:occurrences(1764547200) do
        assert(occurrence.closes > occurrence.opens and (not last or occurrence.opens >= last.opens))
        if last and last.n == 5 then
          break
        end
        last = { opens = occurrence.opens, n = (last and last.n or 0) + 1 }
      end
    end,
  },

  ["calendar.parse"] = {
    modules = {
      "haplua.calendar", "haplua.ical.text", "haplua.ical.event", "haplua.ical.vtimezone", "haplua.time.sorted_merge",
      "haplua.ical.recurrence",
    },
    words = {
      "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:maint\r\nDTSTART;TZID=Europe/Paris:20261201T220000\r\n"
        .. "DTEND;TZID=Europe/Paris:20261202T000000\r\nRRULE:FREQ=WEEKLY;COUNT=4\r\nEXDATE:20261208T210000Z\r\n"
        .. "END:VEVENT\r\nEND:VCALENDAR\r\n",
      "BEGIN:VEVENT\r\n", "END:VEVENT\r\n", "BEGIN:VTIMEZONE\r\nTZID:X\r\n", "END:VTIMEZONE\r\n", "BEGIN:STANDARD\r\n",
      "TZOFFSETFROM:+0200\r\n", "TZOFFSETTO:+0100\r\n", "END:STANDARD\r\n", "RECURRENCE-ID:20261208T210000Z\r\n",
      "DURATION:PT2H\r\n", "DTSTART;VALUE=DATE:20261201\r\n", "RDATE:20261201T000000Z\r\n", "STATUS:CANCELLED\r\n", "\r\n ",
      "SEQUENCE:1\r\n", "X;A=\"b:c\":d\r\n", "RRULE:FREQ=SECONDLY\r\n", "RRULE:FREQ=MINUTELY;INTERVAL=7;BYSECOND=1,2,50\r\n",
      "RRULE:FREQ=HOURLY;BYMINUTE=3\r\n", "RRULE:FREQ=DAILY;BYHOUR=3\r\n", "RRULE:FREQ=YEARLY;BYDAY=-53MO\r\n",
      "P1W", "UID:2\r\n",
    },
    run = function(text)
      local source = require("haplua.calendar").parse(text)
      local window, n = require("haplua.window").new(source, { tz = "UTC" }), 0
      for occurrence in window:occurrences(1764547200) do
        n = n + 1
        assert(occurrence.closes > occurrence.opens)
        if n == 5 then
          break
        end
      end
    end,
  },

  -- Each line that is found begins at its place, and no value has space around it.
  ["lines.known"] = {
    words = { "UID:1\r\n", "DTSTART;TZID=\"a:b\":2", "dtstart", ";A=", ":", "\"", "\r\n ", "\n\t", "\n\n ", "\r", "\0" },
    run = function(text)
      local kinds = { UID = "text", DTSTART = "time" }
      local heads, values, places = require("haplua.lines").known(text, kinds)
      for i, head in ipairs(heads) do
        assert(kinds[head:match("^[%a-]+")] and (i == 1 or places[i] > places[i - 1]))
        assert((text:sub(places[i]):gsub("%s", "")):find((head:gsub("%s", "")), 1, true) == 1)
        assert(not values[i] or not values[i]:find("^%s") and not values[i]:find("%s$"))
      end
      assert(#values == #heads and #places == #heads)
    end,
  },

  ["time.instant"] = {
    modules = { "haplua.time.instant", "haplua.time.reader", "haplua.time.civil" },
    words = { "2026-12-01T03:00:00+01:00", "03:00", "2026-02-30 24:00", "Z", "9999-12-31T23:59:59Z",
      "0000-00-00T00:00", "-", ":", "1h30m", "90s", "2d", "1w", "999999999w", "0s" },
    run = function(text)
      local instants = require("haplua.time.instant")
      local at, problem = instants.instant(text, 1e9)
      assert(math.type(at) == "integer" and at > 1e9 or at == nil and type(problem) == "string")
      local seconds, trouble = instants.duration(text)
      assert(math.type(seconds) == "integer" and seconds > 0 or seconds == nil and type(trouble) == "string")
      assert(not seconds or #instants.span(seconds) > 0)
    end,
  },

  ["scope.patterns"] = {
    modules = { "haplua.plan.scope" },
    words = {
      "base,lower\nreg\n/shop\nshop.example.com", "base\nmap_reg\n/shop\nshop.example.com",
      "path\nmap_beg\n/a", "path\nbeg\n/shop", "hdr(host)\nstr\n\nwww.example",
      "src\nip\n\n", "len", "sub", "dom",
      "[::1]", "(", "%20", "?", "capture.req.uri", "hdr_beg(host)",
    },
    run = function(text)
      local scope, lines = require("haplua.plan.scope"), lines_of(text)
      local what = { paths = { table.unpack(lines, 3, 3) }, hosts = { table.unpack(lines, 4, 4) } }
      local patterns = scope.patterns(what, scope.kind(lines[1]), lines[2] or "reg")
      require("haplua.core").check(patterns)
    end,
  },

  ["map.of"] = {
    modules = { "haplua.plan.map", "haplua.plan.bits", "haplua.plan.network" },
    words = {
      "1700000000||1|why", "1", "|||", "-1", "18446744073709551615", "10.0.0.0/8", "::/0", "10.0.0.1/33", "\xff",
    },
    run = function(text)
      local map, bits, lines = require("haplua.plan.map"), require("haplua.plan.bits"), lines_of(text)
      local live = {
        keys = { "^h" }, values = { (lines[1]:gsub("%c", "")) }, networks = { lines[2] }, bits = { lines[3] or "0" }, ours = {},
      }
      local all = {
        { scope = { patterns = { "^h" } }, origin = "by hand", begins = 1, bypass = {} },
        { scope = {}, origin = "on", begins = 1, bypass = { table.unpack(lines, 4) }, reason = text },
      }
      local found = map.of(all, { kind = "base", method = "map_reg", allow = {} }, live)
      map.told(lines[1])
      map.stopped(live, found)
      map.denied(all[2], found)
      bits.between(live, found)
      require("haplua.core").check(found.patterns, found.values)
    end,
  },

  ["listfile.parse"] = {
    modules = { "haplua.haproxy.list_file" },
    words = { "# a comment\n", "/path\n", " /indented value\n", "key value more\n", "\t", "\r\n", "\0" },
    run = function(text)
      for _, kind in ipairs({ "acl", "map" }) do
        require("haplua.haproxy.list_file").parse(text, kind)
      end
    end,
  },

  ["cli.parse_plain"] = {
    modules = { "haplua.cli" },
    words = { "on\n", "--wait\n", "--wait=3\n", "5\n", "--\n", "-x\n", "--help\n", "--force\n", "--for\n", "" },
    run = function(text)
      local cli = require("haplua.cli")
      local spec = {
        name = "x", help = "x", check = function() end,
        options = { { "--force", help = "f" }, { "--wait", value = "S", convert = cli.seconds, default = "6", help = "w" },
          { "--allow", value = "A", repeats = true, help = "a" } },
        commands = { { "on", help = "on", args = "rest" }, { "off", help = "off", arg = { "one", value = "ONE", help = "1" } },
          { "run", help = "run", after = "command" } },
      }
      local found = cli.parse_plain(spec, lines_of(text))
      assert(not found or type(found.command) == "string" and type(found.wait) == "number")
    end,
  },

  ["haproxy.connect"] = {
    words = { "/run/haproxy.sock", "unix@", "ipv4@127.0.0.1:9999", "ipv6@[::1]:99", "abns@x", "fd@3", "65536", "localhost:0" },
    says = { "connect: ", "^open: " },
    run = function(text)
      assert(type(haproxy.connect(text):address()) == "string")
    end,
  },

  ["core.encode"] = {
    words = { "add\nacl\n", "<<", "\\", ";", "\r", "\0", " " },
    says = { "cannot be sent", "too long", "too many words" },
    run = function(text)
      assert(#require("haplua.core").encode(lines_of(text)) >= #text)
    end,
  },
}

-- Mutation.

local numbers = {
  "0", "-1", "1", "255", "256", "65536", "2147483648", "9223372036854775807", "1e309", "0x7fffffffffffffff",
}

local function any(list)
  return list[math.random(#list)]
end

--- The positions of the first and the last byte of a random part of a text; last < first: it is empty.
local function part(text)
  local from = math.random(1, #text + 1)
  return from, math.min(#text, from + math.random(0, math.random(1, 16)) - 1)
end

local function put(text, from, to, new)
  return text:sub(1, from - 1) .. new .. text:sub(to + 1)
end

local mutations = {
  function(text) local from, to = part(text) return put(text, from, to, "") end,
  function(text) local from, to = part(text) return put(text, from, from - 1, text:sub(from, to)) end,
  function(text) local from = part(text) return put(text, from, from, string.char(math.random(0, 255))) end,
  function(text) local from = part(text) return put(text, from, from - 1, string.char(math.random(0, 255))) end,
  function(text, pool) local from, to = part(text) return put(text, from, to, any(pool.words)) end,
  function(text, pool) local from = part(text) return put(text, from, from - 1, any(pool.words)) end,
  function(text) local from, to = part(text) return put(text, from, to, any(numbers)) end,
  function(text, pool)
    local other = any(pool)
    local from = part(text)
    return text:sub(1, from - 1) .. other:sub((part(other)))
  end,
  function(text, pool)
    local other = any(pool)
    local from, to = part(other)
    return put(text, from, from - 1, other:sub(from, to))
  end,
  function(text)
    local from, to = text:find("%d+", (part(text)))
    return from and put(text, from, to, any({ any(numbers), tostring(math.random(0, 100)) })) or text
  end,
}

local function mutate(pool)
  local text = any(pool)
  for _ = 1, math.random(1, math.random(1, 6)) do
    text = any(mutations)(text, pool)
  end
  return text:sub(1, INPUT_MAX)
end

-- Running one input.

--- Load the sources of these modules in place of the compiled ones, which have no lines.
local function show_lines(modules)
  local watched = {}
  for _, name in ipairs(modules or {}) do
    local path = ("%s/../../lua/%s.lua"):format(here, (name:gsub("%.", "/")))
    watched["@" .. path] = {}
    package.loaded[name] = nil
    package.preload[name] = assert(loadfile(path))
  end
  return watched
end

local function is_allowed(target, problem)
  if error_module.is(problem) then
    return problem.kind == (target.kind or "refused")
  end
  for _, pattern in ipairs(type(problem) == "string" and target.says or {}) do
    if problem:find(pattern) then
      return true
    end
  end
  return false
end

--- Run a target with an input. Returns whether it reached a new line, and the finding, if there is one.
local function try(target, watched, text)
  local new, left = false, LINES
  local before, begun = collectgarbage("count"), os.clock()
  local thread = coroutine.create(target.run)
  debug.sethook(thread, function(_, line)
    local seen = watched[debug.getinfo(2, "S").source]
    if seen and not seen[line] then
      seen[line], new = true, true
    end
    left = left - 1
    if left < 0 then
      error("does not come to an end", 0)
    end
  end, "l")
  local ok, problem = coroutine.resume(thread, text)
  if not ok and type(problem) == "string" and not is_allowed(target, problem) then
    problem = debug.traceback(thread, problem)
  end
  if left < 0 then
    return new, "does not come to an end"
  elseif os.clock() - begun > SECONDS then
    return new, ("takes %.1f s"):format(os.clock() - begun)
  elseif collectgarbage("count") - before > GROWTH then
    collectgarbage()
    if collectgarbage("count") - before > GROWTH then
      return new, "keeps much memory"
    end
  end
  return new, not ok and not is_allowed(target, problem) and tostring(problem) or nil
end

local function report(name, seed, text, problem)
  print(("lua_fuzz: %s, seed %d: input %q"):format(name, seed, text))
  print("  " .. error_module.visible(problem):gsub("\\n", "\n  "):gsub("\\x09", "  "))
end

--- The kept inputs of a target: the files of its folder.
local function kept(name)
  local _, names = run({ "sh", "-c", 'ls "$1" 2>/dev/null', "sh", here .. "/corpus/lua/" .. name, stdout = "capture" })
  local texts = {}
  for file in names:gmatch("[^\n]+") do
    local f <close> = assert(io.open(("%s/corpus/lua/%s/%s"):format(here, name, file), "rb"))
    texts[#texts + 1] = f:read("a")
  end
  return texts
end

---@return boolean found_nothing
local function fuzz(name, seconds, seed)
  local target = targets[name]
  local watched = show_lines(target.modules)
  local pool, runs, latest = kept(name), 0, task.now() + seconds
  math.randomseed(seed)
  pool.words = target.words or { " " }
  table.move(pool.words, 1, #pool.words, #pool + 1, pool)
  pool[#pool + 1] = ""
  local seeds = #pool
  repeat
    for _ = 1, 200 do
      runs = runs + 1
      local text = runs <= seeds and pool[runs] or mutate(pool)
      local new, problem = try(target, watched, text)
      if problem then
        report(name, seed, text, problem)
        return false
      elseif new and runs > seeds and #pool < CORPUS_MAX then
        pool[#pool + 1] = text
      end
    end
    task.sleep(0)
  until task.now() >= latest
  local lines = 0
  for _, seen in pairs(watched) do
    for _ in pairs(seen) do
      lines = lines + 1
    end
  end
  print(("lua_fuzz: %s: %d runs, %d inputs kept, %d lines"):format(name, runs, #pool - seeds, lines))
  return true
end

local seconds, seed = tonumber(arg[1]) or 60, math.tointeger(tonumber(arg[2])) or os.time()
local names = table.move(arg, 3, #arg, 1, {})
if #names == 0 then
  for name in pairs(targets) do
    names[#names + 1] = name
  end
  table.sort(names)
end
local status = 0
for _, name in ipairs(names) do
  if not targets[name] then
    error("there is no target " .. name, 0)
  elseif not fuzz(name, seconds, seed) then
    status = 1
  end
end
os.exit(status)
