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
  local s, f, g

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
    g = site.start({
      threads = 1,
      frontend = [[
    http-request set-var(txn.site) base,map_reg(DIR/list.map)
    http-request set-var(txn.mask) var(txn.site),field(3,|),add(0)
    http-request set-var(txn.lacks) src,map_ip_int(DIR/bypass.map,0),cpl,and(txn.mask)
    use_backend maintenance if { var(txn.site) -m found } !{ var(txn.lacks) -m int 0 }]],
      files = { ["list.map"] = "", ["bypass.map"] = "" },
    })
    g.journal = g.dir .. "/journal.db"
    g.config = g.folder.write("config.lua",
      ([[return { switches = { site = { map = "%s/list.map", bypass = "%s/bypass.map" } } }]]):format(g.dir, g.dir))
  end)

  teardown(function()
    s:close()
    f:close()
    g:close()
  end)

  local function good(ran)
    if ran.status ~= 0 then
      error(("status %d\n%s%s"):format(ran.status, ran.out, ran.err), 2)
    end
  end

  it("no request leaks while maintenances beside come and go", function()
    assert(s:maint("on", "^/shop").status == 0)
    s:reset_counts()
    local stop = start_load(s, "/shop/cart")
    under_load(s)
    for i = 1, REPETITIONS do
      local ran = s:maint("on", "--replace", "^/shop", i % 2 == 0 and "^/a" or "^/b")
      if ran.status ~= 0 or not ran.out:find("(1 added, " .. (i > 1 and 1 or 0) .. " removed", 1, true) then
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

  -- Random changes of several maintenances that overlap. One after the other, each path of PATHS gets load and is held
  -- closed for a while by a chain of maintenances: before one of them ends, another that closes the path has begun.
  local PATHS = { "/shop", "/shop/cart", "/pay" }
  local SCOPES = {
    { "--path", "/shop" }, { "--path", "/shop", "--path", "/a" }, { "--path", "/shop/cart" }, { "--path", "/pay" },
    { "--path", "/s", "--path", "/p" }, {}, { "--path", "/b" }, { "--path", "/pay", "--path", "/b" },
  }

  --- Does a scope close a path?
  local function closes(scope, path)
    for i = 2, #scope, 2 do
      if path:sub(1, #scope[i]) == scope[i] then
        return true
      end
    end
    return #scope == 0
  end

  --- Random changes of a site's maintenances, while it has load from a client whom some of them let pass.
  ---@param of table  the site
  ---@param repetitions integer
  ---@param may_pass boolean?  a client passes where those that cover its request let it pass
  local function change_randomly(of, repetitions, may_pass)
    local json = require("haplua.json")
    local random = require("support").random(tonumber(os.getenv("LOAD_SEED")) or os.time() % 1000000)
    local current, n = {}, 0 -- by name: the scope, and whether the client of the load passes

    local function closed(path, without)
      for name, m in pairs(current) do
        if name ~= without and not m.passes and closes(m.scope, path) then
          return true
        end
      end
      return false
    end

    local function maint(...)
      local ran = of:maint(...)
      good(ran)
      n = n + 1
      return json.decode(ran.out)
    end

    --- Begin a maintenance, or refresh the oldest one of this scope.
    local function on(path, scope)
      local oldest
      for name, m in pairs(current) do
        local is_same = table.concat(m.scope, " ") == table.concat(scope, " ")
        oldest = is_same and (not oldest or tonumber(name:sub(2)) < tonumber(oldest:sub(2))) and name or oldest
      end
      local passes = may_pass and random(3) == 1 and (not oldest or closed(path, oldest))
      local words = { "on", "--json", table.unpack(scope) }
      local network = passes and "127.0.0.0/8" or random(2) == 1 and "192.0.2.0/24" or "198.51.100.0/24"
      table.move({ "--reason", "turn " .. n, "--bypass", network }, 1, 4, #words + 1, words)
      current[maint(table.unpack(words)).maintenance.id] = { scope = scope, passes = passes }
    end

    local function names()
      local list = {}
      for name in pairs(current) do
        list[#list + 1] = name
      end
      table.sort(list)
      return list
    end

    --- One change, which leaves `path` closed.
    local function change(path)
      local list, scope = names(), SCOPES[random(#SCOPES)]
      local name, what = list[random(#list)], random(10)
      if what <= 4 or #list < 2 then
        on(path, scope)
      elseif what <= 7 then
        if closed(path, name) then
          maint("off", "--json", name)
          current[name] = nil
        end
      elseif what <= 9 then
        if #scope > 0 and (closes(scope, path) and not current[name].passes or closed(path, name)) then
          maint("change", "--json", name, table.unpack(scope))
          current[name].scope = scope
        end
      elseif closes(scope, path) then
        local m = maint("on", "--json", "--replace", table.unpack(scope)).maintenance
        current = { [m.id] = { scope = scope } }
      end
    end

    good(of:maint("off", "--all"))
    current[maint("on", "--json").maintenance.id] = { scope = SCOPES[6] }
    local sum, seconds, leaked = 0, 0, 0
    local turns = 6
    for turn = 1, turns do
      local path = PATHS[turn % #PATHS + 1]
      if not closed(path) then
        current[maint("on", "--json", "--path", path).maintenance.id] = { scope = { "--path", path } }
      end
      of:reset_counts()
      local stop = start_load(of, path)
      under_load(of)
      while n < repetitions * turn // turns do
        change(path)
      end
      local rate, requests = stop()
      sum, seconds = sum + requests, seconds + requests / rate
      local counts, total = of:counted()
      leaked = leaked + total
      assert.same({}, counts)
    end
    print(("load: %d requests, %.0f a second (aim: %d), %d random changes of maintenances that overlap, %d at the application")
      :format(sum, sum / seconds, AIM, n, leaked))
    assert.equal(0, leaked)
    -- what is in force at the end is what was counted on
    local status = json.decode(of:maint("status", "--json").out)
    local shown = {}
    for i, m in ipairs(status.maintenances) do
      shown[i] = m.id
    end
    table.sort(shown)
    assert.same({ names(), {} }, { shown, status.disagreements })
    for _, path in ipairs(PATHS) do
      assert.equal(closed(path) and "page" or "application", of:sees(path))
    end
    good(of:maint("off", "--all"))
    assert.equal("application", of:sees("/shop"))
  end

  it("no request leaks in random changes of maintenances that overlap, with journal, files and bypass", function()
    change_randomly(f, REPETITIONS)
  end)

  it("no request leaks in random changes, with a map as the switch", function()
    change_randomly(g, REPETITIONS // 10, true)
  end)

  it("no request leaks at reloads, if the list has a file", function()
    good(f:maint("on", "--path", "/shop", "--reason", "reloads"))
    f:reset_counts()
    local stop = start_load(f, "/shop/cart", true)
    under_load(f)
    for i = 1, RELOADS do
      f:reload()
      good(f:maint("on", "--replace", "--path", "/shop", "--path", i % 2 == 0 and "/a" or "/b"))
    end
    local rate, requests = stop()
    local counts, total = f:counted()
    print(("load: %d requests, %.0f a second (aim: %d), %d reloads with a file, %d at the application"):format(
      requests, rate, AIM, RELOADS, counts["/shop/cart"] or 0))
    assert.same({}, counts)
    assert.equal(0, total)
  end)

  it("the count shows the leaks of a reload, if the list has no file", function()
    good(s:maint("on", "--replace", "^/shop"))
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
    assert(s:maint("on", "--replace", "^/shop").status == 0)
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
