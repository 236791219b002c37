-- SPDX-License-Identifier: MIT
--
-- HAProxy does not read for a while, and haplua gives up or is killed meanwhile. Then HAProxy goes on: it lives,
-- it does not spin, none of its ten places is lost, and what it got is a whole request or none.

local running = require("running")
local site = require("site")
local support = require("support")

-- More than the ten clients that HAProxy serves at once. The master of 2.2 sometimes loses one of its ten places when a
-- client gives up while the worker hangs, whichever client that is (docs/protocol.md). With none left it answers nobody.
local function times(way, n)
  return way == "the master CLI" and not site.at_least(2, 6) and 1 or n
end

local TIMES = 12

local LONG = ("x"):rep(14700)

-- What is sent: by a name, a chunk that gets the map's file.
local requests = {
  ["a long line"] = 'acl_add("#8001", ("x"):rep(14700))',
  ["a long series"] = [[local many = {} for i = 1, 3000 do many[i] = "/a/path/" .. i end haproxy.acl_replace("#8001", many)]],
  ["a payload of many lines"] = 'send("add map " .. arg[1], ("key value\\n"):rep(1450))',
  ["a payload of one line"] = 'send("add map " .. arg[1], "key " .. ("x"):rep(14700))',
}

describe("given up while HAProxy does not read:", function()
  local s, port, values

  setup(function()
    port = site.free_port()
    s = site.start({
      threads = 1,
      global = ("stats socket ipv4@127.0.0.1:%d level admin"):format(port),
      frontend = "acl words path -u 8001 -m str\n    acl mapped path,map(DIR/values.map) -m found",
      files = { ["values.map"] = "" },
    })
    values = s.dir .. "/values.map"
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    s.target:acl_clear("#8001")
    s.target:map_clear(values)
  end)

  local function master()
    return running.lines(s.dir .. "/haproxy.pid")[1]
  end

  --- Clock ticks that a process has used.
  local function ticks(pid)
    local user, system = running.content(("/proc/%s/stat"):format(pid)):match("^.*%) %a" .. (" %-?%d+"):rep(10) .. " (%d+) (%d+)")
    return tonumber(user) + tonumber(system)
  end

  local function check_quiet(pid, about)
    running.eventually(about .. ": it is at rest", function()
      local before = ticks(pid)
      task.sleep(0.2)
      return ticks(pid) - before <= 1
    end)
  end

  --- Call `fn` while these processes are stopped.
  local function while_stopped(pids, fn)
    for _, pid in ipairs(pids) do
      s:signal("STOP", pid)
    end
    local ok, problem = pcall(fn)
    for _, pid in ipairs(pids) do
      s:signal("CONT", pid)
    end
    assert(ok, problem)
  end

  --- HAProxy must have got whole requests: none, or the one that was to be sent.
  local function check_content(about)
    for _, pattern in ipairs(s.target:acl_list("#8001")) do
      assert.is_true(pattern == LONG or pattern:find("^/a/path/%d+$") ~= nil, about .. pattern:sub(1, 80))
    end
    for _, entry in ipairs(s.target:map_list(values)) do
      assert.equal("key", entry.key, about)
      assert.is_true(entry.value == "value" or entry.value == LONG, about .. entry.value:sub(1, 80))
    end
  end

  local ways = {
    ["its own socket"] = function() return { "-s", s.socket } end,
    ["TCP"] = function() return { "-s", "127.0.0.1:" .. port } end,
    ["the master CLI"] = function() return { "-s", s.master, "--via", "@1" } end,
  }

  --- The words of haplua for a way and a request.
  local function words(way, chunk, ...)
    local all = { ... }
    for _, list in ipairs({ way, { "-e", chunk, values } }) do
      table.move(list, 1, #list, #all + 1, all)
    end
    return all
  end

  for way, address in pairs(ways) do
    for name, chunk in pairs(requests) do
      it(("%s, over %s"):format(name, way), function()
        local worker = s.target:info().Pid
        local about = name .. ", " .. way
        while_stopped({ worker, master() }, function()
          for _ = 1, times(way, TIMES) do
            local ran = support.haplua(words(address(), chunk, "-t", "0.05"))
            assert.equal(3, ran.status, ran.out .. ran.err)
          end
        end)
        for _ = 1, TIMES do
          assert.equal(worker, s.target:info().Pid, about)
        end
        check_quiet(worker, about)
        check_quiet(master(), about)
        check_content(about)
        local ran = support.haplua(words(address(), chunk, "-t", tostring(site.ANSWER_SECONDS)))
        assert.same({ 0, "" }, { ran.status, ran.err }, about)
      end)

      it(("%s, over %s, by haplua's death"):format(name, way), function()
        local worker = s.target:info().Pid
        while_stopped({ worker, master() }, function()
          for _ = 1, times(way, 3) do
            local ran = { "timeout", "-s", "KILL", "0.1", support.program()[1] }
            table.move(words(address(), chunk), 1, 5 + #address() - 2, #ran + 1, ran)
            ran.stdout, ran.stderr = "null", "null"
            assert.equal(137, (run(ran)))
          end
        end)
        assert.equal(worker, s.target:info().Pid)
        check_quiet(worker, name)
        check_quiet(master(), name)
        check_content(name)
      end)
    end
  end
end)
