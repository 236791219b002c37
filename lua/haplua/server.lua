-- SPDX-License-Identifier: MIT
---@errors HAProxy, journal
--
--- Servers taken out of service, or given another weight, for a while:
--
--   local new <close> = server.hold("app/new")            -- one, put back however the work on it ends
--   for s in server.each("app") do s:drain(60) ... end    -- one after the other
--   server.group("blue"):drain(300)                       -- all of a backend
--
-- Each is under a maintenance of its own, which `maint status` shows and `maint off` ends, also where haplua was killed.

local options = require("haplua.base.options")

local M = {}

local kinds = require("haplua.haproxy.server").options

---@class haplua.HoldOptions
---@field force boolean?  also the last server of its backend that takes requests
---@field keep_up integer|string|nil  so many servers of its backend must go on to take requests, or a share such as
--- "50%"; nil: 1
---@field reason string?  of the maintenance
---@field ends number?  seconds since 1970: haplua keep ends it then, also where this process was killed
---@field lasts number|string|nil  in place of `ends`: seconds from now on, or a duration such as "1h30m"
---@field origin string?  of the maintenance: "hold", "drain"
---@field journal string?  its file, as in haplua.Place

---@class haplua.EachOptions
---@field name string?  of the work, for `resume` and `maint status`: "each"
---@field resume boolean?  go on where the latest work of this name on the backend has stopped
---@field only string[]?  names of servers, without the backend's; nil: all that are ready
---@field force boolean?  as in haplua.HoldOptions
---@field keep_up integer|string|nil  likewise
---@field reason string?  likewise
---@field journal string?  likewise

--- Prepare to hold a server, until the variable is closed: then its state, weight and address are as before. Changes
-- nothing yet.
---@param name string  "backend/server"
---@param given? haplua.HoldOptions
---@return haplua.Held  raises `refused` where too few servers of its backend would take requests, unless forced
function M.hold(name, given)
  given = given or {}
  options.argument("server.hold", "name", name, kinds.server)
  options.check("server.hold", given, {
    force = "boolean", keep_up = options.share, reason = "text", ends = "number", origin = "text", journal = "text",
    lasts = options.where("seconds above 0, or a duration such as '1h30m'", function(value)
      return require("haplua.time.lasting").is(value)
    end),
  })
  if given.lasts then
    given = require("haplua.time.lasting").resolve("server.hold", given)
  end
  return require("haplua.hold.held").new(name, given)
end

--- Iterate over the servers of a backend that are ready, one after the other, each held. A server that the body has drained
-- stays drained until its ready(); at the next server ready() is called where the body has not called it or keep(). However
-- the loop ends (break, return, an error, Ctrl-C): a server that was idle, and so may be at work, stays drained; one that
-- was not goes back to what it was. At the end a line says which servers are done.
---@param backend string
---@param given? haplua.EachOptions
---@return fun(): haplua.Held?  raises `refused` where too few servers would take requests, unless forced; and where there is
--- no work to resume
function M.each(backend, given)
  given = given or {}
  options.argument("server.each", "backend", backend, "word")
  options.check("server.each", given, {
    name = "text", resume = "boolean", only = options.list("word"), force = "boolean", keep_up = options.share,
    reason = "text", journal = "text",
  })
  return require("haplua.hold.run").each(backend, given)
end

--- The servers of a backend, to be drained and put into service together.
---@param backend string
---@param given? haplua.GroupOptions
---@return haplua.Group  raises `refused` for a name in `only` that the backend does not have
function M.group(backend, given)
  given = given or {}
  options.argument("server.group", "backend", backend, "word")
  options.check("server.group", given, {
    only = options.list("word"), force = "boolean", keep_up = options.share, reason = "text", journal = "text",
  })
  return require("haplua.hold.group").of(backend, given)
end

return M
