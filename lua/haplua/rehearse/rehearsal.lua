-- SPDX-License-Identifier: MIT
--
--- A rehearsal of a maintenance: the user's own HAProxy, on the user's own files, apart from the system, is asked as
-- visitors would ask, before and after.

local enter = require("haplua.rehearse.enter")
local errors = require("haplua.error")
local failure = require("haplua.rehearse.failure")
local haproxy = require("haproxy")
local json = require("haplua.json")
local judge = require("haplua.rehearse.judge")
local lists = require("haplua.rehearse.lists")
local running = require("haplua.rehearse.running")

local M = {}

-- So long a rehearsal may take.
local WITHIN <const> = 300

---@class haplua.rehearse.Options
---@field program string?
---@field files string[]  none: those of the HAProxy that runs
---@field urls string[]?
---@field sources string[]?
---@field versions string[]?

---@class haplua.Rehearsal
---@field frontends haplua.rehearse.Frontend[]
---@field as_wanted boolean?  nil: some cannot be told
---@field notes string[]
---@field version string  of HAProxy
---@field program string
---@field scope haplua.Scope
---@field seconds number

--- What the first process is to do.
---@return haplua.rehearse.Order
local function order_of(request, options)
  local order = {
    asked = {
      urls = options.urls or {}, sources = options.sources or {},
      versions = options.versions or {}, bypass = {}, replace = request.replace,
    },
    is_user = require("haplua.process").person().uid ~= 0, addresses = running.addresses(), lists = {}, notes = {},
  }
  if #options.files > 0 then
    order.start = running.named(options.program, options.files)
    order.request = request
    order.request.journal, order.request.file = false, false
    order.configuration = require("haplua.store.config").source(request.config)
  else
    local target = haproxy.target()
    order.start = running.of_target(target)
    order.start.program = options.program or order.start.program
    order.switch = lists.switch(request)
    order.lists, order.notes = lists.all(target)
  end
  order.sockets = running.sockets(order.start.pid or "self")
  if order.start.mounts then
    local more = running.sockets("self")
    table.move(more, 1, #more, #order.sockets + 1, order.sockets)
  end
  return order
end

--- JSON knows no integers.
local function with_integers(value)
  for key, item in pairs(type(value) == "table" and value or {}) do
    value[key] = with_integers(item)
  end
  return type(value) == "number" and math.tointeger(value) or value
end

--- Rehearse a maintenance.
---@param request haplua.Request  what `maint on` would be asked for
---@param options haplua.rehearse.Options
---@return haplua.Rehearsal  raises `refused` where HAProxy does not start, with its words; `denied` without the rights
function M.run(request, options)
  local task = require("haplua.task")
  local began, order = task.now(), order_of(request, options)
  local words = enter.words("haplua.rehearse.enter", order.start.files[1])
  words.stdin, words.stdout, words.stderr = json.encode(order), "capture", "capture"
  local status, out, err = task.deadline(WITHIN, require("run"), words)
  local ok, outcome = pcall(json.decode, out)
  if not ok then
    failure.raise("protocol", ("the rehearsal ended with status %d: %s"):format(status, err))
  elseif outcome.error then
    error(errors.new(outcome.error), 0)
  end
  outcome = with_integers(outcome)
  local frontends, as_wanted = judge.all(outcome.questions, outcome.natures, outcome.backends)
  return {
    frontends = frontends, as_wanted = as_wanted, notes = outcome.notes, version = outcome.version,
    program = order.start.program, scope = outcome.scope, seconds = task.now() - began,
  }
end

return M
