-- SPDX-License-Identifier: MIT
--
--- Changes and maintenances as rows of the SQLite store. A list is a text with one item a line.

local M = {}

--- A change of a switch, as a store takes it.
---@class haplua.Wish
---@field target string
---@field acl string
---@field switch string
---@field action string  for the log
---@field patterns string[]  what the list shall hold
---@field scopes string[]?  of a fleet, in place of the patterns: what is in force afterwards
---@field bypass string[]?  what the bypass list shall hold
---@field ours string[]?  those of `bypass` that haplua puts there
---@field declared string?  of a list that HAProxy has numbered: what the number meant (haplua.apply.identity)
---@field reason string?
---@field since number?
---@field ends number?
---@field user string
---@field host string
---@field login string?  the person behind sudo

--- A change as a store has it.
---@class haplua.Change: haplua.Wish
---@field id integer
---@field time number
---@field pid integer
---@field outcome string?  "done", or what went wrong; nil: under way, or broken off
---@field ended number?
---@field worker integer?  the HAProxy process that was changed
---@field started integer?
---@field asked string?
---@field maintenances string?  "m12 m13": those that it began, ended or changed

--- A list as the value of a column; nil for an empty one.
---@param list string[]?
---@return string?
function M.lines(list)
  return list and #list > 0 and table.concat(list, "\n") or nil
end

local find, sub = string.find, string.sub

local function split(text)
  if text ~= "" and not find(text, "\n", 1, true) then
    return { text }
  end
  local list, n, from = {}, 0, 1
  while from <= #text do
    local at = find(text, "\n", from, true) or #text + 1
    if at > from then
      n = n + 1
      list[n] = sub(text, from, at - 1)
    end
    from = at + 1
  end
  return list
end

--- Make rows changes: these very tables.
---@param patterns string[]?  becomes the patterns of a change that has the same
---@return haplua.Change[]
function M.changes(rows, patterns)
  local text = patterns and patterns[1] and table.concat(patterns, "\n")
  for _, row in ipairs(rows) do
    row.patterns = row.patterns == text and patterns or split(row.patterns)
    row.bypass = row.bypass and split(row.bypass)
    row.ours = row.ours and split(row.ours)
    row.before = nil
  end
  return rows
end

--- What a maintenance gives a server, as a text: "drain", "ready weight 13", "maint address 192.0.2.7:8080".
---@param scope haplua.Scope
---@return string?  nil: it is none of a server
function M.state(scope)
  return scope.state and scope.state .. (scope.weight and " weight " .. scope.weight or "")
    .. (scope.address and " address " .. scope.address or "")
end

--- The scope of such a text.
local function server_scope(server, text)
  if not find(text, " ", 1, true) then
    return { server = server, state = text }
  end
  return { server = server, state = text:match("^%S+"), weight = math.tointeger(text:match(" weight (%d+)")),
    address = text:match(" address (.*)$") }
end

--- Make rows maintenances: these very tables.
---@param target string?  of all of them; nil: the rows have it
---@param acl string?  likewise
---@return haplua.Maintenance[]
function M.maintenances(rows, target, acl)
  local of_one_server = acl and acl:match("^server (.+)$")
  for i = 1, #rows do -- there may be a thousand
    local row = rows[i]
    local patterns, paths, hosts = row.patterns, row.paths, row.hosts
    local server = of_one_server or not acl and row.acl:match("^server (.+)$")
    if target then
      row.target, row.acl = target, acl or row.acl
    end
    if row.bypass then
      row.bypass = split(row.bypass)
    end
    row.paths = nil
    if paths and not patterns and not hosts then -- the usual one, in the least memory
      row.scope = { paths = split(paths) }
    else
      row.patterns, row.hosts = nil, nil
      row.scope = server and server_scope(server, patterns)
        or { patterns = patterns and split(patterns), paths = paths and split(paths), hosts = hosts and split(hosts) }
    end
  end
  return rows
end

--- The columns of a field of a maintenance, and their values. The value false is NULL.
---@return table<string, any>
function M.columns(field, value)
  if field == "scope" then
    local function text(name)
      return M.lines(value[name]) or false
    end
    return { patterns = M.state(value) or text("patterns"), paths = text("paths"), hosts = text("hosts") }
  elseif field == "bypass" and value then
    return { bypass = table.concat(value, "\n") }
  end
  return { [field] = value }
end

return M
