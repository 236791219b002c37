-- SPDX-License-Identifier: MIT

-- `maint doctor` of a fleet.

local nodes = require("haplua.store.etcd_nodes")
local task = require("haplua.task")
local test = require("haplua.test")
package.path = "tests/fleet/?.lua;" .. package.path
local fleets = require("fleets")

local DIGITS <const> = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(bytes)
  local digits = {}
  for i = 1, #bytes, 3 do
    local word = (">I3"):unpack((bytes:sub(i, i + 2) .. "\0\0"):sub(1, 3))
    for shift = 18, 0, -6 do
      local digit = (word >> shift & 63) + 1
      digits[#digits + 1] = DIGITS:sub(digit, digit)
    end
  end
  return table.concat(digits)
end

--- A certificate in PEM, without a signature, of the person `operator`.
---@param ends number  seconds since 1970
local function certificate(ends)
  local function der(tag, ...)
    local content = table.concat({ ... })
    return string.char(tag) .. (#content < 128 and string.char(#content) or "\x81" .. string.char(#content)) .. content
  end
  local function time(at)
    return der(0x17, os.date("!%y%m%d%H%M%SZ", math.floor(at)))
  end
  local name = der(0x30, der(0x31, der(0x30, "\x06\x03\x55\x04\x03", der(0x0c, "operator"))))
  local fields = der(0x30, der(0x02, "\1"), der(0x30), name, der(0x30, time(ends - 86400), time(ends)), name)
  return "-----BEGIN CERTIFICATE-----\n" .. base64(der(0x30, fields)) .. "\n-----END CERTIFICATE-----\n"
end

describe("maint doctor, of a fleet,", function()
  local fleet

  before_each(function()
    fleet = fleets.new(3)
    test.advance(2)
  end)

  --- The findings on an operator's machine, which has no HAProxy.
  local function doctor(expected)
    local words = { "scripts/maint.lua", "--config", fleet.operator, "doctor" }
    words.on = { { address = "/nowhere/admin.sock" } }
    local ran = test.run(words)
    assert.same({ expected or 1, "" }, { ran.status, ran.err }, ran.out) -- 1: there are no certificates
    return ran.out
  end

  it("needs no HAProxy on an operator's machine", function()
    local out = doctor()
    assert.matches("note  HAProxy +there is none at .*: this is taken for an operator's machine", out)
    assert.matches("warn  certificate +/x/operator.crt: it cannot be read", out)
    assert.matches("ok    store +fleet shop, revision %d+", out)
    assert.matches("warn  rights +.*authentication is off", out)
    assert.matches("ok    nodes +3 nodes, 3 live", out)
    assert.not_matches("fail", out)
    assert.equal(0, fleet.client:range({ key = fleet.store.prefix .. "m/", prefix = true }).count)
  end)

  it("names members that are away, nodes that are away, do not answer, or are not as the fleet has it", function()
    fleet.etcd:stop(fleets.MEMBERS[3])
    fleet.runs[1]:kill()
    test.advance(60)
    fleet.runs[2]:kill()
    fleet:on({ paths = { "/a" } })
    test.advance(2)
    local out = doctor()
    assert.matches("warn  etcd +https://e3:2379 cannot be reached", out)
    assert.matches("warn  nodes +not live: lb1", out)
    assert.matches("fail  nodes +lb2 is not as the fleet has it: site: no report", out)
    assert.matches("warn  nodes +lb2 does not answer", out)
    assert.matches("ok    nodes +3 nodes, 2 live", out)
  end)

  it("says what rights the user has", function()
    fleet.etcd:deny("operator", "\0", "read")
    fleet.etcd:deny("operator", fleet.store.prefix .. "m/", "write")
    local out = doctor()
    assert.matches("ok    rights +.*it may read only", out)
    assert.not_matches("authentication is off", out)
  end)

  it("tells a node that the store is older than what it has read, and shows its keep", function()
    local before = fleet.etcd.keys:snapshot()
    fleet:on({ paths = { "/a" } })
    test.advance(2)
    fleet.etcd:restore(before)
    local words = { "scripts/maint.lua", "--config", fleet.configs[1], "--journal", fleet.journals[1], "doctor" }
    words.on = { fleet.fakes[1] }
    local out = test.run(words).out
    assert.matches("fail  store +the store is at revision %d+, and was at %d+: it seems to be restored", out)
    assert.matches("ok    keep +it runs on this node, lb1", out)
  end)

  it("names members without space, with a large database, or older than the fleet needs", function()
    fleet.etcd.members[fleets.MEMBERS[1]].version = "3.4.23"
    fleet.etcd.members[fleets.MEMBERS[2]].version = "3.6.0"
    fleet.etcd.members[fleets.MEMBERS[3]].db_size = 1600 * 1000 * 1000
    local out = doctor()
    assert.matches("warn  etcd +https://e1:2379 is etcd 3%.4%.23: older than 3%.5%.16", out)
    assert.matches("ok    etcd +https://e2:2379, etcd 3%.6%.0", out)
    assert.matches("warn  etcd +https://e3:2379 has a database of 1600 MB", out)
    fleet.etcd:no_space()
    out = doctor()
    for i = 1, 3 do
      assert.matches(("fail  etcd +https://e%d:2379: NOSPACE: the database is full"):format(i), out)
    end
    assert.matches("note  rights +.*what it may do is not known while etcd has no space", out)
    assert.matches("ok    nodes +3 nodes, 3 live", out) -- the examination goes on
  end)

  it("tells that nothing compacts the store", function()
    for _ = 1, 20001 do
      fleet.etcd.keys:txn({ success = { { "put", key = "another", value = "" } } })
    end
    assert.matches("warn  store +etcd has compacted nothing in %d+ revisions", doctor())
    fleet.etcd:compact(fleet.etcd.keys.revision)
    assert.not_contains("has compacted nothing", doctor())
  end)

  it("tells of a node whose clock is ahead or behind", function()
    local put_can <const> = nodes.put_can
    local _ <close> = setmetatable({}, { __close = function()
      nodes.put_can = put_can
    end })
    local off <const> = { lb1 = 90, lb2 = -90, lb3 = 1 }
    function nodes.put_can(store, node, token, lease, can)
      can.at = can.at + off[node]
      put_can(store, node, token, lease, can)
    end
    local out = doctor()
    assert.matches("warn  nodes +the clock of lb1 is [^\n]* ahead", out)
    assert.matches("warn  nodes +the clock of lb2 is [^\n]* behind", out)
    assert.not_contains("the clock of lb3", out)
  end)

  it("tells when the certificate ends, and that it has ended", function()
    local path, config = test.folder() .. "/operator.crt", test.folder() .. "/operator-x509.lua"
    local function write(name, text)
      local f <close> = assert(io.open(name, "w"))
      f:write(text)
    end
    local from <close> = assert(io.open(fleet.operator))
    write(config, (from:read("a"):gsub("/x/operator%.crt", path)))
    fleet.operator = config
    for _, case in ipairs({ { 60 * 86400, "ok    certificate +[^\n]* of operator, for %d+ days more" },
      { 10 * 86400, "warn  certificate +[^\n]* of operator ends in " },
      { -86400, "fail  certificate +[^\n]* of operator has ended [^\n]* ago" } }) do
      write(path, certificate(task.time() + case[1]))
      assert.matches(case[2], doctor(1))
    end
    assert.contains("the user is operator", doctor())
  end)
end)
