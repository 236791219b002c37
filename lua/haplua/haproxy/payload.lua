-- SPDX-License-Identifier: MIT
--
--- Many entries of a map, sent as the lines of payloads: HAProxy reads these in half of the time of as many commands.
-- In a payload nothing is escaped. An entry that a payload cannot carry is sent as a command, some others with it.

local core = require("haplua.core")
local is_error = require("haplua.error").is

local M = {}

-- Entries that are sent as commands at a time.
local BY_COMMAND <const> = 100

-- Bytes of a request besides the reference and the lines: what the host puts before a command, the command, the mark.
local BESIDES <const> = 150

--- Raise the error of a request for the entries from `first` on: its numbers become those among all entries.
local function fail(problem, first)
  if is_error(problem) then
    problem.index = problem.index and problem.index + first - 1
    problem.done = (problem.done or 0) + first - 1
  end
  error(problem, 0)
end

--- Send the entries from `first` to `last` as commands.
local function by_command(target, head, keys, values, first, last)
  local some_keys, some_values = table.move(keys, first, last, 1, {}), table.move(values, first, last, 1, {})
  local ok, problem = pcall(target.each, target, head, some_keys, some_values)
  if not ok then
    fail(problem, first)
  end
end

--- Send these entries as a payload. Where HAProxy refuses it, they are sent once more as commands, to raise the error of
-- the first that HAProxy refuses: those before it are there twice then.
local function by_payload(target, head, keys, values, first, last, lines)
  local ok, problem = pcall(target.send, target, head, lines)
  if not ok and is_error(problem) and problem.kind == "refused" then
    by_command(target, head, keys, values, first, last)
  end
  if not ok then
    fail(problem, first)
  end
end

--- target:each(head, keys, values, nil, last), in payloads.
---@param head string[]  "add", "map", perhaps a version, the reference
---@param keys string[]
---@param values string[]
---@param last string[]?  a command to send afterwards
---@return integer added, string? reply  to `last`
function M.each(target, head, keys, values, last)
  local _, route = target:address()
  local room = core.line_max(target) - BESIDES - 2 * #table.concat(head) - #(route or "")
  local first = 1
  while first <= #keys do
    local lines, after = core.lines(keys, values, first, math.max(room, 0))
    if lines then
      by_payload(target, head, keys, values, first, after - 1, lines)
    else
      after = math.min(first + BY_COMMAND, #keys + 1)
      by_command(target, head, keys, values, first, after - 1)
    end
    first = after
  end
  return #keys, last and target:send(last)
end

return M
