-- SPDX-License-Identifier: MIT
--
-- The headers of scripts/: what stands below a line "$ haplua NAME ..." is what such a call prints. Times, people and paths
-- of journals may be others.

local file = require("haplua.file")
local test = require("haplua.test")

local AB = "/etc/haproxy/ab.map"

-- Policies that stay: so many seconds after their start they are stopped, and have printed what the header shows.
local stays <const> = { keep = 3, lunch = 3, ["scale-guard"] = 3, watch = 3 }

--- The words of a call, as a shell reads them.
local function words_of(call)
  local words, rest = {}, call
  while rest:find("%S") do
    local quoted, after = rest:match("^ *'([^']*)'(.*)$")
    if not quoted then
      quoted, after = rest:match("^ *(%S+)(.*)$")
    end
    words[#words + 1], rest = quoted, after
  end
  return words
end

--- The examples of a header: calls, and the lines that they print.
---@return {words: string[], out: string}[]
local function examples(text)
  local found, open = {}, nil
  for line in text:gmatch("([^\n]*)\n") do
    local call, printed = line:match("^%-%-   %$ haplua (.*)$"), line:match("^%-%-   (.*)$")
    if line == "" then
      break
    elseif call then
      open = { words = words_of(call), out = "" }
      found[#found + 1] = open
    elseif open and printed then
      open.out = open.out .. printed .. "\n"
    else
      open = nil
    end
  end
  return found
end

--- What may differ, in one form.
local function plain(text)
  return (text:gsub("%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d [+-]%d%d%d%d", "TIME"):gsub("by %S+@[^%s,:]+", "by WHO")
    :gsub("%f[^\n\0]%d%d:%d%d:%d%d ", "CLOCK ")
    :gsub("kept to %S+", "kept to JOURNAL"):gsub("idle after [%d.]+ s", "idle after S"))
end

--- A site with what the examples need.
local function new_site()
  local folder = test.folder()
  local live = folder .. "/live.map"
  assert(file.replace(live, "app blue\n"))
  local site = test.haproxy({
    acls = { ["#9999"] = { match = "reg" } }, maps = { [live] = { match = "str" }, [AB] = { match = "str" } },
    servers = { "app/a1", "app/a2", ["app/new"] = { weight = 100 }, "blue/b1", "blue/b2", "green/g1", "green/g2", "new/n1" },
  })
  return site, live
end

-- What happens while an example runs: numbers of requests, and what other people do.
local traffic <const> = {
  canary = function(site)
    local server = site:server("app/new")
    for _, step in ipairs({ { 40, 0, 12 }, { 199, 1, 14 }, { 400, 0, 13 }, { 799, 1, 13 } }) do
      test.advance(30)
      server.hrsp_2xx, server.hrsp_5xx, server.rtime = server.hrsp_2xx + step[1], server.hrsp_5xx + step[2], step[3]
      test.advance(30)
    end
  end,
  watch = function()
    test.advance(2)
    acl_add("#9999", "^/shop")
    test.advance(1)
    haproxy.server_set({ server = "app/a1", state = "drain" })
  end,
  ab = function(site)
    test.advance(1)
    local app, new = site:server("app/a1"), site:server("new/n1")
    app.req_tot, app.hrsp_5xx, app.ttime, new.req_tot, new.hrsp_5xx, new.ttime = 900, 3, 20, 100, 2, 31
    test.advance(600)
  end,
}

-- What there is besides a site.
local besides <const> = {
  fleet = function()
    test.etcd()
    local path = test.folder() .. "/fleet.lua"
    assert(file.replace(path, 'return { fleet = { name = "shop", etcd = { endpoints = { "https://etcd1:2379" } } } }'))
    test.env({ HAPLUA_CONFIG = path })
  end,
}

for _, entry in ipairs(assert(file.list("scripts"))) do
  local name = entry:match("^(.*)%.lua$")
  local text = name and file.read("scripts/" .. entry, 1 << 20)
  if name then
    it("of " .. name .. " shows what it prints", function()
      local site, live = new_site()
      if besides[name] then
        besides[name]()
      end
      local calls = examples(text)
      assert.is_true(#calls > 0, "there is no example")
      for _, one in ipairs(calls) do
        local words = one.words
        words[1] = ("scripts/%s.lua"):format(words[1])
        if name == "bluegreen" then
          words[#words + 1], words[#words + 2] = "--map", live
        end
        local run = test.start(table.unpack(words))
        if traffic[name] then
          traffic[name](site)
        end
        test.advance(stays[name] or 120)
        local ran = stays[name] and run:stop() or run:wait()
        assert.equal(plain(one.out), plain(ran.out):gsub("%s+$", "\n"), ran.err)
      end
    end)
  end
end
