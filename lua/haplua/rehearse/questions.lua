-- SPDX-License-Identifier: MIT
--
--- The questions of a rehearsal: what visitors may ask each frontend of a configuration. Without any I/O.

local configuration = require("haplua.rules.configuration")

local M = {}

---@class haplua.rehearse.Bind  an address that a frontend listens at
---@field ip string
---@field port integer
---@field is_v6 boolean
---@field tls boolean  its visitors speak TLS, also where HAProxy passes it on
---@field is_any boolean  it names no address of its own
---@field proxied boolean  visitors come through a proxy that speaks PROXY's protocol
---@field is_h2 boolean  it takes HTTP/2 alone
---@field is_passed_on boolean  TLS is the servers' matter
---@field text string  as the configuration has it

---@class haplua.rehearse.Question
---@field frontend string
---@field ip string  where it is asked
---@field port integer
---@field tls boolean
---@field proxied boolean
---@field host string  as the header has it: without a port, unless a URL names one
---@field path string
---@field method string
---@field target string?  the request-target, where it is not the path
---@field version string  "1.0", "1.1", "2"
---@field source string  the visitor's address
---@field wants "closed"|"open"|"as before"|"list"  open: all other maintenances end; list: closed where the list matches
---@field named boolean?  somebody named it
---@field from boolean?  the visitor's address matters
---@field extra boolean?  chosen for a rule of the configuration: an answer that is not wanted is an exception

---@class haplua.rehearse.Asked
---@field scope haplua.Scope
---@field bypass string[]  networks
---@field urls string[]
---@field sources string[]
---@field versions string[]
---@field replace boolean?  all other maintenances end
---@field sample {host: string?, path: string?}?  a request that patterns of a person's own match

-- Where a bind names no address of its own, visitors ask these; and visitors come from these unless others are named.
-- They are addresses for documentation: no machine has them (RFC 5737, RFC 3849).
local ANY <const> = { [false] = "203.0.113.1", [true] = "2001:db8::1" }
local VISITOR <const> = { [false] = "198.51.100.7", [true] = "2001:db8:77::7" }

local HOST <const> = "www.example.com"
local OTHER_HOST <const>, OTHER_PATH <const> = "other.example", "/haplua-other"

-- So many hosts, and paths, of a frontend's rules are asked for at most.
local MOST <const> = 8

local function has(words, name)
  for i = 2, #words do
    if words[i] == name then
      return true, words[i + 1]
    end
  end
  return false
end

--- An address of a `bind` or `server` line. nil: it is of another kind, such as a Unix socket.
---@param text string
---@param environment table<string, string>
---@return string? ip, integer? port, boolean? is_v6  ip: "" for any; it may be a name
function M.address(text, environment)
  text = text:gsub("^tcp@", ""):gsub("%${([%w_]+)}", environment)
  local family, rest = text:match("^(ipv[46])@(.*)$")
  if not family and (text:find("^%l+%d*@") or text:find("^/")) then
    return nil
  end
  local ip, port = (rest or text):match("^(.*):(%d+)[%d%-]*$")
  ip = ip or (rest or text):gsub(":$", "")
  ip = ip:gsub("^%[(.*)%]$", "%1"):gsub("^%*$", ""):gsub("^0%.0%.0%.0$", "")
  local is_v6 = family == "ipv6" or ip:find(":", 1, true) ~= nil
  return ip == "::" and "" or ip, math.tointeger(tonumber(port)), is_v6
end

--- The addresses that a frontend listens at.
---@param lines haplua.rules.Line[]
---@param environment table<string, string>
---@return haplua.rehearse.Bind[] binds, string[] others  others: those that no visitor is sent to here
function M.binds(lines, environment)
  local found, others, asks_sni, proxied = {}, {}, false, false
  for _, line in ipairs(lines) do
    proxied = proxied or line.words[3] == "expect-proxy" and #line.words == 4
    asks_sni = asks_sni or table.concat(line.words, " "):find("req[_.]ssl_") ~= nil
  end
  for _, line in ipairs(lines) do
    local parts = line.words
    for text in (parts[1] == "bind" and parts[2] or ""):gmatch("[^,]+") do
      local ip, port, is_v6 = M.address(text, environment)
      if ip and port then
        found[#found + 1] = {
          ip = ip == "" and ANY[is_v6] or ip, port = port, is_v6 = is_v6, is_any = ip == "", text = text,
          tls = has(parts, "ssl") or asks_sni, is_passed_on = asks_sni and not has(parts, "ssl"),
          is_h2 = select(2, has(parts, "proto")) == "h2", proxied = has(parts, "accept-proxy") or proxied,
        }
      else
        others[#others + 1] = text
      end
    end
  end
  return found, others
end

--- One bind of each sort: visitors of two that differ in their address alone get the same.
local function chosen(binds)
  local found, there = {}, {}
  for _, bind in ipairs(binds) do
    local sort = (bind.tls and "tls" or "plain") .. (bind.is_h2 and "2" or "") .. (bind.proxied and "p" or "")
    if not there[sort] then
      there[sort] = true
      found[#found + 1] = bind
    end
  end
  return found
end

local function add_once(list, text)
  for _, other in ipairs(list) do
    if other == text then
      return
    end
  end
  if #list < MOST then
    list[#list + 1] = text
  end
end

--- The hosts and paths that the rules of a frontend name.
---@return string[] hosts, string[] paths
local function named(lines)
  local hosts, paths = {}, {}
  for _, line in ipairs(lines) do
    local text = table.concat(line.words, " ")
    local of_host = text:find("hdr[_%l]*%(host") or text:find("ssl_fc_sni", 1, true) or text:find("req_?%.?ssl_sni")
    local of_path = text:find("%f[%w]path[%s_,]") or text:find("%f[%w]url[%s_,]")
    for i, word in ipairs(line.words) do
      if line.words[i - 1] == "-f" or word:find("(", 1, true) then
        of_path = of_path and word:find("%f[%w]path") ~= nil or of_path
      elseif of_host and word:find("^[%w%-]+%.[%w%.%-]+$") and not word:find("^[%d.]+$") and not word:find("^req%.") then
        add_once(hosts, word)
      elseif of_path and word:find("^/[%w/_.~-]*$") then
        add_once(paths, word)
      elseif of_path and word:find("^%.%w+$") then
        add_once(paths, "/x" .. word)
      end
    end
    if line.words[1] == "monitor-uri" then
      add_once(paths, line.words[2] or "/")
    elseif line.words[1] == "stats" and line.words[2] == "uri" then
      add_once(paths, line.words[3] or "/")
    end
  end
  return hosts, paths
end

local function is_given(list)
  return list ~= nil and #list > 0
end

--- Is a request in a scope? nil: only the list knows.
---@param scope haplua.Scope
---@return boolean?
function M.is_in(scope, host, path)
  if is_given(scope.patterns) then
    return nil
  end
  local host_is_in, path_is_in = not is_given(scope.hosts), not is_given(scope.paths)
  local plain = host:lower():gsub(":%d*$", ""):gsub("%.$", "")
  for _, other in ipairs(scope.hosts or {}) do
    host_is_in = host_is_in or plain == other:lower()
  end
  for _, prefix in ipairs(scope.paths or {}) do
    path_is_in = path_is_in or path:lower():sub(1, #prefix) == prefix:lower()
  end
  return host_is_in and path_is_in
end

--- A visitor's address in a network.
local function address_in(network)
  local ip, bits = network:match("^([%x:.]+)/?(%d*)$")
  if not ip then
    return nil
  elseif bits == "" or bits == "32" or bits == "128" then
    return ip
  elseif ip:find(":", 1, true) then
    return ip:find("::$") and ip .. "1" or ip
  end
  return (ip:gsub("%.0$", ".1"))
end

--- The versions of HTTP that visitors of a bind use.
local function versions_of(asked, bind)
  if is_given(asked.versions) then
    return asked.versions
  elseif bind.is_h2 then
    return { "2" }
  end
  return bind.tls and not bind.is_passed_on and { "1.1", "2" } or { "1.1" }
end

---@class haplua.rehearse.List  questions in the making
---@field questions haplua.rehearse.Question[]
---@field asked haplua.rehearse.Asked
---@field there table<string, boolean>
local List = {}
List.__index = List

--- What is wanted of a request from an address that is not let through.
function List:wanted(host, path)
  local inside = M.is_in(self.asked.scope, host, path)
  if inside == nil then
    return "list"
  end
  return inside and "closed" or self.asked.replace and "open" or "as before"
end

---@param fields table  what differs from a plain GET of a visitor
function List:add(frontend, bind, fields)
  local question = {
    frontend = frontend, ip = bind.ip, port = bind.port, tls = bind.tls, proxied = bind.proxied, method = "GET",
    version = versions_of(self.asked, bind)[1],
    source = VISITOR[bind.is_v6], host = HOST, path = "/",
  }
  for name, value in pairs(fields) do
    question[name] = value
  end
  question.from = question.from or is_given(self.asked.sources) or nil
  question.wants = question.wants or self:wanted(question.host, question.path)
  local key = table.concat({ frontend, bind.ip, bind.port, question.method, question.version, question.source, question.host,
    question.path, question.target or "" }, "\0")
  if not self.there[key] then
    self.there[key] = true
    self.questions[#self.questions + 1] = question
  end
end

local function sources_of(asked, bind)
  local found = {}
  for _, source in ipairs(asked.sources) do
    found[#found + 1] = (source:find(":", 1, true) ~= nil) == bind.is_v6 and source or nil
  end
  return #asked.sources > 0 and found or { VISITOR[bind.is_v6] }
end

--- The questions for one frontend at one address, where nobody names any.
function List:choose(section, bind, lines)
  local asked, scope, name = self.asked, self.asked.scope, section.name
  local rule_hosts, rule_paths = named(lines)
  local hosts = is_given(scope.hosts) and scope.hosts
    or asked.sample and asked.sample.host and { asked.sample.host } or { HOST, table.unpack(rule_hosts) }
  local paths = is_given(scope.paths) and scope.paths or { asked.sample and asked.sample.path or "/" }
  for _, source in ipairs(sources_of(asked, bind)) do
    for _, version in ipairs(versions_of(asked, bind)) do
      for i, host in ipairs(hosts) do
        for _, path in ipairs(paths) do
          self:add(name, bind, { host = host, path = path, source = source, version = version,
            extra = i > 1 and not is_given(scope.hosts) or nil })
        end
      end
    end
    self:choose_more(name, bind, source, hosts[1], paths[1], rule_paths)
  end
end

--- Questions for exceptions, outside of the scope, and from where a bypass lets through.
function List:choose_more(name, bind, source, host, path, rule_paths)
  local asked, scope = self.asked, self.asked.scope
  for _, other in ipairs(rule_paths) do
    self:add(name, bind, { host = host, path = other, source = source, extra = true })
  end
  if not is_given(scope.paths) and not is_given(scope.patterns) and not bind.is_passed_on then
    self:add(name, bind, { host = host, method = "OPTIONS", target = "*", source = source, extra = true })
  end
  for _, other in ipairs({ "/", OTHER_PATH }) do
    if M.is_in(scope, host, other) ~= true then
      self:add(name, bind, { host = host, path = other, source = source })
    end
  end
  if M.is_in(scope, OTHER_HOST, path) == false then
    self:add(name, bind, { host = OTHER_HOST, path = path, source = source })
  end
  for _, network in ipairs(asked.bypass) do
    local address = address_in(network)
    if address and (address:find(":", 1, true) ~= nil) == bind.is_v6 then
      self:add(name, bind, { host = host, path = path, source = address, from = true,
        wants = asked.replace and "open" or "as before" })
    end
  end
end

--- The questions for one URL, or one path, at one frontend.
function List:name(section, bind, url)
  local asked = self.asked
  local scheme, authority, path = url:match("^(https?)://([^/?#]*)([^#]*)")
  local host, port = (authority or ""):match("^(.-):?(%d*)$")
  port = tonumber(port) or scheme == "https" and 443 or 80
  if scheme and (port ~= bind.port or (scheme == "https") ~= bind.tls) then
    return false
  end
  path = path or url
  local hosts = host ~= "" and { authority } or { HOST }
  for _, source in ipairs(sources_of(asked, bind)) do
    for _, version in ipairs(versions_of(asked, bind)) do
      for _, one in ipairs(hosts) do
        self:add(section.name, bind, { host = one, path = path:sub(1, 1) == "/" and path or "/" .. path, source = source,
          version = version, named = true })
      end
    end
  end
  return true
end

--- The questions for all frontends of a configuration.
---@param found haplua.rules.Configuration
---@param asked haplua.rehearse.Asked
---@param environment table<string, string>
---@return haplua.rehearse.Question[] questions, string[] notes
function M.of(found, asked, environment)
  local list, notes, answered = setmetatable({ questions = {}, asked = asked, there = {} }, List), {}, {}
  for _, section in ipairs(found.sections) do
    if section.kind == "frontend" or section.kind == "listen" then
      local lines = configuration.lines(section)
      local binds, others = M.binds(lines, environment)
      local off = configuration.setting(lines, "disabled")
      if #others > 0 and not off then
        notes[#notes + 1] = ("frontend %s was not asked at %s"):format(section.name, table.concat(others, ", "))
      end
      for _, bind in ipairs(off and {} or is_given(asked.urls) and binds or chosen(binds)) do
        for _, url in ipairs(asked.urls) do
          answered[url] = list:name(section, bind, url) or answered[url]
        end
        if not is_given(asked.urls) then
          list:choose(section, bind, lines)
        end
      end
    end
  end
  for _, url in ipairs(asked.urls) do
    if not answered[url] then
      notes[#notes + 1] = url .. " was not asked: no frontend is at this port"
    end
  end
  return list.questions, notes
end

return M
