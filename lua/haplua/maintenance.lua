-- SPDX-License-Identifier: MIT
---@errors HAProxy, journal, file
--
--- Maintenances of a site: begin one, change it, end it, keep it on while a function runs, show them.
-- HAProxy's configuration sends to a maintenance backend what an ACL matches. A maintenance closes a scope. Several may be
-- in force, with reasons, owners and ends of their own: HAProxy's list has the patterns of all. Beginning one opens
-- nothing, and ending one leaves the others in force. Each change is one atomic step; these functions ask HAProxy
-- whether it is so, keep the ACL's file in step, and record everything in the journal. They act on the running task's
-- target. With several targets all are prepared before any is changed.
--
-- Each takes one table of options. An unknown option, or a value of another type than below, raises a text with its
-- name before anything is sent. An error object is raised for what HAProxy, the journal or a file refuses
-- (docs/scripting.md, "Errors"). What the functions return prints as a few lines.

local options = require("haplua.base.options")
local actions = require("haplua.apply.actions")

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
---@field begins number?  the beginning, in seconds since 1970, where it is to come; needs haplua keep
---@field ends number?  the end, in seconds since 1970; needs haplua keep, or `attended`
---@field lasts number|string|nil  in place of `ends`: seconds from its beginning on, or a duration such as "1h30m"
---@field attended boolean?  this process ends the maintenance; during() does so anyway
---@field probe haplua.Probe|haplua.Probe[]|false|nil  asked as a visitor afterwards; default: the configuration's
---@field check boolean?  of on(): see in HAProxy's configuration whether visitors get it, and what connections go on
---@field cut boolean?  of on(), for the whole site: end the connections that go on
---@field replace boolean?  of on(): end all others of the switch in the same step
---@field servers string[]?  in place of a scope: "app/a1"; "app/": those of app. The result is a haplua.ServerResult
---@field drain boolean?  of servers: no new sessions, but those of clients whose cookie names the server
---@field force boolean?  of servers: also the last one of its backend that takes requests
---@field keep_up integer|string|nil  of servers: so many of the backend must go on to take requests, or a share: "50%"

---@class haplua.EndRequest: haplua.Place  with none of these: the only maintenance
---@field ids integer[]?  numbers of maintenances: 12 is m12
---@field patterns string[]?  with paths and hosts: those maintenances that have just this scope
---@field paths string[]?
---@field hosts string[]?
---@field servers string[]?  those of these servers
---@field origin string?  with servers: those of this origin
---@field mine boolean?  those of the person who calls
---@field all boolean?
---@field probe haplua.Probe|haplua.Probe[]|false|nil  as in haplua.Request

---@class haplua.ChangeRequest: haplua.Request
---@field id integer?  the number of the maintenance; default: the only one
---@field open_end boolean?  it shall have no end
---@field drain boolean?  of a server's: drain it, in place of maintenance

---@class haplua.KeepRequest
---@field config string?  as of haplua.Place, as the next two
---@field journal string?
---@field file boolean?
---@field metrics string?  the file for Prometheus' text format. Default: that of the configuration, else none

local text = options.where("a text that is not empty", function(value)
  return type(value) == "string" and value ~= ""
end)
local texts = options.list(text)
local instant = options.where("an instant in seconds since 1970", function(value)
  return type(value) == "number" and value >= 0 and value < 253402300800 -- the year 10000
end)

local lasting = options.where("seconds above 0, or a duration such as '1h30m'", function(value)
  return require("haplua.time.lasting").is(value)
end)

--- A request with an end in the place of `lasts`.
local function resolved(call, asked)
  return asked.lasts == nil and asked or require("haplua.time.lasting").resolve(call, asked)
end

local servers = options.list(options.where("a text such as 'backend/server', or 'backend/'", function(value)
  return type(value) == "string" and value:find("^[^/%c]+/[^/%c]*$") ~= nil
end))

local place = {
  switch = text, acl = text, config = text, journal = options.any(text, options.one_of(false)), file = "boolean",
}
local probe = options.any(options.one_of(false), options.where("a probe, or a list of probes", function(value)
  return type(value) == "table" and require("haplua.visit.probe").problem(value) == nil
end))
local function with_place(fields)
  for name, kind in pairs(place) do
    fields[name] = kind
  end
  return fields
end

local status_request = with_place({ servers = servers, visitors = "boolean", probe = probe })
local request = with_place({
  patterns = texts, paths = texts, hosts = texts, bypass = texts, reason = text, ends = instant, begins = instant,
  lasts = lasting, attended = "boolean", replace = "boolean", check = "boolean", cut = "boolean", probe = probe,
  servers = servers, drain = "boolean", force = "boolean", keep_up = options.share,
})
local id = options.where("the number of a maintenance", function(value)
  return math.type(value) == "integer" and value > 0
end)
local end_request = with_place({
  ids = options.list(id), patterns = texts, paths = texts, hosts = texts, mine = "boolean", all = "boolean",
  servers = servers, origin = text, probe = probe,
})
local change_request = with_place({
  id = id, patterns = texts, paths = texts, hosts = texts, bypass = texts, reason = text, ends = instant, begins = instant,
  lasts = lasting, open_end = "boolean", drain = "boolean", probe = probe,
})
local keep_request = { config = text, journal = text, file = "boolean", metrics = text }

--- Are these the numbers of maintenances of servers?
---@param ids integer[]?
local function are_of_servers(asked, ids)
  return ids and #ids > 0 and require("haplua.apply.server_actions").servers_of(asked, ids)
end

--- Begin a maintenance of the whole site, or of a part of it. The same scope again by the same person is the same
-- maintenance: its reason, bypass and end are set anew. Refuses an end that nobody would bring about.
---@param asked haplua.Request
---@return haplua.Result
function M.on(asked)
  options.check("maintenance.on", asked, request)
  asked = resolved("maintenance.on", asked)
  local how = asked.attended and { pid = require("haplua.process").pid() } or nil
  if asked.servers then
    return require("haplua.apply.server_actions").begin(asked, how)
  end
  return actions.begin(asked, how)
end

--- End maintenances. Raises `ambiguous`, and changes nothing, where there are several and the options do not say which.
---@param asked haplua.EndRequest
---@return haplua.Result
---@error HAProxy, journal, file
---@error ambiguous  several are in force, and nothing says which one is meant
function M.off(asked)
  options.check("maintenance.off", asked, end_request)
  if asked.servers or are_of_servers(asked, asked.ids) then
    return require("haplua.apply.server_actions").off(asked)
  end
  return actions.off(asked, asked)
end

--- Change a maintenance in one step: each of scope, bypass, reason, beginning and end that is given.
---@param asked haplua.ChangeRequest
---@return haplua.Result
---@error HAProxy, journal, file
---@error ambiguous  several are in force, and there is no `id`
function M.change(asked)
  options.check("maintenance.change", asked, change_request)
  asked = resolved("maintenance.change", asked)
  if are_of_servers(asked, { asked.id }) then
    return require("haplua.apply.server_actions").change(asked)
  end
  return actions.change(asked, { ids = { asked.id } }, asked.open_end)
end

--- Keep a maintenance in force while a function runs, however that ends. Where ending it fails, the error has a function
-- `again` that tries once more.
---@param asked haplua.Request
---@param fn fun(result: haplua.Result): ...  what to do meanwhile
---@param done? fun(result: haplua.Result)  called once it is ended, unless somebody else has done so
---@return ...  what fn returns
---@error HAProxy, journal, file  and what `fn` raises
function M.during(asked, fn, done)
  options.check("maintenance.during", asked, request)
  asked = resolved("maintenance.during", asked)
  if asked.servers then
    options.misuse("maintenance.during", "no option 'servers': server.hold() holds one while a block runs")
  end
  options.argument("maintenance.during", "fn", fn, "function")
  if done ~= nil then
    options.argument("maintenance.during", "done", done, "function")
  end
  return require("haplua.apply.during").run(asked, "during", fn, done)
end

--- Stay, and hold HAProxy to what the journal wants, as `haplua keep` does: begin and end maintenances at their time, and
-- put them back after a reload. HAProxy may be away meanwhile. A signal ends it, and leaves what is in force as it is.
-- With no such call running, no maintenance begins or ends by itself.
---@param asked haplua.KeepRequest
---@param print? fun(line: string)  called with each line about what was done. Default: print
---@return integer status  128 + the number of the signal
---@error journal  there is none, or it was moved away
---@error refused  another process keeps this target already
function M.keep(asked, print)
  options.check("maintenance.keep", asked, keep_request)
  if print ~= nil then
    options.argument("maintenance.keep", "print", print, "function")
  end
  return require("haplua.keep.keeper").run(asked, print or _G.print)
end

local function status(asked)
  local module = require("haplua.apply.status")
  local c = require(asked.servers and "haplua.apply.servers" or "haplua.apply.context").open(asked, true)
  return asked.servers and module.of_servers(c, asked.servers)
    or module.status(c, asked.visitors and actions.probes_of(c, asked) or nil)
end

--- The maintenances of a switch, what HAProxy holds, and where the two disagree. A journal that cannot be read is one
-- thing that does not fit.
---@param asked haplua.Place  with `servers`: of these servers alone; with `visitors = true`: what visitors get as well
---@return haplua.Status
---@error HAProxy, journal
function M.status(asked)
  options.check("maintenance.status", asked, status_request)
  local ok, found = pcall(status, asked)
  if ok then
    return found
  elseif not require("haplua.error").is(found) or found.kind ~= "journal" then
    error(found, 0)
  end
  local without = status(require("haplua.plan.maintenance").with(asked, { journal = "none" }))
  without.disagreements[#without.disagreements + 1] = {
    kind = "journal", text = found.message .. ": what is in force is not known",
    advice = found.advice or "maint doctor looks at it",
  }
  return without
end

return M
