-- SPDX-License-Identifier: MIT
--
--- Begin a maintenance of a fleet stage by stage: one maintenance, whose `nodes` grow. A stage begins once every node that
-- lives and has the maintenance has reported that it is carried out. Where that fails, and where the machine that does
-- this stops, the maintenance stays in force where it is; its `rollout` has the stages that are left.

local actions = require("haplua.fleet.actions")
local errors = require("haplua.error")
local fleet = require("haplua.plan.fleet")
local maintenance = require("haplua.plan.maintenance")
local nodes = require("haplua.store.etcd_nodes")
local reports = require("haplua.fleet.reports")
local results = require("haplua.fleet.result")
local stages = require("haplua.plan.stages")

local M = {}

---@class haplua.fleet.Rollout  of a maintenance whose stages are not all begun
---@field stages string  as they were given
---@field left string  those that are not begun

---@class haplua.fleet.StagesHow
---@field every_node boolean?  a node that does not live counts as well
---@field say fun(line: string)  gets a line for each stage that is proved
---@field options string  of the command lines that a failure names: " --switch site"

--- The nodes of the fleet, with their labels.
local function known_nodes(c)
  local list = {}
  for i, node in ipairs(nodes.sorted((nodes.known(c.store)))) do
    list[i] = nodes.labelled(node)
  end
  return list
end

--- What a maintenance is for after the first `n` steps.
---@param before string[]
---@param steps haplua.fleet.Step[]
---@return table set
local function after(text, before, steps, n)
  local names = table.move(before, 1, #before, 1, {})
  for i = 1, n do
    table.move(steps[i].names, 1, #steps[i].names, #names + 1, names)
  end
  local left = steps[n].left
  return { nodes = not steps[n].open and names, labels = false, rollout = left ~= "" and { stages = text, left = left } }
end

--- Lines on how to go on, and how to undo.
---@return string[]
local function advice(m, options, left)
  local name = maintenance.name(m)
  return {
    left ~= "" and ("the stages that are left were not begun; to go on: haplua maint change %s%s --stages '%s'"):format(name,
      options, left) or "all stages are begun",
    ("to undo: haplua maint off %s%s"):format(name, options),
  }
end

--- Run a step. Where it is interrupted, or the store goes away, say how to go on.
---@param m haplua.Maintenance?  as it was before; nil: nothing is in force yet
---@param left string  the stages that are left, with that of the step: nodes that have the maintenance are passed over
local function guarded(m, how, left, fn, ...)
  local ok, result = pcall(fn, ...)
  if not ok then
    if m and errors.is(result) then
      io.stderr:write("haplua: ", table.concat(advice(m, how.options, left), "\nhaplua: "), "\n")
    end
    error(result, 0)
  end
  return result
end

--- The maintenance as the store has it now.
local function current(c, id)
  for _, m in ipairs(c.store:current(c.name)) do
    if m.id == id then
      return m
    end
  end
  errors.refuse(("m%d was ended meanwhile: no further stage is begun"):format(id))
end

--- Is a step proved? Says so, or writes into the result what to do.
local function is_proved(how, result, step, i, n)
  if result.refused then
    return false
  end
  local at = ("stage %s (step %d of %d)"):format(step.stage, i, n)
  if results.exit_status(result, how.every_node) ~= 0 and not (step.open and #result.nodes == 0) then
    result.notes = { at .. " is not proved", table.unpack(advice(result.about, how.options, step.left)) }
    return false
  end
  how.say(("%s: %s"):format(at, results.headline(result)))
  return true
end

--- Show the steps of a dry run, and what the maintenance would be after the last one.
---@param m haplua.Maintenance?  nil: the first step would begin it
---@param finally table  what it would be for
local function dry(c, request, how, m, steps, finally)
  for i, step in ipairs(steps) do
    how.say(("stage %s (step %d of %d): %s"):format(step.stage, i, #steps, step.open and "all nodes that are left"
      or table.concat(step.names, " ")))
  end
  if m then
    return actions.grow(c, request, m, finally)
  end
  request.nodes, request.labels, request.rollout = finally.nodes or nil, nil, finally.rollout or nil
  return actions.begin(c, request)
end

--- Carry out the steps from one on.
---@param m haplua.Maintenance?  nil: the first step begins it
local function run(c, request, text, how, m, before)
  local steps = stages.steps(text, known_nodes(c), before)
  if not steps[1] then
    errors.refuse(("all nodes of '%s' have the maintenance already"):format(errors.visible(text)))
  end
  if require("haproxy").dry_run() then
    return dry(c, request, how, m, steps, after(text, before, steps, #steps))
  end
  local result
  request.probed = true
  request.finally = request.together and after(text, before, steps, #steps) or nil
  for i, step in ipairs(steps) do
    local set = after(text, before, steps, i)
    if m then
      result = guarded(m, how, i > 1 and steps[i - 1].left or text, actions.grow, c, request, current(c, m.id), set)
    else
      request.nodes, request.labels, request.rollout = set.nodes or nil, nil, set.rollout or nil
      result = actions.begin(c, request)
    end
    request.together, request.replace = nil, nil
    if not is_proved(how, result, step, i, #steps) then
      return result
    end
    m = result.about
  end
  return result
end

--- Begin a maintenance stage by stage.
---@param c haplua.FleetContext
---@param request haplua.FleetRequest
---@param text string  the stages
---@param how haplua.fleet.StagesHow
---@return haplua.FleetResult  of the last step that was begun
function M.begin(c, request, text, how)
  return run(c, request, text, how, nil, {})
end

--- Go on with a maintenance that is for some nodes, once these have carried it out.
---@param c haplua.FleetContext
---@param request haplua.FleetRequest
---@param id integer?  nil: the only one
---@param text string
---@param how haplua.fleet.StagesHow
---@return haplua.FleetResult
function M.go_on(c, request, id, text, how)
  local m, before = actions.one(c, request, id), {}
  if not m.nodes and not m.labels then
    errors.refuse(("%s is for all nodes already"):format(maintenance.name(m)), "haplua maint status shows which have it")
  end
  for _, node in ipairs(known_nodes(c)) do
    before[#before + 1] = fleet.is_for(m, node) and node.name or nil
  end
  local result = results.of({ fleet = c.name, action = "change", about = m, ended = {}, in_force = {}, within = request.within
    or actions.WITHIN, nodes = reports.of_change(c, { m.id }, request.within or actions.WITHIN, true) })
  if before[1] and results.exit_status(result, how.every_node) ~= 0 then
    result.notes = { "the stages before are not proved", table.unpack(advice(m, how.options, text)) }
    return result
  end
  return run(c, request, text, how, m, before)
end

return M
