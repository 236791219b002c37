-- SPDX-License-Identifier: MIT
--
-- haplua.rules: what it says of a frontend, against what a visitor gets from HAProxy. Each case is a frontend of one
-- configuration; a visitor asks for /x, which the list matches, and for /y, which it does not match.

local configuration = require("haplua.rules.configuration")
local random = require("random_rules")
local running = require("running")
local site = require("site")
local support = require("support")
local verdict = require("haplua.rules.verdict")

-- Random frontends beside the cases: SEED=N tries the same ones again.
local RANDOM = tonumber(os.getenv("RANDOM_FRONTENDS")) or 60

local LIST = "acl m path -m reg -f DIR/m.acl\n"
local SWITCH = LIST .. "use_backend maint if m\ndefault_backend app"

-- name -> the frontend's lines, or a table with more: `says` is the verdict, where it must be just this one;
-- `before`: sections before the frontend; `since`: the first version that takes it, 2.N
local cases = {
  plain = { SWITCH, says = "closed" },
  quotes = { [[acl "m" path -m reg -f "DIR/m.acl"
    "use_backend" 'maint' "if" m
    default_backend app]], says = "closed" },
  escapes = { [[acl m2 path /y\#x /x
    use_backend maint if { path "/y#" } or m2
    default_backend app]], says = "closed" },
  twice = { "acl m path /never\n" .. SWITCH, says = "closed" },
  ["and before or"] = { LIST .. "acl n src 10.0.0.0/8\nuse_backend maint if n m || m\ndefault_backend app", says = "closed" },
  ["a mark of its own"] = { LIST .. "use_backend app if ! m\ndefault_backend maint", says = "closed" },
  ["two marks"] = { LIST .. "use_backend maint if !{ always_true } or m\ndefault_backend app", says = "closed" },
  unless = { LIST .. "use_backend app unless m\ndefault_backend maint", says = "closed" },
  ["the wrong way round"] = { LIST .. "use_backend maint if !m\ndefault_backend app", says = "open" },
  comment = { LIST .. "# use_backend maint if m\ndefault_backend app", says = "open" },
  ["no rule"] = { LIST .. "default_backend app", says = "open" },
  ["another first"] = { LIST .. "use_backend app if { path_beg / }\nuse_backend maint if m\ndefault_backend app", says = "open" },
  ["another first, of another path"] = { "use_backend app if { path_beg /z }\n" .. SWITCH, says = "closed" },
  ["another first, by an ending"] = { "use_backend app if { path_end x }\n" .. SWITCH, says = "open" },
  ["another first, by case"] = { "use_backend app if { path -i /X }\n" .. SWITCH, says = "open" },
  ["another first, by its regex"] = { "use_backend app if { path_reg ^/[w-y]$ }\n" .. SWITCH, says = "open" },
  ["another host first"] = { "use_backend app if { req.hdr(host) -i api.example.com }\n" .. SWITCH, says = "closed" },
  ["a computed name"] = { "use_backend %[str(app)]\n" .. SWITCH, says = "unknown" },
  ["a computed name of none"] = { "use_backend %[req.hdr(x-none)]\n" .. SWITCH, says = "unknown" },
  ["return below"] = { SWITCH .. "\nhttp-request return status 200 content-type text/plain string other", says = "open" },
  ["deny below redirect"] = { LIST .. [[redirect location /elsewhere if { path /x }
    http-request deny deny_status 503 if m
    default_backend app]], says = "closed" },
  deny = { LIST .. "http-request deny if m\ndefault_backend app", says = "closed" },
  tarpit = { LIST .. "timeout tarpit 10ms\nhttp-request tarpit if m\ndefault_backend app", says = "closed" },
  reject = { LIST .. "http-request reject if m\ndefault_backend app", says = "closed" },
  ["content reject"] = { LIST .. "tcp-request inspect-delay 2s\ntcp-request content reject if m\ndefault_backend app",
    says = "closed" },
  ["return 503"] = { LIST .. "http-request return status 503 if m\ndefault_backend app", says = "closed" },
  ["return 200"] = { LIST .. "http-request return status 200 if m\ndefault_backend app" },
  redirect = { LIST .. "http-request redirect location /sorry if m\ndefault_backend app", says = "unknown" },
  ["to https first"] = { "http-request redirect scheme https if { req.hdr(x-never) -m found }\n" .. SWITCH, says = "closed" },
  allow = { "http-request allow\n" .. SWITCH, says = "closed" },
  ["allow before deny"] = { LIST .. "http-request allow if { path /x }\nhttp-request deny if m\ndefault_backend app",
    says = "open" },
  ["allow some before deny"] = { LIST .. [[http-request allow if { req.hdr(x-pass) 1 }
    http-request deny if m
    default_backend app]], says = "closed" },
  ["monitor-uri"] = { LIST .. "http-request deny deny_status 503 if m\ndefault_backend app\nmonitor-uri /x", says = "open" },
  ["monitor-uri elsewhere"] = { SWITCH .. "\nmonitor-uri /health", says = "closed" },
  ["monitor fail"] = { LIST .. "monitor-uri /health\nmonitor fail if m\ndefault_backend app", says = "open" },
  ["stats uri"] = { SWITCH .. "\nstats enable\nstats uri /x", says = "open" },
  ["stats uri elsewhere"] = { SWITCH .. "\nstats enable\nstats uri /stats", says = "closed" },
  service = { "http-request use-service prometheus-exporter if { path /x }\n" .. SWITCH, says = "open" },
  ["set-path"] = { LIST .. [[http-request set-path /y if { path /x }
    use_backend maint if m
    default_backend app]], says = "open" },
  ["set-path into it"] = { LIST .. [[http-request set-path /x/2 if { path /x }
    use_backend maint if m
    default_backend app]], says = "closed" },
  ["replace-path"] = { LIST .. [[http-request replace-path /x(.*) /y\1
    use_backend maint if m
    default_backend app]], says = "unknown" },
  ["set-path below"] = { LIST .. [[use_backend maint if m
    http-request set-path /y
    default_backend app]], says = "open" },
  ["kept in a variable"] = { LIST .. [[http-request set-var(txn.c) str(1) if m
    http-request set-path /y if { path /x }
    use_backend maint if { var(txn.c) -m found }
    default_backend app]], says = "closed" },
  ["a variable that is unset"] = { LIST .. [[http-request set-var(txn.c) str(1) if m
    http-request unset-var(txn.c) if { path /x }
    use_backend maint if { var(txn.c) -m found }
    default_backend app]], says = "open" },
  ["a variable by name"] = { LIST .. [[http-request set-var(txn.c) str(site) if m
    use_backend maint if { var(txn.c) -m str site }
    default_backend app]], says = "closed" },
  ["a variable of tcp rules"] = { LIST .. [[tcp-request inspect-delay 2s
    tcp-request content set-var(txn.c) bool(true) if m
    use_backend maint if { var(txn.c) -m bool }
    default_backend app]], says = "closed" },
  bypass = { LIST .. "acl office src 192.0.2.0/24\nuse_backend maint if m !office\ndefault_backend app", says = "closed" },
  ["one host of several"] = { LIST .. "use_backend maint if m { req.hdr(host) shop.example.com }\ndefault_backend app",
    says = "unknown" },
  ["a method"] = { LIST .. "use_backend maint if m METH_GET\ndefault_backend app", says = "closed" },
  ["found, not asked"] = { [[acl m path -m found -f DIR/m.acl
    use_backend app if m
    use_backend maint if TRUE
    default_backend app]],
    says = "open" },
  ["-f as a pattern"] = { "acl m path -m str -- -f DIR/m.acl\nuse_backend maint if m\ndefault_backend app", says = "open" },
  ["words beside an empty file"] = { "acl m path -m reg -f DIR/empty.acl ^/x\nuse_backend maint if m\ndefault_backend app",
    says = "closed" },
  ["an own TRUE"] = { LIST .. [[acl TRUE path /never
    use_backend app if TRUE
    use_backend maint if m
    default_backend app]], says = "closed" },
  lower = { "acl m path,lower -m reg -f DIR/m.acl\nuse_backend maint if m\ndefault_backend app", says = "closed" },
  map = { [[http-request set-var(txn.m) path,map_reg(DIR/m.map)
    use_backend maint if { var(txn.m) -m found }
    default_backend app]], says = "closed" },
  ["map with a default"] = { [[http-request set-var(txn.m) path,map_reg(DIR/m.map,none)
    use_backend maint if !{ var(txn.m) -m str none }
    default_backend app]], says = "closed" },
  ["the request deletes it"] = { LIST .. [[http-request del-acl(DIR/other.acl) ^/x
    acl o path -m reg -f DIR/other.acl
    use_backend maint if m
    default_backend app]], says = "closed" },
  ["in the backend"] = { "default_backend own", says = "closed" },
  ["in another backend"] = { "use_backend app if { path /x }\ndefault_backend own", says = "open" },
  ["a response"] = { LIST .. "http-response deny if m\ndefault_backend app", says = "open" },
  ["a backend without a server"] = { LIST .. "use_backend empty if m\ndefault_backend app", says = "closed" },
  ["a backend whose server is disabled"] = { LIST .. "use_backend off if m\ndefault_backend app", says = "closed" },
  ["a backend with an error page"] = { LIST .. "use_backend page if m\ndefault_backend app", says = "closed" },
  ["a backend whose error page is 200"] = { LIST .. "use_backend liar if m\ndefault_backend app" },
  ["a backend with servers"] = { LIST .. "use_backend answering if m\ndefault_backend app", says = "closed" },
  chain = { "default_backend hop", says = "unknown" },
  race = { "mode tcp\n" .. LIST .. "use_backend tcp-maint if m\ndefault_backend tcp-app", says = "unknown", unasked = true },
  ["named defaults, a rule"] = { SWITCH, says = "open", since = 6,
    before = "defaults d1 from d0\nhttp-request return status 200 content-type text/plain string other if { path /x }" },
  ["named defaults, an acl"] = { "default_backend app", says = "closed", since = 6,
    before = "defaults d2 from d0\n" .. LIST .. "http-request deny deny_status 503 if m" },
  [".if"] = { LIST .. ".if 0\nuse_backend maint if m\n.endif\ndefault_backend app", says = "open", since = 4 },
  [".else"] = { LIST .. ".if 0\n.elif 1\nuse_backend maint if m\n.else\nuse_backend app\n.endif\ndefault_backend app",
    says = "closed", since = 4 },
  environment = { LIST .. "use_backend \"${MB}\" if m\ndefault_backend app", says = "closed" },
}

local after = [[
backend app FROM
    http-request return status 200 content-type text/plain string app
backend maint FROM
    http-request return status 503 content-type text/plain string maint
backend tcp-app FROM
    mode tcp
    server s 127.77.99.1:INNER
backend tcp-maint FROM
    mode tcp
    server s 127.0.0.1:PAGE
backend own FROM
    acl m path -m reg -f DIR/m.acl
    http-request deny deny_status 503 if m
    http-request return status 200 content-type text/plain string app
backend empty FROM
backend off FROM
    server s 127.0.0.1:9 disabled
backend page FROM
    errorfile 503 DIR/503.http
backend liar FROM
    errorfile 503 DIR/200.http
backend answering FROM
    server s 127.0.0.1:PAGE
backend rewriting FROM
    http-request set-path /y
    acl m path -m reg -f DIR/m.acl
    http-request deny deny_status 503 if m
    http-request return status 200 content-type text/plain string app
backend counters FROM
    stick-table type ip size 100 store gpc0
backend hop FROM
    server s 127.77.99.1:INNER
frontend inner FROM
    bind 127.77.99.1:INNER
    acl m path -m reg -f DIR/m.acl
    use_backend maint if m
    default_backend app
]]

local head = [[
global
    stats socket SOCKET level admin
    EXPERIMENTS
    setenv MB maint
defaults d0
    mode http
    timeout connect 2s
    timeout client 5s
    timeout server 5s
]]

--- The cases that this version of HAProxy takes, by name.
local function chosen()
  local names = {}
  for name, case in pairs(cases) do
    if not case.since or site.at_least(2, case.since) then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

describe("the verdict on a frontend", function()
  local s, text, addresses, names = nil, nil, {}, nil

  setup(function()
    names = chosen()
    local seed = tonumber(os.getenv("SEED")) or 1
    math.randomseed(seed)
    local minor = site.at_least(3, 0) and 9 or select(2, site.version())
    for i = 1, RANDOM do
      names[#names + 1] = "random " .. i
      local named = minor >= 6 and math.random(4) == 1
      cases["random " .. i] = { random.frontend(minor), before = named and random.defaults("r" .. i), since = named and 6 or nil }
    end
    s = site.start({
      files = {
        ["m.acl"] = "^/x\n", ["m.map"] = "^/x 1\n", ["empty.acl"] = "", ["other.acl"] = "^/x\n",
        ["other.map"] = "", ["paths.lst"] = "# those of others\n/y\n/x\n", ["nets.lst"] = "192.0.2.0/24\n",
        ["503.http"] = "HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        ["200.http"] = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
      },
      config = function(one)
        local parts = { head }
        for i, name in ipairs(names) do
          addresses[name] = ("127.77.%d.%d:%d"):format(i // 200, i % 200 + 1, one.port)
          parts[#parts + 1] = ("%s\nfrontend f%d%s\nbind %s\n%s\n"):format(cases[name].before or "", i,
            cases[name].since == 6 and "" or site.at_least(2, 4) and " from d0" or "",
            addresses[name], cases[name][1])
        end
        parts[#parts + 1] = ("frontend www FROM\nbind 127.0.0.1:%d\nhttp-request return status 200\n"):format(one.port) .. after
        text = table.concat(parts):gsub("%f[%w][A-Z]+%f[%W]", {
          EXPERIMENTS = site.at_least(2, 4) and "expose-experimental-directives" or "",
          FROM = site.at_least(2, 4) and "from d0" or "",
          SOCKET = one.socket, DIR = one.dir, INNER = one.port, PAGE = one.page_port,
        })
        return text
      end,
    })
  end)

  teardown(function()
    s:close()
  end)

  --- "closed" or "open" for each case: what a visitor of this path gets.
  local function visit(path)
    local asked, found, n = {}, {}, 0
    for i, name in ipairs(names) do
      asked[i] = ('url = "http://%s%s"\nnoproxy = "*"\nmax-time = 20\noutput = /dev/null\nwrite-out = "%%{http_code}\\n"'):format(
        addresses[name], path)
    end
    local _, out = run({ "curl", "-s", "-K", s.folder.write("asked", table.concat(asked, "\nnext\n")), stdout = "capture" })
    for status in out:gmatch("%d+") do
      n = n + 1
      found[names[n]] = (tonumber(status) == 0 or tonumber(status) >= 400) and "closed" or "open"
    end
    return found
  end

  --- The verdicts by case, where the list matches or not.
  local function judge(path)
    local found, by_name = configuration.read({ { path = s.dir .. "/haproxy.cfg", text = text } }, {}), {}
    assert.same({}, found.problems)
    local verdicts = verdict.judge(found, {
      list = { file = s.dir .. "/m.acl", is_file = function(file) return file == s.dir .. "/m.map" end },
      path = path, method = "GET",
      asked = function(value)
        return value:find("^/x") ~= nil
      end,
      read = running.content,
    })
    for _, one in ipairs(verdicts) do
      local i = tonumber(one.frontend:match("^f(%d+)$"))
      by_name[names[i] or one.frontend] = one
    end
    return by_name
  end

  it("is what a visitor gets, or 'unknown'", function()
    local verdicts, unknown = judge("/x"), { 0, 0 }
    local at_x, at_y, wrong = visit("/x"), visit("/y"), {}
    for _, name in ipairs(names) do
      local one, case = verdicts[name], cases[name]
      local about = name .. ": " .. one.why .. "\n" .. case[1]
      assert.equal(case.says or one.state, one.state, about)
      if one.state == "unknown" then
        local kind = name:find("^random") and 2 or 1
        unknown[kind] = unknown[kind] + 1
      elseif at_x[name] ~= one.state then
        wrong[#wrong + 1] = ("%s, and a visitor gets: %s"):format(about, at_x[name])
      end
      if case.says == "closed" and one.uses then
        assert.equal("open", at_y[name], name)
      end
    end
    assert.equal("", table.concat(wrong, "\n\n"))
    assert.is_true(unknown[1] * 5 < #names - RANDOM, unknown[1] .. " are unknown")
    assert.is_true(unknown[2] * 3 < RANDOM, unknown[2] .. " of the random ones are unknown")
    print(("rules: %d frontends, %d wrong, %d and %d not known"):format(#names, #wrong, unknown[1], unknown[2]))
  end)

  it("is what a rehearsal says, where that is not 'unknown'", function()
    if run({ "unshare", support.is_root() and "-nmi" or "-Urnmi", "true", stderr = "null" }) ~= 0 then
      return pending("there are no namespaces for a rehearsal here")
    end
    local verdicts, at_x, unknown = judge("/x"), visit("/x"), 0
    local answer = s:maint("rehearse", "--acl", s.dir .. "/m.acl", "--json", "^/x", "/x")
    assert.is_true(answer.status == 1, answer.err)
    local seen = {}
    for _, one in ipairs(require("haplua.json").decode(answer.out).frontends) do
      local name = names[tonumber(one.name:match("^f(%d+)$"))]
      local case, told = cases[name], one.questions[1]
      if name then
        seen[name] = true
        local about = ("%s: %s, %s\n%s"):format(name, one.state, answer.out and told.why or "", case[1])
        if told.state == "closed" or told.state == "open" then
          assert.equal(at_x[name], told.state, about)
          assert.is_true(verdicts[name].state == told.state or verdicts[name].state == "unknown",
            about .. "\nby the rules: " .. verdicts[name].state)
        else
          unknown = unknown + (name:find("^random") and 0 or 1)
        end
      end
    end
    for _, name in ipairs(names) do
      assert.is_true(seen[name], name .. " was not asked")
    end
    if os.getenv("FIGURES") then io.stderr:write(("%d of %d cases not known\n"):format(unknown, #names - RANDOM)) end
    assert.is_true(unknown * 5 < #names - RANDOM, unknown .. " are unknown")
  end)
end)
