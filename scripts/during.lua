#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Maintenance for as long as a command runs. Afterwards the ACL holds what it held before,
-- however the command ends and also when haplua is interrupted; the exit status is the
-- command's. When maintenance cannot be put on, the command does not run.
--
--   haplua during -- ./migrate.sh --all
--   haplua during --path '^/shop' -- ansible-playbook shop.yml

local cli = require("haplua.cli")
local maintenance = require("haplua.maintenance")

local args = cli.parse({
  name = "during",
  help = "Maintenance for as long as a command runs.",
  options = {
    { "--acl", value = "REF", default = os.getenv("HAPLUA_ACL") or "#9999",
      help = "the ACL that decides: #ID or file name (default $HAPLUA_ACL, else #9999)" },
    { "--path", value = "PATTERN", help = "only for what this pattern matches" },
  },
  after = "command",
}, arg)

local before = haproxy.acl_list(args.acl)
local restore <close> = setmetatable({}, {
  __close = function()
    haproxy.acl_replace(args.acl, before)
    print(maintenance.status({ acl = args.acl }))
  end,
})

print(maintenance.on({ acl = args.acl, patterns = { args.path } }))
if haproxy.dry_run() then
  print("would run: " .. table.concat(args.command, " "))
  return
end
return (run(args.command))
