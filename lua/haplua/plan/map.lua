-- SPDX-License-Identifier: MIT
--
--- From the maintenances in force to the map that decides for their switch, which HAProxy reads so (docs/haproxy.cfg):
--
--   pattern -> since|until|mask|reason   the first entry that matches a request decides
--
-- haplua.plan.bits says who passes by the mask.
--
-- Scopes of hosts and paths are cells: a host, or any, and a path prefix. Two cells meet in a cell or not at all. The
-- map has an entry for each cell and each meeting of two, the narrower ones first, so the entry that decides has the bits
-- of all maintenances of the request. Nobody knows what a pattern of a person's own meets: these entries stand first, and
-- have the bits of all maintenances in force.

local bits = require("haplua.plan.bits")
local contents = require("haplua.plan.content")
local network = require("haplua.plan.network")
local scope = require("haplua.plan.scope")

local M = {}

-- So many meetings of cells get an entry, at most.
local MEETINGS <const> = 2000

local FEWER <const> = "fewer clients pass than the maintenances let pass"

-- So many bytes of a reason are shown to visitors, at most: HAProxy's buffer holds the whole page.
local REASON <const> = 1000

---@class haplua.map.Content: haplua.map.Bypass
---@field patterns string[]
---@field values string[]
---@field untold {of: haplua.Maintenance, problem: any}[]  scopes that the map cannot tell apart, and so are not closed
---@field notes string[]  what the map cannot hold as it is wanted, for people
---@field entries {of: haplua.Maintenance[], mask: integer}[]  of `patterns`: the maintenances that cover it

--- What a map's value tells visitors. nil: it does not have the form of haplua.
---@param value string
---@return {since: integer?, ends: integer?, reason: string?}?
function M.told(value)
  local since, ends, reason = value:match("^(%d*)|(%d*)|%-?%d+|(.*)$")
  local function instant(text)
    return #text <= 11 and math.tointeger(tonumber(text)) or nil
  end
  return since and { since = instant(since), ends = instant(ends), reason = reason ~= "" and reason or nil }
end

--- A reason as a map holds it: valid UTF-8 without control characters, cut after REASON bytes.
local function shown(reason)
  local text = reason:gsub("%c+", " ")
  local length, at = utf8.len(text)
  while not length do
    text = text:sub(1, at - 1) .. "?" .. text:sub(at + 1)
    length, at = utf8.len(text, at)
  end
  return (#text > REASON and text:sub(1, utf8.offset(text, 0, REASON + 1) - 1) or text):gsub("%s+$", "")
end

local function value_of(m, mask)
  return ("%d|%s|%d|%s"):format(m.begins // 1, m.ends and ("%d"):format(m.ends // 1) or "", mask, shown(m.reason or ""))
end

-- Entries.

--- The cells of a scope, and the patterns that are a person's own. Raises `refused`.
---@return {host: string|false, path: string}[] cells, string[] own
local function cells_of(of, view)
  local cells, own = {}, {}
  local all = scope.patterns(of, view.kind, view.method)
  local _, whole = scope.probe(of, view.kind, view.method)
  if view.method == "map_beg" then
    for i, path in ipairs(all) do
      cells[i] = { host = false, path = path }
    end
  elseif view.method ~= "map_reg" then
    own = all
  elseif whole then
    cells[1] = { host = false, path = "" }
  else
    local hosts, paths = of.hosts or {}, of.paths or {}
    own = of.patterns or {}
    for _, host in ipairs(#hosts > 0 and hosts or paths[1] and { false } or {}) do
      for _, path in ipairs(#paths > 0 and paths or { "" }) do
        cells[#cells + 1] = { host = host and host:lower(), path = path:lower() }
      end
    end
  end
  return cells, own
end

--- The pattern of a cell.
local function pattern_of(cell, view)
  if view.method == "map_beg" then
    return cell.path
  end
  return scope.patterns({
    hosts = cell.host and { cell.host } or nil, paths = cell.path ~= "" and { cell.path } or nil,
  }, view.kind, view.method)[1]
end

---@class haplua.map.Cells
---@field list {host: string|false, path: string}[]
---@field of table<string|false, table<string, haplua.Maintenance[]>>  by host and path: those that name this cell
local Cells = {}
Cells.__index = Cells

function Cells:add(cell, m)
  local paths = self.of[cell.host] or {}
  self.of[cell.host] = paths
  if not paths[cell.path] then
    paths[cell.path] = {}
    self.list[#self.list + 1] = cell
  end
  table.insert(paths[cell.path], m)
end

--- Add the cells in which others meet: a path of a host, where all of the host, or a shorter path of it, is one cell, and
-- the path on any host is another.
---@return boolean  false: they would be too many, and none is there
function Cells:meet()
  local named, meetings = #self.list, 0
  local of_any = {}
  for path in pairs(self.of[false] or {}) do
    of_any[#of_any + 1] = path
  end
  for i = 1, named do
    local cell = self.list[i]
    for _, path in ipairs(cell.host and of_any or {}) do
      if #path > #cell.path and path:sub(1, #cell.path) == cell.path and not self.of[cell.host][path] then
        meetings = meetings + 1
        self:add({ host = cell.host, path = path })
        if meetings > MEETINGS then
          self.list = table.move(self.list, 1, named, 1, {})
          return false
        end
      end
    end
  end
  return true
end

--- The maintenances that cover a cell.
function Cells:covering(cell)
  local found, there = {}, {}
  for _, host in ipairs(cell.host and { cell.host, false } or { false }) do
    local paths = self.of[host]
    for n = 0, paths and #cell.path or -1 do
      for _, m in ipairs(paths[cell.path:sub(1, n)] or {}) do
        found[#found + 1] = not there[m] and m or nil
        there[m] = true
      end
    end
  end
  return found
end

--- The narrower cells first: a longer path before a shorter one, and a host before any.
local function is_before(a, b)
  if #a.path ~= #b.path then
    return #a.path > #b.path
  elseif a.path ~= b.path then
    return a.path < b.path
  end
  return a.host ~= b.host and a.host ~= false and (b.host == false or a.host < b.host)
end

--- The maintenance that visitors are told of: the one that ends last.
local function told_of(list)
  local told = list[1]
  for _, m in ipairs(list) do
    told = contents.is_told_before(m, told) and m or told
  end
  return told
end

--- Are these the entries of a hand, as it has put them there?
local function is_of_hand(m)
  return m.origin == "by hand" and not m.reason and not m.ends and m.bypass ~= nil and #m.bypass == 0
end

--- Add the entry for a pattern of a person's own. What a hand has put there stays, and its mask gets the bits of all
-- other maintenances; a value without a mask closes for everybody.
---@param list haplua.Maintenance[]  that have the pattern
---@param masks {all: integer, others: integer}  the bits of all maintenances, and of those that are not a hand's
---@param live string?  HAProxy's value
local function own_entry(list, masks, live)
  local m = told_of(list)
  for _, other in ipairs(list) do
    m = is_of_hand(m) and other or m
  end
  if not live or not is_of_hand(m) then
    return value_of(m, masks.all), masks.all
  end
  local mask = bits.mask(live)
  if not mask then
    return live == "" and "1" or live, -1 -- an empty value cannot be sent to HAProxy
  end
  mask = (mask == 0 and bits.NOBODY or mask) | masks.others
  return live:gsub("^([^|]*|[^|]*|)[^|]*", ("%%1%d"):format(mask)), mask
end

--- The scopes of all maintenances: cells, and patterns of people's own, each once, with the maintenances that have it.
---@return haplua.map.Cells, {list: string[], of: table<string, haplua.Maintenance[]>} own, table[] untold
local function scopes_of(in_force, view)
  local cells, own, untold = setmetatable({ list = {}, of = {} }, Cells), { list = {}, of = {} }, {}
  for _, m in ipairs(in_force) do
    local ok, found, patterns = pcall(cells_of, m.scope, view)
    if not ok then
      untold[#untold + 1] = { of = m, problem = found }
    end
    for _, cell in ipairs(ok and found or {}) do
      cells:add(cell, m)
    end
    for _, pattern in ipairs(ok and patterns or {}) do
      own.list[#own.list + 1] = not own.of[pattern] and pattern or nil
      own.of[pattern] = own.of[pattern] or {}
      table.insert(own.of[pattern], m)
    end
  end
  return cells, own, untold
end

--- The bits of all maintenances, and of those that are not a hand's.
local function masks_of(in_force, mask_of)
  local all, others = 0, 0
  for _, m in ipairs(in_force) do
    all = all | mask_of[m]
    others = others | (is_of_hand(m) and 0 or mask_of[m])
  end
  return { all = all, others = others }
end

--- Add the entries of the map to the content.
local function add_entries(content, in_force, view, live)
  local cells, own, untold = scopes_of(in_force, view)
  local masks, values = masks_of(in_force, content.mask_of), {}
  for i, key in ipairs(live.keys) do
    values[key] = values[key] or live.values[i]
  end
  local function add(pattern, list, value, mask)
    content.patterns[#content.patterns + 1], content.values[#content.values + 1] = pattern, value
    content.entries[#content.entries + 1] = { of = list, mask = mask }
  end
  for _, pattern in ipairs(own.list) do
    add(pattern, own.of[pattern], own_entry(own.of[pattern], masks, values[pattern]))
  end
  local is_exact = cells:meet()
  if not is_exact then
    table.insert(content.notes, ("%s: hosts and paths meet in more than %d ways"):format(FEWER, MEETINGS))
  end
  table.sort(cells.list, is_before)
  for _, cell in ipairs(cells.list) do
    local pattern, list, mask = pattern_of(cell, view), cells:covering(cell), 0
    for _, m in ipairs(list) do
      mask = mask | content.mask_of[m]
    end
    mask = is_exact and mask or masks.all
    if not own.of[pattern] then
      add(pattern, list, value_of(told_of(list), mask), mask)
    end
  end
  content.untold = untold
end

--- The content of a switch's maps.
---@param in_force haplua.Maintenance[]
---@param view haplua.View
---@param live haplua.map.Live
---@return haplua.map.Content
function M.of(in_force, view, live)
  local content = bits.of(in_force, view, live)
  content.patterns, content.values, content.entries, content.notes = {}, {}, {}, {}
  if not content.enough then
    content.notes[1] = FEWER .. ": the maintenances in force let more than 62 different sets of networks pass"
  end
  add_entries(content, in_force, view, live)
  local long, unknown = false, nil
  for _, m in ipairs(in_force) do
    long = long or #(m.reason or "") > REASON
    for _, text in ipairs(m.bypass or view.allow) do
      unknown = not network.parse(text) and text or unknown
    end
  end
  content.notes[#content.notes + 1] = long and ("visitors see only the first %d bytes of a reason"):format(REASON) or nil
  content.notes[#content.notes + 1] = unknown and ("%s: '%s' is no network"):format(FEWER, unknown)
  return content
end

--- The networks that pass at a pattern now, and will not pass there.
---@param live haplua.map.Live
---@param content haplua.map.Content
---@return string[]
function M.stopped(live, content)
  local before, masks, known = {}, {}, {}
  for i, key in ipairs(live.keys) do
    before[key] = before[key] or bits.mask(live.values[i])
  end
  for i, pattern in ipairs(content.patterns) do
    local mask, after = before[pattern], content.entries[i].mask
    local name = mask and ("%d %d"):format(mask, after)
    if mask and not known[name] then
      known[name] = true
      masks[#masks + 1] = { mask, after }
    end
  end
  return bits.stopped(live, content, masks)
end

--- The networks of a maintenance that do not pass everywhere in its scope.
---@param m haplua.Maintenance
---@param content haplua.map.Content
---@return string[]
function M.denied(m, content)
  local masks, denied = {}, {}
  for _, entry in ipairs(content.entries) do
    for _, other in ipairs(entry.of) do
      masks[entry.mask] = masks[entry.mask] or other == m or m.id and other.id == m.id or nil
    end
  end
  for _, text in ipairs(m.bypass or {}) do
    local passes = true
    for mask in pairs(masks) do
      passes = passes and bits.passes(content.nets:around(text), mask)
    end
    denied[#denied + 1] = not passes and text or nil
  end
  return denied
end

return M
