#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Maintenance by time windows: once, every week, or from a calendar. `run` and `calendar` stay: each time
-- that a window opens, they begin a maintenance, which ends when the window closes.
--
--   haplua window run 'Sun 02:00-04:00' --tz Europe/Paris --except 12-24..12-26 --path /api
--   haplua window calendar office.ics --match maintenance --reason 'see the calendar'
--   haplua window check 'Sun 02:00-04:00' && ./upgrade.sh
--
--   $ haplua window next 'Sun 02:00-04:00' --tz Europe/Paris --at 2026-03-20T00:00 -n 2
--   Sun 2026-03-22 02:00 +01:00  Sun 2026-03-22 04:00 +01:00  2026-03-22T01:00Z/2026-03-22T03:00Z
--   Sun 2026-03-29 03:00 +02:00  Sun 2026-03-29 04:00 +02:00  2026-03-29T01:00Z/2026-03-29T02:00Z
--
-- docs/windows.md says how a window is written, and what it means where clocks change. scripts/lunch.lua is the
-- smallest policy with a window.

local cli = require("haplua.cli")
local json = require("haplua.json")
local window = require("haplua.window")

local function join(list, more)
  return table.move(more, 1, #more, #list + 1, list)
end

--- Options that name windows, and others behind them.
local function windows_and(more)
  return join({
    { "--calendar", value = "PATH", repeats = true, help = "windows from an .ics file, or from those of a folder" },
    { "--intervals", value = "PATH", repeats = true,
      help = "windows from the time_intervals of an Alertmanager configuration" },
  }, more)
end

local at = {
  { "--at", value = "TIME", help = "instead of now: 2026-12-01T02:00 in the zone, or with Z or +01:00" },
  { "--json", help = "Print JSON." },
}
local resident = join(cli.maintenance_options("place", "scope"), {
  { "--lead", value = "MINUTES", default = "10", convert = cli.minutes,
    help = "check so long before an opening that it can open (default 10)" },
})

local args = cli.parse({
  name = "window",
  help = "Maintenance by time windows: once, every week, or from a calendar.",
  options = {
    { "--tz", value = "ZONE", help = "the zone of the windows, such as Europe/Paris (default: the machine's)" },
    { "--except", value = "DATE|SPEC", repeats = true,
      help = "not on this day (2026-12-25, 12-24..12-26), not while this window is open, or not on the days of an .ics file" },
    { "--lenient", help = "of a calendar, leave out events that cannot be read, and name them" },
    { "--match", value = "TEXT",
      help = "of a calendar or of intervals, only those with this text in their summary or name" },
  },
  commands = {
    { "run", args = "spec", args_help = "a window, such as 'Sun 02:00-04:00'", options = windows_and(resident),
      help = "Stay, and keep maintenance on while a window is open (with none given: those of the configuration)." },
    { "calendar", arg = { "file", value = "FILE.ics|DIR", help = "a calendar, or a folder of them" }, args = "files",
      args_help = "more of them", options = resident,
      help = "The same by calendars. They are read again when they change." },
    { "next", args = "spec", args_help = "a window, such as 'Sun 02:00-04:00'",
      help = "Show the next occurrences, in the zone and in UTC.",
      options = join(windows_and(at), {
        { "-n", value = "NUMBER", default = "5", convert = cli.count, help = "how many (default 5)" },
      }) },
    { "check", args = "spec", args_help = "a window, such as 'Sun 02:00-04:00'", options = windows_and(at),
      help = "Show whether a window is open. Exit status 0: open, 1: closed." },
  },
  check = cli.check_maintenance,
}, arg)

-- Which windows.
local specs, calendars = args.spec or {}, args.file and { args.file, table.unpack(args.files) } or args.calendar
for _, path in ipairs(args.intervals or {}) do
  join(specs, window.intervals(path, { match = args.match }))
end

local actions = {}

function actions.run()
  local given = cli.maintenance_request(args) -- the scope, the bypass, the reason, the switch
  given.tz, given.except, given.lead = args.tz, args.except, args.lead
  given.calendars, given.match, given.lenient = calendars, args.match, args.lenient
  return window.hold(specs, given, print)
end
actions.calendar = actions.run

--- The windows, to be asked, and the instant that is asked about.
local function ask()
  local asked = window.new(specs, {
    tz = args.tz, except = args.except, calendars = calendars, match = args.match, lenient = args.lenient,
  })
  return asked, args.at and window.instant(args.at, asked.zone) or task.time()
end

function actions.next()
  local rows, asked, now = {}, ask()
  local has_names = #specs ~= 1 or #calendars > 0
  for one in asked:occurrences(now) do
    local names = has_names and "  " .. table.concat(one.names, ", ") or ""
    table.insert(rows, args.json and one:portable() or tostring(one) .. names)
    if #rows == args.n then
      break
    end
  end
  if args.json then
    print(json.encode(rows))
  elseif rows[1] then
    print(table.concat(rows, "\n"))
  else
    io.stderr:write("it does not open any more\n")
  end
  return rows[1] and 0 or 1
end

function actions.check()
  local asked, now = ask()
  local one = asked:occurrences(now)() -- the one that is open, or opens next
  local is_open = one ~= nil and one.opens <= now
  if args.json then
    local row = one and one:portable() or json.null
    print(json.encode({ open = is_open, occurrence = is_open and row or json.null, next = is_open and json.null or row }))
  else
    print(window.state(one, now))
  end
  return is_open and 0 or 1
end

return actions[args.command]()
