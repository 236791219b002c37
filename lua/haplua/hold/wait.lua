-- SPDX-License-Identifier: MIT
--
--- A server's row, and waits for what it shows.

local haproxy = require("haproxy")
local task = require("task")

local options = require("haplua.base.options")

local M = {}

--- An argument that is a number of seconds.
M.seconds = options.where("seconds, 0 or more", function(value)
  return options.fits("number", value) and value >= 0
end)

-- Seconds in which sessions that were cut end.
M.CUT_SECONDS = 5

--- How often to look while waiting, in seconds.
local LOOK = 0.2

-- Seconds for which a server is to be up, and for which it is waited for, unless others are given.
M.SETTLE, M.WITHIN = 3, 60

--- What begins a line about this target, where the script runs for several.
---@return string
function M.prefix()
  return require("haplua.core").several() and tostring(haproxy.target()) .. ": " or ""
end

--- Raise `refused` about a server.
---@param name string  "backend/server"
---@param message string
---@param advice string?
function M.refuse(name, message, advice)
  require("haplua.error").refuse(("%s: %s %s"):format(tostring(haproxy.target()), name, message), advice)
end

--- The row of a server, of those that `show` returns for its backend. `field` has the server's name.
function M.find(name, show, field)
  local backend, server = name:match("^(.-)/(.*)$")
  for _, row in ipairs(show(backend)) do
    if tostring(row[field]) == server then
      return row
    end
  end
  M.refuse(name, "is gone")
end

--- The names of a backend's servers, in HAProxy's order: "backend/server". Raises `refused` for a server that it does not
-- have, and HAProxy's own error for a backend that does not exist.
---@param backend string
---@param only string[]?  these alone, without the backend's name
---@return string[] names, haplua.Server[] rows  of all servers
function M.names(backend, only)
  local rows, wanted, names = haproxy.servers(backend), {}, {}
  for _, name in ipairs(only or {}) do
    wanted[name] = true
  end
  for _, row in ipairs(rows) do
    local name = tostring(row.srv_name)
    names[#names + 1] = (not only or wanted[name]) and ("%s/%s"):format(backend, name) or nil
    wanted[name] = nil
  end
  if next(wanted) then
    M.refuse(("%s/%s"):format(backend, next(wanted)), "does not exist")
  end
  return names, rows
end

--- What else a person wants to know while a server has sessions: the age of the oldest.
---@return fun(): string
local function details(name, test)
  if test ~= M.is_idle or not require("haplua.base.progress").is_seen() then
    return function()
      return ""
    end
  end
  local oldest = require("haplua.haproxy.sessions").oldest(haproxy.target(), name)
  return function()
    local age = oldest()
    return age and (", the oldest for %s"):format(require("haplua.time.instant").span(age)) or ""
  end
end

--- Wait until a server's row of `show stat` has passed a test for `hold` seconds on end. A dry run does not wait.
---@param test fun(row: table): boolean, string  the string says what is waited for
---@param outcome string?  what happens after `timeout` seconds, for the line that a person sees; nil: "it gives up"
---@return string? missing  nil: the test is passed; else what it still waits for after `timeout` seconds
function M.wait_until(name, test, hold, timeout, outcome)
  if haproxy.dry_run() then
    return nil
  end
  local latest, since, more = task.now() + timeout, nil, details(name, test)
  local progress <close> = require("haplua.base.progress").begin({ latest = latest, outcome = outcome or "it gives up" })
  while true do
    local passed, missing = test(M.find(name, haproxy.stat, "svname"))
    since = passed and (since or task.now()) or nil
    if since and task.now() - since >= hold then
      return nil
    elseif task.now() >= latest then
      return missing
    end
    progress(("%s: %s%s"):format(name, missing, since and (" (%.0f of %g s)"):format(task.now() - since, hold)
      or more()))
    task.sleep(math.min(LOOK, math.max(0.001, latest - task.now())))
  end
end

--- Raise `refused`: a wait was in vain.
function M.refuse_late(name, what, timeout, missing, advice)
  M.refuse(name, ("is not %s after %g s: %s"):format(what, timeout, missing), advice)
end

--- Has a server no sessions, and does none wait for it?
function M.is_idle(row)
  local waiting = row.qcur or 0
  return row.scur + waiting == 0, ("%d sessions are open, %d requests wait"):format(row.scur, waiting)
end

--- Is a server up, or not checked?
function M.is_up(row)
  return row.status == "UP" or row.status == "no check", "it is " .. tostring(row.status)
end

return M
