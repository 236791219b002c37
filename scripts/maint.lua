#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Send a site, or parts of it, to its maintenance page: at once, with no reload.
--
--   haplua maint on                                  the whole site
--   haplua maint on --path /shop --reason 'new database' --bypass 192.0.2.0/24 --for 30m
--   haplua maint on '^/shop' '^/pay'                 what these patterns match
--   haplua maint off
--   haplua maint status                              the current state: since when, by whom, why
--   haplua maint rehearse --path /shop               what visitors would get, tried on another HAProxy
--   haplua maint during --path /shop -- ./migrate.sh --all
--
-- README.md shows the ACL that HAProxy needs for it, docs/maintenance.md the rest.

return require("haplua.cli").main("maint", arg, print)
