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
---@field user string  whom this process acts as; the number, for one without a name
---@field uid integer
---@field host string  the machine's name
---@field login string?  who has logged in, also behind sudo and su; $SUDO_USER where the kernel does not know. A user can set that one

---@return haplua.Person
function process.person() end

--- Is there such a process? Not one that has ended and waits for its parent. Another one may have
--- got its number: a lock says more (haplua.file).
---@param pid integer
---@return boolean
function process.alive(pid) end

--- Tell the service manager: "READY=1", "STATUS=...", "WATCHDOG=1"; several lines are one message.
--- Never waits: "EAGAIN" when its queue is full.
---@param text string
---@return boolean? told, string? message, string? code  false: there is no $NOTIFY_SOCKET
function process.notify(text) end

--- The seconds within which the service manager wants a "WATCHDOG=1", again and again: send it
--- twice as often.
---@return number?  nil: it wants none of this process
function process.watchdog() end

return process
