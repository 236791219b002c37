-- SPDX-License-Identifier: MIT
--
--- The process that runs the hooks of changes, one after the other.

local config = require("haplua.store.config")
local file = require("haplua.file")
local json = require("haplua.json")
local moment = require("haplua.time.instant")
local record = require("haplua.hooks.record")
local run = require("run")
local start = require("haplua.hooks.start")
local task = require("haplua.task")

local M = {}

-- So many lines of a hook's standard error are kept.
local LINES <const> = 3

--- Run a hook. Where its time is over, it and what it has started get SIGTERM, and SIGKILL five seconds later.
---@param hook haplua.Hook
---@param text string  the change as JSON
---@return string? problem  nil: it ended with status 0
local function run_hook(hook, text)
  local said, status = {}, nil
  local words = table.move(hook.words, 1, #hook.words, 1, {})
  words.stdin, words.stdout, words.group = text .. "\n", "null", true
  words.env, words.cwd = { HAPLUA_HOOK = "change" }, "/"
  function words.stderr(line)
    said[#said + 1] = #said < LINES and line:sub(1, 200) or nil
  end
  local problem = record.refusal(hook)
  if problem then
    return problem
  end
  local ok, raised = pcall(task.deadline, hook.timeout, function()
    status = run(words)
  end)
  local kind = not ok and type(raised) == "table" and raised.kind
  if kind == "interrupted" then
    error(raised, 0)
  elseif kind == "timeout" then
    problem = ("did not end within %g s, and was killed"):format(hook.timeout)
  elseif not ok then
    problem = tostring(raised)
  elseif status ~= 0 then
    problem = status > 128 and ("ended by signal %d"):format(status - 128) or ("exit status %d"):format(status)
  end
  return problem and table.concat({ problem, table.unpack(said) }, ": ")
end

--- The hooks of a change: those of its switch, else those of the whole configuration.
---@param found haplua.Config
---@param event table
---@return haplua.Hook[]
local function hooks_of(found, event)
  local switch = found.switches[event.switch]
  return start.refusal(found.path) and {} or (switch or found).hooks or {}
end

--- Run the hooks of a change.
---@param found haplua.Config
---@param text string  the change as JSON
---@param folder string?  where the outcome is noted
local function run_all(found, text, folder)
  local ok, event = pcall(json.decode, text)
  for _, hook in ipairs(ok and type(event) == "table" and hooks_of(found, event) or {}) do
    local problem = run_hook(hook, text)
    if folder then
      record.note(folder, hook, moment.iso(task.time()), problem)
    end
  end
end

--- The changes of a folder that wait for the hooks of a configuration, in order: {name, text}.
---@return {path: string, text: string}[]
local function waiting(folder, path)
  local found = {}
  for _, name in ipairs(file.list(folder) or {}) do
    local info = name:find("%.json$") and file.info(folder .. "/" .. name, true)
    local text = info and info.type == "file" and file.read(folder .. "/" .. name)
    local of, rest = (text or ""):match("^([^\n]*)\n(.*)$")
    if of == path then
      found[#found + 1] = { path = folder .. "/" .. name, text = rest }
    end
  end
  table.sort(found, function(a, b)
    return a.path < b.path
  end)
  return found
end

--- Run the hooks of these changes.
---@return boolean  false: the configuration cannot be read now, and the changes wait on
local function run_list(list, folder, path)
  for _, one in ipairs(list) do
    local ok, found = pcall(config.read, path)
    if not ok or not os.remove(one.path) then -- before: a hook that ends this process, or the machine, is not run twice
      return false
    end
    run_all(found, one.text, folder)
  end
  return true
end

--- Run the hooks of what waits in a folder, until nothing does. Where another process does so, that one looks once more
-- after it has let go of the lock. A user who may not use the lock does without the order.
local function drain(folder, path)
  while waiting(folder, path)[1] do
    local lock <close>, _, code = file.lock(folder .. "/lock", 0)
    if not lock and code == "BUSY" then
      return
    end
    local list = waiting(folder, path)
    while list[1] do
      if not run_list(list, folder, path) then
        return
      end
      list = waiting(folder, path)
    end
  end
end

--- The program: arg[1] is the configuration's path, arg[2] the folder. Without a folder, the change comes on standard input.
---@return integer status
function M.main()
  local path, folder = arg[1], arg[2]
  if folder then
    drain(folder, path)
  else
    run_all(config.read(path), io.read("a"))
  end
  return 0
end

return M
