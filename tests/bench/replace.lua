-- SPDX-License-Identifier: MIT
--
-- replace.lua - bench.sh measures this: replace the content of the ACL by 10,000 patterns.

local ref = ...
local patterns = {}
for i = 1, 10000 do
  patterns[i] = "^/haplua/" .. i
end
assert(haproxy.acl_replace(ref, patterns) == 10000)
