-- SPDX-License-Identifier: MIT
--
--- A fake HAProxy: takes the bytes of one connection to the admin socket, returns those of the answer.
-- It has no socket and no clock of its own, and keeps its state in one table. It answers as a given version between
-- 2.2 and 3.2 does, where haplua and policies depend on it; every other command is an unknown command.
-- docs/testing.md lists the commands.

local options = require("haplua.base.options")
local lists = require("haplua.test.lists")
local servers = require("haplua.test.servers")

local M = {}

local ERROR, INFO = 3, 6

local full_versions = { ["2.2"] = "2.2.9", ["2.6"] = "2.6.12", ["3.0"] = "3.0.11", ["3.2"] = "3.2.26" }

---@class haplua.test.HAProxy
---@field version string
---@field pid integer
---@field log string[]  the commands that it has received, without `set severity-output` and `set timeout`
---@field delay number  seconds that an answer takes; math.huge: there is no answer
---@field missing string?  nil: it listens. Else the error of connect(): "ECONNREFUSED", "ENOENT", "ECONNRESET" or "EACCES"
local Fake = {}
Fake.__index = Fake

--- A misspelt field would have no effect.
function Fake.__newindex(fake, name, value)
  if Fake[name] == nil and name ~= "missing" and name ~= "severity" then
    servers.no_field("a fake HAProxy", name, { "missing" }, Fake, fake)
  end
  rawset(fake, name, value)
end

local list_of_texts = options.list("text")
local known = {
  version = "text", acls = "table", maps = "table", servers = "table", backends = list_of_texts, frontends = list_of_texts,
  level = options.one_of("user", "operator", "admin"), address = "text", pid = "integer",
  now = "function", steady = "function", read = "function", announce = "function",
}
local codes = options.one_of("ECONNREFUSED", "ENOENT", "ECONNRESET", "EACCES")

local function read_file(path)
  local f <close> = io.open(path, "rb")
  return f and f:read("a")
end

---@class haplua.test.ACL
---@field fetch string?  what the ACL looks at; "path" unless given
---@field match string|string[]|nil  the method after `-m`; the usual one of the fetch unless given
---@field insensitive boolean?  -i
---@field entries string[]?  at the start, if the ACL has no file that can be read

---@class haplua.test.HAProxyOptions
---@field version string?  "2.2", "2.6" (unless given), "3.0", "3.2", or in full: "2.6.12-1+deb12u4"
---@field acls table<string, haplua.test.ACL>?  by "#ID" or file name
---@field maps table<string, {match: string|string[]|nil, entries: table?}>?  by file name
---@field servers table?  {"app/a1", ...}, or {["app/a1"] = {addr=, port=, weight=, disabled=, check=}}
---@field backends string[]?  besides those of the servers
---@field frontends string[]?
---@field level "user"|"operator"|"admin"|nil  of the socket; admin unless given
---@field pid integer?
---@field now (fun(): number)?  the wall clock: seconds since 1970
---@field steady (fun(): number)?  a monotonic clock: seconds
---@field read (fun(path: string): string?)?  reads a list's file; it returns nil if there is none
---@field announce (fun(address: string?))?  called after a reload, and after set_acl()

---@param given haplua.test.HAProxyOptions?
---@return haplua.test.HAProxy
function M.new(given)
  given = given or {}
  options.check("test.haproxy", given, known)
  local version = given.version or "2.6"
  version = full_versions[version] or version
  local major, minor = version:match("^(%d+)%.(%d+)")
  if not major then
    error(("test.haproxy: '%s' is no version such as '2.6'"):format(version), 2)
  end
  local fake = {
    version = version, minor_version = tonumber(major) * 100 + tonumber(minor), pid = given.pid or 1001, log = {}, delay = 0,
    level = given.level or "admin", now = given.now or os.time, steady = given.steady or given.now or os.time,
    read = given.read or read_file, announce = given.announce or function() end,
    frontends = given.frontends or { "www" }, address = given.address, options = given,
  }
  Fake.start(fake)
  return setmetatable(fake, Fake)
end

--- Begin as a new process: forget what was done at runtime, and read the files again.
function Fake:start()
  local given = self.options
  self.started, self.began, self.references, self.line = self.now(), self.steady(), 0, 10
  self.base = 0x55e3a0000000 + self.pid * 0x10000
  self.lists = lists.make(self, given.acls or {}, given.maps or {})
  self.server_list, self.backends = servers.make(self, given.servers or {})
  for _, name in ipairs(given.backends or {}) do
    table.insert(self.backends, { name = name, id = #self.backends + 3, servers = 0 })
  end
end

--- Reload HAProxy, or restart it: a new process takes over.
function Fake:reload()
  self.pid = self.pid + 17
  self:start()
  self.announce(self.address)
end

--- Let every connection fail from now on.
---@param code "ECONNREFUSED"|"ENOENT"|"ECONNRESET"|"EACCES"|nil  the error of connect(); ECONNREFUSED unless given
function Fake:down(code)
  options.argument("down", "the code", code or "ECONNREFUSED", codes)
  self.missing = code or "ECONNREFUSED"
end

--- Listen again, as a new process.
function Fake:up()
  self.missing = nil
  self:reload()
end

local function the_list(fake, kind, ref)
  local list = lists.find(fake, kind, ref)
  if not list then
    error(("the fake HAProxy has no %s '%s'"):format(kind, tostring(ref)), 3)
  end
  return list
end

--- The patterns of an ACL that are in force.
---@param ref string  as in the options: "#9999", or a file name
---@return string[]
function Fake:acl(ref)
  local list, patterns = the_list(self, "acl", ref), {}
  for _, entry in ipairs(list.entries) do
    if entry.version == list.current then
      patterns[#patterns + 1] = entry.key
    end
  end
  return patterns
end

--- Replace the patterns of an ACL, as another client would. Raises what HAProxy says of a pattern that it refuses.
---@param ref string
---@param patterns string[]
function Fake:set_acl(ref, patterns)
  options.argument("set_acl", "patterns", patterns, list_of_texts)
  local list = the_list(self, "acl", ref)
  lists.clear(self, "acl", { "#" .. list.id })
  for _, pattern in ipairs(patterns) do
    local refusal = lists.add(self, "acl", { "#" .. list.id, pattern })
    if refusal ~= "" then
      error((refusal:gsub("\n$", "")), 2)
    end
  end
  self.announce(self.address)
end

--- Does a request match the ACL?
---@param ref string
---@param value string|number  what the ACL looks at: the path, the client's address, ...
---@return boolean
function Fake:matches(ref, value)
  options.argument("matches", "value", value, "word")
  return lists.test(the_list(self, "acl", ref), tostring(value)) ~= nil
end

--- The entries of a map that are in force.
---@param ref string
---@return table<string, string>
function Fake:map(ref)
  local list, entries = the_list(self, "map", ref), {}
  for _, entry in ipairs(list.entries) do
    if entry.version == list.current and not entries[entry.key] then
      entries[entry.key] = entry.value
    end
  end
  return entries
end

--- A server. A test may set the fields `sessions`, `queued`, `up` (with `check`), `weight`, `addr` and `port`.
---@param name string  "backend/server"
---@return haplua.test.Server
function Fake:server(name)
  local server, problem = servers.find(self, name)
  return server or error(("the fake HAProxy has no server '%s': %s"):format(tostring(name), problem), 2)
end

-- Commands that are neither for lists nor for servers.

local function message(text, severity)
  return text .. "\n", severity or ERROR
end

local function uptime(seconds)
  return ("%dd %dh%02dm%02ds"):format(seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
end

local function show_info(fake)
  local seconds = math.max(0, math.floor(fake.steady()) - math.floor(fake.began))
  local rows = {
    "Name: HAProxy", "Version: " .. fake.version, "Release_date: 2026/01/01", "Nbthread: 1", "Nbproc: 1", "Process_num: 1",
    "Pid: " .. fake.pid, "Uptime: " .. uptime(seconds), "Uptime_sec: " .. seconds, "Memmax_MB: 0", "Ulimit-n: 20000",
    "Maxsock: 20000", "Maxconn: 9986", "Hard_maxconn: 9986", "CurrConns: 0", "CumConns: 1", "CumReq: 1", "Tasks: 14",
    "Run_queue: 0", "Idle_pct: 100", "node: fake", "Stopping: 0", "Jobs: 3", "Unstoppable Jobs: 0", "Listeners: 2",
    "DroppedLogs: 0", "Build info: " .. fake.version,
  }
  if fake.minor_version >= 204 then
    rows[#rows + 1] = ("Start_time_sec: %d"):format(fake.started // 1)
    rows[#rows + 1] = "Tainted: 0"
  end
  return table.concat(rows, "\n") .. "\n"
end

local function wait_a_moment(_, words)
  if not words[1] then
    return message("Expects a duration in milliseconds.")
  elseif not words[1]:find("^%d") then
    return message("Invalid duration.")
  end
  return message("Done.", INFO)
end

local units = { us = 0.001, ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000 }

local function set_timeout(_, words)
  if words[1] ~= "cli" then
    return message("'set timeout' only supports 'cli'.")
  elseif not words[2] then
    return message("Expects an integer value.")
  end
  local number, unit = words[2]:match("^(%d+)(%l*)$")
  local ms = number and units[unit == "" and "s" or unit] and tonumber(number) * units[unit == "" and "s" or unit]
  if not ms or ms < 1 or ms > 0x7fffffff then
    return message("Invalid timeout value.")
  end
  return ""
end

local function set_severity(fake, words)
  if words[1] ~= "none" and words[1] ~= "number" and words[1] ~= "string" then
    return message("one of 'none', 'number', 'string' is a required argument")
  end
  fake.severity = words[1]
  return ""
end

---@class haplua.test.Command
---@field run fun(fake: haplua.test.HAProxy, words: string[], payload: string?): string, integer?, boolean?
---@field since integer?  the first version that has it, times 100
---@field level integer?  the lowest that allows it: 0 user, 1 operator, 2 admin

local commands = {
  ["show info"] = { run = show_info },
  ["show version"] = { since = 206, run = function(fake) return message(fake.version, INFO) end },
  ["show cli level"] = { run = function(fake) return message(fake.level, INFO) end },
  ["show sess"] = { run = function(_, words) return words[1] and "Session not found.\n" or "" end, level = 1 },
  ["show backend"] = { run = servers.show_backend },
  ["show stat"] = { run = servers.show_stat },
  ["show servers state"] = { run = servers.show_state },
  ["show servers conn"] = { run = servers.show_conn },
  ["set server"] = { run = servers.set, level = 2 },
  ["set weight"] = { run = servers.set_weight, level = 2 },
  ["get weight"] = { run = servers.get_weight },
  ["enable server"] = { run = function(fake, words) return servers.enable(fake, words, 0) end, level = 2 },
  ["disable server"] = { run = function(fake, words) return servers.enable(fake, words, 1) end, level = 2 },
  ["shutdown sessions server"] = { run = servers.shutdown, level = 2 },
  ["set severity-output"] = { run = set_severity },
  ["set timeout"] = { run = set_timeout },
  ["wait"] = { run = wait_a_moment, since = 300, level = 2 },
  ["clear counters"] = { run = function() return "" end, level = 1 },
  ["clear counters all"] = { run = function() return "" end, level = 2 },
  ["set maxconn"] = { run = function() return "" end, level = 2 },
  ["set rate-limit"] = { run = function() return "" end, level = 2 },
  ["echo"] = { run = function(_, words) return message(table.concat(words, " "), INFO) end, since = 301 },
}
for _, kind in ipairs({ "acl", "map" }) do
  for verb, since in pairs({ show = 0, get = 0, add = 0, del = 0, clear = 0, prepare = 204, commit = 204 }) do
    commands[verb .. " " .. kind] = {
      since = since,
      run = function(fake, words, payload) return lists[verb](fake, kind, words, payload) end,
    }
  end
end
commands["set map"] = { run = function(fake, words) return lists.set(fake, "map", words) end }

local function unknown(fake, words)
  if fake.minor_version < 204 then
    return message("Unknown command. Please enter one of the following commands only :\n  help           : this message", INFO)
  elseif fake.minor_version < 207 or not words[1] then
    return message("Unknown command, but maybe one of the following ones is a better match:\n"
      .. "  help [<command>]                        : list matching or all commands", INFO)
  end
  return message(("Unknown command: '%s', but maybe one of the following ones is a better match:\n"):format(words[1])
    .. "  help [<command>]                        : list matching or all commands", INFO)
end

local levels = { user = 0, operator = 1, admin = 2 }

--- Run one command. Returns the reply's bytes.
local function run(fake, words, payload)
  if fake.minor_version >= 300 and #words == 0 then
    return "\n"
  end
  local command, n
  for i = math.min(3, #words), 1, -1 do
    command, n = commands[table.concat(words, " ", 1, i)], i
    if command then
      break
    end
  end
  local body, severity, short
  if #words > 64 and fake.minor_version >= 302 then
    body, severity = message("Too many arguments. Commands must have at most 64 arguments.")
  elseif not command or (command.since or 0) > fake.minor_version then
    body, severity = unknown(fake, words)
  elseif (command.level or 0) > levels[fake.level] then
    body, severity = message("Permission denied")
  else
    body, severity, short = command.run(fake, { table.unpack(words, n + 1, 64) }, payload)
  end
  if short and fake.minor_version < 300 then
    body = body:sub(1, -2)
  end
  local names = { [3] = "err", [4] = "warning", [5] = "notice", [6] = "info" }
  if severity and fake.severity == "number" then
    body = ("[%d]: %s"):format(severity, body)
  elseif severity and fake.severity == "string" then
    body = ("[%s]: %s"):format(names[severity], body)
  end
  return body .. "\n"
end

--- Divide a line at its unescaped semicolons into commands, and each command into words.
---@return string[][] commands, string[] texts
local function split(line)
  local found, texts = {}, {}
  local words, parts, from = {}, {}, 1
  local function end_word()
    if parts[1] then
      words[#words + 1], parts = table.concat(parts), {}
    end
  end
  local at = 1
  while at <= #line + 1 do
    local plain = line:match("^[^\\; \t]+", at)
    local char = line:sub(at, at)
    if plain then
      parts[#parts + 1] = plain
    elseif char == "\\" and at < #line then
      at = at + 1
      parts[#parts + 1] = line:sub(at, at)
    elseif char == ";" or char == "" then
      end_word()
      found[#found + 1], texts[#texts + 1] = words, line:sub(from, at - 1)
      words, from = {}, at + 1
    elseif char ~= "\\" then -- at the end of a line it is dropped
      end_word()
    end
    at = at + (plain and #plain or 1)
  end
  return found, texts
end

--- The payload from `at` on: up to the line that is the mark, or to an empty line.
---@return string? payload, integer? after  nil: the end is missing
local function cut_payload(bytes, at, mark)
  local from = at
  while true do
    local stop = bytes:find("\n", at, true)
    if not stop then
      return nil
    elseif bytes:sub(at, stop - 1) == mark then
      return bytes:sub(from, at - 1), stop + 1
    end
    at = stop + 1
  end
end

local function is_housekeeping(text)
  return text:find("^%s*set severity%-output ") or text:find("^%s*set timeout cli ")
end

--- Answer one line.
---@return string? replies, integer? after  where the next line begins; nil: HAProxy would wait for more
local function answer_line(fake, bytes, at)
  local stop = bytes:find("\n", at, true)
  if not stop then
    return nil
  end
  local line, returns = bytes:sub(at, stop - 1):gsub("\r$", "")
  local after, payload = stop + 1, nil
  if #line:match("\\*$") % 2 == 1 and fake.minor_version >= 204 then
    return nil -- the LF was escaped
  end
  local head, mark = line:match("^(.*) <<(%S*)$")
  if head and (mark == "" or fake.minor_version >= 209 and #mark <= 7) then
    line = head
    payload, after = cut_payload(bytes, after, mark)
    if not payload then
      return nil
    end
  end
  local out = {}
  local parts, texts = split(line)
  for i, words in ipairs(parts) do
    if words[1] == "quit" then
      return table.concat(out), #bytes + 1
    end
    local last = i == #parts
    if not is_housekeeping(texts[i]) then
      fake.log[#fake.log + 1] = texts[i] .. (last and payload and " <<\n" .. payload or "")
    end
    out[i] = run(fake, words, last and payload or nil)
  end
  if returns > 0 and fake.minor_version >= 302 then
    out[#out + 1] = "\n" -- the CR is a command of its own
  end
  return table.concat(out), after
end

-- HAProxy stalls at a first line with more bytes than this, or throws it away.
local function is_too_long(fake, bytes)
  return #bytes > (fake.minor_version < 300 and 15360 or fake.minor_version < 302 and 16383 or 16384)
end

local function too_long(fake)
  return ("The command%s is too big for the buffer size. Please change tune.bufsize in the configuration to use a "
    .. "bigger command.\n"):format(fake.minor_version < 302 and "" or " line")
end

--- Answer what a client sends over one connection.
---@param bytes string
---@return string? answer  nil: HAProxy waits for more bytes
function Fake:answer(bytes)
  self.severity = "none"
  local line_end = bytes:find("\n", 1, true) or #bytes
  if is_too_long(self, bytes:sub(1, line_end)) then
    return self.minor_version >= 300 and too_long(self) or nil
  end
  local out, at = {}, 1
  repeat
    local text, after = answer_line(self, bytes, at)
    if not text then
      return #out > 0 and table.concat(out) or nil
    end
    out[#out + 1] = text
    at = after
  until at > #bytes or self.minor_version >= 300
  return table.concat(out)
end

return M
