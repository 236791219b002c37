-- SPDX-License-Identifier: MIT
--
--- From the maintenances in force to what the lists of their switch shall hold.

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
  local network = require("haplua.plan.network")
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
  local add, from = scope.adder(view.kind, view.method), 1
  local function add_rest()
    for i = from, #in_force do
      from = i + 1
      add(in_force[i].scope, patterns, there)
    end
  end
  repeat
    local ok, problem = pcall(add_rest)
    untold[#untold + 1] = not ok and { of = in_force[from - 1], problem = problem } or nil
  until ok
  return patterns, untold
end

--- Does `a` end later than `b`, or as late and with a reason where `b` has none?
function M.is_told_before(a, b)
  if a.ends ~= b.ends then
    return b.ends and (not a.ends or a.ends > b.ends)
  end
  return a.reason and not b.reason
end

--- The networks that every one of them lets pass.
local function bypass_of(in_force, view)
  local bypass, done
  for i = 1, #in_force do
    local own = in_force[i].bypass or view.allow
    if own ~= done then
      bypass, done = bypass and M.intersection(bypass, own) or own, own
    end
  end
  return bypass or view.allow
end

--- The content of a switch's lists. A client passes if each maintenance lets it pass.
---@param in_force haplua.Maintenance[]
---@param view haplua.View
---@return haplua.Content
function M.of(in_force, view)
  local told, since = in_force[1] or {}, nil
  for i = 1, #in_force do
    local m = in_force[i]
    since = since and since < m.begins and since or m.begins
    told = M.is_told_before(m, told) and m or told
  end
  local patterns, untold = patterns_of(in_force, view)
  return {
    patterns = patterns, untold = untold, bypass = bypass_of(in_force, view), since = since, ends = told.ends,
    reason = told.reason,
  }
end

return M
