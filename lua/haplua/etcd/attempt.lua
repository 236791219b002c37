-- SPDX-License-Identifier: MIT
--
--- One call at one member of etcd, and what its end means: an answer, or a failure after which the call was surely not
-- carried out, or may have been.

local errors = require("haplua.error")
local task = require("haplua.task")
local trouble = require("haplua.etcd.trouble")

local M = {}

-- Statuses of gRPC after which nobody knows whether the call was carried out: Canceled, Unknown, DeadlineExceeded,
-- Internal, Unavailable, DataLoss.
local unknown = { [1] = true, [2] = true, [4] = true, [13] = true, [14] = true, [15] = true }

-- etcd's words where it refuses a call before it does anything of it, and another member, or this one a little later,
-- may take it: without a leader; too many calls wait; the member has older rights than the call was checked against.
local not_now = {
  ["etcdserver: no leader"] = true,
  ["etcdserver: too many requests"] = true,
  ["etcdserver: revision of auth store is old"] = true,
}

---@class haplua.etcd.Failure
---@field error haplua.Error
---@field is_safe boolean  the call was surely not carried out
---@field is_final boolean  another member would answer the same
---@field is_silent boolean?  the member took it, and did not answer in time

local function failed(endpoint, kind, message, fields)
  fields = fields or {}
  return {
    error = errors.new{ kind = kind, message = message, target = endpoint, code = fields.code, phase = fields.phase,
      advice = fields.advice },
    is_safe = fields.is_safe or false, is_final = fields.is_final or false, is_silent = fields.is_silent,
  }
end

--- What a status of gRPC other than 0 means.
local function refused(plan, outcome)
  local message, advice = trouble.of_refusal(plan, outcome)
  local fields = { code = tostring(outcome.status), advice = advice }
  if not_now[outcome.message] then
    fields.is_safe = true
    return failed(plan.endpoint, "unreachable", errors.visible(message), fields)
  end
  fields.is_final = not unknown[outcome.status]
  fields.is_safe = fields.is_final
  return failed(plan.endpoint, "refused", errors.visible(message), fields)
end

--- What the end of a call without a whole answer means.
---@param plan haplua.etcd.Plan
---@param outcome table  of call:outcome()
---@return haplua.etcd.Failure
function M.failure(plan, outcome)
  if outcome.status and outcome.status ~= 0 then
    return refused(plan, outcome)
  elseif outcome.kind == "timeout" and not outcome.sent then
    return M.late(plan, outcome)
  elseif outcome.kind then
    local message, advice = trouble.of_connection(plan, outcome)
    return failed(plan.endpoint, outcome.kind, message, {
      is_safe = not outcome.sent or outcome.tls ~= nil, phase = outcome.phase, code = outcome.code, advice = advice,
    })
  elseif outcome.http and outcome.http > 0 and not outcome.grpc then
    local message = ("it is no etcd, or its gRPC is elsewhere: HTTP status %d"):format(outcome.http)
    return failed(plan.endpoint, "protocol", message, { is_safe = outcome.http < 500 })
  end
  return failed(plan.endpoint, "unreachable", "the member ended the call", { is_safe = not outcome.sent })
end

--- What it means that a call has not ended in time.
---@param plan haplua.etcd.Plan
---@param outcome table
---@param seconds number?  nil: the time for the connection was over
---@return haplua.etcd.Failure
function M.late(plan, outcome, seconds)
  if not outcome.sent then
    return failed(plan.endpoint, "unreachable", "no connection in time", {
      is_safe = true, phase = "connect", advice = trouble.NO_WAY,
    })
  end
  return failed(plan.endpoint, "timeout", ("no answer within %.1f s"):format(seconds or 0), { is_silent = true })
end

--- Make a call that has one answer.
---@param channel table  of src/etcd/module.c
---@param name string
---@param message table
---@param plan table  the options of channel:call()
---@return table? answer, haplua.etcd.Failure? failure
function M.unary(channel, name, message, plan)
  local latest = task.now() + plan.within
  local call <close> = channel:call(name, message, plan)
  local answer, why = call:next(plan.within)
  if answer then -- it counts once status 0 has come behind it
    local more
    more, why = call:next(math.max(latest - task.now(), 0.001))
    why = more and "end" or why
    answer = not more and answer or nil
  end
  local outcome = call:outcome()
  if why == "timeout" then
    return nil, M.late(plan, outcome, plan.within)
  elseif answer and outcome.status == 0 and not outcome.kind then
    return answer
  end
  return nil, M.failure(plan, outcome)
end

return M
