-- SPDX-License-Identifier: MIT
--
--- Did haplua say the truth? Compares what a run said with what HAProxy then holds.

local M = {}

-- What a deadline may be overrun by: the start and end of processes on a busy machine.
local SLACK = 5

--- What no client can know, and what a call is documented not to look at: counted, and no failure.
M.excuses = { misled = true, forgotten = true, ["not read back"] = true }

local parts = { "acl", "map", "pool", "rest" }

--- Faults after which HAProxy was told something else than haplua said.
function M.is_altered(fault)
  return (fault.kind == "repeat" or fault.kind == "again") and fault.direction == "up"
end

--- Faults that a cleanup meets as well, or that let a command arrive after it. So may a busy machine that makes a
-- deadline pass.
local function is_loose(run)
  local kind = run.fault.kind
  return kind == "gone" or kind == "late" or kind == "full" or run.seconds >= run.timeout
end

--- The first part that is not as it was wanted, or nil.
function M.difference(state, wanted)
  for _, part in ipairs(parts) do
    if state[part] ~= wanted[part] then
      return part
    end
  end
end

local function set_of(...)
  local set = {}
  for _, text in ipairs({ ... }) do
    for line in text:gmatch("[^\n]+") do
      set[line] = true
    end
  end
  return set
end

--- May a list that has no versions hold this, on its way from one content to the other?
local function is_on_the_way(text, before, wanted)
  local old, new, now, any = set_of(before), set_of(wanted), set_of(text), set_of(before, wanted)
  for line in pairs(now) do
    if not any[line] then
      return false
    end
  end
  for line in pairs(old) do
    if new[line] and not now[line] then
      return false
    end
  end
  return true
end

--- May an error leave this?
local function is_allowed(run, state, part)
  local c, text = run.conversation, state[part]
  if text == c.before[part] or text == c.wanted[part] then
    return true
  elseif c.between and c.between[part] and c.between[part](text) then
    return true
  elseif run.fault.kind == "reload" and c.after_reload and c.after_reload[part] and c.after_reload[part](text) then
    return true
  elseif run.fault.kind == "reload" and text == require("stage").fresh[part] then
    return true
  elseif is_loose(run) and c.loose and c.loose[part] and c.loose[part](text) then
    return true
  end
  local to = c.through and c.through[part] or c.wanted[part]
  return (part == "acl" or part == "map") and not state.given and is_on_the_way(text, c.before[part], to)
end

--- Is a filled version left over that should not be? One whose commit has an unknown outcome stays, until
-- the next commit: to empty it might empty the list.
local function leftover(run, state)
  local in_doubt = run.err:find("'commit acl ", 1, true) or run.err:find("'show acl'", 1, true)
    or run.err:find("'get acl ", 1, true)
  return state.left[in_doubt and 2 or 1]
end

--- HAProxy's answers have no checksum: one that was altered on its way, and is still well-formed, misleads. And what
-- a reload makes HAProxy forget before it was asked, nobody knows of. Then haplua has to tell what it went by: the
-- content that is there, or that somebody has changed it.
local function is_misled(run, state)
  if run.fault.kind ~= "repeat" and run.fault.kind ~= "again" and run.fault.kind ~= "reload" then
    return false
  elseif run.err:find("haplua: #9999 was changed meanwhile", 1, true) then
    return true
  end
  local told = {}
  for pattern in (run.out:match(".*#9999 matches ([^\n(]*)") or ""):gmatch("%S+") do
    told[#told + 1] = pattern .. "\n"
  end
  table.sort(told)
  local text = table.concat(told)
  return #told > 0 and (text == state.acl:gsub(" ", "") or text == "nothing\n" and state.acl == "")
end

--- HAProxy forgets at a reload. Was that after its last answer (or answers, of requests side by side), so that
-- nothing could tell?
local function is_after_last(run)
  local fault, first = run.fault, run.connections - (run.conversation.last or 1) + 1
  return fault.kind == "reload"
    and (fault.connection > first or fault.connection == first and fault.direction == "down")
end

local function is_forgotten(run, state, part)
  return is_after_last(run) and state[part] == require("stage").fresh[part]
end

--- The same, of the answers before the policy's command ran.
local function is_before_command(run)
  local numbers = run.conversation.before_command or {}
  return run.fault.kind == "reload" and numbers[run.fault.connection] == run.fault.direction
end

local function judge_success(run)
  local c = run.conversation
  for _, state in ipairs(run.states) do
    local wanted = c.wanted
    if run.fault.kind == "reload" then -- the list beside
      wanted = setmetatable({ rest = state.rest }, { __index = wanted })
    end
    local part = M.difference(state, wanted)
    local also = part and run.fault.kind == "reload" and c.after_reload and c.after_reload[part]
    if also and also(state[part], true) then
      part = nil
    end
    if part and is_forgotten(run, state, part) then
      return "forgotten", part
    elseif part and c.unread and M.is_altered(run.fault) then
      return "not read back", ("%s is\n%s"):format(part, state[part])
    elseif part and is_misled(run, state) then
      return "misled", ("%s is\n%s"):format(part, state[part])
    elseif part then
      return "false success", ("%s is\n%s"):format(part, state[part])
    elseif #state.left > 0 then
      return "left over", "version " .. state.left[1]
    end
  end
end

local function judge_error(run)
  local c = run.conversation
  if run.status >= 128 or run.status == 2 or run.status == 4 then
    return "crash", "status " .. run.status
  elseif not run.err:find("haplua: ", 1, true) then
    return "no words", "status " .. run.status
  end
  for _, state in ipairs(run.states) do
    if c.claims and run.out:find(c.claims, 1, true) and M.difference(state, c.wanted) then
      return "false claim", c.claims
    elseif M.is_altered(run.fault) then
      return
    end
    for _, part in ipairs(parts) do
      if not is_allowed(run, state, part) then
        return "neither old nor new", ("%s is\n%s"):format(part, state[part])
      end
    end
    local version = leftover(run, state)
    if version and not is_loose(run) then
      return "left over", "version " .. version
    end
  end
  -- everywhere or nowhere, unless HAProxy has forgotten, or the cleanup is under the fault, too
  local strict = not is_loose(run) and run.fault.kind ~= "reload"
  if strict and #run.states == 2 and M.difference(run.states[1], run.states[2]) then
    return "not everywhere", run.states[2].acl
  end
end

--- What is wrong with a run: a word for the count, and details. Nothing: it told the truth.
---@param run table  status, out, err, seconds, conversation, fault, states, connections, timeout
---@return string? problem, string? details
function M.judge(run)
  if not run.status or run.seconds > run.connections * run.timeout + SLACK then
    return "hang", ("%.1f s"):format(run.seconds)
  end
  local wrong = run.conversation.check and run.conversation.check(run.out)
  if wrong and is_before_command(run) then
    return "forgotten", wrong
  elseif wrong then
    return "false claim", wrong
  elseif run.status == 0 then
    return judge_success(run)
  end
  return judge_error(run)
end

return M
