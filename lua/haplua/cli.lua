-- SPDX-License-Identifier: MIT
--
--- A script's command line: commands, options and arguments from one declaration.
-- lua-argparse does the work: help, errors, odd spellings. But it is larger than most scripts, and
-- an ordinary command line needs none of it; so what this module is sure of it reads itself, and hands
-- everything else on. tests/lua/cli_test.lua holds the two against each other.

local M = {}

---@class haplua.cli.Option
---@field [1] string  "--name"
---@field value string?  the value's name in the help; without one the option is a flag
---@field default string?
---@field help string

---@class haplua.cli.Command
---@field [1] string  its name
---@field help string
---@field args string?  the name of what may follow, any number of it
---@field options haplua.cli.Option[]?

---@class haplua.cli.Spec
---@field name string
---@field help string
---@field epilog string?
---@field options haplua.cli.Option[]
---@field commands haplua.cli.Command[]

--- "--dry-run" is the field dry_run.
local function field(option)
  return (option[1]:gsub("^%-+", ""):gsub("%-", "_"))
end

-- The short way.

local function add_options(known, options)
  for _, option in ipairs(options or {}) do
    known[option[1]] = option
  end
end

--- Read one option word at position i. Returns the next position, or nil: not sure.
local function read_option(found, known, words, i)
  local name, value = words[i]:match("^(%-%-[%w-]+)=(.*)$")
  local option = known[name or words[i]]
  if not option or found[field(option)] ~= nil then
    return nil
  elseif not option.value then
    found[field(option)] = not name or nil
    return not name and i + 1 or nil
  elseif name then
    found[field(option)] = value
    return i + 1
  end
  value = words[i + 1]
  if not value or value:find("^%-") then
    return nil
  end
  found[field(option)] = value
  return i + 2
end

local function set_defaults(found, known)
  for _, option in pairs(known) do
    if found[field(option)] == nil then
      found[field(option)] = option.default
    end
  end
  return found
end

--- Read an ordinary command line. Returns nil for one that is not.
local function read(spec, words)
  local found, known, command = {}, {}, nil
  add_options(known, spec.options)
  local i = 1
  while i <= #words do
    local word = words[i]
    if word:find("^%-") then
      i = read_option(found, known, words, i)
      if not i then
        return nil
      end
    elseif not command then
      for _, c in ipairs(spec.commands) do
        command = c[1] == word and c or command
      end
      if not command then
        return nil
      end
      found.command = word
      if command.args then
        found[command.args] = {}
      end
      add_options(known, command.options)
      i = i + 1
    elseif command.args then
      table.insert(found[command.args], word)
      i = i + 1
    else
      return nil
    end
  end
  return command and set_defaults(found, known)
end

-- The long way.

local function declare(parser, options)
  for _, o in ipairs(options or {}) do
    local option = o.value and parser:option(o[1]):argname(o.value) or parser:flag(o[1])
    option:description(o.help)
    if o.default then
      option:default(o.default)
    end
  end
end

--- lua-argparse's parser for a declaration; its usage errors end with status 2.
local function parser_of(spec)
  local argparse = require("argparse")
  local parser = argparse(spec.name, spec.help, spec.epilog)
  parser:command_target("command"):require_command(true)
  declare(parser, spec.options)
  for _, c in ipairs(spec.commands) do
    local command = parser:command(c[1], c.help)
    if c.args then
      command:argument(c.args):args("*")
    end
    declare(command, c.options)
  end
  function parser.error(self, message)
    io.stderr:write(("%s: %s\n%s\nTry '%s --help'.\n"):format(spec.name, message, self:get_usage(), spec.name))
    os.exit(2)
  end
  return parser
end

--- Read the script's arguments. Help and usage errors end the script.
---@param spec haplua.cli.Spec
---@param words string[]  usually `arg`
---@return table found  `command`, and a field for each option and argument that was given
function M.parse(spec, words)
  return read(spec, words) or M.parse_with_argparse(spec, words)
end

--- The same, always through lua-argparse: for the test.
function M.parse_with_argparse(spec, words)
  return parser_of(spec):parse(words)
end

--- The same, the short way only: nil where it is not sure.
function M.parse_shortly(spec, words)
  return read(spec, words)
end

return M
