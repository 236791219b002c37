#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Print a line whenever a server's state or the maintenance ACL changes, until interrupted.
--
--   haplua watch
--   haplua -s lb1:9999 -s lb2:9999 watch --every 5

local cli = require("haplua.cli")
local visible = require("haplua.error").visible

local args = cli.parse({
  name = "watch",
  help = "Print a line whenever a server's state or the maintenance ACL changes.",
  options = {
    { "--acl", value = "REF",
      help = "the ACL to watch (default $HAPLUA_ACL, else #9999)" },
    { "--lines", help = "print lines, also on a terminal" },
    { "--ascii", help = "draw with ASCII alone" },
    { "--every", value = "SECONDS", default = "1", convert = cli.seconds, help = "how often to look (default 1)" },
  },
}, arg)

local acl = args.acl or (os.getenv("HAPLUA_ACL") or ""):match(".+") or "#9999"

--- The current state, as a line for each thing that is watched.
local function look()
  local now = { process = ("HAProxy is process %d"):format(haproxy.info().Pid) }
  local patterns = haproxy.acl_list(acl)
  now.acl = ("%s matches %s"):format(acl, #patterns > 0 and visible(table.concat(patterns, "  ")) or "nothing")
  for _, row in ipairs(servers()) do
    local name = row.be_name .. "/" .. row.srv_name
    now[name] = ("%s is %s, %s"):format(name, row.admin, row.operational)
  end
  return now
end

if not args.lines then
  local status = cli.main("watch", args)
  if status then
    return status
  end
end
io.stdout:setvbuf("line")
local seen = look()
print(os.date("%H:%M:%S"), seen.acl)
while true do
  task.sleep(args.every)
  local ok, now = pcall(look)
  if not ok then
    if now.kind ~= "unreachable" and now.kind ~= "timeout" then
      error(now, 0)
    end
    now = { process = tostring(now) }
  end
  for name, line in pairs(now) do
    if seen[name] ~= line then
      print(os.date("%H:%M:%S"), line)
      seen[name] = line
    end
  end
end
