#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Give a new server its share of the traffic in steps, and judge it at each: how many of its requests fail, and how long it
-- takes. Where it is too bad, has no traffic, or haplua is interrupted, its weight goes back to what it was. Steps are
-- shares of the weight that HAProxy's configuration gives the server: use weights such as `weight 100`.
--
--   $ haplua canary app/new --every 60
--   app/new: 5% for 60 s: 40 requests, 0.0% failed, 12 ms
--   app/new: 25% for 60 s: 200 requests, 0.5% failed, 14 ms
--   app/new: 50% for 60 s: 400 requests, 0.0% failed, 13 ms
--   app/new: 100% for 60 s: 800 requests, 0.1% failed, 13 ms
--   app/new: has its whole weight

local cli = require("haplua.cli")
local server = require("haplua.server")

local args = cli.parse({
  name = "canary",
  help = "Give a new server its traffic in steps, and take it back where requests fail.",
  arg = { "server", value = "BACKEND/SERVER", help = "the new server" },
  options = {
    { "--steps", value = "PERCENTS", default = "5,25,50,100", convert = cli.names,
      help = "shares of its weight (default 5,25,50,100)" },
    { "--every", value = "SECONDS", default = "300", convert = cli.seconds, help = "how long each step lasts (default 300)" },
    { "--max-errors", value = "PERCENT", default = "1", convert = cli.seconds,
      help = "stop when more of its requests fail (default 1)" },
    { "--max-latency", value = "SECONDS", convert = cli.seconds,
      help = "stop when its answers take longer to begin, on average" },
    { "--reason", value = "TEXT", help = "why, for maint status and the journal" },
    { "--journal", value = "FILE", help = "the journal (default that of maint)" },
  },
  check = function(found)
    for _, percent in ipairs(found.steps) do
      if not percent:find("^%d+$") then
        return ("--steps: '%s' is no number"):format(percent)
      end
    end
    return not found.server:find("^[^/]+/[^/]+$") and ("'%s' is not BACKEND/SERVER"):format(found.server) or nil
  end,
}, arg)

local say = haproxy.dry_run() and function() end or print
local new <close> = server.hold(args.server, { origin = "canary", reason = args.reason, journal = args.journal })
if new.before ~= "ready" then
  error(("%s is %s: it would get no traffic"):format(new.name, new.before), 0)
end

for _, percent in ipairs(args.steps) do
  new:weight(percent .. "%")
  if not haproxy.dry_run() then
    task.sleep(args.every)
  end
  local failed, requests = new:errors()
  local latency = new:latency()
  say(("%s: %s%% for %g s: %d requests, %.1f%% failed, %.0f ms"):format(new.name, percent, args.every, requests,
    failed * 100, latency * 1000))
  if failed * 100 > args.max_errors then
    error(new.name .. ": too many requests fail", 0)
  elseif args.max_latency and latency > args.max_latency then
    error(new.name .. ": it is too slow", 0)
  end
end
new:keep()
say(new.name .. ": has its whole weight")
