---@meta haplua.core
-- SPDX-License-Identifier: MIT
--
-- The C part of targets (src/bindings/haproxy/core.c, src/bindings/haproxy/call.c). Policies use the module haproxy.

local core = {}

--- An HAProxy process. lua/haproxy.lua adds its other methods.
---@class haplua.Target
local Target = {}

---@alias haplua.Command string|(string|number)[]  as it stands, or words to be escaped

--- One command. Costs one request.
---@param command haplua.Command
---@param payload? string  lines
---@param _ nil
---@param timeout? number  seconds, instead of the target's
---@return string text  the reply, without severity and closing lines
function Target:send(command, payload, _, timeout) end

--- Several commands, on as few requests as may be. Raises at the first refusal; its `done` tells how many were accepted.
---@param commands haplua.Command[]
---@param _ nil
---@param __ nil
---@param timeout? number
---@return string[] texts
function Target:batch(commands, _, __, timeout) end

--- The words of `head` with one value behind them, for each value.
---@param head (string|number)[]
---@param values (string|number)[]
---@param tails? (string|number)[]  one more word behind each value
---@param timeout? number
---@param last? haplua.Command  a command to close with
---@return integer count, string? text  how many were sent; the reply to `last`
function Target:each(head, values, tails, timeout, last) end

---@return string address, string? route
function Target:address() end

--- The table in which the methods of Target are looked up.
---@type table<string, function>
core.methods = {}

--- Open nothing yet: each request has its own connection.
---@param address string  in HAProxy's syntax
---@param via? string  the process behind a master CLI, "@1"
---@param timeout? number
---@param max_reply? integer  bytes
---@return haplua.Target
function core.open(address, via, timeout, max_reply) end

--- The 4 or 16 bytes of an internet address in numbers, or nil where it is none.
---@param text string
---@return string? bytes
function core.inet(text) end

--- The address of 4 or 16 bytes in its shortest form.
---@param bytes string
---@return string
function core.inet_text(bytes) end

--- The running task's target.
---@return haplua.Target
function core.current() end

--- What the running task's calls act on from now on.
---@param target haplua.Target
function core.use(target) end

--- Wait until every target's run has come to its barrier; raises when one never will.
function core.barrier() end

---@return boolean
function core.dry_run() end

--- Does the script run for more than one target?
---@return boolean
function core.several() end

--- A dry run's line for a change that the target is spared.
---@param target haplua.Target
---@param text string
function core.would(target, text) end

--- The bytes that a list of words is sent as.
---@param words (string|number)[]
---@return string
function core.encode(words) end

--- Raise if --read-only or --only would refuse to send this.
---@param target haplua.Target
---@param words (string|number)[]
function core.permit(target, words) end

--- Raise unless each value can be sent.
---@param values (string|number)[]
---@param more? (string|number)[]
function core.check(values, more) end

--- Raise unless the value can name an ACL or a map: a string.
---@param value any
function core.ref(value) end

return core
