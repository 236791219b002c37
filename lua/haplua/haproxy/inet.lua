-- SPDX-License-Identifier: MIT
--
--- Internet addresses as HAProxy reads and prints them.

local M = {}

--- "192.0.2.1". HAProxy refuses zeros before a number in a pattern, but not (`lax`) in a value.
---@param text string
---@param lax boolean?
---@return integer[]? bytes
function M.ipv4(text, lax)
  local bytes = { text:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$") }
  for i, byte in ipairs(bytes) do
    bytes[i] = math.tointeger(tonumber(byte))
    if bytes[i] > 255 or byte:find("^0.") and not lax then
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
    local v4 = group:find(".", 1, true) and M.ipv4(group)
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

--- "2001:db8::1".
---@param text string
---@return integer[]? bytes
function M.ipv6(text)
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

--- An address as HAProxy prints it: IPv6 in its shortest form. nil: it is none.
---@param text string
---@return string?
function M.text(text)
  if M.ipv4(text) or not M.ipv6(text) then
    return M.ipv4(text) and text
  end
  local bytes, groups = M.ipv6(text), {}
  for i = 1, 8 do
    groups[i] = ("%x"):format(bytes[2 * i - 1] << 8 | bytes[2 * i])
  end
  local head = table.concat(groups, ":", 1, 6)
  if head == "0:0:0:0:0:ffff" or head == "0:0:0:0:0:0" and groups[7] ~= "0" then
    return (groups[6] == "0" and "::" or "::ffff:") .. table.concat(bytes, ".", 13)
  end
  local all = ":" .. table.concat(groups, ":") .. ":"
  for n = 8, 2, -1 do
    local before, after = all:match("^(.-:)" .. ("0:"):rep(n) .. "(.*)$")
    if before then
      return before:sub(2) .. (before == ":" and ":" or "") .. ":" .. after:sub(1, -2)
    end
  end
  return all:sub(2, -2)
end

return M
