-- SPDX-License-Identifier: MIT
--
-- many_test.lua - a thousand tests of `maint on` under `haplua test`, without a journal and with one. bench.sh measures them.

local test = require("haplua.test")

for _, journal in ipairs({ "without", "with" }) do
  describe(journal .. " a journal", function()
    for i = 1, 1000 do
      it("closes " .. i, function()
        local site = test.haproxy({ acls = { ["#9999"] = { match = "reg" } } })
        assert.equal(0, test.run("scripts/maint.lua", "on", journal == "with" and "--reason=x" or "--no-journal").status)
        assert.same({ "^.*$" }, site:acl("#9999"))
      end)
    end
  end)
end
