-- SPDX-License-Identifier: MIT
--
-- What a wait shows meanwhile: a line that changes on a terminal, and hardly anything elsewhere.

local progress = require("haplua.base.progress")
local support = require("support")

local TYPIST = (os.getenv("BUILD") or "build") .. "/typist"

local WAIT <const> = [[
  local waiting <close> = require("haplua.base.progress").begin({ latest = task.now() + 3600, outcome = "it gives up" })
  print("ready")
  io.read(1)
  for i = 1, 2 do
    waiting(("app/a1: %d\27[2J sessions are open"):format(i))
    io.read(1)
  end]]

describe("the progress of a wait", function()
  it("says since when, and what happens at the deadline", function()
    local deadline = { latest = 160, outcome = "it gives up" }
    assert.equal("app/a1: 3 sessions", progress.line("app/a1: 3 sessions", 100, nil, 101))
    assert.equal("app/a1: 3 sessions; 45 s so far", progress.line("app/a1: 3 sessions", 100, nil, 145))
    assert.equal("app/a1: 3 sessions; 45 s so far; in 15 s it gives up", progress.line("app/a1: 3 sessions", 100, deadline, 145))
    assert.equal("x; 1 h 1 min so far; in 0 s it gives up", progress.line("x", 0, { latest = 0, outcome = "it gives up" }, 3661))
    assert.equal("x; 3 min so far", progress.line("x", 0, nil, 200))
  end)

  it("is a line that changes on a terminal, of one line of it, and is gone at the end", function()
    local words = {
      TYPIST, "see=ready", "size=40x10", "type=^M", "see=1\\x1b[2J", "type=^M", "see=2\\x1b[2J", "type=^M", "see=^M^[[K", "--",
    }
    for _, word in ipairs(support.program("-s", "/nowhere/there", "-e", WAIT)) do
      words[#words + 1] = word
    end
    words.stdout, words.stderr = "capture", "capture"
    local status, out, err = run(words)
    assert.same({ 0, "" }, { status, err }, out)
    for line in out:gmatch("[^\r\n]+") do
      assert.is_true(#line:gsub("\27%[K", "") < 40, line)
    end
  end)

  it("is nothing at the beginning elsewhere", function()
    local ran = support.haplua({ "-e", WAIT })
    assert.same({ 0, "ready\n", "" }, { ran.status, ran.out, ran.err })
  end)
end)
