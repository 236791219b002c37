-- SPDX-License-Identifier: MIT

-- The client of etcd against real members: what it answers and raises, and what it does when members fail.

local corpus = io.open("tests/fleet/corpus.lua") and dofile("tests/fleet/corpus.lua")
local etcd = require("etcd")
local support = require("support")

--- A client whose arguments may have come from JSON, where each number is a float.
local function of_json(client)
  local function integers(value)
    if type(value) ~= "table" then
      return math.type(value) == "float" and math.tointeger(value) or value
    end
    local made = {}
    for name, one in pairs(value) do
      made[name] = integers(one)
    end
    return made
  end
  return setmetatable({}, { __index = function(_, name)
    return function(_, argument)
      return client[name](client, integers(argument))
    end
  end })
end

local function put(client, key, value, lease)
  return client:txn({ success = { { "put", key = key, value = value, lease = lease } } })
end

describe("one member", function()
  local cluster, client

  lazy_setup(function()
    cluster = etcd.start()
    client = cluster:client()
  end)

  lazy_teardown(function()
    client:close()
    cluster:close()
  end)

  local with_corpus = corpus and it or pending
  with_corpus("answers as the corpus has it", function()
    local fresh <close> = etcd.start()
    local one <close> = fresh:client()
    local f <close> = assert(io.open("tests/fleet/corpus/calls.txt"))
    local differences = corpus.play(of_json(one), f:read("a"))
    assert.equal("", table.concat(differences, "\n"))
  end)

  it("reads and writes any bytes", function()
    local key, value = "bytes/\0\xff", ("\0\xff\r\n"):rep(10000)
    put(client, key, value)
    local found = client:range({ key = "bytes/", prefix = true })
    assert.same({ key, value, 1 }, { found.kvs[1].key, found.kvs[1].value, found.count })
    put(client, "bytes/\xff\xff", "")
    assert.equal(2, client:range({ key = "bytes/", prefix = true }).count)
    assert.equal(1, client:range({ key = "bytes/\xff", prefix = true, keys_only = true }).count)
  end)

  it("makes many calls at once, and keeps few connections", function()
    local tasks = {}
    for i = 1, 100 do
      tasks[i] = task.spawn(put, client, "many/" .. i, ("x"):rep(1000))
    end
    local watch <close> = client:watch({ key = "many/", prefix = true, revision = 1 })
    for i = 1, 100 do
      tasks[i]:wait()
    end
    assert.equal(100, client:range({ key = "many/", prefix = true, count_only = true }).count)
    local n = 0
    while n < 100 do
      n = n + #assert(watch:next(30)).events
    end
    local _, out = run({ "ss", "-Htn", "state", "established", "dst", cluster.addresses[1] .. ":2379", stdout = "capture" })
    local mine = 0
    for _ in out:gmatch("\n") do
      mine = mine + 1
    end
    assert.is_true(mine <= 8, out) -- those that are kept, that of the watch, and etcd's own
  end)

  it("takes answers of many megabytes", function()
    for i = 1, 12 do
      put(client, "large/" .. i, ("x"):rep(1000000))
    end
    assert.equal(12, #client:range({ key = "large/", prefix = true }).kvs)
    assert.equal("timeout", select(2, client:watch({ key = "a" }):next(0.01)))
    client:txn({ success = { { "delete", key = "large/", prefix = true } } })
  end)

  it("refuses what is too large, and what no user may do", function()
    local problem = support.refusal(put, client, "k", ("x"):rep(2000000))
    assert.same({ "3", cluster.endpoints[1] }, { problem.code, problem.target })
    assert.matches("etcd: etcdserver: request is too large", problem.message, 1, true)
  end)

  it("ends a watch that is closed while it is waited for", function()
    local watch <close> = client:watch({ key = "closed" })
    local waiting = task.spawn(function()
      return table.pack(watch:next())
    end)
    task.sleep(0.01)
    watch:close()
    assert.same({ n = 3, nil, "ended", "closed" }, waiting:wait())
    assert.same({ nil, "ended", "closed" }, { watch:next(0) })
  end)

  it("lets a task that waits for a watch be cancelled, and another one wait", function()
    local watch <close> = client:watch({ key = "cancelled" })
    local waiting = task.spawn(watch.next, watch)
    task.sleep(0.01)
    waiting:cancel()
    pcall(waiting.wait, waiting)
    put(client, "cancelled", "1")
    assert.equal("1", assert(watch:next(30)).events[1].kv.value)
  end)

  it("lets calls and watches go with their tasks", function()
    for i = 1, 20 do
      local doing = task.spawn(function()
        local watch = client:watch({ key = "gone" })
        watch:next()
      end)
      task.sleep(0.001 * i)
      doing:cancel()
      pcall(doing.wait, doing)
    end
    collectgarbage()
    put(client, "gone", "1")
  end)

  it("may be closed by a finalizer while an answer becomes a table", function()
    for i = 1, 40 do
      put(client, "finalizer/" .. i, ("x"):rep(100))
    end
    local wire = require("haplua.etcd.wire")
    for i = 1, 100 do
      local channel <close> = wire.open()
      local call = channel:call("range", { key = "finalizer/", range_end = "finalizer0" }, {
        endpoint = cluster.endpoints[1], ca = cluster.dir .. "/ca.crt", cert = cluster.dir .. "/root.crt",
        key = cluster.dir .. "/root.key", within = 30, leader = true,
      })
      for _ = 1, i do
        setmetatable({}, { __gc = function()
          call:close()
          channel:close()
        end })
      end
      local answer = call:next(30)
      local outcome = call:outcome()
      assert.is_true(answer == nil or #answer.kvs == 40)
      assert.equal("table", type(outcome))
      collectgarbage("step", i)
    end
  end)

  it("ends a watch that would ask a member after the client was closed", function()
    local one = cluster:client()
    local watch <close> = one:watch({ key = "late", silence = 0.2 })
    one:close()
    assert.same({ n = 3, nil, "ended", "the client is closed" }, table.pack(watch:next(30)))
  end)

  it("raises an error of the network after it was closed, also in the middle of a call", function()
    local waiting = require("haplua.etcd.client").connect({ endpoints = { "https://127.0.0.1:2", cluster.endpoints[1] },
      timeout = 60 }) -- it has no certificate, and tries again and again
    local calling = task.spawn(pcall, waiting.range, waiting, { key = "a" })
    task.sleep(0.05)
    waiting:close()
    local ok, why = calling:wait()
    assert.same({ false, "unreachable" }, { ok, why.kind })
    local one = cluster:client()
    one:range({ key = "a" })
    one:close()
    one:close()
    local problem = support.failure(one.range, one, { key = "a" })
    assert.same({ "unreachable", "the client is closed" }, { problem.kind, problem.message })
    support.refused("the client is closed", one.status, one)
    support.refused("the client is closed", one.watch, one, { key = "a" })
  end)

  it("says what is wrong with the certificate, the authority, the port", function()
    local expired <close> = cluster:client({ user = "expired" })
    local problem = support.failure(expired.range, expired, { key = "a" })
    assert.equal("unreachable", problem.kind)
    assert.matches("certificate [^ ]*/expired.crt", problem.message)
    -- etcd 3.4 takes an expired certificate for a bad one
    assert.is_truthy(problem.message:find("has expired", 1, true) or problem.advice:find("Has it expired?", 1, true))
    problem = support.failure(put, expired, "a", "1")
    assert.same({ "unreachable", nil }, { problem.kind, problem.in_doubt })

    --- What a client with other files says.
    local function says(files)
      local given = { endpoints = cluster.endpoints, ca = cluster.dir .. "/ca.crt" }
      for name, file in pairs(files) do
        given[name] = file and cluster.dir .. "/" .. file or nil
      end
      local one <close> = require("haplua.etcd.client").connect(given)
      local found = support.failure(one.range, one, { key = "a" })
      assert.same({ "unreachable", "string" }, { found.kind, type(found.advice) })
      assert.is_nil(found.advice:find("HAProxy"))
      return found.message
    end
    assert.matches("is not of the authority in this system", says({ ca = false }), 1, true)
    assert.matches("is not of the authority in [^ ]*/expired.crt", says({ ca = "expired.crt" }))
    assert.matches("wants a client's certificate", says({}), 1, true)
    assert.matches("`key` cannot be read: [^ ]*/none: No such file", says({ cert = "root.crt", key = "none" }))
    assert.matches("`cert` cannot be read: [^ ]*/none: No such file", says({ cert = "none", key = "root.key" }))
    assert.matches("`ca` cannot be read: [^ ]*/none: No such file", says({ ca = "none" }))
    assert.matches("the key [^ ]*/lb1.key is not that of [^ ]*/root.crt", says({ cert = "root.crt", key = "lb1.key" }))
    assert.matches("holds no certificate", says({ cert = "root.key", key = "root.key" }), 1, true)
    local without_tls = cluster.endpoints[1]:gsub("https", "http")
    local plain <close> = require("haplua.etcd.client").connect({ endpoints = { without_tls }, timeout = 1 })
    problem = support.failure(put, plain, "a", "1")
    assert.is_true(problem.kind == "unreachable" or problem.kind == "doubt" or problem.kind == "protocol", problem.kind)
    local nobody <close> = require("haplua.etcd.client").connect({ endpoints = { "https://" .. cluster.addresses[1] .. ":2" } })
    problem = support.failure(put, nobody, "a", "1")
    assert.same({ "unreachable", "ECONNREFUSED", "connect" }, { problem.kind, problem.code, problem.phase })
    assert.matches("systemctl status etcd", problem.advice, 1, true)
    local both <close> = require("haplua.etcd.client").connect({ endpoints = { "https://127.0.0.1:2", "https://127.0.0.1:3" } })
    assert.equal("no endpoint took the call: https://127.0.0.1:2, https://127.0.0.1:3: no connection: connection refused",
      support.failure(both.range, both, { key = "a" }).message)
  end)

  it("keeps a lease, and says that one is gone", function()
    local lease = client:grant(60)
    assert.equal(60, client:keepalive(lease.id))
    put(client, "leased", "", lease.id)
    client:revoke(lease.id)
    assert.is_nil(client:keepalive(lease.id))
    assert.equal(0, client:range({ key = "leased" }).count)
    assert.equal("5", support.refusal(client.revoke, client, lease.id).code)
  end)

  it("cancels a watch from a compacted revision", function()
    put(client, "c", "1")
    local revision = put(client, "c", "2").revision
    client:compact(revision)
    local watch <close> = client:watch({ key = "c", revision = 1 })
    assert.same({ nil, "compacted", revision }, { watch:next(30) })
    assert.same({ nil, "compacted", revision }, { watch:next(30) })
  end)
end)

describe("options of the client", function()
  local connect = require("haplua.etcd.client").connect

  it("are checked", function()
    support.refused("'endpoints' is missing", connect, {})
    support.refused("an endpoint, such as", connect, { endpoints = { "10.0.0.1:2379" } })
    support.refused("an endpoint, such as", connect, { endpoints = { "https://10.0.0.1" } })
    support.refused("'cert' and 'key' belong together", connect, { endpoints = { "https://a:1" }, cert = "x" })
    local client <close> = connect({ endpoints = { "https://127.0.0.1:1" } })
    support.refused("'key' is missing", client.range, client, {})
    support.refused("either 'prefix' or 'range_end'", client.range, client, { key = "a", prefix = true, range_end = "b" })
    support.refused("begins with 'put'", client.txn, client, { success = { { "get", key = "a" } } })
    support.refused("a text for the target 'value'", client.txn, client,
      { compare = { { key = "a", target = "value", result = "=", value = 1 } } })
    support.refused("no option 'keys'", client.range, client, { key = "a", keys = true })
  end)
end)

