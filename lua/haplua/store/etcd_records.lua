-- SPDX-License-Identifier: MIT
--
--- Maintenances and changes as the values of keys in etcd: JSON, which etcdctl shows as it is. The keys, below the
-- prefix /haplua/v1/FLEET/:
--
--   meta                  the version of this form
--   ids                   the latest numbers; every change of a maintenance writes it, so that one of two comes first
--   m/SWITCH/ID           a maintenance. SWITCH is the list's name, with %XX for bytes other than letters, digits, .-_#
--   m/SWITCH/asked/TOKEN  a question to the nodes: could they carry a change out? (haplua.fleet.together)
--   m/SWITCH/pruned       the number until which a maintenance that is not there was ended
--   log/SWITCH/ID         a change
--   nd/NODE/...           what a node says of itself (haplua.store.etcd_nodes)

local cjson = require("cjson")
local errors = require("haplua.error")

local M = {}

--- The version that this haplua writes, and the earliest that understands it.
M.FORMAT = 1

---@param fleet string  its name
---@return string
function M.prefix(fleet)
  return ("/haplua/v1/%s/"):format(M.escape(fleet))
end

--- A name as one part of a key.
---@param name string
---@return string
function M.escape(name)
  return (name:gsub("[^%w%.%-_#]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end))
end

---@param part string
---@return string
function M.unescape(part)
  return (part:gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

--- A text that nobody else has made.
---@return string
function M.token()
  local f <close> = assert(io.open("/dev/urandom", "rb"))
  return ("%016x"):format(("J"):unpack(f:read(8)))
end

--- The key of a maintenance or of a change, without the prefix. As texts they are in the order of their numbers.
---@param kind "m"|"log"
---@param acl string
---@param id integer|string
---@return string
function M.key(kind, acl, id)
  return ("%s/%s/%s"):format(kind, M.escape(acl), math.type(id) == "integer" and ("%012d"):format(id) or id)
end

-- Values. lua-cjson writes 14 digits of a number, and reads every number as a float.

local INTEGERS <const> = { id = true, pid = true, worker = true, started = true, m = true, log = true, through = true, ids = true,
  format = true, reader = true, writer = true, revision = true }

local function portable(value)
  if type(value) == "number" and value ~= math.floor(value) then
    return { number = ("%.17g"):format(value) }
  elseif type(value) ~= "table" then
    return value
  end
  local made = {}
  for key, item in pairs(value) do
    made[key] = portable(item)
  end
  return made
end

local function native(value, name)
  if type(value) == "number" then
    return INTEGERS[name] and math.tointeger(value) or value
  elseif type(value) ~= "table" then
    return value
  elseif value.number then
    return tonumber(value.number)
  end
  for key, item in pairs(value) do
    value[key] = native(item, type(key) == "number" and name or key)
  end
  return value
end

--- A record as a value: one line of JSON.
---@param record table
---@return string
function M.encode(record)
  return (cjson.encode(portable(record)):gsub("\\/", "/"))
end

--- A value as a record.
---@param key string  for the message
---@param value string
---@return table  raises `protocol` where it is none
function M.decode(key, value)
  local ok, found = pcall(cjson.decode, value)
  if not ok or type(found) ~= "table" then
    errors.raise("protocol", ("the store's key %s holds no record: %s"):format(key, errors.visible(value:sub(1, 60))))
  end
  return native(found)
end

local MAINTENANCE <const> = { id = "number", target = "string", acl = "string", switch = "string", scope = "table",
  origin = "string", user = "string", host = "string", begins = "number" }
local OPTIONAL <const> = { bypass = "table", reason = "string", occurrence = "string", login = "string", pid = "number",
  ends = "number", ended = "number", ended_by = "string", why = "string", nodes = "table", labels = "table",
  rollout = "table" }

--- Is a record a maintenance? One that a later haplua or a hand has written may not be, and is never applied by halves.
---@param record table
---@return boolean
function M.is_maintenance(record)
  for name, kind in pairs(MAINTENANCE) do
    if type(record[name]) ~= kind then
      return false
    end
  end
  for name, kind in pairs(OPTIONAL) do
    if record[name] ~= nil and type(record[name]) ~= kind then
      return false
    end
  end
  return true
end

--- The fields of a maintenance that commands and plans see.
---@param record table
---@return haplua.Maintenance
function M.maintenance(record)
  local made = {}
  for _, names in ipairs({ MAINTENANCE, OPTIONAL }) do
    for name in pairs(names) do
      made[name] = record[name]
    end
  end
  return made
end

--- A maintenance as the nodes see it.
---@param held haplua.etcd.Held
---@return haplua.fleet.Record
function M.of_fleet(held)
  local made = M.maintenance(held.record)
  made.uid, made.revision = held.record.uid or "-", held.revision
  return made
end

return M
