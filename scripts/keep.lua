#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Hold HAProxy to what the journal wants: put maintenance back after a reload, end it at its end, complete a change that
-- was broken off. It runs until a signal stops it.
--
--   haplua keep
--   haplua -s /run/haproxy/admin.sock -s /run/haproxy2/admin.sock keep
--
-- As a service, where `make install` or a package has installed the unit haplua-keep:
--
--   systemctl enable --now haplua-keep

return require("haplua.cli").main("keep", arg, print)
