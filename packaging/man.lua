-- SPDX-License-Identifier: MIT
--
-- Write the manual pages of the policies in ./scripts, from their headers and from what they give to haplua.cli.
-- Usage: haplua packaging/man.lua FOLDER, in the top folder: FOLDER/haplua-NAME.1 for each policy.

local cli = require("haplua.cli")
local file = require("haplua.file")
local policies = require("haplua.host.policies")

local args = cli.parse({
  name = "man.lua",
  help = "Write the manual pages of the policies in ./scripts.",
  arg = { "folder", value = "FOLDER", help = "where to write them" },
}, arg)

--- A text as troff takes it, anywhere.
local function escaped(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-"):gsub("'", "\\(aq"):gsub("`", "\\(ga"):gsub("%^", "\\(ha"):gsub("~", "\\(ti")
  return (text:gsub("^%.", "\\&."))
end

--- The paragraphs of a header: lines that are indented by two spaces are examples, and stay as they are.
local function add_header(out, lines)
  local literal = false
  for _, line in ipairs(lines) do
    local example = line:match("^  (.*)$")
    if example and not literal then
      out[#out + 1] = ".RS 4\n.nf"
    elseif not example and line:find("%S") and literal then
      out[#out + 1] = ".fi\n.RE\n.PP"
    end
    literal = example and true or literal and not line:find("%S")
    out[#out + 1] = line:find("%S") and escaped(example or line) or not literal and ".PP" or nil
  end
  if literal then
    out[#out + 1] = ".fi\n.RE"
  end
end

--- An option in a synopsis or in a list.
local function option_text(option)
  return ("\\fB%s\\fR%s"):format(escaped(option[1]), option.value and (" \\fI%s\\fR"):format(escaped(option.value)) or "")
end

local function add_options(out, options)
  for _, option in ipairs(options or {}) do
    out[#out + 1] = (".TP\n%s\n%s%s"):format(option_text(option), escaped(option.help),
      option.repeats and ". It may be given several times." or "")
  end
end

--- One line of the synopsis: of a policy, or of one of its commands.
local function synopsis(name, scope, command)
  local words = { ("\\fBhaplua\\fR [options] \\fB%s\\fR"):format(escaped(name)) }
  words[#words + 1] = command and ("\\fB%s\\fR"):format(command[1]) or nil
  local inner = command or scope
  if inner.options and #inner.options > 0 then
    words[#words + 1] = "[options]"
  end
  words[#words + 1] = inner.arg and ("\\fI%s\\fR"):format(escaped(inner.arg.value))
  words[#words + 1] = inner.args and ("[\\fI%s\\fR ...]"):format(escaped(inner.args:upper()))
  words[#words + 1] = inner.after and "\\-\\- \\fICOMMAND\\fR ..."
  return table.concat(words, " ")
end

--- The manual page of a policy.
---@param others string[]  the names of all policies
local function page(name, path, others, date)
  local spec = assert(policies.declaration(path), path .. ": no declaration")
  local out = {
    (".TH HAPLUA\\-%s 1 \"%s\" \"haplua\""):format(name:upper(), date), ".SH NAME",
    ("haplua\\-%s \\- %s"):format(name, escaped(policies.summary(path))), ".SH SYNOPSIS", ".nf",
  }
  for _, command in ipairs(spec.commands or { false }) do
    out[#out + 1] = synopsis(name, spec, command)
  end
  out[#out + 1] = ".fi\n.SH DESCRIPTION"
  add_header(out, policies.header(path))
  if spec.options and #spec.options > 0 then
    out[#out + 1] = ".SH OPTIONS"
    add_options(out, spec.options)
  end
  for i, command in ipairs(spec.commands or {}) do
    out[#out + 1] = (i == 1 and ".SH COMMANDS\n" or "") .. (".SS %s\n%s"):format(command[1], escaped(command.help))
    add_options(out, command.options)
  end
  out[#out + 1] = ".SH EXIT STATUS\n0: done; 1: refused or failed; 2: wrong usage; 3: HAProxy could not be reached, or did "
    .. "not answer in time; 4: a dry run would change something; 5: not every node of a fleet has it. haplua(1) says more.\n.SH SEE ALSO"
  local also = { "haplua(1)" }
  for _, other in ipairs(others) do
    also[#also + 1] = other ~= name and ("haplua\\-%s(1)"):format(other) or nil
  end
  out[#out + 1] = table.concat(also, ", ")
  return table.concat(out, "\n") .. "\n"
end

local names = {}
for _, entry in ipairs(assert(file.list("scripts"))) do
  names[#names + 1] = entry:match("^(.*)%.lua$")
end
table.sort(names)
local date = file.read("docs/haplua.1"):match("%.Dd ([^\n]+)")
for _, name in ipairs(names) do
  assert(file.replace(("%s/haplua-%s.1"):format(args.folder, name), page(name, ("scripts/%s.lua"):format(name), names, date)))
end
