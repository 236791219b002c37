-- SPDX-License-Identifier: MIT
--
-- run.lua - run haplua under faults, at each byte of each conversation, and compare what it says with what HAProxy
-- holds (docs/faults.md).
-- Usage: haplua tests/fault/run.lua [--step=N] [--slow=N] [--only=NAME] [--kinds=KIND,...] [--workers=N]
-- Tries every --step'th byte of a conversation; of conversations that take seconds, only every --slow'th of these
-- (6; 0: no such conversation). Prints a line of counts at the end. Status 0: haplua never said what is not true.

local here = arg[0]:match("^(.*)/") or "."
package.path = ("%s/?.lua;%s/../lua/?.lua;%s/../real/?.lua;"):format(here, here, here) .. package.path

local stage = require("stage")
local conversations = require("conversations")
local resident = require("resident")
local verdict = require("verdict")

local options = { step = "1", slow = "6", workers = "2", only = "", kinds = "" }
for _, word in ipairs(arg) do
  local name, value = word:match("^%-%-(%l+)=(.*)$")
  assert(options[name], "unknown option " .. word)
  options[name] = value
end

-- Faults are tried in both directions. `density`: at one of how many of the chosen bytes. A `late` byte arrives after
-- haplua's deadline, and a held one never does: these take a deadline each.
local kinds = {
  { name = "cut", density = 1 },
  { name = "gone", density = 3, resident_ms = 700 },
  { name = "close", density = 1 },
  { name = "reset", density = 1 },
  { name = "repeat", density = 1 },
  { name = "again", density = 2 },
  { name = "delay", density = 11, ms = 20 },
  { name = "hold", density = 23 },
  { name = "late", density = 23, proxy = "delay", ms = math.ceil(stage.TIMEOUT * 1500) },
}

-- The middle of a long answer consists of rows that are alike: only one in INSIDE of its bytes is tried.
local EDGE, INSIDE = 150, 13

local function is_tried(offset, length, step)
  local inside = offset >= EDGE and offset < length - EDGE
  return offset % (inside and step * INSIDE or step) == 0
end

--- Has the command line asked for this kind of fault?
local function is_chosen(name)
  return options.kinds == "" or ("," .. options.kinds .. ","):find("," .. name .. ",", 1, true) ~= nil
end

--- All faults of a conversation.
---@param connections {up: integer, down: integer}[]  bytes of each connection in a run without a fault
local function faults_of(conversation, connections)
  local faults, step = {}, tonumber(options.step)
  if step > 1 then
    step = step * (conversation.sparse or 1) * (conversation.slow and tonumber(options.slow) or 1)
  end
  for _, kind in ipairs(kinds) do
    if is_chosen(kind.name) then
      for n, passed in ipairs(connections) do
        for direction, length in pairs(passed) do
          for offset = 0, length do
            if is_tried(offset, length, step * kind.density) then
              faults[#faults + 1] = {
                kind = kind.name, connection = n, direction = direction, offset = offset,
                ms = conversation.resident and kind.resident_ms or kind.ms,
                proxy = kind.proxy,
              }
            end
          end
        end
      end
    end
  end
  return faults
end

local counts = { faults = 0, altered = 0, success = 0, error = 0, problems = 0 }

-- Reports of failures: summary() prints them again, where the end of a log shows them.
local failures = {}

local function count(name)
  counts[name] = (counts[name] or 0) + 1
end

local function report(run, problem, details)
  local fault = run.fault
  local text = ("%s: %s: %s in connection %d after %d bytes %s (version given last: %s)\n"):format(run.conversation.name,
    problem, fault.kind, fault.connection, fault.offset, fault.direction, run.given[1])
    .. ("  %s\n  status %s: %s\n%s"):format(details or "", run.status, run.out, run.err):gsub("\n+", "\n  ")
  print(text)
  failures[#failures + 1] = not verdict.excuses[problem] and text or nil
end

--- Make both HAProxys hold the state that a conversation begins with.
local function prepare(st, conversation)
  local states = {}
  for i = 1, 2 do
    states[i] = st:state(i, conversation)
    for _ = 1, 3 do
      st:restore(i, states[i], conversation)
      states[i] = st:state(i, conversation)
    end
  end
  return states
end

--- If HAProxy, files and journal disagree after an error: does `maint status` show it, and does `maint off` mend it?
local function check_mending(st, run)
  local conversation, state = run.conversation, run.states[1]
  if not conversation.journal or conversation.several or run.problem or verdict.is_together(state) then
    return
  end
  local proxy = st:proxy(conversation)
  proxy:arm()
  run.shown = st:status(conversation)
  run.mended, run.mending = st:mend(conversation)
  proxy:report()
end

--- Run a conversation under a fault.
---@param states table[]  the state of each HAProxy, updated
---@return table? run  nil: the conversation ended before that byte
local function try(st, conversation, fault, states)
  local proxy, given = st:proxy(conversation), {}
  local sites = conversation.several and 2 or 1
  for i = 1, sites do
    given[i] = states[i].given
    assert(not verdict.difference(states[i], conversation.before), "not restored")
  end
  proxy:arm(fault.proxy and setmetatable({ kind = fault.proxy }, { __index = fault }) or fault)
  local timeout = fault.timeout or stage.TIMEOUT
  local run
  st:set_clock((conversation.resident or fault.clock) and 0)
  if conversation.resident then
    run = resident.run(st, conversation, timeout, fault)
  else
    run = fault.act and st:run_and_act(conversation, timeout, fault) or st:run(conversation, timeout)
  end
  local done, passed = proxy:report()
  st.proxies[2]:report()
  run.conversation, run.fault, run.timeout, run.given = conversation, fault, timeout, given
  run.connections, run.states, run.addresses = #passed, {}, { proxy.address, st.proxies[2].address }
  for i = 1, sites do
    run.states[i] = st:state(i, conversation, given[i])
  end
  check_mending(st, run)
  for i = 1, sites do
    local dirty = verdict.difference(run.states[i], conversation.before) or #run.states[i].left > 0
    st:restore(i, run.mended == nil and run.states[i] or st:state(i, conversation), conversation)
    states[i] = (dirty or conversation.journal) and st:state(i, conversation) or run.states[i]
  end
  return done > 0 and not run.missed and run or nil
end

local function note(run)
  count("faults")
  local problem, details = (run.resident and resident or verdict).judge(run)
  count((run.status == 0 or run.resident and not problem) and "success" or "error")
  if verdict.is_altered(run.fault) then
    count("altered")
  end
  if problem then
    count(problem)
    count(verdict.excuses[problem] and "excused" or "problems")
    if counts[problem] <= 10 then
      report(run, problem, details)
    end
  end
end

--- Run a conversation without faults; this must succeed.
---@return {up: integer, down: integer}[] passed  bytes of each connection
local function record(st, conversation)
  local proxy = st:proxy(conversation)
  prepare(st, conversation)
  st:set_clock(conversation.resident and 0)
  proxy:arm()
  local run = conversation.resident and resident.run(st, conversation, 5, { kind = "none" }) or st:run(conversation, 5)
  local _, passed = proxy:report()
  run.conversation, run.fault, run.states = conversation, { kind = "none" }, { st:state(1, conversation) }
  assert(run.resident or run.status == 0, conversation.name .. ": " .. run.err)
  local problem = run.resident and resident.judge(run) or verdict.difference(run.states[1], conversation.wanted)
  assert(not problem, ("%s: %s: %s\n%s\n%s"):format(conversation.name, problem, run.details, run.out, run.err))
  return passed
end

--- Run a conversation under each of these faults, on all stages side by side.
local function run_faults(stages, conversation, faults, what)
  local before, began, next_one = counts.faults, task.now(), 0
  task.all(stages, function(st)
    local states = prepare(st, conversation)
    while next_one < #faults do
      next_one = next_one + 1
      local run = try(st, conversation, faults[next_one], states)
      if run then
        note(run)
      end
    end
  end)
  print(("%-26s %5d %s, %.0f s"):format(conversation.name, counts.faults - before, what, task.now() - began))
end

-- Events at each step of a change, while the proxy holds a connection back.

local events = {
  -- before HAProxy gets a request, and before haplua gets the answer
  reload = {
    directions = { "up", "down" }, timeout = 10,
    act = function(st)
      st.sites[1]:reload()
    end,
  },
  -- all connections that the socket allows are open, until haplua has given up
  full = {
    directions = { "up" },
    act = function(_, proxy)
      proxy:take(2)
    end,
    after = function(_, proxy)
      proxy:take(0)
    end,
  },
  -- haplua's wall clock is set forward, and back
  ahead = {
    directions = { "up" }, timeout = 10, clock = true,
    act = function(st)
      st:set_clock(1800)
    end,
  },
  behind = {
    directions = { "up" }, timeout = 10, clock = true,
    act = function(st, _, conversation)
      st:set_clock(conversation.behind or -30)
    end,
  },
}

local function run_event(stages, conversation, name)
  local faults = {}
  for n in ipairs(record(stages[1], conversation)) do
    for _, direction in ipairs(events[name].directions) do
      faults[#faults + 1] = setmetatable({ kind = name, proxy = "pause", connection = n, direction = direction, offset = 0 },
        { __index = events[name] })
    end
  end
  run_faults(stages, conversation, faults, name .. "s")
end

--- Run maint and keep on a full, a broken and a read-only disk.
local function run_disk(st)
  local before, began = counts.faults, task.now()
  require("disk").run(st, function(name, run, problem, details)
    count("faults")
    count(run.status == 0 and "success" or "error")
    if problem then
      count(problem)
      count("problems")
      print(("disk: %s: %s\n  %s\n  status %s: %s%s"):format(name, problem, details, run.status, run.out, run.err))
    end
  end)
  print(("%-26s %5d failures of the disk, %.0f s"):format("maint and keep, a file", counts.faults - before,
    task.now() - began))
end

--- Check that this test notices a policy that reports a false success.
local function check_false_success(st)
  local policy, found = conversations.false_success, 0
  local states = prepare(st, policy)
  for _, direction in ipairs({ "up", "down" }) do
    local run = try(st, policy, { kind = "cut", connection = 1, direction = direction, offset = 0 }, states)
    found = found + (run and verdict.judge(run) == "false success" and 1 or 0)
  end
  assert(found > 0, "a false success is not noticed")
end

--- The conversations that the command line asks for and that this version of HAProxy can have.
local function chosen(st)
  local list, versions = {}, st:state(1, { before = stage.base }).given -- 2.2 has none
  for _, conversation in ipairs(conversations) do
    local too_slow = conversation.slow and options.slow == "0"
    if not too_slow and (versions or not conversation.several) and conversation.name:find(options.only, 1, true) then
      list[#list + 1] = conversation
    end
  end
  return list
end

local function summary()
  local others = {}
  for _, name in ipairs({ "neither old nor new", "not everywhere", "left over", "false claim", "no message", "crash",
    "in part", "not shown", "not mended", "not held", "ended early" }) do
    others[#others + 1] = ("%d %s"):format(counts[name] or 0, name)
  end
  print(("faults: %d distinct, %d successes, %d errors, %d false successes, %d hangs (%s)"):format(counts.faults,
    counts.success, counts.error, counts["false success"] or 0, counts.hang or 0, table.concat(others, ", ")))
  print(("  of these %d altered a command; excused: %d misled by an altered answer, %d not read back, %d forgotten"):format(
    counts.altered, counts.misled or 0, counts["not read back"] or 0, counts.forgotten or 0))
  for _, text in ipairs(failures) do
    print("failed: " .. text)
  end
end

local function main()
  local stages, started = {}, {}
  local _ <close> = setmetatable({}, { __close = function(_, problem)
    if problem then
      summary() -- of the faults tried so far
    end
    for _, st in ipairs(started) do
      st:__close()
    end
  end })
  local function start(maxconn)
    started[#started + 1] = stage.start(maxconn)
    return started[#started]
  end
  for i = 1, tonumber(options.workers) do
    stages[i] = start()
  end
  check_false_success(stages[1])
  local list = chosen(stages[1])
  for _, conversation in ipairs(list) do
    local faults = faults_of(conversation, record(stages[1], conversation))
    if #faults > 0 then
      run_faults(stages, conversation, faults, "faults")
    end
  end
  local narrow = {}
  for i = 1, is_chosen("full") and #stages or 0 do
    narrow[i] = start(2)
  end
  for _, name in ipairs({ "reload", "full", "ahead", "behind" }) do
    local places = name == "full" and narrow or stages
    for _, conversation in ipairs(is_chosen(name) and list or {}) do
      local out = name == "reload" and conversation.no_reload or events[name].clock and conversation.jump
      if not conversation.tcp and not out then
        run_event(places, conversation, name)
      end
    end
  end
  if is_chosen("disk") and options.only == "" then
    run_disk(stages[1])
  end
  summary()
  return counts.problems == 0 and 0 or 1
end

io.stdout:setvbuf("line")
return main()
