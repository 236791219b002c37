-- SPDX-License-Identifier: MIT
--
-- haplua killed (kill -9) at each of its system calls in turn: `on`, `off`, and keep while it puts
-- maintenance back. After each kill, status tells the truth, and the next `on`, `off` or keep brings
-- HAProxy, files and journal together.

local running = require("running")
local site = require("site")
local support = require("support")

local json = require("haplua.json")

local KILLER = (os.getenv("BUILD") or "build") .. "/killer"
-- Every system call by default; 7: each seventh.
local STEP = tonumber(os.getenv("KILL_STEP")) or 1

local CONFIG = [[return { switches = { site = {
  acl = "DIR/site.acl", bypass = "DIR/bypass.acl", info = "DIR/info.map" } } }]]

local function start()
  local s = site.start({
    frontend = [[
    acl passes src -f DIR/bypass.acl
    acl by-file base -i -m reg -f DIR/site.acl
    http-response set-header X-Reason %[str(reason),map_str(DIR/info.map,none)]
    use_backend maintenance if by-file !passes]],
    files = { ["site.acl"] = "# the site\n", ["bypass.acl"] = "", ["info.map"] = "" },
  })
  s.config = s.folder.write("config.lua", (CONFIG:gsub("DIR", s.dir)))
  s.journal = s.dir .. "/journal.db"
  return s
end

local function good(ran, about)
  if ran.status ~= 0 then
    error(("%s: status %d\n%s%s"):format(about, ran.status, ran.out, ran.err), 2)
  end
  return ran.out
end

local function patterns_of(s)
  local list = s.target:acl_list(s.dir .. "/site.acl")
  table.sort(list)
  return table.concat(list, " ")
end

--- The patterns of the list's file.
local function file_of(s)
  local list = require("haplua.haproxy.list_file").parse(running.content(s.dir .. "/site.acl"), "acl")
  table.sort(list)
  return table.concat(list, " ")
end

local function status_of(s, about)
  local status = json.decode(good(s:maint("status", "--json"), about))
  table.sort(status.patterns)
  return status
end

--- After a kill: status shows what HAProxy holds, and that journal or file differ where they do.
local function check_truth(s, about)
  local status = status_of(s, about)
  local truth = patterns_of(s)
  assert.equal(truth, table.concat(status.patterns, " "), about)
  local wanted = status.wanted and table.concat(status.wanted.patterns, " ") or ""
  if wanted ~= truth or file_of(s) ~= truth then
    assert.is_true(#status.disagreements > 0, about .. ": wanted, file and HAProxy differ, and status does not say so")
  end
end

--- After the next change: HAProxy, journal and file have the same patterns.
local function check_together(s, expected, about)
  local status = status_of(s, about)
  assert.equal(expected, table.concat(status.patterns, " "), about)
  assert.equal(expected, file_of(s), about)
  assert.same({}, status.disagreements, about)
  local _, names = run({ "ls", "-A", s.dir, stdout = "capture" })
  assert.not_matches("%.haplua", names, about)
end

--- Run keep until HAProxy, journal and file are together.
local function keep_until(s, about, probe)
  local r = running.start(s, "-s", s.socket, "scripts/keep.lua", "--config", s.config, "--journal", s.journal)
  running.eventually(about .. ": keep has looked", function()
    return r:out():find("kept to", 1, true) or r:done()
  end)
  running.eventually(about, probe)
  r:signal("TERM")
  local ran = r:wait()
  assert.equal(143, ran.status, about .. ran.err)
end

local A, B = "^[^/]*/a", "^[^/]*/b"

describe("killed at each system call", function()
  local s

  setup(function()
    s = start()
  end)

  teardown(function()
    s:close()
  end)

  --- Run maint under the killer. Returns its status: 137 when it was killed.
  local function maint_killed(n, ...)
    local words = { KILLER, tostring(n), support.program()[1], "-s", s.socket, "scripts/maint.lua", ... }
    words.env = { HAPLUA_JOURNAL = s.journal, HAPLUA_CONFIG = s.config }
    words.stdout, words.stderr = "null", "null"
    return (run(words))
  end

  --- Kill maint at its system call 1, 2, ... until it ends by itself. After each kill, call `recover` with the number.
  local function sweep(before, words, recover)
    local n, kills = 1, 0
    while true do
      before(n)
      local status = maint_killed(n, table.unpack(words))
      if status ~= 137 then
        assert.equal(0, status)
        return kills
      end
      kills = kills + 1
      local about = ("%s, killed at system call %d"):format(table.concat(words, " "), n)
      check_truth(s, about)
      recover(n, about)
      n = n + STEP
    end
  end

  local recoveries = {
    function(about)
      good(s:maint("on", "--path", "/b"), about)
      check_together(s, B, about)
    end,
    function(about)
      good(s:maint("off"), about)
      check_together(s, "", about)
    end,
    function(about)
      local wanted = status_of(s, about).wanted
      local expected = wanted and table.concat(wanted.patterns, " ") or ""
      keep_until(s, about, function()
        local status = status_of(s, about)
        return patterns_of(s) == expected and file_of(s) == expected and #status.disagreements == 0
      end)
      check_together(s, expected, about)
    end,
  }

  local function recover(n, about)
    recoveries[n // STEP % #recoveries + 1](about)
  end

  it("of `on`", function()
    local kills = sweep(function()
      good(s:maint("off"), "before")
    end, { "on", "--path", "/a", "--reason", "why" }, recover)
    print(("kill: maint on: %d kills"):format(kills))
    assert.is_true(kills > 100 / STEP)
  end)

  it("of `on` where something was on", function()
    local kills = sweep(function()
      good(s:maint("on", "--path", "/b"), "before")
    end, { "on", "--path", "/a", "--reason", "why" }, recover)
    print(("kill: maint on, over another: %d kills"):format(kills))
  end)

  it("of `off`", function()
    local kills = sweep(function()
      good(s:maint("on", "--path", "/a"), "before")
    end, { "off" }, recover)
    print(("kill: maint off: %d kills"):format(kills))
    assert.is_true(kills > 100 / STEP)
  end)

  it("of keep, while it puts maintenance back", function()
    local n, kills = 1, 0
    while true do
      good(s:maint("on", "--path", "/a"), "before")
      s.target:acl_clear(s.dir .. "/site.acl")
      -- as after a reload: the journal names another process
      require("haplua.store.journal").open(s.journal):run("UPDATE changes SET worker = 1")
      local words = { KILLER, tostring(n), support.program()[1], "-s", s.socket, "scripts/keep.lua" }
      words.env = { HAPLUA_JOURNAL = s.journal, HAPLUA_CONFIG = s.config }
      words.stderr = "null"
      local back = false
      local keep
      function words.stdout(line)
        back = back or line:find("is again", 1, true) ~= nil
        if back and keep then
          keep:cancel()
        end
      end
      keep = task.spawn(run, words)
      local ok, status = pcall(keep.wait, keep)
      if not ok or status ~= 137 then
        assert.is_true(back, ("killed at %d: ended with %s"):format(n, tostring(status)))
        break
      end
      kills = kills + 1
      local about = ("keep, killed at system call %d"):format(n)
      check_truth(s, about)
      if n // STEP % 2 == 0 then
        keep_until(s, about, function()
          return patterns_of(s) == A and #status_of(s, about).disagreements == 0
        end)
        check_together(s, A, about)
      else
        good(s:maint("off"), about)
        check_together(s, "", about)
      end
      n = n + STEP
    end
    print(("kill: keep: %d kills"):format(kills))
    assert.is_true(kills > 100 / STEP)
  end)
end)
