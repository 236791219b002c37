-- SPDX-License-Identifier: MIT
--
-- The hooks that docs/hooks.md shows, as they are there. An HAProxy plays the part of the server that they call: it answers
-- as a test says, and its log says what it was asked.

local json = require("haplua.json")
local site = require("site")
local support = require("support")

local SERVER <const> = [[
global
    log stdout format raw local0
    tune.bufsize 65536
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
    log global
frontend api
    bind 127.0.0.1:PORT
    option http-buffer-request
    http-request set-var(txn.body) req.body,hex
    log-format "asked %HM %HP %[var(txn.auth)] %[var(txn.body)]"
    http-request set-var(txn.auth) req.hdr(authorization),hex
    http-request return status 200 content-type application/json file ANSWER
]]

--- A server that answers with a text.
---@return {url: string, asked: {method: string, path: string, auth: string, body: string}[]}
local function server(folder, answer)
  local port, up = site.free_port(), support.event()
  local config = folder.write("server.cfg", (SERVER:gsub("%u%u%u%u+", { PORT = port,
    ANSWER = folder.write("answer", answer) })))
  local self = { url = "http://127.0.0.1:" .. port, asked = {} }
  local function bytes(hex)
    return (hex:gsub("%x%x", function(byte)
      return string.char(tonumber(byte, 16))
    end):gsub("^%-$", ""))
  end
  self.task = task.spawn(run, { os.getenv("HAPROXY") or "haproxy", "-db", "-f", config, stderr = "null",
    env = { PATH = os.getenv("PATH") .. ":/usr/sbin:/sbin" }, stdout = function(line)
      local method, path, auth, body = line:match("^asked (%u+) (%S+) (%S+) (%S+)$")
      if method and path ~= "/up" then
        self.asked[#self.asked + 1] = { method = method, path = path, auth = bytes(auth), body = bytes(body) }
      end
      up.set(true)
    end })
  while run({ "curl", "-s", "--noproxy", "*", self.url .. "/up", stdout = "null" }) ~= 0 do
    task.sleep(0.02)
  end
  up.wait()
  return setmetatable(self, {
    __close = function()
      self.task:cancel()
      pcall(self.task.wait, self.task)
    end,
  })
end

--- The program below a heading of docs/hooks.md, with another URL.
local function recipe(folder, heading, url)
  local f <close> = assert(io.open("docs/hooks.md"))
  local section = (f:read("a") .. "\n### "):match("\n### " .. heading .. "\n(.-)\n### ") or error("no recipe: " .. heading)
  return folder.write("recipe", (section:match("\n    (#!.*)$"):gsub("\n    ", "\n"):gsub('"https?://[^/"]*', '"' .. url)), "755")
end

local function change(fields)
  local m = { id = "m12", event = "begun", user = "root", reason = "new \"database\"", begins = "2026-12-01T02:00:00Z",
    ["until"] = "2026-12-01T03:00:00Z" }
  for name, value in pairs(fields.m or {}) do
    m[name] = value
  end
  return json.encode({ version = 1, text = "site: m12 (/shop) begun ü", target = "/run/haproxy.sock", switch = "site",
    on = fields.on ~= false, maintenances = { m } })
end

describe("the recipes of docs/hooks.md", function()
  local folder

  before_each(function()
    folder = support.folder()
  end)

  after_each(function()
    getmetatable(folder).__close(folder)
  end)

  --- What the server was asked when a recipe ran with a change.
  local function asked(s, program, text)
    local before = #s.asked
    local ran = support.haplua({ program, stdin = text .. "\n", env = { no_proxy = "*" } })
    assert.same({ 0, "" }, { ran.status, ran.err })
    return function(n)
      while #s.asked < before + n do
        task.sleep(0.01)
      end
      return table.unpack(s.asked, before + 1, before + n)
    end
  end

  it("tell a chat", function()
    local s <close> = server(folder, "ok")
    local one = asked(s, recipe(folder, "A line in a chat", s.url), change({}))(1)
    assert.same({ "POST", "/hooks/SECRET" }, { one.method, one.path })
    assert.same({ text = "site: m12 (/shop) begun ü" }, json.decode(one.body))
  end)

  it("silence Alertmanager for the same time, and end the silence", function()
    local comment <const> = "haplua m12 of /run/haproxy.sock: x"
    local s <close> = server(folder, json.encode({
      { id = "old", comment = comment, status = { state = "expired" } },
      { id = "other", comment = "haplua m1 of /run/haproxy.sock: x", status = { state = "active" } },
    }))
    local program = recipe(folder, "A silence in Alertmanager for the same time", s.url)
    local look, made = asked(s, program, change({}))(2)
    assert.same({ "GET", "/api/v2/silences", "POST", "/api/v2/silences" }, { look.method, look.path, made.method, made.path })
    assert.same({
      createdBy = "root", comment = "haplua m12 of /run/haproxy.sock: new \"database\"", startsAt = "2026-12-01T02:00:00Z",
      endsAt = "2026-12-01T03:00:00Z", matchers = { { name = "site", value = "site", isRegex = false } },
    }, json.decode(made.body))
    local there <close> = server(folder, json.encode({ { id = "s-1", comment = comment, status = { state = "active" } } }))
    program = recipe(folder, "A silence in Alertmanager for the same time", there.url)
    local _, moved = asked(there, program, change({ m = { event = "changed" } }))(2)
    assert.equal("s-1", json.decode(moved.body).id)
    local _, ended = asked(there, program, change({ m = { event = "ended" } }))(2)
    assert.same({ "DELETE", "/api/v2/silence/s-1" }, { ended.method, ended.path })
  end)

  it("set a component of a status page", function()
    local s <close> = server(folder, "{}")
    local program = recipe(folder, "A component of a status page", s.url)
    for _, row in ipairs({ { true, "under_maintenance" }, { false, "operational" } }) do
      local one = asked(s, program, change({ on = row[1] }))(1)
      assert.same({ "PATCH", "/v1/pages/PAGE/components/COMPONENT", "OAuth SECRET" }, { one.method, one.path, one.auth })
      assert.same({ component = { status = row[2] } }, json.decode(one.body))
    end
  end)
end)
