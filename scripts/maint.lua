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
-- The command line has too many options for this file; lua/haplua/cmd/maint.lua reads it, and prints. What it calls, with
-- the options as a table, are functions for every script:
--
--   on, off, change, status, during    those of these names in haplua.maintenance:
--                                      maintenance.on{ paths = { "/shop" }, reason = "new database" }
--   on --server, off --server          the same two: maintenance.on{ servers = { "app/a1" }, drain = true }
--
-- README.md shows the ACL that HAProxy needs for it, docs/maintenance.md the rest.

return require("haplua.cli").main("maint", arg, print)
