-- SPDX-License-Identifier: MIT
--
-- fleets.lua - measure fleets on three real members of etcd: how soon a change is in force on every node and reported, how
-- soon a fleet goes on after a fault, and what an agent costs that has nothing to do. Prints tables.
-- `make bench-fleet` calls it as
--   BUILD=build unshare -rn sh tests/fleet/net.sh 3 ./haplua tests/bench/fleets.lua
-- $NODES (100) have a HAProxy and a journal each; $AGENTS (1000) have no HAProxy, and share four processes. $CHANGES (40)
-- of each are measured, and $ROUNDS (3) of each fault.

package.path = "tests/lua/?.lua;tests/real/?.lua;tests/fleet/?.lua;" .. package.path

local etcd = require("etcd")
local etcd_store = require("haplua.store.etcd")
local nodes = require("nodes")
local records = require("haplua.store.etcd_records")
local running = require("running")
local support = require("support")

local function number(name, default)
  return math.tointeger(tonumber(os.getenv(name)) or default)
end

local NODES <const>, AGENTS <const> = number("NODES", 100), number("AGENTS", 1000)
local CHANGES <const>, ROUNDS <const> = number("CHANGES", 40), number("ROUNDS", 3)
local PROCESSES <const> = 4
local LIMIT <const> = 120

local cluster <close> = etcd.start({ members = 3 })
local client <close> = cluster:client()
etcd_store.init(client, nodes.FLEET)
local PREFIX <const> = records.prefix(nodes.FLEET)

--- The value that so many per cent do not exceed.
local function percentile(list, percent)
  table.sort(list)
  return list[math.max(1, math.ceil(#list * percent / 100))]
end

local function milliseconds(list)
  return ("%.0f ms | %.0f ms"):format(percentile(list, 50) * 1000, percentile(list, 99) * 1000)
end

-- Changes.

--- Begin a maintenance, or end the one that there is.
---@param from haplua.etcd.Client
---@param m table?  what the call before has returned
---@return table? m
local function change(from, m)
  local store = etcd_store.open(from, nodes.FLEET)
  local wish = { target = nodes.FLEET, acl = "site", switch = "site", action = m and "off" or "on", patterns = {}, user = "bench",
    host = "bench" }
  if m then
    store:begin(wish, { { of = { id = m.id }, set = { ended = task.time(), why = "off", ended_by = "bench" } } })
    return nil
  end
  m = { target = nodes.FLEET, acl = "site", switch = "site", scope = { paths = { "/shop" } }, origin = "on", user = "bench",
    host = "bench", begins = task.time() }
  store:begin(wish, { { add = m } })
  return m
end

--- Wait until so many nodes have reported what the maintenance `id` is to be: in force, or not.
---@return number? applied  the time at which the last one had it, by its clock
local function await_reports(watch, wanted, id, is_on)
  local seen, n, applied, latest = {}, 0, 0, task.now() + LIMIT
  while n < wanted do
    local found, why = watch:next(latest - task.now())
    if not found then
      error(("%d of %d nodes have reported: %s"):format(n, wanted, why), 0)
    end
    for _, event in ipairs(found.events) do
      local node = event.type == "put" and event.kv.key:match("/nd/([^/]+)/seen/site$")
      if node and not seen[node] then
        local report = records.decode(event.kv.key, event.kv.value)
        local has = false
        for _, one in ipairs(report.ids) do
          has = has or one == id
        end
        if has == is_on and report.outcome == "done" then
          seen[node], n, applied = true, n + 1, math.max(applied, report.at)
        end
      end
    end
  end
  return applied
end

--- Measure changes: the store's answer, the last node that has it, the last report. Seconds from before the command.
local function measure_changes(wanted, count)
  local answers, applied, reported, m = {}, {}, {}, nil
  for i = 1, count do
    local watch <close> = client:watch({ key = PREFIX .. "nd/", prefix = true })
    local id, began, began_at = m and m.id, task.now(), task.time()
    m = change(client, m)
    answers[i] = task.now() - began
    local last = await_reports(watch, wanted, id or m.id, m ~= nil)
    applied[i], reported[i] = last - began_at, task.now() - began
    task.sleep(0.3)
  end
  if m then
    change(client, m)
    task.sleep(2)
  end
  return answers, applied, reported
end

local function changes_row(what, wanted, bars)
  local answers, applied, reported = measure_changes(wanted, CHANGES)
  print(("| %s | %s | %s | %s |"):format(what, milliseconds(answers), milliseconds(applied), milliseconds(reported)))
  print(("| bar | | | | %s | | %s |"):format(bars[1], bars[2]))
end

--- The least that a store can do: a key is put, and each of so many watches has it. Nothing is read or written behind it.
local function bare_row()
  local answers = {}
  for i = 1, CHANGES do
    local began = task.now()
    client:txn({ success = { { "put", key = "bare", value = "x" } } })
    answers[i] = task.now() - began
  end
  print(("| a bare put | %s | | | | |"):format(milliseconds(answers)))
end

-- Costs.

local function read(path)
  return running.content(path)
end

--- Seconds of processor time, and MB of memory, of processes together.
local function cost(pids)
  local seconds, memory = 0, 0
  for _, pid in ipairs(pids) do
    local user, system = read(("/proc/%s/stat"):format(pid)):match("%) " .. ("%S+ "):rep(11) .. "(%d+) (%d+)")
    seconds = seconds + (tonumber(user) + tonumber(system)) / 100
    memory = memory + tonumber(read(("/proc/%s/smaps_rollup"):format(pid)):match("Pss:%s*(%d+)")) / 1024
  end
  return seconds, memory
end

local function idle(what, pids, seconds)
  local before = cost(pids)
  task.sleep(seconds)
  local after, memory = cost(pids)
  return ("%s %.3f %% of a core and %.1f MB (mean of %d, over %d s)"):format(what, (after - before) / seconds / #pids * 100,
    memory / #pids, #pids, seconds)
end

-- Faults. Each returns the seconds from the fault on.

local function writes_after_kill()
  local leader = cluster:leader()
  cluster:kill(leader)
  local began = task.now()
  local quick <close> = cluster:client({ timeout = 1 })
  repeat
    local ok = pcall(quick.txn, quick, { success = { { "put", key = "gap", value = "x" } } })
    if not ok then
      task.sleep(0.02)
    end
  until ok or task.now() - began > LIMIT
  local took = task.now() - began
  cluster:mend()
  return took
end

--- The member that has the most connections.
local function busiest()
  local counts = { 0, 0, 0 }
  for address in running.content("/proc/net/tcp"):gmatch(":%x+ (%x+):094B 01 ") do
    local i = tonumber(address:sub(1, 2), 16) - 1
    counts[i] = counts[i] + 1
  end
  local list = { 1, 2, 3 }
  table.sort(list, function(a, b)
    return counts[a] > counts[b]
  end)
  assert(counts[list[1]] > 0)
  return list[1]
end

--- A change while a member is away from the others, or from all: until the last agent of that member has it, too.
local function leaves_member(how, wanted)
  local others, i = {}, busiest()
  for k = 1, 3 do
    others[#others + 1] = k ~= i and k or nil
  end
  local writer <close> = cluster:client({ members = others })
  local watch <close> = writer:watch({ key = PREFIX .. "nd/", prefix = true })
  local began_at = task.time()
  cluster[how](cluster, i)
  local m = change(writer)
  local applied = await_reports(watch, wanted, m.id, true)
  cluster:join(i)
  cluster:wait_ready()
  change(writer, m)
  task.sleep(3)
  return applied - began_at
end

local function planner()
  local kv = client:range({ key = PREFIX .. "elect/planner" }).kvs[1]
  return kv and kv.value:match('"node":"lb(%d+)"')
end

local function planner_taken_over(fleet)
  local former = math.tointeger(running.eventually("a planner", planner))
  fleet:kill(former)
  local began = task.now()
  running.eventually("another planner", function()
    local now = planner()
    return now and math.tointeger(now) ~= former
  end)
  local took = task.now() - began
  fleet:keep(former)
  return took
end

local function fault_row(what, bar, measure)
  local found = {}
  for round = 1, ROUNDS do
    found[round] = measure()
  end
  print(("| %s | %d | %.1f s | %.1f s | %s |"):format(what, #found, percentile(found, 50), percentile(found, 100), bar))
end

local function heads(what, ...)
  print(("\n| %s | %s |\n| --- |%s"):format(what, table.concat({ ... }, " | "), (" ---: |"):rep(select("#", ...))))
end

local CHANGE_HEADS <const> = {
  "a change", "store's answer, p50", "p99", "last node has it, p50", "p99", "last report, p50", "p99",
}

--- What is measured with nodes that have HAProxy.
local function measure_nodes()
  local fleet <close> = nodes.start(cluster, { count = NODES, more = function(i)
    return i <= 10 and "windows = { { window = 'Sun 03:00-03:01', tz = 'UTC', paths = { '/never' } } }" or nil
  end })
  local pids = {}
  for i, node in ipairs(fleet) do
    pids[i] = node.keep
  end
  heads(table.unpack(CHANGE_HEADS))
  bare_row()
  changes_row(("%d nodes, each with HAProxy"):format(NODES), NODES, { "250 ms", "500 ms" })
  task.sleep(35) -- until keep has nothing to do
  print("\n" .. idle("An agent with its HAProxy at rest takes", pids, 30) .. ".")
  heads(("a fault, with %d nodes"):format(NODES), "times", "median", "most", "bar")
  fault_row("the leader is killed: until a write is taken", "3 s", writes_after_kill)
  fault_row("a member is cut off from the others: until its agents have a change", "6 s", function()
    return leaves_member("part", NODES)
  end)
  fault_row("a member is cut off from all: until its agents have a change", "15 s", function()
    return leaves_member("cut", NODES)
  end)
  fault_row("the planner's node is killed: until another plans", "12 s", function()
    return planner_taken_over(fleet)
  end)
end

--- What is measured with agents alone.
local function measure_agents()
  client:txn({ success = { { "delete", key = PREFIX .. "nd/", prefix = true } } })
  -- the journals' disk is not measured
  local folder = "/dev/shm/" .. cluster.dir:match("[^/]*$")
  require("haplua.file").folder(folder)
  local config, pids = cluster.dir .. "/agents.lua", {}
  local f <close> = assert(io.open(config, "w"))
  f:write((nodes.configuration(cluster, "sim")))
  f:close()
  local guard <close> = setmetatable({}, { __close = function()
    running.kill(pids)
    run({ "rm", "-rf", folder })
  end })
  local began = task.now()
  for k = 1, PROCESSES do
    pids[k] = running.daemon(("%s/agents%d.log"):format(cluster.dir, k), support.program("tests/bench/agents.lua", config,
      folder, tostring((k - 1) * AGENTS // PROCESSES + 1), tostring(k * AGENTS // PROCESSES)))
  end
  while nodes.live(client) < AGENTS do
    assert(task.now() - began < 2 * LIMIT, "not all agents are live")
    task.sleep(0.05)
  end
  local connected = task.now() - began
  heads(table.unpack(CHANGE_HEADS))
  changes_row(("%d agents without HAProxy"):format(AGENTS), AGENTS, { "1,000 ms", "3,000 ms" })
  local members = {}
  for i = 1, 3 do
    members[i] = cluster.pids[i]
  end
  print(("\n%d agents were live %.1f s after their start. %s; %s."):format(AGENTS, connected,
    idle("With all at rest, a member of etcd takes", members, 20), idle("the process of a quarter of the agents", pids, 10)))
  heads(("a fault, with %d agents"):format(AGENTS), "times", "median", "most", "bar")
  fault_row("all members are killed and started again: until all agents have a change", "15 s", function()
    for i = 1, 3 do
      cluster:kill(i)
    end
    local started = task.time()
    cluster:mend()
    local watch <close> = client:watch({ key = PREFIX .. "nd/", prefix = true })
    local m = change(client)
    local applied = await_reports(watch, AGENTS, m.id, true)
    change(client, m)
    task.sleep(2)
    return applied - started
  end)
  assert(guard)
end

if NODES > 0 then
  measure_nodes()
end
if AGENTS > 0 then
  measure_agents()
end
