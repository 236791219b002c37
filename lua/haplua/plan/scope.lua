-- SPDX-License-Identifier: MIT
--
--- Scope: what is put under maintenance (the whole site, hosts, paths), as the patterns that an ACL or a map takes.
-- What it can tell apart depends on its fetch (path: no hosts; base: host and path) and on its match method ("reg",
-- "beg", ...; of a map "map_reg", "map_beg", ...). A scope that it cannot tell apart is refused, with the declaration of
-- an ACL that can.

local errors = require("haplua.error")
local lists = require("haplua.base.lists")
local quote = require("haplua.regex").quote
local refuse = errors.refuse

local M = {}

local NONE <const> = {}

---@class haplua.Scope
---@field patterns string[]?  in the ACL's own match method
---@field paths string[]?  prefixes: "/shop" is /shop, /shop/cart and /shopping
---@field hosts string[]?  names; with paths: these paths of these hosts
---@field server string?  "backend/server", in place of these three
---@field state "ready"|"drain"|"maint"|nil  of a server; "ready": a weight or an address alone
---@field weight integer?  of a server
---@field address string?  of a server: "192.0.2.7:8080"

-- The kind of value that a fetch gives. `base` is the host and the path. `url` has the scheme and the host before the path
-- where the client sends them, as all do over HTTP/2. A `host` may have a port, as the header has; a `name` has none.
local kinds = {
  path = "path", pathq = "path", url = "url", ["capture.req.uri"] = "url",
  base = "base", hdr = "host", ["req.hdr"] = "host", ["req.fhdr"] = "host", ssl_fc_sni = "name", ["req.ssl_sni"] = "name",
  req_ssl_sni = "name", src = "address",
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

--- The kind of a list, by haplua's configuration, or by HAProxy's word.
---@param acl string|false  an ACL's reference: of a map HAProxy does not tell
---@param fetch string?  of haplua's configuration
---@param shown string?  by HAProxy
---@return string?  raises `refused` where they contradict
function M.agreed_kind(acl, fetch, shown)
  local own, seen = M.kind(fetch), M.kind(shown)
  if acl and fetch and seen and own ~= seen then
    refuse(("%s looks at '%s', as HAProxy shows, and the configuration of haplua says fetch = \"%s\""):format(acl, shown, fetch),
      "take `fetch` out of it, or declare the ACL with that fetch")
  end
  return own or seen
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

-- A URL may begin with a slash or with a scheme, or be the star of OPTIONS.
local every_url = { patterns = { "/", "http", "*" }, probe = "/" }

---@return string[] patterns, string probe
local function whole_site(kind, method)
  local way = method_of(method)
  local found = everything[way]
  if kind == "url" and way == "beg" then
    found, kind = every_url, "path"
  end
  if not found or way == "beg" and kind ~= "path" or way == "sub" and kind ~= "path" and kind ~= "base" then
    refuse(name_of(kind, method) .. " has no pattern that matches every request",
      "give patterns of your own, or declare the ACL with '-m reg' or '-m beg' on 'path'")
  end
  return found.patterns, kind == "base" and way ~= "len" and "host.example/" or found.probe
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

-- By kind and method: what an ACL can tell apart, and its pattern of a host (nil: any), in small letters as clients send it,
-- and a path (nil: any). `-m dom` is
-- none of them, since it takes each host below the one that is meant.
local builders = {
  path = {
    reg = { paths = true, build = function(_, path) return quote(path, "^") end },
    beg = { paths = true, build = function(_, path) return path end },
  },
  base = {
    reg = {
      paths = true,
      hosts = true,
      build = function(host, path)
        return quote(path or "/", host and quote(host:lower(), "^") .. AFTER_HOST or "^[^/]*")
      end,
    },
  },
  url = { reg = { paths = true, build = function(_, path) return quote(path, "^([a-z]+://[^/]*)?") end } },
  host = { reg = { hosts = true, build = function(host) return quote(host:lower(), "^") .. AFTER_HOST .. "$" end } },
  name = {
    reg = { hosts = true, build = function(host) return quote(host:lower(), "^") .. "\\.?$" end },
    str = { hosts = true, build = function(host) return host:lower() end },
  },
}

-- Methods that look whether there is a value, or whether it is true.
local never_asks <const> = { found = true, bool = true }

-- Why an ACL cannot tell hosts apart that looks at them.
local beside_hosts = {
  str = "misses hosts with a port, as clients send it",
  dom = "takes each host below the one that is meant, too",
}

local function refuse_for(kind, method, text, advice)
  refuse(name_of(kind, method) .. " " .. text, advice)
end

-- A map has no -i, and its patterns say so themselves. OPTIONS * has a base without a slash.
builders.path.map_beg = builders.path.beg
for _, kind in ipairs({ "path", "base", "host" }) do
  local of_acl = builders[kind].reg
  builders[kind].map_reg = {
    paths = of_acl.paths,
    hosts = of_acl.hosts,
    build = function(host, path)
      local pattern = of_acl.build(host and host:lower(), path and path:lower())
      return "(?i)" .. (kind == "base" and not path and pattern:gsub("/$", "(/|$)") or pattern)
    end,
  }
end

local function refuse_hosts(kind, method)
  local why = (kind == "host" or kind == "name") and beside_hosts[method]
  refuse_for(kind, method, "cannot tell hosts apart" .. (why and ": it " .. why or ""), HOSTS_NEED)
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

local function same(a, b)
  return a == b or a ~= nil and b ~= nil and lists.same(a, b)
end

--- Do two scopes name the same patterns, paths and hosts?
---@param a haplua.Scope
---@param b haplua.Scope
---@return boolean
function M.same(a, b)
  return same(a.paths, b.paths) and same(a.patterns, b.patterns) and same(a.hosts, b.hosts)
end

--- A scope in words: "the whole site", "/shop  /pay", "shop.example.com/x", or its patterns.
---@param scope haplua.Scope
---@return string
function M.text(scope)
  if scope.server then
    local words = { scope.server, (scope.state ~= "ready" or not (scope.weight or scope.address)) and scope.state or nil }
    words[#words + 1] = scope.weight and "weight " .. scope.weight
    words[#words + 1] = scope.address and "address " .. scope.address
    return errors.visible(table.concat(words, " "))
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

--- Raise `refused` where the ACL cannot tell such a scope apart.
local function check_kinds(kind, method, has_host, has_path)
  local builder = (builders[kind] or NONE)[method] or NONE
  if never_asks[method] then
    refuse_for(kind, method, "never asks its list", PATHS_NEED)
  elseif has_host and not builder.hosts then
    refuse_hosts(kind, method)
  elseif has_path and not builder.paths then
    refuse_for(kind, method, "cannot tell path prefixes apart", PATHS_NEED)
  end
end

--- A function that adds the patterns of a scope for an ACL to a list, each once. A switch may have a thousand scopes: it
-- makes no tables, and does not check again what patterns() has checked.
---@param kind string?  from kind()
---@param method string  HAProxy's match method, from `get acl`; of a map with "map_" before it
---@return fun(scope: haplua.Scope, to: string[], there: table<string, true>)  there: the items of `to`. Raises `refused`,
--- and then has added none
function M.adder(kind, method)
  local builder = (builders[kind] or NONE)[method] or NONE
  local build, any_path = builder.build, builder.paths and not never_asks[method]
  local function put(pattern, to, there)
    if not there[pattern] then
      there[pattern], to[#to + 1] = true, pattern
    end
  end
  return function(scope, to, there)
    local given, hosts, paths = scope.patterns, scope.hosts, scope.paths
    if any_path and paths and not given and not hosts then -- the usual one
      for i = 1, #paths do
        local pattern = build(nil, paths[i])
        if not there[pattern] then
          there[pattern], to[#to + 1] = true, pattern
        end
      end
      return
    end
    given, hosts, paths = given or NONE, hosts or NONE, paths or NONE
    local has_host, has_path = hosts[1] ~= nil, paths[1] ~= nil
    check_kinds(kind, method, has_host, has_path)
    if not has_host and not has_path and not given[1] then
      given = whole_site(kind, method)
    end
    for i = 1, #given do
      put(given[i], to, there)
    end
    for h = 1, has_host and #hosts or has_path and 1 or 0 do
      for p = 1, has_path and #paths or 1 do
        put(build(hosts[h], paths[p]), to, there)
      end
    end
  end
end

--- The patterns of a scope for an ACL, each once.
---@param scope haplua.Scope  without patterns, paths and hosts: the whole site
---@param kind string?
---@param method string
---@return string[]  raises `refused`
function M.patterns(scope, kind, method)
  local patterns = {}
  M.adder(kind, method)(scope, patterns, {})
  for _, host in ipairs(scope.hosts or NONE) do
    check_host(host)
  end
  for _, path in ipairs(scope.paths or NONE) do
    check_path(path)
  end
  return patterns
end

--- A value that the patterns of a scope must match.
---@param scope haplua.Scope
---@return string? probe, boolean whole  nil: none is known; whole: the patterns match every request. Raises `refused`
function M.probe(scope, kind, method)
  local host, path = (scope.hosts or NONE)[1], (scope.paths or NONE)[1]
  if host or path then
    return (host and host:lower() or kind == "base" and "host.example" or "") .. (path or kind == "base" and "/" or ""), false
  elseif scope.patterns and scope.patterns[1] then
    return sample(scope.patterns[1], method_of(method)), false
  end
  local _, probe = whole_site(kind, method)
  return probe, true
end

return M
