---@meta haplua.core
-- SPDX-License-Identifier: MIT
--
-- The C part of targets (src/bindings/haproxy/core.c, src/bindings/haproxy/call.c). Policies use the module haproxy.

local core = {}

--- An HAProxy process. lua/haproxy.lua adds its other methods.
---@class haplua.Target
local Target = {}

---@alias haplua.Command string|(string|number)[]  sent as it is, or words, which are escaped

--- One command. Costs one request.
---@param command haplua.Command
---@param payload? string  lines
---@param _ nil
---@param timeout? number  seconds, instead of the target's
---@return string text  the reply, without severity and closing lines
function Target:send(command, payload, _, timeout) end

--- Several commands, on as few requests as possible. Raises at the first refusal; the field `done` of the error is the
--- number of commands that HAProxy accepted.
---@param commands haplua.Command[]
---@param _ nil
---@param __ nil
---@param timeout? number
---@return string[] texts
function Target:batch(commands, _, __, timeout) end

--- For each value, the words of `head` and the value behind them.
---@param head (string|number)[]
---@param values (string|number)[]
---@param tails? (string|number)[]  one more word behind each value
---@param timeout? number
---@param last? haplua.Command  a command to close with
---@return integer count, string? text  how many were sent; the reply to `last`
function Target:each(head, values, tails, timeout, last) end

---@return string address, string? route
function Target:address() end

--- The methods of Target.
---@type table<string, function>
core.methods = {}

--- Make a target. Opens no connection: each request opens one.
---@param address string  in HAProxy's syntax
---@param via? string  the process behind a master CLI, "@1"
---@param timeout? number
---@param max_reply? integer  bytes
---@return haplua.Target
function core.open(address, via, timeout, max_reply) end

--- The target of the running task.
---@return haplua.Target
function core.current() end

--- Have the calls of the running task act on this target from now on.
---@param target haplua.Target
function core.use(target) end

--- Wait until the run of every target has reached its barrier; raises `interrupted` where one ends before.
function core.barrier() end

---@return boolean
function core.dry_run() end

--- The most bytes of a request that joins what could be sent apart.
---@param target haplua.Target
---@return integer
function core.line_max(target) end

--- Entries of a map as the lines of a payload: from number `first` on as many as fit `room` bytes, up to one that a payload
-- cannot carry.
---@param keys string[]
---@param values string[]
---@param first integer
---@param room integer
---@return string? lines, integer next  nil: the first cannot be sent so, or does not fit
function core.lines(keys, values, first, room) end

--- Raise `denied` where --read-only or --only would hold the command back; without one, where --read-only holds every
--- change back. Sends nothing.
---@param target haplua.Target
---@param command? haplua.Command
function core.permit(target, command) end

--- Is this a run with --read-only or --only?
---@return boolean
function core.restricted() end

--- Does the script run for more than one target?
---@return boolean
function core.several() end

--- The options of this run of haplua that confine its requests, as words for another start: --via, -n, --read-only, --only
-- and -t. Those that were not given are left out.
---@return string[]
function core.options() end

--- Print the line of a dry run for a change that it does not send.
---@param target haplua.Target
---@param text string
function core.would(target, text) end

--- The bytes of a command, from its words.
---@param words (string|number)[]
---@return string
function core.encode(words) end

--- Raise unless each value can be sent.
---@param values (string|number)[]
---@param more? (string|number)[]
function core.check(values, more) end

--- Raise unless the value can name an ACL or a map: a string.
---@param value any
function core.ref(value) end

return core
