-- SPDX-License-Identifier: MIT
--
--- The lines for etcdctl that give a node or a person the rights in etcd that haplua needs, and no others. The user is the
-- CN of a client certificate.

local records = require("haplua.store.etcd_records")

local M = {}

local function quote(text)
  return text:find("^[%w%.%-_/:=]+$") and text or "'" .. text:gsub("'", "'\\''") .. "'"
end

--- The lines for one user.
---@param prefix string  of the fleet's keys
---@param user string
---@param role string
---@param writes {key: string, prefix: boolean?}[]  what the user may write; all is read
---@return string[]
local function lines(prefix, user, role, writes)
  local made = {
    ("etcdctl user add %s --no-password"):format(quote(user)),
    ("etcdctl role add %s"):format(quote(role)),
    ("etcdctl role grant-permission %s read --prefix=true %s"):format(quote(role), quote(prefix)),
  }
  for _, one in ipairs(writes) do
    made[#made + 1] = ("etcdctl role grant-permission %s readwrite %s%s"):format(quote(role),
      one.prefix and "--prefix=true " or "", quote(prefix .. one.key))
  end
  made[#made + 1] = ("etcdctl user grant-role %s %s"):format(quote(user), quote(role))
  return made
end

--- The rights of a node. The planner of windows is a node, and removes what is long over: so a node may write maintenances,
-- unless it shall never plan.
---@param fleet string
---@param node string
---@param plans boolean  it may plan windows
---@return string[]
function M.of_node(fleet, node, plans)
  local writes = { { key = ("nd/%s/"):format(records.escape(node)), prefix = true } }
  for _, one in ipairs(plans and { { key = "m/", prefix = true }, { key = "log/", prefix = true }, { key = "ids" },
    { key = "elect/planner" } } or {}) do
    writes[#writes + 1] = one
  end
  return lines(records.prefix(fleet), node, ("haplua-%s-node-%s"):format(fleet, node), writes)
end

--- The rights of a person who begins and ends maintenances.
---@param fleet string
---@param user string
---@param switches string[]  none: all of them
---@param accept boolean?  the person may accept a store that was restored, too
---@return string[]
function M.of_operator(fleet, user, switches, accept)
  local writes = { { key = "ids" }, accept and { key = "meta" } or nil }
  for _, kind in ipairs({ "m/", "log/" }) do
    for _, switch in ipairs(switches) do
      writes[#writes + 1] = { key = ("%s%s/"):format(kind, records.escape(switch)), prefix = true }
    end
    writes[#writes + 1] = #switches == 0 and { key = kind, prefix = true } or nil
  end
  return lines(records.prefix(fleet), user, ("haplua-%s-operator-%s"):format(fleet, user), writes)
end

return M
