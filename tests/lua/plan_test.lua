-- SPDX-License-Identifier: MIT

-- The plan: maintenances and their edits, what the lists hold for those in force, and what a hand has done.

local by_hand = require("haplua.plan.by_hand")
local content = require("haplua.plan.content")
local maintenance = require("haplua.plan.maintenance")

local NOW <const> = 1000

--- A maintenance in force for a path prefix.
local function of(path, more)
  local m = { target = "/s", acl = "#1", switch = "#1", scope = { paths = path and { path } or nil }, origin = "on",
    user = "u", host = "h", begins = 500 }
  for key, value in pairs(more or {}) do
    m[key] = value
  end
  return m
end

local view <const> = { kind = "path", method = "beg", allow = {} }

describe("a maintenance", function()
  it("is in force from its beginning to its end, unless it is ended", function()
    for _, case in ipairs({
      { {}, true }, { { begins = NOW }, true }, { { begins = NOW + 1 }, false }, { { ends = NOW }, false },
      { { ends = NOW + 1 }, true }, { { ended = 1 }, false }, { { ended = NOW + 1 }, false },
    }) do
      assert.equal(case[2], maintenance.is_in_force(of("/a", case[1]), NOW))
      assert.equal(case[2] and 1 or 0, #maintenance.in_force({ of("/a", case[1]) }, NOW))
    end
  end)

  it("has the next instant at which time changes something", function()
    assert.equal(math.huge, maintenance.next_instant({ of("/a") }, NOW))
    assert.equal(1002, maintenance.next_instant({ of("/a", { ends = 1003 }), of("/b", { begins = 1002, ends = 1001 }) }, NOW))
    assert.equal(7, maintenance.next_instant({ of("/a", { ends = 7 }) }, NOW), "an end that nobody has brought about is due")
  end)

  it("is expired where its end has passed and it is not ended", function()
    local all = { of("/a", { ends = NOW }), of("/b", { ends = NOW + 1 }), of("/c"), of("/d", { ends = 5, ended = 5 }) }
    local edits = maintenance.expiring(all, NOW)
    assert.equal(1, #edits)
    assert.equal(all[1], edits[1].of)
    assert.same({ ended = NOW, why = "expired", ended_by = false }, edits[1].set)
  end)

  it("is what edits make of it, and stays as it was", function()
    local a, b = of("/a", { id = 1, reason = "r" }), of("/b")
    local all = { a }
    local after = maintenance.after(all, {
      { add = b }, { of = { id = 1 }, set = { reason = false, ends = 7 } }, { of = b, set = { reason = "x" } },
    })
    assert.same({ { 7 }, { "x" } }, { { after[1].ends }, { after[2].reason } })
    assert.is_nil(after[1].reason)
    assert.same({ 1, "r" }, { #all, a.reason })
    assert.is_nil(b.reason)
  end)

  it("is a person's: by the login behind sudo, on the same machine, and never one by hand", function()
    local me = { user = "root", host = "h", login = "alice" }
    for _, case in ipairs({
      { { user = "root", login = "alice" }, true }, { { user = "alice" }, true }, { { user = "root" }, false },
      { { user = "root", login = "bob" }, false }, { { user = "alice", host = "h2" }, false },
      { { user = "root", login = "alice", origin = "by hand" }, false },
    }) do
      assert.equal(case[2], maintenance.is_of(of("/a", case[1]), me))
    end
    assert.equal("root@h (alice behind sudo)", maintenance.who(me))
    assert.same({ "m12", "-", "-" }, { maintenance.name({ id = 12 }), maintenance.name({ id = -1 }), maintenance.name({}) })
  end)
end)

describe("what the lists hold", function()
  it("is the patterns of all in force, each once", function()
    local found = content.of({ of("/a"), of("/b", { scope = { paths = { "/b", "/a" }, patterns = { "/c" } } }) }, view)
    assert.same({ "/a", "/c", "/b" }, found.patterns)
    assert.same({ patterns = {}, bypass = { "192.0.2.1" }, untold = {} }, content.of({}, { allow = { "192.0.2.1" } }))
  end)

  it("leaves out a scope that the ACL cannot tell apart, and has the others", function()
    local hosts = of(nil, { scope = { hosts = { "a.example" } } })
    local found = content.of({ of("/a"), hosts, of("/b") }, view)
    assert.same({ "/a", "/b" }, found.patterns)
    assert.equal(1, #found.untold)
    assert.equal(hosts, found.untold[1].of)
    assert.matches("cannot tell hosts apart", tostring(found.untold[1].problem))
  end)

  it("tells the reason and the end of the one that ends last, and the first beginning", function()
    local a = of("/a", { reason = "first", ends = 2000 })
    local b = of("/b", { begins = 400, reason = "second", ends = 3000 })
    local open, mute = of("/c", { reason = "open" }), of("/d")
    for _, case in ipairs({
      { { a, b }, 400, 3000, "second" }, { { b, a }, 400, 3000, "second" }, { { a, open, b }, 400, nil, "open" },
      { { mute, open }, 500, nil, "open" }, { { open, mute }, 500, nil, "open" }, { { mute, b }, 400, nil, nil },
    }) do
      local found = content.of(case[1], view)
      assert.same({ case[2], case[3], case[4] }, { found.since, found.ends, found.reason })
    end
  end)

  it("lets those pass whom each in force lets pass", function()
    local function passing(...)
      local list = {}
      for i, networks in ipairs({ ... }) do
        list[i] = of("/a", { bypass = networks or nil })
      end
      local found = content.of(list, { kind = "path", method = "beg", allow = { "192.0.2.0/24" } }).bypass
      table.sort(found)
      return table.concat(found, " ")
    end
    assert.equal("192.0.2.0/24", passing(false))
    assert.equal("192.0.2.7", passing({ "192.0.2.7" }, false))
    assert.equal("", passing({ "198.51.100.0/24" }, false))
    assert.equal("", passing({ "192.0.2.7" }, {}))
    assert.equal("192.0.2.7", passing({ "192.0.2.0/25", "10.0.0.0/8" }, { "192.0.2.7", "192.0.2.200" }))
  end)
end)

describe("the intersection of networks", function()
  it("is the smaller one of two, of IPv4 and of IPv6", function()
    for _, case in ipairs({
      { "10.0.0.0/8", "10.1.0.0/16", "10.1.0.0/16" }, { "10.0.0.0/8", "11.0.0.0/8", "" },
      { "10.1.2.3", "10.0.0.0/8", "10.1.2.3" }, { "10.1.2.3", "10.1.2.3/32", "10.1.2.3", "10.1.2.3/32" },
      { "192.0.2.128/25", "192.0.2.127", "" }, { "192.0.2.128/25", "192.0.2.129", "192.0.2.129" },
      { "0.0.0.0/0", "203.0.113.9", "203.0.113.9" }, { "10.0.0.0/7", "11.2.0.0/16", "11.2.0.0/16" },
      { "2001:db8::/32", "2001:db8:1::/48", "2001:db8:1::/48" }, { "2001:db8::/33", "2001:db8:8000::1", "" },
      { "::/0", "2001:db8::1", "2001:db8::1" }, { "2001:db8::1", "2001:0db8:0::1", "2001:db8::1", "2001:0db8:0::1" },
      { "0.0.0.0/0", "::1", "" }, { "office", "office", "office" }, { "office", "10.0.0.0/8", "" },
    }) do
      for _, pair in ipairs({ { case[1], case[2] }, { case[2], case[1] } }) do
        local found = content.intersection({ pair[1] }, { pair[2] })
        assert.equal(case[3] == "" and 0 or 1, #found, pair[1] .. " and " .. pair[2])
        assert.is_true(#found == 0 or found[1] == case[3] or found[1] == case[4], found[1])
      end
    end
  end)

  it("is right for random networks, as clients see them", function()
    local random = require("support").random(5)
    local function network()
      local bits = random(9) - 1
      local byte = (random(256) - 1) & 0xff << 8 - bits & 0xff
      return { text = ("10.0.0.%d/%d"):format(byte, 24 + bits), byte = byte, bits = bits }
    end
    local function has(networks, client)
      for _, n in ipairs(networks) do
        if client & 0xff << 8 - n.bits & 0xff == n.byte then
          return true
        end
      end
      return false
    end
    local function texts(networks)
      local list = {}
      for i, n in ipairs(networks) do
        list[i] = n.text
      end
      return list
    end
    for _ = 1, 200 do
      local a, b, found = {}, {}, {}
      for i = 1, random(4) do
        a[i], b[i] = network(), network()
      end
      for i, text in ipairs(content.intersection(texts(a), texts(b))) do
        local byte, bits = text:match("^10%.0%.0%.(%d+)/(%d+)$")
        found[i] = { byte = tonumber(byte), bits = tonumber(bits) - 24 }
      end
      for client = 0, 255 do
        assert.equal(has(a, client) and has(b, client), has(found, client))
      end
    end
  end)
end)

describe("a hand at HAProxy's lists", function()
  --- The edits for what HAProxy has, as texts. `given`: fields of haplua.Evidence that are not as usual.
  local function edits(patterns, given)
    local evidence = {
      now = NOW, patterns = patterns, passing = {}, view = view, current = {}, same_process = true,
      latest = { time = 900, ended = 901, outcome = "done", patterns = {} },
      before = function()
        return {}
      end,
      over = function()
        return {}
      end,
      ended = function()
        return {}
      end,
      entity = function(fields)
        return of(nil, fields)
      end,
    }
    for key, value in pairs(given or {}) do
      evidence[key] = value or nil
    end
    local lines = {}
    for i, edit in ipairs(by_hand.edits(evidence)) do
      local m = edit.add
      lines[i] = m and ("%s: %s"):format(m.origin, table.concat(m.scope.patterns, " "))
        or edit.set.scope and ("%s + %s"):format(edit.of.id, table.concat(edit.set.scope.patterns, " "))
        or ("%s %s"):format(edit.of.id, edit.set.why)
    end
    return table.concat(lines, ", ")
  end

  local function after(...)
    return { time = 900, ended = 901, outcome = "done", patterns = { ... } }
  end

  local a, b <const> = of("/a", { id = 1 }), of("/b", { id = 2 })

  it("has done nothing where the list is as the latest change left it", function()
    assert.equal("", edits({}))
    assert.equal("", edits({ "/b", "/a" }, { latest = after("/a", "/b"), current = { a, b } }))
    assert.equal("", edits({}, { latest = false }))
  end)

  it("has added what nothing explains: a maintenance of its own, which grows", function()
    assert.equal("by hand: /x /y", edits({ "/x", "/y" }))
    assert.equal("by hand: /x", edits({ "/x" }, { latest = false }))
    assert.equal("by hand: /x", edits({ "/a", "/x", "/x" }, { latest = after("/a"), current = { a } }))
    local hand = of(nil, { id = 3, origin = "by hand", scope = { patterns = { "/x" } } })
    assert.equal("3 + /x /y", edits({ "/x", "/y" }, { latest = after("/x"), current = { hand } }))
  end)

  it("has ended the maintenances whose patterns it has removed, and no others", function()
    assert.equal("1 by hand", edits({ "/b" }, { latest = after("/a", "/b"), current = { a, b } }))
    assert.equal("1 by hand, 2 by hand", edits({}, { latest = after("/a", "/b"), current = { a, b } }))
    local both = of(nil, { id = 3, scope = { paths = { "/a", "/c" } } })
    assert.equal("1 by hand, 3 by hand, by hand: /c",
      edits({ "/c", "/b" }, { latest = after("/a", "/c", "/b"), current = { a, both, b } }))
    local later = of("/c", { id = 4, begins = 950 })
    assert.equal("1 by hand", edits({}, { latest = after("/a"), current = { a, later } }), "not in the list yet")
    local over = of("/b", { id = 5, ends = 950 })
    assert.equal("1 by hand", edits({ "/b" }, { latest = after("/a", "/b"), current = { a, over } }), "over, and still there")
  end)

  it("is not suspected of what a change that was broken off has ended", function()
    local broken_off = { time = 900, patterns = {}, maintenances = "m1 m7" }
    local given = { latest = broken_off, over = function()
      return { of("/x", { id = 7, ended = 900 }), of("/y", { id = 8, ended = 800 }) }
    end }
    assert.equal("", edits({ "/x" }, given))
    assert.equal("by hand: /y", edits({ "/x", "/y" }, given))
  end)

  it("is not suspected in a new process, but for patterns that it cannot have from a file", function()
    local new = { same_process = false, latest = after("/a", "/b"), current = { a, b } }
    assert.equal("", edits({}, new))
    assert.equal("", edits({ "/b" }, new))
    assert.equal("by hand: /x", edits({ "/x" }, new))
    new.ended = function()
      return { of("/x") }
    end
    assert.equal("", edits({ "/x" }, new), "of a file that was not in step")
  end)

  it("is not suspected while a change is not finished: the list is as before it, as after it, or between", function()
    local cut = { latest = { time = 900, patterns = { "/b" } }, current = { b }, before = function()
      return { "/a" }
    end }
    for _, list in ipairs({ { "/a" }, { "/b" }, { "/a", "/b" }, {} }) do
      assert.equal("", edits(list, cut))
    end
    assert.equal("by hand: /x", edits({ "/a", "/x" }, cut))
  end)
end)
