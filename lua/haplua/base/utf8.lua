-- SPDX-License-Identifier: MIT

--- A text as UTF-8: U+FFFD stands for each byte that is none. JSON and Prometheus take nothing else.
---@param text string
---@return string
return function(text)
  local parts, at = {}, 1
  while true do
    local good, bad = utf8.len(text, at)
    if good then
      return #parts == 0 and text or table.concat(parts) .. text:sub(at)
    end
    parts[#parts + 1] = text:sub(at, bad - 1) .. "\u{FFFD}"
    at = bad + 1
  end
end
