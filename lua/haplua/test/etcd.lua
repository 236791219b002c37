-- SPDX-License-Identifier: MIT
--
--- A fake etcd for tests: members that can be stopped, cut off, made to lag or restored from a snapshot, leases on the
-- clock, watches, and clients with the functions of haplua.etcd.client. Faults are asked for by a test, or drawn from a
-- seed by disturb(). All members share one store (haplua.test.etcd_keys): what is agreed upon is never in doubt here;
-- what a client learns of it is.

local errors = require("haplua.error")
local keys = require("haplua.test.etcd_keys")
local task = require("haplua.task")
local watches = require("haplua.test.etcd_watch")

local M = {}

-- Seconds: an election, and a silent attempt at one endpoint.
local ELECTION <const> = 1.5
local ATTEMPT <const> = 1

---@class haplua.test.etcd.Member
---@field endpoint string
---@field down boolean  it does not run: connections are refused
---@field alone boolean  the other members do not reach it
---@field behind integer?  it lags: it has what was written until this revision
---@field starts integer  how often it was started
---@field version string  of etcd; a test may set it
---@field db_size integer  bytes; a test may set it

---@class haplua.test.Etcd
---@field keys haplua.test.etcd.Keys
---@field members table<string, haplua.test.etcd.Member>
---@field endpoints string[]
---@field delay number  seconds that a call takes
---@field leader string
---@field leader_at number  when the leader is there, on task.now()
---@field private lost string[]  what becomes of the next writes: "done", or "lost"; nobody is told
---@field private denied {user: string?, prefix: string, what: string}[]
---@field private cuts table<string, number>  "USER ENDPOINT": since when packets between them get lost, on task.now()
---@field watches haplua.test.etcd.Watch[]  those that are open
---@field private expiries table<integer, number>  when each lease ends, on task.now()
---@field private first_expiry number  no lease ends earlier
local Etcd = {}
Etcd.__index = Etcd

--- Start a cluster.
---@param options {endpoints: string[]?, delay: number?}?  one member unless given
---@return haplua.test.Etcd
function M.new(options)
  options = options or {}
  local self = setmetatable({
    keys = keys.new(), members = {}, endpoints = options.endpoints or { "https://etcd1:2379" }, delay = options.delay or 0,
    leader_at = -math.huge, lost = {}, denied = {}, cuts = {}, watches = {}, expiries = {}, first_expiry = math.huge, streams = 0,
  }, Etcd)
  for _, endpoint in ipairs(self.endpoints) do
    self.members[endpoint] = { endpoint = endpoint, down = false, alone = false, starts = 1, version = "3.5.16",
      db_size = 20480 }
  end
  self.leader = self.endpoints[1]
  return self
end

local function is_in_quorum(member)
  return not member.down and not member.alone
end

--- Can the members agree on anything?
function Etcd:has_quorum()
  local n = 0
  for _, member in pairs(self.members) do
    n = n + (is_in_quorum(member) and 1 or 0)
  end
  return n * 2 > #self.endpoints
end

--- The latest revision that a member has.
---@param member haplua.test.etcd.Member
function Etcd:seen_by(member)
  return member.behind or self.keys.revision
end

-- Leases. Calls and waiting watches end those that are over.

--- End the leases whose time is over.
function Etcd:expire()
  local now = task.now()
  if now < self.first_expiry or not self:has_quorum() or now < self.leader_at then
    return
  end
  local over, before, first = {}, self.keys.revision, math.huge
  for id, at in pairs(self.expiries) do
    over[#over + 1] = at <= now and id or nil
    first = at <= now and first or math.min(first, at)
  end
  table.sort(over) -- so that each run of a test is the same
  for _, id in ipairs(over) do
    self.expiries[id] = nil
    self.keys:revoke(id)
  end
  self.first_expiry = first
  watches.wake(self, before + 1)
end

--- A new leader begins every lease anew.
local function renew_leases(self)
  for id in pairs(self.expiries) do
    self.expiries[id] = math.max(self.leader_at, task.now()) + self.keys.leases[id].ttl
  end
end

--- When the next lease of a key in a range ends, on task.now().
---@param op {key: string, prefix: boolean?, range_end: string?}
function Etcd:next_expiry(op)
  local first = math.huge
  for _, lease in ipairs(self:has_quorum() and self.keys:leases_of(op) or {}) do
    first = math.min(first, self.expiries[lease] or math.huge)
  end
  return math.max(first, self.leader_at)
end

--- Forget what was before a revision. A watch that has not sent all of it is over.
---@param revision integer
function Etcd:compact(revision)
  local late = watches.late(self, revision)
  self.keys:compact(revision)
  for _, watch in ipairs(late) do
    watch.compacted = revision
  end
  watches.wake(self)
end

-- Faults.

--- A member that has lost its leader's place, or has lost the leader.
local function elect(self)
  if is_in_quorum(self.members[self.leader]) then
    return
  end
  for _, endpoint in ipairs(self.endpoints) do
    if is_in_quorum(self.members[endpoint]) and self:has_quorum() then
      self.leader, self.leader_at = endpoint, task.now() + ELECTION
      renew_leases(self)
      return
    end
  end
end

--- Stop a member: its connections end, and new ones are refused.
---@param endpoint string
function Etcd:stop(endpoint)
  self.members[endpoint].down = true
  elect(self)
  watches.wake(self)
end

--- Start a member that was stopped. It has all that the others have.
function Etcd:start(endpoint)
  local member = self.members[endpoint]
  local had = self:has_quorum()
  member.down, member.behind, member.starts = false, nil, member.starts + 1
  if not had and self:has_quorum() then
    self.leader_at = task.now() + ELECTION
    renew_leases(self)
  end
  elect(self)
  watches.wake(self)
end

--- Cut a member off from the others, or with `false` no more. Clients reach it: it has no leader, and what it has is old.
---@param alone boolean?  true unless given
function Etcd:isolate(endpoint, alone)
  local member, had = self.members[endpoint], self:has_quorum()
  member.alone = alone ~= false
  member.behind = member.alone and self:seen_by(member) or nil
  member.alone_since = member.alone and task.now() or nil
  if not had and self:has_quorum() then
    self.leader_at = task.now() + ELECTION
    renew_leases(self)
  end
  elect(self)
  watches.wake(self)
end

--- Have a member lag, or with `false` catch up: its watches, and serializable reads there, are late.
---@param late boolean?  true unless given
function Etcd:lag(endpoint, late)
  local member = self.members[endpoint]
  member.behind = late ~= false and self:seen_by(member) or nil
  watches.wake(self)
end

--- Lose every packet between a user and a member, or with `false` no more. Neither learns of it.
---@param user string
---@param lost boolean?  true unless given
function Etcd:cut(user, endpoint, lost)
  self.cuts[user .. " " .. endpoint] = lost ~= false and task.now() or nil
  watches.wake(self)
end

--- Leave the outcome of the next write open: the client gets `doubt`.
---@param outcome "done"|"lost"
function Etcd:doubt(outcome)
  table.insert(self.lost, outcome)
end

--- Refuse writes that need space, or with `false` no more.
function Etcd:no_space(full)
  self.keys.no_space = full ~= false
end

--- Take a right away, or with `what` false give it back.
---@param user string?  nil: everybody's
---@param prefix string  of keys
---@param what "read"|"write"|false
function Etcd:deny(user, prefix, what)
  for i = #self.denied, 1, -1 do
    if self.denied[i].user == user and self.denied[i].prefix == prefix then
      table.remove(self.denied, i)
    end
  end
  if what then
    table.insert(self.denied, { user = user, prefix = prefix, what = what })
  end
end

--- Put the store back to a snapshot (`keys:snapshot()`), as a restore does. Streams end.
---@param snapshot haplua.test.etcd.Keys
function Etcd:restore(snapshot)
  self.keys, self.expiries, self.first_expiry, self.streams = snapshot, {}, -math.huge, self.streams + 1
  for id, lease in pairs(snapshot.leases) do
    self.expiries[id] = task.now() + lease.ttl
  end
  watches.wake(self)
end

--- Draw one fault, or the end of all of them, from a source of chance. One member at a time: a majority stays.
---@param random fun(n: integer): integer  a number from 1 to n
---@param users string[]  whose connections may be cut
---@return string what  for a log
function Etcd:disturb(random, users)
  local endpoint, user = self.endpoints[random(#self.endpoints)], users[random(#users)]
  local what = ({ "calm", "calm", "stop", "isolate", "lag", "cut", "done", "lost", "compact" })[random(9)]
  if what == "stop" or what == "isolate" then
    self:calm()
    self[what](self, endpoint)
  elseif what == "lag" then
    self:lag(endpoint)
  elseif what == "cut" then
    self:cut(user, endpoint)
  elseif what == "done" or what == "lost" then
    self:doubt(what)
  elseif what == "compact" and self.keys.revision > self.keys.compacted then
    self:compact(self.keys.revision)
  else
    self:calm()
  end
  return ("%s %s %s"):format(what, endpoint, user)
end

--- End every fault, but for doubts that are due and rights that were taken away.
function Etcd:calm()
  self.cuts = {}
  for _, endpoint in ipairs(self.endpoints) do
    local member = self.members[endpoint]
    if member.alone then
      self:isolate(endpoint, false)
    elseif member.down then
      self:start(endpoint)
    end
    member.behind = nil
  end
  watches.wake(self)
end

-- Clients.

---@class haplua.test.etcd.Client
---@field private etcd haplua.test.Etcd
---@field private user string
---@field private endpoints string[]
---@field private timeout number
---@field private at integer  which of the endpoints answers
local Client = {}
Client.__index = Client

--- A client of this cluster. Sends nothing.
---@param options {endpoints: string[]?, cert: string?, timeout: number?}  the user is the name of `cert` without folder
--- and ending, as the CN of a certificate would be
---@return haplua.test.etcd.Client
function Etcd:connect(options)
  return setmetatable({
    etcd = self,
    user = (options.cert or "root"):match("[^/]*$"):gsub("%.%w+$", ""),
    endpoints = options.endpoints or self.endpoints,
    timeout = options.timeout or 5, at = 1,
  }, Client)
end

local function fail(kind, client, text, code)
  local known = {}
  for _, one in ipairs(errors.kinds) do
    known[one.name] = true
  end
  error(errors.new({ kind = known[kind] and kind or "timeout", message = "etcd: " .. text, target = client.endpoints[client.at],
    code = code, in_doubt = kind == "doubt" and 1 or nil }), 0)
end

--- Why a member does not answer; nil: it does. Silence costs the client the time of an attempt.
local function silence(client, member, serializable)
  local etcd = client.etcd
  if not member or member.down then
    return "refused the connection"
  elseif etcd.cuts[client.user .. " " .. member.endpoint] then
    task.sleep(ATTEMPT)
    return "did not answer"
  elseif not serializable and (member.alone or not etcd:has_quorum()) then
    return "no leader"
  end
end

--- The member that takes a call: the one that took the latest, else the next that does.
---@return haplua.test.etcd.Member
local function choose(client, serializable)
  local latest, reasons = task.now() + client.timeout, {}
  for _ = 1, #client.endpoints do
    local endpoint = client.endpoints[client.at]
    local member = client.etcd.members[endpoint]
    local why = silence(client, member, serializable)
    if not why then
      return member
    end
    reasons[#reasons + 1] = ("%s: %s"):format(endpoint, why)
    client.at = client.at % #client.endpoints + 1
    if task.now() >= latest then
      break
    end
  end
  fail("unreachable", client, "no endpoint took the call: " .. table.concat(reasons, "; "))
end

--- Wait as a call does: for its way, and for a leader.
local function travel(client, serializable)
  local etcd = client.etcd
  if client.closed then
    error("the client is closed", 0) -- misuse, as the real one says it
  end
  local member = choose(client, serializable)
  if etcd.delay > 0 then
    task.sleep(etcd.delay)
  end
  local wait = serializable and 0 or etcd.leader_at - task.now()
  if wait > client.timeout then
    task.sleep(client.timeout)
    fail("timeout", client, "no leader within the time of the call")
  elseif wait > 0 then
    task.sleep(wait)
  end
  etcd:expire()
  return member
end

--- Raise where a user has no right to a range.
---@param user string
---@param op {key: string, prefix: boolean?, range_end: string?}
---@param what "read"|"write"
function Etcd:check_right(user, op, what)
  for _, rule in ipairs(self.denied) do
    local is_all = what == rule.what or rule.what == "read"
    if is_all and (not rule.user or rule.user == user)
      and (keys.covers({ key = rule.prefix, prefix = true }, op.key) or keys.covers(op, rule.prefix)) then
      keys.refuse(7, "permission denied")
    end
  end
end

--- Carry a write out, or lose it, or lose the answer.
local function carry_out(client, fn)
  local etcd = client.etcd
  local outcome = table.remove(etcd.lost, 1)
  local found
  if outcome ~= "lost" then
    local before = etcd.keys.revision
    found = fn()
    watches.wake(etcd, before + 1)
  end
  if outcome then
    task.sleep(client.timeout)
    fail("doubt", client, "the connection was lost before the answer came")
  end
  return found
end

function Client:range(op)
  local member = travel(self, op.serializable)
  self.etcd:check_right(self.user, op, "read")
  return self.etcd.keys:range(op, op.serializable and member.behind or nil)
end

function Client:txn(txn)
  travel(self)
  for _, ops in ipairs({ txn.success or {}, txn.failure or {} }) do
    for _, op in ipairs(ops) do
      self.etcd:check_right(self.user, op, op[1] == "range" and "read" or "write")
    end
  end
  for _, compare in ipairs(txn.compare or {}) do
    self.etcd:check_right(self.user, compare, "read")
  end
  local writes = false
  for _, op in ipairs(table.move(txn.failure or {}, 1, #(txn.failure or {}), #(txn.success or {}) + 1,
    table.move(txn.success or {}, 1, #(txn.success or {}), 1, {}))) do
    writes = writes or op[1] ~= "range"
  end
  if not writes then
    return self.etcd.keys:txn(txn)
  end
  return carry_out(self, function()
    return self.etcd.keys:txn(txn)
  end)
end

function Client:grant(ttl)
  travel(self)
  local id = self.etcd.keys:grant(ttl)
  self.etcd.expiries[id] = task.now() + ttl
  self.etcd.first_expiry = math.min(self.etcd.first_expiry, task.now() + ttl)
  return { id = id, ttl = ttl }
end

function Client:keepalive(id)
  travel(self)
  local lease = self.etcd.keys.leases[id]
  if not lease then
    return nil
  end
  self.etcd.expiries[id] = task.now() + lease.ttl
  return lease.ttl
end

function Client:revoke(id)
  travel(self)
  local before = self.etcd.keys.revision
  self.etcd.expiries[id] = nil
  if not self.etcd.keys:revoke(id) then
    keys.refuse(5, "requested lease not found")
  end
  watches.wake(self.etcd, before + 1)
end

function Client:compact(revision)
  travel(self)
  self.etcd:compact(revision)
end

--- Each endpoint of this client: what a member says of itself.
function Client:status()
  local rows = {}
  for i, endpoint in ipairs(self.endpoints) do
    local member = self.etcd.members[endpoint]
    local why = silence(self, member, true)
    rows[i] = why and { endpoint = endpoint, reachable = false, problem = why } or {
      endpoint = endpoint, reachable = true, version = member.version,
      leader = is_in_quorum(member) and self.etcd:has_quorum() and self.etcd.leader or nil,
      revision = self.etcd:seen_by(member), alarms = self.etcd.keys.no_space and { "NOSPACE" } or {}, db_size = member.db_size,
    }
  end
  return rows
end

function Client:close()
  self.closed = true
end
Client.__close = Client.close

--- Watch a range.
---@param op {key: string, prefix: boolean?, range_end: string?, revision: integer?, silence: number?}
---@return haplua.test.etcd.Watch
function Client:watch(op)
  return watches.new(self.etcd, self.user, travel(self), op)
end

return M
