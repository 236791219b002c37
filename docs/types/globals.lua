---@meta
-- SPDX-License-Identifier: MIT
---@errors none
--
-- What every script finds among its globals. A global that was never defined is an error to read.
-- The coroutine functions are Lua's, but a call that waits works inside a script's own coroutines.

haproxy = require("haproxy")
task = require("task")
run = require("run")

---@type string[]  [0] is the script
arg = {}

send = haproxy.send
acl_add = haproxy.acl_add
acl_clear = haproxy.acl_clear
acl_get = haproxy.acl_get
servers = haproxy.servers

--- Have a function called at the script's end, however that ends: also at an error, os.exit() or Ctrl-C. The latest is
-- called first. The functions may wait and talk to HAProxy; after an interruption they have 5 seconds. One that fails does
-- not keep the others from being called. What it raises is raised at the end, unless the script has failed itself. After
-- SIGKILL nothing is called.
---@param fn fun(...)  called with the arguments that follow it
---@param ... any  the arguments
function defer(fn, ...) end

--- End the script; its cleanups run first. With several targets, only this target's run.
---@param status? boolean|integer
function os.exit(status) end
