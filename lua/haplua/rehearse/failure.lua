-- SPDX-License-Identifier: MIT
--
--- Why a rehearsal cannot be held.

local errors = require("haplua.error")

local M = {}

M.RIGHTS = "a rehearsal needs root, or a system that lets users make namespaces of their own"

--- Raise an error object of a rehearsal: its `phase` is "rehearsal".
---@param kind string
---@param message string
---@param advice string?
function M.raise(kind, message, advice)
  error(errors.new({ kind = kind, message = message, advice = advice, phase = "rehearsal" }), 0)
end

return M
