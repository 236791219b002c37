-- SPDX-License-Identifier: MIT
--
--- The state of a switch: HAProxy's word, the journal's record, and where HAProxy, its files and the journal disagree.

local moment = require("haplua.time.instant")
local results = require("haplua.apply.result")
local switch = require("haplua.haproxy.switch")
local time = require("haplua.task").time
local visible = require("haplua.error").visible

local enumerate = results.enumerate

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

---@return haplua.Disagreement
local function disagreement(kind, advice, form, ...)
  return { kind = kind, text = form:format(...), advice = advice }
end

--- HAProxy's list is not the journal's: a new process began without it, or somebody changed it.
local function difference(state, wanted)
  local what = #wanted.patterns > 0 and "on for " .. enumerate(wanted.patterns) or "off"
  if not wanted.outcome then
    return nil
  elseif not wanted.worker or switch.is_same_process(state, wanted) then
    return disagreement("by hand", "maint on or maint off says which it shall be",
      "wanted is: %s, by %s; somebody has changed HAProxy since, and not with haplua", what, M.who(wanted))
  end
  local has_patterns = #state.patterns > 0
  return disagreement(has_patterns and "by hand" or "forgotten",
    "maint on puts it back; scripts/keep.lua does so by itself, and a list with -f FILE survives a reload",
    "wanted is: %s, by %s; HAProxy's process %d was replaced by %d at %s, and that one has %s", what, M.who(wanted),
    wanted.worker, state.worker, moment.text(state.started), has_patterns and "another list" or "an empty list")
end

--- The process that made the latest change has ended without recording an outcome.
local function broken_off(c, wanted)
  return not wanted.outcome and not c.journal:locked(c.name, c.switch.acl) and disagreement("broken off",
    "maint on or maint off, or scripts/keep.lua, brings everything together again",
    "'%s' by %s at %s (process %d) was broken off: it may have been carried out in part", wanted.action,
    M.who(wanted), moment.text(wanted.time), wanted.pid)
end

local function expired(ends, state, in_journal)
  return #state.patterns > 0 and ends and ends <= time() and disagreement("expired",
    "maint off ends it" .. (in_journal and "; scripts/keep.lua would have" or ""),
    "it should have ended at %s", moment.text(ends))
end

local function bypass(wanted, state)
  return wanted.bypass and state.passing and #wanted.patterns > 0 and not same(wanted.bypass, state.passing)
    and disagreement("bypass", "maint on sets it anew", "passing should be: %s; HAProxy has: %s",
      enumerate(wanted.bypass), enumerate(state.passing))
end

local function info(wanted, state)
  local should = #wanted.patterns > 0
    and switch.info(wanted.since or wanted.time, wanted.ends, wanted.reason) or { keys = {}, values = {} }
  return state.info and not (same(should.keys, state.info.keys) and same(should.values, state.info.values))
    and disagreement("info", "maint on sets it anew", "visitors see another reason or end than is wanted")
end

--- Where HAProxy, its files and the journal disagree.
---@param c haplua.Context
---@param state haplua.switch.State
---@param wanted haplua.Entry?
---@return haplua.Disagreement[]
function M.disagreements(c, state, wanted)
  local found = {}
  local function add(one)
    found[#found + 1] = one or nil
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
    add(c.journal and #state.patterns > 0 and disagreement("by hand", "maint on or maint off says which it shall be",
      "the journal has no record of it: somebody put it on without haplua, or the list's file has it"))
    add(expired(announced and announced.ends, state))
  end
  for _, file in ipairs(switch.out_of_step(c.target, c.switch, state)) do
    add(disagreement("file", "maint on or maint off writes it", "%s %s: the next reload would undo the current state",
      file.path, file.entries and ("has %d entries, and not HAProxy's %d"):format(file.entries, file.expected)
      or "is missing"))
  end
  return found
end

--- Lines on a change: its time, and of a maintenance that is on its reason and its end.
local function story(about, since, source)
  return (since and results.line("since %s (%s)%s", moment.text(since), moment.span(math.max(0, time() - since)), source)
    or "") .. results.why_and_until(about)
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
  for _, one in ipairs(status.disagreements) do
    text = text .. ("\n  but %s\n      %s"):format(visible(one.text), one.advice)
  end
  if status.no_journal then
    text = text .. results.line("no journal: %s", status.no_journal)
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
  local extra = { entry.reason and "reason: " .. entry.reason }
  extra[#extra + 1] = entry.ends and "until " .. moment.text(entry.ends)
  local outcome = entry.outcome or "no outcome: under way, or broken off"
  return visible(("%s  %s  %-8s %s  %s%s  [%s]"):format(moment.text(entry.time), entry.switch, entry.action, M.who(entry), what,
    #extra > 0 and "  " .. table.concat(extra, ", ") or "", outcome:match("^[^\n]*")))
end

return M
