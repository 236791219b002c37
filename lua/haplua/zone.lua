-- SPDX-License-Identifier: MIT
--
--- Time zones for scripts: load(name) and here(). haplua.time.zone describes the zone objects that they return.

local zones = require("haplua.time.zone")

return { load = zones.load, here = zones.here }
