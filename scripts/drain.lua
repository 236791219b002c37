#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Take a server out of service without cutting anybody off: give it no new sessions, wait until it
-- has none, then put it in maintenance. When that takes too long, or haplua is interrupted, the
-- server goes back to its state before.
--
--   haplua drain app/a1
--   haplua drain app/a1 --wait 600

local cli = require("haplua.cli")
local server = require("haplua.server")

local args = cli.parse({
  name = "drain",
  help = "Take a server out of service without cutting anybody off.",
  arg = { "server", value = "BACKEND/SERVER", help = "the server" },
  options = {
    { "--wait", value = "SECONDS", default = "60", convert = cli.seconds,
      help = "give up when it is not idle after so long (default 60)" },
    { "--force", help = "also the last server of its backend that takes requests" },
  },
  check = function(found)
    return not found.server:find("^[^/]+/[^/]+$") and ("'%s' is not BACKEND/SERVER"):format(found.server) or nil
  end,
}, arg)

local held <close> = server.hold(args.server, { force = args.force })
if held.before == "maint" then
  print(args.server .. " is in maintenance already")
  return held:keep()
end

local began = task.now()
held:drain(args.wait)
held:keep("maint")
if not haproxy.dry_run() then
  print(("%s is in maintenance, idle after %.1f s"):format(args.server, task.now() - began))
end
