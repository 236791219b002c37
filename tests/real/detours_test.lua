-- SPDX-License-Identifier: MIT
--
-- haplua.rules.detours: which requests get round a scope, against what HAProxy does with just these requests; and the lines
-- that doctor advises against them. Each case is a frontend with a list of its own that holds one scope.

local configuration = require("haplua.rules.configuration")
local detours = require("haplua.rules.detours")
local running = require("running")
local scope = require("haplua.plan.scope")
local site = require("site")

local USE = "use_backend maint if m\n"

--- The rule, version by version: normalize-uri is an experiment since 2.4.
local function normalize(...)
  return "http-request normalize-uri " .. table.concat({ ... }, "\nhttp-request normalize-uri ") .. "\n"
end

local map_lines = "http-request set-var(txn.m) base,map_reg(FILE)\nuse_backend maint if { var(txn.m) -m found }\n"

-- name -> lines, what the list looks at, its method; `since`: 2.N has it first; `closes`: the scopes round which nothing
-- gets, but what names no host
local cases = {
  path = { "acl m path -i -m reg -f FILE\n" .. USE, "path", "reg" },
  ["path, with case"] = { "acl m path -m reg -f FILE\n" .. USE, "path", "reg" },
  ["path, -i after -f"] = { "acl m path -m reg -f FILE -i\n" .. USE, "path", "reg" },
  ["path_beg"] = { "acl m path_beg -i -f FILE\n" .. USE, "path", "beg" },
  base = { "acl m base -i -m reg -f FILE\n" .. USE, "base", "reg", closes = { "site", "hosts" } },
  ["base of a list with a number"] = { "acl m base -i -m reg -u 77 -f FILE\n" .. USE, "base", "reg" },
  url = { "acl m url -i -m reg -f FILE\n" .. USE, "url", "reg" },
  ["lower"] = { "acl m path,lower -m reg -f FILE\n" .. USE, "path", "reg" },
  ["url_dec"] = { "acl m path,url_dec -i -m reg -f FILE\n" .. USE, "path", "reg" },
  ["own expressions"] = { [[acl m 'path,regsub("//+","/",g)' -i -m reg -f FILE]] .. "\n" .. USE, "path", "reg" },
  ["of hosts"] = { "acl m req.hdr(host) -i -m reg -f FILE\n" .. USE, "host", "reg", closes = { "hosts" } },
  ["of names"] = { "acl m req.hdr(host),field(1,:) -i -m str -f FILE\n" .. USE, "name", "str" },
  map = { map_lines, "base", "map_reg", closes = { "site", "hosts" } },
  ["refused before"] = { "http-request deny if { path_sub // /. % ; }\nacl m path -i -m reg -f FILE\n" .. USE, "path", "reg",
    closes = { "paths" } },
  ["no host refused"] = { "http-request deny deny_status 400 unless { req.hdr(host) -m found }\nacl m base -i -m reg -f FILE\n"
    .. USE, "base", "reg", closes = { "site", "hosts" } },
  ["odd paths, too"] = { ("acl m base -i -m reg -f FILE\nacl m 'base,%s' -i -m reg -f FILE\n"):format(detours.PLAIN) .. USE,
    "base", "reg", closes = { "paths", "hosts", "site" } },
  ["odd paths, too, by a map"] = { ("http-request set-var(txn.o) 'base,%s,map_reg(FILE)'\n"):format(detours.PLAIN)
    .. "use_backend maint if { var(txn.o) -m found }\n" .. map_lines, "base", "map_reg", closes = { "paths", "hosts", "site" } },
  ["normalize-uri"] = { normalize("path-merge-slashes", "path-strip-dot", "path-strip-dotdot full", "percent-decode-unreserved")
    .. "acl m path -i -m reg -f FILE\n" .. USE, "path", "reg", since = 4 },
  ["normalize-uri, decoding first"] = { normalize("percent-decode-unreserved", "path-strip-dotdot", "path-merge-slashes")
    .. "acl m base -i -m reg -f FILE\n" .. USE, "base", "reg", since = 4 },
}

local head = [[
global
    stats socket SOCKET level admin
    EXPERIMENTS
defaults
    mode http
    timeout connect 2s
    timeout client 5s
    timeout server 5s
backend app
    http-request return status 200 content-type text/plain string app
backend maint
    http-request return status 503 content-type text/plain string maint
]]

--- A frontend as text.
local function frontend(one, name, address)
  return ("frontend %s\nbind %s\n%sdefault_backend app\n"):format(name, address, one.lines:gsub("FILE", one.file))
end

--- The words of curl for a form of a probe.
local function curl(address, probe, form)
  local host = form.host
  if host == nil then
    host = probe.same.host
  end
  local text = { "path-as-is", ("url = \"http://%s%s\""):format(address, form.path or probe.same.path),
    ("request = %s"):format(form.method or "GET"), ("header = \"Host:%s\""):format(host and " " .. host or ""), "globoff",
    'header = "Connection: close"', 'noproxy = "*"', 'write-out = "%{http_code}\\n"', 'output = "/dev/null"', "max-time = 20" }
  text[#text + 1] = form.target and ("request-target = \"%s\""):format(form.target) or nil
  text[#text + 1] = host == false and "http1.0" or nil
  return table.concat(text, "\n")
end

describe("what gets round a scope", function()
  local s, probes, texts = nil, {}, {}

  setup(function()
    s = site.start({
      config = function(made)
        local parts, n = { (head:gsub("SOCKET", made.socket):gsub("EXPERIMENTS",
          site.at_least(2, 4) and "expose-experimental-directives" or "")) }, 0
        for name, case in pairs(cases) do
          for kind, probe in pairs(detours.probes) do
            local ok, patterns = pcall(scope.patterns, probe.scope, case[2], case[3])
            if ok and (not case.since or site.at_least(2, case.since)) then
              n = n + 1
              local last = case[3]:find("^map") and " 1\n" or "\n"
              local file = made.folder.write(("%d.list"):format(n), table.concat(patterns, last) .. last)
              local one = { name = name, kind = kind, probe = probe, patterns = patterns, file = file, case = case,
                lines = case[1]:gsub("%-u 77", "-u " .. 700 + n), address = ("127.78.0.%d:%d"):format(n, made.port) }
              probes[n] = one
              parts[#parts + 1] = frontend(one, "f" .. n, one.address)
              texts[n] = parts[1] .. parts[#parts]
            end
          end
        end
        return table.concat(parts) .. ("frontend www\nbind 127.0.0.1:%d\nhttp-request return status 200\n"):format(made.port)
      end,
    })
  end)

  teardown(function()
    s:close()
  end)

  --- What a frontend does with the forms of its probe, or with its request where it has none: "open" or "closed", in
  --- their order.
  local function visit(one)
    if one.found then
      return one.found
    end
    local asked = {}
    for i, form in ipairs(one.probe.forms[1] and one.probe.forms or { {} }) do
      asked[i] = curl(one.address, one.probe, form)
    end
    local _, out = run({ "curl", "-s", "-K", s.folder.write("asked", table.concat(asked, "\nnext\n")), stdout = "capture" })
    local found = {}
    for status in out:gmatch("%d+") do
      found[#found + 1] = tonumber(status) == 200 and "open" or "closed"
    end
    one.found = found
    return found
  end

  it("is what doctor says, or not known", function()
    local unknown, n = 0, 0
    for i, one in ipairs(probes) do
      local found = configuration.read({ { path = "x.cfg", text = texts[i] } }, {})
      local is_map = one.case[3]:find("^map")
      local said = detours.of(found, { list = { file = not is_map and one.file or nil,
        is_file = function(file) return file == one.file end } }, one.probe, one.patterns, (site.version()))[1]
      local state, got = {}, visit(one)
      assert.equal(one.probe.forms[1] ~= nil or got[1] == "closed", said ~= nil, one.name .. ", " .. one.kind)
      for _, which in ipairs(said and { "open", "unknown" } or {}) do
        for _, text in ipairs(said[which]) do
          state[text] = which
        end
      end
      for k, form in ipairs(one.probe.forms) do
        local asked = (form.before or math.huge) > site.version()
        n, unknown = n + 1, unknown + (state[form.text] == "unknown" and 1 or 0)
        if asked and state[form.text] ~= "unknown" then
          assert.equal(got[k], state[form.text] or "closed", ("%s, %s: %s"):format(one.name, one.kind, form.text))
        end
      end
    end
    assert.is_true(unknown * 10 < n, ("%d of %d are unknown"):format(unknown, n))
  end)

  it("is nothing where the lines are as doctor advises", function()
    for _, one in ipairs(probes) do
      for _, kind in ipairs(one.case.closes or {}) do
        for k, state in ipairs(one.kind == kind and visit(one) or {}) do
          local form = one.probe.forms[k]
          assert.is_true(state == "closed" or form.host == false, ("%s, %s: %s"):format(one.name, kind, form.text))
        end
      end
    end
  end)
end)

describe("doctor", function()
  local function advised(acl, files)
    local s <close> = site.start({ acl = acl, files = files })
    local list = acl:find("%-u") and "#9999" or s.dir .. "/list.acl"
    local ran = s:maint("--acl", list, "doctor")
    local text = running.content(s.dir .. "/haproxy.cfg")
    return ran, text, s.dir
  end

  it("advises lines that close odd paths, and HAProxy takes them", function()
    for _, acl in ipairs({ "base -i -m reg -f DIR/list.acl", "path -i -m beg -f DIR/list.acl", "path -i -u 9999 -m reg" }) do
      local ran, text, dir = advised(acl, { ["list.acl"] = "" })
      assert.matches("note  rules          frontend frontend-http: a maintenance of /shop does not close what an application "
        .. "may take for it: //shop, /./shop, /x/../shop, /x/y/../../shop, /x/%2e%2e/shop, /%73hop, /;x/shop", ran.out, 1, true)
      local declared, odd = ran.out:match("(acl maintenance [^\n']*)\n *(acl maintenance '[^\n]*)")
      odd = odd or ran.out:match("add below its declaration: (acl maintenance '[^\n]*)")
      declared = (declared or text:match("acl maintenance [^\n]*")) .. "\n    " .. odd
      declared = declared:gsub("/etc/haproxy/maintenance.acl", dir .. "/list.acl")
      text = text:gsub("acl maintenance [^\n]*", function() return declared end, 1)
      local again <close> = site.start({ config = function(s)
        s.folder.write("list.acl", "")
        return (text:gsub(dir:gsub("%p", "%%%0"), (s.dir:gsub("%%", "%%%%"))):gsub("127.0.0.1:%d+\n    acl",
          ("127.0.0.1:%d\n    acl"):format(s.port)):gsub("(server app) 127.0.0.1:%d+", "%1 127.0.0.1:" .. s.app_port)
          :gsub("(server maintenance%-nginx) 127.0.0.1:%d+", "%1 127.0.0.1:" .. s.page_port))
      end })
      local list = again.dir .. "/list.acl"
      assert(again:maint("--acl", list, "on", "--path", "/shop").status == 0)
      for _, form in ipairs(detours.probes.paths.forms) do
        if form.spelling then
          assert.equal(503, again:get(form.path, "--path-as-is").status, acl .. ": " .. form.path)
        end
      end
      assert.equal(200, again:get("/other//x/../y", "--path-as-is").status)
      ran = again:maint("--acl", list, "doctor")
      assert.is_nil(ran.out:find("//shop", 1, true), ran.out)
    end
  end)

  it("says nothing of odd paths about the sample", function()
    local sample = require("sample")
    local s <close> = sample.start()
    s.config = s.folder.write("config.lua", ([[return { switches = { site = { map = %q, bypass = %q } } }]]):format(s.map,
      s.bypass))
    local ran = s:maint("doctor")
    assert.is_nil(ran.out:find("/shop does not close", 1, true) or ran.out:find("not known", 1, true), ran.out)
    assert.matches("ok    rules          frontend www: closed", ran.out, 1, true)
  end)
end)
