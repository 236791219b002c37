-- SPDX-License-Identifier: MIT
--
-- The core policies by every way to HAProxy: its own socket, TCP and the master CLI, each with the level of
-- user, operator and admin. What a level does not allow is an error that says so, and changes nothing.

local site = require("site")

local json = require("haplua.json")

local LEVELS = { "admin", "operator", "user" }
local DENIED = "the socket's level does not allow this"

--- A site that is reached in each of the ways. `level` is the level of its master CLI.
local function start(level, ports)
  local sockets = {}
  for other, port in pairs(ports) do
    sockets[#sockets + 1] = ("stats socket DIR/%s.sock mode 600 level %s"):format(other, other)
    sockets[#sockets + 1] = ("stats socket ipv4@127.0.0.1:%d level %s"):format(port, other)
  end
  return site.start({
    master_level = level,
    global = table.concat(sockets, "\n    "),
    frontend = [[acl listed path -i -f DIR/listed.lst
    acl mapped path,map(DIR/values.map) -m found]],
    files = { ["listed.lst"] = "/from-file\n", ["values.map"] = "/k v\n" },
    more = "backend pool\n    server a 127.0.0.1:1\n    server b 127.0.0.1:1\n",
  })
end

describe("by each way", function()
  local sites, ports = {}, {}

  setup(function()
    for _, level in ipairs(LEVELS) do
      ports[level] = site.free_port()
    end
    for _, level in ipairs(LEVELS) do
      sites[level] = start(level, level == "admin" and ports or {})
    end
  end)

  teardown(function()
    for _, s in pairs(sites) do
      s:close()
    end
  end)

  -- A way is: the site, the words before the script's name, and the address for -s.
  local ways = {
    ["its own socket"] = function(level)
      return sites.admin, {}, sites.admin.dir .. "/" .. level .. ".sock"
    end,
    ["TCP"] = function(level)
      return sites.admin, {}, "127.0.0.1:" .. ports[level]
    end,
    ["the master CLI"] = function(level)
      return sites[level], { "--via", "@1" }, sites[level].master
    end,
  }

  for way, find in pairs(ways) do
    for _, level in ipairs(LEVELS) do
      describe(("%s, level %s:"):format(way, level), function()
        local s, before, address

        before_each(function()
          s, before, address = find(level)
          -- a journal for each way: haplua warns where one has the same HAProxy under two addresses
          s.journal = ("%s/%s-%s.db"):format(s.dir, way:gsub("%W", "-"), level)
          s.target:acl_clear("#9999")
          s.target:acl_replace(s.dir .. "/listed.lst", { "/from-file" })
          s.target:map_replace(s.dir .. "/values.map", { ["/k"] = "v" })
          for _, name in ipairs({ "pool/a", "pool/b" }) do
            s.target:server_set({ server = name, state = "ready", weight = 1 })
          end
        end)

        after_each(function()
          s.journal = nil
        end)

        local function haplua(...)
          local words = { table.unpack(before) }
          table.move({ ... }, 1, select("#", ...), #words + 1, words)
          words.socket = address
          return s:haplua(words)
        end

        local function good(...)
          local ran = haplua(...)
          assert.same({ 0, "" }, { ran.status, ran.err })
          return ran.out
        end

        --- Run haplua: it must succeed at the level of admin, and say at other levels why it cannot.
        local function for_admins(...)
          if level == "admin" then
            return good(...)
          end
          local ran = haplua(...)
          assert.same({ 1, "" }, { ran.status, ran.out })
          assert.truthy(ran.err:find(DENIED, 1, true), ran.err)
        end

        it("maint, with its journal", function()
          assert.matches("^maintenance is on: ", good("scripts/maint.lua", "on", "--path", "/a", "--reason", "why"))
          assert.same({ "page", "application" }, { s:sees("/a"), s:sees("/b") })
          local status = json.decode(good("scripts/maint.lua", "status", "--json"))
          assert.same({ true, {} }, { status.on, status.disagreements })
          assert.matches("why", good("scripts/maint.lua", "status"), 1, true)
          assert.matches("^maintenance is off: ", good("scripts/maint.lua", "off"))
          assert.equal("application", s:sees("/a"))
          local log = json.decode(good("scripts/maint.lua", "log", "--json", "--last", "2"))
          assert.same({ "done", "done" }, { log[1].outcome, log[2].outcome })
        end)

        it("maint during a command", function()
          assert.matches("maintenance is on", good("scripts/maint.lua", "during", "--", "true"), 1, true)
          assert.same({}, s.target:acl_list("#9999"))
          assert.equal(3, haplua("scripts/maint.lua", "during", "--", "sh", "-c", "exit 3").status)
          assert.same({}, s.target:acl_list("#9999"))
        end)

        it("acl_replace and map_replace", function()
          assert.equal("3 1\n2 1\n2 1\n", good("-e", [[
            local listed, values = arg[1] .. "/listed.lst", arg[1] .. "/values.map"
            print(table.concat({ haproxy.acl_replace(listed, { "/x y", "a;b", "\\" }) }, " "))
            print(table.concat({ haproxy.map_replace(values, { ["/1"] = "one", ["/2"] = "two three" }) }, " "))
            acl_add("#9999", "^/only")
            print(table.concat({ haproxy.acl_replace("#9999", { "^/1", "^/2" }) }, " "))
          ]], s.dir))
          assert.same({ "/x y", "a;b", "\\" }, s.target:acl_list(s.dir .. "/listed.lst"))
          assert.same({ { key = "/1", value = "one" }, { key = "/2", value = "two three" } },
            s.target:map_list(s.dir .. "/values.map"))
          assert.same({ "^/1", "^/2" }, s.target:acl_list("#9999"))
        end)

        it("servers, stat and info", function()
          local expected = ("ready ready 3 %d\n"):format(s.target:info().Pid)
          assert.equal(expected, good("-e", [[
            local rows = servers("pool")
            print(("%s %s %d %d"):format(rows[1].admin, rows[2].admin, #haproxy.stat("pool"), haproxy.info().Pid))
          ]]))
        end)

        it("server_set", function()
          for_admins("-e", 'haproxy.server_set({ server = "pool/a", state = "drain", weight = 7 })')
          local row = s.target:servers("pool")[1]
          assert.same(level == "admin" and { "drain", 7 } or { "ready", 1 }, { row.admin, row.srv_uweight })
        end)

        it("drain", function()
          for_admins("scripts/drain.lua", "pool/a")
          assert.equal(level == "admin" and "maint" or "ready", s.target:servers("pool")[1].admin)
        end)

        it("sessions", function()
          if level == "user" then
            local ran = haplua("-e", "haproxy.sessions()")
            assert.same({ 1, "" }, { ran.status, ran.out })
            assert.truthy(ran.err:find(DENIED, 1, true), ran.err)
          else
            assert.equal("true\n", good("-e", "print(#haproxy.sessions() > 0)"))
          end
        end)
      end)
    end
  end
end)
