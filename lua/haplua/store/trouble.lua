-- SPDX-License-Identifier: MIT
--
--- What goes wrong with a journal, and what a person does about it.

local errors = require("haplua.error")

local M = {}

-- By SQLite's code.
local advice = {
  FULL = "the disk is full: make room, or give --no-journal to do without",
  READONLY = "this user may not write it: use sudo, or give --no-journal to do without",
  CANTOPEN = "this user may not open it: use sudo, or give --no-journal to do without",
  BUSY = "another program holds it: `fuser` tells which",
  CORRUPT = "move it away: a new one is begun",
  NOTADB = "--journal, $HAPLUA_JOURNAL or the configuration names a file that is something else",
}

--- Raise an error of kind `journal`.
---@param path string
---@param message string  SQLite's, or haplua's own
---@param code string?  SQLite's
function M.complain(path, message, code)
  error(errors.new({
    kind = "journal",
    message = ("the journal %s: %s"):format(path, message),
    code = code,
    advice = not message:find("too many open files") and advice[tostring(code):match("^[A-Z]+")] or nil,
  }), 0)
end

return M
