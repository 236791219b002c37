-- SPDX-License-Identifier: MIT
--
-- What a person sees on a terminal while a policy waits; tests/typist.c types.

local site = require("site")
local support = require("support")

local TYPIST = (os.getenv("BUILD") or "build") .. "/typist"

describe("a policy that waits on a terminal", function()
  local s

  setup(function()
    s = site.start({ more = [[
backend pool
    server s1 127.0.0.1:1
    server s2 127.0.0.1:1
]] })
  end)

  teardown(function()
    s:close()
  end)

  --- Run a policy on a terminal until Ctrl-C.
  local function typed(steps, ...)
    local words = table.move(steps, 1, #steps, 3, { TYPIST, "size=200x24" })
    table.move({ "type=^C", "--" }, 1, 2, #words + 1, words)
    local program = support.program("-s", s.socket, ...)
    table.move(program, 1, #program, #words + 1, words)
    words.env = { HAPLUA_JOURNAL = s.dir .. "/journal.db", HAPLUA_CONFIG = "none" }
    words.stdout, words.stderr = "capture", "capture"
    local status, out, err = run(words)
    assert.same({ 128 + 2, "" }, { status, err }, out)
  end

  it("shows what it waits for, and what happens at the deadline", function()
    typed({ "see=pool/s1: 0 sessions are open", "see= of 3600 s)", "see= it gives up", "see=so far" },
      "scripts/drain.lua", "pool/s1", "--quiet", "3600", "--wait", "7200")
    typed({ "see= of 3600 s)", "see= they are cut" },
      "scripts/drain.lua", "pool/s1", "--quiet", "3600", "--wait", "7200", "--cut")
  end)

  it("shows when a maintenance ends", function()
    typed({ "see=ends in ", "see=Ctrl-C ends it now" }, "scripts/maint.lua", "on", "--for", "1h", "--wait")
  end)
end)
