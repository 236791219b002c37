-- SPDX-License-Identifier: MIT
--
--- Members of etcd for tests: on addresses of 127.0.0.0/8 that belong to this process, with a folder and certificates of
-- their own, gone at the end of the block. $ETCD names the program; etcdctl of the same folder, or of the path, is used.
--
--   local cluster <close> = etcd.start({ members = 3 })
--   local client <close> = cluster:client()
--   cluster:kill(cluster:leader())
--
-- Under tests/fleet/net.sh each member of the one cluster has a network of its own: cluster:part(), cut() and join().

local client = require("haplua.etcd.client")
local running = require("running")
local support = require("support")

local M = { eventually = running.eventually }

M.program = os.getenv("ETCD") or "etcd"
local control = M.program:match("^(.*/)etcd$")
control = control and require("haplua.file").info(control .. "etcdctl") and control .. "etcdctl" or "etcdctl"

-- $1: the folder; $2: the addresses, as IP:127.0.0.1,IP:...; $3...: the names of users. A key's certificate is for two
-- days, and "expired" has one that is over.
local MAKE_CERTIFICATES <const> = [[
set -e
cd "$1"; addresses=$2; shift 2
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
key ca
openssl req -x509 -new -key ca.key -subj /CN=test-ca -days 2 -out ca.crt
printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n' "$addresses" >extensions
sign() { # NAME DAYS
  key "$1"
  openssl req -new -key "$1.key" -subj "/CN=$1" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days "$2" -extfile extensions -out "$1.crt" 2>/dev/null
}
for name in server "$@"; do sign "$name" 2; done
sign expired -1
]]

---@class fleet.Cluster
---@field dir string
---@field endpoints string[]  of the members 1, 2, 3
local Cluster = {}
Cluster.__index = Cluster

local started = 0

-- Processes in the networks of the members; none: all are in this one.
local nets = {}
for pid in (os.getenv("FLEET_NETS") or ""):gmatch("%d+") do
  nets[#nets + 1] = pid
end

--- An address that no other process, and no other cluster of this one, uses.
local function address(i)
  if nets[1] then
    return "10.9.0." .. i + 1
  end
  local n = support.pid()
  return ("127.%d.%d.%d"):format(64 + started % 128, n // 63 % 256, i + 4 * (n % 63))
end

local function peer(cluster, i)
  return ("%s://%s:2380"):format(cluster.scheme, cluster.addresses[i])
end

--- The command line of a member.
local function words(cluster, i)
  local initial = {}
  for k in ipairs(cluster.addresses) do
    initial[k] = ("m%d=%s"):format(k, peer(cluster, k))
  end
  local list = {
    M.program, "--name", "m" .. i, "--data-dir", ("%s/m%d"):format(cluster.dir, i),
    "--listen-client-urls", cluster.endpoints[i], "--advertise-client-urls", cluster.endpoints[i],
    "--listen-peer-urls", peer(cluster, i), "--initial-advertise-peer-urls", peer(cluster, i),
    "--initial-cluster", table.concat(initial, ","), "--initial-cluster-token", "test-" .. support.pid(),
  }
  if cluster.scheme == "https" then
    for _, side in ipairs({ "", "peer-" }) do
      table.move({
        "--" .. side .. "cert-file", cluster.dir .. "/server.crt", "--" .. side .. "key-file", cluster.dir .. "/server.key",
        "--" .. side .. "trusted-ca-file", cluster.dir .. "/ca.crt", "--" .. side .. "client-cert-auth",
      }, 1, 7, #list + 1, list)
    end
  end
  return table.move(cluster.flags, 1, #cluster.flags, #list + 1, list)
end

--- Start a member, or start it again with what it has on its disk.
function Cluster:run(i)
  local list = words(self, i)
  if nets[i] then
    list = table.move(list, 1, #list, 5, { "nsenter", "-t", nets[i], "-n" })
  end
  self.pids[i] = running.daemon(("%s/m%d.log"):format(self.dir, i), list)
end

--- Send what member `i` has for an address to nobody, without a word, or as before.
local function lose(i, peer_address, is_lost)
  local verb = is_lost and "replace %s lladdr 02:00:00:00:00:01 nud permanent" or "del %s"
  run({ "nsenter", "-t", nets[i], "-n", "sh", "-c", "ip neigh " .. verb:format(peer_address) .. " dev eth0", stderr = "null" })
end

--- Cut a member off from the other members, silently. Clients reach it.
function Cluster:part(i)
  for k in ipairs(self.addresses) do
    if k ~= i then
      lose(i, address(k), true)
    end
  end
end

--- Cut a member off from all, silently.
function Cluster:cut(i)
  self:part(i)
  lose(i, "10.9.0.1", true)
end

--- End what part() and cut() have done.
function Cluster:join(i)
  for k = 0, #self.addresses do
    lose(i, address(k), false)
  end
end

--- Send a member a signal: "KILL", "TERM", "STOP", "CONT".
function Cluster:signal(i, name)
  run({ "kill", "-" .. name, self.pids[i], stderr = "null" })
end

--- Kill a member, and wait until its process is gone.
---@param name string?  another signal than KILL
function Cluster:kill(i, name)
  self:signal(i, name or "KILL")
  M.eventually("member " .. i .. " ends", function()
    return not running.is_alive(self.pids[i])
  end)
  self.pids[i] = nil
end

--- A client. `given` may name endpoints by number, the user, and other options of the client.
---@param given table?
---@return haplua.etcd.Client
function Cluster:client(given)
  given = given or {}
  local endpoints = {}
  for k, i in ipairs(given.members or self.numbers) do
    endpoints[k] = self.endpoints[i]
  end
  local file = ("%s/%s"):format(self.dir, given.user or "root")
  local is_tls = self.scheme == "https"
  return client.connect({
    endpoints = endpoints, timeout = given.timeout or 30, ca = is_tls and self.dir .. "/ca.crt" or nil,
    cert = is_tls and file .. ".crt" or nil, key = is_tls and file .. ".key" or nil,
  })
end

--- Wait until every member that runs takes calls: a linearizable read needs a leader as a write does.
function Cluster:wait_ready()
  for i in pairs(self.pids) do
    local one <close> = self:client({ members = { i }, timeout = 2 })
    M.eventually(("member %d takes calls"):format(i), function()
      return (pcall(one.range, one, { key = "ready" }))
    end, 300)
  end
end

--- Have every member run, and wait until they take writes.
function Cluster:mend()
  for i in ipairs(self.addresses) do
    if self.pids[i] then
      self:signal(i, "CONT")
    else
      self:run(i)
    end
  end
  self:wait_ready()
end

--- The number of the member that leads.
---@return integer
function Cluster:leader()
  local one <close> = self:client()
  return M.eventually("a leader", function()
    for _, row in ipairs(one:status()) do
      for i, endpoint in ipairs(self.endpoints) do
        if row.leader == endpoint then
          return i
        end
      end
    end
  end)
end

--- Run etcdctl as root, and return what it prints.
function Cluster:control(...)
  local list = { "env", "ETCDCTL_API=3", control, "--endpoints", table.concat(self.endpoints, ",") }
  if self.scheme == "https" then
    table.move({ "--cacert", self.dir .. "/ca.crt", "--cert", self.dir .. "/root.crt", "--key", self.dir .. "/root.key" },
      1, 6, #list + 1, list)
  end
  list = table.move({ ... }, 1, select("#", ...), #list + 1, list)
  list.stdout, list.stderr = "capture", "capture"
  local status, out, err = run(list)
  return status == 0 and out or error(("etcdctl: %s%s"):format(out, err), 2)
end

--- Save a snapshot.
---@param file string
function Cluster:save(file)
  local one = setmetatable({ endpoints = { self.endpoints[1] } }, { __index = self })
  one:control("snapshot", "save", file)
end

--- Put every member back to a snapshot.
---@param file string
function Cluster:restore(file)
  local initial = {}
  for i in ipairs(self.addresses) do
    self:kill(i)
    run({ "rm", "-r", ("%s/m%d"):format(self.dir, i) })
    initial[i] = ("m%d=%s"):format(i, peer(self, i))
  end
  for i in ipairs(self.addresses) do
    self:control("snapshot", "restore", file, "--name", "m" .. i, "--data-dir", ("%s/m%d"):format(self.dir, i),
      "--initial-cluster", table.concat(initial, ","), "--initial-advertise-peer-urls", peer(self, i),
      "--initial-cluster-token", "test-" .. support.pid())
    self:run(i)
  end
  self:wait_ready()
end

function Cluster:close()
  for i in pairs(self.pids) do
    self:kill(i)
  end
  getmetatable(self.folder).__close()
end
Cluster.__close = Cluster.close

--- Start members, and wait until they take writes.
---@param given {members: integer?, tls: boolean?, flags: string[]?}?  1 member, with TLS, unless given
---@return fleet.Cluster
function M.start(given)
  given = given or {}
  started = started + 1
  local folder = support.folder()
  local self = setmetatable({
    folder = folder, dir = folder.path, pids = {}, addresses = {}, endpoints = {}, numbers = {}, flags = given.flags or {},
    scheme = given.tls == false and "http" or "https",
  }, Cluster)
  local names = {}
  for i = 1, given.members or 1 do
    self.addresses[i], self.numbers[i] = address(i), i
    self.endpoints[i] = ("%s://%s:2379"):format(self.scheme, address(i))
    names[i] = "IP:" .. address(i)
  end
  if self.scheme == "https" then
    local status, _, err = run({
      "sh", "-c", MAKE_CERTIFICATES, "sh", self.dir, table.concat(names, ",") .. ",IP:127.0.0.1", "root", "lb1",
      stderr = "capture",
    })
    assert(status == 0, err)
  end
  for i in ipairs(self.addresses) do
    self:run(i)
  end
  local ok, problem = pcall(self.wait_ready, self)
  if not ok then
    self:close()
    error(problem, 0)
  end
  return self
end

return M
