-- SPDX-License-Identifier: MIT
--
--- Stages of a fleet's maintenance: 'canary; dc=fra/2; *'. A stage is a list of nodes' names and labels, or * for all that
-- are left, the last one. /N: N nodes at a time. A step is what is begun at once: a stage, or N nodes of it.

local errors = require("haplua.error")

local M = {}

---@class haplua.fleet.Step
---@field stage string  its text
---@field names string[]  the nodes that it adds
---@field open boolean  it is the last one of *: from then on the maintenance is for all nodes
---@field left string  the stages that come after it, as a text for --stages; "": none

local function refuse(stage, form, ...)
  errors.refuse(("stage '%s': "):format(errors.visible(stage)) .. form:format(...), "--stages 'canary; dc=fra/2; *'")
end

---@class haplua.fleet.Stage
---@field text string
---@field items string[]  names, and labels as NAME=VALUE
---@field all boolean
---@field size integer  so many nodes at a time

--- Read one stage.
---@return haplua.fleet.Stage
local function read(text)
  local body, size = text:match("^(.-)%s*/%s*(%d+)$")
  local stage = { text = text, items = {}, all = (body or text) == "*", size = math.tointeger(tonumber(size or math.maxinteger)) }
  if stage.size == 0 or text:find("['%c]") then
    refuse(text, stage.size == 0 and "0 nodes at a time are none" or "it has a quote or a control character")
  end
  for item in ((body or text) .. ","):gmatch("%s*(.-)%s*,") do
    stage.items[#stage.items + 1] = item
    if item == "" or item:find("*", 1, true) and not stage.all then
      refuse(text, item == "" and "a name is missing" or "* goes with no other name")
    end
  end
  return stage
end

---@param text string
---@return haplua.fleet.Stage[]  raises `refused`
function M.read(text)
  local stages = {}
  for part in (text .. ";"):gmatch("%s*(.-)%s*;") do
    if stages[1] and stages[#stages].all then
      refuse(part, "it comes after *, which is the last one")
    end
    stages[#stages + 1] = read(part)
  end
  return stages
end

--- The nodes that a stage names and no stage before, in the order of their names.
---@param nodes {name: string, labels: table<string, string>}[]
---@param taken table<string, boolean>
local function names_of(stage, nodes, taken)
  local found = {}
  for _, item in ipairs(stage.items) do
    local label, value = item:match("^([^=]+)=(.+)$")
    local is_there = stage.all
    for _, node in ipairs(nodes) do
      local is_meant = stage.all or node.name == item or label ~= nil and node.labels[label] == value
      is_there = is_there or is_meant
      if is_meant and not taken[node.name] then
        taken[node.name] = true
        found[#found + 1] = node.name
      end
    end
    if not is_there then
      refuse(stage.text, label and "no node of the fleet has the label %s" or "the fleet has no node %s", errors.visible(item))
    end
  end
  table.sort(found)
  return found
end

--- The texts of stages from one on.
local function text_from(stages, first)
  local texts = {}
  for i = first, #stages do
    texts[#texts + 1] = stages[i].text
  end
  return table.concat(texts, "; ")
end

--- The steps of stages. One that adds no node is left out, but for *.
---@param text string
---@param nodes {name: string, labels: table<string, string>}[]  of the fleet
---@param before string[]  those that have the maintenance already
---@return haplua.fleet.Step[]  raises `refused`
function M.steps(text, nodes, before)
  local stages, steps, taken = M.read(text), {}, {}
  for _, name in ipairs(before) do
    taken[name] = true
  end
  for i, stage in ipairs(stages) do
    local names = names_of(stage, nodes, taken)
    for first = 1, math.max(#names, stage.all and 1 or 0), stage.size < #names and stage.size or math.max(1, #names) do
      local last = math.min(#names, first + math.min(stage.size, #names) - 1)
      local is_last = last >= #names
      steps[#steps + 1] = { stage = stage.text, names = table.move(names, first, last, 1, {}), open = stage.all and is_last,
        left = text_from(stages, is_last and i + 1 or i) }
    end
  end
  return steps
end

return M
