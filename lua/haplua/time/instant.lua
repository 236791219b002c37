-- SPDX-License-Identifier: MIT
--
--- Instants and durations in the options and in the output of scripts. An instant is a number of seconds since 1970
-- UTC. haplua.time.reader reads the texts.

local M = {}

--- Read a whole text, as a `convert` function of haplua.cli: the value, or nil and what is wrong with the text. The reader
-- is loaded here: what only prints needs none.
---@param name string  of the function of haplua.time.reader
local function convert(what, text, name, ...)
  local reader = require("haplua.time.reader")
  local ok, found = pcall(reader.whole, what, text, reader[name], ...)
  if not ok and not require("haplua.error").is(found) then
    error(found, 0)
  end
  return ok and found or nil, not ok and found.message or nil
end

--- "30m", "1h30m", "90s", "2d". A number without a unit is refused.
---@param text string
---@return integer? seconds, string? problem
function M.duration(text)
  return convert("duration", text, "duration")
end

--- An instant to come: "03:00", "2026-12-01T03:00", "2026-12-01T03:00+01:00", "...Z". A time without an offset is
-- one of this machine's zone.
---@param text string
---@param now number
---@return integer? instant, string? problem
function M.instant(text, now)
  local at, problem = convert("time", text, "instant", nil, now)
  if at and at <= now then
    return nil, ("time '%s': it is past; now is %s"):format(text, M.text(now))
  end
  return at, problem
end

--- "2026-12-01 03:00:00 +0100", in the machine's zone.
---@return string
function M.text(instant)
  return (os.date("%Y-%m-%d %H:%M:%S %z", math.floor(instant)))
end

--- "2026-12-01T02:00:00Z", for programs.
---@return string
function M.iso(instant)
  return (os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(instant)))
end

--- "1 h 30 min", "45 s", "2 d 3 h": the two largest units.
---@return string
function M.span(seconds)
  seconds = math.floor(seconds + 0.5)
  local parts = {}
  for _, unit in ipairs({ { "d", 86400 }, { "h", 3600 }, { "min", 60 }, { "s", 1 } }) do
    local n = seconds // unit[2]
    if n > 0 and #parts < 2 then
      parts[#parts + 1] = ("%d %s"):format(n, unit[1])
    elseif #parts > 0 then
      break
    end
    seconds = seconds % unit[2]
  end
  return #parts > 0 and table.concat(parts, " ") or "0 s"
end

return M
