-- SPDX-License-Identifier: MIT
--
--- The machines that docs/fleet-setup.md speaks of: three for etcd, two with HAProxy, and desk. Each has a network, mounts
-- and a host name of its own, below those that tests/documents/part.sh gives; tests/documents/machines/ has the programs
-- that stand for ssh, scp, systemctl and a reload. haplua.documents.place has the same functions for one machine.

local M = {}

local SHARED <const> = "/run/machines"
local ORDER <const> = { "desk", "etcd1", "etcd2", "etcd3", "lb1", "lb2" }
local ADDRESSES <const> = {
  desk = "10.0.0.21", etcd1 = "10.0.0.1", etcd2 = "10.0.0.2", etcd3 = "10.0.0.3", lb1 = "10.0.0.11", lb2 = "10.0.0.12",
}

local environment = {
  PATH = SHARED .. "/bin:" .. os.getenv("PATH") .. ":/usr/sbin:/sbin", HOME = "/run/home", USER = "root", TERM = "dumb",
  NO_COLOR = "1", TZ = "Europe/Paris", LC_ALL = "C.UTF-8", ETCDCTL_API = "3", no_proxy = "*",
  HAPLUA_SOCKET = false, HAPLUA_CONFIG = false, HAPLUA_JOURNAL = false, HAPLUA_ACL = false, TMPDIR = false,
  XDG_CONFIG_HOME = false, XDG_STATE_HOME = false, SUDO_USER = false, BUILD = false, TEST_SECONDS = false,
}

local current = "desk"

function M.write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

function M.read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

local function sh(script, ...)
  local status, out, err = run({ stdout = "capture", stderr = "capture", env = environment, "sh", "-ec", script, "sh", ... })
  if status ~= 0 then
    error(("status %d: %s\n%s%s"):format(status, script, out, err), 0)
  end
end

--- The README's configuration, with an answer of its own in place of the servers.
local function configuration(address)
  return ([[
global
    stats socket /run/haproxy/admin.sock mode 660 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend frontend-http
    bind %s:80
    acl maintenance path -i -u 9999 -m reg
    http-request return status 503 content-type text/plain string "Back soon" if maintenance
    http-request return status 200 content-type text/plain string "The application"
]]):format(address)
end

--- Start the machines.
function M.start()
  sh([[
    mount -t tmpfs tmpfs /run
    ip link set lo up
    mkdir -p "$1/bin"
    cp tests/documents/machines/* "$1/bin"
    chmod 755 "$1/bin"/*
    ln -s "$(readlink "/proc/$PPID/exe")" "$1/bin/haplua"
    ln -s "$2" "$1/bin/haproxy"
    cp packaging/haplua-keep.service "$1"
    ip link add machines type bridge
    ip link set machines up
    # a program of another release of Debian (tests/fleet/versions.sh): root's folder is closed to the user etcd
    program=$(command -v "$3")
    release=${program%/bin/etcd}
    mkdir "$1/release"
    if [ -e "$release/bin/etcdctl" ] && head -c 2 "$program" | grep -q '#!'; then
      mount --bind "$release" "$1/release"
      for name in etcd etcdctl; do sed "s|$release/|$1/release/|g" "$release/bin/$name" >"$1/bin/$name"; done
      chmod 755 "$1/bin/etcd" "$1/bin/etcdctl"
    fi
  ]], SHARED, os.getenv("HAPROXY") or "/usr/sbin/haproxy", os.getenv("ETCD") or "etcd")
  for _, name in ipairs(ORDER) do
    local address = ADDRESSES[name]
    task.spawn(run, { "unshare", "-nmu", "--propagation", "private", "sh", SHARED .. "/bin/machine", name, stdin = "null",
      stdout = "null", stderr = "null", env = environment })
    sh([[
      tries=0
      until [ -s "$1/$2/pid" ]; do sleep 0.05; tries=$((tries + 1)); [ $tries -lt 1200 ]; done
      pid=$(cat "$1/$2/pid")
      ip link add "$2" type veth peer name eth0 netns "$pid"
      ip link set "$2" master machines up
      nsenter -t "$pid" -n sh -c "ip link set lo up; ip addr add $3/24 dev eth0; ip link set eth0 up"
    ]], SHARED, name, address)
    if name:find("^lb") then
      M.write(("%s/%s/etc/haproxy.cfg"):format(SHARED, name), configuration(address))
    end
  end
  for _, name in ipairs(ORDER) do
    for other, address in pairs(ADDRESSES) do
      sh([[echo "$3 $2" >>"$1"]], ("%s/%s/etc/hosts"):format(SHARED, name), other, address)
    end
  end
  for _, name in ipairs({ "lb1", "lb2" }) do
    sh([["$1/bin/ssh" root@"$2" 'systemctl start haproxy']], SHARED, name)
  end
end

--- Choose the machine on which the next commands run.
function M.go(name)
  current = assert(ADDRESSES[name] and name, "no machine of this name: " .. tostring(name))
end

--- Run a command line on the machine: folder, variables and $? are those that the one before has left there.
---@param text string
---@param on_line fun(line: string)
function M.shell(text, on_line)
  M.write(("%s/%s/run/command"):format(SHARED, current), text)
  run({ SHARED .. "/bin/ssh", "root@" .. current, "exec sh " .. SHARED .. "/bin/shell 2>&1", env = environment, stdin = "null",
    stdout = on_line })
end

--- Run a command on the machine of which a reader sees nothing.
function M.unseen(text)
  sh([["$1/bin/ssh" "root@$2" "$3"]], SHARED, current, text)
end

--- End the command that runs: what it has started on the machines goes with them.
function M.interrupt() end

--- Write a file into the home of the machine.
function M.put(path, text)
  M.write(("%s/%s/run/home/%s"):format(SHARED, current, path), text)
end

return M
