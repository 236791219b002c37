-- SPDX-License-Identifier: MIT
--
-- What maint and keep do to HAProxy's lists, in virtual time: the files of tests/policies but the year.

local support = require("support")

for _, name in ipairs({
  "cookbook", "etcd", "fleet", "fleet_command", "fleet_laws", "fleet_maint", "headers", "ideal", "map", "server",
  "switch", "visitors", "window",
}) do
  it("tests/policies/" .. name .. "_test.lua passes", function()
    local ran = support.haplua({ "test", ("tests/policies/%s_test.lua"):format(name) })
    -- servers that were held say on standard error what they are again
    local told = name == "server" and ran.err:gsub("[^\n]+ again[^\n]*\n", "") or ran.err
    assert.same({ 0, "" }, { ran.status, told }, ran.out)
  end)
end
