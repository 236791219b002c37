-- SPDX-License-Identifier: MIT

-- A fleet of real nodes: three members of etcd, three HAProxys with keep beside each, and an operator's machine without
-- HAProxy.

local etcd = require("etcd")
local running = require("running")
local site = require("site")
local support = require("support")

local has_store, store = pcall(require, "haplua.store.etcd")
local with_store = has_store and it or pending

local NODES <const> = 3

--- The configuration of a machine of the fleet.
local function config_of(cluster, node)
  local endpoints = {}
  for i, endpoint in ipairs(cluster.endpoints) do
    endpoints[i] = ("%q"):format(endpoint)
  end
  return ([[return {
    switches = { site = { acl = "#9999" } },
    fleet = { name = "shop", node = "NODE", etcd = {
      endpoints = { ENDPOINTS }, ca = "DIR/ca.crt", cert = "DIR/root.crt", key = "DIR/root.key" } },
  }]]):gsub("%u%u%u+", { NODE = node, ENDPOINTS = table.concat(endpoints, ", "), DIR = cluster.dir })
end

-- One test, since what it starts belongs to its task.
describe("a fleet", function()
  local cluster, client, config
  local sites, keeps = {}, {}

  local function keep(i)
    local s = sites[i]
    keeps[i] = running.start(s, "-s", s.socket, "scripts/keep.lua", "--journal", s.dir .. "/journal.db", "--config", s.config)
  end

  local function is_live(i)
    return client:range({ key = ("/haplua/v1/shop/nd/lb%d/live"):format(i) }).count == 1
  end

  local function start_nodes()
    for i = 1, NODES do
      sites[i] = site.start()
      sites[i].config = sites[i].folder.write("config.lua", (config_of(cluster, "lb" .. i)))
      keep(i)
    end
    running.eventually("all nodes are live", function()
      return is_live(1) and is_live(2) and is_live(3)
    end)
  end

  local function stop_nodes()
    for i = 1, NODES do
      if keeps[i] then
        keeps[i]:signal("KILL")
        keeps[i]:wait()
      end
      if sites[i] then
        sites[i]:close()
      end
    end
  end

  local function maint(...)
    return support.haplua({ env = { HAPLUA_CONFIG = config }, "scripts/maint.lua", ... })
  end

  --- What visitors of a path see at each node.
  local function sees(path)
    local seen = {}
    for i = 1, NODES do
      seen[i] = sites[i]:sees(path)
    end
    return table.concat(seen, " ")
  end

  local function check_failing_parts()
    support.good(maint("on", "--path", "/shop", "--reason", "new database", "--within", "60"))
    assert.equal("page page page", sees("/shop"))
    assert.equal("application application application", sees("/"))

    cluster:kill(cluster:leader())
    local changed = maint("on", "--path", "/blog", "--within", "60")
    if changed.status == 3 then -- the leader took the answer with it
      changed = maint("on", "--path", "/blog", "--within", "60")
    end
    assert.equal(0, changed.status, changed.out .. changed.err)
    assert.equal("page page page", sees("/blog"))

    keeps[2]:signal("KILL")
    keeps[2]:wait()
    local off = maint("off", "m1", "--within", "2")
    assert.equal(5, off.status, off.out .. off.err) -- its lease is not over yet: it counts as live
    assert.matches("lb2", off.out)
    assert.equal("page", sites[2]:sees("/shop"))
    keep(2)
    running.eventually("the node has caught up", function()
      return sees("/shop") == "application application application"
    end)
    assert.equal("page page page", sees("/blog"))
  end

  local function check_without_majority()
    cluster:kill(1)
    cluster:kill(2)
    local refused = maint("on", "--path", "/more")
    assert.equal(3, refused.status, refused.out .. refused.err)
    assert.matches("no leader", refused.err, 1, true)
    keeps[1]:signal("TERM")
    keeps[1]:wait()
    keep(1)
    sites[1]:reload()
    running.eventually("the node is closed again after its reload", function()
      return sites[1]:sees("/blog") == "page"
    end)
    assert.equal("page page page", sees("/blog"))
    assert.equal("application application application", sees("/more"))
    cluster:mend()
    running.eventually("the nodes are live again", function()
      return is_live(1) and is_live(2) and is_live(3)
    end)
    support.good(maint("on", "--path", "/more", "--within", "60"))
    assert.equal("page page page", sees("/more"))
  end

  local function check_together_and_stages()
    keeps[2]:signal("STOP")
    local refused = maint("on", "--path", "/some", "--together", "--within", "2")
    assert.equal(1, refused.status, refused.out .. refused.err)
    assert.matches("nothing was changed", refused.out, 1, true)
    assert.matches("lb2  has not answered within 2 s", refused.out, 1, true)
    assert.equal("application application application", sees("/some"))
    support.good(maint("on", "--path", "/some", "--stages", "lb3", "--within", "60"))
    local id = maint("status").out:match("(m%d+)[^\n]*/some")
    local stopped = maint("change", id, "--stages", "lb2; *", "--within", "2")
    assert.equal(5, stopped.status, stopped.out .. stopped.err)
    assert.equal("application application page", sees("/some"))
    keeps[2]:signal("CONT")
    assert.matches(("to go on: haplua maint change %s --stages '*'"):format(id), stopped.out, 1, true)
    support.good(maint("change", id, "--stages", "*", "--together", "--within", "60"))
    assert.equal("page page page", sees("/some"))
    support.good(maint("off", id, "--together", "--within", "60"))
    assert.equal("application application application", sees("/some"))
  end

  with_store("is closed and opened by one command, and stays as it is without its store", function()
    local members <close> = etcd.start({ members = 3 })
    local folder <close> = support.folder()
    cluster, client = members, members:client()
    assert.is_true(store.init(client, "shop"))
    config = folder.write("config.lua", (config_of(cluster, "desk")))
    local nodes <close> = setmetatable({}, { __close = stop_nodes })
    start_nodes()
    check_failing_parts()
    cluster:mend()
    check_without_majority()
    check_together_and_stages()
    local found = maint("doctor").out
    assert.matches("fleet shop, revision %d+", found)
    assert.matches("warn  certificate +[^\n]*root.crt: the certificate of root ends in ", found)
    assert.matches("may begin and end maintenances of site", found)
    assert.matches("ok    nodes +3 nodes, 3 live", found)
    assert.not_matches("does not answer", found)
    assert.is_table(nodes)
  end)
end)
