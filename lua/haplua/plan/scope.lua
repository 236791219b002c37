-- SPDX-License-Identifier: MIT
--
--- Scope: what is put under maintenance (the whole site, hosts, paths), as the patterns that an ACL takes.
-- What an ACL can tell apart depends on its fetch (path: no hosts; base: host and path) and on its match method ("reg",
-- "beg", ...). A scope that it cannot tell apart is refused, with the declaration of an ACL that can.

local errors = require("haplua.error")
local refuse = errors.refuse

local M = {}

---@class haplua.Scope
---@field patterns string[]?  in the ACL's own match method
---@field paths string[]?  prefixes: "/shop" is /shop, /shop/cart and /shopping
---@field hosts string[]?  names; with paths: these paths of these hosts
---@field server string?  "backend/server", in place of these three
---@field state "drain"|"maint"|nil  of a server

-- The kind of value that a fetch gives. `base` is the host and the path. `url` has the scheme and the host before the path
-- where the client sends them, as all do over HTTP/2. A `host` may have a port, as the header has; a `name` has none.
local kinds = {
  path = "path", pathq = "path", url = "url", ["capture.req.uri"] = "url",
  base = "base", hdr = "host", ["req.hdr"] = "host", ["req.fhdr"] = "host", ["ssl_fc_sni"] = "name",
  src = "address",
}

--- The kind of an ACL, from HAProxy's words for its expression ("path_beg", "hdr(host)") or those of haplua's
-- configuration ("base,lower"). HAProxy tells neither arguments nor converters.
---@param expression string?
---@return "path"|"url"|"base"|"host"|"name"|"address"|nil kind  nil: none of these
function M.kind(expression)
  local fetch, argument = tostring(expression or ""):match("^([%w_.]+)(%b())")
  fetch = fetch or tostring(expression or ""):match("^[%w_.]+") or ""
  local kind = kinds[fetch] or kinds[fetch:gsub("_[a-z]+$", "")]
  if kind == "host" and not tostring(argument):lower():find("^%(host[,)]") then
    return nil
  elseif kind == "host" and (expression:find(",host_only", 1, true) or expression:find(",field(1,:)", 1, true)) then
    return "name"
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

local HOSTS_NEED = "declare the ACL with 'base -i -m reg': its value is the host and the path"
local PATHS_NEED = "declare the ACL with 'path -i -m reg' or 'path -i -m beg'"

-- A URL may begin with a slash or with a scheme, or be the star of OPTIONS.
local every_url = { patterns = { "/", "http", "*" }, probe = "/" }

---@return string[] patterns, string probe
local function whole_site(kind, method)
  local found = everything[method]
  if kind == "url" and method == "beg" then
    found, kind = every_url, "path"
  end
  if not found or method == "beg" and kind ~= "path" or method == "sub" and kind ~= "path" and kind ~= "base" then
    refuse(("this ACL, with '-m %s'%s, has no pattern that matches every request"):format(
      method, kind and " on the " .. kind or ""),
      "give patterns of your own, or declare the ACL with '-m reg' or '-m beg' on 'path'")
  end
  return found.patterns, kind == "base" and method ~= "len" and "host.example/" or found.probe
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

-- What may follow a host's name in the header: the dot of DNS, and a port, in whatever form a client writes it.
local AFTER_HOST <const> = "\\.?(:[^/]*)?"

-- By kind and method: what an ACL can tell apart, and its pattern of a host (nil: any) and a path (nil: any). `-m dom` is
-- none of them, since it takes each host below the one that is meant.
local builders = {
  ["path reg"] = { paths = true, build = function(_, path) return "^" .. escape(path) end },
  ["path beg"] = { paths = true, build = function(_, path) return path end },
  ["base reg"] = {
    paths = true,
    hosts = true,
    build = function(host, path)
      return "^" .. (host and escape(host) .. AFTER_HOST or "[^/]*") .. escape(path or "/")
    end,
  },
  ["url reg"] = { paths = true, build = function(_, path) return "^([a-z]+://[^/]*)?" .. escape(path) end },
  ["host reg"] = { hosts = true, build = function(host) return "^" .. escape(host) .. AFTER_HOST .. "$" end },
  ["name reg"] = { hosts = true, build = function(host) return "^" .. escape(host) .. "\\.?$" end },
  ["name str"] = { hosts = true, build = function(host) return host end },
}

-- Why an ACL cannot tell hosts apart that looks at them.
local beside_hosts = {
  str = "misses hosts with a port, as clients send it",
  dom = "takes each host below the one that is meant, too",
}

local function refuse_for(kind, method, text, advice)
  refuse(("this ACL ('-m %s'%s) %s"):format(method, kind and " on the " .. kind or "; HAProxy does not say on what", text),
    advice)
end

local function check_scope(kind, method, builder, hosts, paths)
  if #hosts > 0 and not (builder and builder.hosts) then
    local why = (kind == "host" or kind == "name") and beside_hosts[method]
    refuse_for(kind, method, "cannot tell hosts apart" .. (why and ": it " .. why or ""), HOSTS_NEED)
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
---@param method string  HAProxy's match method, from `get acl`
---@return string[] patterns, string? probe, boolean whole  probe: a value that they must match, nil: none is known;
--- whole: they match every request. Raises `refused`
function M.patterns(scope, kind, method)
  local hosts, paths = scope.hosts or {}, scope.paths or {}
  local patterns = table.move(scope.patterns or {}, 1, #(scope.patterns or {}), 1, {})
  if method == "found" or method == "bool" then
    refuse_for(kind, method, "never asks its list", PATHS_NEED)
  end
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
  return patterns, first or sample(patterns[1], method), false
end

return M
