-- SPDX-License-Identifier: MIT

-- Random histories of a fleet: operators, nodes that are killed, reloaded and cut off, an etcd with faults, windows. After
-- each step every node is held to what it may do, and at the end to what it must have done:
--   - nothing is closed on a node that no operator has asked for;
--   - what a node has closed it opens only after a word, or at its time, whatever becomes of the store;
--   - what a node has opened it does not close again;
--   - once all is calm, each node has what the store says, and the store has all that operators were told is done.
-- Where the store was restored from an older snapshot, a node may close again what was ended since, and at the end, when
-- that is accepted, it may keep what the store has forgotten; the second law holds all the time.
-- $SEED is the first seed, $N the number of histories, $NODES the number of nodes, $STEPS the length. With $DAY the steps
-- are spread over a day, and what nodes and clients do at intervals they do seldom: that is for a thousand nodes. With
-- DIGEST=1 each history prints a digest of its states: runs with the same $SEED and $N print the same ones.

local etcd_store = require("haplua.store.etcd")
local maintenance = require("haplua.plan.maintenance")
local periods = require("haplua.keep.periods")
local prune = require("haplua.fleet.prune")
local records = require("haplua.store.etcd_records")
local task = require("haplua.task")
local test = require("haplua.test")
local world = require("haplua.test.world")
package.path = "tests/fleet/?.lua;" .. package.path
local fleets = require("fleets")

local SEED, N = tonumber(os.getenv("SEED")) or 1, tonumber(os.getenv("N")) or 6
local NODES, STEPS = tonumber(os.getenv("NODES")) or 4, tonumber(os.getenv("STEPS")) or 40

local DAY = os.getenv("DAY") == "1"

-- The longest pauses: between two steps, and of a maintenance; and the time until all is calm.
local GAP <const> = DAY and 2 * 86400 // STEPS or 40
local LASTS <const> = DAY and 4 * 3600 or 200
local CALM <const> = DAY and 4000 or 130

-- Seconds within which a node that runs has put back what its HAProxy has lost.
local SOON <const> = 4

local function chance(seed)
  local state = seed * 2654435761 % 4294967296
  return function(n)
    state = (state * 6364136223846793005 + 1442695040888963407) & 0x7fffffffffffffff
    return (state >> 33) % n + 1
  end
end

---@class tests.History
---@field fleet tests.Fleet
---@field asked table<string, table>  by path: what operators have asked for
---@field nodes table[]  of each: what it has closed and opened, and since when it is whole
---@field lines string[]  what has happened
---@field digest integer  of all states so far
local History = {}
History.__index = History

local function new(seed)
  local windows = seed % 3 == 0 and { { "daily 00:03-00:08", "/w" } } or nil
  if DAY then
    windows = { { "daily 02:00-04:00", "/w" }, { "daily 13:30-13:45", "/w" } }
    local seldom = { look = 3600, pause = 300, read_anew = 1800, lease = 1200, word = 400, planner_lease = 100,
      planner_word = 30, stand = 3600 }
    for name, seconds in pairs(seldom) do
      periods[name] = seconds
    end
    world.now.announces = true
  end
  test.clock({ at = "2026-01-01T00:00:00Z" })
  math.randomseed(seed)
  local self = setmetatable({
    fleet = fleets.new(NODES, { windows = windows }), asked = {}, nodes = {}, lines = {}, random = chance(seed),
    users = { "operator" }, denied = {}, full = false, digest = 0xcbf29ce484222325,
  }, History)
  for i = 1, NODES do
    self.nodes[i] = { runs = true, up = true, whole_at = -math.huge, closed = {}, opened = {} }
    self.users[i + 1] = "lb" .. i
  end
  return self
end

function History:note(form, ...)
  self.lines[#self.lines + 1] = ("%5.0f  "):format(task.time() % 86400) .. form:format(...)
end

function History:fail(form, ...)
  error(form:format(...) .. "\n" .. table.concat(self.lines, "\n"), 0)
end

--- Do what may fail; what it has failed for is noted.
---@return boolean
function History:try(fn, ...)
  local ok, problem = pcall(fn, ...)
  if not ok and not require("haplua.error").is(problem) then
    error(problem, 0)
  elseif not ok then
    self:note("    %s", problem.message)
  end
  return ok
end

--- Add what the HAProxys hold, and the store's revision, to the digest of the history (FNV-1a, 64 bits).
function History:trace()
  local text = self.fleet.etcd.keys.revision .. "\n" .. table.concat(self.fleet:lists(), "\n")
  for i = 1, #text do
    self.digest = (self.digest ~ text:byte(i)) * 0x100000001b3
  end
end

-- The steps.

local steps = {}

function steps.on(self)
  local path = ("/p%d"):format(#self.lines)
  local lasts = self.random(3) == 1 and self.random(LASTS) or nil
  local m = { path = path, ends = lasts and task.time() + lasts }
  self.asked[path] = m
  self.asked[#self.asked + 1] = m
  self:note("on %s for %s", path, tostring(lasts))
  m.done = self:try(function()
    m.id = self.fleet:on({ paths = { path }, lasts = lasts }).id
  end)
end

function steps.off(self)
  local m = #self.asked > 0 and self.asked[self.random(#self.asked)]
  if m and m.id and not m.off then
    self:note("off %s", m.path)
    m.off = task.time()
    m.off_done = self:try(self.fleet.off, self.fleet, m.id)
  end
end

function steps.extend(self)
  local m = #self.asked > 0 and self.asked[self.random(#self.asked)]
  if m and m.id and m.ends and not m.off then
    self:note("extend %s", m.path)
    local ends = task.time() + 300
    m.changed = self:try(function()
      self.fleet.store:edit({ { of = { id = m.id, target = "shop", acl = "site" }, set = { ends = ends } } })
    end) and "done" or "maybe"
    m.former, m.ends = math.min(m.former or m.ends, m.ends), ends -- a node may not have heard of any of them
  end
end

function steps.disturb(self)
  self:note("%s", self.fleet.etcd:disturb(self.random, self.users))
end

function steps.kill(self)
  local i = self.random(NODES)
  local node = self.nodes[i]
  self:note("%s the agent of lb%d", node.runs and "kill" or "start", i)
  if node.runs then
    self.fleet.runs[i]:kill()
  else
    self.fleet:start(i)
  end
  node.runs, node.whole_at = not node.runs, task.now()
end

function steps.reload(self)
  local i = self.random(NODES)
  self:note("reload lb%d", i)
  self.fleet.fakes[i]:reload()
  self.nodes[i].whole_at = task.now()
end

function steps.hand(self)
  local i = self.random(NODES)
  if not self.nodes[i].had then
    return -- what is there before the first maintenance of haplua counts as one by hand
  end
  self:note("by hand on lb%d", i)
  self.fleet.fakes[i]:set_acl("#9999", { "^/hand" })
  self.nodes[i].whole_at = task.now()
end

function steps.prune(self)
  self:note("prune")
  self:try(prune.run, self.fleet.store, self.random(60))
end

function steps.fill(self)
  self.full = not self.full
  self:note("the store is %s", self.full and "full" or "not full")
  self.fleet.etcd:no_space(self.full)
end

function steps.deny(self)
  local i = self.random(NODES)
  self.denied[i] = not self.denied[i] or nil
  self:note("lb%d may %s read", i, self.denied[i] and "not" or "again")
  self.fleet.etcd:deny("lb" .. i, self.fleet.store.prefix, self.denied[i] and "read" or false)
end

function steps.save(self)
  self:note("save")
  self.saved = self.fleet.etcd.keys:snapshot()
end

function steps.restore(self)
  if not self.saved or self.restored then
    return
  end
  self:note("restore")
  self.restored = true
  self.fleet.etcd:restore(self.saved)
  self.fleet.etcd:no_space(self.full)
  self.fleet.store = etcd_store.open(self.fleet.client, "shop") -- the operator's is another process
  local paths = {}
  for _, kv in ipairs(self.saved:range({ key = self.fleet.store.prefix .. "m/", prefix = true }).kvs) do
    local record = records.decode(kv.key, kv.value)
    paths[record.id or false] = record.scope and record.scope.paths[1]
  end
  for _, m in ipairs(self.asked) do
    m.id = paths[m.id] == m.path and m.id or nil -- else it is forgotten, and its number is another's soon
  end
end

local NAMES <const> = { "on", "on", "on", "off", "off", "extend", "disturb", "disturb", "disturb", "kill", "reload", "hand",
  "prune", "fill", "deny", "save", "restore" }

-- The laws.

--- What a node's HAProxy holds, by path.
local function paths_of(fake)
  local found = {}
  for _, pattern in ipairs(fake:acl("#9999")) do
    found[pattern:sub(2)] = true
  end
  return found
end

--- May a node have opened this?
local function may_be_open(m)
  local ends = m.ends and math.min(m.ends, m.former or m.ends)
  return m.off ~= nil or ends ~= nil and ends <= task.time()
end

function History:check_node(i)
  local node, there = self.nodes[i], paths_of(self.fleet.fakes[i])
  local is_whole = node.runs and task.now() - node.whole_at > SOON
  for path in pairs(there) do
    local m = self.asked[path]
    if not m and path ~= "/w" and path ~= "/hand" then
      self:fail("lb%d has closed %s, which nobody has asked for", i, path)
    elseif m and node.opened[path] and not m.changed and not self.restored then
      self:fail("lb%d has closed %s again, which it had opened", i, path)
    end
    node.closed[path], node.had = m and true or nil, node.had or m ~= nil
  end
  for path in pairs(node.closed) do
    local m = self.asked[path]
    if not there[path] and is_whole and not may_be_open(m) then
      self:fail("lb%d has opened %s, without a word and before its time", i, path)
    elseif not there[path] and is_whole then
      node.opened[path], node.closed[path] = true, nil
    end
  end
end

--- Calm everything, and hold every node to the store, and the store to what operators were told.
function History:settle()
  self.fleet.etcd:calm()
  self.fleet.etcd:no_space(false)
  self.fleet.etcd.lost, self.fleet.etcd.denied = {}, {}
  for i, node in ipairs(self.nodes) do
    if not node.runs then
      self.fleet:start(i)
      node.runs = true
    end
  end
  if self.restored then
    self.fleet.store:accept({ { target = "shop", acl = "site", action = "accept", user = "op", host = "desk" } }, 0)
  end
  self:note("calm")
  test.advance(CALM)
  local wanted, found = {}, {}
  for _, record in ipairs(self.fleet.store:records()) do
    found[record.scope.paths[1]] = record
    if maintenance.is_in_force(record, task.time()) then
      wanted[record.scope.paths[1]] = true
    end
  end
  for _, m in ipairs(self.asked) do
    if not self.restored and (m.done and not found[m.path] and not may_be_open(m) -- it may be removed then
      or m.off_done and found[m.path] and not found[m.path].ended) then
      self:fail("the store has lost %s", m.path)
    end
  end
  for i, fake in ipairs(self.fleet.fakes) do
    local there = paths_of(fake)
    for path in pairs(wanted) do
      if not there[path] then
        self:fail("lb%d has not closed %s: %s", i, path, self.fleet.runs[i]:err())
      end
    end
    for path in pairs(there) do
      local is_only_here = self.restored and self.asked[path] ~= nil
      if not wanted[path] and not is_only_here then
        self:fail("lb%d has not opened %s: %s", i, path, self.fleet.runs[i]:err())
      end
    end
  end
end

describe("the laws of a fleet", function()
  for seed = SEED, SEED + N - 1 do
    it(("hold in history %d"):format(seed), function()
      local history = new(seed)
      for _ = 1, STEPS do
        steps[NAMES[history.random(#NAMES)]](history)
        test.advance((DAY or history.random(5) == 1) and history.random(GAP) or history.random(30) / 10)
        for i = 1, NODES do
          history:check_node(i)
        end
        history:trace()
      end
      history:settle()
      history:trace()
      if os.getenv("DIGEST") == "1" then
        print(("digest of history %d: %016x"):format(seed, history.digest))
      end
    end)
  end
end)
