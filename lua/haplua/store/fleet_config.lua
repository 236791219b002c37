-- SPDX-License-Identifier: MIT
--
--- The field `fleet` of the configuration. This file is loaded where the configuration has it.
--
--   fleet = {
--     name = "shop", node = "lb1", labels = { dc = "fra" },
--     etcd = { endpoints = { "https://10.0.0.1:2379", "https://10.0.0.2:2379", "https://10.0.0.3:2379" },
--              ca = "/etc/haplua/ca.crt", cert = "/etc/haplua/lb1.crt", key = "/etc/haplua/lb1.key" },
--   }

local options = require("haplua.base.options")

local M = {}

---@class haplua.FleetConfig
---@field name string
---@field node string?  this machine's name among the nodes; default: its host name
---@field labels table<string, string>  what `--label` selects it by
---@field etcd {endpoints: string[], ca: string?, cert: string?, key: string?}

local text = options.where("a line of text that is not empty", function(value)
  return type(value) == "string" and value ~= "" and not value:find("%c")
end)
local labels = options.where("a table of texts by name", function(value)
  if type(value) ~= "table" then
    return false
  end
  for name, label in pairs(value) do
    if not options.fits(text, name) or not options.fits(text, label) then
      return false
    end
  end
  return true
end)
local endpoints = options.list(options.where("a URL with TLS, such as https://10.0.0.1:2379", function(value)
  return type(value) == "string" and value:find("^https://[^/%s]+:%d+$") ~= nil
end))

local fields = { name = text, node = text, labels = labels, etcd = "table" }
local etcd_fields = { endpoints = endpoints, ca = text, cert = text, key = text }

--- Check the field, and make a fleet of it.
---@param found any
---@return haplua.FleetConfig? fleet, string? problem
function M.of(found)
  local problem = options.problem(found, fields)
  if problem then
    return nil, "fleet: " .. problem
  elseif not found.name or not found.etcd then
    return nil, ("fleet: '%s' is missing"):format(found.name and "etcd" or "name")
  end
  problem = options.problem(found.etcd, etcd_fields)
  if problem then
    return nil, "fleet.etcd: " .. problem
  elseif not found.etcd.endpoints or #found.etcd.endpoints == 0 then
    return nil, "fleet.etcd: 'endpoints' is missing"
  elseif (found.etcd.cert == nil) ~= (found.etcd.key == nil) then
    return nil, "fleet.etcd: 'cert' and 'key' go together"
  end
  return { name = found.name, node = found.node, labels = found.labels or {}, etcd = found.etcd }
end

return M
