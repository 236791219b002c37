-- SPDX-License-Identifier: MIT
--
--- Instants and occurrences as the tests of windows and calendars write them.

local civil = require("haplua.time.civil")
local reader = require("haplua.time.reader")
local window = require("haplua.window")
local zone = require("haplua.zone")

local M = {}

--- An instant from "2026-03-29T02:30Z" or "...+02:00".
---@param text string
---@return integer seconds
function M.at(text)
  return reader.whole("time", text, reader.instant, zone.load("UTC"))
end

--- "2026-03-29 01:00" of an instant, in UTC.
---@param instant number  seconds; also what is for ever
---@return string
function M.utc(instant)
  if instant == math.huge or instant == -math.huge then
    return tostring(instant)
  end
  return civil.date_text(instant // 86400) .. " " .. civil.clock_text(instant % 86400)
end

--- The next n occurrences, at most, as "opens/closes" in UTC.
---@param specs any  what window.new takes
---@param options table?  of window.new
---@param from string
---@param n integer
---@return string[]
function M.coming(specs, options, from, n)
  local list = {}
  for occurrence in window.new(specs, options):occurrences(M.at(from)) do
    list[#list + 1] = M.utc(occurrence.opens) .. "/" .. M.utc(occurrence.closes)
    if #list == n then
      break
    end
  end
  return list
end

return M
