-- SPDX-License-Identifier: MIT
--
--- The bypass map of a switch that is a map: network -> bits. HAProxy takes the smallest network that holds the client.
-- The client passes at an entry of the deciding map (haplua.plan.map) if its bits have every bit of the entry's mask.
--
-- Each different set of networks that maintenances let pass has one bit. The bits are kept in HAProxy's maps alone: a set
-- has the bit by which the bypass map lets exactly its networks through.

local network = require("haplua.plan.network")

local M = {}

--- A bit that no network has. Bits 0 to 61 stand for sets of networks.
M.NOBODY = 1 << 62

local NOBODY <const> = M.NOBODY
local EVERY <const> = NOBODY - 1

---@class haplua.map.Live  what HAProxy's maps hold
---@field keys string[]  patterns
---@field values string[]
---@field networks string[]
---@field bits string[]
---@field ours table<string, boolean>  networks that haplua has put there

---@class haplua.map.Bypass
---@field bypass string[]  networks, first those of others
---@field bits string[]
---@field ours string[]  those of `bypass` that are not others'
---@field nets haplua.Networks  the bits of `bypass`
---@field mask_of table<haplua.Maintenance, integer>  the bit of each maintenance
---@field enough boolean  false: there are more sets than bits, and some let nobody pass

local function number(text)
  return math.tointeger(tonumber(text)) or 0
end

--- The mask of a map's value, as HAProxy reads it. nil: the value has none, and closes for everybody.
---@param value string
---@return integer?
function M.mask(value)
  local minus, digits, rest = value:match("^[^|]*|[^|]*|(%-?)(%d*)([^|]*)")
  if not digits or minus .. digits .. rest == "" then
    return nil
  end
  local mask = 0
  for digit in digits:gmatch("%d") do
    mask = mask * 10 + number(digit)
  end
  return minus == "-" and -mask or mask
end

--- Does a client pass at an entry?
---@param bits integer?  of the client's network
---@param mask integer  of the entry
---@return boolean
function M.passes(bits, mask)
  return mask & ~(bits or 0) == 0
end

--- The networks of the bypass map, and those of them that haplua has not put there.
---@return haplua.Networks all, haplua.Networks others
local function networks_of(live)
  local all, others = network.table(), network.table()
  for i, text in ipairs(live.networks) do
    all:put(text, number(live.bits[i]))
    if not live.ours[text] then
      others:put(text, number(live.bits[i]))
    end
  end
  return all, others
end

--- The bits by which HAProxy lets exactly the networks of a set pass, beside those of others: all of them, or, as the
-- second value, all but those that others have put there with other bits. A negative value lets its network pass always.
---@param list string[]
---@return integer exact, integer stricter
local function fitting(list, live, all, others)
  local own, exact, stricter = network.table(), EVERY, EVERY
  for _, text in ipairs(list) do
    own:put(text, EVERY)
  end
  for _, texts in ipairs({ live.networks, list }) do
    for _, text in ipairs(texts) do
      local has, theirs, is_theirs = all:around(text), others:around(text)
      local _, _, wanted = own:around(text)
      if theirs and (theirs < 0 or not is_theirs) then
        wanted = wanted | theirs
      end
      local unfit = wanted ~ (has or 0)
      exact = exact & ~unfit
      stricter = stricter & ~(is_theirs and unfit & ~wanted or unfit)
    end
  end
  return exact, stricter
end

--- The bits that some masks have, or some networks. Those of a negative number stand for no set.
---@param texts string[]
---@param read fun(text: string): integer?
local function bits_of(texts, read)
  local found = 0
  for _, text in ipairs(texts) do
    found = found | math.max(0, read(text) or 0)
  end
  return found
end

local function lowest(bits)
  return bits & -bits
end

--- Give each set a bit: the one that it has, else a free one. Returns false where a set has none.
---@param sets {list: string[], mask: integer}[]
local function assign(sets, live, all, others)
  local taken, enough = 0, true
  for _, set in ipairs(sets) do
    local exact, stricter = fitting(set.list, live, all, others)
    local bits = exact & ~taken ~= 0 and exact or stricter
    set.mask = lowest(bits & ~taken)
    taken = taken | set.mask
  end
  local free = EVERY & ~(taken | bits_of(live.bits, number) | bits_of(live.values, M.mask))
  for _, set in ipairs(sets) do
    if set.mask == 0 then
      set.mask = free ~= 0 and lowest(free) or NOBODY
      free = free & ~set.mask
    end
    enough = enough and set.mask ~= NOBODY
  end
  return enough
end

--- The largest of some networks, without those that others let pass always, and a name that lists of the same clients
-- share.
local function largest(list, others)
  local sorted, known, names, found = {}, network.table(), {}, {}
  for _, text in ipairs(list) do
    local name, size = network.name(text)
    sorted[#sorted + 1] = name and { text = text, name = name, size = size }
  end
  table.sort(sorted, function(a, b)
    return a.size < b.size
  end)
  for _, one in ipairs(sorted) do
    if not known:around(one.text) and (others:around(one.text) or 0) >= 0 then
      known:put(one.text, 1)
      found[#found + 1], names[#names + 1] = one.text, one.name
    end
  end
  table.sort(names)
  return found, table.concat(names, "\n")
end

--- The different sets of networks that maintenances let pass, and the set of each maintenance.
local function sets_of(in_force, view, others)
  local sets, of, known = {}, {}, { [""] = { list = {}, mask = NOBODY } }
  for _, m in ipairs(in_force) do
    local list, name = largest(m.bypass or view.allow, others)
    if not known[name] then
      known[name] = { list = list }
      sets[#sets + 1] = known[name]
    end
    of[m] = known[name]
  end
  return sets, of
end

--- The content of the bypass map.
---@param in_force haplua.Maintenance[]
---@param view haplua.View
---@param live haplua.map.Live
---@return haplua.map.Bypass
function M.of(in_force, view, live)
  local all, others = networks_of(live)
  local sets, of = sets_of(in_force, view, others)
  local found = { bypass = {}, bits = {}, ours = {}, nets = network.table(), mask_of = {} }
  local own, there = network.table(), {}
  found.enough = assign(sets, live, all, others)
  for m, set in pairs(of) do
    found.mask_of[m] = set.mask
  end
  local function add(text, value)
    found.bypass[#found.bypass + 1], found.bits[#found.bits + 1] = text, ("%d"):format(value)
    found.nets:put(text, value)
  end
  for i, text in ipairs(live.networks) do
    if not live.ours[text] then
      add(text, number(live.bits[i]))
    end
  end
  for _, set in ipairs(sets) do
    for _, text in ipairs(set.list) do
      own:put(text, set.mask, true)
    end
  end
  for _, set in ipairs(sets) do
    for _, text in ipairs(set.list) do
      local theirs, is_theirs = others:around(text)
      local _, _, value = own:around(text)
      if not there[text] and not is_theirs then
        there[text] = true
        found.ours[#found.ours + 1] = text
        add(text, value | (theirs or 0))
      end
    end
  end
  return found
end

--- The bypass map while the other one changes. A bit that old masks have means the old networks, one that new masks have
-- the new ones, and one that both have those that are in both: a hand's entry may have a bit whose set is gone.
---@param live haplua.map.Live
---@param found haplua.map.Content
---@return {keys: string[], values: string[]}
function M.between(live, found)
  local all, keys, values, there = networks_of(live), {}, {}, {}
  local in_old, in_new = bits_of(live.values, M.mask), bits_of(found.values, M.mask)
  for _, list in ipairs({ live.networks, found.bypass }) do
    for _, text in ipairs(list) do
      if not there[text] then
        local old, new = all:around(text) or 0, found.nets:around(text) or 0
        there[text] = true
        keys[#keys + 1] = text
        values[#values + 1] = ("%d"):format(old & new | old & ~in_new | new & ~in_old)
      end
    end
  end
  return { keys = keys, values = values }
end

--- The networks that pass at an entry now, and will not pass there.
---@param live haplua.map.Live
---@param found haplua.map.Bypass
---@param masks {[1]: integer, [2]: integer}[]  of entries that stay: before and after
---@return string[]
function M.stopped(live, found, masks)
  local stopped = {}
  for i, text in ipairs(live.networks) do
    local stops = false
    for _, pair in ipairs(masks) do
      stops = stops or M.passes(number(live.bits[i]), pair[1]) and not M.passes(found.nets:around(text), pair[2])
    end
    stopped[#stopped + 1] = stops and text or nil
  end
  return stopped
end

return M
