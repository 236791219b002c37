-- SPDX-License-Identifier: MIT
--
-- The file that keep writes for Prometheus. promtool, where it is there, checks it and the alerts.

local running = require("running")
local site = require("site")
local support = require("support")

local eventually, good = running.eventually, support.good

describe("keep --metrics", function()
  local s, path

  before_each(function()
    s = site.start()
    s.journal = s.dir .. "/journal.db"
    path = s.dir .. "/haplua.prom"
    s.config = s.folder.write("config.lua", [[return { switches = { site = { acl = "#9999" } } }]])
  end)

  after_each(function()
    s:close()
  end)

  --- The samples of a family in the file: by the labels behind the target.
  local function samples(family)
    local found = {}
    for _, line in ipairs(running.lines(path)) do
      local name, labels, value = line:match("^([%w_]+){(.-)} (%S+)$")
      if name == family then
        found[labels:gsub('^target="[^"]*",?', "")] = value
      end
    end
    return found
  end

  local function await(family, labels, value)
    eventually(("%s{%s} is %s"):format(family, labels, value), function()
      return samples(family)[labels] == value
    end)
  end

  local function check_form()
    local f <close> = assert(io.open(path))
    local checked, status, out, err = pcall(run, { "promtool", "check", "metrics", stdin = f:read("a"), stdout = "capture",
      stderr = "capture" })
    assert.same({ 0, "", "" }, checked and { status, out, err } or { 0, "", "" }) -- not checked: there is no promtool
  end

  it("says what is in force, since when, until when, and what is planned", function()
    local switch <const> = 'switch="site"'
    local _ <close> = running.keep(s, "--metrics", path)
    await("haplua_maintenance_in_force", switch, "0")
    assert.same({ [""] = "1" }, samples("haplua_keep_up"))
    assert.same({}, samples("haplua_maintenance_since_timestamp_seconds"))
    assert.equal("0644", require("haplua.file").info(path).mode)
    check_form()
    good(s:maint("on", "^/a", "--for", "1h", "--reason", "no label"))
    await("haplua_maintenance_in_force", switch, "1")
    local since, ends = samples("haplua_maintenance_since_timestamp_seconds")[switch],
      samples("haplua_maintenance_ends_timestamp_seconds")[switch]
    assert.is_true(math.abs(ends - since - 3600) < 60)
    assert.equal("1", samples("haplua_maintenances")['switch="site",origin="on"'])
    good(s:maint("on", "^/b"))
    await("haplua_maintenance_ends_timestamp_seconds", switch, "+Inf")
    good(s:maint("on", "^/c", "--from", "2099-01-01T00:00:00Z", "--for", "1h"))
    await("haplua_maintenances_planned", switch, "1")
    assert.equal("4070908800", samples("haplua_maintenance_next_timestamp_seconds")[switch])
    s:reload()
    await("haplua_out_of_step", switch, "0")
    check_form()
    assert.is_nil(running.content(path):find("no label", 1, true))
    good(s:maint("off", "--all"))
    await("haplua_maintenance_in_force", switch, "0")
  end)

  it("says that HAProxy is away, and that keep has ended", function()
    local switch <const> = 'switch="site"'
    s.config = s.folder.write("config.lua", ([[return { metrics = %q, switches = { site = { acl = "#9999" } } }]]):format(path))
    do
      local _ <close> = running.keep(s)
      good(s:maint("on", "^/a"))
      await("haplua_maintenance_in_force", switch, "1")
      await("haplua_haproxy_up", "", "1")
      await("haplua_out_of_step", switch, "0")
      os.rename(s.socket, s.socket .. ".away")
      await("haplua_haproxy_up", "", "0")
      assert.equal("1", samples("haplua_out_of_step")[switch])
      check_form()
      os.rename(s.socket .. ".away", s.socket)
      await("haplua_haproxy_up", "", "1")
      await("haplua_out_of_step", switch, "0")
    end
    assert.same({ [""] = "0" }, samples("haplua_keep_up"))
    assert.same({}, samples("haplua_maintenance_in_force"))
    check_form()
  end)

  it("counts hooks, and keep prints their failures", function()
    local fails = s.folder.write("fails", "#!/bin/sh\necho 'no route' >&2\nexit 3\n", "755")
    s.config = s.folder.write("config.lua", ([[return { hooks = { change = { { %q, "secret" } } },
      switches = { site = { acl = "#9999" } } }]]):format(fails), "644")
    local r = running.start(s, "-s", s.socket, "scripts/keep.lua", "--journal", s.journal, "--config", s.config,
      "--metrics", path)
    await("haplua_keep_up", "", "1")
    good(s:maint("on", "^/a"))
    await("haplua_hook_failures_total", ('hook="%s"'):format(fails), "1")
    assert.equal("1", samples("haplua_hook_failing")[('hook="%s"'):format(fails)])
    check_form()
    eventually("it is printed", function()
      return r:err():find("keep: the hook " .. fails .. " secret failed at ", 1, true)
        and r:err():find(": exit status 3: no route", 1, true)
    end)
    r:signal("TERM")
    assert.equal(143, r:wait().status)
  end)

  it("has the samples of several HAProxys in one file, and escapes names", function()
    local other <close> = site.start()
    s.config = s.folder.write("config.lua", [[return { switches = { ['a "b"\\c'] = { acl = "#9999" } } }]])
    local r = running.start(s, "-s", s.socket, "-s", other.socket, "scripts/keep.lua", "--journal", s.journal,
      "--config", s.config, "--metrics", path)
    eventually("both are there", function()
      local text = running.content(path)
      return text:find(('haplua_maintenance_in_force{target="%s",switch="a \\"b\\"\\\\c"} 0'):format(s.socket), 1, true)
        and text:find(('haplua_haproxy_up{target="%s"} 1'):format(other.socket), 1, true)
    end)
    check_form()
    r:signal("TERM")
    r:wait()
    local text = running.content(path)
    assert.truthy(text:find(('haplua_keep_up{target="%s"} 0'):format(s.socket), 1, true))
    assert.truthy(text:find(('haplua_keep_up{target="%s"} 0'):format(other.socket), 1, true))
  end)

  it("goes on where the file cannot be written", function()
    local k <close> = running.keep(s, "--metrics", s.dir .. "/nowhere/haplua.prom")
    eventually("it is told", function()
      return k:err():find("keep: the metrics cannot be written: .*nowhere")
    end)
    good(s:maint("on", "^/a"))
    s:reload()
    eventually("it is back", function()
      return s:sees("/a") == "page"
    end)
  end)
end)

describe("the alerts of packaging/prometheus-rules.yml", function()
  it("come when they shall", function()
    local there = pcall(run, { "promtool", "--version", stdout = "null", stderr = "null" })
    if not there then
      return pending("there is no promtool")
    end
    for _, words in ipairs({
      { "check", "rules", "packaging/prometheus-rules.yml" }, { "test", "rules", "tests/prometheus/rules_test.yml" },
    }) do
      local status, out, err = run({ "promtool", words[1], words[2], words[3], stdout = "capture", stderr = "capture" })
      assert.same({ 0, "" }, { status, status ~= 0 and out .. err or "" })
    end
  end)
end)
