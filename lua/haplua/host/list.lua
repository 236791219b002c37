-- SPDX-License-Identifier: MIT
--
--- The command `haplua list`: the policies that a name can lead to.

local policies = require("haplua.host.policies")
local visible = require("haplua.error").visible

local declaration = {
  name = "haplua list",
  help = "List the policies that a name can lead to: what each is for, and where it lies. Your own come first.",
  options = { { "--names", help = "print the names alone" } },
}

--- Print rows with their columns aligned.
local function print_rows(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, text in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, utf8.len(text) or #text)
    end
  end
  for _, row in ipairs(rows) do
    local line = {}
    for i, text in ipairs(row) do
      line[i] = text .. (" "):rep(widths[i] - (utf8.len(text) or #text))
    end
    print((table.concat(line, "  "):gsub(" +$", "")))
  end
end

---@param ... string  the words after `haplua list`
return function(...)
  local args = require("haplua.cli").parse(declaration, { ... })
  local all, others = policies.all()
  local rows = {}
  for _, policy in ipairs(all) do
    if args.names and not policy.hidden then
      print(policy.name)
    elseif not args.names then
      rows[#rows + 1] = {
        policy.name, visible(policies.summary(policy.path)),
        policy.folder .. (policy.hidden and " (hidden: run it by its path)" or ""),
      }
    end
  end
  print_rows(rows)
  for _, path in ipairs(args.names and {} or others) do
    io.stderr:write(("%s does not count: others than you and root may write to it or its folder\n"):format(visible(path)))
  end
end
