---@meta haplua.file
-- SPDX-License-Identifier: MIT
--
-- Files as maintenance needs them (src/bindings/system/file.c). What is expected to fail gives nil, a message,
-- and the system's name of the failure: "ENOENT", "EACCES", "ENOSPC", ...

local file = {}

--- A lock holds until it is released, closed or collected, or its process ends.
---@class haplua.Lock
local Lock = {}

function Lock:release() end

--- Replace the content of a file, whole or not at all, also where the machine stops. A link stays, and the
--- file that it leads to is replaced. Owner, group and mode stay, or the call fails and changes nothing
--- ("EPERM"); access lists and other attributes are lost. "EBUSY": another process replaces the file now.
---@param path string
---@param text string
---@param options? {mode: string?}  "0644" if not given; for a file that is not there
---@return true?, string? message, string? code
function file.replace(path, text, options) end

--- The content of a regular file. "EFBIG": it has more bytes than the limit (256 MiB unless given).
---@param path string
---@param limit? integer  bytes; a longer one is "EFBIG", not cut
---@return string?, string? message, string? code
function file.read(path, limit) end

--- Lock one byte of a file, which is created where it is missing, and must not be deleted or replaced.
--- "BUSY": the same slot is locked, by this process or another.
--- Not for a file that SQLite has open: see haplua.sqlite.
---@param path string  no link
---@param slot integer  0 or more
---@return haplua.Lock?, string? message, string? code
function file.lock(path, slot) end

--- Is the slot locked? Another process may change that before the call returns.
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

--- The fields of a file. Does not open the file: a watch does not notice.
---@param path string
---@param link? boolean  of a link itself, not of what it leads to
---@return haplua.FileInfo?, string? message, string? code
function file.info(path, link) end

--- The identity of the file that a path leads to: device and inode.
---@param path string
---@return string?, string? message, string? code
function file.id(path) end

--- The absolute path, without links.
---@param path string
---@return string?, string? message, string? code
function file.real(path) end

--- The text of a link.
---@param path string
---@return string?, string? message, string? code
function file.link(path) end

--- Create a folder; the one around it must exist. "EEXIST": the path exists.
---@param path string
---@param options? {mode: string?}  "0750" if not given, whatever the umask
---@return true?, string? message, string? code
function file.folder(path, options) end

--- Does the path exist, and may nobody but root and the user of this process write to it? One of the two owns it, and
--- the link, where it is one. A group may write only if it is the private one of the owner or of the user.
---@param path string
---@return boolean
function file.is_ours(path) end

--- The names in a folder, in no order.
---@param path string
---@return string[]? names, string? message, string? code
function file.list(path) end

return file
