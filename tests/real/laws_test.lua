-- SPDX-License-Identifier: MIT

-- The two laws of maintenances over random histories on a real HAProxy, judged by the model of tests/laws. What time does
-- is left to tests/policies/laws_test.lua. $SEED is the first seed, $N the number of histories.

package.path = "tests/laws/?.lua;" .. package.path
local bits = require("haplua.plan.bits")
local histories = require("history")
local maps = require("haplua.plan.map")
local model = require("model")
local player = require("player")
local running = require("running")
local site = require("site")
local support = require("support")

local SEED, N = tonumber(os.getenv("SEED")) or 1, tonumber(os.getenv("N")) or 10
local LENGTH <const> = 24
local LONG <const> = 100000 -- seconds: no history takes so long

local DURING <const> = [[
  local m = require("haplua.maintenance")
  m.during({ switch = arg[1], paths = table.move(arg, 2, #arg, 1, {}) }, function()
    print("in force")
    io.stdout:flush()
    require("task").sleep(1e6)
  end)
]]

local FRONTEND <const> = [[acl bypass src -u 9000 203.0.113.9
    acl shop path -m beg -f DIR/shop.acl
    acl api path -i -u 9001 -m reg
    acl api-bypass src -u 9002
    http-request set-var(txn.entry) base,map_reg(DIR/pages.map)
    http-request set-var(txn.mask) var(txn.entry),field(3,|),add(0)
    http-request set-var(txn.lacks) src,map_ip_int(DIR/networks.map,0),cpl,and(txn.mask)
    use_backend maintenance if shop
    use_backend maintenance if api !api-bypass
    use_backend maintenance if { var(txn.entry) -m found } !{ var(txn.lacks) -m int 0 }]]

local CONFIG <const> = [[return { journal = "DIR/journal.db", switches = {
  site = { acl = "#9999", bypass = "#9000" }, shop = { acl = "DIR/shop.acl" },
  api = { acl = "#9001", bypass = "#9002", allow = { "192.0.2.128/25" }, by_hand = "undo" },
  pages = { map = "DIR/pages.map", bypass = "DIR/networks.map" } } }]]

local function declared(s)
  return { windows = {}, patience = 60, switches = {
    { name = "site", acl = "#9999", method = "reg", bypass = "#9000", allow = { false, false, false, false, false },
      others = { false, false, false, true, false } },
    { name = "shop", acl = s.dir .. "/shop.acl", method = "beg", file = true },
    { name = "api", acl = "#9001", method = "reg", bypass = "#9002", allow = { false, true, false, false, false }, undo = true },
    { name = "pages", acl = s.dir .. "/pages.map", method = "map", allow = { false, false, false, false, false },
      file = true, info = true },
  } }
end

--- The steps of a history that time does not matter to.
local function without_time(history)
  local kept = {}
  for _, step in ipairs(history) do
    for _, one in ipairs({ step, step.change, step[2], step[3] }) do
      one.lasts, one.from, one.no_end = nil, nil, nil
    end
    if step[1] == "hold" then
      step.seconds = LONG
    end
    kept[#kept + 1] = step[1] ~= "window" and step[1] ~= "advance" and step[1] ~= "away" and step or nil
  end
  return kept
end

local count = 0

--- Start haplua. Its person is the one behind sudo.
local function start(s, who, words)
  count = count + 1
  local path = ("%s/process%d"):format(s.dir, count)
  local command = ('export SUDO_USER=%s HAPLUA_CONFIG="DIR/config.lua"; unset HAPLUA_JOURNAL; echo $$ >"FILE.pid"; '
    .. 'exec "$@" >"FILE.out" 2>&1'):format(who):gsub("FILE", path):gsub("DIR", s.dir)
  local child = task.spawn(support.shell, command, "-s", s.socket, table.unpack(words))
  local function signal(name)
    running.eventually("a process has begun", function()
      return running.lines(path .. ".pid")[1]
    end)
    run({ "kill", "-" .. name, running.lines(path .. ".pid")[1], stderr = "null" })
    child:wait()
  end
  local process = {
    done = function() return child:done() end,
    stop = function() signal("TERM") end,
    kill = function() signal("KILL") end,
    said = function() return running.content(path .. ".out") end,
    wait = function()
      local status = child:wait().status
      return status, running.content(path .. ".out")
    end,
  }
  -- wait until it does what it is to do
  local sign = words[1] == "scripts/keep.lua" and "kept to" or words[1]:find("during") and "in force"
  if sign then
    running.eventually(words[1] .. " has begun", function()
      return process.said():find(sign) or child:done()
    end)
  end
  return process
end

---@return laws.Site
local function site_of(s)
  local store
  local function reader()
    store = store or require("haplua.store.sqlite").open(s.dir .. "/journal.db", { readonly = true })
    return store
  end
  local address = require("haplua.file").real(s.socket)
  local function matches(acl, value)
    return s.target:send({ "get", "acl", acl, value }):find("match=yes", 1, true) ~= nil
  end
  --- The value of the map's entry that decides for a page.
  local function entry_of(page)
    return (s.target:map_get(s.dir .. "/pages.map", "any.example" .. page))
  end
  return {
    now = function() return task.time() end,
    advance = function(seconds) task.sleep(math.min(seconds, 0.1)) end,
    start = function(who, words) return start(s, who, words) end,
    run = function(who, words) return start(s, who, words).wait() end,
    during = function(switch, paths)
      return { s.dir .. "/during.lua", switch.name, table.unpack(paths) }
    end,
    slow = function() end,
    list = function(acl)
      local keys = {}
      for i, entry in ipairs(acl:find("%.map$") and s.target:map_list(acl) or {}) do
        keys[i] = entry.key
      end
      return acl:find("%.map$") and keys or s.target:acl_list(acl)
    end,
    reason = function(_, page)
      local value = entry_of(page)
      return value and maps.told(value).reason
    end,
    set_list = function(acl, patterns)
      local commands = { { "clear", "acl", acl } }
      for i, pattern in ipairs(patterns) do
        commands[i + 1] = { "add", "acl", acl, pattern }
      end
      s.target:batch(commands)
    end,
    is_closed = function(switch, page, client)
      if switch.method == "map" then
        local value = entry_of(page)
        local mask = value and bits.mask(value)
        local has = math.tointeger(tonumber((s.target:map_get(s.dir .. "/networks.map", client))))
        return value ~= nil and not (mask and bits.passes(has, mask))
      end
      return matches(switch.acl, page) and not (switch.bypass and matches(switch.bypass, client))
    end,
    reload = function() s:reload() end,
    configure = function() end,
    latest = function(acl)
      local change = reader() and store:latest(address, acl)
      return change and change.id
    end,
    current = function(acl)
      return reader() and store:current(address, acl) or {}
    end,
  }
end

--- Play a history on an HAProxy of its own. Afterwards ask for each page, as a visitor does.
local function problem_with(history)
  local s <close> = site.start({
    condition = "!bypass", frontend = FRONTEND, files = { ["shop.acl"] = "", ["pages.map"] = "", ["networks.map"] = "" },
  })
  s.folder.write("config.lua", (CONFIG:gsub("DIR", s.dir)))
  s.folder.write("during.lua", DURING)
  local problem, state = player.play(site_of(s), declared(s), history)
  local settled = not problem
  for i in ipairs(state.switches) do
    settled = settled and state:is_settled(i)
  end
  for p, page in ipairs(settled and model.PAGES or {}) do
    local closed = false
    for i in ipairs(state.switches) do
      closed = closed or state:is_closed(i, p, #model.CLIENTS)
    end
    if s:sees(page) ~= (closed and "page" or "application") then
      problem = ("a visitor of %s sees: %s"):format(page, s:sees(page))
    end
  end
  return problem
end

describe("the laws of maintenances, on a real HAProxy,", function()
  for seed = SEED, SEED + N - 1 do
    it(("hold in history %d"):format(seed), function()
      local history = without_time(histories.of(seed, 4, LENGTH))
      local problem = problem_with(history)
      if problem then
        error(("seed %d: %s\n%s"):format(seed, problem, histories.text(history)), 0)
      end
    end)
  end
end)
