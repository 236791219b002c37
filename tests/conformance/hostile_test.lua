-- SPDX-License-Identifier: MIT
--
-- haplua never sends what can crash a HAProxy, or what HAProxy would run as a command that nobody asked for.
-- A file for `haplua test`, which tests/lua/hostile_test.lua runs. It checks every byte that haplua sends.

local test = require("haplua.test")

local danger = dofile(debug.getinfo(1, "S").source:match("^@(.*)/") .. "/danger.lua")

local MAX = danger.MAX

local dangers = {}

after_each(function()
  assert.equal("", table.concat(dangers, "\n"))
end)

--- The bytes that the master passes on to the worker: the line without the `route` before each command.
local function unrouted(bytes, route)
  local line, rest = bytes:match("^([^\n]*)(.*)$")
  local plain = route:gsub("%p", "%%%0")
  return (";" .. line):gsub("(\\.)", function(escaped)
    return ("\1%02x"):format(escaped:byte(2))
  end):gsub(";" .. plain .. " ", ";"):gsub("\1(%x%x)", function(hex)
    return "\\" .. string.char(tonumber(hex, 16))
  end):sub(2) .. rest
end

--- A fake HAProxy whose requests are checked, and a target for it, which goes through a master CLI if there is a route.
---@return haplua.test.HAProxy site, string[] sent, haplua.Target target  sent: all requests
local function watched(version, route)
  dangers = {}
  local site = test.haproxy({
    version = version, acls = { ["#1"] = { match = "str" } }, maps = { ["/m"] = { match = "str", entries = {} } },
    servers = { "app/a1" }, address = "/fake.sock",
  })
  local sent, answer = {}, site.answer
  function site.answer(self, bytes)
    sent[#sent + 1] = bytes
    local why = danger.why(bytes, route)
    if why then
      dangers[#dangers + 1] = ("%s: %q"):format(why, bytes:sub(1, 60))
    end
    return answer(self, route and unrouted(bytes, route) or bytes)
  end
  return site, sent, haproxy.connect("/fake.sock", { via = route })
end

local values = {
  "", " ", "\t", "a\n", "\n", "a\nclear acl #1", "a\\\nclear acl #1", "\0", "a\0clear acl #1", "a\r", "\r", "a\r\n", "a\rb",
  "a;clear acl #1", "a;quit", ";", "<<", "x<<", "<<EOF", "<<x", "a <<", "a <<x", "a\t<<x", "\\", "a\\", "a\\\\", "\\\\\\",
  "\\<<", "a\\ <<", "#0x1", "@1", "@1 quit", "@", "\\@1",
  "@master reload", "prompt", "a b c", "'", '"', "\255\254", ("\\"):rep(7000), (";"):rep(7400), (" "):rep(7499),
}

-- Sizes that crash or stall 2.2 and 2.6, sizes just above HAProxy's limits, and haplua's own limit.
local sizes = { MAX, 15360, 15361, 16383, 16384, 16385, 16386, 17408, 32768, 65536, 131072 }
local around = {}
for _, size in ipairs(sizes) do
  for n = size - 45, size + 2 do
    around[#around + 1] = n
  end
end

local function same_but_refused(site, before, ok, value)
  local after = site:acl("#1")
  assert.equal(ok and before + 1 or before, #after)
  if ok then
    assert.equal(value, after[#after])
  end
end

local function tests(version, route)
  describe(("HAProxy %s %s"):format(version, route and "through its master, " .. route or "by its own socket"), function()
    it("gets each hostile value as it is, or no request", function()
      local site, _, t = watched(version, route)
      for _, value in ipairs(values) do
        local before = #site:acl("#1")
        local ok = pcall(t.acl_add, t, "#1", value)
        same_but_refused(site, before, ok, value)
        before = #site:acl("#1")
        ok = pcall(t.send, t, { "add", "acl", "#1", value })
        same_but_refused(site, before, ok, value)
      end
    end)

    it("gets no dangerous request for a hostile value in a command, reference, key, payload or series", function()
      local site, sent, t = watched(version, route)
      t:acl_add("#1", "stays")
      for _, value in ipairs(values) do
        pcall(t.send, t, value)
        pcall(t.send, t, "show acl " .. value)
        pcall(t.send, t, "show acl #1 " .. value)
        pcall(t.send, t, { "show", "acl", value })
        pcall(t.send, t, "add map /m", value)
        pcall(t.send, t, "add map /m <<", value)
        pcall(t.send, t, "add map /m", "k v\n" .. value)
        pcall(t.send, t, { "add", "map", "/m" }, value .. " v\nclear acl #1\n")
        pcall(t.send, t, "add map /m", "k v\n\nclear acl #1\n" .. value)
        pcall(t.batch, t, { "show cli level", value, { "show", value } })
        pcall(t.each, t, { "add", "acl", "#1" }, { "a", value }, { value, "a" }, nil, value)
        pcall(t.map_add, t, "/m", value, value)
        pcall(t.map_set, t, "/m", value, value)
        pcall(t.acl_get, t, "#1", value)
        pcall(t.acl_del, t, "#1", value ~= "stays" and value or nil)
      end
      assert.equal("stays", site:acl("#1")[1])
      assert.is_true(#sent > 100, #sent)
    end)

    it("gets no request of a size that crashes or stalls it", function()
      local site, sent, t = watched(version, route)
      local head = route and route .. " add acl #1 \n" or "set severity-output number;add acl #1 \n"
      for _, n in ipairs(around) do
        local value = ("x"):rep(n)
        assert.equal(n <= MAX - #head, (pcall(t.acl_add, t, "#1", value)), n)
        pcall(t.send, t, "show acl " .. value)
        pcall(t.send, t, "add map /m", "k " .. value .. "\n")
        pcall(t.send, t, "add map /m", ("k v\n"):rep(n // 4) .. ("k " .. value):sub(1, 3 + n % 4) .. "\n")
        pcall(t.map_add, t, "/m", "k", value)
      end
      assert.is_true(#site:acl("#1") > 0 and #sent > 0)
    end)

    it("gets a long series in requests of safe sizes, whatever the sizes of its parts", function()
      local site, sent, t = watched(version, route)
      for _, size in ipairs({ 1, 7, 100, 1023, 4096, 7500, 14900 }) do
        local patterns = {}
        for i = 1, math.max(3, math.min(600, 45000 // size)) do
          patterns[i] = ("%0" .. math.min(99, math.max(5, size)) .. "d%s"):format(i, (";"):rep((size - 99) // 2))
        end
        t:acl_replace("#1", patterns)
        assert.same(patterns, site:acl("#1"))
      end
      assert.is_true(#sent > 20, #sent)
      for _, value in ipairs(values) do
        local before = site:acl("#1")
        if not pcall(t.acl_replace, t, "#1", { "first", value, "last" }) then
          assert.same(before, site:acl("#1"))
        else
          -- without transactions (2.2), entries that were there before keep their places
          local expected, got = { "first", value, "last" }, site:acl("#1")
          table.sort(expected)
          table.sort(got)
          assert.same(expected, got)
        end
      end
    end)
  end)
end

for version, route in pairs({ ["2.2"] = "@1", ["2.6"] = "@!12345", ["3.0"] = "@1", ["3.2"] = "@!1" }) do
  tests(version)
  tests(version, route)
end
