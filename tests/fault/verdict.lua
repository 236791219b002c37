-- SPDX-License-Identifier: MIT
--
--- Compare what a run has said with what HAProxy holds afterwards.

local M = {}

-- Seconds by which a run may exceed its deadlines: processes start and end slowly on a busy machine.
local SLACK = 5

--- Problems that no client can detect, or that a call is documented not to detect. They are counted, and are no failures.
M.excuses = { misled = true, forgotten = true, ["not read back"] = true }

-- The parts of a switch (books.lua).
local books = { "main", "bypass", "info", "main_file", "bypass_file", "info_file", "journal" }

local parts = { "acl", "map", "pool", "rest", table.unpack(books) }

--- The parts that HAProxy 2.2 changes entry by entry.
local is_list = { acl = true, map = true, main = true, bypass = true, info = true }

--- Is this a fault after which HAProxy receives another command than haplua has sent?
function M.is_altered(fault)
  return (fault.kind == "repeat" or fault.kind == "again") and fault.direction == "up"
end

--- Is this a fault that also disturbs the cleanup, or that lets a command arrive after it? A busy machine, on which a
-- deadline passes, may do the same.
local function is_loose(run)
  local kind = run.fault.kind
  return kind == "gone" or kind == "late" or kind == "full" or run.seconds >= run.timeout
end

--- The first part that is not as wanted, or nil. Parts that the state does not have are left out.
function M.difference(state, wanted)
  for _, part in ipairs(parts) do
    if state[part] and state[part] ~= wanted[part] then
      return part
    end
  end
end

--- Do HAProxy, the files and the journal agree?
function M.is_together(state)
  local patterns = (state.main or state.acl):gsub(" [^\n]*", "") -- of a map the keys
  return patterns == state.journal and (not state.entry or state.entry.outcome ~= nil)
    and (not state.main or state.main == state.main_file and state.bypass == state.bypass_file and state.info == state.info_file)
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

--- May a list without versions hold this while it changes from one content to the other? ("since" has another value
-- each time; the texts have it without its value.)
local function is_on_the_way(text, before, wanted)
  local old, new, now, any = set_of(before), set_of(wanted), set_of(text), set_of(before, wanted)
  for line in pairs(now) do
    if not any[line] then
      return false
    end
  end
  for line in pairs(old) do
    if new[line] and not now[line] and line ~= "since" then
      return false
    end
  end
  return true
end

--- May a part have this content after an error?
local function is_allowed(run, state, part)
  local c, text = run.conversation, state[part]
  if not text then
    return true
  elseif text == c.before[part] or text == c.wanted[part] then
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
  return is_list[part] and not state.given and is_on_the_way(text, c.before[part], to)
end

--- The version that is filled, not in force, and should have been emptied. haplua leaves a version whose commit has an
-- unknown outcome, because it may be in force. A request that was cut off may also arrive after the version was emptied.
---@return integer?
local function leftover(run, state)
  if run.fault.direction == "up" and run.err:find("'add %l+ @") then
    return state.left[2]
  end
  local in_doubt = run.err:find("'commit %l+ ") or run.err:find("'show %l+'") or run.err:find("'get %l+ ")
  return state.left[in_doubt and 2 or 1]
end

--- Was haplua misled? HAProxy's answers have no checksum: one that was altered on its way may still be well-formed. And
-- nothing shows that a reload has emptied a list before haplua asked. In both cases haplua must say what it relied on:
-- the content that is there, or that somebody has changed it.
local function is_misled(run, state)
  if run.fault.kind ~= "repeat" and run.fault.kind ~= "again" and run.fault.kind ~= "reload" then
    return false
  elseif run.err:find("haplua: #9999 was changed meanwhile", 1, true) then
    return true
  end
  local printed = {}
  for pattern in (run.out:match(".*#9999 matches ([^\n(]*)") or ""):gmatch("%S+") do
    printed[#printed + 1] = pattern .. "\n"
  end
  table.sort(printed)
  local text = table.concat(printed)
  return #printed > 0 and (text == state.acl:gsub(" ", "") or text == "nothing\n" and state.acl == "")
end

--- Was the reload after HAProxy's last answer (or answers, of requests side by side)? Then nothing could show it.
local function is_after_last(run)
  local fault, first = run.fault, run.connections - (run.conversation.last or 1) + 1
  return fault.kind == "reload"
    and (fault.connection > first or fault.connection == first and fault.direction == "down")
end

local function is_forgotten(run, state, part)
  return is_after_last(run) and state[part] == require("stage").fresh[part]
end

--- Was the reload after HAProxy's last answer before the policy's command ran?
local function is_before_command(run)
  local numbers = run.conversation.before_command or {}
  return run.fault.kind == "reload" and numbers[run.fault.connection] == run.fault.direction
end

local function judge_success(run)
  local c = run.conversation
  for _, state in ipairs(run.states) do
    local wanted = c.wanted
    if run.fault.kind == "reload" then -- no policy restores this part
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

--- Is a switch changed in part: are its lists neither all old nor all new?
local function is_in_part(run, state)
  local c = run.conversation
  for _, content in ipairs({ c.before, c.wanted, c.through }) do
    local same = true
    for _, part in ipairs(books) do
      same = same and (not state[part] or not content[part] or state[part] == content[part])
    end
    if same then
      return false
    end
  end
  return true
end

--- Does `maint status` show, and `maint off` mend, a disagreement that this run has left?
local function judge_left(run, state)
  if run.mended == nil then
    return
  elseif not run.shown or (run.shown.on ~= ((state.main or state.acl) ~= "")) or #run.shown.disagreements == 0 then
    return "not shown", "HAProxy, files and journal differ, and `maint status` does not show it"
  elseif not run.mended then
    return "not mended", run.mending
  end
end

local function describe(state)
  local text = {}
  for _, part in ipairs(books) do
    text[#text + 1] = state[part] and ("%s: %s"):format(part, state[part]:gsub("\n", "  ")) or nil
  end
  return table.concat(text, "\n  ")
end

local function judge_error(run)
  local c = run.conversation
  if run.status >= 128 or run.status == 2 or run.status == 4 then
    return "crash", "status " .. run.status
  elseif not run.err:find("haplua: ", 1, true) then
    return "no message", "status " .. run.status
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
    if run.conversation.switch and not is_loose(run) and run.fault.kind ~= "reload" and is_in_part(run, state) then
      return "in part", describe(state)
    end
    local problem, details = judge_left(run, state)
    if problem then
      return problem, ("%s\n  %s"):format(details, describe(state))
    end
    local version = leftover(run, state)
    if version and not is_loose(run) then
      return "left over", "version " .. version
    end
  end
  -- all HAProxys or none have changed, unless there was a reload, or the fault disturbs the cleanup, too
  local strict = not is_loose(run) and run.fault.kind ~= "reload"
  if strict and #run.states == 2 and M.difference(run.states[1], run.states[2]) then
    return "not everywhere", run.states[2].acl
  end
end

--- What is wrong with a run.
---@param run table  status, out, err, seconds, conversation, fault, states, connections, timeout
---@return string? problem, string? details  the name by which it is counted; nil: nothing is wrong
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
