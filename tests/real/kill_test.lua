-- SPDX-License-Identifier: MIT
--
-- haplua killed (kill -9) at each of its system calls in turn: `on`, `off`, `change`, `during`, keep while it puts
-- maintenance back, and a window that opens. Another maintenance is in force beside it, and others have entries in the
-- switch's lists. After each kill the other maintenance is in force, the others' entries are there, and status shows what
-- HAProxy holds. The next `on`, `off` or keep brings HAProxy, files and journal together.

local running = require("running")
local site = require("site")
local support = require("support")

local json = require("haplua.json")
local moment = require("haplua.time.instant")

local KILLER = (os.getenv("BUILD") or "build") .. "/killer"
-- Every system call by default; 7: each seventh.
local STEP = tonumber(os.getenv("KILL_STEP")) or 1

-- A switch that is an ACL, and one that is a map. `list`: the file of the list that decides, and of others' entries.
local KINDS = {
  acl = {
    list = "site.acl", others = "bypass.acl", step = STEP,
    files = { ["site.acl"] = "# the site\n", ["bypass.acl"] = "203.0.113.7\n", ["info.map"] = "contact ops\n" },
    frontend = [[
    acl passes src -f DIR/bypass.acl
    acl by-file base -i -m reg -f DIR/site.acl
    http-response set-header X-Reason %[str(reason),map_str(DIR/info.map,none)]
    use_backend maintenance if by-file !passes]],
    config = [[return { switches = { site = {
      acl = "DIR/site.acl", bypass = "DIR/bypass.acl", info = "DIR/info.map" } } }]],
  },
  map = {
    list = "site.map", others = "bypass.map", step = STEP > 1 and 5 * STEP or 1, prefix = "(?i)",
    files = { ["site.map"] = "# the site\n", ["bypass.map"] = "203.0.113.7 -1\n" },
    frontend = [[
    http-request set-var(txn.site) base,map_reg(DIR/site.map)
    http-request set-var(txn.mask) var(txn.site),field(3,|),add(0)
    http-request set-var(txn.lacks) src,map_ip_int(DIR/bypass.map,0),cpl,and(txn.mask)
    use_backend maintenance if { var(txn.site) -m found } !{ var(txn.lacks) -m int 0 }]],
    config = [[return { switches = { site = { map = "DIR/site.map", bypass = "DIR/bypass.map" } } }]],
  },
}

local function start(of)
  local s = site.start({ frontend = of.frontend, files = of.files })
  s.config = s.folder.write("config.lua", (of.config:gsub("DIR", s.dir)))
  s.journal = s.dir .. "/journal.db"
  return s
end

for kind, of in pairs(KINDS) do
  -- Patterns of the scopes: `A` and `B` are changed, `Z` is beside them all the time.
  local PREFIX = (of.prefix or "") .. "^[^/]*"
  local A, B, Z, NEW = PREFIX .. "/a", PREFIX .. "/b", PREFIX .. "/z", PREFIX .. "/new"
  -- With a map, the maintenance beside holds for the client whom the others let pass.
  local PASSING = kind == "map" and "127.0.0.1" or "192.0.2.0/24"

  describe("killed at each system call, with the switch as " .. kind .. ",", function()
    local s

    setup(function()
      s = start(of)
    end)

    teardown(function()
      s:close()
    end)

    local function good(ran, about)
      if ran.status ~= 0 then
        error(("%s: status %d\n%s%s"):format(about, ran.status, ran.out, ran.err), 2)
      end
      return ran.out
    end

    --- The items of a list, each once and in order, as a text.
    local function text_of(list)
      local items, there = {}, {}
      for _, item in ipairs(list) do
        items[#items + 1] = not there[item] and item or nil
        there[item] = true
      end
      table.sort(items)
      return table.concat(items, " ")
    end

    --- What HAProxy's list has, and what its file has.
    local function lists()
      local path = s.dir .. "/" .. of.list
      local file = require("haplua.haproxy.list_file").parse(running.content(path), kind)
      return text_of((require("haplua.haproxy.list").read(s.target, kind, path))), text_of(file)
    end

    --- The status, and the patterns of the maintenances that it shows.
    local function status_of(about)
      local status, wanted = json.decode(good(s:maint("status", "--json"), about)), {}
      for _, m in ipairs(status.maintenances) do
        for _, path in ipairs(m.scope.paths or {}) do
          wanted[#wanted + 1] = PREFIX .. path
        end
        table.move(m.scope.patterns or {}, 1, #(m.scope.patterns or {}), #wanted + 1, wanted)
        wanted[#wanted + 1] = not next(m.scope) and "^.*$" or nil
      end
      return status, text_of(wanted)
    end

    local function has(text, pattern)
      return (" " .. text .. " "):find(" " .. pattern .. " ", 1, true) ~= nil
    end

    --- What others have put into the lists is there, in memory and on disk.
    local function check_others(about)
      local path = s.dir .. "/" .. of.others
      assert.equal("203.0.113.7", require("haplua.haproxy.list").read(s.target, kind, path)[1], about)
      assert.matches("\n" .. of.files[of.others], "\n" .. running.content(path), 1, true, about)
      if kind == "acl" then
        assert.equal("ops", s.target:map_get(s.dir .. "/info.map", "contact"), about)
        assert.matches("contact ops\n", running.content(s.dir .. "/info.map"), 1, true, about)
      end
    end

    --- After a kill: status shows what HAProxy holds, and that journal or file differ where they do.
    local function check_truth(about)
      local status, wanted = status_of(about)
      local truth, file = lists()
      assert.equal(truth, text_of(status.patterns), about)
      if wanted ~= truth or file ~= truth then
        assert.is_true(#status.disagreements > 0, about .. ": journal, file and HAProxy differ, and status does not say so")
      end
      check_others(about)
      return truth, wanted
    end

    --- After the next change: HAProxy, journal and file have the same patterns, and these are among them, or not.
    local function check_together(about, with, without)
      local status, wanted = status_of(about)
      local truth, file = lists()
      assert.same({ wanted, wanted }, { truth, file }, about)
      for _, one in ipairs(status.disagreements) do
        assert.equal("abandoned", one.kind, about)
      end
      for _, pattern in ipairs(with) do
        assert.is_true(has(truth, pattern), about .. ": no " .. pattern)
      end
      for _, pattern in ipairs(without or {}) do
        assert.is_false(has(truth, pattern), about .. ": there is " .. pattern)
      end
      check_others(about)
      local _, names = run({ "ls", "-A", s.dir, stdout = "capture" })
      assert.not_matches("%.haplua", names, about)
    end

    --- Run keep until HAProxy, journal and file are together.
    local function keep(about)
      local r = running.start(s, "-s", s.socket, "scripts/keep.lua", "--config", s.config, "--journal", s.journal)
      running.eventually(about .. ": keep has looked", function()
        return r:out():find("kept to", 1, true) or r:done()
      end)
      running.eventually(about .. ": keep has brought all together", function()
        local status, wanted = status_of(about)
        local truth, file = lists()
        return truth == wanted and file == wanted and (status.disagreements[1] or { kind = "abandoned" }).kind == "abandoned"
      end)
      r:signal("TERM")
      local ran = r:wait()
      assert.equal(143, ran.status, about .. ran.err)
    end

    -- What may come after a kill: each brings everything together.
    local recoveries = {
      function(about)
        good(s:maint("on", "--path", "/new"), about)
        check_together(about, { Z, NEW })
      end,
      function(about)
        local mine = status_of(about).maintenances[1].id
        good(s:maint("off", mine), about)
        check_together(about, {})
        for _, m in ipairs(status_of(about).maintenances) do
          assert.not_equal(mine, m.id, about)
        end
      end,
      function(about)
        local _, wanted = status_of(about)
        keep(about)
        local _, now = status_of(about)
        assert.equal(wanted, now, about)
        check_together(about, { Z })
      end,
    }

    --- Run haplua under the killer.
    ---@return integer status  137: it was killed
    local function killed_at(n, words)
      local all = { KILLER, tostring(n), support.program()[1], "-s", s.socket }
      table.move(words, 1, #words, 6, all)
      all.env = { HAPLUA_JOURNAL = s.journal, HAPLUA_CONFIG = s.config }
      all.stderr = "null"
      all.stdout = "null"
      if not words.until_line then
        return (run(all))
      end
      local over, process = false, nil
      function all.stdout(line)
        over = over or line:find(words.until_line, 1, true) ~= nil
        if over and process then
          process:cancel()
        end
      end
      process = task.spawn(run, all)
      local ok, status = pcall(process.wait, process)
      if ok and status ~= 137 then
        error(("killed at %d: ended with %s"):format(n, tostring(status)), 0)
      end
      return ok and status or 0
    end

    --- Kill haplua at its system call 1, 2, ... until it ends by itself, or has printed `until_line`.
    ---@param words table  its arguments
    ---@param before fun()  called with only the maintenance of Z in force
    ---@param check fun(truth: string, wanted: string, about: string)?  called after each kill with what HAProxy's list
    --- has, and what the journal says
    local function sweep(name, words, before, check)
      local n, kills = 1, 0
      while true do
        good(s:maint("off", "--all"), "before")
        good(s:maint("on", "--path", "/z", "--reason", "beside"), "before")
        before()
        if killed_at(n, words) ~= 137 then
          break
        end
        kills = kills + 1
        local about = ("%s, killed at system call %d"):format(name, n)
        local truth, wanted = check_truth(about)
        assert.is_true(has(wanted, Z), about .. ": what was in force beside is not any more")
        if check then
          check(truth, wanted, about)
        end
        recoveries[n // of.step % #recoveries + 1](about)
        n = n + of.step
      end
      print(("kill: %s (%s): %d kills"):format(name, kind, kills))
      assert.is_true(kills > 100 / of.step)
    end

    local function maint(...)
      return { "scripts/maint.lua", ... }
    end

    local function beside(truth, _, about)
      assert.is_true(has(truth, Z), about .. ": HAProxy's list lacks what was in force beside")
      assert.equal("page", s:sees("/z"), about)
    end

    local function nothing() end

    it("of `on`", function()
      sweep("maint on", maint("on", "--path", "/a", "--reason", "why", "--bypass", PASSING), nothing, beside)
    end)

    it("of `off`", function()
      local words = maint("off", "--path", "/a")
      sweep("maint off", words, function()
        good(s:maint("on", "--path", "/a", "--bypass", PASSING), "before")
      end, beside)
    end)

    it("of `change`", function()
      local words = maint("change", "m0", "--path", "/b", "--reason", "another")
      sweep("maint change", words, function()
        words[3] = json.decode(good(s:maint("on", "--json", "--path", "/a", "--bypass", PASSING), "before")).maintenance.id
      end, function(truth, wanted, about)
        beside(truth, wanted, about)
        assert.is_true(has(truth, A) or has(truth, B), about .. ": neither the old scope nor the new one is closed")
        assert.is_true(has(wanted, A) ~= has(wanted, B), about)
      end)
    end)

    if kind == "map" then
      return
    end

    it("of `on --replace`", function()
      -- Z is what is replaced, and comes back with another owner
      sweep("maint on --replace", maint("on", "--replace", "--path", "/a", "--path", "/z"), nothing, beside)
    end)

    it("of `during`", function()
      sweep("maint during", maint("during", "--path", "/a", "--", "true"), nothing, function(truth, wanted, about)
        beside(truth, wanted, about)
        local status = status_of(about)
        for _, m in ipairs(status.maintenances) do
          if m.origin == "during" then -- killed, it stays in force, and status says so
            local found
            for _, one in ipairs(status.disagreements) do
              found = found or one.kind == "abandoned"
            end
            assert.is_true(found, about .. ": status does not say that the process is gone")
          end
        end
      end)
    end)

    it("of keep, while it puts maintenance back", function()
      sweep("keep", { "scripts/keep.lua", until_line = "was replaced by" }, function()
        good(s:maint("on", "--path", "/a"), "before")
        s.target:acl_clear(s.dir .. "/site.acl")
        -- as after a reload: the journal names another process
        require("haplua.store.sqlite").open(s.journal):run("UPDATE changes SET worker = 1")
      end, function(_, wanted, about)
        assert.is_true(has(wanted, A), about)
      end)
    end)

    it("of a window, while it opens", function()
      local words = { "scripts/window.lua", "run", "", "--path", "/a", until_line = "is open until" }
      local turn = 0
      sweep("window run", words, function()
        turn = turn + 1
        words[3] = ("%s for %ds"):format(moment.iso(os.time() - 5), 3600 + turn) -- each time another occurrence
      end, beside)
    end)
  end)
end
