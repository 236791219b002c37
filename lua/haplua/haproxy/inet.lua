-- SPDX-License-Identifier: MIT
--
--- Internet addresses as HAProxy reads and prints them.

local core = require("haplua.core")

local M = {}

local function bytes_of(text, n)
  local bytes = core.inet(text)
  return bytes and #bytes == n and { bytes:byte(1, n) } or nil
end

--- "192.0.2.1". HAProxy refuses zeros before a number in a pattern, but not (`lax`) in a value.
---@param text string
---@param lax boolean?
---@return integer[]? bytes  nil: it is no such address
function M.ipv4(text, lax)
  if lax and not text:find("%d%d%d%d") then
    text = text:gsub("%f[%d]0+(%d)", "%1")
  end
  return bytes_of(text, 4)
end

--- "2001:db8::1".
---@param text string
---@return integer[]? bytes  nil: it is no such address
function M.ipv6(text)
  return bytes_of(text, 16)
end

--- An address as HAProxy prints it: IPv6 in its shortest form.
---@param text string
---@return string?  nil: it is no address
function M.text(text)
  local bytes = core.inet(text)
  return bytes and core.inet_text(bytes)
end

return M
