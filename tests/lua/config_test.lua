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
      journal = "/j", journal_days = 30, by_hand = "undo", default = "a",
      switches = { a = { acl = "#1", bypass = "#2", info = "/m", fetch = "base", allow = { "192.0.2.0/24" } },
        b = { acl = "/f", file = false, by_hand = "keep" },
        c = { map = "/c.map", bypass = "/c-bypass.map" } } }]])
    assert.same({ "/j", 30 }, { found.journal, found.journal_days })
    assert.same({ name = "a", kind = "acl", acl = "#1", bypass = "#2", info = "/m", fetch = "base", allow = { "192.0.2.0/24" },
      file = true, by_hand = "undo" }, found.switches.a)
    assert.same({ name = "b", kind = "acl", acl = "/f", allow = {}, file = false, by_hand = "keep" }, found.switches.b)
    assert.same({ name = "c", kind = "map", acl = "/c.map", bypass = "/c-bypass.map", fetch = "base", allow = {}, file = true,
      by_hand = "undo" }, found.switches.c)
    assert.equal("c", config.switch(found, nil, "/c.map").name)
    assert.equal("a", config.switch(found).name)
    assert.equal("b", config.switch(found, "b").name)
    assert.equal("b", config.switch(found, nil, "/f").name)
    assert.equal("#7", config.switch(found, nil, "#7").name)
  end)

  it("names a fleet, on whose switches a change by hand is undone", function()
    local found = config.parse("conf", [[return { switches = { a = { acl = "#1" }, b = { acl = "#2", by_hand = "keep" } },
      fleet = { name = "shop", labels = { dc = "fra" }, etcd = { endpoints = { "https://e1:2379" }, ca = "/c", cert = "/d",
        key = "/e" } } }]])
    assert.same({ name = "shop", labels = { dc = "fra" }, etcd = { endpoints = { "https://e1:2379" }, ca = "/c", cert = "/d",
      key = "/e" } }, found.fleet)
    assert.same({ "undo", "keep" }, { found.switches.a.by_hand, found.switches.b.by_hand })
    for text, expected in pairs({
      ["{}"] = "fleet: 'name' is missing", ["{ name = 'x' }"] = "fleet: 'etcd' is missing",
      ["{ name = 'x', etcd = {} }"] = "fleet.etcd: 'endpoints' is missing",
      ["{ name = 'x', etcd = { endpoints = { 'e1:2379' } } }"] = "a URL with TLS, such as https://10.0.0.1:2379",
      ["{ name = 'x', etcd = { endpoints = { 'http://e1:2379' } } }"] = "with TLS, such as https://10.0.0.1:2379",
      ["{ name = 'x', etcd = { endpoints = { 'https://e1:2379' }, cert = '/d' } }"] = "'cert' and 'key' go together",
      ["{ name = 'x', nodes = {} }"] = "fleet: no option 'nodes'; did you mean 'node'?",
      ["{ name = 'x', labels = { 'fra' } }"] = "'labels' must be a table of texts by name",
    }) do
      assert.is_truthy(problem("return { fleet = " .. text .. " }"):find(expected, 1, true), text)
    end
  end)

  it("says what is wrong, and where", function()
    for text, expected in pairs({
      ["return 1"] = "the configuration: a table of options is expected, not a number %(1%)",
      ["return { swiches = {} }"] = "the configuration: no option 'swiches'; did you mean 'switches'%?",
      ["return { 'site' }"] = "the configuration: option 1, a string %('site'%), has no name; the names are by_hand, default,",
      ["return { switches = { a = {} } }"] = "switch 'a': 'acl' or 'map' is missing",
      ["return { switches = { a = { acl = '#1', map = '/m' } } }"] = "switch 'a': 'acl' and 'map': one list decides",
      ["return { switches = { a = { map = '/m', info = '/i' } } }"] = "'info' beside 'map': the map tells visitors itself",
      ["return { switches = { a = { acl = 9999 } } }"] =
        "switch 'a': option 'acl' must be a line of text that is not empty, not a number %(9999%)",
      ["return { switches = { a = { acl = '' } } }"] = "option 'acl' must be a line of text that is not empty",
      ["return { switches = { a = { acl = '#1', bypas = '#2' } } }"] =
        "switch 'a': no option 'bypas'; did you mean 'bypass'%?",
      ["return { switches = { a = { acl = '#1', file = 'no' } } }"] = "option 'file' must be true or false",
      ["return { switches = { a = { acl = '#1', allow = { '192.0.2.1' } } } }"] = "'allow' needs a 'bypass'",
      ["return { switches = { a = { acl = '#1', bypass = '#2', allow = '192.0.2.1' } } }"] =
        "option 'allow' must be a list of .*: write { \"192.0.2.1\" }",
      ["return { switches = { a = { acl = '#1', bypass = '#2', allow = { x = 1 } } } }"] = "it has the key 'x'",
      ["return { switches = { a = { acl = '#1', bypass = '#2', allow = { 'a', nil, 'b' } } } }"] = "its element 2 is missing",
      ["return { switches = { a = { acl = '#1', bypass = '#2', allow = { '' } } } }"] = "its element 1 is a string %(''%)",
      ["return { switches = { [1] = { acl = '#1' } } }"] = "a switch has a name",
      ["return { switches = { a = '#1' } }"] = "switch 'a': a table of options is expected, not a string %('#1'%)",
      ["return { default = 'x' }"] = "no switch 'x' to be the default",
      ["return { journal_days = 0 }"] = "option 'journal_days' must be a number of days from 1 on, not a number %(0%)",
      ["return { by_hand = 'fight' }"] = "option 'by_hand' must be 'keep' or 'undo', not a string %('fight'%)",
      ["return { windows = { window = 'Sun 02:00-04:00' } }"] = "'windows' must be a list of tables; it has the key 'window'",
      ["return { windows = { { path = { '/x' } } } }"] = "window 1: no option 'path'; did you mean 'paths'%?",
      ["return { windows = { { window = 'Sun 02:00-04:00', lead = -1 } } }"] = "option 'lead' must be a number of minutes",
      ["return { windows = { { paths = { '/x' } } } }"] = "window 1: 'window' or 'calendar' is missing",
      ["return { windows = { { window = 'daily', switch = 'a' } } }"] = "window 1: there is no switch 'a'",
      ["return {"] = "line 1: ",
      ["os.exit(0)"] = "a nil value %(global 'os'%)",
      ["while true do end"] = "does not come to an end",
      ["\27Lua"] = "attempt to load a binary chunk",
    }) do
      assert.matches(expected, problem(text))
    end
    assert.matches("has the ACL of switch", problem("return { switches = { a = { acl = '#1' }, b = { acl = '#01' } } }"))
    assert.matches("'bypass' is its 'acl'", problem("return { switches = { a = { acl = '#10', bypass = '#010' } } }"))
  end)

  it("runs without functions, also those of strings, and within bounds of time and memory", function()
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

  it("applies by_hand to every switch that does not say, also one that is not declared", function()
    local found = config.parse("conf", "return { by_hand = 'undo', switches = { a = { acl = '#1', by_hand = 'keep' } } }")
    assert.equal("keep", config.switch(found, nil, "#1").by_hand)
    assert.equal("undo", config.switch(found, nil, "#7").by_hand)
    assert.equal("undo", config.switch(config.parse("conf", "return { by_hand = 'undo' }")).by_hand)
    assert.equal("keep", config.switch({ switches = {} }).by_hand)
  end)

  it("does without a file, and takes an empty variable of the environment for none", function()
    local folder <close> = support.folder()
    local path, getenv = config.PATH, os.getenv
    local restore <close> = setmetatable({}, { __close = function()
      config.PATH, os.getenv = path, getenv
    end })
    config.PATH = folder.path .. "/none.lua"
    for _, value in ipairs({ false, "" }) do
      function os.getenv()
        return value or nil
      end
      local found = config.read()
      assert.same({ switches = {}, windows = {} }, found)
      assert.equal("#9999", config.switch(found).acl)
      assert.equal("/list", config.switch(found, nil, "/list").acl)
      support.refused("no switch 'shop'", config.switch, found, "shop")
    end
    config.PATH = folder.write("config.lua", "return { switches = { a = { acl = '#1' } } }")
    assert.equal("#1", config.switch(config.read()).acl)
  end)

  it("asks which, where several are there", function()
    local found = config.parse("conf", "return { switches = { a = { acl = '#1' }, b = { acl = '#2' } } }")
    local ok, why = pcall(config.switch, found)
    assert.is_false(ok)
    assert.matches("which switch%? %-%-switch takes one of a, b", why.message)
  end)

  it("reads the file that is named, and refuses one that is missing", function()
    local folder <close> = support.folder()
    local path = folder.write("config.lua", "return { switches = { a = { acl = '#1' } } }")
    assert.equal("#1", config.read(path).switches.a.acl)
    local ok, why = pcall(config.read, folder.path .. "/none.lua")
    assert.is_false(ok)
    assert.matches("none.lua: No such file", why.message)
  end)

  it("that was looked at before is another one's where $HAPLUA_CONFIG names another file", function()
    local folder <close> = support.folder()
    local getenv, file = os.getenv, folder.write("a.lua", "a")
    local _ <close> = setmetatable({}, { __close = function() _G.os.getenv = getenv end })
    function _G.os.getenv(name)
      return name == "HAPLUA_CONFIG" and file or getenv(name)
    end
    assert.equal("a", (config.peek()))
    file = folder.write("b.lua", "b")
    assert.equal("b", (config.source()))
    assert.equal("b", (config.peek()))
    os.remove(file)
    assert.equal("b", (config.source()))
  end)

  it("is read until a signal comes, which is no error of it", function()
    local count, errors = collectgarbage, require("haplua.error")
    local _ <close> = setmetatable({}, { __close = function() _G.collectgarbage = count end })
    local calls = 0
    function _G.collectgarbage(...) -- called at each step of a configuration: a place where the host may raise
      calls = calls + 1
      return calls > 2 and error(errors.new({ kind = "interrupted", message = "interrupted by SIGTERM" }), 0) or count(...)
    end
    assert.equal("interrupted", support.failure(config.parse, "conf", "return { journal = '/j' }").kind)
  end)
end)
