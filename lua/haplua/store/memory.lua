-- SPDX-License-Identifier: MIT
--
--- The store of a process that has no journal: it forgets all at its end. What HAProxy's list holds then is a
-- maintenance "by hand" for the next process. So its maintenances have negative numbers, and no name that a command
-- would take. It has the functions of haplua.store.sqlite, which documents them.

local process = require("haplua.process")
local task = require("haplua.task")
local maintenance = require("haplua.plan.maintenance")
local edits = require("haplua.store.edits")

local M = {}

---@class haplua.MemoryStore: haplua.Store
---@field all haplua.Maintenance[]  by number
---@field changes haplua.Change[]  by number
---@field writes integer
local Store = {}
Store.__index = Store

---@return haplua.Store
function M.open()
  return setmetatable({ path = "memory", all = {}, changes = {}, writes = 0 }, Store)
end

function Store.close() end

--- Those of a list that a test accepts. A copy: a store's reader may keep what it gets.
local function select(list, test)
  local found = {}
  for _, item in ipairs(list) do
    found[#found + 1] = test(item) and maintenance.with(item, {}) or nil
  end
  return found
end

function Store:current(target, acl)
  return select(self.all, function(m)
    return not m.ended and m.target == target and (not acl or m.acl == acl)
  end)
end

function Store:servers(target)
  return select(self.all, function(m)
    return not m.ended and m.target == target and m.scope.server
  end)
end

function Store:ended(target, acl, n)
  local found = select(self.all, function(m)
    return m.ended and m.target == target and m.acl == acl
  end)
  table.sort(found, function(a, b)
    return a.ended > b.ended
  end)
  return table.move(found, 1, n, 1, {})
end

function Store:maintenance(target, id)
  local m = self.all[-id]
  return m and (not target or m.target == target) and maintenance.with(m, {}) or nil
end

function Store:occurrence(target, acl, occurrence)
  return select(self.all, function(m)
    return m.target == target and m.acl == acl and m.occurrence == occurrence
  end)[1]
end

--- The latest change of a switch with one of these outcomes.
local function latest(self, target, acl, broken_off)
  for i = #self.changes, 1, -1 do
    local change = self.changes[i]
    if change.target == target and change.acl == acl
      and (change.outcome == "done" or broken_off and change.outcome == nil) then
      return maintenance.with(change, {})
    end
  end
end

function Store:latest(target, acl)
  return latest(self, target, acl, true)
end

function Store:latest_done(target, acl)
  return latest(self, target, acl, false)
end

function Store:touched(target)
  local found = {}
  for _, list in ipairs({ self.all, self.changes }) do
    for _, one in ipairs(list) do
      found[one.acl] = one.target == target and self.writes or found[one.acl]
    end
  end
  return found
end

function Store.elsewhere()
  return {} -- a process has few targets, and its own
end

function Store:log(target, acl, n)
  local found = select(self.changes, function(change)
    return change.target == target and (not acl or change.acl == acl)
  end)
  return table.move(found, math.max(1, #found - n + 1), #found, 1, {})
end

function Store:version()
  return self.writes
end

function Store:edit(list)
  self.writes = self.writes + 1
  return edits.carry_out(list, function(m)
    self.all[#self.all + 1] = maintenance.with(m, { id = -#self.all - 1 })
    return -#self.all
  end, function(id, set)
    local m, before = self.all[-id], {}
    for field in pairs(set) do
      before[field] = m[field] or false
    end
    self.all[-id] = maintenance.with(m, set)
    return before
  end)
end

function Store:begin(wish, list)
  local undo, touched = self:edit(list)
  local change = maintenance.with(wish, {})
  change.id, change.time, change.pid, change.maintenances = #self.changes + 1, task.time(), process.pid(),
    touched or wish.maintenances
  self.changes[change.id] = change
  return { id = change.id, undo = undo }
end

function Store:finish(begun, live, ours)
  local change = self.changes[begun.id]
  change.ours = ours or change.ours
  change.outcome, change.ended = "done", task.time()
  change.worker, change.started, change.asked = live.worker, live.started, live.asked
end

function Store:note(wish, live)
  local begun = self:begin(wish, {})
  self:finish(begun, live)
  return begun.id
end

function Store:undo(begun, outcome)
  local change = self.changes[begun.id]
  change.outcome, change.ended = outcome, task.time()
  self:edit(begun.undo)
end

-- Nobody else sees this store.
edits.without_locks(Store)

return M
