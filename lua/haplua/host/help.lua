-- SPDX-License-Identifier: MIT
--
--- The command `haplua help NAME [COMMAND]`: the header of a policy, and its options.

local policies = require("haplua.host.policies")
local cli = require("haplua.cli")
local visible = require("haplua.error").visible

local declaration = {
  name = "haplua help",
  help = "Show what a policy does: the comment at its beginning, and its options.",
  arg = { "name", value = "NAME", help = "a policy, by name or by path; or one of: help list new test" },
  args = "command",
}

--- Print the help of a declaration, or of one of its commands. Raises where it has no such command.
local function print_options(spec, name, command)
  local text, problem = cli.help(spec, command)
  if not text then
    io.stderr:write(("haplua help: %s: %s\n"):format(name, problem))
    return 2
  end
  print((text:gsub("\n+$", "")))
  if spec.commands and not command then
    print(("\n'haplua help %s COMMAND' shows the options of a command."):format(name))
  end
end

--- A declaration whose `help` is left out where the header, which was printed, begins with the same words.
local function besides(header, spec)
  local text, said = table.concat(header, " "):gsub("%s+", " "), spec.help:gsub("%.$", "")
  if text:sub(1, #said) ~= said then
    return spec
  end
  local copy = {}
  for key, value in pairs(spec) do
    copy[key] = key ~= "help" and value or nil
  end
  return copy
end

---@param ... string  the words after `haplua help`
---@return integer? status
return function(...)
  local args = cli.parse(declaration, { ... })
  local name, command = args.name, args.command[1]
  if policies.builtins[name] then
    return print_options(policies.builtin_declaration(name), name, command)
  end
  local path = require("haplua.host.globals").find(name)
  local spec = policies.declaration(path)
  if not command then
    local header = policies.header(path)
    print(("%s\n"):format(path))
    for _, line in ipairs(header) do
      print((visible(line)))
    end
    print(#header > 0 and "" or "(it has no comment at its beginning)\n")
    spec = spec and besides(header, spec)
  end
  if not spec then
    print("It does not read its arguments with haplua.cli, so its options are not known.")
    return command and 2 or nil
  end
  return print_options(spec, name, command)
end
