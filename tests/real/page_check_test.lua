-- SPDX-License-Identifier: MIT
--
-- `maint page check` against HAProxy: what it takes, HAProxy takes, and visitors get all of it; what it refuses, HAProxy
-- refuses, or cuts.

local file = require("haplua.file")
local page = require("haplua.rules.page")
local site = require("site")
local support = require("support")

local HAPROXY <const> = os.getenv("HAPROXY") or "haproxy"
local STATUS <const> = "HTTP/1.1 503 Service Unavailable\r\n"
local HEAD <const> = STATUS .. "Content-Type: text/html\r\nCache-Control: no-store\r\n\r\n"

--- The states of the findings on a page, apart from notes: "ok", "warn" or "fail", the worst.
local function verdict(text, form, options)
  local worst = "ok"
  for _, finding in ipairs(page.check(text, { form = form, bufsize = (options or {}).bufsize })) do
    worst = (finding.state == "fail" or worst == "fail") and "fail" or finding.state == "warn" and "warn" or worst
  end
  return worst
end

local function rule(form, path, i)
  if form == "errorfile" then
    return ("errorfile 503 %s\n  http-request deny deny_status 503"):format(path)
  end
  return ("http-request return status 503 content-type text/html %s %s if { path /%d }"):format(form, path, i)
end

describe("maint page check", function()
  local folder

  setup(function()
    folder = support.folder()
  end)

  teardown(function()
    getmetatable(folder).__close(folder)
  end)

  --- Does HAProxy start with a page?
  local function accepts(text, form, i)
    local path = folder.write(form .. i, text)
    local config = folder.write("check.cfg", ("defaults\n  mode http\nbackend b\n  %s\n"):format(rule(form, path, i)))
    local status = run({ HAPROXY, "-c", "-f", config, stdout = "null", stderr = "null",
      env = { PATH = os.getenv("PATH") .. ":/usr/sbin:/sbin" } })
    return status ~= 1, path
  end

  --- An HAProxy with these rules in its frontend, and what a visitor of a path gets from it.
  ---@param global string?  lines before the others
  local function serve(rules, global)
    local port = site.free_port()
    local config = folder.write("serve.cfg", ([[
%s
defaults
  mode http
  timeout client 10s
  timeout server 10s
  timeout connect 10s
frontend f
  bind 127.0.0.1:%d
  http-request return status 200 if { path /up }
  %s
  http-request return status 404
]]):format(global or "", port, table.concat(rules, "\n  ")))
    local t = task.spawn(run, { HAPROXY, "-db", "-f", config, stdout = "null", stderr = "null",
      env = { PATH = os.getenv("PATH") .. ":/usr/sbin:/sbin" } })
    local function get(path)
      local status, text = run({ "curl", "-s", "--noproxy", "*", "-w", "%{http_code}",
        ("http://127.0.0.1:%d%s"):format(port, path), stdout = "capture" })
      return status == 0 and tonumber(text:sub(-3)) or nil, text:sub(1, -4)
    end
    while not get("/up") do
      task.sleep(0.02)
    end
    return setmetatable({ get = get }, { __close = function()
      t:cancel()
      pcall(t.wait, t)
    end })
  end

  it("judges percent signs as HAProxy does", function()
    local pages, rules = {
      "plain", "width: 100%; x", "100% x", "100%\n", "a %", 'width="100%"', "100%<b>", "100%% x", "a%20b", "%]", "%-", "a \\% b",
      "%u1234", "%E3%81", "%xyz", "%T1", "%{+X", "a %[src b", "a %[src\n]b", "%[src]", "%[str(a),upper]", "%[str(a b)]",
      '%[str("a")]', "%[str(;)]", "%[str(']')]", "%[var(txn.words),field(3,|)]", "%%[src]", "%%%%", "%%%[src]", "a\0b",
    }, {}
    local taken = {}
    for i, text in ipairs(pages) do
      local accepted, path = accepts(text, "lf-file", i)
      if verdict(text, "lf-file") == "ok" then
        assert.is_true(accepted, text)
      end
      if accepted then
        taken[i], rules[#rules + 1] = text, rule("lf-file", path, i)
      end
    end
    local s <close> = serve(rules)
    for i, text in pairs(taken) do
      local _, body = s.get("/" .. i)
      local wanted = text:gsub("%%%%", "\1"):gsub("%%%[[^%]]*%]'?%)?%]?", "\2")
      local pattern = "^" .. wanted:gsub("[^%w\1\2\n]", "%%%0"):gsub("\1", "%%%%"):gsub("\2", ".*") .. "$"
      assert.equal(verdict(text, "lf-file") == "ok", body:find(pattern) ~= nil, text .. " -> " .. body)
    end
  end)

  it("knows the names that HAProxy fills in", function()
    local names = {}
    for name in file.read("lua/haplua/rules/page.lua"):match("%[%[B CC .-%]%]"):gmatch("%w+") do
      names[#names + 1] = "%" .. name
    end
    assert.is_true(#names > 60)
    assert.is_true((accepts(table.concat(names, "\n"), "lf-file", 0)))
    assert.equal("ok", verdict(table.concat(names, "\n"), "lf-file"))
  end)

  it("judges the head of an errorfile as HAProxy does", function()
    for i, row in ipairs({
      { "ok", HEAD .. "hello" }, { "ok", (HEAD:gsub("\r", "")) .. "hello" }, { "warn", STATUS .. "\r\nhello" },
      { "ok", HEAD:gsub("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\n") .. "hello" },
      { "fail", HEAD:gsub("\r\n\r\n", "\r\nContent-Length: x\r\n\r\n") .. "hello" },
      { "fail", HEAD:gsub("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n") .. "5\r\nhello\r\n0\r\n\r\n" },
      { "ok", HEAD:gsub("1.1", "1.0") .. "hello" }, { "fail", HEAD:gsub("1.1", "2") .. "hello" },
      { "warn", HEAD:gsub("503 [^\r]*", "200 OK") .. "hello" }, { "ok", HEAD:gsub("503 [^\r]*", "503") .. "hello" },
      { "fail", "<!DOCTYPE html>\n<h1>x</h1>" }, { "fail", STATUS .. "Content-Type: text/html\r\n" },
      { "fail", STATUS .. "Content Type: text/html\r\n\r\nhello" }, { "fail", STATUS .. "<html>\r\n\r\nhello" },
      { "fail", "\u{FEFF}" .. HEAD .. "hello" }, { "fail", HEAD:gsub("503 [^\r]*", "304 x") .. "hello" },
    }) do
      assert.same({ i, row[1] }, { i, verdict(row[2], "errorfile") })
      assert.same({ i, row[1] ~= "fail" }, { i, (accepts(row[2], "errorfile", i)) })
    end
    -- 2.2 takes it, with a warning
    assert.equal("fail", verdict(HEAD:gsub("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\n") .. "hello", "errorfile"))
  end)

  it("judges sizes as HAProxy does", function()
    local rules, judged = {}, {}
    for i, n in ipairs({ 15000, 15360, 16384 - 63, 16384, 16385, 20000 }) do
      for _, form in ipairs({ "file", "lf-file" }) do
        local text = ("x"):rep(n)
        local accepted, path = accepts(text, form, #judged + 1)
        judged[#judged + 1] = verdict(text, form)
        assert.equal(i <= 2 and "ok" or "fail", judged[#judged])
        assert.is_true(accepted or i > 2)
        rules[#rules + 1] = accepted and rule(form, path, #judged) or nil
      end
      local whole = HEAD .. ("x"):rep(n - #HEAD)
      assert.same({ n, i <= 2 and "ok" or "fail" }, { n, verdict(whole, "errorfile") })
      assert.same({ n, i <= 2 }, { n, (accepts(whole, "errorfile", i)) })
    end
    local s <close> = serve(rules)
    for i, state in ipairs(judged) do
      local status = s.get("/" .. i)
      assert.same({ i, state == "ok" }, { i, status == 503 })
    end
    assert.equal("fail", verdict(("x"):rep(5000), "file", { bufsize = 4096 }))
    assert.equal("warn", verdict(("x"):rep(15900), "file"))
  end)

  it("finds what a closed site cannot give, and words that are missing", function()
    local html = folder.write("page.html", [[<html><link rel="stylesheet" href="/style.css">
      <script src="https://cdn.example/x.js"></script><img src="data:image/png;base64,AA">
      <a href="/help">help</a><a href="https://status.example/">status</a>
      <p style="background: url('back.png')">%[var(txn.words),field(3,|)]</p></html>]])
    folder.write("maintenance-words.map", "# words\nen en|ltr|Back soon\nde de|ltr\nfr fr||x\nlogo https://x/\n")
    local function check(...)
      return support.haplua({ "scripts/maint.lua", "page", "check", html, "--haproxy", HAPROXY, ... })
    end
    local ran = check()
    assert.equal(1, ran.status)
    for _, line in ipairs({
      "warn  PAGE: it loads /style.css, in whose place this page comes", "note  PAGE: it loads https://cdn.example/x.js: ",
      "note  PAGE: it links to /help, which is closed", "warn  PAGE: it loads back.png, ",
      "fail  PAGE: the words of 'de' are 2, and the page uses 3", "fail  PAGE: a word of 'fr' is empty",
      "ok    PAGE: HAProxy takes it as lf-file",
    }) do
      assert.truthy(ran.out:find(line:gsub("PAGE", html), 1, true), line .. "\n" .. ran.out)
    end
    assert.is_nil(ran.out:find("status.example", 1, true))
    assert.matches('"ok":false', check("--json").out)
    assert.matches("fail  .* HAProxy says: .*headers", check("--as", "errorfile").out)
    assert.equal(1, support.haplua({ "scripts/maint.lua", "page", "check", folder.path .. "/nowhere" }).status)
    ran = check("--haproxy", folder.path .. "/nowhere")
    assert.matches("note  [^\n]*HAProxy was not asked: ", ran.out)
  end)

  it("reads tune.bufsize of the HAProxy that runs, and says where none answers that it takes the default", function()
    local big, socket = folder.write("big.html", ("x"):rep(20000)), folder.path .. "/bufsize.sock"
    local running <close> = serve({}, ("global\n  stats socket %s level admin\n  tune.bufsize 32768"):format(socket))
    local function check(...)
      return support.haplua({ "-s", socket, "scripts/maint.lua", "page", "check", big, "--haproxy", HAPROXY, ... })
    end
    local ran = check()
    assert.same({ 0, "" }, { ran.status, ran.err }, ran.out)
    assert.matches("note  [^\n]*tune.bufsize is 32768 in the HAProxy that runs", ran.out)
    ran = check("--bufsize", "16384")
    assert.same({ 1, "" }, { ran.status, ran.err }, ran.out)
    assert.matches("20000 bytes; tune.bufsize is 16384", ran.out)
    assert.is_nil(ran.out:find("that runs", 1, true))
    getmetatable(running).__close()
    ran = check()
    assert.same({ 1, "" }, { ran.status, ran.err }, ran.out)
    assert.matches("note  [^\n]*tune.bufsize is taken to be 16384, HAProxy's default: [^\n]*bufsize.sock", ran.out)
  end)

  it("takes the page of haplua", function()
    local ran = support.haplua({ "scripts/maint.lua", "page", "check", "docs/maintenance.html", "--haproxy", HAPROXY })
    assert.same({ 0, "" }, { ran.status, ran.err })
    assert.is_nil(ran.out:find("\nwarn") or ran.out:find("^warn"))
    assert.matches("ok    docs/maintenance.html: 16 languages, 12 words each\n", ran.out)
    ran = support.haplua({ "scripts/maint.lua", "page", "look" })
    assert.same({ 2, "" }, { ran.status, ran.out })
  end)
end)
