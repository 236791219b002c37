-- SPDX-License-Identifier: MIT
--
--- Requests that an application may take for others that a scope covers, and which of them a frontend sends to the
-- application all the same: //shop where /shop is closed. Like the verdict, this claims nothing that it has not read.

local condition = require("haplua.rules.condition")
local configuration = require("haplua.rules.configuration")
local verdict = require("haplua.rules.verdict")

local M = {}

---@class haplua.rules.Detours  the requests of one frontend that a scope does not close, or of which that is not known
---@field open string[]
---@field unknown string[]
---@field case boolean?  one of the open ones is the same but for upper and lower case
---@field path boolean?  one of them is another spelling of a path

---@class haplua.rules.Probe  what is asked about one kind of scope
---@field scope haplua.Scope
---@field same table  fields of haplua.rules.World: a request that the scope names
---@field forms {text: string, case: boolean?, path: boolean?, url: boolean?, before: integer?}[]  others, with those
--- fields that differ

local function path(text)
  return { text = text, path = text, spelling = true }
end

local NO_PATH <const> = false

--- The scopes that are tried, by name. What a probe has as `before`: HAProxy 3.0 gives such a request the path /.
---@type table<string, haplua.rules.Probe>
M.probes = {
  paths = {
    scope = { paths = { "/shop" } },
    same = { path = "/shop", host = "www.example.com" },
    forms = {
      { text = "/SHOP", path = "/SHOP", case = true }, path("//shop"), path("/./shop"), path("/x/../shop"),
      path("/x/y/../../shop"), path("/x/%2e%2e/shop"), path("/%73hop"), path("/;x/shop"),
      { text = "GET http://www.example.com/shop", target = "http://www.example.com/shop" },
      { text = "HTTP/1.0 without Host", host = false },
    },
  },
  letters = { scope = { paths = { "/Shop" } }, same = { path = "/Shop", host = "www.example.com" }, forms = {} },
  hosts = {
    scope = { hosts = { "shop.example.com" } },
    same = { path = "/", host = "shop.example.com" },
    forms = {
      { text = "Host: SHOP.EXAMPLE.COM", host = "SHOP.EXAMPLE.COM", case = true },
      { text = "Host: shop.example.com.", host = "shop.example.com." },
      { text = "Host: shop.example.com:80", host = "shop.example.com:80" },
      { text = "Host: shop.example.com:8080", host = "shop.example.com:8080" },
      { text = "HTTP/1.0 without Host", host = false },
    },
  },
  site = {
    scope = {},
    same = { path = "/", host = "www.example.com" },
    forms = {
      { text = "OPTIONS *", method = "OPTIONS", path = NO_PATH, target = "*" },
      { text = "CONNECT www.example.com:80", method = "CONNECT", path = NO_PATH, target = "www.example.com:80",
        host = "www.example.com:80" },
      { text = "GET http://www.example.com", path = NO_PATH, target = "http://www.example.com", before = 3 },
      { text = "HTTP/1.0 without Host", host = false },
    },
  },
}

--- A function that says whether patterns match a value, as HAProxy matches them.
---@param patterns string[]
---@return fun(value: string, method: string, insensitive: boolean?): boolean?
local function matcher(patterns)
  return function(value, method, insensitive)
    for _, pattern in ipairs(patterns) do
      local truth = condition.match(method, value, pattern, insensitive)
      if truth ~= false then
        return truth
      end
    end
    return false
  end
end

--- The verdicts on a request, by the frontends' places in the configuration.
local function judge(found, asked, patterns, request, form)
  local one = { method = "GET", always_ask = true, asked = matcher(patterns) }
  for _, fields in ipairs({ request, form or {} }) do
    for name, value in pairs(fields) do
      one[name] = value
    end
  end
  return verdict.judge(found, setmetatable(one, { __index = asked }))
end

--- The detours round one scope, for each frontend that closes it.
---@param found haplua.rules.Configuration
---@param asked haplua.rules.Asked
---@param probe haplua.rules.Probe
---@param patterns string[]  those of the probe's scope in the list
---@param major integer  of HAProxy's version
---@return table<integer, haplua.rules.Detours>  by the frontend's place; none for a frontend that does not close the scope
function M.of(found, asked, probe, patterns, major)
  local detours = {}
  for i, one in ipairs(judge(found, asked, patterns, probe.same)) do
    detours[i] = one.state == "closed" and one.uses and { open = {}, unknown = {} } or nil
  end
  for _, form in ipairs(next(detours) and probe.forms or {}) do
    for i, one in ipairs((form.before or math.huge) > major and judge(found, asked, patterns, probe.same, form) or {}) do
      local list = detours[i] and (one.state == "open" and detours[i].open or one.state == "unknown" and detours[i].unknown)
      if list then
        list[#list + 1] = form.text
        detours[i].case = detours[i].case or form.case
        detours[i].path = detours[i].path or form.spelling
      end
    end
  end
  return detours
end

-- What makes of an odd path the one that an application may see: it decodes twice, and takes away ;parameters, double
-- slashes, /./ and /x/../, however deep (an expression that calls itself, which needs PCRE).
M.PLAIN = [[url_dec,url_dec,regsub(";[^/]*","",g),regsub("//+",/,g),regsub("(/[.])+(/|$)",/,g),]]
  .. [[regsub("(/(?![.]{2}(/|$))[^/]++(?1)*+/[.]{2})(?=/|$)","",g),regsub("^([^/]*)(/[.]{2})*(/|$)",\1/)]]

--- The lines of a section that declare the list as an ACL, as they would be for odd paths.
---@param section haplua.rules.Section
---@param list haplua.rules.List
---@return {name: string, line: string, odd: string, numbered: boolean}?  line: as it is, by a file where it has none
function M.declaration(section, list)
  for _, line in ipairs(configuration.lines(section)) do
    local parts = line.words
    local criterion = parts[1] == "acl" and parts[3] and condition.parse(table.move(parts, 3, #parts, 1, {}))
    if criterion and condition.uses(criterion, list, ("%s:%d"):format(line.file, line.line)) then
      local flags = ("-i -m %s -f %s"):format(criterion.method or "str", criterion.files[1] or "/etc/haproxy/maintenance.acl")
      return {
        name = parts[2], numbered = not criterion.files[1],
        line = ("acl %s %s %s"):format(parts[2], criterion.expression, flags),
        odd = ("acl %s '%s,%s' %s"):format(parts[2], (criterion.expression:gsub("^url", "path")), M.PLAIN, flags),
      }
    end
  end
end

return M
