#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Hold HAProxy to what the journal wants: put maintenance back after a reload, end it when its time is over,
-- finish what was broken off. Runs until it is stopped; packaging/haplua-keep.service is its systemd unit.
--
--   haplua keep
--   haplua -s /run/haproxy/admin.sock -s /run/haproxy2/admin.sock keep

return require("haplua.cli").main("keep", arg, print)
