-- SPDX-License-Identifier: MIT
--
--- Is a URL in the scope of maintenances, and may a client pass? By their scopes as people name them: a host's name and
-- the beginning of a path. Patterns of people's own are compared with what the list looks at.

local network = require("haplua.plan.network")

local M = {}

---@class haplua.Url
---@field host string  in lower case, without a port and a dot at its end
---@field path string  as it is sent, without the query
---@field target string  with it

--- The parts of a URL that a scope looks at.
---@param url string  http:// or https://
---@param host string?  the header Host, where it is another than the URL's
---@return haplua.Url
function M.parse(url, host)
  local authority, rest = url:match("^%a+://([^/?#]*)([^#]*)")
  host = (host or authority):lower():gsub(":%d*$", ""):gsub("%.$", "")
  local target = rest:sub(1, 1) == "/" and rest or "/" .. rest
  return { host = host, path = target:match("^[^?]*"), target = target }
end

--- Is one of the hosts that of the URL? nil and true: no host is named.
local function is_host_of(hosts, url)
  local found = #hosts == 0
  for _, host in ipairs(hosts) do
    found = found or host:lower() == url.host
  end
  return found
end

--- Does the path begin with one of the prefixes? nil: only where upper and lower case do not differ.
local function is_below(paths, url)
  local found = #paths == 0
  for _, path in ipairs(paths) do
    if url.path:sub(1, #path) == path then
      return true
    elseif url.path:sub(1, #path):lower() == path:lower() then
      found = nil
    end
  end
  return found
end

--- What a list looks at, of a request for the URL.
local function value_of(kind, url)
  return kind == "path" and url.path or kind == "base" and url.host .. url.path or kind == "url" and url.target
    or (kind == "host" or kind == "name") and url.host or nil
end

--- Does a pattern of the list match? nil: not known.
local function matches(pattern, value, method)
  local way = method:gsub("^map_", "")
  if way == "reg" then
    local regex = require("haplua.regex")
    local exact, loose = regex.compile(pattern), regex.compile(pattern, true)
    if exact and exact:matches(value) then
      return true
    end
    return (not loose or loose:matches(value)) and nil
  elseif way == "beg" or way == "str" then
    local part = way == "beg" and value:sub(1, #pattern) or value
    return part == pattern or (part:lower() == pattern:lower() and nil)
  end
end

--- Is the URL in the scope of a maintenance?
---@param scope haplua.Scope
---@param url haplua.Url
---@param view haplua.View
---@return boolean? covered  nil: not known
function M.covers(scope, url, view)
  local hosts, paths, found = scope.hosts or {}, scope.paths or {}, false
  if #hosts > 0 or #paths > 0 then
    found = is_host_of(hosts, url) and is_below(paths, url)
  elseif not scope.patterns or #scope.patterns == 0 then
    return true
  end
  local value = value_of(view.kind, url)
  for _, pattern in ipairs(not found and scope.patterns or {}) do
    local matched
    if value then
      matched = matches(pattern, value, view.method)
    end
    if matched then
      return true
    elseif matched == nil then
      found = nil
    end
  end
  return found
end

--- Is a client in one of the networks?
local function is_in(address, networks)
  local bytes = network.parse(address)
  for _, text in ipairs(networks) do
    local other, bits = network.parse(text)
    if bytes and other and #bytes == #other and network.agree(bytes, other, bits) then
      return true
    end
  end
  return false
end
M.is_in = is_in

---@class haplua.InForce  what decides on requests
---@field in_force haplua.Maintenance[]
---@field view haplua.View
---@field bypass string[]?  the networks that pass, where the switch has one list of them
---@field values string[]?  the switch is a map: each maintenance has its own networks

--- What a visitor of a URL shall get.
---@param now haplua.InForce
---@param url haplua.Url
---@param address string?  where the request comes from
---@return "closed"|"open"|nil wanted  nil: it is not known whether a pattern covers the URL
---@return haplua.Maintenance? by  closed, or it lets the client pass: the maintenance that covers it
function M.wanted(now, url, address)
  local unknown, by, passes = false, nil, true
  for _, m in ipairs(now.in_force) do
    local covered = M.covers(m.scope, url, now.view)
    unknown = unknown or covered == nil
    if covered then
      local own = now.values and (m.bypass or now.view.allow) or now.bypass or {}
      by, passes = by or m, passes and address ~= nil and is_in(address, own)
    end
  end
  if by and not passes then
    return "closed", by
  elseif unknown then
    return nil
  end
  return "open", by
end

return M
