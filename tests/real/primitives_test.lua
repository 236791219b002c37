-- SPDX-License-Identifier: MIT
--
-- The five calls that are globals in every script.

local site = require("site")
local support = require("support")

local failure = support.failure

describe("primitives", function()
  local s

  setup(function()
    s = site.start({
      frontend = [[
    acl words path -u 8003 -m str
    use_backend maintenance if words
    http-request set-header x-map %[path,map(DIR/site.map,none)] ]],
      files = { ["site.map"] = "" },
      more = "backend spare\n    server one 127.0.0.1:1 weight 7\n    server two 127.0.0.1:2 disabled\n",
    })
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    s.target:acl_clear("#9999")
    s.target:acl_clear("#8003")
  end)

  it("keep a map's order, on every version", function()
    local map = s.dir .. "/site.map"
    for _, text in ipairs({ "a1 b2", "b2 a1", "c3 a1 b2", "a2 a1 c3", "a1 a2", "a2 b1 a1 b2", "b2", "" }) do
      local entries = {}
      for key, value in text:gmatch("(%l)(%d)") do
        entries[#entries + 1] = { key = key, value = value }
      end
      s.target:map_replace(map, entries)
      assert.same(entries, s.target:map_list(map))
    end
  end)

  it("are globals, on the script's target", function()
    local ran = s:haplua({ "-e", [[
      print(acl_add("#9999", "^/x", "^/y"))
      print(acl_get("#9999", "/x1").pattern, acl_get("#9999", "/z"))
      print(send("show cli level"))
      print(#servers("spare"))
      print(acl_clear("#9999"))
    ]] })
    assert.same({ 0, "2\n^/x\tnil\nadmin\n2\n2\n", "" }, { ran.status, ran.out, ran.err })
  end)

  describe("send", function()
    it("gives the reply without its framing", function()
      assert.equal("admin", s.target:send("show cli level"))
      assert.equal("", s.target:send("add acl #9999 ^/x"))
    end)

    it("escapes a list of words", function()
      s.target:send({ "add", "acl", "#8003", "/a b;clear acl #8003" })
      assert.same({ "/a b;clear acl #8003" }, s.target:acl_list("#8003"))
    end)

    it("takes an unknown command for the refusal that it is", function()
      local problem = failure(s.target.send, s.target, "shwo info")
      assert.equal("refused", problem.kind)
      assert.equal("shwo info", problem.command)
    end)

    it("sends nothing that would be two commands", function()
      for _, bad in ipairs({ "show info\nclear acl #9999", "show info\0clear acl #9999" }) do
        s.target:acl_replace("#9999", { "^/x" })
        assert.is_false((pcall(s.target.send, s.target, bad)))
        assert.same({ "^/x" }, s.target:acl_list("#9999"))
      end
    end)

    it("takes a payload where HAProxy does", function()
      local map = s.dir .. "/site.map"
      assert.equal("", s.target:send("add map " .. map, "/k1 v 1\n/k2 ;\\"))
      assert.same({ { key = "/k1", value = "v 1" }, { key = "/k2", value = ";\\" } }, s.target:map_list(map))
      assert.is_false((pcall(s.target.send, s.target, "add map " .. map, "/k3")))
      assert.is_false((pcall(s.target.send, s.target, "add map " .. map, "/k3 a\n\n/k4 b")))
      assert.equal(2, s.target:map_clear(map))
    end)
  end)

  describe("acl_add", function()
    it("makes patterns match at once", function()
      assert.equal("application", s:sees("/x"))
      assert.equal(2, s.target:acl_add("#9999", "^/x", "^/y"))
      assert.same({ "page", "page", "application" }, { s:sees("/x"), s:sees("/y"), s:sees("/z") })
    end)

    it("says how far it came when one is refused", function()
      local problem = failure(s.target.acl_add, s.target, "#9999", "^/x", "(", "^/z")
      assert.equal("refused", problem.kind)
      assert.matches("regex '(' is invalid", problem.reply, 1, true)
      assert.equal("add acl #9999 (", problem.command)
      assert.equal(2, problem.index)
      local there = s.target:acl_list("#9999")
      assert.equal("^/x", there[1])
      assert.equal(#there, problem.done)
    end)
  end)

  it("acl_clear removes all and says how many", function()
    s.target:acl_add("#9999", "^/x", "^/y", "^/y")
    assert.equal(3, s.target:acl_clear("#9999"))
    assert.equal(0, s.target:acl_clear("#9999"))
    assert.equal("application", s:sees("/x"))
  end)

  it("acl_get says what matches", function()
    s.target:acl_add("#9999", '^/"a b')
    assert.same({ pattern = '^/"a b', type = "reg", case = "insensitive", index = "list" },
      s.target:acl_get("#9999", '/"A B/c'))
    assert.is_nil(s.target:acl_get("#9999", "/nothing"))
    assert.same({ '^/"a b' }, s.target:acl_get("#9999"))
  end)

  it("servers gives rows with words and integers", function()
    local rows = s.target:servers("spare")
    assert.same({ "one", "two" }, { rows[1].srv_name, rows[2].srv_name })
    assert.same({ "ready", "maint" }, { rows[1].admin, rows[2].admin })
    assert.same({ 7, 2, 0 }, { rows[1].srv_uweight, rows[1].srv_op_state, rows[2].srv_op_state })
    assert.same({ "127.0.0.1", 1 }, { rows[1].srv_addr, rows[1].srv_port })
    local all = {}
    for _, row in ipairs(s.target:servers()) do
      if row.be_name ~= "MASTER" then -- 2.2 shows its own, too
        all[#all + 1] = row.be_name .. "/" .. row.srv_name
      end
    end
    assert.same({ "app/app", "maintenance/maintenance-nginx", "spare/one", "spare/two" }, all)
    assert.equal("refused", failure(s.target.servers, s.target, "nope").kind)
  end)
end)
