-- SPDX-License-Identifier: MIT

local config = require("haplua.store.config")
local support = require("support")

local function problem(text)
  local ok, found = pcall(config.parse, "conf", text)
  assert.is_false(ok, text)
  assert.equal("refused", found.kind, tostring(found))
  return found.message
end

describe("the configuration", function()
  it("declares switches", function()
    local found = config.parse("conf", [[return {
      journal = "/j", by_hand = "undo", default = "a",
      switches = { a = { acl = "#1", bypass = "#2", info = "/m", fetch = "base", allow = { "192.0.2.0/24" } },
        b = { acl = "/f", file = false, by_hand = "keep" } } }]])
    assert.equal("/j", found.journal)
    assert.same({ name = "a", acl = "#1", bypass = "#2", info = "/m", fetch = "base", allow = { "192.0.2.0/24" },
      file = true, by_hand = "undo" }, found.switches.a)
    assert.same({ name = "b", acl = "/f", allow = {}, file = false, by_hand = "keep" }, found.switches.b)
    assert.equal("a", config.switch(found).name)
    assert.equal("b", config.switch(found, "b").name)
    assert.equal("b", config.switch(found, nil, "/f").name)
    assert.equal("#7", config.switch(found, nil, "#7").name)
  end)

  it("says what is wrong, and where", function()
    for text, expected in pairs({
      ["return 1"] = "the configuration: a table expected, not a number",
      ["return { swiches = {} }"] = "there is no option 'swiches'",
      ["return { switches = { a = {} } }"] = "switch 'a': 'acl' is missing",
      ["return { switches = { a = { acl = 9999 } } }"] = "switch 'a': 'acl' cannot be '9999'",
      ["return { switches = { a = { acl = '#1', colour = 1 } } }"] = "switch 'a': there is no option 'colour'",
      ["return { switches = { a = { acl = '#1', allow = { '192.0.2.1' } } } }"] = "'allow' needs a 'bypass'",
      ["return { switches = { a = { acl = '#1', bypass = '#2', allow = { x = 1 } } } }"] = "'allow' cannot be that table",
      ["return { switches = { [1] = { acl = '#1' } } }"] = "a switch has a name",
      ["return { default = 'x' }"] = "no switch 'x' to be the default",
      ["return { by_hand = 'fight' }"] = "'by_hand' cannot be 'fight'",
      ["return {"] = "line 1: ",
      ["os.exit(0)"] = "a nil value %(global 'os'%)",
      ["while true do end"] = "does not come to an end",
      ["\27Lua"] = "attempt to load a binary chunk",
    }) do
      assert.matches(expected, problem(text))
    end
    assert.matches("has the ACL of switch", problem("return { switches = { a = { acl = '#1' }, b = { acl = '#1' } } }"))
  end)

  it("has no functions, neither those of strings, and does not grow without an end", function()
    for text, why in pairs({
      ["return ('x'):rep(1e10)"] = "attempt to index a string value",
      ["return print()"] = "attempt to call a nil value %(global 'print'%)",
      ["local s = 'x' while true do s = s .. s end"] = "it grows too large",
      ["while true do end"] = "it does not come to an end",
    }) do
      local ok, found = pcall(config.parse, "conf", text)
      assert.is_false(ok)
      assert.matches(why, found.message)
    end
    assert.equal("xx", ("x"):rep(2))
  end)

  it("does without a file, and with none of the standard place", function()
    local found = { switches = {} }
    assert.equal("#9999", config.switch(found).acl)
    assert.equal("/list", config.switch(found, nil, "/list").acl)
    assert.has_error(function() config.switch(found, "shop") end)
  end)

  it("asks which, where several are there", function()
    local found = config.parse("conf", "return { switches = { a = { acl = '#1' }, b = { acl = '#2' } } }")
    local ok, why = pcall(config.switch, found)
    assert.is_false(ok)
    assert.matches("which switch%? %-%-switch takes one of a, b", why.message)
  end)

  it("reads the file that is named, and misses it when it is not there", function()
    local folder <close> = support.folder()
    local path = folder.write("config.lua", "return { switches = { a = { acl = '#1' } } }")
    assert.equal("#1", config.read(path).switches.a.acl)
    local ok, why = pcall(config.read, folder.path .. "/none.lua")
    assert.is_false(ok)
    assert.matches("none.lua: No such file", why.message)
  end)
end)
