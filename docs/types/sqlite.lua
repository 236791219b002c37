---@meta haplua.sqlite
-- SPDX-License-Identifier: MIT
--
-- A SQLite file (src/bindings/system/sqlite.c). Policies use libraries over it.
--
-- What is expected to fail gives nil, a message, and SQLite's name of the failure: "BUSY",
-- "FULL", "CANTOPEN", "READONLY", "CORRUPT", "NOTADB", "IOERR", "CONSTRAINT", "ERROR" (in the
-- SQL), ... No call waits for another process's lock: "BUSY" comes at once.
--
-- Nobody but SQLite may open the file in this process: to close a descriptor of it, as file.read
-- and file.lock do in the end, drops SQLite's locks.

local sqlite = {}

---@alias haplua.Value nil|boolean|number|string  a boolean is 0 or 1 in the database
---@alias haplua.Row table<string, number|string>  by the names of the columns, without those that are NULL

--- At the end of a `<close>` variable's block it is closed.
---@class haplua.Database
local Database = {}

--- Run one statement. What it writes is durable when the call returns, or after COMMIT.
---@param sql string  with a `?` for each value
---@param ... haplua.Value
---@return haplua.Row[]? rows, integer|string changes, string? code  or nil, message, code
function Database:run(sql, ...) end

--- Run several statements, such as a schema. Stops at the first failure, and rolls nothing back.
---@param sql string
---@return true?, string? message, string? code
function Database:script(sql) end

--- Close the file. The content of its write-ahead log stays there.
function Database:close() end

--- Open a file, or create it with the mode, whatever the umask. Its folder must exist. The first statement
--- says whether it is a database.
---@param path string  a file's path, whatever it looks like: no URI, no ":memory:"
---@param options? {mode: string?, readonly: boolean?}  mode is "0640" if not given
---@return haplua.Database?, string? message, string? code
function sqlite.open(path, options) end

return sqlite
