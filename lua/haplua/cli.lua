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
---@field repeats boolean?  may be given several times: the field is a list, in that order
---@field convert (fun(text: string): any, string?)?  gives the value, or nil and what is wrong with the text
---@field help string

---@class haplua.cli.Argument
---@field [1] string  the field that it goes to
---@field value string  its name in the help
---@field help string

---@class haplua.cli.Command
---@field [1] string  its name
---@field help string
---@field arg haplua.cli.Argument?  the one argument that must be given
---@field args string?  the name of what may follow, any number of it
---@field options haplua.cli.Option[]?
---@field after string?  as in haplua.cli.Spec

---@class haplua.cli.Spec
---@field name string
---@field help string
---@field epilog string?
---@field options haplua.cli.Option[]?
---@field commands haplua.cli.Command[]?  of which one must be given
---@field arg haplua.cli.Argument?  as in a command, for a script that has none
---@field args string?  likewise
---@field after string?  the field of what must follow "--": words that are not looked at, a command to run
---@field check (fun(found: table): string?)?  says what is wrong with options that do not go together

-- "--dry-run" is the field dry_run. Several targets read the same options.
local fields = setmetatable({}, {
  __index = function(known, name)
    known[name] = name:gsub("^%-+", ""):gsub("%-", "_")
    return known[name]
  end,
})

local function field(option)
  return fields[option[1]]
end

--- A value of an option that counts time.
---@return number?, string?
function M.seconds(text)
  local n = tonumber(text)
  if n and n >= 0 and n < math.huge then
    return n
  end
  return nil, ("seconds expected, not '%s'"):format(text)
end

--- A value that counts things.
---@return integer?, string?
function M.count(text)
  local n = text:find("^%d+$") and #text < 10 and math.tointeger(tonumber(text))
  if n and n >= 1 then
    return n
  end
  return nil, ("a number from 1 on expected, not '%s'"):format(text)
end

-- The short way.

local function add_options(known, options)
  for _, option in ipairs(options or {}) do
    known[option[1]] = option
  end
end

--- Put an option's value where it belongs. False: it is not one that the option takes.
local function store(found, option, text)
  local value = text
  if option.convert then
    value = option.convert(text)
  end
  if option.repeats then
    found[field(option)] = found[field(option)] or {}
    table.insert(found[field(option)], value)
  else
    found[field(option)] = value
  end
  return value ~= nil
end

--- Read one option word at position i. Returns the next position, or nil: not sure.
local function read_option(found, known, words, i)
  local name, value = words[i]:match("^(%-%-[%w-]+)=(.*)$")
  local option = known[name or words[i]]
  if not option or found[field(option)] ~= nil and not option.repeats then
    return nil
  elseif not option.value then
    found[field(option)] = not name or nil
    return not name and i + 1 or nil
  elseif name then
    return store(found, option, value) and i + 1 or nil
  end
  value = words[i + 1]
  if not value or value:find("^%-") then
    return nil
  end
  return store(found, option, value) and i + 2 or nil
end

--- Read one plain word: an argument of `scope`, the script or its command. False: not sure.
local function read_argument(found, scope, word)
  if scope.arg and found[scope.arg[1]] == nil then
    found[scope.arg[1]] = word
  elseif scope.args then
    table.insert(found[scope.args], word)
  else
    return false
  end
  return true
end

--- The command that a word names, its options and arguments made ready.
local function begin(found, known, scope)
  if scope and scope.args then
    found[scope.args] = {}
  end
  add_options(known, scope and scope.options)
  return scope
end

local function find_command(spec, word)
  for _, command in ipairs(spec.commands) do
    if command[1] == word then
      return command
    end
  end
end

local function set_defaults(found, known)
  for _, option in pairs(known) do
    if found[field(option)] == nil and option.default then
      store(found, option, option.default)
    elseif found[field(option)] == nil and option.repeats then
      found[field(option)] = {}
    end
  end
  return found
end

--- Read an ordinary command line. Returns nil for one that is not.
local function read(spec, words)
  local found, known, i = {}, {}, 1
  local scope = begin(found, known, spec)
  if spec.commands then
    scope = nil
  end
  while i and i <= #words do
    local word = words[i]
    if word:find("^%-") then
      i = read_option(found, known, words, i)
    elseif scope then
      i = read_argument(found, scope, word) and i + 1 or nil
    else
      scope = begin(found, known, find_command(spec, word))
      found.command = word
      i = scope and i + 1
    end
  end
  if not i or not scope or scope.arg and found[scope.arg[1]] == nil then
    return nil
  end
  return set_defaults(found, known)
end

-- The long way.

--- Declare options and arguments of the script or of a command.
local function declare(parser, scope)
  for _, o in ipairs(scope.options or {}) do
    local option = o.value and parser:option(o[1]):argname(o.value) or parser:flag(o[1])
    option:description(o.help):show_default(false)
    if o.default then
      option:default(o.default)
    end
    if o.convert then
      option:convert(o.convert)
    end
    if o.repeats then
      option:count("*"):init({}):action("append")
    end
  end
  if scope.arg then
    parser:argument(scope.arg[1], scope.arg.help):argname(scope.arg.value)
  end
  if scope.args then
    parser:argument(scope.args):args("*")
  end
end

--- lua-argparse's parser for a declaration; its usage errors end with status 2.
local function parser_of(spec)
  local argparse = require("argparse")
  local parser = argparse(spec.name, spec.help, spec.epilog)
  declare(parser, spec)
  if spec.commands then
    parser:command_target("command"):require_command(true)
  end
  for _, c in ipairs(spec.commands or {}) do
    local command = parser:command(c[1], c.help):target("command")
    declare(command, c)
    if c.after then
      command:usage(command:get_usage() .. " -- COMMAND...")
    end
  end
  if spec.after then
    parser:usage(parser:get_usage() .. " -- COMMAND...")
  end
  function parser.error(self, message)
    io.stderr:write(("%s: %s\n%s\nTry '%s --help'.\n"):format(spec.name, message, self:get_usage(), spec.name))
    os.exit(2)
  end
  return parser
end

--- Part the words at the first "--", for a script that wants a command behind it.
---@return string[] own, string[] after
local function part(words)
  local own, after = {}, nil
  for _, word in ipairs(words) do
    if not after and word == "--" then
      after = {}
    else
      table.insert(after or own, word)
    end
  end
  return own, after or {}
end

--- The name of what follows "--" for the script, or for the command that was found.
local function after_of(spec, found)
  local command = spec.commands and find_command(spec, found.command)
  return spec.after or command and command.after
end

local function has_after(spec)
  for _, command in ipairs(spec.commands or {}) do
    if command.after then
      return true
    end
  end
  return spec.after ~= nil
end

--- Read with one way or the other. A "--" parts the words only where something may stand behind it; for
-- other commands it ends their options.
local function parse(spec, words, way)
  local own, after = part(words)
  local found = has_after(spec) and way(spec, own)
  local name = found and after_of(spec, found)
  if name then
    found[name] = after
  elseif found == false or found and #own < #words then
    return way(spec, words)
  end
  return found
end

local function read_with_argparse(spec, words)
  return parser_of(spec):parse(words)
end

--- Read the script's arguments. Help and usage errors end the script.
---@param spec haplua.cli.Spec
---@param words string[]  usually `arg`
---@return table found  `command`, and a field for each option and argument that was given
function M.parse(spec, words)
  local found = M.parse_plain(spec, words) or M.parse_with_argparse(spec, words)
  local after = after_of(spec, found)
  if after and #found[after] == 0 then
    parser_of(spec):error("what shall run? '-- COMMAND...' is missing")
  end
  local problem = spec.check and spec.check(found)
  if problem then
    parser_of(spec):error(problem)
  end
  return found
end

--- The same, always through lua-argparse: for the test.
function M.parse_with_argparse(spec, words)
  return parse(spec, words, read_with_argparse)
end

--- The same, the short way only: nil where it is not sure.
function M.parse_plain(spec, words)
  return parse(spec, words, read)
end

return M
