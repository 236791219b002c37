-- SPDX-License-Identifier: MIT
--
--- The file of a list: HAProxy reads `-f FILE` of an ACL, or map(FILE), when it starts, and never writes it. haplua
-- writes each change to it, so that a new worker begins with the entries of the old one.
-- As in HAProxy's own reader, blank lines and lines that begin with '#' are comments, and leading blanks do not count.
-- The comments at the top of a file stay.

local file = require("haplua.file")
local lists = require("haplua.base.lists")
local process = require("haplua.haproxy.process")
local task = require("haplua.task")

local byte = string.byte

local M = {}

local HEAD = "# Kept in step with HAProxy's list by haplua. The next change replaces what HAProxy's list does not have.\n"

-- Seconds to wait for another process that replaces the same file; two switches may share one.
local BUSY_SECONDS = 2

-- Bytes of a file of patterns, at most.
local LIMIT = 64 << 20

local function fail(path, message, code, advice)
  error(require("haplua.error").new({
    kind = "file",
    message = ("%s: %s"):format(path, message),
    code = code,
    advice = advice or (code == "EACCES" or code == "EPERM" or code == "EROFS")
      and "this user cannot write the file, and without it the next reload undoes the change:\n"
      .. "use sudo; mount another volume where the folder is read-only, as a ConfigMap is; or give --no-file (`file = false`\n"
      .. "in the configuration) to leave the file as it is" or nil,
  }), 0)
end

--- The path of a list's file on this machine. nil: the list has none, or HAProxy runs on another machine.
---@param target haplua.Target
---@param ref string
---@return string?
function M.path(target, ref)
  return process.is_local(target) and ref:find("^/") and ref or nil
end

--- The entries of a file's text, as HAProxy reads them.
---@return string[] keys, string[]? values
function M.parse(text, kind)
  local keys, values, n = {}, kind == "map" and {} or nil, 0
  for line in text:gmatch("[^\n]+") do
    local first = byte(line)
    if first == 32 or first == 9 or byte(line, -1) == 13 then -- blank, tab, CR
      line = line:gsub("\r+$", ""):gsub("^[ \t]+", "")
      first = byte(line)
    end
    if first and first ~= 35 then -- '#'
      n = n + 1
      keys[n] = line
      if values then
        keys[n], values[n] = line:match("^(%S+)[ \t]*(.*)$")
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

--- Is a file mounted by itself, as containers do with `-v FILE:FILE`? It cannot be replaced by another one then.
local function is_mounted(real)
  local place = real:gsub("[ \t\n\\]", function(c)
    return ("\\%03o"):format(c:byte())
  end)
  return ((file.read("/proc/self/mountinfo", LIMIT) or "") .. "\n"):find((" %s "):format(place), 1, true) ~= nil
end

--- Raise `file` where HAProxy's process has another file under this name, which haplua cannot reach.
local function check_same(path, folder)
  local theirs, _, code = file.id(process.inside(folder, path))
  local mine = file.id(path)
  if theirs ~= mine and (theirs or code == "ENOENT") then
    fail(path, mine and "HAProxy has another file under this name, or none" or "only HAProxy has this file", "ENXIO",
      "HAProxy runs in a container, or the file alone is mounted there: mount its folder instead, under the same name\n"
      .. "as here, or run haplua where HAProxy runs. With --no-file (`file = false`) the list changes in memory only")
  end
end

--- Raise `file` for a name that begins at the folder in which HAProxy was started.
function M.check_name(target, ref)
  if not process.is_local(target) or not ref:find("^[%w._]") or ref:find("@", 1, true) then
    return
  end
  fail(ref, "HAProxy's configuration does not say in which folder this file is", "EINVAL",
    "write its whole name there, and here: -f /etc/haproxy/" .. ref .. "\nor give --no-file (`file = false`): "
    .. "then a reload brings back what the file has")
end

--- Raise `file` unless this user can write the file, and HAProxy reads it.
---@param path string
---@param folder string?  of HAProxy's process, from process.folder()
---@param how boolean|"in place"  as in the configuration
function M.check(path, folder, how)
  if folder then
    check_same(path, folder)
  end
  local real = file.real(path) or path
  local parent = file.info(real:match("^(.*)/[^/]*$") == "" and "/" or real:match("^(.*)/[^/]*$") or ".")
  if not parent then
    fail(path, "its folder does not exist", "ENOENT")
  elseif how ~= "in place" and is_mounted(real) then
    fail(path, "the file alone is mounted here, and so cannot be replaced", "EBUSY",
      "mount its folder instead; or `file = \"in place\"` in the configuration: haplua then writes into the file itself")
  elseif not (how == "in place" and file.info(real) or parent).writable then
    fail(path, how == "in place" and "this user may not write it" or "this user may not write to its folder", "EACCES")
  end
end

--- The text of entries. Raises for one that a file cannot hold, since HAProxy would read it as another one.
local function text_of(path, keys, values)
  local lines = values and {} or keys
  for i = 1, values and #keys or 0 do
    lines[i] = keys[i] .. " " .. values[i]
  end
  local text = table.concat(lines, "\n") .. (lines[1] and "\n" or "")
  local _, n = text:gsub("\n", "")
  if not values and n == #keys and not text:find("\r", 1, true) and not ("\n" .. text):find("\n[ \t#]") then
    return text -- the usual one: no entry is looked at alone
  end
  for i, key in ipairs(keys) do
    local value = values and values[i] or ""
    if key:find("^[ \t#]") or key:find("[\r\n]") or values and key:find("%s") or value:find("^[ \t]") or value:find("[\r\n]") then
      fail(path, ("a file of patterns cannot hold '%s'"):format(require("haplua.error").visible(key .. " " .. value)))
    end
  end
  return text
end

--- Does the file hold these entries? The order of an ACL's does not count. Returns nil where there is no file.
---@return boolean?
function M.in_step(path, kind, keys, values)
  local has, has_values = M.read(path, kind)
  return has and (not values and lists.same(has, keys) or values ~= nil and same(has, keys) and same(has_values, values))
end

--- Did a process that was killed leave its new file beside this one? The next file.replace() removes it.
local function is_left_over(path)
  local real = file.real(path)
  return real ~= nil and file.real((real:gsub("[^/]*$", ".%0.haplua-new", 1))) ~= nil
end

--- Make a file hold these entries. A file that has them is not written.
---@param values string[]?  of a map
---@param how boolean|"in place"|nil  as in the configuration
---@return string|nil|false before  the text before; nil: the file was not written; false: there was no file
function M.write(path, kind, keys, values, how)
  local has, has_values, text = M.read(path, kind)
  if has and same(has, keys) and (not values or same(has_values, values)) then
    if is_left_over(path) then
      M.restore(path, text, how)
    end
    return nil
  end
  M.restore(path, head(text) .. text_of(path, keys, values), how)
  return text or false
end

--- Write a text over that of a file. Blank lines fill up what was longer before, so that no reader finds the file empty.
-- A reload in this moment may read a part, and what a crash of the machine leaves is not known.
local function write_in_place(path, text)
  local f <close>, problem = io.open(path, "r+b")
  if not f then
    fail(path, problem)
  end
  local longer = f:seek("end") - #text
  f:seek("set", 0)
  f:setvbuf("no")
  local ok, failure = f:write(text .. ("\n"):rep(longer))
  if not ok then
    fail(path, failure)
  end
end

--- Replace a file's text. Raises `file`.
---@param text string
---@param how boolean|"in place"|nil  as in the configuration
function M.restore(path, text, how)
  if how == "in place" and file.info(path) then
    return write_in_place(path, text)
  end
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
