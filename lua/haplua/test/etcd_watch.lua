-- SPDX-License-Identifier: MIT
--
--- Watches of a fake etcd (haplua.test.etcd): what a client hears of them, and when they end.

local keys = require("haplua.test.etcd_keys")
local signal = require("haplua.base.signal")
local task = require("haplua.task")

local M = {}

-- Seconds after which a member ends the watches that it has without a leader.
local NO_LEADER <const> = 5

-- The longest single wait, in seconds; and the shortest, below which the clock's rounding would have it come to nothing.
local LONGEST <const> = 3600
local SHORTEST <const> = 0.001

---@class haplua.test.etcd.Watch
---@field private etcd haplua.test.Etcd
---@field private user string
---@field private member haplua.test.etcd.Member
---@field private op table
---@field private from integer  the first revision that was not sent yet
---@field private stream {starts: integer, streams: integer}  of the member and the cluster when it began
---@field private silence number
---@field private begun boolean?
---@field private without number?  since when the member has no leader, on task.now()
---@field private news haplua.base.Signal  there has been a write or a fault
---@field compacted integer?  what it has not sent is forgotten until this revision
---@field private over string?  why there is nothing more
local Watch = {}
Watch.__index = Watch

--- Begin a watch. The client has reached the member.
---@param etcd haplua.test.Etcd
---@param user string
---@param member haplua.test.etcd.Member
---@param op {key: string, prefix: boolean?, range_end: string?, revision: integer?, silence: number?}
---@return haplua.test.etcd.Watch
function M.new(etcd, user, member, op)
  local watch = setmetatable({
    etcd = etcd, user = user, member = member, op = op, silence = op.silence or 13,
    from = (op.revision or 0) > 0 and op.revision or etcd.keys.revision + 1,
    news = signal.new(), stream = { starts = member.starts, streams = etcd.streams },
  }, Watch)
  table.insert(etcd.watches, watch)
  return watch
end

--- Have watches of a cluster look again.
---@param etcd haplua.test.Etcd
---@param from integer?  those alone that hear of a write since this revision; nil: all
function M.wake(etcd, from)
  local written, hears = from and etcd.keys:written(from), {}
  for _, watch in ipairs(written and #written == 0 and {} or etcd.watches) do
    local op = watch.op
    if hears[op.key] == nil then -- a thousand agents watch the same
      hears[op.key] = not written
      for _, key in ipairs(written or {}) do
        hears[op.key] = hears[op.key] or keys.covers(op, key) or keys.covers({ key = op.key, prefix = true }, key)
      end
    end
    if hears[op.key] then
      watch.news:set()
    end
  end
end

--- The watches that have not sent all until a revision.
---@param etcd haplua.test.Etcd
---@param revision integer
---@return haplua.test.etcd.Watch[]
function M.late(etcd, revision)
  local found = {}
  for _, watch in ipairs(etcd.watches) do
    found[#found + 1] = #etcd.keys:events(watch.op, watch.from, revision - 1) > 0 and watch or nil
  end
  return found
end

--- Since when nothing comes through between the client and the member.
local function cut_since(watch)
  return watch.etcd.cuts[watch.user .. " " .. watch.member.endpoint]
end

--- Why the stream of a watch is over, and when it will be if nothing changes.
---@return string? reason, number at
local function ended(watch)
  local member, etcd, cut = watch.member, watch.etcd, cut_since(watch)
  if cut then
    local at = cut + watch.silence
    return at <= task.now() and "the member is silent" or nil, at
  elseif member.down or member.starts ~= watch.stream.starts or etcd.streams ~= watch.stream.streams then
    return "the member ended the stream", 0
  elseif member.alone or not etcd:has_quorum() then
    watch.without = watch.without or task.now()
    local at = watch.without + NO_LEADER
    return at <= task.now() and "no leader" or nil, at
  end
  watch.without = nil
  return nil, math.huge
end

--- What a watch has to send now; nothing: it waits.
local function take(watch)
  local etcd = watch.etcd
  if cut_since(watch) then
    return nil
  elseif not watch.begun then
    watch.begun = true
    local ok, problem = pcall(etcd.check_right, etcd, watch.user, watch.op, "read")
    if not ok then
      return nil, "denied", problem.message
    end
    watch.compacted = watch.from < etcd.keys.compacted and etcd.keys.compacted or nil
  end
  if watch.compacted then
    return nil, "compacted", watch.compacted
  end
  local latest = etcd:seen_by(watch.member)
  local events = etcd.keys:events(watch.op, watch.from, latest)
  watch.from = math.max(watch.from, latest + 1)
  if #events > 0 then
    return { revision = latest, events = events }
  end
end

--- As the watches of haplua.etcd.client.
---@param timeout number?  seconds
function Watch:next(timeout)
  local etcd, latest = self.etcd, task.now() + (timeout or math.huge)
  while not self.over do
    etcd:expire()
    local why, at = ended(self)
    if why then
      self:close()
      self.over = why
      break
    end
    local found, kind, reason = take(self)
    if found or kind then
      return found, kind, reason
    elseif task.now() >= latest then
      return nil, "timeout"
    end
    local stop = math.min(at, latest, etcd:next_expiry(self.op), task.now() + LONGEST)
    self.news:wait(task.sleep, math.max(SHORTEST, stop - task.now()))
  end
  return nil, "ended", self.over
end

function Watch:close()
  self.over = self.over or "closed"
  for i, watch in ipairs(self.etcd.watches) do
    if watch == self then
      table.remove(self.etcd.watches, i)
      break
    end
  end
end
Watch.__close = Watch.close

return M
