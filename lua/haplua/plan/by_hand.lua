-- SPDX-License-Identifier: MIT
--
--- What a list holds that no maintenance explains, and what it lacks: the work of a hand at the socket, of HAProxy's
-- configuration, or of the list's file.

local maintenance = require("haplua.plan.maintenance")
local scope = require("haplua.plan.scope")

local M = {}

--- What the store knows of a switch and HAProxy holds.
---@class haplua.Evidence
---@field now number
---@field patterns string[]  what HAProxy's list holds
---@field passing string[]?  what its bypass list holds
---@field view haplua.View
---@field current haplua.Maintenance[]  not ended
---@field latest haplua.Change?  the latest change; nil: haplua has not touched the switch yet
---@field before fun(): string[]  what the list held before the latest change
---@field same_process boolean  the HAProxy process is that of the latest change
---@field ended fun(): {scope: haplua.Scope}[]  what a new process may have read from the list's file: maintenances of the
--- switch that are over, and what haplua has put into a map
---@field entity fun(fields: table): haplua.Maintenance  a new maintenance of the switch

local function set_of(...)
  local set = {}
  for _, list in ipairs({ ... }) do
    for _, item in ipairs(list) do
      set[item] = true
    end
  end
  return set
end

--- The items of a list that a set does not have, each once.
local function without(list, set)
  local rest, there = {}, {}
  for _, item in ipairs(list) do
    rest[#rest + 1] = not set[item] and not there[item] and item or nil
    there[item] = true
  end
  return rest
end

local function patterns_of(m, view)
  local ok, patterns = pcall(scope.patterns, m.scope, view.kind, view.method)
  return ok and patterns or m.scope.patterns or {}
end

--- The edits for patterns that nothing explains: they join the maintenance "by hand", or make one.
local function adopt(e, extra, edits)
  for _, m in ipairs(maintenance.in_force(maintenance.after(e.current, edits), e.now)) do
    if m.origin == "by hand" then
      local has = patterns_of(m, e.view) -- somebody may have changed its scope
      local patterns = table.move(extra, 1, #extra, #has + 1, table.move(has, 1, #has, 1, {}))
      edits[#edits + 1] = { of = m, set = { scope = { patterns = patterns } } }
      return
    end
  end
  edits[#edits + 1] = { add = e.entity({
    scope = { patterns = extra }, origin = "by hand", begins = e.now, bypass = e.passing or {},
  }) }
end

--- The patterns of maintenances, a list for each.
local function patterns_of_all(list, view)
  local found = {}
  for i, m in ipairs(list) do
    found[i] = patterns_of(m, view)
  end
  return table.unpack(found)
end

--- What haplua has put into a map where two scopes meet: patterns that no maintenance has.
local function meetings(e)
  return without(e.latest.patterns, set_of(patterns_of_all(e.current, e.view)))
end

--- A hand has removed patterns: the maintenances that had one of them are over. What else they had, and what was added,
-- is somebody's wish of its own.
local function follow_hand(e, edits)
  local held, known = set_of(e.patterns), {}
  for _, m in ipairs(maintenance.in_force(e.current, e.latest.ended or e.latest.time)) do
    local patterns = patterns_of(m, e.view)
    if #without(patterns, held) > 0 then
      edits[#edits + 1] = maintenance.ending(m, e.now, "by hand", "somebody at HAProxy's socket")
    else
      known[#known + 1] = patterns
    end
  end
  known[#known + 1] = meetings(e)
  return without(e.patterns, set_of(table.unpack(known)))
end

--- The edits that make the store say what the hand did. None: everything is explained.
---@param e haplua.Evidence
---@return haplua.Edit[]
function M.edits(e)
  local edits = {}
  local extra = without(e.patterns, set_of(e.latest and e.latest.patterns or {}))
  if e.latest and not e.latest.outcome then
    extra = without(extra, set_of(e.before()))
  elseif e.latest and not e.same_process then
    extra = #extra > 0 and without(extra, set_of(patterns_of_all(e.ended(), e.view))) or extra
  elseif e.latest and #without(e.latest.patterns, set_of(e.patterns)) > 0 then
    extra = follow_hand(e, edits)
  end
  if #extra > 0 then
    adopt(e, extra, edits)
  end
  return edits
end

return M
