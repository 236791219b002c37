-- SPDX-License-Identifier: MIT

-- The client of etcd while members are killed, frozen or away, and what three of them do then.

local etcd = require("etcd")
local support = require("support")

local function put(client, key, value, lease)
  return client:txn({ success = { { "put", key = key, value = value, lease = lease } } })
end

--- Create a key, as a writer with an id does: what is in doubt is looked for by its key.
local function create(client, key)
  local written = { compare = { { key = key, target = "create", result = "=", value = 0 } },
    success = { { "put", key = key, value = "" } } }
  while true do
    local ok, found = pcall(client.txn, client, written)
    if ok then
      assert.is_true(found.succeeded, key) -- false: it was sent twice, or was done though the client said no
      return
    elseif found.kind == "doubt" then
      local is_there = false
      etcd.eventually("a read", function()
        local answered, range = pcall(client.range, client, { key = key })
        is_there = answered and range.count == 1
        return answered
      end)
      if is_there then
        return
      end
      written.compare[1].key = key -- a write in doubt may still come: the comparison settles it
    elseif found.kind ~= "unreachable" then
      error(found, 0)
    end
  end
end

describe("three members", function()
  local cluster, client

  lazy_setup(function()
    cluster = etcd.start({ members = 3 })
    client = cluster:client()
  end)

  before_each(function()
    cluster:mend()
  end)

  lazy_teardown(function()
    client:close()
    cluster:close()
  end)

  it("go on when the leader is killed, and nothing is written twice or lost", function()
    local writers = {}
    for w = 1, 3 do
      writers[w] = task.spawn(function()
        local one <close> = cluster:client({ timeout = 5 })
        for i = 1, 40 do
          create(one, ("w%d/%d"):format(w, i))
        end
      end)
    end
    task.sleep(0.05)
    local leader = cluster:leader()
    cluster:kill(leader)
    for w = 1, 3 do
      writers[w]:wait()
    end
    assert.equal(120, client:range({ key = "w", prefix = true, count_only = true }).count)
  end)

  it("end a watch when they stop in order; it goes on at another one", function()
    local revision = put(client, "t", "1").revision
    local one <close> = cluster:client({ members = { 1, 2 } })
    local watch <close> = one:watch({ key = "t", revision = revision + 1 })
    local first = watch.endpoint == cluster.endpoints[1] and 1 or 2
    local waiting = task.spawn(function()
      return table.pack(watch:next(60))
    end)
    cluster:kill(first, "TERM")
    local found = waiting:wait()
    assert.same({ nil, "ended" }, { found[1], found[2] })
    put(client, "t", "2")
    local again <close> = one:watch({ key = "t", revision = revision + 1 })
    assert.equal("2", assert(again:next(60)).events[1].kv.value)
  end)

  it("tell what they are, and which is away", function()
    cluster:kill(3)
    local rows = etcd.eventually("another leader", function()
      local rows = client:status()
      local leader = rows[1].leader
      return (leader == cluster.endpoints[1] or leader == cluster.endpoints[2]) and leader == rows[2].leader and rows
    end)
    assert.same({ true, true, false }, { rows[1].reachable, rows[2].reachable, rows[3].reachable })
    assert.matches("^3%.%d+%.%d+", rows[1].version)
    assert.equal("string", type(rows[3].problem))
    assert.same({ rows[1].revision, {} }, { client:range({ key = "x" }).revision, rows[1].alarms })
  end)

  it("refuse calls and end watches where one of them is alone", function()
    local alone <close> = cluster:client({ members = { 2 }, timeout = 10 })
    local revision = put(client, "m", "1").revision
    local watch <close> = alone:watch({ key = "m", revision = revision + 1 })
    cluster:kill(1)
    cluster:kill(3)
    local found, why, reason = watch:next(60)
    assert.same({ nil, "ended" }, { found, why })
    assert.matches("no leader", reason)
    local quick <close> = cluster:client({ members = { 2 }, timeout = 3 })
    local problem = support.failure(put, quick, "m", "2")
    assert.same({ "unreachable", nil }, { problem.kind, problem.in_doubt })
    assert.matches("no leader", problem.message)
    assert.equal("1", quick:range({ key = "m", serializable = true }).kvs[1].value)
    local all <close> = cluster:client({ timeout = 3 })
    problem = support.failure(all.range, all, { key = "m" })
    assert.equal("unreachable", problem.kind)
    for _, endpoint in ipairs(cluster.endpoints) do
      assert.matches(endpoint, problem.message, 1, true)
    end
  end)

  it("are left when they are silent, and a write there is in doubt", function()
    local frozen <close> = cluster:client({ members = { 1 }, timeout = 1 })
    etcd.eventually("an answer within a second", function()
      return (pcall(frozen.range, frozen, { key = "f" }))
    end)
    local patient <close> = cluster:client({ members = { 1 } })
    local watch <close> = patient:watch({ key = "f", silence = 4 })
    assert.same({ nil, "timeout" }, { watch:next(6) }) -- nothing happens, but the member answers
    cluster:signal(1, "STOP")
    local found, why, reason = watch:next(60)
    assert.same({ nil, "ended", "the member was silent for 4 s" }, { found, why, reason })
    local problem = support.failure(put, frozen, "f", "1")
    assert.same({ "doubt", 1 }, { problem.kind, problem.in_doubt })
    problem = support.failure(frozen.range, frozen, { key = "f" }) -- over a new connection, which does not come
    assert.equal("unreachable", problem.kind)
    assert.matches("^no connection", problem.message)
    local reader <close> = cluster:client({ members = { 1, 2, 3 }, timeout = 20 })
    for _ = 1, 3 do -- one of them is asked first
      reader:range({ key = "f", serializable = true })
    end
  end)
end)

describe("one member", function()
  it("gets no write twice where the connection ends without an answer", function()
    local cluster <close> = etcd.start()
    local there = cluster.addresses[1]
    local forwarder <close> = task.spawn(run, {
      "socat", ("TCP-LISTEN:2378,bind=%s,fork,reuseaddr"):format(there), ("TCP:%s:2379"):format(there), stderr = "null",
    })
    local client <close> = require("haplua.etcd.client").connect({
      endpoints = { ("https://%s:2378"):format(there) }, ca = cluster.dir .. "/ca.crt", cert = cluster.dir .. "/root.crt",
      key = cluster.dir .. "/root.key", timeout = 30,
    })
    etcd.eventually("a way to the member", function()
      return (pcall(client.range, client, { key = "d" }))
    end)
    cluster:signal(1, "STOP")
    local writing = task.spawn(pcall, put, client, "d", "1")
    task.sleep(0.2)
    run({ "sh", "-c", 'pkill -P "$(pgrep -d, -f "TCP-LISTEN:2378,bind=$0,fork")" socat', there }) -- the children alone
    task.sleep(0.2)
    cluster:signal(1, "CONT")
    local ok, problem = writing:wait()
    assert.same({ false, "doubt" }, { ok, problem.kind })
    forwarder:cancel()
    pcall(forwarder.wait, forwarder)
  end)

  it("is left when its link is cut without a word, and a write there is not made", function()
    local folder <close> = support.folder()
    local chunk = [[
      local client <close> = require("haplua.etcd.client").connect({ endpoints = { "http://10.9.0.2:2379" }, timeout = 3 })
      repeat
        task.sleep(0.05)
      until pcall(client.range, client, { key = "a" })
      local watch <close> = client:watch({ key = "a" })
      run({ arg[1] .. "/cut" })
      print(select(2, watch:next(120)))
      local _, problem = pcall(client.txn, client, { success = { { "put", key = "a", value = "1" } } })
      print(problem.kind, problem.phase)
    ]]
    local words = { "unshare", "-rn", "sh", "tests/fleet/cut.sh", folder.path, etcd.program }
    table.move(support.program("-e", chunk, folder.path), 1, 4, #words + 1, words)
    words.stdout, words.stderr = "capture", "capture"
    local status, out, err = run(words)
    if status == 77 or err:find("unshare", 1, true) then
      pending("namespaces cannot be had: " .. err)
    end
    assert.matches("^ended\t[^\n]*\nunreachable\tconnect\n$", out, 1, false, err)
  end)

  it("refuses writes without space, and takes reads and deletions", function()
    local cluster <close> = etcd.start({ flags = { "--quota-backend-bytes", "2000000" } })
    local client <close> = cluster:client()
    local problem
    for i = 1, 100 do
      local ok
      ok, problem = pcall(put, client, "s" .. i, ("x"):rep(100000))
      if not ok then
        break
      end
    end
    assert.same({ "refused", "8" }, { problem.kind, problem.code })
    assert.matches("database space exceeded", problem.message)
    assert.equal("8", support.refusal(client.grant, client, 10).code)
    assert.is_true(client:range({ key = "s", prefix = true }).count > 0)
    client:txn({ success = { { "delete", key = "s", prefix = true } } })
    assert.same({ "NOSPACE" }, client:status()[1].alarms)
  end)

  it("knows the user by the certificate, and cancels a watch without the right", function()
    local cluster <close> = etcd.start()
    local root <close> = cluster:client()
    put(root, "nd/lb1/x", "1")
    for _, words in ipairs({
      "user add root --no-password", "user add lb1 --no-password", "role add root", "role add node",
      "role grant-permission node readwrite --prefix=true nd/lb1/", "role grant-permission node read --prefix=true m/",
      "user grant-role root root", "user grant-role lb1 node", "auth enable",
    }) do
      local list = {}
      for word in words:gmatch("%S+") do
        list[#list + 1] = word
      end
      cluster:control(table.unpack(list))
    end
    local node <close> = cluster:client({ user = "lb1" })
    put(node, "nd/lb1/x", "2")
    assert.equal("7", support.refusal(put, node, "m/a", "1").code)
    assert.equal("7", support.refusal(node.range, node, { key = "nd/", prefix = true }).code)
    assert.is_true(node:status()[1].reachable)
    local watch <close> = node:watch({ key = "m/", prefix = true, silence = 2 })
    assert.same({ nil, "timeout" }, { watch:next(4) })
    put(root, "m/a", "1")
    assert.equal("1", assert(watch:next(60)).events[1].kv.value)
    local denied <close> = node:watch({ key = "nd/", prefix = true })
    local found, why, reason = denied:next(60)
    assert.same({ nil, "denied" }, { found, why })
    assert.matches("permission denied", reason)
    put(root, "m/b", "1")
    assert.equal("m/b", assert(watch:next(60)).events[1].kv.key)
  end)
end)
