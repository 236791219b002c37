---@meta haplua.error
-- SPDX-License-Identifier: MIT
---@errors none
--
-- Error objects (src/luakit/error.c).

local M = {}

---@alias haplua.Kind "refused"|"denied"|"protocol"|"unreachable"|"timeout"|"interrupted"|"memory"|"file"|"journal"|"ambiguous"|"doubt"

--- A kind of error, as src/base/err.c registers it.
---@class haplua.KindEntry
---@field name haplua.Kind
---@field exit integer  the status of a script that such an error ends
---@field meaning string

--- Every kind, in the order of docs/scripting.md.
---@type haplua.KindEntry[]
M.kinds = {}

---@class haplua.Error
---@field kind haplua.Kind
---@field message string
---@field command string?  as it was sent, or would have been
---@field reply string?  HAProxy's answer
---@field target string?  its address
---@field code string?  unreachable: "ENOENT", "ECONNREFUSED", ...
---@field phase "queue"|"resolve"|"connect"|"write"|"read"|nil  where the request was when it failed
---@field signal integer?  interrupted: by this one
---@field index integer?  the command's place in a call that has several
---@field done integer?  commands of the call that were accepted
---@field in_doubt integer?  changes that were sent and have no answer: HAProxy may have carried them out
---@field phase "resolve"|"connect"|"write"|"read"|nil  unreachable, timeout: where the request stood
---@field look string?  where there is doubt: the command line that shows the present state
---@field advice string?  what to do next
---@field column integer?  refused: the column of a text that cannot be read, from 1
---@field line integer?  refused: the line of a file that cannot be read
---@field exit integer?  the exit status of a script that it ends, from 1 to 255; nil: that of its kind. With 2, wrong usage,
--- haplua prints no lines of the script

--- Is a value an error object?
---@param value any  what pcall() has returned, for example
---@return boolean
function M.is(value) end

--- Make a table an error object: this very table. Raises where the kind is not one of M.kinds, or a field is
--- unknown or of another type than above.
---@param fields haplua.Error  `kind` and `message`, and others
---@return haplua.Error
function M.new(fields) end

--- Raise an error object.
---@param kind haplua.Kind  one of M.kinds
---@param message string  a sentence
---@param advice string?  what to do next
---@error none  but that of the kind
function M.raise(kind, message, advice) end

--- Raise an error object of the kind `refused`.
---@param message string  a sentence
---@param advice string?  what to do next
---@error refused
function M.refuse(message, advice) end

--- The candidate nearest to a mistyped word; the first of several that are equally near.
---@param word string  what was typed
---@param candidates string[]  what may be meant
---@return string?  nil: none is near
function M.nearest(word, candidates) end

--- Text with control bytes made visible, for a terminal.
---@param text string  any bytes
---@return string
function M.visible(text) end

return M
