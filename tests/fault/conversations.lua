-- SPDX-License-Identifier: MIT
--
--- What is run under faults: every policy that changes something, and the primitives.
--   words     haplua's arguments, of a stage
--   before    what HAProxy holds; where it differs from stage.base
--   wanted    what it is to hold after a success
--   between   what else an error may leave: part of the state -> function(text), true if so
--   through   what it holds in between, where it goes back to `before`
--   loose     the same, where the cleanup, too, is under a fault or may be overtaken
--   after_reload   the same, where HAProxy has forgotten a part of it; with `true`: what a success may leave
--   last      how many requests the last look has, side by side; 1
--   before_command   connection -> "down": its answer is the last before the policy's command runs
--   unread    a call that does not read back what it changed (docs/protocol.md)
--   claims    a text: printed, it says that `wanted` is so
--   check     function(out): what is wrong with what the policy's command saw
--   journal   is written down
--   switch    has an ACL, the clients that pass and what visitors are told, each with its file (books.lua)
--   resident  stays (residents.lua)
--   fleet     runs on both HAProxys; apart: prepared on both, then each for itself; tcp: over TCP
--   sparse    at every so-manieth byte only, when not all are tried; slow: takes a second, or more

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

--- The same for each part of a state.
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

--- A command for policies that run one: it asks past the proxy what is so.
local function look(stage, code)
  return require("support").program("-s", stage.sites[1].socket, "-e", code)
end

--- Every line of what the command said must be this.
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

--- A switch: what HAProxy holds, its files hold, and the journal wants.
local function switch(main, bypass, info)
  return {
    main = main, bypass = bypass, info = info, main_file = main, bypass_file = bypass, info_file = info, journal = main,
  }
end

local old_switch = switch(lines("^/a"), lines("127.0.0.8"), lines("since", "reason old", "reason_html old"))
local new_switch = switch(lines("^/c", "^/d"), lines("127.0.0.7"), lines("since", "reason new", "reason_html new"))
local off_switch = switch("", lines(books.ALLOW), "")

local list = {
  {
    name = "maint on",
    words = script("maint", "on"),
    wanted = { acl = everything },
    claims = "maintenance is on",
  },
  {
    name = "maint on, patterns",
    words = script("maint", "on", "^/c", "^/d", "^/b"),
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
    words = script("drain", "pool/s1"),
    wanted = { pool = pool("maint") },
    loose = { pool = one_of(pool("drain")) },
    claims = "is in maintenance",
  },
  {
    name = "rolling",
    words = function(stage)
      return { "scripts/rolling.lua", "pool", "--settle", "0", "--", table.unpack(look(stage, [[
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
    between = { acl = one_of(everything) },
    through = { acl = everything },
    before_command = { [5] = "down", [7] = "down" }, -- by HAProxy's version
    claims = "maintenance is on: #9999 matches ^/a  ^/b\n",
    check = saw("the command saw ^.*$"),
  },
  {
    name = "fleet on",
    words = script("fleet", "on", "^/c", "^/d"),
    before = { acl = lines("^/a") },
    wanted = { acl = lines("^/c", "^/d") },
    last = 2,
    fleet = true,
  },
  {
    name = "fleet off",
    words = script("fleet", "off"),
    before = { acl = lines("^/a", "^/b") },
    wanted = { acl = "" },
    last = 2,
    fleet = true,
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
    -- one request for each of the three
    after_reload = { pool = function(text, success)
      local admin, weight, address = text:match("^s1 (%l+) (%d) (%S+)\ns2 ready 1 127.0.0.1:1002\n$")
      return not success and (admin == "ready" or admin == "drain") and (weight == "1" or weight == "7")
        and (address == "127.0.0.1:1001" or address == "127.0.0.2:1003")
    end },
    claims = "done",
  },
  {
    name = "maint on, patterns, TCP",
    words = script("maint", "on", "^/c", "^/d"),
    before = { acl = lines("^/a", "^/b") },
    wanted = { acl = lines("^/c", "^/d") },
    claims = "maintenance is on",
    tcp = true,
  },
  {
    name = "maint on, a switch",
    words = script("maint", "on", "^/c", "^/d", "--bypass", "127.0.0.7", "--reason", "new"),
    before = old_switch,
    wanted = new_switch,
    claims = "maintenance is on",
    journal = true,
    switch = true,
    sparse = 3,
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
    between = one_of_each(new_switch),
    through = new_switch,
    journal = true,
    switch = true,
    sparse = 3,
  },
  {
    name = "maint on --wait",
    words = script("maint", "on", "^/c", "--for", "1s", "--wait"),
    before = { acl = lines("^/a"), journal = lines("^/a") },
    wanted = { acl = lines("^/a"), journal = lines("^/a") },
    between = one_of_each({ acl = lines("^/c"), journal = lines("^/c") }),
    through = { acl = lines("^/c"), journal = lines("^/c") },
    behind = -1,
    journal = true,
    slow = true,
  },
  {
    name = "maint on, two HAProxys",
    words = script("maint", "on", "^/c", "^/d"),
    before = { acl = lines("^/a") },
    wanted = { acl = lines("^/c", "^/d") },
    claims = "maintenance is on",
    last = 2,
    fleet = true,
    apart = true,
  },
  {
    name = "maint on, TCP",
    words = script("maint", "on"),
    wanted = { acl = everything },
    claims = "maintenance is on",
    tcp = true,
  },
}

--- A policy that lies, to see that it is found out.
list.liar = {
  name = "a policy that lies",
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
