#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Send all traffic from one backend to another in one step: the new one's servers are put into service and waited for
-- before, and the old one's are drained afterwards. The backend is the value of a key in a map, for which HAProxy's
-- configuration has
--
--   use_backend %[str(app),map(/etc/haproxy/live.map)]
--
-- Where the new servers are not up, nothing is switched. The map's file is changed, too, so that a reload keeps the switch.
-- The way back is the same call with the other backend.
--
--   $ haplua bluegreen green
--   green: 2 servers are up
--   app: green in place of blue
--   blue: 2 servers are idle, and stay drained

local cli = require("haplua.cli")
local server = require("haplua.server")

local args = cli.parse({
  name = "bluegreen",
  help = "Send all traffic from one backend to another in one step, and drain the first.",
  arg = { "backend", value = "BACKEND", help = "the backend that gets the traffic" },
  options = {
    { "--map", value = "FILE", default = "/etc/haproxy/live.map", help = "the map (default /etc/haproxy/live.map)" },
    { "--key", value = "KEY", default = "app", help = "the map's key (default app)" },
    { "--settle", value = "SECONDS", default = "3", convert = cli.seconds, help = "how long the new servers must be up (3)" },
    { "--wait", value = "SECONDS", default = "300", convert = cli.seconds,
      help = "give up when servers are not up, or not idle, after so long (default 300)" },
    { "--force", help = "also servers that were set by hand, and a first backend that still gets requests" },
    { "--reason", value = "TEXT", help = "why, for maint status and the journal" },
    { "--journal", value = "FILE", help = "the journal (default that of maint)" },
  },
}, arg)

--- Change the value of the key in the map's file, in place: it may be mounted into a container.
local function write_file()
  local file = assert(io.open(args.map))
  local text = file:read("a"):gsub("[^\n]+", function(line)
    return line:match("^%s*(%S+)") == args.key and args.key .. " " .. args.backend or nil
  end)
  file:close()
  file = assert(io.open(args.map, "w"))
  assert(file:write(text))
  assert(file:close())
end

local say = haproxy.dry_run() and function() end or print
local given = { force = args.force, reason = args.reason, journal = args.journal }
local from = haproxy.map_get(args.map, args.key)
if from == args.backend then
  print(("%s: %s already"):format(args.key, from))
  return
end
local new, old = server.group(args.backend, given), server.group(from, given)
new:ready({ settle = args.settle, within = args.wait })
say(("%s: %d servers are up"):format(new.backend, #new.names))
haproxy.map_set(args.map, args.key, args.backend)
if not haproxy.dry_run() then
  write_file()
end
say(("%s: %s in place of %s"):format(args.key, new.backend, from))
old:drain(args.wait)
say(("%s: %d servers are idle, and stay drained"):format(from, #old.names))
