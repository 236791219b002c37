-- SPDX-License-Identifier: MIT
--
--- The state of a switch: HAProxy's word, the journal's record, and where HAProxy, its files and the journal disagree.

local enumerate = require("haplua.apply.result").enumerate
local moment = require("haplua.time.instant")
local switch = require("haplua.haproxy.switch")
local time = require("haplua.task").time
local visible = require("haplua.error").visible

local M = {}

---@class haplua.Disagreement
---@field kind "forgotten"|"by hand"|"expired"|"broken off"|"bypass"|"info"|"file"
---@field text string
---@field advice string

---@class haplua.Status
---@field target string
---@field switch string
---@field acl string
---@field on boolean  the ACL has patterns
---@field patterns string[]
---@field type string  HAProxy's match method
---@field passing string[]?  clients that pass
---@field worker integer  HAProxy's process
---@field version string  HAProxy's
---@field wanted haplua.Entry?  the journal's latest record
---@field told {since: integer?, ends: integer?, reason: string?}?  what visitors see, where the journal has no record
---@field disagreements haplua.Disagreement[]
---@field no_journal string?  why the journal could not be read
local Status = {}

--- True if two lists have the same texts, in whatever order.
local function same(a, b)
  a, b = table.move(a, 1, #a, 1, {}), table.move(b, 1, #b, 1, {})
  table.sort(a)
  table.sort(b)
  return table.concat(a, "\n") == table.concat(b, "\n")
end
M.same = same

--- Who made a change: "root@web1 (alice behind sudo)".
---@param entry haplua.Entry
---@return string
function M.who(entry)
  local text = ("%s@%s"):format(entry.user, entry.host)
  return entry.login and entry.login ~= entry.user and ("%s (%s behind sudo)"):format(text, entry.login) or text
end

--- HAProxy's list is not the journal's: a new process began without it, or somebody changed it.
local function difference(state, wanted)
  local what = #wanted.patterns > 0 and "on for " .. enumerate(wanted.patterns) or "off"
  if not wanted.outcome then
    return nil
  elseif not wanted.worker or switch.is_same_process(state, wanted) then
    return {
      kind = "by hand",
      text = ("wanted is: %s, by %s; somebody has changed HAProxy since, and not with haplua"):format(what, M.who(wanted)),
      advice = "maint on or maint off says which it shall be",
    }
  end
  local has_patterns = #state.patterns > 0
  return {
    kind = has_patterns and "by hand" or "forgotten",
    text = ("wanted is: %s, by %s; HAProxy's process %d was replaced by %d at %s, and that one has %s"):format(what,
      M.who(wanted), wanted.worker, state.worker, moment.text(state.started),
      has_patterns and "another list" or "an empty list"),
    advice = "maint on puts it back; scripts/keep.lua does so by itself, and a list with -f FILE survives a reload",
  }
end

--- The process that made the latest change has ended without recording an outcome.
local function broken_off(c, wanted)
  if wanted.outcome or c.journal:locked(c.name, c.switch.acl) then
    return nil
  end
  return {
    kind = "broken off",
    text = ("'%s' by %s at %s (process %d) was broken off: it may have been carried out in part"):format(
      wanted.action, M.who(wanted), moment.text(wanted.time), wanted.pid),
    advice = "maint on or maint off, or scripts/keep.lua, brings everything together again",
  }
end

local function expired(ends, state, in_journal)
  if #state.patterns > 0 and ends and ends <= time() then
    return {
      kind = "expired",
      text = ("it should have ended at %s"):format(moment.text(ends)),
      advice = "maint off ends it" .. (in_journal and "; scripts/keep.lua would have" or ""),
    }
  end
end

local function bypass(wanted, state)
  if wanted.bypass and state.passing and #wanted.patterns > 0 and not same(wanted.bypass, state.passing) then
    return {
      kind = "bypass",
      text = ("passing should be: %s; HAProxy has: %s"):format(enumerate(wanted.bypass), enumerate(state.passing)),
      advice = "maint on sets it anew",
    }
  end
end

local function info(wanted, state)
  local should = #wanted.patterns > 0
    and switch.info(wanted.since or wanted.time, wanted.ends, wanted.reason) or { keys = {}, values = {} }
  if state.info and not (same(should.keys, state.info.keys) and same(should.values, state.info.values)) then
    return {
      kind = "info",
      text = "visitors see another reason or end than is wanted",
      advice = "maint on sets it anew",
    }
  end
end

local function files(c, state)
  local found = {}
  for _, file in ipairs(switch.out_of_step(c.target, c.switch, state)) do
    found[#found + 1] = {
      kind = "file",
      text = ("%s %s: the next reload would undo the current state"):format(file.path, file.entries
        and ("has %d entries, and not HAProxy's %d"):format(file.entries, file.expected) or "is missing"),
      advice = "maint on or maint off writes it",
    }
  end
  return found
end

--- Where HAProxy, its files and the journal disagree.
---@param c haplua.Context
---@param state haplua.switch.State
---@param wanted haplua.Entry?
---@return haplua.Disagreement[]
function M.disagreements(c, state, wanted)
  local found = {}
  local function add(disagreement)
    found[#found + 1] = disagreement
  end
  if wanted then
    add(broken_off(c, wanted))
    if not same(wanted.patterns, state.patterns) then
      add(difference(state, wanted))
    else
      add(bypass(wanted, state))
      add(info(wanted, state))
    end
    add(expired(#wanted.patterns > 0 and wanted.ends, state, true))
  else
    local announced = switch.announced(state)
    if c.journal and #state.patterns > 0 then
      add({
        kind = "by hand",
        text = "the journal has no record of it: somebody put it on without haplua, or the list's file has it",
        advice = "maint on or maint off says which it shall be",
      })
    end
    add(expired(announced and announced.ends, state))
  end
  return table.move(files(c, state), 1, 8, #found + 1, found)
end

--- Lines on a change: its time, and of a maintenance that is on its reason and its end.
---@param about {ends: integer?, reason: string?}
---@param since number?
---@param source string
local function story(about, since, source)
  local lines = {}
  local function add(form, ...)
    lines[#lines + 1] = "\n  " .. visible(form:format(...))
  end
  if since then
    add("since %s (%s)%s", moment.text(since), moment.span(math.max(0, time() - since)), source)
  end
  if about.reason then
    add("reason: %s", about.reason)
  end
  if about.ends and about.ends > time() then
    add("until %s (in %s)", moment.text(about.ends), moment.span(about.ends - time()))
  end
  return table.concat(lines)
end

---@param wanted haplua.Entry
local function journals_story(wanted)
  local on = #wanted.patterns > 0
  return story(on and wanted or {}, on and wanted.since or wanted.time, (", by %s%s"):format(M.who(wanted),
    wanted.action ~= "on" and wanted.action ~= "off" and (" with '%s'"):format(wanted.action) or ""))
end

function Status.__tostring(status)
  local text = ("maintenance is %s: %s matches %s"):format(status.on and "on" or "off", status.acl,
    enumerate(status.patterns))
  if status.wanted and same(status.wanted.patterns, status.patterns) then
    text = text .. journals_story(status.wanted)
  elseif status.told then
    text = text .. story(status.told, status.told.since, ", as visitors see it")
  end
  if status.on and status.passing and #status.passing > 0 then
    text = text .. "\n  passing: " .. enumerate(status.passing)
  end
  for _, disagreement in ipairs(status.disagreements) do
    text = text .. ("\n  but %s\n      %s"):format(visible(disagreement.text), disagreement.advice)
  end
  if status.no_journal then
    text = text .. ("\n  no journal: %s"):format(visible(status.no_journal))
  end
  return text
end

local function copy_of(fields)
  local copy = {}
  for key, value in pairs(fields) do
    copy[key] = value
  end
  return copy
end

--- An entry of the journal, or what visitors see, for JSON: times as text, and `ends` under the name `until`.
---@param entry haplua.Entry
---@return table
function M.portable_entry(entry)
  local copy = copy_of(entry)
  for _, name in ipairs({ "time", "since", "ended", "started" }) do
    copy[name] = entry[name] and moment.iso(entry[name])
  end
  copy["until"], copy.ends = entry.ends and moment.iso(entry.ends), nil
  copy.asked = nil
  return copy
end

--- The status for JSON.
---@param status haplua.Status
---@return table
function M.portable(status)
  local copy = copy_of(status)
  copy.wanted = status.wanted and M.portable_entry(status.wanted)
  copy.told = status.told and M.portable_entry(status.told)
  return copy
end

--- Ask HAProxy and the journal for the state of a switch.
---@param c haplua.Context
---@return haplua.Status
function M.status(c)
  local state = switch.look(c.target, c.switch)
  local wanted = c.journal and c.journal:wanted(c.name, c.switch.acl)
  return setmetatable({
    target = tostring(c.target),
    switch = c.switch.name,
    acl = c.switch.acl,
    on = #state.patterns > 0,
    patterns = state.patterns,
    type = state.method,
    passing = state.passing,
    worker = state.worker,
    version = state.version,
    wanted = wanted,
    told = not wanted and #state.patterns > 0 and switch.announced(state) or nil,
    disagreements = M.disagreements(c, state, wanted),
    no_journal = c.no_journal,
  }, Status)
end

--- A change as a line of `maint log`.
---@param entry haplua.Entry
---@return string
function M.line(entry)
  local what = #entry.patterns > 0 and enumerate(entry.patterns) or "-"
  local extra = {}
  if entry.reason then
    extra[#extra + 1] = ("reason: %s"):format(entry.reason)
  end
  if entry.ends then
    extra[#extra + 1] = "until " .. moment.text(entry.ends)
  end
  local outcome = entry.outcome or "no outcome: under way, or broken off"
  return visible(("%s  %s  %-8s %s  %s%s  [%s]"):format(moment.text(entry.time), entry.switch, entry.action, M.who(entry), what,
    #extra > 0 and "  " .. table.concat(extra, ", ") or "", outcome:match("^[^\n]*")))
end

return M
