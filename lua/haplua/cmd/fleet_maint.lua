-- SPDX-License-Identifier: MIT
--
--- `maint` where the configuration names a fleet: on, off, change, status, log and during speak of all its nodes.

local actions = require("haplua.fleet.actions")
local errors = require("haplua.error")
local maintenance = require("haplua.plan.maintenance")
local results = require("haplua.fleet.result")

-- Options that are about one HAProxy.
local OF_ONE <const> = { "check", "cut", "wait", "start_keep", "force", "keep_up", "probe", "probe_address", "visitors",
  "no_journal", "journal" }

--- Refuse what only one node could do.
local function check(args)
  for _, name in ipairs(OF_ONE) do
    local given = args[name]
    if given and not (type(given) == "table" and #given == 0) then
      local why = name == "wait" and "the nodes of a fleet end a maintenance by themselves: leave --wait out"
        or ("--%s is about one HAProxy, and the configuration names a fleet"):format((name:gsub("_", "-")))
      errors.refuse(why, "--local acts on this node alone")
    end
  end
  if require("haplua.core").several() then
    errors.refuse("-s names several HAProxys, and the configuration names a fleet",
      "--nodes says for which nodes it is; or give --local")
  elseif args.replace and args.undo_on_failure then
    errors.refuse("--undo-on-failure does not bring back what --replace has ended: give one of them")
  elseif args.stages and (args.nodes or args.label and args.label[1]) then
    errors.refuse("--stages says for which nodes it is: leave --nodes and --label out")
  elseif args.stages and args.command ~= "on" and args.command ~= "change" then
    errors.refuse("--stages goes with on and change",
      args.command == "off" and "off ends a maintenance on all its nodes at once" or nil)
  elseif #(args.server or {}) > 1 or args.server and args.server[1]:find("/$") then
    errors.refuse("of a fleet, --server takes one server a time: app/a1")
  end
end

--- Put the options of the fleet into a request.
local function complete(request, args)
  for name in (args.nodes or ""):gmatch("[^,]+") do
    request.nodes = request.nodes or {}
    table.insert(request.nodes, name)
  end
  for _, text in ipairs(args.label or {}) do
    local name, value = text:match("^([^=]+)=(.+)$")
    if not name then
      errors.refuse(("--label takes NAME=VALUE, not '%s'"):format(errors.visible(text)))
    end
    request.labels = request.labels or {}
    request.labels[name] = value
  end
  request.within, request.together = args.within, args.together
  return request
end

--- On a terminal, ask before maintenances of other people are ended or changed.
---@param list haplua.Maintenance[]
---@return boolean go_on
local function confirm(args, c, list)
  local terminal, others = require("haplua.terminal"), {}
  for _, m in ipairs(list) do
    others[#others + 1] = not maintenance.is_of(m, c.person) and "  " .. require("haplua.apply.result").summary(m) or nil
  end
  if args.yes or #others == 0 or not (terminal.is_terminal(0) and terminal.is_terminal(2)) then
    return true
  end
  io.stderr:write("not yours:\n", table.concat(others, "\n"), "\nend or change it on the whole fleet? [y/N] ")
  return (io.read() or ""):lower():find("^y") ~= nil
end

--- Print a result. Returns the exit status.
local function show(args, print, result)
  print(args.json and require("haplua.json").encode(results.portable(result)) or result)
  return results.exit_status(result, args.every_node)
end

--- Those of the fleet that have one of these numbers; nil: all of the switch.
local function meant(c, ids)
  local found = {}
  for _, m in ipairs(c.store:current(c.name, not ids and c.switch.acl or nil)) do
    local is_one = ids == nil
    for _, id in ipairs(ids or {}) do
      is_one = is_one or m.id == id
    end
    found[#found + 1] = is_one and m or nil
  end
  return found
end

--- How stages are begun.
---@return haplua.fleet.StagesHow
local function how_of(args, print)
  return {
    every_node = args.every_node, options = args.switch and " --switch " .. args.switch or "",
    say = function(line)
      if not args.json then
        print(line)
      end
    end,
  }
end

local commands = {}

function commands.on(args, request, print, c)
  request.replace = args.replace
  if args.replace and not confirm(args, c, meant(c)) then
    return 1
  end
  local result = args.stages and require("haplua.fleet.stages").begin(c, request, args.stages, how_of(args, print))
    or actions.begin(c, request)
  local status = show(args, print, result)
  if status ~= 0 and args.undo_on_failure and result.about and not result.refreshed then
    show(args, print, actions.off(c, { within = request.within }, { ids = { result.about.id } }))
    return 1
  end
  return status
end

function commands.off(args, request, print, c)
  local which = { ids = request.ids, mine = args.mine, all = args.all or request.servers ~= nil }
  local list = not args.mine and meant(c, request.ids) or {}
  if (#list < 2 or request.ids or args.all) and not confirm(args, c, list) then
    return 1
  end
  return show(args, print, actions.off(c, request, which))
end

function commands.change(args, request, print, c)
  if not confirm(args, c, meant(c, request.ids)) then
    return 1
  end
  local id = (request.ids or {})[1]
  if args.stages then
    return show(args, print, require("haplua.fleet.stages").go_on(c, request, id, args.stages, how_of(args, print)))
  end
  return show(args, print, actions.change(c, request, id, args.no_end))
end

function commands.status(args, _, print, c)
  local found = actions.status(c)
  print(args.json and require("haplua.json").encode(results.portable_status(found)) or found)
  return results.status_code(found)
end

function commands.log(args, request, print, c)
  local status, event = require("haplua.apply.status"), require("haplua.hooks.event")
  local all = c.store:log(c.name, (request.servers or args.switch) and c.switch.acl or nil, args.last)
  for i, entry in ipairs(all) do
    all[i] = args.json and event.entry(entry) or status.line(entry)
  end
  print(args.json and require("haplua.json").encode(all) or table.concat(all, "\n"))
end

function commands.during(args, request, print, c)
  if require("haproxy").dry_run() then
    errors.refuse("there is no dry run of during on a fleet: its command would run", "-n maint on shows what would begin")
  end
  local result = actions.begin(c, request, { origin = "during", pid = require("haplua.process").pid() })
  print(result)
  if result.refused then
    return 1
  end
  local _ <close> = setmetatable({}, {
    __close = function()
      print(actions.off(c, request, { ids = { result.about.id } }))
    end,
  })
  return (require("run")(args.words))
end

---@param args table  from haplua.cli
---@param request haplua.Request  with `ids`
---@param print function
---@param found haplua.Config  with a fleet
---@return integer? status  nil: the command is about this node alone
return function(args, request, print, found)
  local run = commands[args.command]
  if not run then
    return nil
  end
  check(args)
  local c <close> = actions.open(found, request)
  return run(args, complete(request, args), print, c) or 0
end
