-- SPDX-License-Identifier: MIT
--
-- A switch that is a map, through random histories on fake HAProxys: after each command, and while it runs, each request
-- gets what the maintenances say that `maint status` shows. $SEED is the first seed, $N the number of histories.

local test = require("haplua.test")

local bits = require("haplua.plan.bits")
local inet = require("haplua.inet")
local json = require("haplua.json")
local lists = require("haplua.test.lists")
local regex = require("haplua.regex")

local SEED, N = tonumber(os.getenv("SEED")) or 1, tonumber(os.getenv("N")) or 12
local LENGTH <const> = 25

local PAGES <const> = {
  "a.example/", "a.example:8080/shop", "A.example/Shop/x", "b.example/shop/x", "b.example/api", "b.example/", "b.example/hand",
}
local CLIENTS <const> = { "10.0.0.1", "10.1.0.1", "192.0.2.7", "198.51.100.1" }
local SCOPES <const> = {
  {}, { "--path", "/shop" }, { "--path", "/shop/x", "--path", "/api" }, { "--host", "a.example" },
  { "--host", "a.example", "--path", "/shop" }, { "--path", "/" }, { "^[^/]*/(shop|hand)" },
}
local NETWORKS <const> = { {}, { "10.0.0.0/8" }, { "10.1.0.0/16", "192.0.2.7" }, { "10.1.0.1" }, { "192.0.2.0/24" } }

-- A network of a hand's.
local HAND <const> = "198.51.100.0/24"

local function contains(network, client)
  local address, length = network:match("^(.-)/(%d+)$")
  local net, bytes = inet.bytes(address or network), inet.bytes(client)
  local shift = 32 - (tonumber(length) or 32)
  return ((">I4"):unpack(net) ~ (">I4"):unpack(bytes)) >> shift == 0
end

local function covers(scope, page)
  for _, pattern in ipairs(scope.patterns or {}) do
    if regex.compile(pattern, false):matches(page) then
      return true
    end
  end
  local host, path = page:lower():match("^([^/:]*)[^/]*(.*)$")
  local by_host, by_path = not scope.hosts, not scope.paths
  for _, name in ipairs(scope.hosts or {}) do
    by_host = by_host or name == host
  end
  for _, prefix in ipairs(scope.paths or {}) do
    by_path = by_path or path:sub(1, #prefix) == prefix
  end
  return by_host and by_path and (not scope.patterns or scope.hosts ~= nil or scope.paths ~= nil)
end

local function lets_pass(m, client)
  for _, network in ipairs(m.bypass or {}) do
    if contains(network, client) then
      return true
    end
  end
  return false
end

---@class test.Site
---@field hands boolean  hands change the maps now and then
local Site = {}
Site.__index = Site

local function new_site(seed)
  local dir = test.folder()
  local function write(name, text)
    local f <close> = assert(io.open(dir .. "/" .. name, "w"))
    f:write(text)
    return dir .. "/" .. name
  end
  local site = setmetatable({ map = write("site.map", ""), bypass = write("bypass.map", ""), hands = seed % 2 == 0 }, Site)
  site.fake = test.haproxy({
    version = ({ "2.2", "2.6", "3.2" })[seed % 3 + 1],
    maps = { [site.map] = { match = "reg" }, [site.bypass] = { match = "ip" } },
  })
  test.env({ HAPLUA_CONFIG = write("config.lua", ([[return { journal = "%s/journal.db",
    switches = { site = { map = %q, bypass = %q } } }]]):format(dir, site.map, site.bypass)) })
  return site
end

function Site:list(ref)
  return lists.find(self.fake, "map", ref)
end

--- Does HAProxy let a request through? For each page and client.
---@return table<string, boolean>
function Site:openings()
  local found, site, bypass = {}, self:list(self.map), self:list(self.bypass)
  for _, page in ipairs(PAGES) do
    local entry = lists.test(site, page)
    local mask = entry and bits.mask(entry.value)
    for _, client in ipairs(CLIENTS) do
      local network = lists.test(bypass, client)
      found[page .. " " .. client] = not entry
        or mask ~= nil and bits.passes(network and math.tointeger(tonumber(network.value)), mask)
    end
  end
  return found
end

--- Run maint, and look at HAProxy between any two commands: nobody passes who passes neither before nor after. Nobody is
-- stopped who passes before and after, where no hand has been at the maps: its entries may have bits of sets that are gone.
function Site:maint(...)
  local seen = {}
  setmetatable(self.fake.log, { __newindex = function(log, n, command)
    seen[#seen + 1] = self:openings() -- before the command
    rawset(log, n, command)
  end })
  local ran = test.run("scripts/maint.lua", ...)
  setmetatable(self.fake.log, nil)
  local before, after = seen[1] or self:openings(), self:openings()
  for _, now in ipairs(seen) do
    for name, open in pairs(now) do
      if open and not (before[name] or after[name]) or not open and before[name] and after[name] and not self.hands then
        error(("maint %s: %s is %s for a moment"):format(table.concat({ ... }, " "), name, open and "open" or "closed"), 0)
      end
    end
  end
  return ran
end

--- Hold HAProxy against the maintenances that status shows.
function Site:check(about)
  local status = json.decode(test.run("scripts/maint.lua", "status", "--json").out)
  local seen, passes_always = self:openings(), self.fake:map(self.bypass)[HAND] == "-1"
  for _, page in ipairs(PAGES) do
    local own = false -- a pattern of somebody's own matches
    for _, m in ipairs(status.maintenances) do
      own = own or m.scope.patterns ~= nil and covers(m.scope, page)
    end
    for _, client in ipairs(CLIENTS) do
      local wanted = true
      for _, m in ipairs(status.maintenances) do
        local is_held = covers(m.scope, page) and (m.origin ~= "by hand" or not own)
        wanted = wanted and (not is_held or lets_pass(m, client))
      end
      wanted = wanted or passes_always and contains(HAND, client)
      local open = seen[page .. " " .. client]
      if open and not wanted or wanted and not open and not own then
        error(("%s: %s for %s is %s"):format(about, page, client, open and "open" or "closed"), 0)
      end
    end
  end
  if #status.disagreements > 0 then
    error(about .. ": " .. status.disagreements[1].text, 0)
  end
  return status.maintenances
end

local function append(words, ...)
  for _, list in ipairs({ ... }) do
    table.move(list, 1, #list, #words + 1, words)
  end
  return words
end

--- The words of a random command.
local function command(current)
  local m, what = current[math.random(math.max(1, #current))], math.random(10)
  local networks = {}
  for _, network in ipairs(NETWORKS[math.random(#NETWORKS)]) do
    append(networks, { "--bypass", network })
  end
  if what <= 4 or not m or m.id == "-" then
    return append({ "on", "--reason", "r" .. what }, SCOPES[math.random(#SCOPES)], networks)
  elseif what <= 7 then
    return { "off", m.id }
  elseif what <= 8 then
    return append({ "on", "--replace" }, SCOPES[math.random(#SCOPES)], networks)
  end
  return append({ "change", m.id, "--reason", "changed" }, SCOPES[math.random(#SCOPES)], networks)
end

--- What a hand, a reload or a kill does before the next command.
function Site:disturb(current)
  local what, map = math.random(self.hands and 1 or 5, 12), self:list(self.map)
  if what == 1 then
    lists.add(self.fake, "map", { self.map, "^[^/]*/hand", ({ "1", "7||5|x", "||0|", "x" })[math.random(4)] })
  elseif what == 2 and #map.entries > 0 then
    lists.del(self.fake, "map", { self.map, map.entries[math.random(#map.entries)].key })
  elseif what == 3 and #map.entries > 0 then
    lists.set(self.fake, "map", { self.map, map.entries[math.random(#map.entries)].key, "1||1|set" })
  elseif what == 4 then
    lists.del(self.fake, "map", { self.bypass, HAND })
    lists.add(self.fake, "map", { self.bypass, HAND, ({ "-1", "0", "2" })[math.random(3)] })
  elseif what == 5 then
    self.fake:reload()
  elseif what <= 7 then
    self.fake.delay = 0.01
    local run = test.start("scripts/maint.lua", table.unpack(command(current)))
    test.advance(math.random(12) * 0.007)
    if run:done() then
      run:wait()
    else
      run:kill()
    end
    self.fake.delay = 0
  end
end

describe("a switch that is a map", function()
  for seed = SEED, SEED + N - 1 do
    it(("holds what status shows, in history %d"):format(seed), function()
      math.randomseed(seed)
      local site, current = new_site(seed), {}
      for n = 1, LENGTH do
        site:disturb(current)
        local words = command(current)
        local ran = site:maint(table.unpack(words))
        if ran.status == 0 then
          current = site:check(("seed %d, %d: maint %s"):format(seed, n, table.concat(words, " ")))
        end
      end
      assert.equal(0, site:maint("off", "--all").status)
      assert.same({}, site.fake:map(site.map))
      for network in pairs(site.fake:map(site.bypass)) do
        assert.equal(HAND, network)
      end
    end)
  end
end)
