-- SPDX-License-Identifier: MIT
--
-- What the functions of the library refuse as arguments, before they do anything.

local support = require("support")

describe("arguments", function()
  --- Each call raises its text, with the line of this file.
  local function all_raise(calls)
    for text, call in pairs(calls) do
      local ok, problem = pcall(call)
      assert.is_false(ok, text)
      assert.is_string(problem)
      assert.matches("arguments_test%.lua:%d+: ", problem)
      assert.matches(text, problem, 1, true)
    end
  end

  it("of lists: each value is one that can be sent, and no list has holes or other keys", function()
    local fake <close> = support.fake({ "read", "say \\n\\n" })
    local t = haproxy.connect(fake.address)
    all_raise({
      ["acl_add: patterns must be a list of texts; it has the key 'path'"] = function() t:acl_add("#1", { path = "/x" }) end,
      ["acl_add: patterns must be a list of texts; its element 2 is missing"] = function() t:acl_add("#1", "/x", nil, "/y") end,
      ["acl_add: the last of the patterns must be a text or a number, not nil"] = function() t:acl_add("#1", nil) end,
      ["acl_add: patterns must be a list of texts; its element 1 is a table"] = function() t:acl_add("#1", { { "/x" } }) end,
      ["acl_add: patterns must be a list of texts; its element 2 is a table"] = function() t:acl_add("#1", "/x", { "/y" }) end,
      ["acl_del: the last of the patterns must be a text or a number, not nil"] = function() t:acl_del("#1", "/x", nil) end,
      ["map_del: keys must be a list of texts; it has the key 'k'"] = function() t:map_del("#1", { k = "v" }) end,
      ["acl_test: value must be a text or a number, not nil"] = function() t:acl_test("#1") end,
      ["map_get: key must be a text or a number, not nil"] = function() t:map_get("#1") end,
      ["acl_replace: patterns must be a list of texts, not a string ('/x'): write { \"/x\" }"] = function()
        t:acl_replace("#1", "/x")
      end,
      ["acl_replace: patterns must be a list of texts, not nil"] = function() t:acl_replace("#1") end,
      ["acl_replace: patterns must be a list of texts; it has the key 'a'"] = function() t:acl_replace("#1", { a = "/x" }) end,
      ["acl_replace: patterns must be a list of texts; its element 1 is missing"] = function()
        t:acl_replace("#1", { [2] = "/x" })
      end,
      ["map_replace: entries must be a table, not nil"] = function() t:map_replace("#1") end,
      ["map_replace: entries must be a table, not a string ('k')"] = function() t:map_replace("#1", "k") end,
      ["map_replace: entries must be a list of tables; its element 1 is a string ('k')"] = function()
        t:map_replace("#1", { "k", "v" })
      end,
      ["map_replace: entries, element 1: field 1, a string ('k'), has no name"] = function()
        t:map_replace("#1", { { "k", "v" } })
      end,
      ["map_replace: entries, element 2: no field 'vlaue'; did you mean 'value'?"] = function()
        t:map_replace("#1", { { key = "k", value = "v" }, { key = "k", vlaue = "v" } })
      end,
      ["map_replace: entries, element 1: the field 'value' is missing"] = function() t:map_replace("#1", { { key = "k" } }) end,
      ["map_replace: a value of the entries must be a text or a number, not a table"] = function()
        t:map_replace("#1", { k = { "v" } })
      end,
      ["map_add: value must be a text or a number, not nil"] = function() t:map_add("#1", "k") end,
      ["map_add: entries must be a list of tables; it has the key 'k'"] = function()
        t:map_add("#1", { { key = "a", value = "b" }, k = "v" })
      end,
      ["map_set: value must be a text or a number, not a table"] = function() t:map_set("#1", "k", { "v" }) end,
      ["stat: proxy must be a text or a number, not a table"] = function() t:stat({ "app" }) end,
      ["servers: backend must be a text or a number, not a table"] = function() t:servers({ "app" }) end,
      ["servers_conn: backend must be a text or a number, not true"] = function() t:servers_conn(true) end,
      ["has: feature must be 'transactions', "] = function() t:has("wings") end,
      ["'echo', not a string ('transaction'); did you mean 'transactions'?"] = function() t:has("transaction") end,
    })
    assert.is_true(fake:is_untouched())
  end)

  it("of connect: no other options, no other types", function()
    all_raise({
      ["connect: no option 'tiemout'; did you mean 'timeout'?"] = function() haproxy.connect("/x", { tiemout = 3 }) end,
      ["connect: option 'timeout' must be seconds, more than 0, not a string ('3')"] = function()
        haproxy.connect("/x", { timeout = "3" })
      end,
      ["connect: option 'timeout' must be seconds, more than 0, not a number (0)"] = function()
        haproxy.connect("/x", { timeout = 0 })
      end,
      ["connect: option 'via' must be a text, not a number (1)"] = function() haproxy.connect("/x", { via = 1 }) end,
      ["connect: option 'max_reply' must be a number of bytes"] = function() haproxy.connect("/x", { max_reply = 1.5 }) end,
      ["connect: a table of options is expected, not a number (3)"] = function() haproxy.connect("/x", 3) end,
    })
  end)

  it("of windows, calendars and zones: no other options, no other types", function()
    local window, calendar, zone = require("haplua.window"), require("haplua.calendar"), require("haplua.zone")
    local sunday = window.new("Sun 02:00-04:00", { tz = "UTC" })
    all_raise({
      ["window.new: no option 'tzone'; the options are calendars, except, lenient, match and tz"] = function()
        window.new("Sun 02:00-04:00", { tzone = "UTC" })
      end,
      ["window.new: option 'tz' must be a text or a zone, not a number (1)"] = function()
        window.new("Sun 02:00-04:00", { tz = 1 })
      end,
      ["window.new: a table of options is expected, not a string ('UTC')"] = function() window.new("Sun 02:00-04:00", "UTC") end,
      ["window.new: specs must be a list of values, each of them a text such as "] = function()
        window.new({ "Sun 02:00-04:00", tz = "UTC" })
      end,
      ["haplua.calendar returns; its element 1 is a number (5)"] = function() window.new({ 5 }) end,
      ["haplua.calendar returns; its element 1 is a table"] = function() window.new({ sunday }) end,
      ["window.new: option 'except' must be a list of values"] = function()
        window.new("Sun 02:00-04:00", { except = { first = "2026-12-25" } })
      end,
      ["window.new: at least one window is expected"] = function() window.new({}) end,
      ["window.each: a window that is made already takes no options"] = function() window.each(sunday, { tz = "UTC" }) end,
      ["window.new: specs must be a text such as "] = function() window.each() end,
      ["window.parse: text must be a text, not nil"] = function() window.parse() end,
      ["window: the instant must be a finite number, not nil"] = function() sunday:occurrences() end,
      ["window: the instant must be a finite number, not a number (inf)"] = function() sunday:next(math.huge) end,
      ["window: the instant must be a finite number, not a string ('2026-12-01')"] = function() sunday:open_at("2026-12-01") end,
      ["calendar.read: no option 'mtach'; did you mean 'match'?"] = function() calendar.read("/x.ics", { mtach = "x" }) end,
      ["calendar.read: no option 'name'; "] = function() calendar.read("/x.ics", { name = "x" }) end,
      ["calendar.read: path must be a text, not nil"] = function() calendar.read() end,
      ["calendar.parse: option 'match' must be a text, not true"] = function() calendar.parse("", { match = true }) end,
      ["calendar.stamp: path must be a text, not a table"] = function() calendar.stamp({ "/x.ics" }) end,
      ["zone.load: name must be a text, not nil"] = function() zone.load() end,
    })
  end)

  it("of task.all: functions, or values for one", function()
    local ran = false
    local function work()
      ran = true
    end
    all_raise({
      ["task.all: work must be a list of functions, not a function: write { the function }"] = function() task.all(work) end,
      ["task.all: work must be a list of functions; its element 2 is missing"] = function() task.all({ work, nil, work }) end,
      ["task.all: work must be a list of functions; its element 1 is a string ('x')"] = function() task.all({ "x", work }) end,
      ["task.all: work must be a list of values; it has the key 'a'"] = function() task.all({ work, a = work }, work) end,
      ["task.all: fn must be a function, not a string ('x')"] = function() task.all({ 1 }, "x") end,
      ["task.all: work must be a list of functions, not nil"] = function() task.all() end,
    })
    assert.is_false(ran)
    assert.same({ 1, 4 }, task.all({ 1, 2 }, function(n)
      return n * n
    end))
  end)

  it("of json.encode: any bytes, which come out as UTF-8", function()
    local json = require("haplua.json")
    for text, shown in pairs({
      ["a\xffb"] = "a\u{FFFD}b", ["\xc3"] = "\u{FFFD}", ["\xc3\xa9"] = "\xc3\xa9",
      ["\xed\xa0\x80/"] = "\u{FFFD}\u{FFFD}\u{FFFD}/",
      ["\xf4\x90\x80\x80"] = ("\u{FFFD}"):rep(4), ["\xc3\xa9\xff\xff\xc3\xa9"] = "\xc3\xa9\u{FFFD}\u{FFFD}\xc3\xa9",
    }) do
      assert.equal('["' .. shown .. '"]', json.encode({ text }))
      assert.equal('{"' .. shown .. '":1}', json.encode({ [text] = 1 }))
    end
  end)

  it("of json.encode: lists or names, not both, and no circle", function()
    local json = require("haplua.json")
    local circle = {}
    circle.inner = { circle }
    all_raise({
      ["json.encode: a table has list elements and the key 'x'"] = function() json.encode({ 1, x = 2 }) end,
      ["json.encode: a list has no element 2"] = function() json.encode({ { 1, nil, 3 } }) end,
      ["json.encode: tables lie within tables more than 100 deep"] = function() json.encode(circle) end,
      ["json.encode: a function has no form in JSON"] = function() json.encode({ print }) end,
      ["json.encode: the number inf has no form in JSON"] = function() json.encode({ a = math.huge }) end,
    })
    assert.equal('{"1":[],"a":[1,{"b":null}],"b":"/x"}', json.encode({ ["1"] = {}, a = { 1, { b = json.null } }, b = "/x" }))
  end)
end)
