#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- A maintenance for as long as a command runs, as `maint during`. It ends however the command ends, and also when haplua
-- is interrupted; other maintenances stay in force. The exit status is the command's. When maintenance cannot begin, the
-- command does not run.
--
--   haplua during -- ./migrate.sh --all
--
--   $ haplua during --path /shop --reason 'new database' -- sleep 0
--   maintenance is on: #9999 matches ^/shop (1 added, 0 removed, confirmed for /shop), as m1
--     reason: new database
--   maintenance is off: #9999 matches nothing (0 added, 1 removed)
--     ended: m1  /shop, since 2026-01-01 00:00:00 +0000, by root@web1: new database

local cli = require("haplua.cli")
local maintenance = require("haplua.maintenance")

local args = cli.parse({
  name = "during",
  help = "Keep a maintenance in force while a command runs, and return its exit status.",
  options = cli.maintenance_options("place", "scope", "probe"),
  args = "pattern", args_help = "patterns for the ACL's own match method, in place of --path and --host",
  after = "words",
  check = cli.check_maintenance,
}, arg)

return maintenance.during(cli.maintenance_request(args), function(result)
  print(result)
  if haproxy.dry_run() then
    print("would run: " .. table.concat(args.words, " "))
    return
  end
  return (run(args.words))
end, print)
