---@meta haproxy
-- SPDX-License-Identifier: MIT
---@errors HAProxy
--
-- The module haproxy as a script calls it: the methods of Target, on the current target. `make docs` writes this file from
-- the annotations in lua/haproxy.lua and docs/types/core.lua.

---@class haproxy
local haproxy = {}

--- One command. Costs one request.
---@param command haplua.Command  a text, which is sent as it stands, or words, which are escaped
---@param payload? string  lines
---@param _ nil  nothing
---@param timeout? number  seconds, instead of the target's
---@return string text  the reply, without severity and closing lines
function haproxy.send(command, payload, _, timeout) end

--- Several commands, on as few requests as may be. Raises at the first refusal; its `done` tells how many were accepted.
---@param commands haplua.Command[]  each a text or a list of words
---@param _ nil  nothing
---@param __ nil  nothing
---@param timeout? number  seconds, instead of the target's
---@return string[] texts
function haproxy.batch(commands, _, __, timeout) end

--- The words of `head` with one value behind them, for each value.
---@param head (string|number)[]  the words at the beginning of each command
---@param values (string|number)[]  one for each command
---@param tails? (string|number)[]  one more word behind each value
---@param timeout? number  seconds, instead of the target's
---@param last? haplua.Command  a command to close with
---@return integer count, string? text  how many were sent; the reply to `last`
function haproxy.each(head, values, tails, timeout, last) end

--- Where the script's target is.
---@return string address, string? route  "@1": the process behind a master CLI
---@error none
function haproxy.address() end

--- Wait until every run has come to its barrier; raises `interrupted` when one has ended before.
---@error interrupted
function haproxy.barrier() end

--- Add patterns to an ACL. When HAProxy refuses one, others may be in place: the error's `index` is that of
-- the first refused, `done` is the number of those added. acl_replace() adds all or none.
---@param ref string  "#9999" (from -u) or the file name given with -f
---@param ... string|string[]  patterns
---@return integer added
function haproxy.acl_add(ref, ...) end

--- Remove every pattern, in one step where HAProxy has transactions (2.4).
---@param ref string  "#9999", or the file name given with -f
---@return integer removed
function haproxy.acl_clear(ref) end

--- Ask HAProxy whether a value matches. Without a value: the patterns.
---@param ref string  "#9999", or the file name given with -f
---@param value? string  a path, an address, ...: what the ACL's fetch would give
---@return {pattern: string, type: string, case: string, index: string}|string[]|nil match  nil: nothing matches
function haproxy.acl_get(ref, value) end

--- Ask HAProxy whether a value matches, by each match method that uses the ACL. Rows of methods that do not match are
-- there, too: so HAProxy tells an ACL's type.
---@param ref string  "#9999", or the file name given with -f
---@param value string  a path, an address, ...: what the ACL's fetch would give
---@return {found: boolean, type: string, case: string, pattern: string?, index: string?}[]
function haproxy.acl_test(ref, value) end

--- The patterns of an ACL, in HAProxy's order. Without a reference, the ACLs that HAProxy has.
---@param ref? string  "#9999", or the file name given with -f
---@return string[]|haplua.List[]
function haproxy.acl_list(ref) end

--- Remove patterns, each with all its duplicates. Raises `refused` for one that is not there; those before it are removed.
---@param ref string  "#9999", or the file name given with -f
---@param ... string|string[]  patterns
---@return integer removed
function haproxy.acl_del(ref, ...) end

--- Replace the content of an ACL in one step: no request sees it empty, half-filled, or without
-- a pattern that is in both the old and the new content. HAProxy 2.2 has no such step;
-- there haplua adds the new patterns before it removes the old ones. Changes nothing where nothing differs.
---@param ref string  "#9999", or the file name given with -f
---@param patterns string[]  all that it shall hold
---@return integer added, integer removed
function haproxy.acl_replace(ref, patterns) end

--- The entries of a map, in HAProxy's order. Without a reference, the maps that HAProxy has.
---@param ref? string  the file name given with map()
---@return {key: string, value: string}[]|haplua.List[]
function haproxy.map_list(ref) end

--- Look a key up as HAProxy does for a request. nil where no entry matches.
---@param ref string  the file name given with map()
---@param key string  what the map's fetch would give
---@return string? value, {key: string, type: string, case: string, index: string}? match
function haproxy.map_get(ref, key) end

--- Add one entry, map_add(ref, key, value), or several, map_add(ref, entries). A key that the map has gets a
-- second entry.
---@param ref string  the file name given with map()
---@param key string|haplua.Entries  or all entries, without a value
---@param value? string  with no line end
---@return integer added
function haproxy.map_add(ref, key, value) end

--- Change the value of a key, wherever it stands. Raises `refused` for a key that is not there.
---@param ref string  the file name given with map()
---@param key string|haplua.Entries  or all entries, without a value
---@param value? string  with no line end
---@return integer changed
function haproxy.map_set(ref, key, value) end

--- Remove keys, each with all its duplicates. Raises `refused` for one that is not there; those before it are removed.
---@param ref string  the file name given with map()
---@param ... string|string[]  keys
---@return integer removed
function haproxy.map_del(ref, ...) end

--- Remove every entry, in one step where HAProxy has transactions (2.4).
---@param ref string  the file name given with map()
---@return integer removed
function haproxy.map_clear(ref) end

--- Replace the content of a map in one step; see acl_replace().
---@param ref string  the file name given with map()
---@param entries haplua.Entries  all that it shall hold; of a list the order counts
---@return integer added, integer removed
function haproxy.map_replace(ref, entries) end

--- `show servers state`: a row for each server, fields named as HAProxy names them, numbers as integers, and
-- `admin` ("ready", "drain", "maint") and `operational` ("stopped", "starting", "running", "stopping")
-- in words. A field is read when it is looked at; pairs() reads them all.
---@param backend? string  only its servers; HAProxy refuses one that it does not have
---@return table[] rows
function haproxy.servers(backend) end

--- `show servers conn`: connections per server.
---@param backend? string  only its servers; HAProxy refuses one that it does not have
---@return table[] rows  fields named as HAProxy names them
function haproxy.servers_conn(backend) end

--- Change a server, and read back that it is changed.
---@param want {server: string, state: "ready"|"drain"|"maint"|nil, weight: integer|string|nil, addr: string?, port: integer?}
---  server is "backend/server"; weight 0 to 256 or "50%"
---@return table row  of `show servers state`, as servers() gives it
function haproxy.server_set(want) end

--- `show stat`: a row for each frontend, backend, server and listener.
---@param proxy? string  only this one. HAProxy itself would show all for a name that it does not know
---@return table[] rows
function haproxy.stat(proxy) end

--- `show info`: {Name = value}, numbers as integers.
---@return table<string, string|integer>
function haproxy.info() end

--- The streams that HAProxy serves now.
---@return table[] rows  ref, and the fields that this version prints (src, fe, be, srv, age, ...)
function haproxy.sessions() end

--- HAProxy's version.
---@return string version, integer major, integer minor  "2.6.12-1+deb12u4", 2, 6
function haproxy.version() end

--- Can this HAProxy do that?
---@param feature "transactions"|"dynamic_servers"|"show_version"|"reload"|"wait"|"virtual_lists"|"echo"  what it can do
---@return boolean
function haproxy.has(feature) end

--- Raise `protocol`: HAProxy's answer is not one that the command has.
---@param command string  what was sent
---@param found string  what is wrong with the answer
---@error protocol
function haproxy.mistrust(command, found) end

--- Another target, with all of the above as methods. Opens nothing by itself: each request has its
-- own connection.
---@param address string  in HAProxy's syntax
---@param given? {via: string?, timeout: number?, max_reply: integer?}  via: the process behind a master CLI, "@1";
---  timeout: seconds of one command (5); max_reply: bytes, over which an answer is refused
---@return haplua.Target
---@error none
function haproxy.connect(address, given) end

--- The script's target: where the functions of this module go.
---@return haplua.Target
---@error none
function haproxy.target() end

--- Is this a dry run? Then nothing that changes HAProxy is sent, and it answers as if it were.
---@return boolean
---@error none
function haproxy.dry_run() end

return haproxy
