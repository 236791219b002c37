---@meta haplua.core
-- SPDX-License-Identifier: MIT
--
-- The C part of targets (src/bindings/haproxy/core.c, src/bindings/haproxy/call.c). Policies use the module haproxy.

---@class haplua.core
---@field version string?  of haplua; nil under `haplua test`
local core = {}

--- An HAProxy process. lua/haproxy.lua adds its other methods.
---@class haplua.Target
local Target = {}

---@alias haplua.Command string|(string|number)[]  sent as it is, or words, which are escaped

--- One command. Costs one request.
---@param command haplua.Command  a text, which is sent as it stands, or words, which are escaped
---@param payload? string  lines
---@param _ nil  nothing
---@param timeout? number  seconds, instead of the target's
---@return string text  the reply, without severity and closing lines
function Target:send(command, payload, _, timeout) end

--- Several commands, on as few requests as may be. Raises at the first refusal; its `done` tells how many were accepted.
---@param commands haplua.Command[]  each a text or a list of words
---@param _ nil  nothing
---@param __ nil  nothing
---@param timeout? number  seconds, instead of the target's
---@return string[] texts
function Target:batch(commands, _, __, timeout) end

--- The words of `head` with one value behind them, for each value.
---@param head (string|number)[]  the words at the beginning of each command
---@param values (string|number)[]  one for each command
---@param tails? (string|number)[]  one more word behind each value
---@param timeout? number  seconds, instead of the target's
---@param last? haplua.Command  a command to close with
---@return integer count, string? text  how many were sent; the reply to `last`
function Target:each(head, values, tails, timeout, last) end

--- Where the script's target is.
---@return string address, string? route  "@1": the process behind a master CLI
---@error none
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

--- Wait until every run has come to its barrier; raises `interrupted` when one has ended before.
---@error interrupted
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
