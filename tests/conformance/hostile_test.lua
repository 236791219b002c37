-- SPDX-License-Identifier: MIT
--
-- What can bring a HAProxy down, or make one run what nobody asked for: haplua cannot be made to send it.
-- A file for `haplua test`; tests/lua/hostile_test.lua runs it. All that leaves is looked at, byte by byte.

local test = require("haplua.test")

local MAX = 15000

--- Why these bytes must not reach a HAProxy of some version; nil: they may.
local function danger(bytes)
  local line, payload = bytes:match("^([^\n]*)\n(.*)$")
  if not line then
    return "a line without an end: it waits"
  elseif #bytes > MAX then
    return #bytes .. " bytes: near the sizes that kill"
  elseif bytes:find("\0", 1, true) then
    return "NUL: the rest is a command of its own on 3.2"
  elseif #line:match("\\*$") % 2 == 1 then
    return "an escaped LF: the rest is a command of its own on 2.2"
  elseif line:find("\r$") then
    return "CR at the end: eaten, and one reply more on 3.2"
  elseif payload == "" then
    if line:find("<<$") or line:find("[ \t]<<[^ \t]*$") then
      return "a payload is announced, and none comes"
    end
  elseif not line:find(" <<$") or payload:find("\r\n", 1, true) or payload:sub(-2) ~= "\n\n" then
    return "lines that might run as commands"
  elseif payload:sub(1, 1) == "\n" or payload:sub(1, -2):find("\n\n", 1, true) then
    return "an empty line: what follows runs as commands"
  end
end

local dangers = {}

after_each(function()
  assert.equal("", table.concat(dangers, "\n"))
end)

--- A fake whose requests are all looked at. `sent` has them.
local function watched(version)
  dangers = {}
  local site = test.haproxy({
    version = version, acls = { ["#1"] = { match = "str" } }, maps = { ["/m"] = { match = "str", entries = {} } },
    servers = { "app/a1" },
  })
  local sent, answer = {}, site.answer
  function site.answer(self, bytes)
    sent[#sent + 1] = bytes
    local why = danger(bytes)
    if why then
      dangers[#dangers + 1] = ("%s: %q"):format(why, bytes:sub(1, 60))
    end
    return answer(self, bytes)
  end
  return site, sent
end

local values = {
  "", " ", "\t", "a\n", "\n", "a\nclear acl #1", "a\\\nclear acl #1", "\0", "a\0clear acl #1", "a\r", "\r", "a\r\n", "a\rb",
  "a;clear acl #1", "a;quit", ";", "<<", "x<<", "<<EOF", "<<x", "a <<", "a <<x", "a\t<<x", "\\", "a\\", "a\\\\", "\\\\\\",
  "\\<<", "a\\ <<", "#0x1", "@1", "prompt", "a b c", "'", '"', "\255\254", ("\\"):rep(7000), (";"):rep(7400), (" "):rep(7499),
}

-- The sizes that kill 2.2 and 2.6, those that stall them, those that are one too many, and haplua's own.
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

for _, version in ipairs({ "2.2", "2.6", "3.0", "3.2" }) do
  describe("HAProxy " .. version, function()
    it("gets each hostile value whole, or nothing", function()
      local site = watched(version)
      for _, value in ipairs(values) do
        local before = #site:acl("#1")
        local ok = pcall(acl_add, "#1", value)
        same_but_refused(site, before, ok, value)
        before = #site:acl("#1")
        ok = pcall(send, { "add", "acl", "#1", value })
        same_but_refused(site, before, ok, value)
      end
    end)

    it("gets each hostile value as text of a command, reference, key, payload, or last of a series", function()
      local site, sent = watched(version)
      acl_add("#1", "stays")
      for _, value in ipairs(values) do
        pcall(send, value)
        pcall(send, "show acl " .. value)
        pcall(send, "show acl #1 " .. value)
        pcall(send, { "show", "acl", value })
        pcall(send, "add map /m", value)
        pcall(send, "add map /m <<", value)
        pcall(send, "add map /m", "k v\n" .. value)
        pcall(send, { "add", "map", "/m" }, value .. " v\nclear acl #1\n")
        pcall(send, "add map /m", "k v\n\nclear acl #1\n" .. value)
        pcall(haproxy.batch, { "show cli level", value, { "show", value } })
        pcall(haproxy.each, { "add", "acl", "#1" }, { "a", value }, { value, "a" }, nil, value)
        pcall(haproxy.map_add, "/m", value, value)
        pcall(haproxy.map_set, "/m", value, value)
        pcall(haproxy.acl_get, "#1", value)
        pcall(haproxy.acl_del, "#1", value ~= "stays" and value or nil)
      end
      assert.equal("stays", site:acl("#1")[1])
      assert.is_true(#sent > 100, #sent)
    end)

    it("gets no request of a size that kills or stalls", function()
      local site, sent = watched(version)
      for _, n in ipairs(around) do
        local value = ("x"):rep(n)
        assert.equal(n <= MAX - #"set severity-output number;add acl #1 \n", (pcall(acl_add, "#1", value)), n)
        pcall(send, "show acl " .. value)
        pcall(send, "add map /m", "k " .. value .. "\n")
        pcall(send, "add map /m", ("k v\n"):rep(n // 4) .. ("k " .. value):sub(1, 3 + n % 4) .. "\n")
        pcall(haproxy.map_add, "/m", "k", value)
      end
      assert.is_true(#site:acl("#1") > 0 and #sent > 0)
    end)

    it("gets a long series in requests of safe sizes, whatever the sizes of its parts", function()
      local site, sent = watched(version)
      for _, size in ipairs({ 1, 7, 100, 1023, 4096, 7500, 14900 }) do
        local patterns = {}
        for i = 1, math.max(3, math.min(600, 45000 // size)) do
          patterns[i] = ("%0" .. math.min(99, math.max(5, size)) .. "d%s"):format(i, (";"):rep((size - 99) // 2))
        end
        haproxy.acl_replace("#1", patterns)
        assert.same(patterns, site:acl("#1"))
      end
      assert.is_true(#sent > 20, #sent)
      for _, value in ipairs(values) do
        local before = site:acl("#1")
        if not pcall(haproxy.acl_replace, "#1", { "first", value, "last" }) then
          assert.same(before, site:acl("#1"))
        else
          -- without transactions (2.2), what was there before stays in its place
          local expected, got = { "first", value, "last" }, site:acl("#1")
          table.sort(expected)
          table.sort(got)
          assert.same(expected, got)
        end
      end
    end)
  end)
end
