-- SPDX-License-Identifier: MIT
--
--- Which bytes must not reach a HAProxy of some version in one request: for hostile_test.lua and
-- tests/real/writes_test.lua.

local M = {}

M.MAX = 15000

--- The commands of a line, which unescaped semicolons separate.
local function commands(line)
  local found, from, at = {}, 1, 1
  while at <= #line do
    local char = line:sub(at, at)
    if char == ";" then
      found[#found + 1], from = line:sub(from, at - 1), at + 1
    end
    at = at + (char == "\\" and 2 or 1)
  end
  found[#found + 1] = line:sub(from)
  return found
end

--- Why the master CLI would not pass on every command of a line to `route`; nil: it does.
local function misrouted(line, route)
  for _, command in ipairs(commands(line)) do
    if command:sub(1, #route + 1) ~= route .. " " then
      return "a command for the master itself"
    end
    local words = 0
    for _ in command:gsub("\\.", "x"):gmatch("[^ \t]+") do
      words = words + 1
    end
    local rest = command:sub(#route + 2):gsub("^[ \t]+", "")
    if rest:find("^\\?@") then
      return "a second route"
    elseif rest == "" then
      return "a route alone: it is for all later commands, too"
    elseif words > 64 then
      return "more words than are read"
    end
  end
end

--- Why these bytes must not reach a HAProxy of some version.
---@param bytes string  all of one request
---@param route string?  the process to which a master CLI must pass each command on: "@1"
---@return string? why  nil: they may
function M.why(bytes, route)
  local line, payload = bytes:match("^([^\n]*)\n(.*)$")
  if not line then
    return "a line without an end: it waits"
  elseif #bytes > M.MAX then
    return #bytes .. " bytes: near the sizes that crash HAProxy"
  elseif bytes:find("\0", 1, true) then
    return "NUL: the rest is a command of its own on 3.2"
  elseif #line:match("\\*$") % 2 == 1 then
    return "an escaped LF: the rest is a command of its own on 2.2"
  elseif line:find("\r$") then
    return "CR at the end: HAProxy drops it, and 3.2 sends one more reply"
  elseif payload == "" then
    if line:find("<<$") or line:find("[ \t]<<[^ \t]*$") then
      return "a payload is announced, and there is none"
    end
  elseif not line:find(" <<$") or payload:find("\r\n", 1, true) or payload:sub(-2) ~= "\n\n" then
    return "lines that might run as commands"
  elseif payload:sub(1, 1) == "\n" or payload:sub(1, -2):find("\n\n", 1, true) then
    return "an empty line: what follows runs as commands"
  end
  return route and misrouted(line, route)
end

return M
