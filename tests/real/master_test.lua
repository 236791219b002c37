-- SPDX-License-Identifier: MIT
--
-- Through the master CLI, with --via.

local site = require("site")
local support = require("support")

describe("through the master CLI", function()
  local s, t

  setup(function()
    s = site.start({ frontend = "acl words path -u 8003 -m str\n    use_backend maintenance if words" })
    t = haproxy.connect(s.master, { via = "@1", timeout = site.ANSWER_SECONDS })
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    s.target:acl_clear("#9999")
    s.target:acl_clear("#8003")
  end)

  local function maint(...)
    return s:haplua({ "--via", "@1", "scripts/maint.lua", ..., socket = "unix@" .. s.master })
  end

  it("maint works as it does on the worker's own socket", function()
    local ran = maint("on")
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.equal("page", s:sees("/"))
    assert.equal("maintenance was on already: #9999 matches ^.*$\n", maint("on").out)
    assert.equal("maintenance is on: #9999 matches ^.*$\n", maint("status").out)
    ran = maint("off")
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.equal("application", s:sees("/"))
  end)

  it("reaches the worker, not the master", function()
    assert.same({ t:version() }, { s.target:version() })
    assert.equal(s.target:info().Pid, t:info().Pid)
  end)

  it("sends all entries of a batch, byte for byte", function()
    local patterns = { "a b;c", "\\", "<<", "@1", "a\r", "#0x10", "gr\u{fc}n" }
    for i = 1, 1000 do
      patterns[#patterns + 1] = "/path/" .. i
    end
    assert.equal(#patterns, (t:acl_replace("#8003", patterns)))
    assert.same(patterns, s.target:acl_list("#8003"))
    assert.same(patterns, t:acl_list("#8003"))
    assert.equal(#patterns, t:acl_clear("#8003"))
  end)

  it("raises refusals", function()
    for _, call in ipairs({
      function() t:acl_add("#7777", "x") end,
      function() t:acl_add("#9999", "(") end,
      function() t:send("shwo info") end,
      function() t:server_set({ server = "app/nope", state = "maint" }) end,
    }) do
      assert.equal("refused", support.failure(call).kind)
    end
  end)

  it("fails if there is no such process", function()
    local ran = s:haplua({ "--via", "@77", "scripts/maint.lua", "on", socket = s.master })
    assert.is_true(ran.status == 1 or ran.status == 3)
    assert.equal("", ran.out)
    assert.matches("@77", ran.err, 1, true)
    assert.equal("application", s:sees("/"))
  end)

  it("refuses a text that is not exactly one route", function()
    assert.equal(2, s:haplua({ "--via", "@1 show info;@1", "-e", "", socket = s.master }).status)
    assert.equal(2, s:haplua({ "--via", "1", "-e", "", socket = s.master }).status)
  end)

  it("goes to the new worker after a reload", function()
    maint("on")
    s:reload()
    assert.equal("maintenance is off: #9999 matches nothing\n", maint("status").out)
    assert.equal(0, maint("on").status)
    assert.equal("page", s:sees("/"))
  end)
end)
