-- SPDX-License-Identifier: MIT
--
--- The options that scripts about maintenance share, as declarations for haplua.cli.

local M = {}

--- Which switch, and where it is written down.
M.place = {
  { "--acl", value = "REF", help = "the ACL that decides: #ID or file name (default $HAPLUA_ACL, else #9999)" },
  { "--switch", value = "NAME", help = "the switch of the configuration" },
  { "--config", value = "FILE", help = "the configuration (default $HAPLUA_CONFIG, else /etc/haplua/config.lua)" },
  { "--journal", value = "FILE", help = "the journal (default $HAPLUA_JOURNAL, else /var/lib/haplua/journal.db)" },
  { "--no-journal", help = "write nothing down, and wait for nobody" },
  { "--no-file", help = "leave the ACL's file alone" },
}

--- What is under maintenance, for whom it is not, and why.
M.scope = {
  { "--path", value = "PREFIX", repeats = true, help = "these paths: /shop is /shop, /shop/cart, /shopping" },
  { "--host", value = "NAME", repeats = true, help = "these hosts; with --path, those paths of them" },
  { "--bypass", value = "CIDR", repeats = true, help = "clients that still reach the application" },
  { "--reason", value = "TEXT", help = "why, for the journal and the visitors" },
}

--- Two lists of options as one.
function M.with(options, more)
  return table.move(more, 1, #more, #options + 1, table.move(options, 1, #options, 1, {}))
end

--- What is wrong with options that do not go together.
---@return string?
function M.check(args)
  if args.acl and args.switch then
    return "--acl and --switch: a switch has its ACL"
  elseif args.journal and args.no_journal then
    return "--journal and --no-journal: which?"
  end
end

--- The options as haplua.maintenance takes them.
---@param args table  from haplua.cli
---@param print function  the script's own, which marks its lines when there are several targets
---@return haplua.MaintenanceOptions
function M.read(args, print)
  local journal = args.journal
  if args.no_journal then
    journal = false
  end
  return {
    switch = args.switch, acl = args.acl, config = args.config, journal = journal, file = not args.no_file,
    print = print, patterns = args.pattern, paths = args.path, hosts = args.host, bypass = args.bypass, reason = args.reason,
  }
end

return M
