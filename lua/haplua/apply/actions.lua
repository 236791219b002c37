-- SPDX-License-Identifier: MIT
--
--- What people and programs do with the maintenances of a switch: begin one, change one, end some.

local change = require("haplua.apply.change")
local context = require("haplua.apply.context")
local errors = require("haplua.error")
local haproxy = require("haproxy")
local lists = require("haplua.base.lists")
local maintenance = require("haplua.plan.maintenance")
local results = require("haplua.apply.result")
local scope = require("haplua.plan.scope")
local switch = require("haplua.haproxy.switch")
local time = require("haplua.task").time

local M = {}

--- Refuse a reason that a line of the journal or a visitor's page cannot show.
local function check_reason(reason)
  if reason and (reason:find("%c") or reason:find("^%s*$") or #reason > 1000) then
    errors.refuse("a reason is one line of text, of 1,000 bytes at most")
  end
end

--- Refuse an end before the beginning.
---@param of {begins: number?, ends: number?}  a request or a maintenance
function M.check_order(of)
  if of.ends and of.ends <= (of.begins or 0) then
    errors.refuse("the end of a maintenance comes after its beginning")
  end
end

--- Refuse a beginning or an end that no process would bring about.
---@param c haplua.Context
---@param request haplua.Request
local function check_times(c, request)
  M.check_order(request)
  if not request.ends and not request.begins or haproxy.dry_run() then
    return
  end
  local what = request.begins and "begin" or "end"
  if not c.journal then
    errors.refuse(("nobody would %s this maintenance: there is no journal"):format(what),
      (request.begins and "" or "give --wait to stay and end it, or ") .. "keep a journal and run `haplua keep`")
  elseif not c.store:kept(c.name) then
    errors.refuse(("nobody would %s this maintenance: no resident policy keeps %s"):format(what, c.name),
      (request.begins and "" or "give --wait to stay and end it; or ")
      .. "run `haplua keep` as a service (see `haplua help keep`), which --start-keep does")
  end
end

--- Refuse networks that pass where HAProxy has no list of them.
local function check_bypass(c, look, bypass)
  if bypass and #bypass > 0 and not look.state.bypass then
    errors.refuse("there is no list of clients that pass, so --bypass can do nothing",
      (look.state.values and "use a map of networks in HAProxy's frontend:\n" .. require("haplua.haproxy.lines").of_map(c.switch)
      or "declare one in HAProxy's frontend, and use it:\n"
      .. "  acl maintenance-bypass src -u 9998\n"
      .. "  use_backend maintenance if maintenance !maintenance-bypass")
      .. "\nanother one is named by `bypass` in the configuration")
  end
  for _, text in ipairs(look.state.values and bypass or {}) do -- HAProxy checks those of an ACL
    if not require("haplua.plan.network").parse(text) then
      errors.refuse(("'%s' is no network"):format(errors.visible(text)),
        "--bypass takes 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32")
    end
  end
end

---@param request haplua.Request
---@return haplua.Scope? scope  nil: the request names none
local function scope_of(request)
  local function given(list)
    return list and #list > 0 and list or nil
  end
  local found = { patterns = given(request.patterns), paths = given(request.paths), hosts = given(request.hosts) }
  return next(found) and found or nil
end

local function patterns_of(look, asked)
  return scope.patterns(asked, look.view.kind, look.view.method)
end

--- Is a maintenance of just this scope? Without a journal, HAProxy's list is all that is known of one: its patterns.
local function has_scope(c, look, m, asked)
  return scope.same(m.scope, asked)
    or not c.journal and lists.same(m.scope.patterns or {}, patterns_of(look, asked))
end

--- The maintenance that a request asks for again: of the same person, in force, with the same scope.
local function find_same(c, look, m)
  local path = (m.scope.paths or {})[1]
  for i = 1, #look.current do -- there may be a thousand
    local other = look.current[i]
    local paths = other.scope.paths
    if (not c.journal or (paths and paths[1]) == path or paths and #paths > 1)
      and has_scope(c, look, other, m.scope) and maintenance.is_in_force(other, look.now)
      and (not c.journal or other.origin == m.origin and maintenance.is_of(other, c.person)) then
      return other
    end
  end
end

--- The decision to begin a maintenance, or to refresh the one that is the same.
---@param c haplua.Context
---@param look {current: haplua.Maintenance[], now: number}
---@param m haplua.Maintenance
---@param replace boolean?  all others that are in force end
---@param same haplua.Maintenance|false|nil
---@return haplua.Decision
function M.beginning(c, look, m, replace, same)
  local edits = {}
  for _, other in ipairs(replace and maintenance.in_force(look.current, look.now) or {}) do
    if other ~= same then
      edits[#edits + 1] = maintenance.ending(other, look.now, "replaced", context.who(c))
    end
  end
  if same then
    local set = { reason = m.reason or false, bypass = m.bypass or false, ends = m.ends or false }
    edits[#edits + 1] = { of = same, set = set }
    return { edits = edits, about = maintenance.with(same, set), refreshed = true }
  end
  edits[#edits + 1] = { add = m }
  return { edits = edits, about = m }
end

--- The request's probes, else those of the configuration.
---@param request {probe: haplua.Probe|haplua.Probe[]|false|nil}
---@return haplua.Probe[]
function M.probes_of(c, request)
  local given = request.probe
  return given == nil and c.switch.probes or given and require("haplua.visit.probe").list(given) or {}
end

--- Ask as visitors what has come of a change.
---@param c haplua.Context
---@param request haplua.Request
---@param result haplua.Result?
---@return haplua.Result?  this very one, with `probes`
function M.visited(c, request, result)
  local list = result and M.probes_of(c, request) or {}
  local is_planned = result and result.about and not maintenance.is_in_force(result.about, time())
  if list[1] and not is_planned and not haproxy.dry_run() then
    local ok, found = pcall(require("haplua.apply.visitors").ask, list, result)
    if not ok then
      io.stderr:write("haplua: the change is made; what visitors get was not asked to the end\n")
      error(found, 0)
    end
    result.probes = found
  end
  return result
end

---@class haplua.Beginning  how a caller uses begin()
---@field origin string?  "on"
---@field pid integer?  the process that ends the maintenance
---@field made fun(result: haplua.Result)?  called when HAProxy is changed
---@field context haplua.Context?  in place of one that is opened for the request

--- Begin a maintenance, or refresh the one that the same person has for the same scope.
---@param request haplua.Request
---@param how haplua.Beginning?
---@return haplua.Result
function M.begin(request, how)
  how = how or {}
  check_reason(request.reason)
  local c = how.context or context.open(request)
  if not how.pid then
    check_times(c, request)
  end
  if request.cut then
    require("haplua.apply.effect").check_cut(c, scope_of(request) or {})
  end
  local result, seen = change.change(c, how.origin or "on", function(look)
    check_bypass(c, look, request.bypass)
    local m = context.sign(c, {
      scope = scope_of(request) or {}, bypass = request.bypass and #request.bypass > 0 and request.bypass or nil,
      reason = request.reason, origin = how.origin or "on", pid = how.pid, begins = request.begins or look.now,
      ends = request.ends,
    })
    patterns_of(look, m.scope)
    return M.beginning(c, look, m, request.replace, not how.pid and not request.begins and find_same(c, look, m))
  end, how.made)
  if (request.cut or request.check and result.added + result.removed > 0) and not request.begins then
    result.effect = require("haplua.apply.effect").of(c, seen.state, result, request.cut)
  end
  return M.visited(c, request, result)
end

--- Raise what begin() would raise before its first change. Asks HAProxy, and changes nothing.
---@param request haplua.Request
function M.check(request)
  check_reason(request.reason)
  local c = context.open(request, true)
  local look = change.look(c)
  check_bypass(c, look, request.bypass)
  patterns_of(look, scope_of(request) or {})
  switch.check_files(c.target, c.switch, look.state)
end

-- Which one?

---@class haplua.Selection
---@field ids integer[]?
---@field all boolean?
---@field mine boolean?

--- Raise `ambiguous` with a line for each of several maintenances.
local function say_which(list, call)
  local lines = {}
  for i, m in ipairs(list) do
    lines[i] = results.summary(m)
  end
  errors.raise("ambiguous", ("%d maintenances are in force: which one?"):format(#list),
    ("%s\nmaint %s takes %s"):format(table.concat(lines, "\n"), call,
      call == "off" and "ids, a scope (--path, --host, patterns), --mine, or --all" or "the id"))
end

M.check_bypass, M.check_reason, M.check_times, M.say_which = check_bypass, check_reason, check_times, say_which
M.scope_of, M.find_same = scope_of, find_same

--- Refuse the number of a maintenance that is over, of another HAProxy, or not there.
---@param of string  what has no such maintenance
function M.refuse_id(c, id, of)
  local m = c.store:maintenance(nil, id)
  if m and m.target ~= c.name then
    errors.refuse(("m%d is of another HAProxy: %s"):format(id, m.target), ("give `-s %s` and no other"):format(m.target))
  elseif m and m.ended then
    errors.refuse(("m%d is over: ended at %s (%s%s)"):format(id, require("haplua.time.instant").text(m.ended), m.why or "-",
      m.ended_by and " by " .. m.ended_by or ""), "maint status shows those there are")
  end
  errors.refuse(("there is no maintenance m%d of %s"):format(id, of), "maint status shows those there are")
end

--- Those of `list` that have a number.
local function by_id(c, list, ids)
  local found = {}
  for _, id in ipairs(ids) do
    local known
    for _, m in ipairs(list) do
      known = known or m.id == id and m
    end
    found[#found + 1] = known or nil
    if not known then
      M.refuse_id(c, id, c.switch.name)
    end
  end
  return found
end

--- The maintenances that somebody means.
---@param call string  "off" or "change", for the message
---@param request haplua.Request
---@param which haplua.Selection
---@return haplua.Maintenance[]
function M.select(c, look, call, request, which)
  local asked, found = scope_of(request), {}
  if which.ids and #which.ids > 0 then
    return by_id(c, look.current, which.ids)
  end
  local wanted = call == "off" and asked
  for _, m in ipairs(look.current) do
    if (maintenance.is_in_force(m, look.now) or wanted) and (not wanted or has_scope(c, look, m, wanted))
      and (not which.mine or maintenance.is_of(m, c.person)) then
      found[#found + 1] = m
    end
  end
  if #found > 1 and not (which.all or which.mine or wanted) then
    say_which(found, call)
  elseif #found == 0 and (wanted or which.mine) then
    errors.refuse(wanted and ("no maintenance has just this scope: %s"):format(scope.text(asked))
      or "no maintenance here is yours", "maint status shows those there are")
  end
  return found
end

-- So many servers at most are named behind a call that ended nothing.
local NAMED <const> = 8

--- A line for each server that is under maintenance: a call that found none of the switch may mean one of these.
---@param c haplua.Context
---@param before string[]?  lines
---@return string[] lines  those before, and these
function M.servers_held(c, before)
  local now, lines, seen, n = time(), table.move(before or {}, 1, #(before or {}), 1, {}), {}, 0
  for _, m in ipairs(c.store:servers(c.name)) do
    local name = m.scope.server
    if not seen[name] and maintenance.is_in_force(m, now) then
      seen[name], n = true, n + 1
      lines[#lines + 1] = n <= NAMED and ("%s is under maintenance: maint off --server %s ends it"):format(name, name) or nil
    end
  end
  lines[#lines + 1] = n > NAMED and ("%d more servers are under maintenance; maint status shows them"):format(n - NAMED) or nil
  return lines
end

--- End maintenances: the only one, or those that are selected. The others stay in force.
---@param request haplua.Request  with a scope: those of just this scope
---@param which haplua.Selection?
---@return haplua.Result
function M.off(request, which)
  local c = context.open(request)
  local result = change.change(c, "off", function(look)
    local edits, chosen = {}, M.select(c, look, "off", request, which or {})
    for i, m in ipairs(chosen) do
      edits[i] = maintenance.ending(m, look.now, "off", context.who(c))
    end
    return { edits = edits, ended = chosen }
  end)
  if #result.ended == 0 then
    result.notes = M.servers_held(c, result.notes)
  end
  return M.visited(c, request, result)
end

--- End one maintenance by its number, where that has not happened yet.
---@param c haplua.Context
---@param id integer
---@param why string
---@return haplua.Result?  nil: it is over
function M.finish(c, id, why)
  return (change.change(c, "off", function(look)
    for _, m in ipairs(look.current) do
      if m.id == id then
        return {
          edits = { maintenance.ending(m, look.now, why, context.who(c)) }, ended = { m }, apart = true,
        }
      end
    end
  end))
end

--- The decision to change a maintenance: those of its fields that the request names.
---@param c haplua.Context
---@param look {now: number}
---@param m haplua.Maintenance
---@param request haplua.Request
---@param open_end boolean?  it shall have no end
---@return haplua.Decision
function M.changing(c, look, m, request, open_end)
  local set = {
    scope = scope_of(request), reason = request.reason, ends = request.ends, begins = request.begins,
    bypass = request.bypass and #request.bypass > 0 and request.bypass or nil,
  }
  if open_end then
    set.ends = false
  elseif not next(set) then
    errors.refuse("nothing is to be changed: no scope, reason, bypass, beginning or end is given")
  end
  local changed = maintenance.with(m, set)
  M.check_order(changed)
  if not m.occurrence then
    return { edits = { { of = m, set = set } }, about = changed }
  end
  -- the planner would undo the change: the maintenance becomes this person's own
  changed = context.sign(c, maintenance.with(changed, { id = false, occurrence = false, origin = "on" }))
  local ending = maintenance.ending(m, look.now, "change", context.who(c))
  return { edits = { ending, { add = changed } }, about = changed }
end

--- Change a maintenance in one step: those of its fields that the request names.
---@param request haplua.Request
---@param which haplua.Selection?  one id; none: the only one
---@param open_end boolean?  it shall have no end
---@return haplua.Result
function M.change(request, which, open_end)
  check_reason(request.reason)
  local c = context.open(request)
  check_times(c, request)
  return M.visited(c, request, (change.change(c, "change", function(look)
    local m = M.select(c, look, "change", request, which or {})[1]
    if not m then
      errors.refuse("no maintenance is in force: there is nothing to change", "maint on begins one")
    end
    check_bypass(c, look, request.bypass)
    local decision = M.changing(c, look, m, request, open_end)
    patterns_of(look, decision.about.scope)
    return decision
  end)))
end

return M
