-- SPDX-License-Identifier: MIT
--
--- The place where a policy runs under faults: two HAProxys, a proxy (proxy.c) before each and a third one over TCP.
-- The test looks at the HAProxys directly: local st <close> = stage.start()

local books = require("books")
local json = require("haplua.json")
local support = require("support")
local site = require("site")
local reply = require("haplua.reply")

local M = {}

local BUILD = (os.getenv("PWD") or ".") .. "/" .. (os.getenv("BUILD") or "build")
local PROXY = BUILD .. "/proxy"
local SHIFT = BUILD .. "/shift.so"

--- Deadline of one command of the policies, in seconds.
M.TIMEOUT = tonumber(os.getenv("FAULT_TIMEOUT")) or 0.3
-- A run that has not ended after so many seconds hangs.
local HANG = 30

local frontend = [[
    acl other path -u 8888 -m str
    http-request set-header X-Pool %[path,map(DIR/pool.map)]
    acl filed path -i -m reg -f DIR/site.acl
    use_backend maintenance if other || filed !passes
]]

local more = [[
backend pool
    server s1 127.0.0.1:1001
    server s2 127.0.0.1:1002
]]

local map = "/a one\n/b two\n/c three\n"

--- The state that every conversation begins with, except for the parts that it declares itself.
M.base = {
  acl = "",
  map = map,
  pool = "s1 ready 1 127.0.0.1:1001\ns2 ready 1 127.0.0.1:1002\n",
  rest = "/untouched\napp ready 1\n",
  main = "", bypass = "", info = "", main_file = "", bypass_file = "", info_file = "",
  journal = "",
}

-- The proxies.

local Proxy = {}
Proxy.__index = Proxy

local function start_proxy(dir, name, listen, target)
  local proxy = setmetatable({ address = listen:find("/") and listen or "127.0.0.1:" .. listen }, Proxy)
  local ready, control = support.event(), dir .. "/" .. name .. ".control"
  proxy.task = task.spawn(run, { PROXY, listen, target, control, stdout = function(line)
    if line == "ready" then
      ready.set(true)
    elseif line == "paused" then
      proxy.paused = true
    end
  end })
  ready.wait()
  proxy.control = haproxy.connect(control, { timeout = HANG })
  return proxy
end

---@param fault {kind: string, connection: integer, direction: "up"|"down", offset: integer, ms: integer?}?
function Proxy:arm(fault)
  fault = fault or { kind = "none", connection = 0, direction = "up", offset = 0 }
  self.paused = false
  self.control:send(("fault %s %d %s %d %d"):format(
    fault.kind, fault.connection, fault.direction, fault.offset, fault.ms or 0))
end

--- Wait until all connections have ended.
---@return integer done, {up: integer, down: integer}[] passed  number of faults; bytes of each connection
function Proxy:report()
  local text, passed = self.control:send("report"), {}
  for up, down in text:gmatch("\n(%d+) (%d+)") do
    passed[#passed + 1] = { up = tonumber(up), down = tonumber(down) }
  end
  return tonumber(text:match("^done (%d+)")), passed
end

function Proxy:go()
  self.control:send("go")
end

--- Keep `n` connections to HAProxy's socket open.
function Proxy:take(n)
  self.control:send("take " .. n)
end

function Proxy:close()
  self.task:cancel()
  pcall(self.task.wait, self.task)
end

-- States.

local function sorted(keys)
  table.sort(keys)
  return #keys > 0 and table.concat(keys, "\n") .. "\n" or ""
end

local function pool_text(rows)
  local text = {}
  for i, row in ipairs(rows) do
    text[i] = ("%s %s %d %s:%d\n"):format(row.srv_name, row.admin, row.srv_uweight, row.srv_addr, row.srv_port)
  end
  return table.concat(text)
end


--- The versions after `since` that are not in force and have entries.
local function leftovers(target, kind, list, since)
  local found = {}
  for version = since + 1, list.next_ver or since do
    if version > list.curr_ver then
      local text = target:send(("show %s @%d #%d"):format(kind, version, list.id))
      if #(reply.entries(text)) > 0 then
        found[#found + 1] = version
      end
    end
  end
  return found
end

local Stage = {}
Stage.__index = Stage

--- What a new HAProxy process holds.
M.fresh = { acl = "", map = map, pool = M.base.pool, rest = "app ready 1\n" }

--- The state of HAProxy number `i`, with the files and the journal if the conversation has them.
---@param conversation table
---@param since integer?  the newest version before the run
function Stage:state(i, conversation, since)
  local s = self.sites[i]
  local texts = s.target:batch({
    "show acl #9999", { "show", "map", s.dir .. "/pool.map" }, "show servers state", "show acl #8888",
  })
  local keys, _, values = reply.entries(texts[2], true)
  for n, key in ipairs(keys) do
    keys[n] = key .. " " .. values[n] .. "\n"
  end
  local pool, rest = {}, (reply.entries(texts[4]))
  for _, row in ipairs(reply.servers(texts[3])) do
    if row.be_name == "pool" then
      pool[#pool + 1] = row
    elseif row.be_name == "app" then
      rest[#rest + 1] = ("app %s %d"):format(row.admin, row.srv_uweight)
    end
  end
  local state = {
    acl = sorted((reply.entries(texts[1]))),
    map = table.concat(keys),
    pool = pool_text(pool),
    rest = sorted(rest),
  }
  books.read(s, conversation, state)
  local lists, kind = require("haplua.haproxy.list"), books.kind(conversation)
  local list = lists.find(lists.all(s.target, kind), books.acl(s, conversation))
  state.given, state.list = list.next_ver, list.id
  state.left = list.curr_ver and since and leftovers(s.target, kind, list, since) or {}
  return state
end

local function restore_pool(target, text)
  for line in text:gmatch("[^\n]+") do
    local name, admin, weight, addr, port = line:match("^(%S+) (%S+) (%d+) (.*):(%d+)$")
    target:server_set({
      server = "pool/" .. name, state = admin, weight = tonumber(weight), addr = addr, port = tonumber(port),
    })
  end
end

--- Make HAProxy number `i` hold the state that a conversation begins with.
---@param state table  what it holds now
function Stage:restore(i, state, conversation)
  local s, wanted = self.sites[i], conversation.before
  for _, version in ipairs(state.left) do
    s.target:send(("clear %s @%d #%d"):format(books.kind(conversation), version, state.list))
  end
  books.restore(s, conversation, state, wanted)
  if state.acl ~= wanted.acl then
    local patterns = {}
    for pattern in wanted.acl:gmatch("[^\n]+") do
      patterns[#patterns + 1] = pattern
    end
    s.target:acl_replace("#9999", patterns)
  end
  if state.map ~= wanted.map then
    local entries = {}
    for key, value in wanted.map:gmatch("(%S+) ([^\n]+)\n") do
      entries[#entries + 1] = { key = key, value = value }
    end
    s.target:map_replace(s.dir .. "/pool.map", entries)
  end
  if state.pool ~= wanted.pool then
    restore_pool(s.target, wanted.pool)
  end
  if state.rest ~= wanted.rest then
    s.target:acl_replace("#8888", { "/untouched" })
    s.target:server_set({ server = "app/app", state = "ready", weight = 1 })
  end
end

--- haplua's arguments for a conversation through the proxies, and the variables of its environment.
---@return string[] words, table env
function Stage:words(conversation, timeout)
  local words = {}
  for i = 1, conversation.several and 2 or 1 do
    words[#words + 1] = "-s"
    words[#words + 1] = (conversation.tcp and self.tcp or self.proxies[i]).address
  end
  words[#words + 1] = "-t"
  words[#words + 1] = tostring(timeout)
  for _, word in ipairs(conversation.words(self)) do
    words[#words + 1] = word
  end
  local env = books.environment(self.sites[1], conversation)
  if self.clock_is_set then
    env.LD_PRELOAD, env.CLOCK_SHIFT = SHIFT, self.sites[1].dir .. "/clock"
  end
  return words, env
end

--- Set haplua's wall clock, also while it runs.
---@param seconds integer|false|nil  how far it is ahead of the machine's; false or nil: it is the machine's
function Stage:set_clock(seconds)
  self.clock_is_set = seconds ~= nil and seconds ~= false
  if not self.clock_is_set then
    return
  end
  local path = self.sites[1].dir .. "/clock"
  -- shift.c has mapped the file, so it must stay the same one
  local f <close> = assert(io.open(path, "r+b") or io.open(path, "wb"))
  f:write(("j"):pack(seconds))
end

--- Run a policy to its end, at most for HANG seconds.
---@return {status: integer?, out: string, err: string, seconds: number}  status nil: it hangs
function Stage:run(conversation, timeout)
  local words, env = self:words(conversation, timeout)
  local began = task.now()
  words.env = env
  local ok, ran = pcall(task.deadline, HANG, support.haplua, words)
  if not ok then
    if ran.kind ~= "timeout" then
      error(ran, 0)
    end
    ran = { out = "", err = "" } -- no status
  end
  ran.seconds = task.now() - began
  return ran
end

--- Run a policy under a fault that pauses: call the fault's `act` in the pause, and its `after` when haplua has ended.
function Stage:run_and_act(conversation, timeout, fault)
  local proxy = self:proxy(conversation)
  local running = task.spawn(self.run, self, conversation, timeout)
  while not proxy.paused and not running:done() do
    task.sleep(0.002)
  end
  fault.act(self, proxy, conversation)
  proxy:go()
  local run = running:wait()
  if fault.after then
    fault.after(self, proxy)
  end
  return run
end

--- What `maint status` shows of a conversation's switch; nil: it fails.
function Stage:status(conversation)
  local ran = support.haplua({
    "-s", self.proxies[1].address, "scripts/maint.lua", "status", "--json", env = books.environment(self.sites[1], conversation),
  })
  return ran.status == 0 and json.decode(ran.out) or nil
end

--- Does `maint off` make HAProxy, files and journal agree?
---@return boolean mended, string err
function Stage:mend(conversation)
  local ran = support.haplua({
    "-s", self.proxies[1].address, "scripts/maint.lua", "off", "--all", env = books.environment(self.sites[1], conversation),
  })
  local state = self:state(1, conversation)
  local off = (state.main or state.acl) == "" and state.journal == "" and (state.main_file or "") == ""
    and state.bypass_file == state.bypass and state.entry.outcome == "done"
  return ran.status == 0 and off, ran.err
end

--- The proxy that causes the faults of a conversation.
function Stage:proxy(conversation)
  return conversation.tcp and self.tcp or self.proxies[1]
end

function Stage:__close()
  for _, proxy in ipairs({ self.proxies[1], self.proxies[2], self.tcp }) do
    proxy:close()
  end
  for _, s in ipairs(self.sites) do
    books.stop(s)
    s:close()
  end
end

---@param maxconn integer?  connections that HAProxy's socket allows
function M.start(maxconn)
  local stage, files = setmetatable({ sites = {}, proxies = {} }, Stage), { ["pool.map"] = map }
  for name, text in pairs(books.files) do
    files[name] = text
  end
  for i = 1, 2 do
    local s = site.start({
      global = "stats maxconn " .. (maxconn or 50),
      frontend = books.frontend .. frontend,
      more = more,
      files = files,
      threads = 1,
    })
    stage.sites[i] = s
    s.target:acl_add("#8888", "/untouched")
    stage.proxies[i] = start_proxy(s.dir, "proxy", s.dir .. "/proxy.sock", s.socket)
    books.start(s, s.dir .. "/proxy.sock")
  end
  local s = stage.sites[1]
  stage.tcp = start_proxy(s.dir, "tcp", tostring(site.free_port()), s.socket)
  return stage
end

return M
