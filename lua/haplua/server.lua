-- SPDX-License-Identifier: MIT
---@errors HAProxy, journal
--
--- One server taken out of service for a while, and put back however the work on it ends:
--
--   local a1 <close> = server.hold("app/a1")
--   a1:drain(60)
--   ...
--   a1:keep("maint")  -- without this line the server goes back to its state before

local haproxy = require("haproxy")
local options = require("haplua.base.options")
local task = require("task")

local M = {}

---@class haplua.Held
---@field name string  "backend/server"
---@field before "ready"|"drain"|"maint"  its state when it was held
---@field kept boolean  it does not go back
---@field mine haplua.Maintenance?  its maintenance; nil: not begun yet, or ended
---@field over haplua.Maintenance?  of a run: the maintenance that set("ready") has ended
---@field given haplua.HoldOptions
---@field c haplua.Context
local Held = {}
Held.__index = Held

---@class haplua.HoldOptions
---@field force boolean?  also the last server of its backend that takes requests
---@field keep_up integer|string|nil  so many servers of its backend must go on to take requests, or a share such as
--- "50%"; nil: 1
---@field reason string?  of the maintenance
---@field origin string?  of the maintenance: "hold", "drain"
---@field run haplua.ServerRun?  the maintenance is one of this run
---@field journal string?  its file, as in haplua.Place

--- How often to look while waiting, in seconds.
local LOOK = 0.2

-- So many maintenances of a server that are over are looked through for an earlier run.
local PAST = 100

local kinds = require("haplua.haproxy.server").options
local seconds = options.where("seconds, 0 or more", function(value)
  return options.fits("number", value) and value >= 0
end)

--- haplua.apply.server_actions, loaded when a server is held: a script that only reads needs none of it.
local function actions()
  return require("haplua.apply.server_actions")
end

local function refuse(name, message, advice)
  require("haplua.error").refuse(("%s: %s %s"):format(tostring(haproxy.target()), name, message), advice)
end

--- The row of a server, of those that `show` returns for its backend. `field` has the server's name.
local function find(name, show, field)
  local backend, server = name:match("^(.-)/(.*)$")
  for _, row in ipairs(show(backend)) do
    if tostring(row[field]) == server then
      return row
    end
  end
  refuse(name, "is gone")
end

--- Wait until a server's row of `show stat` has passed a test for `hold` seconds on end. A dry run does not wait.
---@param test fun(row: table): boolean, string  the string says what is waited for
---@return string? missing  nil: the test is passed; else what it still waits for after `timeout` seconds
local function wait_until(name, test, hold, timeout)
  if haproxy.dry_run() then
    return nil
  end
  local progress <close> = require("haplua.base.progress").begin()
  local latest, since = task.now() + timeout, nil
  while true do
    local passed, missing = test(find(name, haproxy.stat, "svname"))
    since = passed and (since or task.now()) or nil
    if since and task.now() - since >= hold then
      return nil
    elseif task.now() >= latest then
      return missing
    end
    progress(("%s: %s"):format(name, missing))
    task.sleep(math.min(LOOK, math.max(0.001, latest - task.now())))
  end
end

local function refuse_late(name, what, timeout, missing, advice)
  refuse(name, ("is not %s after %g s: %s"):format(what, timeout, missing), advice)
end

local function is_idle(row)
  local waiting = row.qcur or 0
  return row.scur + waiting == 0, ("%d sessions are open, %d requests wait"):format(row.scur, waiting)
end

local function is_up(row)
  return row.status == "UP" or row.status == "no check", "it is " .. tostring(row.status)
end

--- Prepare to put a server under maintenance, which ends when the variable is closed. Changes nothing yet.
---@param name string  "backend/server"
---@param given? haplua.HoldOptions
---@return haplua.Held  raises `refused` where too few servers of its backend would take requests, unless forced
function M.hold(name, given)
  given = given or {}
  options.argument("server.hold", "name", name, kinds.server)
  options.check("server.hold", given, {
    force = "boolean", keep_up = options.share, reason = "text", origin = "text", run = "table", journal = "text",
  })
  local servers, server = require("haplua.apply.servers"), name:match("/(.*)$")
  local c = given.run and given.run.c or servers.open({ journal = given.journal, servers = { name }, state = "drain" })
  local all = servers.read(c)
  local row = all.rows[name]
  if not row then
    haproxy.servers(name:match("^(.*)/")) -- HAProxy's own word where the backend is missing
    refuse(name, "does not exist")
  end
  if not given.force then
    servers.check_others(c, all, name, given.keep_up)
  end
  local mine = given.run and given.run.held[server]
  return setmetatable({
    name = name, before = row.admin, kept = mine ~= nil, given = given, mine = mine, c = c,
  }, Held)
end

-- Seconds in which sessions that were cut end.
local CUT_SECONDS = 5

---@class haplua.DrainOptions
---@field quiet number?  seconds for which it must have been idle on end (0: one look): clients whose cookie names the
--- server come back between two looks
---@field cut boolean?  end the sessions that are left after `timeout` seconds, in place of giving up

--- Give the server no new sessions, and wait until it has none and none waits for it. Clients whose cookie names
-- the server still reach it and keep it busy.
---@param timeout number  seconds; then `refused` is raised, and the server stays drained until it is closed
---@param given? haplua.DrainOptions
function Held:drain(timeout, given)
  given = given or {}
  options.argument("held:drain", "timeout", timeout, seconds)
  options.check("held:drain", given, { quiet = seconds, cut = "boolean" })
  self:set("drain")
  local missing = wait_until(self.name, is_idle, given.quiet or 0, timeout)
  if missing and given.cut then
    haproxy.send({ "shutdown", "sessions", "server", self.name })
    missing = wait_until(self.name, is_idle, 0, CUT_SECONDS)
  end
  if missing then
    refuse_late(self.name, "idle", timeout, missing, "wait longer (--wait), or end what is left (--cut)")
  end
  local state = haproxy.dry_run() and "drain" or find(self.name, haproxy.servers, "srv_name").admin
  if state == "ready" then
    refuse(self.name, "is ready although it was drained",
      "HAProxy was reloaded meanwhile, or somebody else has changed the server")
  end
end

--- End its maintenance. The server goes back to the state that it had before, unless another maintenance holds it, or
-- somebody has changed it by hand.
---@return haplua.ServerOutcome?  nil: there is none, or somebody has ended it
local function finish(held, why)
  local mine = held.mine
  local result = mine and actions().finish(held.c, { mine }, why)
  held.mine = nil
  return result and result.servers[1]
end

--- Change its maintenance. Raises `refused` where that is over, since somebody has ended it or has set the server to
-- another state: then the server may take requests.
---@param set table
---@return haplua.ServerOutcome
local function alter(held, set)
  local result = actions().set(held.c, held.mine, set)
  return result and result.servers[1]
    or refuse(held.name, "is not out of service any more", "somebody has ended its maintenance, or has set it to another state")
end

--- Begin its maintenance, or change that.
local function begin(held, state)
  local given = held.given
  if held.mine then
    alter(held, { scope = require("haplua.plan.servers").scope(held.name, state) })
    return
  end
  actions().begin({ servers = { held.name }, drain = state == "drain", reason = given.reason, force = given.force,
    keep_up = given.keep_up }, {
    origin = given.run and given.run.origin or given.origin or "hold", pid = require("haplua.process").pid(),
    context = held.c,
    made = function(step)
      held.mine = step.about
    end,
  })
end

--- Put the server under maintenance, or drain it; "ready" ends that. What is stricter stays: the state that the server
-- had before, and other maintenances of it.
---@param state "ready"|"drain"|"maint"
---@return "ready"|"drain"|"maint"  the state that the server has then
function Held:set(state)
  options.argument("held:set", "state", state, kinds.state)
  if haproxy.dry_run() then
    haproxy.server_set({ server = self.name, state = state })
    return state
  elseif state == "ready" then
    self.over = self.given.run and self.mine
    finish(self, self.over and "left" or "done")
  else
    begin(self, state)
  end
  return find(self.name, haproxy.servers, "srv_name").admin
end

--- Leave the maintenance in force when the variable is closed, until somebody ends it. Raises `refused` where the server
-- has taken requests meanwhile.
---@param state? "drain"|"maint"  set this first
function Held:keep(state)
  if state ~= nil then
    options.argument("held:keep", "state", state, kinds.state)
    self:set(state)
  end
  if self.mine and alter(self, { pid = false }).changed then
    refuse(self.name, "was put back by somebody else", "it is out of service again, but may be at work")
  end
  self.kept = true
end

--- Wait until the server has been up for some seconds on end. HAProxy takes a server that comes back as healthy
-- until a check fails.
---@param settle number  seconds; longer than its checks need to notice a failure
---@param timeout number  seconds; then `refused` is raised
function Held:wait_up(settle, timeout)
  options.argument("held:wait_up", "settle", settle, seconds)
  options.argument("held:wait_up", "timeout", timeout, seconds)
  local missing = wait_until(self.name, is_up, settle, timeout)
  if missing then
    refuse_late(self.name, "up", timeout, missing)
  end
end

function Held:__close()
  if self.kept or not self.mine then
    return
  end
  local one = finish(self, "left")
  io.stderr:write(one and ("%s is %s again\n"):format(self.name, one.state)
    or ("%s: somebody has ended its maintenance meanwhile\n"):format(self.name))
end

-- Work on several servers, one after the other.

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

--- Refuse names that are not those of servers.
local function check_only(backend, only, rows)
  local there, wanted = {}, {}
  for _, row in ipairs(rows) do
    there[tostring(row.srv_name)] = true
  end
  for _, name in ipairs(only or {}) do
    wanted[name] = there[name] or refuse(backend .. "/" .. name, "does not exist")
  end
  return only and wanted or there
end

--- Begin to work on the servers of a backend that are ready, or go on with the latest run of this name. Closing it prints
-- what was done.
---@param name string  such as "rolling"
---@param backend string
---@param given? {resume: boolean?, only: string[]?, journal: string?}  only: names of servers
---@return haplua.ServerRun  raises `refused` where there is none to go on with
function M.run(name, backend, given)
  given = given or {}
  options.argument("server.run", "name", name, "word")
  options.argument("server.run", "backend", backend, "word")
  options.check("server.run", given, { resume = "boolean", only = options.list("word"), journal = "text" })
  local prefix, rows = ("%s %s "):format(name, backend), haproxy.servers(backend)
  local wanted, names = check_only(backend, given.only, rows), {}
  for server in pairs(wanted) do
    names[#names + 1] = ("%s/%s"):format(backend, server)
  end
  local run = setmetatable({
    c = require("haplua.apply.servers").open({ journal = given.journal, servers = names }), backend = backend, held = {},
    finished = {}, waiting = {}, skipped = {}, origin = prefix .. require("haplua.time.instant").text(task.time()),
  }, Run)
  local done = given.resume and go_on(run, name, prefix, rows) or {}
  for _, row in ipairs(rows) do
    local server = tostring(row.srv_name)
    local is_ready = row.admin == "ready" or run.held[server] ~= nil
    local list = done[server] and run.finished or is_ready and run.waiting or run.skipped
    if wanted[server] then
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
  print(("%s: %d of %d servers done%s%s%s%s"):format(self.backend, #self.finished,
    #self.finished + #self.waiting + (self.current and 1 or 0), part(": %s", self.finished),
    part("; stopped at %s", { self.current }), part("; not begun: %s", self.waiting),
    part("; out of service, and left alone: %s", self.skipped)))
end

return M
