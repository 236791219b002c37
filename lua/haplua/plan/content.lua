-- SPDX-License-Identifier: MIT
--
--- From the maintenances in force to what the lists of their switch shall hold.

local network = require("haplua.plan.network")
local scope = require("haplua.plan.scope")

local M = {}

---@class haplua.View  what is known of a switch's ACL
---@field kind string?  what it looks at, as scope.kind() returns it
---@field method string  HAProxy's match method
---@field allow string[]  the networks that pass where a maintenance names none

---@class haplua.Content
---@field patterns string[]  each once, in the order of the maintenances
---@field bypass string[]  the networks that pass
---@field since number?  the earliest beginning
---@field ends number?  the latest end; nil: one has none, or none is in force
---@field reason string?  of the maintenance that ends last
---@field untold {of: haplua.Maintenance, problem: any}[]  scopes that the ACL cannot tell apart, and so are not closed

--- The smaller of two networks where one lies in the other; nil: they have no client in common, or one is no network
-- and the other another text.
---@return string?
local function common(a, b)
  if a == b then
    return a
  end
  local a_bytes, a_bits = network.parse(a)
  local b_bytes, b_bits = network.parse(b)
  if not a_bytes or not b_bytes or #a_bytes ~= #b_bytes or not network.agree(a_bytes, b_bytes, math.min(a_bits, b_bits)) then
    return nil
  end
  return a_bits >= b_bits and a or b
end

--- The networks whose clients lie in one of `a` and in one of `b`.
---@param a string[]
---@param b string[]
---@return string[]
function M.intersection(a, b)
  local found, there = {}, {}
  for _, one in ipairs(a) do
    for _, other in ipairs(b) do
      local both = common(one, other)
      if both and not there[both] then
        there[both] = true
        found[#found + 1] = both
      end
    end
  end
  return found
end

--- The patterns of several maintenances, each once.
---@return string[] patterns, {of: haplua.Maintenance, problem: any}[] untold
local function patterns_of(in_force, view)
  local patterns, there, untold = {}, {}, {}
  for _, m in ipairs(in_force) do
    local ok, found = pcall(scope.patterns, m.scope, view.kind, view.method)
    if not ok then
      untold[#untold + 1] = { of = m, problem = found }
    end
    for _, pattern in ipairs(ok and found or {}) do
      if not there[pattern] then
        there[pattern] = true
        patterns[#patterns + 1] = pattern
      end
    end
  end
  return patterns, untold
end

--- Does `a` end later than `b`, or as late and with a reason where `b` has none?
function M.is_told_before(a, b)
  local a_ends, b_ends = a.ends or math.huge, b.ends or math.huge
  if a_ends ~= b_ends then
    return a_ends > b_ends
  end
  return a.reason ~= nil and b.reason == nil
end

--- The content of a switch's lists. A client passes if each maintenance lets it pass.
---@param in_force haplua.Maintenance[]
---@param view haplua.View
---@return haplua.Content
function M.of(in_force, view)
  local first = in_force[1]
  if not first then
    return { patterns = {}, bypass = view.allow, untold = {} }
  end
  local told, since, bypass = first, first.begins, first.bypass or view.allow
  for i = 2, #in_force do
    local m = in_force[i]
    since = math.min(since, m.begins)
    told = M.is_told_before(m, told) and m or told
    bypass = M.intersection(bypass, m.bypass or view.allow)
  end
  local patterns, untold = patterns_of(in_force, view)
  return {
    patterns = patterns, untold = untold, bypass = bypass, since = since, ends = told.ends, reason = told.reason,
  }
end

return M
