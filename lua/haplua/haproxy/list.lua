-- SPDX-License-Identifier: MIT
--
--- Pattern lists: what HAProxy's ACLs and maps have in common, and how their content is replaced in
-- one step. `kind` is "acl" or "map" everywhere. A map has a list of values beside its keys.

local core = require("haplua.core")
local reply = require("haplua.reply")
local is_error = require("haplua.error").is
local now = require("haplua.task").now

local M = {}

-- How often a replacement is begun anew when reloads come in between.
local ATTEMPTS = 5

---@class haplua.List
---@field id integer  the number after '#'
---@field file string?  the name given with -f
---@field text string  HAProxy's description
---@field curr_ver integer?  2.4 and later
---@field next_ver integer?
---@field entry_cnt integer?

--- The lists that HAProxy has of one kind.
---@return haplua.List[]
function M.all(target, kind)
  return reply.lists(target:send({ "show", kind }))
end

--- Which of `all` does `ref` name? "#N" is a number, anything else a file name.
---@return haplua.List?
function M.find(all, ref)
  local id = math.tointeger(tonumber(tostring(ref):match("^#(%d+)$")))
  for _, list in ipairs(all) do
    if list.id == id or list.file == ref then
      return list
    end
  end
end

-- A dump over this many bytes comes in pieces, between which the list may change.
local PIECE = 15000

--- The text of `show acl|map REF`. A `clear` or `commit` of somebody else's ends a long dump early, with a
-- correct ending; where HAProxy counts versions, it is read again then.
local function dump(target, kind, ref)
  local texts = target:batch({ { "show", kind }, { "show", kind, ref } })
  for _ = 1, 5 do
    local before = M.find(reply.lists(texts[1]), ref)
    if #texts[2] < PIECE or not before or not before.curr_ver then
      return texts[2]
    end
    local after = M.find(M.all(target, kind), ref)
    if after and after.curr_ver == before.curr_ver and after.entry_cnt == before.entry_cnt then
      return texts[2]
    end
    texts = target:batch({ { "show", kind }, { "show", kind, ref } })
  end
  target:mistrust(("show %s %s"):format(kind, ref), "the list changes faster than it can be read")
end

--- The entries of a list, in order.
---@return string[] keys, string[] references, string[]? values
function M.read(target, kind, ref)
  return reply.entries(dump(target, kind, ref), kind == "map")
end

--- Entries as a person gives them, as two lists: (key, value), {key = value} (by key), or
-- {{key=, value=}, ...}.
---@return string[] keys, string[] values
function M.entries(key, value)
  if type(key) ~= "table" then
    return { key }, { value }
  end
  local keys, values = {}, {}
  if key[1] ~= nil then
    for i, entry in ipairs(key) do
      keys[i], values[i] = entry.key, entry.value
    end
    return keys, values
  end
  for k in pairs(key) do
    keys[#keys + 1] = k
  end
  table.sort(keys)
  for i, k in ipairs(keys) do
    values[i] = key[k]
  end
  return keys, values
end

--- Remove keys by their text, with their duplicates. What looks like a reference ("#0x...") can only
-- be removed by its own.
---@return integer removed
function M.remove(target, kind, ref, unwanted)
  core.check(unwanted)
  local keys, refs = M.read(target, kind, ref)
  local by_key, words, removed = {}, {}, 0
  for i, key in ipairs(keys) do
    by_key[key] = by_key[key] or {}
    table.insert(by_key[key], "#" .. refs[i])
  end
  for _, key in ipairs(unwanted) do
    local found = by_key[tostring(key)] or {}
    removed = removed + #found
    if tostring(key):find("^#0x") and #found > 0 then
      table.move(found, 1, #found, #words + 1, words)
    else
      words[#words + 1] = key
    end
  end
  target:each({ "del", kind, ref }, words)
  return removed
end

-- Replacing.

local function entry_text(keys, values, i)
  return values and keys[i] .. " " .. values[i] or keys[i]
end

--- Positions of the entries of a list that another list does not have.
local function missing(keys, values, other_keys, other_values)
  local other, found = {}, {}
  for i in ipairs(other_keys) do
    local entry = entry_text(other_keys, other_values, i)
    other[entry] = (other[entry] or 0) + 1
  end
  for i in ipairs(keys) do
    local entry = entry_text(keys, values, i)
    local n = other[entry] or 0
    if n == 0 then
      found[#found + 1] = i
    else
      other[entry] = n - 1
    end
  end
  return found
end

local function pick(list, positions)
  local picked = {}
  for i, position in ipairs(positions) do
    picked[i] = list[position]
  end
  return picked
end

--- Did HAProxy say no to the first command of a call?
local function is_refused(problem)
  return is_error(problem) and (problem.kind == "refused" or problem.kind == "denied") and problem.index == 1
end

--- HAProxy 2.4 and later: fill a new version beside the one in force, look that it is all there, and
-- commit it. A version that is not committed is emptied, however this ends. But once the commit is under way, only
-- HAProxy's refusal tells that it is not in force, or will be in a moment: to empty it then would empty the
-- list. The next commit of anybody's drops it.
---@param before_commit function
---@return table[]? tests  what `get acl` says of `ask` afterwards
local function swap(target, kind, ref, wanted, ask, before_commit)
  local prepare = { "prepare", kind, ref }
  local text = target:send(prepare)
  local version = math.tointeger(tonumber(text:match("^New version created: (%d+)$")))
  if not version then
    target:mistrust(table.concat(prepare, " "), text)
  end
  local at, committing = "@" .. version, false
  local _ <close> = setmetatable({}, {
    __close = function(_, problem)
      if not committing or is_refused(problem) then
        target:send({ "clear", kind, at, ref })
      end
    end,
  })
  local show = { "show", kind, at, ref }
  local _, filled = target:each({ "add", kind, at, ref }, wanted.keys, wanted.values, nil, show)
  if not reply.same(filled, wanted.keys, wanted.values) then
    target:mistrust(table.concat(show, " "), ("not the %d entries that were sent"):format(#wanted.keys))
  end
  before_commit()
  committing = true
  local answers = target:batch({
    { "commit", kind, at, ref },
    { "show", kind },
    ask and { "get", kind, ref, ask },
  })
  local list = M.find(reply.lists(answers[2]), ref)
  if list and list.curr_ver ~= version then
    target:mistrust(("commit %s %s %s"):format(kind, at, ref), ("version %s is in force"):format(list.curr_ver or "unknown"))
  end
  return ask and reply.matches(answers[3])
end

--- The first match of what `get acl` or `get map` says: one row for each match method, found or not.
---@param tests {found: boolean}[]
---@return table? match
function M.match(tests)
  for _, row in ipairs(tests) do
    if row.found then
      return row
    end
  end
  return nil
end

--- Did `get acl` find just this entry?
local function proves(tests, key)
  for _, row in ipairs(tests) do
    if row.found and row.pattern == key then
      return true
    end
  end
  return false
end

--- Would a map have its entries in this order, once what it lacks stands behind what stays?
local function is_in_order(wanted, keys, values, add, surplus)
  local goes, order = {}, {}
  for _, position in ipairs(surplus) do
    goes[position] = true
  end
  for i in ipairs(keys) do
    order[#order + 1] = not goes[i] and entry_text(keys, values, i) or nil
  end
  for _, position in ipairs(add) do
    order[#order + 1] = entry_text(wanted.keys, wanted.values, position)
  end
  for i, entry in ipairs(order) do
    if entry ~= entry_text(wanted.keys, wanted.values, i) then
      return false
    end
  end
  return true
end

local function every(list)
  local positions = {}
  for i in ipairs(list) do
    positions[i] = i
  end
  return positions
end

--- What changes the list in place: entries to add, then words that remove; or all at once.
---@return {clear: boolean, keys: string[], values: string[]?, words: string[]}? step  nil: what there is cannot be so
local function steps(kind, wanted, text)
  local keys, refs, values = reply.entries(text, kind == "map")
  local add = missing(wanted.keys, wanted.values, keys, values)
  local surplus = missing(keys, values, wanted.keys, wanted.values)
  if kind == "map" and not is_in_order(wanted, keys, values, add, surplus) then
    add, surplus = every(wanted.keys), every(keys)
  end
  local words, seen = {}, {}
  for _, entry in ipairs(refs) do
    if seen[entry] then
      return nil
    end
    seen[entry] = true
  end
  for i, position in ipairs(surplus) do
    words[i] = "#" .. refs[position]
  end
  return {
    clear = #wanted.keys == 0 and #surplus > 1,
    keys = pick(wanted.keys, add),
    values = wanted.values and pick(wanted.values, add),
    words = words,
  }
end

--- Change the list in place, and look. This is what there is on HAProxy 2.2, which has no versions: what is in
-- both the old and the new content matches all the time. And where one entry is the whole difference, it
-- is one step on every version.
---@param before_commit function  called when HAProxy has taken what is new, before anything goes
---@return table[]? tests  what `get acl` says of `ask`, where that was the way to look
local function change(target, kind, ref, wanted, text, ask, before_commit)
  local show = { "show", kind, ref }
  local step = steps(kind, wanted, text) or target:mistrust(table.concat(show, " "), "an entry stands there twice")
  local only_adds = not step.clear and #step.words == 0
  local proof = only_adds and #step.keys == 1 and ask and { "get", kind, ref, ask }
  local found, _

  if #step.keys > 0 then
    _, found = target:each({ "add", kind, ref }, step.keys, step.values, nil, proof or only_adds and show or nil)
  end
  before_commit()
  if step.clear then
    found = target:batch({ { "clear", kind, ref }, show })[2]
  elseif not only_adds then
    _, found = target:each({ "del", kind, ref }, step.words, nil, nil, show)
  elseif proof then
    local tests = reply.matches(found)
    if proves(tests, step.keys[1]) then
      return tests
    end
    found = target:send(show)
  end
  local lacking, besides = reply.compare(found, wanted.keys, wanted.values)
  if lacking + besides > 0 then
    target:mistrust(table.concat(show, " "), ("%d entries too few, %d too many"):format(lacking, besides))
  elseif kind == "map" and not reply.same(found, wanted.keys, wanted.values) then
    target:mistrust(table.concat(show, " "), "the entries are in another order")
  end
end

--- The lines of a dry run for a change in place.
local function plan_change(target, kind, ref, wanted, text)
  local step = steps(kind, wanted, text) or target:mistrust("show " .. kind, "an entry stands there twice")
  if step.clear then
    core.would(target, ("clear %s %s"):format(kind, ref))
    return
  end
  for i, key in ipairs(step.keys) do
    local words = { "add", kind, ref, key, step.values and step.values[i] }
    core.would(target, core.encode(words))
  end
  for _, word in ipairs(step.words) do
    core.would(target, ("del %s %s %s"):format(kind, ref, word))
  end
end

--- The same for a transaction. The version's number is HAProxy's to give.
local function plan_swap(target, kind, ref, wanted)
  core.would(target, ("prepare %s %s"):format(kind, ref))
  for i, key in ipairs(wanted.keys) do
    local words = { key, wanted.values and wanted.values[i] }
    core.would(target, ("add %s @NEW %s %s"):format(kind, ref, core.encode(words)))
  end
  core.would(target, ("commit %s @NEW %s"):format(kind, ref))
end

---@class haplua.list.State
---@field list haplua.List?  nil: HAProxy takes the name, but does not list it
---@field text string  the reply of `show acl REF`, for reply.entries()
---@field asked string?
---@field tests table[]?  what `get acl` says of `asked`

--- All that is to be known of a list before it is changed, in as few requests as can be.
---@param ask? string  a value to test, too
---@return haplua.list.State
function M.state(target, kind, ref, ask)
  local texts = target:batch({ { "show", kind }, { "show", kind, ref }, ask and { "get", kind, ref, ask } })
  return {
    list = M.find(reply.lists(texts[1]), ref),
    text = texts[2],
    asked = ask,
    tests = ask and reply.matches(texts[3]),
  }
end

--- What a list says of a value, with a request only where it is not known yet.
local function test(target, kind, ref, state, ask, tests)
  if not ask or tests then
    return tests
  elseif state.asked == ask then
    return state.tests
  end
  return reply.matches(target:send({ "get", kind, ref, ask }))
end

--- The same, after a change. What is not found may be no match; or the list is another since a reload.
local function test_anew(target, kind, ref, wanted, ask, tests)
  if not ask or tests then
    return tests
  end
  tests = test(target, kind, ref, {}, ask)
  if not M.match(tests) then
    local show = { "show", kind, ref }
    local lacking, besides = reply.compare(target:send(show), wanted.keys, wanted.values)
    if lacking + besides > 0 then
      target:mistrust(table.concat(show, " "), ("%d entries too few, %d too many"):format(lacking, besides))
    end
  end
  return tests
end

local function nothing() end

--- One attempt. `seen` gets what was to be done at first.
local function attempt(target, kind, ref, keys, values, options, seen)
  local state = options.state or M.state(target, kind, ref)
  local wanted = { keys = keys, values = values }
  local before_commit = options.before_commit or nothing
  local added, removed = reply.compare(state.text, keys, values)
  local versioned = not state.list or state.list.curr_ver ~= nil
  local one_step = kind == "acl" and added + removed == 1 and not options.before_commit
  local in_place = not versioned or one_step
  local tests

  seen.added, seen.removed = seen.added or added, seen.removed or removed
  if added + removed == 0 and (kind == "acl" or reply.same(state.text, keys, values)) then
    before_commit()
    return 0, 0, test(target, kind, ref, state, options.ask)
  elseif core.dry_run() then
    core.permit(target, { "clear", kind, ref })
    local plan = in_place and plan_change or plan_swap
    plan(target, kind, ref, wanted, state.text)
    return added, removed
  end
  if in_place then
    tests = change(target, kind, ref, wanted, state.text, options.ask, before_commit)
  else
    tests = swap(target, kind, ref, wanted, options.ask, before_commit)
  end
  return added, removed, test_anew(target, kind, ref, wanted, options.ask, tests)
end

--- Has HAProxy been reloaded since `begin`? Then a step of a change may have gone to the old process,
-- and the next to the new one, which knows nothing of it. The look may be broken off by the next reload.
local function reloaded(target, begin)
  local ok, info
  for _ = 1, ATTEMPTS do
    ok, info = pcall(target.info, target)
    if ok or not is_error(info) or info.kind ~= "protocol" and info.kind ~= "unreachable" then
      break
    end
  end
  return ok and math.type(info.Uptime_sec) == "integer" and info.Uptime_sec <= now() - begin + 1
end

--- May another attempt, which looks anew at what there is, go better? A reset is what the queue of the old
-- process gets at a reload; whether it had done what it was sent is not known.
local function is_worth_another(target, problem, begin)
  if not is_error(problem) then
    return false
  elseif problem.code == "ECONNRESET" then
    return true
  end
  return (problem.kind == "refused" or problem.kind == "protocol") and reloaded(target, begin)
end

---@class haplua.list.Options
---@field state haplua.list.State?  as just read
---@field ask string?  a value to test afterwards
---@field before_commit function?

--- Make a list hold these entries and no others. An ACL that does so already, in whatever order, is
-- left alone; a map's order matters, since the first match wins.
--
-- before_commit() is called once HAProxy has taken every entry, when what is left is to put them in force:
-- the place for a file to be written, or for other targets to be waited for. What it raises undoes the
-- preparation. It is called anew when a reload or a reset has made the replacement begin anew, also where
-- there is nothing to change; a dry run does not call it.
---@param keys string[]
---@param values? string[]  maps
---@param options? haplua.list.Options
---@return integer added, integer removed, table[]? tests  what `get acl` then says of `ask`
function M.replace(target, kind, ref, keys, values, options)
  core.check(keys, values)
  local begin, seen = now(), {}
  for i = 1, ATTEMPTS do
    local ok, added, removed, tests = pcall(attempt, target, kind, ref, keys, values, options or {}, seen)
    if ok and added + removed == 0 then
      return seen.added, seen.removed, tests
    elseif ok then
      return added, removed, tests
    elseif i == ATTEMPTS or not is_worth_another(target, added, begin) then
      error(added, 0)
    end
    options = options and { ask = options.ask, before_commit = options.before_commit }
  end
end

return M
