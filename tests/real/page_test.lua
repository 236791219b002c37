-- SPDX-License-Identifier: MIT
--
-- The sample configuration and the maintenance page, as visitors see them.

local cjson = require("cjson")
local sample = require("sample")
local site = require("site")

local ask, close = sample.ask, sample.close

--- The answer must be the page: its status, its headers, and no placeholder that is left.
local function is_page(answer)
  assert.equal(503, answer.status)
  assert.equal("text/html; charset=utf-8", answer.headers["content-type"])
  assert.equal("no-store", answer.headers["cache-control"])
  assert.equal("Accept, Accept-Language", answer.headers.vary)
  assert.matches("^<!DOCTYPE html>", answer.body)
  assert.is_nil(answer.body:find("%", 1, true))
  return answer
end

--- The answer must be the JSON of the maintenance.
local function is_json(answer)
  assert.equal(503, answer.status)
  assert.equal("application/json", answer.headers["content-type"])
  assert.equal("no-store", answer.headers["cache-control"])
  assert.equal("Accept, Accept-Language", answer.headers.vary)
  return cjson.decode(answer.body)
end

local function is_application(answer)
  assert.equal(200, answer.status)
  assert.equal(site.application, answer.body)
  return answer
end

local function retry_after(answer)
  return math.tointeger(tonumber(answer.headers["retry-after"]))
end

local JSON = { "-H", "Accept: application/json, text/plain, */*" }

describe("the sample configuration", function()
  local s

  setup(function()
    s = sample.start({ shop = true })
  end)

  teardown(function()
    s:close()
  end)

  before_each(function()
    for _, map in ipairs({ "map", "bypass", "shop", "shop_bypass" }) do
      s.target:map_replace(s[map], {})
    end
  end)

  it("lets all through while nothing is closed", function()
    is_application(ask(s, "/"))
    is_application(ask(s, "/api/x", table.unpack(JSON)))
  end)

  it("has a socket for haproxy's group alone", function()
    local _, mode = run({ "stat", "-c", "%a", s.socket, stdout = "capture" })
    assert.equal("660\n", mode)
  end)

  it("shows the page with reason and end, and says when to ask again", function()
    local ends = close(s, { reason = "The database moves.", ends = 1800 })
    local before = math.floor(task.time())
    local answer = is_page(ask(s, "/any/path?x=1", "-H", "Accept: text/html,application/xhtml+xml,*/*;q=0.8"))
    local late = math.floor(task.time()) - before
    assert.is_true(retry_after(answer) <= 1800 and retry_after(answer) >= 1799 - late, answer.headers["retry-after"])
    assert.matches("The database moves.", answer.body, 1, true)
    assert.matches(os.date('!datetime="%Y-%m-%dT%H:%M:%SZ"', ends), answer.body, 1, true)
    assert.matches(os.date("!>%Y-%m-%d %H:%M UTC</time>", ends), answer.body, 1, true)
    assert.equal(os.date("!%Y-%m-%dT%H:%M:%SZ", ends), answer.headers["x-maintenance-until"])
    is_page(ask(s, "/"))
  end)

  it("speaks the visitor's language, or English", function()
    local words = {}
    for line in io.lines("docs/maintenance-words.map") do
      local language, rest = line:match("^(%l%l) (.*)$")
      words[language or ""] = rest
    end
    for _, case in ipairs({
      { "de-CH,de;q=0.9,en;q=0.5", "de" }, { "en-GB,en;q=0.9,de;q=0.5", "en" }, { "xx,ja;q=0.7,fr;q=0.3", "ja" },
      { "ar", "ar" }, { "xx", "en" }, { "*", "en" }, { "", "en" }, { "fr;q=0,xx", "en" },
    }) do
      close(s, {})
      local fields = {}
      for field in words[case[2]]:gmatch("[^|]+") do
        fields[#fields + 1] = field
      end
      assert.equal(12, #fields)
      local answer = is_page(ask(s, "/", "-H", "Accept-Language: " .. case[1]))
      for i, form in ipairs({
        '<html lang="%s" ', ' dir="%s" ', "<title>%s</title>", "<h1>%s</h1>", ">%s</p>", "<dt>%s</dt>", ">%s</time>",
        'data-late="%s"', ">%s</a></small>", 'data-opens="%s"', ">%s</a> ", ">%s</a></nav>",
      }) do
        assert.matches(form:format(fields[i]), answer.body, 1, true)
      end
      assert.equal(fields[5], is_json(ask(s, "/api/", "-H", "Accept-Language: " .. case[1])).reason)
    end
  end)

  it("has all its words in each language, and each language in HAProxy's list", function()
    local known, listed = {}, {}
    for line in io.lines("docs/maintenance-words.map") do
      local language, rest = line:match("^(%l%l) (.*)$")
      if language then
        known[#known + 1] = language
        assert.matches(("^%s|[lr]t[lr]|"):format(language) .. ("[^|\"<>%%]+|"):rep(9) .. "[^|\"<>%%]+$", rest)
      end
    end
    for line in io.lines("docs/haproxy.cfg") do
      for language in (line:match(",language%((.-)%)") or ""):gmatch("%l+") do
        listed[#listed + 1] = language
      end
    end
    assert.same(known, listed)
  end)

  it("does without reason and end", function()
    close(s, {})
    local answer = is_page(ask(s, "/"))
    assert.equal(300, retry_after(answer))
    assert.matches("We are working on this site.", answer.body, 1, true)
    assert.matches(">not known yet</time>", answer.body, 1, true)
    assert.matches('datetime=""', answer.body, 1, true)
    assert.same({ status = 503, reason = "We are working on this site.", ["until"] = cjson.null, retry_after = 300 },
      is_json(ask(s, "/", table.unpack(JSON))))
  end)

  it("says Retry-After of a minute when the end is over, and of 5 when the end is no number", function()
    close(s, { ends = -100 })
    assert.equal(60, retry_after(is_page(ask(s, "/"))))
    s.target:map_replace(s.map, { ["^.*$"] = "|soon|1|" })
    assert.equal(300, retry_after(is_page(ask(s, "/"))))
  end)

  it("gives JSON where the client accepts no page, and below /api/", function()
    local ends = close(s, { reason = "Moving", ends = 600 })
    local answer = ask(s, "/orders", table.unpack(JSON))
    local data = is_json(answer)
    assert.equal(data.retry_after, retry_after(answer))
    data.retry_after = nil
    assert.same({ status = 503, reason = "Moving", ["until"] = os.date("!%Y-%m-%dT%H:%M:%SZ", ends) }, data)
    is_json(ask(s, "/", "-H", "Accept: application/problem+json"))
    is_json(ask(s, "/api/orders", "-H", "Accept: text/html"))
    is_page(ask(s, "/", "-H", "Accept: application/json, text/html"))
    is_page(ask(s, "/", "-H", "Accept:"))
    is_page(ask(s, "/apis"))
  end)

  it("answers HEAD without a body, and other methods alike", function()
    close(s, { ends = 600 })
    local answer = ask(s, "/", "-I")
    assert.equal(503, answer.status)
    assert.equal("", answer.body)
    assert.is_true(retry_after(answer) > 500)
    for _, method in ipairs({ "POST", "PUT", "DELETE", "OPTIONS", "PATCH" }) do
      answer = is_page(ask(s, "/form", "-X", method, "-d", "a=b"))
      assert.matches(('data-method="%s"'):format(method), answer.body, 1, true)
    end
  end)

  it("answers an upload that it does not read", function()
    close(s, {})
    local big = s.folder.write("big", ("x"):rep(3000000))
    for _, expect in ipairs({ "Expect:", "Expect: 100-continue" }) do
      -- HAProxy resets the connection of a client that goes on sending, and then the answer may be lost
      local answer
      for _ = 1, 20 do
        answer = ask(s, "/upload", "-H", expect, "--data-binary", "@" .. big)
        if answer.status ~= 0 then
          break
        end
      end
      is_page(answer)
    end
  end)

  it("refuses a WebSocket", function()
    close(s, {})
    is_page(ask(s, "/socket", "-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H",
      "Sec-WebSocket-Version: 13", "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="))
  end)

  it("closes hosts, paths, and paths of a host", function()
    close(s, { patterns = {
      "(?i)^[^/]*/shop(/|$)", "(?i)^www\\.example\\.org\\.?(:[^/]*)?/", "^a\\.example\\.?(:[^/]*)?/b",
    } })
    is_page(ask(s, "/shop"))
    is_page(ask(s, "/SHOP/cart?x"))
    is_application(ask(s, "/shopping"))
    is_page(ask(s, "/", "-H", "Host: WWW.example.org"))
    is_application(ask(s, "/", "-H", "Host: xwww.example.org"))
    is_page(ask(s, "/b/c", "-H", "Host: a.example:8080"))
    is_application(ask(s, "/c", "-H", "Host: a.example"))
  end)

  it("closes a path in the ways in which an application may read it, too", function()
    close(s, { patterns = { "(?i)^[^/]*/shop" } })
    for _, path in ipairs({ "/shop", "//shop", "///shop/x", "/./shop", "/././shop", "/x/../shop", "/%73hop", "/%2e/shop",
      "/%2Fshop", "/SHOP", "/%53HOP/cart", "/;a=b/shop", "/shop;x", "/x/.././/shop" }) do
      assert.equal(503, ask(s, path, "--path-as-is").status, path)
    end
    for _, path in ipairs({ "/", "/x", "//x", "/./x", "/x/../y", "/%78", "/x;shop", "/x/shop" }) do
      assert.equal(200, ask(s, path, "--path-as-is").status, path)
    end
    -- the mask is that of the plain form
    s.target:map_replace(s.map, { { key = "(?i)^[^/]*/shop", value = "1||2|shop" }, { key = "(?i)^[^/]*/", value = "1||1|all" } })
    s.target:map_replace(s.bypass, { ["127.0.0.2"] = "1", ["127.0.0.3"] = "3" })
    is_application(ask(s, "/x", "--interface", "127.0.0.2"))
    is_page(ask(s, "//shop", "--path-as-is", "--interface", "127.0.0.2"))
    is_application(ask(s, "//shop", "--path-as-is", "--interface", "127.0.0.3"))
    is_page(ask(s, "//x", "--path-as-is", "--interface", "127.0.0.4"))
  end)

  it("lets networks through", function()
    close(s, {})
    s.target:map_replace(s.bypass, { ["127.0.0.2"] = "1", ["127.1.0.0/16"] = "3", ["127.2.0.0/16"] = "2" })
    is_page(ask(s, "/"))
    is_application(ask(s, "/", "--interface", "127.0.0.2"))
    is_application(ask(s, "/", "--interface", "127.1.2.3"))
    is_page(ask(s, "/", "--interface", "127.2.0.1"))
    is_page(ask(s, "/", "-H", "X-Forwarded-For: 127.0.0.2"))
  end)

  it("lets IPv6 networks through", function()
    if not sample.has_ipv6 then
      pending("no IPv6 here")
      return
    end
    close(s, {})
    is_page(ask(s, "/", "-6"))
    s.target:map_replace(s.bypass, { ["2001:db8::/32"] = "1" })
    is_page(ask(s, "/", "-6"))
    s.target:map_replace(s.bypass, { ["::1/128"] = "1" })
    is_application(ask(s, "/", "-6"))
    is_page(ask(s, "/"))
  end)

  it("lets the secret through, which the application does not see", function()
    close(s, {})
    local answer = is_application(ask(s, "/", "-H", "X-Maintenance-Bypass: " .. sample.secret))
    assert.equal("", answer.headers["x-seen-secret"] or "")
    for sent, seen in pairs({
      ["maintenance-bypass=%s"] = "",
      ["a=1; maintenance-bypass=%s; b=2"] = "a=1; b=2",
      ["maintenance-bypass=%s; b=2"] = "b=2",
    }) do
      answer = is_application(ask(s, "/", "-b", sent:format(sample.secret)))
      assert.equal(seen, answer.headers["x-seen-cookie"] or "")
    end
    for _, wrong in ipairs({ "x", "", sample.secret .. "0", sample.secret:sub(2) }) do
      is_page(ask(s, "/", "-H", "X-Maintenance-Bypass: " .. wrong))
      is_page(ask(s, "/", "-b", "maintenance-bypass=" .. wrong))
    end
    s.target:map_replace(s.map, {})
    answer = is_application(ask(s, "/", "-b", "maintenance-bypass=old; c=3", "-H", "X-Maintenance-Bypass: old"))
    assert.equal("c=3", answer.headers["x-seen-cookie"])
    local twice = "maintenance-bypass=a; c=3; maintenance-bypass=" .. sample.secret
    assert.equal(400, ask(s, "/", "-H", "Cookie: " .. twice).status)
    assert.equal("", answer.headers["x-seen-secret"] or "")
  end)

  it("sets the cookie for a client that sends the secret, and does not log it", function()
    close(s, {})
    local answer = ask(s, "/maintenance-bypass/" .. sample.secret)
    assert.equal(303, answer.status)
    assert.equal("/", answer.headers.location)
    local cookie = answer.headers["set-cookie"]
    assert.equal("maintenance-bypass=" .. sample.secret .. "; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax", cookie)
    is_application(ask(s, "/", "-b", cookie:match("^[^;]+")))
    is_page(ask(s, "/maintenance-bypass/wrong"))
    is_page(ask(s, "/other/" .. sample.secret .. "x"))
    is_application(ask(s, "/", "-H", "X-Maintenance-Bypass: " .. sample.secret))
    is_page(ask(s, "/the-last-of-these"))
    repeat
      task.sleep(0.01)
    until s:log():find("/the-last-of-these", 1, true)
    assert.matches("/maintenance-bypass/wrong", s:log(), 1, true)
    local log = s:log():gsub("/other/" .. sample.secret, "")
    assert.is_nil(log:find(sample.secret, 1, true))
  end)

  it("leaves the renewal of certificates open, and nothing else by its path", function()
    close(s, {})
    is_application(ask(s, "/.well-known/acme-challenge/abc_DEF-123"))
    is_page(ask(s, "/.well-known/acme-challenge/../../admin", "--path-as-is"))
    is_page(ask(s, "/.well-known/acme-challenge/a%2f..%2fadmin"))
  end)

  -- HAProxy escapes the reason for the page. Nothing on the way may escape it again, or undo that.
  for name, reason in pairs({
    ["a script"] = [[<script>alert(1)</script>]],
    quotes = [["double" and 'single', \ and \n]],
    ["log formats"] = [[100 % of %[src] %{+Q}o %ci %% %[var(txn.secure)]
]],
    unicode = "Wartung bis spät 🚧 まもなく \u{202e}abc",
    entities = [[&lt;b&gt; & &amp;]],
    ["regular expressions"] = [[\0 \1 $1 & [a-z]* #comment]],
    ["as many quotes as a map holds"] = ('"'):rep(1000),
    ["as many letters as a map holds"] = ("ä"):rep(500),
  }) do
    reason = reason:gsub("\n", "")
    it("shows as they are, in a reason: " .. name, function()
      close(s, { reason = reason, ends = 600 })
      local answer = ask(s, "/")
      assert.equal(503, answer.status)
      assert.matches('dir="auto">' .. sample.escape(reason) .. "</p>", answer.body, 1, true)
      assert.is_nil(answer.body:find("alert(1)</script>", 1, true))
      assert.equal(reason, is_json(ask(s, "/", table.unpack(JSON))).reason)
    end)
  end

  it("allows the page's script and no other", function()
    close(s, {})
    local answer = is_page(ask(s, "/"))
    local policy = answer.headers["content-security-policy"]
    local script = answer.body:match("<script>(.-)</script>")
    local _, hash = run({ "sh", "-c", "openssl dgst -sha256 -binary | base64", stdin = script, stdout = "capture" })
    assert.matches(("script-src 'sha256-%s';"):format(hash:gsub("\n", "")), policy, 1, true)
    assert.matches("default-src 'none'", policy, 1, true)
    local _, scripts = answer.body:gsub("<script", "")
    assert.equal(1, scripts)
    assert.is_true(#answer.body < 6000)
    assert.is_nil(answer.body:find("https?://"))
  end)

  it("has a second switch with maps of its own", function()
    close(s, { reason = "The site", ends = 600, patterns = { "/blog" } })
    close(s, { map = s.shop, patterns = { "^[^/]*/shop" } })
    assert.matches(">The site</p>", is_page(ask(s, "/blog")).body, 1, true)
    local answer = is_page(ask(s, "/shop"))
    assert.matches(">We are working on this site.</p>", answer.body, 1, true)
    assert.equal(300, retry_after(answer))
    close(s, { map = s.shop, patterns = { "^[^/]*/shop" }, reason = "New shelves", ends = 60 })
    answer = is_page(ask(s, "/shop"))
    assert.matches(">New shelves</p>", answer.body, 1, true)
    assert.is_true(retry_after(answer) <= 60)
    s.target:map_replace(s.shop_bypass, { ["127.0.0.2"] = "1" })
    is_application(ask(s, "/shop", "--interface", "127.0.0.2"))
    is_page(ask(s, "/blog", "--interface", "127.0.0.2"))
    is_application(ask(s, "/"))
  end)
end)

describe("the sample's files", function()
  it("keep maintenance over a reload", function()
    local s <close> = sample.start()
    close(s, { reason = "The database moves.", ends = 1800 })
    s.folder.write("maintenance.map", "^.*$ 1700000000|4000000000|1|The database moves.\n")
    s:reload()
    local answer = is_page(ask(s, "/"))
    assert.matches("The database moves.", answer.body, 1, true)
    assert.matches("2096-10-02 07:06 UTC", answer.body, 1, true)
  end)

  it("are read by every HAProxy without a warning", function()
    local s <close> = sample.start({ shop = true })
    local _, out, err = run({ os.getenv("HAPROXY") or "haproxy", "-c", "-V", "-f", s.dir .. "/haproxy.cfg",
      stdout = "capture", stderr = "capture", env = { PATH = os.getenv("PATH") .. ":/usr/sbin:/sbin" } })
    assert.matches("Configuration file is valid", out .. err)
    assert.is_nil((out .. err):lower():find("warning"))
  end)
end)

-- A logo and links, and no words but German ones.
local WORDS <const> = [[
de de|ltr|Wartung|Gleich zurück|Wir arbeiten.|Ende|unbekannt|Dauert länger|Nochmal|Öffnet von selbst.|Kontakt|Zustand
logo data:image/gif;base64,R0lGODlhAQABAAAAACw=
contact mailto:help@example.com
status https://status.example.com/
]]

--- The page must be that of WORDS.
local function has_words(s)
  local german = ask(s, "/", "-H", "Accept-Language: de")
  for _, text in ipairs({
    '<html lang="de" dir="ltr"', "<title>Wartung</title>", "<h1>Gleich zurück</h1>", ">Wir arbeiten.</p>", "<dt>Ende</dt>",
    ">unbekannt</time>", 'data-late="Dauert länger"', 'data-opens="Öffnet von selbst."', ">Nochmal</a></small>",
    '<a href="mailto:help@example.com">Kontakt</a>', '<a href="https://status.example.com/">Zustand</a></nav>',
    'src="data:image/gif;base64,R0lGODlhAQABAAAAACw="',
  }) do
    assert.matches(text, german.body, 1, true)
  end
  assert.is_nil(german.body:find("%", 1, true))
  local french = ask(s, "/", "-H", "Accept-Language: fr").body
  assert.matches('<html lang="en" dir="ltr"', french, 1, true)
  assert.matches("<h1>We’ll be back soon</h1>", french, 1, true)
  assert.matches('">Status</a></nav>', french, 1, true)
end

describe("the page's words", function()
  it("are a file's: with a logo and links, and English in place of a language that is not there", function()
    local s <close> = sample.start({ words = WORDS })
    close(s, {})
    has_words(s)
  end)

  it("are English where the file is empty", function()
    local s <close> = sample.start({ words = "" })
    close(s, {})
    local answer = is_page(ask(s, "/", "-H", "Accept-Language: de"))
    assert.matches("<h1>We’ll be back soon</h1>", answer.body, 1, true)
    assert.matches('<img class="logo" src="" alt="">', answer.body, 1, true)
    assert.matches('<nav><a href="">Contact</a> <a href="">Status</a></nav>', answer.body, 1, true)
  end)
end)

describe("the sample with nginx", function()
  it("has the same words", function()
    local s <close> = sample.start({ nginx = true, words = WORDS })
    close(s, {})
    has_words(s)
  end)

  it("shows the same page", function()
    local s <close> = sample.start({ nginx = true })
    is_application(ask(s, "/"))
    local reason = [[<b>"100 %" 🚧</b> $host %[src] &amp; it's]]
    local ends = close(s, { reason = reason, ends = 1800 })
    for _, method in ipairs({ "GET", "POST" }) do
      local answer = ask(s, "/x", "-X", method, "-H", "X-Maintenance-Reason: forged")
      assert.equal(503, answer.status)
      assert.equal("text/html; charset=utf-8", answer.headers["content-type"])
      assert.equal("no-store", answer.headers["cache-control"])
      assert.equal("Accept, Accept-Language", answer.headers.vary)
      assert.is_true(retry_after(answer) > 1700)
      assert.equal(os.date("!%Y-%m-%dT%H:%M:%SZ", ends), answer.headers["x-maintenance-until"])
      assert.matches(sample.escape(reason) .. "</p>", answer.body, 1, true)
      assert.matches(os.date('!datetime="%Y-%m-%dT%H:%M:%SZ"', ends), answer.body, 1, true)
      assert.matches(os.date("!>%Y-%m-%d %H:%M UTC</time>", ends), answer.body, 1, true)
      assert.matches(('data-method="%s"'):format(method), answer.body, 1, true)
      assert.is_nil(answer.body:find("%[var", 1, true))
    end
    assert.equal(reason, is_json(ask(s, "/api/x")).reason)
    local big = s.folder.write("big", ("x"):rep(3000000))
    assert.equal(503, ask(s, "/upload", "--data-binary", "@" .. big).status)
  end)
end)
