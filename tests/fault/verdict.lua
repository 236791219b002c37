-- SPDX-License-Identifier: MIT
--
--- Did haplua say the truth? Compares what a run said with what HAProxy then holds.

local M = {}

-- What a deadline may be overrun by: the start and end of processes on a busy machine.
local SLACK = 5

--- What no client can know, and what a call is documented not to look at: counted, and no failure.
M.excuses = { misled = true, forgotten = true, ["not read back"] = true }

-- of a switch (books.lua)
local books = { "main", "bypass", "info", "main_file", "bypass_file", "info_file", "journal" }

local parts = { "acl", "map", "pool", "rest", table.unpack(books) }

--- Those that HAProxy 2.2 changes in place.
local is_list = { acl = true, map = true, main = true, bypass = true, info = true }

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

--- The first part that is not as it was wanted, or nil. What was not looked at is.
function M.difference(state, wanted)
  for _, part in ipairs(parts) do
    if state[part] and state[part] ~= wanted[part] then
      return part
    end
  end
end

--- Are HAProxy, the files and the journal of one mind?
function M.is_together(state)
  local main = state.main or state.acl
  return main == state.journal and (not state.entry or state.entry.outcome ~= nil)
    and (not state.main or main == state.main_file and state.bypass == state.bypass_file and state.info == state.info_file)
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

--- May a list that has no versions hold this, on its way from one content to the other? (A "since" is another one
-- each time: its instant is left out of the texts.)
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

--- May an error leave this?
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

--- Is a filled version left over that should not be? One whose commit has an unknown outcome stays, until
-- the next commit: to empty it might empty the list. And what was cut off on its way up may arrive when the version
-- was emptied.
local function leftover(run, state)
  if run.fault.direction == "up" and run.err:find("'add acl @", 1, true) then
    return state.left[2]
  end
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

--- Is a switch changed in part? The lists that go together, all of them old, or all new.
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

--- Does the next command find out, and put right, what this one left?
local function judge_left(run, state)
  if run.mended == nil then
    return
  elseif not run.told or (run.told.on ~= ((state.main or state.acl) ~= "")) or #run.told.disagreements == 0 then
    return "untold", "HAProxy, files and journal differ, and `maint status` does not tell"
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
    return "no words", "status " .. run.status
  end
  for i, state in ipairs(run.states) do
    local claims = c.claims and (c.apart and run.addresses[i] .. ": " or "") .. c.claims
    if claims and run.out:find(claims, 1, true) and M.difference(state, c.wanted) then
      return "false claim", claims
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
  -- everywhere or nowhere, unless HAProxy has forgotten, or the cleanup is under the fault, too
  local strict = not is_loose(run) and run.fault.kind ~= "reload" and not c.apart
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
