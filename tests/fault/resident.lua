-- SPDX-License-Identifier: MIT
--
--- Policies that stay. Under a fault, and when it has passed: they bring HAProxy to what is wanted, within a bound;
-- say so only when it is so; and end when they are told to, or when their time is over, and not before.

local support = require("support")
local verdict = require("verdict")

local M = {}

-- Within so many seconds HAProxy is as wanted, with a fault or without.
local BOUND = 12
-- One that finds all done need not say that it did it.
local SILENT = 2
-- What takes every place, or is gone, is so for this long.
local PASSES = 0.7
local LOOK = 0.01

--- Start it. Its first line is its process.
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

--- Has it said one of these?
local function says(resident, texts)
  local out = table.concat(resident.out, "\n")
  for _, text in ipairs(type(texts) == "table" and texts or { texts }) do
    if out:find(text, 1, true) then
      return text
    end
  end
end

--- What a fault that pauses does, and takes back when it has passed.
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
  -- meanwhile nobody gets through, not even we
  return fault.after and resident.acted and not resident.passed
end

--- Wait until HAProxy, files and journal are as wanted, and that is told.
---@return string? problem, string? details
-- The list beside, which nobody keeps, is lost at a reload.
local function wait_for(st, resident, conversation, fault, wanted, text)
  local latest = task.now() + BOUND
  local difference, state, right_since
  while task.now() < latest do
    if not attend(st, resident, conversation, fault) then
      local ended, told = resident.task:done(), says(resident, text) -- before the look: what is so then stays so
      state = st:state(1, conversation)
      state.rest = fault.kind == "reload" and wanted.rest or state.rest
      difference = verdict.difference(state, wanted)
        or state.entry and state.entry.outcome ~= "done" and "outcome" or nil
      right_since = not difference and (right_since or task.now()) or nil
      if not difference and (told or fault.kind ~= "none" and task.now() > right_since + SILENT) then
        return nil
      elseif difference and difference ~= "outcome" and told and not fault.act and not verdict.is_altered(fault) then
        return "false claim", ("'%s', and %s is\n%s"):format(told, difference, state[difference])
      elseif ended and not difference and resident.may_end then
        return nil
      elseif ended then
        return "died", difference and ("too early; %s is\n%s"):format(difference, state[difference]) or "too early"
      end
    end
    task.sleep(LOOK)
  end
  return "not held", difference and ("%s is\n%s"):format(difference, state[difference]) or "it does not say so"
end

--- It must be so for a while.
local function stay(st, resident, conversation, fault, wanted)
  local latest = task.now() + conversation.stays
  while task.now() < latest do
    if not attend(st, resident, conversation, fault) then
      local state = st:state(1, conversation)
      local difference = not fault.act and verdict.difference(state, wanted)
      if difference then
        return "not held", ("%s is\n%s"):format(difference, state[difference])
      elseif resident.task:done() then
        return "died", "while there was nothing to do"
      end
    end
    task.sleep(LOOK)
  end
end

--- All that it goes through until it ends.
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

--- The end: a signal, or its own.
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

--- One run under a fault.
---@return table run  as stage's, and `problem`, `details`
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

--- What the altered answers of HAProxy make a window believe, it tells: that the list was another before, or that
-- somebody has changed it. keep looks twice.
local function is_misled(run)
  local kind = run.fault.kind
  return run.conversation.name:find("^window") and (kind == "repeat" or kind == "again")
    and run.fault.direction == "down"
    and ((run.out .. run.err):find("by hand", 1, true) or run.err:find("changed meanwhile", 1, true)
      or run.out:find("is left as it is", 1, true))
end

--- What is wrong with a run.
---@return string? problem, string? details
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
    return "no words", part
  elseif run.status ~= expected and not run.err:find("haplua: ", 1, true) then
    return "no words", "status " .. run.status
  end
end

return M
