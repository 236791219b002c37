-- SPDX-License-Identifier: MIT
--
--- A trial of a fleet of real nodes under faults, and what must hold of it (tests/fleet/long.lua, trial_test.lua).
-- Operators begin and end maintenances by `maint`, each of a path of its own; some of these commands are killed. Meanwhile
-- agents and members are killed, members frozen and cut off, HAProxys reloaded. At every look at a HAProxy:
--   - what it has held, the same process holds until somebody began to end it, or its end has come (laws 1 and 2)
--   - what was taken from it never comes back
--   - what a command has called "on every node" is there on nodes without a fault of late
-- At the end all is mended. Then each node holds what the store says, each command that was answered is in the store, one
-- in doubt is there whole or not at all, and nothing was ever seen that is not in the store.

local etcd_store = require("haplua.store.etcd")
local nodes = require("nodes")
local running = require("running")
local support = require("support")

local M = {}

-- Seconds after a fault of a node for which a command's word on "every node" does not bind it.
local GRACE <const> = 60

---@class fleet.Operation
---@field path string
---@field id integer?  of the maintenance
---@field begun boolean?  "on": answered
---@field ending number?  when it may go at the earliest, on task.time()
---@field ended boolean?  "off": answered

---@class fleet.Trial
---@field cluster fleet.Cluster
---@field nodes fleet.Nodes
---@field operations table<string, fleet.Operation>  by path
---@field states {held: table, gone: table, worker: integer?, fault: number}[]  of the nodes
---@field counts table<string, integer>
---@field seen table<string, boolean>  paths that any HAProxy has held
---@field seconds number
local Trial = {}
Trial.__index = Trial

local function count(self, what)
  self.counts[what] = (self.counts[what] or 0) + 1
end

--- The paths that HAProxy holds on a node, and its process; nil: it does not tell, or is being replaced.
local function look(self, i)
  local target = self.nodes[i].target
  local ok, before = pcall(target.info, target)
  local list = ok and self.nodes:list(i)
  local again, after = pcall(target.info, target)
  if not list or not again or before.Pid ~= after.Pid then
    return nil
  end
  local paths = {}
  for path in list:gmatch("/w%d+") do
    paths[path] = true
  end
  return paths, before.Pid
end

--- Look at a node, and hold it to the laws.
local function check_node(self, i)
  local began, state = task.time(), self.states[i]
  local paths, worker = look(self, i)
  if not paths then
    return
  end
  count(self, "looks")
  if worker ~= state.worker then
    state.worker, state.held = worker, {}
  end
  for path in pairs(state.held) do
    local ending = self.operations[path].ending
    if not paths[path] and not (ending and ending <= task.time()) then
      error(("%s: %s is open, though nobody has ended it"):format(self.nodes[i].name, path), 0)
    elseif not paths[path] then
      state.gone[path], state.held[path] = began, nil
    end
  end
  for path in pairs(paths) do
    if state.gone[path] then
      error(("%s: %s is closed again, %.1f s after it was opened"):format(self.nodes[i].name, path, began - state.gone[path]), 0)
    end
    state.held[path], self.seen[path] = true, true
  end
end

local function is_calm(self, i)
  return task.time() - self.states[i].fault > GRACE
end

--- Was a node live all the time since a revision?
local function was_live(self, i, revision)
  local kv = self.client:range({ key = ("/haplua/v1/%s/nd/%s/live"):format(nodes.FLEET, self.nodes[i].name) }).kvs[1]
  return kv ~= nil and kv.create_revision < revision
end

--- "On every node" is true of those that were live and had no fault of late.
local function check_everywhere(self, operation, record)
  for i = 1, #self.nodes do
    local paths, ending = is_calm(self, i) and look(self, i), operation.ending
    if paths and is_calm(self, i) and not paths[operation.path] and not (ending and ending <= task.time()) then
      local asked, is_bound = pcall(was_live, self, i, record.revision)
      if asked and is_bound then
        error(("%s: %s is not there, and the command has said: on every node"):format(self.nodes[i].name, operation.path), 0)
      end
    end
    count(self, paths and "checks of a command's word" or "checks left out")
  end
end

-- Operators.

--- Run `maint`; now and then it is killed on its way.
---@return integer status, string out
local function maint(self, ...)
  local words = support.program("scripts/maint.lua", "--config", self.cluster.dir .. "/operator.lua", ...)
  if self.random(8) == 1 then
    words = table.move(words, 1, #words, 5, { "timeout", "-s", "KILL", ("%.3f"):format(self.random(60) / 1000) })
    count(self, "writers to be killed")
  end
  words.stdout, words.stderr = "capture", "capture"
  local status, out, err = run(words)
  count(self, ("commands with status %s"):format(status))
  if status ~= 0 and status ~= 3 and status ~= 5 and status ~= 124 and status ~= 137 then
    error(("maint %s: status %s\n%s%s"):format(table.concat({ ... }, " "), status, out, err), 0)
  end
  return status, out
end

--- The store's records, as soon as it answers.
local function read(self)
  local store = etcd_store.open(self.client, nodes.FLEET)
  return running.eventually("a read of the store", function()
    local ok, all = pcall(store.records, store)
    return ok and all
  end, nodes.PATIENCE)
end

--- The store's record of a path; nil: there is none.
local function record_of(self, path)
  for _, record in ipairs(read(self)) do
    if record.scope.paths[1] == path then
      return record
    end
  end
end

local function begin(self)
  self.number = self.number + 1
  local operation = { path = "/w" .. self.number }
  self.operations[operation.path] = operation
  local words = { "on", "--path", operation.path, "--reason", "trial", "--within", "5" }
  if self.random(4) == 1 then
    operation.ending = task.time() + 8
    table.move({ "--for", "8s" }, 1, 2, #words + 1, words)
  end
  local status = maint(self, table.unpack(words))
  operation.begun = status == 0 or status == 5
  local record = record_of(self, operation.path)
  if operation.begun and not record then
    error(operation.path .. " was acknowledged, and is not in the store", 0)
  elseif status == 0 then
    check_everywhere(self, operation, record)
  end
  operation.id = record and record.id
  return operation
end

local function finish(self, operation)
  operation.ending = operation.ending or task.time()
  local status = maint(self, "off", "m" .. operation.id, "--within", "5")
  operation.ended = status == 0 or status == 5
end

local function operate(self)
  local open = {}
  while not self.over do
    if #open > 3 or #open > 0 and self.random(2) == 1 then
      local operation = table.remove(open, self.random(#open))
      if operation.id and not operation.ending then
        finish(self, operation)
      end
    else
      open[#open + 1] = begin(self)
    end
    task.sleep(self.random(100) / 100 * self.pace)
  end
end

-- Faults.

local function note_fault(self, i)
  self.states[i].fault = task.time()
end

--- A member is away for some seconds. The other two go on.
local function harm_member(self)
  local i, cluster = self.random(3), self.cluster
  local how = ({ "kill", "freeze", "part", "cut" })[self.random(os.getenv("FLEET_NETS") and 4 or 2)]
  count(self, "members: " .. how)
  if how == "kill" then
    cluster:kill(i)
  elseif how == "freeze" then
    cluster:signal(i, "STOP")
  else
    cluster[how](cluster, i)
  end
  task.sleep(1 + self.random(100) / 10)
  if how == "part" or how == "cut" then
    cluster:join(i)
  end
  cluster:mend()
end

local function harm_members(self)
  while not self.over do
    task.sleep(self.random(100) / 20)
    harm_member(self)
  end
end

local function harm_nodes(self)
  while not self.over do
    task.sleep(self.random(100) / 25)
    local i = self.random(#self.nodes)
    note_fault(self, i)
    if self.random(2) == 1 then
      count(self, "reloads")
      self.nodes:reload(i)
    else
      count(self, "agents killed")
      self.nodes:kill(i)
      task.sleep(self.random(100) / 20)
      if self.random(3) == 1 then
        self.nodes:reload(i) -- HAProxy's list is empty, and nobody fills it
      end
      self.nodes:keep(i)
    end
    note_fault(self, i)
  end
end

local function watch_nodes(self)
  while not self.over do
    check_node(self, self.random(#self.nodes))
    task.sleep(0.02)
  end
end

-- The end.

--- What the store wants on every node, as paths; and every path that it has ever had.
local function wanted(self)
  local all, now, paths, known = read(self), task.time(), {}, {}
  for _, record in ipairs(all) do
    local path = record.scope.paths[1]
    if known[path] then
      error(path .. " is in the store twice", 0)
    end
    known[path] = record
    paths[path] = not record.ended and not (record.ends and record.ends <= now) or nil
  end
  return paths, known
end

local function same(a, b)
  for key in pairs(a) do
    if not b[key] then
      return false
    end
  end
  for key in pairs(b) do
    if not a[key] then
      return false
    end
  end
  return true
end

local function check_end(self)
  local _, known = wanted(self)
  for path, operation in pairs(self.operations) do
    local record = known[path]
    if operation.begun and not record then
      error(path .. " was acknowledged, and is not in the store", 0)
    elseif operation.ended and not record.ended and not record.ends then
      error("the end of " .. path .. " was acknowledged, and is not in the store", 0)
    end
  end
  for path in pairs(self.seen) do
    if not known[path] then
      error(path .. " was applied, and is not in the store", 0)
    end
  end
  for i = 1, #self.nodes do
    running.eventually(self.nodes[i].name .. " holds what the store says", function()
      local paths = look(self, i)
      return paths and same(paths, (wanted(self)))
    end, nodes.PATIENCE)
    check_node(self, i)
  end
end

--- Run a trial.
---@param cluster fleet.Cluster
---@param options {count: integer, seconds: number, seed: integer, programs: string[]?}
---@return table<string, integer> counts  what was done
function M.run(cluster, options)
  local fleet <close> = nodes.start(cluster, { count = options.count, programs = options.programs })
  local client <close> = cluster:client({ timeout = 5 })
  local f <close> = assert(io.open(cluster.dir .. "/operator.lua", "w"))
  f:write((nodes.configuration(cluster, "desk")))
  f:close()
  local self = setmetatable({ cluster = cluster, nodes = fleet, client = client, operations = {}, states = {}, counts = {},
    seen = {}, number = 0, random = support.random(options.seed), pace = math.max(1, options.count / 20) }, Trial)
  for i = 1, options.count do
    self.states[i] = { held = {}, gone = {}, fault = -math.huge }
  end
  local tasks <close> = setmetatable({}, { __close = function(list)
    for _, one in ipairs(list) do
      one:cancel()
    end
  end })
  for i, fn in ipairs({ operate, operate, operate, harm_members, harm_nodes, watch_nodes }) do
    tasks[i] = task.spawn(pcall, fn, self)
  end
  local latest = task.now() + options.seconds
  repeat
    task.sleep(0.1)
    for i, one in ipairs(tasks) do
      self.over = self.over or one:done() and i
    end
  until self.over or task.now() >= latest
  self.over = self.over or true
  for _, one in ipairs(tasks) do
    local ok, problem = one:wait()
    if not ok then
      error(problem, 0)
    end
  end
  cluster:mend()
  check_end(self)
  return self.counts
end

return M
