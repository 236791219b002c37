---@meta haplua.inet
-- SPDX-License-Identifier: MIT
--
-- IP addresses as HAProxy reads and prints them (src/bindings/haproxy/inet.c).

local inet = {}

--- The bytes of an address. HAProxy refuses zeros before a number of an IPv4 address, and so does this.
---@param text string
---@return string? bytes  4 or 16; nil: the text is no address
function inet.bytes(text) end

--- An address as HAProxy prints it: IPv6 in its shortest form.
---@param bytes string  4 or 16
---@return string
function inet.text(bytes) end

return inet
