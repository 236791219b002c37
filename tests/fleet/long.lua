-- SPDX-License-Identifier: MIT
--
-- long.lua - try a fleet of real nodes under faults for some minutes (tests/fleet/trial.lua). `make check-fleet-long` calls
-- it inside tests/fleet/net.sh. $NODES (20), $MINUTES (2), $SEED; $PROGRAMS: HAProxys, one a line. Status 1: something that
-- must hold did not; the folder with all logs is kept then.

package.path = "tests/lua/?.lua;tests/real/?.lua;tests/fleet/?.lua;" .. package.path

local etcd = require("etcd")
local trial = require("trial")

local function number(name, default)
  return tonumber(os.getenv(name)) or default
end

local programs = {}
for path in (os.getenv("PROGRAMS") or ""):gmatch("%S+") do
  programs[#programs + 1] = path
end
local seed = math.tointeger(number("SEED", os.time() % 100000))
local options = { count = math.tointeger(number("NODES", 20)), seconds = number("MINUTES", 2) * 60, seed = seed,
  programs = programs[1] and programs }
print(("%d nodes, %d HAProxys, %d s, seed %d"):format(options.count, math.max(#programs, 1), options.seconds, seed))
io.stdout:flush()
local cluster <close> = etcd.start({ members = 3 })
local ok, counts = pcall(trial.run, cluster, options)
if not ok then
  run({ "sh", "-c", 'rm -rf "$1" && cp -r "$0" "$1"', cluster.dir, "build/fleet-long" })
  error(("%s\nthe logs are in build/fleet-long"):format(counts), 0)
end
local lines = {}
for what, n in pairs(counts) do
  lines[#lines + 1] = ("%d %s"):format(n, what)
end
table.sort(lines, function(a, b)
  return a:match(" .*") < b:match(" .*")
end)
print("fleet-long: no violation; " .. table.concat(lines, ", "))
