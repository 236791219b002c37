-- SPDX-License-Identifier: MIT
--
--- prove.lua - run every suite, also those that take hours, and write docs/proof.md: what was tried, how often, when.
-- Usage: lua5.4 tests/prove.lua [STEP...], in the top folder; with names only these steps. `make prove STEPS='...'` calls
-- it. The page is written after each step, so what has run counts when somebody ends it; the rows of other steps stay.
-- What a step prints is in build/prove/STEP.log. Status 1 when a step has failed.

local PAGE <const> = "docs/proof.md"
local LOGS <const> = "build/prove"

-- `counts` are patterns of what a step prints, the lines of its last column; `all` takes each match, not the last one.
local LUA <const> = "lua: (%d+ passed, %d+ failed, %d+ broken, %d+ skipped)"
local TESTS <const> = "(%d+ passed, %d+ failed, %d+ skipped)"

local steps = {
  { name = "unit", what = "codecs, clock, tasks, requests: unit tests in C", make = "check-unit",
    counts = { "unit: ([^\n]*)" } },
  { name = "lua", what = "host and library, against a scripted HAProxy", make = "check-lua JOBS=2", counts = { LUA } },
  { name = "versions", what = "the same policies on a real HAProxy 2.2, 2.6, 3.0 and 3.2", make = "check-versions",
    counts = { "HAProxy (%d%.%d): %d+ s", LUA }, all = true },
  { name = "kill", what = "haplua is killed at each system call of a change", make = "check-kill",
    counts = { ": (%d+) kills" }, sum = "%d kills" },
  { name = "faults", what = "a fault at each byte of each conversation (docs/faults.md)", make = "faults",
    counts = { "faults: (%d+ distinct[^\n]*)" } },
  { name = "laws", what = "10,000 random histories of maintenances against a model of a page", make = "laws N=10000",
    counts = { TESTS } },
  { name = "laws-real", what = "300 random histories on a real HAProxy, with reloads and kills",
    make = "check-real TESTS=tests/real/laws_test.lua TEST_SECONDS=7200", env = "N=300", counts = { LUA } },
  { name = "windows", what = "windows and calendars against Python's zoneinfo and dateutil",
    make = "check-windows QUESTIONS=20000", counts = { "oracle: ([^\n]*)" } },
  { name = "page", what = "the maintenance page in headless Chromium", make = "check-page", counts = { LUA } },
  { name = "rules", what = "1,500 random frontends: the reader of the configuration against HAProxy",
    make = "check-real TESTS=tests/real/rules_test.lua TEST_SECONDS=7200", env = "RANDOM_FRONTENDS=1500",
    counts = { LUA } },
  { name = "stalls", what = "all tests on a machine that stalls at random moments", make = "check-stalls",
    counts = { LUA }, all = true },
  { name = "asan", what = "all tests under AddressSanitizer, UBSan and LeakSanitizer", make = "asan REAL=1 JOBS=2",
    counts = { LUA }, all = true },
  { name = "gc", what = "a collection at each allocation; the generational collector", make = "gc JOBS=2",
    counts = { LUA }, all = true },
  { name = "valgrind", what = "unit tests and check-lua under valgrind", make = "valgrind JOBS=2", counts = { LUA } },
  { name = "oom", what = "each allocation fails in turn", make = "oom JOBS=2",
    counts = { "(%d+) allocations" }, sum = "%d allocations" },
  { name = "histories", what = "100,000 random programs under the sanitizers", make = "histories N=100000 JOBS=2",
    counts = { "histories: (%d+ from seed %d+ on, in %d+ s; %d+ sorts of findings)" } },
  { name = "fuzz", what = "each fuzzer for 10 minutes", make = "fuzz SECONDS=600 JOBS=2",
    counts = { "stat::number_of_executed_units: (%d+)" }, sum = "%d inputs" },
  { name = "fleet", what = "what speaks with etcd, and a fleet, on real members of three versions: killed, frozen, cut off",
    make = "check-fleet-versions", counts = { LUA }, all = true },
  { name = "book", what = "docs/fleet-setup.md, command by command: etcd, certificates, rights, nodes, backup, restore",
    make = "check-book", counts = { "(%d+ commands run)" } },
  { name = "fleet-long", what = "200 nodes, HAProxys of four versions, three members of etcd: 10 minutes of faults",
    make = "check-fleet-long NODES=200 MINUTES=10", counts = { "fleet%-long: ([^\n]*)" } },
  { name = "fleet-laws", what = "1,000 random histories of a fleet, with faults of nodes and of etcd",
    make = "fleet-laws N=1000", counts = { TESTS } },
  { name = "fleet-days", what = "200 random days of a fleet of 40 nodes, with faults of nodes and of etcd",
    make = "fleet-laws DAY=1 NODES=40 N=200", counts = { TESTS } },
  { name = "metrics", what = "keep's metrics and the alerts, by promtool", make = "check-metrics", counts = { LUA } },
  { name = "documents", what = "the documents' commands on a bare Debian 12 and 13, from the clone on", make = "check-bare",
    counts = {} },
  { name = "packages", what = "the packages built, installed, removed and purged in a bare Debian 12 and 13",
    make = "check-deb", counts = {} },
  { name = "systemd", what = "the service under systemd as process 1, in a container", make = "check-systemd", counts = {} },
  { name = "mutate", what = "the code is broken in one place after the other", make = "mutate",
    counts = { "mutate: ([^\n]*)" } },
}

local HEAD <const> = [[
# What was proved

`make prove` runs every suite and writes this page; `make prove STEPS='laws faults'` runs these alone. A row says what
was tried, on which commit, when, how long it took on that machine, and how it ended.

| step | what | command | commit | date | took | outcome |
| --- | --- | --- | --- | --- | --- | --- |
]]

local output_of = dofile("tests/output_of.lua")

local function read(path)
  local f = io.open(path)
  local text = f and f:read("a") or ""
  if f then
    f:close()
  end
  return text
end

--- The rows of the page, by the name of their step.
local function rows_of_page()
  local rows = {}
  for row in read(PAGE):gmatch("[^\n]+") do
    local name = row:match("^| `([%w-]+)` |")
    if name then
      rows[name] = row
    end
  end
  return rows
end

local function write_page(rows)
  local f <close> = assert(io.open(PAGE, "w"))
  f:write(HEAD)
  for _, step in ipairs(steps) do
    f:write(rows[step.name] or ("| `%s` | %s | | | | | not run yet |"):format(step.name, step.what), "\n")
  end
end

--- What a step has counted, from what it printed.
local function counted(step, text)
  local found, total = {}, 0
  for _, pattern in ipairs(step.counts) do
    local last
    for match in text:gmatch(pattern) do
      found[#found + 1] = step.all and match or nil
      last, total = match, total + (tonumber(match) or 0)
    end
    found[#found + 1] = not step.all and not step.sum and last or nil
  end
  return step.sum and step.sum:format(total) or table.concat(found, "; ")
end

local function duration(seconds)
  return seconds < 120 and ("%d s"):format(seconds) or ("%d min"):format((seconds + 30) // 60)
end

--- Run a step. Returns its row, and whether it passed.
local function run(step, commit)
  local log = ("%s/%s.log"):format(LOGS, step.name)
  local command = (step.env and step.env .. " " or "") .. "make " .. step.make
  print(("prove: %s: %s"):format(step.name, command))
  local began = os.time()
  local ok, why, status = os.execute(("%s </dev/null >%s 2>&1"):format(command, log))
  if why == "signal" or status == 130 then
    os.exit(130)
  end
  local count = counted(step, read(log))
  local outcome = (ok and "passed" or "**FAILED**") .. (count ~= "" and ": " .. count or "")
  print(("prove: %s: %s (%s)"):format(step.name, outcome, duration(os.time() - began)))
  return ("| `%s` | %s | `%s` | %s | %s | %s | %s |"):format(step.name, step.what, command, commit,
    os.date("!%Y-%m-%d", began), duration(os.time() - began), outcome), ok
end

local function chosen()
  local found = {}
  for _, name in ipairs(arg) do
    local known
    for _, step in ipairs(steps) do
      known = known or step.name == name and step
    end
    found[#found + 1] = known or error(("prove.lua: there is no step '%s'"):format(name), 0)
  end
  return #found > 0 and found or steps
end

local good = true
-- the page itself is no change of the code
local commit = output_of("git describe --always"):match("%S*")
  .. (output_of("git status --porcelain -- . ':!docs/proof.md'") ~= "" and "-dirty" or "")
os.execute("mkdir -p " .. LOGS)
for _, step in ipairs(chosen()) do
  local row, ok = run(step, commit)
  local rows = rows_of_page()
  rows[step.name], good = row, good and ok
  write_page(rows)
end
os.exit(good)
