-- SPDX-License-Identifier: MIT
--
-- Calls while HAProxy reloads: the old or the new process answers each of them.

local running = require("running")
local site = require("site")

--- Has the master's restart broken off the call?
local function broken_off(problem)
  return problem.kind == "unreachable" or problem.kind == "protocol"
end

describe("a reload", function()
  it("empties the list, and haplua reports that", function()
    local s <close> = site.start()
    assert(s:maint("on").status == 0)
    s:reload()
    assert.equal("maintenance is off: #9999 matches nothing\n", s:maint("status").out)
    assert.equal("application", s:sees("/"))
    assert.matches("^maintenance is on: ", s:maint("on").out)
    assert.equal("page", s:sees("/"))
  end)

  -- The master executes itself again at a reload, and its connections break: those calls must fail. The new process
  -- inherits HAProxy's own socket.
  for _, way in ipairs({ "own", "master" }) do
    it(("loses no call, through the %s socket"):format(way), function()
      local s <close> = site.start({ threads = 1 })
      local t = way == "own" and s.target or haproxy.connect(s.master, { via = "@1", timeout = site.ANSWER_SECONDS })
      local calls, written, broken, over = 0, 0, 0, false

      local function caller(name, call)
        return task.spawn(function()
          local n = 0
          while not over do
            n = n + 1
            local ok, problem = pcall(call, n)
            if ok then
              calls = calls + 1
            elseif way == "master" and broken_off(problem) then
              broken = broken + 1
            else
              error(("%s, call %d: %s"):format(name, n, tostring(problem)), 0)
            end
          end
        end)
      end

      local callers = {
        caller("reads", function()
          assert(t:info().Pid > 0 and #t:servers() >= 2)
        end),
        caller("writes", function(n)
          t:acl_replace("#9999", { "^/shop", n % 2 == 0 and "^/a" or "^/b" })
          written = written + 1
        end),
        caller("processes", function()
          local ran = s:haplua({ "scripts/maint.lua", "status", socket = s.socket })
          if ran.status ~= 0 then
            error(ran.err, 0)
          end
        end),
      }
      for _ = 1, 10 do
        s:reload()
        -- a call that meets several reloads fails
        local before = written
        running.eventually("a call has written", function()
          return written > before or callers[2]:done()
        end)
      end
      over = true
      for _, one in ipairs(callers) do
        one:wait()
      end
      print(("reload: %s socket: %d calls during 10 reloads, %d broken off"):format(way, calls, broken))
      assert(s:maint("on", "--replace").status == 0)
      assert.same({ "^.*$" }, s.target:acl_list("#9999"))
      assert.equal("page", s:sees("/"))
    end)
  end
end)
