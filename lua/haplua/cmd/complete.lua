-- SPDX-License-Identifier: MIT
--
--- The command `haplua complete -- WORD...`, which the shells' completions call: the candidates for the last word, a line
-- each, with a tab and what it means where that is known. Options come from the declarations that make the help, and
-- values from HAProxy, the configuration and the journal. It says nothing of errors, and takes two seconds at most.

local core = require("haplua.core")
local file = require("haplua.file")
local lists = require("haplua.base.lists")
local policies = require("haplua.host.policies")
local haproxy = require("haproxy")
local task = require("haplua.task")

local SECONDS = 2

---@class haplua.Completion
---@field current string  the word to complete
---@field options table<string, string>  those that were given before, each with its last value: "--acl", "-s"
---@field add fun(candidate: string, meaning: string?)

-- Values: functions that add candidates.
local values = {}

function values.server(c)
  for _, row in ipairs(haproxy.servers()) do
    c.add(row.be_name .. "/" .. row.srv_name, row.admin)
  end
end

function values.backend(c)
  local seen = {}
  for _, row in ipairs(haproxy.servers()) do
    if not seen[row.be_name] then
      seen[row.be_name] = true
      c.add(row.be_name)
    end
  end
end

function values.list(c)
  for _, all in ipairs({ haproxy.acl_list(), haproxy.map_list() }) do
    for _, list in ipairs(all) do
      c.add(list.file or "#" .. tostring(list.id):gsub("^#", ""))
    end
  end
end

function values.switch(c)
  local config = require("haplua.store.config")
  local read = config.read(c.options["--config"])
  for _, name in ipairs(config.names(read)) do
    c.add(name, read.switches[name].acl)
  end
end

--- The maintenances that are in force or planned.
function values.id(c)
  local context = require("haplua.apply.context").open({
    switch = c.options["--switch"], acl = c.options["--acl"], config = c.options["--config"],
    journal = c.options["--journal"],
  }, true)
  for _, m in ipairs(context.store:current(context.name)) do
    c.add("m" .. m.id, (require("haplua.apply.result").summary(m):gsub("^m%d+ +", "")))
  end
end

--- Files, and folders with a '/' behind them. Of files, those whose name matches.
function values.file(c, pattern)
  local folder = c.current:match("^.*/") or ""
  for _, name in ipairs(file.list(folder == "" and "." or folder) or {}) do
    local info = file.info(folder .. name)
    if name:sub(1, 1) ~= "." or c.current:match("[^/]*$"):sub(1, 1) == "." then
      if info and info.type == "folder" then
        c.add(folder .. name .. "/")
      elseif not pattern or name:find(pattern) then
        c.add(folder .. name)
      end
    end
  end
end

function values.policy(c)
  for _, policy in ipairs((policies.all())) do
    if not policy.hidden then
      c.add(policy.name, policies.summary(policy.path))
    end
  end
  for name, summary in pairs(policies.builtins) do
    c.add(name, summary)
  end
end

-- What a value is, by its name in the help; that of an argument by its field, too.
local kinds <const> = {
  ["BACKEND/SERVER"] = values.server, BACKEND = values.backend, REF = values.list, FILE = values.file, PATH = values.file,
  ["FILE.ics|DIR"] = values.file, which = values.id, file = values.file, files = values.file,
  backends = values.backend,
}

--- Add the values of an option or an argument.
local function add_values(c, option)
  local kind = option[1] == "--switch" and values.switch or kinds[option.value]
  if kind then
    kind(c)
  end
end

--- Add the options of a list that were not given, or may be given again.
local function add_options(c, list)
  for _, option in ipairs(list or {}) do
    if not c.options[option[1]] or option.repeats then
      c.add(option[1], option.help)
    end
  end
end

local function find(list, name)
  for _, one in ipairs(list or {}) do
    if one[1] == name then
      return one
    end
  end
end

--- Complete the last of the words behind a script, by its declaration.
---@param c haplua.Completion
---@param spec haplua.cli.Spec
---@param words string[]  but for the last
local function complete_spec(c, spec, words)
  local scope, list, open, taken = not spec.commands and spec or nil, spec.options, nil, false
  for _, word in ipairs(words) do
    if open then
      c.options[open[1]], open = word, nil
    elseif word == "--" then
      return values.file(c)
    elseif word:find("^%-") then
      local option = find(list, word:match("^[^=]*"))
      c.options[option and option[1] or word] = word:match("=(.*)$") or ""
      open = option and option.value and not word:find("=") and option or nil
    elseif not scope then
      scope = find(spec.commands, word)
      list = scope and lists.joined(spec.options or {}, scope.options or {}) or list
    else
      taken = true
    end
  end
  local option, value = c.current:match("^(%-%-[%w-]+)=(.*)$")
  if option and find(list, option) then
    local add = c.add
    c.current = value
    c.add = function(candidate, meaning)
      add(option .. "=" .. candidate, meaning)
    end
    open = find(list, option)
  end
  if open then
    return add_values(c, open)
  elseif c.current:find("^%-") then
    return add_options(c, list)
  elseif not scope then
    for _, one in ipairs(spec.commands) do
      c.add(one[1], one.help)
    end
  elseif scope.arg and not taken then
    add_values(c, scope.arg)
  elseif kinds[scope.args] then
    kinds[scope.args](c)
  end
end

--- The options of haplua itself, from its help.
---@return haplua.cli.Option[]
local function own_options()
  local _, text = require("run")({ "/proc/self/exe", "--help", stdout = "capture" })
  local list = {}
  for short, long, value, help in text:gmatch("\n  ([-%w ,]-)(%-%-[%w-]+) ?(%u*) +([^\n]*)") do
    local letter = short:match("^%-%a")
    value = value ~= "" and value or nil
    list[#list + 1] = { long, value = value, help = help, repeats = long == "--socket" or long == "--only" }
    list[#list + 1] = letter and { letter, value = value, help = help }
  end
  return list
end

--- Read haplua's own options at the beginning of the words. Returns the place of the first other word, and the option
-- whose value is the next word.
local function skip_options(c, words, list)
  local i = 1
  while words[i] and words[i]:find("^%-.") and i < #words do
    local option = find(list, words[i]:match("^%-%-[^=]*") or words[i]:sub(1, 2))
    local value = words[i]:match("^%-%-[^=]*=(.*)$")
    c.options[option and option[1] or words[i]] = value or words[i + 1]
    if option and option.value and not value then
      if i + 1 == #words then
        return i + 1, option
      end
      i = i + 1
    end
    i = i + 1
  end
  return i
end

--- Complete behind the name of a script or of a built-in command.
local function complete_script(c, words, i)
  local name, before = words[i], table.move(words, i + 1, #words - 1, 1, {})
  if name == "help" and #before == 0 then
    return values.policy(c)
  elseif name == "help" then
    local spec = policies.declaration(require("haplua.host.globals").find(before[1]))
    for _, one in ipairs(spec and spec.commands or {}) do
      c.add(one[1], one.help)
    end
    return
  end
  local spec = policies.builtins[name] and policies.builtin_declaration(name)
    or policies.declaration(require("haplua.host.globals").find(name))
  if spec then
    complete_spec(c, spec, before)
  else
    values.file(c)
  end
end

---@param c haplua.Completion
---@param words string[]
local function complete(c, words)
  local list = own_options()
  local i, open = skip_options(c, words, list)
  local address = c.options["--socket"] or c.options["-s"]
  if address then
    core.use(core.open(address, c.options["--via"]))
  end
  if open then
    c.current = words[#words]
    return open.value == "REF" and values.list(c) or open[1] ~= "-t" and open.value ~= "CODE" and values.file(c)
  elseif i < #words then
    return complete_script(c, words, i)
  elseif words[i]:find("^%-") then
    return add_options(c, list)
  elseif words[i]:find("/") then
    return values.file(c, "%.lua$")
  end
  values.policy(c)
  values.file(c, "%.lua$")
end

--- The words as haplua would get them: bash gives --path=/x as three.
local function whole(given)
  local words = {}
  for i, word in ipairs(given) do
    if word == "=" and words[#words] and words[#words]:find("^%-%-") then
      words[#words + 1] = i == #given and "" or nil
    else
      words[#words + 1] = word
    end
  end
  return words
end

---@param ... string  "--", and the words behind `haplua`; the last one is to be completed
return function(...)
  local words = whole({ select(2, ...) })
  local current = words[#words] or ""
  words[1] = words[1] or ""
  local lines, seen = {}, {}
  local c = { current = current, options = {} }
  function c.add(candidate, meaning)
    if candidate:sub(1, #current) == current and not seen[candidate] and not candidate:find("%c") then
      seen[candidate] = true
      lines[#lines + 1] = candidate .. (meaning and "\t" .. meaning:gsub("%c", " ") or "")
    end
  end
  pcall(task.deadline, SECONDS, complete, c, words)
  table.sort(lines)
  if #lines > 0 then
    print(table.concat(lines, "\n"))
  end
end
