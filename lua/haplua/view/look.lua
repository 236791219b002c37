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

--- Begin a look. Two tasks may look at once: what the look that began earlier has seen is no news once the other is over.
---@param one haplua.view.Target
---@param kind "servers"|"maintenances"
---@return fun(): boolean is_news  call it when the look is over
local function begin(one, kind)
  local looks = one.looks or {}
  one.looks = looks
  looks[kind] = looks[kind] or { begun = 0, over = 0 }
  local of_kind = looks[kind]
  of_kind.begun = of_kind.begun + 1
  local mine = of_kind.begun
  return function()
    local is_news = mine > of_kind.over
    of_kind.over = math.max(mine, of_kind.over)
    return is_news
  end
end

--- Look at the process and at the servers.
---@param one haplua.view.Target
function M.servers(one)
  local is_news, info, rows = begin(one, "servers"), nil, nil
  local problem = try(function()
    local texts = one.target:batch(COMMANDS)
    info, rows = reply.pairs(texts[1]), reply.rows(texts[2])
  end)
  if not is_news() then
    return
  elseif problem then
    model.lose(one, problem, task.time())
  else
    model.update(one, info, rows, task.now())
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

--- The status of the switch and of the servers. Without the switch, that of the servers, and why.
---@return haplua.Status, string? problem
local function status_of(one, acl)
  local c = one.context
  if not c or not c.journal then
    c = context.open({ acl = acl }, true)
  end
  one.context = c
  local found
  local problem = try(function()
    found = status.status(c)
  end)
  return found or status.of_servers(c, all_servers(one)), problem
end

--- Look at the maintenances.
---@param one haplua.view.Target
---@param acl string?
function M.maintenances(one, acl)
  core.use(one.target)
  local is_news, found, without_switch = begin(one, "maintenances"), nil, nil
  local problem = try(function()
    found, without_switch = status_of(one, acl)
  end)
  if not is_news() then
    return
  elseif problem then
    one.context = nil
    one.problem = not one.away and problem or nil
  else
    one.status, one.problem = found, without_switch
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
