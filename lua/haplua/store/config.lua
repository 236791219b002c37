-- SPDX-License-Identifier: MIT
--
--- The configuration file: which switches there are on an HAProxy, and where the journal is.
-- Plain Lua that returns a table, run with no functions at hand:
--
--   return {
--     switches = {
--       site = { acl = "/etc/haproxy/maintenance.acl", bypass = "/etc/haproxy/maintenance-bypass.acl",
--                info = "/etc/haproxy/maintenance.map", allow = { "192.0.2.0/24" } },
--       shop = { acl = "#9001" },
--     },
--     default = "site",
--   }

local M = {}

M.PATH = "/etc/haplua/config.lua"
M.JOURNAL = "/var/lib/haplua/journal.db"

---@class haplua.Switch
---@field name string
---@field acl string  the ACL that decides: "#ID" or the file of its -f
---@field bypass string?  the ACL of the clients that pass
---@field info string?  the map of what visitors are told
---@field fetch string?  what the ACL looks at ("base", "path", ...), where HAProxy does not tell
---@field allow string[]  who passes when `on` names nobody
---@field file boolean  keep the ACL's file in step (when it has one)
---@field by_hand "keep"|"undo"  what the resident policy does with a change made by hand

---@class haplua.Config
---@field path string?  the file; nil: there is none
---@field journal string?  the configured path
---@field switches table<string, haplua.Switch>
---@field default string?
---@field windows haplua.ConfiguredWindow[]  what `window run` runs when it is given none

---@class haplua.ConfiguredWindow
---@field window string[]?
---@field calendar string[]?  .ics files, or folders of them
---@field match string?
---@field tz string?
---@field except string[]?
---@field lead number?  minutes
---@field switch string?
---@field paths string[]?
---@field hosts string[]?
---@field patterns string[]?
---@field bypass string[]?
---@field reason string?

-- Lua runs as long as it likes, and takes what memory it can get; a configuration does not.
local STEPS = 100000
local KILOBYTES = 16384

local function complain(path, message)
  error(require("haplua.error").new({
    kind = "refused",
    message = ("%s: %s"):format(path, message),
    advice = "docs/maintenance.md says what may stand in this file",
  }), 0)
end

--- Hold a table against the types that its fields may have.
local function check_fields(path, where, found, types)
  if type(found) ~= "table" then
    complain(path, ("%s: a table expected, not a %s"):format(where, type(found)))
  end
  for key, value in pairs(found) do
    local wanted = types[key]
    if not wanted then
      complain(path, ("%s: there is no option '%s'"):format(where, tostring(key)))
    elseif type(wanted) == "function" and not wanted(value) or type(wanted) == "string" and type(value) ~= wanted then
      complain(path, ("%s: '%s' cannot be %s"):format(where, key, type(value) == "table" and "that table"
        or ("'%s'"):format(tostring(value))))
    end
  end
end

local function is_text(value)
  return type(value) == "string" and value ~= "" and not value:find("%c")
end

local function is_list(value)
  if type(value) ~= "table" then
    return false
  end
  for key, item in pairs(value) do
    if math.type(key) ~= "integer" or key > #value or not is_text(item) then
      return false
    end
  end
  return true
end

local function is_way(value)
  return value == "keep" or value == "undo"
end

local function is_text_or_list(value)
  return is_text(value) or is_list(value)
end

local top = { journal = is_text, switches = "table", default = is_text, by_hand = is_way, windows = "table" }

local window_fields = {
  window = is_text_or_list, calendar = is_text_or_list, match = is_text, tz = is_text, except = is_text_or_list,
  lead = "number", switch = is_text, paths = is_list, hosts = is_list, patterns = is_list, bypass = is_list,
  reason = is_text,
}

local switch_fields = {
  acl = is_text, bypass = is_text, info = is_text, fetch = is_text, allow = is_list, file = "boolean",
  by_hand = is_way,
}

---@return haplua.Switch
local function make(name, fields, by_hand)
  return {
    name = name,
    acl = fields.acl,
    bypass = fields.bypass,
    info = fields.info,
    fetch = fields.fetch,
    allow = fields.allow or {},
    file = fields.file ~= false,
    by_hand = fields.by_hand or by_hand or "keep",
  }
end

--- Run the text, without functions and without an end that does not come.
local function evaluate(path, text)
  local chunk, problem = load(text, "@" .. path, "t", {})
  if not chunk then
    complain(path, (problem:gsub("^" .. path:gsub("%p", "%%%0") .. ":", "line ")))
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
  -- strings bring functions along
  local strings = getmetatable("")
  local methods = strings.__index
  strings.__index = nil
  local ok, found = coroutine.resume(thread)
  strings.__index = methods
  if not ok then
    complain(path, tostring(found))
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
  for i, fields in ipairs(found or {}) do
    local where = ("window %d"):format(i)
    check_fields(path, where, fields, window_fields)
    if not fields.window and not fields.calendar then
      complain(path, where .. ": 'window' or 'calendar' is missing")
    elseif fields.switch and not config.switches[fields.switch] then
      complain(path, ("%s: there is no switch '%s'"):format(where, fields.switch))
    end
    local copy = {}
    for key, value in pairs(fields) do
      copy[key] = value
    end
    copy.window, copy.calendar, copy.except = listed(fields.window), listed(fields.calendar), listed(fields.except)
    windows[i] = copy
  end
  return windows
end

--- Read a configuration from its text.
---@param path string  for messages
---@return haplua.Config
function M.parse(path, text)
  local found = evaluate(path, text)
  check_fields(path, "the configuration", found, top)
  local config = { path = path, journal = found.journal, default = found.default, switches = {} }
  local used = {}
  for name, fields in pairs(found.switches or {}) do
    local where = ("switch '%s'"):format(tostring(name))
    if not is_text(name) then
      complain(path, where .. ": a switch has a name")
    end
    check_fields(path, where, fields, switch_fields)
    if not fields.acl then
      complain(path, where .. ": 'acl' is missing")
    elseif used[fields.acl] then
      complain(path, ("%s has the ACL of switch '%s'"):format(where, used[fields.acl]))
    elseif #(fields.allow or {}) > 0 and not fields.bypass then
      complain(path, where .. ": 'allow' needs a 'bypass'")
    end
    used[fields.acl] = name
    config.switches[name] = make(name, fields, found.by_hand)
  end
  if config.default and not config.switches[config.default] then
    complain(path, ("there is no switch '%s' to be the default"):format(config.default))
  end
  config.windows = read_windows(path, config, found.windows)
  return config
end

--- Read the configuration: the given file, else $HAPLUA_CONFIG ("none": there is none), else
-- /etc/haplua/config.lua, which may be missing.
---@param path string?
---@return haplua.Config
function M.read(path)
  local chosen = path or os.getenv("HAPLUA_CONFIG")
  if chosen == "none" then
    return { switches = {}, windows = {} }
  end
  local f <close>, problem, code = io.open(chosen or M.PATH, "rb")
  if not f then
    if not chosen and code == 2 then
      return { switches = {}, windows = {} }
    end
    complain(chosen or M.PATH, problem:match(": (.*)$"))
  end
  local text = f:read("a")
  if not text then
    complain(chosen or M.PATH, "cannot be read")
  end
  return M.parse(chosen or M.PATH, text)
end

local function names(config)
  local list = {}
  for name in pairs(config.switches) do
    list[#list + 1] = name
  end
  table.sort(list)
  return list
end
M.names = names

--- The switch that is meant: by its name, by its ACL, or the only one that there can be.
---@param config haplua.Config
---@param name string?
---@param acl string?
---@return haplua.Switch
function M.switch(config, name, acl)
  if name then
    return config.switches[name] or complain(config.path or "there is no configuration file",
      ("no switch '%s'%s"):format(name, #names(config) > 0 and ": there are " .. table.concat(names(config), ", ") or ""))
  end
  acl = acl or os.getenv("HAPLUA_ACL")
  for _, switch in pairs(config.switches) do
    if switch.acl == acl then
      return switch
    end
  end
  local only = config.default or #names(config) == 1 and names(config)[1]
  if acl or #names(config) == 0 then
    return make(acl or "#9999", { acl = acl or "#9999" })
  elseif not only then
    complain(config.path, ("which switch? --switch takes one of %s"):format(table.concat(names(config), ", ")))
  end
  return config.switches[only]
end

return M
