-- SPDX-License-Identifier: MIT
--
-- A list that HAProxy has numbered: after a reload the number may be another list's, and then nothing is written to it.

local running = require("running")
local site = require("site")
local support = require("support")

local eventually, good = running.eventually, support.good

describe("a list whose number HAProxy has given", function()
  local s, number, config

  --- Put a line above the ACLs, and reload.
  local function put_above(line)
    s.folder.write("haproxy.cfg", (config:gsub("    acl maintenance ", line .. "\n%0", 1)))
    s:reload()
  end

  before_each(function()
    s = site.start({ acl = "path -i -m reg ^/never" })
    s.journal, config = s.dir .. "/journal.db", running.content(s.dir .. "/haproxy.cfg")
    for _, list in ipairs(s.target:acl_list()) do
      number = list.text:find("'path'", 1, true) and "#" .. list.id or number
    end
  end)

  after_each(function()
    s:close()
  end)

  it("is not written to where the number is another list's", function()
    good(s:maint("--acl", number, "on", "--path", "/shop"))
    assert.equal("page", s:sees("/shop"))
    put_above("    acl denied path -m reg ^/denied\n    http-request deny if denied")
    for _, words in ipairs({ { "on" }, { "on", "--path", "/shop" }, { "off" } }) do
      local ran = s:maint("--acl", number, table.unpack(words))
      assert.equal(1, ran.status, ran.out)
      assert.matches(number .. " may be another list since HAProxy was started anew: it was maintenance: acl 'path'", ran.err,
        1, true)
      assert.matches("nothing was changed", ran.err, 1, true)
    end
    local keeper = running.start(s, "-s", s.socket, "scripts/keep.lua", "--journal", s.journal)
    eventually("keep says so", function()
      return (keeper:err() .. keeper:out()):find("may be another list", 1, true)
    end)
    assert.same({ "^/denied" }, s.target:acl_list(number))
    keeper:signal("TERM")
    keeper:wait()
    assert.equal("application", s:sees("/other"))
  end)

  it("is the same where the number comes from -u, wherever the line stands", function()
    config = config:gsub("path %-i %-m reg %^/never", "path -i -m reg -u 77")
    s.folder.write("haproxy.cfg", config)
    s:reload()
    good(s:maint("--acl", "#77", "on", "--path", "/shop"))
    put_above("    # a comment\n    acl other path -m reg ^/other")
    good(s:maint("--acl", "#77", "on", "--path", "/shop"))
    assert.equal("page", s:sees("/shop"))
    good(s:maint("--acl", "#77", "off"))
  end)
end)
