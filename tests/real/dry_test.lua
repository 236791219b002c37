-- SPDX-License-Identifier: MIT
--
-- What a dry run, and a run that --read-only or --only refuses, write: nothing, anywhere. The state of a whole folder with
-- the lists' files, the configuration and the journal is compared, times included.

local site = require("site")
local support = require("support")

local good = support.good

--- Each file and folder below a path: its name, and its kind, mode, size, and the instants of its latest changes.
---@return table<string, string>
local function tree(path)
  local found = {}
  local _, text = run({ "find", path, "-printf", "%P\t%y %m %s %T@ %C@\n", stdout = "capture" })
  for name, about in text:gmatch("(.-)\t(.-)\n") do
    -- SQLite writes into these two when it reads
    found[name] = name:find("%-shm$") and "" or name:find("%-wal$") and about:match("^%S+ %S+ %S+") or about
  end
  return found
end

--- The names that are in one of two trees alone, or that were changed.
---@return string
local function difference(before, after)
  local names = {}
  for name, about in pairs(before) do
    names[#names + 1] = after[name] ~= about and name .. " " .. about .. " -> " .. tostring(after[name]) or nil
  end
  for name in pairs(after) do
    names[#names + 1] = not before[name] and name or nil
  end
  table.sort(names)
  return table.concat(names, ", ")
end

describe("a run that may change nothing", function()
  local s, root, changing, all

  setup(function()
    s = site.start({
      files = { ["maint.acl"] = "", ["pass.acl"] = "192.0.2.1\n", ["info.map"] = "" },
      acl = "path -i -m reg -f DIR/maint.acl",
      frontend = "acl pass src -f DIR/pass.acl\n    http-request set-var(txn.a) str(until),map(DIR/info.map)",
      condition = "!pass",
      more = "backend pool\n    server a1 127.0.0.1:1\n    server a2 127.0.0.1:2\n",
    })
    root = s.dir .. "/root"
    run({ "mkdir", root })
    s.config = root .. "/config.lua"
    s.folder.write("root/config.lua", ([[return { switches = { site = { acl = "DIR/maint.acl", bypass = "DIR/pass.acl",
      info = "DIR/info.map" } }, windows = { { window = { "daily 00:00-24:00" }, paths = { "/w" } } } }]])
      :gsub("DIR", s.dir))
    changing = {
      { "maint", "on" }, { "maint", "on", "--path", "/a", "--reason", "x", "--bypass", "192.0.2.7" }, { "maint", "off" },
      { "maint", "off", "--all" }, { "maint", "on", "--replace", "--path", "/b" }, { "maint", "during", "--", "true" },
      { "maint", "on", "--for", "1h", "--wait" }, { "maint", "on", "--server", "pool/a1" },
      { "maint", "off", "--server", "pool/", "--all" }, { "drain", "pool/a1" }, { "drain", "pool/a1", "--undo" },
      { "rolling", "pool", "--", "true" }, { "during", "--", "true" }, { "keep" },
      { "window", "run", "daily 00:00-24:00" }, { "window", "run" }, { "maint", "change", "m1", "--reason", "y" },
      { "maint", "off", "m1" }, { "maint", "off", "m2" },
    }
    all = { { "maint", "status" }, { "maint", "log" }, { "maint", "doctor" }, { "window", "next", "Sun 02:00-04:00" } }
    table.move(changing, 1, #changing, #all + 1, all)
  end)

  teardown(function()
    s:close()
  end)

  --- Run each of the commands with options of haplua, and compare what is below the site's folder.
  local function try(commands, ...)
    for _, words in ipairs(commands) do
      local ran = { "-t", "20", ... }
      table.move(words, 1, #words, #ran + 1, ran)
      local before = tree(s.dir)
      local text = table.concat(words, " ")
      local result = s:haplua(ran)
      assert.not_equal(70, result.status, text)
      assert.not_matches("traceback", result.err, 1, true)
      assert.equal("", difference(before, tree(s.dir)), ("%s: %s%s"):format(text, result.out, result.err))
    end
  end

  local function try_all()
    local keep = 14
    assert.equal("keep", changing[keep][1])
    try(all, "-n")
    try(changing, "--read-only")
    table.remove(changing, keep) -- with --only it keeps the rest
    try(changing, "--only", "#77")
    table.insert(changing, keep, { "keep" })
    try(changing, "-n", "--only", "#77")
  end

  it("begins no journal and no folder for it", function()
    s.journal = root .. "/state/journal.db"
    try_all()
  end)

  it("writes no list's file, also where that is out of step", function()
    s.journal = root .. "/journal.db"
    good(s:maint("on", "--path", "/shop", "--reason", "mine"))
    good(s:maint("on", "--server", "pool/a1"))
    try_all()
    s.folder.write("maint.acl", "^/old\n")
    s.folder.write("pass.acl", "")
    s.folder.write("info.map", "x y\n")
    try_all()
    good(s:maint("off", "--all"))
    for _, name in ipairs({ "maint.acl", "pass.acl", "info.map" }) do
      s.folder.write(name, "")
    end
    try_all()
  end)

  it("is refused before its first change where --only leaves a list out", function()
    s.journal = root .. "/part.db"
    good(s:maint("on", "--path", "/shop"))
    local ran = s:haplua({ "--only", s.dir .. "/maint.acl", "maint", "on", "--path", "/a", "--reason", "new" })
    assert.equal(1, ran.status)
    assert.matches("this run may change .*/maint.acl alone", ran.err)
    good(s:haplua({ "--only", s.dir .. "/maint.acl", "maint", "log" }))
    assert.matches("done", s:maint("log").out, 1, true)
    assert.not_matches("new", s:maint("log").out, 1, true)
  end)
end)
