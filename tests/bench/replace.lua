-- SPDX-License-Identifier: MIT
--
-- replace.lua REF COUNT - replace the content of the ACL REF by COUNT patterns. bench.sh measures it.

local ref, count = ...
local patterns = {}
for i = 1, count do
  patterns[i] = "^/haplua/" .. i
end
assert(haproxy.acl_replace(ref, patterns) == #patterns)
