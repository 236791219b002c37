-- SPDX-License-Identifier: MIT
--
-- The live view on a terminal, without an HAProxy: what it does with the terminal itself, however it ends.
-- tests/typist.c types, and looks at the terminal's mode.

local support = require("support")

local TYPIST = (os.getenv("BUILD") or "build") .. "/typist"

local ENTERED, LEFT <const> = "see=^[[?1049h", "see=^[[?1049l"

--- Run haplua on a terminal.
---@param steps string[]  as typist.c takes them
---@param words string[]?  of haplua; default: the live view
---@return string shown, integer status
local function typed(steps, words)
  local all = { TYPIST, table.unpack(steps) }
  all[#all + 1] = "--"
  for _, word in ipairs(support.program(table.unpack(words or { "-s", "/nowhere/there", "scripts/watch.lua" }))) do
    all[#all + 1] = word
  end
  all.env = {
    TYPIST_TERM = "xterm", LC_ALL = "C.UTF-8", HAPLUA_JOURNAL = "none", HAPLUA_CONFIG = "none", NO_COLOR = "1",
    HAPLUA_ACL = false,
  }
  for name, value in pairs(steps.env or {}) do
    all.env[name] = value
  end
  all.stdout, all.stderr = "capture", "capture"
  local status, out, err = run(all)
  assert.equal("", err, out)
  return out, status
end

--- How often a text is in another one.
local function count(shown, text)
  local n, at = 0, 1
  while true do
    local _, after = shown:find(text, at, true)
    if not after then
      return n
    end
    n, at = n + 1, after + 1
  end
end

describe("the live view on a terminal", function()
  it("says that an HAProxy is away, and gives the terminal back at q", function()
    local shown, status = typed({ ENTERED, "mode=raw", "see=away since", "see=no such file", "type=q", LEFT, "mode=cooked" })
    assert.equal(0, status)
    assert.equal(1, count(shown, "\27[?25l"))
    assert.equal(1, count(shown, "\27[?25h"))
  end)

  it("gives the terminal back after Ctrl-C and signals", function()
    for _, case in ipairs({
      { "type=^C", 2 }, { "signal=2", 2 }, { "signal=15", 15 }, { "signal=1", 1 }, { "signal=3", 3 }, { "signal=11", 11 },
      { "signal=6", 6 },
    }) do
      local shown, status = typed({ ENTERED, "see=away since", case[1], LEFT, "mode=cooked" })
      assert.equal(128 + case[2], status, shown)
      assert.equal(1, count(shown, "\27[?1049l"))
    end
  end)

  it("gives the terminal back when it is stopped, and draws anew when it goes on", function()
    local _, status = typed({
      ENTERED, "see=away since", "type=^Z", LEFT, "stopped", "mode=cooked", "signal=18", ENTERED, "mode=raw", "see=away since",
      "type=q", LEFT, "mode=cooked",
    })
    assert.equal(0, status)
  end)

  it("gives the terminal back after an error within it, and then shows the error", function()
    local shown, status = typed({ ENTERED, LEFT, "see=broken while drawing", "mode=cooked" }, { "-s", "/nowhere/there", "-e", [[
      require("haplua.view.frame").draw = function() error("broken while drawing") end
      require("haplua.view.main").run({ haproxy.target() }, { every = 1 })]] })
    assert.equal(1, status, shown)
  end)

  it("draws anew in another size", function()
    local _, status = typed({ "see=? help  q quit", "size=30x8", "see=^[[8;1H", "size=10x3", "see=^[[3;1H", "size=100x30",
      "see=^[[30;1H", "see=? help  q quit", "type=q", LEFT })
    assert.equal(0, status)
  end)

  it("shows help, and takes a filter", function()
    local _, status = typed({ "see=q quit", "type=?", "see=choose a line", "see=any key", "type= ", "type=/app",
      "see=/app▏", "type=^M", "see=only 'app'", "type=^[", "type=q", LEFT })
    assert.equal(0, status)
  end)

  it("asks nothing of a command that haplua refuses, and shows all that it says", function()
    local shown, status = typed({
      "see=q quit", "type=b--path /x --reason 'a b'", "see='a b'▏", "type=^M", "see=: refused", "see=no such file",
      "see=any other key", "type=e", "see='a b'▏", "type=^U-e 1^M", "see=only maint on", "type=n", "type=q", LEFT,
    })
    assert.equal(0, status, shown)
  end)

  it("draws with ASCII alone where the terminal shows no UTF-8", function()
    for _, with in ipairs({ { { LC_ALL = "C" } }, { {}, { "-s", "/nowhere/there", "scripts/watch.lua", "--ascii" } } }) do
      local shown = typed({ "see=q quit", "see=away since", "type=q", LEFT, env = with[1] }, with[2])
      assert.is_nil(shown:find("[\x80-\xff]"))
    end
  end)

  it("prints lines with --lines, and on a dumb terminal", function()
    for _, with in ipairs({ { { TYPIST_TERM = "dumb" } }, { {}, "--lines" } }) do
      local shown, status = typed({ "see=no such file", env = with[1] }, { "-s", "/nowhere/there", "scripts/watch.lua", with[2] })
      assert.equal(3, status)
      assert.is_nil(shown:find("\27", 1, true))
    end
  end)
end)

describe("haplua.screen", function()
  it("refuses what is no terminal, and a second screen", function()
    local ran = support.haplua({ "-e", "print(pcall(require('haplua.screen').open))" })
    assert.matches("^false\t.*no terminal to draw on", ran.out)
    local shown = typed({ "see=there is a screen already" }, { "-e", [[
      local screen = require("haplua.screen")
      local ok, problem
      do
        local first <close> = screen.open()
        ok, problem = pcall(screen.open)
      end
      print(ok, problem)]] })
    assert.matches("false\t[^\n]*there is a screen already", shown)
  end)

  it("reads on when the boxes of earlier reads are collected, and ends a read when it is closed", function()
    local shown, status = typed({ ENTERED, "type=a", "see=got a", "see=collected", "type=b", "see=got b", "see=collected",
      "type=c", "see=got c", LEFT, "see=nil" }, { "-e", [[
      local terminal = require("haplua.screen").open()
      local collector <close> = task.spawn(function()
        while true do
          task.sleep(0.01)
          collectgarbage()
          terminal:write("collected")
        end
      end)
      for _ = 1, 3 do
        terminal:write("got " .. terminal:read() .. ";")
      end
      collector:cancel()
      task.spawn(function()
        local closing <close> = terminal
        task.sleep(0)
      end)
      print(terminal:read())]] })
    assert.equal(0, status, shown)
  end)
end)
