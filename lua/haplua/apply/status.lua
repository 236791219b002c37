-- SPDX-License-Identifier: MIT
--
--- The state of a switch: the maintenances, what HAProxy holds, and where HAProxy, its files and the store disagree.

local change = require("haplua.apply.change")
local is_abandoned = require("haplua.apply.during").is_abandoned
local lists = require("haplua.base.lists")
local maintenance = require("haplua.plan.maintenance")
local moment = require("haplua.time.instant")
local plans = require("haplua.apply.plan")
local results = require("haplua.apply.result")
local scope = require("haplua.plan.scope")
local switch = require("haplua.haproxy.switch")
local time = require("haplua.task").time
local visible = require("haplua.error").visible

local enumerate, same, who = results.enumerate, lists.same, maintenance.who

local M = {}

---@class haplua.Disagreement
---@field kind "by hand"|"broken off"|"forgotten"|"expired"|"due"|"scope"|"bypass"|"info"|"file"|"abandoned"|"journal"
---@field text string
---@field advice string

---@class haplua.Status
---@field target string
---@field switch string
---@field acl string
---@field given string?  the name for which `acl` stands
---@field on boolean  the ACL has patterns
---@field patterns string[]
---@field type string  HAProxy's match method
---@field passing string[]?  clients that pass
---@field worker integer  HAProxy's process
---@field version string  HAProxy's
---@field maintenances haplua.Maintenance[]  in force, or past their end and not yet ended
---@field planned haplua.Maintenance[]
---@field servers {server: string, state: string?, before: string, weight: integer, weight_now: integer?}[]?
--- those that have maintenances; weight_now: where it is another
---@field told {since: integer?, ends: integer?, reason: string?}?  what visitors see, where the journal has no record
---@field disagreements haplua.Disagreement[]
---@field notes string[]?  what a switch that is a map cannot hold as it is wanted
---@field visitors haplua.Visitors?  what visitors get, where that was asked for
---@field journal boolean  the maintenances are in a journal
---@field no_journal string?  why the journal could not be read
local Status = {}

---@return haplua.Disagreement
local function disagreement(kind, advice, form, ...)
  return { kind = kind, text = form:format(...), advice = advice }
end

-- Where they disagree: each of these looks for one kind.

--- The process that made the latest change has ended without recording an outcome.
local function broken_off(c, look)
  local latest = look.latest
  return latest and not latest.outcome and not c.store:locked(c.name, c.switch.acl) and disagreement("broken off",
    "maint on or maint off, or haplua keep, brings everything together again",
    "'%s' by %s at %s (process %d) was broken off: it may have been carried out in part", latest.action,
    who(latest), moment.text(latest.time), latest.pid)
end

local function hand(c, look)
  if #look.edits == 0 or not c.journal then
    return nil
  elseif not look.latest then
    return disagreement("by hand", "maint on or maint off says which it shall be",
      "the journal has no record of it: somebody put it on without haplua, or the list's file has it")
  end
  return disagreement("by hand", "maint on or maint off says which it shall be",
    "wanted is: %s; somebody has changed HAProxy since, and not with haplua", enumerate(look.latest.patterns))
end

--- HAProxy's list is not what the maintenances in force make of it.
local function difference(_, look, plan, differences)
  local latest, state = look.latest, look.state
  if not differences.patterns or not latest or not latest.outcome or #look.edits > 0 then
    return nil
  elseif look.same_process and same(latest.patterns, state.patterns) then
    return #plan.patterns > 0 and disagreement("due", "haplua keep would have done it; maint on does",
      "HAProxy should have: %s", enumerate(plan.patterns))
  elseif look.same_process then
    return disagreement("by hand", "by_hand = \"undo\" of the configuration has haplua keep put it back",
      "wanted is: %s; somebody has changed HAProxy since, and not with haplua", enumerate(plan.patterns))
  end
  return disagreement("forgotten",
    "maint on puts it back; haplua keep does so by itself, and a list with -f FILE survives a reload",
    "wanted is: %s; HAProxy's process %d was replaced by %d at %s, and that one has %s",
    #plan.patterns > 0 and "on for " .. enumerate(plan.patterns) or "off", latest.worker or 0, state.worker,
    moment.text(state.started), #state.patterns > 0 and "another list" or "an empty list")
end

local function expired(c, look)
  for _, m in ipairs(look.current) do
    if #look.state.patterns > 0 and m.ends and m.ends <= look.now then
      return disagreement("expired", "maint off ends it; haplua keep would have", "%s should have ended at %s",
        maintenance.name(m), moment.text(m.ends))
    end
  end
  local told = not c.journal and switch.announced(look.state)
  return told and #look.state.patterns > 0 and told.ends and told.ends <= look.now
    and disagreement("expired", "maint off ends it", "it should have ended at %s", moment.text(told.ends))
end

local function bypass(_, look, plan, differences)
  return differences.bypass and #plan.patterns > 0 and disagreement("bypass",
    "maint on sets it anew", "passing should be: %s; HAProxy has: %s", enumerate(plan.bypass, plan.bits),
    enumerate(look.state.passing, look.state.bits))
end

local function info(c, look, _, differences)
  local is_map = look.state.values ~= nil
  return c.journal and differences.info and not (is_map and differences.patterns) and disagreement("info",
    "maint on sets it anew", "visitors see another reason or end than is wanted%s", is_map and ", or other clients pass" or "")
end

local finders = { broken_off, hand, difference, expired, bypass, info }

--- Where HAProxy, its files and the store disagree.
---@param c haplua.Context
---@param look haplua.Look
---@return haplua.Disagreement[], haplua.Plan
function M.disagreements(c, look)
  local plan, found = plans.of(c, look, "status", look.edits), {}
  local differences = plans.differences(c, look.state, plan)
  for _, find in ipairs(finders) do
    found[#found + 1] = find(c, look, plan, differences) or nil
  end
  for _, one in ipairs(plan.untold) do
    found[#found + 1] = disagreement("scope", "end it, or declare the ACL so that it can tell this scope apart",
      "%s is not closed: %s", results.summary(one.of), tostring(one.problem))
  end
  for _, m in ipairs(plan.in_force) do
    found[#found + 1] = m.pid and is_abandoned(m, c.person) and disagreement("abandoned",
      ("maint off %s ends it"):format(maintenance.name(m)), "the process %d that would end %s is gone", m.pid,
      maintenance.name(m)) or nil
  end
  for _, file in ipairs(differences.files) do
    found[#found + 1] = disagreement("file", "maint on or maint off writes it",
      "%s %s: the next reload would undo the current state", file.path,
      file.entries and ("has %d entries, and not HAProxy's %d"):format(file.entries, file.expected) or "is missing")
  end
  return found, plan
end

-- Printing.

--- Rows as lines whose columns stand under each other.
function M.aligned(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, utf8.len(cell) or #cell)
    end
  end
  for n, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      cells[i] = cell .. (" "):rep(widths[i] - (utf8.len(cell) or #cell))
    end
    lines[n] = table.concat(cells, "  "):gsub("%s+$", "")
  end
  return lines
end

local function short(instant)
  return (os.date("%Y-%m-%d %H:%M", math.floor(instant)))
end

--- Maintenances as a table with a line for each.
---@param list haplua.Maintenance[]
---@return string
function M.table_of(list)
  local rows = { { "id", "scope", "since", "until", "by", "origin", "reason" } }
  for _, m in ipairs(list) do
    rows[#rows + 1] = {
      maintenance.name(m), scope.text(m.scope), short(m.begins), m.ends and short(m.ends) or "-",
      m.origin == "by hand" and "-" or visible(who(m)), visible(m.origin), visible(m.reason or "-"),
    }
  end
  return table.concat(M.aligned(rows), "\n")
end

function Status.__tostring(status)
  -- without a journal, HAProxy's list is all that is known: the next line has it
  local text = status.journal and #status.maintenances > 0 and M.table_of(status.maintenances) .. "\n" or ""
  text = text .. (status.acl and ("maintenance is %s: %s matches %s"):format(status.on and "on" or "off",
    results.list_name(status.acl, status.given), enumerate(status.patterns)) or "")
  if status.servers or not status.acl then
    text = text .. require("haplua.apply.server_result").lines(status)
  end
  local told = status.told
  if told and told.since then
    text = text .. results.line("since %s (%s), as visitors see it", moment.text(told.since),
      moment.span(math.max(0, time() - told.since)))
  end
  text = text .. (told and results.why_and_until(told) or "")
  local has_own = status.journal and (status.type or ""):find("^map_")
  for _, m in ipairs(has_own and status.maintenances or {}) do
    text = text .. (#(m.bypass or {}) > 0 and results.line("passing %s: %s", maintenance.name(m), enumerate(m.bypass)) or "")
  end
  if status.on and not has_own and status.passing and #status.passing > 0 then
    text = text .. "\n  passing: " .. enumerate(status.passing)
  end
  for _, note in ipairs(status.notes or {}) do
    text = text .. results.line("%s", note)
  end
  for _, one in ipairs(status.disagreements) do
    text = text .. ("\n  but %s\n      %s"):format(visible(one.text), one.advice)
  end
  if #status.planned > 0 then
    text = text .. results.line("%d planned: maint status --planned", #status.planned)
  end
  for _, line in ipairs(status.visitors and require("haplua.apply.effect").status_lines(status.visitors, status.on) or {}) do
    text = text .. "\n  " .. line
  end
  return text .. (status.no_journal and results.line("no journal: %s", status.no_journal) or "")
end

-- For JSON.

--- A maintenance or a change for JSON.
---@param entry haplua.Maintenance|haplua.Change
---@return table
function M.portable_entry(entry)
  return require("haplua.hooks.event").entry(entry)
end

--- The status for JSON.
---@param status haplua.Status
---@return table
function M.portable(status)
  local events, copy = require("haplua.hooks.event"), maintenance.with(status, {})
  copy.maintenances, copy.planned = events.entries(status.maintenances), events.entries(status.planned)
  if status.visitors then
    copy.visitors = maintenance.with(status.visitors, {
      probes = require("haplua.apply.visitors").portable(status.visitors.probes),
    })
  end
  copy.told = status.told and events.entry(status.told)
  return copy
end

--- A result for JSON.
---@param result haplua.Result
---@return table
function M.portable_result(result)
  local events = require("haplua.hooks.event")
  if result.servers then
    return require("haplua.apply.server_result").portable(result, events.entry)
  end
  return {
    target = result.target, switch = result.switch, acl = result.acl, on = #result.patterns > 0,
    patterns = result.patterns, added = result.added, removed = result.removed, confirmed = result.confirmed,
    maintenance = result.about and events.entry(result.about), refreshed = result.refreshed,
    ended = events.entries(result.ended or {}), in_force = events.entries(result.in_force), passing = result.passing,
    effect = result.effect,
    probes = result.probes and require("haplua.apply.visitors").portable(result.probes),
  }
end

--- What else there is to know: of the plan, of other processes that answer visitors, and of hooks that fail.
local function notes_of(c, state, plan)
  local notes = table.move(plan.notes or {}, 1, #(plan.notes or {}), 1, {})
  for _, one in ipairs(require("haplua.haproxy.processes").others(c.target, state.worker, true)) do
    notes[#notes + 1] = one.text
  end
  local record = c.switch.hooks and c.journal and require("haplua.hooks.record")
  local ran = record and record.read(record.folder(c.store.path)) or {}
  for _, hook in ipairs(record and c.switch.hooks or {}) do
    local one = ran[record.name(hook)]
    notes[#notes + 1] = one and one.failing
      and ("the hook %s failed at %s: %s"):format(record.name(hook), one.failed, one.problem) or nil
  end
  return notes[1] and notes or nil
end

--- Ask HAProxy and the store for the state of a switch.
---@param c haplua.Context
---@param probes haplua.Probe[]?  asked as a visitor, and the rules in HAProxy's configuration are read, too
---@return haplua.Status
function M.status(c, probes)
  local look = change.look(c)
  local state, there, planned = look.state, {}, {}
  for _, m in ipairs(maintenance.after(look.current, look.edits)) do
    local list = m.begins > look.now and planned or there
    list[#list + 1] = not m.ended and m or nil
  end
  local disagreements, plan = M.disagreements(c, look)
  local status = setmetatable({
    target = tostring(c.target),
    switch = c.switch.name,
    acl = c.switch.acl,
    given = c.switch.given,
    on = #state.patterns > 0,
    patterns = state.patterns,
    type = state.method,
    passing = state.passing,
    worker = state.worker,
    version = state.version,
    maintenances = there,
    planned = planned,
    told = not look.latest and #state.patterns > 0 and switch.announced(state) or nil,
    disagreements = disagreements,
    notes = notes_of(c, state, plan),
    journal = c.journal,
    no_journal = c.no_journal,
  }, Status)
  if #c.store:servers(c.name) > 0 then
    require("haplua.apply.server_result").add_to(c, status)
  end
  if probes then
    status.visitors = require("haplua.apply.effect").frontends(c, state)
    status.visitors.probes = require("haplua.apply.visitors").ask(probes, plan, true)
  end
  return status
end

--- The state of servers that have maintenances, without that of a switch.
---@param c haplua.Context
---@param words string[]  "app/a1", or "app/" for each of app
---@return haplua.Status
function M.of_servers(c, words)
  local status = setmetatable({
    target = tostring(c.target), maintenances = {}, planned = {}, disagreements = {}, journal = c.journal,
    no_journal = c.no_journal,
  }, Status)
  require("haplua.apply.server_result").add_to(c, status, words)
  return status
end

--- A change as a line of `maint log`.
---@param entry haplua.Change
---@return string
function M.line(entry)
  local shown = entry.scopes or entry.patterns -- of a fleet: nodes may have different patterns for it
  local what = #shown > 0 and enumerate(shown) or "-"
  local extra = { entry.maintenances }
  extra[#extra + 1] = entry.reason and "reason: " .. entry.reason
  extra[#extra + 1] = entry.ends and "until " .. moment.text(entry.ends)
  local outcome = entry.outcome or "no outcome: under way, or broken off"
  return visible(("%s  %s  %-8s %s  %s%s  [%s]"):format(moment.text(entry.time), entry.switch, entry.action, who(entry),
    what, #extra > 0 and "  " .. table.concat(extra, ", ") or "", outcome:match("^[^\n]*")))
end

return M
