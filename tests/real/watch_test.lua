-- SPDX-License-Identifier: MIT
--
-- The live view of scripts/watch.lua on a terminal, at real HAProxys: tests/typist.c types.

local site = require("site")
local support = require("support")

local TYPIST = (os.getenv("BUILD") or "build") .. "/typist"

-- The first line that can be chosen is pool, once only its servers are listed, and the next one is s1.
local CHOOSE_S1 <const> = { "see=q quit", "see=s1", "type=/pool/s1^M", "see=only 'pool/s1'", "type=^[[B" }

describe("the live view", function()
  local s

  setup(function()
    s = site.start({ more = [[
backend pool
    server s1 127.0.0.1:1
    server s2 127.0.0.1:1
backend other
    server o1 127.0.0.1:1
    server o2 127.0.0.1:1
]] })
    s.journal = s.dir .. "/journal.db"
  end)

  teardown(function()
    s:close()
  end)

  --- Run the view on a terminal.
  ---@param steps string[]  as typist.c takes them, without the end
  ---@param ... string  options of haplua
  ---@return string shown, integer status
  local function typed(steps, ...)
    local words = table.move(steps, 1, #steps, 3, { TYPIST, "size=200x30" })
    table.move({ "type=q", "see=^[[?1049l", "mode=cooked", "--" }, 1, 4, #words + 1, words)
    local program = support.program(...)
    table.move(program, 1, #program, #words + 1, words)
    words[#words + 1] = "scripts/watch.lua"
    words.env = { TYPIST_TERM = "xterm", LC_ALL = "C.UTF-8", NO_COLOR = "1", HAPLUA_JOURNAL = s.journal, HAPLUA_CONFIG = "none" }
    words.stdout, words.stderr = "capture", "capture"
    local status, out, err = run(words)
    assert.same({ 0, "" }, { status, err }, out)
    return out
  end

  local function with(before, ...)
    return table.move({ ... }, 1, select("#", ...), #before + 1, table.move(before, 1, #before, 1, {}))
  end

  local function state(name)
    for _, row in ipairs(s.target:servers()) do
      if row.be_name .. "/" .. row.srv_name == name then
        return row.admin
      end
    end
  end

  it("drains a server and puts it back, once that was shown and answered", function()
    typed(with(CHOOSE_S1, "type=d", "see=set server pool/s1 state drain", "see=do it?", "type=n"), "-s", s.socket)
    assert.equal("ready", state("pool/s1"))
    typed(with(CHOOSE_S1, "type=d", "see=haplua maint on --server pool/s1 --drain", "see=do it?", "type=y",
      "see=pool/s1 is drain", "see=any key", "type= "), "-s", s.socket)
    assert.equal("drain", state("pool/s1"))
    typed(with(CHOOSE_S1, "see=DRAIN", "type=r", "see=do it?", "type=y", "see=pool/s1 is ready", "see=any key", "type= "),
      "-s", s.socket)
    assert.equal("ready", state("pool/s1"))
  end)

  it("takes nothing for an answer that was typed before the question", function()
    typed(with(CHOOSE_S1, "type=dyy", "see=do it?", "type=n"), "-s", s.socket)
    assert.equal("ready", state("pool/s1"))
  end)

  it("begins a maintenance, shows it, and ends it", function()
    typed({ "see=q quit", "see=app", "type=b--path /shop --reason 'new database'^M", "see=add acl #9999", "see=do it?", "type=y",
      "see=: done", "type= " }, "-s", s.socket)
    assert.equal("page", s:sees("/shop"))
    typed({ "see=1 in force", "see=new database", "see=e end", "type=e", "see=maint off m", "see=do it?", "type=y", "see=: done",
      "type= " }, "-s", s.socket)
    typed({ "see=no maintenance is in force" }, "-s", s.socket)
    assert.equal("application", s:sees("/shop"))
  end)

  it("shows in full what a guard refuses, and changes nothing", function()
    typed({ "see=q quit", "see=s1", "type=/app/app^M", "see=only 'app/app'", "type=^[[Bm", "see=: refused", "see=--force",
      "type=n" }, "-s", s.socket)
    assert.equal("ready", state("app/app"))
  end)

  it("asks nothing in a dry run, and nothing of a run that may only read", function()
    typed(with(CHOOSE_S1, "type=m", "see=set server pool/s1 state maint", "see=this is all", "type=y"), "-n", "-s", s.socket)
    local shown = typed(with(CHOOSE_S1, "type=m", "see=: refused", "see=--read-only", "type=y"), "--read-only", "-s", s.socket)
    assert.is_truthy(shown:find("[--read-only]", 1, true))
    assert.equal("ready", state("pool/s1"))
  end)

  it("shows several HAProxys, one of which comes back, and acts on the one that is chosen", function()
    local link = s.dir .. "/second.sock"
    typed({ "see=2 HAProxys, 1 away", "see=second.sock", "see=away since", ("run=ln -s %s %s"):format(s.socket, link),
      "see=2 HAProxys  ", "type=/pool/s2^M", "see=only 'pool/s2'", "type=^[[F", "type=m", "see=-s " .. link:sub(1, 12),
      "see=do it?", "type=y", "see=: done", "type= " }, "-s", s.socket, "-s", link)
    assert.equal("maint", state("pool/s2"))
    s.target:server_set({ server = "pool/s2", state = "ready" })
  end)

  it("goes on after a reload", function()
    local view = task.spawn(typed, { "see=q quit", "see=process", "see=DRAIN" }, "-s", s.socket)
    task.sleep(0.2)
    s:reload()
    s.target:server_set({ server = "pool/s1", state = "drain" })
    view:wait()
  end)
end)
