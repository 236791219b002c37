-- SPDX-License-Identifier: MIT
---@errors HAProxy, journal
--
--- A server that is held: its maintenance, which ends when the variable is closed.

local haproxy = require("haproxy")
local options = require("haplua.base.options")
local task = require("task")
local traffic = require("haplua.hold.traffic")
local wait = require("haplua.hold.wait")

local find, refuse, refuse_late, wait_until = wait.find, wait.refuse, wait.refuse_late, wait.wait_until

local M = {}

---@class haplua.Held
---@field name string  "backend/server"
---@field backend string
---@field server string  its name within the backend
---@field address string?  where HAProxy connects to: the host
---@field port integer?
---@field before "ready"|"drain"|"maint"  its state when it was held
---@field kept boolean  it does not go back
---@field weight_before integer
---@field initial integer  its weight in HAProxy's configuration
---@field looked haplua.Traffic?  the counters at the latest weight() or errors()
---@field of_loop boolean?  of server.each(): once it is drained, it stays so until ready()
---@field stays boolean?  keep() was called
---@field is_done boolean?  ready() has returned
---@field mine haplua.Maintenance?  its maintenance; nil: not begun yet, or ended
---@field over haplua.Maintenance?  of a run: the maintenance that set("ready") has ended
---@field given haplua.HoldOptions
---@field c haplua.Context
local Held = {}
Held.__index = Held

local kinds = require("haplua.haproxy.server").options
local seconds = wait.seconds

--- haplua.apply.server_actions, loaded when a server is held: a script that only reads needs none of it.
local function actions()
  return require("haplua.apply.server_actions")
end

--- As haplua.server.hold(), which documents it.
---@param name string
---@param given haplua.HoldOptions
---@return haplua.Held
function M.new(name, given)
  local servers = require("haplua.apply.servers")
  local backend, server = name:match("^(.-)/(.*)$")
  local c = given.run and given.run.c or servers.open({ journal = given.journal, servers = { name }, state = "drain" })
  local all = servers.read(c)
  local row = all.rows[name]
  if not row then
    haproxy.servers(backend) -- HAProxy's own word where the backend is missing
    refuse(name, "does not exist")
  end
  if not given.force then
    servers.check_others(c, all, name, given.keep_up)
  end
  local mine = given.run and given.run.held[server]
  return setmetatable({
    name = name, backend = backend, server = server, before = row.admin, kept = mine ~= nil, given = given, mine = mine,
    c = c, address = row.srv_addr, port = row.srv_port, weight_before = row.srv_uweight, initial = row.srv_iweight,
  }, Held)
end

--- End its maintenance. The server goes back to the state that it had before, unless another maintenance holds it, or
-- somebody has changed it by hand.
---@return haplua.ServerOutcome?  nil: there is none, or somebody has ended it
local function finish(held, why)
  local mine = held.mine
  local result = mine and actions().finish(held.c, { mine }, why)
  held.mine = nil
  return result and result.servers[1]
end

--- Change its maintenance. Raises `refused` where that is over, since somebody has ended it or has set the server to
-- another state: then the server may take requests.
---@param set table|fun(m: haplua.Maintenance): table
---@param how haplua.ServerChange?
---@return haplua.ServerOutcome
local function alter(held, set, how)
  local weighs = held.mine.scope.state == "ready"
  local result = actions().set(held.c, held.mine, set, how)
  return result and result.servers[1]
    or refuse(held.name, weighs and "is not held any more" or "is not out of service any more",
      "somebody has ended its maintenance, or has set it to another state" .. (weighs and ", weight or address" or ""))
end

--- As Held:keep(), without a state.
local function keep(held)
  local scope = held.mine and held.mine.scope
  if scope and scope.state == "ready" and scope.weight == held.weight_before and not scope.address then
    finish(held, "done")
  elseif scope and alter(held, { pid = false }).changed and scope.state ~= "ready" then
    refuse(held.name, "was put back by somebody else", "it is out of service again, but may be at work")
  end
  held.kept = true
end

---@class haplua.DrainOptions
---@field quiet number?  seconds for which it must have been idle on end (0: one look): clients whose cookie names the
--- server come back between two looks
---@field cut boolean?  end the sessions that are left after `timeout` seconds, in place of giving up

--- Give the server no new sessions, and wait until it has none and none waits for it. Clients whose cookie names
-- the server still reach it and keep it busy. Raises `refused` where it is not idle by then, and the server stays drained
-- until it is closed; and where somebody puts it back meanwhile.
---@param timeout number  seconds
---@param given? haplua.DrainOptions
function Held:drain(timeout, given)
  given = given or {}
  options.argument("held:drain", "timeout", timeout, seconds)
  options.check("held:drain", given, { quiet = seconds, cut = "boolean" })
  self:set("drain")
  local missing = wait_until(self.name, wait.is_idle, given.quiet or 0, timeout, given.cut and "they are cut" or nil)
  if missing and given.cut then
    haproxy.send({ "shutdown", "sessions", "server", self.name })
    missing = wait_until(self.name, wait.is_idle, 0, wait.CUT_SECONDS)
  end
  if missing then
    refuse_late(self.name, "idle", timeout, missing, "wait longer (--wait), or end what is left (--cut)")
  end
  local state = haproxy.dry_run() and "drain" or find(self.name, haproxy.servers, "srv_name").admin
  if state == "ready" then
    refuse(self.name, "is ready although it was drained",
      "HAProxy was reloaded meanwhile, or somebody else has changed the server")
  end
  if self.of_loop then
    keep(self)
  end
end

--- Begin its maintenance, or change that.
---@param set {state: string?, weight: integer?, address: string?}
local function begin(held, set)
  local given = held.given
  local function scope_of(before)
    return require("haplua.plan.servers").scope(held.name, set.state or before.state or "ready", set.weight or before.weight,
      set.address or before.address)
  end
  if held.mine then
    local one = alter(held, function(m) -- a hand may have changed a part of it meanwhile
      return { scope = scope_of(m.scope) }
    end, { action = "change", guard = true, force = given.force, keep_up = given.keep_up })
    held.mine = one.about
    return
  end
  held.kept = false
  actions().begin({ servers = { held.name }, reason = given.reason, force = given.force, keep_up = given.keep_up,
    ends = given.ends }, {
    scope = scope_of({}),
    origin = given.run and given.run.origin or given.origin or "hold", pid = require("haplua.process").pid(),
    context = held.c,
    made = function(step)
      held.mine = step.about
    end,
  })
end

--- Put the server under maintenance, or drain it; "ready" ends that, and leaves the weight and the address that it was
-- given. What is stricter stays: the state that the server had before, and other maintenances of it.
---@param state "ready"|"drain"|"maint"
---@return "ready"|"drain"|"maint"  the state that the server has then
function Held:set(state)
  options.argument("held:set", "state", state, kinds.state)
  if haproxy.dry_run() then
    haproxy.server_set({ server = self.name, state = state })
    return state
  elseif state == "ready" and self.mine and (self.mine.scope.weight or self.mine.scope.address) then
    begin(self, { state = state })
  elseif state == "ready" then
    self.over = self.given.run and self.mine
    finish(self, self.over and "left" or "done")
  else
    begin(self, { state = state })
  end
  return find(self.name, haproxy.servers, "srv_name").admin
end

--- Leave the maintenance in force when the variable is closed, until somebody ends it. Raises `refused` where the server
-- has taken requests meanwhile. A weight that it had before as well needs no maintenance.
---@param state? "drain"|"maint"  set this first
function Held:keep(state)
  if state ~= nil then
    options.argument("held:keep", "state", state, kinds.state)
    self:set(state)
  end
  keep(self)
  self.stays = true
end

--- Wait until the server has been up for some seconds on end. HAProxy takes a server that comes back as healthy
-- until a check fails.
---@param settle number  seconds; longer than its checks need to notice a failure
---@param timeout number  seconds; then `refused` is raised
function Held:wait_up(settle, timeout)
  options.argument("held:wait_up", "settle", settle, seconds)
  options.argument("held:wait_up", "timeout", timeout, seconds)
  local missing = wait_until(self.name, wait.is_up, settle, timeout)
  if missing then
    refuse_late(self.name, "up", timeout, missing)
  end
end

--- Put the server into service: end its maintenance, and wait until it has been up for some seconds on end.
---@param given? {settle: number?, within: number?}  `settle`: seconds (3), longer than its checks need to notice a failure;
--- `within`: seconds (60)
---@return "ready"|"drain"|"maint"  another state than "ready": it was so before, or another maintenance holds it; then it
--- is not waited for. Raises `refused` where it is not up by then
function Held:ready(given)
  given = given or {}
  options.check("held:ready", given, { settle = seconds, within = seconds })
  local state = self:set("ready")
  if state == "ready" then
    self:wait_up(given.settle or wait.SETTLE, given.within or wait.WITHIN)
  end
  self.is_done = true
  return state
end

--- The weight that a text or number stands for. Raises `refused` for a share of which nothing is left.
local function weight_of(held, value)
  local percent = tonumber(tostring(value):match("^(%d+)%%$"))
  if not percent then
    return math.tointeger(tonumber(value))
  end
  local weight = math.min(256, percent * held.initial // 100)
  if weight == 0 and percent > 0 then
    refuse(held.name, ("has weight %d in HAProxy's configuration: %s of it is less than 1"):format(held.initial, value),
      "give the servers of the backend weights such as `weight 100`, or name a number from 0 to 256")
  end
  return weight
end

--- Give the server a weight, until the variable is closed. The weight is a part of its maintenance. Of several weights that it is
-- given by several maintenances the smallest counts. Raises `refused` for a share that comes to less than 1.
---@param value integer|string  0 to 256, or a share of the configuration's weight such as "5%"
---@return integer weight
function Held:weight(value)
  options.argument("held:weight", "value", value, kinds.weight)
  local weight = weight_of(self, value)
  if haproxy.dry_run() then
    haproxy.server_set({ server = self.name, weight = weight })
    return weight
  end
  begin(self, { weight = weight })
  self.looked = traffic.read(self.name)
  return weight
end

--- Have HAProxy connect to another address, until the variable is closed. It is a part of the server's maintenance.
---@param address string  IPv4 or IPv6
---@param port integer?  as it is unless given
function Held:move(address, port)
  options.argument("held:move", "address", address, kinds.addr)
  options.argument("held:move", "port", port or self.port, kinds.port)
  port = port or self.port
  if haproxy.dry_run() then
    haproxy.server_set({ server = self.name, addr = address, port = port })
  else
    local inet = require("haplua.inet")
    begin(self, { address = require("haplua.haproxy.server").join_address(inet.text(inet.bytes(address)), port) })
  end
end

--- How many of the server's requests fail: answers 500 to 599, and requests that could not be connected, or got no whole
-- answer.
---@param over number?  seconds: count so long from now on. Without them: since the latest weight() or errors()
---@return number share, integer requests  0.01 is one in a hundred. Raises `refused` where there was no request: a server
--- without traffic is not good
function Held:errors(over)
  if over ~= nil then
    options.argument("held:errors", "over", over, seconds)
  elseif not self.looked and not haproxy.dry_run() then
    options.misuse("held:errors", "since when? Give seconds, or call weight() before")
  end
  if haproxy.dry_run() then
    return 0, 0
  end
  local before, began = not over and self.looked or traffic.read(self.name), task.now()
  task.sleep(over or 0)
  self.looked = traffic.read(self.name)
  local good, bad = traffic.between(before, self.looked)
  if good + bad == 0 then
    refuse(self.name, over and ("has had no request in %g s"):format(task.now() - began) or "has had no request since then",
      "without traffic nobody knows whether it is good")
  end
  return bad / (good + bad), good + bad
end

--- How long the server takes: the averages of its latest 1,024 requests, as HAProxy keeps them. That may have been before
-- it was held.
---@return number response, number whole  seconds until its answer began, and from the beginning to the end of a request.
--- Raises `refused` where it has had no request since HAProxy's start
function Held:latency()
  local now = traffic.read(self.name)
  if haproxy.dry_run() then
    return 0, 0
  elseif now.good + now.bad == 0 then
    refuse(self.name, "has had no request", "without traffic nobody knows whether it is good")
  end
  return now.rtime / 1000, now.ttime / 1000
end

function Held:__close()
  if self.kept or not self.mine then
    return
  end
  local one = finish(self, "left")
  local more = one and (one.weight and ", with weight " .. one.weight or "")
    .. (one.address and ", at " .. one.address or "")
  io.stderr:write(wait.prefix(), one and ("%s is %s again%s\n"):format(self.name, one.state, more)
    or ("%s: somebody has ended its maintenance meanwhile\n"):format(self.name))
end

return M
