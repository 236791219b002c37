-- SPDX-License-Identifier: MIT
--
--- Run resident policies under a fault. Once it has passed, they must bring HAProxy to what is wanted within BOUND
-- seconds, report that only when it is true, and end at a signal or when their time is over, and not before.

local support = require("support")
local verdict = require("verdict")

local M = {}

-- Seconds in which HAProxy must become as wanted, with a fault or without.
local BOUND = 12
-- A policy that has nothing to do need not report anything: seconds to wait for a report then.
local SILENT = 2
-- Seconds that a fault with an `after` lasts.
local PASSES = 0.7
local LOOK = 0.01

--- Start a policy. The first line of its output is its process number.
local function start(st, conversation, timeout)
  local words, env = st:words(conversation, timeout)
  local resident = { out = {}, err = {} }
  local command = { "sh", "-c", 'echo $$; exec "$@"', "sh", table.unpack(support.program(table.unpack(words))) }
  command.env = { HAPLUA_ACL = false, HAPLUA_SOCKET = false }
  for name, value in pairs(env) do
    command.env[name] = value
  end
  function command.stdout(line)
    if resident.pid then
      resident.out[#resident.out + 1] = line
    end
    resident.pid = resident.pid or line
  end
  function command.stderr(line)
    resident.err[#resident.err + 1] = line
  end
  resident.task = task.spawn(run, command)
  return resident
end

--- The text that it has printed, of several; nil: none.
local function says(resident, texts)
  local out = table.concat(resident.out, "\n")
  for _, text in ipairs(type(texts) == "table" and texts or { texts }) do
    if out:find(text, 1, true) then
      return text
    end
  end
end

--- Call the `act` of a fault that pauses, and after PASSES seconds its `after`.
---@return boolean? busy  true: nobody can connect to HAProxy now, nor can this test
local function attend(st, resident, conversation, fault)
  local proxy = st:proxy(conversation)
  if fault.act and proxy.paused and not resident.acted then
    fault.act(st, proxy, conversation)
    proxy:go()
    resident.acted = task.now()
  elseif fault.after and resident.acted and not resident.passed and task.now() > resident.acted + PASSES then
    fault.after(st, proxy)
    resident.passed = true
  end
  return fault.after and resident.acted and not resident.passed
end

--- Wait until HAProxy, files and journal are as wanted, and the policy reports it. A reload may change the part `rest`,
-- which no policy restores.
---@return string? problem, string? details
local function wait_for(st, resident, conversation, fault, wanted, text)
  local latest = task.now() + BOUND
  local difference, state, right_since
  while task.now() < latest do
    if not attend(st, resident, conversation, fault) then
      -- before the state is read: what has been reported must be true now
      local ended, reported = resident.task:done(), says(resident, text)
      state = st:state(1, conversation)
      state.rest = fault.kind == "reload" and wanted.rest or state.rest
      difference = verdict.difference(state, wanted)
        or state.entry and state.entry.outcome ~= "done" and "outcome" or nil
      right_since = not difference and (right_since or task.now()) or nil
      if not difference and (reported or fault.kind ~= "none" and task.now() > right_since + SILENT) then
        return nil
      elseif difference and difference ~= "outcome" and reported and not fault.act and not verdict.is_altered(fault) then
        return "false claim", ("'%s', and %s is\n%s"):format(reported, difference, state[difference])
      elseif ended and not difference and resident.may_end then
        return nil
      elseif ended then
        return "ended early", difference and ("%s is\n%s"):format(difference, state[difference]) or "all is as wanted"
      end
    end
    task.sleep(LOOK)
  end
  return "not held", difference and ("%s is\n%s"):format(difference, state[difference]) or "it does not report it"
end

--- Check for `stays` seconds that HAProxy is as wanted.
local function stay(st, resident, conversation, fault, wanted)
  local latest = task.now() + conversation.stays
  while task.now() < latest do
    if not attend(st, resident, conversation, fault) then
      local state = st:state(1, conversation)
      local difference = not fault.act and verdict.difference(state, wanted)
      if difference then
        return "not held", ("%s is\n%s"):format(difference, state[difference])
      elseif resident.task:done() then
        return "ended early", "while there was nothing to do"
      end
    end
    task.sleep(LOOK)
  end
end

--- Follow a policy through all its phases.
---@return string? problem, string? details
local function go_through(st, resident, conversation, fault)
  resident.may_end = conversation.stop == false and not conversation.jump
  local problem, details = wait_for(st, resident, conversation, fault, conversation.holds, conversation.says)
  if not problem and conversation.stays then
    problem, details = stay(st, resident, conversation, fault, conversation.holds)
    if not problem then
      problem, details = wait_for(st, resident, conversation, fault, conversation.holds, conversation.says)
    end
  end
  if not problem and conversation.jump then
    st:set_clock(conversation.jump)
    resident.may_end = conversation.stop == false
    problem, details = wait_for(st, resident, conversation, fault, conversation.afterwards, conversation.says_afterwards)
  end
  return problem, details
end

--- End the policy by a signal, or wait for its own end.
---@return integer? status  nil: it did not end
local function finish(st, resident, conversation, fault)
  resident.stopped = task.now()
  if conversation.stop ~= false and resident.pid and not resident.task:done() then
    run({ "kill", "-TERM", resident.pid, stderr = "null" })
  end
  local latest = task.now() + BOUND
  while not resident.task:done() and task.now() < latest do
    attend(st, resident, conversation, fault)
    task.sleep(LOOK)
  end
  if fault.after and resident.acted and not resident.passed then
    fault.after(st, st:proxy(conversation))
  elseif fault.act and not resident.acted then
    st:proxy(conversation):go()
  end
  if not resident.task:done() then
    run({ "kill", "-KILL", resident.pid, stderr = "null" })
    pcall(resident.task.wait, resident.task)
    return nil
  end
  return (resident.task:wait())
end

--- Run a resident policy under a fault.
---@return table run  as of Stage:run(), with `problem` and `details`
function M.run(st, conversation, timeout, fault)
  local began = task.now()
  local resident = start(st, conversation, timeout)
  local problem, details = go_through(st, resident, conversation, fault)
  local held = task.now() - began
  local status = finish(st, resident, conversation, fault)
  return {
    status = status, out = table.concat(resident.out, "\n"), err = table.concat(resident.err, "\n"), resident = true,
    seconds = task.now() - began, held = held, problem = problem, details = details,
    missed = fault.act and not resident.acted, late = resident.acted and resident.acted > resident.stopped,
  }
end

--- Was a window misled by altered answers of HAProxy? Then it must say that the list had another content before, or that
-- somebody has changed it. keep reads twice, so it must not be misled.
local function is_misled(run)
  local kind = run.fault.kind
  return run.conversation.name:find("^window") and (kind == "repeat" or kind == "again")
    and run.fault.direction == "down"
    and ((run.out .. run.err):find("by hand", 1, true) or run.err:find("changed meanwhile", 1, true)
      or run.out:find("is left as it is", 1, true))
end

--- What is wrong with a run.
---@return string? problem, string? details  as of verdict.judge()
function M.judge(run)
  local c, state = run.conversation, run.states[1]
  local expected = c.stop == false and 0 or 143
  if run.problem and is_misled(run) then
    return "misled", run.details
  elseif run.problem then
    return run.problem, run.details
  elseif not run.status then
    return "hang", "it does not end"
  end
  state = run.fault.kind == "reload" and setmetatable({ rest = c.wanted.rest }, { __index = state }) or state
  local part = verdict.difference(state, c.wanted)
  if part and is_misled(run) then
    return "misled", part
  elseif part and run.late and run.fault.kind == "reload" then
    return "forgotten", part
  elseif part and (c.stop == false or not c.between or not c.between[part] or not c.between[part](state[part])) then
    return "not held", ("at its end %s is\n%s"):format(part, state[part])
  elseif part and not run.err:find("haplua: ", 1, true) then
    return "no message", part
  elseif run.status ~= expected and not run.err:find("haplua: ", 1, true) then
    return "no message", "status " .. run.status
  end
end

return M
