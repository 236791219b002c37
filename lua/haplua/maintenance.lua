-- SPDX-License-Identifier: MIT
--
--- Maintenance of a site: put it on, end it, keep it on while a function runs, show the state.
-- HAProxy's configuration sends to a maintenance backend what an ACL matches. These functions change what that ACL
-- matches in one atomic step, ask HAProxy whether it is so, keep the ACL's file in step, and record in the journal
-- what is wanted. They act on the running task's target. With several targets all are prepared before any is changed.
--
-- Each takes one table of options. An unknown option, or a value of another type than below, raises a text with its
-- name before anything is sent. An error object is raised for what HAProxy, the journal or a file refuses
-- (docs/scripting.md, "Errors"). What the functions return prints as a few lines.

local options = require("haplua.base.options")
local change = require("haplua.apply.change")

local M = {}

---@class haplua.Place  which switch, and where its changes are recorded
---@field switch string?  a switch of the configuration
---@field acl string?  in place of `switch`: "#ID" or the file of its -f. Default $HAPLUA_ACL, the configuration, #9999
---@field config string?  the configuration file. Default $HAPLUA_CONFIG, /etc/haplua/config.lua
---@field journal string|false?  its file; false: none. Default $HAPLUA_JOURNAL, the configuration, /var/lib/haplua
---@field file boolean?  false: leave the files of the lists alone

---@class haplua.Request: haplua.Place  with no patterns, paths and hosts: the whole site
---@field patterns string[]?  in the ACL's own match method
---@field paths string[]?  prefixes: "/shop" is /shop, /shop/cart and /shopping
---@field hosts string[]?  names; with paths: these paths of these hosts
---@field bypass string[]?  networks whose clients pass. Default: the configuration's `allow`
---@field reason string?  one line, for the journal and the visitors
---@field ends number?  the end, in seconds since 1970; needs scripts/keep.lua, or `attended`
---@field attended boolean?  the script itself ends the maintenance; during() does so anyway

local text = options.where("a text that is not empty", function(value)
  return type(value) == "string" and value ~= ""
end)
local texts = options.list(text)
local instant = options.where("an instant in seconds since 1970", function(value)
  return type(value) == "number" and value >= 0 and value < 253402300800 -- the year 10000
end)

local place = {
  switch = text, acl = text, config = text, journal = options.any(text, options.one_of(false)), file = "boolean",
}
local request = {
  patterns = texts, paths = texts, hosts = texts, bypass = texts, reason = text, ends = instant, attended = "boolean",
}
for name, kind in pairs(place) do
  request[name] = kind
end

--- Put the whole site, or a part of it, under maintenance, in place of the maintenance before, bypass, reason and
-- end included. Refuses an end that nobody would bring about.
---@param asked haplua.Request
---@return haplua.Result
function M.on(asked)
  options.check("maintenance.on", asked, request)
  return change.on(asked, "on", asked.attended)
end

--- End the maintenance: the ACL matches nothing afterwards.
---@param asked haplua.Place
---@return haplua.Result
function M.off(asked)
  options.check("maintenance.off", asked, place)
  return change.off(asked)
end

--- Keep maintenance on while a function runs, however that ends. Then restore what was there before, unless somebody
-- else has changed the switch meanwhile. Where restoring fails, the error has a function `again` that tries once more.
---@param asked haplua.Request
---@param fn fun(result: haplua.Result): ...
---@param done? fun(result: haplua.Result)  called once what was there before is restored
---@return ...  what fn returns
function M.during(asked, fn, done)
  options.check("maintenance.during", asked, request)
  options.argument("maintenance.during", "fn", fn, "function")
  if done ~= nil then
    options.argument("maintenance.during", "done", done, "function")
  end
  return require("haplua.apply.during").run(asked, {}, fn, done)
end

--- The state that HAProxy tells, then the journal's record of it, then where they disagree.
---@param asked haplua.Place
---@return haplua.Status
function M.status(asked)
  options.check("maintenance.status", asked, place)
  return require("haplua.apply.status").status(require("haplua.apply.context").open(asked, true))
end

return M
