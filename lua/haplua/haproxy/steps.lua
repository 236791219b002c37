-- SPDX-License-Identifier: MIT
--
--- The steps in which the lists of a switch change. HAProxy changes one list at a time, so their order, and what the list
-- of the clients that pass holds meanwhile, see to it that nobody passes who passes neither before nor after. Nobody is
-- stopped who passes before and after either, but for a moment where others have put bits of their own into the maps.

local lists = require("haplua.base.lists")

local M = {}

---@class haplua.switch.ListChange
---@field kind "acl"|"map"
---@field ref string
---@field keys string[]
---@field values string[]?
---@field old_keys string[]
---@field old_values string[]?
---@field state haplua.list.State?  of the list as look() has seen it, where no step before changes it
---@field main boolean?  the list that decides

--- What the bypass list holds while the ACL changes. Nobody may pass meanwhile who may pass neither before nor after;
-- nor may somebody be stopped who passes before and after.
local function bypass_between(live, wanted)
  if #live.patterns == 0 then
    return wanted.bypass
  elseif #wanted.patterns == 0 then
    return live.passing
  end
  return require("haplua.plan.content").intersection(live.passing, wanted.bypass)
end

--- The changes of the two maps. The bits that the old masks have, and those that the new masks have, mean the same
-- networks before the deciding map changes and after it.
---@return haplua.switch.ListChange[]
local function changes_of_maps(switch, live, wanted)
  local keys, values = live.passing, live.bits
  local steps = {}
  local function set_bypass(to)
    -- the last step also writes a file that is out of step
    if to and (not lists.same_entries(to.keys, to.values, keys, values) or to.keys == wanted.bypass and keys == live.passing) then
      steps[#steps + 1] = {
        kind = "map", ref = live.bypass, keys = to.keys, values = to.values, old_keys = keys, old_values = values,
      }
      keys, values = to.keys, to.values
    end
  end
  set_bypass(wanted.between)
  steps[#steps + 1] = {
    kind = "map", ref = switch.acl, keys = wanted.patterns, values = wanted.values, old_keys = live.patterns,
    old_values = live.values, state = live.state, main = true,
  }
  set_bypass(wanted.bypass and { keys = wanted.bypass, values = wanted.bits })
  return steps
end

--- The changes of a switch's lists, one after the other.
---@param switch haplua.Switch
---@param live haplua.switch.State
---@param wanted haplua.switch.Plan
---@return haplua.switch.ListChange[]
function M.of(switch, live, wanted)
  if live.values then
    return changes_of_maps(switch, live, wanted)
  end
  local steps, has = {}, live.passing
  local function set_bypass(keys)
    if keys == wanted.bypass or not lists.same(keys, has) then
      local state = has == live.passing and live.passes or nil
      steps[#steps + 1] = { kind = "acl", ref = live.bypass, keys = keys, old_keys = has, state = state }
      has = keys
    end
  end
  local with_bypass = live.bypass and wanted.bypass
  if with_bypass then
    set_bypass(bypass_between(live, wanted))
  end
  if live.info then
    steps[#steps + 1] = {
      kind = "map", ref = switch.info, keys = wanted.info.keys, values = wanted.info.values,
      old_keys = live.info.keys, old_values = live.info.values,
    }
  end
  table.insert(steps, #wanted.patterns > 0 and #steps + 1 or 1,
    { kind = "acl", ref = switch.acl, keys = wanted.patterns, old_keys = live.patterns, state = live.state, main = true })
  if with_bypass and has ~= wanted.bypass then
    set_bypass(wanted.bypass)
  end
  return steps
end

return M
