-- SPDX-License-Identifier: MIT
--
-- Which process is behind a socket, and which others answer visitors beside it.

local running = require("running")
local site = require("site")
local support = require("support")

local eventually = running.eventually
local HAPROXY = os.getenv("HAPROXY") or "haproxy"

--- Start HAProxy beside a site, until the task is cancelled. `before`: words in front of its command.
local function start_another(s, config, before)
  local words = table.move(before or {}, 1, #(before or {}), 1, {})
  table.move({ HAPROXY, "-db", "-f", s.folder.write("another.cfg", config) }, 1, 4, #words + 1, words)
  words.stdout, words.stderr = "null", "null"
  words.env = { PATH = os.getenv("PATH") .. ":/usr/sbin" }
  return task.spawn(run, words)
end

local function stop(started)
  started:cancel()
  pcall(started.wait, started)
end

describe("one of several processes behind a socket", function()
  it("is refused by name", function()
    if site.at_least(2, 5) then
      pending("HAProxy has no nbproc since 2.5")
      return
    end
    local s <close> = site.start({ threads = 1, global = "nbproc 2" })
    for _, words in ipairs({ { "on" }, { "off" }, { "status" }, { "on", "--server", "app/app", "--force" }, { "doctor" } }) do
      local ran = s:maint(table.unpack(words))
      assert.equal(1, ran.status, words[1])
      assert.matches("this HAProxy has 2 processes (nbproc)", ran.err .. ran.out, 1, true)
      assert.matches("nbproc 1 and nbthread 2", ran.err .. ran.out, 1, true)
    end
    assert.equal("application", s:sees("/"))
  end)
end)

describe("a process that a reload has replaced", function()
  it("is named while it serves visitors, and only then", function()
    local s <close> = site.start()
    local port = site.free_port()
    s.folder.write("haproxy.cfg", running.content(s.dir .. "/haproxy.cfg")
      .. ("listen tunnel\nmode tcp\nbind 127.0.0.1:%d\nserver s 127.0.0.1:%d\n"):format(port, s.app_port))
    s:reload()
    assert.is_nil(s:maint("status").out:find("replaced", 1, true))
    local old = s.target:info().Pid
    local tunnel = task.spawn(run, { "bash", "-c", 'exec 3<>"/dev/tcp/127.0.0.1/$1"; exec sleep 600', "bash", port })
    eventually("the connection is there", function()
      return s.target:stat("tunnel")[1].scur == 1
    end)
    s:reload()
    local ran = s:maint("status")
    if support.is_root() then
      assert.matches(("process %d, which a reload has replaced, still serves 1 connections"):format(old), ran.out, 1, true)
      ran = s:maint("doctor")
      assert.matches(("note  HAProxy        process %d, which a reload"):format(old), ran.out, 1, true)
      assert.matches("hard-stop-after", ran.out, 1, true)
    end
    stop(tunnel)
    eventually("it is gone", function()
      return not s:maint("status").out:find("replaced", 1, true)
    end)
  end)
end)

describe("another HAProxy", function()
  it("that listens at the same ports is a fault", function()
    local s <close> = site.start()
    local other = start_another(s, ("defaults\nmode http\ntimeout client 1s\nfrontend f\nbind 127.0.0.1:%d\n"):format(s.port)
      .. "http-request return status 204\n")
    eventually("it answers", function()
      return s:get("/").status == 204
    end)
    local ran = s:maint("doctor")
    assert.equal(1, ran.status)
    assert.matches("fail  HAProxy        another HAProxy, process %d+, listens at the same ports", ran.out)
    stop(other)
    eventually("it is gone", function()
      return not s:maint("doctor").out:find("another HAProxy", 1, true)
    end)
  end)

  it("in a container has files of its own, whatever number it has there", function()
    if not support.is_root() or run({ "unshare", "-mp", "--fork", "true", stderr = "null" }) ~= 0 then
      pending("namespaces need root")
      return
    end
    local s <close> = site.start()
    local port = site.free_port()
    local config = ([[
global
stats socket %s/inner.sock level admin
defaults
mode http
timeout client 1s
timeout connect 1s
timeout server 1s
frontend inside
bind 127.0.0.1:%d
acl maintenance path -i -m reg -u 9999
http-request deny deny_status 503 if maintenance
http-request return status 200
]]):format(s.dir, port)
    -- the next process of the new namespace gets the number of the site's HAProxy
    local pid = s.target:info().Pid
    local inner = start_another(s, config, { "unshare", "-mp", "--fork", "--kill-child", "--mount-proc", "sh", "-c",
      ('echo %d >/proc/sys/kernel/ns_last_pid; "$@" & wait'):format(pid - 1), "sh" })
    local target = haproxy.connect(s.dir .. "/inner.sock")
    eventually("it answers", function()
      return pcall(target.info, target)
    end)
    local ran = s:haplua({ "scripts/maint.lua", "doctor", socket = s.dir .. "/inner.sock" })
    assert.matches("frontend inside: closed", ran.out, 1, true)
    assert.is_nil(ran.out:find("frontend-http", 1, true), ran.out)
    assert.matches("frontend frontend-http: closed", s:maint("doctor").out, 1, true)
    assert.equal(pid, target:info().Pid)
    stop(inner)
  end)
end)
