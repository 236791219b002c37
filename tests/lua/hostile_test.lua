-- SPDX-License-Identifier: MIT
--
-- No input makes haplua send what stops a HAProxy: runs tests/conformance/hostile_test.lua.

local support = require("support")

describe("what haplua sends", function()
  it("is harmless, whatever the input", function()
    local ran = support.haplua({ "test", "tests/conformance/hostile_test.lua" })
    assert.same({ 0, "" }, { ran.status, ran.err }, ran.out)
    assert.truthy(ran.out:find("\n32 passed, 0 failed, 0 skipped ", 1, true), ran.out)
  end)

  it("needs lists of an honest length", function()
    local core, reply = require("haplua.core"), require("haplua.reply")
    local target = core.open("/nowhere")
    for _, length in ipairs({ -1, math.mininteger, math.maxinteger }) do
      local list = setmetatable({}, {
        __len = function()
          return length
        end,
        __index = function()
          return "x"
        end,
      })
      local calls = {
        command = { core.encode, list },
        values = { target.each, target, { "add", "acl", "#1" }, list },
        commands = { target.batch, target, list },
        arguments = { run, list },
        keys = { reply.compare, "0x1 a\n", list },
      }
      for name, call in pairs(calls) do
        support.refused(name .. ": a list expected, and not one of length " .. ("%d"):format(length):gsub("%-", "%%-"),
          table.unpack(call))
      end
      support.refused("values: a list expected", core.check, list)
      support.refused("keys: a list expected", reply.same, "0x1 a\n", list)
      support.refused("command: a list expected", target.send, target, list)
    end
  end)
end)
