#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Make HAProxy hold what the journal says: put maintenance back after a reload, end it at its end, complete a change that
-- was broken off. It runs until a signal stops it. Once a second it compares HAProxy's lists and servers with what the
-- maintenances in force ask for. It changes what differs, and prints that.
--
--   haplua -s /run/haproxy/admin.sock -s /run/haproxy2/admin.sock keep
--
--   $ haplua keep
--   /run/haproxy/admin.sock: kept to /var/lib/haplua/journal.db
--
-- As a service, where `make install` or a package has installed the unit haplua-keep:
--
--   systemctl enable --now haplua-keep
--
-- A script does the same for its own windows by window.hold() (scripts/lunch.lua).

local cli = require("haplua.cli")
local maintenance = require("haplua.maintenance")

local options = cli.maintenance_options("files")
table.insert(options, { "--metrics", value = "FILE",
  help = "write what it knows for Prometheus, for node_exporter's textfile collector" })

local args = cli.parse({
  name = "keep",
  help = "Stay, and have HAProxy hold what the journal says: begin and end maintenances at their time, and put them back "
    .. "after a reload.",
  options = options,
  check = cli.check_maintenance,
}, arg)

local request = cli.maintenance_request(args)
request.metrics = args.metrics
return maintenance.keep(request, print)
