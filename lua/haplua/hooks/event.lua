-- SPDX-License-Identifier: MIT
--
--- A change as JSON has it: what hooks get on standard input (docs/hooks.md documents the fields).

local maintenance = require("haplua.plan.maintenance")
local moment = require("haplua.time.instant")
local process = require("haplua.process")
local scope = require("haplua.plan.scope")

local M = {}

--- The version of the form. A field that is added leaves it; another meaning makes it one more.
local VERSION <const> = 1

-- So many maintenances that are over are looked through for those that ended since the change before.
local PAST <const> = 50

--- A maintenance or a change for JSON: times as text, and `ends` under the name `until`.
---@param entry haplua.Maintenance|haplua.Change
---@return table
function M.entry(entry)
  local copy = maintenance.with(entry, {})
  for _, name in ipairs({ "time", "since", "begins", "ended", "started" }) do
    copy[name] = entry[name] and moment.iso(entry[name])
  end
  copy["until"], copy.ends = entry.ends and moment.iso(entry.ends), nil
  copy.asked = nil
  copy.id = entry.scope and entry.id and maintenance.name(entry) or entry.id
  if not entry.user and entry.begins then -- of no journal: it is this process's
    local person = process.person()
    copy.user, copy.host, copy.login = person.user, person.host, person.login
  end
  return copy
end

---@param list table[]
---@return table[]
function M.entries(list)
  local copies = {}
  for i, entry in ipairs(list) do
    copies[i] = M.entry(entry)
  end
  return copies
end

--- What an edit does to its maintenance.
---@return "planned"|"begun"|"changed"|"ended" event, haplua.Maintenance m  as it is afterwards
local function effect_of(edit, now)
  if edit.add then
    return edit.add.begins > now and "planned" or "begun", edit.add
  end
  return edit.set.ended and "ended" or "changed", maintenance.with(edit.of, edit.set)
end

--- What has become of which maintenances: by the edits of the change, and by time and planners since the change before.
---@return {event: string, m: haplua.Maintenance}[]
local function effects(c, plan, edits, now)
  local found, there = {}, {}
  local function add(event, m)
    local name = m.id or m
    if not there[name] then
      there[name] = true
      found[#found + 1] = { event = event, m = m }
    end
  end
  for _, edit in ipairs(edits) do
    add(effect_of(edit, now))
  end
  local since = plan.previous or math.huge
  for _, m in ipairs(plan.in_force) do
    if m.begins > since then
      add("begun", m)
    end
  end
  for _, m in ipairs(since < math.huge and c.journal and c.store:ended(plan.target, plan.acl, PAST) or {}) do
    if m.ended > since and m.begins <= m.ended then
      add("ended", m)
    end
  end
  return found
end

local function who(m)
  return m.user and maintenance.who(m) or maintenance.who(process.person())
end

--- "m12 (/shop) begun by root@web1, until 2026-12-01 03:00:00 +0100: new database"
local function sentence(event, m)
  local by = event == "ended" and (m.ended_by or m.why) or m.origin ~= "by hand" and who(m) or "hand"
  return ("%s (%s) %s by %s%s%s"):format(maintenance.name(m), scope.text(m.scope), event, by,
    event == "planned" and " from " .. moment.text(m.begins) or "",
    event ~= "ended" and m.ends and ", until " .. moment.text(m.ends) or "") .. (m.reason and ": " .. m.reason or "")
end

--- The change for hooks.
---@param c haplua.Context
---@param plan haplua.Wish  with `in_force` and `previous`: when the change before was made; nil: there was none
---@param edits haplua.Edit[]
---@param state {worker: integer, started: integer?}  the HAProxy process
---@param id integer?  of the change in the journal
---@param outcome string  "done", or what went wrong
---@param now number
---@return table
function M.of(c, plan, edits, state, id, outcome, now)
  local server, maintenances, sentences = plan.acl:match("^server (.*)$"), {}, {}
  for i, one in ipairs(effects(c, plan, edits, now)) do
    local entry = M.entry(one.m)
    entry.event, entry.closes = one.event, scope.text(one.m.scope)
    maintenances[i], sentences[i] = entry, sentence(one.event, one.m)
  end
  local name, person = server or plan.switch, process.person()
  local text = sentences[1] and table.concat(sentences, "; ")
    or "what a reload or a hand had undone was put back"
  return {
    version = VERSION, what = plan.action, time = moment.iso(now), change = c.journal and id or nil,
    target = plan.target, switch = not server and plan.switch or nil, list = not server and plan.acl or nil, server = server,
    on = #plan.in_force > 0, patterns = not server and plan.patterns or nil,
    maintenances = maintenances, in_force = M.entries(plan.in_force),
    text = ("%s: %s%s"):format(name, text, outcome == "done" and "" or "; this failed: " .. outcome),
    user = person.user, host = person.host, login = person.login, outcome = outcome,
    haproxy = { pid = state.worker, started = state.started and moment.iso(state.started) },
  }
end

return M
