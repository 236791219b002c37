-- SPDX-License-Identifier: MIT
--
--- One server of HAProxy made as wanted, and read back: haproxy.server_set().

local core = require("haplua.core")
local inet = require("haplua.inet")
local options = require("haplua.base.options")

local M = {}

--- The options of haproxy.server_set().
M.options = {
  server = options.where("a text such as 'backend/server'", function(value)
    return type(value) == "string" and value:find("^[^/]+/[^/]+$") ~= nil
  end),
  state = options.one_of("ready", "drain", "maint"),
  weight = options.where("an integer from 0 to 256, or a percentage such as '50%'", function(value)
    local text = math.type(value) == "integer" and tostring(value) or type(value) == "string" and value or ""
    local digits, percent = text:match("^(%d%d?%d?%d?)(%%?)$")
    return digits ~= nil and (percent ~= "" or tonumber(digits) <= 256)
  end),
  addr = options.where("an IPv4 or IPv6 address", function(value)
    return type(value) == "string" and inet.bytes(value) ~= nil
  end),
  -- HAProxy takes 16 bits of any number
  port = options.where("an integer from 1 to 65535", function(value)
    return math.type(value) == "integer" and value >= 1 and value <= 65535
  end),
}

--- The requests whose replies fingerprint() reads.
M.shows = { { "show", "info" }, { "show", "servers", "state" } }

--- The state and weight of every server, and HAProxy's process, as one text. Replies of a moment later differ in it only
-- where one of these does.
---@param texts string[]  the replies to `shows`
---@return string
function M.fingerprint(texts)
  local found = { texts[1]:match("%f[%C]Pid: %d+") }
  -- be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight
  for line in texts[2]:gmatch("\n(%d+ %S+ %d+ %S+ %S+ %d+ %d+ %d+ %d+)") do
    found[#found + 1] = line:gsub(" %S+ %d+( %d+ %d+ %d+)$", "%1")
  end
  return table.concat(found, "\n")
end

--- A server's row of `show servers state`; nil where the backend has none of this name.
---@return haplua.Server?, haplua.Server[] rows  all of the backend
local function server_row(target, backend, name)
  local rows = target:servers(backend)
  for _, row in ipairs(rows) do
    if tostring(row.srv_name) == name then
      return row, rows
    end
  end
  return nil, rows
end

--- The commands that make a server as wanted: the address first, so that the state comes into force last.
local function server_commands(want)
  local commands = {}
  local function add(option, ...)
    if want[option] then
      commands[#commands + 1] = { "set", "server", want.server, option, want[option], ... }
    end
  end
  add("addr", want.port and "port", want.port)
  add("weight")
  add("state")
  return commands
end

--- The field of a server's row that is not as wanted, and what it is. nil: all are.
local function disagreement(row, want)
  local percent = math.tointeger(tonumber(tostring(want.weight):match("^(%d+)%%$")))
  local wanted = {
    admin = want.state,
    srv_uweight = percent and math.min(256, percent * row.srv_iweight // 100) or math.tointeger(tonumber(want.weight)),
    srv_addr = want.addr and inet.text(inet.bytes(want.addr)),
    srv_port = want.port,
  }
  for _, field in ipairs({ "admin", "srv_uweight", "srv_addr", "srv_port" }) do
    if wanted[field] and row[field] ~= wanted[field] then
      return field, row[field]
    end
  end
end

--- Send commands that may be carried out twice: once more when HAProxy resets the connection, as at a reload.
local function batch_again(target, commands)
  local ok, problem = pcall(target.batch, target, commands)
  if ok then
    return
  elseif not require("haplua.error").is(problem) or problem.code ~= "ECONNRESET" then
    error(problem, 0)
  end
  target:batch(commands)
end

-- HAProxy 3.0 changes an address a moment after its answer. So many looks, 10 ms apart, wait for it.
local LOOKS = 100

-- Bits of srv_admin_state that a command sets.
local FORCED_MAINT <const>, FORCED_DRAIN <const> = 1, 8

-- Bits that HAProxy sets by itself: the server tracks one that is in maintenance or drained, or DNS has no address for it.
local INHERITED_MAINT <const>, INHERITED_DRAIN <const>, RESOLVER_MAINT <const> = 2, 16, 32

--- The state that commands, or the word `disabled` of the configuration, have given a server.
---@param row haplua.Server
---@return "ready"|"drain"|"maint"
function M.forced(row)
  local bits = row.srv_admin_state
  return bits & FORCED_MAINT ~= 0 and "maint" or bits & FORCED_DRAIN ~= 0 and "drain" or "ready"
end

--- Does HAProxy itself keep a server from taking requests, whatever commands say?
---@param row haplua.Server
---@return boolean
function M.is_held(row)
  return row.srv_admin_state & (INHERITED_MAINT | INHERITED_DRAIN | RESOLVER_MAINT) ~= 0
end

--- Does a server take requests? One of weight 0 takes those of clients alone whose cookie names it.
---@param row haplua.Server
---@return boolean
function M.takes(row)
  return row.admin == "ready" and row.operational == "running" and row.srv_uweight > 0
end

-- The bit of srv_agent_state of an agent check that runs.
local AGENT_ENABLED <const> = 4

--- Does an agent check run that may give the server another state? HAProxy obeys an agent that says "ready" or "up", also
-- where a command has set the server to maint or drain.
---@param row haplua.Server
---@return boolean
function M.has_agent(row)
  return row.srv_agent_state & AGENT_ENABLED ~= 0
end

---@class haplua.ServerWish
---@field state "ready"|"drain"|"maint"|nil  nil: as it is
---@field weight integer?
---@field address string?  "192.0.2.1:8080", "[2001:db8::1]:8080"
---@field agent boolean?  shall its agent check run?

--- An address and a port as one text: "192.0.2.1:8080", "[2001:db8::1]:8080".
---@param host string
---@param port integer
---@return string
function M.join_address(host, port)
  return (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, port)
end

--- A server's address and port, as maintenances have them.
---@param row haplua.Server
---@return string?  nil: it has none
function M.address(row)
  return row.srv_addr and row.srv_port and M.join_address(row.srv_addr, row.srv_port) or nil
end

--- The commands for a wish. While an agent check is to be off, it is off before the state is set.
local function wish_commands(name, wish)
  local addr, port = (wish.address or ""):match("^%[?(.-)%]?:(%d+)$")
  local commands = server_commands({ server = name, state = wish.state, weight = wish.weight, addr = addr, port = port })
  if wish.agent ~= nil then
    table.insert(commands, wish.agent and #commands + 1 or 1, { wish.agent and "enable" or "disable", "agent", name })
  end
  return commands
end

--- Give a server a state, as forced() reads it, a weight, and an agent check that runs or does not.
---@param name string  "backend/server"
---@param wish haplua.ServerWish
---@return haplua.Server[]?  the servers of its backend afterwards; nil: a dry run
function M.force(target, name, wish)
  batch_again(target, wish_commands(name, wish))
  if core.dry_run() then
    return nil
  end
  local backend, server = name:match("^(.*)/(.*)$")
  local row, rows = server_row(target, backend, server)
  for _ = 1, wish.address and row and LOOKS or 0 do
    if M.address(row) ~= wish.address then
      require("haplua.task").sleep(0.01)
      row, rows = server_row(target, backend, server)
    end
  end
  local now, now_weight, now_address = row and M.forced(row) or "gone", row and row.srv_uweight, row and M.address(row)
  if now ~= (wish.state or now) or now_weight ~= (wish.weight or now_weight) then
    target:mistrust("set server " .. name, ("the server is %s, with weight %s, afterwards"):format(now, now_weight))
  elseif now_address ~= (wish.address or now_address) then
    target:mistrust("set server " .. name, ("the server's address is %s afterwards"):format(now_address))
  elseif wish.agent ~= nil and M.has_agent(row) ~= wish.agent then
    target:mistrust("disable agent " .. name, ("its agent check is %s afterwards"):format(wish.agent and "off" or "on"))
  end
  return rows
end

--- As haproxy.server_set(), which documents it.
function M.set(target, want)
  options.check("server_set", want, M.options)
  options.argument("server_set", "option 'server'", want.server, M.options.server)
  local commands = server_commands(want)
  if want.port and not want.addr then
    options.misuse("server_set", "option 'port' needs 'addr': HAProxy changes a port with its address, which servers() shows")
  elseif #commands == 0 then
    options.misuse("server_set", "state, weight or addr expected")
  end
  batch_again(target, commands)
  local backend, name = want.server:match("^(.*)/(.*)$")
  local row, field, found
  for _ = 1, core.dry_run() and 1 or LOOKS do
    row, field, found = server_row(target, backend, name), nil, nil
    if row then
      field, found = disagreement(row, want)
    end
    if core.dry_run() or row and not field then
      return row
    end
    require("haplua.task").sleep(0.01)
  end
  target:mistrust("set server " .. want.server, ("%s is %s afterwards"):format(field or "the server", tostring(found or "gone")))
end

return M
