-- SPDX-License-Identifier: MIT
--
--- Work on several servers, one after the other.

local haproxy = require("haproxy")
local task = require("task")
local wait = require("haplua.hold.wait")

local find, refuse = wait.find, wait.refuse

local M = {}

-- So many maintenances of a server that are over are looked through for an earlier run.
local PAST = 100

---@class haplua.ServerRun
---@field c haplua.Context
---@field backend string
---@field origin string  of its maintenances: "rolling app 2026-11-30 12:00:00 +0100"
---@field held table<string, haplua.Maintenance>  by the server's name: a maintenance that the run has left
---@field finished string[]  names of the servers that are done
---@field waiting string[]  names of those that are to come
---@field skipped string[]  names of those that are out of service, and so are left alone
---@field current string?  the server that is worked on
local Run = {}
Run.__index = Run

--- The maintenances of the latest run of this name, among those of the backend's servers.
---@return haplua.Maintenance[]
local function latest_run(c, prefix, rows)
  local object, found, origin, latest = require("haplua.plan.servers").object, {}, nil, -math.huge
  for _, row in ipairs(rows) do
    local server = object(("%s/%s"):format(row.be_name, row.srv_name))
    local all, ended = c.store:current(c.name, server), c.store:ended(c.name, server, PAST)
    for _, m in ipairs(table.move(ended, 1, #ended, #all + 1, all)) do
      if m.origin:sub(1, #prefix) == prefix then
        found[#found + 1] = m
        origin, latest = m.begins > latest and m.origin or origin, math.max(latest, m.begins)
      end
    end
  end
  local of_run = {}
  for _, m in ipairs(found) do
    of_run[#of_run + 1] = m.origin == origin and m or nil
  end
  return of_run
end

--- Make a run the one that stopped.
---@return table<string, boolean> done
local function go_on(run, name, prefix, rows)
  local c, done = run.c, {}
  if not c.journal then
    require("haplua.error").raise("journal", c.no_journal or "there is no journal",
      "the journal alone has what was done before")
  end
  local before = latest_run(c, prefix, rows)
  if #before == 0 then
    refuse(run.backend, ("has had no %s"):format(name), "begin it without --resume")
  end
  for _, m in ipairs(before) do
    local server = m.scope.server:match("/(.*)$")
    run.origin = m.origin
    done[server] = done[server] or m.why == "done"
    run.held[server] = not m.ended and m or run.held[server]
  end
  return done
end

--- Begin to work on the servers of a backend that are ready, or go on with the latest run of this name. Closing it prints
-- what was done.
---@param name string  such as "rolling"
---@param backend string
---@param given {resume: boolean?, only: string[]?, journal: string?}  only: names of servers
---@return haplua.ServerRun  raises `refused` where there is none to go on with
function M.begin(name, backend, given)
  local prefix, names, rows = ("%s %s "):format(name, backend), wait.names(backend, given.only)
  local wanted = require("haplua.base.lists").set(names)
  local run = setmetatable({
    c = require("haplua.apply.servers").open({ journal = given.journal, servers = names }), backend = backend, held = {},
    finished = {}, waiting = {}, skipped = {}, origin = prefix .. require("haplua.time.instant").text(task.time()),
  }, Run)
  local done = given.resume and go_on(run, name, prefix, rows) or {}
  for _, row in ipairs(rows) do
    local server = tostring(row.srv_name)
    local is_ready = row.admin == "ready" or run.held[server] ~= nil
    local list = done[server] and run.finished or is_ready and run.waiting or run.skipped
    if wanted[("%s/%s"):format(backend, server)] then
      list[#list + 1] = server
    end
  end
  return run
end

--- The servers that are to come, one after the other, as rows of `show servers state`. One that somebody has taken out of
-- service by then is left alone: who did so may put it back at any time.
---@return fun(): table?
function Run:each()
  return function()
    while self.waiting[1] do
      self.current = table.remove(self.waiting, 1)
      local row = find(("%s/%s"):format(self.backend, self.current), haproxy.servers, "srv_name")
      if row.admin == "ready" or self.held[self.current] then
        return row
      end
      self.skipped[#self.skipped + 1], self.current = self.current, nil
    end
  end
end

--- Note that the work on the current server is done.
---@param held haplua.Held
function Run:done(held)
  if held.over then
    self.c.store:edit({ { of = held.over, set = { why = "done" } } })
  end
  self.finished[#self.finished + 1], self.current = self.current, nil
end

function Run:__close()
  if haproxy.dry_run() then
    return
  end
  local function part(form, list)
    return #list > 0 and form:format(table.concat(list, " ")) or ""
  end
  print(("%s%s: %d of %d servers done%s%s%s%s"):format(wait.prefix(), self.backend, #self.finished,
    #self.finished + #self.waiting + (self.current and 1 or 0), part(": %s", self.finished),
    part("; stopped at %s", { self.current }), part("; not begun: %s", self.waiting),
    part("; out of service, and left alone: %s", self.skipped)))
end

-- The same work as a loop.

--- End the loop's current server: put it back and wait for it, unless the body has done so, or has kept it.
---@param held haplua.Held
local function finish(run, held)
  if held.mine and not held.stays then
    held:ready()
  end
  run:done(held)
end

--- As haplua.server.each(), which documents it.
---@return fun(): haplua.Held?, nil, nil, table
function M.each(backend, given)
  local run = M.begin(given.name or "each", backend, given)
  local rows, held = run:each(), nil
  local function next_one()
    if held then
      finish(run, held)
    end
    held = nil
    local row = rows()
    if row then
      held = require("haplua.hold.held").new(("%s/%s"):format(backend, row.srv_name), {
        force = given.force, keep_up = given.keep_up, reason = given.reason, run = run,
      })
      held.of_loop = true
    end
    return held
  end
  return next_one, nil, nil, setmetatable({}, { __close = function()
    local _ <close> = run
    if held and held.is_done then
      run:done(held)
    elseif held then
      held:__close()
    end
  end })
end

return M
