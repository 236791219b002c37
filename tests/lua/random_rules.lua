-- SPDX-License-Identifier: MIT
--
--- Random frontends for haplua.rules: each is valid for HAProxy 2.2 to 3.2, and asks the list DIR/m.acl, or the map
--- DIR/m.map, of which a visitor's path /x is a part, and no other. What only a visitor has (headers, addresses) is of none
--- of them what the rules look for.

local M = {}

local function one_of(list)
  return list[math.random(#list)]
end

M.LIST = "acl m path -m reg -f DIR/m.acl\n"

-- Ways to declare the list.
local lists = {
  M.LIST, M.LIST, "acl m path -i -m reg -f DIR/m.acl\n", "acl m path,lower -m reg -f DIR/m.acl\n",
  "acl m path -m reg -f DIR/empty.acl -f DIR/m.acl\n", 'acl "m" path -m reg -f "DIR/m.acl" # a comment "\n',
  "acl m path /never\nacl m path -m reg -f DIR/m.acl\n", "acl m path,url_dec -m reg -f DIR/m.acl\n",
  "acl m path,regsub(^//,/) -m reg -f DIR/m.acl\n",
}

-- Criteria, those that are not known among them; all of them are decided for the visitor of the test.
local criteria = {
  "m", "m", "m", "!m", "n", "!n", "k", "{ path /x }", "{ path_beg /y }", "!{ path_end x }", "{ always_true }",
  "{ req.hdr(x-none) -m found }", "{ var(txn.v) -m found }", "!{ var(txn.w) -m str one }", "METH_POST", "TRUE", "{ ssl_fc }",
  "{ path -m reg -i ^/X$ }", "{ path_sub x }", "{ path,upper /X }", "{ path -f DIR/paths.lst }",
  "{ path_beg -i -f DIR/paths.lst }",
  "{ src 192.0.2.0/24 }", "!{ src -f DIR/nets.lst }", "{ req.cook(a) -m found }", "{ method GET }", "{ method -i post }",
  "{ int(5) gt 3 }", "{ path -m len 2 }", "{ path_dir x }", "{ nbsrv(off) gt 0 }", "{ hdr_cnt(x-none) gt 0 }",
  "{ req.hdr(host) -m found }", "!{ req.hdr(host) -i api.example.com }", "{ path,bytes(0,1) -m str / }", "{ url_param(q) 1 }",
  "{ str(abc) -m beg ab }", "{ path,field(2,/) -m str x }", "{ var(txn.w),lower -m str one }", "{ bool(true) }", "{ url_beg / }",
  "{ path,map_reg(DIR/m.map) -m found }", "FALSE", "METH_GET", "{ path -i -m sub -- X }", "{ base_end /x }",
}

-- Rules, with a place for a condition.
local rules = {
  "use_backend maint%s", "use_backend maint%s", "use_backend app%s", "use_backend own%s", "use_backend off%s",
  "use_backend page%s", "use_backend empty%s", "use_backend rewriting%s", "http-request deny%s",
  "http-request return status 200 content-type text/plain string app%s", "http-request return status 503%s",
  "http-request allow%s", "http-request set-var(txn.v) str(1)%s", "http-request set-var(txn.w) str(one)%s",
  "http-request set-var(txn.w) path,field(2,/)%s", "http-request unset-var(txn.v)%s", "http-request set-path /y%s",
  "http-request set-path /x%s", "http-request replace-path /x(.*) /y\\1%s", "http-request set-uri /y?q=1%s",
  "http-request set-path %%[path,lower]%s", "http-request set-header x-some 1%s", "http-request del-header x-some%s",
  "http-request set-var(txn.v) path,map_reg(DIR/m.map)%s", "http-request set-var(txn.w) path,map_reg(DIR/m.map,one)%s",
  "redirect location /elsewhere%s", "http-request redirect location /elsewhere%s", "tcp-request content accept%s",
  "tcp-request content reject%s", "http-request tarpit deny_status 503%s", "http-request reject%s",
  "http-request set-method POST%s", "http-request capture req.hdr(x-none) len 5%s",
  "http-request deny deny_status 429%s", "http-request set-log-level silent%s", "http-response deny%s",
  "http-request add-acl(DIR/other.acl) %%[src]%s", "http-request set-map(DIR/other.map) %%[src] 1%s",
  "http-request track-sc0 src table counters%s", "http-request sc-inc-gpc0(0)%s", "http-request disable-l7-retry%s",
}

local settings = {
  "monitor-uri /health", "monitor-uri /x", "stats uri /stats", "stats enable\nstats uri /x", "option forwardfor",
  "option httplog",
  "# use_backend maint if m", "timeout client 4s", "maxconn 100", "errorfile 503 DIR/503.http", "log-tag m",
  "use_backend %[str(app)]", "use_backend %[req.hdr(x-none)]",
}

-- What newer versions have: the first of them, the line.
local newer = {
  { 4, "http-request normalize-uri path-merge-slashes%s" }, { 4, ".if 0\nuse_backend app%s\n.endif" },
  { 4, ".if 1\nuse_backend maint%s\n.else\nhttp-request deny\n.endif" }, { 6, "http-request set-var-fmt(txn.v) one%s" },
  { 4, ".if defined(NOWHERE)\nuse_backend app%s\n.endif" }, { 4, ".if streq(a,a)\nuse_backend app%s\n.endif" },
}

--- A random condition, with its blank.
function M.condition()
  local words, n = {}, math.random(0, 3)
  for i = 1, n do
    words[#words + 1] = i > 1 and math.random(3) == 1 and one_of({ "or", "||" }) or nil
    words[#words + 1] = one_of(criteria)
  end
  return n == 0 and "" or (math.random(5) == 1 and " unless " or " if ") .. table.concat(words, " ")
end

--- A random rule.
---@param minor integer  of HAProxy 2.N, or 9
function M.rule(minor)
  local new = math.random(12) == 1 and one_of(newer)
  if new and minor >= new[1] then
    return (new[2]:gsub("%%s", M.condition()))
  elseif math.random(8) == 1 then
    return one_of(settings)
  end
  return one_of(rules):format(M.condition())
end

--- The lines of a random frontend.
---@return string lines
function M.frontend(minor)
  local lines = { one_of(lists) .. "acl n src 192.0.2.0/24\nacl k path /x\nacl k path /never\ntcp-request inspect-delay 1s\n"
    .. "timeout tarpit 1ms" }
  for _ = 1, math.random(1, 6) do
    lines[#lines + 1] = M.rule(minor)
  end
  lines[#lines + 1] = one_of({ "default_backend maint", "default_backend app", "default_backend app", "default_backend own" })
  return table.concat(lines, "\n")
end

--- Named defaults with rules, for HAProxy 2.6 on.
function M.defaults(name)
  return ("defaults %s from d0\n%stimeout tarpit 1ms\n"):format(name, math.random(2) == 1 and
    ("http-request %s%s\n"):format(one_of({ "deny", "allow", "set-var(txn.v) str(1)", "set-header x-some 1" }),
      one_of({ "", " if { path /x }", " if { path_beg /y }", " unless { path_end x }" })) or "")
end

M.one_of = one_of

return M
