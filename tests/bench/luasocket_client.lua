-- SPDX-License-Identifier: MIT
--
-- luasocket_client.lua SOCKET - what `maint on` asks, changes and proves, in a few lines of lua5.4 with luasocket:
-- bench.sh measures it if that is installed.

local unix = require("socket.unix")

local function ask(line)
  local connection = (unix.stream or unix)()
  assert(connection:connect(arg[1]))
  assert(connection:send("set severity-output number;" .. line .. "\n"))
  local text = assert(connection:receive("*a"))
  connection:close()
  return text
end

local found = ask("show info;show acl;show acl #9999;get acl #9999 /")
assert(found:find("\n9999 (", 1, true) and found:find("match=no", 1, true), found)
local proof = ask("add acl #9999 ^.*$;get acl #9999 /")
assert(proof:find('match=yes, idx=tree, pattern="^.*$"', 1, true) or proof:find("match=yes", 1, true), proof)
print("maintenance is on")
