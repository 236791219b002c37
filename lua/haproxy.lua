-- SPDX-License-Identifier: MIT
--
--- The module `haproxy`: HAProxy's Runtime API as function calls on the script's target, and as
-- methods of a target of one's own (haproxy.connect). Every call waits only inside its own task,
-- and raises an error object (haplua.error) where HAProxy refuses or cannot be reached.

local core = require("haplua.core")
local reply = require("haplua.reply")

local M = {}

---@class haplua.Target
local Target = core.methods

-- Lists: what ACLs and maps have in common. `kind` is "acl" or "map".

--- The lists that HAProxy has of one kind.
local function lists(target, kind)
  return reply.lists(target:send({ "show", kind }))
end

--- Which of `all` does `ref` name? `#N` is a number, anything else a file name.
local function find(all, ref)
  local id = math.tointeger(tonumber(ref:match("^#(%d+)$")))
  for _, list in ipairs(all) do
    if list.id == id or list.file == ref then
      return list
    end
  end
end

--- One list and its entries, read together: keys, references, values (maps only), and what `show acl`
-- says of the list (nil where a newer HAProxy takes a name that it does not list).
local function read(target, kind, ref)
  local all = lists(target, kind)
  local text = target:send({ "show", kind, ref })
  local keys, refs, values = reply.entries(text, kind == "map")
  return keys, refs, values, find(all, ref)
end

--- How often does each entry stand in a list?
local function tally(keys, values)
  local count = {}
  for i, key in ipairs(keys) do
    local entry = values and key .. " " .. values[i] or key
    count[entry] = (count[entry] or 0) + 1
  end
  return count
end

--- The entries of one list that the other does not have, as positions.
local function missing(keys, values, other)
  local found = {}
  for i, key in ipairs(keys) do
    local entry = values and key .. " " .. values[i] or key
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

--- What a list must hold to hold all of `keys` (and `values`) and nothing else.
---@return integer[] added positions in `keys`  @return integer[] removed positions in what is there
local function difference(there, there_values, keys, values)
  local added = missing(keys, values, tally(there, there_values))
  local removed = missing(there, there_values, tally(keys, values))
  return added, removed
end

local function same_order(there, there_values, keys, values)
  for i, key in ipairs(keys) do
    if there[i] ~= key or values and there_values[i] ~= values[i] then
      return false
    end
  end
  return true
end

--- Closes a transaction that was not committed: HAProxy keeps its entries for ever otherwise.
local function transaction(target, kind, ref)
  local text = target:send({ "prepare", kind, ref })
  local version = text:match("^New version created: (%d+)$")
  if not version then
    error(target:mistrust("prepare " .. kind, text))
  end
  local at = "@" .. version
  return setmetatable({ at = at, version = math.tointeger(version) }, {
    __close = function(txn)
      if not txn.committed then
        target:send({ "clear", kind, at, ref })
      end
    end,
  })
end

--- Swap the content of a list in one step, as its readers see it (HAProxy 2.4 and later).
local function swap(target, kind, ref, keys, values)
  local txn <close> = transaction(target, kind, ref)
  target:each({ "add", kind, txn.at, ref }, keys, values)
  local there, _, there_values = reply.entries(target:send({ "show", kind, txn.at, ref }), kind == "map")
  if #there ~= #keys or not same_order(there, there_values, keys, values) then
    error(target:mistrust(("show %s %s %s"):format(kind, txn.at, ref),
      ("%d entries were sent, %d are there, or others"):format(#keys, #there)))
  end
  local answers = target:batch({ { "commit", kind, txn.at, ref }, { "show", kind } })
  txn.committed = true
  local list = find(reply.lists(answers[2]), ref)
  if list and list.curr_ver ~= txn.version then
    error(target:mistrust(("commit %s %s %s"):format(kind, txn.at, ref),
      ("version %d is in force, somebody else's"):format(list.curr_ver)))
  end
end

--- Remove the entries at these positions, by reference: an equal entry that stays is not touched.
local function remove(target, kind, ref, refs, positions)
  local words = {}
  for i, position in ipairs(positions) do
    words[i] = "#" .. refs[position]
  end
  target:each({ "del", kind, ref }, words)
end

--- HAProxy 2.2 has no transactions: first add what is missing, then remove what is too much. So a
-- request that both the old and the new content match is matched all the time.
local function change(target, kind, ref, keys, values, refs, added, removed)
  target:each({ "add", kind, ref }, pick(keys, added), values and pick(values, added))
  remove(target, kind, ref, refs, removed)
end

local function plan(target, kind, ref, keys, values, versioned)
  local at = versioned and " @NEW " or " "
  if versioned then
    core.would(target, ("prepare %s %s"):format(kind, ref))
  end
  for i, key in ipairs(keys) do
    local words = values and { key, values[i] } or { key }
    core.would(target, ("add %s%s%s %s"):format(kind, at, ref, core.encode(words)))
  end
  if versioned then
    core.would(target, ("commit %s @NEW %s"):format(kind, ref))
  end
end

--- Replace the content of a list. Nothing is sent when it is what it should be already.
---@return integer added  @return integer removed
local function replace(target, kind, ref, keys, values)
  core.encode({ kind, ref, table.unpack(keys, 1, math.min(#keys, 50)) })
  local there, refs, there_values, list = read(target, kind, ref)
  local added, removed = difference(there, there_values, keys, values)
  if #added == 0 and #removed == 0 and (kind == "acl" or same_order(there, there_values, keys, values)) then
    return 0, 0
  end
  local versioned = not list or list.curr_ver ~= nil
  if core.dry_run() then
    plan(target, kind, ref, keys, values, versioned)
  elseif versioned then
    swap(target, kind, ref, keys, values)
  elseif #keys == 0 then
    target:send({ "clear", kind, ref })
  else
    change(target, kind, ref, keys, values, refs, added, removed)
  end
  return #added, #removed
end

function Target:acl_replace(ref, patterns)
  return replace(self, "acl", ref, patterns)
end

function Target:acl_get(ref, value)
  if value == nil then
    return self:acl_list(ref)
  end
  return reply.matches(self:send({"get","acl",ref,value}))[1]
end
function Target:acl_list(ref) 
   if not ref then return lists(self, "acl") end
return (reply.entries(self:send({"show","acl",ref})))
end
setmetatable(M, {__index=function(t,k) local f = Target[k]; if f then return function(...) return f(core.current(), ...) end end end})

return M
