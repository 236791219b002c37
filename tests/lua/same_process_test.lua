-- SPDX-License-Identifier: MIT

-- Is the HAProxy that is asked the process that was changed? In another process haplua puts a maintenance back; in the
-- same one it keeps what a person did.

local support = require("support")
local switch = require("haplua.haproxy.switch")

describe("the process of a change", function()
  local function entry(seconds, boot)
    return { worker = 8, started = 1000, asked = (boot or "boot") .. " " .. seconds }
  end
  local function live(seconds, uptime, started)
    return { worker = 8, started = started or 1000, asked = "boot " .. seconds, uptime = uptime }
  end
  local same = switch.is_same_process

  it("is the same whatever the wall clock shows, where it says how long it is up", function()
    assert.is_true(same(live(500, 400, 99000), entry(200)))
    assert.is_true(same(live(500, 400, 10), entry(200)))
    assert.is_true(same(live(101, 0), entry(100)))
  end)

  it("is the same when it was stopped meanwhile", function()
    assert.is_true(same(live(500, 320), entry(200)))
  end)

  it("is another one when that is not up for so long, also with the same number", function()
    assert.is_false(same(live(500, 290), entry(200)))
    assert.is_false(same(live(500, 0), entry(200)))
    assert.is_false(same(setmetatable({ worker = 9 }, { __index = live(500, 400) }), entry(200)))
  end)

  it("is recognised by its start where the machine was booted since, or where the process shows its start", function()
    assert.is_true(same(live(500, 400), entry(200, "other")))
    assert.is_false(same(live(500, 400, 1003), entry(200, "other")))
    assert.is_true(same({ worker = 8, started = 1001 }, { worker = 8, started = 1000 }))
    assert.is_false(same({ worker = 8, started = 1003 }, { worker = 8, started = 1000 }))
    assert.is_false(same({ worker = 8, started = 1003 }, { worker = 8 }))
  end)

  it("is distinguished from the next one with the same number, on every version and with a clock that is set", function()
    local folder <close> = support.folder()
    local path = folder.write("same_test.lua", [[
      local test = require("haplua.test")
      for _, version in ipairs({ "2.2", "2.6", "3.2" }) do
        for _, jump in ipairs({ 0, 7200, -7200 }) do
          it(("%s, %d s"):format(version, jump), function()
            local fake = test.haproxy({ version = version, acls = { ["#9999"] = { match = "reg" } } })
            local function status()
              return test.run("maint", "status").out
            end
            test.advance(100)
            assert.equal(0, test.run("maint", "on", "^/a").status)
            test.advance(200)
            test.jump(jump)
            fake:set_acl("#9999", { "^/hand" })
            assert.contains("somebody has changed HAProxy since", status())
            local keep = test.start("keep")
            test.advance(5)
            assert.contains("it is kept so: it matches ^/hand", keep:out())
            keep:stop()
            local pid = fake.pid
            fake:reload()
            fake.pid = pid
            test.advance(3)
            assert.contains("was replaced by " .. pid, status())
            keep = test.start("keep")
            test.advance(5)
            assert.same({ "^/hand" }, fake:acl("#9999"))
            assert.contains("was replaced by " .. pid .. "; #9999 is on for ^/hand", keep:out())
          end)
        end
      end
      it("a hand in a new process counts, also where it does what was done before", function()
        local path = test.folder() .. "/site.acl"
        io.open(path, "w"):close()
        for _, acl in ipairs({ "#9999", path }) do
          local fake = test.haproxy({ acls = { [acl] = { match = "reg" } } })
          test.env({ HAPLUA_ACL = acl })
          local keep = test.start("keep")
          assert.equal(0, test.run("maint", "on", "^/a").status)
          assert.equal(0, test.run("maint", "off").status)
          fake:reload()
          test.advance(3)
          fake:set_acl(acl, { "^/a" })
          test.advance(3)
          assert.same({ "^/a" }, fake:acl(acl))
          keep:stop()
        end
      end)
    ]])
    local ran = support.haplua({ "test", path })
    assert.equal("", ran.err)
    assert.matches("\n10 passed, 0 failed", ran.out, 1, true)
    assert.equal(0, ran.status)
  end)
end)
