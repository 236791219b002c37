-- SPDX-License-Identifier: MIT
--
--- Start the hooks of a change: in a process of their own, for which nobody waits.

local errors = require("haplua.error")
local event = require("haplua.hooks.event")
local file = require("haplua.file")
local json = require("haplua.json")
local process = require("haplua.process")
local record = require("haplua.hooks.record")
local time = require("haplua.task").time

local M = {}

-- Changes that this process has put down: the number keeps their order within one instant.
local count = 0

local function warn(form, ...)
  io.stderr:write("haplua: ", form:format(...), "\n")
end

--- Why no hook of a configuration is run: who may write it would choose what programs run.
---@param path string  of the configuration
---@return string?
function M.refusal(path)
  return not file.is_ours(path) and ("%s may be changed by others than root and this user"):format(path) or nil
end

--- Put a change into the journal's folder, where the hooks of several changes are run in order.
---@return string? folder  nil: there is none, or this user may not write to it
local function put_down(c, path, text)
  local journal = c.journal and c.store.path and file.real(c.store.path) -- that of a fleet is no file
  local folder = journal and record.folder(journal)
  if not folder then
    return nil
  end
  file.folder(folder)
  count = count + 1
  local name = ("%s/%017.6f-%d-%04d"):format(folder, time(), process.pid(), count % 10000)
  local f <close> = io.open(name .. ".new", "wb")
  local written = f and f:write(path, "\n", text) and f:close()
  return written and os.rename(name .. ".new", name .. ".json") and folder or nil
end

--- The words that start haplua once more, to run the hooks of a configuration.
local function words_for(path, folder)
  local words = { "/proc/self/exe", "-e", "return require(\"haplua.hooks.runner\").main()", path }
  words[5] = folder
  return words
end

local function start(hooks, c, ...)
  local problem = M.refusal(hooks.path)
  if problem then
    return warn("the hooks are not run: %s", problem)
  end
  for _, hook in ipairs(hooks) do
    problem = record.refusal(hook)
    if problem then
      warn("a hook is not run: %s", problem)
    end
  end
  local path = file.real(hooks.path) or hooks.path
  local text = json.encode(event.of(c, ...))
  local folder = put_down(c, path, text)
  local started, why = process.detach(words_for(path, folder), folder and "" or text)
  if not started then
    warn("the hooks are not run: %s", why)
  end
end

--- Start the hooks of a change that is over. What goes wrong is printed: the change stays as it is. Does not wait.
---@param hooks haplua.Hook[]
---@param c haplua.Context
---@param ... any  as event.of() takes them behind it
function M.start(hooks, c, ...)
  -- the change of a hook starts none: two could start each other for ever. Nor does a test of policies
  if os.getenv("HAPLUA_HOOK") or package.loaded["haplua.virtual"] then
    return
  end
  local ok, problem = pcall(start, hooks, c, ...)
  if not ok and errors.is(problem) and problem.kind == "interrupted" then
    error(problem, 0)
  elseif not ok then
    warn("the hooks are not run: %s", tostring(problem))
  end
end

return M
