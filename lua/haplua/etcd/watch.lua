-- SPDX-License-Identifier: MIT
--
--- A watch of etcd: a call whose answer goes on. haplua.etcd.client begins it.
-- A member that is cut off without a word is noticed within `silence` seconds: where nothing came for half of them, the
-- watch asks the member for its status, and ends unless that is answered in the other half. That the connection of the
-- watch is still there, TCP finds out meanwhile (keepalive, src/etcd/stream.c).

local attempt = require("haplua.etcd.attempt")
local messages = require("haplua.etcd.messages")
local task = require("haplua.task")

local M = {}

---@class haplua.etcd.Watch
---@field revision integer?  the latest revision of the store that the member named in this watch
---@field private call table  of src/etcd/module.c
---@field private ask fun(): table?  begins a call for the member's status; nil: the client is closed
---@field endpoint string
---@field private plan haplua.etcd.Plan
---@field private silence number  seconds
---@field private heard number  when something last came, on task.now()
---@field private probe table?  a call for the status that was not answered yet
---@field private probed number  when that began
---@field private over {[1]: string, [2]: any}?  why there is nothing more
local Watch = {}
Watch.__index = Watch

---@param call table
---@param ask fun(): table?
---@param plan haplua.etcd.Plan
---@return haplua.etcd.Watch
function M.new(call, ask, plan, silence)
  return setmetatable({
    call = call, ask = ask, plan = plan, endpoint = plan.endpoint, silence = silence, heard = task.now(),
  }, Watch)
end

local function finish(watch, why, reason)
  watch:close()
  watch.over = { why, reason }
end

--- End a watch that etcd has cancelled: its stream would stay open.
local function cancelled(watch, response)
  local reason = response.cancel_reason
  if response.compact_revision > 0 then
    finish(watch, "compacted", response.compact_revision)
  elseif reason:find("permission denied", 1, true) or reason:find("PermissionDenied", 1, true) then
    finish(watch, "denied", reason)
  else
    finish(watch, "ended", reason ~= "" and reason or "etcd has cancelled it")
  end
end

--- The stream is over. Its last words say why.
---@return haplua.etcd.Failure
local function stream_ended(watch)
  local failure = attempt.failure(watch.plan, watch.call:outcome())
  if failure.error.code == "7" or failure.error.code == "16" then
    finish(watch, "denied", failure.error.message)
  else
    finish(watch, "ended", failure.error.message)
  end
  return failure
end

--- Has the member confirmed the watch, and is it still on?
---@param seconds number
---@return boolean? begun, haplua.etcd.Failure? failure  false: etcd has cancelled it, and next() says why
function Watch:begin(seconds)
  local response, why = self.call:next(seconds)
  if not response and why == "timeout" then
    return nil, attempt.late(self.plan, self.call:outcome(), seconds)
  elseif not response then
    local failure = stream_ended(self)
    if self.over[1] == "denied" then
      return false
    end
    return nil, failure
  end
  self.heard, self.revision = task.now(), response.header and response.header.revision
  if response.canceled then
    cancelled(self, response)
  end
  return not response.canceled
end

--- Does the member still answer? Begins to ask where it was silent for half of the time.
local function check_silence(watch)
  local now, half = task.now(), watch.silence / 2
  if watch.probe then
    local answer, why = watch.probe:next(0)
    if answer or why == "end" and watch.probe:outcome().status then
      watch.heard = now
    elseif now - watch.probed < half then
      return
    else
      finish(watch, "ended", ("the member was silent for %g s"):format(watch.silence))
    end
    if watch.probe then
      watch.probe:close()
      watch.probe = nil
    end
  elseif now - watch.heard >= half then
    watch.probe, watch.probed = watch.ask(), now
    if not watch.probe then
      finish(watch, "ended", "the client is closed")
    end
  end
end

--- Seconds until check_silence() has something to do.
local function until_check(watch)
  local since = watch.probe and watch.probed or watch.heard
  return math.max(since + watch.silence / 2 - task.now(), 0)
end

--- Take a response. Returns what it has for the user.
local function take(watch, response)
  watch.heard, watch.revision = task.now(), response.header and response.header.revision or watch.revision
  if response.canceled then
    cancelled(watch, response)
  elseif #response.events > 0 then
    return messages.watched(response)
  end
end

--- Wait for events. Those of one revision come together.
---@param timeout number?  seconds; without end unless given
---@return {revision: integer, events: {type: "put"|"delete", kv: table}[]}? found
---@return "timeout"|"ended"|"compacted"|"denied"|nil why  ended: read again, and watch from that revision + 1
---@return any reason  a text; compacted: the first revision that is left
function Watch:next(timeout)
  local latest = task.now() + (timeout or math.huge)
  while not self.over do
    local wait = math.min(latest - task.now(), until_check(self))
    local response, why = self.call:next(wait)
    if response then
      local found = take(self, response)
      if found then
        return found
      end
    elseif self.over then -- closed meanwhile
      break
    elseif why == "end" then
      stream_ended(self)
    else
      check_silence(self)
      if not self.over and task.now() >= latest then
        return nil, "timeout"
      end
    end
  end
  return nil, table.unpack(self.over, 1, 2)
end

--- End the watch. A task that waits in next() gets "ended". May be called again.
function Watch:close()
  self.over = self.over or { "ended", "closed" }
  self.call:close()
  if self.probe then
    self.probe:close()
  end
end
Watch.__close = Watch.close

return M
