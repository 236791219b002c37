-- SPDX-License-Identifier: MIT
--
--- Sessions of visitors at servers that a maintenance does not end: WebSocket, TCP, long answers. HAProxy asks its rules
-- once for a request, so what has begun goes on. `show sess` tells of a session where it comes from, its frontend, its
-- backend and its age, but neither path nor host.

local core = require("haplua.core")
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
        pointer = pointer, source = source, frontend = frontend, backend = backend, age = seconds_of(age),
      }
    end
  end
  return found
end

--- The backends whose servers still get requests of a frontend that the list matches: the maintenance page's, and those
-- of exceptions. nil: not known.
---@param verdict haplua.rules.Verdict
local function stays_of(verdict)
  local names = not verdict.chained and verdict.outcomes and {} or nil
  for _, outcome in ipairs(names and verdict.outcomes or {}) do
    if outcome.kind == "computed" or outcome.kind == "unread" then
      return nil
    elseif outcome.kind == "backend" then
      names[outcome.backend] = true
    end
  end
  return names
end

---@class haplua.GoingOn  what of the sessions at servers a maintenance covers, as far as HAProxy tells
---@field sessions haplua.Session[]
---@field passing integer  those of clients that may pass, which are not among them
---@field unknown string[]  frontends of which it is not known whose requests go on to servers

--- The sessions at servers that get no new requests of the frontends that a list closes.
---@param target haplua.Target
---@param verdicts haplua.rules.Verdict[]
---@param may_pass fun(address: string): boolean
---@return haplua.GoingOn
function M.going_on(target, verdicts, may_pass)
  local stays, found = {}, { sessions = {}, passing = 0, unknown = {} }
  for _, verdict in ipairs(verdicts) do
    local names = verdict.uses and stays_of(verdict)
    if names then
      stays[verdict.frontend] = names
    elseif verdict.uses or verdict.state == "unknown" then
      found.unknown[#found.unknown + 1] = verdict.frontend
    end
  end
  for _, session in ipairs(M.all(target)) do
    local kept = stays[session.frontend]
    if kept and not kept[session.backend] then
      if may_pass((session.source:gsub(":%d+$", ""))) then
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
