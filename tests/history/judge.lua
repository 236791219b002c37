-- SPDX-License-Identifier: MIT
--
--- judge.lua - what a history is held against: the globals that it is given note what happens, and verdict() says what was
-- wrong. They do what Lua's and haplua's own do.
--
-- Held against: every task ends; what a task raises is heard, by a call that catches it or by a parent that fails; who
-- waits for a task gets what its function returned; no deadline is over for a task that has left it; a sleep is as long as
-- it was asked for; no child's line comes after its run().

local M = {
  ---@type history.Judge?  the latest
  current = nil,
  ---@type function?  task:wait() as it was before begin()
  wait = nil,
  ---@type table<any, history.Record>  by the handle of a task
  record_of = setmetatable({}, { __mode = "k" }),
}

---@class history.Record  one task
---@field handle any[]  its handle, for as long as the history keeps it
---@field parent history.Record?  nil where it cannot be told
---@field raised any  what its function raised
---@field returned any[]?  what its function returned

---@class history.Judge
---@field env table  the globals for the history
---@field unfinalized integer  objects whose finalizer has not run yet
local Judge = {}
Judge.__index = Judge

--- The seconds in the message of a deadline's error, or nil.
local function seconds_of(err)
  if type(err) ~= "table" or rawget(err, 1) then
    return nil
  end
  local ok, message = pcall(function() return err.kind == "timeout" and err.message end)
  return ok and message and tostring(message):match("^the deadline of (%S+) s is over")
end

--- Handles must not be kept from being collected.
local weak = { __mode = "v" }

--- Has a task failed? `unknown` where its handle has been collected.
local function failed(record, unknown)
  local task = record.handle[1]
  if not task then
    return unknown
  end
  return tostring(task):find("failed", 1, true) ~= nil
end

function Judge:complain(form, ...)
  if not self.complaint then
    self.complaint = form:format(...)
  end
end

--- Something has caught an error, or passes it on as its own result.
function Judge:hear(err)
  if err == nil then
    return
  end
  self.heard[err] = true
  local seconds = seconds_of(err)
  if seconds and (self.deadlines[seconds] or 0) == 0 and not self.left[err] then
    self:complain("the deadline of %s s is raised where it is not in force", seconds)
  end
end

function Judge:hearing(ok, ...)
  if not ok then
    self:hear((...))
  end
  return ok, ...
end

--- A <close> variable that calls fn(err) when its block ends.
local function at_end(fn)
  return setmetatable({}, { __close = function(_, err) fn(err) end })
end

function Judge:spawn(fn, ...)
  local record = { parent = self.owner[coroutine.running()], handle = setmetatable({}, weak) }
  self.records[#self.records + 1] = record
  local function returned(...)
    record.returned = table.pack(...)
    return ...
  end
  local handle = task.spawn(function(...)
    self.owner[coroutine.running()] = record
    local _ <close> = at_end(function(err) record.raised = err end)
    return returned(fn(...))
  end, ...)
  record.handle[1] = handle
  M.record_of[handle] = record
  return handle
end

--- Compare what wait() returned with what the task's function did.
local function waited(judge, record, ...)
  local got, returned = table.pack(...), record.returned
  if not returned or returned.n ~= got.n or not rawequal(returned[1], got[1]) or not rawequal(returned[2], got[2]) then
    judge:complain("wait() returns %d values, the task %s", got.n, returned and returned.n or "none")
  end
  return ...
end

--- Compare the length of a sleep with what was asked for.
function Judge:sleep(seconds)
  local before = task.now()
  task.sleep(seconds)
  local late = task.now() - before - seconds
  if late < -1e-6 or self.is_virtual and late > 1e-6 then
    self:complain("a sleep of %g s takes %g s", seconds, late + seconds)
  end
end

function Judge:deadline(seconds, fn, ...)
  local name = ("%g"):format(seconds)
  self.deadlines[name] = (self.deadlines[name] or 0) + 1
  local _ <close> = at_end(function(err)
    if seconds_of(err) == name then
      self.left[err] = true
    end
    self.deadlines[name] = self.deadlines[name] - 1
  end)
  return task.deadline(seconds, fn, ...)
end

--- The module coroutine, whose functions note for which task a coroutine runs.
local function coroutines(judge)
  local env = setmetatable({}, { __index = coroutine })
  function env.resume(co, ...)
    if type(co) == "thread" then
      judge.owner[co] = judge.owner[coroutine.running()]
    end
    return judge:hearing(coroutine.resume(co, ...))
  end
  function env.close(co)
    return judge:hearing(coroutine.close(co))
  end
  function env.wrap(fn)
    local mine
    local resume = coroutine.wrap(function(...)
      mine = coroutine.running()
      judge.owner[mine] = judge.resumer
      return fn(...)
    end)
    return function(...)
      judge.resumer = judge.owner[coroutine.running()]
      if mine then
        judge.owner[mine] = judge.resumer
      end
      return resume(...)
    end
  end
  return env
end

--- Finalizers and cleanups hear the errors that end in them.
local function note_metamethods(judge, meta)
  local gc, close = meta and meta.__gc, meta and meta.__close
  if gc then
    judge.unfinalized = judge.unfinalized + 1
    meta.__gc = function(object)
      judge.unfinalized = judge.unfinalized - 1
      local ok, err = judge:hearing(pcall(gc, object))
      if not ok then
        error(err, 0)
      end
    end
  end
  if close then
    meta.__close = function(object, err)
      judge:hear(err)
      return close(object, err)
    end
  end
end

local function note_lines(judge, options)
  local line, over = options.stdout, false
  if type(line) ~= "function" then
    return run(options)
  end
  options.stdout = function(...)
    if over then
      judge:complain("a line of a child comes after its run()")
    end
    return line(...)
  end
  local _ <close> = at_end(function() over = true end)
  return run(options)
end

--- Once in a process: have wait() look at what it returns, for the judge that is in force.
function M.begin()
  local methods = debug.getmetatable(task.spawn(function() end)).__index
  local wait = methods.wait
  M.wait = wait
  function methods.wait(handle)
    local record = M.record_of[handle]
    if not record then
      return wait(handle)
    end
    return waited(M.current, record, wait(handle))
  end
end

---@param folder string  for the history's files
---@param is_virtual boolean  is time virtual?
---@return history.Judge
function M.new(folder, is_virtual)
  local judge = setmetatable({
    is_virtual = is_virtual,
    records = {}, owner = setmetatable({}, { __mode = "k" }), heard = {}, left = {}, deadlines = {},
    unfinalized = 0,
  }, Judge)
  local env = {
    folder = folder,
    task = setmetatable({
      spawn = function(...) return judge:spawn(...) end,
      deadline = function(...) return judge:deadline(...) end,
      sleep = function(...) return judge:sleep(...) end,
    }, { __index = task }),
    coroutine = coroutines(judge),
    pcall = function(...) return judge:hearing(pcall(...)) end,
    xpcall = function(fn, handler, ...)
      return judge:hearing(xpcall(fn, function(err)
        judge:hear(err)
        return handler(err)
      end, ...))
    end,
    run = function(options) return note_lines(judge, options) end,
    setmetatable = function(object, meta)
      note_metamethods(judge, meta)
      return setmetatable(object, meta)
    end,
    print = function() end,
  }
  judge.env = setmetatable(env, { __index = _G })
  M.current = judge
  return judge
end

--- Was one of the children of this parent heard, so that it may have stood for the others?
function Judge:heard_another(parent, record)
  for _, other in ipairs(self.records) do
    if other ~= record and other.parent == parent and other.raised ~= nil and self.heard[other.raised] then
      return true
    end
  end
  return false
end

--- After the end: what was wrong, or nil.
---@return string? complaint
function Judge:verdict()
  for i, record in ipairs(self.records) do
    local task = record.handle[1]
    if task and not task:done() then
      self:complain("task %d of %d has not ended: %s", i, #self.records, tostring(task))
    end
    local err, parent = record.raised, record.parent
    if type(err) == "table" and rawget(err, 1) and parent and failed(record, true) and not self.heard[err]
      and not failed(parent, true) and not self:heard_another(parent, record) then
      self:complain("nobody hears what task %d raised: { %s }", i, tostring(err[1]))
    end
  end
  return self.complaint
end

return M
