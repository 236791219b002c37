-- SPDX-License-Identifier: MIT
--
--- ACLs by the names that HAProxy's configuration gives them. HAProxy does not tell these names: its files have them, and
--- `show acl` has the line of each ACL.

local errors = require("haplua.error")
local frontends = require("haplua.haproxy.frontends")
local list = require("haplua.haproxy.list")
local reply = require("haplua.reply")

local M = {}

local function refuse(name, form, ...)
  errors.refuse(("the ACL '%s': "):format(name) .. form:format(...),
    "name the list itself: --acl '#9999' for -u 9999, or the file of -f; `haplua -e 'print(haproxy.send(\"show acl\"))'` "
      .. "shows all")
end

--- The reference by which a list is known.
local function reference(one)
  return one.file or "#" .. one.id
end

--- The lists of the ACLs of a name, and where they are declared.
---@param declared haplua.rules.Declared[]  those of this name
---@param all haplua.List[]
---@return string[] refs, table<string, string> places
local function lists_of(declared, all)
  local refs, places = {}, {}
  for _, one in ipairs(declared) do
    for _, found in ipairs(all) do
      local ref = reference(found)
      -- an ACL with files has a list without one, too, for the patterns of its line
      local is_own = found.file or not one.has_file or ref == one.id
      if is_own and found.text:find(("file '%s' line %d%%f[%%D]"):format(one.file:gsub("%p", "%%%0"), one.line)) then
        refs[#refs + 1] = not places[ref] and ref or nil
        places[ref] = places[ref] or ("%s %s"):format(one.kind, one.section)
      end
    end
  end
  return refs, places
end

--- The names that come close, or some of those there are.
local function known_names(name, declared)
  local names, there = {}, {}
  for _, one in ipairs(declared) do
    local is_close = one.name:lower():find(name:lower(), 1, true) or name:lower():find(one.name:lower(), 1, true)
    if not there[one.name] then
      table.insert(names, is_close and 1 or #names + 1, one.name)
    end
    there[one.name] = true
  end
  return #names == 0 and "it has none" or "it has " .. table.concat(names, ", ", 1, math.min(#names, 8))
end

--- The reference of the list that an ACL's name stands for.
---@param target haplua.Target
---@param name string
---@return string ref  "#9999", or a file's name as `show acl` has it. Raises `refused`: there is no such ACL, or it stands
--- for several lists, or the configuration cannot be read
function M.resolve(target, name)
  local texts = target:batch({ { "show", "info" }, { "show", "acl" } })
  local all = reply.lists(texts[2])
  if list.find(all, name) then
    return name
  end
  local declared, problem = frontends.acls(target, texts[1]:match("%f[%C]Pid: (%d+)"), texts[2])
  if not declared then
    refuse(name, "HAProxy does not tell the names of ACLs, and its configuration cannot be read: %s", problem)
  end
  local own = {}
  for _, one in ipairs(declared) do
    own[#own + 1] = one.name == name and one or nil
  end
  if #own == 0 then
    refuse(name, "HAProxy's configuration has no ACL of this name: %s", known_names(name, declared))
  end
  local refs, places = lists_of(own, all)
  if #refs == 0 then
    refuse(name, "%s:%d declares it, and the running HAProxy has no list of that line: reload it", own[1].file, own[1].line)
  elseif #refs > 1 then
    local lines = {}
    for i, ref in ipairs(refs) do
      lines[i] = ("%s in %s"):format(ref, places[ref])
    end
    refuse(name, "it stands for several lists: %s", table.concat(lines, ", "))
  end
  return refs[1]
end

return M
