-- SPDX-License-Identifier: MIT
--
--- Hooks as the configuration declares them:
--
--   hooks = { change = { "/usr/local/bin/tell-team", { "/usr/local/bin/status-page", "--component", "7" } }, timeout = 10 }

local options = require("haplua.base.options")

local M = {}

--- Seconds that a program has, unless the configuration says otherwise; and the most.
M.TIMEOUT = 10
local LONGEST <const> = 600

---@class haplua.Hook
---@field words string[]  the program's path, and its arguments
---@field timeout number  seconds

local word = options.where("a word that is not empty, without control characters", function(value)
  return type(value) == "string" and value ~= "" and not value:find("%c")
end)
local absolute = options.where("an absolute path", function(value)
  return options.fits(word, value) and value:sub(1, 1) == "/"
end)
local command = options.where("an absolute path, or a list that begins with one and goes on with arguments", function(value)
  return options.fits(absolute, value)
    or options.fits(options.list(word), value) and options.fits(absolute, value[1])
end)

local fields = {
  change = options.any(absolute, options.list(command)),
  timeout = options.where(("seconds, from 0.1 to %d"):format(LONGEST), function(value)
    return type(value) == "number" and value >= 0.1 and value <= LONGEST
  end),
}

--- What is wrong with a declaration; nil: nothing.
---@param given any
---@return string?
function M.problem(given)
  local problem = options.problem(given, fields)
  return problem and "hooks: " .. problem or nil
end

--- The hooks of a declaration that problem() has passed, behind those that a switch has of the whole configuration.
---@param given {change: string|(string|string[])[]|nil, timeout: number?}?
---@param path string  of the configuration
---@param before haplua.Hook[]?
---@return haplua.Hook[]?  nil: none. Its field `path` is the configuration's
function M.list(given, path, before)
  local change = given and given.change or {}
  local list = table.move(before or {}, 1, #(before or {}), 1, { path = path })
  for _, one in ipairs(type(change) == "string" and { change } or change) do
    list[#list + 1] = { words = type(one) == "string" and { one } or one, timeout = given.timeout or M.TIMEOUT }
  end
  return list[1] and list or nil
end

return M
