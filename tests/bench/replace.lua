-- SPDX-License-Identifier: MIT
--
-- replace.lua - bench.sh measures this: replace the content of the ACL by so many patterns.

local ref, count = ...
local patterns = {}
for i = 1, count do
  patterns[i] = "^/haplua/" .. i
end
assert(haproxy.acl_replace(ref, patterns) == #patterns)
