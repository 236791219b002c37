-- SPDX-License-Identifier: MIT
--
--- Fetches of HAProxy's configuration with their converters, as far as their value can be known of a request without
-- sending it. Facts: configuration manual, section 7; src/arg.c and src/sample.c; tried on 2.2 to 3.2.

local regex = require("haplua.regex")

local M = {}

---@class haplua.rules.Value  of a fetch and its converters
---@field found boolean?  nil: not known
---@field text string?  nil: not known
---@field number boolean?  it is matched as a number, unless a method is given
---@field is_path boolean?  it varies as a path does
---@field partial boolean?  the end of its text is known, which is the path
---@field varies boolean?  of what is not known: each visitor has another one. A visitor is usual for whom it is none of
--- those that the configuration looks for

---@class haplua.rules.World  what is supposed of a request, and of the list
---@field list haplua.rules.List
---@field holds boolean  does the list match the request?
---@field asked? fun(text: string, method: string?, insensitive: boolean?): boolean?  does the list match this value? For
--- values that are not the request's own
---@field read? fun(path: string): string?  the text of a file
---@field path string|false|nil  nil: not known; false: it has none, as that of `OPTIONS *`
---@field target string?  what the request asks for, where that is more or less than a path
---@field host string|false|nil  false: it names none
---@field method string?
---@field early boolean?  rules of `tcp-request` are asked
---@field tls boolean  does it come by TLS?
---@field rewritten boolean?  a rule has changed the path, or `asked` is to say of each value
---@field changed table<string, boolean>?  what else rules have changed: headers by their names, "src", "dst", "query"
---@field vars table<string, haplua.rules.Value>
---@field has_agent boolean?  a filter, such as that of SPOE, sets variables

---@class haplua.rules.List  the list of a switch
---@field file string?
---@field id string?  of `-u`
---@field places table<string, boolean>?  "FILE:LINE" of the lines that use it, by HAProxy's word
---@field is_file? fun(name: string): boolean  does a name in the configuration mean the list's file?

local UNKNOWN <const>, NOTHING <const>, FOUND <const> = {}, { found = false }, { found = true }
local VARIES <const> = { varies = true }

--- The value of a text.
---@param text string|false|nil  nil: not known; false: there is none
---@return haplua.rules.Value
local function known(text)
  return text and { found = true, text = text } or text == false and NOTHING or VARIES
end

M.UNKNOWN = UNKNOWN

--- Is this name in the configuration the list's file?
function M.is_list_file(list, name)
  return name ~= nil and (name == list.file or list.is_file ~= nil and list.is_file(name))
end

--- What the list says of a value.
---@param world haplua.rules.World
---@param value haplua.rules.Value
---@param method string?  how the list is matched here
---@param insensitive boolean?
---@return boolean?
function M.ask_list(world, value, method, insensitive)
  if not world.holds or value.found == false then
    return false
  elseif not world.rewritten then
    return true
  elseif value.text and world.asked then
    return world.asked(value.text, method, insensitive)
  end
end

-- What a backslash makes of the next character in an argument, outside of single quotes.
local escaped <const> = { n = "\n", r = "\r", t = "\t", ["\\"] = "\\", [" "] = " ", ['"'] = '"', ["'"] = "'" }

--- Read the arguments that begin after a parenthesis.
---@return string[] arguments, integer last  of the parenthesis that closes, or the end of the text
local function arguments_at(text, at)
  local arguments, one, quote = {}, {}, nil
  while at <= #text do
    local c = text:sub(at, at)
    local literal = c
    if c == "\\" and quote ~= "'" and escaped[text:sub(at + 1, at + 1)] then
      at = at + 1
      literal = escaped[text:sub(at, at)]
    elseif c == quote or not quote and (c == '"' or c == "'") then
      quote, literal = not quote and c or nil, nil
    elseif not quote and (c == "," or c == ")") then
      arguments[#arguments + 1], one, literal = table.concat(one), {}, nil
      if c == ")" then
        return arguments, at
      end
    end
    one[#one + 1] = literal
    at = at + 1
  end
  arguments[#arguments + 1] = table.concat(one)
  return arguments, #text
end

--- The parts of an expression: "path,map_reg(a,b)" has two.
---@return {name: string, arguments: string[]}[]
local function split(expression)
  local parts, at = {}, 1
  while at <= #expression + 1 do
    local name, after = expression:match("^([^,%(]*)()", at)
    local part = { name = name, arguments = {} }
    if expression:sub(after, after) == "(" then
      part.arguments, after = arguments_at(expression, after + 1)
      after = after + 1
    end
    parts[#parts + 1] = part
    at = (expression:find(",", after, true) or #expression + 1) + 1
  end
  return parts
end

-- Fetches.

local fetches = {}

--- Has a rule changed something of this name?
local function is_changed(world, name)
  return (world.changed or {})[name] == true
end

local ANY_PATH <const> = { varies = true, is_path = true }

--- The value of a path. What a rule has made of it in a way that was not read is no visitor's own.
local function path_of(world, text)
  return text == nil and (world.rewritten and UNKNOWN or ANY_PATH) or known(text)
end

function fetches.path(world)
  return path_of(world, world.path)
end

function fetches.base(world)
  if world.path and world.host == nil then
    return { varies = true, partial = true }
  elseif world.host == nil or world.path == nil or is_changed(world, "host") then
    return world.rewritten and UNKNOWN or VARIES
  end
  return known((world.host or "") .. (world.path or ""))
end

function fetches.url(world)
  if is_changed(world, "query") then
    return UNKNOWN
  end
  return path_of(world, world.target or world.path)
end

function fetches.method(world)
  -- HAProxy 2.2 has no method yet when it asks `tcp-request` rules
  return world.method and not world.early and known(world.method) or UNKNOWN
end

--- The value of a fetch of numbers, or of truths.
local function number(text)
  return { found = true, text = text, number = true }
end

function fetches.ssl_fc(world)
  return number(world.tls and "1" or "0")
end

function fetches.var(world, arguments)
  local name = arguments[1] or ""
  return world.vars[name] or name:find("^proc%.") and UNKNOWN or world.has_agent and VARIES or NOTHING
end

function fetches.str(_, arguments)
  return known(table.concat(arguments, ","))
end

function fetches.always_true()
  return number("1")
end

function fetches.always_false()
  return number("0")
end

function fetches.bool(_, arguments)
  local text = arguments[1]
  return number((text == "true" or tonumber(text) and tonumber(text) ~= 0) and "1" or "0")
end

function fetches.int(_, arguments)
  return number(arguments[1] or "")
end

-- What each visitor has of his own, by what a rule may change of it. The name of a header stands in the argument.
local OWN <const> = {
  header = [[req.hdr hdr req.fhdr fhdr req.hdr_cnt req.hdr_ip req.hdr_val req.fhdr_cnt hdr_cnt hdr_ip hdr_val req.cook cook
    req.cook_cnt req.cook_val cook_val cook_cnt http_auth http_auth_group]],
  src = "src src_port src_is_local",
  dst = "dst dst_port dst_is_local",
  query = "urlp url_param urlp_val query url_ip url_port",
  body = "req.body req.body_len req.body_param",
  connection = [[ssl_fc_sni ssl_c_used ssl_c_verify ssl_c_s_dn ssl_fc_has_sni ssl_fc_alpn ssl_fc_protocol req.ssl_sni
    req.ssl_ver req.ssl_hello_type req.ssl_alpn req.ver fc_http_major]],
}

for what, names in pairs(OWN) do
  for name in names:gmatch("%S+") do
    local header = name:find("cook", 1, true) and "cookie" or name:find("auth", 1, true) and "authorization"
    fetches[name] = function(world, arguments)
      local changed = what == "header" and (header or (arguments[1] or ""):lower()) or what
      if is_changed(world, changed) then
        return UNKNOWN
      elseif changed == "host" and (name == "hdr" or name == "req.hdr") then
        return world.host ~= nil and known(world.host) or { found = true, varies = true }
      end
      return VARIES
    end
  end
end

-- Converters of texts. nil: not known.

local converters = { lower = string.lower, upper = string.upper }

function converters.url_dec(text)
  local path, query = text:match("^([^?]*)(.*)$")
  if query:find("+", 1, true) then
    return nil
  end
  return ((path .. query):gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

--- The text that stands for a match: groups as \0 to \9.
local function expand(template, text, found)
  return (template:gsub("\\(.)", function(c)
    local first = c:find("%d") and found[2 * tonumber(c) + 1]
    if c:find("%d") then
      return first and text:sub(first, found[2 * tonumber(c) + 2]) or ""
    end
    return c
  end))
end

function converters.regsub(text, arguments)
  local flags, template = arguments[3] or "", arguments[2] or ""
  local expression = regex.compile(arguments[1] or "", flags:find("i") ~= nil, false, true)
  if not expression or template:find("\\x", 1, true) then
    return nil
  end
  local found, rest, inside = {}, text, false
  repeat
    local at = { expression:find(rest, inside) }
    if at[1] then
      found[#found + 1] = rest:sub(1, at[1] - 1) .. expand(template, rest, at)
      rest, inside = rest:sub(at[2] + 1), true
      if at[2] < at[1] then
        found[#found + 1], rest = rest:sub(1, 1), rest:sub(2)
      end
    end
  until not at[1] or not flags:find("g") or rest == ""
  return table.concat(found) .. rest
end

function converters.host_only(text)
  return (text:gsub(":%d*$", ""))
end

function converters.field(text, arguments)
  local wanted, delimiters = math.tointeger(tonumber(arguments[1])), arguments[2] or ""
  if not wanted or wanted < 1 or #delimiters ~= 1 or arguments[3] then
    return nil
  end
  local n = 0
  for one in (text .. delimiters):gmatch("([^" .. "%" .. delimiters .. "]*)%" .. delimiters) do
    n = n + 1
    if n == wanted then
      return one
    end
  end
  return ""
end

-- What a map's name says of its method: map_reg_int matches as -m reg. A plain map compares the whole.
local function method_of_map(name)
  return name:match("^map_(%l+)") or "str"
end

--- The value of a converter's result.
local function convert(world, value, name, arguments)
  if name:find("^map") and M.is_list_file(world.list, arguments[1]) then
    local truth = M.ask_list(world, value, method_of_map(name))
    if truth == nil then
      return arguments[2] and FOUND or UNKNOWN
    end
    return truth and { found = true, varies = true } or arguments[2] and known(arguments[2]) or NOTHING
  elseif name:find("^map") then
    local varies = value.varies and not value.is_path -- the map's file is not read
    return arguments[2] and { found = true, varies = varies } or varies and VARIES or UNKNOWN
  elseif value.found == false then
    return NOTHING
  elseif value.text and converters[name] then
    local text = converters[name](value.text, arguments)
    return text and known(text) or UNKNOWN
  elseif value.varies and not value.text and not (value.is_path and not converters[name]) then
    return value.is_path and value or VARIES
  end
  return UNKNOWN
end

--- The value of a fetch with its converters.
---@param world haplua.rules.World
---@param expression string
---@return haplua.rules.Value
function M.of(world, expression)
  local parts = split(expression)
  local name = parts[1].name
  local fetch = fetches[name] or name:find("^sc%d?_") and fetches.src or name:find("^src_") and fetches.src
  local value = fetch and fetch(world, parts[1].arguments) or UNKNOWN
  for i = 2, #parts do
    value = convert(world, value, parts[i].name, parts[i].arguments)
  end
  return value
end

return M
