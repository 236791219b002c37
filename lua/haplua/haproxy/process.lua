-- SPDX-License-Identifier: MIT
--
--- HAProxy's process on this machine, and the files that it sees. In a container, or with a root of its own, these are
-- others than haplua's under the same names.

local file = require("haplua.file")

local M = {}

local function is_haproxy(pid)
  return (file.read(("/proc/%s/comm"):format(pid)) or ""):find("^haproxy") ~= nil
end

--- Does HAProxy run on this machine, as far as its address tells?
---@param target haplua.Target
---@return boolean
function M.is_local(target)
  return target:address():find("^[/.]") ~= nil or target:address():find("^unix@") ~= nil
end

--- The number that a process has where it runs, as in a container.
local function inner_number(pid)
  return (file.read(("/proc/%s/status"):format(pid)) or ""):match("\nNSpid:[^\n]-(%d+)\n")
end

--- The inodes of the sockets that a process holds, as keys.
---@param pid integer|string
---@return table<string, true>?  nil: this user may not look
function M.sockets(pid)
  local found, names = {}, file.list(("/proc/%s/fd"):format(pid))
  for _, name in ipairs(names or {}) do
    local inode = (file.link(("/proc/%s/fd/%s"):format(pid, name)) or ""):match("^socket:%[(%d+)%]$")
    found[inode or ""] = inode and true
  end
  return names and found
end

--- Does a process listen at a socket of this name? HAProxy binds to NAME.PID.tmp, and renames it.
---@return boolean?  nil: this user may not look
local function listens_at(pid, path)
  local sockets, name = M.sockets(pid), path:match("[^/]*$")
  local text = sockets and file.read(("/proc/%s/net/unix"):format(pid)) or ""
  local from, line_end = 1, text:find("\n", 1, true)
  while line_end do -- there may be hundreds
    local line = text:sub(from, line_end - 1)
    local inode, at
    if line:find(name, 1, true) then
      inode, at = line:match("^%x+: %x+ %x+ 00010000 %x+ %x+ +(%d+) .-([^/]*)$")
    end
    if inode and sockets[inode] and (at == name or at:gsub("%.%d+%.tmp$", "") == name) then
      return true
    end
    from, line_end = line_end + 1, text:find("\n", line_end + 1, true)
  end
  return sockets and false
end

--- The process behind a socket, by the number that `show info` tells: in a container HAProxy has another number than
-- here, which may be that of another HAProxy here.
---@param target haplua.Target
---@param pid integer|string
---@return integer|string|nil  the number that it has here
function M.behind(target, pid)
  local path = target:address():gsub("^unix@", "")
  path = file.real(path) or path
  if is_haproxy(pid) and inner_number(pid) == tostring(pid) and listens_at(pid, path) ~= false then
    return pid
  end
  local found
  for _, name in ipairs(file.list("/proc") or {}) do
    if name:find("^%d+$") and is_haproxy(name) and inner_number(name) == tostring(pid) and listens_at(name, path) then
      if found then
        return nil
      end
      found = name
    end
  end
  return found
end

--- The folder in /proc of HAProxy's master process, or of its only process: a worker may have changed its root.
---@param target haplua.Target
---@param pid integer|string  as `show info` has it
---@return string? folder  nil: HAProxy runs elsewhere, or this user may not see where
function M.folder(target, pid)
  local here = M.is_local(target) and M.behind(target, pid)
  if not here then
    return nil
  end
  local parent = M.parent(here)
  return "/proc/" .. (parent and is_haproxy(parent) and parent or here)
end

--- The number of a process's parent.
---@param pid integer|string
---@return string?
function M.parent(pid)
  return (file.read(("/proc/%s/stat"):format(pid)) or ""):match("%) %a (%d+)")
end

M.is_haproxy = is_haproxy

--- The name under which haplua reaches a file that the process knows by another one.
---@param folder string  from folder()
---@param name string  absolute, or relative to the folder in which HAProxy was started
---@return string
function M.inside(folder, name)
  return folder .. (name:sub(1, 1) == "/" and "/root" or "/cwd/") .. name
end

return M
