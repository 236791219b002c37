-- SPDX-License-Identifier: MIT
--
--- The HAProxy of a rehearsal: the user's own files and one of haplua's behind them, which has the admin socket and
-- answers in the place of all servers.

local configuration = require("haplua.rules.configuration")
local failure = require("haplua.rehearse.failure")
local file = require("haplua.file")
local questions = require("haplua.rehearse.questions")
local task = require("haplua.task")

local M = {}

-- The admin socket of a rehearsal, in a network of its own.
M.SOCKET = "abns@haplua-rehearsal"

-- A header of the answers in the place of servers.
M.MARK = "x-haplua-rehearsal"

-- Addresses for servers that the configuration names by a host's name (RFC 2544).
local NAMED <const> = "198.18.%d.%d"

local PREFIX <const> = "haplua-rehearsal-"

-- In place of `maxconn`: the system may allow the running process more files than this one.
local CONNECTIONS <const> = "200"

-- So long a start may take.
local START_SECONDS <const> = 30

---@class haplua.rehearse.File  of HAProxy's configuration
---@field path string  HAProxy's name
---@field real string
---@field text string

--- The files of a configuration: of a folder those that HAProxy reads.
---@param names string[]
---@return string[]
function M.files(names)
  local found = {}
  for _, name in ipairs(names) do
    if (file.info(name) or {}).type == "folder" then
      local list = file.list(name)
      table.sort(list)
      for _, entry in ipairs(list) do
        found[#found + 1] = entry:find("^[^.].*%.cfg$") and name:gsub("/$", "") .. "/" .. entry or nil
      end
    else
      found[#found + 1] = name
    end
  end
  return found
end

--- Read a configuration. Raises `file`.
---@param names string[]
---@param environment table<string, string>
---@return haplua.rules.Configuration found, haplua.rehearse.File[] files
function M.read(names, environment)
  local files = {}
  for i, name in ipairs(M.files(names)) do
    local text, problem = file.read(name)
    files[i] = { path = name, text = text or failure.raise("file", problem), real = file.real(name) }
  end
  return configuration.read(files, environment), files
end

--- Add the files that a text names by relative names.
local function add_relative(named, text, folders)
  local there = {}
  for word in text:gmatch("%f[^%s(,\"'@]([%w_][%w_./+-]*%.[%w_]+)") do
    for _, folder in ipairs(there[word] and {} or folders) do
      named[#named + 1] = file.info(folder .. "/" .. word) and folder .. "/" .. word or nil
    end
    there[word] = true
  end
end

--- The folders into which a configuration writes, and the files and sockets that it names.
---@param files haplua.rehearse.File[]
---@param folder string  in which relative names begin
---@return string[] written, string[] named
function M.places(files, folder)
  local written, named = {}, {}
  for _, one in ipairs(files) do
    named[#named + 1] = one.real
    add_relative(named, one.text, { folder, one.real:match("^(.+)/[^/]*$") })
    for line in one.text:gmatch("[^\n]+") do
      local writes = line:find("stats%s+socket") or line:find("pidfile") or line:find("^%s*bind") or line:find("backing%-file")
        or line:find("shm%-stats%-file") or line:find("^%s*server")
      for path in line:gmatch("/[%w/_.+@~:%-]+") do
        path = path:gsub("[:,]+$", "")
        local around = path:match("^(.+)/[^/]+$")
        local is_read = (file.info(path) or {}).type == "folder" or line:find("%f[%w]c[ra][t%-]%l*%s+" .. path:gsub("%p", "%%%0"))
        if writes and around and not is_read then
          written[#written + 1] = around
        end
        named[#named + 1] = path
      end
    end
  end
  return written, named
end

-- Lines of `global` that a rehearsal leaves out: with several processes each has lists of its own; there is no master; the
-- system may allow this process less than the running one.
local LEFT_OUT <const> = { nbproc = true, ["master-worker"] = true, daemon = true, ["ulimit-n"] = true, maxconn = true }

-- Lines that it leaves out for a user without rights, who cannot become another.
local OF_ROOT <const> = {
  user = true, group = true, uid = true, gid = true, chroot = true, ["unix-bind"] = true, setcap = true,
}

--- A configuration file as a rehearsal needs it, with the same lines at the same places. nil: as it is.
---@param text string
---@param is_user boolean  haplua does not run as root
---@return string? changed, string[] left_out
function M.adapted(text, is_user)
  local left_out, is_global = {}, false
  local changed = (text .. "\n"):gsub("([^\n]*)\n", function(line)
    local word = line:match("^%s*([%w-]+)")
    if configuration.KINDS[word] then
      is_global = word == "global"
    end
    if is_global and (LEFT_OUT[word] or is_user and OF_ROOT[word]) then
      left_out[#left_out + 1] = OF_ROOT[word] and word or word == "nbproc" and word or nil
      return "\n"
    elseif word == "bind" or word == "server" or word == "source" or word == "default-server" then
      line = line:gsub("(%s)interface%s+%S+", "%1"):gsub("(%s)namespace%s+%S+", "%1")
    end
    if is_user and (word == "stats" or word == "bind") then
      for _, owner in ipairs({ "user", "group", "uid", "gid" }) do
        line = line:gsub("(%s)" .. owner .. "%s+%S+", "%1")
      end
    end
    return line .. "\n"
  end)
  changed = changed:sub(1, -2)
  return changed ~= text and changed or nil, left_out
end

-- Answers in the place of servers.

---@class haplua.rehearse.Servers
---@field plain table<string, boolean>  "IP:PORT" where they are expected
---@field proxied table<string, boolean>  those who send PROXY's line
---@field hosts table<string, string>  name -> address
---@field chained table<string, boolean>  backends with a server that is a frontend here

--- Does an address belong to a frontend of the configuration?
local function is_own(binds, machine, ip, port)
  local is_here = ip:find("^127%.") ~= nil or ip == "::1" or machine[ip] or false
  for _, bind in ipairs(binds) do
    if bind.port == port and (bind.ip == ip or bind.is_any and is_here) then
      return true
    end
  end
  return false
end

local function is_ip(text)
  return text:find("^[%d.]+$") ~= nil or text:find(":", 1, true) ~= nil
end

--- Where a server is expected: its address and the port of its checks.
---@param environment table<string, string>
---@param hosts table<string, string>  names that have an address already; it gets one more
---@return string? ip, integer? port  ip: a path with "unix@" where it is a Unix socket
local function expected(text, environment, hosts)
  local path = text:match("^unix@(/.*)$") or text:match("^/.*$")
  if path or text:find("^abns@") then
    return path and "unix@" .. path or text
  end
  local ip, port = questions.address(text, environment)
  if not ip or ip == "" then
    return nil
  elseif ip == "localhost" then
    return "127.0.0.1", port
  elseif is_ip(ip) then
    return ip, port
  elseif not hosts[ip] then
    hosts.n = (hosts.n or 0) + 1
    hosts[ip] = NAMED:format(hosts.n // 250, hosts.n % 250 + 1)
  end
  return hosts[ip], port
end

--- Where the servers of a configuration are expected.
---@param found haplua.rules.Configuration
---@param environment table<string, string>
---@param addresses string[]  of this machine
---@return haplua.rehearse.Servers
function M.servers(found, environment, addresses)
  local servers, binds, machine = { plain = {}, proxied = {}, hosts = {}, chained = {} }, {}, {}
  for _, ip in ipairs(addresses) do
    machine[ip] = true
  end
  for _, section in ipairs(found.sections) do
    local own = M.binds_of(configuration.lines(section), environment)
    table.move(own, 1, #own, #binds + 1, binds)
  end
  local function add(section, line)
    local text = table.concat(line.words, " ")
    local ip, port = expected(line.words[line.words[1] == "server" and 3 or 4] or "", environment, servers.hosts)
    local list = servers[text:find(" send-proxy", 1, true) and "proxied" or "plain"]
    if ip and ip:find("@", 1, true) then
      list[ip] = true
    elseif ip and port and is_own(binds, machine, ip, port) then
      servers.chained[section.name] = true
    elseif ip and port then
      list[("%s:%d"):format(ip, port)] = true
    end
  end
  for _, section in ipairs(found.sections) do
    for _, line in ipairs(section.kind ~= "peers" and configuration.lines(section) or {}) do
      if line.words[1] == "server" or line.words[1] == "server-template" then
        add(section, line)
      end
    end
  end
  servers.hosts.n = nil
  return servers
end

--- The addresses that a section's `bind` lines name, also those of PROXY's protocol.
function M.binds_of(lines, environment)
  local found = {}
  for _, line in ipairs(lines) do
    for text in (line.words[1] == "bind" and line.words[2] or ""):gmatch("[^,]+") do
      local ip, port = questions.address(text, environment)
      found[#found + 1] = ip and port and { ip = ip, port = port, is_any = ip == "" } or nil
    end
  end
  return found
end

--- The sections that haplua adds.
---@param servers haplua.rehearse.Servers
---@return string
function M.sections(servers)
  local lines = {
    "global", "    stats socket " .. M.SOCKET .. " level admin",
    "defaults", "    mode http", "    timeout connect 5s", "    timeout client 5s", "    timeout server 5s",
  }
  for _, kind in ipairs({ "plain", "proxied" }) do
    if next(servers[kind]) then
      lines[#lines + 1] = "frontend " .. PREFIX .. kind
      for place in pairs(servers[kind]) do
        lines[#lines + 1] = "    bind " .. place .. (kind == "proxied" and " accept-proxy" or "")
      end
      lines[#lines + 1] = ("    http-request return status 200 content-type text/plain string haplua hdr %s 1 "
        .. "hdr Cache-Control max-age=600"):format(M.MARK) -- a cache of HAProxy may keep it
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

--- The text of /etc/hosts with the names of servers.
---@param servers haplua.rehearse.Servers
---@return string?  nil: none is needed
function M.hosts(servers)
  local lines = { file.read("/etc/hosts") or "" }
  for name, ip in pairs(servers.hosts) do
    lines[#lines + 1] = ip .. " " .. name
  end
  return lines[2] and table.concat(lines, "\n") .. "\n" or nil
end

--- The environment of the running process in place of this one's, for run{}.
local function changes(environment)
  if not environment then
    return {}
  end
  local found = setmetatable({}, { __index = environment })
  for name in ((file.read("/proc/self/environ") or "") .. "\0"):gmatch("([^=%z]+)=[^%z]*%z") do
    found[name] = environment[name] or false
  end
  for name, value in pairs(environment) do
    found[name] = value
  end
  return setmetatable(found, nil)
end

--- Keep the servers as they are: up, and without TLS, which what stands in their place does not speak.
---@param target haplua.Target
function M.freeze(target)
  for _, row in ipairs(target:servers()) do
    local name = ("%s/%s"):format(row.be_name, row.srv_name)
    for _, words in ipairs({ { "disable", "health", name }, { "disable", "agent", name },
      { "set", "server", name, "health", "up" }, { "set", "server", name, "ssl", "off" } }) do
      pcall(target.send, target, words) -- without checks, or without TLS, some are refused
    end
  end
end

--- Start HAProxy, and wait until it answers.
---@param start haplua.rehearse.Start
---@param own string  the path of haplua's file
---@param target haplua.Target
---@return table process  the task that runs it. Raises `refused` with HAProxy's words
function M.start(start, own, target)
  local log = {}
  local function note(line)
    log[#log + 1] = line
  end
  local words = { start.program, "-db", "-dr", "-dV", "-n", CONNECTIONS, table.unpack(start.words) }
  -- haplua's file is the last one: `defaults` of the others stay as they are
  for _, name in ipairs(table.move({ own }, 1, 1, #start.files + 1, table.move(start.files, 1, #start.files, 1, {}))) do
    table.move({ "-f", name }, 1, 2, #words + 1, words)
  end
  words.cwd, words.env, words.stdin = start.folder, changes(start.environment), ""
  words.stdout, words.stderr = note, note
  local process = task.spawn(require("run"), words)
  local latest = task.now() + START_SECONDS
  repeat
    if process:done() then
      failure.raise("refused", "HAProxy does not start with this configuration:\n" .. table.concat(log, "\n"))
    elseif task.now() > latest then
      failure.raise("timeout", ("HAProxy did not answer within %d s of its start:\n%s"):format(START_SECONDS,
        table.concat(log, "\n")))
    end
    task.sleep(0.003)
  until pcall(target.info, target)
  return process
end

return M
