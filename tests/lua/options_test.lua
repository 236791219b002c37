-- SPDX-License-Identifier: MIT
--
-- What haplua.base.options refuses, and its words.

local options = require("haplua.base.options")

describe("options", function()
  local port = options.where("an integer from 1 to 65535", function(value)
    return math.type(value) == "integer" and value >= 1 and value <= 65535
  end)
  local spec = {
    paths = options.list("text"), reason = "text", file = "boolean", seconds = "number", count = "integer", port = port,
    journal = options.any("text", options.one_of(false)), state = options.one_of("ready", "drain"), hook = "function",
    names = options.any("text", options.list("text")), words = options.list("word"), extra = "table",
    rows = options.list(options.record({ key = "text", value = "word" }, { "key" })),
  }

  local function refusal(given)
    local ok, problem = pcall(options.check, "on", given, spec)
    assert.is_false(ok)
    return (problem:gsub("^.-: on: ", ""))
  end

  it("take what is of its kind", function()
    options.check("on", {}, spec)
    options.check("on", {
      paths = {}, reason = "", file = false, seconds = 1.5, count = 1, port = 80, journal = false, state = "drain",
      hook = print, names = { "a" }, words = { "a", 1 }, extra = {}, rows = { { key = "a", value = 1 }, { key = "b" } },
    }, spec)
    options.check("on", { journal = "x", names = "a" }, spec)
  end)

  it("say which option there is, and which may be meant", function()
    assert.are.equal("no option 'path'; did you mean 'paths'?", refusal({ path = "/x" }))
    assert.are.equal("no option 'raeson'; did you mean 'reason'?", refusal({ raeson = "x" }))
    assert.are.equal("no option 'sec'; did you mean 'seconds'?", refusal({ sec = 1 }))
    assert.matches("^no option 'zebra\\x1b'; the options are count, extra, .* and words$", refusal({ ["zebra\27"] = 1 }))
    assert.matches("^option 1, a string %('/x'%), has no name; the names are count, ", refusal({ "/x" }))
    assert.are.equal("a table of options is expected, not nil", refusal(nil))
    assert.are.equal("a table of options is expected, not a string ('/x')", refusal("/x"))
  end)

  it("say what a value must be", function()
    for text, given in pairs({
      ["'paths' must be a list of texts, not a string ('/x'): write { \"/x\" }"] = { paths = "/x" },
      ["'words' must be a list of texts, not a number (5): write { 5 }"] = { words = 5 },
      ["'paths' must be a list of texts; its element 2 is a number (5)"] = { paths = { "a", 5 } },
      ["'paths' must be a list of texts; its element 2 is missing"] = { paths = { "a", nil, "b" } },
      ["'paths' must be a list of texts; it has the key 'x'"] = { paths = { "a", x = "b" } },
      ["'names' must be a list of texts; its element 1 is true"] = { names = { true } },
      ["'paths' must be a list of texts; it has a length of its own"] = {
        paths = setmetatable({ "a" }, { __len = function() return 0 end }),
      },
      ["'names' must be a text or a list of texts, not a function"] = { names = print },
      ["'reason' must be a text, not a table: write it without braces"] = { reason = { "x" } },
      ["'reason' must be a text, not a number (5)"] = { reason = 5 },
      ["'file' must be true or false, not a string ('no')"] = { file = "no" },
      ["'seconds' must be a finite number, not a string ('5')"] = { seconds = "5" },
      ["'seconds' must be a finite number, not a number (" .. tostring(0 / 0) .. ")"] = { seconds = 0 / 0 },
      ["'seconds' must be a finite number, not a number (inf)"] = { seconds = math.huge },
      ["'count' must be an integer, not a number (1.0)"] = { count = 1.0 },
      ["'port' must be an integer from 1 to 65535, not a number (65536)"] = { port = 65536 },
      ["'state' must be 'ready' or 'drain', not a string ('reday'); did you mean 'ready'?"] = { state = "reday" },
      ["'journal' must be a text or false, not true"] = { journal = true },
      ["'rows', element 2: no field 'vlaue'; did you mean 'value'?"] = { rows = { { key = "a" }, { key = "b", vlaue = 1 } } },
      ["'rows', element 1: the field 'key' is missing"] = { rows = { {} } },
      ["'rows', element 1: field 'key' must be a text, not a number (1)"] = { rows = { { key = 1 } } },
      ["'rows' must be a list of tables; it has the key 'a'"] = { rows = { a = "b" } },
    }) do
      assert.are.equal("option " .. text, refusal(given))
    end
  end)

  it("name an argument, and the script's line", function()
    local ok, problem = pcall(function()
      options.argument("acl_add", "patterns", "x", options.list("word"))
    end)
    assert.is_false(ok)
    assert.matches("^[^:]*options_test%.lua:%d+: acl_add: patterns must be a list of texts, not a string %('x'%)", problem)
  end)

  it("allocate nothing for what they take", function()
    local given = { paths = { "a", "b" }, journal = false, rows = { { key = "a", value = "b" } }, port = 80 }
    collectgarbage()
    collectgarbage("stop")
    local before = collectgarbage("count")
    for _ = 1, 100 do
      options.check("on", given, spec)
    end
    local grown = collectgarbage("count") - before
    collectgarbage("restart")
    -- a table for each check would be 5.6 KB; the stack, which the collection has shrunk, grows by less
    assert.is_true(grown < 4, grown)
  end)
end)
