#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Hold HAProxy to what the journal wants: put maintenance back after a reload, end it when its time is over,
-- finish what was broken off. Runs until it is stopped; packaging/haplua-keep.service is its systemd unit.
--
--   haplua keep
--   haplua -s /run/haproxy/admin.sock -s /run/haproxy2/admin.sock keep

local args = require("haplua.cli").parse({
  name = "keep",
  help = "Hold HAProxy to what the journal wants.",
  options = {
    { "--config", value = "FILE", help = "the configuration (default $HAPLUA_CONFIG, else /etc/haplua/config.lua)" },
    { "--journal", value = "FILE", help = "the journal (default $HAPLUA_JOURNAL, else /var/lib/haplua/journal.db)" },
    { "--no-file", help = "leave the ACLs' files alone" },
  },
}, arg)

return require("haplua.keep.keeper").run({ config = args.config, journal = args.journal, file = not args.no_file, print = print })
