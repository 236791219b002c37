-- SPDX-License-Identifier: MIT
--
--- Maintenance through one ACL: on, off, and what is so now.
-- The configuration sends to a maintenance backend what the ACL matches; these functions decide
-- what it matches. Each change is one atomic step and is asked back from HAProxy.

local haproxy = require("haproxy")

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

--- How the ACL matches: "reg", "beg", ... An ACL of several types has one pattern list for all.
---@return string type, haplua.List? list  what `show acl` says of it
local function kind_of(target, acl)
  local test = target:acl_test(acl, "/")
  local list = require("haplua.list").find(target:acl_list(), acl)
  return test[1] and test[1].type or "unknown", list
end

--- The patterns for the whole site, and a value to try them with.
local function everything_for(target, acl)
  local kind, list = kind_of(target, acl)
  local all = everything[kind]
  local fetch = list and list.text:match("^acl '([%w_.]+)'")
  if not all or (kind == "beg" or kind == "sub") and fetch and not slashed[fetch] then
    error(require("haplua.error").new({
      kind = "refused",
      message = ("%s matches %s with '-m %s', for which there is no pattern that matches every request")
        :format(acl, fetch or "something", kind),
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
    local plain = pattern:match("^%^?([%w/_%-]+)")
    local rest = pattern:match("^%^?[%w/_%-]+(.*)$")
    if plain and not rest:find("^[*?{|]") and not pattern:find("|", 1, true) then
      return plain
    end
  elseif kind ~= "len" and kind ~= "int" then
    return pattern
  end
end

--- The first value for which HAProxy confirms the patterns, or nil where none can be told.
local function confirm(target, acl, patterns, probe)
  local value = probe
  if not value then
    local kind = kind_of(target, acl)
    value = patterns[1] and sample(patterns[1], kind)
  end
  if value and target:acl_get(acl, value) then
    return value
  elseif probe then
    target:mistrust("get acl " .. acl .. " " .. probe, "no match, although every request should match")
  end
end

---@class haplua.Change
---@field patterns string[]  what the ACL holds now
---@field added integer
---@field removed integer
---@field confirmed string?  a value that HAProxy, asked, says is under maintenance

--- Put the whole site, or what the patterns match, under maintenance.
---@param options {acl: string, patterns: string[]?}  no patterns: the whole site
---@return haplua.Change
function M.on(options)
  local target = haproxy.target()
  local patterns, probe = options.patterns, nil
  if not patterns or #patterns == 0 then
    patterns, probe = everything_for(target, options.acl)
  end
  local added, removed = target:acl_replace(options.acl, patterns)
  local change = { patterns = patterns, added = added, removed = removed }
  if not haproxy.dry_run() then
    change.confirmed = confirm(target, options.acl, patterns, probe)
  end
  return change
end

--- End it: the ACL matches nothing any more.
---@param options {acl: string}
---@return haplua.Change
function M.off(options)
  local added, removed = haproxy.target():acl_replace(options.acl, {})
  return { patterns = {}, added = added, removed = removed }
end

---@class haplua.Status
---@field target string
---@field acl string
---@field on boolean  is anything under maintenance?
---@field patterns string[]
---@field type string  HAProxy's match method

--- What is so now, from HAProxy itself.
---@param options {acl: string}
---@return haplua.Status
function M.status(options)
  local target = haproxy.target()
  local patterns = target:acl_list(options.acl)
  return {
    target = tostring(target),
    acl = options.acl,
    on = #patterns > 0,
    patterns = patterns,
    type = (kind_of(target, options.acl)),
  }
end

return M
