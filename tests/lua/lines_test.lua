-- SPDX-License-Identifier: MIT

-- The lines of a calendar, as haplua.lines finds them.

local lines = require("haplua.lines")

local known = { UID = "text", SUMMARY = "text", DTSTART = "time", ["RECURRENCE-ID"] = "time" }

local function read(text)
  local heads, values, places = lines.known(text, known)
  local found = {}
  for i, head in ipairs(heads) do
    found[i] = ("%d %s=%s"):format(places[i], head, values[i])
  end
  return found
end

--- What `read` returns, found line by line.
local function plainly(text)
  local found, at = {}, 1
  while at <= #text do
    local place = at
    local line, next_at = text:match("^([^\n]*)\n?()", at)
    line, at = line:gsub("\r$", ""), next_at
    while line:find("^%a") and text:find("^[\r\n]*\n[ \t]", at - 1) do
      local more
      more, at = text:match("^[\r\n]*\n[ \t]([^\n]*)\n?()", at - 1)
      line = line .. more:gsub("\r$", "")
    end
    local name = line:match("^%a[%a-]*%f[:;\0]") or ""
    local kind = known[name]
    if kind then
      local colon = kind == "time" and line:sub(#name + 1, #name + 1) ~= ":" and line:match("():[^:]*$")
        or kind == "text" and line:gsub('"[^"]*"', function(quoted)
          return ("x"):rep(#quoted)
        end):match("^[^:]*():") or line:match("^[^:;]*():")
      local value = colon and line:sub(colon + 1):match("^%s*(.-)%s*$")
      found[#found + 1] = ("%d %s=%s"):format(place, line:sub(1, (colon or #line + 1) - 1), value or false)
    end
  end
  return found
end

describe("a calendar's lines", function()
  for text, expected in pairs({
    ["UID:1\r\nX:2\nSUMMARY: a b \r\n"] = { "1 UID=1", "12 SUMMARY=a b" },
    ["UID:1\n  2\n\t3\nUID:4"] = { "1 UID=1 23", "14 UID=4" },
    ["UID:1\r\n\r\n 2"] = { "1 UID=12" },
    [" UID:1\n\n UID:2\nXUID:3\nUID-X:4\nUID X:5\nuid:6"] = {},
    ["DTST\r\n ART:7"] = { "1 DTSTART=7" },
    ["UID\nDTSTART;A=b"] = { "1 UID=false", "5 DTSTART;A=b=false" },
    ["UID:\nUID:  \nUID;:"] = { "1 UID=", "6 UID=", "13 UID;=" },
    ['UID;A=":";B=";":c:d'] = { '1 UID;A=":";B=";"=c:d' },
    ['UID;A=":c'] = { '1 UID;A="=c' },
    ['UID;A=":c"'] = { '1 UID;A=":c"=false' },
    ["DTSTART;TZID=GMT+01:00:2026\nDTSTART:a:b"] = { "1 DTSTART;TZID=GMT+01:00=2026", "29 DTSTART=a:b" },
    ["RECURRENCE-ID;A=1:2\r"] = { "1 RECURRENCE-ID;A=1=2" },
    [""] = {}, ["\n"] = {}, [":"] = {}, ["U"] = {}, ["\0UID:1"] = {}, ["UID:\0"] = { "1 UID=\0" },
    ["SUMMARY-SUMMARY-SUMMARY-SUMMARY-SUMMARY-SUMMARY-SUMMARY:1"] = {},
  }) do
    it(("are found in %q"):format(text), function()
      assert.are.same(expected, read(text))
    end)
  end

  it("are those that a plain reading finds, in random texts", function()
    local pieces = { "UID", "SUMMARY", "DTSTART", "RECURRENCE-ID", "X", "-", ":", ":", ";A=", '"', " ", "\t", "\n", "\n",
      "\r\n", "\r\n", "\r\n ", "\n\t", "\r", "1" }
    for seed = 1, 3000 do
      local text = {}
      for i = 1, seed % 40 do
        text[i] = pieces[math.random(#pieces)]
      end
      text = table.concat(text)
      assert.are.same(plainly(text), read(text), ("%q"):format(text))
    end
  end)

  it("may be folded two million times", function()
    local _, values = lines.known("SUMMARY:" .. ("x\r\n "):rep(2000000) .. "y\r\nUID:1", known)
    assert.are.equal(2, #values)
    assert.are.equal(2000001, #values[1])
    assert.are.equal("y", values[1]:sub(-1))
  end)

  it("are looked up through __index, which may raise", function()
    local asked = {}
    local heads = lines.known("a:1\nB:2\nA:3", setmetatable({}, { __index = function(_, name)
      asked[#asked + 1] = name
      return name:upper() == "A" and "text" or nil
    end }))
    assert.are.same({ "a", "A" }, heads)
    assert.are.same({ "a", "B", "A" }, asked)
    local ok, problem = pcall(lines.known, "A:1", setmetatable({}, { __index = function()
      error("no", 0)
    end }))
    assert.are.same({ false, "no" }, { ok, problem })
    assert.is_false(pcall(lines.known, "A:1"))
  end)
end)
