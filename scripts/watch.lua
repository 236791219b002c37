#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Watch servers and maintenances: on a terminal in a live table, with keys; elsewhere as a line for each change.
--
--   haplua watch
--   haplua -s lb1:9999 -s lb2:9999 watch --every 5
--   haplua watch --lines
--
--   $ haplua watch --lines
--   18:36:59 #9999 matches nothing
--   18:37:01 #9999 matches ^/shop
--   18:37:02 app/a1 is drain, running
--
-- The table (docs/watch.md says more):
--
--    haplua watch   1 HAProxy   1 in force                                 12:00:00
--     server     state       sess          queue rate/s          check
--     /run/haproxy/admin.sock  2 of 2 up  42 conns  17/s  HAProxy 3.0.11, process 8…
--     ▪ m12  /shop     10m00s left ━━━    anna@web1      new database
--
--     app        2 of 2        32              0     48      ▃▆█
--   ▶ ● a1       UP            30 ━━━━━━       0     48      ▃▆█ L7OK/200 in 1ms
--     ● a2       UP             2 ╸            0      0      ▁▁▁ L7OK/200 in 1ms
--    d drain  m maint  r ready  b begin  / filter  s sort  ? help  q quit

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
local seen = {}

--- Show the state of one thing, where it is another than at the last look.
---@param quiet boolean?  remember it, and show nothing
local function show(thing, text, fields, quiet)
  if not quiet and seen[thing] ~= text and args.json then
    fields.time, fields.target = os.date("!%Y-%m-%dT%H:%M:%SZ"), tostring(haproxy.target())
    io.stdout:write(json.encode(fields), "\n") -- print() would put the target before it
  elseif not quiet and seen[thing] ~= text then
    print(os.date("%H:%M:%S") .. " " .. text)
  end
  seen[thing] = text
end

--- Look at everything.
local function look(is_first)
  local pid, patterns = haproxy.info().Pid, haproxy.acl_list(acl)
  show("process", ("HAProxy is process %d"):format(pid), { process = pid }, is_first)
  local list = #patterns > 0 and visible(table.concat(patterns, "  ")) or "nothing"
  show("acl", ("%s matches %s"):format(acl, list), { acl = acl, patterns = patterns })
  for _, row in ipairs(servers()) do
    local name = row.be_name .. "/" .. row.srv_name
    local fields = { server = name, admin = row.admin, operational = row.operational }
    show(name, ("%s is %s, %s"):format(name, row.admin, row.operational), fields, is_first)
  end
end

--- Look at everything, and at the fleet where the configuration names one. An HAProxy that is away is one more line.
local function look_on(is_first)
  local ok, problem = pcall(look, is_first)
  if not ok and (is_first and not fleet or problem.kind ~= "unreachable" and problem.kind ~= "timeout") then
    error(problem, 0)
  elseif not ok then
    show("process", tostring(problem), { error = tostring(problem) })
  end
  for _, line in ipairs(fleet and fleet() or {}) do
    show(line.name, line.text, line.fields)
  end
end

io.stdout:setvbuf("line")
look_on(true)
while true do
  task.sleep(args.every)
  look_on()
end
