---@meta haplua.file
-- SPDX-License-Identifier: MIT
--
-- Files as maintenance needs them (src/bindings/system/file.c). What is expected to fail gives nil, a message,
-- and the system's name of the failure: "ENOENT", "EACCES", "ENOSPC", ...

local file = {}

--- A lock is there until it is released, closed, collected, or its process is gone.
---@class haplua.Lock
local Lock = {}

function Lock:release() end

--- Replace what a file holds: whole or not at all, also if the machine stops. A link stays, and what
--- it leads to is replaced. Owner, group and mode stay, or it fails and nothing has changed ("EPERM");
--- ACLs and other attributes do not. "EBUSY": another process replaces it at this moment.
---@param path string
---@param text string
---@param options? {mode: string?}  "0644" if not given; for a file that is not there
---@return true?, string? message, string? code
function file.replace(path, text, options) end

--- What a regular file holds.
---@param path string
---@param limit? integer  bytes; a longer one is "EFBIG", not cut
---@return string?, string? message, string? code
function file.read(path, limit) end

--- Lock one byte of a file, which is created if need be and must not be deleted or replaced.
--- Locks on other slots do not matter; one on the same slot, of this process or another, is "BUSY".
--- Not for a file that SQLite has open: see haplua.sqlite.
---@param path string  no link
---@param slot integer  0 or more
---@return haplua.Lock?, string? message, string? code
function file.lock(path, slot) end

--- Is the slot locked, by whomever? That is old news when it is told.
---@param path string
---@param slot integer
---@return boolean?, string? message, string? code
function file.locked(path, slot) end

---@class haplua.FileInfo
---@field owner string  "haproxy:haproxy"
---@field user string  "?" for one without a name
---@field group string
---@field uid integer
---@field gid integer
---@field mode string  "0600"
---@field type "file"|"folder"|"link"|"socket"|"pipe"|"device"
---@field size integer
---@field mtime number  seconds since 1970 UTC
---@field inode integer
---@field device integer
---@field writable boolean  by this process

--- What is to be known of a file. It is not opened: no watch sees it.
---@param path string
---@param link? boolean  of a link itself, not of what it leads to
---@return haplua.FileInfo?, string? message, string? code
function file.info(path, link) end

--- Which file a path leads to: the same text for the same file, while it is there.
---@param path string
---@return string?, string? message, string? code
function file.id(path) end

--- The absolute path, without links.
---@param path string
---@return string?, string? message, string? code
function file.real(path) end

--- Where a link leads, as it says.
---@param path string
---@return string?, string? message, string? code
function file.link(path) end

--- Create a folder; the one around it must be there. "EEXIST": there is something.
---@param path string
---@param options? {mode: string?}  "0750" if not given, whatever the umask
---@return true?, string? message, string? code
function file.folder(path, options) end

--- The names in a folder, in no order.
---@param path string
---@return string[]? names, string? message, string? code
function file.list(path) end

return file
