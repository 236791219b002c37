-- SPDX-License-Identifier: MIT
--
--- The command line of scripts/keep.lua.

local options = require("haplua.cmd.maint_options")

local spec = {
  name = "keep",
  help = "Hold HAProxy to what the journal wants.",
  options = options.files,
  check = options.check,
}

---@param words string[]
---@param print function  the script's own, which marks its lines where there are several targets
---@return integer status
return function(words, print)
  return require("haplua.keep.keeper").run(options.request(require("haplua.cli").parse(spec, words)), print)
end
