-- SPDX-License-Identifier: MIT
--
--- Locks of a journal: locks on bytes of PATH.lock, which end with their process.
-- A process that changes a switch holds the switch's lock; the resident policy holds the keeper's lock of its target
-- as long as it runs.

local core = require("haplua.core")
local file = require("haplua.file")
local task = require("haplua.task")

local M = {}

--- The byte of the lock file that stands for a name: FNV-1a, in 62 bits.
local function slot(...)
  local hash = 0xcbf29ce484222325
  for byte in table.concat({ ... }, "\0"):gmatch(".") do
    hash = (hash ~ byte:byte()) * 0x100000001b3
  end
  return hash & 0x3fffffffffffffff
end

local function try(path, at)
  local lock, problem, code = file.lock(path, at)
  if not lock and code ~= "BUSY" then
    require("haplua.error").raise("journal", problem)
  end
  return lock
end

--- Take the lock of a name once.
---@param path string  of the lock file
---@param ... string  the name's parts
---@return any? lock  nil: another process holds it. Raises `journal`
function M.try(path, ...)
  return try(path, slot(...))
end

-- By path: the turns of tasks that ask for a lock at the same time.
local groups = {}

local Turn = {}

--- The task has its lock, or has given up: it is the next one's turn.
function Turn:__close()
  self.over = true
  if self.lock then
    self.lock:release()
  end
end

--- Ask for a turn.
local function new_turn(path, at)
  local turn = setmetatable({ at = at, group = groups[path] or {} }, Turn)
  table.insert(turn.group, turn)
  groups[path] = turn.group
  return turn
end

--- Take the locks of a group, up to the first one that another process holds.
local function take_all(path, group)
  table.sort(group, function(a, b)
    return a.at < b.at
  end)
  for _, turn in ipairs(group) do
    if not turn.over then
      turn.lock = try(path, turn.at)
      if not turn.lock then
        return
      end
      turn.over = true
    end
  end
end

--- Wait for a turn. The run of each target holds its lock until all of them have theirs: two processes with the same
-- targets in another order would wait for each other. So all processes take their locks in the order of the bytes.
---@return any? lock  where it was free
local function await_turn(path, turn)
  task.sleep(0) -- the other targets' tasks ask meanwhile
  if groups[path] == turn.group then
    groups[path] = nil
    take_all(path, turn.group)
  end
  for _, other in ipairs(not turn.lock and turn.group or {}) do
    while other.at < turn.at and not other.over do
      task.sleep(0.002)
    end
  end
  local lock = turn.lock
  turn.lock = nil
  return lock
end

--- Take the lock of a name; wait while another process holds it.
---@param timeout number  seconds
---@return any? lock  nil: another process has held it all the time
function M.take(path, timeout, ...)
  local turn <close> = core.several() and new_turn(path, slot(...)) or nil
  local lock = turn and await_turn(path, turn)
  local latest, pause = task.now() + timeout, 0.002
  while not lock do
    lock = M.try(path, ...)
    if lock or task.now() > latest then
      break
    end
    task.sleep(pause)
    pause = math.min(pause * 1.5, 0.1)
  end
  return lock
end

--- Does a process hold the lock of a name?
---@return boolean
function M.held(path, ...)
  return file.locked(path, slot(...)) == true
end

return M
