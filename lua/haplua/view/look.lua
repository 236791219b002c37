-- SPDX-License-Identifier: MIT
--
--- Looks at an HAProxy and at its maintenances, again and again.

local context = require("haplua.apply.context")
local core = require("haplua.core")
local errors = require("haplua.error")
local model = require("haplua.view.model")
local reply = require("haplua.reply")
local status = require("haplua.apply.status")
local task = require("haplua.task")

local M = {}

-- Backends (2) and servers (4) of all proxies.
local COMMANDS <const> = { "show info", "show stat -1 6 -1" }

-- A look at the maintenances may take one part in so many of the time: it reads whole lists.
local STATUS_PART <const> = 50

--- Call a function, and return what HAProxy, the journal or a file refuses as a text. Raises everything else.
---@return string? problem
local function try(fn, ...)
  local ok, problem = pcall(fn, ...)
  if ok then
    return nil
  elseif not errors.is(problem) or problem.kind == "interrupted" or problem.kind == "memory" then
    error(problem, 0)
  end
  return tostring(problem)
end

local function look(one)
  local texts = one.target:batch(COMMANDS)
  model.update(one, reply.pairs(texts[1]), reply.rows(texts[2]), task.now())
end

--- Look at the process and at the servers.
---@param one haplua.view.Target
function M.servers(one)
  local problem = try(look, one)
  if problem then
    model.lose(one, problem, task.time())
  end
end

--- The words that name all servers: "app/" for each backend.
local function all_servers(one)
  local words = {}
  for _, backend in ipairs(one.backends) do
    words[#words + 1] = #backend.servers > 0 and backend.name .. "/" or nil
  end
  return words
end

--- The status of the switch, and of all servers. Without the switch, that of the servers.
local function look_at_maintenances(one, acl)
  local c = one.context
  if not c or not c.journal then
    c = context.open({ acl = acl }, true)
  end
  one.context = c
  local found
  local problem = try(function()
    found = status.status(c)
  end)
  if problem then
    found = status.of_servers(c, all_servers(one))
  end
  one.status, one.problem = found, problem
end

--- Look at the maintenances.
---@param one haplua.view.Target
---@param acl string?
function M.maintenances(one, acl)
  core.use(one.target)
  local problem = try(look_at_maintenances, one, acl)
  if problem then
    one.context = nil
    one.problem = not one.away and problem or nil
  end
end

--- Look until the task is cancelled.
---@param one haplua.view.Target
---@param every number  seconds
---@param changed fun()  called after each look
function M.follow_servers(one, every, changed)
  while true do
    M.servers(one)
    changed()
    task.sleep(every)
  end
end

---@param one haplua.view.Target
---@param acl string?
---@param every number  seconds
---@param changed fun()
function M.follow_maintenances(one, acl, every, changed)
  while true do
    local began = task.now()
    if one.seen then
      M.maintenances(one, acl)
      changed()
    end
    task.sleep(one.seen and math.max(every, (task.now() - began) * STATUS_PART) or math.min(every, 0.1))
  end
end

return M
