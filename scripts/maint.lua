#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Send a site, or parts of it, to its maintenance page; at once, with no reload.
--
--   haplua maint on                   the whole site
--   haplua maint on '^/shop' '^/pay'  what these patterns match
--   haplua maint off
--   haplua maint status
--
-- HAProxy needs an ACL that chooses the maintenance backend (README.md shows it).

local cli = require("haplua.cli")
local maintenance = require("haplua.maintenance")

local args = cli.parse({
  name = "maint",
  help = "Send a site, or parts of it, to its maintenance page.",
  options = {
    { "--acl", value = "REF", default = os.getenv("HAPLUA_ACL") or "#9999",
      help = "the ACL that chooses the maintenance backend: #ID or file name ($HAPLUA_ACL, else #9999)" },
  },
  commands = {
    { "on", args = "pattern", help = "begin maintenance: of what the patterns match, or of the whole site" },
    { "off", help = "end it" },
    { "status", options = { { "--json", help = "for programs" } }, help = "say what is under maintenance" },
  },
}, arg)

local function list(patterns)
  return #patterns == 0 and "nothing" or table.concat(patterns, "  ")
end

if args.command == "status" then
  local status = maintenance.status({ acl = args.acl })
  if args.json then
    print(require("cjson").encode(status))
  else
    print(("maintenance is %s: %s matches %s"):format(status.on and "on" or "off", args.acl, list(status.patterns)))
  end
  return
end

local change = maintenance[args.command]({ acl = args.acl, patterns = args.pattern })
if change.added + change.removed == 0 then
  print(("maintenance was %s already: %s matches %s"):format(args.command, args.acl, list(change.patterns)))
elseif not haproxy.dry_run() then
  print(("maintenance is %s: %s matches %s (%d added, %d removed%s)"):format(args.command, args.acl,
    list(change.patterns), change.added, change.removed,
    change.confirmed and ", confirmed for " .. change.confirmed or ""))
end
