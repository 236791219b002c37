-- SPDX-License-Identifier: MIT
--
--- Maintenance of a site: on, off, for as long as a function runs, and what is so now.
-- The configuration of HAProxy sends to a maintenance backend what an ACL matches; these functions decide
-- what it matches, keep its file in step, and write down in the journal what is wanted. Each change is one
-- atomic step for the visitors, and is asked back from HAProxy.

local change = require("haplua.apply.change")

local M = {}


---@class haplua.MaintenanceOptions
---@field switch string?  a switch of the configuration
---@field acl string?  the ACL, where there is no configuration; default $HAPLUA_ACL, else #9999
---@field config string?  the configuration file
---@field journal string|false?  its path; false: none. Default: $HAPLUA_JOURNAL, the configuration, /var/lib/haplua
---@field file boolean?  false: leave the ACL's file alone
---@field patterns string[]?  the scope; with no patterns, paths and hosts: the whole site
---@field paths string[]?
---@field hosts string[]?
---@field bypass string[]?  networks that pass; default: the configuration's `allow`
---@field reason string?
---@field ends number?  when it shall end, in seconds since 1970
---@field attended boolean?  the caller ends it, and nobody else needs to
---@field action string?  what the journal calls it
---@field tried table?  for during: who tries again after a failure gives the same table each time
---@field resumes boolean?  for during: what has the same action is a killed process's, and is continued
---@field print function?  of a resident policy: where its lines go

M.on = change.on
M.off = change.off

--- Maintenance for as long as a function runs, however it ends; then there is again what was there before. Where
-- that cannot be brought about, the error's `again` is a function that tries it once more.
---@param options haplua.MaintenanceOptions
---@param fn fun(change: haplua.Change): ...
---@param done? fun(change: haplua.Change)  called with the restored state
---@return ...  what fn returns
function M.during(options, fn, done)
  return require("haplua.apply.during").run(options, fn, done)
end

--- What is so now, from HAProxy itself, then from the journal.
---@param options haplua.MaintenanceOptions
---@return haplua.Status
function M.status(options)
  return require("haplua.apply.status").status(require("haplua.apply.context").open(options, true))
end

return M