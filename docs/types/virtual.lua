---@meta haplua.virtual
-- SPDX-License-Identifier: MIT
--
-- Time and HAProxy under `haplua test` (src/run/virtual.c, src/run/virtual_run.c), and there only. Tests use haplua.test.

local virtual = {}

--- Wait until there is nothing left to do at this instant.
---@return boolean moved  did time go on meanwhile?
function virtual.settle() end

--- The same, then let time go on to the next timer, and the same again.
---@return boolean moved  false: there was no timer
function virtual.step() end

---@return number? seconds  until the next timer
function virtual.next() end

--- Set the wall clock; no timer moves.
---@param wall number  seconds since 1970
function virtual.clock(wall) end

--- Who answers requests from now on. Returns the answer; or nil, seconds to ask again after; or nil, nil, the
-- name of a system error.
---@param fn (fun(address: string, bytes: string, put_off: boolean): string?, number?, string?)?
function virtual.answer(fn) end

--- Cancel a task once so much real time has passed; without arguments: no more.
---@param task? haplua.Task
---@param seconds? number
---@return boolean? late  was it cancelled?
function virtual.guard(task, seconds) end

--- Let another run's root stand still for good, as if its process had been killed.
---@param task haplua.Task
function virtual.abandon(task) end

---@class haplua.TestRun
local TestRun = {}

--- What it has printed so far.
---@return string
function TestRun:out() end

---@return string
function TestRun:err() end

--- The exit status, once its tasks have ended.
---@return integer
function TestRun:status() end

--- Interrupt it, as this signal would.
---@param signo integer
function TestRun:stop(signo) end

--- Once its tasks have ended.
function TestRun:close() end

--- Run a script as the command line does. Raises a string where there is no such script.
---@param script string
---@param args string[]
---@param sockets string[]
---@return haplua.TestRun
---@return haplua.Task ...  the root of each socket's run
function virtual.start(script, args, sockets) end

--- A file as a function, whose globals are the table, made strict.
---@param path string
---@param globals table
---@return function
function virtual.load(path, globals) end

--- Print where the running script does.
---@param text string
---@param is_error? boolean
function virtual.write(text, is_error) end

return virtual
