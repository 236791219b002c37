-- SPDX-License-Identifier: MIT
--
--- The file of a list: HAProxy reads `-f FILE` of an ACL, or map(FILE), when it starts, and never writes it. haplua
-- writes each change to it, so that a new worker begins with the entries of the old one.
-- As in HAProxy's own reader, blank lines and lines that begin with '#' are comments, and leading blanks do not count.
-- The comments at the top of a file stay.

local file = require("haplua.file")
local task = require("haplua.task")

local M = {}

local HEAD = "# Kept in step with HAProxy's list by haplua. The next change replaces what HAProxy's list does not have.\n"

-- Seconds to wait for another process that replaces the same file; two switches may share one.
local BUSY_SECONDS = 2

-- Bytes of a file of patterns, at most.
local LIMIT = 64 << 20

local function fail(path, message, code)
  error(require("haplua.error").new({
    kind = "file",
    message = ("%s: %s"):format(path, message),
    code = code,
    advice = (code == "EACCES" or code == "EPERM" or code == "EROFS")
      and "this user cannot write the file, and without it the next reload undoes the change:\n"
      .. "use sudo, or give --no-file (`file = false` in the configuration) to leave the file as it is" or nil,
  }), 0)
end

--- The path of a list's file on this machine. nil: the list has none, or HAProxy runs on another machine.
---@param target haplua.Target
---@param ref string
---@return string?
function M.path(target, ref)
  local address = target:address()
  local is_local = address:find("^/") or address:find("^unix@") or address:find("^%.")
  return is_local and ref:find("^/") and ref or nil
end

--- The entries of a file's text, as HAProxy reads them.
---@return string[] keys, string[]? values
function M.parse(text, kind)
  local keys, values = {}, kind == "map" and {} or nil
  for line in (text .. "\n"):gmatch("([^\n]*)\n") do
    line = line:gsub("\r+$", ""):gsub("^[ \t]+", "")
    if line ~= "" and line:sub(1, 1) ~= "#" then
      if values then
        local key, value = line:match("^(%S+)[ \t]*(.*)$")
        keys[#keys + 1], values[#keys + 1] = key, value
      else
        keys[#keys + 1] = line
      end
    end
  end
  return keys, values
end

--- The entries of a file. Returns nil where there is no file; raises `file`.
---@return string[]? keys, string[]? values, string? text
function M.read(path, kind)
  local text, problem, code = file.read(path, LIMIT)
  if not text and code == "ENOENT" then
    return nil
  elseif not text then
    fail(path, problem, code)
  end
  local keys, values = M.parse(text, kind)
  return keys, values, text
end

local function same(a, b)
  if #a ~= #b then
    return false
  end
  for i, item in ipairs(a) do
    if item ~= b[i] then
      return false
    end
  end
  return true
end

--- The comments with which a text begins.
local function head(text)
  local lines = {}
  for line in (text or ""):gmatch("[^\n]*\n") do
    if not line:find("^[ \t]*#") then
      break
    end
    lines[#lines + 1] = line
  end
  return #lines > 0 and table.concat(lines) or HEAD
end

--- Raise `file` unless this user can replace the file.
function M.check(path)
  local real = file.real(path) or path
  local folder = file.info(real:match("^(.*)/[^/]*$") == "" and "/" or real:match("^(.*)/[^/]*$") or ".")
  if not folder then
    fail(path, "its folder does not exist", "ENOENT")
  elseif not folder.writable then
    fail(path, "this user may not write to its folder", "EACCES")
  end
end

--- Raise for an entry that a file cannot hold, since HAProxy would read it as another one.
local function check_entries(path, keys, values)
  for i, key in ipairs(keys) do
    if key:find("^[ \t#]") or key:find("[\r\n]") or values and (key:find("%s") or values[i]:find("[\r\n]")) then
      fail(path, ("a file of patterns cannot hold '%s'"):format(require("haplua.error").visible(key)))
    end
  end
end

local function sorted(list)
  local copy = table.move(list, 1, #list, 1, {})
  table.sort(copy)
  return copy
end

--- Does the file hold these entries? Of a map, in this order: the first match decides. Returns nil where there is no file.
---@return boolean?
function M.in_step(path, kind, keys, values)
  local has, has_values = M.read(path, kind)
  if not has or values then
    return has and same(has, keys) and same(has_values, values)
  end
  return same(sorted(has), sorted(keys))
end

--- Did a process that was killed leave its new file beside this one? The next file.replace() removes it.
local function is_left_over(path)
  local real = file.real(path)
  return real ~= nil and file.real((real:gsub("[^/]*$", ".%0.haplua-new", 1))) ~= nil
end

--- Make a file hold these entries. A file that has them is not written.
---@param values string[]?  of a map
---@return string|nil|false before  the text before; nil: the file was not written; false: there was no file
function M.write(path, kind, keys, values)
  local has, has_values, text = M.read(path, kind)
  if has and same(has, keys) and (not values or same(has_values, values)) then
    if is_left_over(path) then
      M.restore(path, text)
    end
    return nil
  end
  check_entries(path, keys, values)
  local lines = {}
  for i, key in ipairs(keys) do
    lines[i] = values and key .. " " .. values[i] or key
  end
  lines[#lines + 1] = ""
  M.restore(path, head(text) .. table.concat(lines, "\n"))
  return text or false
end

--- Replace a file's text. Raises `file`.
---@param text string
function M.restore(path, text)
  local latest = task.now() + BUSY_SECONDS
  while true do
    local ok, problem, code = file.replace(path, text)
    if ok then
      return
    elseif code ~= "EBUSY" or task.now() > latest then
      fail(path, problem, code)
    end
    task.sleep(0.005)
  end
end

return M
