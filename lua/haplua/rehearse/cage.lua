-- SPDX-License-Identifier: MIT
--
--- The files that a rehearsal's HAProxy sees: those of the system, or of a container, which it can read only. Folders into
-- which HAProxy's configuration writes are in memory, and no socket of another process can be reached.

local failure = require("haplua.rehearse.failure")
local file = require("haplua.file")
local lists = require("haplua.base.lists")
local namespace = require("haplua.namespace")

local M = {}

-- Folders of files that live no longer than a boot: here only what the configuration names is seen of them.
local SHORT_LIVED <const> = { "/run", "/var/run", "/tmp", "/var/tmp" }

-- The devices that are seen. To write to a device needs no right to write to its file system.
local DEVICES <const> = { null = "device", zero = "device", full = "device", random = "device", urandom = "device" }

-- A folder with so many entries, at most, is seen whole when its place in memory is made.
local ENTRIES <const> = 500

---@class haplua.rehearse.Cage
---@field base string  a folder in memory for files of haplua
---@field private made table<string, boolean>  folders that are in memory now
---@field private unseen string[]  what could not be done
local Cage = {}
Cage.__index = Cage

--- Raise `denied` where a step fails without which nothing can be promised.
local function must(ok, message)
  if not ok then
    failure.raise("denied", message, failure.RIGHTS)
  end
end

local function is_below(path, folder)
  return path:sub(1, #folder + 1) == folder .. "/"
end

--- Is a path in one of the folders that are in memory?
function Cage:is_inside(path)
  for folder in pairs(self.made) do
    if path == folder or is_below(path, folder) then
      return true
    end
  end
  return false
end

--- Create the folders above a path.
local function create_above(path)
  for at in path:gmatch("()/") do
    if at > 1 then
      file.folder(path:sub(1, at - 1), { mode = "0755" })
    end
  end
end

--- Show at `target` what is at `source`, which may be relative, without its right to write.
local function show(source, target, is_folder)
  create_above(target)
  if is_folder then
    file.folder(target, { mode = "0755" })
  else
    local f = io.open(target, "ab")
    if f then
      f:close()
    end
  end
  return namespace.mount(source, target, "", { "bind", "recursive" })
end

--- Make a folder one in memory, and show in it what `names` has of its entries: relative paths -> type.
function Cage:empty(folder, names)
  must(namespace.folder(folder))
  must(namespace.mount("haplua", folder, "tmpfs", { "nosuid", "nodev" }, "size=64m,mode=1777"))
  self.made[folder] = true
  for name, kind in pairs(names) do
    show(name, folder .. "/" .. name, kind == "folder")
  end
  must(namespace.folder("/"))
end

--- The paths of `wanted` below a folder, as relative ones, with their types. A path below another one is left out.
local function below(folder, wanted)
  local found = {}
  for path in pairs(wanted) do
    local info = is_below(path, folder) and file.info(path)
    if info and (info.type == "file" or info.type == "folder") then
      found[path:sub(#folder + 2)] = info.type
    end
  end
  for name in pairs(found) do
    for at in name:gmatch("()/") do
      if found[name:sub(1, at - 1)] == "folder" then
        found[name] = nil
        break
      end
    end
  end
  return found
end

--- All entries of a folder but its sockets, with their types. nil: there are too many.
local function entries_of(folder)
  local names = file.list(folder) or {}
  if #names > ENTRIES then
    return nil
  end
  local found = {}
  for _, name in ipairs(names) do
    local info = file.info(folder .. "/" .. name)
    if info and info.type ~= "socket" and info.type ~= "pipe" then
      found[name] = info.type
    end
  end
  return found
end

--- Hide the sockets among some paths, and in some folders.
function Cage:hide_sockets(paths)
  local nothing, hidden = self.base .. "/nothing", {}
  assert(io.open(nothing, "w")):close()
  for _, path in ipairs(paths) do
    local real = file.real(path)
    local info = real and not hidden[real] and file.info(real)
    if info and info.type == "socket" then
      hidden[real] = true
      must(namespace.mount(nothing, real, "", { "bind" }))
    end
  end
end

--- The sockets in folders, for hide_sockets().
local function sockets_in(folders)
  local found = {}
  for folder in pairs(folders) do
    for _, name in ipairs((file.info(folder) or {}).type == "folder" and file.list(folder) or {}) do
      local path = folder .. "/" .. name
      if (file.info(path) or {}).type == "socket" then
        found[#found + 1] = path
      end
    end
  end
  return found
end

--- The real paths of some names, as a set.
local function reals(names)
  local found = {}
  for _, name in ipairs(names) do
    local real = file.real(name)
    if real and real ~= "/" then
      found[real] = true
    end
  end
  return found
end

--- Create a folder that is missing in one that is in memory: services make those of /run at each start.
function Cage:create(name)
  local there = name
  while not file.real(there) do
    there = there:match("^(.+)/[^/]*$") or "/"
  end
  if there ~= name and self:is_inside(file.real(there)) then
    create_above(name .. "/")
  end
end

-- Flags of a mount that stay: who is not root of the system may not take them away.
local FLAGS <const> = { nosuid = true, nodev = true, noexec = true, noatime = true, nodiratime = true, relatime = true }

--- Every mount can be read only. Linux before 5.12 knows no way to say so of all at once.
local function make_read_only()
  if namespace.read_only("/") then
    return
  end
  for line in io.lines("/proc/self/mountinfo") do
    local path, options = line:match("^%d+ %d+ %S+ %S+ (%S+) (%S+)")
    local flags = { "remount", "bind", "read-only" }
    for option in options:gmatch("[^,]+") do
      flags[#flags + 1] = FLAGS[option] and option or nil
    end
    path = path:gsub("\\(%d%d%d)", function(digits)
      return string.char(tonumber(digits, 8))
    end)
    local ok, problem, code = namespace.mount("", path, "", flags)
    if not ok and code ~= "EINVAL" and code ~= "ENOENT" then
      must(ok, problem)
    end
  end
end

--- Have mounts apart from those of others, all of them read only.
---@param root string?  the folder that becomes the root
function M.part(root)
  must(namespace.unshare({ "mount" }))
  local ok, message, code = namespace.mount("none", "/", "", { "recursive", "private" })
  if code == "EINVAL" then -- what is mounted here could not be kept from others
    failure.raise("denied", "the root of this process is not a mount, as in a chroot",
      "run haplua outside of the chroot, or in a container")
  end
  must(ok, message)
  make_read_only()
  if root then
    must(namespace.root(root))
  end
end

--- Close the cage round this process, after part().
---@param wanted {seen: string[], written: string[], sockets: string[]}  seen: files and folders that shall be there;
--- written: folders into which HAProxy's configuration writes; sockets: those that processes have
---@return haplua.rehearse.Cage  raises `denied`
function M.close(wanted)
  local self = setmetatable({ made = {} }, Cage)
  local seen, written = reals(wanted.seen), reals(wanted.written)
  self:empty("/dev", DEVICES)
  self.base = "/dev/haplua-rehearsal"
  file.folder("/dev/shm", { mode = "1777" })
  local temporary = reals(SHORT_LIVED)
  for _, folder in ipairs(lists.keys(temporary)) do
    if not self:is_inside(folder) then
      self:empty(folder, below(folder, seen))
    end
  end
  file.folder(self.base, { mode = "0755" })
  for _, name in ipairs(wanted.written) do
    self:create(name)
  end
  for _, folder in ipairs(lists.keys(written)) do
    if not self.made[folder] and (file.info(folder) or {}).type == "folder" then
      self:empty(folder, entries_of(folder) or below(folder, seen))
    end
  end
  self:hide_sockets(wanted.sockets)
  self:hide_sockets(sockets_in(seen))
  return self
end

--- Show the processes of the rehearsal in /proc, which cannot be written to after `prepare`.
---@param prepare function
function M.show_processes(prepare)
  namespace.mount("proc", "/proc", "proc", { "nosuid", "nodev", "noexec" })
  prepare()
  must(namespace.mount("", "/proc", "", { "remount", "bind", "read-only", "nosuid", "nodev", "noexec" }))
end

--- Write a file of haplua's.
---@return string path
function Cage:write(name, text)
  local path = self.base .. "/" .. name
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  return path
end

--- Have HAProxy see a text in the place of a file.
function Cage:replace(path, name, text)
  must(namespace.mount(self:write(name, text), path, "", { "bind" }))
end

return M
