-- SPDX-License-Identifier: MIT
--
-- --only against a real HAProxy: random commands (the seed is fixed) in runs that may change one thing. Whatever
-- HAProxy makes of them, all other things stay as they were. tests/unit/test_only.c does it against a model.

local site = require("site")

-- Tries 1,500 random commands; prints how many of them HAProxy was sent.
local CHUNK = [[
local refs = { table.unpack(arg) }
local begins = {
  "add acl", "add acl @1", "add map", "clear acl", "clear map", "commit acl @1", "del acl", "del map", "prepare acl",
  "set map", "set server", "set weight", "set maxconn server", "shutdown sessions server", "disable server",
  "enable server", "disable agent", "enable health", "disable health", "disable frontend", "clear table", "show acl",
}
local tails = { "/x", "/k", "v", "state", "maint", "drain", "weight", "0", "addr", "127.0.0.9", "name", "10%" }
local function any(list)
  return list[math.random(#list)]
end
local sent = 0
math.randomseed(20261130)
for _ = 1, 1500 do
  local words = { any(begins) }
  if math.random(20) == 1 then
    words[1] = words[1]:gsub("%w+$", any{ "acl", "map", "server", "weight" })
  end
  for _ = 1, math.random(2) do
    words[#words + 1] = any(refs)
  end
  if words[1] == "set server" and math.random(2) == 1 then
    words[#words + 1] = any{ "state maint", "state drain", "weight 0", "addr 127.0.0.9" }
  end
  for _ = 1, math.random(0, 2) do
    words[#words + 1] = any(tails)
  end
  local ok, e = pcall(send, table.concat(words, " "))
  sent = sent + ((ok or e.kind ~= "denied") and 1 or 0)
end
print(sent)
]]

describe("--only, whatever is sent", function()
  local s, list, map

  setup(function()
    s = site.start({
      -- a list and a backend have the same number, and a file is named like a backend
      frontend = [[acl other path -u 9997 -m str
    acl listed path -i -f DIR/listed.lst
    acl mapped path,map(DIR/values.map) -m found]],
      files = { ["listed.lst"] = "/from-file\n", ["values.map"] = "/k v\n" },
      more = "backend pool\n    id 9999\n    server a 127.0.0.1:1\n    server b 127.0.0.1:1\n"
        .. "backend other\n    id 9997\n    server a 127.0.0.1:1\n",
    })
    list, map = s.dir .. "/listed.lst", s.dir .. "/values.map"
  end)

  teardown(function()
    s:close()
  end)

  --- The state of each thing, by its name.
  local function things()
    local all = {}
    for _, ref in ipairs({ "#9999", "#9997", list }) do
      all[ref] = table.concat(s.target:acl_list(ref), "\n")
    end
    all[map] = s.target:send("show map " .. map):gsub("0x%x+", "")
    for _, row in ipairs(s.target:servers()) do
      local what = { tostring(row.srv_addr), row.srv_admin_state, row.srv_uweight }
      all[row.be_name .. "/" .. row.srv_name] = table.concat(what, " ")
    end
    for _, row in ipairs(s.target:stat("frontend-http")) do
      all["stat " .. row.svname] = tostring(row.status) .. " " .. tostring(row.slim)
    end
    return all
  end

  local function reset()
    for _, ref in ipairs({ "#9999", "#9997", list }) do
      s.target:acl_replace(ref, { "/first" })
    end
    s.target:map_replace(map, { ["/k"] = "v" })
    for _, server in ipairs({ "pool/a", "pool/b", "other/a" }) do
      s.target:server_set({ server = server, state = "ready", weight = 1, addr = "127.0.0.1" })
    end
  end

  it("only what the option names changes", function()
    local refs = {
      "#9999", "#9997", list, map, "pool", "pool/a", "pool/b", "other/a", "#9999/a", "#9999/b", "#9999/#2", "#9997/#1",
      "#0", "#1", "frontend-http", "@1",
    }
    local changed = 0
    for option, may in pairs({
      ["#9999"] = { "#9999" }, ["#9997"] = { "#9997" }, [list] = { list }, [map] = { map }, ["pool"] = { "pool/a", "pool/b" },
      ["pool/a"] = { "pool/a" }, ["#9999/b"] = { "pool/b" }, ["#9997/#1"] = { "other/a" }, ["#9999/x"] = {},
    }) do
      reset()
      local before = things()
      local ran = s:haplua({ "--only", option, "-e", CHUNK, table.unpack(refs) })
      assert.same({ 0, "" }, { ran.status, ran.err }, option)
      local after = things()
      for _, name in ipairs(may) do
        changed = changed + (after[name] ~= before[name] and 1 or 0)
        before[name], after[name] = nil, nil
      end
      assert.same(before, after, option)
      assert.is_true(tonumber(ran.out) > 0)
    end
    assert.is_true(changed > 5)
  end)
end)
