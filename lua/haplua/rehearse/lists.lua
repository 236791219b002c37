-- SPDX-License-Identifier: MIT
--
--- What the lists of an HAProxy hold: those of the running one, and those that a maintenance would need.

local actions = require("haplua.apply.actions")
local change = require("haplua.apply.change")
local context = require("haplua.apply.context")
local lists = require("haplua.base.lists")
local maintenance = require("haplua.plan.maintenance")
local plans = require("haplua.apply.plan")
local reply = require("haplua.reply")
local scope = require("haplua.plan.scope")

local M = {}

-- Lists with more entries keep what their files have.
local MOST <const> = 100000

---@class haplua.rehearse.Content  of one list
---@field kind "acl"|"map"
---@field ref string
---@field keys string[]
---@field values string[]?

---@class haplua.rehearse.Switch  what a maintenance does to the lists of a switch
---@field off haplua.rehearse.Content[]  nothing is closed
---@field before haplua.rehearse.Content[]  as it is now
---@field after haplua.rehearse.Content[]  with the maintenance
---@field is_on boolean  something is closed now
---@field scope haplua.Scope
---@field sample {host: string?, path: string?}?
---@field bypass string[]  networks that shall pass
---@field name string

--- What the lists of an HAProxy hold.
---@param target haplua.Target
---@return haplua.rehearse.Content[] contents, string[] notes
function M.all(target)
  local found, commands, notes = {}, {}, {}
  for _, kind in ipairs({ "acl", "map" }) do
    for _, one in ipairs(target[kind .. "_list"](target)) do
      local ref = one.file or "#" .. one.id
      if (one.entry_cnt or 0) > MOST then
        notes[#notes + 1] = ("%s has %d entries: it is rehearsed with those of its file"):format(ref, one.entry_cnt)
      else
        found[#found + 1] = { kind = kind, ref = ref }
        commands[#found] = { "show", kind, ref }
      end
    end
  end
  for i, text in ipairs(#found > 0 and target:batch(commands) or {}) do
    local keys, _, values = reply.entries(text, found[i].kind == "map")
    found[i].keys, found[i].values = keys, found[i].kind == "map" and values or nil
  end
  return found, notes
end

local function same(a, b)
  return lists.same(a.keys, b.keys) and (not a.values or lists.same_entries(a.keys, a.values, b.keys, b.values))
end

--- Make the lists of an HAProxy hold what those of another one hold.
---@param target haplua.Target
---@param contents haplua.rehearse.Content[]
---@return string[] notes
function M.put_all(target, contents)
  local notes, there = {}, {}
  for _, content in ipairs(#contents > 0 and M.all(target) or {}) do
    there[content.kind .. content.ref] = content
  end
  for _, content in ipairs(contents) do
    local own = there[content.kind .. content.ref]
    local ok, problem = own ~= nil, "there is no such list"
    if own and not same(own, content) then
      ok, problem = pcall(M.put, target, content)
    end
    notes[#notes + 1] = not ok and ("%s does not hold what it holds now: %s"):format(content.ref, tostring(problem)) or nil
  end
  return notes
end

--- Make a list hold a content.
---@param target haplua.Target
---@param content haplua.rehearse.Content
function M.put(target, content)
  if content.kind == "acl" then
    return target:acl_replace(content.ref, content.keys)
  end
  local entries = {}
  for i, key in ipairs(content.keys) do
    entries[i] = { key = key, value = content.values[i] }
  end
  target:map_replace(content.ref, entries)
end

--- The scope of a request; with no patterns, paths and hosts the whole site.
local function scope_of(request)
  local function given(list)
    return list and #list > 0 and list or nil
  end
  return { patterns = given(request.patterns), paths = given(request.paths), hosts = given(request.hosts) }
end

--- The contents of a switch's lists.
local function contents(c, state, patterns, values, networks, bits, info)
  local kind, found = c.switch.kind, {}
  if state.bypass and networks then
    found[1] = { kind = kind, ref = state.bypass, keys = networks, values = bits }
  end
  if c.switch.info and info then
    found[#found + 1] = { kind = "map", ref = c.switch.info, keys = info.keys, values = info.values }
  end
  table.insert(found, 1, { kind = kind, ref = c.switch.acl, keys = patterns, values = values })
  return found
end

--- A request that patterns of a person's own match, as far as that is known.
local function sample_of(asked, view)
  if not asked.patterns then
    return nil
  end
  local probe = scope.probe(asked, view.kind, view.method)
  if probe and view.kind == "base" then
    local host, path = probe:match("^([^/]*)(/?.*)$")
    return { host = host ~= "" and host or nil, path = path ~= "" and path or nil }
  elseif probe and (view.kind == "host" or view.kind == "name") then
    return { host = probe }
  elseif probe and probe:sub(1, 1) == "/" then
    return { path = probe }
  end
  return nil
end

--- What a maintenance does where HAProxy has no such list: nothing.
---@param request haplua.Request
---@return haplua.rehearse.Switch
function M.nothing(request)
  return { name = "", scope = scope_of(request), bypass = request.bypass or {}, is_on = false, off = {}, before = {}, after = {} }
end

--- What `maint on` would do to the lists of a switch. Asks HAProxy, and changes nothing.
---@param request haplua.Request
---@return haplua.rehearse.Switch  raises what `maint on` would raise
function M.switch(request)
  local c = context.open(request, true)
  local look = change.look(c)
  local asked, now = scope_of(request), look.now
  scope.patterns(asked, look.view.kind, look.view.method)
  local bypass = request.bypass and #request.bypass > 0 and request.bypass or nil
  actions.check_bypass(c, look, bypass)
  local m = context.sign(c, {
    scope = asked, bypass = bypass, reason = request.reason, origin = "on", begins = now,
    ends = request.ends and request.ends > now and request.ends or nil,
  })
  local current = maintenance.after(look.current, look.edits) -- those by hand among them
  local decision = actions.beginning(c, { current = current, now = now }, m, request.replace)
  local edits = table.move(decision.edits, 1, #decision.edits, #look.edits + 1, look.edits)
  local expiring = maintenance.expiring(maintenance.after(look.current, edits), now)
  local plan = plans.of(c, look, "on", table.move(expiring, 1, #expiring, #edits + 1, edits), m)
  local state = look.state
  return {
    name = c.switch.name, scope = asked, sample = sample_of(asked, look.view), is_on = #state.patterns > 0,
    bypass = bypass or c.switch.allow or {},
    off = contents(c, state, {}, state.values and {}, state.passing, state.bits),
    before = contents(c, state, state.patterns, state.values, state.passing, state.bits, state.info),
    after = contents(c, state, plan.patterns, plan.values, plan.bypass or state.passing, plan.bits or state.bits, plan.info),
  }
end

return M
