-- SPDX-License-Identifier: MIT
--
--- What to do about an error: the last lines of a message. The host asks for them once a script has
-- failed for good, so it is no matter that they are looked up slowly, with requests of their own.

local core = require("haplua.core")
local is_error = require("haplua.error").is
local visible = require("haplua.error").visible

-- What each kind of failure needs to know about the target.

---@class haplua.Failure
---@field error table  the error object
---@field path string?  the target, where it is a socket file
---@field host string?  the target's host, where it is one
---@field target haplua.Target

local function config_line(path)
  return ("  stats socket %s mode 600 level admin"):format(path or "/run/haproxy/admin.sock")
end

local function lines(...)
  return table.concat({ ... }, "\n")
end

local function no_socket(failure)
  return lines(
    "is HAProxy running, and is this the path of its `stats socket`? Its configuration needs, under `global`:",
    config_line(failure.path),
    "another path is given with -s PATH or $HAPLUA_SOCKET")
end

local function not_permitted(failure)
  local mine = require("haplua.process").identity()
  local file = failure.path and require("haplua.file").info(failure.path)
  if not file then
    return ("you are %s, and may not go through a folder on the way to it"):format(mine)
  end
  return lines(
    ("the socket belongs to %s with mode %s, and you are %s"):format(file.owner, file.mode, mine),
    ("run haplua as that user (sudo -u %s), or let your group in, in HAProxy's configuration:"):format(file.user),
    ("  stats socket %s mode 660 group %s level admin"):format(failure.path, file.group))
end

local function connection_refused(failure)
  if failure.path then
    return lines(
      "the socket is there, but nobody listens: HAProxy has ended, or was restarted with another path",
      "look with: systemctl status haproxy")
  end
  return lines(
    "nobody listens at that address and port. HAProxy needs, under `global`:",
    ("  stats socket ipv4@%s level admin"):format(tostring(failure.target)),
    "and a firewall between must let it through")
end

local function too_many_files()
  return lines(
    "this process may not open more files: raise the limit (ulimit -n), or name fewer targets",
    "look what is open with: ls -l /proc/PID/fd")
end

local function in_pieces(failure)
  return lines(
    "HAProxy before 3.0 can stall for good when a line reaches it in pieces, so none was sent",
    failure.path and "raise the limit of a socket's buffer: sysctl -w net.core.wmem_max=212992"
      or "this network takes less at once: send shorter values, or use HAProxy's local socket")
end

-- What shows whether a change has been carried out. A server's state is its backend's to tell.
local shown_by = {
  acl = { "show acl %s", "^[#%w/._-]+" },
  map = { "show map %s", "^[#%w/._-]+" },
  server = { "show servers state %s", "^[%w._-]+" },
  weight = { "show servers state %s", "^[%w._-]+" },
}

local function where_to_look(command)
  local kind, rest = command:match("^%l+ (%l+) (.*)$")
  local shown = shown_by[kind]
  local ref = shown and rest:gsub("^@%d+ ", ""):match(shown[2])
  return ref and ("haplua -e 'print(send \"%s\")'"):format(shown[1]:format(ref))
end

--- Of changes whose answers did not come.
local function in_doubt(failure)
  local look = failure.error.look or where_to_look(failure.error.command or "")
  return "HAProxy may have done what it was sent: look before it is sent again" .. (look and ", with\n  " .. look or "")
end

local function no_name(failure)
  return lines(
    "the host's name was not found: does it stand in DNS or /etc/hosts?",
    ("look with: getent ahosts %s"):format(failure.host or "NAME"))
end

local function no_name_server(failure)
  return lines(
    "no name server has answered (/etc/resolv.conf names them); nothing was sent to HAProxy",
    ("look with: getent ahosts %s; or give the host's number instead of its name"):format(failure.host or "NAME"))
end

local function no_way(failure)
  return failure.path and "is HAProxy running? Look with: systemctl status haproxy"
    or "no answer from that host: is it up, and does a firewall between let this port through?"
end

local function connection_lost()
  return lines(
    "HAProxy closed the connection before it answered: it may have been stopped or reloaded just now",
    "look with: systemctl status haproxy")
end

-- By the system's name for the failure.
local unreachable = {
  EMSGSIZE = in_pieces,
  EMFILE = too_many_files,
  ENFILE = too_many_files,
  ENOENT = no_socket,
  ENOTDIR = no_socket,
  EAI_AGAIN = no_name_server,
  EACCES = not_permitted,
  EPERM = not_permitted,
  ECONNREFUSED = connection_refused,
  ENOTSOCK = function()
    return "that file is no socket: -s takes the path that stands after `stats socket`"
  end,
}

-- By the phase in which the request failed, for other failures.
local unreachable_in = { resolve = no_name, connect = no_way, write = connection_lost, read = connection_lost }

-- By the phase in which the time was over.
local timed_out_in = {
  queue = function()
    return lines(
      "a run has 4 connections to a HAProxy at a time, and those that came before got no answer. It may be too busy,",
      "or its ten connections taken (`stats maxconn`): look who holds the socket with `ss -xp`")
  end,
  resolve = no_name_server,
  connect = function(failure)
    return failure.path and lines(
      "HAProxy does not take new connections from the socket's queue, which is full: it is stopped, or too busy.",
      "Look with `ss -xl`, or give it longer with -t SECONDS") or no_way(failure)
  end,
  write = function()
    return "the connection was made, but HAProxy did not read the whole request: it is stopped, or too busy"
  end,
  read = function()
    return lines(
      "the connection was made, but HAProxy did not answer. Its ten connections may be taken (`stats maxconn`),",
      "or it is too busy: look who holds the socket with `ss -xp`, or give it longer with -t SECONDS")
  end,
}

local function level_too_low(failure)
  return lines(
    "this socket may not do that. In HAProxy's configuration, under `global`:",
    config_line(failure.path))
end

--- The lists of a kind, a line for each.
---@return string[] lines, table<string, boolean> files  those that have a file
local function lists_of(failure, kind)
  local found, files = {}, {}
  for _, list in ipairs(require("haplua.reply").lists(failure.target:send({ "show", kind }))) do
    if not list.text:find("file 'httpclient'", 1, true) then
      found[#found + 1] = ("  %s  %s"):format(list.file or "#" .. list.id, list.text)
      files[list.file or ""] = true
    end
  end
  return found, files
end

--- How to declare an ACL that HAProxy does not have. HAProxy wants `-m` before `-f`.
local function declaration(wanted)
  local id = wanted:match("^#(%d+)$")
  if not id and not wanted:find("/", 1, true) then
    return ("a list is named by its number (#9999, of `-u 9999`) or by its file: '%s' is neither"):format(wanted)
  end
  local word, shell_word = wanted:gsub("[ \"'#\\]", "\\%0"), wanted:gsub("[^%w/._-]", "\\%0")
  return lines(
    id and "to add it, in a frontend:" or ("to add it, make the file (touch %s), and in a frontend:"):format(shell_word),
    "  acl maintenance " .. (id and "path -i -u " .. id .. " -m reg" or "base -i -m reg -f " .. word),
    "  use_backend maintenance if maintenance")
end

--- The lists that there are, and how to declare the one that is not.
local function no_such_list(failure, kind)
  local command = failure.error.command
  local wanted = (command:match("^show %l+ (.*)$") or command:match("%f[^%s](#%d+)%f[%s\0]") or command:match("(%S+)$") or "")
    :gsub("\\(.)", "%1")
  local found = lists_of(failure, kind)
  local _, maps = nil, {}
  if kind == "acl" then
    _, maps = lists_of(failure, "map")
  end
  if maps[wanted] then
    return lines(wanted .. " is a map of HAProxy, and no ACL", "maps are changed with map_set() and map_add(); "
      .. "maint takes it where haplua's configuration has a switch { map = FILE }")
  end
  return lines(
    #found > 0 and "there are these:" or ("HAProxy has no %s at all"):format(kind),
    table.concat(found, "\n"),
    kind == "acl" and declaration(wanted) or "to add it, use it in a rule with map(FILE)")
end

-- HAProxy's words, and what they call for. The first that fits counts.
local refusals = {
  { "^Unknown ACL identifier", function(failure) return no_such_list(failure, "acl") end },
  { "^Unknown map identifier", function(failure) return no_such_list(failure, "map") end },
  { "^regex '.*' is invalid", function()
    return "this ACL takes regular expressions: write a literal ( [ ? . + * with a backslash before it"
  end },
  { "is not a valid IPv4 or IPv6 address", function()
    return "this ACL takes addresses and networks, such as 192.0.2.0/24 or 2001:db8::/32"
  end },
  { "^No such backend", function() return "haplua -e 'print(send \"show backend\")' lists the backends" end },
  { "^No such server", function()
    return "haplua -e 'for _, s in ipairs(servers()) do print(s.be_name .. \"/\" .. s.srv_name) end' lists the servers"
  end },
  { "^Unknown command", function(failure)
    local ok, version = pcall(failure.target.version, failure.target)
    return ok and ("HAProxy %s does not know it"):format(version)
      or "this seems to be a master CLI: name a process, with --via @1 (for its own commands: --via @master)"
  end },
  { "^Can't find the target PID", function() return "--via @1 is the current worker; `show proc` lists the others" end },
  { "shared with a map", function() return "an ACL whose file is used as a map, too, is changed with map_add()" end },
}

local function refused(failure)
  for _, refusal in ipairs(refusals) do
    if tostring(failure.error.reply):find(refusal[1]) then
      return refusal[2](failure)
    end
  end
end

--- Lines that say what to do next, each indented, or nil.
---@param problem any  what a script raised
---@return string?
return function(problem)
  if not is_error(problem) then
    return nil
  end
  local target = core.current()
  local address = target:address()
  local failure = {
    error = problem,
    target = target,
    path = address:match("^unix@(.*)") or address:match("^[^@]*/.*"),
    host = address:gsub("^%w+@", ""):match("^%[?(.-)%]?:%d+$"),
  }
  local text = problem.advice
  if text then
    -- the library knew better
  elseif problem.target and problem.target ~= address then
    return nil
  elseif problem.kind == "unreachable" then
    local say = unreachable[problem.code] or unreachable_in[problem.phase]
    text = say and say(failure)
  elseif problem.kind == "timeout" and problem.target then
    text = (timed_out_in[problem.phase] or timed_out_in.read)(failure)
  elseif problem.kind == "denied" then
    text = level_too_low(failure)
  elseif problem.kind == "refused" then
    text = refused(failure)
  end
  if problem.in_doubt and not problem.advice then
    text = (text and text .. "\n" or "") .. in_doubt(failure)
  end
  return text and ("  " .. text:gsub("\n+$", ""):gsub("\n+", "\n"):gsub("[^\n]+", visible):gsub("\n", "\n  "))
end
