-- SPDX-License-Identifier: MIT
--
--- Sessions of visitors at servers that a maintenance does not end: WebSocket, TCP, long answers. HAProxy asks its rules
-- once for a request, so what has begun goes on. `show sess` tells of a session where it comes from, its frontend, its
-- backend and its age, but neither path nor host.

local core = require("haplua.core")
local coverage = require("haplua.plan.coverage")
local errors = require("haplua.error")
local task = require("haplua.task")

local M = {}

-- Seconds in which sessions that were ended are gone, and between two looks.
local ENDING, PAUSE = 2, 0.05

---@class haplua.Session
---@field pointer string  HAProxy's name of it
---@field source string  address and port
---@field age number  seconds
---@field frontend string
---@field backend string
---@field server string

local UNITS <const> = { d = 86400, h = 3600, m = 60, s = 1 }

--- Seconds of "1d2h", "59m59s", "4s".
local function seconds_of(text)
  local seconds = 0
  for n, unit in text:gmatch("(%d+)(%l)") do
    seconds = seconds + tonumber(n) * (UNITS[unit] or 0)
  end
  return seconds
end

--- The sessions that are at a server.
---@param target haplua.Target
---@return haplua.Session[]
function M.all(target)
  local found = {}
  for line in target:send("show sess"):gmatch("[^\n]+") do
    local pointer, source, frontend, backend, server, age =
      line:match("^(0x%x+): .-src=(%S+) fe=(%S+) be=(%S+) srv=(%S+) .-age=(%w+)")
    if pointer and server:lower() ~= "<none>" then
      found[#found + 1] = {
        pointer = pointer, source = source, frontend = frontend, backend = backend, server = server,
        age = seconds_of(age),
      }
    end
  end
  return found
end

-- A look at the oldest session may take one part in so many of the time: HAProxy shows all sessions for it.
local OLDEST_PART <const> = 50

--- A function that returns the age of the oldest session of a server. It asks HAProxy now and then, and returns in between
--- what it knows.
---@param target haplua.Target
---@param name string  "backend/server"
---@return fun(): number?  seconds; nil: there is none, or HAProxy did not say
function M.oldest(target, name)
  local backend, server = name:match("^(.-)/(.*)$")
  local next_look, age = 0, nil
  return function()
    local began = task.now()
    if began >= next_look then
      age = nil
      local ok, all = pcall(M.all, target)
      if not ok and not (errors.is(all) and all.kind ~= "interrupted") then
        error(all, 0)
      end
      for _, session in ipairs(ok and all or {}) do
        if session.backend == backend and session.server == server then
          age = math.max(age or 0, session.age)
        end
      end
      next_look = task.now() + math.max(1, OLDEST_PART * (task.now() - began))
    end
    return age
  end
end

--- The client's address, without the port. HAProxy shows that of IPv4 at a socket for both as one of IPv6.
local function address_of(session)
  local address = session.source:match("^(.*):%d+$") or session.source
  return address:match("^::ffff:(%d+%.%d+%.%d+%.%d+)$") or address
end

--- The backends whose servers still get requests of a frontend that the list matches: the maintenance page's, and those
-- of exceptions. nil: not known.
---@param verdict haplua.rules.Verdict
local function stays_of(verdict)
  local names, outcomes = {}, { verdict.usual, table.unpack(verdict.others or {}) }
  if not verdict.usual or verdict.chained then
    return nil
  end
  for _, outcome in ipairs(outcomes) do
    if outcome.kind == "computed" or outcome.kind == "unread" then
      return nil
    elseif outcome.kind == "backend" then
      names[outcome.backend] = true
    end
  end
  return names
end

--- Has the rule that closes more conditions than the list, and the list of clients that pass?
---@param verdict haplua.rules.Verdict
---@param has_bypass boolean
local function has_conditions(verdict, has_bypass)
  local rule = verdict.usual.decided_by or verdict.usual.line
  local terms, depth, first = 0, 0, false
  for _, word in ipairs(rule and rule.words or {}) do
    if word == "{" or word == "!{" or first and depth == 0 and word ~= "or" and word ~= "||" and word ~= "!" then
      terms = terms + (depth == 0 and 1 or 0)
    end
    depth = depth + ((word == "{" or word == "!{") and 1 or word == "}" and -1 or 0)
    first = first or word == "if" or word == "unless"
  end
  return terms > (has_bypass and 2 or 1)
end

---@class haplua.GoingOn  what of the sessions at servers a maintenance covers, as far as HAProxy tells
---@field sessions haplua.Session[]
---@field passing integer  those of clients that may pass, which are not among them
---@field conditions string[]  frontends whose rule lets more clients pass than those
---@field unknown string[]  frontends of which it is not known whose requests go on to servers

--- The sessions at servers that get no new requests of the frontends that a list closes.
---@param target haplua.Target
---@param verdicts haplua.rules.Verdict[]
---@param networks string[]?  whose clients may pass; nil: the switch has no list of them
---@return haplua.GoingOn
function M.going_on(target, verdicts, networks)
  local stays, found = {}, { sessions = {}, passing = 0, unknown = {}, conditions = {} }
  for _, verdict in ipairs(verdicts) do
    local names = verdict.uses and stays_of(verdict)
    if names then
      stays[verdict.frontend] = names
      found.conditions[#found.conditions + 1] = has_conditions(verdict, networks ~= nil) and verdict.frontend or nil
    elseif verdict.uses or verdict.state == "unknown" then
      found.unknown[#found.unknown + 1] = verdict.frontend
    end
  end
  for _, session in ipairs(M.all(target)) do
    local kept = stays[session.frontend]
    if kept and not kept[session.backend] then
      if coverage.is_in(address_of(session), networks or {}) then
        found.passing = found.passing + 1
      else
        table.insert(found.sessions, session)
      end
    end
  end
  return found
end

--- Raise `denied` where --read-only or --only holds back the end of a session.
function M.check_permitted(target)
  core.permit(target, { "shutdown", "session", "0x0" })
end

--- End sessions. Waits until they are gone, for 2 s.
---@param target haplua.Target
---@param sessions haplua.Session[]
---@return integer left  those that go on
function M.cut(target, sessions)
  for _, session in ipairs(sessions) do
    local ok, problem = pcall(target.send, target, { "shutdown", "session", session.pointer })
    if not ok and not (errors.is(problem) and problem.kind == "refused") then
      error(problem, 0)
    end -- refused: it has ended by itself
  end
  local latest = task.now() + ENDING
  while true do
    local there, left = {}, 0
    for _, session in ipairs(M.all(target)) do
      there[session.pointer .. session.source] = true
    end
    for _, session in ipairs(sessions) do
      left = left + (there[session.pointer .. session.source] and 1 or 0)
    end
    if left == 0 or task.now() >= latest then
      return left
    end
    task.sleep(PAUSE)
  end
end

return M
