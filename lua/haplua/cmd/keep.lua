-- SPDX-License-Identifier: MIT
--
--- The command line of scripts/keep.lua.

local options = require("haplua.cmd.maint_options")

local spec = {
  name = "keep",
  help = "Stay, and have HAProxy hold what the journal says: begin and end maintenances at their time, and put them back "
    .. "after a reload.",
  options = options.join(options.files, {
    { "--metrics", value = "FILE", help = "write what it knows for Prometheus, for node_exporter's textfile collector" },
  }),
  check = options.check,
}

---@param words string[]
---@param print function  the script's own, which marks its lines where there are several targets
---@return integer status
return function(words, print)
  local args = require("haplua.cli").parse(spec, words)
  local request = options.request(args)
  request.metrics = args.metrics
  return require("haplua.keep.keeper").run(request, print)
end
