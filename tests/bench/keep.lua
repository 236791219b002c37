-- SPDX-License-Identifier: MIT
--
-- keep.lua - measure how soon `keep` restores maintenance after a reload, for an ACL without a file, and what it costs
-- while it has nothing to do. Prints the rows of a table.
-- Usage: BUILD=build ./haplua tests/bench/keep.lua [RELOADS]

package.path = "tests/lua/?.lua;tests/real/?.lua;" .. package.path

local site = require("site")
local support = require("support")

local RELOADS = tonumber(arg[1]) or 20
local REST_SECONDS = 60
local LEAK = (os.getenv("BUILD") or "build") .. "/leak"

local function read(path)
  local f <close> = io.open(path)
  return f and f:read("a") or ""
end

--- Start `keep` for a socket, and wait until it is ready.
---@return haplua.Task keeper, string pid
local function keep(s, socket)
  local ready = support.event()
  local words = {
    "sh", "-c", 'echo $$; exec "$@"', "sh", support.program()[1], "-s", socket, "scripts/keep.lua",
    env = { HAPLUA_JOURNAL = s.journal, HAPLUA_CONFIG = "none" },
  }
  local pid
  function words.stdout(line)
    pid = pid or line
    if line:find("kept to", 1, true) then
      ready.set(true)
    end
  end
  local keeper = task.spawn(run, words)
  ready.wait()
  return keeper, pid
end

-- Seconds that leak.c waits after the last answer of the application, and the longest from a reload to that answer.
local QUIET, LONGEST = 0.5, 4

--- For each reload, the milliseconds from the new process's first answer until maintenance is back; 0 if no request
-- reached the application.
local function windows(s)
  local found, news = {}, nil
  local ready = support.event()
  local leak <close> = task.spawn(run, {
    "sh", "-c", 'exec "$@" < "$0"', s.dir .. "/hold", LEAK, tostring(s.port), "/shop",
    stdout = function(line)
      if line == "ready" then
        ready.set(true)
      else
        found[#found + 1] = tonumber(line:match("^[%d.]+"))
        news.set(true)
      end
    end,
  })
  ready.wait()
  for _ = 1, RELOADS do
    news = support.event()
    s:reload()
    local seen, problem = pcall(task.deadline, LONGEST + QUIET, news.wait)
    if not seen then
      assert(problem.kind == "timeout" and s.target:acl_list("#9999")[1] == "^/shop")
      found[#found + 1] = 0
    end
    task.sleep(math.random() * 0.5)
  end
  assert(not leak:done())
  table.sort(found)
  return found
end

local function row(what, found)
  print(("| %s | %d | %.0f ms | %.0f ms | %.0f ms |"):format(what, #found, found[1], found[(#found + 1) // 2], found[#found]))
end

--- The processor time of a process, in seconds.
local function processor(pid)
  local user, system = read(("/proc/%s/stat"):format(pid)):match("%) " .. ("%S+ "):rep(11) .. "(%d+) (%d+)")
  return (user + system) / 100
end

local tcp = ("127.0.0.1:%d"):format(site.free_port())
local s <close> = site.start({ threads = 1, global = ("stats socket ipv4@%s level admin"):format(tcp) })
s.journal = s.dir .. "/journal.db"
run({ "mkfifo", s.dir .. "/hold" })
local holder <close> = task.spawn(run, { "sh", "-c", 'exec sleep 100000 > "$1"', "sh", s.dir .. "/hold" })
assert(s:maint("on", "^/shop").status == 0)

print("| reloads without a file | reloads | least | median | most |")
print("| --- | ---: | ---: | ---: | ---: |")
do
  -- over TCP keep does not watch the configuration: it may be another machine's
  local keeper <close> = keep(s, tcp)
  assert(s:haplua({ "scripts/maint.lua", "on", "^/shop", socket = tcp }).status == 0)
  row("`keep` over TCP: nothing to watch, asked once a second (bar: 1,100 ms)", windows(s))
  assert(not keeper:done())
end
local idle
do
  local keeper <close>, pid = keep(s, s.socket)
  row("`keep`, the configuration watched (bar: median 50 ms)", windows(s))
  task.sleep(35) -- until keep has nothing to do
  local before, began = processor(pid), task.now()
  task.sleep(REST_SECONDS)
  idle = ("A keeper that has nothing to do: %.2f %% of a core over %d s (bar 0.1), %.1f MB resident (bar 6)."):format(
    (processor(pid) - before) / (task.now() - began) * 100, REST_SECONDS,
    read(("/proc/%s/status"):format(pid)):match("VmRSS:%s*(%d+)") / 1024)
  assert(not keeper:done() and not holder:done())
end
print("\n" .. idle)
