-- SPDX-License-Identifier: MIT
--
-- api.lua - the annotations of public functions: is each argument explained, and is docs/api.md what they say?
-- Usage: haplua tests/api.lua check|make, in the top folder. `check` prints what is missing or differs, and then exits
-- with 1; `make` writes docs/api.md.

local annotations = require("haplua.host.annotations")

local PAGE <const> = "docs/api.md"
local HEAD <const> = [[
# The functions

`make docs` writes this page from the annotations, which `help()` at the prompt shows as well. [scripting.md](scripting.md)
explains them in the order in which one needs them.

A call that is wrong (a number where a string belongs, an unknown option) raises a text; so each function that has arguments
may raise one. What else goes wrong is an error object of a [kind](scripting.md#errors), and each function says which. What
a request may raise is %s.
Any call may raise `memory`. A function that names no error raises no other error object.
]]

-- What "HAProxy" stands for in the annotations of errors.
local HAPROXYS <const> = { "refused", "denied", "protocol", "unreachable", "timeout", "interrupted" }

local kinds = { HAProxy = true, none = true }
for _, kind in ipairs(require("haplua.error").kinds) do
  kinds[kind.name] = true
end

-- Functions that scripts do not call by name: metamethods, and what haplua's tests call.
local internal <const> = {
  ["haplua.cli.parse_known"] = true, ["haplua.cli.parse_plain"] = true, ["haplua.cli.parse_with_argparse"] = true,
  ["haplua.cli.declaration"] = true, ["haplua.cli.help"] = true, ["haproxy.mistrust"] = true,
}

local found, classes = annotations.all()
local complaints = 0

local function complain(form, ...)
  io.stderr:write("api.lua: ", form:format(...), "\n")
  complaints = complaints + 1
end

local names = {}
for name in pairs(found) do
  if not internal[name] and not name:find("[.:]_") then
    names[#names + 1] = name
  end
end
table.sort(names)

--- Is a name a word of a text?
local function has_word(text, name)
  return (" " .. text .. " "):find("%f[%w_]" .. name:gsub("%p", "%%%0") .. "%f[^%w_]") ~= nil
end

--- Complain of an argument without a type, or without a meaning: its own text, a class with fields, or a place in the
-- function's text. A number has a unit, or is a count or an instant.
local function check_argument(entry, text, name)
  local param
  for _, one in ipairs(entry.params) do
    param = one.name == name and one or param
  end
  if not param or param.type == "" then
    return complain("%s: the argument '%s' has no type", entry.name, name)
  end
  local class = classes[param.type:match("^[%w_.]+") or ""]
  if param.text == "" and not (class and #class.fields > 0) and not has_word(text, name) then
    complain("%s: what is the argument '%s'?", entry.name, name)
  elseif param.type:find("^number") and not (name .. param.text .. text):lower():find("second") then
    complain("%s: the argument '%s' has no unit", entry.name, name)
  end
end

--- The kinds that the annotations of a function name: as a set.
local function kinds_of(entry)
  local named = {}
  for _, text in ipairs(entry.errors) do
    for kind in (text:match("^(.-)  ") or text):gmatch("[^,%s]+") do
      named[kind] = true
      if not kinds[kind] then
        complain("%s: '%s' is no kind of error", entry.name, kind)
      end
    end
  end
  return named
end

-- The text of the Lua files, by path.
local sources = {}

--- Complain where a function does not name its errors; or not those that its own lines raise.
local function check_errors(entry)
  local named = kinds_of(entry)
  if not next(named) then
    return complain("%s: which errors does it raise? `---@error KIND, KIND  why`, or `---@error none`", entry.name)
  elseif named.none and next(named, "none") or named.none and next(named) ~= "none" then
    complain("%s: it raises none, and others?", entry.name)
  end
  for _, kind in ipairs(named.HAProxy and HAPROXYS or {}) do
    named[kind] = true
  end
  sources[entry.file] = sources[entry.file] or require("haplua.file").read(entry.file) or ""
  local short = entry.name:match("[.:]([%w_]+)$") or entry.name
  local body = sources[entry.file]:match("\nfunction [%w_]+[.:]" .. short .. "(%(.-)\nend\n") or ""
  for call, kind in body:gmatch('(%l+)%("?(%l*)') do
    kind = call == "refuse" and "refused" or call == "raise" and kind or nil
    if kind and not named[kind] then
      complain("%s raises `%s`, which its annotation does not name", entry.name, kind)
    end
  end
end

--- A function as Lua knows it: nil where its module is no table of functions, or cannot be loaded here.
local function value_of(name)
  local module, field = name:match("^(.*)%.([%w_]+)$")
  local ok, loaded = pcall(require, module or name)
  return ok and (field and type(loaded) == "table" and loaded[field] or not field and loaded) or nil
end

--- Complain where a function is not there, or has another number of arguments than its annotation says. C functions do not
-- tell theirs.
local function check_function(entry)
  local value = not entry.name:find(":") and not entry.name:find("^haplua%.test%.") and value_of(entry.name)
  if value == nil then
    return complain("%s is documented, and is not there", entry.name)
  end
  local info = type(value) == "function" and debug.getinfo(value, "uS")
  local _, n = entry.signature:match("%((.*)%)$"):gsub("[%w_]+", "")
  local has_more = entry.signature:find("...", 1, true) ~= nil
  -- the functions of the module haproxy pass all of their arguments on to methods
  if info and info.what ~= "C" and entry.name:match("^[^.]*") ~= "haproxy"
    and (info.nparams ~= n or info.isvararg ~= has_more) then
    complain("%s has %d arguments%s, and its annotation says %s", entry.name, info.nparams,
      info.isvararg and " and more" or "", entry.signature)
  end
  for _, param in ipairs(entry.params) do
    if not has_word(entry.signature:match("%(.*%)$"), param.name) and param.name ~= "..." then
      complain("%s: there is no argument '%s'", entry.name, param.name)
    end
  end
end

--- Complain of what a module gives to scripts and does not explain.
local function check_module(module)
  local ok, loaded = pcall(require, module)
  for key, value in pairs(ok and type(loaded) == "table" and loaded or {}) do
    local name = ("%s.%s"):format(module, key)
    if type(value) == "function" and not found[name] and not internal[name] then
      complain("%s is not documented", name)
    end
  end
end

local function check(entry)
  local text = table.concat(entry.text, " ")
  if not text:find("%S") then
    complain("%s: what does it do?", entry.name)
  end
  for name in entry.signature:match("%((.*)%)$"):gmatch("[^,%s]+") do
    check_argument(entry, text, name)
  end
  check_errors(entry)
  check_function(entry)
end

--- A text within a cell of a table.
local function cell(text)
  return (text:gsub("|", "\\|"):gsub("\n", " "))
end

local function add_rows(lines, list, mark)
  for _, one in ipairs(list) do
    lines[#lines + 1] = ("| %s`%s` | `%s` | %s |"):format(mark, one.name, cell(one.type), cell(one.text))
  end
end

--- The section of a function.
local function add_function(lines, entry)
  lines[#lines + 1] = ("\n**`%s`**\n"):format(entry.signature)
  lines[#lines + 1] = table.concat(entry.text, "\n")
  if #entry.params > 0 then
    lines[#lines + 1] = "\n| argument | type | |\n| --- | --- | --- |"
    for _, param in ipairs(entry.params) do
      add_rows(lines, { param }, "")
      local class = classes[param.type:match("^[%w_.]+") or ""]
      while class do
        add_rows(lines, class.fields, ".")
        class = classes[class.parent]
      end
    end
  end
  for i, text in ipairs(entry.returns) do
    local kind, meaning = text:match("^(.-)  +(.*)$")
    lines[#lines + 1] = ("%s`%s`%s"):format(i == 1 and "\nReturns " or "and ", kind or text, kind and ": " .. meaning or "")
  end
  for i, text in ipairs(entry.errors) do
    local words, why = text:match("^(.-)  +(.*)$")
    local shown = (words or text):gsub("[^,%s]+", "`%0`"):gsub("`HAProxy`", "what a request may raise")
    lines[#lines + 1] = shown ~= "`none`" and ("%sRaises %s%s"):format(i == 1 and "\n" or "", shown, why and ": " .. why or "")
      or nil
  end
end

--- The page, with a section for each module.
local function page()
  local lines, done = { HEAD:format("`" .. table.concat(HAPROXYS, "`, `") .. "`") }, {}
  for _, module in ipairs(annotations.MODULES) do
    if not done[module[1]] then
      done[module[1]] = true
      lines[#lines + 1] = ("## %s"):format(module[1])
      for _, name in ipairs(names) do
        if name == module[1] or name:match("^(.*)%.[^.]*$") == module[1] then
          add_function(lines, found[name])
        end
      end
      lines[#lines + 1] = ""
    end
  end
  lines[#lines + 1] = "## Methods"
  for _, name in ipairs(names) do
    if name:find(":") then
      add_function(lines, found[name])
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

for _, name in ipairs(names) do
  check(found[name])
end
local modules = {}
for _, module in ipairs(annotations.MODULES) do
  check_module(module[1])
  modules[module[2]] = true
end
for _, name in ipairs(require("haplua.file").list("lua/haplua")) do
  if name:find("%.lua$") and not modules["lua/haplua/" .. name] then
    complain("lua/haplua/%s is public, and haplua.host.annotations does not read it", name)
  end
end

--- Complain of functions of the modules that are globals, which docs/scripting.md does not name.
local function check_guide()
  local guide = require("haplua.file").read("docs/scripting.md")
  for _, name in ipairs(names) do
    local short = name:match("^haproxy%.(.*)$") or name:match("^task%.(.*)$") or name:match("^haplua%.maintenance%.(.*)$")
      or name:match("^haplua%.server%.(.*)$")
    if short and not guide:find("%f[%w_]" .. short .. "[({%[]") then
      complain("docs/scripting.md does not name %s", name)
    end
  end
end

check_guide()
if #names < 60 then
  complain("only %d functions are annotated: did the form change?", #names)
end
local file = require("haplua.file")

if arg[1] == "make" then
  assert(file.replace(PAGE, page()))
elseif file.read(PAGE) ~= page() then
  complain("%s is not what the annotations say: `make docs` writes it", PAGE)
end
return complaints == 0 and 0 or 1
