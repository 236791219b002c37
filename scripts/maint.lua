#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Send a site, or parts of it, to its maintenance page: at once, with no reload.
--
--   haplua maint on                                  the whole site
--   haplua maint on --path /shop --reason 'new database' --bypass 192.0.2.0/24 --for 30m
--   haplua maint on '^/shop' '^/pay'                 what these patterns match
--   haplua maint rehearse --path /shop               what visitors would get, tried on another HAProxy
--   haplua maint during --path /shop -- ./migrate.sh --all
--
--   $ haplua maint on --path /shop --reason 'new database'
--   maintenance is on: #9999 matches ^/shop (1 added, 0 removed, confirmed for /shop), as m1
--     reason: new database
--   $ haplua maint off
--   maintenance is off: #9999 matches nothing (0 added, 1 removed)
--     ended: m1  /shop, since 2026-01-01 00:00:00 +0000, by root@web1: new database
--
-- README.md shows the ACL that HAProxy needs for it, docs/maintenance.md the rest.

local maintenance = require("haplua.maintenance")

-- Each gets the options as a table: { paths = { "/shop" }, reason = "new database" }, { servers = { "app/a1" } }. What it
-- returns is printed. A copy of this file may refuse a request with no reason here (of a fleet: only with --local).
local actions = {
  on = maintenance.on,
  off = maintenance.off,
  change = maintenance.change,
  status = maintenance.status,
}

-- lua/haplua/cmd/maint.lua reads the options, and has the other commands.
return require("haplua.cli").main("maint", arg, print, actions)
