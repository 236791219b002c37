-- SPDX-License-Identifier: MIT
--
--- The policies that a name can lead to: where each lies, what its header says, and which options it has.

local places = require("haplua.host.places")
local file = require("haplua.file")
local nearest = require("haplua.error").nearest

local M = {}

--- The commands that are a part of the program (src/main.c): a policy of such a name is run by its path.
---@type table<string, string>  what each does
M.builtins = {
  help = "Show what a policy does, and its options",
  list = "List the policies that a name can lead to",
  new = "Write a policy and its test to start from",
  test = "Run tests of policies against fake HAProxys",
}

---@class haplua.Policy
---@field name string
---@field path string
---@field folder string  as a person writes it: "./policies", "~/.config/haplua/policies", "haplua" for those of the program
---@field own boolean  not one of the program's
---@field hidden boolean  a policy of the same name is found before it

--- A folder as a person writes it.
local function shown(place)
  local home = os.getenv("HOME") or ""
  if not place.own then
    return "haplua"
  elseif home ~= "" and place.path:sub(1, #home + 1) == home .. "/" then
    return "~" .. place.path:sub(#home + 1)
  end
  return place.path
end

--- The names of the policies in a folder, in order. Tests of policies (NAME_test.lua) are none.
local function names_in(folder)
  local names = {}
  for _, entry in ipairs(file.list(folder) or {}) do
    local name = entry:match("^([%w_][%w_.-]*)%.lua$")
    if name and not name:find("_test$") then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

--- All policies, in the order in which haplua looks for a name.
---@return haplua.Policy[] policies
---@return string[] others  the paths that do not count, because others may write there
function M.all()
  local policies, others, found = {}, {}, {}
  for _, place in ipairs(places.all()) do
    for _, name in ipairs(names_in(place.path)) do
      local path = ("%s/%s.lua"):format(place.path, name)
      if place.own and not places.counts(path) then
        others[#others + 1] = path
      else
        policies[#policies + 1] = {
          name = name, path = path, folder = shown(place), own = place.own,
          hidden = found[name] ~= nil or M.builtins[name] ~= nil or name == "complete",
        }
        found[name] = true
      end
    end
  end
  return policies, others
end

--- The names that can be run, with those of the built-in commands.
---@return string[]
function M.names()
  local names = {}
  for _, policy in ipairs((M.all())) do
    names[#names + 1] = not policy.hidden and policy.name or nil
  end
  for name in pairs(M.builtins) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

--- The message for a name that leads to no policy.
---@param name string
---@return string
function M.not_found(name)
  local _, others = M.all()
  for _, path in ipairs(others) do
    if path:match("([^/]+)%.lua$") == name then
      return ("%s does not count: others than you and root may write to it or its folder (chmod go-w; or give its path)")
        :format(path)
    end
  end
  local near = nearest(name, M.names())
  return ("no policy '%s'; %s"):format(name, near and ("did you mean '%s'?"):format(near)
    or "'haplua list' shows those that there are, and a path has a '/' or ends in .lua")
end

--- The lines of the comment at the beginning of a policy, without the marks of comments.
---@param path string
---@return string[]
function M.header(path)
  local lines = {}
  for line in ((file.read(path, 1 << 20) or "") .. "\n"):gmatch("([^\n]*)\n") do
    local text = line:match("^%-%-%-? ?(.*)$")
    if not text and not line:find("^#!") then
      break
    elseif text and not text:find("^SPDX%-") and (#lines > 0 or text:find("%S")) then
      lines[#lines + 1] = text
    end
  end
  while lines[#lines] and not lines[#lines]:find("%S") do
    lines[#lines] = nil
  end
  return lines
end

--- What a policy is for, in one line: the first sentence of its header, or the part before its colon.
---@param path string
---@return string
function M.summary(path)
  local words = {}
  for _, line in ipairs(M.header(path)) do
    if not line:find("%S") then
      break
    end
    words[#words + 1] = line
  end
  local text = table.concat(words, " "):gsub("%s+", " ")
  text = text:match("^(.-)[.:;] ") or text:match("^(.-)[.:;]?$")
  return #text > 76 and text:sub(1, utf8.offset(text, 0, 74) - 1) .. "..." or text
end

-- Values of modules that a policy may name before it reads its arguments. Calling one ends the run.
local stub = setmetatable({}, { __call = function() error("a call before cli.parse") end })
getmetatable(stub).__index = function(_, key)
  return type(key) == "string" and stub or nil
end
getmetatable(stub).__newindex = function() end

-- The parts of haplua that cli.main() may run for a declaration: each begins with its command line.
local mains <const> = { fleet = true, maint = true, window = true }

--- haplua.cli, as a policy gets it that runs up to cli.parse() only.
local function confined_cli()
  local cli = require("haplua.cli")
  return {
    parse = cli.parse, seconds = cli.seconds, count = cli.count, names = cli.names, share = cli.share,
    maintenance_options = cli.maintenance_options, check_maintenance = cli.check_maintenance,
    main = function(name)
      return mains[name] and cli.main(name, {}, print)
    end,
  }
end

--- A library whose functions a policy may replace for itself alone.
local function copy(library)
  local all = {}
  for name, value in pairs(library) do
    all[name] = value
  end
  return all
end

--- The globals of a policy that runs up to cli.parse() only: what could act is a stub.
local function confined()
  local env = {
    arg = {}, print = function() end, string = copy(string), table = copy(table), math = copy(math), utf8 = copy(utf8),
    os = setmetatable({ getenv = os.getenv, time = os.time, date = os.date, clock = os.clock }, getmetatable(stub)),
    require = function(name)
      return name == "haplua.cli" and confined_cli() or stub
    end,
  }
  for _, name in ipairs({ "assert", "error", "ipairs", "next", "pairs", "select", "tonumber", "tostring", "type" }) do
    env[name] = _G[name]
  end
  env._G = env
  return setmetatable(env, { __index = getmetatable(stub).__index })
end

--- What a policy gives to haplua.cli, or nil where it reads its arguments otherwise. The policy runs up to that call
-- only, and with globals that can change nothing.
---@param path string
---@return haplua.cli.Spec?
function M.declaration(path)
  local main = loadfile(path, "t", confined())
  return main and require("haplua.cli").declaration(main)
end

--- The declaration of a built-in command.
---@param name string  of M.builtins
---@return haplua.cli.Spec?
function M.builtin_declaration(name)
  if name == "test" then
    return require("haplua.test.declaration")
  end
  return require("haplua.cli").declaration(require("haplua.host." .. name))
end

return M
