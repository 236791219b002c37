-- SPDX-License-Identifier: MIT
--
--- run.lua - play random histories in many processes, make small what fails, print it.
-- Usage: lua5.4 run.lua HAPLUA FAKE, in the top folder. Environment: N histories (20000) from SEED (1) on, JOBS at a time
-- (2); RUNNER stands before haplua (valgrind ...); KEEP is how many sorts of findings to look for (5); HISTORY_LIMIT
-- seconds for a hundred histories. `run.lua HAPLUA FAKE FILE...` plays these programs, in virtual and in real time.
--
-- A seed tells all: the program, the sort of time, the checker's settings. Findings of one sort, such as a crash in one
-- function, are printed once. Status 1 when there are any.

package.path = (arg[0]:match("^(.*)/") or ".") .. "/?.lua;" .. package.path

local generate = require("generate")
local program = require("program")

local haplua, fake = arg[1], arg[2]
local here = arg[0]:match("^(.*)/") or "."
local folder = ("%s/haplua-histories.%d.%d"):format(os.getenv("TMPDIR") or "/dev/shm", os.time(), os.clock() * 1e6 // 1)
local limit = os.getenv("HISTORY_LIMIT") or (os.getenv("RUNNER") and "3000" or "300")

-- Histories of one process.
local CHUNK = 100

--- How the histories of a seed's chunk are played: in virtual time, in real time, as scripts that are stopped or killed
-- in virtual time ("runs"), or each in a process of its own ("alone").
local function kind_of(seed)
  local chunk = seed // CHUNK
  return chunk % 8 == 7 and "real" or chunk % 16 == 5 and "runs" or chunk % 32 == 9 and "alone" or "virtual"
end

--- For a third of the chunks memory that is freed is used again at once, as without a checker.
local function checker_options(seed)
  return seed // CHUNK % 3 == 2 and "quarantine_size_mb=0:thread_local_quarantine_size_kb=0" or ""
end

local function read(path)
  local f = io.open(path)
  local text = f and f:read("a") or ""
  if f then
    f:close()
  end
  return text
end

local function write(path, text)
  local f = assert(io.open(path, "w"))
  f:write(text)
  f:close()
end

---@class history.Finding
---@field name string  of the history: its seed, or the path of its file
---@field sort string  what tells it from other findings
---@field text string  what the process or the judge said

--- The first function of src/ in a report of a checker.
local function place_in(report)
  for line in report:gmatch("[^\n]+") do
    local where = line:match("^%s*#%d+ %S+ in (%S+) src/") or line:match("^==%d+==%s+%a+ %S+: (%S+) %(")
      or line:match("^(src/%S+:%d+):%d+: runtime error")
    if where then
      return where
    end
  end
  -- the shrinking runs have no names, only addresses in the program
  local addresses = {}
  for address in report:gmatch("#%d+ %S+%s+%(%S+(%+%S+)%)") do
    addresses[#addresses + 1] = address
  end
  return table.concat(addresses, " ", 1, math.min(3, #addresses))
end

--- What a process that has ended found, or nil.
---@return history.Finding?
local function finding_of(log, output, status)
  local name, complaint, ended
  for line in log:gmatch("[^\n]+") do
    complaint = complaint or line:match("^bad: (.*)")
    ended = line == "end"
    if not ended and not line:find("^bad: ") then
      name = line
    end
  end
  if not name then
    error("the player does not start:\n" .. output, 0)
  elseif complaint then
    local sort = complaint:gsub("0x%x+", "N"):gsub("%d[%d.]*", "N")
    return { name = name, sort = sort, text = complaint }
  elseif status == 137 and not ended then
    return { name = name, sort = "it does not end", text = "it does not end" }
  elseif status ~= 0 or not ended then
    local what = output:match("ERROR: AddressSanitizer: (%S+)") or output:match("runtime error: ([^\n]+)")
      or output:match("ERROR: (LeakSanitizer)") or output:match("==%d+== (%u[^\n]+)") or "status " .. tostring(status)
    what = what:gsub("0x%x+", "N")
    return {
      name = name, sort = ("%s in %s%s"):format(what, place_in(output), ended and ", at the end" or ""),
      text = output, at_end = ended,
    }
  end
end

---@class history.Process  one that plays histories
local Process = {}
Process.__index = Process

--- Start one. `words` go behind the command; `environment` is a table of variables.
local function start(slot, kind, environment, words, seconds)
  local own = ("%s/%d"):format(folder, slot)
  os.execute(("rm -rf %s; mkdir -p %s"):format(own, own))
  local parts = { "HISTORY_LOG=" .. own .. "/log", "HISTORY_LIMIT=" .. (seconds or limit) }
  for name, value in pairs(environment) do
    parts[#parts + 1] = ("%s='%s'"):format(name, value)
  end
  table.sort(parts)
  local command = ("%s exec sh %s/play.sh %s %s %s %s %s >%s/out 2>&1"):format(
    table.concat(parts, " "), here, haplua, fake, own, kind, words or "", own)
  return setmetatable({ folder = own, pipe = assert(io.popen(command)) }, Process)
end

--- Wait for its end.
---@return history.Finding?
function Process:wait()
  local _, why, status = self.pipe:close()
  return finding_of(read(self.folder .. "/log"), read(self.folder .. "/out"), why == "signal" and 128 + status or status)
end

--- The first line of a history that is a script of its own: a comment that play.sh reads, and what the player gives.
local function script_head(seed)
  return ("local folder = os.getenv(\"HISTORY_FOLDER\") -- SIGTERM after 0.%03d s\n"):format(
    ({ 5, 20, 100, 400 })[seed % 4 + 1])
end

local function history_of(seed)
  local kind = kind_of(seed)
  local history = generate.history(seed, kind == "virtual" and "virtual" or kind == "runs" and "virtual" or "real",
    kind == "alone")
  history.kind = kind
  return history
end

local function text_of(history)
  return (history.kind == "alone" and script_head(history.seed) or "") .. history:text()
end

--- Start a process for the seeds from `first` to `last`, which are of one chunk.
local function start_seeds(slot, first, last)
  local kind = kind_of(first)
  local environment = { HISTORY_SEEDS = ("%d %d"):format(first, last), ASAN_OPTIONS = checker_options(first) }
  local files = {}
  for seed = first, kind == "alone" and last or first - 1 do
    files[#files + 1] = ("%s/%d.lua"):format(folder, seed)
    write(files[#files], text_of(history_of(seed)))
  end
  return start(slot, kind, environment, table.concat(files, " "))
end

-- Making small.

--- Play histories as they are now, and say what is found.
---@return history.Finding?
local function play(histories, quiet)
  local files = {}
  for i, history in ipairs(histories) do
    files[i] = ("%s/shrink-%d-%d.lua"):format(folder, history.seed, i)
    write(files[i], text_of(history))
  end
  local list = table.concat(files, " ")
  local kind = histories[1].kind
  return start(0, kind, {
    HISTORY_FILES = list, ASAN_OPTIONS = checker_options(histories[1].seed) .. (quiet and ":symbolize=0" or ""),
  }, kind == "alone" and list or "", quiet and limit // 15):wait()
end

--- Does it fail in that way? What depends on time has three trials.
local function fails_as(histories, sort)
  for _ = 1, (histories[1].kind == "real" or histories[1].kind == "alone") and 3 or 1 do
    local finding = play(histories, true)
    if finding and finding.sort == sort then
      return true
    end
  end
  return false
end

--- Make histories small that fail together, in place. Returns the finding of what is left, or nil: it did not fail
-- again.
local function shrink(histories)
  local first = play(histories, true)
  if not first then
    return nil
  end
  program.thin(histories, function()
    return #histories > 0 and fails_as(histories, first.sort)
  end)
  for _, history in ipairs(histories) do
    program.shrink(history.program, function()
      return fails_as(histories, first.sort)
    end)
  end
  return play(histories) or first
end

--- The histories that fail as `finding` did: its own, or all from the start of its process on.
local function failing(finding, first)
  local seed = math.tointeger(tonumber(finding.name:match("(%d+)%.lua$") or finding.name))
  local alone = { history_of(seed) }
  for _ = 1, finding.at_end and 0 or 3 do
    if play(alone, true) then
      return alone
    end
  end
  local all = {}
  for before = first, seed do
    all[#all + 1] = history_of(before)
  end
  return all
end

--- Print a finding, made small.
local function report(finding, first)
  print(("\n== %s\n   first in the history of seed %s"):format(finding.sort, finding.name:match("(%d+)%.lua$") or finding.name))
  io.stdout:flush()
  local histories = failing(finding, first)
  local left = shrink(histories)
  if not left then
    print("   it did not fail again; what it said:\n" .. finding.text)
    return
  end
  local said = {}
  for line in left.text:gmatch("[^\n]+") do
    said[#said + 1] = #said < 16 and "   " .. line or nil
  end
  print(table.concat(said, "\n"))
  for _, history in ipairs(histories) do
    print(("-- seed %d, %s"):format(history.seed, history.kind))
    io.stdout:write(text_of(history))
  end
  io.stdout:flush()
end

-- Everything.

--- Play seeds from `first` to `last` in a number of processes at a time; call back for each finding, with the first seed
-- of its process. Until `enough` says so.
local function play_seeds(first, last, jobs, found, enough)
  local rest = {}
  local next_seed = first
  local function next_range()
    if #rest > 0 then
      return table.unpack(table.remove(rest))
    elseif next_seed <= last then
      local from = next_seed
      next_seed = math.min((from // CHUNK + 1) * CHUNK, last + 1)
      return from, next_seed - 1
    end
  end
  while not enough() do
    local running = {}
    for slot = 1, jobs do
      local from, to = next_range()
      if from then
        running[#running + 1] = { from, to, start_seeds(slot, from, to) }
      end
    end
    if #running == 0 then
      break
    end
    for _, one in ipairs(running) do
      local from, to, process = table.unpack(one)
      local finding = process:wait()
      if finding then
        found(finding, from)
        local seed = tonumber(finding.name:match("(%d+)%.lua$") or finding.name)
        if seed and seed < to and not finding.at_end then
          rest[#rest + 1] = { math.tointeger(seed) + 1, to }
        end
      end
    end
  end
  return next_seed - first
end

local function number(name, default)
  return math.tointeger(tonumber(os.getenv(name) or "")) or default
end

--- Play random histories. Returns whether nothing was found.
local function play_random()
  local n, seed, keep = number("N", 20000), number("SEED", 1), number("KEEP", 5)
  local sorts, order = {}, {}
  local began = os.time()
  local played = play_seeds(seed, seed + n - 1, number("JOBS", 2), function(finding, first)
    local known = sorts[finding.sort]
    sorts[finding.sort] = (known or 0) + 1
    if not known then
      order[#order + 1] = finding.sort
      report(finding, first)
    end
  end, function()
    return #order >= keep
  end)
  print(("histories: %d from seed %d on, in %d s; %d sorts of findings"):format(
    played, seed, os.time() - began, #order))
  for _, sort in ipairs(order) do
    print(("  %6d times: %s"):format(sorts[sort], sort))
  end
  return #order == 0
end

--- Play programs of somebody's own. Returns whether nothing was found.
local function play_files()
  local good = true
  for i = 3, #arg do
    for _, kind in ipairs({ "virtual", "real" }) do
      local finding = start(0, kind, { HISTORY_FILES = arg[i] }):wait()
      print(("%s, %s: %s"):format(arg[i], kind, finding and finding.sort .. "\n" .. finding.text or "nothing is found"))
      good = good and not finding
    end
  end
  return good
end

os.execute("mkdir -p -m 700 " .. folder)
local ok, result = pcall(arg[3] and play_files or play_random)
os.execute("rm -rf " .. folder)
if not ok then
  error(result, 0)
end
os.exit(result)
