-- SPDX-License-Identifier: MIT
--
-- haplua.maintenance refuses what it does not understand before anything is sent. What it does: tests/real.

local support = require("support")

--- Run calls of haplua.maintenance, each of which has to raise: what they raise, one a line. No call may send anything.
local function raised(calls)
  local fake <close> = support.fake({ "read" })
  local chunk = [[
    local m = require("haplua.maintenance")
    local function try(name, ...)
      local ok, problem = pcall(m[name], ...)
      print(name, ok and "did it" or tostring(problem):gsub("^%-e:%d+: ", "at the call: "))
    end
  ]] .. table.concat(calls, "\n")
  local out = support.good(support.haplua({ "-s", fake.address, "-e", chunk }))
  assert.is_true(fake:is_untouched())
  return out
end

describe("haplua.maintenance", function()
  it("refuses an unknown option by its name, with the nearest known one", function()
    local out = raised({
      'try("on", { path = "/x" })', 'try("on", { raeson = "x" })', 'try("during", { host = {} }, print)',
      'try("off", { acls = "#1" })', 'try("status", { swich = "x" })', 'try("on", { "/x" })',
      -- what only haplua itself says
      'for _, name in ipairs({ "action", "attempts", "lifetime", "print", "resume", "tried" }) do try("on", { [name] = {} }) end',
      -- what the function does not use
      'try("off", { reason = "x" })', 'try("status", { reason = "x" })', 'try("on", { id = 1 })', 'try("on", { ids = { 1 } })',
      'try("change", { ids = { 1 } })', 'try("off", { open_end = true })', 'try("change", { mine = true })',
      'try("keep", { switch = "x" })', 'try("keep", { metric = "x" })',
    })
    for _, text in ipairs({
      "on\tat the call: maintenance.on: no option 'path'; did you mean 'paths'?", "did you mean 'reason'?",
      "maintenance.during: no option 'host'; did you mean 'hosts'?", "maintenance.off: no option 'acls'; did you mean 'acl'?",
      "maintenance.status: no option 'swich'; did you mean 'switch'?", "maintenance.on: option 1, a string ('/x'), has no name",
      "no option 'action'", "no option 'attempts'", "no option 'lifetime'", "no option 'print'", "no option 'resume'",
      "no option 'tried'", "maintenance.off: no option 'reason'", "maintenance.status: no option 'reason'",
      "maintenance.on: no option 'id'", "maintenance.on: no option 'ids'", "maintenance.change: no option 'ids'",
      "maintenance.off: no option 'open_end'", "maintenance.change: no option 'mine'",
      "maintenance.keep: no option 'switch'", "maintenance.keep: no option 'metric'; did you mean 'metrics'?",
    }) do
      assert.matches(text, out, 1, true)
    end
    assert.not_matches("did it", out, 1, true)
  end)

  it("refuses a value of another type, by the option's name", function()
    local calls = { 'try("off", { ids = { "m1" } })', 'try("off", { ids = { 0 } })', 'try("off", { all = 1 })',
      'try("change", { id = "m1" })', 'try("change", { id = 1.5 })', 'try("on", "/x")', 'try("on")', 'try("off")',
      'try("during", {})', 'try("during", {}, print, 5)', 'try("keep", { journal = false })', 'try("keep", {}, 5)' }
    local values <const> = {
      patterns = { '"/x"', "{ 1 }" }, paths = { '"/x"', "{ {} }", '{ "" }', '{ "/a", nil, "/b" }', '{ "/a", x = "/b" }' },
      hosts = { '"a.example"' }, bypass = { '"192.0.2.0/24"' }, reason = { "5", '""' }, acl = { "9999", '""' },
      begins = { '"30m"', "-1" }, ends = { '"30m"', "0/0", "math.huge", "-1", "1e300" }, replace = { "1" },
      file = { '"no"', "0" }, journal = { "true", '""' },
      switch = { "1", '""' }, config = { "{}", '""' }, attended = { "1" },
    }
    local expected = { "maintenance.off: option 'ids' must be a list", "maintenance.off: option 'all' must be true or false",
      "maintenance.change: option 'id' must be the number of a maintenance", "options is expected, not a string ('/x')",
      "maintenance.off: a table of options is expected, not nil",
      "fn must be a function, not nil", "done must be a function, not a number (5)",
      "maintenance.keep: option 'journal' must be ", "print must be a function, not a number (5)" }
    for name, list in pairs(values) do
      expected[#expected + 1] = ("maintenance.on: option '%s' must be "):format(name)
      for _, value in ipairs(list) do
        calls[#calls + 1] = ('try("on", { %s = %s })'):format(name, value)
      end
    end
    local out = raised(calls)
    for _, text in ipairs(expected) do
      assert.matches(text, out, 1, true)
    end
    assert.equal(#calls, select(2, out:gsub("at the call: ", "")), out)
  end)

  it("refuses what does not go together, or nobody could read", function()
    local out = raised({ 'try("on", { acl = "#1", switch = "x" })', 'try("on", { reason = "a\\nb" })',
      'try("on", { reason = " " })', 'try("off", { config = "/none/at/all.lua" })' })
    assert.equal("on\tacl and switch: a switch has its ACL\n"
      .. ("on\ta reason is one line of text, of 1,000 bytes at most\n"):rep(2)
      .. "off\t/none/at/all.lua: No such file or directory\n", out)
  end)
end)

describe("the command lines", function()
  it("refuse an empty text as a usage error", function()
    for _, words in ipairs({
      { "maint", "on", "--path", "" }, { "maint", "on", "--path", "/x", "--host", "" }, { "maint", "on", "--bypass=" },
      { "maint", "on", "--reason", "" }, { "maint", "on", "--for", "" }, { "maint", "on", "" }, { "maint", "--acl", "", "off" },
      { "maint", "--switch", "", "off" }, { "maint", "--journal", "", "log" }, { "maint", "--config", "", "status" },
      { "during", "--path", "", "--", "true" }, { "keep", "--journal", "" }, { "window", "run", "" },
      { "window", "next", "--calendar", "" }, { "window", "next", "daily 01:00-02:00", "--tz", "" },
    }) do
      local ran = support.haplua({ "-s", "/nonexistent", table.unpack(words) })
      assert.same({ 2, "" }, { ran.status, ran.out }, table.concat(words, " "))
    end
    local ran = support.haplua({ "-s", "/nonexistent", "during", "--", "echo", "" })
    assert.equal(3, ran.status)
  end)

  it("take an empty variable of the environment for an unset one", function()
    for _, words in ipairs({ { "maint", "--no-journal", "off" }, { "-n", "maint", "off" } }) do
      local env = { HAPLUA_ACL = "", HAPLUA_JOURNAL = "", HAPLUA_CONFIG = "none" }
      local ran = support.haplua({ "-s", "/nonexistent/socket", env = env, table.unpack(words) })
      -- this machine's journal is looked at; it may be of another version
      local is_default = ran.err:find("the journal /var/lib/haplua/journal.db: ", 1, true) ~= nil
      assert.is_true(is_default or ran.status == 3 and ran.err:find("no such file or directory", 1, true) ~= nil, ran.err)
    end
  end)
end)
