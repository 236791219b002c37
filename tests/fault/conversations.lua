-- SPDX-License-Identifier: MIT
--
--- The conversations that run under faults: every policy that changes something, and the primitives. Their fields:
--   words     function(stage): haplua's arguments
--   before    what HAProxy holds at the beginning, where it differs from stage.base
--   wanted    what it must hold after a success
--   between   what else it may hold after an error: part of the state -> function(text), true if allowed
--   through   what it holds in between, if the policy returns to `before`
--   loose     like `between`, if the fault disturbs the cleanup, too, or a command may arrive after it
--   after_reload   like `between`, if HAProxy was reloaded; called with `true` for a success
--   last      the number of requests side by side at the end; 1 unless given
--   before_command   connection -> "down": its answer is the last one before the policy's command runs
--   unread    true: a call that does not read back what it changed (docs/protocol.md)
--   claims    a text that haplua prints only when `wanted` is there
--   check     function(out): what is wrong with the output of the policy's command
--   journal   true: it uses the journal
--   switch    true: it has an ACL, a bypass list and a map for visitors, each with its file (books.lua); "map": it has a
--             map that decides, and one of the clients that pass
--   resident  true: it is a resident policy (residents.lua)
--   several   true: it runs on both HAProxys; tcp: over TCP
--   sparse    tried at one in so many of the chosen bytes; slow: true if it takes a second or more

local books = require("books")

local function script(...)
  local words = { "scripts/" .. (...) .. ".lua", select(2, ...) }
  return function()
    return words
  end
end

local function chunk(code)
  return function(stage)
    return { "-e", code .. " print('done')", stage.sites[1].dir .. "/pool.map" }
  end
end

local function lines(...)
  return table.concat({ ... }, "\n") .. "\n"
end

local function one_of(...)
  local texts = {}
  for _, text in ipairs({ ... }) do
    texts[text] = true
  end
  return function(text)
    return texts[text] or false
  end
end

--- one_of() for each part of a state.
local function one_of_each(state)
  local allowed = {}
  for part, text in pairs(state) do
    allowed[part] = one_of(text)
  end
  return allowed
end

local function pool(s1, s2)
  return ("s1 %s 1 127.0.0.1:1001\ns2 %s 1 127.0.0.1:1002\n"):format(s1, s2 or "ready")
end

--- A command for policies that run one: it looks at HAProxy directly, not through the proxy.
local function look(stage, code)
  return require("support").program("-s", stage.sites[1].socket, "-e", code)
end

--- A check: every line that the command has printed must be this one.
local function saw(line)
  return function(out)
    for found in out:gmatch("the command saw [^\n]*") do
      if found ~= line then
        return found
      end
    end
  end
end

local everything = lines("^.*$")

--- The state of a switch in which HAProxy, the files and the journal agree.
local function switch(main, bypass, info)
  return {
    main = main, bypass = bypass, info = info, main_file = main, bypass_file = bypass, info_file = info, journal = main,
  }
end

local old_switch = switch(lines("^/a"), lines("127.0.0.8"), lines("since", "reason old", "reason_html old"))
local new_switch = switch(lines("^/c", "^/d"), lines("127.0.0.7"), lines("since", "reason new", "reason_html new"))
-- HAProxy has one bypass list: who passes must pass both maintenances. Both have no end: visitors read the older reason.
local both_switch = switch(lines("^/a", "^/c", "^/d"), "", old_switch.info)
local off_switch = switch("", lines(books.ALLOW), "")

--- The state of a switch that is a map, likewise. A mask of 1 is that of the networks in `bypass`.
local function map_switch(main, bypass)
  return {
    main = main, bypass = bypass, main_file = main, bypass_file = bypass, journal = main:gsub(" [^\n]*", ""),
  }
end

local old_map = map_switch("^/a ||1|old\n", "127.0.0.8 1\n")
local new_map = map_switch("^/c ||2|new\n^/d ||2|new\n", "127.0.0.7 2\n")

local list = {
  {
    name = "maint on",
    words = script("maint", "on"),
    wanted = { acl = everything },
    claims = "maintenance is on",
  },
  {
    name = "maint on, patterns",
    words = script("maint", "on", "--replace", "^/c", "^/d", "^/b"),
    before = { acl = lines("^/a", "^/b") },
    wanted = { acl = lines("^/b", "^/c", "^/d") },
    claims = "maintenance is on",
  },
  {
    name = "maint off",
    words = script("maint", "off"),
    before = { acl = everything },
    wanted = { acl = "" },
    claims = "maintenance is off",
  },
  {
    name = "maint off, patterns",
    words = script("maint", "off"),
    before = { acl = lines("^/a", "^/b", "^/c") },
    wanted = { acl = "" },
    claims = "maintenance is off",
  },
  {
    name = "drain",
    words = script("drain", "pool/s1", "--quiet", "0"),
    wanted = { pool = pool("maint") },
    loose = { pool = one_of(pool("drain")) },
    claims = "is in maintenance",
  },
  {
    name = "rolling",
    words = function(stage)
      return { "scripts/rolling.lua", "pool", "--settle", "0", "--quiet", "0", "--", table.unpack(look(stage, [[
        for _, row in ipairs(servers("pool")) do
          if row.srv_name == os.getenv("SERVER") then print("the command saw " .. row.admin) end
        end]])) }
    end,
    wanted = {},
    between = { pool = one_of(pool("drain"), pool("ready", "drain")) },
    before_command = { [6] = "down", [14] = "down" },
    claims = "pool/s2: up",
    check = saw("the command saw drain"),
  },
  {
    name = "during",
    words = function(stage)
      return { "scripts/during.lua", "--",
        table.unpack(look(stage, [[print("the command saw " .. table.concat(acl_get("#9999"), " "))]])) }
    end,
    before = { acl = lines("^/a", "^/b") },
    wanted = { acl = lines("^/a", "^/b") },
    between = { acl = one_of(lines("^.*$", "^/a", "^/b")) },
    through = { acl = lines("^.*$", "^/a", "^/b") },
    before_command = { [5] = "down", [7] = "down" }, -- by HAProxy's version
    claims = "maintenance is on: #9999 matches ^/a  ^/b (",
    check = saw("the command saw ^/a ^/b ^.*$"),
  },
  {
    name = "acl_replace",
    words = chunk([[haproxy.acl_replace("#9999", { "^/d", "^/c", "^/b;x", "^/e \\." })]]),
    before = { acl = lines("^/a", "^/b") },
    wanted = { acl = lines("^/b;x", "^/c", "^/d", "^/e \\.") },
    claims = "done",
  },
  {
    name = "acl_add",
    unread = true,
    words = chunk([[acl_add("#9999", "^/b", "^/c", "^/d")]]),
    before = { acl = lines("^/a") },
    wanted = { acl = lines("^/a", "^/b", "^/c", "^/d") },
    between = { acl = one_of(lines("^/a", "^/b"), lines("^/a", "^/b", "^/c")) },
    after_reload = { acl = one_of(lines("^/b", "^/c", "^/d")) },
    claims = "done",
  },
  {
    name = "map_replace",
    words = chunk([[haproxy.map_replace(arg[1], { { key = "/a", value = "four" }, { key = "/d", value = "two" } })]]),
    wanted = { map = lines("/a four", "/d two") },
    claims = "done",
  },
  {
    name = "map_set",
    unread = true,
    words = chunk([[haproxy.map_set(arg[1], { ["/a"] = "x", ["/b"] = "y z" })]]),
    wanted = { map = lines("/a x", "/b y z", "/c three") },
    between = { map = one_of(lines("/a x", "/b two", "/c three")) },
    claims = "done",
  },
  {
    name = "server_set",
    words = chunk([[haproxy.server_set{ server = "pool/s1", addr = "127.0.0.2", port = 1003, weight = 7, state = "drain" }]]),
    wanted = { pool = "s1 drain 7 127.0.0.2:1003\ns2 ready 1 127.0.0.1:1002\n" },
    between = { pool = one_of("s1 ready 1 127.0.0.2:1003\ns2 ready 1 127.0.0.1:1002\n",
      "s1 ready 7 127.0.0.2:1003\ns2 ready 1 127.0.0.1:1002\n") },
    -- each of the three is a request of its own
    after_reload = { pool = function(text, success)
      local admin, weight, address = text:match("^s1 (%l+) (%d) (%S+)\ns2 ready 1 127.0.0.1:1002\n$")
      return not success and (admin == "ready" or admin == "drain") and (weight == "1" or weight == "7")
        and (address == "127.0.0.1:1001" or address == "127.0.0.2:1003")
    end },
    claims = "done",
  },
  {
    name = "maint on, patterns, TCP",
    words = script("maint", "on", "--replace", "^/c", "^/d"),
    before = { acl = lines("^/a", "^/b") },
    wanted = { acl = lines("^/c", "^/d") },
    claims = "maintenance is on",
    tcp = true,
  },
  {
    name = "maint on, a switch",
    words = script("maint", "on", "--replace", "^/c", "^/d", "--bypass", "127.0.0.7", "--reason", "new"),
    before = old_switch,
    wanted = new_switch,
    -- while the ACL changes, only clients pass that pass before and after
    between = { bypass = one_of("") },
    claims = "maintenance is on",
    journal = true,
    switch = true,
    sparse = 3,
  },
  {
    name = "maint on, a map",
    words = script("maint", "on", "--replace", "^/c", "^/d", "--bypass", "127.0.0.7", "--reason", "new"),
    before = old_map,
    wanted = new_map,
    -- while the map changes, the bypass map has the bits of both
    between = { bypass = one_of("127.0.0.8 1\n127.0.0.7 2\n"), bypass_file = one_of("127.0.0.8 1\n127.0.0.7 2\n") },
    claims = "maintenance is on",
    journal = true,
    switch = "map",
    sparse = 7,
  },
  {
    name = "maint off, a switch",
    words = script("maint", "off"),
    before = old_switch,
    wanted = off_switch,
    claims = "maintenance is off",
    journal = true,
    switch = true,
    sparse = 3,
  },
  {
    name = "maint during, a switch",
    words = script("maint", "during", "^/c", "^/d", "--bypass", "127.0.0.7", "--reason", "new", "--", "true"),
    before = old_switch,
    wanted = old_switch,
    between = one_of_each(both_switch),
    through = both_switch,
    journal = true,
    switch = true,
    sparse = 3,
  },
  {
    name = "maint on --wait",
    words = script("maint", "on", "^/c", "--for", "1s", "--wait"),
    before = { acl = lines("^/a"), journal = lines("^/a") },
    wanted = { acl = lines("^/a"), journal = lines("^/a") },
    between = one_of_each({ acl = lines("^/a", "^/c"), journal = lines("^/a", "^/c") }),
    through = { acl = lines("^/a", "^/c"), journal = lines("^/a", "^/c") },
    behind = -1,
    journal = true,
    slow = true,
  },
  {
    name = "maint on, two HAProxys",
    words = script("maint", "on", "--replace", "^/c", "^/d"),
    before = { acl = lines("^/a") },
    wanted = { acl = lines("^/c", "^/d") },
    claims = "maintenance is on",
    last = 2,
    several = true,
  },
  {
    name = "maint off, two HAProxys",
    words = script("maint", "off"),
    before = { acl = lines("^/a", "^/b") },
    wanted = { acl = "" },
    claims = "maintenance is off",
    last = 2,
    several = true,
  },
  {
    name = "maint on, TCP",
    words = script("maint", "on"),
    wanted = { acl = everything },
    claims = "maintenance is on",
    tcp = true,
  },
}

--- A policy that reports a false success: run.lua must notice it.
list.false_success = {
  name = "a false success",
  words = chunk([[pcall(acl_add, "#9999", "^/a", "^/b")]]),
  wanted = { acl = lines("^/a", "^/b") },
  between = { acl = one_of(lines("^/a")) },
  claims = "done",
}

for _, conversation in ipairs(require("residents")) do
  list[#list + 1] = conversation
end

local base = require("stage").base
for _, conversation in pairs(list) do
  for _, name in ipairs({ "before", "wanted", "holds", "afterwards" }) do
    conversation[name] = setmetatable(conversation[name] or {}, { __index = base })
  end
end

return list
