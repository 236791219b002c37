-- SPDX-License-Identifier: MIT
--
--- Many nodes of a fleet on this machine, for tests and measurements: each is a HAProxy with a master process, and
-- `haplua keep` beside it. The nodes are processes that outlive tasks; close() ends them.
--
--   local nodes <close> = require("nodes").start(cluster, { count = 20 })
--   nodes:kill(3); nodes:keep(3); nodes:reload(4); nodes:list(4)

local etcd_store = require("haplua.store.etcd")
local running = require("running")
local support = require("support")

local M = {}

M.FLEET = "shop"
M.ACL = "#9999"

-- Seconds: hundreds of agents on a machine with two cores may leave members without a leader for a minute.
M.PATIENCE = 300

---@class fleet.Node
---@field name string
---@field dir string
---@field program string  HAProxy's
---@field haproxy string  the PID of HAProxy's master process
---@field keep string?  the PID of the agent
---@field target table

---@class fleet.Nodes
---@field cluster fleet.Cluster
---@field [integer] fleet.Node
local Nodes = {}
Nodes.__index = Nodes

--- The configuration of a machine of the fleet.
---@param cluster fleet.Cluster
---@param name string
---@param more string?  further fields
function M.configuration(cluster, name, more)
  local dir = cluster.dir
  return ([[return { journal = "%s/%s.db", default = "site", switches = { site = { acl = "%s" } },
    fleet = { name = "%s", node = "%s", etcd = { endpoints = { "%s" }, ca = "%s/ca.crt", cert = "%s/root.crt",
      key = "%s/root.key" } }, %s }]]):format(dir, name, M.ACL, M.FLEET, name, table.concat(cluster.endpoints, '", "'),
    dir, dir, dir, more or "")
end

local function write(path, text)
  local f <close> = assert(io.open(path, "w"))
  f:write(text)
end

local HAPROXY <const> = [[
global
    stats socket DIR/sock mode 600 level admin
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend visitors
    bind unix@DIR/http
    acl maintenance path -i -u 9999 -m reg
    use_backend maintenance if maintenance
backend maintenance
    server page 127.0.0.1:1
]]

--- Start the agent of a node.
---@param i integer
function Nodes:keep(i)
  local node = self[i]
  node.keep = running.daemon(node.dir .. "/keep.log",
    support.program("-s", node.dir .. "/sock", "scripts/keep.lua", "--config", node.dir .. "/config.lua"))
end

--- Kill the agent of a node.
---@param i integer
function Nodes:kill(i)
  local pid = self[i].keep
  self[i].keep = nil
  running.kill({ pid })
end

--- Have HAProxy's master process start a new worker, whose list is empty.
---@param i integer
function Nodes:reload(i)
  run({ "kill", "-USR2", self[i].haproxy, stderr = "null" })
end

--- What HAProxy holds on a node, as one text; nil: it does not answer.
---@param i integer
---@return string?
function Nodes:list(i)
  local ok, list = pcall(self[i].target.acl_list, self[i].target, M.ACL)
  if not ok then
    return nil
  end
  table.sort(list)
  return table.concat(list, " ")
end

function Nodes:close()
  local pids = {}
  for _, node in ipairs(self) do
    pids[#pids + 1] = node.keep
  end
  running.kill(pids)
  for _, node in ipairs(self) do
    run({ "pkill", "-KILL", "-P", node.haproxy })
    running.kill({ node.haproxy })
  end
end
Nodes.__close = Nodes.close

--- The nodes that say that they are live.
---@param client haplua.etcd.Client
---@return integer
function M.live(client)
  local n = 0
  for _, kv in ipairs(client:range({ key = ("/haplua/v1/%s/nd/"):format(M.FLEET), prefix = true, keys_only = true }).kvs) do
    n = n + (kv.key:find("/live$") and 1 or 0)
  end
  return n
end

--- Found the fleet, and start its nodes; they are live when this returns.
---@param cluster fleet.Cluster
---@param options {count: integer, programs: string[]?, more: fun(i: integer): string?}  programs: of HAProxy, taken in
--- turn; more: further fields of a node's configuration
---@return fleet.Nodes
function M.start(cluster, options)
  local self = setmetatable({ cluster = cluster }, Nodes)
  local client <close> = cluster:client()
  etcd_store.init(client, M.FLEET)
  local programs = options.programs or { os.getenv("HAPROXY") or "haproxy" }
  for i = 1, options.count do
    local node = { name = "lb" .. i, dir = ("%s/n%d"):format(cluster.dir, i), program = programs[(i - 1) % #programs + 1] }
    require("haplua.file").folder(node.dir)
    write(node.dir .. "/config.lua", M.configuration(cluster, node.name, options.more and options.more(i)))
    write(node.dir .. "/haproxy.cfg", (HAPROXY:gsub("DIR", node.dir)))
    node.haproxy = running.daemon(node.dir .. "/haproxy.log", { "env", "PATH=" .. os.getenv("PATH") .. ":/usr/sbin:/sbin",
      node.program, "-W", "-f", node.dir .. "/haproxy.cfg" })
    node.target = haproxy.connect(node.dir .. "/sock", { timeout = 20 })
    self[i] = node
  end
  local ok, problem = pcall(function()
    for i = 1, options.count do
      running.eventually("HAProxy answers", function()
        return self:list(i)
      end, M.PATIENCE)
      self:keep(i)
    end
    running.eventually("all nodes are live", function()
      local ok, live = pcall(M.live, client)
      return ok and live == options.count
    end, M.PATIENCE)
  end)
  if not ok then
    self:close()
    error(problem, 0)
  end
  return self
end

return M
