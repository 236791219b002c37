#!/usr/bin/env haplua
-- SPDX-License-Identifier: MIT
--
-- Set up and look at a fleet: several HAProxys that `haplua maint` sends to maintenance together, through an etcd that
-- they share. The configuration names it (docs/fleet.md); `haplua keep` on each node follows it.
--
--   $ haplua fleet init
--   the fleet shop is founded
--
--   haplua fleet rights --node lb1        the etcdctl lines that let a node in
--   haplua fleet rights --operator alice --switch shop
--   haplua fleet join                     on a node: give the fleet what is in force here
--   haplua fleet nodes
--   haplua fleet status                   etcd's members, the planner, nodes that are out of step
--   haplua fleet forget lb9

local cli = require("haplua.cli")
local fleet = require("haplua.fleet")
local json = require("haplua.json")

local as_json = { "--json", help = "Print JSON." }

local args = cli.parse({
  name = "fleet",
  help = "Several HAProxys that maint sends to maintenance together, through an etcd that they share.",
  options = cli.maintenance_options("files"),
  commands = {
    { "init", help = "Found the fleet that the configuration names." },
    { "join", options = { { "--import", help = "give the fleet what is in force here, although it has something" },
      { "--keep", help = "leave what is in force here to this machine alone" } },
      help = "On a node: give the fleet what is in force here." },
    { "accept", help = "After etcd was restored from a snapshot: have the nodes take what it has. Needs rights --accept." },
    { "nodes", options = { as_json }, help = "Show the nodes." },
    { "status", options = { as_json }, help = "Show etcd's members, the planner, and nodes that are out of step." },
    { "rights", options = { { "--node", value = "NAME", help = "of a node, whose certificate has this CN" },
      { "--no-windows", help = "of a node that never plans windows: it may write no maintenances" },
      { "--operator", value = "NAME", help = "of a person, whose certificate has this CN" },
      { "--switch", value = "NAME", repeats = true, help = "of a person: only this switch" },
      { "--accept", help = "of a person: who may call accept as well (write the key meta)" } },
      help = "Print the lines for etcdctl that give the rights." },
    { "forget", arg = { "node", value = "NODE", help = "its name" }, help = "Remove what is known of a node that is gone." },
  },
  check = function(args)
    if args.command == "rights" and args.accept and (args.node or #(args.switch or {}) > 0) then
      return "rights: --accept goes with --operator, without --switch: it is about all switches"
    end
    if args.command == "rights" and (args.node == nil) == (args.operator == nil) then
      return "rights: of whom? --node NAME or --operator NAME"
    elseif args.command == "join" and args.import and args.keep then
      return "--import and --keep: which?"
    end
    return cli.check_maintenance(args)
  end,
}, arg)

local actions = {}

function actions.init(shop)
  print(("the fleet %s is %s"):format(shop.name, shop:init() and "founded" or "there already"))
end

function actions.join(shop)
  print(table.concat(shop:join({ import = args.import, keep = args.keep }), "\n"))
end

function actions.accept(shop)
  print(table.concat(shop:accept(), "\n"))
end

function actions.nodes(shop)
  local found = shop:status()
  print(args.json and json.encode(found:portable().nodes) or found:nodes_table())
end

function actions.status(shop)
  local members, are_well = shop:members()
  if not args.json then -- also where too few of them are there to ask for the rest
    for _, member in ipairs(members) do
      print(member)
    end
  end
  local found, planner = shop:status(), shop:planner()
  local rows = found:portable()
  rows.members, rows.planner = members, planner
  print(args.json and json.encode(rows) or ("planner of windows: %s\n%s"):format(planner or "none", found))
  return are_well and found:exit_status() or 5
end

function actions.rights(shop)
  print(table.concat(shop:rights({
    node = args.node, windows = not args.no_windows, operator = args.operator, switches = args.switch,
    accept = args.accept,
  }), "\n"))
end

function actions.forget(shop)
  shop:forget(args.node)
  print(args.node .. " is forgotten")
end

local shop <close> = fleet.open({ config = args.config, journal = args.journal, file = not args.no_file })
local action = actions[args.command]
return action(shop)
