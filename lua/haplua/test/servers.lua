-- SPDX-License-Identifier: MIT
--
--- The servers of the fake HAProxy, and the commands that read and change them.
-- A command is a function (fake, words) that returns a reply's body, its severity, and whether older HAProxys leave out
-- the LF at its end.

local inet = require("haplua.inet")
local options = require("haplua.base.options")

local M = {}

local ERROR, WARNING = 3, 4

-- Bits of srv_admin_state.
local MAINT, DISABLED, DRAIN = 1, 4, 8

local SOURCE = " by 'stats socket command'"

---@class haplua.test.Server
---@field backend string
---@field name string
---@field addr string
---@field port integer
---@field weight integer  now
---@field initial integer  as configured
---@field admin integer  bits
---@field sessions integer  current ones: `scur`
---@field queued integer
---@field check boolean  is it checked?
---@field up boolean  what its checks say
---@field health integer  srv_check_health of a server that is not checked
---@field changed number  when its state has changed: seconds since 1970

local function message(text, severity)
  return text .. "\n", severity or ERROR
end

local declaration = options.record({
  addr = "text", port = "integer", weight = "integer", disabled = "boolean", check = "boolean",
})

-- The columns of `show stat` that a test may set on a server, as fields of these names: counters since the start, rates
-- per second, and times in milliseconds. They are 0 until a test sets them. Those of a backend are the sums, and of times
-- the mean of its servers that have one.
local counters, times = {}, {}
for name in ("stot bin bout dreq dresp ereq econ eresp wretr wredis lbtot rate rate_max hrsp_1xx hrsp_2xx hrsp_3xx "
  .. "hrsp_4xx hrsp_5xx hrsp_other req_tot cli_abrt srv_abrt chkfail chkdown downtime connect reuse"):gmatch("%S+") do
  counters[name] = true
end
for name in ("qtime ctime rtime ttime qtime_max ctime_max rtime_max ttime_max"):gmatch("%S+") do
  times[name] = true
end

--- Raise, two levels above the caller: an object has no field of this name. Of the names that it has, the nearest is
-- named.
---@param what string  the object
---@param name any
---@param ... table  lists of names, and tables whose keys are names
function M.no_field(what, name, ...)
  local names = {}
  for _, set in ipairs({ ... }) do
    for key, value in pairs(set) do
      names[#names + 1] = type(key) == "string" and key:find("^%l") and key or type(key) == "number" and value or nil
    end
  end
  table.sort(names)
  local near = type(name) == "string" and require("haplua.error").nearest(name, names)
  error(("%s has no field '%s'%s"):format(what, tostring(name), near and ("; did you mean '%s'?"):format(near) or ""), 3)
end

-- A misspelt field of a server would have no effect.
local Server = {
  __index = function(_, name)
    return (counters[name] or times[name]) and 0 or nil
  end,
  __newindex = function(server, name, value)
    if not counters[name] and not times[name] then
      M.no_field("a server of the fake HAProxy", name, counters, times, server)
    elseif type(value) ~= "number" or value ~= value or value < 0 then
      error(("%s of a server: a number, 0 or more, expected"):format(name), 2)
    end
    rawset(server, name, math.floor(value))
  end,
}

--- Make a server in its state after a start.
local function make(fake, name, declared, index)
  options.argument("test.haproxy", ("server '%s'"):format(tostring(name)), declared, declaration)
  local backend, server = tostring(name):match("^([^/]+)/([^/]+)$")
  if not backend then
    error(("test.haproxy: servers are named 'backend/server', not '%s'"):format(tostring(name)), 0)
  end
  return {
    backend = backend, name = server, addr = declared.addr or "127.0.0.1", port = declared.port or 8000 + index,
    weight = declared.weight or 1, initial = declared.weight or 1, admin = declared.disabled and MAINT | DISABLED or 0,
    health = declared.disabled and 0 or 2, sessions = 0, queued = 0,
    check = declared.check or false, up = true, changed = fake.now(),
  }
end

--- Make the servers that a fake's options declare: {"app/a1", ...} in this order, then {["app/a1"] = {addr=, port=,
-- weight=, disabled=, check=}, ...} in the order of their names.
---@return haplua.test.Server[] servers, table[] backends
function M.make(fake, declared)
  local names, plain = {}, {}
  for key, value in pairs(declared) do
    if type(key) == "string" then
      names[#names + 1] = { key, value }
    else
      plain[key] = value
    end
  end
  options.argument("test.haproxy", "servers", plain, options.list("text"))
  table.sort(names, function(a, b)
    return a[1] < b[1]
  end)
  for i, name in ipairs(plain) do
    table.insert(names, i, { name, {} })
  end
  local servers, backends, seen = {}, {}, {}
  for i, pair in ipairs(names) do
    local server = make(fake, pair[1], pair[2], i)
    servers[i] = server
    if not seen[server.backend] then
      seen[server.backend] = { name = server.backend, servers = 0 }
      table.insert(backends, seen[server.backend])
    end
    local backend = seen[server.backend]
    backend.servers = backend.servers + 1
    server.id = backend.servers
  end
  for i, backend in ipairs(backends) do
    backend.id = i + 2
    for _, server in ipairs(servers) do
      server.backend_id = server.backend == backend.name and backend.id or server.backend_id
    end
  end
  for _, server in ipairs(servers) do
    setmetatable(server, Server)
  end
  return servers, backends
end

---@return haplua.test.Server? server, string? refusal
function M.find(fake, word)
  local backend, name = (word or ""):match("^([^/]*)/(.+)$")
  if not backend then
    return nil, "Require 'backend/server'."
  end
  local known = false
  for _, server in ipairs(fake.server_list) do
    if server.backend == backend or "#" .. server.backend_id == backend then
      known = true
      if server.name == name or "#" .. server.id == name then
        return server
      end
    end
  end
  return nil, known and "No such server." or "No such backend."
end

local function is_stopped(server)
  return server.admin & MAINT ~= 0 or server.check and not server.up
end

local function each_of(fake, backend)
  local found, known = {}, not backend
  for _, b in ipairs(fake.backends) do
    known = known or b.name == backend
  end
  for _, server in ipairs(fake.server_list) do
    if not backend or server.backend == backend then
      found[#found + 1] = server
    end
  end
  return known and found or nil
end

local STATE_HEADER = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
  .. "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state "
  .. "bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord"

function M.show_state(fake, words)
  local servers = each_of(fake, words[1])
  if not servers then
    return message("Can't find backend.")
  end
  local old = fake.minor_version < 204
  local out = { STATE_HEADER, old and "" or " srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port", "\n" }
  for _, s in ipairs(servers) do
    local status, result, health, state = 1, 0, s.health, s.admin & DISABLED ~= 0 and 8 or 0
    if s.check then
      status, result, health, state = s.up and 6 or 8, s.up and 3 or 2, s.up and 4 or 0, 6
    end
    out[#out + 1] = ("%d %s %d %s %s %d %d %d %d %d %d %d %d %d 0 0 0 - %d -%s\n"):format(s.backend_id, s.backend, s.id, s.name,
      s.addr, is_stopped(s) and 0 or 2, s.admin, s.weight, s.initial, math.max(0, math.floor(fake.now() - s.changed)),
      status, result, health, state, s.port, old and "" or " 0 0 - - 0")
  end
  return table.concat(out)
end

function M.show_conn(fake, words)
  local servers = each_of(fake, words[1])
  if not servers then
    return message("Can't find backend.")
  end
  local out = { "# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb idle_lim "
    .. "idle_cur idle_per_thr[1]\n" }
  for _, s in ipairs(servers) do
    out[#out + 1] = ("%s/%s %d/%d %s %d - 5000 %d %d 0 0 0 -1 0 0\n"):format(s.backend, s.name, s.backend_id, s.id, s.addr,
      s.port, s.sessions, s.sessions)
  end
  return table.concat(out)
end

-- The columns of `show stat` in 2.2. Those without a value in csv() are empty.
local COLUMNS = "pxname,svname,qcur,qmax,scur,smax,slim,stot,bin,bout,dreq,dresp,ereq,econ,eresp,wretr,wredis,status,weight,"
  .. "act,bck,chkfail,chkdown,lastchg,downtime,qlimit,pid,iid,sid,throttle,lbtot,tracked,type,rate,rate_lim,rate_max,"
  .. "check_status,check_code,check_duration,hrsp_1xx,hrsp_2xx,hrsp_3xx,hrsp_4xx,hrsp_5xx,hrsp_other,hanafail,req_rate,"
  .. "req_rate_max,req_tot,cli_abrt,srv_abrt,comp_in,comp_out,comp_byp,comp_rsp,lastsess,last_chk,last_agt,qtime,ctime,"
  .. "rtime,ttime,agent_status,agent_code,agent_duration,check_desc,agent_desc,check_rise,check_fall,check_health,"
  .. "agent_rise,agent_fall,agent_health,addr,cookie,mode,algo,conn_rate,conn_rate_max,conn_tot,intercepted,dcon,dses,"
  .. "wrew,connect,reuse,cache_lookups,cache_hits,srv_icur,src_ilim,qtime_max,ctime_max,rtime_max,ttime_max,eint,"
  .. "idle_conn_cur,safe_conn_cur,used_conn_cur,need_conn_est,"

local function csv(fields)
  return (COLUMNS:gsub("([^,]*),", function(name)
    local value = fields[name]
    return (value == nil and "" or tostring(value)) .. ","
  end)) .. "\n"
end

local function status_of(s)
  if s.admin & MAINT ~= 0 then
    return "MAINT"
  elseif s.check and not s.up then
    return "DOWN"
  elseif s.admin & DRAIN ~= 0 then
    return "DRAIN"
  end
  return s.check and "UP" or "no check"
end

--- Set the columns of counters and times from those of servers: of one, or of all in a backend.
local function add_counters(fields, servers)
  for name in pairs(counters) do
    fields[name] = 0
    for _, s in ipairs(servers) do
      fields[name] = fields[name] + s[name]
    end
  end
  for name in pairs(times) do
    local sum, n = 0, 0
    for _, s in ipairs(servers) do
      sum, n = sum + s[name], n + (s[name] > 0 and 1 or 0)
    end
    fields[name] = sum // math.max(1, n)
  end
  return fields
end

local function server_fields(fake, s)
  return add_counters({
    pxname = s.backend, svname = s.name, qcur = s.queued, qmax = 0, scur = s.sessions, smax = s.sessions,
    status = status_of(s), weight = s.weight, act = 1, bck = 0,
    lastchg = math.max(0, math.floor(fake.now() - s.changed)), pid = 1, iid = s.backend_id, sid = s.id, type = 2,
    check_status = s.check and (s.up and "L4OK" or "L4CON") or nil, lastsess = -1,
    addr = ("%s:%d"):format(s.addr, s.port), mode = "http", used_conn_cur = s.sessions, idle_conn_cur = 0,
  }, { s })
end

function M.show_stat(fake)
  local out = { "# " .. COLUMNS .. "\n" }
  for i, name in ipairs(fake.frontends) do
    out[#out + 1] = csv({ pxname = name, svname = "FRONTEND", scur = 0, smax = 0, slim = 9986, stot = 0, status = "OPEN",
      pid = 1, iid = i + 1, sid = 0, type = 0, mode = "http" })
  end
  for _, backend in ipairs(fake.backends) do
    local total, all = 0, each_of(fake, backend.name) or {}
    for _, s in ipairs(all) do
      out[#out + 1] = csv(server_fields(fake, s))
      total = total + ((is_stopped(s) or s.admin & DRAIN ~= 0) and 0 or s.weight)
    end
    out[#out + 1] = csv(add_counters({ pxname = backend.name, svname = "BACKEND", qcur = 0, scur = 0, smax = 0,
      status = all[1] and total == 0 and "DOWN" or "UP", weight = total, pid = 1, iid = backend.id, sid = 0, type = 1,
      mode = "http", algo = "roundrobin" }, all))
  end
  return table.concat(out)
end

function M.show_backend(fake)
  local out = { "# name\n" }
  for _, backend in ipairs(fake.backends) do
    out[#out + 1] = backend.name .. "\n"
  end
  return table.concat(out)
end

-- Changes.

--- Make a command whose first word names a server. `run` gets the server; without one, the answer is a refusal.
---@param run fun(fake: table, server: haplua.test.Server, words: string[], ...)
local function on_server(run)
  return function(fake, words, ...)
    local server, refusal = M.find(fake, words[1])
    if not server then
      return message(refusal)
    end
    return run(fake, server, words, ...)
  end
end

local function set_admin(fake, server, admin)
  if server.admin ~= admin then
    server.admin, server.changed = admin, fake.now()
    server.health = admin & MAINT ~= 0 and 0 or server.health
  end
  return ""
end

--- The bits of each state. The bit DISABLED, which the configuration has set, is not changed.
local states = { ready = 0, drain = DRAIN, maint = MAINT }

local function set_state(fake, server, words)
  local bits = states[words[3] or ""]
  if not bits then
    return message("'set server <srv> state' expects 'ready', 'drain' and 'maint'.")
  end
  return set_admin(fake, server, bits | server.admin & DISABLED)
end

local function set_weight(_, server, words)
  local text = words[3] or ""
  local number, percent = text:match("^%+?(%-?%d+)(%%?)$")
  if text == "" then
    return message("Require <weight> or <weight%>.")
  elseif not number then
    return message(text:find("^%d") and "Trailing garbage in weight string"
      or "Empty weight string empty or preceded by garbage"), ERROR, true
  end
  local weight = math.tointeger(tonumber(number)) or number:find("^-") and -1 or 257 * 100
  if percent == "%" and weight < 0 then
    return message("Relative weight must be positive.")
  elseif percent == "%" then
    weight = math.min(256, server.initial * weight // 100)
  elseif weight < 0 or weight > 256 then
    return message("Absolute weight can only be between 0 and 256 inclusive.")
  end
  server.weight = weight
  return ""
end

local function set_addr(fake, server, words)
  local addr, modern = words[3] or "", fake.minor_version >= 300
  local bytes = inet.bytes(addr)
  local text = bytes and inet.text(bytes)
  if addr == "" then
    return message("set server <b>/<s> addr requires an address and optionally a port.")
  elseif not text then
    return message(("Invalid addr '%s'%s"):format(addr, modern and "" or SOURCE), WARNING)
  end
  local parts = {}
  if text ~= server.addr then
    parts[1] = ("IP changed from '%s' to '%s'"):format(server.addr, modern and text or addr)
  elseif not modern then
    parts[1] = "no need to change the addr"
  end
  local changed = text ~= server.addr
  local port = words[4] == "port" and (words[5] or "")
  if port and not port:find("^%d+$") then
    parts[#parts + 1] = ("problem converting port '%s' to an int"):format(port)
    return message(table.concat(parts, ", ") .. (modern and "" or SOURCE), WARNING)
  elseif port and math.tointeger(tonumber(port)) ~= server.port then
    parts[#parts + 1] = ("port changed from '%d' to '%s'"):format(server.port, port)
    server.port, changed = math.tointeger(tonumber(port)), true
  elseif port and not modern then
    parts[#parts + 1] = "no need to change the port"
  end
  server.addr = text
  if modern and not changed then
    return message("nothing changed", WARNING)
  end
  return message(table.concat(parts, ", ") .. SOURCE, WARNING)
end

local function set_health(fake, server, words)
  if words[3] ~= "up" and words[3] ~= "down" and words[3] ~= "stopping" then
    return message("'set server <srv> health' expects 'up', 'stopping', or 'down'.")
  end
  server.up, server.changed = words[3] ~= "down", fake.now()
  return ""
end

local setters = { state = set_state, weight = set_weight, addr = set_addr, health = set_health }

M.set = on_server(function(fake, server, words)
  local setter = setters[words[2] or ""]
  if setter then
    return setter(fake, server, words)
  elseif fake.minor_version < 204 then
    return message("'set server <srv>' only supports 'agent', 'health', 'state', 'weight', 'addr', 'fqdn' and 'check-port'.")
  end
  return message("usage: set server <backend>/<server> addr | agent | agent-addr | agent-port | agent-send | check-addr | "
    .. "check-port | fqdn | health | ssl | state | weight")
end)

--- `set weight B/S N`.
M.set_weight = on_server(function(fake, server, words)
  return set_weight(fake, server, { words[1], nil, words[2] })
end)

M.get_weight = on_server(function(_, server)
  return ("%d (initial %d)\n"):format(server.weight, server.initial)
end)

--- `enable server`, `disable server`.
M.enable = on_server(function(fake, server, _, admin)
  return set_admin(fake, server, admin | server.admin & DISABLED)
end)

--- `set maxconn server`, `shutdown sessions server`.
M.shutdown = on_server(function(_, server)
  server.sessions = 0
  return ""
end)

return M
