-- SPDX-License-Identifier: MIT
--
--- The file behind a list: what `-f FILE` of an ACL or map(FILE) has HAProxy read when it starts. HAProxy never
-- writes it; kept in step with the runtime, it has a new worker begin where the old one was.
-- Blank lines and lines that begin with '#' are comments; leading blanks do not count (runtime-api: what
-- HAProxy's own reader does). The comments at the top of a file stay.

local file = require("haplua.file")
local task = require("haplua.task")

local M = {}

local HEAD = "# Kept in step with HAProxy's runtime by haplua; other entries are replaced.\n"

-- How long to wait for another process that replaces the same file; two switches may share one.
local PATIENCE = 2

-- A list of patterns is no larger; what is, is no list.
local LIMIT = 64 << 20

local function complain(path, message, code)
  error(require("haplua.error").new({
    kind = "file",
    message = ("%s: %s"):format(path, message),
    code = code,
    advice = (code == "EACCES" or code == "EPERM" or code == "EROFS")
      and "this user cannot keep the file in step, and without it the next reload undoes the change:\n"
      .. "use sudo, or give --no-file (`file = false` in the configuration) to leave the file alone" or nil,
  }), 0)
end

--- The path of a list's file on this machine, or nil: the list has none, or it is another machine's.
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

--- The entries of a file; nothing when it is not there.
---@return string[]? keys, string[]? values, string? text
function M.read(path, kind)
  local text, problem, code = file.read(path, LIMIT)
  if not text and code == "ENOENT" then
    return nil
  elseif not text then
    complain(path, problem, code)
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

--- Raise unless this user can replace the file.
function M.check(path)
  local real = file.real(path) or path
  local folder = file.info(real:match("^(.*)/[^/]*$") == "" and "/" or real:match("^(.*)/[^/]*$") or ".")
  if not folder then
    complain(path, "its folder is not there", "ENOENT")
  elseif not folder.writable then
    complain(path, "this user may not write its folder", "EACCES")
  end
end

--- An entry that a file cannot hold: HAProxy would read it as something else.
local function check_entries(path, keys, values)
  for i, key in ipairs(keys) do
    if key:find("^[ \t#]") or key:find("[\r\n]") or values and (key:find("%s") or values[i]:find("[\r\n]")) then
      complain(path, ("'%s' cannot stand in a file"):format(require("haplua.error").visible(key)))
    end
  end
end

--- Does the file hold these entries, in this order? Nil: there is no file.
---@return boolean?
function M.in_step(path, kind, keys, values)
  local has, has_values = M.read(path, kind)
  return has and same(has, keys) and (not values or same(has_values, values))
end

--- Did a process that was killed leave its new file beside this one? The next file.replace() takes it away.
local function is_left_over(path)
  local real = file.real(path)
  return real ~= nil and file.real((real:gsub("[^/]*$", ".%0.haplua-new", 1))) ~= nil
end

--- Make a file hold these entries. One that does is not touched.
---@param values string[]?  of a map
---@return string|nil|false before  the text that was there; nil: it was not touched; false: there was no file
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

--- Put a text in the place of a file's.
---@param text string
function M.restore(path, text)
  local latest = task.now() + PATIENCE
  while true do
    local ok, problem, code = file.replace(path, text)
    if ok then
      return
    elseif code ~= "EBUSY" or task.now() > latest then
      complain(path, problem, code)
    end
    task.sleep(0.005)
  end
end

return M
