-- SPDX-License-Identifier: MIT
--
-- While a path is under maintenance, no request for it reaches the application, whatever else is switched. The
-- application counts the requests, under as much load as this machine can make.

local running = require("running")
local site = require("site")

local REPETITIONS = tonumber(os.getenv("LOAD_REPETITIONS")) or 500
local RELOADS = tonumber(os.getenv("LOAD_RELOADS")) or 20
local AIM = 20000

--- Put load on a path.
---@param may_break boolean?  connections may break, because HAProxy is reloaded
---@return fun(): number, integer stop  ends the load; returns wrk's requests per second, and their number
local function start_load(s, path, may_break)
  local support = require("support")
  local started, summary = support.event(), {}
  local words = {
    "sh", "-c", 'echo $$; exec "$@"', "sh",
    "wrk", "-t1", "-c48", "-d10m", "--timeout", "30s", ("http://127.0.0.1:%d%s"):format(s.port, path),
    stdout = function(line)
      started.set(line)
      summary[#summary + 1] = line
    end,
  }
  local wrk = task.spawn(run, words)
  local pid = started.wait()
  return function()
    run({ "sh", "-c", 'kill -INT "$1"', "sh", pid })
    assert(wrk:wait() == 0)
    local text = table.concat(summary, "\n")
    assert.is_true(may_break or not text:match("Socket errors[^\n]*"), text)
    return tonumber(text:match("Requests/sec:%s*([%d.]+)")), math.tointeger(text:match("(%d+) requests in"))
  end
end

--- Wait until the load goes through HAProxy.
local function under_load(s)
  local before = s.target:stat("frontend-http")[1].req_tot
  repeat
    local now = s.target:stat("frontend-http")[1].req_tot
    task.sleep(0.01)
  until now > before + 5000
end

describe("under load", function()
  local s, f

  setup(function()
    s = site.start({ threads = 1 })
    f = site.start({
      threads = 1,
      acl = "base -i -m reg -f DIR/list.acl",
      frontend = "acl passes src -f DIR/bypass.acl\n    http-request set-var(txn.reason) str(reason),map_str(DIR/info.map,none)",
      condition = "!passes",
      files = { ["list.acl"] = "", ["bypass.acl"] = "", ["info.map"] = "" },
    })
    f.journal = f.dir .. "/journal.db"
    f.config = f.folder.write("config.lua", (([[return { switches = { site = {
      acl = "DIR/list.acl", bypass = "DIR/bypass.acl", info = "DIR/info.map" } } }]]):gsub("DIR", f.dir)))
  end)

  teardown(function()
    s:close()
    f:close()
  end)

  local function good(ran)
    if ran.status ~= 0 then
      error(("status %d\n%s%s"):format(ran.status, ran.out, ran.err), 2)
    end
  end

  it("no request leaks while `maint on` goes from one set of patterns to another", function()
    assert(s:maint("on", "^/shop", "^/a").status == 0)
    s:reset_counts()
    local stop = start_load(s, "/shop/cart")
    under_load(s)
    for i = 1, REPETITIONS do
      local ran = s:maint("on", "^/shop", i % 2 == 0 and "^/a" or "^/b")
      if ran.status ~= 0 or not ran.out:find("(1 added, 1 removed", 1, true) then
        error(("repetition %d: status %d\n%s%s"):format(i, ran.status, ran.out, ran.err))
      end
    end
    local rate, requests = stop()
    local counts, total = s:counted()
    print(("load: %d requests, %.0f a second (aim: %d), %d times `maint on`, %d at the application"):format(
      requests, rate, AIM, REPETITIONS, counts["/shop/cart"] or 0))
    assert.same({}, counts)
    assert.equal(0, total)
  end)

  it("no request leaks between overlapping scopes, with journal, file and bypass", function()
    good(f:maint("on", "--path", "/shop", "--path", "/a"))
    f:reset_counts()
    local stop = start_load(f, "/shop/cart")
    under_load(f)
    for i = 1, REPETITIONS do
      good(f:maint("on", "--path", "/shop", "--path", i % 2 == 0 and "/a" or "/b", "--bypass",
        i % 3 == 0 and "192.0.2.0/24" or "198.51.100.0/24", "--reason", "turn " .. i))
    end
    local rate, requests = stop()
    local counts, total = f:counted()
    print(("load: %d requests, %.0f a second (aim: %d), %d times `maint on` with journal and file, %d at the application"):format(
      requests, rate, AIM, REPETITIONS, counts["/shop/cart"] or 0))
    assert.same({}, counts)
    assert.equal(0, total)
  end)

  it("no request leaks at reloads, if the list has a file", function()
    good(f:maint("on", "--path", "/shop", "--reason", "reloads"))
    f:reset_counts()
    local stop = start_load(f, "/shop/cart", true)
    under_load(f)
    for i = 1, RELOADS do
      f:reload()
      good(f:maint("on", "--path", "/shop", "--path", i % 2 == 0 and "/a" or "/b"))
    end
    local rate, requests = stop()
    local counts, total = f:counted()
    print(("load: %d requests, %.0f a second (aim: %d), %d reloads with a file, %d at the application"):format(
      requests, rate, AIM, RELOADS, counts["/shop/cart"] or 0))
    assert.same({}, counts)
    assert.equal(0, total)
  end)

  it("the count shows the leaks of a reload, if the list has no file", function()
    good(s:maint("on", "^/shop"))
    s:reset_counts()
    local stop = start_load(s, "/shop/cart", true)
    under_load(s)
    s:reload()
    running.eventually("a request has leaked", function()
      return s:counted()["/shop/cart"]
    end)
    good(s:maint("on", "^/shop"))
    local rate = stop()
    local counts = s:counted()
    print(("load: %.0f requests a second, one reload without a file, %d at the application"):format(rate,
      counts["/shop/cart"] or 0))
    assert.is_true((counts["/shop/cart"] or 0) > 0)
  end)

  it("the count shows the leaks of `clear acl`, `add acl`", function()
    local clear_then_add = [[
      echo "clear acl #9999" | socat stdio "unix-connect:$1"
      echo "add acl #9999 ^/shop" | socat stdio "unix-connect:$1"]]
    assert(s:maint("on", "^/shop").status == 0)
    s:reset_counts()
    local stop = start_load(s, "/shop/cart")
    under_load(s)
    local times = 0
    running.eventually("a request has leaked", function()
      times = times + 1
      assert(run({ "sh", "-c", clear_then_add, "sh", s.socket, stdout = "null" }) == 0)
      return s:counted()["/shop/cart"]
    end)
    local rate = stop()
    local counts = s:counted()
    print(("load: %.0f requests a second, %d times clear and add through socat, %d at the application"):format(
      rate, times, counts["/shop/cart"] or 0))
    assert.is_true((counts["/shop/cart"] or 0) > 0)
  end)
end)
