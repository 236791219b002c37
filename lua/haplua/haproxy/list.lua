-- SPDX-License-Identifier: MIT
--
--- Pattern lists: HAProxy's ACLs and maps, read, and their content replaced in one step.
-- `kind` is "acl" or "map" everywhere. A map has a list of values beside its keys.

local core = require("haplua.core")
local reply = require("haplua.reply")
local is_error = require("haplua.error").is
local now = require("haplua.task").now

local M = {}

-- Attempts at a replacement that a reload of HAProxy interrupts.
local ATTEMPTS = 5

---@class haplua.List
---@field id integer  the number after '#'
---@field file string?  the name given with -f
---@field text string  HAProxy's description
---@field curr_ver integer?  HAProxy 2.4 and later; likewise next_ver and entry_cnt
---@field next_ver integer?
---@field entry_cnt integer?

--- The lists of one kind that HAProxy has.
---@return haplua.List[]
function M.all(target, kind)
  return reply.lists(target:send({ "show", kind }))
end

--- The list of `all` that `ref` names: "#N" is its number, anything else its file name.
---@return haplua.List?
function M.find(all, ref)
  local id = math.tointeger(tonumber(tostring(ref):match("^#(%d+)$")))
  for _, list in ipairs(all) do
    if list.id == id or list.file == ref then
      return list
    end
  end
end

-- HAProxy writes a longer dump in pieces, between which the list may change.
local PIECE = 15000

--- The text of `show acl|map REF`. When another client clears or commits the list, HAProxy ends a long dump early, with
-- a correct ending; where HAProxy counts versions, the dump is read again then.
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

--- Remove keys by their text, with their duplicates. A key that looks like a reference ("#0x...") is removed by its
-- own reference: HAProxy would take the text for one.
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

-- From so many entries on it counts how long it takes to send them all. A list with a file is changed in place where one
-- entry is the whole difference.
local LONG <const> = 100

local function nothing() end

local function entry_text(keys, values, i)
  return values and keys[i] .. " " .. values[i] or keys[i]
end

--- How many entries two lists have in common at their beginning.
local function same_at_first(keys, values, other_keys, other_values)
  for i = 1, #keys do
    if keys[i] ~= other_keys[i] or values and values[i] ~= other_values[i] then
      return i - 1
    end
  end
  return #keys
end

--- Positions of the entries of one list that another list does not have.
local function missing(keys, values, other_keys, other_values)
  local other, found = {}, {}
  local first = same_at_first(keys, values, other_keys, other_values) + 1
  for i = first, #other_keys do
    local entry = entry_text(other_keys, other_values, i)
    other[entry] = (other[entry] or 0) + 1
  end
  for i = first, #keys do
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

--- Send an entry for each key, and then `last`, whose reply is the second value. Many entries of a map go as payloads.
local function send_entries(target, head, keys, values, last)
  if values and #keys >= LONG then
    return require("haplua.haproxy.payload").each(target, head, keys, values, last)
  end
  return target:each(head, keys, values, nil, last)
end

--- Did HAProxy refuse the first command of a call?
local function is_refused(problem)
  return is_error(problem) and (problem.kind == "refused" or problem.kind == "denied") and problem.index == 1
end

--- Begin a new version of a list.
---@return string at, integer version  at: its name in commands
local function prepare(target, kind, ref)
  local command = { "prepare", kind, ref }
  local text = target:send(command)
  local version = math.tointeger(tonumber(text:match("^New version created: (%d+)$")))
  if not version then
    target:mistrust(table.concat(command, " "), text)
  end
  return "@" .. version, version
end

--- Replace the content on HAProxy 2.4 and later: fill a new version beside the one in force, read it back, and commit
-- it. A version that is not committed is cleared, however this function ends. But once the commit was sent, only
-- HAProxy's refusal shows that the version is not in force: to clear it without a refusal could clear the list. The
-- next commit of any client drops it.
---@param before_commit function
---@return table[]? tests  the reply of `get acl` for `ask` afterwards
local function swap(target, kind, ref, wanted, ask, before_commit)
  local at, version = prepare(target, kind, ref)
  local committing = false
  local _ <close> = setmetatable({}, {
    __close = function(_, problem)
      if not committing or is_refused(problem) then
        target:send({ "clear", kind, at, ref })
      end
    end,
  })
  local show = { "show", kind, at, ref }
  local _, filled = send_entries(target, { "add", kind, at, ref }, wanted.keys, wanted.values, show)
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

--- The first match in a reply of `get acl` or `get map`.
---@param tests {found: boolean}[]  one row for each match method, found or not
---@return table? match
function M.match(tests)
  for _, row in ipairs(tests) do
    if row.found then
      return row
    end
  end
  return nil
end

--- Did `get acl` find this very entry?
local function proves(tests, key)
  for _, row in ipairs(tests) do
    if row.found and row.pattern == key then
      return true
    end
  end
  return false
end

--- Does a map have its entries in the wanted order after `surplus` is removed and `add` is appended?
local function is_in_order(wanted, keys, values, add, surplus)
  local removed, order = {}, {}
  for _, position in ipairs(surplus) do
    removed[position] = true
  end
  for i in ipairs(keys) do
    order[#order + 1] = not removed[i] and entry_text(keys, values, i) or nil
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

--- The step that changes the list in place: entries to add, then words that remove; or `clear` for all at once.
---@return {clear: boolean, keys: string[], values: string[]?, words: string[]}? step  nil: the dump has an entry twice
local function steps(kind, wanted, text)
  if wanted.beside then
    return { clear = false, keys = pick(wanted.keys, missing(wanted.keys, nil, wanted.beside)), words = {} }
  end
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
    -- a map's last entry first: what an entry decided is decided by a new one next, not by an old one behind it
    words[kind == "map" and #surplus - i + 1 or i] = "#" .. refs[position]
  end
  return {
    clear = #wanted.keys == 0 and #surplus > 1,
    keys = pick(wanted.keys, add),
    values = wanted.values and pick(wanted.values, add),
    words = words,
  }
end

--- Raise `protocol` unless a dump has the wanted entries.
local function check_content(target, show, text, wanted)
  local lacking, besides = reply.compare(text, wanted.keys, wanted.values)
  if lacking + besides > 0 then
    target:mistrust(table.concat(show, " "), ("%d entries too few, %d too many"):format(lacking, besides))
  end
end

--- Change the list in place, and read it back: on HAProxy 2.2, which has no versions, and where one entry is the whole
-- difference, which is one step on every version. Entries of both the old and the new content match all the time.
---@param before_commit function  called when HAProxy has the new entries, before the old ones are removed. Where the list
--- has versions, HAProxy has taken a new entry into one that never comes into force: called before it is in force
---@return table[]? tests  the reply of `get acl` for `ask`, where that has shown the change
local function change(target, kind, ref, wanted, text, ask, before_commit)
  local show = { "show", kind, ref }
  local step = steps(kind, wanted, text) or target:mistrust(table.concat(show, " "), "an entry stands there twice")
  local only_adds = not step.clear and #step.words == 0
  local proof = only_adds and #step.keys == 1 and ask and { "get", kind, ref, ask }
  local found, _

  if wanted.versioned and before_commit ~= nothing and #step.keys > 0 then
    local at = prepare(target, kind, ref)
    target:batch({ { "add", kind, at, ref, step.keys[1] }, { "clear", kind, at, ref } })
    before_commit()
    before_commit = nothing
  end
  if #step.keys > 0 then
    _, found = send_entries(target, { "add", kind, ref }, step.keys, step.values, proof or only_adds and show or nil)
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
  check_content(target, show, found, wanted)
  if kind == "map" and not reply.same(found, wanted.keys, wanted.values) then
    target:mistrust(table.concat(show, " "), "the entries are in another order")
  end
end

--- In a dry run: send what attempt() would send. The host prints each command that changes a list, and sends none.
local function pretend(target, kind, ref, wanted, text, in_place)
  if not in_place then
    target:send({ "prepare", kind, ref })
    target:each({ "add", kind, "@NEW", ref }, wanted.keys, wanted.values) -- HAProxy would choose the version
    target:send({ "commit", kind, "@NEW", ref })
    return
  end
  local step = steps(kind, wanted, text) or target:mistrust("show " .. kind, "an entry stands there twice")
  if step.clear then
    target:send({ "clear", kind, ref })
  else
    target:each({ "add", kind, ref }, step.keys, step.values)
    target:each({ "del", kind, ref }, step.words)
  end
end

---@class haplua.list.State
---@field list haplua.List?  nil: HAProxy takes the name, but does not list it
---@field text string  the reply of `show acl REF`, for reply.entries()
---@field keys string[]?  the entries of an ACL in it, where the caller has read them
---@field asked string?
---@field tests table[]?  the reply of `get acl` for `asked`

--- Read what a change of a list needs to know, in one request.
---@param ask? string  a value to test as well
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

--- The reply of `get acl` for `ask`, with a request only where it is not known yet.
local function test(target, kind, ref, state, ask, tests)
  if not ask or tests then
    return tests
  elseif state.asked == ask then
    return state.tests
  end
  return reply.matches(target:send({ "get", kind, ref, ask }))
end

--- The reply of `get acl` for `ask` after a change. Where nothing matches, the list is read back: since a reload it may
-- be another one.
local function test_anew(target, kind, ref, wanted, ask, tests)
  if not ask or tests then
    return tests
  end
  tests = test(target, kind, ref, {}, ask)
  if not M.match(tests) then
    local show = { "show", kind, ref }
    check_content(target, show, target:send(show), wanted)
  end
  return tests
end

--- One attempt at a replacement. `seen` gets the numbers of the first attempt.
local function attempt(target, kind, ref, keys, values, given, seen)
  local state = given.state or M.state(target, kind, ref)
  local before_commit = given.before_commit or nothing
  local added, removed = reply.compare(state.text, keys, values)
  -- beside: the keys that are there, where none of them is to be removed
  local versioned = not state.list or state.list.curr_ver ~= nil
  local wanted = {
    keys = keys, values = values, versioned = versioned, beside = kind == "acl" and removed == 0 and state.keys or nil,
  }
  local one_step = kind == "acl" and added + removed == 1 and (not given.before_commit or #keys >= LONG)
  local in_place = not versioned or one_step
  local tests

  seen.added, seen.removed = seen.added or added, seen.removed or removed
  if added + removed == 0 and (kind == "acl" or reply.same(state.text, keys, values)) then
    if not core.dry_run() then
      before_commit()
    end
    return 0, 0, test(target, kind, ref, state, given.ask)
  elseif core.dry_run() then
    pretend(target, kind, ref, wanted, state.text, in_place)
    return added, removed
  end
  if in_place then
    tests = change(target, kind, ref, wanted, state.text, given.ask, before_commit)
  else
    tests = swap(target, kind, ref, wanted, given.ask, before_commit)
  end
  return added, removed, test_anew(target, kind, ref, wanted, given.ask, tests)
end

--- Was HAProxy reloaded since `begin`? Then a step of a change may have gone to the old process and the next to the new
-- one, which does not have it. The next reload may interrupt this request, too.
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

--- May another attempt, which reads the list again, succeed? At a reload the old process resets the connections in its
-- queue; it may have carried out what it was sent.
local function is_worth_another(target, problem, begin)
  if not is_error(problem) then
    return false
  elseif problem.code == "ECONNRESET" then
    return true
  end
  return (problem.kind == "refused" or problem.kind == "protocol") and reloaded(target, begin)
end

---@class haplua.list.Options
---@field state haplua.list.State?  as read just before
---@field ask string?  a value to test afterwards
---@field before_commit function?

--- Make a list hold these entries and no others. An ACL that has them already, in any order, stays as it is; a map's
-- order counts, since its first match decides.
--
-- before_commit() is called once HAProxy has every entry, before they come into force: to write a file, or to wait for
-- other targets. Where it raises, the preparation is undone. It is called again when a reload or a reset makes the
-- replacement begin again, and also where there is nothing to change; a dry run does not call it.
---@param keys string[]
---@param values? string[]  maps
---@param given? haplua.list.Options
---@return integer added, integer removed, table[]? tests  the reply of `get acl` for `ask` afterwards
function M.replace(target, kind, ref, keys, values, given)
  core.check(keys, values)
  local begin, seen = now(), {}
  for i = 1, ATTEMPTS do
    local ok, added, removed, tests = pcall(attempt, target, kind, ref, keys, values, given or {}, seen)
    if ok and added + removed == 0 then
      return seen.added, seen.removed, tests
    elseif ok then
      return added, removed, tests
    elseif i == ATTEMPTS or not is_worth_another(target, added, begin) then
      error(added, 0)
    end
    given = given and { ask = given.ask, before_commit = given.before_commit }
  end
end

return M
