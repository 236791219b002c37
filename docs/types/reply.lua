---@meta haplua.reply
-- SPDX-License-Identifier: MIT
--
-- Texts of replies to tables (src/bindings/haproxy/reply.c). Each raises `protocol` for a text that is not of its form.
-- The rows of lists(), matches(), rows(), pairs() and servers() raise where a script reads a field that they do not
-- have; a field that HAProxy leaves empty, or that only other versions have, is nil.

local reply = {}

--- `show acl`, `show map`.
---@param text string
---@return haplua.List[]
function reply.lists(text) end

--- `show acl REF`; with `map`, `show map REF`.
---@param text string
---@param map? boolean
---@return string[] keys, string[] references, string[]? values
function reply.entries(text, map) end

--- The keys of `show acl REF` alone.
---@param text string
---@return string[]
function reply.keys(text) end

--- `get acl`, `get map`: a row for each match method that uses the list.
---@param text string
---@return {found: boolean, type: string, case: string, pattern: string?, index: string?, value: string?}[]
function reply.matches(text) end

--- `show stat` (CSV), `show servers conn`: rows by column name, which read a field when a script uses it.
---@param text string
---@return table<string, any>[]
function reply.rows(text) end

--- `show info`.
---@param text string
---@return table<string, string|integer>
function reply.pairs(text) end

--- `show sess`: rows that read a field when a script uses it. A field that a row does not have is nil.
---@param text string
---@return table<string, any>[]
function reply.sessions(text) end

--- Are these the entries of a list, in this order?
---@param text string
---@param keys string[]
---@param values? string[]
---@return boolean
function reply.same(text, keys, values) end

--- How many of these entries a list lacks, and how many others it has, in whatever order. Duplicates count.
---@param text string
---@param keys string[]
---@param values? string[]
---@return integer lacking, integer surplus
function reply.compare(text, keys, values) end

--- `show servers state`: rows that read a field when a script uses it; pairs() reads all.
---@param text string
---@return haplua.Server[]
function reply.servers(text) end

---@class haplua.Server
---@field admin "ready"|"drain"|"maint"
---@field operational "stopped"|"starting"|"running"|"stopping"|integer
---@field be_id integer
---@field be_name string
---@field srv_id integer
---@field srv_name string
---@field srv_addr string?
---@field srv_op_state integer
---@field srv_admin_state integer  bits
---@field srv_uweight integer
---@field srv_iweight integer
---@field srv_time_since_last_change integer
---@field srv_fqdn string?
---@field srv_port integer
---@field [string] any

return reply
