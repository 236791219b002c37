-- SPDX-License-Identifier: MIT
--
-- maint with every kind of list: scope, bypass, reason, end, journal, files.

local running = require("running")
local site = require("site")
local support = require("support")

local json = require("haplua.json")

local function decode(ran)
  assert(ran.status == 0, ran.err)
  return json.decode(ran.out)
end

local good = support.good

--- A run must have failed with this status and these words.
local function bad(status, ran, ...)
  assert.equal(status, ran.status, ran.out .. ran.err)
  for _, words in ipairs({ ... }) do
    assert.matches(words, ran.err, 1, true)
  end
end

local CONFIG = [[
return {
  switches = {
    site = { acl = "DIR/site.acl", bypass = "DIR/bypass.acl", info = "DIR/info.map", allow = { "198.51.100.0/24" } },
    shop = { acl = "#9001" },
    old = { acl = "#9999" },
  },
  default = "site",
}]]

--- A site with every kind of list, beside the ACL `maintenance` that every test site has.
local function start(options)
  options = options or {}
  local s = site.start({
    condition = "!passes",
    frontend = [[
    acl passes src -f DIR/bypass.acl
    acl by-file base -i -m reg -f DIR/site.acl
    acl shop path -u 9001 -m beg
    http-response set-header X-Until %[str(until),map_str(DIR/info.map,none)]
    http-response set-header X-Reason %[str(reason),map_str(DIR/info.map,none)]
    use_backend maintenance if by-file !passes || shop]],
    files = options.files or {
      ["site.acl"] = "# the site\n", ["bypass.acl"] = "203.0.113.7\n", ["info.map"] = "",
    },
  })
  s.config = s.folder.write("config.lua", (CONFIG:gsub("DIR", s.dir)))
  s.journal = s.dir .. "/journal.db"
  return s
end

describe("maint, with a configuration", function()
  local s

  setup(function()
    s = start()
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    for _, name in ipairs({ "site", "shop", "old" }) do
      good(s:maint("--switch", name, "off", "--all"))
    end
  end)

  --- What a visitor of a host sees.
  local function sees(host, path)
    local answer = s:get(path, "-H", "Host: " .. host)
    return answer.status == 503 and "page" or answer.status == 200 and "application" or answer.status
  end

  it("takes hosts, paths, paths of hosts, and raw patterns", function()
    good(s:maint("on", "--host", "shop.example"))
    assert.same({ "page", "page", "application", "application" }, {
      sees("shop.example", "/"), sees("SHOP.example:8080", "/x?y"), sees("shop.example.org", "/"), sees("xshop.example", "/"),
    })
    good(s:maint("on", "--replace", "--host", "a.example", "--host", "b.example", "--path", "/pay", "--path", "/v1.0"))
    assert.same({ "page", "page", "application", "application", "application" }, {
      sees("a.example", "/pay/1"), sees("b.example", "/v1.0/x"), sees("b.example", "/v1x0"), sees("a.example", "/"),
      sees("c.example", "/pay"),
    })
    good(s:maint("on", "--replace", "--path", "/pay"))
    assert.same({ "page", "application" }, { sees("any.example", "/payments"), sees("any.example", "/x/pay") })
    good(s:maint("on", "--replace", "^only\\.example/z"))
    assert.same({ "page", "application" }, { sees("only.example", "/z"), sees("only.example", "/") })
    good(s:maint("on"))
    assert.same({ "page", "page" }, { sees("any.example", "/"), sees("other", "/x") })
    good(s:maint("off", "--all"))
    assert.equal("application", sees("any.example", "/"))
  end)

  it("shows HAProxy's state where the journal is broken", function()
    local journal = s.journal
    local _ <close> = setmetatable({}, { __close = function() s.journal = journal end })
    s.journal = s.dir .. "/broken.db"
    good(s:maint("on", "^/a"))
    local size = tonumber(select(2, run({ "stat", "-c", "%s", s.journal, stdout = "capture" })))
    run({ "rm", "-f", s.journal .. "-wal", s.journal .. "-shm" })
    for _, n in ipairs({ 10, 100, 5000, size - 4096, size - 1 }) do
      run({ "cp", s.journal, s.dir .. "/cut.db" })
      run({ "truncate", "-s", tostring(n), s.dir .. "/cut.db" })
      local ran = s:maint("--journal", s.dir .. "/cut.db", "status")
      assert.equal(0, ran.status, n .. ran.err)
      assert.matches("maintenance is on: .* matches %^/a\n", ran.out)
    end
    s.folder.write("cut.db", ("no database "):rep(1000))
    local ran = s:maint("--journal", s.dir .. "/cut.db", "status")
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.matches("but the journal [^\n]*cut.db: file is not a database: what is in force is not known\n", ran.out)
    ran = s:maint("--journal", s.dir .. "/cut.db", "on", "^/b")
    assert.equal(1, ran.status)
    good(s:maint("off", "--all"))
  end)

  it("shows what visitors see where there is no journal", function()
    local function status(...)
      return s:maint("--no-journal", "status", ...)
    end
    assert.matches("^maintenance is off: [^\n]*\n$", good(status()))
    assert.is_nil(decode(status("--json")).told)
    good(s:maint("on", "--reason", "new\\database"))
    s.target:map_add(s.dir .. "/info.map", "until", 2111713200)
    local told = decode(status("--json")).told
    assert.same({ "new\\database", "2036-12-01T03:00:00Z" }, { told.reason, told["until"] })
    local text = good(status())
    assert.matches("\n  since [^\n]* %(%d+ s%), as visitors see it\n  reason: new\\database\n  until 2036%-", text)
    assert.not_matches("as visitors see it\n", good(s:maint("status")), 1, true)
    s.target:map_replace(s.dir .. "/info.map", { ["until"] = "1000", since = "soon", reason = "\27[31mx" })
    text = good(status())
    assert.matches("\n  reason: \\x1b[31mx\n", text, 1, true)
    assert.matches("but it should have ended at 1970", text, 1, true)
    assert.not_matches("since", text, 1, true)
    s.target:map_clear(s.dir .. "/info.map")
    assert.not_matches("reason", good(status()), 1, true)
  end)

  it("keeps switches apart", function()
    good(s:maint("--switch", "shop", "on", "--path", "/shop"))
    assert.same({ "page", "application" }, { s:sees("/shop"), s:sees("/") })
    assert.is_false(decode(s:maint("status", "--json")).on)
    assert.is_true(decode(s:maint("--switch", "shop", "status", "--json")).on)
    good(s:maint("--acl", "#9001", "off"))
    assert.equal("application", s:sees("/shop"))
    bad(1, s:maint("--switch", "none", "on"), "no switch 'none': there are old, shop, site")
  end)

  it("refuses what an ACL cannot tell apart, before anything is sent", function()
    bad(1, s:maint("--switch", "shop", "on", "--host", "a.example"), "cannot tell hosts apart", "base -i -m reg")
    bad(1, s:maint("on", "--path", "shop"), "does not begin with a slash")
    bad(1, s:maint("on", "--path", "/a b"), "%20 for a blank")
    bad(1, s:maint("--switch", "shop", "on", "--bypass", "192.0.2.0/24"), "no list of clients that pass")
    bad(1, s:maint("on", "--bypass", "192.0.2.0/33"), "not a valid IPv4 or IPv6 address")
    bad(2, s:maint("on", "--until", "25:00"), "time")
    bad(2, s:maint("on", "--for", "30"), "a duration such as 4h")
    bad(2, s:maint("on", "--for", "30m", "--until", "03:00"), "--until and --for: give one of them")
    bad(2, s:maint("on", "--wait"), "--wait needs an end")
    assert.same({ false, false }, {
      decode(s:maint("status", "--json")).on, decode(s:maint("--switch", "shop", "status", "--json")).on,
    })
  end)

  it("lets clients pass beside those of others, and goes back to the configuration's", function()
    local function passing()
      return table.concat(s.target:acl_list(s.dir .. "/bypass.acl"), " ")
    end
    good(s:maint("on", "--bypass", "127.0.0.0/8", "--bypass", "2001:db8::/32"))
    assert.equal("application", s:sees("/"))
    assert.equal("203.0.113.7 127.0.0.0/8 2001:db8::/32", passing())
    good(s:maint("on"))
    assert.equal("page", s:sees("/"))
    assert.equal("203.0.113.7 198.51.100.0/24", passing())
    assert.matches("\n203.0.113.7\n198.51.100.0/24\n$", running.content(s.dir .. "/bypass.acl"))
    good(s:maint("off"))
    assert.equal("203.0.113.7 198.51.100.0/24", passing())
  end)

  it("tells visitors the reason and the end, and takes both back", function()
    local function header(name)
      local _, out = run({ "curl", "-s", "--noproxy", "*", "-o", "/dev/null", "-D", "-",
        ("http://127.0.0.1:%d/"):format(s.port), stdout = "capture" })
      return out:lower():match("\n" .. name .. ": ([^\r]*)\r")
    end
    local keeper <close> = setmetatable({ lock = require("haplua.store.sqlite").open(s.journal) }, {
      __close = function(k) k.lock:close() end,
    })
    local held <close> = assert(keeper.lock:keeper(require("haplua.file").real(s.socket)))
    good(s:maint("on", "--reason", "A new <b>database</b> & more", "--until", "2036-12-01T03:00Z"))
    assert.equal("2111713200", header("x%-until"))
    assert.equal("a new <b>database</b> & more", header("x%-reason"))
    assert.equal("A new &lt;b&gt;database&lt;/b&gt; &amp; more", s.target:map_get(s.dir .. "/info.map", "reason_html"))
    local status = decode(s:maint("status", "--json"))
    assert.equal("2036-12-01T03:00:00Z", status.maintenances[1]["until"])
    assert.same({}, status.disagreements)
    good(s:maint("off"))
    assert.same({ "none", "none" }, { header("x%-until"), header("x%-reason") })
    held:release()
    bad(1, s:maint("on", "--for", "30m"), "nobody would end this maintenance", "--wait", "haplua keep")
    assert.is_false(decode(s:maint("status", "--json")).on)
  end)

  it("keeps the files in step, with their mode and their comments", function()
    run({ "chmod", "640", s.dir .. "/site.acl" })
    good(s:maint("on", "--path", "/shop", "--reason", "why not"))
    assert.equal("# the site\n^[^/]*/shop\n", running.content(s.dir .. "/site.acl"))
    assert.matches("\nreason why not\n", running.content(s.dir .. "/info.map"))
    local _, mode = run({ "stat", "-c", "%a", s.dir .. "/site.acl", stdout = "capture" })
    assert.equal("640\n", mode)
    s:reload()
    assert.same({ "page", "application" }, { s:sees("/shop"), s:sees("/") })
    assert.same({}, decode(s:maint("status", "--json")).disagreements)
    good(s:maint("off"))
    assert.equal("# the site\n", running.content(s.dir .. "/site.acl"))
    s:reload()
    assert.equal("application", s:sees("/shop"))
  end)

  it("never writes what HAProxy has not taken", function()
    good(s:maint("on", "--path", "/a"))
    bad(1, s:maint("on", "^/b", "^/shop("), "regex '^/shop(' is invalid")
    assert.equal("# the site\n^[^/]*/a\n", running.content(s.dir .. "/site.acl"))
    assert.same({ "^[^/]*/a" }, s.target:acl_list(s.dir .. "/site.acl"))
    bad(1, s:maint("on", "#^/b"), "a file of patterns cannot hold")
    assert.same({ "^[^/]*/a" }, s.target:acl_list(s.dir .. "/site.acl"))
    assert.same({}, decode(s:maint("status", "--json")).disagreements)
  end)

  it("changes a long list by one entry as safely: what HAProxy or the file refuses is nowhere", function()
    local words, path = { "on" }, s.dir .. "/site.acl"
    for i = 1, 120 do
      table.move({ "--path", "/long" .. i }, 1, 2, #words + 1, words)
    end
    good(s:maint(table.unpack(words)))
    local function check(n, last)
      local entries = s.target:acl_list(path)
      local text = "# the site\n" .. table.concat(entries, "\n") .. "\n"
      assert.same({ n, last, text }, { #entries, entries[n], running.content(path) })
      assert.same({}, decode(s:maint("status", "--json")).disagreements)
    end
    check(120, "^[^/]*/long120")
    good(s:maint("on", "--path", "/one"))
    check(121, "^[^/]*/one")
    assert.same({ "page", "application" }, { s:sees("/one"), s:sees("/two") })
    bad(1, s:maint("on", "^/two("), "regex '^/two(' is invalid")
    check(121, "^[^/]*/one")
    bad(1, s:maint("on", "#^/two"), "a file of patterns cannot hold")
    check(121, "^[^/]*/one")
    s:reload()
    check(121, "^[^/]*/one")
    good(s:maint("off", "--path", "/one"))
    check(120, "^[^/]*/long120")
    s:reload()
    assert.same({ "application", "page" }, { s:sees("/one"), s:sees("/long7") })
  end)

  it("leaves the file alone with --no-file, and says what a reload would do", function()
    good(s:maint("--no-file", "on", "--path", "/a"))
    assert.equal("# the site\n", running.content(s.dir .. "/site.acl"))
    local status = decode(s:maint("status", "--json"))
    assert.equal("file", status.disagreements[1].kind)
    assert.matches("the next reload would undo the current state", status.disagreements[1].text, 1, true)
  end)

  it("status names what disagrees: forgotten at a reload, changed by hand, expired", function()
    good(s:maint("--switch", "old", "on", "^/a"))
    local function disagreements()
      local kinds = {}
      for i, disagreement in ipairs(decode(s:maint("--switch", "old", "status", "--json")).disagreements) do
        kinds[i] = disagreement.kind
      end
      return table.concat(kinds, " ")
    end
    assert.equal("", disagreements())
    s.target:acl_add("#9999", "^/x")
    assert.equal("by hand", disagreements())
    s:reload()
    assert.equal("forgotten", disagreements())
    assert.matches("HAProxy's process %d+ was replaced by %d+ at .*, and that one has an empty list",
      good(s:maint("--switch", "old", "status")))
    good(s:maint("--switch", "old", "on", "^/a"))
    assert.equal("", disagreements())
    require("haplua.store.sqlite").open(s.journal):run("UPDATE maintenances SET ends = 1 WHERE ended IS NULL AND acl = '#9999'")
    assert.equal("expired", disagreements())
  end)

  it("records who did what, and that a change failed", function()
    local log = decode(s:maint("--switch", "shop", "log", "--json", "--last", "1"))
    local last = log[1] and log[1].id or 0
    good(s:maint("--switch", "shop", "on", "--path", "/shop", "--reason", "because"))
    bad(1, s:maint("--switch", "shop", "on", "a\nb"), "haplua: ")
    good(s:maint("--switch", "shop", "off"))
    log = decode(s:maint("--switch", "shop", "log", "--json", "--last", "9"))
    local rows = {}
    for _, entry in ipairs(log) do
      if entry.id > last then
        rows[#rows + 1] = ("%s %s %s"):format(entry.action, table.concat(entry.patterns, ","), entry.outcome)
      end
    end
    assert.equal("on /shop done", rows[1])
    assert.equal("off  done", rows[#rows])
    assert.equal("because", log[#log - (#rows - 1)].reason)
    assert.is_string(log[#log].user)
    assert.is_string(log[#log].host)
    assert.matches("shop  on  .*reason: because  %[done%]", good(s:maint("--switch", "shop", "log")))
  end)

  it("makes the changes of several processes one after the other", function()
    local both = {}
    for i = 1, 8 do
      both[i] = task.spawn(function()
        local ran
        repeat -- one that has waited for 10 s gives up
          ran = s:maint("--switch", "old", "on", "^/" .. i)
        until not ran.err:find("is being changed by somebody else", 1, true)
        return good(ran)
      end)
    end
    for _, one in ipairs(both) do
      one:wait()
    end
    local status = decode(s:maint("--switch", "old", "status", "--json"))
    assert.same({ 8, 8 }, { #status.maintenances, #status.patterns })
    assert.same({}, status.disagreements)
    local log = decode(s:maint("--switch", "old", "log", "--json", "--last", "8"))
    for _, entry in ipairs(log) do
      assert.equal("done", entry.outcome)
    end
    assert.same(log[#log].patterns, status.patterns)
  end)

  it("during, tried again where its end failed, ends its own maintenance only", function()
    good(s:maint("--acl", "#9999", "on", "^/before"))
    for _, journal in ipairs({ "nil", "false" }) do
      local ran = s:haplua({ "-e", ([[
        local ok, problem = pcall(require("haplua.maintenance").during, {
          acl = "#9999", patterns = { "^/a", "^/b" }, journal = %s,
        }, function()
          assert(os.rename(arg[1], arg[1] .. ".away"))
        end)
        assert(os.rename(arg[1] .. ".away", arg[1]))
        print(ok, problem.kind, table.concat(haproxy.acl_list("#9999"), " "))
        problem.again()
        print(table.concat(haproxy.acl_list("#9999"), " "))
      ]]):format(journal), s.socket })
      assert.equal("false\tunreachable\t^/before ^/a ^/b\n^/before\n", ran.out, ran.err)
    end
  end)

  it("during ends its own maintenance, and leaves the others, reason and end included", function()
    good(s:maint("on", "--path", "/a", "--reason", "first"))
    local out = good(s:maint("during", "--path", "/b", "--reason", "second", "--", "sh", "-c", 'cat "$1"', "sh",
      s.dir .. "/site.acl"))
    assert.matches("\n^[^/]*/a\n^[^/]*/b\n", out, 1, true)
    local status = decode(s:maint("status", "--json"))
    assert.same({ "^[^/]*/a" }, status.patterns)
    assert.equal("first", status.maintenances[1].reason)
    assert.same({}, status.disagreements)
    local on = support.program("-s", s.socket, "scripts/maint.lua", "on", "--path", "/c")
    good(s:maint("during", "--", table.unpack(on)))
    assert.same({ "^[^/]*/a", "^[^/]*/c" }, decode(s:maint("status", "--json")).patterns)
  end)

  it("during says so where somebody has ended its maintenance meanwhile, and ends no other", function()
    local off = support.program("-s", s.socket, "scripts/maint.lua", "on", "--replace", "--path", "/c")
    local ran = s:maint("during", "--path", "/b", "--", table.unpack(off))
    assert.equal(0, ran.status, ran.err)
    assert.matches("haplua: m%d+ was ended meanwhile by ", ran.err)
    assert.same({ "^[^/]*/c" }, decode(s:maint("status", "--json")).patterns)
  end)

  it("during ends its maintenance also when a signal comes while the journal gets the outcome", function()
    good(s:maint("--acl", "#9999", "on", "^/before"))
    local ran = support.signalled({ "TERM" }, [[
      require("haplua.core").use(haproxy.connect(arg[1]))
      local Store = getmetatable(require("haplua.store.sqlite").open(arg[2]))
      local finish, waits = Store.finish, true
      function Store.finish(...)
        if waits then
          waits = false
          ready()
          task.sleep(3600)
        end
        return finish(...)
      end
      require("haplua.maintenance").during({ patterns = { "^/a" }, journal = arg[2], acl = "#9999" }, function()
        print("the function ran")
      end)
    ]], s.socket, s.journal)
    assert.same({ 143, "" }, { ran.status, ran.out })
    assert.same({ "^/before" }, s.target:acl_list("#9999"))
    assert.same({}, decode(s:maint("--acl", "#9999", "status", "--json")).disagreements)
  end)

  it("--wait stays until the end, and leaves what was there", function()
    good(s:maint("on", "--path", "/a"))
    support.in_time(function(seconds)
      local r = running.start(s, "-s", s.socket, "scripts/maint.lua", "--config", s.config, "--journal", s.journal,
        "on", "--path", "/b", "--for", seconds .. "s", "--wait")
      local seen
      running.eventually("it is on, or over", function()
        seen = s.target:acl_list(s.dir .. "/site.acl")[2] == "^[^/]*/b"
        return seen or r:done()
      end)
      local ran = r:wait()
      assert.same({ 0, "" }, { ran.status, ran.err })
      assert.same({ "^[^/]*/a" }, s.target:acl_list(s.dir .. "/site.acl"))
      return seen
    end, 2)
  end)

  it("changes nothing in a dry run", function()
    local before = running.content(s.journal)
    local ran = s:haplua({ "-n", "scripts/maint.lua", "on", "--path", "/shop", "--reason", "x", "--for", "5m" })
    assert.equal(4, ran.status, ran.err)
    assert.matches("(write 1 entries to " .. s.dir .. "/site.acl)", ran.out, 1, true)
    assert.equal("# the site\n", running.content(s.dir .. "/site.acl"))
    assert.equal(before, running.content(s.journal))
  end)
end)
