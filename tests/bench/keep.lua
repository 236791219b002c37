-- SPDX-License-Identifier: MIT
--
-- keep.lua - how soon maintenance is back after a reload, without a file, and what a keeper costs that has nothing
-- to do. Prints the rows of a table. Usage: BUILD=build ./haplua tests/bench/keep.lua [RELOADS]

package.path = "tests/lua/?.lua;tests/real/?.lua;" .. package.path

local site = require("site")
local support = require("support")

local RELOADS = tonumber(arg[1]) or 20
local LEAK = (os.getenv("BUILD") or "build") .. "/leak"

local function read(path)
  local f <close> = io.open(path)
  return f and f:read("a") or ""
end

--- Start the keeper of a socket; returns its task and PID.
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

--- The milliseconds from the new process's first answer until maintenance is back, for each reload.
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
    news.wait()
    task.sleep(math.random() * 0.5)
  end
  assert(not leak:done())
  table.sort(found)
  return found
end

local function row(what, found)
  print(("| %s | %d | %.0f ms | %.0f ms | %.0f ms |"):format(what, #found, found[1], found[(#found + 1) // 2], found[#found]))
end

--- Processor seconds that a process has used.
local function processor(pid)
  local user, system = read(("/proc/%s/stat"):format(pid)):match("%) " .. ("%S+ "):rep(11) .. "(%d+) (%d+)")
  return (user + system) / 100
end

local s <close> = site.start({ threads = 1, more = "" })
s.journal = s.dir .. "/journal.db"
run({ "mkfifo", s.dir .. "/hold" })
local holder <close> = task.spawn(run, { "sh", "-c", 'exec sleep 100000 > "$1"', "sh", s.dir .. "/hold" })
assert(s:maint("on", "^/shop").status == 0)

print("| reloads without a file | reloads | least | median | most |")
print("| --- | ---: | ---: | ---: | ---: |")
do
  local keeper <close>, pid = keep(s, s.socket)
  row("`keep`, the configuration watched (bar: median 50 ms)", windows(s))
  task.sleep(35) -- until it is at rest
  local before, began = processor(pid), task.now()
  task.sleep(60)
  local share = (processor(pid) - before) / (task.now() - began)
  local rss = read(("/proc/%s/status"):format(pid)):match("VmRSS:%s*(%d+)")
  io.stderr:write(("keep at rest: %.3f %% of a core over 60 s, %.1f MB resident\n"):format(share * 100, rss / 1024))
  print()
  print(("A keeper that has nothing to do: %.2f %% of a core over 60 s (bar 0.1), %.1f MB resident (bar 6)."):format(
    share * 100, rss / 1024))
  assert(not keeper:done())
end
print(holder:done() and "" or "")
