-- SPDX-License-Identifier: MIT
--
--- The annotations of public functions, read from their files: docs/types for what is written in C, lua/ for the rest.

local file = require("haplua.file")

local M = {}

---@class haplua.Annotation
---@field name string  "haproxy.acl_add", "haplua.server.hold", "Held:drain"
---@field signature string  "haproxy.acl_add(ref, ...)"
---@field text string[]  lines
---@field params {name: string, type: string, text: string}[]
---@field returns string[]  "integer added"
---@field errors string[]  "refused, journal  why": kinds of error objects that it raises, by `---@error`, else by the
--- `---@errors` at the head of its file. "none": it raises none; "HAProxy": what each request may raise
---@field file string  where it is declared

---@class haplua.ClassAnnotation
---@field parent string?
---@field fields {name: string, type: string, text: string}[]

-- Each module whose functions are explained, its file, and the name of its table in the file.
M.MODULES = {
  { "haproxy", "types/haproxy.lua", "haproxy" }, { "task", "types/task.lua", "task" },
  { "task", "lua/task.lua", "task" }, { "run", "types/run.lua", "run" },
  { "haplua.maintenance", "lua/haplua/maintenance.lua", "M" }, { "haplua.server", "lua/haplua/server.lua", "M" },
  { "haplua.server", "lua/haplua/hold/held.lua", "no table" }, { "haplua.server", "lua/haplua/hold/group.lua", "no table" },
  { "haplua.window", "lua/haplua/window.lua", "M" }, { "haplua.window", "lua/haplua/window/window.lua", "no table" },
  { "haplua.calendar", "lua/haplua/calendar.lua", "M" }, { "haplua.fleet", "lua/haplua/fleet.lua", "M" },
  { "haplua.zone", "lua/haplua/zone.lua", "M" }, { "haplua.cli", "lua/haplua/cli.lua", "M" },
  { "haplua.json", "lua/haplua/json.lua", "M" }, { "haplua.error", "types/error.lua", "M" },
  { "haplua.test", "lua/haplua/test.lua", "M" },
}

--- A file of haplua: in the source tree, or as installed.
---@return string? text
local function read(path)
  local program = (file.link("/proc/self/exe") or ""):match("^.*/") or ""
  return file.read(program .. path:gsub("^types/", "docs/types/"), 1 << 20)
    or file.read(program .. "../share/haplua/" .. path, 1 << 20)
end

--- A type at the beginning of a text, with its brackets, and the rest.
local function split_type(text)
  local depth, at = 0, #text + 1
  for i = 1, #text do
    local c = text:sub(i, i)
    if c:find("[({<\"]") and not (c == '"' and depth > 0) then
      depth = depth + 1
    elseif c:find("[)}>]") then
      depth = depth - 1
    elseif c == " " and depth <= 0 and not text:sub(i - 1, i - 1):find("[:,|]") then
      at = i
      break
    end
    if c == '"' then
      depth = depth > 0 and text:sub(1, i):gsub('[^"]', ""):len() % 2 == 0 and depth - 1 or depth
    end
  end
  return text:sub(1, at - 1), (text:sub(at):gsub("^%s+", ""))
end

--- Take one line of a comment into what is known of the function or class that follows. A line without a tag belongs to
-- the tag before it, or, where there is none, to the text.
local function take(entry, classes, line)
  local tag, rest = line:match("^%-%-%-@(%a+)%s*(.*)$")
  if not tag then
    local list, key = entry.last or entry.text, entry.key or #entry.text + 1
    list[key] = (list[key] and list[key] .. " " or "") .. line:match("^%-%-%-? ?(.*)$"):gsub("^ +", entry.last and "" or "%0")
  elseif tag == "param" or tag == "field" then
    local name, optional, after = rest:match("^([^%s?]+)(%??)%s*(.*)$")
    local kind, text = split_type(after or "")
    local list = tag == "param" and entry.params or entry.class and entry.class.fields
    if list then
      list[#list + 1] = { name = name, type = kind .. (optional or ""), text = text }
      entry.last, entry.key = list[#list], "text"
    end
  elseif tag == "return" or tag == "error" then
    local list = entry[tag .. "s"]
    list[#list + 1] = rest
    entry.last, entry.key = list, #list
  elseif tag == "class" then
    local name, parent = rest:match("^([%w_.]+):?%s*([%w_.]*)")
    entry.class = { parent = parent ~= "" and parent or nil, fields = {} }
    classes[name] = entry.class
  end
end

local function new_entry()
  return { text = {}, params = {}, returns = {}, errors = {} }
end

--- The functions and classes that a file declares.
---@param text string  of the file
---@param owner string  the name of the module's table in it
---@param module string  the name that stands for it in the results
---@param found table<string, haplua.Annotation>
---@param classes table<string, haplua.ClassAnnotation>
---@param file_name string?
function M.parse(text, owner, module, found, classes, file_name)
  local entry, errors = new_entry(), nil
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    local name, arguments = line:match("^l?o?c?a?l? ?function ([%w_.:]+)(%b())")
    errors = line:match("^%-%-%-@errors%s+(.*)$") or errors
    if line:find("^%-%-%-@errors%s") then
      entry = new_entry()
    elseif line:find("^%-%-") then
      take(entry, classes, line)
    else
      local own = name and name:match("^" .. owner .. "[.:]?(.*)$")
      if name and (own or name:find("^%u%w*:")) then
        name = own and (own == "" and module or module .. "." .. own) or name
        entry.name, entry.signature, entry.file = name, name .. arguments, file_name
        entry.errors[1] = entry.errors[1] or errors
        found[name] = entry
      end
      entry = new_entry()
    end
  end
end

local found, classes

--- The annotations of all public functions, by name, and those of classes.
---@return table<string, haplua.Annotation> functions, table<string, haplua.ClassAnnotation> classes
function M.all()
  if not found then
    found, classes = {}, {}
    for _, module in ipairs(M.MODULES) do
      M.parse(read(module[2]) or "", module[3], module[1], found, classes, module[2])
    end
  end
  return found, classes
end

return M
