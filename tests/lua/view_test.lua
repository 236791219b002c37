-- SPDX-License-Identifier: MIT
--
-- The live view without a terminal: what it draws is a function of what is known and of the size.

local command = require("haplua.view.command")
local frame = require("haplua.view.frame")
local items = require("haplua.view.items")
local keys = require("haplua.view.keys")
local model = require("haplua.view.model")
local support = require("support")
local text = require("haplua.view.text")

local NOW <const> = os.time({ year = 2026, month = 11, day = 30, hour = 12, min = 0, sec = 0 })

local function theme(given)
  given = given or {}
  return { unicode = given.unicode ~= false, colour = given.colour or false, plain = given.plain ~= false, now = NOW }
end

--- A row as `show stat` has it.
local function row(backend, server, given)
  local fields = {
    pxname = backend, svname = server, status = "UP", scur = 0, slim = nil, qcur = 0, rate = 0, weight = 1, hrsp_5xx = 0,
    check_status = "L7OK", check_code = 200, check_duration = 1,
  }
  for name, value in pairs(given or {}) do
    fields[name] = value or nil -- false: HAProxy leaves it empty
  end
  return fields
end

local function maintenance(id, given)
  local fields = {
    id = id, scope = {}, origin = "on", user = "anna", host = "web1", begins = NOW - 600,
  }
  for name, value in pairs(given or {}) do
    fields[name] = value
  end
  return fields
end

local INFO <const> = {
  Version = "3.0.11-1+deb13u5", Pid = 812, Uptime_sec = 93784, CurrConns = 42, ConnRate = 17, Name = "HAProxy",
}

--- A site with two maintenances in force and one planned.
local function site(name)
  local one = model.target(name or "/run/haproxy/admin.sock")
  for look = 1, 3 do
    model.update(one, INFO, {
      row("app", "a1", { scur = 30, slim = 40, rate = 16 * look, hrsp_5xx = 4 * look }),
      row("app", "a2", { status = "DRAIN", scur = 2 }),
      row("app", "BACKEND", { scur = 32, rate = 16 * look, status = "UP" }),
      row("api", "blue", { status = "DOWN", check_status = "L4CON", check_code = false }),
      row("api", "BACKEND", { status = "DOWN" }),
      row("maintenance", "BACKEND"),
    }, 100 + 2 * look)
  end
  one.status = {
    on = true, disagreements = {},
    maintenances = {
      maintenance(12, { scope = { paths = { "/shop" } }, ends = NOW + 600, reason = "new database" }),
      maintenance(13, { scope = { server = "app/a2", state = "drain" }, reason = "kernel" }),
    },
    planned = { maintenance(14, { begins = NOW + 7200, origin = "window nightly", reason = "backup" }) },
  }
  return one
end

local function known(...)
  return { targets = { ... }, options = {} }
end

local function drawn(given, width, height, shown, with)
  local lines = frame.draw(given, shown or frame.shown(), width, height, with or theme())
  for i, line in ipairs(lines) do
    lines[i] = line:gsub(" +$", "")
  end
  return table.concat(lines, "\n")
end

--- A drawing in this file, without what indents it here.
local function picture(lines)
  return (lines:gsub("^\n", ""):gsub("\n +$", ""):gsub("%f[^\0\n]|", ""))
end

describe("the live view draws", function()
  it("maintenances and servers, at 80 columns", function()
    assert.equal(picture([[
| haplua watch   1 HAProxy   2 in force, 1 planned                      12:00:00
|  server     state       sess          queue rate/s          check
|  /run/haproxy/admin.sock  1 of 3 up  42 conns  17/s  HAProxy 3.0.11, process 8…
|  ▪ m12  /shop           10m00s left ━━━    anna@web1      new database
|▶ ▪ m13  app/a2 drain    no end             anna@web1      kernel
|  ▪ m14  the whole site  in 2h00m           window nightly backup
|
|  app        1 of 2        32              0     48      ▃▆█
|  ● a1       UP            30 ━━━━━━       0     48      ▃▆█ L7OK/200 in 1ms
|  ◐ a2       DRAIN          2 ╸            0      0      ▁▁▁ m13: kernel
|
|  api        0 of 1         0              0      0      ▁▁▁
|  ✗ blue     DOWN           0              0      0      ▁▁▁ L4CON in 1ms
|
|
|
| e end  c change  b begin  / filter  s sort  ? help  q quit]]),
      drawn(known(site()), 80, 17, setmetatable({ chosen = "/run/haproxy/admin.sock m13" }, { __index = frame.shown() })))
  end)

  it("what the header of scripts/watch.lua shows", function()
    local one = model.target("/run/haproxy/admin.sock")
    for look = 1, 3 do
      model.update(one, INFO, {
        row("app", "a1", { scur = 30, slim = 40, rate = 16 * look }), row("app", "a2", { scur = 2, slim = 40 }),
        row("app", "BACKEND", { scur = 32, rate = 16 * look }),
      }, 100 + 2 * look)
    end
    one.status = { on = true, disagreements = {}, planned = {}, maintenances = {
      maintenance(12, { scope = { paths = { "/shop" } }, ends = NOW + 600, reason = "new database" }),
    } }
    local header = require("haplua.file").read("scripts/watch.lua", 1 << 20):match("The table[^\n]*\n%-%-\n(.-)\n\n")
    header = header:gsub("%f[^\n\0]%-%-[^\n]?[^\n]?[^\n]?", "")
    local shown = setmetatable({ chosen = "/run/haproxy/admin.sock app/a1" }, { __index = frame.shown() })
    assert.equal(drawn(known(one), 80, 9, shown), header)
  end)

  it("less in a narrow terminal, and in ASCII", function()
    assert.equal(picture([[
| 2 in force, 1 planned         12:00:00
|  server     state       sess queue
|  /run/haproxy/admin.sock  1 of 3 up  4~
|> # m12  /shop          10m00s left new~
|  # m13  app/a2 drain   no end      ker~
|  # m14  the whole si~  in 2h00m    bac~
|  app        1 of 2        32     0
|  + a1       UP            30     0
|  ~ a2       DRAIN          2     0
| e end  c change  b begin  / filter  s ~]]), drawn(known(site()), 40, 10, nil, theme({ unicode = false })))
  end)

  it("several HAProxys, one of them away, and how the run is confined", function()
    local away = model.target("lb2:9999")
    model.lose(away, "'show info' at lb2:9999: connection refused", NOW - 65)
    model.lose(away, "'show info' at lb2:9999: no answer after 5 s", NOW)
    local shown = frame.shown()
    shown.filter = "A1"
    local all = known(site("lb1:9999"), away)
    all.options = { "-n", "--read-only" }
    assert.equal(picture([[
| haplua watch   2 HAProxys, 1 away   2 in force, 1 planned       [-n --read-only]  12:00:00
|  server     state       sess          queue rate/s          5xx/s weight check
|  lb1:9999  1 of 3 up  42 conns  17/s  HAProxy 3.0.11, process 812, up 1d02h
|
|▶ app        1 of 2        32              0     48      ▃▆█     0      1
|  ● a1       UP            30 ━━━━━━       0     48      ▃▆█     2      1 L7OK/200 in 1ms
|
|  lb2:9999  away since 11:58:55 (1m05s)
|  ▪ 'show info' at lb2:9999: no answer after 5 s
|
| only 'A1'   d drain  m maint  r ready  b begin  / filter  s sort  ? help  q quit]]), drawn(all, 92, 11, shown))
  end)

  it("a panel over the list, with all that a command has said", function()
    local shown = frame.shown()
    shown.panel = {
      title = "drain app/a1", command = "maint on --server app/a1 --drain", top = 1, question = "do it?",
      lines = { "would send to /run/haproxy/admin.sock: set server app/a1 state drain", "app/a1 would be drain" },
    }
    assert.equal(picture([[
| 2 in force, 1 planned          12:00:00
|  server     state       sess queue
|  /run/haproxy/admin.sock  1 of 3 up  42…
|▶ ▪ m12  /shop          10m00s left new …
|  ▪ m13  app/a2 drain   no end      kern…
|── drain app/a1 ─────────────────────────
| $ haplua maint on --server app/a1
|     --drain
| would send to /run/haproxy/admin.sock:
|     set server app/a1 state drain
| app/a1 would be drain
| do it?
| e end  c change  b begin  / filter  s s…]]), drawn(known(site()), 41, 13, shown))
  end)

  it("lines of just the width, whatever the names are", function()
    local hostile = model.target("h\27[2Jst")
    local names = { "\27]0;x\7", "日本語のサーバー", "e\u{301}\u{301}", "\u{202e}rtl", "\xff\xfe", ("x"):rep(300), "" }
    local rows = {}
    for _, name in ipairs(names) do
      rows[#rows + 1] = row("b" .. name, name, { status = "UP" .. name, check_status = name })
      rows[#rows + 1] = row("b" .. name, "BACKEND")
    end
    model.update(hostile, INFO, rows, 1)
    hostile.status = {
      planned = {}, disagreements = { { text = names[1] } },
      maintenances = { maintenance(1, { scope = { paths = names }, reason = names[2] .. names[1], user = names[4] }) },
    }
    local shown = frame.shown()
    shown.panel = { title = names[1], command = names[2] .. names[1], lines = names, top = 1, question = "?" }
    for _, unicode in ipairs({ true, false }) do
      for width = 24, 130, 7 do
        for _, height in ipairs({ 6, 15, 40 }) do
          shown.panel.top = 1
          local lines = frame.draw(known(hostile), shown, width, height, theme({ unicode = unicode }))
          assert.equal(height, #lines)
          for _, line in ipairs(lines) do
            assert.equal(width, text.width(line), line)
            assert.is_nil(line:find("%c"), line)
            assert.is_nil(not unicode and line:find("[\x80-\xff]") or nil, line)
          end
        end
      end
    end
  end)

  it("something in any size", function()
    for width = 1, 30 do
      for height = 1, 8 do
        local lines = frame.draw(known(site()), frame.shown(), width, height, theme())
        assert.equal(height, #lines)
        for _, line in ipairs(lines) do
          assert.equal(width, text.width(line))
        end
      end
    end
  end)

  it("no colour where that is not wanted, and the same text", function()
    local function bare(colour)
      local all = table.concat(frame.draw(known(site()), frame.shown(), 80, 20, theme({ plain = false, colour = colour })), "\n")
      return (all:gsub("\27%[[%d;]*m", "")), all
    end
    local without, sequences = bare(false)
    assert.is_nil(sequences:find("\27%[[%d;]*3%dm"))
    local with, coloured = bare(true)
    assert.is_truthy(coloured:find("\27[1;31m", 1, true))
    assert.equal(without, with)
  end)

  it("the chosen line, however long the list is, and keeps it", function()
    local one, rows = model.target("x"), {}
    for i = 1, 200 do
      rows[i] = row("app", ("s%03d"):format(i))
    end
    rows[201] = row("app", "BACKEND")
    model.update(one, INFO, rows, 1)
    local shown = frame.shown()
    for _, name in ipairs({ "app/s150", "app/s200", "app/s001", "app/s100" }) do
      shown.chosen = "x " .. name
      assert.is_truthy(drawn(known(one), 80, 12, shown):find("▶ ● " .. name:match("/(.*)"), 1, true))
    end
    shown.chosen = "x gone"
    local _, chosen = frame.draw(known(one), shown, 80, 12, theme())
    assert.equal("app/s100", chosen.one.name)
  end)
end)

--- A fleet as haplua.cmd.watch gives it, beside an HAProxy of this machine.
local function fleet(...)
  local given = known(...)
  given.fleet = {
    fleet = "shop", name = "fleet shop", backends = {},
    status = { on = true, disagreements = {}, planned = {},
      maintenances = { maintenance(3, { scope = { paths = { "/shop" } }, ends = NOW + 600, reason = "new database" }) } },
    nodes = {
      { name = "lb1", place = "dc=fra", live = true, since = NOW - 7200, state = "in step", text = "site: m3" },
      { name = "lb2", place = "dc=fra", live = true, since = NOW - 60, state = "behind", text = "site: open (behind)" },
      { name = "lb3", place = "dc=par", live = false, since = NOW - 300, heard = NOW - 360, state = "away",
        text = "site: open (behind)" },
      { name = "lb4", place = "", live = true, since = NOW - 5, state = "refused", text = "site: no switch of that name" },
    },
  }
  return given
end

describe("the live view of a fleet draws", function()
  it("its maintenances and nodes, and the servers of the HAProxy here, whose own maintenances alone stand with it", function()
    local one = site()
    one.status.maintenances[1].occurrence = "fleet|shop|3|abc"
    assert.equal(picture([[
| haplua watch   fleet shop, 1 HAProxy   2 in force, 1 planned          12:00:00
|  server     state       sess          queue rate/s          check
|▶ fleet shop  4 nodes, 3 live, 1 in step
|  ▪ m3   /shop           10m00s left ━━━    anna@web1      new database
|  ● lb1      in step   2h00m  dc=fra  site: m3
|  ◐ lb2      behind    1m00s  dc=fra  site: open (behind)
|  ○ lb3      away      5m00s  dc=par  last report 6m00s ago, site: open (behind)
|  ✗ lb4      refused      5s          site: no switch of that name
|  /run/haproxy/admin.sock  1 of 3 up  42 conns  17/s  HAProxy 3.0.11, process 8…
|  ▪ m13  app/a2 drain    no end             anna@web1      kernel
|  ▪ m14  the whole site  in 2h00m           window nightly backup
|  app        1 of 2        32              0     48      ▃▆█
|  ● a1       UP            30 ━━━━━━       0     48      ▃▆█ L7OK/200 in 1ms
|  ◐ a2       DRAIN          2 ╸            0      0      ▁▁▁ m13: kernel
|  api        0 of 1         0              0      0      ▁▁▁
|  ✗ blue     DOWN           0              0      0      ▁▁▁ L4CON in 1ms
| b begin  / filter  s sort  ? help  q quit]]), drawn(fleet(one), 80, 17))
    one.status.maintenances[2].occurrence = "fleet|shop|15|abd"
    assert.is_truthy(drawn(fleet(one), 80, 17):find("m15: kernel", 1, true))
  end)

  it("what it read last while the store is away, on a machine without an HAProxy, by state, in ASCII", function()
    local none = model.target("/run/haproxy/admin.sock")
    model.lose(none, "no such file", NOW - 9)
    local all, shown = fleet(none), frame.shown()
    all.fleet.nodes[3].since = nil
    all.fleet.away = { since = NOW - 65, text = "no member of etcd answers" }
    shown.order, shown.chosen = "state", "fleet shop node lb4"
    assert.equal(picture([[
| haplua watch   fleet shop   1 in force            12:00:00
|  server     state       sess          queue rate/s 5xx/s
|  fleet shop  4 nodes, 3 live, 1 in step  etcd away since 1~
|  # no member of etcd answers
|  # m3   /shop     10m00s left new database
|> ! lb4      refused      5s  site: no switch of that name
|  - lb3      away             last report 6m00s ago, site: ~
|  ~ lb2      behind    1m00s  site: open (behind)
|  + lb1      in step   2h00m  site: m3
|  # no HAProxy at /run/haproxy/admin.sock
|
| by state   b begin here  / filter  s sort  ? help  q quit]]), drawn(all, 60, 12, shown, theme({ unicode = false })))
  end)

  it("lines of just the width, whatever the nodes say", function()
    local all = fleet(site())
    all.fleet.name = "fleet \27[2J"
    for i, name in ipairs({ "\27]0;x\7", "日本語のサーバー", "\u{202e}rtl", ("x"):rep(300) }) do
      local node = all.fleet.nodes[i]
      node.name, node.place, node.text = name, name, name
    end
    for width = 24, 130, 7 do
      for _, line in ipairs((frame.draw(all, frame.shown(), width, 30, theme()))) do
        assert.equal(width, text.width(line), line)
        assert.is_nil(line:find("%c"), line)
      end
    end
  end)
end)

describe("the live view lists", function()
  local function names(shown)
    local found = {}
    for _, item in ipairs(items.of(known(site()), shown, theme())) do
      found[#found + 1] = item.kind == "server" and item.one.name or nil
    end
    return table.concat(found, " ")
  end

  it("servers in the order that is chosen, within their backend", function()
    local shown = frame.shown()
    assert.equal("app/a1 app/a2 api/blue", names(shown))
    shown.order = "state"
    assert.equal("app/a2 app/a1 api/blue", names(shown))
    shown.order = "sessions"
    assert.equal("app/a1 app/a2 api/blue", names(shown))
  end)

  it("what the filter lets pass, and no servers of a folded backend", function()
    local shown = frame.shown()
    shown.filter = "B"
    assert.equal("api/blue", names(shown))
    shown.filter = ""
    shown.folded["/run/haproxy/admin.sock app/"] = true
    assert.equal("api/blue", names(shown))
  end)

  it("rates of another process apart", function()
    local one = site()
    assert.same({ 16, 32, 48 }, one.backends[1].servers[1].rates)
    assert.equal(2, one.backends[1].servers[1].errors)
    model.update(one, { Pid = 9, Name = "HAProxy" }, { row("app", "a1"), row("app", "BACKEND") }, 200)
    assert.same({ 0 }, one.backends[1].servers[1].rates)
    assert.is_nil(one.backends[1].servers[1].errors)
  end)
end)

describe("the live view looks", function()
  local look = require("haplua.view.look")

  --- A target that answers once it is told to.
  local function target()
    local gates, asked = {}, 0
    return {
      answer = function(i, word)
        gates[i].set(word)
      end,
      batch = function()
        asked = asked + 1
        gates[asked] = support.event()
        local word = gates[asked].wait()
        if word == "away" then
          require("haplua.error").raise("unreachable", "away")
        end
        return {
          "Name: HAProxy\nPid: 1\n",
          ("# pxname,svname,status,rate,hrsp_5xx,\napp,a1,%s,0,0,\napp,BACKEND,UP,0,0,\n"):format(word),
        }
      end,
    }
  end

  it("at what is, when two looks are under way at once", function()
    for first, second in pairs({ UP = "DRAIN", away = "MAINT" }) do
      local asked = target()
      local one = model.target("x", asked)
      local earlier, later = task.spawn(look.servers, one), task.spawn(look.servers, one)
      task.sleep(0)
      asked.answer(2, second)
      later:wait()
      asked.answer(1, first)
      earlier:wait()
      assert.equal(second, one.backends[1].servers[1].row.status)
      assert.is_nil(one.away)
    end
  end)

  it("on, at an HAProxy that went away", function()
    local asked = target()
    local one = model.target("x", asked)
    local looking = task.spawn(look.servers, one)
    task.sleep(0)
    asked.answer(1, "away")
    looking:wait()
    assert.equal("away", one.away.text)
    looking = task.spawn(look.servers, one)
    task.sleep(0)
    asked.answer(2, "UP")
    looking:wait()
    assert.is_nil(one.away)
  end)
end)

describe("the live view reads", function()
  it("keys", function()
    assert.same({ "up", "d", "page down", "escape", "é", "enter", "backspace", "redraw", "", "down", "home" },
      keys.of("\27[Ad\27[6~\27é\n\127\12\0\27OB\27[1~"))
    assert.same({ "escape" }, keys.of("\27"))
    assert.same({ "", "" }, keys.of("\xff\x9b"))
  end)

  it("lines as a shell splits them", function()
    for _, words in ipairs({ { "maint", "on" }, { "a b", "", "it's", 'say "x"', "\\", "$HOME", "#9" }, { "日本" } }) do
      assert.same(words, command.words(command.line(words)))
    end
    assert.same({ "a", "b c", "d e" }, command.words("  a  'b c' d\\ e "))
    assert.same({ nil, "a ' is missing" }, { command.words("it's") })
  end)

  it("no other commands than those that change maintenances", function()
    local one = known(site())
    assert.same({ "-s", "/run/haproxy/admin.sock", "maint", "off", "m12" }, command.read("maint off m12", one))
    assert.same({ "-s", "b", "-s", "c", "maint", "on" }, command.read("-s b -s c maint on", one))
    for _, line in ipairs({
      "", "maint", "maint during -- rm x", "maint on --for 1h --wait", "-e 1", "-s a -e 1",
      "drain app/a1", "-s",
    }) do
      assert.is_nil(command.read(line, one), line)
    end
  end)
end)

describe("the live view does", function()
  local function line(key, item, all, acl)
    local action = command.of(key, item, all or known(site()), acl)
    return action and action.line
  end

  it("what its keys say, as command lines", function()
    local one = site()
    local server = { kind = "server", one = one.backends[1].servers[1], target = one }
    local backend = { kind = "backend", one = one.backends[1], target = one }
    local m = { kind = "maintenance", one = one.status.maintenances[1], target = one }
    assert.equal("maint on --server app/a1 --drain", line("d", server))
    assert.equal("maint on --server app/", line("m", backend))
    assert.equal("maint off --server app/a1", line("r", server, nil, "#7"))
    assert.equal("maint off m12 --acl #7", line("e", m, nil, "#7"))
    assert.equal("maint change m12 ", line("c", m))
    assert.equal("maint on ", line("b", server))
    assert.equal("maint on ", line("b", nil))
    assert.is_nil(line("d", m))
    assert.is_nil(line("x", server))
    assert.is_nil(line("d", nil))
  end)

  it("them at the target of the item; a maintenance begins at all", function()
    local one, two = site("lb1:9999"), site("lb2:9999")
    local all = known(one, two)
    assert.equal("-s lb2:9999 maint on --server app/a1 --drain",
      line("d", { kind = "server", one = two.backends[1].servers[1], target = two }, all))
    assert.equal("-s lb1:9999 -s lb2:9999 maint on ", line("b", nil, all))
  end)
end)

describe("the keys of the live view of a fleet", function()
  it("act on all nodes, and on an item of the HAProxy here on that alone", function()
    local one = site()
    local all = fleet(one)
    local node = { kind = "node", one = all.fleet.nodes[1], target = all.fleet }
    local m = { kind = "maintenance", one = all.fleet.status.maintenances[1], target = all.fleet }
    local own = { kind = "maintenance", one = one.status.maintenances[1], target = one }
    local server = { kind = "server", one = one.backends[1].servers[1], target = one }
    local function line(key, item)
      return (command.of(key, item, all, "#7") or {}).line
    end
    assert.equal("maint on ", line("b", m))
    assert.equal("maint on ", line("b", { kind = "fleet", one = all.fleet, target = all.fleet }))
    assert.equal("maint on --nodes lb1 ", line("b", node))
    assert.equal("maint off m3", line("e", m))
    assert.equal("maint off m12 --local --acl #7", line("e", own))
    assert.equal("maint on --server app/a1 --drain --local --for 1h", line("d", server))
    assert.equal("maint off --server app/a1 --local", line("r", server))
    assert.is_nil(line("e", node))
    all.fleet.has_switches, m.one.acl = true, "site"
    assert.equal("maint off m3 --switch site", line("e", m))
    assert.equal("maint on ", line("b", m))
    assert.same({ "maint", "off", "m3" }, command.read("maint off m3", all))
    assert.same({ "-s", "/run/haproxy/admin.sock", "maint", "off", "m12", "--local" }, command.read("maint off m12 --local", all))
  end)
end)

describe("the text of the live view", function()
  it("is as wide as a terminal shows it", function()
    assert.equal(4, text.width("日本"))
    assert.equal(1, text.width("e\u{301}"))
    assert.equal("日…", text.fit(theme(), "日本", 3))
    assert.equal("  a", text.fit(theme(), "a", 3, true))
    assert.same({ "ab cd ef", "    gh", "ij" }, text.wrap("ab cd ef gh\nij", 9))
    assert.same({ "abcdefghi", "    jk" }, text.wrap("abcdefghijk", 9))
  end)

  it("has numbers and times of few cells", function()
    local found = {}
    for _, n in ipairs({ 0, 9999, 10000, 99949, 123456, 2.5e6, 1.2e9 }) do
      found[#found + 1] = text.count(n)
    end
    assert.same({ "0", "9999", "10.0k", "99.9k", "123k", "2.5M", "1.2G" }, found)
    assert.same({ "0s", "59s", "1m00s", "3h05m", "2d04h" }, {
      text.span(-3), text.span(59), text.span(60), text.span(11100), text.span(187200),
    })
  end)

  it("has bars that are never empty where there is something", function()
    assert.equal("    ", text.bar(theme(), 0, 4))
    assert.equal("╸   ", text.bar(theme(), 0.001, 4))
    assert.equal("━━╸ ", text.bar(theme(), 0.625, 4))
    assert.equal("━━━━", text.bar(theme(), 7, 4))
    assert.equal("##  ", text.bar(theme({ unicode = false }), 0.5, 4))
    assert.equal("  ▁▄█", text.spark(theme(), { 0, 5, 10 }, 10, 5))
    assert.equal("▁▁", text.spark(theme(), { 9, 0, 0 }, 0, 2))
  end)
end)
