-- SPDX-License-Identifier: MIT
---@errors none
--
--- A script's command line: commands, options and arguments from one declaration.
-- It reads plain command lines itself. lua-argparse, which is larger than most scripts, is loaded for help, errors and
-- rare spellings. tests/lua/cli_test.lua compares the two.

local options = require("haplua.base.options")

local M = {}

---@class haplua.cli.Option
---@field [1] string  "--name"
---@field value string?  the value's name in the help; without one the option is a flag
---@field default string?
---@field repeats boolean?  may be given several times; the field is a list in the order given
---@field convert (fun(text: string): any, string?)?  returns the value, or nil and what is wrong with the text
---@field help string

---@class haplua.cli.Argument
---@field [1] string  its field
---@field value string  its name in the help
---@field help string

---@class haplua.cli.Command
---@field [1] string  its name
---@field help string
---@field arg haplua.cli.Argument?  the one argument that must be given
---@field args string?  the field for any number of further arguments
---@field args_help string?  what those words are
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
---@field args_help string?  likewise
---@field after string?  the field for the words after "--": a command to run, which must be given
---@field check (fun(found: table): string?)?  returns what is wrong with options that exclude or need each other

local argument = options.record({ "text", value = "text", help = "text" }, { 1, "value", "help" })
local option_list = options.list(options.record({
  "text", value = "text", default = "text", repeats = "boolean", convert = "function", help = "text",
}, { 1, "help" }))
local command = options.record({
  "text", help = "text", arg = argument, args = "text", args_help = "text", options = option_list, after = "text",
}, { 1, "help" })
local declaration = options.record({
  name = "text", help = "text", epilog = "text", options = option_list, commands = options.list(command), arg = argument,
  args = "text", args_help = "text", after = "text", check = "function",
}, { "name", "help" })

-- The field of an option: dry_run of "--dry-run". The runs for several targets share this table.
local fields = setmetatable({}, {
  __index = function(known, name)
    known[name] = name:gsub("^%-+", ""):gsub("%-", "_")
    return known[name]
  end,
})

local function field(option)
  return fields[option[1]]
end

--- A `convert` for a number of seconds, 0 or more.
---@param text string  as it was given
---@return number? seconds, string? problem
function M.seconds(text)
  local n = tonumber(text)
  if n and n >= 0 and n < math.huge then
    return n
  end
  return nil, ("seconds expected, not '%s'"):format(text)
end

--- A `convert` for a number of minutes, 0 or more, or a duration such as 1h30m.
---@param text string  as it was given
---@return number? seconds, string? problem
function M.minutes(text)
  local n = tonumber(text)
  if n and n >= 0 and n < 1e6 then
    return n * 60
  end
  return require("haplua.time.instant").duration(text)
end

--- A `convert` for an integer from 1 on.
---@param text string  as it was given
---@return integer? count, string? problem
function M.count(text)
  local n = text:find("^%d+$") and #text < 10 and math.tointeger(tonumber(text))
  if n and n >= 1 then
    return n
  end
  return nil, ("a number from 1 on expected, not '%s'"):format(text)
end

--- A `convert` for a number from 0 on, or a share such as 50%.
---@param text string  as it was given
---@return integer|string|nil share, string? problem
function M.share(text)
  local percent = text:find("^%d%d?%d?%%$") and tonumber(text:sub(1, -2))
  local n = text:find("^%d+$") and #text < 10 and math.tointeger(tonumber(text))
  if n or percent and percent <= 100 then
    return n or text
  end
  return nil, ("a number, or a share such as 50%%, expected, not '%s'"):format(text)
end

--- A `convert` for names with commas between them.
---@param text string  as it was given
---@return string[]? names, string? problem
function M.names(text)
  local names = {}
  for name in text:gmatch("[^,%s]+") do
    names[#names + 1] = name
  end
  return #names > 0 and names or nil, "names expected, with commas between them"
end

-- Declarations.

--- Raise where a flag has what only an option with a value can have, or `convert` refuses a default.
local function check_options(list)
  for _, option in ipairs(list or {}) do
    local value, problem = true, nil
    if not option.value and (option.default or option.convert or option.repeats) then
      options.misuse("cli.parse", ("the option %s needs a 'value', its name in the help"):format(option[1]))
    elseif option.default and option.convert then
      value, problem = option.convert(option.default)
    end
    if value == nil then
      options.misuse("cli.parse", ("the default of %s: %s"):format(option[1], problem or "its `convert` refuses it"))
    end
  end
end

local function check_declaration(spec)
  options.argument("cli.parse", "the declaration", spec, declaration)
  check_options(spec.options)
  for _, one in ipairs(spec.commands or {}) do
    check_options(one.options)
  end
end

-- Plain command lines.

--- Store an option's value in its field. Returns false where `convert` refuses it.
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

--- The option of this name: the command's, else the script's.
local function find_option(scopes, name)
  for i = #scopes, 1, -1 do
    for _, option in ipairs(scopes[i].options or {}) do
      if option[1] == name then
        return option
      end
    end
  end
end

--- Read the option at position i. Returns the next position, or nil where lua-argparse has to read the line.
local function read_option(found, scopes, words, i)
  local name, value = words[i]:match("^(%-%-[%w-]+)=(.*)$")
  local option = find_option(scopes, name or words[i])
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

--- Read an argument of `scope`, the script or its command. Returns false where lua-argparse has to read the line.
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

--- From here on, know the options and arguments of a scope, if there is one. Returns it.
local function begin(found, scopes, scope)
  if scope and scope.args then
    found[scope.args] = {}
  end
  scopes[#scopes + 1] = scope
  return scope
end

local function find_command(spec, word)
  for _, one in ipairs(spec.commands) do
    if one[1] == word then
      return one
    end
  end
end

local function set_defaults(found, scopes)
  for i = #scopes, 1, -1 do
    for _, option in ipairs(scopes[i].options or {}) do
      if option.default and found[field(option)] == nil then
        store(found, option, option.default)
      elseif option.repeats and found[field(option)] == nil then
        found[field(option)] = {}
      end
    end
  end
  return found
end

--- Read a plain command line. Returns nil where lua-argparse has to read it, and the word that no argument takes, if
-- that is why.
local function read(spec, words)
  local found, scopes, i = {}, {}, 1
  local scope = begin(found, scopes, spec)
  if spec.commands then
    scope = nil
  end
  while i and i <= #words do
    local word = words[i]
    if word:find("^%-") then
      i = read_option(found, scopes, words, i)
    elseif scope and not read_argument(found, scope, word) then
      return nil, word
    elseif scope then
      i = i + 1
    else
      scope = begin(found, scopes, find_command(spec, word))
      found.command = word
      i = scope and i + 1
    end
  end
  if not i or not scope or scope.arg and found[scope.arg[1]] == nil then
    return nil
  end
  return set_defaults(found, scopes)
end

-- Other command lines.

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
    parser:argument(scope.args, scope.args_help):args("*")
  end
end

-- Usage of so many lines at most is shown with an error: a longer one would hide it.
local USAGE_LINES <const> = 3

--- Print what is wrong with a command line, and end the script with status 2.
---@param parser any  lua-argparse's, of the script or of the command that was given
local function refuse(spec, parser, message)
  local usage = parser:get_usage()
  local _, lines = usage:gsub("\n", "\n")
  io.stderr:write(("%s: %s\n%sTry '%s --help'.\n"):format(spec.name, message,
    lines < USAGE_LINES and usage .. "\n" or "", usage:match("^Usage: ([^%[]-) *%[")))
  os.exit(2)
end

--- lua-argparse's parser for a declaration, and those of its commands by their names.
---@param words string[]?  that it will read: an error names the one that no argument takes
local function parser_of(spec, words)
  local argparse = require("argparse")
  local name = spec.name:find("^haplua ") and spec.name or "haplua " .. spec.name
  local parser, commands = argparse(name, spec.help, spec.epilog), {}
  declare(parser, spec)
  if spec.commands then
    parser:command_target("command"):require_command(true)
  end
  for _, c in ipairs(spec.commands or {}) do
    local sub = parser:command(c[1], c.help):target("command")
    declare(sub, c)
    commands[c[1]] = sub
    if c.after then
      sub:usage(sub:get_usage() .. " -- COMMAND...")
    end
  end
  if spec.after then
    parser:usage(parser:get_usage() .. " -- COMMAND...")
  end
  function parser.error(self, message)
    local _, surplus = read(spec, message == "too many arguments" and words or {})
    refuse(spec, self, surplus and ("%s: '%s'"):format(message, require("haplua.error").visible(surplus)) or message)
  end
  return parser, commands
end

--- Refuse what lua-argparse takes.
local function refuse_found(spec, found, message)
  local parser, commands = parser_of(spec)
  refuse(spec, commands[found.command] or parser, message)
end

--- Split the words at the first "--".
---@return string[] own, string[] after
local function split(words)
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

--- The field for the words after "--": the script's, or that of the command that was found.
local function after_of(spec, found)
  local one = spec.commands and find_command(spec, found.command)
  return spec.after or one and one.after
end

local function has_after(spec)
  for _, one in ipairs(spec.commands or {}) do
    if one.after then
      return true
    end
  end
  return spec.after ~= nil
end

--- Read with `reader`: read() or read_with_argparse(). A "--" splits the words only where the script or the command
-- has a field for what follows; otherwise it ends the options.
local function parse(spec, words, reader)
  local own, after = split(words)
  local found = has_after(spec) and reader(spec, own)
  local name = found and after_of(spec, found)
  if name then
    found[name] = after
  elseif found == false or found and #own < #words then
    return reader(spec, words)
  end
  return found
end

local function read_with_argparse(spec, words)
  return parser_of(spec, words):parse(words)
end

--- Read the script's arguments. --help ends the script with status 0, a wrong command line with status 2. Raises
-- where the declaration is wrong: an unknown field, or a default that its `convert` refuses.
---@param spec haplua.cli.Spec
---@param words string[]  usually `arg`
---@return table found  `command`, and a field for each option and argument that was given or has a default
function M.parse(spec, words)
  check_declaration(spec)
  return M.parse_known(spec, words)
end

local declared -- what parse() was given, while declaration() runs a function: false until then; else nil

--- As parse(), for haplua's own declarations, which are not checked at each start.
function M.parse_known(spec, words)
  if declared ~= nil then
    declared = spec
    error("declared", 0)
  end
  local found = M.parse_plain(spec, words) or M.parse_with_argparse(spec, words)
  local after = after_of(spec, found)
  if after and #found[after] == 0 then
    refuse_found(spec, found, "there is no command to run: '-- COMMAND...' is missing")
  end
  local problem = spec.check and spec.check(found)
  if problem then
    refuse_found(spec, found, problem)
  end
  return found
end

--- Run a function up to its first call of parse() or main(), for `haplua help`.
---@param script function
---@return haplua.cli.Spec?  what it has given to parse(); nil: it has not called it
function M.declaration(script)
  declared = false
  pcall(script)
  local spec = declared or nil
  declared = nil
  return spec
end

--- The text that --help prints.
---@param spec haplua.cli.Spec
---@param name string?  for the help of this command
---@return string? text, string? problem  there is no such command
function M.help(spec, name)
  local parser, names = parser_of(spec), {}
  for i, one in ipairs(name and spec.commands or {}) do
    if one[1] == name then
      return parser._commands[i]:get_help()
    end
    names[i] = one[1]
  end
  if name then
    local near = require("haplua.error").nearest(name, names)
    return nil, ("no command '%s'%s"):format(name, near and ("; did you mean '%s'?"):format(near) or "")
  end
  return parser:get_help()
end

--- Read the script's arguments with lua-argparse alone, for the test.
function M.parse_with_argparse(spec, words)
  return parse(spec, words, read_with_argparse)
end

-- The options of `maint`, for scripts that have a maintenance.
local function maintenance_options()
  return require("haplua.cmd." .. "maint_options")
end

--- The options of `maint` about a maintenance, for the declaration of a script that has one.
---@param ... "place"|"files"|"scope"|"probe"  which: the switch, journal and configuration; these two alone; what is closed,
--- for whom it is not, and why; what is asked as a visitor afterwards
---@return haplua.cli.Option[]  for `options`; the script may add its own
function M.maintenance_options(...)
  local module, list = maintenance_options(), {}
  for _, name in ipairs({ ... }) do
    options.argument("cli.maintenance_options", "a name", name, options.one_of("place", "files", "scope", "probe"))
    list = module.join(list, module[name])
  end
  return list
end

--- Say what is wrong with such options: a `check` for a declaration.
---@param found table  from parse()
---@return string?
function M.check_maintenance(found)
  return maintenance_options().check(found)
end

--- The options of haplua.maintenance that such options name. An argument field `pattern` of the declaration is taken, too.
---@param found table  from parse()
---@return haplua.Request
function M.maintenance_request(found)
  return maintenance_options().request(found)
end

--- Run a command line of haplua's own, from the script of its name: cli.main("maint", arg, print).
---@param name string  of a file in lua/haplua/cmd
---@param words string[]  usually `arg`
---@param print function  the script's own, which marks its lines where there are several targets
---@param actions? table<string, fun(request: table): any>  of "maint": on, off, change and status, in place of its own
---@return integer? status
---@error HAProxy, journal, file, ambiguous  as what the command does
function M.main(name, words, print, actions)
  return require("haplua.cmd." .. name)(words, print, actions)
end

--- Read the script's arguments without lua-argparse, for the test. Returns nil where only lua-argparse can.
function M.parse_plain(spec, words)
  return parse(spec, words, read)
end

return M
