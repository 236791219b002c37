-- SPDX-License-Identifier: MIT
--
--- The configuration file: the switches of an HAProxy, the windows of `window run`, the place of the journal, hooks.
-- It is Lua that returns a table, and runs without functions:
--
--   return {
--     switches = {
--       site = { acl = "/etc/haproxy/maintenance.acl", bypass = "/etc/haproxy/maintenance-bypass.acl",
--                info = "/etc/haproxy/maintenance.map", allow = { "192.0.2.0/24" } },
--       shop = { acl = "#9001" },
--       api = { map = "/etc/haproxy/api.map", bypass = "/etc/haproxy/api-bypass.map" },
--     },
--     default = "site",
--   }

local errors = require("haplua.error")
local options = require("haplua.base.options")
local scope = require("haplua.plan.scope")

local M = {}

M.PATH = "/etc/haplua/config.lua"
M.JOURNAL = "/var/lib/haplua/journal.db"

---@class haplua.Switch
---@field name string
---@field kind "acl"|"map"  of the list that decides, and of `bypass`
---@field acl string  the list that decides: an ACL ("#ID" or the file of its -f), or a map. Until context.resolve() it may
--- be an ACL's name
---@field given string?  the name for which `acl` stands
---@field bypass string?  the list of the clients that pass
---@field info string?  the map that tells visitors reason and end
---@field fetch string?  what the list looks at ("base", "path", ...), where HAProxy does not tell; of a map "base"
---@field allow string[]  the networks that pass when `on` names none
---@field file boolean|"in place"  keep the lists' files in step; "in place": write into them, do not replace them
---@field probes haplua.Probe[]?  asked as a visitor after each change
---@field hooks haplua.Hook[]?  programs that get each change; of servers and undeclared ACLs those of the configuration
---@field by_hand "keep"|"undo"  what the resident policy does with a change made by hand

---@class haplua.Config
---@field path string?  the file; nil: there is none
---@field journal string?
---@field journal_days number?  the age in days at which the journal forgets a change
---@field switches table<string, haplua.Switch>
---@field default string?
---@field by_hand "keep"|"undo"|nil  for every switch that does not say, also one that is not declared
---@field windows haplua.ConfiguredWindow[]  for `window run` without windows
---@field hooks haplua.Hook[]?  those of every switch
---@field has_hooks boolean?  it names hooks, for all switches or for one
---@field metrics string?  the file for Prometheus that `keep` writes
---@field fleet haplua.FleetConfig?  the fleet whose node this machine is

---@class haplua.ConfiguredWindow
---@field window string[]
---@field calendar string[]  .ics files, or folders of them
---@field match string?
---@field lenient boolean?  of a calendar, events that cannot be read are left out
---@field tz string?
---@field except string[]
---@field lead number?  minutes
---@field switch string?
---@field paths string[]?
---@field hosts string[]?
---@field patterns string[]?
---@field bypass string[]?
---@field reason string?

-- A Lua program has no bound on its time and memory; a configuration has these.
local STEPS = 100000
local KILOBYTES = 16384

local function complain(path, form, ...)
  errors.refuse(("%s: %s"):format(path, form:format(...)), "haplua(1) lists what may stand in this file")
end

-- What the fields may be.

local text = options.where("a line of text that is not empty", function(value)
  return type(value) == "string" and value ~= "" and not value:find("%c")
end)
local texts = options.list(text)
local by_hand = options.one_of("keep", "undo")
local minutes = options.where("a number of minutes", function(value)
  return type(value) == "number" and value >= 0 and value < 1e6
end)

local days = options.where("a number of days from 1 on", function(value)
  return type(value) == "number" and value >= 1 and value < 1e6
end)

local fields = {
  journal = text, journal_days = days, switches = "table", default = text, by_hand = by_hand, windows = options.list("table"),
  hooks = "table", metrics = text, fleet = "table",
}

local window_fields = {
  window = options.any(text, texts), calendar = options.any(text, texts), match = text, lenient = "boolean", tz = text,
  except = options.any(text, texts), lead = minutes, switch = text, paths = texts, hosts = texts, patterns = texts,
  bypass = texts, reason = text,
}

local fetch = options.where('what an ACL looks at: "path", "base", "url", "hdr(host)", "ssl_fc_sni" or "src"', function(value)
  return type(value) == "string" and scope.kind(value) ~= nil
end)

local switch_fields = {
  acl = text, map = text, bypass = text, info = text, fetch = fetch, allow = texts, by_hand = by_hand, probe = "table",
  hooks = "table",
  file = options.any("boolean", options.one_of("in place")),
}

--- Refuse a table that has other fields than these, or values of other kinds.
local function check(path, where, found, kinds)
  local problem = options.problem(found, kinds)
  if problem then
    complain(path, "%s: %s", where, problem)
  end
end

--- A reference in its one spelling: HAProxy takes "#09999" for "#9999".
---@param ref string?
---@return string?
local function canonical(ref)
  return ref and (ref:gsub("^#0+(%d+)$", "#%1"))
end

--- Is a reference of a switch the name of an ACL in HAProxy's configuration, by its form? "servers" stands for servers.
---@param ref string?
---@return boolean
function M.is_name(ref)
  return ref ~= nil and ref ~= "servers" and not ref:find("^[#/]") and not ref:find("^%d+$")
end

---@return haplua.Switch
local function new_switch(name, declared, config)
  return {
    name = name,
    kind = declared.map and "map" or "acl",
    acl = canonical(declared.acl or declared.map),
    bypass = canonical(declared.bypass),
    info = canonical(declared.info),
    fetch = declared.fetch or declared.map and "base",
    allow = declared.allow or {},
    file = declared.file == nil or declared.file,
    -- what a hand changes on one node of a fleet is in no store of the fleet
    by_hand = declared.by_hand or config.by_hand or config.fleet and "undo" or "keep",
    probes = declared.probe and require("haplua.visit.probe").list(declared.probe),
    hooks = declared.hooks and require("haplua.hooks.declaration").list(declared.hooks, config.path, config.hooks)
      or config.hooks,
  }
end

--- Run the text, without functions and within STEPS and KILOBYTES.
local function evaluate(path, source)
  local chunk, problem = load(source, "@" .. path, "t", {})
  if not chunk then
    complain(path, "%s", (problem:gsub("^" .. path:gsub("%p", "%%%0") .. ":", "line ")))
  end
  local thread = coroutine.create(chunk)
  local steps, most = 0, collectgarbage("count") + KILOBYTES
  debug.sethook(thread, function()
    steps = steps + 1
    if steps > STEPS then
      error("it does not come to an end", 0)
    elseif collectgarbage("count") > most then
      error("it grows too large", 0)
    end
  end, "", 1)
  -- without this, ("x"):rep(n) would call a function
  local strings = getmetatable("")
  local methods = strings.__index
  strings.__index = nil
  local ok, found = coroutine.resume(thread)
  strings.__index = methods
  if not ok and errors.is(found) then
    error(found, 0) -- an interruption, which a signal raises anywhere
  elseif not ok then
    complain(path, "%s", tostring(found))
  end
  return found
end

--- One text, or a list of them, as a list.
local function listed(value)
  return type(value) == "string" and { value } or value or {}
end

---@return haplua.ConfiguredWindow[]
local function read_windows(path, config, found)
  local windows = {}
  for i, declared in ipairs(found or {}) do
    local where = ("window %d"):format(i)
    check(path, where, declared, window_fields)
    if not declared.window and not declared.calendar then
      complain(path, "%s: 'window' or 'calendar' is missing", where)
    elseif declared.switch and not config.switches[declared.switch] then
      complain(path, "%s: there is no switch '%s'", where, declared.switch)
    end
    local copy = {}
    for key, value in pairs(declared) do
      copy[key] = value
    end
    copy.window, copy.calendar, copy.except = listed(declared.window), listed(declared.calendar), listed(declared.except)
    windows[i] = copy
  end
  return windows
end

--- The hooks of a declaration.
---@param where string  for messages: "" or "switch 'site': "
local function read_hooks(path, where, declared)
  local hooks = require("haplua.hooks.declaration")
  local problem = hooks.problem(declared)
  return problem and complain(path, "%s%s", where, problem) or hooks.list(declared, path)
end

local function read_switches(path, config, found)
  local used = {}
  for name, declared in pairs(found or {}) do
    local where = ("switch '%s'"):format(tostring(name))
    if not options.fits(text, name) then
      complain(path, "%s: a switch has a name", where)
    end
    check(path, where, declared, switch_fields)
    local list = canonical(declared.acl or declared.map)
    if not list then
      complain(path, "%s: 'acl' or 'map' is missing", where)
    elseif declared.acl and declared.map then
      complain(path, "%s: 'acl' and 'map': one list decides", where)
    elseif declared.map and declared.info then
      complain(path, "%s: 'info' beside 'map': the map tells visitors itself", where)
    elseif used[list] then
      complain(path, "%s has the %s of switch '%s'", where, declared.map and "map" or "ACL", used[list])
    elseif canonical(declared.bypass) == list then
      complain(path, "%s: 'bypass' is its '%s': what closes for one would let all others pass", where,
        declared.map and "map" or "acl")
    elseif #(declared.allow or {}) > 0 and not declared.bypass then
      complain(path, "%s: 'allow' needs a 'bypass'", where)
    end
    local problem = declared.probe and require("haplua.visit.probe").problem(declared.probe)
    if problem then
      complain(path, "%s: %s", where, problem)
    end
    config.has_hooks = declared.hooks and read_hooks(path, where .. ": ", declared.hooks) ~= nil or config.has_hooks
    used[list] = name
    config.switches[name] = new_switch(name, declared, config)
  end
end

--- Read a configuration from its text.
---@param path string  for messages
---@param source string
---@return haplua.Config  raises `refused`
function M.parse(path, source)
  local found = evaluate(path, source)
  check(path, "the configuration", found, fields)
  local config = {
    path = path, journal = found.journal, journal_days = found.journal_days, default = found.default,
    by_hand = found.by_hand, switches = {}, metrics = found.metrics,
    hooks = found.hooks and read_hooks(path, "", found.hooks),
  }
  if found.fleet then
    local fleet, problem = require("haplua.store.fleet_config").of(found.fleet)
    config.fleet = fleet or complain(path, "%s", problem)
  end
  config.has_hooks = config.hooks and true
  read_switches(path, config, found.switches)
  if config.default and not config.switches[config.default] then
    complain(path, "there is no switch '%s' to be the default", config.default)
  end
  config.windows = read_windows(path, config, found.windows)
  return config
end

--- A variable of the environment. An empty one counts as unset.
---@param name string
---@return string?
function M.env(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

-- What peek() has read, for the next source().
local peeked ---@type {chosen: string?, source: string?, place: string}?

--- The text of the configuration: of the given file, else of $HAPLUA_CONFIG ("none": there is none), else of
-- /etc/haplua/config.lua, which may be missing.
---@param path string?
---@return string? source, string path  nil: there is no configuration. Raises `refused`
function M.source(path)
  local known, chosen = peeked, path or M.env("HAPLUA_CONFIG")
  peeked = nil
  if known and known.chosen == chosen then
    return known.source, known.place
  end
  if chosen == "none" then
    return nil, chosen
  end
  local f <close>, problem, code = io.open(chosen or M.PATH, "rb")
  if not f then
    if not chosen and code == 2 then
      return nil, M.PATH
    end
    complain(chosen or M.PATH, "%s", problem:match(": (.*)$"))
  end
  return f:read("a") or complain(chosen or M.PATH, "cannot be read"), chosen or M.PATH
end

--- The text of the configuration, for a look at it before it is read: the next source() returns this text, and opens no file.
---@param path string?
---@return string? source, string place  raises `refused`
function M.peek(path)
  local source, place = M.source(path)
  peeked = { chosen = path or M.env("HAPLUA_CONFIG"), source = source, place = place }
  return source, place
end

--- Read a configuration from what source() returns.
---@param source string?
---@param place string
---@return haplua.Config  raises `refused`
function M.of(source, place)
  return source and M.parse(place, source) or { switches = {}, windows = {} }
end

--- Read the configuration, from the place that source() names.
---@param path string?
---@return haplua.Config  raises `refused`
function M.read(path)
  return M.of(M.source(path))
end

--- The names of the switches, in order.
---@param config haplua.Config
---@return string[]
function M.names(config)
  return require("haplua.base.lists").keys(config.switches)
end

--- Find a switch: by its name, by its ACL or $HAPLUA_ACL, else the default or the only one. An ACL that is not declared
-- is a switch as well.
---@param config haplua.Config
---@param name string?
---@param acl string?
---@return haplua.Switch  raises `refused`
function M.switch(config, name, acl)
  local names = M.names(config)
  if name then
    return config.switches[name] or complain(config.path or "there is no configuration file", "no switch '%s'%s", name,
      #names > 0 and ": there are " .. table.concat(names, ", ") or "")
  end
  acl = canonical(acl or M.env("HAPLUA_ACL"))
  for _, switch in pairs(config.switches) do
    if switch.acl == acl then
      return switch
    end
  end
  local only = config.default or #names == 1 and names[1]
  if acl or #names == 0 then
    return new_switch(acl or "#9999", { acl = acl or "#9999" }, config)
  elseif not only then
    complain(config.path, "which switch? --switch takes one of %s", table.concat(names, ", "))
  end
  return config.switches[only]
end

return M
