-- SPDX-License-Identifier: MIT
--
-- doctor on set-ups of the kind that well-known projects publish, each with a maintenance switch put in: it has nothing to
-- complain about, and finds each fault that is then put in, alone. They are rebuilt after these sources, in words of our own:
-- the frontend of openSUSE's services (names of hosts, backends that are an error page), the router of OpenShift (backends by
-- maps, TLS by SNI), marathon-lb (an application for each host, services in Lua), the proxies of Fedora's infrastructure (many
-- frontends with a backend each, TCP among them), GitLab's front end (web, api, git by SSH, lists of addresses).
-- FAULTS=all tries each fault; without it, each set-up has some of them.

local json = require("haplua.json")
local running = require("running")
local site = require("site")
local support = require("support")

local HAPROXY = os.getenv("HAPROXY") or "haproxy"

local head = [[
global
    stats socket DIR/admin.sock mode 660 level admin
    maxconn 2000
    log 127.0.0.1:PORT9 local0
defaults
    log global
    mode http
    option httplog
    option dontlognull
    timeout connect 5s
    timeout client 30s
    timeout server 30s
]]

-- The switch. In a set-up, SWITCH stands for these lines.
local switch = [[
    acl maintenance base -i -m reg -f DIR/maintenance.acl
    acl maintenance-bypass src -f DIR/bypass.acl
    use_backend maintenance if maintenance !maintenance-bypass
]]

local maintenance = [[
backend maintenance
    http-request return status 503 content-type text/html file DIR/page.html
]]

-- name -> text. FRONTEND is the name of the frontend with the switch, and APP its main backend.
local setups = {
  ["hosts of a project"] = { frontend = "http-in", app = "web", text = [[
frontend http-in
    bind 127.0.0.1:PORT1
    option forwardfor
    acl dot_scm path_beg /.git/
    acl dot_scm path_beg /.svn/
    acl is_forum hdr(host) -i forum.example.org
    acl is_wiki hdr_reg(host) -i ^([a-z]{2}|old-[a-z]+)\.wiki\.example\.org
    acl is_dead hdr(host) -i connect.example.org
    http-request set-header X-Forwarded-Proto https if { hdr_cnt(x-tls) gt 0 }
SWITCH    use_backend error_403 if dot_scm
    use_backend dead if is_dead
    use_backend forum if is_forum
    use_backend wiki if is_wiki || { hdr(host) -i wiki.example.org }
    default_backend web
backend error_403
    errorfile 503 DIR/403.http
backend dead
    http-request set-log-level silent
    errorfile 503 DIR/403.http
backend forum
    option httpchk GET /srv/status
    server forum1 127.0.0.1:PORT5 check
backend wiki
    balance leastconn
    server wiki1 127.0.0.1:PORT5
backend web
    option httpchk OPTIONS /
    server web1 127.0.0.1:PORT5 check inter 5s
    server web2 127.0.0.1:PORT6 check backup
listen stats
    bind 127.0.0.1:PORT8
    stats enable
    stats uri /
]] },
  ["router of a container platform"] = { frontend = "public", app = "platform_default",
    -- its rules wait for the request in TCP mode, too
    harmless = "TCP", text = [[
frontend public
    bind 127.0.0.1:PORT1
    tcp-request inspect-delay 5s
    tcp-request content accept if HTTP
    monitor-uri /_healthz
    http-request del-header Proxy
    http-request set-header Host %[req.hdr(Host),lower]
SWITCH    acl redirected base,map_reg(DIR/redirect.map) -m found
    redirect scheme https if redirected
    use_backend %[base,map_reg(DIR/backends.map)]
    default_backend platform_default
frontend public_tls
    mode tcp
    option tcplog
    bind 127.0.0.1:PORT2
    tcp-request inspect-delay 5s
    tcp-request content accept if { req.ssl_hello_type 1 }
    acl sni req.ssl_sni -m found
    acl passed_on req.ssl_sni,lower,map_reg(DIR/sni.map) -m found
    use_backend %[req.ssl_sni,lower,map_reg(DIR/tcp.map)] if sni passed_on
    default_backend tcp_default
backend platform_default
    server s 127.0.0.1:PORT5
backend tcp_default
    mode tcp
    server s 127.0.0.1:PORT6
]] },
  ["applications by host"] = { frontend = "apps_http_in", app = "shop_10001", text = [[
listen stats
    bind 127.0.0.1:PORT8
    balance
    stats enable
    stats uri /haproxy?stats
    monitor-uri /_haproxy_health_check
    acl wants_config path /_haproxy_getconfig
    http-request return status 200 if wants_config
frontend apps_http_in
    bind 127.0.0.1:PORT1
SWITCH    acl host_shop hdr(host) -i shop.example.com www.example.com
    acl path_blog path_beg /blog
    redirect scheme https code 301 if { hdr(host) -i tls.example.com } !{ hdr(x-forwarded-proto) https }
    use_backend blog_10002 if path_blog
    use_backend shop_10001 if host_shop
    default_backend shop_10001
frontend tcp_10101
    bind 127.0.0.1:PORT2
    mode tcp
    default_backend queue_10101
backend shop_10001
    balance roundrobin
    option forwardfor
    http-request set-header X-Forwarded-Port %[dst_port]
    cookie SERVER insert indirect nocache
    server t1 127.0.0.1:PORT5 cookie t1
backend blog_10002
    http-request set-path %[path,regsub(^/blog,/)]
    server t1 127.0.0.1:PORT5
backend queue_10101
    mode tcp
    server t1 127.0.0.1:PORT6
]] },
  ["proxies of an infrastructure"] = { frontend = "wiki-frontend", app = "wiki-backend", text = [[
frontend stats-frontend
    bind 127.0.0.1:PORT8
    default_backend stats-backend
backend stats-backend
    stats enable
    stats uri /
frontend wiki-frontend
    bind 127.0.0.1:PORT1
SWITCH    default_backend wiki-backend
backend wiki-backend
    balance hdr(appserver)
    option httpchk GET /wiki/Main
    http-check expect status 200
    server wiki01 127.0.0.1:PORT5 check inter 15s rise 2 fall 5
    server wiki02 127.0.0.1:PORT6 check inter 15s
frontend lists-frontend
    bind 127.0.0.1:PORT3
    default_backend lists-backend
backend lists-backend
    balance roundrobin
    timeout connect 30s
    server lists01 127.0.0.1:PORT5
frontend ipa-frontend
    bind 127.0.0.1:PORT2
    mode tcp
    option tcplog
    default_backend ipa-backend
backend ipa-backend
    mode tcp
    balance source
    server ipa01 127.0.0.1:PORT6
]] },
  ["front end of a forge"] = { frontend = "web", app = "web_pool", text = [[
frontend web
    bind 127.0.0.1:PORT1
    stick-table type ipv6 size 10k expire 60s store http_req_rate(60s)
    http-request track-sc0 src
    acl refused src -f DIR/refused.lst
    acl trusted src -f DIR/trusted.lst
    acl too_fast sc0_http_req_rate gt 600
    acl is_api path_beg /api/ /oauth/
    acl is_socket hdr(Upgrade) -i websocket
    acl is_canary req.cook(canary) -m str -i true
    http-request deny deny_status 403 if refused
    http-request deny deny_status 429 if too_fast !trusted
    http-request set-header X-Real-IP %[src]
SWITCH    use_backend socket_pool if is_socket
    use_backend api_pool if is_api
    use_backend canary_pool if is_canary
    default_backend web_pool
frontend ssh
    bind 127.0.0.1:PORT2
    mode tcp
    timeout client 2h
    tcp-request connection reject if { src -f DIR/refused.lst }
    default_backend ssh_pool
frontend check
    bind 127.0.0.1:PORT8
    monitor-uri /-/available
    http-request deny
backend web_pool
    balance roundrobin
    option httpchk GET /-/readiness
    server web1 127.0.0.1:PORT5 check
backend api_pool
    server api1 127.0.0.1:PORT5
backend socket_pool
    timeout tunnel 8s
    server web1 127.0.0.1:PORT5
backend canary_pool
    server web9 127.0.0.1:PORT5
backend ssh_pool
    mode tcp
    server ssh1 127.0.0.1:PORT6
]] },
}

local files = { ["maintenance.acl"] = "", ["bypass.acl"] = "", ["page.html"] = "closed\n",
  ["redirect.map"] = "", ["sni.map"] = "",
  ["backends.map"] = "", ["tcp.map"] = "", ["refused.lst"] = "192.0.2.66\n", ["trusted.lst"] = "192.0.2.0/24\n",
  ["403.http"] = "HTTP/1.0 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
  ["200.http"] = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n" }

local USE = "use_backend maintenance if maintenance !maintenance%-bypass"

-- name -> a change of the configuration, and what doctor must then say that it has not said before.
local faults = {
  ["a rule above"] = { function(text, s)
    return text:gsub("    acl maintenance base", ("    use_backend %s if { path_beg / }\n%%0"):format(s.app), 1)
  end, "fail rules" },
  ["a refusal taken out of the condition"] = { function(text) return text:gsub(USE, "# %0") end, "fail rules" },
  ["the wrong way round"] = { function(text) return text:gsub(USE, "use_backend maintenance if !maintenance") end, "rules" },
  ["the bypass the wrong way round"] = { function(text)
    return text:gsub(USE, "use_backend maintenance if maintenance maintenance-bypass")
  end, "rules" },
  ["a path rewritten"] = { function(text)
    return text:gsub("    acl maintenance base", "    http-request set-path /app%%[path]\n%0", 1)
  end, "rules" },
  ["a health check that is all paths"] = { function(text)
    return text:gsub("    acl maintenance base", "    monitor-uri /\n%0", 1)
  end, "rules" },
  ["statistics in its place"] = { function(text)
    return text:gsub("    acl maintenance base", "    stats enable\n    stats uri /\n%0", 1)
  end, "rules" },
  ["a method without a pattern for all"] = { function(text)
    return text:gsub("base %-i %-m reg", "base -i -m str")
  end, "warn ACL" },
  ["case"] = { function(text) return text:gsub("base %-i %-m reg", "base -m reg") end, "note ACL" },
  ["-i too late"] = { function(text)
    return text:gsub("base %-i (%-m reg %-f %S+)", "base %1 -i")
  end, "note" },
  ["no host seen"] = { function(text) return text:gsub("base %-i %-m reg", "path -i -m reg") end, "note ACL" },
  ["a second frontend"] = { function(text, s)
    return text .. ("frontend second\n    bind 127.0.0.1:PORT7\n    default_backend %s\n"):format(s.app)
  end, "warn rules" },
  ["TCP"] = { function(text, s)
    return text:gsub("(frontend " .. s.frontend:gsub("%p", "%%%0") .. "\n)", "%1    mode tcp\n")
  end, "rules" },
  ["an answer that says 200"] = { function(text)
    return text:gsub("http%-request return status 503 [^\n]*", "errorfile 503 DIR/200.http")
  end, "rules" },
  ["a host let through above"] = { function(text, s)
    return text:gsub("    acl maintenance base", ("    use_backend %s if { hdr(host) -m found }\n%%0"):format(s.app), 1)
  end, "rules" },
  ["an allowance above a refusal"] = { function(text)
    return text:gsub(USE, "http-request allow if { path_beg / }\n    http-request deny deny_status 503 if maintenance")
  end, "rules" },
  ["a computed backend above"] = { function(text)
    return text:gsub("    acl maintenance base", "    use_backend %%[req.hdr(host),lower,map_dom(DIR/backends.map)]\n%0", 1)
  end, "rules" },
}

--- Start HAProxy with a configuration, and return what doctor finds: "state about" -> texts.
local function examine(folder, text)
  local ports = {}
  text = text:gsub("PORT%d", function(name)
    ports[name] = ports[name] or site.free_port()
    return tostring(ports[name])
  end)
  local path = folder.write("haproxy.cfg", (text:gsub("%f[%w]DIR%f[%W]", folder.path)))
  local accepted, output = site.accepts(path)
  assert.is_true(accepted, output .. text)
  local haproxy_task = task.spawn(run, { HAPROXY, "-db", "-f", path, stdout = "null", stderr = "null",
    env = { PATH = os.getenv("PATH") .. ":/usr/sbin" } })
  local target = haproxy.connect(folder.path .. "/admin.sock")
  running.eventually("HAProxy answers", function()
    return pcall(target.info, target)
  end)
  local ran = support.haplua({ "-s", folder.path .. "/admin.sock", "scripts/maint.lua", "doctor", "--json",
    env = { HAPLUA_JOURNAL = folder.path .. "/journal.db", HAPLUA_CONFIG = folder.path .. "/config.lua" } })
  haproxy_task:cancel()
  pcall(haproxy_task.wait, haproxy_task)
  os.remove(folder.path .. "/admin.sock")
  assert.equal("", ran.err)
  local found = {}
  for _, one in ipairs(json.decode(ran.out).findings) do
    local key = one.state .. " " .. one.about
    found[key] = (found[key] or "") .. one.text .. "\n"
  end
  return found
end

--- Are there findings that were not there before, of this kind?
local function finds(found, before, kind)
  for key, text in pairs(found) do
    local is_kind = key == kind or kind == "rules" and (key == "fail rules" or key == "warn rules")
      or kind == "note" and key:find("^note")
    if is_kind and text ~= before[key] then
      return true
    end
  end
  return false
end

describe("doctor", function()
  local names = {}
  for name in pairs(faults) do
    names[#names + 1] = name
  end
  table.sort(names)
  local setup_names, all = {}, os.getenv("FAULTS") == "all"
  for name in pairs(setups) do
    setup_names[#setup_names + 1] = name
  end
  table.sort(setup_names)

  for i, name in ipairs(setup_names) do
    it("knows the set-up: " .. name, function()
      local folder <close> = support.folder()
      for file, text in pairs(files) do
        folder.write(file, text)
      end
      folder.write("config.lua", ([[return { switches = { site = { acl = %q, bypass = %q } } }]]):format(
        folder.path .. "/maintenance.acl", folder.path .. "/bypass.acl"))
      folder.write("empty", "")
      local one = setups[name]
      local text = head .. one.text:gsub("SWITCH", function() return switch end) .. maintenance
      local before = examine(folder, text)
      assert.matches("frontend " .. one.frontend .. ": closed", before["ok rules"] or json.encode(before), 1, true)
      for key, said in pairs(before) do
        local is_bad = key:find("^fail") or key:find("^warn") and key ~= "warn journal"
        assert.is_falsy(is_bad, key .. ": " .. said)
      end
      for k, fault in ipairs(names) do
        if fault ~= one.harmless and (all or (k - i) % 9 == 0) then
          local changed, n = faults[fault][1](text, one)
          assert.is_true(n == nil or n > 0, fault .. " changes nothing")
          local found = examine(folder, changed)
          local said = {}
          for key, what in pairs(found) do
            said[#said + 1] = key .. ": " .. what
          end
          assert.is_true(finds(found, before, faults[fault][2]), ("%s, %s\n%s"):format(name, fault, table.concat(said)))
        end
      end
    end)
  end
end)
