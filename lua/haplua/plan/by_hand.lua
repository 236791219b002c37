-- SPDX-License-Identifier: MIT
--
--- What a list holds that no maintenance explains, and what it lacks: the work of a hand at the socket, of HAProxy's
-- configuration, or of the list's file.

local lists = require("haplua.base.lists")
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
---@field over fun(): haplua.Maintenance[]  the latest that are over
---@field ended fun(): {scope: haplua.Scope}[]  what a new process may have read from the list's file: maintenances of the
--- switch that are over, and what haplua has put into a map
---@field entity fun(fields: table): haplua.Maintenance  a new maintenance of the switch

local function patterns_of(m, view)
  local ok, patterns = pcall(scope.patterns, m.scope, view.kind, view.method)
  return ok and patterns or m.scope.patterns or {}
end

--- The edits for patterns that nothing explains: they join the maintenance "by hand", or make one.
local function adopt(e, extra, edits)
  for _, m in ipairs(maintenance.in_force(maintenance.after(e.current, edits), e.now)) do
    if m.origin == "by hand" then
      local patterns = lists.joined(patterns_of(m, e.view), extra) -- somebody may have changed its scope
      edits[#edits + 1] = { of = m, set = { scope = { patterns = patterns } } }
      return
    end
  end
  edits[#edits + 1] = { add = e.entity({
    scope = { patterns = extra }, origin = "by hand", begins = e.now, bypass = e.passing or {},
  }) }
end

--- The patterns of maintenances, as a set.
local function patterns_of_all(list, view)
  local found = {}
  for _, m in ipairs(list) do
    lists.set(patterns_of(m, view), found)
  end
  return found
end

--- What haplua has put into a map where two scopes meet: patterns that no maintenance has.
local function meetings(e)
  return lists.without(e.latest.patterns, patterns_of_all(e.current, e.view))
end

--- A hand has removed patterns: the maintenances that had one of them are over. What else they had, and what was added,
-- is somebody's wish of its own.
local function follow_hand(e, edits)
  local held, known = lists.set(e.patterns), {}
  for _, m in ipairs(maintenance.in_force(e.current, e.latest.ended or e.latest.time)) do
    local patterns = patterns_of(m, e.view)
    if #lists.without(patterns, held) > 0 then
      edits[#edits + 1] = maintenance.ending(m, e.now, "by hand", "somebody at HAProxy's socket")
    else
      lists.set(patterns, known)
    end
  end
  lists.set(meetings(e), known)
  return lists.without(e.patterns, known)
end

--- The patterns of the maintenances that a change has ended which was broken off: they may still be in the list.
local function patterns_ended_by(e)
  local list = {}
  for name in (e.latest.maintenances or ""):gmatch("m(%d+)") do
    list[tonumber(name)] = true
  end
  local found = {}
  for _, m in ipairs(e.over()) do
    found[#found + 1] = list[m.id] and m or nil
  end
  return patterns_of_all(found, e.view)
end

--- The edits that make the store say what the hand did. None: everything is explained.
---@param e haplua.Evidence
---@return haplua.Edit[]
function M.edits(e)
  local edits, known = {}, e.latest and e.latest.patterns or {}
  local extra = lists.without(e.patterns, lists.set(known))
  if e.latest and not e.latest.outcome then
    extra = lists.without(extra, lists.set(e.before()))
    extra = #extra > 0 and lists.without(extra, patterns_ended_by(e)) or extra
  elseif e.latest and not e.same_process then
    extra = #extra > 0 and lists.without(extra, patterns_of_all(e.ended(), e.view)) or extra
  elseif e.latest and #lists.without(known, lists.set(e.patterns)) > 0 then
    extra = follow_hand(e, edits)
  end
  if #extra > 0 then
    adopt(e, lists.unique(extra), edits)
  end
  return edits
end

return M
