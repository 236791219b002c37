---@meta haplua.virtual
-- SPDX-License-Identifier: MIT
--
-- Time and HAProxy under `haplua test` (src/run/virtual.c, src/run/virtual_run.c), and there only. Tests use haplua.test.

local virtual = {}

--- Wait until no other task has anything left to do at this instant.
---@return boolean moved  did time go on meanwhile?
function virtual.settle() end

--- As settle(), then move time on to the next timer, and settle again.
---@return boolean moved  false: there was no timer
function virtual.step() end

---@return number? seconds  until the next timer
function virtual.next() end

--- Set the wall clock; monotonic time stays.
---@param wall number  seconds since 1970
function virtual.clock(wall) end

--- Have this function answer requests from now on. It returns the answer; or nil, seconds to ask again after; or nil, nil, the
-- name of a system error.
---@param fn (fun(address: string, bytes: string, put_off: boolean): string?, number?, string?)?
function virtual.answer(fn) end

--- Cancel a task when so much real time has passed. Without arguments: end the guard.
---@param task? haplua.Task
---@param seconds? number
---@return boolean? late  was it cancelled?
function virtual.guard(task, seconds) end

--- Stop the root task of another run for good, as a kill would: no cleanup runs.
---@param task haplua.Task
function virtual.abandon(task) end

---@class haplua.TestRun
local TestRun = {}

--- Its output so far.
---@return string
function TestRun:out() end

---@return string
function TestRun:err() end

--- The exit status, once its tasks have ended.
---@return integer
function TestRun:status() end

--- Interrupt the run as this signal would.
---@param signo integer
function TestRun:stop(signo) end

--- Free the run, once its tasks have ended.
function TestRun:close() end

--- Run a script as the command line does. Raises a string where there is no such script.
---@param script string
---@param args string[]
---@param sockets string[]
---@return haplua.TestRun
---@return haplua.Task ...  the root of each socket's run
function virtual.start(script, args, sockets) end

--- A file as a function with these globals, which become strict.
---@param path string
---@param globals table
---@return function
function virtual.load(path, globals) end

--- Print to the output of the running script; with `err` to its errors.
---@param text string
---@param is_error? boolean
function virtual.write(text, is_error) end

return virtual
