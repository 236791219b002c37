-- SPDX-License-Identifier: MIT
--
-- Drained servers over a reload without keep: as HAProxy's own state file carries them over, by the command that
-- docs/maintenance.md has, and without it.

local site = require("site")
local support = require("support")

local good = support.good

describe("a drained server over a reload without keep", function()
  local s

  before_each(function()
    s = site.start({
      global = "server-state-file DIR/state",
      more = "backend pool\n    load-server-state-from-file global\n    server a1 127.0.0.1:1\n    server a2 127.0.0.1:2",
    })
    s.journal = s.dir .. "/journal.db"
    good(s:maint("on", "--server", "pool/a1", "--drain"))
  end)

  after_each(function()
    s:close()
  end)

  it("stays drained by HAProxy's state file, until maint off", function()
    local f <close> = assert(io.open("docs/maintenance.md"))
    local chunk = f:read("a"):match("haplua %-e '(print%(haproxy%.send%(\"show servers state\"%)%))' >FILE")
    s.folder.write("state", good(s:haplua({ "-e", chunk })))
    s:reload()
    local status = good(s:maint("status", "--server", "pool/"))
    assert.matches("pool/a1 is drain", status, 1, true)
    assert.not_matches("but pool/a1", status, 1, true)
    good(s:maint("off", "--server", "pool/a1"))
    assert.equal("ready", s.target:servers("pool")[1].admin)
  end)

  it("is in service again without it, which status says and off accepts", function()
    s:reload()
    assert.matches("but pool/a1 should be drain, and is ready", good(s:maint("status", "--server", "pool/")), 1, true)
    assert.matches("pool/a1 was ready already", good(s:maint("off", "--server", "pool/a1")), 1, true)
  end)
end)
