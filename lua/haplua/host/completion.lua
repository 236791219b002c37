-- SPDX-License-Identifier: MIT
--
--- What TAB completes at the prompt: names of globals, fields and methods, and within a string what HAProxy has: ACLs,
-- maps, servers, backends.

local core = require("haplua.core")
local haproxy = require("haproxy")
local task = require("haplua.task")
local visible = require("haplua.error").visible

-- Seconds for which HAProxy is asked, and the candidates that are printed.
local SECONDS, SHOWN = 2, 100

local KEYWORDS <const> = {
  "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not", "or",
  "repeat", "return", "then", "true", "until", "while",
  -- globals that are loaded when they are first used
  "acl_add", "acl_clear", "acl_get", "haproxy", "run", "send", "servers", "task",
}

local MODULES <const> = {
  "haplua.calendar", "haplua.cli", "haplua.error", "haplua.json", "haplua.maintenance", "haplua.server", "haplua.window",
  "haplua.zone", "haproxy", "run", "task",
}

-- What HAProxy has of a kind: functions that add names.
local values = {}

local function add_lists(names, lists)
  for _, list in ipairs(lists) do
    names[#names + 1] = list.file or "#" .. tostring(list.id):gsub("^#", "")
  end
end

function values.acl(names)
  add_lists(names, haproxy.acl_list())
end

function values.map(names)
  add_lists(names, haproxy.map_list())
end

function values.server(names)
  for _, row in ipairs(haproxy.servers()) do
    names[#names + 1] = row.be_name .. "/" .. row.srv_name
  end
end

function values.backend(names)
  local seen = {}
  for _, row in ipairs(haproxy.servers()) do
    names[#names + 1] = not seen[row.be_name] and row.be_name or nil
    seen[row.be_name] = true
  end
end

function values.module(names)
  table.move(MODULES, 1, #MODULES, #names + 1, names)
end

-- The kind of a string, by the function or the field that it is for. The first that fits counts.
local kinds <const> = {
  { "^require$", "module" }, { "map", "map" }, { "acl", "acl" }, { "^servers?$", "server" }, { "backend", "backend" },
  { "^group$", "backend" }, { "^each$", "backend" }, { "^stat$", "backend" }, { "server", "server" }, { "hold$", "server" },
}

--- The text from the last quote on, where the cursor is in a string, and what stands before it.
local function string_at(text)
  local quote, from, i = nil, nil, 1
  while i <= #text do
    local c = text:sub(i, i)
    if quote and c == "\\" then
      i = i + 1
    elseif c == quote then
      quote = nil
    elseif not quote and (c == '"' or c == "'") then
      quote, from = c, i
    end
    i = i + 1
  end
  if quote then
    return text:sub(from + 1), text:sub(1, from - 1)
  end
end

--- The names that a string may be, by what stands before its quote.
local function strings_for(head)
  local name = head:match("([%w_]+)%s*=%s*{?%s*$") or head:match("([%w_]+)%s*[({]*%s*$") or ""
  if name == "servers" and head:find("servers%s*[(]?%s*$") then
    name = "backend"
  end
  for _, kind in ipairs(kinds) do
    if name:find(kind[1]) then
      local names = {}
      pcall(task.deadline, SECONDS, values[kind[2]], names)
      return names
    end
  end
  return {}
end

--- Add the keys of a table that are names, and those of what its metatable inherits from.
local function add_keys(found, value, only_functions)
  for _ = 1, 8 do
    if type(value) == "table" then
      for key, field in pairs(value) do
        if type(key) == "string" and key:find("^[%a_][%w_]*$") and (not only_functions or type(field) == "function") then
          found[key] = field
        end
      end
    end
    local meta = debug.getmetatable(value)
    value = type(meta) == "table" and rawget(meta, "__index") or nil
    if type(value) ~= "table" then
      return
    end
  end
end

--- The names that begin with what stands behind the last '.' or ':', each with its value.
local function names_for(environment, path)
  local found, owner, mark = {}, path:match("^(.*)([.:])[%w_]*$")
  if not owner then
    add_keys(found, environment)
    for _, word in ipairs(KEYWORDS) do
      found[word] = found[word] or true
    end
    return found
  end
  local value = environment
  for name in owner:gmatch("[%w_]+") do
    local ok, field = pcall(function()
      return value[name]
    end)
    if not ok then
      return found
    end
    value = field
  end
  add_keys(found, value, mark == ":")
  if rawequal(value, haproxy) then -- it takes its functions from the methods of targets when they are first used
    add_keys(found, core.methods)
  end
  return found
end

--- The candidates for the text before the cursor, and the part of it that they complete.
local function candidates(environment, text)
  local part, head = string_at(text)
  local names = {}
  if part then
    for _, name in ipairs(strings_for(head)) do
      names[#names + 1] = name:sub(1, #part) == part and not name:find("[\"'\\%c]") and name or nil
    end
  else
    local path = text:match("[%a_][%w_.:]*$") or ""
    part = path:match("[%w_]*$")
    for name in pairs(names_for(environment, path)) do
      names[#names + 1] = name:sub(1, #part) == part and name or nil
    end
  end
  table.sort(names)
  return names, part
end

--- The beginning that all names have.
local function common(names)
  local text = names[1]
  for _, name in ipairs(names) do
    while name:sub(1, #text) ~= text do
      text = text:sub(1, -2)
    end
  end
  return text
end

--- Names side by side.
local function columns(names, width)
  local widest, lines, line = 0, {}, ""
  for i, name in ipairs(names) do
    names[i] = visible(name)
    widest = math.max(widest, #names[i] + 2)
  end
  for i = 1, math.min(#names, SHOWN) do
    if #line > 0 and #line + widest > width then
      lines[#lines + 1], line = line:gsub(" +$", ""), ""
    end
    line = line .. names[i] .. (" "):rep(widest - #names[i])
  end
  lines[#lines + 1] = line:gsub(" +$", "") .. (#names > SHOWN and (" (%d more)"):format(#names - SHOWN) or "")
  return table.concat(lines, "\n")
end

--- Complete a line. Asks HAProxy, of the running task's target.
---@param environment table  the globals of the line
---@param line string
---@param point integer  bytes before the cursor
---@param width integer?  columns of the terminal
---@return string insert  "": nothing
---@return string? list  the candidates, where there are several and nothing can be inserted
return function(environment, line, point, width)
  local names, part = candidates(environment, line:sub(1, point))
  if #names == 0 then
    return ""
  end
  local more = common(names):sub(#part + 1)
  if more ~= "" or #names == 1 then
    return more
  end
  return "", columns(names, width or 80)
end
