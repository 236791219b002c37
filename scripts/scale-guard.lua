#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- See that enough servers of a backend take requests, whatever takes them away: checks, an autoscaler, a hand at HAProxy's
-- socket. It prints a line when there are too few, and when there are enough again. With --undo, a server that somebody has
-- just taken out of service by hand, and should not have, is put back. With --once it looks once; exit status 1: one server
-- less would be too few. That is a gate for a script that scales down:
--
--   haplua scale-guard app --keep-up 2 --once && ./scale-down.sh
--
-- haplua's own commands refuse by themselves to take too many servers away; their maintenances are left alone.
--
--   $ haplua scale-guard app --keep-up 3
--   app: 3 of 3 servers take requests, and 3 are to

local cli = require("haplua.cli")
local maintenance = require("haplua.maintenance")

local args = cli.parse({
  name = "scale-guard",
  help = "See that enough servers of a backend take requests.",
  arg = { "backend", value = "BACKEND", help = "the backend" },
  options = {
    { "--keep-up", value = "N", default = "1", convert = cli.share, help = "how many must take requests: 2, 50% (default 1)" },
    { "--once", help = "look once; exit status 1: one less would be too few" },
    { "--undo", help = "put back what a hand has just taken out of service" },
    { "--every", value = "SECONDS", default = "1", convert = cli.seconds, help = "how often to look (default 1)" },
    { "--journal", value = "FILE", help = "the journal (default that of maint)" },
  },
}, arg)

--- The servers that take requests, by their names, how many these are, and how many are to be.
local function look()
  local taking, n, all = {}, 0, 0
  for _, row in ipairs(haproxy.stat(args.backend)) do
    if row.svname ~= "BACKEND" and row.bck == 0 then
      local takes = (row.status:find("^UP") or row.status == "no check") and row.weight > 0
      taking[row.svname], n, all = takes or nil, n + (takes and 1 or 0), all + 1
    end
  end
  local share = tostring(args.keep_up):match("^(%d+)%%$")
  return taking, n, all, share and math.ceil(all * share / 100) or args.keep_up
end

--- Put the servers back that were taking requests, and that a hand has taken out of service.
local function undo(before)
  for _, row in ipairs(servers(args.backend)) do
    local name = args.backend .. "/" .. row.srv_name
    local known = maintenance.status({ servers = { name }, journal = args.journal }).maintenances
    if before[row.srv_name] and row.admin ~= "ready" and #known == 0 then
      haproxy.server_set({ server = name, state = "ready" })
      print(("%s: was set to %s by hand, and is ready again"):format(name, row.admin))
    end
  end
end

local before, enough = {}, nil
servers(args.backend) -- raises where there is no such backend
while true do
  local taking, n, all, need = look()
  if enough ~= (n >= need) then
    print(("%s: %d of %d servers take requests, and %d are to"):format(args.backend, n, all, need))
    io.stdout:flush()
  end
  if args.once then
    return n > need and 0 or 1
  elseif n < need and args.undo then
    undo(before)
  else
    before = taking
  end
  enough = n >= need
  task.sleep(args.every)
end
