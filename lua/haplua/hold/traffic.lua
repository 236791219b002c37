-- SPDX-License-Identifier: MIT
--
--- What HAProxy counts of a server's traffic (columns of `show stat`): the share of failures, and the latency.
-- HAProxy 2.2 to 3.2 count an answer of the server in `hrsp_...`, a request that could not be connected in `econ`, one
-- that another server then took in `wredis`, and one whose answer was cut off or is no HTTP in `eresp`; 3.0 and later count
-- such an answer twice.

local wait = require("haplua.hold.wait")

local M = {}

local GOOD <const> = { "hrsp_1xx", "hrsp_2xx", "hrsp_3xx", "hrsp_4xx", "hrsp_other" }
local BAD <const> = { "hrsp_5xx", "econ", "wredis", "eresp" }

---@class haplua.Traffic  since HAProxy's start
---@field good integer
---@field bad integer
---@field rtime number?  milliseconds
---@field ttime number?

local function sum(row, names)
  local n = 0
  for _, name in ipairs(names) do
    n = n + (row[name] or 0)
  end
  return n
end

--- Read the counters of a server. Cost 1.
---@param name string  "backend/server"
---@return haplua.Traffic  raises `refused` where HAProxy does not count answers: in mode tcp
function M.read(name)
  local row = wait.find(name, require("haproxy").stat, "svname")
  if not row.hrsp_5xx then
    wait.refuse(name, "has no answers that HAProxy counts", "it counts them in mode http")
  end
  return { good = sum(row, GOOD), bad = sum(row, BAD), rtime = row.rtime, ttime = row.ttime }
end

--- The traffic between two looks. After a reload HAProxy counts from 0 again.
---@param before haplua.Traffic
---@param now haplua.Traffic
---@return integer good, integer bad
function M.between(before, now)
  if now.good < before.good or now.bad < before.bad then
    return now.good, now.bad
  end
  return now.good - before.good, now.bad - before.bad
end

return M
