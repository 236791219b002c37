-- SPDX-License-Identifier: MIT

-- The store of a fleet, beyond what store_test.lua asks of every store: several writers, doubts, and a store that is
-- empty, older than before, or written by others.

local etcd = require("haplua.store.etcd")
local fake = require("haplua.test.etcd")
local records = require("haplua.store.etcd_records")
local support = require("support")

local PREFIX <const> = "/haplua/v1/shop/"
local live <const> = { worker = 42, started = 1000 }

local function wish(user, more)
  local made = { target = "shop", acl = "site", switch = "site", action = "on", patterns = {}, user = user or "u", host = "h" }
  for key, value in pairs(more or {}) do
    made[key] = value
  end
  return made
end

local function entity(more)
  local made = { target = "shop", acl = "site", switch = "site", scope = { paths = { "/a" } }, origin = "on", user = "u",
    host = "h", begins = 10 }
  for key, value in pairs(more or {}) do
    made[key] = value
  end
  return made
end

local function add(store, more, user)
  local m = entity(more)
  store:finish(store:begin(wish(user), { { add = m } }), live)
  return m
end

local function put(client, key, record)
  local value = type(record) == "table" and records.encode(record) or record
  client:txn({ success = { { "put", key = PREFIX .. key, value = value } } })
end

describe("the store of a fleet", function()
  local cluster, client, store

  before_each(function()
    cluster = fake.new({ endpoints = { "https://e1:2379", "https://e2:2379", "https://e3:2379" } })
    client = cluster:connect({ timeout = 0.01 })
    etcd.init(client, "shop")
    store = etcd.open(client, "shop")
  end)

  it("is founded once", function()
    add(store)
    assert.is_false(etcd.init(client, "shop"))
    assert.is_true(etcd.init(client, "other/fleet"))
    assert.equal(1, #store:current("shop"))
    assert.equal(0, #etcd.open(client, "other/fleet"):current("shop"))
  end)

  it("concludes nothing from a store without the fleet, and writes nothing there", function()
    local empty = etcd.open(client, "none")
    for _, call in ipairs({ "current", "log", "latest", "snapshot" }) do
      assert.matches("has no fleet 'none'", support.failure(empty[call], empty, "none", "site", 1).message)
    end
    assert.matches("has no fleet", support.failure(empty.begin, empty, wish(), { { add = entity() } }).message)
    assert.equal(0, client:range({ key = "/haplua/v1/none/", prefix = true }).count)
  end)

  it("does not read what a later haplua wrote, or does not write it, as `meta` says", function()
    add(store)
    local uid = store.uid
    put(client, "meta", { format = 2, reader = 1, writer = 2, uid = uid })
    assert.equal(1, #store:current("shop"))
    assert.matches("only reads it", support.failure(add, store).message)
    put(client, "meta", { format = 3, reader = 3, writer = 3, uid = uid })
    assert.matches("later haplua", support.failure(store.current, store, "shop").message)
    put(client, "meta", "nonsense")
    assert.equal("protocol", support.failure(store.current, store, "shop").kind)
  end)

  it("takes no revision that is older than the one that it has", function()
    local before = cluster.keys:snapshot()
    add(store)
    cluster:restore(before)
    local problem = support.failure(store.current, store, "shop")
    assert.matches("restored from an older snapshot", problem.message)
    assert.is_truthy(support.failure(add, store))
  end)

  it("gives two writers numbers of their own, and has the maintenances of both", function()
    local other = etcd.open(cluster:connect({}), "shop")
    local one, two = add(store), add(other, { scope = {} }, "v")
    assert.same({ 1, 2 }, { one.id, two.id })
    assert.equal(2, #store:current("shop", "site"))
    assert.equal(2, #other:log("shop", "site", 9))
  end)

  it("tells the loser of two changes who won, and leaves the winner's", function()
    local m = add(store)
    local other = etcd.open(cluster:connect({}), "shop")
    local mine, theirs = store:current("shop")[1], other:current("shop")[1]
    other:begin(wish("alice", { action = "change" }), { { of = theirs, set = { ends = 99 } } })
    local problem = support.failure(store.begin, store, wish("bob"), { { of = mine, set = { ended = 50, why = "off" } } })
    assert.same({ "refused", "m1 was changed meanwhile by alice@h: nothing is changed" }, { problem.kind, problem.message })
    assert.same({ 99, nil }, { store:maintenance("shop", m.id).ends, store:maintenance("shop", m.id).ended })
    assert.equal(2, #store:log("shop", "site", 9))
  end)

  it("settles a write in doubt by looking for it: it is done once", function()
    for i, outcome in ipairs({ "done", "lost", "done" }) do
      cluster:doubt(outcome)
      local m = entity({ reason = outcome .. i })
      local begun = store:begin(wish(), { { add = m } })
      assert.equal(i, #store:current("shop"))
      assert.equal(m.reason, store:maintenance("shop", m.id).reason)
      cluster:doubt(outcome)
      store:finish(begun, live)
      assert.equal("done", store:latest("shop", "site").outcome)
    end
    for _ = 1, 20 do
      cluster:doubt("lost")
    end
    assert.equal(1, support.failure(add, store).in_doubt or 1)
    assert.equal(3, #store:current("shop"))
  end)

  it("refuses where etcd refuses, with nothing changed", function()
    cluster:no_space()
    assert.equal("8", support.failure(add, store).code)
    cluster:no_space(false)
    cluster:deny("root", PREFIX .. "m/site/", "write")
    assert.equal("7", support.failure(add, store).code)
    cluster:deny("root", PREFIX .. "m/site/", false)
    assert.equal(0, #store:current("shop"))
  end)

  it("has one maintenance for an occurrence, whoever plans it", function()
    local other = etcd.open(cluster:connect({}), "shop")
    store:edit({ { add = entity({ occurrence = "k|1" }) } })
    local problem = support.failure(other.edit, other, { { add = entity({ occurrence = "k|1" }) } })
    assert.matches("m1 is the maintenance", problem.message)
    other:edit({ { add = entity({ occurrence = "k|1", acl = "api", switch = "api" }) } })
    assert.equal(2, #store:current("shop"))
    assert.same({}, store:log("shop", nil, 9))
  end)

  it("leaves out, and names, what is no maintenance", function()
    local m = add(store)
    put(client, "m/site/000000000009", "{}")
    put(client, "m/site/000000000010", "not JSON")
    put(client, "m/other/000000000001", cluster.keys:get(PREFIX .. "m/site/000000000001").value)
    local half = entity({ id = 11 })
    half.begins = nil
    put(client, "m/site/000000000011", half)
    assert.same({ m }, store:current("shop"))
    assert.equal(4, #store:snapshot().unread)
  end)

  it("keeps instants and texts as they are", function()
    local m = entity({ begins = 1767225600.1234567, ends = 1767225601 + 1 / 3, reason = 'a "quoted" / word \u{e9}', bypass = {} })
    store:begin(wish(nil, { acl = "server app/a1" }), { { add = m } })
    assert.same({ m }, store:current("shop"))
    assert.equal(PREFIX .. "log/server%20app%2Fa1/000000000001",
      client:range({ key = PREFIX .. "log/", prefix = true }).kvs[1].key)
  end)

  it("plans more at once than etcd takes in one transaction, and changes no more", function()
    local list = {}
    for i = 1, 250 do
      list[i] = { add = entity({ occurrence = "k|" .. i }) }
    end
    store:edit(list)
    local all, ending = store:current("shop"), {}
    assert.equal(250, #all)
    for i, m in ipairs(all) do
      ending[i] = { of = m, set = { ended = 5, why = "off" } }
    end
    assert.matches("250 maintenances at once", support.failure(store.begin, store, wish(), ending).message)
    assert.equal(250, #store:current("shop"))
  end)

  it("loses and doubles nothing of several writers whose answers get lost", function()
    local acknowledged, tasks = {}, {}
    for writer = 1, 4 do
      tasks[writer] = task.spawn(function()
        local own = etcd.open(cluster:connect({ timeout = 0.002 }), "shop")
        for i = 1, 12 do
          if i % 3 == 0 then
            cluster:doubt(i % 2 == 0 and "done" or "lost")
          end
          local reason = ("%d of %d"):format(i, writer)
          local ok, problem = pcall(add, own, { reason = reason })
          if ok then
            acknowledged[reason] = true
          elseif not tostring(problem):find("others change") then
            error(problem, 0)
          end
          task.sleep(0)
        end
      end)
    end
    for _, one in ipairs(tasks) do
      one:wait()
    end
    local seen, ids = {}, {}
    for _, m in ipairs(store:current("shop")) do
      assert.is_nil(seen[m.reason] or ids[m.id])
      seen[m.reason], ids[m.id] = true, true
    end
    for reason in pairs(acknowledged) do
      assert.is_true(seen[reason])
    end
    assert.is_true(#store:current("shop") >= 40)
  end)
end)
