-- SPDX-License-Identifier: MIT
--
--- What visitors get of a switch: probes are asked, and compared with the maintenances in force.

local coverage = require("haplua.plan.coverage")
local errors = require("haplua.error")
local probes = require("haplua.visit.probe")
local task = require("haplua.task")

local M = {}

--- Ask the probes of a switch, all at once. Waits, 5 s for each probe unless it says otherwise.
---@param list haplua.Probe[]
---@param now haplua.InForce  a plan or a result
---@param once boolean?  take the first answer
---@return haplua.Visit[]
function M.ask(list, now, once)
  local tasks, visits = {}, {}
  for i, probe in ipairs(list) do
    local url = coverage.parse(probe.url, probe.host)
    tasks[i] = task.spawn(probes.visit, probe, function(source)
      return (coverage.wanted(now, url, source))
    end, once)
  end
  for i, asking in ipairs(tasks) do
    visits[i] = asking:wait()
  end
  return visits
end

--- What probes came to: the exit status of a command line. A wrong answer counts before none.
---@param visits haplua.Visit[]?
---@return integer? status  1: visitors get something else than is wanted; 3: no answer; nil: all is well
function M.status(visits)
  local status
  for _, visit in ipairs(visits or {}) do
    status = visit.ok == false and 1 or status or visit.error and 3 or nil
  end
  return status
end

--- Lines on what probes came to.
---@param visits haplua.Visit[]
---@return string[]
function M.lines(visits)
  local lines = {}
  for i, visit in ipairs(visits) do
    local text = errors.visible(probes.text(visit))
    lines[i] = (visit.ok or not visit.wanted and visit.seen) and text or "but " .. text
      .. (visit.error and visit.error.advice and "\n    " .. visit.error.advice or "")
  end
  return lines
end

--- Raise where a visitor gets something else than is wanted, or no answer.
---@param visits haplua.Visit[]?
function M.demand(visits)
  local status = M.status(visits)
  for _, visit in ipairs(status and visits or {}) do
    if visit.error and status == 3 then
      error(visit.error, 0)
    elseif visit.ok == false then
      errors.refuse(probes.text(visit), "maint doctor looks for the reason in HAProxy's configuration")
    end
  end
end

--- For JSON.
---@param visits haplua.Visit[]?
---@return table[]?
function M.portable(visits)
  local copies = {}
  for i, visit in ipairs(visits or {}) do
    copies[i] = {
      url = visit.url, address = visit.address, source = visit.source, wanted = visit.wanted, seen = visit.seen,
      status = visit.status, version = visit.version, seconds = visit.seconds, ok = visit.ok,
      error = visit.error and tostring(visit.error) or nil,
    }
  end
  return visits and copies
end

return M
