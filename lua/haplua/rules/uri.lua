-- SPDX-License-Identifier: MIT
--
--- What the rule `http-request normalize-uri` (HAProxy 2.4) makes of a path. Tried against 2.6 to 3.2.

local M = {}

local actions = {}

actions["path-merge-slashes"] = function(path)
  return (path:gsub("//+", "/"))
end

--- The segments of a path. "/a/" has "a" and "".
local function segments(path)
  local found = {}
  for segment in path:sub(2):gmatch("[^/]*") do
    found[#found + 1] = segment
  end
  return found
end

actions["path-strip-dot"] = function(path)
  local kept, all = {}, segments(path)
  for i, segment in ipairs(all) do
    if segment ~= "." then
      kept[#kept + 1] = segment
    elseif i == #all then
      kept[#kept + 1] = ""
    end
  end
  return "/" .. table.concat(kept, "/")
end

actions["path-strip-dotdot"] = function(path, parts)
  local kept, all, full = {}, segments(path), parts[4] == "full"
  for i, segment in ipairs(all) do
    local is_up = segment == ".."
    if is_up and #kept > 0 and kept[#kept] ~= ".." then
      kept[#kept] = nil
    elseif not is_up or not full then
      kept[#kept + 1] = segment
      is_up = false
    end
    if is_up and i == #all then
      kept[#kept + 1] = ""
    end
  end
  return "/" .. table.concat(kept, "/")
end

actions["percent-decode-unreserved"] = function(path, parts)
  if parts[4] == "strict" and path:gsub("%%%x%x", ""):find("%", 1, true) then
    return nil
  end
  return (path:gsub("%%(%x%x)", function(digits)
    local c = string.char(tonumber(digits, 16))
    return c:find("^[%w._~-]$") and c or nil
  end))
end

actions["percent-to-uppercase"] = function(path, parts)
  if parts[4] == "strict" and path:gsub("%%%x%x", ""):find("%", 1, true) then
    return nil
  end
  return (path:gsub("%%%x%x", string.upper))
end

actions["fragment-strip"] = function(path)
  return (path:gsub("#.*$", ""))
end

actions["fragment-encode"] = function(path)
  return (path:gsub("#", "%%23"))
end

actions["query-sort-by-name"] = function(path)
  return path
end

--- The path after a normalizer.
---@param path string
---@param name string  of the normalizer
---@param parts string[]  the words of the rule
---@return string?  nil: not known
function M.normalize(path, name, parts)
  local action = actions[name]
  return action and path:sub(1, 1) == "/" and action(path, parts) or nil
end

return M
