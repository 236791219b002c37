-- SPDX-License-Identifier: MIT
--
--- When HAProxy may be about to lose its lists. Its socket does not announce a reload, but a reload begins with HAProxy
-- opening its configuration, so the configuration's files are watched.

local task = require("haplua.task")

local M = {}

-- Seconds between two looks, for so long after the configuration was opened.
local AFTER_OPEN = {
  { within = 3, interval = 0.003 },
  { within = 30, interval = 0.02 },
}

---@class haplua.ReloadWatch
---@field watch any  haplua.watch's; nil: the system has none left, and a reload is noticed at the next look
---@field problem string?  why there is none
---@field watched boolean?  the configuration's files are watched
---@field opened number?  when the configuration was opened last, on task.now()
local Watch = {}
Watch.__index = Watch

---@return haplua.ReloadWatch
function M.open()
  local watch, problem = require("haplua.watch").open()
  return setmetatable({ watch = watch, problem = problem }, Watch)
end

function Watch:__close()
  if self.watch then
    self.watch:close()
  end
end

--- The files that HAProxy reads when it reloads, as far as this machine has them.
---@return string[]
local function configuration_files(target)
  local file = require("haplua.file")
  local texts = target:batch({ { "show", "acl" }, { "show", "info" } })
  local cwd = file.link(("/proc/%s/cwd"):format(texts[2]:match("Pid: (%d+)") or "self"))
  local found, list = {}, {}
  for path in texts[1]:gmatch("file '([^']*)' line %d+") do
    local absolute = path:find("^/") and path or cwd and cwd .. "/" .. path
    -- a symbolic link may be changed, and its target may be opened
    for _, name in ipairs({ absolute, absolute and file.real(absolute) }) do
      if not found[name] then
        found[name] = true
        list[#list + 1] = name
      end
    end
  end
  return list
end

--- Begin to watch the configuration of an HAProxy of this machine, where it is not watched.
---@param target haplua.Target
---@param name string  the socket's path, or another address
---@param complain fun(text: string)  called where a file cannot be watched
function Watch:begin(target, name, complain)
  if self.watched or name:find("^[^/]") then
    return
  elseif self.problem then
    self.watched = true
    return complain(("no file can be watched (%s): a reload is noticed within a second"):format(self.problem))
  end
  for _, path in ipairs(configuration_files(target)) do
    local ok, problem = self.watch:add(path)
    if not ok then
      complain(("%s cannot be watched (%s): a reload is noticed within a second"):format(path, problem))
    end
  end
  self.watch:add(name:match("^[^ ]*"))
  self.watched = true
end

--- Wait for so long at most, or until the configuration is opened.
---@param seconds number
function Watch:wait(seconds)
  if not self.watch then
    return task.sleep_until(task.time() + seconds)
  end
  local events = self.watch:wait(seconds)
  for _, event in ipairs(events or {}) do
    self.opened = task.now()
    if event.what == "lost" then
      self.watched = false
    end
  end
  if not events and self.opened and task.now() - self.opened > AFTER_OPEN[#AFTER_OPEN].within then
    self.opened = nil
  end
end

--- A reload has been dealt with.
function Watch:over()
  self.opened = nil
end

--- Seconds until the next look; nil: no reload is under way.
---@return number?
function Watch:interval()
  local since = self.opened and task.now() - self.opened
  for _, stage in ipairs(since and AFTER_OPEN or {}) do
    if since <= stage.within then
      return stage.interval
    end
  end
end

return M
