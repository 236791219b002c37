-- SPDX-License-Identifier: MIT

-- The maps of a switch that is a map: entries and bits, against a model of what HAProxy does with them.

local bits = require("haplua.plan.bits")
local inet = require("haplua.inet")
local map = require("haplua.plan.map")
local regex = require("haplua.regex")

local view <const> = { kind = "base", method = "map_reg", allow = {} }

local function of(scope, more)
  local m = { scope = scope, origin = "on", begins = 500.7 }
  for key, value in pairs(more or {}) do
    m[key] = value
  end
  return m
end

local function live(keys, values, networks, values_of_networks, ours)
  local set = {}
  for _, text in ipairs(ours or {}) do
    set[text] = true
  end
  return { keys = keys or {}, values = values or {}, networks = networks or {}, bits = values_of_networks or {}, ours = set }
end

--- The content as lines: "pattern value", then "network bits".
local function lines(in_force, now, of_view)
  local found = map.of(in_force, of_view or view, now or live())
  local text = {}
  for i, pattern in ipairs(found.patterns) do
    text[i] = pattern .. " " .. found.values[i]
  end
  for i, network in ipairs(found.bypass) do
    text[#text + 1] = network .. " " .. found.bits[i]
  end
  return text, found
end

local NOBODY <const> = tostring(bits.NOBODY)

-- A model of HAProxy.

local known = {}

--- Does a regular expression match a request?
local function matches(pattern, base)
  local name = pattern .. " " .. base
  if known[name] == nil then
    known[name] = regex.compile(pattern, false):matches(base)
  end
  return known[name]
end

--- The first entry of a map that matches a request.
local function first_match(keys, values, base)
  for i, key in ipairs(keys) do
    if matches(key, base) then
      return values[i]
    end
  end
end

local function in_network(client, network)
  local address, length = network:match("^(.-)/(%d+)$")
  local net, bytes = inet.bytes(address or network), inet.bytes(client)
  if #net ~= #bytes then
    return nil
  end
  length = tonumber(length) or #net * 8
  for bit = 0, length - 1 do
    local mask = 0x80 >> bit % 8
    if net:byte(bit // 8 + 1) & mask ~= bytes:byte(bit // 8 + 1) & mask then
      return nil
    end
  end
  return length
end

--- The value of the smallest network: an IPv4 client without one is looked up as ::ffff:a.b.c.d.
local function look_up(networks, values, client)
  local best, value = -1, nil
  for i, network in ipairs(networks) do
    local length = in_network(client, network)
    if length and length > best then
      best, value = length, math.tointeger(tonumber(values[i]))
    end
  end
  if not value and not client:find(":", 1, true) then
    return look_up(networks, values, "::ffff:" .. client)
  end
  return value or 0
end

--- Does HAProxy let a request through to the application?
local function is_open(state, base, client)
  local value = first_match(state.keys, state.values, base)
  if not value then
    return true
  end
  local mask = math.tointeger(tonumber(value:match("^[^|]*|[^|]*|(%-?%d+)")))
  return mask ~= nil and ~look_up(state.networks, state.bits, client) & mask == 0
end

-- A model of what people want.

local function is_covered(scope, base)
  local host, path = base:lower():match("^([^/:]*)[^/]*(.*)$")
  local hosts, paths = scope.hosts or {}, scope.paths or {}
  local by_host, by_path = #hosts == 0, #paths == 0
  for _, name in ipairs(hosts) do
    by_host = by_host or name:lower() == host
  end
  for _, prefix in ipairs(paths) do
    by_path = by_path or path:sub(1, #prefix) == prefix:lower()
  end
  for _, pattern in ipairs(scope.patterns or {}) do
    if matches(pattern, base) then
      return true
    end
  end
  return not next(scope) or #hosts + #paths > 0 and by_host and by_path
end

local function lets_pass(list, client)
  for _, network in ipairs(list) do
    if in_network(client, network) or not client:find(":", 1, true) and in_network("::ffff:" .. client, network) then
      return true
    end
  end
  return false
end

local BASES <const> = {
  "a.example/", "a.example:8080/shop", "A.example/Shop/x", "b.example/shop", "b.example/shopping", "b.example/api/x",
  "a.example/api", "c.example/", "c.example", "a.example", "c.example/shop/x/y",
}
local CLIENTS <const> = {
  "10.0.0.1", "10.1.0.1", "10.1.2.3", "192.0.2.7", "198.51.100.1", "2001:db8::1", "2001:db8:1::1", "fe80::1",
}
local NETWORKS <const> = {
  "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "192.0.2.0/24", "2001:db8::/32", "2001:db8:1::/48", "::/0", "10.1.0.0/24",
}

local function some_of(list, most)
  local found, there = {}, {}
  for _ = 1, math.random(most) do
    local item = list[math.random(#list)]
    found[#found + 1] = not there[item] and item or nil
    there[item] = true
  end
  return found
end

--- `own`: with a pattern of a person's own now and then.
local function random_maintenance(id, own)
  local scope, kind = {}, math.random(own and 6 or 5)
  if kind == 6 then
    scope.patterns = some_of({ "^[^/]*/sh", "^b", "x$", "^[^/]*/a" }, 2)
  elseif kind > 1 then
    scope.paths = kind ~= 2 and some_of({ "/shop", "/Shop/", "/api", "/", "/shop/x" }, 2) or nil
    scope.hosts = kind ~= 3 and some_of({ "a.example", "B.example", "c.example" }, 2) or nil
  end
  return of(scope, { id = id, reason = "m" .. id, begins = id, bypass = math.random(3) > 1 and some_of(NETWORKS, 3) or nil })
end

--- What is wanted of a request: is it open?
local function is_wanted_open(in_force, allow, base, client)
  for _, m in ipairs(in_force) do
    if is_covered(m.scope, base) and not lets_pass(m.bypass or allow, client) then
      return false
    end
  end
  return true
end

local function for_each(fn)
  for _, base in ipairs(BASES) do
    for _, client in ipairs(CLIENTS) do
      fn(base, client)
    end
  end
end

--- Which requests are open in a state of HAProxy's maps.
local function openings(state)
  local found = {}
  for_each(function(base, client)
    found[base .. " " .. client] = is_open(state, base, client)
  end)
  return found
end

--- Take HAProxy's maps from one content to the next, as haplua.haproxy.switch does. Nobody passes meanwhile who passes
--- neither before nor after; without entries of others nobody is stopped who passes before and after.
local function carry_out(state, found, others)
  local between = bits.between(state, found)
  local steps = {
    { keys = state.keys, values = state.values, networks = between.keys, bits = between.values },
    { keys = found.patterns, values = found.values, networks = between.keys, bits = between.values },
    { keys = found.patterns, values = found.values, networks = found.bypass, bits = found.bits },
  }
  local before, after = openings(state), openings(steps[3])
  for n = 1, 2 do
    for name, open in pairs(openings(steps[n])) do
      assert(open and (before[name] or after[name]) or not open and (others or not (before[name] and after[name])),
        ("step %d: %s is %s"):format(n, name, open and "open" or "closed"))
    end
  end
  steps[3].ours = {}
  for _, network in ipairs(found.ours) do
    steps[3].ours[network] = true
  end
  return steps[3]
end

describe("the maps of a switch", function()
  it("have an entry for a maintenance, and a bit for each set of networks", function()
    assert.same({ "^.*$ 500||" .. NOBODY .. "|" }, (lines({ of({}) })))
    assert.same({ "(?i)^[^/]*/shop 500|700|1|new | database", "10.0.0.0/8 1", "::1 1" },
      (lines({ of({ paths = { "/shop" } }, { reason = "new | database", ends = 700, bypass = { "10.0.0.0/8", "::1" } }) })))
    assert.same({ "(?i)^a\\.b\\.?(:[^/]*)?/shop 500||1|", "(?i)^[^/]*/shop 500||1|", "(?i)^a\\.b\\.?(:[^/]*)?/api 500||3|",
      "(?i)^[^/]*/api 500||2|", "(?i)^a\\.b\\.?(:[^/]*)?(/|$) 500||1|", "10.0.0.0/8 1", "10.1.0.0/16 3" }, (lines({
      of({ paths = { "/Shop" } }, { bypass = { "10.0.0.0/8" } }), of({ paths = { "/api" } }, { bypass = { "10.1.0.0/16" } }),
      of({ hosts = { "A.b" } }, { bypass = { "10.0.0.0/8" } }),
    })))
  end)
end)

describe("the entries of a map", function()
  it("have the reason as visitors can be shown it", function()
    for reason, shown in pairs({
      ["a\tb\nc\0d"] = "a b c d", ["\xff\xfeä\xe2\x82 x"] = "??ä?? x", ["end  "] = "end", [""] = "", ["|a|"] = "|a|",
      [("ä"):rep(600)] = ("ä"):rep(500), ["x" .. ("ä"):rep(600)] = "x" .. ("ä"):rep(499),
    }) do
      local text, found = lines({ of({}, { reason = reason }) })
      assert.same({ "^.*$ 500||" .. NOBODY .. "|" .. shown }, text)
      assert.equal(#reason > 1000 and "visitors see only the first 1000 bytes of a reason" or nil, found.notes[1])
    end
  end)

  it("tell of the maintenance that ends last, of those that cover the request", function()
    assert.same({
      "(?i)^[^/]*/a/b 2||" .. NOBODY .. "|", "(?i)^[^/]*/a 1|700|" .. NOBODY .. "|one", "^.*$ 3|600|" .. NOBODY .. "|",
    }, (lines({
      of({ paths = { "/a" } }, { begins = 1, ends = 700, reason = "one" }), of({ paths = { "/a/b" } }, { begins = 2 }),
      of({}, { begins = 3, ends = 600 }),
    })))
  end)

  it("have the mask that HAProxy reads", function()
    for value, mask in pairs({
      ["1"] = false, [""] = false, ["1|2"] = false, ["1||"] = false, ["1|||x"] = false, ["1||5|x"] = 5, ["1||5"] = 5,
      ["1||-1|x"] = -1, ["a|b|c|d"] = 0, ["1||7x|"] = 7, ["||18446744073709551615|"] = -1, ["1||0|"] = 0, ["1||-|"] = 0,
    }) do
      assert.equal(mask, bits.mask(value) or false, value)
    end
  end)

  local hand = of({ patterns = { "^h" } }, { origin = "by hand", bypass = {} })

  it("of a hand stay, stand first, and get the bits of all others", function()
    for value, expected in pairs({
      ["1||4|x|y"] = "1||5|x|y", ["1"] = "1", ["since|x|6"] = "since|x|7", ["1||0|x"] = "1||" .. bits.NOBODY + 1 .. "|x",
      ["1||-1|"] = "1||-1|", [""] = "1",
    }) do
      assert.same({ "^h " .. expected, "(?i)^[^/]*/a 500||1|", "10.0.0.0/8 1" }, (lines({
        of({ paths = { "/a" } }, { bypass = { "10.0.0.0/8" } }), hand,
      }, live({ "^h" }, { value }))))
    end
    assert.same({ "^h 500||" .. NOBODY .. "|" }, (lines({ hand })), "put back after a reload")
    assert.same({ "^h 500||" .. NOBODY .. "|why" },
      (lines({ of({ patterns = { "^h" } }, { origin = "by hand", bypass = {}, reason = "why" }) }, live({ "^h" }, { "1||4|x" }))),
      "changed with haplua")
  end)

  it("of a person's own patterns have the bits of all maintenances", function()
    assert.same({ "^x 500||3|", "(?i)^[^/]*/a 500||2|", "10.1.0.0/16 3", "10.0.0.0/8 1" }, (lines({
      of({ paths = { "/a" } }, { bypass = { "10.1.0.0/16" } }), of({ patterns = { "^x" } }, { bypass = { "10.0.0.0/8" } }),
    }, live({ "^x" }, { "1||1|" }, { "10.0.0.0/8" }, { "1" }, { "10.0.0.0/8" }))))
  end)

  it("are path prefixes for map_beg, whose longest decides, and have all bits for other methods", function()
    local list = { of({ patterns = { "/a" } }, { bypass = { "10.0.0.1" } }), of({ paths = { "/a/b" } }), of({}) }
    local both = " 500||" .. bits.NOBODY + 1 .. "|"
    assert.same({ "/a/b" .. both, "/a" .. both, "/ 500||" .. NOBODY .. "|", "10.0.0.1 1" },
      (lines(list, nil, { kind = "path", method = "map_beg", allow = {} })))
    list = { of({ patterns = { "a" } }, { bypass = { "10.0.0.1" } }), of({ patterns = { "b" } }), of({}) }
    local text, found = lines(list, nil, { kind = "base", method = "map_str", allow = {} })
    assert.same({ "a" .. both, "b" .. both, "10.0.0.1 1" }, text)
    assert.equal(1, #found.untold)
  end)

  it("close for more where there would be too many, and say so", function()
    local list = {}
    for i = 1, 50 do
      list[2 * i - 1] = of({ hosts = { "h" .. i } }, { bypass = { "10.0.0.1" } })
      list[2 * i] = of({ paths = { "/p" .. i } }, { bypass = { "10.0.0.2" } })
    end
    local _, found = lines(list)
    assert.matches("hosts and paths meet in more than 2000 ways", found.notes[1])
    assert.equal(100, #found.patterns)
    for _, entry in ipairs(found.entries) do
      assert.equal(3, entry.mask)
    end
    _, found = lines({ of({}, { bypass = { "10.0.0.1", "www.example.com" } }) })
    assert.same({ "fewer clients pass than the maintenances let pass: 'www.example.com' is no network" }, found.notes)
    assert.same({ "10.0.0.1" }, found.bypass)
    for i = 1, 63 do
      list[i] = of({ paths = { "/" .. i } }, { bypass = { "10.0.0." .. i } })
    end
    _, found = lines(table.move(list, 1, 63, 1, {}))
    assert.matches("more than 62 different sets", found.notes[1])
    assert.equal(bits.NOBODY, found.mask_of[list[63]])
  end)
end)

describe("networks of others", function()
  it("stay, first, and -1 lets a network pass everywhere, with what lies in it", function()
    local now = live(nil, nil, { "10.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24" }, { "-1", "4", "0" })
    assert.same({
      "^.*$ 500||1|", "10.0.0.0/8 -1", "192.0.2.0/24 4", "198.51.100.0/24 0", "203.0.113.0/24 1", "192.0.2.1 5",
    }, (lines({ of({}, { bypass = { "10.1.0.0/16", "192.0.2.1", "203.0.113.0/24" } }) }, now)))
  end)

  it("with other bits do not pass, and with the bit of a set that they are not in make it take another bit", function()
    local now = live(nil, { "1||1|" }, { "10.0.0.0/8", "192.0.2.0/24" }, { "1", "1" }, { "10.0.0.0/8" })
    local m = of({}, { bypass = { "10.0.0.0/8" } })
    assert.same({ "^.*$ 500||2|", "192.0.2.0/24 1", "10.0.0.0/8 2" }, (lines({ m }, now)))
    now = live(nil, nil, { "10.0.0.0/8" }, { "2" })
    m = of({}, { bypass = { "10.0.0.0/8", "192.0.2.0/24" } })
    local text, found = lines({ m }, now)
    assert.same({ "^.*$ 500||1|", "10.0.0.0/8 2", "192.0.2.0/24 1" }, text)
    assert.same({ "10.0.0.0/8" }, map.denied(m, found))
    m = of({}, { bypass = { "10.0.0.0/8" } })
    assert.same({ "^.*$ 500||2|", "10.0.0.0/8 2" }, (lines({ m }, now)), "the bit that it has")
  end)
end)

describe("what a change does to clients", function()
  it("is told: who does not pass any more, and who does not pass everywhere", function()
    local shop = of({ paths = { "/shop" } }, { id = 1, bypass = { "10.0.0.0/8", "192.0.2.0/24" } })
    local _, found = lines({ shop })
    local now = live(found.patterns, found.values, found.bypass, found.bits, found.ours)
    local site = of({}, { id = 2, bypass = { "192.0.2.0/24", "198.51.100.0/24" } })
    _, found = lines({ shop, site }, now)
    assert.same({ "10.0.0.0/8" }, map.stopped(now, found))
    assert.same({ "198.51.100.0/24" }, map.denied(site, found))
    assert.same({ "10.0.0.0/8" }, map.denied(shop, found))
    _, found = lines({ shop, of({ paths = { "/api" } }) }, now)
    assert.same({}, map.stopped(now, found))
  end)
end)

describe("property", function()
  it("each request gets what the maintenances in force say, for random histories", function()
    math.randomseed(tonumber(os.getenv("SEED")) or 1)
    for round = 1, tonumber(os.getenv("ROUNDS")) or 20 do
      -- others let 192.0.2.0/24 pass everywhere, and have a network with a bit of its own
      local others = round % 5 == 0
      local state, in_force, own = live(), {}, round % 3 == 0
      if others then
        state = live(nil, nil, { "192.0.2.0/24", "10.1.0.0/16" }, { "-1", "2" })
      end
      local allow = round % 2 == 0 and { "192.0.2.0/24" } or {}
      local of_view = { kind = "base", method = "map_reg", allow = allow }
      for id = 1, 12 do
        if #in_force > 0 and math.random(2) == 1 then
          table.remove(in_force, math.random(#in_force))
        else
          in_force[#in_force + 1] = random_maintenance(id, own)
        end
        local found = map.of(in_force, of_view, state)
        state = carry_out(state, found, others)
        for_each(function(base, client)
          local wanted, open = is_wanted_open(in_force, allow, base, client), is_open(state, base, client)
          wanted = wanted or others and client == "192.0.2.7"
          assert(open == wanted or (own or others) and not open, ("round %d, %d: %s for %s is %s"):format(round, id, base, client,
            open and "open" or "closed"))
        end)
        if others then -- who give two sets the same clients: the sets may change their bits once more
          state = carry_out(state, map.of(in_force, of_view, state), others)
        end
        local again = map.of(in_force, of_view, state)
        assert.same({ state.keys, state.values, state.networks, state.bits },
          { again.patterns, again.values, again.bypass, again.bits }, "the same plan again")
      end
    end
  end)
end)
