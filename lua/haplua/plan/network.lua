-- SPDX-License-Identifier: MIT
--
--- Networks of clients, as "192.0.2.0/24" or "2001:db8::1", and tables that find the networks around one.

local inet = require("haplua.inet")

local M = {}

-- HAProxy looks an IPv4 address that no IPv4 network holds up among the IPv6 networks, as ::ffff:a.b.c.d.
local MAPPED <const> = ("\0"):rep(10) .. "\xff\xff"

--- The first `bits` of an address. Bits after them that share the last byte are 0.
local function prefix(bytes, bits)
  local whole, rest = bits // 8, bits % 8
  if rest == 0 then
    return bytes:sub(1, whole)
  end
  return bytes:sub(1, whole) .. string.char(bytes:byte(whole + 1) >> 8 - rest << 8 - rest)
end

--- Do the first `bits` of two addresses agree?
---@param a string
---@param b string
---@param bits integer
---@return boolean
function M.agree(a, b, bits)
  return prefix(a, bits) == prefix(b, bits)
end

--- A network's address and the number of its bits.
---@param text string
---@return string? bytes, integer? bits  nil: it is no network
function M.parse(text)
  local address, length = text:match("^(.-)/(%d+)$")
  local bytes = inet.bytes(address or text)
  local bits = bytes and (math.tointeger(tonumber(length)) or not length and #bytes * 8)
  if not bits or bits > #bytes * 8 then
    return nil
  end
  return bytes, bits
end

--- A network among those of IPv6: its address and the number of its bits.
---@return string? bytes, integer? bits
local function wide(text)
  local bytes, bits = M.parse(text)
  if bytes and #bytes == 4 then
    return MAPPED .. bytes, bits + 96
  end
  return bytes, bits
end

--- The name of a network that all its spellings share, and the number of its bits among the IPv6 networks.
---@return string? name, integer? bits  nil: it is no network
function M.name(text)
  local bytes, bits = wide(text)
  return bytes and ("%s/%d"):format(prefix(bytes, bits), bits), bits
end

---@class haplua.Networks  a value for each of some networks
---@field by table<integer, table<string, integer>>  by the number of bits, then by these bits
---@field lengths integer[]  numbers of bits, the largest first
local Networks = {}
Networks.__index = Networks

--- An empty table of networks.
---@return haplua.Networks
function M.table()
  return setmetatable({ by = {}, lengths = {} }, Networks)
end

--- Give a network a value. A text that is no network is left out.
---@param text string
---@param value integer
---@param join boolean?  a network that has a value gets the bits of both; otherwise it keeps its first
function Networks:put(text, value, join)
  local bytes, bits = wide(text)
  if not bytes then
    return
  elseif not self.by[bits] then
    self.by[bits] = {}
    table.insert(self.lengths, bits)
    table.sort(self.lengths, function(a, b)
      return a > b
    end)
  end
  local start = prefix(bytes, bits)
  local has = self.by[bits][start]
  self.by[bits][start] = has and (join and has | value or has) or value
end

--- What the networks that hold this one say.
---@param text string
---@return integer? smallest  the value of the smallest of them; nil: none holds it
---@return boolean exact  the smallest is this very network
---@return integer all  the bits of all of them
function Networks:around(text)
  local bytes, bits = wide(text)
  local smallest, exact, all = nil, false, 0
  for _, length in ipairs(bytes and self.lengths or {}) do
    local value = length <= bits and self.by[length][prefix(bytes, length)]
    if value then
      exact = exact or not smallest and length == bits
      smallest, all = smallest or value, all | value
    end
  end
  return smallest, exact, all
end

return M
