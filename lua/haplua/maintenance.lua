-- SPDX-License-Identifier: MIT
--
--- Maintenance through one ACL: on, off, and what is so now.
-- The configuration sends to a maintenance backend what the ACL matches; these functions decide
-- what it matches. Each change is one atomic step and is asked back from HAProxy.

local haproxy = require("haproxy")
local list = require("haplua.list")
local visible = require("haplua.error").visible

local M = {}

-- The patterns that match every request, by match method. A method that is not here (str, end,
-- dom, ...) cannot match everything. `probe` is a value that the patterns must then match.
local everything = {
  reg = { patterns = { "^.*$" }, probe = "/" },
  beg = { patterns = { "/" }, probe = "/" },
  sub = { patterns = { "/" }, probe = "/" },
  ip = { patterns = { "0.0.0.0/0", "::/0" }, probe = "192.0.2.1" },
  len = { patterns = { "0:" }, probe = "/" },
}

-- Fetches whose value begins with '/', so that "/" is in all of them.
local slashed = { path = true, pathq = true, url = true, ["capture.req.uri"] = true }

--- What is so now: the entries, and from `get acl` how the ACL matches.
---@return haplua.ListState state, string type  "reg", "beg", ...
local function look(target, acl)
  local state = list.state(target, "acl", acl, "/")
  return state, state.tests[1] and state.tests[1].type or "unknown"
end

--- The patterns for the whole site, and a value to try them with.
local function everything_for(target, acl, state, kind)
  local all = everything[kind]
  local fetch = state.list and state.list.text:match("^acl '([%w_.]+)'")
  if not all or (kind == "beg" or kind == "sub") and fetch and not slashed[fetch] then
    error(require("haplua.error").new({
      kind = "refused",
      message = ("an ACL of %s with '-m %s' has no pattern that matches every request"):format(
        fetch or "this kind", kind),
      target = tostring(target),
      command = "get acl " .. acl .. " /",
      advice = "give patterns of your own, or declare the ACL with '-m reg' or '-m beg' on 'path'",
    }))
  end
  return all.patterns, all.probe
end

--- A value that a pattern should match, where one can be told: for a regular expression, its text up
-- to the first special sign.
local function sample(pattern, kind)
  if kind == "reg" then
    local plain, rest = pattern:match("^%^?([%w/_%-]+)(.*)$")
    if plain and not rest:find("^[*?{|]") and not pattern:find("|", 1, true) then
      return plain
    end
  elseif kind ~= "len" and kind ~= "int" then
    return pattern
  end
end

--- Does one of the rows of `get acl` say that it matches?
local function matches(tests)
  for _, row in ipairs(tests or {}) do
    if row.found then
      return true
    end
  end
  return false
end

-- What the functions below return prints as one line.

local function enumerate(patterns)
  local text = table.concat(patterns, "  ")
  if #patterns == 0 then
    return "nothing"
  elseif #patterns > 8 then
    text = ("%d patterns (%s  %s  ...)"):format(#patterns, patterns[1], patterns[2])
  end
  return visible(text)
end

---@class haplua.Change
---@field acl string
---@field patterns string[]  what the ACL holds now
---@field added integer
---@field removed integer
---@field confirmed string?  a value that HAProxy, asked, says is under maintenance
local Change = {}

function Change.__tostring(change)
  local state = #change.patterns > 0 and "on" or "off"
  local now = ("%s matches %s"):format(change.acl, enumerate(change.patterns))
  if change.added + change.removed == 0 then
    return ("maintenance was %s already: %s"):format(state, now)
  elseif haproxy.dry_run() then
    return ("maintenance would be %s (%d to add, %d to remove)"):format(state, change.added, change.removed)
  end
  return ("maintenance is %s: %s (%d added, %d removed%s)"):format(state, now, change.added, change.removed,
    change.confirmed and ", confirmed for " .. change.confirmed or "")
end

--- Put the whole site, or what the patterns match, under maintenance.
---@param options {acl: string, patterns: string[]?}  no patterns: the whole site
---@return haplua.Change
function M.on(options)
  local target, acl, patterns = haproxy.target(), options.acl, options.patterns
  local whole = not patterns or #patterns == 0
  local state, kind = look(target, acl)
  local probe
  if whole then
    patterns, probe = everything_for(target, acl, state, kind)
  else
    probe = sample(patterns[1], kind)
  end
  local added, removed, tests =
    list.replace(target, "acl", acl, patterns, nil, { state = state, ask = probe })
  local confirmed = matches(tests)
  if whole and tests and not confirmed then
    target:mistrust(("get acl %s %s"):format(acl, probe), "no match, although every request should match")
  end
  return setmetatable({
    acl = acl,
    patterns = patterns,
    added = added,
    removed = removed,
    confirmed = confirmed and probe or nil,
  }, Change)
end

--- End it: the ACL matches nothing any more.
---@param options {acl: string}
---@return haplua.Change
function M.off(options)
  local added, removed = list.replace(haproxy.target(), "acl", options.acl, {})
  return setmetatable({ acl = options.acl, patterns = {}, added = added, removed = removed }, Change)
end

---@class haplua.Status
---@field target string
---@field acl string
---@field on boolean  is anything under maintenance?
---@field patterns string[]
---@field type string  HAProxy's match method
local Status = {}

function Status.__tostring(status)
  return ("maintenance is %s: %s matches %s"):format(
    status.on and "on" or "off", status.acl, enumerate(status.patterns))
end

--- What is so now, from HAProxy itself.
---@param options {acl: string}
---@return haplua.Status
function M.status(options)
  local target = haproxy.target()
  local state, kind = look(target, options.acl)
  local patterns = require("haplua.reply").entries(state.text)
  return setmetatable({
    target = tostring(target),
    acl = options.acl,
    on = #patterns > 0,
    patterns = patterns,
    type = kind,
  }, Status)
end

return M
