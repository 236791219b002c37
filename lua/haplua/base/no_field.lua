-- SPDX-License-Identifier: MIT
--
--- What happens where a script reads a field that a row of HAProxy's answer does not have.

-- Fields that HAProxy 2.2, 2.6, 3.0 or 3.2 has, and another of these has not. A name that ends in '_' stands for all
-- that begin with it: columns of `show stat` that a part of HAProxy adds.
local elsewhere = {
  -- show servers state
  "srv_use_ssl", "srv_check_port", "srv_check_addr", "srv_agent_addr", "srv_agent_port",
  -- show stat
  "uweight", "agg_server_status", "agg_server_check_status", "agg_check_status", "srid", "sess_other", "h1sess",
  "h2sess", "h3sess", "req_other", "h1req", "h2req", "h3req", "proto", "h1_", "h2_", "h3_", "quic_", "qpack_", "pack_",
  "ssl_",
  -- show info
  "BlockedTrafficWarnings", "BootTime_ms", "Build info", "CumRecvLogs", "CumStreams", "CurrStreams", "MaxZlibMemUsage",
  "MaxconnReached", "Memmax_bytes", "Niced_tasks", "PoolAlloc_bytes", "PoolUsed_bytes", "Start_time_sec", "Tainted",
  "TotalSplicedBytesOut", "TotalSplicdedBytesOut", "TotalWarnings", "ZlibMemUsage",
}

local function is_elsewhere(name)
  for _, field in ipairs(elsewhere) do
    if name == field or field:sub(-1) == "_" and name:sub(1, #field) == field then
      return true
    end
  end
  return false
end

--- Raise an argument error, unless another version of HAProxy has the field. Of several names that are equally near the
-- error shows the first in the alphabet.
---@param name string
---@param fields table<string, any>  those that the row may have
return function(name, fields)
  if is_elsewhere(name) then
    return
  end
  local names = {}
  for field in next, fields do
    if type(field) == "string" then
      names[#names + 1] = field
    end
  end
  table.sort(names)
  local near = require("haplua.error").nearest(name, names)
  require("haplua.base.misuse").misuse(nil,
    ("unknown field '%s'"):format(name) .. (near and ("; did you mean '%s'?"):format(near) or ""))
end
