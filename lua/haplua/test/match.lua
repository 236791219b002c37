-- SPDX-License-Identifier: MIT
--
--- How the fake HAProxy reads patterns and matches values with them: HAProxy's match methods.

local regex = require("haplua.test.regex")

local M = {}

---@class haplua.test.Method
---@field parse fun(pattern: string, insensitive: boolean, modern: boolean): any, string?  or nil and HAProxy's refusal
---@field key? fun(value: string): any  how a value to be matched is read; nil: it matches nothing
---@field matches fun(parsed: any, key: any): boolean
---@field tree boolean?  HAProxy keeps case-sensitive ones in a tree
---@field rank? fun(parsed: any): number  in a tree the highest wins

local function plain(pattern, insensitive)
  return insensitive and pattern:lower() or pattern
end

--- A pattern between delimiters, as `-m dir` and `-m dom` look for it.
local function delimited(delimiters)
  return function(word, value)
    local bare = word:gsub("^[" .. delimiters .. "]+", ""):gsub("[" .. delimiters .. "]+$", "")
    local from = 1
    while bare ~= "" do
      local first, last = value:find(bare, from, true)
      if not first then
        return false
      end
      local before, after = value:sub(first - 1, first - 1), value:sub(last + 1, last + 1)
      if (first == 1 or before:find("[" .. delimiters .. "]")) and (after == "" or after:find("[" .. delimiters .. "]")) then
        return true
      end
      from = first + 1
    end
    return false
  end
end

-- Numbers and ranges.

local function parse_range(pattern)
  local low, colon, high = pattern:match("^(%-?%d*)(:?)(%-?%d*)$")
  if not low or colon == "" and not tonumber(low) or low .. high == "" then
    return nil, ("'%s' is not a number."):format(pattern)
  end
  local range = { low = tonumber(low) or -math.huge, high = tonumber(high) or math.huge }
  if colon == "" then
    range.high = range.low
  elseif range.low > range.high then
    return nil, ("'%s' is not a valid number range."):format(pattern)
  end
  return range
end

local function in_range(range, number)
  return number >= range.low and number <= range.high
end

-- Addresses: {bits = "0101...", length = mask, family = 4|6}.

local function bits_of(bytes)
  local out = {}
  for i, byte in ipairs(bytes) do
    for bit = 7, 0, -1 do
      out[(i - 1) * 8 + 8 - bit] = tostring(byte >> bit & 1)
    end
  end
  return table.concat(out)
end

local function ipv4_bytes(text)
  local bytes = { text:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$") }
  for i, byte in ipairs(bytes) do
    bytes[i] = math.tointeger(tonumber(byte))
    if bytes[i] > 255 then
      return nil
    end
  end
  return #bytes == 4 and bytes or nil
end

--- The 16-bit groups of one side of "::".
local function ipv6_groups(text)
  local groups = {}
  if text == "" then
    return groups
  end
  for group in (text .. ":"):gmatch("([^:]*):") do
    local v4 = group:find(".", 1, true) and ipv4_bytes(group)
    if v4 then
      groups[#groups + 1] = v4[1] << 8 | v4[2]
      groups[#groups + 1] = v4[3] << 8 | v4[4]
    elseif group:find("^%x%x?%x?%x?$") then
      groups[#groups + 1] = tonumber(group, 16)
    else
      return nil
    end
  end
  return groups
end

local function ipv6_bytes(text)
  local head, tail = text:match("^(.-)::(.*)$")
  local groups = ipv6_groups(head or text)
  local rest = tail and ipv6_groups(tail)
  if not groups or tail and not rest or not text:find(":") then
    return nil
  end
  if rest then
    for _ = 1, 8 - #groups - #rest do
      groups[#groups + 1] = 0
    end
    table.move(rest, 1, #rest, #groups + 1, groups)
  end
  local bytes = {}
  for i, group in ipairs(groups) do
    bytes[2 * i - 1], bytes[2 * i] = group >> 8, group & 255
  end
  return #groups == 8 and bytes or nil
end

local function parse_mask(mask, family)
  if mask:find("^%d+$") then
    local n = tonumber(mask)
    return n <= (family == 4 and 32 or 128) and n or nil
  end
  local bytes = family == 4 and ipv4_bytes(mask)
  local bits = bytes and bits_of(bytes)
  return bits and bits:find("^1*0*$") and #bits:match("^1*") or nil
end

local function parse_address(pattern)
  local text, mask = pattern:match("^([^/]*)/?(.*)$")
  local v4 = ipv4_bytes(text)
  local bytes, family = v4 or ipv6_bytes(text), v4 and 4 or 6
  local length = bytes and (mask == "" and #bytes * 8 or parse_mask(mask, family))
  if not bytes or not length or mask == "" and pattern:find("/", 1, true) then
    return nil, ("'%s' is not a valid IPv4 or IPv6 address."):format(pattern)
  end
  return { bits = bits_of(bytes), length = length, family = family }
end

local MAPPED = ("0"):rep(80) .. ("1"):rep(16)

--- A value; an IPv4 address written as an IPv6 one is the IPv4 address.
local function address_key(value)
  local key = parse_address(value)
  if key and key.family == 6 and key.bits:sub(1, 96) == MAPPED then
    return { bits = key.bits:sub(97), family = 4 }
  end
  return key
end

-- The methods, by the name behind `-m`.
---@type table<string, haplua.test.Method>
M.methods = {
  str = { parse = plain, tree = true, matches = function(pattern, value) return pattern == value end },
  beg = {
    parse = plain, tree = true, rank = function(pattern) return #pattern end,
    matches = function(pattern, value) return value:sub(1, #pattern) == pattern end,
  },
  ["end"] = { parse = plain, matches = function(pattern, value) return pattern == "" or value:sub(-#pattern) == pattern end },
  sub = { parse = plain, matches = function(pattern, value) return value:find(pattern, 1, true) ~= nil end },
  dir = { parse = plain, matches = delimited("/?") },
  dom = { parse = plain, matches = delimited("/?.:") },
  len = { parse = parse_range, key = function(value) return #value end, matches = in_range },
  int = {
    parse = parse_range, matches = in_range,
    key = function(value) return math.tointeger(tonumber(value:match("^%-?%d+$"))) end,
  },
  ip = {
    parse = parse_address, key = address_key, tree = true, rank = function(pattern) return pattern.length end,
    matches = function(pattern, key)
      return pattern.family == key.family and pattern.bits:sub(1, pattern.length) == key.bits:sub(1, pattern.length)
    end,
  },
  reg = {
    parse = function(pattern, insensitive, modern)
      local matches, problem, offset = regex.compile(pattern, insensitive, modern)
      if not matches then
        return nil, ("regex '%s' is invalid (error=%s, erroffset=%d)."):format(pattern, problem, offset)
      end
      return matches
    end,
    matches = function(matches, value) return matches(value) end,
  },
}

local by_suffix = { beg = true, sub = true, dir = true, dom = true, ["end"] = true, reg = true, len = true }

--- The method of an ACL that has no `-m`.
---@param fetch string  "path", "src", "path_beg", ...
---@return string
function M.method_of(fetch)
  local suffix = fetch:match("_(%l+)$")
  if by_suffix[suffix] then
    return suffix
  elseif fetch == "src" or fetch == "dst" then
    return "ip"
  end
  return (fetch:find("_port$") or fetch:find("_cnt$") or fetch == "status") and "int" or "str"
end

return M
