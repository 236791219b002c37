-- SPDX-License-Identifier: MIT
--
-- The reader of HAProxy's rules over random configurations, without HAProxy: it never fails, and it says "closed" or "open" of
-- nothing that it has not read. ROUNDS=N and SEED=N try more, and others. tests/real/rules_test.lua holds what it says
-- against HAProxy.

local configuration = require("haplua.rules.configuration")
local detours = require("haplua.rules.detours")
local random = require("random_rules")
local verdict = require("haplua.rules.verdict")

local ROUNDS = tonumber(os.getenv("ROUNDS")) or 120

local after = [[

backend app
  http-request return status 200
backend maint
  http-request return status 503
backend own
  acl m path -m reg -f DIR/m.acl
  http-request deny if m
  http-request return status 200
backend off
  server s 127.0.0.1:9 disabled
backend empty
backend page
  errorfile 503 DIR/503.http
backend rewriting
  http-request set-path /y
  acl m path -m reg -f DIR/m.acl
  http-request deny if m
  http-request return status 200
]]

local files = { ["DIR/503.http"] = "HTTP/1.0 503 No\r\n\r\n", ["DIR/paths.lst"] = "/x\n", ["DIR/nets.lst"] = "192.0.2.0/24\n",
  ["DIR/empty.acl"] = "" }

local function read(name)
  return files[name]
end

local function asked(path)
  return { list = { file = "DIR/m.acl", is_file = function(name) return name == "DIR/m.map" end }, method = "GET", path = path,
    read = read, asked = function(value) return value:find("^/x") ~= nil end }
end

--- A configuration with a frontend of these lines.
local function whole(lines)
  return ("global\ndefaults d0\n  mode http\nfrontend f from d0\n%s\n"):format(lines) .. after
end

--- The verdict on the frontend of some lines.
local function judge(lines, path)
  return verdict.judge(configuration.read({ { path = "x.cfg", text = whole(lines) } }, {}), asked(path))[1]
end

--- Lines with a random one among them.
local function with(lines, line)
  local all = {}
  for one in lines:gmatch("[^\n]+") do
    all[#all + 1] = one
  end
  table.insert(all, math.random(6, #all + 1), line)
  return table.concat(all, "\n")
end

local PATHS <const> = { "/x", "/y", false }

--- Check that a verdict that is none of "unknown" is the same whatever stands in the place of what was not read.
local function check_unread(lines, unread, others)
  for _, path in ipairs(PATHS) do
    path = path or nil
    local said = judge(lines:gsub("HOLE", (unread:gsub("%%", "%%%%"))), path)
    for _, other in ipairs(said.state ~= "unknown" and others or {}) do
      local text = lines:gsub("HOLE", (other:gsub("%%", "%%%%")))
      local one = judge(text, path)
      assert.is_true(one.state == said.state or one.state == "unknown",
        ("%s %s: %s, but with %s: %s, %s\n%s"):format(path, unread, said.state, other, one.state, one.why, lines))
    end
  end
end

describe("the reader of rules", function()
  setup(function()
    math.randomseed(tonumber(os.getenv("SEED")) or 1)
  end)

  it("claims nothing that depends on a criterion that it has not read", function()
    for _ = 1, ROUNDS do
      local line = random.one_of({ "http-request deny", "use_backend app", "use_backend maint", "http-request allow",
        "http-request set-path /y", "http-request set-var(txn.v) str(1)", "http-request return status 200" })
      local lines = with(random.frontend(9), line .. random.one_of({ " if HOLE", " unless HOLE", " if m HOLE", " if !HOLE",
        " if HOLE || n", " if k or HOLE" }))
      check_unread(lines, random.one_of({ "{ foo.bar(1) -m str a }", "{ path,hex -m str 2f }", "{ lua.f }", "{ path -m len 2 }",
        "{ avg_queue(app) gt 5 }", "{ path -f DIR/missing.lst }", "{ path -m dom x }", "{ rand(2) 1 }", "{ nbsrv(app) lt 1 }",
        "{ path,map(DIR/other.map) -m found }", "{ var(proc.x) -m found }" }), { "{ always_true }", "{ always_false }" })
    end
  end)

  it("claims nothing that depends on a rule or a setting that it has not read", function()
    for _ = 1, ROUNDS do
      local lines = with(random.frontend(9), "HOLE" .. random.one_of({ "", "", " if { path /x }", " if m" }))
      check_unread(lines, "tcp-request content future", { "tcp-request content reject", "tcp-request content accept",
        "tcp-request content set-var(txn.v) str(1)" })
      check_unread(lines, random.one_of({ "http-request lua.decide", "http-request future-action x", "future-keyword" }),
        { "http-request deny", "http-request return status 200", "http-request set-path /y", "http-request set-var(txn.v) str(1)",
          "http-request unset-var(txn.v)", "http-request set-header x-some 1" })
    end
  end)

  it("claims nothing that depends on an .if that it has not evaluated", function()
    for _ = 1, ROUNDS do
      local rule = random.one_of({ "http-request deny", "use_backend app", "use_backend maint", "default_backend app",
        "default_backend maint", "acl m path /x", "acl k always_true", "monitor-uri /x", "errorfile 503 DIR/200.http" })
      check_unread(with(random.frontend(9), ".if HOLE\n" .. rule .. "\n.endif"), "feature(LUA)", { "1", "0" })
    end
  end)

  it("says the same whatever decides nothing", function()
    for _ = 1, ROUNDS do
      local lines = random.frontend(9)
      local others = lines
      for _ = 1, 4 do
        others = with(others, random.one_of({ "# http-request deny", "", "   ", "\ttimeout client 5s", "  option httplog # if m",
          "log global", "maxconn 10", 'description "use_backend app if TRUE"', "http-request set-header x-b 1" }))
      end
      others = others:gsub("\n", random.one_of({ "\n", "\n\t", "\n   ", "  \n", "\n\n" }))
      for _, path in ipairs(PATHS) do
        local one, other = judge(lines, path or nil), judge(others, path or nil)
        assert.equal(one.state, other.state, lines .. "\n---\n" .. others)
      end
    end
  end)

  it("never fails, whatever it reads", function()
    local f <close> = assert(io.open("docs/haproxy.cfg"))
    local sample = f:read("a")
    local bits = { "\n", " ", '"', "'", "\\", "#", "{", "}", "!", "if", "unless", "-f", "-m", "(", ")", ",", "$", "${X}", "acl",
      "frontend", "from", "%[", "]", "\0", "\255", ".if", ".endif", ".else", "no", "defaults", "use_backend", "regsub(", "\\x4",
      "http-request", "normalize-uri", "listen", "server", "set-var(" }
    for i = 1, ROUNDS do
      local text = i % 3 == 0 and sample or whole(random.frontend(9))
      for _ = 1, math.random(1, 12) do
        local at, n = math.random(#text + 1), math.random(0, 5)
        local kind = math.random(4)
        local new = kind == 1 and random.one_of(bits) or kind == 2 and "" or kind == 3 and text:sub(at, at + math.random(40))
          or string.char(math.random(0, 255))
        text = text:sub(1, at - 1) .. new .. text:sub(at + n)
      end
      local found = configuration.read({ { path = "a.cfg", text = text }, { path = "b.cfg", text = text:sub(1, 200) } }, {})
      for _, path in ipairs(PATHS) do
        for _, one in ipairs(verdict.judge(found, asked(path or nil))) do
          assert.is_truthy(({ closed = true, open = true, unknown = true, off = true })[one.state])
        end
      end
      if i % 5 == 0 then
        detours.of(found, asked(), detours.probes.paths, { "^/shop" }, 3)
        for _, section in ipairs(found.sections) do
          detours.declaration(section, asked().list)
        end
      end
    end
  end)
end)
