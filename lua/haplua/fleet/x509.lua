-- SPDX-License-Identifier: MIT
--
--- What a certificate in PEM says of itself: its subject's CN, and when it ends (RFC 5280, section 4.1). Its signature
-- is not checked: TLS does that.

local civil = require("haplua.time.civil")

local M = {}

local DIGITS <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

--- The bytes of a text in base64.
local function decoded(text)
  local bytes, bits, n = {}, 0, 0
  for digit in text:gmatch("[%w+/]") do
    bits, n = bits << 6 | DIGITS:find(digit, 1, true) - 1, n + 6
    if n >= 8 then
      n = n - 8
      bytes[#bytes + 1] = string.char(bits >> n & 255)
    end
    bits = bits & 0xffff
  end
  return table.concat(bytes)
end

--- One value of DER: its tag, its content, and where the next one begins.
local function value_at(der, at)
  local tag, length = der:byte(at, at + 1)
  assert(length, "it is cut off")
  at = at + 2
  if length >= 128 then
    assert(length > 128 and length <= 132, "it has a length that no certificate has")
    length, at = (">I" .. length - 128):unpack(der, at)
  end
  assert(at + length - 1 <= #der, "it is cut off")
  return tag, der:sub(at, at + length - 1), at + length
end

--- The values in a sequence or a set.
local function values(content)
  local list, at = {}, 1
  while at <= #content do
    local tag, value
    tag, value, at = value_at(content, at)
    list[#list + 1] = { tag = tag, value = value }
  end
  return list
end

--- UTCTime or GeneralizedTime, in seconds since 1970.
local function time_of(item)
  local year, rest = item.value:match(item.tag == 0x17 and "^(%d%d)(.*)$" or "^(%d%d%d%d)(.*)$")
  local month, day, hour, minute, second = (rest or ""):match("^(%d%d)(%d%d)(%d%d)(%d%d)(%d%d)Z$")
  assert(second, "it has a time of an unknown form")
  year, month, day, hour, minute, second = civil.integers(year, month, day, hour, minute, second)
  year = item.tag == 0x17 and year + (year < 50 and 2000 or 1900) or year
  return civil.day(year, month, day) * civil.DAY + hour * 3600 + minute * 60 + second
end

--- The CN of a name.
local function common_name(name)
  for _, set in ipairs(values(name)) do
    local pair = values(values(set.value)[1].value)
    if pair[1].value == "\x55\x04\x03" then -- 2.5.4.3
      return pair[2].value
    end
  end
end

--- The first certificate of a file's text.
---@param pem string
---@return {name: string?, ends: integer}? found  nil: it is none
---@return string? problem
function M.read(pem)
  local body = pem:match("%-%-%-%-%-BEGIN CERTIFICATE%-%-%-%-%-(.-)%-%-%-%-%-END CERTIFICATE%-%-%-%-%-")
  if not body then
    return nil, "it holds no certificate in PEM"
  end
  local ok, found = pcall(function()
    local _, certificate = value_at(decoded(body), 1)
    local fields = values(values(certificate)[1].value)
    local first = fields[1].tag == 0xa0 and 2 or 1 -- the version
    return { ends = time_of(values(fields[first + 3].value)[2]), name = common_name(fields[first + 4].value) }
  end)
  if not ok then
    return nil, "it holds no certificate that can be read"
  end
  return found
end

return M
