-- SPDX-License-Identifier: MIT
--
-- Every value that is accepted, be it a reason, a pattern, a path, a host or a network, reads back equal: from the store,
-- from HAProxy, and from the lists' files. Else keep would write it anew at each look. VALUES says how many are tried.

local site = require("site")
local support = require("support")

local CHUNK = [[
local maintenance = require("haplua.maintenance")
local context = require("haplua.apply.context")
local reconcile = require("haplua.apply.reconcile").reconcile
local seed = SEED
local function random(n)
  seed = (seed * 1103515245 + 12345) % 2147483648
  return seed // 65536 % n + 1
end
local PIECES = { " ", " ", "\t", "a", "b/", "#", "\\", "\"", "'", "/", ".", "*", "\xff", "\xc3\xa9", ";", "<", "&", "$", "%",
  ",", "(", ")", "[", "|", "^", "{", "}", "@", "=", "!", "~", "\n", "\r", "\0", "\27", "\127", "\xc2\xa0", "<<", "-", "0x1",
  "#0x1", "+", "?", ":", "1.2.3.4", "::1", "/24", "A" }
-- What is accepted more often
local NEAR = {
  hosts = { "www.example.com", "A.example.com", "*.example.com", ".example.com", "example.com.", "example.com:80", "a_b", "-a",
    "xn--a", "1.2.3.4", "[::1]", "a--b", "localhost", "a..b" },
  bypass = { "192.0.2.1", "192.0.2.0/24", "192.0.2.5/24", "192.0.2.1/32", "192.0.2.1/0", "2001:DB8::1", "2001:db8:0:0::/64",
    "::1", "::/0", "::ffff:192.0.2.1", "0.0.0.0/0", "10.0.0.0/08", "1.2.3", "192.000.2.1", "2001:db8::1/128", "fe80::1%eth0" },
}
local function value(kind)
  if NEAR[kind] and random(4) > 1 then
    return NEAR[kind][random(#NEAR[kind])]
  end
  local parts = { kind == "paths" and random(4) > 1 and "/" or "" }
  for i = 2, random(6) + 1 do
    parts[i] = PIECES[random(#PIECES)]
  end
  return table.concat(parts)
end
local c = context.open({})
local accepted, refused = {}, 0
for i = 1, VALUES do
  local request = { reason = random(3) == 1 and value("reason") or nil }
  local kind = ({ "patterns", "paths", "hosts", "bypass", "reason" })[random(5)]
  request[kind] = kind == "reason" and value(kind) or { value(kind) }
  local text = ("%s %q, reason %q"):format(kind, type(request[kind]) == "table" and request[kind][1] or "", request.reason or "")
  local ok, result = pcall(maintenance.on, request)
  if not ok then
    refused = refused + 1
    assert(type(result) == "string" or require("haplua.error").is(result), tostring(result) .. text)
    assert(not tostring(result):find("attempt to", 1, true), tostring(result) .. text)
  else
    accepted[kind] = (accepted[kind] or 0) + 1
    local again = reconcile(c)
    assert(not again.lines, table.concat(again.lines or {}, "; ") .. " for " .. text)
    local status = maintenance.status({})
    assert(#status.disagreements == 0, tostring((status.disagreements[1] or {}).text) .. " for " .. text)
    local m = status.maintenances[1]
    local found = kind == "bypass" and m.bypass or kind == "reason" and { m.reason } or m.scope[kind]
    assert(kind == "reason" and m.reason == request.reason or found[1] == request[kind][1], text)
  end
  maintenance.off({ all = true })
  assert(not reconcile(c).lines, "off after " .. text)
end
local list = {}
for kind, n in pairs(accepted) do
  list[#list + 1] = ("%s %d"):format(kind, n)
end
table.sort(list)
print(table.concat(list, ", "), "refused " .. refused)
]]

describe("every value that is accepted", function()
  it("reads back equal", function()
    local s <close> = site.start({
      files = { ["maint.acl"] = "", ["pass.acl"] = "", ["info.map"] = "" },
      acl = "base -i -m reg -f DIR/maint.acl",
      frontend = "acl pass src -f DIR/pass.acl\n    http-request set-var(txn.a) str(until),map(DIR/info.map)",
      condition = "!pass",
    })
    s.journal = s.dir .. "/journal.db"
    s.config = s.folder.write("config.lua", ([[return { switches = { site = { acl = "DIR/maint.acl", bypass = "DIR/pass.acl",
      info = "DIR/info.map" } } }]]):gsub("DIR", s.dir))
    support.good(s:maint("on", "--reason", " kernel ")) -- a file would give it back without the first blank
    assert.equal("kernel", s.target:map_get(s.dir .. "/info.map", "reason"))
    support.good(s:maint("off"))
    local out = support.good(s:haplua({ "-e", (CHUNK:gsub("SEED", os.getenv("SEED") or "7")
      :gsub("VALUES", os.getenv("VALUES") or "150")) }))
    print("values: " .. out)
    for _, kind in ipairs({ "patterns", "paths", "hosts", "bypass", "reason" }) do
      assert.matches(kind .. " %d", out)
    end
  end)
end)
