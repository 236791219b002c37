-- SPDX-License-Identifier: MIT
--
--- Time zones by their IANA names, from the system's zone data (RFC 8536), past and future.
-- An instant is a number of seconds since 1970 UTC; a civil time is what a calendar and a clock on the wall show
-- (haplua.time.civil).

local civil = require("haplua.time.civil")
local refuse = require("haplua.error").refuse

local M = {}

---@class haplua.Zone
---@field name string
---@field private at integer[]  instants at which the offset changes
---@field private offsets integer[]  offsets[i] holds from at[i] on, offsets[0] before at[1]
---@field private names string[]  "CET", likewise
---@field private rule haplua.PosixZone?  the changes after the last in the zone data
---@field private year integer?  `at` has the rule's changes up to this year
---@field private more? fun(): integer?, integer?  the next change that `at` has not got yet, and the offset from then on
---@field private last integer  the index that index() returned last
local Zone = {}
Zone.__index = Zone

-- More than the distance between a civil time and UTC that zone data may have.
local FAR <const> = 2 * civil.DAY
local ENDLESS <const> = math.maxinteger // 2

-- Zone data.

--- Read the block of data behind a header. Returns nil where it is not valid, or has leap seconds.
---@param size integer  of an instant, 4 or 8 bytes
---@return table? data, integer? next
local function read_block(bytes, start, size)
  local _, _, leaps, times, types, chars = (">I4I4I4I4I4I4"):unpack(bytes, start + 20)
  local isut, isstd = (">I4I4"):unpack(bytes, start + 20)
  local at = start + 44
  local finish = at + times * (size + 1) + types * 6 + chars + leaps * (size + 4) + isstd + isut
  if types == 0 or finish - 1 > #bytes or leaps > 0 then
    return nil
  end
  local data = { at = {}, offsets = {}, names = {} }
  local kinds = at + times * size
  local records = kinds + times
  local texts = records + types * 6
  local function set(i, kind)
    assert(kind < types)
    local offset, _, name = (">i4BB"):unpack(bytes, records + kind * 6)
    data.offsets[i], data.names[i] = offset, ("z"):unpack(bytes, texts + name)
  end
  set(0, 0)
  for i = 1, times do
    data.at[i] = (">i" .. size):unpack(bytes, at + (i - 1) * size)
    set(i, bytes:byte(kinds + i - 1))
  end
  return data, finish
end

--- Read a zone file's bytes. Returns nil where they are not valid.
local function read(bytes)
  if bytes:sub(1, 4) ~= "TZif" then
    return nil
  end
  local data, next_at = read_block(bytes, 1, 4)
  if data and bytes:byte(5) >= 0x32 then
    if bytes:sub(next_at, next_at + 3) ~= "TZif" then
      return nil
    end
    data, next_at = read_block(bytes, next_at, 8)
    local rule = data and bytes:match("^\n([^\n]*)\n", next_at)
    if rule and rule ~= "" then
      data.rule = require("haplua.time.posix_tz").parse(rule)
    end
    return (rule == "" or data and data.rule) and data
  end
  return data
end

--- Apply the rule from the last change of the zone data on; where it has none, always.
local function set_rule(zone, rule)
  local n = #zone.at
  if n == 0 then
    zone.offsets[0], zone.names[0] = rule.offset, rule.name
  end
  if rule.dst_name then
    zone.rule = rule
    zone.year = n > 0 and civil.date(zone.at[n] // civil.DAY) - 1 or 1900
  end
end

local function new(name, data)
  local zone = setmetatable({
    name = name, at = data.at, offsets = data.offsets, names = data.names, last = 0,
  }, Zone)
  if data.rule then
    set_rule(zone, data.rule)
  end
  return zone
end

--- A zone from its changes.
---@param name string
---@param first integer  the offset before the first change
---@param more? fun(): integer?, integer?  an iterator over its changes: the instant, and the offset from then on. It is
--- called when an instant is asked for that lies after those it has returned; of two for one instant the first counts
---@return haplua.Zone
function M.make(name, first, more)
  local zone = new(name, { at = {}, offsets = { [0] = first }, names = { [0] = "" } })
  zone.more = more
  return zone
end

-- Finding zones.

local function read_file(path)
  local f <close> = io.open(path, "rb")
  return f and f:read(1 << 20)
end

local function folders()
  return { os.getenv("TZDIR") or "/usr/share/zoneinfo", "/usr/share/zoneinfo" }
end

---@return haplua.Zone?
local function from_bytes(name, bytes)
  local ok, data = pcall(read, bytes)
  return ok and data and new(name, data) or nil
end

local loaded = {}

local function find(name)
  for _, folder in ipairs(folders()) do
    local bytes = read_file(folder .. "/" .. name)
    if bytes then
      return from_bytes(name, bytes)
        or refuse(("%s/%s is no zone data that haplua can read"):format(folder, name))
    end
  end
  if name == "UTC" then
    return M.make("UTC", 0)
  elseif not read_file(folders()[1] .. "/Europe/Paris") and not read_file(folders()[1] .. "/UTC") then
    refuse(("no zone data for '%s' in %s"):format(name, folders()[1]), "install the package tzdata")
  end
  refuse(("there is no time zone '%s'"):format(name),
    "zones have names such as Europe/Paris; 'timedatectl list-timezones' lists them")
end

--- The zone of this name. UTC needs no zone data.
---@param name string
---@return haplua.Zone  raises `refused`
function M.load(name)
  require("haplua.base.options").argument("zone.load", "name", name, "text")
  if not loaded[name] then
    if not name:find("^%w[%w_+/-]*$") or #name > 100 then
      refuse(("'%s' is no name of a time zone"):format(require("haplua.error").visible(name)),
        "zones have names such as Europe/Paris")
    end
    loaded[name] = find(name)
  end
  return loaded[name]
end

--- The zone's name in a path of zone data: what stands below the folder of all zones.
local function name_of(path)
  for _, folder in ipairs(folders()) do
    if path:sub(1, #folder + 1) == folder .. "/" then
      return path:sub(#folder + 2)
    end
  end
  return path:match("/zoneinfo/(%w[%w_+/-]*)$")
end

--- The zone of $TZ: a name, a path or POSIX's form.
local function from_environment(text)
  text = text:gsub("^:", "")
  if text == "" then
    return M.load("UTC")
  end
  local name = text:sub(1, 1) == "/" and name_of(text)
  if name then
    return M.load(name)
  end
  local bytes = text:sub(1, 1) == "/" and read_file(text)
  local rule = not bytes and require("haplua.time.posix_tz").parse(text)
  if rule then
    return new(text, { at = {}, offsets = {}, names = {}, rule = rule })
  end
  return bytes and from_bytes(text, bytes) or M.load(text)
end

--- The zone that the machine is set to.
local function from_system()
  local path = require("haplua.file").link("/etc/localtime")
  local name = path and name_of(path)
  if name then
    return M.load(name)
  end
  local bytes = read_file("/etc/localtime")
  name = (read_file("/etc/timezone") or ""):match("^%s*(%S+)")
  if name and (not bytes or read_file(folders()[1] .. "/" .. name) == bytes) then
    return M.load(name)
  end
  return bytes and from_bytes("localtime", bytes) or M.load("UTC")
end

--- The machine's zone: that of $TZ; without it of /etc/localtime, of /etc/timezone, or UTC.
---@return haplua.Zone  raises `refused`
function M.here()
  local tz = os.getenv("TZ")
  return tz and from_environment(tz) or from_system()
end

-- Instants and civil times.

--- Add the rule's changes to `at`, up to the year after an instant.
local function extend(zone, instant)
  local year = civil.date(math.min(instant, 253402300800) // civil.DAY) + 1
  while zone.year < year do
    zone.year = zone.year + 1
    for _, change in ipairs({ require("haplua.time.posix_tz").changes(zone.rule, zone.year) }) do
      local n = #zone.at
      local instant_, offset, name = table.unpack(change)
      if n > 0 and instant_ == zone.at[n] and zone.added == n then
        zone.offsets[n], zone.names[n] = offset, name
      elseif (n == 0 or instant_ > zone.at[n]) and offset ~= zone.offsets[n] then
        zone.at[n + 1], zone.offsets[n + 1], zone.names[n + 1] = instant_, offset, name
        zone.added = n + 1
      end
    end
  end
  zone.covered = civil.day(zone.year + 1, 1, 1) * civil.DAY - 8 * civil.DAY
end

--- Add the changes up to an instant, and one after it.
local function pull(zone, instant)
  local at = zone.at
  while zone.more and (at[#at] or -ENDLESS) <= instant do
    local change, offset = zone.more()
    local n = #at
    if not change then
      zone.more = nil
    elseif change > (at[n] or -ENDLESS) then
      at[n + 1], zone.offsets[n + 1], zone.names[n + 1] = change, offset, ""
    end
  end
end

--- The index of the offset that holds at an instant.
local function index(zone, instant)
  local at, i = zone.at, zone.last
  if zone.more then
    pull(zone, instant)
  end
  if zone.rule and instant >= (zone.covered or at[#at] or -ENDLESS) then
    extend(zone, instant)
  end
  if (i == 0 or at[i] <= instant) and (not at[i + 1] or instant < at[i + 1]) then
    return i
  end
  local low, high = 0, #at
  while low < high do
    local middle = (low + high + 1) // 2
    if at[middle] <= instant then
      low = middle
    else
      high = middle - 1
    end
  end
  zone.last = low
  return low
end

--- The offset from UTC at an instant, and the name of the zone's time then, "CET".
---@param instant number
---@return integer seconds, string name
function Zone:offset(instant)
  local i = index(self, instant // 1)
  return self.offsets[i], self.names[i]
end

--- The civil time that the zone's clocks show at an instant.
---@param instant number
---@return integer civil
function Zone:civil(instant)
  instant = math.tointeger(instant // 1)
  return instant + self.offsets[index(self, instant)]
end

--- The first instant at which the clocks show a civil time: the first of two where the clocks are set back over it,
-- the end of the gap where they are set forward over it.
---@param wanted integer  a civil time
---@return integer instant
function Zone:first(wanted)
  local at, offsets, i = self.at, self.offsets, self.last
  local instant = wanted - (offsets[i] or 0)
  -- no change is near: the offset that was found last holds
  if i > 0 and instant >= at[i] + FAR + FAR and at[i + 1] and instant < at[i + 1] then
    return instant
  end
  i = index(self, wanted - FAR)
  if not at[i + 1] or at[i + 1] <= wanted + FAR + FAR then
    index(self, wanted + FAR)
  end
  while true do
    local next_at = at[i + 1]
    if not next_at or next_at + offsets[i] > wanted then
      instant = wanted - offsets[i]
      return i > 0 and instant < at[i] and at[i] or instant
    end
    i = i + 1
  end
end

--- The instants at which the clocks show a civil time: none, one or two, in order.
---@param wanted integer
---@return integer[]
function Zone:instants(wanted)
  local found, at, offsets = {}, self.at, self.offsets
  local i = index(self, wanted - FAR)
  index(self, wanted + FAR)
  repeat
    local instant = wanted - offsets[i]
    if (i == 0 or instant >= at[i]) and (not at[i + 1] or instant < at[i + 1]) then
      found[#found + 1] = instant
    end
    i = i + 1
  until not at[i] or at[i] > wanted + FAR
  return found
end

function Zone:__tostring()
  return self.name
end

return M
