-- SPDX-License-Identifier: MIT
--
--- What keep knows, in Prometheus' text format, in a file for the textfile collector of node_exporter.
-- docs/metrics.md documents the metrics.

local as_utf8 = require("haplua.base.utf8")
local core = require("haplua.core")
local errors = require("haplua.error")
local file = require("haplua.file")
local lists = require("haplua.base.lists")
local maintenance = require("haplua.plan.maintenance")
local record = require("haplua.hooks.record")
local task = require("haplua.task")

local M = {}

-- Seconds after which the file is written again although nothing has changed.
local INTERVAL <const> = 15

-- The metrics, in the order of the file: name, type, help.
local FAMILIES <const> = {
  { "haplua_keep_up", "gauge", "1 while keep runs; 0 once it has ended." },
  { "haplua_keep_start_timestamp_seconds", "gauge", "When keep began." },
  { "haplua_keep_look_timestamp_seconds", "gauge", "When keep wrote this file." },
  { "haplua_build_info", "gauge", "The version of haplua." },
  { "haplua_haproxy_up", "gauge", "1 if HAProxy answers at its socket." },
  { "haplua_maintenance_in_force", "gauge", "1 if a maintenance is in force." },
  { "haplua_maintenance_since_timestamp_seconds", "gauge", "When the oldest of those in force began." },
  { "haplua_maintenance_ends_timestamp_seconds", "gauge", "When the last of those in force ends; +Inf: one has no end." },
  { "haplua_maintenances", "gauge", "Maintenances in force, by what made them." },
  { "haplua_maintenances_planned", "gauge", "Maintenances that are to come." },
  { "haplua_maintenance_next_timestamp_seconds", "gauge", "When the next of them begins." },
  { "haplua_last_change_timestamp_seconds", "gauge", "When haplua changed HAProxy last." },
  { "haplua_out_of_step", "gauge", "1 if HAProxy does not hold what is in force, as far as keep knows." },
  { "haplua_hook_runs_total", "counter", "Runs of a hook." },
  { "haplua_hook_failures_total", "counter", "Runs of a hook that failed." },
  { "haplua_hook_failing", "gauge", "1 if the latest run of a hook failed." },
}

---@class haplua.Keeper
---@field metrics {began: number, due: number?, text: string?, path: string?, complaint: string?}?  when keep began, in
--- seconds since 1970; when the file is written next, on task.now(), what it says, and where it is. Nil: this is no keep

--- The samples of a file: by family, by labels as text.
---@alias haplua.Samples table<string, table<string, string>>

local escaped <const> = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

--- Labels as text: {target="/run/haproxy.sock",switch="site"}. What is no UTF-8 becomes U+FFFD, which Prometheus takes.
local function labels(...)
  local words, parts = { ... }, {}
  for i = 1, #words, 2 do
    parts[#parts + 1] = ('%s="%s"'):format(words[i], (as_utf8(words[i + 1]):gsub('[\\"\n]', escaped)))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function number(value)
  return value == math.huge and "+Inf" or ("%.15g"):format(value)
end

---@param samples haplua.Samples
---@param value number|boolean|nil  nil: there is no such sample
local function set(samples, family, label, value)
  if value ~= nil then
    samples[family] = samples[family] or {}
    samples[family][label] = number(value == true and 1 or value or 0)
  end
end

--- The families of samples. Those of a fleet's node are loaded where there is one.
local function families(all)
  for _, samples in ipairs(all) do
    if samples.haplua_fleet_store_up then
      local more = require("haplua.keep.fleet_metrics").FAMILIES
      return table.move(more, 1, #more, #FAMILIES + 1, table.move(FAMILIES, 1, #FAMILIES, 1, {}))
    end
  end
  return FAMILIES
end

--- The text of a file.
---@param all haplua.Samples[]  of which a sample of a later one replaces that of an earlier one
---@return string
function M.text(all)
  local lines = {}
  for _, family in ipairs(families(all)) do
    local found = {}
    for _, samples in ipairs(all) do
      for label, value in pairs(samples[family[1]] or {}) do
        found[label] = value
      end
    end
    for i, label in ipairs(lists.keys(found)) do
      if i == 1 then
        lines[#lines + 1] = ("# HELP %s %s\n# TYPE %s %s"):format(family[1], family[3], family[1], family[2])
      end
      lines[#lines + 1] = ("%s%s %s"):format(family[1], label, found[label])
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

--- The samples of a switch, or a server.
---@param samples haplua.Samples
---@param target string
---@param name string  of the switch: "site", "app/a1"
---@param all haplua.Maintenance[]  not ended
---@param now number
function M.of_switch(samples, target, name, all, now)
  local label = labels("target", target, "switch", name)
  local since, ends, origins, planned, following = math.huge, -math.huge, {}, 0, math.huge
  for _, m in ipairs(all) do
    if m.begins > now then
      planned, following = planned + 1, math.min(following, m.begins)
    elseif maintenance.is_in_force(m, now) then
      local origin = m.origin:match("^window") or m.origin
      since, ends = math.min(since, m.begins), math.max(ends, m.ends or math.huge)
      origins[origin] = (origins[origin] or 0) + 1
    end
  end
  local is_on = next(origins) ~= nil
  set(samples, "haplua_maintenance_in_force", label, is_on)
  set(samples, "haplua_maintenance_since_timestamp_seconds", label, is_on and since or nil)
  set(samples, "haplua_maintenance_ends_timestamp_seconds", label, is_on and ends or nil)
  set(samples, "haplua_maintenances_planned", label, planned)
  set(samples, "haplua_maintenance_next_timestamp_seconds", label, planned > 0 and following or nil)
  for origin, n in pairs(origins) do
    set(samples, "haplua_maintenances", labels("target", target, "switch", name, "origin", origin), n)
  end
end

--- The maintenances of a target by the names of their switches, and one of each switch's ACLs.
local function by_switch(keeper)
  local all, acls = {}, {}
  for name, declared in pairs(keeper.found.switches) do
    all[name], acls[name] = {}, declared.acl
  end
  for acl, kept in pairs(keeper.switches) do
    if not kept.c.switch.servers then
      all[kept.c.switch.name], acls[kept.c.switch.name] = {}, acl
    end
  end
  for _, m in ipairs(keeper.c.store:current(keeper.c.name)) do
    local kept = keeper.switches[m.acl]
    local name = kept and kept.c.switch.name or m.switch
    all[name], acls[name] = all[name] or {}, m.acl
    table.insert(all[name], m)
  end
  return all, acls
end

--- Is the switch with this ACL not as it shall be, as far as keep knows?
local function is_out_of_step(keeper, acl, is_on)
  local kept = keeper.switches[acl] or acl:find("^server ") and keeper.switches.servers
  return keeper.down and is_on or kept ~= nil and (kept.complaint ~= nil or not kept.seen)
end

--- The samples of what a keeper knows now.
---@param keeper haplua.Keeper
---@return haplua.Samples
function M.of(keeper)
  local samples, target, now = {}, keeper.c.name, task.time()
  local label = labels("target", target)
  set(samples, "haplua_keep_up", label, 1)
  set(samples, "haplua_keep_start_timestamp_seconds", label, keeper.metrics.began)
  set(samples, "haplua_build_info", labels("version", core.version or "?"), 1)
  set(samples, "haplua_haproxy_up", label, not keeper.down)
  local all, acls = by_switch(keeper)
  for name, list in pairs(all) do
    M.of_switch(samples, target, name, list, now)
    local latest = keeper.c.store:latest_done(target, acls[name])
    label = labels("target", target, "switch", name)
    set(samples, "haplua_last_change_timestamp_seconds", label, latest and (latest.ended or latest.time))
    set(samples, "haplua_out_of_step", label, is_out_of_step(keeper, acls[name], #maintenance.in_force(list, now) > 0))
  end
  if keeper.agent then
    label = labels("target", target, "fleet", keeper.agent.fleet.name)
    require("haplua.keep.fleet_metrics").add(keeper.agent, function(family, value)
      set(samples, family, label, value)
    end)
  end
  for name, one in pairs(keeper.c.store.path and record.read(record.folder(keeper.c.store.path)) or {}) do
    label = labels("hook", name:match("^%S+")) -- its arguments may be secrets
    for field, family in pairs({ runs = "haplua_hook_runs_total", failures = "haplua_hook_failures_total" }) do
      set(samples, family, label, one[field] + ((samples[family] or {})[label] or 0))
    end
    set(samples, "haplua_hook_failing", label, one.failing or ((samples.haplua_hook_failing or {})[label]) == "1")
  end
  return samples
end

-- By path and target: the samples. The keepers of several targets write one file.
local files = {}

---@param keeper haplua.Keeper
---@param path string
---@param samples haplua.Samples  of the keeper's target
local function write(keeper, path, samples)
  local all = {}
  for _, target in ipairs(lists.keys(files[path])) do
    all[#all + 1] = files[path][target]
  end
  local look = labels("target", keeper.c.name)
  set(samples, "haplua_keep_look_timestamp_seconds", look, task.time())
  local ok, problem = file.replace(path, M.text(all), { mode = "0644" })
  return not ok and ("the metrics cannot be written: %s"):format(problem) or nil
end

--- Write the file, where something has changed, or every 15 seconds.
---@param keeper haplua.Keeper
---@param path string?  nil: no metrics are wanted
---@param good boolean  nothing has failed in this round
function M.step(keeper, path, good)
  local state = keeper.metrics
  local is_due = task.now() >= (state.due or 0)
  if not path or keeper.watch and not keeper.down and not is_due then
    return
  elseif good and (keeper.down or is_due) then -- this round may have asked HAProxy for nothing
    keeper.down = not pcall(keeper.c.target.send, keeper.c.target, "show cli level")
  end
  local samples = M.of(keeper)
  local text = M.text({ samples })
  if text == state.text and not is_due then
    return
  end
  files[path] = files[path] or {}
  files[path][keeper.c.name] = samples
  state.text, state.path, state.due = text, path, task.now() + INTERVAL
  keeper:complain(state, write(keeper, path, samples))
end

--- At the end of a keeper: its samples go, but for one that says that it has ended.
---@param keeper haplua.Keeper
function M.close(keeper)
  local path = keeper.metrics.path
  if path then
    files[path][keeper.c.name] = {}
    set(files[path][keeper.c.name], "haplua_keep_up", labels("target", keeper.c.name), 0)
    local ok, problem = pcall(write, keeper, path, files[path][keeper.c.name])
    if not ok and not errors.is(problem) then
      error(problem, 0)
    end
  end
end

return M
