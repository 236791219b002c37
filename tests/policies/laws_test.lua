-- SPDX-License-Identifier: MIT

-- The two laws as properties: `on` never opens and `off` never closes, whatever else is in force; and ending one
-- maintenance leaves every other in force. Random histories on fake HAProxys and the virtual clock.
-- $SEED is the first seed, $N the number of histories.

local bits = require("haplua.plan.bits")
local fakes = require("haplua.test.lists")
local maps = require("haplua.plan.map")
local test = require("haplua.test")
package.path = "tests/laws/?.lua;" .. package.path
local histories = require("history")
local player = require("player")

local SEED, N = tonumber(os.getenv("SEED")) or 1, tonumber(os.getenv("N")) or 200
local LENGTH <const> = 40
local BEGIN <const> = 1767225600 -- 2026-01-01T00:00:00Z

local WINDOWS <const> = {
  { switch = 1, scope = 3, text = "daily 00:03 for 2m" }, { switch = 2, scope = 1, text = "daily 00:06 for 3m" },
  { switch = 1, scope = 2, text = "daily 00:04 for 4m" }, { switch = 4, scope = 5, text = "daily 00:05 for 2m" },
}

local DURING <const> = [[
  local m, seconds = require("haplua.maintenance"), tonumber(arg[2])
  m.during({ switch = arg[1], paths = table.move(arg, 3, #arg, 1, {}) }, function()
    require("task").sleep(seconds)
  end)
]]

-- Who acts: the scripts share this process, and so its user.
local acting = "keeper"
local context = require("haplua.apply.context")
local open = context.open
function context.open(...)
  local c = open(...)
  c.person = { user = acting, host = "host" }
  return c
end

local count = 0

--- A site of its own for a history: a fake HAProxy, a journal, a configuration.
---@return laws.Site site, table given
local function new_site()
  count = count + 1
  local dir = ("%s/%d"):format(test.folder(), count)
  require("haplua.file").folder(dir)
  local function write(name, text)
    local f <close> = assert(io.open(dir .. "/" .. name, "w"))
    f:write(text)
    return dir .. "/" .. name
  end
  local list, info, pages, networks = write("shop.acl", ""), write("info.map", ""), write("pages.map", ""), write("nets.map", "")
  test.clock({ at = BEGIN })
  local fake = test.haproxy({
    version = ({ "2.2", "2.6", "3.2" })[count % 3 + 1],
    acls = {
      ["#9999"] = { match = "reg" }, ["#9000"] = { fetch = "src", entries = { "203.0.113.9" } },
      [list] = { match = "beg" }, ["#9001"] = { match = "reg" }, ["#9002"] = { fetch = "src" },
    },
    maps = { [info] = {}, [pages] = { match = "reg" }, [networks] = { match = "ip" } },
  })
  local config = dir .. "/config.lua"
  test.env({ HAPLUA_CONFIG = config })
  local given = { windows = {}, switches = {
    { name = "site", acl = "#9999", method = "reg", bypass = "#9000", allow = { false, false, false, false, false },
      others = { false, false, false, true, false } },
    { name = "shop", acl = list, method = "beg", file = true, info = true },
    { name = "api", acl = "#9001", method = "reg", bypass = "#9002", allow = { false, true, false, false, false }, undo = true },
    { name = "pages", acl = pages, method = "map", allow = { false, false, false, false, false }, file = true, info = true },
  } }
  for i, window in ipairs(WINDOWS) do
    local minute, minutes = window.text:match("00:0(%d) for (%d)m")
    given.windows[i] = { switch = window.switch, scope = window.scope, opens = BEGIN + minute * 60,
      closes = BEGIN + (minute + minutes) * 60, every = 86400 }
  end
  local during = write("during.lua", DURING)
  local store
  local function reader()
    store = store or require("haplua.store.sqlite").open(dir .. "/journal.db", { readonly = true })
    return store
  end

  local function process(who, words)
    acting = who
    local run = test.start(table.unpack(words))
    test.settle()
    acting = "keeper"
    return {
      done = function() return run:done() end,
      stop = function() run:stop() end,
      kill = function() run:kill() end,
      said = function() return run:out() .. run:err() end,
      wait = function()
        local result = run:wait()
        return result.status, result.out .. result.err
      end,
    }
  end

  --- The entry of the map that decides for a page.
  local function entry_of(page)
    return fakes.test(fakes.find(fake, "map", pages), "any.example" .. page)
  end

  local function is_closed_by_map(page, client)
    local entry, network = entry_of(page), fakes.test(fakes.find(fake, "map", networks), client)
    local mask = entry and bits.mask(entry.value)
    return entry ~= nil and not (mask and bits.passes(network and math.tointeger(tonumber(network.value)), mask))
  end

  local site = {
    now = function() return require("task").time() end,
    advance = test.advance,
    start = process,
    run = function(who, words) return process(who, words).wait() end,
    during = function(switch, paths, seconds)
      return { during, switch.name, tostring(seconds), table.unpack(paths) }
    end,
    slow = function(seconds) fake.delay = seconds end,
    list = function(acl)
      local found = acl == pages and {} or fake:acl(acl)
      for pattern in pairs(acl == pages and fake:map(pages) or {}) do
        found[#found + 1] = pattern
      end
      return found
    end,
    set_list = function(acl, patterns) fake:set_acl(acl, patterns) end,
    is_closed = function(switch, page, client)
      if switch.acl == pages then
        return is_closed_by_map(page, client)
      end
      return fake:matches(switch.acl, page) and not (switch.bypass and fake:matches(switch.bypass, client))
    end,
    reason = function(switch, page)
      if switch.acl == pages then
        local entry = entry_of(page)
        return entry and maps.told(entry.value).reason
      end
      return fake:map(info).reason
    end,
    reload = function() fake:reload() end,
    down = function() fake:down() end,
    up = function() fake:up() end,
    current = function(acl)
      return reader() and store:current(fake.address, acl) or {}
    end,
    latest = function(acl)
      local change = reader() and store:latest(fake.address, acl)
      return change and change.id
    end,
    configure = function(windows)
      local lines = {}
      for i, window in ipairs(WINDOWS) do
        local paths = {}
        for n, path in ipairs(require("model").SCOPES[window.scope]) do
          paths[n] = ("%q"):format(path)
        end
        lines[#lines + 1] = windows[i] and ("{ window = %q, tz = 'UTC', switch = %q, paths = { %s } },"):format(window.text,
          given.switches[window.switch].name, table.concat(paths, ", ")) or nil
      end
      write("config.lua", ([[return { journal = %q, switches = {
        site = { acl = "#9999", bypass = "#9000" }, shop = { acl = %q, info = %q },
        api = { acl = "#9001", bypass = "#9002", allow = { "192.0.2.128/25" }, by_hand = "undo" },
        pages = { map = %q, bypass = %q } },
        windows = { %s } }]]):format(dir .. "/journal.db", list, info, pages, networks, table.concat(lines, "\n")))
    end,
  }
  return site, given
end

local function problem_with(history)
  local site, given = new_site()
  return player.play(site, given, history)
end

describe("the laws of maintenances", function()
  for seed = SEED, SEED + N - 1 do
    it(("hold in history %d"):format(seed), function()
      local history = histories.of(seed, 4, LENGTH)
      local problem = problem_with(history)
      if problem and not os.getenv("WHOLE") then
        history, problem = histories.smallest(history, problem_with, problem)
      end
      if problem then
        error(("seed %d: %s\n%s"):format(seed, problem, histories.text(history)), 0)
      end
    end)
  end
end)
