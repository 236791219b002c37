-- SPDX-License-Identifier: MIT
--
--- A fleet as one who looks on sees it: its maintenances, and what each node has reported, kept up to date.

local actions = require("haplua.fleet.actions")
local config = require("haplua.store.config")
local errors = require("haplua.error")
local nodes = require("haplua.store.etcd_nodes")
local results = require("haplua.fleet.result")
local task = require("haplua.task")

local M = {}

-- Seconds: until all is read anew where etcd reports no change, and between two attempts to reach the store.
local READ_ANEW <const> = 10
local PAUSE <const> = 1

-- Reads take one part in so many of the time: each reads all.
local READ_PART <const> = 10

---@class haplua.fleet.Row  a node
---@field name string
---@field place string  its labels: "dc=fra"
---@field live boolean
---@field since number?  live since then, by the node's clock; away since then, where that was seen
---@field heard number?  away: when it last reported, by its clock
---@field state "in step"|"behind"|"refused"|"away"
---@field text string  what it has made of each switch

---@class haplua.fleet.Sight
---@field fleet string
---@field name string  "fleet shop"
---@field has_switches boolean  the configuration has several
---@field nodes haplua.fleet.Row[]
---@field gone table<string, number|false>  of row_of()
---@field status {on: boolean, maintenances: haplua.Maintenance[], planned: haplua.Maintenance[], disagreements: table[]}?
---@field away {since: number, text: string}?  the store does not answer; since when, in seconds since 1970

---@param gone table<string, number|false>  by node: since when it is away; false: it was live at the last read
local function row_of(found, node, gone)
  local text, _, state = results.site_of(found, node)
  local heard
  for _, seen in pairs(not node.live and node.seen or {}) do
    heard = math.max(heard or 0, seen.at or 0)
  end
  if node.live then
    gone[node.name] = false
  elseif gone[node.name] == false then
    gone[node.name] = task.time()
  end
  local since = node.live and node.live.at or gone[node.name] or nil
  return { name = node.name, place = results.for_whom({ labels = nodes.labelled(node).labels }), live = node.live ~= nil,
    since = since, heard = heard, state = node.live and state or "away", text = text }
end

--- Read all of the fleet once.
---@param c haplua.FleetContext
---@param sight haplua.fleet.Sight  is filled in
---@return integer revision  of the store
local function read(c, sight)
  local found = actions.status(c)
  local seen = { on = false, maintenances = {}, planned = {}, disagreements = {} }
  for _, m in ipairs(found.maintenances) do
    local list = m.begins > task.time() and seen.planned or seen.maintenances
    list[#list + 1] = m
  end
  for i, key in ipairs(found.unread) do
    seen.disagreements[i] = { text = "a key of the store holds no maintenance: " .. key }
  end
  local rows = {}
  for i, node in ipairs(found.nodes) do
    rows[i] = row_of(found, node, sight.gone)
  end
  seen.on, sight.status, sight.nodes, sight.away = #seen.maintenances > 0, seen, rows, nil
  return found.revision
end

--- Follow the store until a watch ends.
local function follow(found, sight, changed)
  local c <close> = actions.open(found, { switch = "-" })
  local revision = read(c, sight)
  changed()
  local watch <close> = c.client:watch({ key = c.store.prefix, prefix = true, revision = revision + 1 })
  while true do
    local events, why, reason = watch:next(READ_ANEW)
    if why == "denied" then
      errors.refuse("etcd does not let this user watch the fleet: " .. tostring(reason), "haplua fleet rights shows the rights")
    elseif not events and why ~= "timeout" then
      return
    elseif not events or events.revision > revision then
      local began = task.now()
      revision = read(c, sight)
      changed()
      task.sleep((task.now() - began) * (READ_PART - 1))
    end
  end
end

--- The fleet of a configuration, of which nothing was read yet. Sends nothing.
---@param found haplua.Config  with a fleet
---@return haplua.fleet.Sight
function M.sight(found)
  return { fleet = found.fleet.name, name = "fleet " .. found.fleet.name, nodes = {}, backends = {}, gone = {},
    has_switches = #config.names(found) > 1 }
end

--- Keep a sight up to date until the task is cancelled. Where the store does not answer, what was read last stays.
---@param found haplua.Config  with a fleet
---@param sight haplua.fleet.Sight
---@param changed fun()  called after each change of the sight
function M.run(found, sight, changed)
  while true do
    local ok, problem = pcall(follow, found, sight, changed)
    if not ok then
      if not errors.is(problem) or problem.kind == "interrupted" or problem.kind == "memory" then
        error(problem, 0)
      end
      sight.away = { since = sight.away and sight.away.since or task.time(), text = tostring(problem) }
      changed()
    end
    task.sleep(PAUSE)
  end
end

return M
