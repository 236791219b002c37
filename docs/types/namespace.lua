---@meta haplua.namespace
-- SPDX-License-Identifier: MIT
--
-- A part of the system for this process and its children alone (src/bindings/system/namespace.c, namespaces(7)). Each
-- function returns true, or nil, a message and the system's name of the failure: "EPERM", ...

local namespace = {}

--- Have some of what processes share apart from now on. "pid" is for children.
---@param kinds ("user"|"mount"|"net"|"pid"|"ipc"|"uts")[]
---@return true?, string? message, string? code
function namespace.unshare(kinds) end

--- Go over to the mounts of another process, whose root is then this process's root and folder.
---@param path string  "/proc/PID/ns/mnt"
---@return true?, string? message, string? code
function namespace.join(path) end

--- mount(2).
---@param source string  "" for none
---@param target string
---@param kind string  "tmpfs", "proc"; "" for none
---@param ways string[]  "bind", "recursive", "private", "read-only", "remount", "nosuid", "nodev", "noexec", "noatime",
--- "nodiratime", "relatime"
---@param data? string
---@return true?, string? message, string? code
function namespace.mount(source, target, kind, ways, data) end

--- The mount at a path, and all below it, can only be read. "ENOSYS": Linux is older than 5.12.
---@param path string
---@return true?, string? message, string? code
function namespace.read_only(path) end

--- Make a folder the root, and the folder, of this process.
---@param path string
---@return true?, string? message, string? code
function namespace.root(path) end

--- The folder in which relative names begin.
---@param path string
---@return true?, string? message, string? code
function namespace.folder(path) end

--- SIGKILL for this process when its parent ends.
---@return true?, string? message, string? code
function namespace.end_with_parent() end

--- In a new network, every address becomes one of this process's. "EBUSY": the network is not new.
---@return true?, boolean|string ipv6  true: also every IPv6 address; after a failure the message
---@return string? code
function namespace.loopback() end

return namespace
