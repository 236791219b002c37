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
explains them in the order in which one needs them. A call that is wrong raises a text; a failure that HAProxy or the
network causes raises an error object ([errors](scripting.md#errors)).
]]

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

local function check(entry)
  local text = table.concat(entry.text, " ")
  if not text:find("%S") then
    complain("%s: what does it do?", entry.name)
  end
  for name in entry.signature:match("%((.*)%)$"):gmatch("[^,%s]+") do
    check_argument(entry, text, name)
  end
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
end

--- The page, with a section for each module.
local function page()
  local lines, done = { HEAD }, {}
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
