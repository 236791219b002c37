-- SPDX-License-Identifier: MIT
--
-- What maint and keep do to HAProxy's lists, in virtual time: the files of tests/policies but the year.

local support = require("support")

for _, name in ipairs({ "etcd", "fleet", "fleet_command", "fleet_laws", "fleet_maint", "map", "switch", "visitors", "window" }) do
  it("tests/policies/" .. name .. "_test.lua passes", function()
    support.good(support.haplua({ "test", ("tests/policies/%s_test.lua"):format(name) }))
  end)
end
