#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Take a server out of service without cutting anybody off: give it no new sessions, wait until it
-- has none, then put it in maintenance. When that takes too long, or haplua is interrupted, the
-- server goes back to its state before. With --cut the sessions that are left are ended then.
--
--   haplua drain app/a1 --wait 600 --reason 'new kernel'
--
--   $ haplua drain app/a1
--   app/a1 is in maintenance, idle after 1.0 s
--   $ haplua drain app/a1 --undo
--   app/a1 is ready
--     ended: m1  app/a1 maint, since 2026-01-01 00:00:00 +0000, by root@web1

local cli = require("haplua.cli")
local maintenance = require("haplua.maintenance")
local server = require("haplua.server")

local args = cli.parse({
  name = "drain",
  help = "Take a server out of service without cutting anybody off.",
  arg = { "server", value = "BACKEND/SERVER", help = "the server" },
  options = {
    { "--wait", value = "SECONDS", default = "60", convert = cli.seconds,
      help = "give up when it is not idle after so long (default 60)" },
    { "--quiet", value = "SECONDS", default = "1", convert = cli.seconds,
      help = "how long it must have had no session to count as idle (default 1)" },
    { "--cut", help = "end the sessions that are left after --wait seconds, in place of giving up" },
    { "--reason", value = "TEXT", help = "why, for maint status and the journal" },
    { "--undo", help = "put it back to its state before" },
    { "--force", help = "also the last server of its backend that takes requests" },
    { "--keep-up", value = "N", convert = cli.share, help = "how many servers must go on taking requests: 2, 50% (default 1)" },
    { "--journal", value = "FILE", help = "the journal (default that of maint)" },
  },
  check = function(found)
    return not found.server:find("^[^/]+/[^/]+$") and ("'%s' is not BACKEND/SERVER"):format(found.server) or nil
  end,
}, arg)

if args.undo then
  print(maintenance.off({ servers = { args.server }, origin = "drain", journal = args.journal }))
  return
end

local held <close> = server.hold(args.server, {
  force = args.force, keep_up = args.keep_up, origin = "drain", reason = args.reason, journal = args.journal,
})
if held.before == "maint" then
  print(args.server .. " is in maintenance already")
  return
end

local began = task.now()
held:drain(args.wait, { quiet = args.quiet, cut = args.cut })
held:keep("maint")
if not haproxy.dry_run() then
  print(("%s is in maintenance, idle after %.1f s"):format(args.server, task.now() - began))
end
