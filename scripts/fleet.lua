#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- The same maintenance on several HAProxys, everywhere or nowhere. The script prepares the change on each and checks the
-- patterns, which no request notices. Once that is done on all, it commits on all. When one commit fails, it puts
-- back what the others had. Needs HAProxy 2.4.
--
--   haplua -s lb1:9999 -s lb2:9999 fleet on '^/shop'
--   haplua -s lb1:9999 -s lb2:9999 fleet off

local cli = require("haplua.cli")
local maintenance = require("haplua.maintenance")

local args = cli.parse({
  name = "fleet",
  help = "The same maintenance on several HAProxys, everywhere or nowhere.",
  options = {
    { "--acl", value = "REF", default = (os.getenv("HAPLUA_ACL") or ""):match(".+") or "#9999",
      help = "the ACL that decides: #ID or file name (default $HAPLUA_ACL, else #9999)" },
  },
  commands = {
    { "on", args = "pattern", help = "Begin maintenance: for what the patterns match, or ^.*$." },
    { "off", help = "End maintenance." },
  },
}, arg)

local acl = args.acl
local patterns = args.command == "off" and {} or args.pattern[1] and args.pattern or { "^.*$" }
local before = haproxy.acl_list(acl)
local version = "@" .. (send({ "prepare", "acl", acl }):match("%d+$") or "NEW")
local phase = "prepared"
local undo <close> = setmetatable({}, {
  __close = function(_, problem)
    -- a commit that is refused changes nothing: then the patterns in force are somebody else's
    local refused = type(problem) == "table" and problem.kind == "refused"
    if phase == "prepared" or phase == "committed" and refused then
      send({ "clear", "acl", version, acl })
    elseif phase == "committed" then
      haproxy.acl_replace(acl, before)
    end
  end,
})

local show = { "show", "acl", version, acl }
local _, prepared = haproxy.each({ "add", "acl", version, acl }, patterns, nil, nil, show)
-- each line is an entry's address in HAProxy's memory, then the pattern
local entries = ("\n" .. prepared):gsub("\n0x%x+ ", "\n"):sub(2)
if not haproxy.dry_run() and entries ~= table.concat(patterns, "\n") then
  haproxy.target():mistrust(table.concat(show, " "), "not the patterns that were sent")
end
haproxy.barrier()
phase = "committed"
send({ "commit", "acl", version, acl })
local status = maintenance.status({ acl = acl })
if not haproxy.dry_run() and table.concat(status.patterns, "\n") ~= table.concat(patterns, "\n") then
  haproxy.target():mistrust("commit acl " .. version, "other patterns are in force")
end
haproxy.barrier()
phase = "done"
print(status)
