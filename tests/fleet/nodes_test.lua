-- SPDX-License-Identifier: MIT

-- A fleet of real HAProxys with `haplua keep`, on real members of etcd: what people do, and what is left when an agent, a
-- member or HAProxy's process goes.

local etcd = require("etcd")
local json = require("haplua.json")
local running = require("running")
local sites = require("site")
local support = require("support")

local NODES <const> = 2

describe("a fleet on real members", function()
  local cluster, nodes, operator

  --- The text of a configuration.
  local function config(i)
    local urls = {}
    for k, url in ipairs(cluster.endpoints) do
      urls[k] = ("%q"):format(url)
    end
    return ([[return { journal = "%s/node%s.db", switches = { site = { acl = "#9999" } },
      fleet = { name = "shop", node = "lb%s", etcd = { endpoints = { %s }, ca = "%s/ca.crt", cert = "%s/root.crt",
        key = "%s/root.key" } } }]]):format(cluster.dir, i, i, table.concat(urls, ", "), cluster.dir, cluster.dir, cluster.dir)
  end

  local function write(name, text)
    local f <close> = assert(io.open(cluster.dir .. "/" .. name, "w"))
    f:write(text)
    return cluster.dir .. "/" .. name
  end

  local function keep(i)
    local node = nodes[i]
    node.pid = running.daemon(("%s/keep%d.log"):format(cluster.dir, i),
      support.program("-s", node.site.socket, "scripts/keep.lua", "--config", node.config))
  end

  local function kill(node)
    running.kill({ node.pid })
  end

  local function haplua(...)
    return support.haplua({ ... })
  end

  local function maint(...)
    return haplua("scripts/maint.lua", "--config", operator, ...)
  end

  --- The status of all nodes, once it is what is wanted.
  local function eventually(what, test)
    return running.eventually(what, function()
      local ran = maint("status", "--json")
      local ok, status = pcall(json.decode, ran.out)
      return ok and test(status) and status
    end)
  end

  local function sees(path)
    local words = {}
    for i, node in ipairs(nodes) do
      words[i] = node.site:sees(path)
    end
    return table.concat(words, " ")
  end

  lazy_setup(function()
    cluster = etcd.start({ members = 3 })
    nodes = {}
    operator = write("operator.lua", config(0))
    local founded = haplua("scripts/fleet.lua", "--config", operator, "init")
    assert(founded.status == 0, founded.err)
    for i = 1, NODES do
      nodes[i] = { site = sites.start(), config = write(("node%d.lua"):format(i), config(i)) }
      keep(i)
    end
    eventually("all nodes are live", function(status)
      local n = 0
      for _, node in ipairs(status.nodes) do
        n = n + (node.live and 1 or 0)
      end
      return n == NODES
    end)
  end)

  lazy_teardown(function()
    for _, node in ipairs(nodes or {}) do
      kill(node)
      node.site:close()
    end
    cluster:close()
  end)

  it("closes and opens on every node by one command", function()
    local on = maint("on", "--reason", "new database", "--within", "60")
    assert.same({ 0, "" }, { on.status, on.err }, on.out)
    assert.matches("on 2 of 2 nodes of the fleet shop", on.out)
    assert.equal("page page", sees("/"))
    local off = maint("off", "--within", "60")
    assert.same({ 0, "" }, { off.status, off.err }, off.out)
    assert.equal("application application", sees("/"))
  end)

  it("goes on while the leader is killed, and with a killed agent, which catches up", function()
    assert.equal(0, maint("on", "--within", "60").status)
    kill(nodes[2])
    cluster:kill(cluster:leader())
    local off = maint("off", "--within", "5")
    assert.equal(5, off.status, off.out .. off.err)
    assert.equal("application page", sees("/"))
    keep(2)
    eventually("the killed agent has caught up", function(status)
        return status.nodes[2].in_step
    end)
    assert.equal("application application", sees("/"))
    cluster:mend()
  end)

  it("puts maintenance back after a reload with the store away, and changes nothing", function()
    assert.equal(0, maint("on", "--within", "60").status)
    cluster:kill(1)
    cluster:kill(2)
    local refused = maint("off")
    assert.equal(3, refused.status, refused.out .. refused.err)
    nodes[1].site:reload()
    running.eventually("keep has put it back", function()
      return sees("/") == "page page"
    end)
    cluster:mend()
    assert.equal(0, maint("off", "--within", "60").status)
    assert.equal("application application", sees("/"))
  end)
end)
