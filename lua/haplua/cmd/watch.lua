-- SPDX-License-Identifier: MIT
--
--- The live view of scripts/watch.lua: is there a terminal for it, which HAProxys does it show, and which fleet?

local errors = require("haplua.error")
local haproxy = require("haproxy")
local options = require("haplua.cmd.maint_options")
local scope = require("haplua.plan.scope")
local task = require("haplua.task")
local terminal = require("haplua.terminal")

-- The targets of the runs of one start: the first run shows all of them, and the others end.
local targets = {}

--- Does the terminal show UTF-8? As the C library finds it.
local function is_utf8()
  for _, name in ipairs({ "LC_ALL", "LC_CTYPE", "LANG" }) do
    local value = os.getenv(name)
    if value and value ~= "" then
      return value:lower():gsub("-", ""):find("utf8", 1, true) ~= nil
    end
  end
  return false
end

local function has_terminal()
  local kind = os.getenv("TERM")
  return terminal.is_terminal(0) and terminal.is_terminal(1) and kind ~= nil and kind ~= "" and kind ~= "dumb"
end

--- The fleet of the configuration, and what keeps it up to date; nil: it names none.
---@return haplua.fleet.Sight? sight, fun(changed: fun())? follow
local function fleet_of()
  local found = options.fleet_of({})
  if not found then
    return nil
  end
  local follow = require("haplua.fleet.follow")
  local sight = follow.sight(found)
  return sight, function(changed)
    follow.run(found, sight, changed)
  end
end

---@class haplua.cmd.FleetLine
---@field name string  of the thing that it is about
---@field text string
---@field fields table  for JSON

--- What lines say of a fleet: of its store, its maintenances, and each node.
---@param sight haplua.fleet.Sight
---@return haplua.cmd.FleetLine[]
local function lines_of(sight)
  local lines, list, names = {}, {}, {}
  if sight.away then
    return { { name = sight.name, text = ("%s: the store is away: %s"):format(sight.name, sight.away.text),
      fields = { fleet = sight.fleet, error = sight.away.text } } }
  elseif not sight.status then
    return lines
  end
  for i, m in ipairs(sight.status.maintenances) do
    list[i], names[i] = ("m%d %s"):format(m.id, scope.text(m.scope)), "m" .. m.id
  end
  local all = list[1] and errors.visible(table.concat(list, "  ")) or "no maintenance in force"
  lines[1] = { name = sight.name, text = ("%s has %s"):format(sight.name, all),
    fields = { fleet = sight.fleet, maintenances = names } }
  for _, node in ipairs(sight.nodes) do
    local text = node.text ~= "" and ": " .. errors.visible(node.text) or ""
    lines[#lines + 1] = { name = "node " .. node.name,
      text = ("node %s is %s%s"):format(errors.visible(node.name), node.state, text),
      fields = { fleet = sight.fleet, node = node.name, state = node.state, live = node.live, text = node.text } }
  end
  return lines
end

--- The fleet as lines; nil: there is none, or another run of this start prints them.
---@return fun(): haplua.cmd.FleetLine[]?
local function follow_lines()
  targets[#targets + 1] = haproxy.target()
  local sight, follow = nil, nil
  if #targets == 1 then
    sight, follow = fleet_of()
  end
  if not sight then
    return nil
  end
  task.spawn(follow, function() end)
  return function()
    return lines_of(sight)
  end
end

--- Show the view, where there is a terminal for it and no lines are asked for, until a key ends it.
---@param args table  `acl`, `every`, `ascii`, `lines`, `json`, as scripts/watch.lua has them
---@return integer? status  nil: lines are to be printed
---@return fun(): haplua.cmd.FleetLine[]? lines  those of the fleet, as it is now
return function(args)
  if args.lines or args.json or not has_terminal() then
    return nil, follow_lines()
  end
  targets[#targets + 1] = haproxy.target()
  if #targets > 1 then
    return 0
  end
  task.sleep(0) -- the other runs begin
  local all = targets
  targets = {}
  local sight, follow = fleet_of()
  require("haplua.view.main").run(all, {
    fleet = sight, follow = follow,
    every = math.max(args.every, 0.1), acl = args.acl, unicode = not args.ascii and is_utf8(),
    colour = (os.getenv("NO_COLOR") or "") == "",
  })
  return 0
end
