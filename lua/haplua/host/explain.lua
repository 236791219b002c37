-- SPDX-License-Identifier: MIT
--
--- `help` at the prompt: what a function does, by its annotations; the functions of a module; what there is.

local core = require("haplua.core")
local annotations = require("haplua.host.annotations")
local nearest = require("haplua.error").nearest

local OVERVIEW = [[
Lines are Lua 5.4; the values of an expression are printed, also behind '='.

  servers()  haproxy.info()  haproxy.stat("app")  acl_add("#9999", "^/shop")  send("show info")
  m = require("haplua.maintenance")   m.on{ paths = { "/shop" }, reason = "new database" }

  help(acl_add)            what a function does, its arguments and results; help("haplua.server.hold"), too
  help(haproxy)            the functions of a module: haproxy, task, run, and those of require("haplua. [TAB]
  TAB                      completes names, and in strings the ACLs, maps and servers that HAProxy has
  Ctrl-C, Ctrl-D           break what runs; end the prompt
  haplua list, haplua(1)   the policies, the program]]

--- The first sentence of an annotation.
local function summary(entry)
  local text = table.concat(entry.text, " ")
  return text:match("^(.-)[.:;] ") or text:match("^(.-)%.?$")
end

--- The name of a function or module of haplua, by its value.
local function name_of(value)
  for _, module in ipairs(annotations.MODULES) do
    local ok, loaded = pcall(function()
      return package.loaded[module[1]] or (module[1] == "run" or not module[1]:find("%.")) and require(module[1])
    end)
    loaded = ok and loaded
    if loaded and rawequal(loaded, value) then
      return module[1]
    end
    for key, field in pairs(type(loaded) == "table" and loaded or {}) do
      if rawequal(field, value) then
        return module[1] .. "." .. tostring(key)
      end
    end
  end
  for key, method in pairs(core.methods) do -- of targets; the module haproxy has each as a function
    if rawequal(method, value) then
      return "haproxy." .. key
    end
  end
end

--- Add the fields of a class, with those that it inherits.
local function add_fields(lines, classes, name)
  local class = classes[name]
  if not class then
    return
  end
  for _, field in ipairs(class.fields) do
    lines[#lines + 1] = ("    %-12s %s  %s"):format(field.name, field.type, field.text)
  end
  add_fields(lines, classes, class.parent)
end

--- All of a function's annotation.
local function full(entry, classes)
  local lines = { entry.signature }
  for _, line in ipairs(entry.text) do
    lines[#lines + 1] = "  " .. line
  end
  for _, param in ipairs(entry.params) do
    lines[#lines + 1] = ("  %-12s %s  %s"):format(param.name, param.type, param.text)
    add_fields(lines, classes, param.type:match("^[%w_.]+"))
  end
  for _, text in ipairs(entry.returns) do
    lines[#lines + 1] = "  returns " .. text
  end
  for _, text in ipairs(entry.errors) do
    lines[#lines + 1] = text ~= "none" and "  raises " .. text or nil
  end
  return (table.concat(lines, "\n"):gsub(" +%f[\n\0]", ""))
end

--- The functions of a module, a line for each.
local function functions_of(module, found)
  local lines, names, widest = {}, {}, 0
  for name, entry in pairs(found) do
    if name:match("^(.*)%.[^.]*$") == module then
      names[#names + 1] = name
      widest = math.max(widest, #entry.signature)
    end
  end
  table.sort(names)
  widest = math.min(widest, 46)
  for _, name in ipairs(names) do
    local entry = found[name]
    lines[#lines + 1] = entry.signature .. (" "):rep(math.max(2, widest + 2 - #entry.signature)) .. summary(entry)
  end
  return table.concat(lines, "\n")
end

--- The full name of what a text means: "acl_add" is haproxy.acl_add.
local function resolve(text, found)
  if found[text] then
    return text
  end
  for _, module in ipairs(annotations.MODULES) do
    if found[module[1] .. "." .. text] then
      return module[1] .. "." .. text
    end
  end
  for name in pairs(found) do
    if name:match("[.:]([^.:]*)$") == text then
      return name
    end
  end
end

--- What there is to say about a value, or about a name.
---@param subject any
---@return string
local function explain(subject)
  local found, classes = annotations.all()
  if next(found) == nil then
    return "haplua's annotations are not installed: they belong into share/haplua/types and share/haplua/lua"
  end
  local name = type(subject) == "string" and subject or name_of(subject)
  local known = name and resolve(name, found)
  local functions = name and functions_of(name, found) or ""
  if functions ~= "" and not found[name] then
    return functions
  end
  if functions ~= "" then
    return (known and full(found[known], classes) .. "\n\n" or "") .. functions
  elseif known then
    return full(found[known], classes)
  elseif type(subject) ~= "string" then
    return ("nothing is known of this %s; haplua's functions are explained"):format(type(subject))
  end
  local names = {}
  for other in pairs(found) do
    names[#names + 1] = other
    names[#names + 1] = other:match("[.:]([^.:]*)$")
    names[#names + 1] = other:match("^(.*)%.")
    names[#names + 1] = other:match("^haplua%.(.*)%.")
  end
  table.sort(names)
  local near = nearest(subject, names)
  return ("nothing is known of '%s'%s"):format(subject, near and ("; did you mean '%s'?"):format(near) or "")
end

-- A value whose text is the overview, and which explains what it is called with.
return setmetatable({}, {
  __tostring = function()
    return OVERVIEW
  end,
  __call = function(_, ...)
    print(select("#", ...) == 0 and OVERVIEW or explain((...)))
  end,
})
