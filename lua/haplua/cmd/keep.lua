-- SPDX-License-Identifier: MIT
--
--- The command line of scripts/keep.lua.

local spec = {
  name = "keep",
  help = "Hold HAProxy to what the journal wants.",
  options = {
    { "--config", value = "FILE", help = "the configuration (default $HAPLUA_CONFIG, else /etc/haplua/config.lua)" },
    { "--journal", value = "FILE", help = "the journal (default $HAPLUA_JOURNAL, else /var/lib/haplua/journal.db)" },
    { "--no-file", help = "leave the ACLs' files alone" },
  },
}

---@param words string[]
---@param print function  the script's own
---@return integer status
return function(words, print)
  local args = require("haplua.cli").parse(spec, words)
  return require("haplua.keep.keeper").run({
    config = args.config, journal = args.journal, file = not args.no_file, print = print,
  })
end
