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
    { "--only-servers", value = "NAMES", convert = cli.names, help = "these servers: a1,a2" },
    { "--resume", help = "go on with the latest rolling of the backend where it stopped" },
    { "--reason", value = "TEXT", help = "why, for maint status and the journal" },
    { "--force", help = "also the last server that takes requests" },
    { "--keep-up", value = "N", convert = cli.share, help = "so many servers must go on to take requests: 2, 50% (1)" },
    { "--journal", value = "FILE", help = "the journal (default that of maint)" },
  },
  after = "command",
}, arg)

local work <close> = server.run("rolling", args.backend, {
  resume = args.resume, only = args.only_servers, journal = args.journal,
})

for row in work:each() do
  local name = args.backend .. "/" .. row.srv_name
  local held <close> = server.hold(name, {
    force = args.force, keep_up = args.keep_up, reason = args.reason, run = work,
  })
  print(name .. ": drain")
  held:drain(args.wait, { quiet = args.quiet, cut = args.cut })
  held:keep()
  print(name .. ": idle, and drained until the command has done its work")
  local address = ("%s:%d"):format(row.srv_addr, row.srv_port)
  local status = haproxy.dry_run() and 0
    or run({ env = { SERVER = row.srv_name, ADDRESS = address }, table.unpack(args.command) })
  if status ~= 0 then
    print(("%s: the command failed (%d), and the server stays drained"):format(name, status))
    return status
  end
  local state = held:set("ready")
  if state == "ready" then
    held:wait_up(args.settle, args.wait)
  end
  print(("%s: %s"):format(name, state == "ready" and "up" or state .. ": it was so before, or another maintenance holds it"))
  work:done(held)
end
