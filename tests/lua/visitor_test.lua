-- SPDX-License-Identifier: MIT
--
-- One HTTP request, as a visitor's client makes it: what is sent, what comes of answers, and how a request ends early.

local support = require("support")
local visitor = require("haplua.visit.visitor")

local OK = "say HTTP/1.1 200 OK\\x0d\\nContent-Length: 2\\x0d\\n\\x0d\\nok"

--- What a server with these steps makes of a request with these options.
local function ask(steps, given)
  local fake <close> = support.fake({ tcp = true, table.unpack(steps) })
  given = given or {}
  given.url = (given.url or "http://ADDRESS/"):gsub("ADDRESS", fake.address)
  given.address = given.address and given.address:gsub("ADDRESS", fake.address)
  given.within = given.within or 60
  local answer = visitor.ask(given)
  return answer, fake:wait(1)[1], fake.address
end

--- The error of a request.
local function fails(steps, given)
  return support.failure(ask, steps, given)
end

describe("a visitor", function()
  it("asks as curl does, and reads the head of the answer", function()
    local answer, sent, address = ask({ "read",
      "say HTTP/1.1 503 Service Unavailable\\x0d\\nX-One: a\\x0d\\nx-one:  b \\x0d\\nRetry-After: 120\\x0d\\n",
      "say Empty:\\x0d\\nContent-Length: 5\\x0d\\n\\x0d\\nclosed" })
    assert.equal(503, answer.status)
    assert.equal("1.1", answer.version)
    assert.same({ ["x-one"] = "a, b", ["retry-after"] = "120", empty = "", ["content-length"] = "5" }, answer.headers)
    assert.equal("number", type(answer.seconds))
    assert.equal(("GET / HTTP/1.1\\x0d\\nHost: %s\\x0d\\nUser-Agent: haplua\\x0d\\nAccept: */*\\x0d\\n\\x0d\\n"):format(
      address), sent)
  end)

  it("sends the path as it stands, and what the options say", function()
    local _, sent = ask({ "read", OK }, {
      url = "http://www.example.com/./shop/../%73hop;x?q=1", address = "ADDRESS", host = "shop.example.com:8080",
      headers = { ["X-Forwarded-For"] = "192.0.2.1", Accept = false, "X-Line: a line", ["X-Empty"] = "" },
      version = "1.0", method = "POST",
    })
    assert.equal("POST /./shop/../%73hop;x?q=1 HTTP/1.0\\x0d\\nHost: shop.example.com:8080\\x0d\\nUser-Agent: haplua"
      .. "\\x0d\\nX-Empty:\\x0d\\nX-Forwarded-For: 192.0.2.1\\x0d\\nX-Line: a line\\x0d\\n\\x0d\\n", sent)
    _, sent = ask({ "read", OK }, { method = "OPTIONS", target = "*" })
    assert.equal("OPTIONS * HTTP/1.1", sent:match("^[^\\]*"))
    _, sent = ask({ "read", OK }, { headers = { Host = false } })
    assert.is_nil(sent:find("Host"))
  end)

  it("uses no proxy, and follows a redirect only if asked to", function()
    local proxied = support.haplua({
      "-e", 'print(require("haplua.visit.visitor").ask{ url = "http://127.0.0.1:1/", within = 30 }.status)',
      env = { http_proxy = "http://127.0.0.1:2/", HTTP_PROXY = "http://127.0.0.1:2/", all_proxy = "http://127.0.0.1:2" },
    })
    assert.equal("haplua: 'GET http://127.0.0.1:1/' at 127.0.0.1:1: no connection: connection refused",
      proxied.err:match("^[^\n]*"))
    assert.equal(3, proxied.status)
    local moved = "say HTTP/1.1 302 Found\\x0d\\nLocation: /next\\x0d\\nX-First: 1\\x0d\\nContent-Length: 0\\x0d\\n\\x0d\\n"
    local answer = ask({ "read", moved })
    assert.same({ 302, "/next" }, { answer.status, answer.headers.location })
    answer = ask({ "read", moved, "next", "read", OK }, { follow = true })
    assert.same({ 200 }, { answer.status, answer.headers["x-first"] })
    local problem = fails({ "read", moved }, { follow = true })
    assert.same({ "protocol", "read" }, { problem.kind, problem.phase })
  end)

  it("takes the last of several heads, without what follows a body", function()
    local answer = ask({ "read", "say HTTP/1.1 103 Early Hints\\x0d\\nLink: x\\x0d\\n\\x0d\\n", OK })
    assert.same({ 200, nil }, { answer.status, answer.headers.link })
    answer = ask({ "read", "say HTTP/1.1 200 OK\\x0d\\nTransfer-Encoding: chunked\\x0d\\n\\x0d\\n2\\x0d\\nok\\x0d\\n0\\x0d\\n"
      .. "X-Trailer: 1\\x0d\\n\\x0d\\n" })
    assert.same({ 200, nil }, { answer.status, answer.headers["x-trailer"] })
  end)

  it("reads no more than the beginning of a long body", function()
    assert.equal(200, (ask({ "read", "say HTTP/1.1 200 OK\\x0d\\n\\x0d\\n", "endless " .. ("x"):rep(1000) })).status)
    local problem = fails({ "read", "say HTTP/1.1 200 OK\\x0d\\n", "endless X-Long: " .. ("x"):rep(1000) .. "\\x0d\\n" })
    assert.equal("protocol", problem.kind)
  end)

  it("says in which phase a request failed", function()
    local problem = support.failure(visitor.ask, { url = "http://127.0.0.1:1/" })
    assert.same({ "unreachable", "connect", "ECONNREFUSED", "GET http://127.0.0.1:1/", "127.0.0.1:1" },
      { problem.kind, problem.phase, problem.code, problem.command, problem.target })
    problem = support.failure(visitor.ask, { url = "http://no-such-name.invalid/", within = 60 })
    assert.same({ "unreachable", "resolve" }, { problem.kind, problem.phase })
    problem = fails({ "read" })
    assert.same({ "unreachable", "read" }, { problem.kind, problem.phase })
    problem = fails({ "read", "say HTTP/1.1 200 OK\\x0d\\nContent-Length: 9\\x0d\\n\\x0d\\nok" })
    assert.same({ "unreachable", "read" }, { problem.kind, problem.phase })
    problem = fails({ "read", "say SSH-2.0-OpenSSH_9.2\\x0d\\n" })
    assert.equal("protocol", problem.kind)
    support.in_time(function(seconds)
      problem = fails({ "hold" }, { within = seconds })
      return problem.phase == "read"
    end, 0.02)
    assert.same({ "timeout", "read" }, { problem.kind, problem.phase })
    assert.matches("^no whole answer within [%d.]+ s$", problem.message)
    problem = fails({ "read", "say no TLS at all\\n" }, { url = "https://ADDRESS/" })
    assert.same({ "unreachable", "connect" }, { problem.kind, problem.phase })
    assert.matches("^no TLS: ", problem.message)
    assert.equal("Is the port one for TLS? If not, write http:// in the URL.", problem.advice)
  end)

  it("refuses options that it does not know, or that libcurl would take for something else", function()
    for pattern, given in pairs({
      ["no option 'adress'; did you mean 'address'"] = { url = "http://h/", adress = "127.0.0.1" },
      ["'url' is missing"] = {},
      ["'url' must be a URL"] = { url = "file:///etc/passwd" },
      ["not a string %('http://u:p@h/'%)"] = { url = "http://u:p@h/" },
      ["url: http://%[::x%]/: "] = { url = "http://[::x]/" },
      ["'address' must be IP"] = { url = "http://h/", address = "localhost:80" },
      ["not a string %('127.0.0.1:0'%)"] = { url = "http://h/", address = "127.0.0.1:0" },
      ["'source' must be an IP address"] = { url = "http://h/", source = "eth0" },
      ["'version' must be '1.0', '1.1' or '2'"] = { url = "http://h/", version = "3" },
      ["'within' must be seconds over 0"] = { url = "http://h/", within = 0 },
      ["'method' must be the name"] = { url = "http://h/", method = "GET /" },
      ["'host' must be a text without control"] = { url = "http://h/", host = "a\r\nX: y" },
      ["headers: X: a text without control"] = { url = "http://h/", headers = { X = "a\r\nY: z" } },
      ["headers: a name is a token"] = { url = "http://h/", headers = { "no colon" } },
    }) do
      support.refused(pattern, visitor.ask, given)
    end
  end)

  it("waits as a task does: many at once, deadlines, cancels", function()
    local fake <close> = support.fake({ tcp = true, "read", OK })
    local url, done = ("http://%s/"):format(fake.address), 0
    local tasks = {}
    for i = 1, 30 do
      tasks[i] = task.spawn(function()
        local answer = visitor.ask({ url = url, within = 60 })
        done = done + (answer.status == 200 and 1 or 0)
      end)
    end
    for _, t in ipairs(tasks) do
      t:wait()
    end
    assert.equal(30, done)
    local silent <close> = support.fake({ tcp = true, "hold" })
    url = ("http://%s/"):format(silent.address)
    local t = task.spawn(visitor.ask, { url = url, within = 60 })
    repeat
      task.sleep(0.01)
    until silent.holds
    t:cancel()
    assert.equal("interrupted", support.failure(t.wait, t).kind)
    silent:wait(1) -- the connection is closed
    local problem = support.failure(task.deadline, 0.05, visitor.ask, { url = url, within = 60 })
    assert.same({ "timeout", "the deadline of 0.05 s is over" }, { problem.kind, problem.message })
  end)

  it("is let go of in any order, also from finalizers and coroutines", function()
    local silent <close> = support.fake({ tcp = true, "hold" })
    support.good(support.haplua({ "-e", ([[
      local visitor = require("haplua.visit.visitor")
      local url = "http://%s/"
      local function ask() return visitor.ask{ url = url, within = 60 } end
      local asking = coroutine.create(ask)
      local t = task.spawn(function() coroutine.resume(asking) end)
      task.sleep(0.01)
      t:cancel()
      pcall(t.wait, t)
      assert(not coroutine.resume(asking))
      setmetatable({}, { __gc = function() assert(not pcall(ask)) end })
      collectgarbage()
      setmetatable({}, { __gc = function() assert(not pcall(ask)) end }) -- at the end of the state
      assert(not pcall(table.sort, { 1, 2 }, ask))
      for i = 1, 20 do
        task.spawn(ask)
        if i %% 5 == 0 then
          task.sleep(0)
        end
      end
      os.exit(0)
    ]]):format(silent.address) }))
  end)
end)
