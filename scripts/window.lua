#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Maintenance by time windows: once, every week, or from a calendar. `run` and `calendar` stay: each time
-- that a window opens, it begins a maintenance, which ends when the window closes.
--
--   haplua window run 'Sun 02:00-04:00' --tz Europe/Paris --except 12-24..12-26 --path /api
--   haplua window calendar office.ics --match maintenance --reason 'see the calendar'
--   haplua window check 'Sun 02:00-04:00' && ./upgrade.sh
--
--   $ haplua window next 'Sun 02:00-04:00' --tz Europe/Paris --at 2026-03-20T00:00 -n 2
--   Sun 2026-03-22 02:00 +01:00  Sun 2026-03-22 04:00 +01:00  2026-03-22T01:00Z/2026-03-22T03:00Z
--   Sun 2026-03-29 03:00 +02:00  Sun 2026-03-29 04:00 +02:00  2026-03-29T01:00Z/2026-03-29T02:00Z
--
-- The command line has too many options for this file; lua/haplua/cmd/window.lua reads it, and prints. What it does, with
-- the options as a table, are functions for every script (scripts/lunch.lua has one):
--
--   run, calendar    window.hold("Sun 02:00-04:00", { tz = "Europe/Paris", paths = { "/api" } })
--   next             for one in window.new("Sun 02:00-04:00"):occurrences(task.time()) do print(one.opens) end
--   check            window.new("Sun 02:00-04:00"):open_at(task.time())
--
-- docs/windows.md says how a window is written, and what it means where clocks change.

return require("haplua.cli").main("window", arg, print)
