#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Watch HAProxy: on a terminal a table that lives, with keys; elsewhere a line for each change.
--
--   haplua watch
--   haplua -s lb1:9999 -s lb2:9999 watch --every 5
--   haplua watch --lines
--
-- The table (docs/watch.md says more):
--
--    haplua watch   1 HAProxy   2 in force                                    12:00:00
--     server     state       sess          queue rate/s          check
--     /run/haproxy/admin.sock  3 of 3 up  42 conns  48/s  HAProxy 3.0.11, process 812
--     ▪ m12  /shop           10m00s left ━━━    anna@web1      new database
--     app        2 of 2        32              0     48      ▃▆█
--   ▶ ● a1       UP            30 ━━━━━━       0     48      ▃▆█ L7OK/200 in 1ms
--     ● a2       UP             2 ╸            0      0      ▁▁▁ L7OK/200 in 1ms
--    d drain  m maint  r ready   b begin  / filter  s sort  ? help  q quit
--
-- Lines:
--
--   18:36:59 #9999 matches nothing
--   18:37:01 #9999 matches ^.*$
--   18:37:02 app/a1 is drain, running

local cli = require("haplua.cli")
local json = require("haplua.json")
local visible = require("haplua.error").visible

local args = cli.parse({
  name = "watch",
  help = "Watch servers and maintenances: a live table on a terminal, elsewhere a line for each change.",
  options = {
    { "--acl", value = "REF", help = "the ACL that decides (default $HAPLUA_ACL, else #9999)" },
    { "--every", value = "SECONDS", default = "1", convert = cli.seconds, help = "how often to look (default 1)" },
    { "--lines", help = "print lines, also on a terminal" },
    { "--json", help = "print lines of JSON" },
    { "--ascii", help = "draw the table with ASCII alone" },
  },
}, arg)

local status, fleet = cli.main("watch", args)
if status then -- there was a terminal
  return status
end

local acl = args.acl or (os.getenv("HAPLUA_ACL") or ""):match(".+") or "#9999"

--- The current state of HAProxy: for each thing that is watched a line, and its fields for JSON.
local function look()
  local pid = haproxy.info().Pid
  local now = { process = { ("HAProxy is process %d"):format(pid), { process = pid } } }
  local patterns = haproxy.acl_list(acl)
  local text = #patterns > 0 and visible(table.concat(patterns, "  ")) or "nothing"
  now.acl = { ("%s matches %s"):format(acl, text), { acl = acl, patterns = patterns } }
  for _, row in ipairs(servers()) do
    local name = row.be_name .. "/" .. row.srv_name
    now[name] = {
      ("%s is %s, %s"):format(name, row.admin, row.operational),
      { server = name, admin = row.admin, operational = row.operational },
    }
  end
  return now
end

local function show(change)
  if args.json then
    local fields = { time = os.date("!%Y-%m-%dT%H:%M:%SZ"), target = tostring(haproxy.target()) }
    for name, value in pairs(change[2]) do
      fields[name] = value
    end
    io.stdout:write(json.encode(fields), "\n")
  else
    print(os.date("%H:%M:%S"), change[1])
  end
end

--- What there is to see of HAProxy, or that it does not answer; and of the fleet, where the configuration names one.
local function look_on()
  local ok, now = pcall(look)
  if not ok then
    if now.kind ~= "unreachable" and now.kind ~= "timeout" then
      error(now, 0)
    end
    now = { process = { tostring(now), { error = tostring(now) } } }
  end
  for name, line in pairs(fleet and fleet() or {}) do
    now[name] = line
  end
  return now
end

io.stdout:setvbuf("line")
local seen = fleet and {} or look()
if not fleet then
  show(seen.acl)
end
while true do
  task.sleep(fleet and not next(seen) and 0 or args.every)
  local now = look_on()
  local names = {}
  for name in pairs(now) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    if not seen[name] or seen[name][1] ~= now[name][1] then
      show(now[name])
      seen[name] = now[name]
    end
  end
end
