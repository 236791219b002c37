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

--- The folder in /proc of HAProxy's master process, or of its only process: a worker may have changed its root.
---@param target haplua.Target
---@param pid integer|string  as `show info` has it
---@return string? folder  nil: HAProxy runs elsewhere, or where processes have numbers of their own
function M.folder(target, pid)
  if not M.is_local(target) or not is_haproxy(pid) then
    return nil
  end
  local parent = (file.read(("/proc/%s/stat"):format(pid)) or ""):match("%) %a (%d+)")
  return "/proc/" .. (parent and is_haproxy(parent) and parent or pid)
end

--- The name under which haplua reaches a file that the process knows by another one.
---@param folder string  from folder()
---@param name string  absolute, or relative to the folder in which HAProxy was started
---@return string
function M.inside(folder, name)
  return folder .. (name:sub(1, 1) == "/" and "/root" or "/cwd/") .. name
end

return M
