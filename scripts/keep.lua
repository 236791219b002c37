#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Have HAProxy hold what the journal says: begin and end maintenances at their time, put them back after a reload, complete
-- a change that was broken off. It runs until a signal stops it.
--
--   haplua keep
--   haplua -s /run/haproxy/admin.sock -s /run/haproxy2/admin.sock keep
--
-- As a service, where `make install` or a package has installed the unit haplua-keep:
--
--   systemctl enable --now haplua-keep

return require("haplua.cli").main("keep", arg, print)
