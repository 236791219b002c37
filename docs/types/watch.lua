---@meta haplua.watch
-- SPDX-License-Identifier: MIT
--
-- What happens to files, told by the kernel (src/bindings/system/watch.c).
--
-- Files are watched by name, in their folder: one that is renamed over the name is seen, and one
-- that is not there yet. What happens through another name of the same file (a hard link, a link's
-- target, a bind mount) is not: of a link, watch file.real(path) as well.
--
-- What this process does itself is told like everything else, for the kernel does not say who did
-- it. A task that opened each file that it is told of would be told of that for ever. So look with
-- file.info(), which opens nothing, and read the file only if its inode, size or mtime have changed.

local watch = {}

--- At the end of a `<close>` variable's block it is closed.
---@class haplua.Watch
local Watch = {}

---@class haplua.WatchEvent
---@field path string?  as given to add(); nil where the kernel had to drop events: look at all files
---@field what "opened"|"changed"|"created"|"removed"|"lost"
--- changed: written to or truncated. created, removed: also by renaming. lost: its folder was removed or
--- renamed, and the file is not watched any more.

--- Watch a file, too. Its folder must exist and be readable ("ENOENT", "EACCES"); the file need not exist.
---@param path string
---@return true?, string? message, string? code
function Watch:add(path) end

--- Wait for events since the last wait. Equal ones are reported once, in the order of the last time.
---@param seconds? number  0: what has happened so far
---@return haplua.WatchEvent[]? events  nil when the time is over
function Watch:wait(seconds) end

function Watch:close() end

--- A watch without files. "EMFILE": the user's limit (fs.inotify.max_user_instances).
---@return haplua.Watch?, string? message, string? code
function watch.open() end

return watch
