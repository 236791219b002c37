-- SPDX-License-Identifier: MIT
--
-- keep beside a process that ends its maintenance itself.

local task = require("haplua.task")
local test = require("haplua.test")

describe("keep", function()
  --- Hold a maintenance of a minute for `seconds`, while keep runs. Returns whether keep has ended it, and what the ACL
  -- holds afterwards.
  local function hold(seconds)
    local dir, site = test.folder(), test.haproxy({ acls = { ["#9999"] = { match = "reg", entries = { "^/before" } } } })
    local options = { acl = "#9999", journal = dir .. "/journal.db", patterns = { "^/a" }, ends = task.time() + 60 }
    local keep = test.start("scripts/keep.lua", "--journal", options.journal)
    test.settle()
    require("haplua.maintenance").during(options, function()
      task.sleep(seconds)
    end)
    assert.is_false(keep:done(), keep:err())
    return keep:out():find("ended as planned", 1, true) ~= nil, table.concat(site:acl("#9999"), " ")
  end

  it("leaves the end of a maintenance to the process that has promised it, for two seconds", function()
    assert.same({ false, "^/before" }, { hold(61.5) })
  end)

  it("ends it then", function()
    assert.is_true((hold(63)))
  end)
end)
