-- SPDX-License-Identifier: MIT
--
-- The order of a change's steps, as order.c notes them: what must survive a loss of power is on the disk before the next
-- step. A kill cannot show that: the kernel keeps what a killed process has written.

local running = require("running")
local site = require("site")
local support = require("support")

local PRELOAD = os.getenv("PWD") .. "/" .. (os.getenv("BUILD") or "build") .. "/order.so"

describe("a change", function()
  local s, acl, log

  setup(function()
    s = site.start({
      files = { ["maint.acl"] = "", ["pass.acl"] = "" },
      acl = "path -i -m reg -f DIR/maint.acl", frontend = "acl pass src -f DIR/pass.acl", condition = "!pass",
    })
    acl, log = s.dir .. "/maint.acl", s.dir .. "/order"
    s.journal = s.dir .. "/journal.db"
    s.config = s.folder.write("config.lua", ([[return { switches = { site = { acl = "DIR/maint.acl",
      bypass = "DIR/pass.acl" } } }]]):gsub("DIR", s.dir))
    support.good(s:maint("on", "^/a", "--bypass", "192.0.2.1"))
  end)

  teardown(function()
    s:close()
  end)

  --- Run maint, and return the steps. nil: this haplua cannot be run with the library, as one with AddressSanitizer.
  local function steps(...)
    os.remove(log)
    local ran = s:haplua({ "scripts/maint.lua", env = { LD_PRELOAD = PRELOAD, ORDER_LOG = log }, ... })
    if ran.err:find("ASan runtime does not come first", 1, true) then
      return pending("AddressSanitizer must be the first library")
    end
    assert.equal("", ran.err)
    return running.lines(log)
  end

  --- The number of the first or the last step that has this text, and one of the words in it. nil: there is none.
  local function seek(list, text, words, is_last)
    local found
    for i, step in ipairs(list) do
      for _, word in ipairs(words or { "" }) do
        if (is_last or not found) and step:find(text, 1, true) and step:find(word, 1, true) then
          found = i
        end
      end
    end
    return found
  end

  local function find(list, text, words, is_last)
    return assert(seek(list, text, words, is_last), ("no step %s (%s):\n%s"):format(text, table.concat(words or {}, ", "),
      table.concat(list, "\n")))
  end

  -- What brings entries into force, or takes them out; HAProxy 2.2 has no commit. What fills a list comes before.
  local ENDS = { "commit acl", "del acl", "clear acl" }
  local CHANGES = { "prepare acl", "add acl", table.unpack(ENDS) }

  --- The steps of one list: HAProxy has all entries, then the new file takes the place of the old one, on the disk, then
  -- they come into force.
  local function check_file(list, name)
    local new = "." .. name .. ".haplua-new"
    local renamed = find(list, "rename " .. name)
    local before, after = table.move(list, 1, renamed, 1, {}), table.move(list, renamed, #list, 1, {})
    local synced = renamed - 1 + find(after, "sync " .. s.dir:match("[^/]*$"))
    local text = name .. ":\n" .. table.concat(list, "\n")
    assert.is_true(find(before, "write " .. new, nil, true) < find(before, "sync " .. new), text)
    -- HAProxy 2.2 has no versions: what it only adds is in force with the command, and what it only removes needs none before
    local filled = seek(list, "/" .. name, { "add acl", "prepare acl" }, true)
    assert.is_true(filled ~= nil or seek(list, "/" .. name, ENDS) ~= nil, text)
    assert.is_true((filled or 0) < renamed, text)
    assert.is_true(synced < (seek(list, "/" .. name, ENDS) or math.huge), text)
  end

  local function check_journal(list)
    local first = find(list, "send", CHANGES)
    local before = table.move(list, 1, first, 1, {})
    assert.is_true(find(before, "write journal.db-wal", nil, true) < find(before, "sync journal.db-wal", nil, true),
      table.concat(list, "\n"))
  end

  it("is in the journal, on the disk, before HAProxy is touched; its file is on the disk before it comes into force", function()
    local list = steps("on", "--replace", "^/b", "--bypass", "192.0.2.2")
    if not list then
      return
    end
    check_journal(list)
    check_file(list, "maint.acl")
    list = steps("off", "--all")
    check_journal(list)
    check_file(list, "maint.acl")
    list = steps("on", "^/c", "--bypass", "192.0.2.3")
    check_file(list, "maint.acl")
    check_file(list, "pass.acl")
    steps("off", "--all")
  end)

  it("lets nobody see the site's page who may pass: at on the bypass comes first, at off last", function()
    local list = steps("on", "^/a", "--bypass", "192.0.2.9")
    if not list then
      return
    end
    assert.is_true(find(list, "/pass.acl", CHANGES, true) < find(list, acl, CHANGES), table.concat(list, "\n"))
    list = steps("off", "--all")
    assert.is_true(find(list, acl, CHANGES, true) < find(list, "/pass.acl", CHANGES), table.concat(list, "\n"))
  end)
end)
