#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Work on the servers of a backend one after the other: drain the server, wait until it is idle, run a command, put the
-- server back into service, wait until it is up. The command finds the server's name in $SERVER and its address in
-- $ADDRESS. The first failure ends the script. A server on which the command failed stays drained; the same call with
-- --resume goes on with that server.
--
--   haplua rolling app -- sh -c 'ssh "$SERVER" systemctl restart app'
--   haplua rolling app --resume -- sh -c 'ssh "$SERVER" systemctl restart app'
--
--   $ haplua rolling app --only-servers a1,a2 -- sleep 0
--   app/a1: drain
--   app/a1: idle, and drained until the command has done its work
--   app/a1: up
--   app/a2: drain
--   app/a2: idle, and drained until the command has done its work
--   app/a2: up
--   app: 2 of 2 servers done: a1 a2

local cli = require("haplua.cli")
local server = require("haplua.server")

local args = cli.parse({
  name = "rolling",
  help = "Drain each server of a backend that is ready, run a command, and put it back.",
  arg = { "backend", value = "BACKEND", help = "the backend" },
  options = {
    { "--wait", value = "SECONDS", default = "60", convert = cli.seconds,
      help = "give up when a server is not idle, or not up again, after so long (default 60)" },
    { "--quiet", value = "SECONDS", default = "1", convert = cli.seconds,
      help = "how long it must have had no session to count as idle (default 1)" },
    { "--cut", help = "end the sessions that are left after --wait seconds, in place of giving up" },
    { "--settle", value = "SECONDS", default = "3", convert = cli.seconds,
      help = "how long a server must be up to count as up (default 3): longer than its checks take" },
    { "--only-servers", value = "NAMES", convert = cli.names, help = "only these servers: a1,a2" },
    { "--resume", help = "go on with the latest rolling of the backend where it stopped" },
    { "--reason", value = "TEXT", help = "why, for maint status and the journal" },
    { "--force", help = "also the last server that takes requests" },
    { "--keep-up", value = "N", convert = cli.share, help = "how many servers must go on taking requests: 2, 50% (default 1)" },
    { "--journal", value = "FILE", help = "the journal (default that of maint)" },
  },
  after = "command",
}, arg)

for s in server.each(args.backend, {
  name = "rolling", resume = args.resume, only = args.only_servers, force = args.force, keep_up = args.keep_up,
  reason = args.reason, journal = args.journal,
}) do
  print(s.name .. ": drain")
  s:drain(args.wait, { quiet = args.quiet, cut = args.cut })
  print(s.name .. ": idle, and drained until the command has done its work")
  local env = { SERVER = s.server, ADDRESS = ("%s:%d"):format(s.address, s.port) }
  local status = haproxy.dry_run() and 0 or run({ env = env, table.unpack(args.command) })
  if status ~= 0 then
    print(("%s: the command failed (%d), and the server stays drained"):format(s.name, status))
    return status
  end
  local state = s:ready({ settle = args.settle, within = args.wait })
  print(("%s: %s"):format(s.name, state == "ready" and "up" or state .. ": it was so before, or another maintenance holds it"))
end
