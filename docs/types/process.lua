---@meta haplua.process
-- SPDX-License-Identifier: MIT
--
-- This process, who started it, and the service manager over it (src/bindings/system/process.c).

local process = {}

---@return integer
function process.pid() end

--- The user that this process acts as: "www-data (uid 33)".
---@return string
function process.identity() end

---@class haplua.Person
---@field user string  the user that this process acts as; the number where it has no name
---@field uid integer
---@field host string  the machine's name
---@field login string?  the user who has logged in, also behind sudo and su; where the kernel does not know it
--- $SUDO_USER, if this is root: any other user can set that

---@return haplua.Person
function process.person() end

--- Does such a process exist, and is it no zombie? Another process may have got the same number: a lock
--- says more (haplua.file).
---@param pid integer
---@return boolean
function process.alive(pid) end

--- Start a program that outlives this process, in a session of its own; nobody waits for it. Its folder is "/", it has no
--- open file but its standard input, and its output is thrown away. That it cannot be started, nobody learns.
---@param words string[]  the program's path, and its arguments; none of them empty
---@param input string  its standard input
---@return true?, string? message, string? code  nil: the system has no room for another process
function process.detach(words, input) end

--- Send to the service manager: "READY=1", "STATUS=...", "WATCHDOG=1"; several lines are one message.
--- Never waits: "EAGAIN" when its queue is full.
---@param text string
---@return boolean? told, string? message, string? code  false: there is no $NOTIFY_SOCKET
function process.notify(text) end

--- The seconds within which the service manager expects the next "WATCHDOG=1": send it twice as often.
---@return number?  nil: it wants none of this process
function process.watchdog() end

return process
