#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Time windows: when do they open, and is one open now?
--
--   haplua window next 'Sun 02:00-04:00' --tz Europe/Paris
--   haplua window next 'Mon..Fri 22:00-02:00' --except 12-24..12-26 -n 10 --json
--   haplua window check 'Sun 02:00-04:00' && ./upgrade.sh
--   haplua window next --calendar office.ics --match maintenance
--
-- docs/windows.md says how a window is written, and what it means where clocks change.

local cli = require("haplua.cli")
local show = require("haplua.windowshow")

local calendar = {
  { "--calendar", value = "PATH", repeats = true, help = "windows from an .ics file, or from those of a folder" },
  { "--match", value = "TEXT", help = "only the events with this text in their summary" },
}

local args = cli.parse({
  name = "window",
  help = "Time windows: when do they open, and is one open now?",
  -- `run` (resident: on at the start of a window, off at its end) goes with `next` and `check` below
  options = {
    { "--tz", value = "ZONE", help = "the zone of the windows, such as Europe/Paris (default: the machine's)" },
    { "--except", value = "DATE|SPEC", repeats = true,
      help = "not on this day (2026-12-25, 12-24..12-26), or not while this window is open" },
    calendar[1], calendar[2],
    { "--at", value = "TIME", help = "instead of now: 2026-12-01T02:00 in the zone, or with Z or +01:00" },
  },
  commands = {
    { "next", args = "spec", help = "the coming occurrences, in the zone and in UTC", options = {
      { "-n", value = "NUMBER", default = "5", convert = show.number, help = "how many (default 5)" },
      { "--json", help = "for programs" },
    } },
    { "check", args = "spec", help = "is it open now? exit status 0: open, 1: closed", options = {
      { "--json", help = "for programs" },
    } },
  },
}, arg)

local asked, at = show.ask(args)
if args.command == "next" then
  return show.next(asked, at, args.n, args.json)
end
return show.check(asked, at, args.json)
