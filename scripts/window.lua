#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Maintenance by time windows: once, every week, or from a calendar. `run` and `calendar` stay: each time
-- that a window opens, it begins a maintenance, which ends when the window closes.
--
--   haplua window run 'Sun 02:00-04:00' --tz Europe/Paris --except 12-24..12-26 --path /api
--   haplua window calendar office.ics --match maintenance --reason 'see the calendar'
--   haplua window next 'Mon..Fri 22:00-02:00' -n 10 --json
--   haplua window check 'Sun 02:00-04:00' && ./upgrade.sh
--
-- docs/windows.md says how a window is written, and what it means where clocks change.

return require("haplua.cli").main("window", arg, print)
