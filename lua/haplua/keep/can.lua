-- SPDX-License-Identifier: MIT
--
--- Answer for a fleet's node whether it could carry a change out (haplua.fleet.together asks). It looks at HAProxy and the
-- files as `maint on -n` does, and changes nothing.

local actions = require("haplua.apply.actions")
local change = require("haplua.apply.change")
local context = require("haplua.apply.context")
local errors = require("haplua.error")
local fleet = require("haplua.plan.fleet")
local nodes = require("haplua.store.etcd_nodes")
local plans = require("haplua.apply.plan")
local records = require("haplua.store.etcd_records")
local signal = require("haplua.base.signal")
local switch = require("haplua.haproxy.switch")
local task = require("haplua.task")

-- Seconds for which an answer stays in the store.
local LEASE <const> = 60

---@class haplua.keep.Can
---@field private agent haplua.Agent
---@field private open table<string, haplua.etcd.Question>  that were not answered yet, by token
---@field private answered table<string, boolean>
---@field private to_answer haplua.base.Signal
local Can = {}
Can.__index = Can

local M = {}

---@param agent haplua.Agent
---@return haplua.keep.Can
function M.new(agent)
  return setmetatable({ agent = agent, open = {}, answered = {}, to_answer = signal.new() }, Can)
end

--- Take the questions that a read of the store has found. Those that were asked and are gone are forgotten.
---@param asked haplua.etcd.Question[]
function Can:hear(asked)
  local open, answered = {}, {}
  for _, question in ipairs(asked) do
    answered[question.token] = self.answered[question.token]
    open[question.token] = not answered[question.token] and question or nil
  end
  self.open, self.answered = open, answered
  if next(open) then
    self.to_answer:set()
  end
end

-- What could stand in the way.

--- Check a server. That HAProxy answers is checked with it.
local function check_server(c, m)
  local name = m.scope.server
  if not m.ended and not require("haplua.apply.servers").read(c).rows[name] then
    errors.refuse(("this HAProxy has no server %s"):format(name))
  end
end

--- Check a list with all edits of the change.
---@param edits haplua.Edit[]
---@param list haplua.fleet.Record[]  those that the edits carry out
local function check_list(c, edits, list)
  local look, at = change.look(c), task.time()
  for _, m in ipairs(list) do
    at = math.max(at, not m.ended and m.begins or at) -- of a planned one: as it will be
    if not m.ended then
      actions.check_bypass(c, look, m.bypass)
    end
  end
  if not look.latest then
    require("haplua.apply.identity").check(c, look.state, look.state.state.list)
  end
  local plan = plans.of(c, setmetatable({ now = at }, { __index = look }), "on", edits)
  for _, one in ipairs(plan.untold) do
    for _, edit in ipairs(edits) do
      if (edit.add or edit.of).occurrence == one.of.occurrence then
        error(one.problem, 0)
      end
    end
  end
  switch.check_permitted(c.target, c.switch, look.state, plan)
  switch.check_files(c.target, c.switch, look.state)
end

--- Raise what would keep this node from a change.
---@param agent haplua.Agent
---@param question haplua.etcd.Question
local function check(agent, question)
  local keeper, edits = agent.keeper, {}
  local c = keeper.c
  for _, record in ipairs(question.wanted) do
    if not records.is_maintenance(record) or type(record.uid) ~= "string" then
      errors.refuse("this node's haplua does not understand the question", "install the asker's version here")
    end
  end
  local merge = fleet.merge(agent.node, { records = question.wanted, pruned = {}, unread = {} }, function(acl, occurrence)
    return c.store:occurrence(c.name, acl, occurrence)
  end, {}, task.time())
  if merge.unknown[1] then
    errors.refuse(("this node has no switch %s"):format(errors.visible(merge.unknown[1].acl)))
  end
  for _, edit in ipairs(merge.edits) do
    local acl = (edit.add or edit.of).acl
    edits[acl] = edits[acl] or {}
    table.insert(edits[acl], edit)
  end
  for acl, list in pairs(edits) do
    local is_server = acl:find("^server ") ~= nil
    local own = context.of_switch(c, keeper.found, { acl = is_server and "servers" or acl, file = keeper.request.file })
    local after = {}
    for i, edit in ipairs(list) do
      after[i] = edit.add or require("haplua.plan.maintenance").with(edit.of, edit.set)
    end
    if is_server then
      check_server(own, after[1])
    else
      check_list(own, list, after)
    end
  end
  if not next(edits) then
    c.target:send("show cli level") -- nothing is to be changed here, by an HAProxy that answers
  end
end

--- Answer one question.
local function answer(self, question)
  local agent = self.agent
  local ok, problem = pcall(check, agent, question)
  local store, text = agent.store, nil
  if not ok then
    text = tostring(agent.tolerate(problem)):match("^[^\n]*")
  end
  nodes.put_can(store, agent.node.name, question.token, store.client:grant(LEASE).id, { problem = text, at = task.time() })
  self.answered[question.token], self.open[question.token] = true, nil
end

--- Answer questions for ever. One that cannot be sent is tried again while it is asked.
function Can:run()
  while true do
    self.to_answer:wait(task.sleep, 60)
    local _, question = next(self.open) -- the table may be another one after each answer
    local ok, problem = true, nil
    if question then
      ok, problem = pcall(answer, self, question)
    end
    if not ok then
      self.agent.tolerate(problem)
      task.sleep(1)
    end
    if next(self.open) then
      self.to_answer:set()
    end
  end
end

return M
