-- SPDX-License-Identifier: MIT
--
-- The maintenance page in Chromium: what it shows to which visitor, and that it loads the site when maintenance ends.
-- The test writes pictures of the page to $BUILD/page-*.png.

local browser = require("browser")
local running = require("running")
local sample = require("sample")
local site = require("site")
local support = require("support")

local close = sample.close
local PICTURES = (os.getenv("BUILD") or "build") .. "/page-"
local REASON = "We are moving the database to a larger machine. Orders placed so far are safe."

local DESKTOP = { width = 1200, height = 750, deviceScaleFactor = 1, mobile = false }
local PHONE = { width = 360, height = 640, deviceScaleFactor = 1.5, mobile = true }
local SMALL = { width = 320, height = 480, deviceScaleFactor = 1, mobile = true }

-- The lowest contrast of a text in the page to its background, by the formula of WCAG 2.
local CONTRAST = [[
  const light = colour => {
    const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map(c => c / 255)
      .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const back = light(getComputedStyle(document.querySelector("main")).backgroundColor);
  return Math.min(...[...document.querySelectorAll("main *")].filter(e => e.innerText).map(e => {
    const text = light(getComputedStyle(e).color);
    return Math.max(text, back) / Math.min(text, back);
  }));
]]

describe("the maintenance page", function()
  local s, b, folder

  setup(function()
    folder = support.folder()
    s = sample.start()
    b = browser.start(folder.path .. "/profile")
  end)

  teardown(function()
    b:close()
    s:close()
    getmetatable(folder).__close(folder)
  end)

  local function address(path)
    return ("http://127.0.0.1:%d%s"):format(s.port, path)
  end

  --- Set the visitor's time zone and language.
  local function visitor(zone, language)
    b:cdp("Emulation.setTimezoneOverride", { timezoneId = zone })
    b:cdp("Emulation.setUserAgentOverride", { userAgent = "test", acceptLanguage = language })
  end

  local function media(name, value)
    b:cdp("Emulation.setEmulatedMedia", { features = { { name = name, value = value } } })
  end

  --- Wait until the page has loaded the application by itself.
  local function opens_site()
    running.eventually("the site is opened", function()
      return b:text() == site.application
    end)
  end

  --- The number of lines with this method and path in HAProxy's log.
  local function logged(method, path)
    local _, n = s:log():gsub('"' .. method .. " " .. path .. " ", "")
    return n
  end

  before_each(function()
    b:open("about:blank")
    b:cdp("Emulation.setDeviceMetricsOverride", DESKTOP)
    media("prefers-color-scheme", "light")
    visitor("Europe/Berlin", "en-GB")
    close(s, { reason = REASON, ends = 1800 })
  end)

  it("shows the reason, and the end in the visitor's zone and language", function()
    s.target:map_set(s.map, "^.*$", "1700000000|4000000000|1|" .. REASON) -- 2096-10-02 07:06:40 UTC
    for _, case in ipairs({
      { "Europe/Berlin", "de-DE", "Dienstag, 2. Oktober um 09:06 MESZ" },
      { "America/New_York", "en-US", "Tuesday, October 2 at 3:06 AM EDT" },
      { "Asia/Kolkata", "en-IN", "12:36" },
    }) do
      visitor(case[1], case[2])
      b:open(address("/"))
      local text = b:text()
      assert.matches(REASON, text, 1, true)
      assert.matches(case[3], text, 1, true)
      assert.equal("2096-10-02T07:06:40Z", b:eval("return document.querySelector('time').dateTime"))
    end
  end)

  it("is in one language: the first of the visitor's that it has", function()
    s.target:map_set(s.map, "^.*$", "1700000000|4000000000|1|") -- 2096-10-02 07:06:40 UTC
    for _, case in ipairs({
      { "fr-CA", "fr", "Nous revenons bientôt", "2 octobre", "ouvrira le site dès son retour" },
      { "fi,sv", "sv", "Vi är snart tillbaka", "2 oktober", "så snart den är tillbaka" },
      { "fi", "en", "We’ll be back soon", "October 2", "as soon as it is back" }, -- no date in another language
      { "ar-EG", "ar", "سنعود قريبًا", "٢ أكتوبر", "فور عودته" },
    }) do
      visitor("UTC", case[1])
      b:open(address("/"))
      local text = b:text()
      assert.equal(case[2], b:eval("return document.documentElement.lang"))
      assert.matches(case[3], text, 1, true)
      assert.matches(case[4], text, 1, true)
      assert.matches(case[5], text, 1, true)
    end
    assert.equal("rtl", b:eval("return getComputedStyle(document.querySelector('main')).direction"))
    b:picture(PICTURES .. "arabic.png")
  end)

  it("counts down without announcing it", function()
    visitor("UTC", "de")
    b:open(address("/"))
    assert.matches("in 30 Minuten", b:text(), 1, true)
    assert.equal("de", b:eval("return document.documentElement.lang"))
    assert.equal(0, b:eval("return document.querySelectorAll('[aria-live], [role=status], [role=alert], [role=timer]').length"))
    close(s, { ends = -30 })
    b:open(address("/"))
    assert.matches("Dauert länger als geplant", b:text(), 1, true)
    close(s, {})
    b:open(address("/"))
    assert.matches("noch nicht bekannt", b:text(), 1, true)
    assert.equal("", b:eval("return document.getElementById('left').textContent"))
  end)

  it("has a content security policy that allows its own script only", function()
    local reason = [[<script>window.hit = 1</script><img src=x onerror="window.hit = 1"> "a" 'b' & %[src] 🚧]]
    close(s, { reason = reason, ends = 600 })
    b:console()
    b:open(address("/"))
    assert.equal(reason, b:eval("return document.querySelector('.reason').textContent"))
    assert.equal("undefined", b:eval("return typeof window.hit"))
    assert.matches("in 10 minutes", b:text(), 1, true)
    local console = b:console()
    assert.matches("503", console)
    assert.is_nil(console:find("Content Security Policy", 1, true), console)
    assert.is_nil(console:find("Uncaught", 1, true), console)
    -- the policy is in force: the browser blocks another script and reports it
    b:eval("const e = document.createElement('script'); e.textContent = 'window.hit = 2'; document.body.append(e)")
    assert.equal("undefined", b:eval("return typeof window.hit"))
    assert.matches("Content Security Policy", b:console(), 1, true)
  end)

  it("shows reason and end without JavaScript, too", function()
    s.target:map_set(s.map, "^.*$", "1700000000|4000000000|1|" .. REASON)
    b:cdp("Emulation.setScriptExecutionDisabled", { value = true })
    local undo <close> = setmetatable({}, { __close = function()
      b:cdp("Emulation.setScriptExecutionDisabled", { value = false })
    end })
    b:open(address("/"))
    local text = b:text()
    assert.matches(REASON, text, 1, true)
    assert.matches("2096-10-02 07:06 UTC", text, 1, true)
    assert.matches("Try again", text, 1, true)
    assert.is_nil(text:find("This page opens", 1, true))
  end)

  for name, size in pairs({ desktop = DESKTOP, phone = PHONE, ["small phone"] = SMALL }) do
    it("fits on a screen: " .. name, function()
      b:cdp("Emulation.setDeviceMetricsOverride", size)
      for _, reason in ipairs({ ("long"):rep(150), REASON }) do
        close(s, { reason = reason, ends = 1800 })
        b:open(address("/"))
        assert.equal(size.width, b:eval("return innerWidth"))
        assert.is_true(b:eval("return document.documentElement.scrollWidth <= innerWidth"))
        assert.is_true(b:eval("return parseFloat(getComputedStyle(document.querySelector('small')).fontSize) >= 15"))
      end
      b:picture(PICTURES .. name:gsub(" ", "-") .. ".png")
    end)
  end

  for _, scheme in ipairs({ "light", "dark" }) do
    it("has enough contrast: " .. scheme, function()
      media("prefers-color-scheme", scheme)
      b:open(address("/"))
      assert.equal(scheme == "dark", b:eval("return matchMedia('(prefers-color-scheme: dark)').matches"))
      assert.is_true(b:eval(CONTRAST) >= 4.5)
      b:picture(PICTURES .. scheme .. ".png")
    end)
  end

  it("shows no animation to visitors who prefer reduced motion", function()
    for _, case in ipairs({ { "no-preference", 1 }, { "reduce", 0 } }) do
      media("prefers-reduced-motion", case[1])
      b:open(address("/"))
      assert.equal(case[2], b:eval("return document.getAnimations().length"))
    end
  end)

  it("has a language, a title, a landmark and a heading", function()
    b:open(address("/"))
    assert.equal("en", b:eval("return document.documentElement.lang"))
    assert.equal("Down for maintenance", b:eval("return document.title"))
    local roles = {}
    for _, node in ipairs(b:cdp("Accessibility.getFullAXTree").nodes) do
      if node.role and not node.ignored then
        roles[node.role.value] = (roles[node.role.value] or 0) + 1
      end
    end
    assert.equal(1, roles.main)
    assert.equal(1, roles.heading)
    assert.equal(1, roles.link)
  end)

  it("loads the site by itself, at the visitor's address", function()
    close(s, { ends = 60 })
    b:open(address("/cart?id=5#item"))
    s.target:map_replace(s.map, {})
    opens_site()
    assert.equal(address("/cart?id=5#item"), b:eval("return location.href"))
  end)

  it("does not send a form again", function()
    close(s, { ends = 60 })
    b:open(address("/"))
    b:eval([[
      const form = document.createElement("form");
      form.method = "POST";
      form.action = "/order";
      document.body.append(form);
      setTimeout(() => form.submit());
    ]])
    running.eventually("the browser has blocked the form", function()
      -- form-action 'none': the page has no forms
      return b:console():find("form-action", 1, true)
    end)
    -- so another page sends the form
    s.target:map_replace(s.map, {})
    b:open(address("/form"))
    close(s, { ends = 60 })
    b:eval([[
      document.body.innerHTML = '<form method="post" action="/order#done"><input name="a" value="b"></form>';
      setTimeout(() => document.forms[0].submit());
    ]])
    running.eventually("the maintenance page is the answer", function()
      return b:eval("return document.documentElement.dataset.method") == "POST"
    end)
    s.target:map_replace(s.map, {})
    opens_site()
    assert.equal(address("/order"), b:eval("return location.href"))
    running.eventually("the request is in the log", function()
      return logged("GET", "/order") == 1
    end)
    assert.equal(1, logged("POST", "/order"))
  end)

  it("stays while the answer is another error, and asks with HEAD", function()
    close(s, { ends = 60 })
    b:open(address("/wait"))
    -- from now on this function answers
    b:eval([[
      window.asked = [];
      window.answers = [500, 502, 429, 503];
      window.fetch = async (url, options) => {
        asked.push([options.method, options.cache, options.redirect, Math.round(performance.now())]);
        return new Response(null, { status: answers[asked.length - 1] ?? 503 });
      };
    ]])
    for i = 1, 4 do
      b:eval("dispatchEvent(new Event('online'))")
      running.eventually("asked", function()
        return b:eval("return asked.length") == i
      end)
    end
    assert.same({ "HEAD", "no-store", "manual" }, { table.unpack(b:eval("return asked[3]"), 1, 3) })
    assert.matches("Expected end", b:text(), 1, true)
  end)

  it("shows a new end and a new reason", function()
    close(s, { reason = "first", ends = 60 })
    b:open(address("/"))
    close(s, { reason = "second", ends = 7200 })
    running.eventually("the new reason is shown", function()
      return b:text():find("second", 1, true)
    end)
    assert.matches("in 2 hours", b:text(), 1, true)
  end)

  it("does not ask before the first interval is over", function()
    b:open(address("/quiet"))
    task.sleep(3)
    assert.equal(0, logged("HEAD", "/quiet"))
  end)
end)
