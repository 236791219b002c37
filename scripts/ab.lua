#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Send a share of the visitors to another backend: at the end it says how the two did. HAProxy's configuration gives each
-- visitor one of 100 numbers, always the same, and looks it up in a map (which may be empty):
--
--   use_backend %[src,crc32(1),mod(100),map(/etc/haproxy/ab.map,app)]
--
-- The map is as before when the time is over, at Ctrl-C, and at any error. A reload ends the test as well: HAProxy then
-- reads the map's file, which stays as it is. The time is HAProxy's average of the latest 1,024 requests.
--
--   $ haplua ab app new --percent 10 --for 600
--   new: 10 of 100 visitors
--   app: 900 requests, 0.3% failed, 20 ms
--   new: 100 requests, 2.0% failed, 31 ms

local cli = require("haplua.cli")

local args = cli.parse({
  name = "ab",
  help = "Send a share of the visitors to another backend, and say how the two did.",
  args = "backends", args_help = "two backends: the usual one, and the other one",
  options = {
    { "--percent", value = "N", default = "10", convert = cli.count, help = "how many of 100 visitors (default 10)" },
    { "--for", value = "SECONDS", default = "3600", convert = cli.seconds, help = "how long (default 3600)" },
    { "--map", value = "FILE", default = "/etc/haproxy/ab.map", help = "the map (default /etc/haproxy/ab.map)" },
  },
  check = function(found)
    return #found.backends ~= 2 and "two backends are expected: the usual one, and the other one"
      or found.percent > 100 and "--percent: there are 100 numbers" or nil
  end,
}, arg)

--- What HAProxy has counted of a backend: requests, failures, and the average time in milliseconds.
local function look(backend)
  for _, row in ipairs(haproxy.stat(backend)) do
    if row.svname == "BACKEND" then
      return { requests = row.req_tot, failed = row.hrsp_5xx, time = row.ttime }
    end
  end
  error(("there is no backend '%s'"):format(backend), 0)
end

local before = { look(args.backends[1]), look(args.backends[2]) }
local entries = {}
for number = 1, args.percent do
  entries[number] = { key = tostring(number - 1), value = args.backends[2] }
end

defer(function()
  for i, backend in ipairs(args.backends) do
    local now = look(backend)
    local requests, failed = now.requests - before[i].requests, now.failed - before[i].failed
    print(("%s: %d requests, %.1f%% failed, %d ms"):format(backend, requests, failed / math.max(1, requests) * 100, now.time))
  end
end)
defer(haproxy.map_replace, args.map, haproxy.map_list(args.map))
haproxy.map_replace(args.map, entries)
print(("%s: %d of 100 visitors"):format(args.backends[2], args.percent))
if not haproxy.dry_run() then
  task.sleep(args["for"])
end
