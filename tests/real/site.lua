-- SPDX-License-Identifier: MIT
--
--- A private site for the tests: HAProxy (the one that $HAPROXY names) before a counting application
-- and an nginx with the maintenance page. All of it listens on loopback ports and on sockets in a
-- temporary folder, and is gone at the end of the block: local site <close> = site.start{...}

local support = require("support")

local M = {}

local HAPROXY = os.getenv("HAPROXY") or "haproxy"
local APP = (os.getenv("BUILD") or "build") .. "/app"
local START_SECONDS = 60

--- Seconds that a busy HAProxy may take for the requests of the tests themselves.
M.ANSWER_SECONDS = 20

M.page = "<h1>Back soon</h1>\n"
M.application = "application\n"

--- Run a program to its end and return what it printed.
local function output(words)
  words.stdout = "capture"
  local status, text = run(words)
  assert(status == 0, words[1] .. " failed")
  return text
end

--- $PATH with the folders of system programs, which a user's does not name.
local function path_with_sbin()
  return os.getenv("PATH") .. ":/usr/sbin:/sbin"
end

--- A port of the loopback that nobody listens on, from below the range of outgoing connections.
function M.free_port()
  local taken = {}
  for _, name in ipairs({ "/proc/net/tcp", "/proc/net/tcp6" }) do
    local f <close> = io.open(name)
    for line in f and f:lines() or function() end do
      local port = line:match("^%s*%d+: %x+:(%x+) ")
      if port then
        taken[tonumber(port, 16)] = true
      end
    end
  end
  -- not math.random(): busted seeds it with the time, and files that run side by side would take the same ports
  local random <close> = assert(io.open("/dev/urandom", "rb"))
  local port
  repeat
    port = 10000 + ("I4"):unpack(random:read(4)) % 20000
  until not taken[port]
  return port
end

--- A program that runs until the site ends. `log` gets its lines.
---@return {task: table, log: string[]}
local function daemon(words, on_line)
  local started = { log = {} }
  local function note(line)
    started.log[#started.log + 1] = line
    if on_line then
      on_line(line)
    end
  end
  words.stdout, words.stderr = note, note
  words.env = { PATH = path_with_sbin() }
  started.task = task.spawn(run, words)
  return started
end

--- Wait until `probe` is true. False: the daemon has ended before that.
local function ready(started, probe)
  local latest = task.now() + START_SECONDS
  while not probe() do
    if started.task:done() then
      return false
    elseif task.now() > latest then
      error("not ready after a long time:\n  " .. table.concat(started.log, "\n  "), 0)
    end
    task.sleep(0.01)
  end
  return true
end

--- One GET. `options`: headers; method
---@return {status: integer, body: string}  status 0: no answer
local function get(url, ...)
  local words = { "curl", "-s", "--noproxy", "*", "--max-time", "10", "-w", "%{http_code}", ... }
  words[#words + 1] = url
  words.stdout = "capture"
  local _, text = run(words)
  return { status = tonumber(text:sub(-3)), body = text:sub(1, -4) }
end

local function start_app(site)
  local listening = support.event()
  site.daemons.app = daemon({ APP, "0" }, function(line)
    listening.set(tonumber(line:match("^listening (%d+)")))
  end)
  site.app_port = listening.wait()
  return true
end

local nginx_config = [[
daemon off;
master_process off;
error_log stderr;
pid DIR/nginx.pid;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_temp_path DIR/1;
    proxy_temp_path DIR/2;
    fastcgi_temp_path DIR/3;
    uwsgi_temp_path DIR/4;
    scgi_temp_path DIR/5;
    open_file_cache max=10;
    SERVER
}
]]

local nginx_server = [[
    server {
        listen 127.0.0.1:PORT backlog=4096;
        root DIR;
        error_page 503 /page.html;
        location / { return 503; }
        location = /page.html { internal; default_type text/html; }
    }
]]

local function start_nginx(site)
  site.page_port = M.free_port()
  site.folder.write("page.html", M.page)
  local server = site.options.nginx and site.options.nginx(site) or nginx_server:gsub("%f[%w][A-Z]+%f[%W]", {
    DIR = site.dir,
    PORT = site.page_port,
  })
  local config = nginx_config:gsub("%f[%w][A-Z]+%f[%W]", { DIR = site.dir, SERVER = server })
  local nginx = daemon({ "nginx", "-e", "stderr", "-c", site.folder.write("nginx.conf", config) })
  site.daemons.nginx = nginx
  return ready(nginx, function()
    return get(("http://127.0.0.1:%d/"):format(site.page_port)).status == 503
  end)
end

--- Write the configuration: the lines of every site, and those that a test adds.
local function configure(site)
  local options = site.options
  site.port = M.free_port()
  if options.config then
    return site.folder.write("haproxy.cfg", options.config(site))
  end
  local text = ([[
global
    stats socket SOCKET mode 666 level admin
    stats timeout 30s
    nbthread THREADS
    GLOBAL
defaults
    mode http
    timeout connect 10s
    timeout client 1h
    timeout server 1h
    timeout http-keep-alive 1h
frontend frontend-http
    bind 127.0.0.1:PORT
    acl maintenance ACL
    FRONTEND
    use_backend maintenance if maintenance CONDITION
    default_backend app
backend app
    server app 127.0.0.1:APP
backend maintenance
    server maintenance-nginx 127.0.0.1:PAGE
MORE
]]):gsub("%f[%w][A-Z]+%f[%W]", {
    SOCKET = site.socket,
    THREADS = options.threads or 2,
    GLOBAL = (options.global or ""):gsub("%f[%w]DIR%f[%W]", site.dir),
    FRONTEND = (options.frontend or ""):gsub("%f[%w]DIR%f[%W]", site.dir),
    ACL = (options.acl or "path -i -u 9999 -m reg"):gsub("%f[%w]DIR%f[%W]", site.dir),
    CONDITION = options.condition or "",
    MORE = options.more or "",
    PORT = site.port,
    APP = site.app_port,
    PAGE = site.page_port,
  })
  return site.folder.write("haproxy.cfg", text)
end

local function start_haproxy(site)
  for name, text in pairs(site.options.files or {}) do
    site.folder.write(name, text)
  end
  local haproxy_process = daemon({
    HAPROXY, "-W", "-S", site.master .. ",level," .. (site.options.master_level or "admin"), "-f", configure(site),
    "-p", site.dir .. "/haproxy.pid",
  })
  site.daemons.haproxy = haproxy_process
  return ready(haproxy_process, function()
    return pcall(site.target.info, site.target)
      and get(("http://127.0.0.1:%d/"):format(site.port)).status > 0
  end)
end

local Site = {}
Site.__index = Site

--- GET a path through HAProxy.
function Site:get(path, ...)
  return get(("http://127.0.0.1:%d%s"):format(self.port, path), ...)
end

--- What a visitor of a path sees: "application", "page", or the status and text of something else.
function Site:sees(path)
  local answer = self:get(path or "/")
  if answer.status == 200 and answer.body == M.application then
    return "application"
  elseif answer.status == 503 and answer.body == M.page then
    return "page"
  end
  return answer.status .. " " .. answer.body
end

--- The requests that reached the application since the last reset.
---@return table<string, integer> counts, integer total  by path
function Site:counted()
  local counts = {}
  local text = get(("http://127.0.0.1:%d/_count/paths"):format(self.app_port)).body
  for path, n in text:gmatch("(%S+) (%d+)\n") do
    counts[path] = math.tointeger(tonumber(n))
  end
  local total = counts.total
  counts.total = nil
  return counts, total
end

function Site:reset_counts()
  get(("http://127.0.0.1:%d/_count/reset"):format(self.app_port))
end

--- Run haplua as an operator does, on this site's socket: site:haplua{"scripts/maint.lua", "on"}.
-- It has a journal and a configuration where the test has set site.journal and site.config.
---@return {status: integer, out: string, err: string}
function Site:haplua(options)
  table.insert(options, 1, "-s")
  table.insert(options, 2, options.socket or self.socket)
  local env = { HAPLUA_JOURNAL = self.journal, HAPLUA_CONFIG = self.config }
  for name, value in pairs(options.env or {}) do
    env[name] = value
  end
  options.env = env
  return support.haplua(options)
end

function Site:maint(...)
  return self:haplua({ "scripts/maint.lua", ... })
end

--- Send the process of a PID a signal.
function Site:signal(name, pid)
  output({ "sh", "-c", 'kill -"$1" "$2"', "sh", name, pid })
end

-- A line of /proc/net/tcp and tcp6, where somebody listens; its inode.
local LISTENING = "^ *%d+: %S+ %S+ 0A %S+ %S+ %S+ +%d+ +%d+ (%d+)"

--- The inodes of all sockets that somebody listens at, as keys.
local function listening_sockets()
  local found = {}
  for name, pattern in pairs({ tcp = LISTENING, tcp6 = LISTENING, unix = "^%x+: %x+ %x+ 00010000 %x+ %x+ +(%d+)" }) do
    local f <close> = io.open("/proc/net/" .. name)
    for line in f and f:lines() or function() end do
      found[line:match(pattern) or ""] = true
    end
  end
  return found
end

--- True while a process listens anywhere.
local function listens(pid)
  local listening = listening_sockets()
  local _, links = run({
    "find", ("/proc/%d/fd"):format(pid), "-lname", "socket:*", "-printf", "%l\n", stdout = "capture", stderr = "null",
  })
  for inode in links:gmatch("%d+") do
    if listening[inode] then
      return true
    end
  end
  return false
end

--- Wait until another process answers in the place of this one, and this one does not listen any more.
function Site:wait_for_successor(pid)
  assert(ready(self.daemons.haproxy, function()
    local ok, info = pcall(self.target.info, self.target)
    return ok and info.Pid ~= pid and not listens(pid)
  end), "no new process after the reload")
end

--- Reload HAProxy, and wait until the new process answers, and it alone.
function Site:reload()
  -- while the master starts, a signal would be lost
  local master = haproxy.connect(self.master, { via = "@master" })
  assert(ready(self.daemons.haproxy, function()
    return pcall(master.send, master, "show proc")
  end), "the master has ended")
  local before = self.target:info().Pid
  local f <close> = assert(io.open(self.dir .. "/haproxy.pid"))
  self:signal("USR2", f:read("l"))
  self:wait_for_successor(before)
end

--- The output of the daemons, for the text of a failure.
function Site:log()
  local text = {}
  for name, started in pairs(self.daemons) do
    text[#text + 1] = name .. ":\n  " .. table.concat(started.log, "\n  ")
  end
  return table.concat(text, "\n")
end

--- End a master whose configuration says `daemon`: the process that was started has ended, the master runs on.
local function end_daemon(site)
  local f <close> = io.open(site.dir .. "/haproxy.pid")
  local pid = f and f:read("l")
  local words <close> = pid and io.open("/proc/" .. pid .. "/cmdline")
  if words and words:read("a"):find(site.master, 1, true) then
    site:signal("TERM", pid)
  end
end

function Site:__close()
  for _, name in ipairs({ "haproxy", "nginx", "app" }) do
    local started = self.daemons[name]
    if started then
      started.task:cancel()
      pcall(started.task.wait, started.task)
    end
  end
  end_daemon(self)
  self.folder = getmetatable(self.folder).__close(self.folder)
end

Site.close = Site.__close

--- Start a part of the site. Once more where another process has taken its port between our look and the start.
local function start(site, name, starter)
  for _ = 1, 3 do
    if starter(site) then
      return
    end
    pcall(site.daemons[name].task.wait, site.daemons[name].task)
  end
  error(("cannot start %s\n%s"):format(name, site:log()), 0)
end

--- Start a site. Options, all of them optional:
--   socket    the path of the admin socket
--   global, frontend, more    lines for these places of the configuration; DIR is the site's folder
--   acl       the declaration of the ACL `maintenance`
--   condition  what else must hold for a request to see the maintenance page: "!bypass"
--   files     name -> content, written to the site's folder before HAProxy starts
--   threads   of HAProxy; 2
--   config    function(site): the whole configuration, in the place of this file's
--   nginx     function(site): the server of nginx, likewise
--   master_level  of the master CLI; admin
function M.start(options)
  local folder = support.folder()
  options = options or {}
  local site = setmetatable({
    options = options,
    folder = folder,
    dir = folder.path,
    socket = options.socket or folder.path .. "/haproxy.sock",
    master = folder.path .. "/master.sock",
    daemons = {},
  }, Site)
  site.target = haproxy.connect(site.socket, { timeout = M.ANSWER_SECONDS })
  local ok, problem = pcall(function()
    start(site, "app", start_app)
    start(site, "nginx", start_nginx)
    start(site, "haproxy", start_haproxy)
  end)
  if not ok then
    site:close()
    error(problem, 0)
  end
  return site
end

--- Make a certificate for a name, which is its own authority: site.crt, and with its key site.pem.
function M.certificate(folder, name)
  local key, crt, pem = folder .. "/site.key", folder .. "/site.crt", folder .. "/site.pem"
  output({ "sh", "-c", [[openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=$1" \
    -addext "subjectAltName=DNS:$1" -keyout "$2" -out "$3" 2>/dev/null && cat "$3" "$2" >"$4"]], "sh", name, key, crt, pem })
end

--- Ask HAProxy to check a configuration.
---@return boolean accepted, string output
function M.accepts(path)
  local status, out, err = run({
    HAPROXY, "-c", "-f", path, stdout = "capture", stderr = "capture", env = { PATH = path_with_sbin() },
  })
  return status == 0, out .. err
end

--- The version of HAProxy that the tests run against.
---@return integer major, integer minor
function M.version()
  local text = output({ HAPROXY, "-v", env = { PATH = path_with_sbin() } })
  local major, minor = text:match("version (%d+)%.(%d+)")
  return tonumber(major), tonumber(minor)
end

--- True if HAProxy is of this version or a later one.
function M.at_least(major, minor)
  local has_major, has_minor = M.version()
  return has_major > major or has_major == major and has_minor >= minor
end

return M
