-- SPDX-License-Identifier: MIT
--
--- A site that runs docs/haproxy.cfg, docs/maintenance.html and docs/nginx.conf themselves, with the addresses, paths
-- and users of the test in place of theirs.

local site = require("site")
local support = require("support")

local M = {}

M.secret = "0123456789abcdef"

local function content(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read("a")
end

--- Exchange one text for another, which must be there.
local function exchange(text, old, new)
  local from, to = text:find(old, 1, true)
  assert(from, "the sample does not have: " .. old)
  return text:sub(1, from - 1) .. new .. text:sub(to + 1)
end

local is_root = support.is_root

M.has_ipv6 = content("/proc/net/if_inet6"):find("^0*1 ") ~= nil

-- Headers that show a test what the application got of a request.
local seen = [[
backend app
    http-request set-var(txn.seen_cookie) req.hdr(cookie)
    http-request set-var(txn.seen_secret) req.hdr(x-maintenance-bypass)
    http-response set-header X-Seen-Cookie "%[var(txn.seen_cookie)]"
    http-response set-header X-Seen-Secret "%[var(txn.seen_secret)]"
]]

--- The sample with a site's ports and folder. `shop`: with the lines of the second switch; `nginx`: with
-- those for nginx.
local function configuration(s, options)
  local text = content("docs/haproxy.cfg")
  if options.shop then
    text = text:gsub("\n    # (acl shop)", "\n    %1"):gsub("\n    # (http%-request set%-var%(txn%.[^\n]*shop)", "\n    %1")
  end
  if options.nginx then
    text = text:gsub("\n    # (http%-request set%-header X%-Maintenance)", "\n    %1")
    text = exchange(text, "# server maintenance-nginx 127.0.0.1:8503", "server maintenance-nginx 127.0.0.1:" .. s.page_port)
    text = exchange(text, '\n    http-request return status 503 content-type "text/html', "\n    # ")
  end
  text = exchange(text, "bind :80\n", ("bind 127.0.0.1:%d\n"):format(s.port))
  text = exchange(text, "bind :::80 v6only", M.has_ipv6 and ("bind ::1:%d v6only"):format(s.port) or "")
  text = exchange(text, "server app1 127.0.0.1:8080", "server app1 127.0.0.1:" .. s.app_port)
  text = exchange(text, "\nbackend app\n", "\n" .. seen)
  text = exchange(text, "log /dev/log local0", "log stdout format raw local0")
  text = exchange(text, "/run/haproxy/admin.sock", s.socket)
  if not is_root() then
    text = exchange(text, "    user haproxy\n    group haproxy\n", "")
    text = exchange(text, " user haproxy group haproxy mode", " mode")
  end
  text = text:gsub("/etc/haproxy/", s.dir .. "/")
  return text
end

local function nginx_server(s)
  local text = exchange(content("docs/nginx.conf"), "127.0.0.1:8503", "127.0.0.1:" .. s.page_port)
  return exchange(text, "/usr/local/share/haplua/page;", s.dir .. ";")
end

--- Start the site. Options: shop, nginx, map (the content of the switch's map), words (of the page's words).
function M.start(options)
  options = options or {}
  local page = content("docs/maintenance.html")
  local s = site.start({
    files = {
      ["maintenance.map"] = options.map or "", ["maintenance-bypass.map"] = "", ["shop.map"] = "", ["shop-bypass.map"] = "",
      ["maintenance-secret.acl"] = M.secret .. "\n", ["maintenance.html"] = page,
      ["maintenance-words.map"] = options.words or content("docs/maintenance-words.map"),
    },
    config = function(s)
      return configuration(s, options)
    end,
    nginx = options.nginx and function(s)
      -- nginx's worker, another user, reads it here
      run({ "chmod", "755", s.dir })
      s.folder.write("maintenance.html", page)
      return nginx_server(s)
    end,
  })
  for list, name in pairs({
    map = "maintenance.map", bypass = "maintenance-bypass.map", shop = "shop.map", shop_bypass = "shop-bypass.map",
  }) do
    s[list] = s.dir .. "/" .. name
  end
  return s
end

--- Text as the page shows it.
function M.escape(text)
  return (text:gsub("[&<>\"']", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }))
end

--- Put a site into maintenance as haplua does. `info`: reason, ends (seconds from now), map, patterns, mask; 1 without
-- the last one, since no network has a bit. Returns the end.
function M.close(s, info)
  local ends = info.ends and math.floor(task.time()) + info.ends
  local entries = {}
  for i, pattern in ipairs(info.patterns or { "^.*$" }) do
    local value = ("1700000000|%s|%d|%s"):format(ends or "", info.mask or 1, info.reason or "")
    entries[i] = { key = pattern, value = value }
  end
  s.target:map_replace(info.map or s.map, entries)
  return ends
end

--- One request by curl.
---@return {status: integer, headers: table<string, string>, body: string}  names in lower case
function M.ask(s, path, ...)
  local words = { "curl", "-s", "-i", "--noproxy", "*", "--max-time", "20", ... }
  local host = "127.0.0.1"
  for _, word in ipairs(words) do
    host = word == "-6" and "[::1]" or host
  end
  words[#words + 1] = ("http://%s:%d%s"):format(host, s.port, path)
  words.stdout = "capture"
  local _, text = run(words)
  local head, body
  repeat
    head, body = (body or text):match("^(.-)\r\n\r\n(.*)$")
  until not head or not head:find("^HTTP/%S+ 100")
  local answer = { headers = {}, body = body or "" }
  answer.status = tonumber((head or ""):match("^HTTP/%S+ (%d+)")) or 0
  for name, value in (head or ""):gmatch("\r\n([^:]+): ?([^\r]*)") do
    answer.headers[name:lower()] = value
  end
  return answer
end

return M
