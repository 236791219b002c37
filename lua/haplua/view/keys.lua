-- SPDX-License-Identifier: MIT
--
--- What a terminal sends becomes the names of keys.

local M = {}

-- What stands behind ESC [ or ESC O.
local SEQUENCES <const> = {
  A = "up", B = "down", C = "right", D = "left", H = "home", F = "end", ["1~"] = "home", ["4~"] = "end", ["5~"] = "page up",
  ["6~"] = "page down", ["3~"] = "delete", ["7~"] = "home", ["8~"] = "end",
}

local CONTROLS <const> = {
  ["\n"] = "enter", ["\r"] = "enter", ["\8"] = "backspace", ["\127"] = "backspace", ["\t"] = "tab", ["\12"] = "redraw",
  ["\21"] = "clear", ["\1"] = "home", ["\5"] = "end",
}

--- The name of the key at a position, and the position behind it. A key without a name has the name "".
local function next_key(bytes, at)
  local parameters, final, after = bytes:match("^\27[%[O]([%d;]*)([%a~])()", at)
  if final then
    return SEQUENCES[final == "~" and parameters .. "~" or final] or "", after
  elseif bytes:find("^\27", at) then
    return "escape", at + 1
  end
  local character = bytes:match("^" .. utf8.charpattern, at)
  if character and character:byte() >= 32 and character ~= "\127" and utf8.len(character) then
    return character, at + #character
  end
  return CONTROLS[bytes:sub(at, at)] or "", at + 1
end

--- The keys of one read. A printable character is its own name.
---@param bytes string
---@return string[]
function M.of(bytes)
  local keys, at = {}, 1
  while at <= #bytes do
    keys[#keys + 1], at = next_key(bytes, at)
  end
  return keys
end

return M
