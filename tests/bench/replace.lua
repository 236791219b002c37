-- SPDX-License-Identifier: MIT
--
-- replace.lua KIND REF FILE - replace the content of an ACL by the lines of a file, or that of a map, each line a key
-- and a value. bench.sh measures it.

local kind, ref, path = ...
local patterns, entries = {}, {}
for line in io.lines(path) do
  if kind == "acl" then
    patterns[#patterns + 1] = line
  else
    local key, value = line:match("^(%S+) (.*)$")
    entries[#entries + 1] = { key = key, value = value }
  end
end
if kind == "acl" then
  assert(haproxy.acl_replace(ref, patterns) == #patterns)
else
  assert(haproxy.map_replace(ref, entries) == #entries)
end
