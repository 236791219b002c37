-- SPDX-License-Identifier: MIT

-- The fake etcd on the test's clock: elections, silence and leases take the time that they take in etcd.

local task = require("haplua.task")
local test = require("haplua.test")

local THREE <const> = { "https://e1:2379", "https://e2:2379", "https://e3:2379" }

local function connect(options)
  return require("haplua.etcd.client").connect(options)
end

local function put(client, key, value)
  return client:txn({ success = { { "put", key = key, value = value } } })
end

--- Seconds that a function takes, and what it returns.
local function timed(fn, ...)
  local began = task.now()
  local found = table.pack(fn(...))
  return task.now() - began, table.unpack(found, 1, found.n)
end

describe("the fake etcd in virtual time", function()
  local etcd

  before_each(function()
    etcd = test.etcd({ endpoints = THREE })
  end)

  it("is found by its endpoints, and each test has its own", function()
    local client <close> = connect({ endpoints = { THREE[2] } })
    assert.equal(1, client:range({ key = "a" }).revision)
    assert.error(function()
      connect({ endpoints = { "https://other:2379" } })
    end)
  end)

  it("takes no write while it elects a leader", function()
    local client <close> = connect({ endpoints = THREE })
    put(client, "a", "1")
    etcd:stop(etcd.leader)
    local began = task.now()
    put(client, "a", "2")
    assert.near(1.5, task.now() - began, 0.1)
  end)

  it("tells of a silent cut after the watch's limit, and of a member without a leader after 5 seconds", function()
    local client <close> = connect({ endpoints = THREE, cert = "/x/lb1.crt" })
    local watch <close> = client:watch({ key = "a", silence = 13 })
    test.advance(3600)
    etcd:cut("lb1", THREE[1])
    local took, _, kind, reason = timed(watch.next, watch, 60)
    assert.near(13, took, 0.1)
    assert.same({ "ended", "the member is silent" }, { kind, reason })
    etcd:calm()
    local other <close> = client:watch({ key = "a" })
    test.advance(100)
    etcd:isolate(THREE[1])
    took, _, kind, reason = timed(other.next, other, 60)
    assert.near(5, took, 0.1)
    assert.same({ "ended", "no leader" }, { kind, reason })
  end)

  it("renews leases when a leader is new", function()
    local client <close> = connect({ endpoints = THREE })
    local lease = client:grant(5)
    client:txn({ success = { { "put", key = "live", value = "", lease = lease.id } } })
    test.advance(4)
    etcd:stop(etcd.leader)
    local began = task.now()
    local again <close> = client:watch({ key = "live" })
    assert.equal("delete", again:next(60).events[1].type)
    assert.near(6.5, task.now() - began, 0.2)
  end)

  it("draws faults from a seed, and a majority stays", function()
    local state = 7
    local function random(n)
      state = (state * 1103515245 + 12345) % 2147483648
      return state // 65536 % n + 1
    end
    local client <close> = connect({ endpoints = THREE, cert = "lb1" })
    local said = {}
    for i = 1, 60 do
      said[i] = etcd:disturb(random, { "lb1", "lb2" })
      pcall(put, client, "a", tostring(i))
      assert.is_true(etcd:has_quorum())
      test.advance(7)
    end
    etcd:calm()
    test.advance(10)
    etcd.lost = {}
    put(client, "a", "last")
    assert.equal("last", client:range({ key = "a" }).kvs[1].value)
    assert.contains("isolate", table.concat(said, "\n"))
  end)
end)
