-- SPDX-License-Identifier: MIT
--
--- What is rehearsed: the program, the words and the surroundings of a running HAProxy, or those that somebody names.

local failure = require("haplua.rehearse.failure")
local file = require("haplua.file")
local process = require("haplua.haproxy.process")

local M = {}

---@class haplua.rehearse.Start  how HAProxy is started for a rehearsal
---@field program string
---@field files string[]  its configuration, in order: files and folders
---@field words string[]  other words of its command line that a rehearsal keeps
---@field folder string  in which relative names begin
---@field environment table<string, string>?  of the running process; nil: as this one's
---@field mounts string?  "/proc/PID/ns/mnt" of a process with mounts of its own, such as a container's
---@field root string?  the process has another root: what chroot(2) made it
---@field pid integer?  of the running process

-- Options of HAProxy with a value that a rehearsal keeps; the value may be any text.
local KEPT <const> = { ["-C"] = true, ["-L"] = true, ["-m"] = true }

-- Options with a value that it leaves out: pidfile, sockets of the old process, the master's socket, limits.
local DROPPED <const> = { ["-p"] = true, ["-x"] = true, ["-S"] = true, ["-n"] = true, ["-N"] = true }

-- Variables that HAProxy sets for its own workers, or that reach other processes.
local NOT_TOLD <const> = {
  HAPROXY_MWORKER_REEXEC = true, HAPROXY_MWORKER_WAIT_ONLY = true, HAPROXY_PROCESSES = true, HAPROXY_CFGFILES = true,
  HAPROXY_CLI = true, HAPROXY_MASTER_CLI = true, HAPROXY_STARTUPLOGS_FD = true, HAPROXY_LOAD_SUCCESS = true,
  NOTIFY_SOCKET = true, LISTEN_FDS = true, LISTEN_PID = true, LISTEN_FDNAMES = true, WATCHDOG_USEC = true,
  WATCHDOG_PID = true,
}

local function raise(message, advice)
  failure.raise("file", message, advice)
end

local NAMED <const> = "name the program and the files: --haproxy /usr/sbin/haproxy --haproxy-config /etc/haproxy/haproxy.cfg"

--- The texts between NULs.
local function texts_of(bytes)
  local texts = {}
  for text in bytes:gmatch("([^%z]*)%z") do
    texts[#texts + 1] = text
  end
  return texts
end

--- The files and the kept words of a command line.
---@param words string[]  the first is the program
---@return string[] files, string[] kept
function M.command_line(words)
  local files, kept, i = {}, {}, 2
  while words[i] do
    local word = words[i]
    if word == "--" then
      table.move(words, i + 1, #words, #files + 1, files)
      break
    elseif word == "-f" then
      files[#files + 1], i = words[i + 1], i + 1
    elseif KEPT[word] then
      kept[#kept + 1], kept[#kept + 2], i = word, words[i + 1], i + 1
    elseif DROPPED[word] then
      i = i + 1
    end
    i = i + 1
  end
  return files, kept
end

--- The environment of a process.
local function environment_of(folder)
  local found = {}
  for _, text in ipairs(texts_of(file.read(folder .. "/environ") or "")) do
    local name, value = text:match("^([^=]+)=(.*)$")
    if name and not NOT_TOLD[name] then
      found[name] = value
    end
  end
  return found
end

--- The name of a path for a process with another root.
local function inside(root, path)
  return root and path:sub(1, #root) == root and (path:sub(#root + 1) .. "/"):gsub("(.)/$", "%1") or path
end

--- The sockets with a path that processes of a network listen at, or receive datagrams.
---@param pid string|integer  a process of that network
---@return string[]
function M.sockets(pid)
  local found = {}
  local f <close> = io.open(("/proc/%s/net/unix"):format(pid))
  for line in f and f:lines() or function() end do
    local path = line:match("^%x+: %x+ %x+ %x+ %x+ %x+ +%d+ (/.*)$")
    found[#found + 1] = path and path:gsub("%.%d+%.tmp$", "") -- HAProxy's sockets get their names after this
  end
  return found
end

--- Does a process have the socket with this identity, under whatever name?
local function has_socket(folder, id)
  for _, path in ipairs(M.sockets(folder:match("%d+$"))) do
    if file.id(folder .. "/root" .. path) == id then
      return true
    end
  end
  return false
end

--- The folder in /proc of a process that has another number in its container: that of its master.
---@param pid integer  its number there
local function find_in_container(target, pid)
  local id, path = nil, tostring(target:address()):gsub("^unix@", "")
  for _, name in ipairs(file.list("/proc") or {}) do
    local folder = "/proc/" .. name
    local status = name:find("^%d+$") and file.read(folder .. "/status") or ""
    if status:find("^Name:%s+haproxy") and tonumber(status:match("\nNSpid:[^\n]*%s(%d+)\n")) == pid then
      local parent = "/proc/" .. (status:match("\nPPid:%s+(%d+)") or "")
      parent = (file.read(parent .. "/status") or ""):find("^Name:%s+haproxy") and parent or folder
      id = id or file.id(path)
      if id and has_socket(parent, id) then
        return parent
      end
    end
  end
end

--- How the HAProxy was started that a target reaches.
---@param target haplua.Target
---@return haplua.rehearse.Start  raises `file` where this machine or this user cannot tell
function M.of_target(target)
  local pid = target:info().Pid
  local folder = process.folder(target, pid) or process.is_local(target) and find_in_container(target, pid)
  if not folder then
    raise(("no process %s of HAProxy is on this machine"):format(pid), NAMED)
  end
  local words = texts_of(file.read(folder .. "/cmdline") or "")
  local program, cwd = file.link(folder .. "/exe"), file.link(folder .. "/cwd")
  local files, kept = M.command_line(words)
  if not program or not cwd then
    raise(("the process of HAProxy, %s, does not show its program to this user"):format(folder), "use sudo, or "
      .. NAMED)
  elseif #files == 0 then
    raise(("the command line of %s names no configuration"):format(folder), NAMED)
  end
  local mounts, root = file.link(folder .. "/ns/mnt"), file.link(folder .. "/root")
  -- the root of a process without a master may be that of `chroot`, where no configuration is
  root = root and root ~= "/" and file.info(process.inside(folder, files[1])) and root or nil
  return {
    root = root, program = inside(root, program):gsub(" %(deleted%)$", ""), files = files, words = kept,
    folder = inside(root, cwd), environment = environment_of(folder), pid = math.tointeger(tonumber(folder:match("%d+$"))),
    mounts = mounts and mounts ~= file.link("/proc/self/ns/mnt") and folder .. "/ns/mnt" or nil,
  }
end

--- The path of a program that $PATH or the folders of the system have.
local function find_program(name)
  if name:find("/", 1, true) then
    return file.real(name)
  end
  for folder in ((os.getenv("PATH") or "") .. ":/usr/sbin:/usr/local/sbin"):gmatch("[^:]+") do
    local real = file.real(folder .. "/" .. name)
    if real then
      return real
    end
  end
end

--- A start with a program and files that somebody names.
---@param program string?  "haproxy"
---@param files string[]
---@return haplua.rehearse.Start  raises `file`
function M.named(program, files)
  local path = find_program(program or "haproxy")
  if not path then
    raise(("there is no program %s"):format(program or "haproxy"), "--haproxy PATH names HAProxy's program")
  end
  for _, name in ipairs(files) do
    if not file.info(name) then
      raise(("there is no %s"):format(name), "--haproxy-config names the files of HAProxy's configuration")
    end
  end
  return { program = path, files = files, words = {}, folder = assert(file.real(".")) }
end

--- The addresses of this machine.
---@return string[]
function M.addresses()
  local found, last = {}, nil
  local f <close> = io.open("/proc/net/fib_trie")
  for line in f and f:lines() or function() end do
    last = line:match("|%-%- ([%d.]+)") or last
    if line:find("/32 host LOCAL", 1, true) then
      found[#found + 1] = last
    end
  end
  return found
end

return M
