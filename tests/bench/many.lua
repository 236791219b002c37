-- SPDX-License-Identifier: MIT
--
-- many.lua REF COUNT - begin COUNT maintenances on the switch REF. bench.sh measures `maint on` beside them.

local maintenance = require("haplua.maintenance")

local ref, count = ...
for i = 1, count do
  maintenance.on({ acl = ref, paths = { "/shop/" .. i }, reason = "number " .. i })
end
