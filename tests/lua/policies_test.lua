-- SPDX-License-Identifier: MIT
--
-- What maint and keep do to HAProxy's lists, in virtual time: all files of tests/policies.

local file = require("haplua.file")
local support = require("support")

-- tests/lua/year_test.lua and laws_test.lua run these.
local ELSEWHERE <const> = { year = true, laws = true }

local names = {}
for _, path in ipairs(file.list("tests/policies")) do
  local name = path:match("([^/]+)_test%.lua$")
  names[#names + 1] = not ELSEWHERE[name] and name or nil
end

for _, name in ipairs(names) do
  it("tests/policies/" .. name .. "_test.lua passes", function()
    local ran = support.haplua({ "test", ("tests/policies/%s_test.lua"):format(name) })
    -- servers that were held say on standard error what they are again
    local told = name == "server" and ran.err:gsub("[^\n]+ again[^\n]*\n", "") or ran.err
    assert.same({ 0, "" }, { ran.status, told }, ran.out)
  end)
end
