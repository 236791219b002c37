---@meta haplua.task
-- SPDX-License-Identifier: MIT
---@errors none
--
-- Tasks (src/bindings/task.c). The module task is this table, with task.all from lua/task.lua.

local task = {}

--- At the end of a `<close>` variable's block a task is cancelled and waited for.
---@class haplua.Task
local Task = {}

--- What its function returned; raises what it raised.
---@return any ...
---@error interrupted, timeout  or what the function of the task raised
function Task:wait() end

--- Have its waits raise `interrupted`. Does not wait for its end.
function Task:cancel() end

--- Has it ended?
---@return boolean
function Task:done() end

--- Run a function beside the caller. It begins when the caller waits next.
---@param fn function  what the task runs
---@param ... any  its arguments
---@return haplua.Task
function task.spawn(fn, ...) end

--- Sleep while the other tasks run. Raises `interrupted` after a signal or a cancel, `timeout` after a deadline.
---@param seconds number  0 lets the other tasks run once
---@error interrupted, timeout
function task.sleep(seconds) end

--- Sleep until the wall clock shows an instant. False: the clock was set, or the machine was suspended, and it
--- does not; noticed within a second.
---@param instant number  seconds since 1970 UTC
---@return boolean reached
---@error interrupted, timeout
function task.sleep_until(instant) end

--- Raises `timeout` in `fn` when the time is over; its cleanups may wait for 5 seconds more.
---@param seconds number  from now on
---@param fn function  what is to end by then
---@param ... any  its arguments
---@return any ...  what fn returns
---@error timeout  or what `fn` raises
function task.deadline(seconds, fn, ...) end

--- Monotonic seconds, of no particular beginning.
---@return number
function task.now() end

--- Seconds since 1970 UTC, with fractions.
---@return number
function task.time() end

return task
