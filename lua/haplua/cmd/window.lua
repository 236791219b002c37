-- SPDX-License-Identifier: MIT
--
--- The command line of scripts/window.lua.

local cli = require("haplua.cli")
local options = require("haplua.cmd.maint_options")
local show = require("haplua.cmd.window_show")

local calendar = {
  { "--calendar", value = "PATH", repeats = true, help = "windows from an .ics file, or from those of a folder" },
  { "--intervals", value = "PATH", repeats = true, help = "windows from the time_intervals of an Alertmanager configuration" },
}
local at = {
  { "--at", value = "TIME", help = "instead of now: 2026-12-01T02:00 in the zone, or with Z or +01:00" },
  options.json,
}
local resident = options.join(options.join(options.place, options.scope), {
  { "--lead", value = "MINUTES", default = "10", convert = show.minutes,
    help = "check so long before an opening that it can open (default 10)" },
})

local spec = {
  name = "window",
  help = "Maintenance by time windows: once, every week, or from a calendar.",
  options = {
    { "--tz", value = "ZONE", help = "the zone of the windows, such as Europe/Paris (default: the machine's)" },
    { "--except", value = "DATE|SPEC", repeats = true,
      help = "not on this day (2026-12-25, 12-24..12-26), not while this window is open, or not on the days of an .ics "
        .. "file" },
    { "--lenient", help = "of a calendar, leave out events that cannot be read, and name them" },
    { "--match", value = "TEXT", help = "of a calendar or of intervals, only those with this text in their summary or name" },
  },
  commands = {
    { "run", args = "spec", options = options.join(calendar, resident),
      help = "Stay, and keep maintenance on while a window is open (with none given: those of the configuration)." },
    { "calendar", arg = { "file", value = "FILE.ics|DIR", help = "a calendar, or a folder of them" }, args = "files",
      options = resident, help = "The same by calendars, which are read again when they change." },
    { "next", args = "spec", help = "Show the next occurrences, in the zone and in UTC.", options = options.join(
      options.join(calendar, at), {
        { "-n", value = "NUMBER", default = "5", convert = cli.count, help = "how many (default 5)" },
      }) },
    { "check", args = "spec", options = options.join(calendar, at),
      help = "Show whether a window is open. Exit status 0: open, 1: closed." },
  },
  check = options.check,
}

---@param words string[]
---@param print function  the script's own, which marks its lines where there are several targets
---@return integer? status
return function(words, print)
  local args = cli.parse_known(spec, words)
  if args.command == "next" then
    local asked, instant = show.ask(args)
    return show.or_usage(show.next, asked, instant, args.n, args.json, print)
  elseif args.command == "check" then
    local asked, instant = show.ask(args)
    return show.or_usage(show.check, asked, instant, args.json, print)
  end
  local given, read = show.plan(args, options.request(args))
  return require("haplua.keep.keeper").run_windows(given, read, print)
end
