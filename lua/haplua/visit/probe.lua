-- SPDX-License-Identifier: MIT
--
--- A probe: a request of a visitor, what its answer shall be while the site is closed, and while it is open.

local errors = require("haplua.error")
local options = require("haplua.base.options")
local task = require("haplua.task")
local visitor = require("haplua.visit.visitor")

local M = {}

-- Seconds for all attempts, and between two of them, unless the probe says otherwise.
local WITHIN, PAUSE = 5, 0.2

---@class haplua.Expected
---@field status integer?
---@field header string?  "NAME", which must be there, or "NAME: VALUE"

---@class haplua.Probe: haplua.visit.Request
---@field expect {closed: haplua.Expected?, open: haplua.Expected?}?
--- default: an answer of 503 is "closed", any other "open"

local expected = options.record({
  status = options.where("a status from 100 to 599", function(value)
    return math.type(value) == "integer" and value >= 100 and value <= 599
  end),
  header = options.where("'NAME' or 'NAME: VALUE'", function(value)
    return type(value) == "string" and value:find("^[^:%s%c]+$") ~= nil or type(value) == "string"
      and value:find("^[^:%s%c]+:[^%c]+$") ~= nil
  end),
})

local fields = { expect = options.record({ closed = expected, open = expected }) }
for name, kind in pairs(visitor.kinds) do
  fields[name] = kind
end
-- A probe is sent again and again, so it changes nothing.
fields.method = options.one_of("GET", "HEAD", "OPTIONS")

--- What is wrong with the declaration of a probe, or of a list of them; nil: nothing.
---@param given any
---@return string?
function M.problem(given)
  local list = type(given) == "table" and (given[1] or next(given) == nil) and given or { given }
  for i, probe in ipairs(list) do
    local problem = options.problem(probe, fields) or not probe.url and "the field 'url' is missing"
    if problem then
      return #list > 1 and ("probe %d: %s"):format(i, problem) or ("probe: %s"):format(problem)
    end
  end
  return nil
end

--- The probes of a declaration that problem() has passed.
---@param given haplua.Probe|haplua.Probe[]
---@return haplua.Probe[]
function M.list(given)
  return given.url and { given } or given
end

--- Does an answer have what is expected?
---@param answer haplua.visit.Response
---@param wanted haplua.Expected
local function has(answer, wanted)
  local name, value = (wanted.header or ""):match("^([^:]+):?[ \t]*(.-)[ \t]*$")
  local found = name and answer.headers[name:lower()]
  return (not wanted.status or answer.status == wanted.status)
    and (not name or found ~= nil and (value == "" or found == value))
end

--- What a visitor sees by an answer.
---@param probe haplua.Probe
---@param answer haplua.visit.Response
---@return "closed"|"open"|"neither" state  neither: the answer is not as the probe expects it in either state
function M.read(probe, answer)
  local expect = probe.expect or {}
  if has(answer, expect.closed or { status = 503 }) then
    return "closed"
  end
  return (not expect.open or has(answer, expect.open)) and "open" or "neither"
end

---@class haplua.Visit  what came of a probe
---@field url string
---@field address string?  where it connected, if not where the URL says
---@field source string?  where it came from
---@field wanted "closed"|"open"|nil  nil: not known
---@field seen "closed"|"open"|"neither"|nil  nil: no answer came
---@field status integer?
---@field version string?  of HTTP
---@field seconds number?  of the answer
---@field error haplua.Error?  why no answer came
---@field ok boolean?  it is as wanted; nil: not known

--- Ask once.
---@param wanted fun(source: string?): "closed"|"open"|nil
---@return haplua.Visit
local function ask(probe, within, wanted)
  local request = {}
  for name in pairs(visitor.kinds) do
    request[name] = probe[name]
  end
  request.within = within
  local visit = { url = probe.url, address = probe.address, source = probe.source }
  local ok, answer = pcall(visitor.ask, request)
  if ok then
    visit.status, visit.version, visit.seconds = answer.status, answer.version, answer.seconds
    visit.seen, visit.source = M.read(probe, answer), answer.source or probe.source
  elseif errors.is(answer) and (answer.kind == "interrupted" or answer.kind == "memory") then
    error(answer, 0)
  else
    visit.error = errors.is(answer) and answer or errors.new({ kind = "refused", message = tostring(answer) })
  end
  visit.wanted = wanted(visit.source)
  if visit.wanted and visit.seen then
    visit.ok = visit.seen == visit.wanted
  end
  return visit
end

--- Ask as a visitor, again and again until the answer is as wanted or the probe's time is over: HAProxy may be under a
-- reload, when the old process still takes visitors. Waits.
---@param probe haplua.Probe
---@param wanted fun(source: string?): "closed"|"open"|nil
---@param once boolean?  do not ask again where there is an answer
---@return haplua.Visit
function M.visit(probe, wanted, once)
  local latest = task.now() + (probe.within or WITHIN)
  while true do
    local visit = ask(probe, math.max(latest - task.now(), 0.001), wanted)
    local is_last = visit.ok or visit.seen and (once or not visit.wanted) or visit.error and visit.error.kind == "refused"
    if is_last or task.now() + PAUSE >= latest then
      return visit
    end
    task.sleep(PAUSE)
  end
end

--- What came of a probe, as a line.
---@param visit haplua.Visit
---@return string
function M.text(visit)
  local place = visit.url .. (visit.address and " at " .. visit.address or "")
  local answer = visit.error and ("no answer: %s"):format(visit.error.message)
    or ("%d over HTTP/%s"):format(visit.status, visit.version)
  local seen = visit.seen and (visit.seen == "neither" and "neither closed nor open" or visit.seen)
  if visit.ok then
    return ("%s is %s for visitors: %s"):format(place, seen, answer)
  elseif not visit.wanted and seen then
    return ("%s is %s for visitors: %s; whether a maintenance covers it is not known"):format(place, seen, answer)
  end
  return ("%s should be %s%s"):format(place, visit.wanted or "asked",
    seen and (" for visitors, and is %s: %s"):format(seen, answer) or ": " .. answer)
end

return M
