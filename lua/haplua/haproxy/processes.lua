-- SPDX-License-Identifier: MIT
--
--- Other processes of HAProxy that answer visitors beside the one behind a socket: they have lists of their own.

local file = require("haplua.file")
local process = require("haplua.haproxy.process")

local M = {}

--- Raise `refused`: a socket reaches one of several processes, and another one each time (nbproc, up to HAProxy 2.4).
---@param processes integer
---@param number string?  of the process that has answered
function M.refuse_several(processes, number)
  require("haplua.error").refuse(
    ("this HAProxy has %d processes (nbproc), each with lists and servers of its own, and the socket reaches one of them: "
      .. "just now number %s"):format(processes, tostring(number)),
    "run one process with threads: in HAProxy's `global`, nbproc 1 and nbthread " .. processes)
end

--- The addresses at which a process listens, and the numbers of its connections by their local ports.
---@return table<string, true> listens, table<string, integer> connected
local function addresses_of(pid, sockets)
  local listens, connected = {}, {}
  for _, name in ipairs(next(sockets) and { "tcp", "tcp6" } or {}) do
    for line in (file.read(("/proc/%s/net/%s"):format(pid, name), 64 << 20) or ""):gmatch("[^\n]+") do
      local address, port, state, inode = line:match("^ *%d+: (%x+):(%x+) %S+ (%x+) %S+ %S+ %S+ +%d+ +%d+ (%d+)")
      if address and sockets[inode] and state == "0A" then
        listens[address .. ":" .. port], listens[port] = true, true
      elseif address and sockets[inode] and state == "01" then
        connected[port] = (connected[port] or 0) + 1
      end
    end
  end
  return listens, connected
end

--- Is a process another HAProxy of the same network that answers visitors at these addresses?
---@param at table<string, true>  as addresses_of() gives them
---@param master string?
---@return {listens: boolean, connections: integer}?
local function answers(name, at, master)
  local listens, connected = addresses_of(name, process.sockets(name) or {})
  local one = { listens = false, connections = 0 }
  -- one that listens at other addresses has visitors of its own
  local is_old = not next(listens) or master ~= nil and process.parent(name) == master
  for key in pairs(at) do
    one.listens = one.listens or not is_old and listens[key] ~= nil and key:find(":", 1, true) ~= nil
    one.connections = one.connections + (is_old and connected[key] or 0)
  end
  return (one.listens or one.connections > 0) and one or nil
end

--- Look at the other processes.
---@param pid integer|string  of the process behind the socket
---@param quick boolean?  only at those of the same master
---@return table<string, {listens: boolean, connections: integer}>?  by PID. nil: this user may not look
local function look(pid, quick)
  local own = process.sockets(pid)
  if not own then
    return nil
  end
  local at, found, parent = addresses_of(pid, own), {}, process.parent(pid)
  local master, network = process.is_haproxy(parent) and parent or nil, file.link(("/proc/%s/ns/net"):format(pid))
  local names = not quick and file.list("/proc") or {}
  local children = quick and master and file.read(("/proc/%s/task/%s/children"):format(master, master)) or ""
  for name in children:gmatch("%d+") do
    names[#names + 1] = name
  end
  for _, name in ipairs(names) do
    if name:find("^%d+$") and name ~= tostring(pid) and name ~= master and process.is_haproxy(name)
      and file.link(("/proc/%s/ns/net"):format(name)) == network then
      found[name] = answers(name, at, master)
    end
  end
  return found
end

-- Seconds after which a second look follows: a process that a reload has just replaced needs a moment to let go.
local AGAIN <const> = 1

--- What to say of other processes that answer visitors of the same ports.
---@param target haplua.Target
---@param pid integer|string  as `show info` has it
---@param quick boolean?  only of those that the same master has started: the others take a look at all processes
---@return {text: string, advice: string, serious: boolean}[]  serious: it takes new connections
function M.others(target, pid, quick)
  local here = process.is_local(target) and process.behind(target, pid)
  local found, said = here and look(here, quick) or {}, {}
  if here and next(found) then
    require("haplua.task").sleep(AGAIN)
    local before = found
    found = look(here, quick) or {}
    for name, one in pairs(found) do
      found[name] = before[name] and one or nil
    end
  end
  for name, one in pairs(found) do
    if one.listens then
      said[#said + 1] = { serious = true,
        text = ("another HAProxy, process %s, listens at the same ports: visitors reach the one or the other"):format(name),
        advice = "stop one of them, or name the sockets of both: -s A -s B" }
    else
      said[#said + 1] = { serious = false,
        text = ("process %s, which a reload has replaced, still serves %d connections, and sees no change of the lists"):format(
          name, one.connections),
        advice = "hard-stop-after in HAProxy's `global` bounds how long; kill -TERM " .. name .. " ends them now" }
    end
  end
  table.sort(said, function(a, b)
    return a.text < b.text
  end)
  return said
end

return M
