-- SPDX-License-Identifier: MIT
--
--- Maintenance for as long as a function runs. A killed process leaves it in force: `maint status` shows that its process
-- is gone.

local actions = require("haplua.apply.actions")
local context = require("haplua.apply.context")
local haproxy = require("haproxy")
local process = require("haplua.process")

local M = {}

--- End the maintenance, unless somebody has.
---@return haplua.Result?  nil: it is over already
local function finish(c, id, request)
  local result = actions.finish(c, id, "done")
  local over = not result and c.store:maintenance(c.name, id)
  if over and over.why ~= "expired" then
    io.stderr:write(("haplua: m%d was ended meanwhile%s\n"):format(id, over.ended_by and " by " .. over.ended_by or ""))
  end
  pcall(actions.visited, c, request, result) -- a signal may cut it short: the maintenance is over
  return result
end

--- As maintenance.during(), which documents it.
---@param request haplua.Request
---@param origin string  "during" or "wait"
---@param fn fun(result: haplua.Result, c: haplua.Context): ...
---@param done? fun(result: haplua.Result)
---@return ...
function M.run(request, origin, fn, done)
  local c = context.open(request)
  local result
  local _ <close> = setmetatable({}, {
    __close = function()
      local ok, ended = true, nil
      if result and not haproxy.dry_run() then
        ok, ended = pcall(finish, c, result.about.id, request)
      end
      if ok then
        return ended and done and done(ended)
      elseif type(ended) == "table" then
        ended.again = function()
          return finish(c, result.about.id, request)
        end
      end
      error(ended, 0)
    end,
  })
  result = actions.begin(request, {
    origin = origin, pid = process.pid(), context = c,
    made = function(made)
      result = made
    end,
  })
  if origin == "during" and result.probes then
    require("haplua.apply.visitors").demand(result.probes)
  end
  return fn(result, c)
end

--- Has the process that was to end a maintenance ended itself?
---@param m haplua.Maintenance
---@param person {host: string}
---@return boolean
function M.is_abandoned(m, person)
  return m.pid ~= nil and m.host == person.host and not process.alive(m.pid)
end

return M
