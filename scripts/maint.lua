#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Send a site, or parts of it, to its maintenance page: at once, with no reload.
--
--   haplua maint on                   the whole site
--   haplua maint on '^/shop' '^/pay'  what these patterns match
--   haplua maint off
--   haplua maint status
--
-- README.md shows the ACL that HAProxy needs for it.

local cli = require("haplua.cli")
local maintenance = require("haplua.maintenance")

local args = cli.parse({
  name = "maint",
  help = "Send a site, or parts of it, to its maintenance page.",
  options = {
    { "--acl", value = "REF", default = os.getenv("HAPLUA_ACL") or "#9999",
      help = "the ACL that decides: #ID or file name (default $HAPLUA_ACL, else #9999)" },
  },
  commands = {
    { "on", args = "pattern", help = "begin: for what the patterns match, or the whole site" },
    { "off", help = "end" },
    { "status", options = { { "--json", help = "for programs" } }, help = "what is so now" },
  },
}, arg)

if args.command ~= "status" then
  print(maintenance[args.command]({ acl = args.acl, patterns = args.pattern }))
elseif args.json then
  print(require("haplua.json").encode(maintenance.status({ acl = args.acl })))
else
  print(maintenance.status({ acl = args.acl }))
end
