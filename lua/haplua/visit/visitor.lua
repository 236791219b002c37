-- SPDX-License-Identifier: MIT
--
--- One HTTP request, as a visitor's client makes it, over a connection of its own.
-- No proxy, netrc, cookie or redirect is used; only http and https. The body is read up to 64 KiB, and thrown away.

local error = require("haplua.error")
local inet = require("haplua.inet")
local options = require("haplua.base.options")

local M = {}

local function line(what)
  return options.where(what .. " without control characters", function(value)
    return type(value) == "string" and value ~= "" and not value:find("%c")
  end)
end

--- The parts of "IP", "IP:PORT", "[IP]" or "[IP]:PORT"; nothing where the text is no such address.
---@param text any
---@return string? ip, string? port  port "": none was given
local function split_address(text)
  if type(text) ~= "string" then
    return nil
  end
  local ip, port = text:match("^%[([%x:.]+)%]:?(%d*)$")
  if not ip and inet.bytes(text) then
    ip, port = text, ""
  elseif not ip then
    ip, port = text:match("^([%d.]+):(%d+)$")
  end
  local number = tonumber(port)
  if ip and inet.bytes(ip) and (port == "" or number >= 1 and number <= 65535) then
    return ip, port
  end
end
M.split_address = split_address

-- The options of ask(), and what each may be.
M.kinds = {
  url = options.where("a URL of http:// or https://, without a user's name, blanks and control characters",
    function(value)
      return type(value) == "string" and value:find("^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@%s%c]+") ~= nil
        and not value:find("[%s%c]") and not value:match("^%a+://([^/?#]*)"):find("@", 1, true)
    end),
  address = options.where("IP or IP:PORT; IPv6 with a port as [IP]:PORT", function(value)
    return split_address(value) ~= nil
  end),
  source = options.where("an IP address", function(value)
    return type(value) == "string" and inet.bytes(value) ~= nil
  end),
  method = options.where("the name of a method, such as GET", function(value)
    return type(value) == "string" and value:find("^[%w!#$%%&'*+.^_`|~-]+$") ~= nil
  end),
  headers = "table",
  host = line("a text"),
  version = options.one_of("1.0", "1.1", "2"),
  target = line("a text"),
  insecure = "boolean",
  ca = line("a path"),
  cert = line("a path"),
  key = line("a path"),
  follow = "boolean",
  proxied = "boolean",
  within = options.where("seconds over 0", function(value)
    return type(value) == "number" and value > 0 and value - value == 0
  end),
}

local function misuse(text)
  options.misuse("visitor.ask", text)
end

--- The lines for libcurl: "Name: value"; "Name;" for an empty value; "Name:" leaves out a header that it would send.
local function header_lines(given, host)
  local lines = {}
  for name, value in pairs(given or {}) do
    if math.type(name) == "integer" then
      name, value = tostring(value):match("^([^:]+):[ \t]*(.*)$")
    end
    if type(name) ~= "string" or not name:find("^[%w!#$%%&'*+.^_`|~-]+$") then
      misuse("headers: a name is a token, such as X-Forwarded-For, or the element a text 'NAME: VALUE'")
    elseif value ~= false and (type(value) ~= "string" or value:find("[%c]") and value:find("[^\t%C]")) then
      misuse(("headers: %s: a text without control characters expected, or false to leave it out"):format(name))
    end
    lines[#lines + 1] = value == false and name .. ":" or value == "" and name .. ";" or ("%s: %s"):format(name, value)
  end
  table.sort(lines)
  if host then
    lines[#lines + 1] = "Host: " .. host
  end
  return lines
end

--- Where the URL of a request over TLS names an address, `host` is the name for TLS, too. The URL with that name, and
-- where to connect.
local function named_url(given)
  local scheme, authority, rest = given.url:match("^(%a+)://([^/?#]*)(.*)$")
  local ip, port = split_address(authority)
  if scheme:lower() ~= "https" or not given.host or not ip or given.address then
    return given.url, given.address
  end
  local name = given.host:gsub(":%d*$", "")
  return ("https://%s%s%s"):format(name, port ~= "" and ":" .. port or "", rest), authority
end

--- For libcurl: any host and any port -> this address.
local function connect_to(address)
  if not address then
    return nil
  end
  local ip, port = split_address(address)
  return ("::%s:%s"):format(ip:find(":", 1, true) and "[" .. ip .. "]" or ip, port)
end

--- The head of a response as a table.
local function read_head(head)
  local version, status = head:match("^HTTP/(%S+) +(%d%d%d)")
  local headers = {}
  for name, value in head:gmatch("\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    name, value = name:lower(), value:gsub("[ \t]+$", "")
    headers[name] = headers[name] and ("%s, %s"):format(headers[name], value) or value
  end
  return version, math.tointeger(tonumber(status)), headers
end

local phases = {
  resolve = "the name was not resolved within %g s",
  connect = "no connection within %g s",
  write = "the request was not taken within %g s",
}

-- What to do where the connection is there and TLS is not.
local advices = {
  certificate = "The certificate is checked against the name in the URL and against %s. `ca` names a file with another "
    .. "authority, `address` an address apart from the URL's name; `insecure` asks without a check.",
  handshake = "Is the port one for TLS? If not, write http:// in the URL.",
  files = "The files of `ca`, `cert` and `key` hold PEM, and this user reads them; a key has no pass phrase.",
}

--- Raise the error object for a request that failed.
local function raise(given, outcome, within)
  local message = outcome.message
  if outcome.kind == "url" then
    misuse(("url: %s: %s"):format(error.visible(given.url), message))
  elseif outcome.kind == "timeout" then
    message = (phases[outcome.phase] or "no whole answer within %g s"):format(within)
  elseif outcome.tls then
    message = "no TLS: " .. message
  elseif outcome.kind == "unreachable" and outcome.phase == "connect" then
    message = "no connection: " .. message
  end
  local advice = advices[outcome.tls]
  _G.error(error.new{
    kind = outcome.kind, message = message, phase = outcome.phase, code = outcome.code,
    command = ("%s %s"):format(given.method or "GET", given.url),
    target = given.address or given.url:match("^%a+://([^/?#]*)"),
    advice = advice and advice:format(given.ca or "the system's authorities"),
  }, 0)
end

---@class haplua.visit.Request
---@field url string  http:// or https://; its path is sent as it stands
---@field address? string  IP or IP:PORT: connect there, whatever the URL names
---@field source? string  an IP address of this machine: connect from there
---@field method? string  default GET
---@field headers? table  { [NAME] = VALUE }, or "NAME: VALUE"; false leaves out one that would be sent
---@field host? string  the header Host (HTTP/2: :authority). For https with an address in the URL, the name for TLS, too
---@field version? "1.0"|"1.1"|"2"  default 1.1; for https also 2, as the server likes. "2" without TLS: from the first byte
---@field target? string  the request's target in the place of the URL's path, such as "*"
---@field insecure? boolean  do not check the server's certificate
---@field ca? string  a file of authorities, in the place of the system's
---@field cert? string  a file with the client's certificate (PEM)
---@field key? string  and its key, where that is in another file
---@field follow? boolean  go after redirects, 10 at most; default false
---@field proxied? boolean  begin with a line of PROXY's protocol (version 1), as a proxy before HAProxy does
---@field within? number  seconds for all of it; default 5

---@class haplua.visit.Response
---@field status integer
---@field version string  "1.0", "1.1", "2": of the response
---@field headers table<string, string>  by the name in lower case; several of a name are joined by ", "
---@field source string?  the address that the request came from, on this machine
---@field seconds number  from the start to the end of the response

--- Ask. Waits; other tasks run meanwhile.
---@param given haplua.visit.Request
---@return haplua.visit.Response
function M.ask(given)
  options.check("visitor.ask", given, M.kinds)
  if not given.url then
    misuse("the option 'url' is missing")
  end
  local url, address = named_url(given)
  local within = given.within or 5
  local outcome = require("haplua.visit.curl").ask{
    url = url, connect = connect_to(address), source = given.source and "host!" .. given.source,
    method = given.method ~= "GET" and given.method or nil, target = given.target,
    headers = header_lines(given.headers, given.host), version = given.version, insecure = given.insecure,
    ca = given.ca, cert = given.cert, key = given.key, follow = given.follow, proxied = given.proxied,
    within = within,
  }
  if outcome.kind then
    raise(given, outcome, within)
  end
  local version, status, headers = read_head(outcome.head)
  if not status then
    outcome.kind, outcome.phase, outcome.message = "protocol", "read", "the answer has no status line of HTTP"
    raise(given, outcome, within)
  end
  return { status = status, version = version, headers = headers, seconds = outcome.seconds, source = outcome.source }
end

return M
