-- SPDX-License-Identifier: MIT
--
--- haplua as a process that a test watches, signals, and waits for, while it runs on a site.

local support = require("support")

local M = {}

local LIMIT_SECONDS = 60

--- Wait until `probe` returns a true value, and return it.
---@param what string  for the failure's text
---@param seconds number?  the longest wait; 60 unless given
function M.eventually(what, probe, seconds)
  local latest = task.now() + (seconds or LIMIT_SECONDS)
  local found = probe()
  while not found do
    if task.now() > latest then
      error("after a long time still not so: " .. what, 2)
    end
    task.sleep(0.01)
    found = probe()
  end
  return found
end

--- The content of a file; "" where it is missing.
function M.content(path)
  local f <close> = io.open(path, "rb")
  return f and f:read("a") or ""
end

--- The lines of a file, as a list.
function M.lines(path)
  local lines = {}
  for line in M.content(path):gmatch("([^\n]*)\n") do
    lines[#lines + 1] = line
  end
  return lines
end

--- True if there is a process of this PID that is no zombie.
function M.is_alive(pid)
  local state = M.content(("/proc/%s/stat"):format(pid)):match("%) (%a)")
  return state ~= nil and state ~= "Z"
end

--- Start a program that outlives the task and the test. What it writes is appended to a file.
---@param log string
---@param words string[]
---@return string pid
function M.daemon(log, words)
  local _, pid = run({ "sh", "-c", '"$@" </dev/null >>"$0" 2>&1 & echo $!', log, stdout = "capture", table.unpack(words) })
  return pid:match("%d+")
end

--- Kill processes, and wait until they are gone.
---@param pids string[]
function M.kill(pids)
  if #pids > 0 then
    run({ "kill", "-KILL", stderr = "null", table.unpack(pids) })
  end
  for _, pid in ipairs(pids) do
    M.eventually("process " .. pid .. " ends", function()
      return not M.is_alive(pid)
    end)
  end
end

local Running = {}
Running.__index = Running

--- What it has written so far on standard output, and on standard error.
function Running:out()
  return M.content(self.path .. ".out")
end

function Running:err()
  return M.content(self.path .. ".err")
end

--- Send the process a signal, unless it has just ended. Call this only once the process has done something: before that it
-- may still be the shell that starts it.
function Running:signal(name)
  run({ "sh", "-c", 'kill -"$1" "$2"', "sh", name, M.lines(self.path .. ".pid")[1], stderr = "null" })
end

function Running:done()
  return self.task:done()
end

--- Wait for its end.
---@return {status: integer, out: string, err: string}
function Running:wait()
  return { status = self.task:wait().status, out = self:out(), err = self:err() }
end

local started = 0

--- Start haplua with these words on a site; what it writes goes to files in the site's folder.
function M.start(s, ...)
  started = started + 1
  local running = setmetatable({ path = ("%s/running%d"):format(s.dir, started) }, Running)
  local command = 'echo $$ >"FILE.pid"; exec "$@" >"FILE.out" 2>"FILE.err"'
  running.task = task.spawn(support.shell, (command:gsub("FILE", running.path)), ...)
  return running
end

--- scripts/keep.lua with the site's journal and configuration, running until the end of the block.
function M.keep(s, ...)
  local r = M.start(s, "-s", s.socket, "scripts/keep.lua", "--journal", s.journal, "--config", s.config, ...)
  M.eventually("it keeps", function()
    if r:done() then
      error(r:err(), 0)
    end
    return r:out():find("kept to", 1, true)
  end)
  return setmetatable({ r = r }, {
    __index = r,
    __close = function()
      r:signal("TERM")
      local ended = r:wait()
      assert(ended.status == 143, ended.err)
    end,
  })
end

return M
