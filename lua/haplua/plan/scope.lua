-- SPDX-License-Identifier: MIT
--
--- Scope: what is put under maintenance (the whole site, hosts, paths), as the patterns that an ACL or a map takes.
-- What it can tell apart depends on its fetch (path: no hosts; base: host and path) and on its match method ("reg",
-- "beg", ...; of a map "map_reg", "map_beg", ...). A scope that it cannot tell apart is refused, with the declaration of
-- an ACL that can.

local errors = require("haplua.error")
local refuse = errors.refuse

local M = {}

---@class haplua.Scope
---@field patterns string[]?  in the ACL's own match method
---@field paths string[]?  prefixes: "/shop" is /shop, /shop/cart and /shopping
---@field hosts string[]?  names; with paths: these paths of these hosts
---@field server string?  "backend/server", in place of these three
---@field state "drain"|"maint"|nil  of a server

-- The kind of value that a fetch gives. `base` is the host and the path.
local kinds = {
  path = "path", pathq = "path", url = "path", ["capture.req.uri"] = "path",
  base = "base", hdr = "host", ["req.hdr"] = "host", ["req.fhdr"] = "host", ["ssl_fc_sni"] = "host",
  src = "address",
}

--- "path", "base", "host" or "address", from HAProxy's words for the ACL's expression: "path_beg", "hdr(host)",
-- "base,lower".
---@param expression string?
---@return string? kind  nil: none of these
function M.kind(expression)
  local fetch, argument = tostring(expression or ""):match("^([%w_.]+)(%b())")
  fetch = fetch or tostring(expression or ""):match("^[%w_.]+") or ""
  local kind = kinds[fetch] or kinds[fetch:gsub("_[a-z]+$", "")]
  if kind == "host" and fetch ~= "ssl_fc_sni" and not tostring(argument):lower():find("^%(host[,)]") then
    return nil
  end
  return kind
end

-- By match method: the patterns that match every request, and a value that they must then match. The other methods
-- (str, end, dom, ...) have no such patterns.
local everything = {
  reg = { patterns = { "^.*$" }, probe = "/" },
  beg = { patterns = { "/" }, probe = "/" },
  sub = { patterns = { "/" }, probe = "/" },
  ip = { patterns = { "0.0.0.0/0", "::/0" }, probe = "192.0.2.1" },
  len = { patterns = { "0:" }, probe = "/" },
}

local HOSTS_NEED = "declare the ACL with 'base -i -m reg', the map with 'base,map_reg': the value is the host and the path"
local PATHS_NEED = "declare the ACL with 'path -i -m reg' or 'path -i -m beg', the map with 'base,map_reg'"

--- An ACL or a map for messages: "this ACL ('-m reg' on the base)".
local function name_of(kind, method)
  local is_map = method:find("^map_")
  return ("this %s ('%s%s'%s)"):format(is_map and "map" or "ACL", is_map and "" or "-m ", method,
    kind and " on the " .. kind or "; HAProxy does not say on what")
end

--- The match method of an ACL that matches as this one does, or as this map does.
local function method_of(method)
  return (method:gsub("^map_", ""))
end

---@return string[] patterns, string probe
local function whole_site(kind, method)
  local way = method_of(method)
  local found = everything[way]
  if not found or way == "beg" and kind ~= "path" or way == "sub" and kind ~= "path" and kind ~= "base" then
    refuse(name_of(kind, method) .. " has no pattern that matches every request",
      "give patterns of your own, or declare the ACL with '-m reg' or '-m beg' on 'path'")
  end
  return found.patterns, kind == "base" and way ~= "len" and "host.example/" or found.probe
end

--- A regular expression that matches this text alone, for POSIX's and PCRE's syntax.
local function escape(text)
  return (text:gsub("[%^%$%.%[%]%(%)%{%}%*%+%?|\\]", "\\%0"))
end

local function check_path(path)
  if path:find("^/[%w/_.-]*$") then
    return
  elseif path:sub(1, 1) ~= "/" then
    refuse(("the path '%s' does not begin with a slash"):format(path), "--path takes a prefix such as /shop")
  elseif path:find("[^\x21-\x7e]") then
    refuse(("no request has the path '%s'"):format(errors.visible(path)),
      "write it as clients send it: %20 for a blank, %C3%A9 for é")
  elseif path:find("[?#]") then
    refuse(("'%s' is more than a path"):format(path), "--path takes what stands before the '?'")
  end
end

local function check_host(host)
  if not host:find("^[%w%.%-_]+$") and not host:find("^%[[%x:.]+%]$") then
    refuse(("'%s' is no host name"):format(errors.visible(host)),
      "--host takes a name such as shop.example.com, without port or path")
  end
end

-- By kind and method: what an ACL can tell apart, and its pattern of a host (nil: any) and a path (nil: any).
-- The value of a host may have a port, as the header has.
local builders = {
  ["path reg"] = { paths = true, build = function(_, path) return "^" .. escape(path) end },
  ["path beg"] = { paths = true, build = function(_, path) return path end },
  ["base reg"] = {
    paths = true,
    hosts = true,
    build = function(host, path)
      return "^" .. (host and escape(host) .. "(:[0-9]+)?" or "[^/]*") .. escape(path or "/")
    end,
  },
  ["host reg"] = { hosts = true, build = function(host) return "^" .. escape(host) .. "(:[0-9]+)?$" end },
  ["host str"] = { hosts = true, build = function(host) return host end },
  ["host dom"] = { hosts = true, build = function(host) return host end },
}

local function refuse_for(kind, method, text, advice)
  refuse(name_of(kind, method) .. " " .. text, advice)
end

-- A map has no -i, and its patterns say so themselves. OPTIONS * has a base without a slash.
builders["path map_beg"] = builders["path beg"]
for _, kind in ipairs({ "path", "base", "host" }) do
  local of_acl = builders[kind .. " reg"]
  builders[kind .. " map_reg"] = {
    paths = of_acl.paths,
    hosts = of_acl.hosts,
    build = function(host, path)
      local pattern = of_acl.build(host and host:lower(), path and path:lower())
      return "(?i)" .. (kind == "base" and not path and pattern:gsub("/$", "(/|$)") or pattern)
    end,
  }
end

local function check_scope(kind, method, builder, hosts, paths)
  if #hosts > 0 and not (builder and builder.hosts) then
    refuse_for(kind, method, "cannot tell hosts apart", HOSTS_NEED)
  elseif #paths > 0 and not (builder and builder.paths) then
    refuse_for(kind, method, "cannot tell path prefixes apart", PATHS_NEED)
  end
  for _, host in ipairs(hosts) do
    check_host(host)
  end
  for _, path in ipairs(paths) do
    check_path(path)
  end
end

--- A value that a pattern matches: for a regular expression, its text up to the first special character.
---@return string?  nil: no such value is known
local function sample(pattern, method)
  if method == "reg" then
    local plain, rest = pattern:match("^%^?([%w/_%-]+)(.*)$")
    if plain and not rest:find("^[*?{|]") and not pattern:find("|", 1, true) then
      return plain
    end
  elseif method ~= "len" and method ~= "int" then
    return pattern
  end
end

local function sorted(list)
  local copy = table.move(list, 1, #list, 1, {})
  table.sort(copy)
  return table.concat(copy, "\n")
end

local function same(a, b)
  return a == b or a ~= nil and b ~= nil and #a == #b and (a[1] == b[1] and #a == 1 or #a > 1 and sorted(a) == sorted(b))
end

--- Do two scopes name the same patterns, paths and hosts?
---@param a haplua.Scope
---@param b haplua.Scope
---@return boolean
function M.same(a, b)
  return same(a.patterns, b.patterns) and same(a.paths, b.paths) and same(a.hosts, b.hosts)
end

--- A scope in words: "the whole site", "/shop  /pay", "shop.example.com/x", or its patterns.
---@param scope haplua.Scope
---@return string
function M.text(scope)
  if scope.server then
    return errors.visible(scope.server .. " " .. scope.state)
  end
  local words = table.move(scope.patterns or {}, 1, #(scope.patterns or {}), 1, {})
  local hosts, paths = scope.hosts or {}, scope.paths or {}
  for _, host in ipairs(#hosts > 0 and hosts or paths[1] and { "" } or {}) do
    for _, path in ipairs(#paths > 0 and paths or { "" }) do
      words[#words + 1] = host .. path
    end
  end
  if #words > 8 then
    return ("%d scopes (%s  %s  ...)"):format(#words, words[1], words[2])
  end
  return errors.visible(#words == 0 and "the whole site" or table.concat(words, "  "))
end

--- The patterns of a scope for an ACL.
---@param scope haplua.Scope  without patterns, paths and hosts: the whole site
---@param kind string?  from kind()
---@param method string  HAProxy's match method, from `get acl`; of a map with "map_" before it
---@return string[] patterns, string? probe, boolean whole  probe: a value that they must match, nil: none is known;
--- whole: they match every request. Raises `refused`
function M.patterns(scope, kind, method)
  local hosts, paths = scope.hosts or {}, scope.paths or {}
  local patterns = table.move(scope.patterns or {}, 1, #(scope.patterns or {}), 1, {})
  if #patterns + #hosts + #paths == 0 then
    local found, probe = whole_site(kind, method)
    return found, probe, true
  end
  local builder = builders[("%s %s"):format(kind, method)]
  check_scope(kind, method, builder, hosts, paths)
  local first
  for _, host in ipairs(#hosts > 0 and hosts or paths[1] and { false } or {}) do
    for _, path in ipairs(#paths > 0 and paths or { false }) do
      patterns[#patterns + 1] = builder.build(host or nil, path or nil)
      first = first or (host or kind == "base" and "host.example" or "")
        .. (path or kind == "base" and "/" or "")
    end
  end
  return patterns, first or sample(patterns[1], method_of(method)), false
end

return M
