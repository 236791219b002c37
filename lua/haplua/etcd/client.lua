-- SPDX-License-Identifier: MIT
--
--- A client of etcd (3.4 and later) over gRPC. Calls wait, and each has a deadline; other tasks run meanwhile. Keys and
-- values are byte strings; revisions and ids of leases are integers.
-- A call that no member has taken, or that one has surely not carried out, goes to the next member. A read goes there in
-- any case. A write that may have been carried out is never sent twice: it raises `doubt`, and the caller looks.
-- Errors: `unreachable` (nothing was carried out), `timeout` (of a read), `refused` (`code` is gRPC's status: "7" is
-- PermissionDenied, "8" NOSPACE), `doubt`, `protocol`. `target` is the endpoint.

local attempt = require("haplua.etcd.attempt")
local errors = require("haplua.error")
local messages = require("haplua.etcd.messages")
local options = require("haplua.base.options")
local task = require("haplua.task")
local watches = require("haplua.etcd.watch")

local M = {}

local path = options.where("a path without control characters", function(value)
  return type(value) == "string" and value ~= "" and not value:find("%c")
end)

local kinds = {
  endpoints = options.list(options.where("an endpoint, such as https://10.0.0.1:2379", function(value)
    return type(value) == "string" and value:find("^https?://[^/?#@%s%c]+:%d+/?$") ~= nil
  end)),
  ca = path, cert = path, key = path,
  timeout = options.where("seconds over 0", function(value)
    return type(value) == "number" and value > 0 and value - value == 0
  end),
}

---@class haplua.etcd.Options
---@field endpoints string[]  https://HOST:PORT of each member; http:// for tests on one machine
---@field ca string?  a file with the authority of the members' certificates (PEM)
---@field cert string?  a file with the client's certificate, whose CN is the user
---@field key string?  and one with its key
---@field timeout number?  seconds for each call; default 5

---@class haplua.etcd.Client
---@field private endpoints string[]  in an order of this client's own
---@field private at integer  the endpoint that is asked next
---@field private proven table<string, boolean>  endpoints that have answered
---@field private suspects table<string, boolean>  endpoints that were silent: the next call uses a connection of its own
---@field private channel table  of src/etcd/module.c
---@field private given haplua.etcd.Options
---@field private closed boolean?
---@field private timeout number
local Client = {}
Client.__index = Client

--- Make a client. Sends nothing.
---@param given haplua.etcd.Options
---@return haplua.etcd.Client
function M.connect(given)
  options.check("etcd.connect", given, kinds)
  if not given.endpoints or #given.endpoints == 0 then
    options.misuse("etcd.connect", "the option 'endpoints' is missing")
  elseif (given.cert == nil) ~= (given.key == nil) then
    options.misuse("etcd.connect", "'cert' and 'key' belong together")
  end
  local endpoints = {}
  for i, endpoint in ipairs(given.endpoints) do
    table.insert(endpoints, math.random(i), (endpoint:gsub("/$", ""))) -- so that clients spread over the members
  end
  return setmetatable({
    endpoints = endpoints, at = 1, proven = {}, suspects = {}, given = given, timeout = given.timeout or 5,
    channel = require("haplua.etcd.wire").open(),
  }, Client)
end

--- The options of one call at one endpoint.
local function plan(client, endpoint, within, connect)
  return {
    endpoint = endpoint, ca = client.given.ca, cert = client.given.cert, key = client.given.key, within = within,
    connect = connect, leader = true, fresh = client.suspects[endpoint],
  }
end

--- Raise where the client is closed: a task may find out in the middle of its call, since another one has closed it.
local function check_open(client)
  if client.closed then
    errors.raise("unreachable", "the client is closed")
  end
end

local function next_endpoint(client)
  client.at = client.at % #client.endpoints + 1
end

--- Make the last failure tell of all endpoints: those that have failed alike, with the reason once.
---@param failures table<string, haplua.Error>  by endpoint
local function describe_all(client, problem, failures)
  local order, alike = {}, {}
  for _, endpoint in ipairs(client.given.endpoints) do
    local one = failures[(endpoint:gsub("/$", ""))]
    if one and not alike[one.message] then
      order[#order + 1], alike[one.message] = one.message, {}
    end
    if one then
      table.insert(alike[one.message], endpoint)
      -- a member without a leader says more than those that do not answer
      problem.advice = one.code == "14" and one.advice or problem.advice
    end
  end
  for i, message in ipairs(order) do
    order[i] = ("%s: %s"):format(table.concat(alike[message], ", "), message)
  end
  problem.message, problem.target = "no endpoint took the call: " .. table.concat(order, "; "), nil
end

--- Go from one endpoint to the next until `try` has an answer or a failure that ends it, or the time is over.
---@param try fun(endpoint: string, left: number, share: number): any, haplua.etcd.Failure?  seconds that are left, and
--- those after which another endpoint should be tried
---@param is_write boolean?
local function try_endpoints(client, try, is_write)
  local latest, n, failures = task.now() + client.timeout, #client.endpoints, {}
  local tried, may_get_better = 0, false
  local failure ---@type haplua.etcd.Failure?
  repeat
    check_open(client)
    local endpoint, left = client.endpoints[client.at], latest - task.now()
    local answer
    answer, failure = try(endpoint, left, left / math.max(n - tried, 1))
    if not failure then
      client.suspects[endpoint], client.proven[endpoint] = nil, true
      return answer
    end
    client.suspects[endpoint] = failure.is_silent
    if failure.is_final then
      break
    elseif is_write and not failure.is_safe then
      failure.error.kind, failure.error.in_doubt = "doubt", 1
      break
    end
    failures[endpoint] = failure.error
    may_get_better = tried % n > 0 and may_get_better
    may_get_better = may_get_better or failure.error.code == "14" or not failure.is_safe
    next_endpoint(client)
    tried = tried + 1
    if tried % n == 0 then
      if not may_get_better then
        break
      end
      task.sleep(math.min(0.05 + 0.1 * math.random(), math.max(latest - task.now(), 0)))
    end
  until task.now() >= latest
  if n > 1 and failures[failure.error.target] then
    describe_all(client, failure.error, failures)
  end
  error(failure.error, 0)
end

--- Make a call that has one answer.
---@param how "read"|"write"|nil  nil: it may be carried out twice
local function call(client, name, message, how)
  return try_endpoints(client, function(endpoint, left, share)
    local within = (how == "write" or #client.endpoints == 1) and left or math.max(left / 2, math.min(left, 0.5))
    local what = plan(client, endpoint, within, share)
    if how == "write" and not client.proven[endpoint] then
      -- a certificate that is refused would leave the write in doubt: with TLS 1.3 the member refuses it after the request
      local failure = select(2, attempt.unary(client.channel, "status", {}, what))
      if failure and failure.error.kind ~= "refused" then -- later etcds let root alone ask for the status
        failure.is_safe = true
        return nil, failure
      end
    end
    what.once = how == "write"
    what.leader = not message.serializable
    return attempt.unary(client.channel, name, message, what)
  end, how == "write")
end

---@class haplua.etcd.Range
---@field key string
---@field range_end string?  the first key behind the range; "\0": to the last key
---@field prefix boolean?  every key that begins with `key`
---@field limit integer?
---@field revision integer?  as it was then
---@field serializable boolean?  what the member has, which may be old
---@field keys_only boolean?
---@field count_only boolean?

--- Read keys. Linearizable, that is at least as new as the call, unless `serializable` is set.
---@param op haplua.etcd.Range
---@return {revision: integer, count: integer, more: boolean, kvs: table[]}
function Client:range(op)
  return messages.ranged(call(self, "range", messages.range("client:range", op), "read"))
end

--- Compare, then write and read, at one revision. A comparison that fails is no error.
---@param given {compare: table[]?, success: table[]?, failure: table[]?}
---@return {succeeded: boolean, revision: integer, responses: table[]}
function Client:txn(given)
  local message, writes = messages.txn("client:txn", given)
  return messages.transacted(call(self, "txn", message, writes and "write" or "read"))
end

--- Begin a lease.
---@param ttl integer  seconds
---@return {id: integer, ttl: integer}
function Client:grant(ttl)
  options.argument("client:grant", "ttl", ttl, "integer")
  local answer = call(self, "grant", { ttl = ttl })
  return { id = answer.id, ttl = answer.ttl }
end

--- Have a lease begin anew.
---@param id integer
---@return integer? ttl  seconds; nil: the lease is gone
function Client:keepalive(id)
  options.argument("client:keepalive", "id", id, "integer")
  local answer = call(self, "keepalive", { id = id })
  return answer.ttl > 0 and answer.ttl or nil
end

--- End a lease, and delete the keys under it.
---@param id integer
function Client:revoke(id)
  options.argument("client:revoke", "id", id, "integer")
  call(self, "revoke", { id = id })
end

--- Forget what was before a revision.
---@param revision integer
function Client:compact(revision)
  options.argument("client:compact", "revision", revision, "integer")
  call(self, "compact", { revision = revision }, "write")
end

--- Watch keys, from a revision on or from now on. Returns once a member has confirmed it.
---@param op {key: string, range_end: string?, prefix: boolean?, revision: integer?, silence: number?}  silence: end where
--- the member does not answer for so many seconds; default 13
---@return haplua.etcd.Watch
function Client:watch(op)
  local message = messages.watch("client:watch", op)
  return try_endpoints(self, function(endpoint, left, share)
    local within = #self.endpoints == 1 and left or math.max(left / 2, math.min(left, 0.5))
    local at = plan(self, endpoint, 0, share)
    local watch = watches.new(self.channel:call("watch", message, at), function()
      return not self.closed and self.channel:call("status", {}, plan(self, endpoint, 0, share)) or nil
    end, at, op.silence or 13)
    local begun, failure = watch:begin(within)
    if begun == nil then
      watch:close()
    end
    return watch, failure
  end)
end

---@class haplua.etcd.Member
---@field endpoint string
---@field reachable boolean
---@field problem string?  why it is not reachable, or tells nothing: later etcds (seen with 3.5.30) let root alone ask
---@field version string?  of etcd
---@field leader string?  the endpoint of the member that this one takes for the leader; its id in hexadecimal digits where
--- it did not answer; nil: there is none
---@field revision integer?
---@field alarms string[]  "NOSPACE", "CORRUPT", and what else etcd says of itself
---@field db_size integer?  bytes

--- The row of status() that a member's answer gives. The leader's id is not yet its endpoint.
local function status_row(endpoint, answer)
  local alarms = {}
  for _, problem in ipairs(answer.errors) do
    alarms[#alarms + 1] = problem:match("alarm:(%u+)") or problem
  end
  return {
    endpoint = endpoint, reachable = true, version = answer.version, leader = answer.leader ~= 0 and answer.leader or nil,
    member = answer.header.member_id, revision = answer.header.revision, alarms = alarms, db_size = answer.db_size,
  }
end

--- Ask every member, all at once, what it says of itself. A member that does not answer is no error.
---@return haplua.etcd.Member[]  in the order of the endpoints
function Client:status()
  local calls, rows, leaders = {}, {}, {}
  for i, endpoint in ipairs(self.given.endpoints) do
    endpoint = endpoint:gsub("/$", "")
    local what = plan(self, endpoint, self.timeout, self.timeout)
    what.leader = false
    calls[i] = task.spawn(function()
      check_open(self)
      return attempt.unary(self.channel, "status", {}, what)
    end)
  end
  for i, endpoint in ipairs(self.given.endpoints) do
    local answer, failure = calls[i]:wait()
    rows[i] = answer and status_row(endpoint, answer)
      or { endpoint = endpoint, reachable = failure.error.kind == "refused", problem = failure.error.message, alarms = {} }
    leaders[rows[i].member or 0] = endpoint
  end
  for _, row in ipairs(rows) do
    row.leader = row.leader and (leaders[row.leader] or ("%x"):format(row.leader))
    row.member = nil
  end
  return rows
end

--- End the client. Calls of it raise `unreachable`, but for those that a member has; watches go on until they are closed.
function Client:close()
  self.closed = true
  self.channel:close()
end
Client.__close = Client.close

return M
