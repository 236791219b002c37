-- SPDX-License-Identifier: MIT
--
--- What `on` does not change by itself: frontends whose rules do not ask the list, and connections that go on.

local errors = require("haplua.error")
local frontends = require("haplua.haproxy.frontends")
local haproxy = require("haproxy")
local moment = require("haplua.time.instant")
local sessions = require("haplua.haproxy.sessions")
local visible = errors.visible

local M = {}

-- So many frontends at most are listed that do not ask the list.
local LISTED = 5

---@class haplua.Effect
---@field problem string?  why HAProxy's configuration could not be read
---@field findings haplua.rules.Finding[]
---@field unaware string[]?  further frontends, whose own rules do not ask the list
---@field nobody string?  lines on the frontends, where no visitor would see the maintenance
---@field connections integer?  those that go on at servers; of a part of the site: at most so many
---@field oldest number?  the age in seconds of the oldest of them
---@field passing integer?  further ones, of clients that may pass
---@field partial boolean  the maintenance is of a part of the site
---@field cut integer?  how many of them were ended
---@field left integer?  those that should have ended, and go on
---@field trouble string?  why the connections are not known
---@field untold string[]?  frontends of which it is not known
---@field conditions string[]?  frontends that let clients pass by more than their address

--- Refuse to end sessions where it cannot be known which. Asks HAProxy nothing.
---@param c haplua.Context
---@param asked haplua.Scope
function M.check_cut(c, asked)
  if next(asked) then
    errors.refuse("HAProxy tells of a connection its frontend and backend, but neither path nor host: --cut cannot know which "
      .. "are of this part of the site", "leave --cut out; `haplua drain SERVER --cut` ends the sessions of a server")
  end
  sessions.check_permitted(c.target)
end

--- The connections that go on, into the effect. `cut`: end them.
local function look_at_sessions(c, effect, verdicts, result, cut)
  local found = sessions.going_on(c.target, verdicts, result.bypass)
  effect.connections, effect.passing, effect.untold = #found.sessions, found.passing, found.unknown
  effect.conditions = found.conditions
  for _, session in ipairs(found.sessions) do
    effect.oldest = math.max(effect.oldest or 0, session.age)
  end
  if cut and not haproxy.dry_run() then
    effect.left = sessions.cut(c.target, found.sessions)
    effect.cut = #found.sessions - effect.left
  end
end

--- What the rules in HAProxy's configuration make of the switch's list.
---@param c haplua.Context
---@param state haplua.switch.State
---@param users boolean?
---@return haplua.rules.Verdict[]? verdicts, string? problem, string[]? rest  as frontends.judge() returns them
local function judge(c, state, users)
  return frontends.judge(c.target, state.worker, c.switch.acl, state.state.list and state.state.list.text, { users = users })
end

---@class haplua.Visitors
---@field problem string?  why HAProxy's configuration could not be read
---@field frontends {frontend: string, state: "closed"|"open"|"unknown"|"off", uses: boolean, why: string}[]?
--- for requests that the list matches
---@field nobody boolean?  no frontend closes for them
---@field probes haplua.Visit[]

--- The frontends of HAProxy's configuration, for `maint status --visitors`.
---@param c haplua.Context
---@param state haplua.switch.State
---@return haplua.Visitors
function M.frontends(c, state)
  local verdicts, problem = judge(c, state)
  local found = { problem = problem, frontends = verdicts and {} }
  for i, one in ipairs(verdicts or {}) do
    found.frontends[i] = { frontend = one.frontend, state = one.state, uses = one.uses, why = one.why }
  end
  if verdicts then
    local _, nobody = frontends.summary(verdicts)
    found.nobody = nobody ~= nil or nil
  end
  return found
end

--- Look at what a change has come to at the frontends, and at the connections that go on.
---@param c haplua.Context
---@param state haplua.switch.State
---@param result haplua.Result
---@param cut boolean?  end these connections
---@return haplua.Effect
function M.of(c, state, result, cut)
  local verdicts, problem, rest = judge(c, state, true)
  local effect = { findings = {}, problem = problem, partial = not result.whole, unaware = rest }
  if not verdicts then
    return effect
  end
  effect.findings, effect.nobody = frontends.summary(verdicts)
  local ok, trouble = pcall(look_at_sessions, c, effect, verdicts, result, cut)
  if not ok and (not errors.is(trouble) or trouble.kind == "interrupted") then
    error(trouble, 0)
  end
  effect.trouble = not ok and tostring(trouble) or nil
  return effect
end

--- The exit status of a command line: 1 where no visitor sees the maintenance, or connections could not be ended.
---@param effect haplua.Effect
---@param cut boolean?  they were to be ended
---@return integer? status
function M.status(effect, cut)
  local failed = cut and (effect.problem or effect.trouble or (effect.left or 0) > 0)
  return (effect.nobody or failed) and 1 or nil
end

--- "1 connection", "2 connections".
local function count(n)
  return n == 1 and "1 connection" or n .. " connections"
end

--- Lines on the connections.
local function session_lines(effect, add)
  local n = effect.connections or 0
  if effect.cut then
    add("%s ended", count(effect.cut))
    if effect.left > 0 then
      add("but %s could not be ended", count(effect.left))
    end
  elseif n > 0 then
    add(effect.partial and "up to %s of before may go on (the oldest for %s): HAProxy does not tell their path and host"
      or "%s of before go on (the oldest for %s): --cut ends them", count(n), moment.span(effect.oldest))
  end
  if (effect.passing or 0) > 0 then
    add("%s of clients that may pass go on", count(effect.passing))
  end
  if (effect.cut or n > 0) and effect.untold[1] then
    add("not counted, since it is not known where its requests go: frontend %s", table.concat(effect.untold, ", "))
  end
  if (effect.cut or n) > 0 and effect.conditions[1] then
    add("among them may be those of clients that the rule of frontend %s lets pass by something else than their address",
      table.concat(effect.conditions, ", "))
  end
  if effect.trouble then
    add("the connections that go on are not known: %s", effect.trouble)
  end
end

--- The effect as lines, for people.
---@param effect haplua.Effect
---@return string[]
function M.lines(effect)
  local lines = {}
  local function add(form, ...)
    lines[#lines + 1] = visible(form:format(...))
  end
  if effect.problem then
    add("%s, so it is not known what the rules make of it", effect.problem)
  end
  for _, finding in ipairs(effect.findings) do
    if finding.state ~= "ok" then
      add("%s%s", finding.state == "warn" and "but " or "", finding.text)
    end
  end
  local rest = effect.unaware or {}
  if rest[1] then
    add("frontends whose rules do not ask the list: %s%s", table.concat(rest, ", ", 1, math.min(#rest, LISTED)),
      #rest > LISTED and (", and %d more"):format(#rest - LISTED) or "")
  end
  if effect.nobody then
    add("but no visitor sees it, by HAProxy's configuration; maint doctor says what to do")
    for line in effect.nobody:gmatch("[^\n]+") do
      add("  %s", line)
    end
  end
  session_lines(effect, add)
  return lines
end

--- What visitors get as lines of a status.
---@param found haplua.Visitors
---@param on boolean  the list has patterns
---@return string[]
function M.status_lines(found, on)
  local lines = {}
  for _, one in ipairs(found.frontends or {}) do
    local state = one.state == "unknown" and "not known" or one.state == "off" and "disabled" or one.state
    lines[#lines + 1] = visible(("frontend %s: %s where the list matches: %s"):format(one.frontend, state, one.why))
  end
  if found.problem then
    lines[#lines + 1] = visible(found.problem .. ", so it is not known what the rules make of it")
  elseif found.nobody and on then
    lines[#lines + 1] = "but no visitor sees the maintenance, by HAProxy's configuration; maint doctor says what to do"
  end
  return table.move(require("haplua.apply.visitors").lines(found.probes), 1, #found.probes, #lines + 1, lines)
end

return M
