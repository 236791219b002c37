-- SPDX-License-Identifier: MIT
--
--- How the fake HAProxy reads patterns and matches values with them: HAProxy's match methods.

local inet = require("haplua.inet")
local regex = require("haplua.regex")

local M = {}

---@class haplua.test.Method
---@field parse fun(pattern: string, insensitive: boolean, old: boolean): any, string?  nil and HAProxy's refusal; old: in 2.2
---@field key? fun(value: string): any  the form in which the value is compared; nil: it matches nothing
---@field matches fun(parsed: any, key: any): boolean
---@field tree boolean?  HAProxy keeps case-sensitive patterns in a tree
---@field rank? fun(parsed: any): number  in a tree, HAProxy finds the match with the highest rank

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

--- A number in a pattern: 64 bits.
local function bound(text)
  return text:find("^%-?%d+$") and math.tointeger(tonumber(text))
end

--- Read "5", "5:9" or "5-9", "5:" or ":9". The first ":" or "-" is the separator, even if it looks like a sign.
local function parse_range(pattern)
  local low, high = pattern:match("^([^:-]*)[:-](.*)$")
  if not low then
    local number = bound(pattern)
    if not number then
      return nil, ("'%s' is not a number."):format(pattern)
    end
    return { low = number, high = number }
  end
  local range = { low = low == "" and -math.huge or bound(low), high = high == "" and math.huge or bound(high) }
  if low .. high == "" or not range.low or not range.high or range.low > range.high then
    return nil, ("'%s' is not a valid number range."):format(pattern)
  end
  return range
end

--- A value as a number: the digits at its beginning; the highest or lowest 64-bit number if they are too many.
local function number_of(value)
  local number = tonumber((value:match("^%+?(%-?%d+)"))) or 0
  if math.type(number) == "float" then
    return number < 0 and math.mininteger or math.maxinteger
  end
  return number
end

local function in_range(range, number)
  return number >= range.low and number <= range.high
end

-- Addresses: one number for IPv4, two for IPv6, and a mask for each; `length` of the mask, or -1 if it has holes.

local function numbers_of(bytes)
  if #bytes == 4 then
    return { (">I4"):unpack(bytes), n = 1 }
  end
  local high, low = (">i8i8"):unpack(bytes)
  return { high, low, n = 2 }
end

--- The mask with this number of bits.
local function mask_of(length, n)
  if n == 1 then
    return { 0xffffffff << 32 - length & 0xffffffff }
  end
  return { -1 << math.max(0, 64 - length), -1 << 128 - length }
end

--- Read the text after the slash: a number of bits, or, for IPv4, a mask.
---@return integer[]? mask, integer? length
local function parse_mask(text, n)
  local size = n == 1 and 32 or 128
  local length = text == "" and size or math.tointeger(tonumber(text:match("^%+?(%d+)$")))
  if length then
    return length <= size and mask_of(length, n) or nil, length
  end
  local bytes = n == 1 and inet.bytes(text)
  local mask = bytes and #bytes == 4 and numbers_of(bytes) or nil
  for i = 0, mask and size or -1 do
    length = mask[1] == mask_of(i, n)[1] and i or length
  end
  return mask, length or -1
end

local function parse_address(pattern, lax)
  local text, slash, mask = pattern:match("^([^/]*)(/?)(.*)$")
  if lax and not text:find(":", 1, true) then
    text = text:gsub("%f[%d]00?(%d)", "%1") -- zeros before a number
  end
  local bytes = inet.bytes(text)
  local address = bytes and numbers_of(bytes)
  if address and (slash == "" or mask ~= "") then
    address.mask, address.length = parse_mask(mask, address.n)
  end
  if not address or not address.mask then
    return nil, ("'%s' is not a valid IPv4 or IPv6 address."):format(pattern)
  end
  return address
end

--- A value as an address. "::ffff:192.0.2.1" is the IPv4 address.
local function address_key(value)
  local key = parse_address(value, true)
  if key and key.n == 2 and key[1] == 0 and key[2] >> 32 == 0xffff then
    return { key[2] & 0xffffffff, n = 1 }
  end
  return key
end

-- The methods, by their names after `-m`.
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
    parse = parse_range, matches = in_range, key = number_of,
  },
  ip = {
    parse = function(pattern) return parse_address(pattern) end,
    key = address_key, tree = true, rank = function(pattern) return pattern.length end,
    matches = function(pattern, key)
      return pattern.n == key.n and (pattern[1] ~ key[1]) & pattern.mask[1] == 0
        and (key.n == 1 or (pattern[2] ~ key[2]) & pattern.mask[2] == 0)
    end,
  },
  reg = {
    parse = function(pattern, insensitive, old)
      local expression, problem = regex.compile(pattern, insensitive, old)
      return expression, problem and ("regex '%s' %s."):format(pattern, problem)
    end,
    key = function(value) return value end, -- in lower case it would not match "(?-i)A"
    matches = function(expression, value) return expression:matches(value) end,
  },
}

--- Does HAProxy keep a pattern, as parse() returned it, in a tree? Not an address whose mask has holes.
---@return boolean
function M.is_in_tree(method, parsed)
  return M.methods[method.type].tree and not method.insensitive and (method.type ~= "ip" or parsed.length >= 0) or false
end

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
