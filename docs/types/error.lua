---@meta haplua.error
-- SPDX-License-Identifier: MIT
--
-- Error objects (src/luakit/error.c).

local M = {}

---@alias haplua.Kind "refused"|"denied"|"protocol"|"unreachable"|"timeout"|"interrupted"|"memory"

---@class haplua.Error
---@field kind haplua.Kind
---@field message string
---@field command string?  as it was, or would have been, sent
---@field reply string?  HAProxy's words
---@field target string?  its address
---@field code string?  unreachable: "ENOENT", "ECONNREFUSED", ...
---@field phase "queue"|"resolve"|"connect"|"write"|"read"|nil  where the request was when it failed
---@field signal integer?  interrupted: by this one
---@field index integer?  the command's place in a call that has several
---@field done integer?  commands of the call that were accepted
---@field in_doubt integer?  changes that were sent and have no answer: HAProxy may have carried them out
---@field look string?  where there is doubt: the command line that shows what is so
---@field advice string?  what to do next

---@param value any
---@return boolean
function M.is(value) end

--- Make a table an error object.
---@param fields haplua.Error
---@return haplua.Error
function M.new(fields) end

--- Text with control bytes made visible, for a terminal.
---@param text string
---@return string
function M.visible(text) end

return M
