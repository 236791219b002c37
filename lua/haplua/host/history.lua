-- SPDX-License-Identifier: MIT
--
--- The lines that were typed at the prompt, over sessions: $XDG_STATE_HOME/haplua/history, which its user alone may read.
-- Where the file cannot be written, the history is that of the session.

local file = require("haplua.file")
local terminal = require("haplua.terminal")

local M = {}

-- The lines that a session begins with, and the bytes from which on the file is cut to them.
local LINES, BYTES = 1000, 1 << 18

--- The file, in a folder that is made where it is missing; nil: there is no home.
---@return string?
local function path_of()
  local folder, rest = os.getenv("XDG_STATE_HOME") or "", { "haplua" }
  if folder:sub(1, 1) ~= "/" then
    folder, rest = os.getenv("HOME") or "", { ".local", "state", "haplua" }
  end
  if folder:sub(1, 1) ~= "/" then
    return nil
  end
  for _, name in ipairs(rest) do
    folder = folder .. "/" .. name
    file.folder(folder, { mode = "0700" })
  end
  return file.info(folder) and folder .. "/history"
end

--- Read the lines of former sessions, and open the file for those of this one.
---@return fun(line: string) add  adds a line; one that begins with a space is kept out of the file
function M.open()
  local path, lines = path_of(), {}
  local text = path and file.read(path, 1 << 26) or ""
  for line in text:gmatch("[^\n]+") do
    lines[#lines + 1] = line
  end
  lines = table.move(lines, math.max(1, #lines - LINES + 1), #lines, 1, {})
  for _, line in ipairs(lines) do
    terminal.remember(line)
  end
  local latest = lines[#lines]
  local info = path and file.info(path)
  if path and (not info or info.mode ~= "0600" or #text > BYTES) then
    os.remove(path)
    file.replace(path, #lines > 0 and table.concat(lines, "\n") .. "\n" or "", { mode = "0600" })
  end
  return function(line)
    if not line:find("%S") or line == latest then
      return
    end
    latest = line
    terminal.remember(line)
    local f <close> = path and file.info(path) and line:sub(1, 1) ~= " " and io.open(path, "a")
    if f then
      f:write(line, "\n")
    end
  end
end

return M
