-- SPDX-License-Identifier: MIT
--
--- The command line of scripts/fleet.lua.

local cli = require("haplua.cli")
local errors = require("haplua.error")
local nodes = require("haplua.store.etcd_nodes")
local options = require("haplua.cmd.maint_options")

local spec = {
  name = "fleet",
  help = "Several HAProxys that maint sends to maintenance together, through an etcd that they share.",
  options = options.files,
  commands = {
    { "init", help = "Found the fleet that the configuration names." },
    { "join", options = { { "--import", help = "give the fleet what is in force here, although it has something" },
      { "--keep", help = "leave what is in force here to this machine alone" } },
      help = "On a node: give the fleet what is in force here." },
    { "accept", help = "After etcd was restored from a snapshot: have the nodes take what it has." },
    { "nodes", options = { options.json }, help = "Show the nodes." },
    { "status", options = { options.json }, help = "Show etcd's members, the planner, and nodes that are out of step." },
    { "rights", options = { { "--node", value = "NAME", help = "of a node, whose certificate has this CN" },
      { "--no-windows", help = "of a node that never plans windows: it may write no maintenances" },
      { "--operator", value = "NAME", help = "of a person, whose certificate has this CN" },
      { "--switch", value = "NAME", repeats = true, help = "of a person: only this switch" } },
      help = "Print the lines for etcdctl that give the rights." },
    { "forget", arg = { "node", value = "NODE", help = "its name" }, help = "Remove what is known of a node that is gone." },
  },
  check = function(args)
    if args.command == "rights" and (args.node == nil) == (args.operator == nil) then
      return "rights: of whom? --node NAME or --operator NAME"
    elseif args.command == "join" and args.import and args.keep then
      return "--import and --keep: which?"
    end
    return options.check(args)
  end,
}

local commands = {}

function commands.init(_, c, print)
  local is_new = require("haplua.store.etcd").init(c.client, c.name)
  print(("the fleet %s is %s"):format(c.name, is_new and "founded" or "there already"))
end

function commands.join(args, c, print, found)
  for _, line in ipairs(require("haplua.fleet.join").run(c, found, options.request(args), args)) do
    print(line)
  end
end

function commands.accept(_, c, print, found)
  for _, line in ipairs(require("haplua.fleet.restored").accept(c, require("haplua.store.config").names(found))) do
    print(line)
  end
end

function commands.nodes(args, c, print)
  local actions, results = require("haplua.fleet.actions"), require("haplua.fleet.result")
  local found = actions.status(c)
  print(args.json and require("haplua.json").encode(results.portable_status(found).nodes) or results.node_table(found))
end

function commands.rights(args, c, print)
  local rights = require("haplua.fleet.rights")
  print(table.concat(args.node and rights.of_node(c.name, args.node, not args.no_windows)
    or rights.of_operator(c.name, args.operator, args.switch or {}), "\n"))
end

function commands.forget(args, c, print)
  c.store:snapshot() -- there is such a fleet
  local node = nodes.known(c.store)[args.node]
  if not node then
    errors.refuse(("the fleet %s has no node %s"):format(c.name, errors.visible(args.node)), "haplua fleet nodes shows them")
  elseif node.live then
    errors.refuse(("%s is live: it would come back"):format(args.node), "stop haplua keep there first")
  end
  nodes.forget(c.store, args.node)
  print(("%s is forgotten"):format(args.node))
end

--- What etcd's members say of themselves, a line each.
local function member_lines(rows)
  local lines, well = {}, 0
  for i, row in ipairs(rows) do
    local alarms = table.concat(row.alarms or {}, " ")
    well = well + (row.reachable and row.leader and 1 or 0)
    lines[i] = row.reachable and ("%s  etcd %s, %s, revision %d%s"):format(row.endpoint, row.version,
      row.leader == row.endpoint and "leader" or row.leader and "follower" or "without a leader", row.revision,
      alarms ~= "" and ", " .. alarms or "") or ("%s  cannot be reached: %s"):format(row.endpoint, row.problem)
  end
  return lines, well == #rows
end

function commands.status(args, c, print)
  local actions, results = require("haplua.fleet.actions"), require("haplua.fleet.result")
  local members = c.client:status()
  local lines, is_well = member_lines(members)
  for _, line in ipairs(args.json and {} or lines) do
    print((errors.visible(line)))
  end
  local found = actions.status(c)
  local planner = nodes.planner(c.store)
  if args.json then
    local portable = results.portable_status(found)
    portable.members, portable.planner = members, planner
    print(require("haplua.json").encode(portable))
  else
    print(("planner of windows: %s"):format(planner or "none"))
    print(found)
  end
  return is_well and results.status_code(found) or 5
end

---@param words string[]
---@param print function  the script's own, which marks its lines where there are several targets
---@return integer? status
return function(words, print)
  local args = cli.parse_known(spec, words)
  local found = options.fleet_of(args)
    or errors.refuse("the configuration names no fleet",
      "/etc/haplua/config.lua needs: fleet = { name = \"shop\", node = \"lb1\",\n"
      .. "  etcd = { endpoints = { \"https://10.0.0.1:2379\" }, ca = FILE, cert = FILE, key = FILE } }")
  local c = require("haplua.fleet.actions").open(found, { switch = "-" })
  local _ <close> = setmetatable({}, {
    __close = function()
      c.client:close()
    end,
  })
  return commands[args.command](args, c, print, found)
end
