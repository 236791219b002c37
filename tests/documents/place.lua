-- SPDX-License-Identifier: MIT
--
--- The machine that the documents speak of: HAProxy with the README's configuration at port 80, two servers, the
-- maintenance page, and an empty home. tests/documents/part.sh gives this process a network and mounts of its own, so
-- that none of it touches the machine.

local M = {}

local HOME <const> = "/run/home"
local STATE <const> = "/run/documents"
local START_SECONDS <const> = 60

local here = os.getenv("PWD")
local build = os.getenv("BUILD") or "build"

local function sh(script, ...)
  local status, out = run({ "sh", "-ec", script, "sh", ..., stdout = "capture", stderr = "capture" })
  if status ~= 0 then
    error(("status %d: %s\n%s"):format(status, script, out), 0)
  end
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

--- Wait until a shell command succeeds.
local function until_(script)
  local latest = task.now() + START_SECONDS
  while run({ "sh", "-c", script, stdout = "null", stderr = "null" }) ~= 0 do
    if task.now() > latest then
      error("not ready: " .. script, 0)
    end
    task.sleep(0.05)
  end
end

local function answers(port)
  until_(("curl -s -o /run/null http://127.0.0.1:%d/"):format(port))
end

-- Each of these becomes a command of the documents' machine.
local commands = {
  sudo = [[exec "$@"]],
  -- start a new HAProxy process on haproxy.cfg; with an argument, this line stands before the rule for maintenance
  reload = [[
    if [ $# -gt 0 ]; then sed -i "s|^    use_backend maintenance|    $1\n&|" /run/haproxy/haproxy.cfg; fi
    old=$(haplua -e 'print(haproxy.info().Pid)')
    kill -USR2 "$(cat /run/haproxy/haproxy.pid)"
    until new=$(haplua -e 'print(haproxy.info().Pid)' 2>&1) && [ "$new" != "$old" ]; do sleep 0.1; done]],
}

local nginx = [[
user root root; daemon off; master_process off; error_log stderr; pid /run/nginx.pid;
events { }
http {
    access_log off;
    client_body_temp_path /run/nginx.1; proxy_temp_path /run/nginx.2; fastcgi_temp_path /run/nginx.3;
    uwsgi_temp_path /run/nginx.4; scgi_temp_path /run/nginx.5;
    server {
        listen 127.0.0.1:8080;
        root /run/page;
        error_page 503 /page.html;
        location / { return 503; }
        location = /page.html { internal; }
    }
}
]]

local defaults = [[
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
]]

--- The configuration in a document: its first block that begins with `global`.
---@param blocks documents.Block[]
local function configuration(blocks)
  for _, block in ipairs(blocks) do
    if block.lines[1] == "global" then
      local text = table.concat(block.lines, "\n") .. "\n"
      return text
    end
  end
  error("no block of code begins with `global`", 0)
end

local function make_folders(haproxy)
  sh([[
    hostname web1 2>/dev/null || echo web1 >/proc/sys/kernel/hostname
    mount -t tmpfs tmpfs /run
    mount -t tmpfs tmpfs /var/lib
    [ ! -d /etc/haplua ] || mount -t tmpfs tmpfs /etc/haplua
    ip link set lo up
    mkdir -p /run/home /run/documents /run/haproxy /run/page /run/bin /run/tmp
    ln -s "$(readlink "/proc/$PPID/exe")" /run/bin/haplua # the program that runs this
    ln -s "$1" /run/bin/haproxy 2>/dev/null || :
    printf '<h1>Back soon</h1>\n' >/run/page/page.html
  ]], haproxy)
  for name, script in pairs(commands) do
    write("/run/bin/" .. name, "#!/bin/sh -e\n" .. script .. "\n")
  end
  sh("chmod 755 /run/bin/sudo /run/bin/reload")
  write(STATE .. "/env", "")
  write(STATE .. "/cwd", HOME)
  write(STATE .. "/status", "0")
end

local environment = {
  PATH = "/run/bin:" .. os.getenv("PATH") .. ":/usr/sbin:/sbin", HOME = HOME, TMPDIR = "/run/tmp", USER = "root",
  TERM = "dumb", NO_COLOR = "1", TZ = "Europe/Paris", LC_ALL = "C.UTF-8",
  HAPLUA_SOCKET = false, HAPLUA_CONFIG = false, HAPLUA_JOURNAL = false, HAPLUA_ACL = false,
  XDG_CONFIG_HOME = false, XDG_STATE_HOME = false, SUDO_USER = false, BUILD = false, TEST_SECONDS = false,
}

--- A server of the place, for as long as the place is there.
local function daemon(words)
  words.env, words.stdout, words.stderr = environment, "null", "null"
  return task.spawn(run, words)
end

local function start_haproxy(name, text)
  write(("/run/haproxy/%s.cfg"):format(name), text)
  daemon({ "haproxy", "-W", "-f", ("/run/haproxy/%s.cfg"):format(name), "-p", ("/run/haproxy/%s.pid"):format(name) })
end

--- Another HAProxy, whose socket is at a port.
local function start_remote(port)
  start_haproxy("remote" .. port, ("global\n    stats socket ipv4@127.0.0.1:%d level admin\n%s"):format(port, defaults)
    .. ("frontend frontend-http\n    bind 127.0.0.1:%d\n    acl maintenance path -i -u 9999 -m reg\n"):format(port + 100)
    .. "    http-request return status 503 if maintenance\n    http-request return status 200\n")
  answers(port + 100)
end

--- Start all of it, with a document's configuration.
---@param blocks documents.Block[]
---@return fun(words: string[]): ...  calls run{} in the place
function M.start(blocks)
  make_folders(os.getenv("HAPROXY") or "/usr/sbin/haproxy")
  write("/run/nginx.conf", nginx)
  daemon({ "nginx", "-e", "stderr", "-c", "/run/nginx.conf" })
  for _, port in ipairs({ 8081, 8082 }) do
    daemon({ ("%s/%s/app"):format(here, build), tostring(port), "<h1>The application</h1>" })
    answers(port)
  end
  answers(8080)
  start_haproxy("haproxy", configuration(blocks))
  answers(80)
  start_remote(9991)
  start_remote(9992)
end

--- Run a command line as the documents' shell does: folder, variables and $? are those that the one before has left. It
-- has a terminal. `on_line` gets each line that it prints.
---@param text string
---@param on_line fun(line: string)
---@param typed string?  what is typed into the command
function M.shell(text, on_line, typed)
  write(STATE .. "/command", text)
  write(STATE .. "/run", [[
    . /run/documents/env
    cd "$(cat /run/documents/cwd)"
    (exit "$(cat /run/documents/status)")
    eval "$(cat /run/documents/command)"
    status=$?
    export -p >/run/documents/env
    pwd >/run/documents/cwd
    echo $status >/run/documents/status
  ]])
  run({ "script", "-E", "never", "-qec", "stty cols 120 -echo; sh /run/documents/run", "/run/null", env = environment,
    stdin = typed or "", stdout = function(line)
      -- a line that was drawn over another one
      on_line((line:gsub("\r+$", ""):gsub("^.*\27%[K", ""):gsub("^.*\r", "")))
    end })
end

--- Run a command of which a reader sees nothing, beside the one that the shell runs.
function M.unseen(text)
  local status, out = run({ "sh", "-c", text, env = environment, stdout = "capture", stderr = "capture" })
  if status ~= 0 then
    error(("status %d: %s\n%s"):format(status, text, out), 0)
  end
end

--- Interrupt the command that runs.
function M.interrupt()
  sh([[for pid in $(pgrep -x haplua); do
    [ "$(tr '\0' ' ' </proc/$pid/cmdline | grep -c documents/run.lua)" = 0 ] && kill -INT $pid; done; true]])
end

function M.read(path)
  return read(path)
end

--- Write a file of the documents' machine, whose path is below the home.
function M.put(path, text)
  path = HOME .. "/" .. path
  sh('mkdir -p "${1%/*}"', path)
  write(path, text)
end

M.write = write

return M
