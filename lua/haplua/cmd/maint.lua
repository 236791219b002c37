-- SPDX-License-Identifier: MIT
--
--- The command line of scripts/maint.lua.

local cli = require("haplua.cli")
local maintenance = require("haplua.maintenance")
local options = require("haplua.cmd.maint_options")

--- A `convert` of haplua.time.instant, which is loaded when it is called.
local function converter(name)
  return function(text)
    return require("haplua.time.instant")[name](text, require("haplua.task").time())
  end
end

local from = { "--from", value = "TIME", convert = converter("instant"), help = "when it begins, if not now" }
local until_ = { "--until", value = "TIME", convert = converter("instant"),
  help = "when it ends: 03:00, 2026-12-01T03:00, 2026-12-01T03:00+01:00" }
local for_ = { "--for", value = "DURATION", convert = converter("duration"), help = "how long it lasts: 30m, 1h30m, 2d" }
local yes = { "--yes", help = "do not ask before somebody else's maintenance is ended" }

local server = { "--server", value = "BACKEND/SERVER", repeats = true,
  help = "this server, in place of the site; app/ is each server of app" }
local drain = { "--drain", help = "of a server: it takes no new sessions, and those that it has go on" }

-- Those of a fleet that a change of what is there has.
local reports <const> = { options.fleet[1], options.fleet[4], options.fleet[5], options.fleet[7], options.fleet[8] }

local spec = {
  name = "maint",
  help = "Send a site, or parts of it, to its maintenance page.",
  options = options.place,
  commands = {
    { "on", args = "pattern", options = options.join(options.join(options.join(options.scope, options.probe),
      options.fleet), {
      from, until_, for_, { "--wait", help = "stay until then, and end it" },
      { "--start-keep", help = "start the service that begins and ends it, where none runs" },
      { "--check", help = "read in HAProxy's configuration whether visitors get it (the default on a terminal)" },
      { "--no-check", help = "do not check, not even on a terminal" },
      { "--cut", help = "of the whole site: end the connections that go on (WebSocket, TCP)" },
      { "--replace", help = "end all other maintenances in the same step" }, yes, server, drain,
      { "--force", help = "even the last server of a backend that takes requests" },
      { "--keep-up", value = "N", convert = cli.share, help = "of servers: so many of a backend stay in service: 2, 50% (1)" },
      options.json }),
      help = "Begin a maintenance: of the scope given, or of the whole site." },
    { "off", args = "which", options = options.join(options.join(options.join(options.found_by, options.probe),
      reports), {
      { "--mine", help = "those that I have begun" }, { "--all", help = "all" }, yes, server, options.json }),
      help = "End a maintenance: the only one, those of the ids (m12) given, or those of just this scope." },
    { "change", args = "which", options = options.join(options.join(options.join(options.scope, options.probe), reports), {
      from, until_, for_,
      { "--no-end", help = "it shall last until somebody ends it" }, yes, drain, options.json }),
      help = "Change a maintenance (m12, or the only one) in one step: what the options name." },
    { "status", options = { options.json, server, options.probe[1], options.probe[2], options.fleet[1],
      { "--visitors", help = "ask the probes, and show what HAProxy's configuration makes of the list" },
      { "--planned", help = "show those that are to come, too" } },
      help = "Show the maintenances, what HAProxy holds, and what does not fit." },
    { "during", args = "pattern", after = "words",
      options = options.join(options.join(options.scope, options.probe), options.fleet),
      help = "Keep a maintenance in force while a command runs, and return its exit status." },
    { "log", options = { options.json, server, options.fleet[1], { "--last", value = "N", default = "20", convert = cli.count,
      help = "how many changes (default 20)" } },
      help = "Show who changed what, when and why." },
    { "rehearse", args = "pattern", options = options.join(options.join(options.scope, options.rehearsal), {
      until_, for_, { "--replace", help = "as if all other maintenances were ended" }, options.json }),
      help = "Try a maintenance on an HAProxy of its own, with your files: URLs, or paths, are what visitors ask." },
    { "page", args = "file", options = options.page,
      help = "page check [FILE...]: does HAProxy take the maintenance page, and do visitors get all of it?" },
    { "doctor", options = { { "--rehearse", help = "try a maintenance of the whole site, too (as `rehearse`)" }, options.json },
      help = "Check the set-up and say what to fix." },
  },
}

-- What the words of a command are.
local WORDS <const> = {
  pattern = "patterns for the ACL's own match method, in place of --path and --host",
  which = "ids (m12); for off also patterns, as they were given to on",
  file = "the word check, then pages (/etc/haproxy/maintenance.html)",
}
for _, command in ipairs(spec.commands) do
  command.args_help = WORDS[command.args]
end

--- Say what is wrong with options about servers.
local function check_server(args)
  local scope = args.acl or args.switch
  for _, list in ipairs({ args.path or {}, args.host or {}, args.bypass or {}, args.pattern or args.which or {} }) do
    scope = scope or list[1]
  end
  args.server = args.server and args.server[1] and args.server or nil
  for _, name in ipairs(args.server or {}) do
    if not name:find("^[^/%c]+/[^/%c]*$") then
      return ("'%s' is not BACKEND/SERVER"):format(name)
    end
  end
  if args.server and scope then
    return "--server goes with no other scope and no switch"
  elseif args.server and (args.check or args.cut) then
    return "--check and --cut are about the whole site; haplua drain --cut ends the sessions of a server"
  elseif args.check and args.no_check then
    return "--check and --no-check: give one of them"
  elseif args.server and args.wait then
    return "--server and --wait: a maintenance of a server is ended by haplua keep, or maint off"
  elseif not args.server and args.command == "on" and (args.drain or args.force or args.keep_up) then
    return "--drain, --force and --keep-up need --server"
  end
end

function spec.check(args)
  if args.command == "page" and args.file[1] ~= "check" then
    return "'page' has one command: page check [FILE...]"
  end
  if args["until"] and args["for"] then
    return "--until and --for: give one of them"
  elseif args.no_end and (args["until"] or args["for"]) then
    return "--no-end goes with neither --until nor --for"
  elseif args.wait and not args["until"] and not args["for"] then
    return "--wait needs an end: --until TIME or --for DURATION"
  elseif args.wait and args.from then
    return "--wait does not go with --from: haplua keep begins a maintenance that is to come"
  elseif args.mine and args.all then
    return "--mine and --all: give one of them"
  elseif args.which and #args.which > 0 and (args.mine or args.all) then
    return "--mine and --all go with no ids and no patterns"
  end
  return check_server(args) or options.check(args)
end

---@return haplua.Request
local function request_of(args)
  local request = options.request(args)
  request.begins = args.from
  request.servers, request.drain, request.force, request.keep_up = args.server, args.drain, args.force, args.keep_up
  request.ends = args["until"] or args["for"] and (args.from or require("haplua.task").time()) + args["for"]
  return request
end

--- Put the words of `off` and `change` where they belong: "m12" is an id, another word a pattern.
local function read_which(args, request)
  local ids, patterns = {}, {}
  for _, word in ipairs(args.which) do
    local id = math.tointeger(tonumber(word:match("^m(%d+)$")))
    ids[#ids + 1] = id
    patterns[#patterns + 1] = not id and word or nil
  end
  request.ids = #ids > 0 and ids or nil
  request.patterns = #patterns > 0 and patterns or nil
end

local function only(request, names)
  local picked = {}
  for _, name in ipairs(names) do
    picked[name] = request[name]
  end
  return picked
end

local PLACE <const> = { "switch", "acl", "config", "journal", "file" }

--- Does a request name a part of the site?
local function scope_of(request)
  for _, name in ipairs({ "patterns", "paths", "hosts" }) do
    if request[name] and request[name][1] then
      return true
    end
  end
  return false
end

--- The place of a request. For servers, and for ids, no switch need be meant.
local function place_of(request)
  local place = only(request, PLACE)
  if request.servers or request.ids and not place.switch then
    place.acl = "servers"
  end
  return place
end

--- Does a request mean this maintenance, which is in force or planned? Of those found by a scope, haplua asks about each.
local function is_meant(request, m, acl, in_force)
  local meant = not request.ids and not request.servers and m.acl == acl and (in_force or scope_of(request))
  for _, id in ipairs(request.ids or {}) do
    meant = meant or m.id == id
  end
  for _, name in ipairs(request.servers or {}) do
    meant = meant or m.scope.server ~= nil and (m.scope.server == name or name == m.scope.server:match("^[^/]*/"))
  end
  return meant
end

--- On a terminal, ask before maintenances of other people are ended or changed.
---@param is_only boolean?  the request means the only one: where there are several, it is refused
---@return boolean go_on
local function confirm(args, request, is_only)
  local terminal = require("haplua.terminal")
  if args.yes or not (terminal.is_terminal(0) and terminal.is_terminal(2)) then
    return true
  end
  local c = require("haplua.apply.context").open(place_of(request), true)
  local entity = require("haplua.plan.maintenance")
  local others, n, now = {}, 0, require("haplua.task").time()
  for _, m in ipairs(c.store:current(c.name)) do
    if is_meant(request, m, c.switch.acl, entity.is_in_force(m, now)) then
      n = n + 1
      others[#others + 1] = not entity.is_of(m, c.person) and "  " .. require("haplua.apply.result").summary(m) or nil
    end
  end
  if #others == 0 or is_only and n > 1 then
    return true
  end
  io.stderr:write("not yours:\n", table.concat(others, "\n"), "\nend or change it? [y/N] ")
  local answer = io.read() or ""
  return answer:lower():find("^y") ~= nil
end

--- Print a result as text or JSON.
---@return integer? status  of what visitors get
local function show(args, print, result)
  print(args.json and require("haplua.json").encode(require("haplua.apply.status").portable_result(result)) or result)
  return (result.effect or result.probes) and require("haplua.apply.result").status(result, args.cut)
end

-- Each command: its arguments, the request, where its lines go, and the functions that act. Returns the exit status.
local commands = {}

function commands.on(args, request, print, actions)
  request.replace, request.cut = args.replace, args.cut
  request.check = args.check or not args.no_check and not args.json and require("haplua.terminal").is_terminal(1)
  if args.replace and not confirm(args, only(request, PLACE)) then
    return 1
  elseif args.wait then
    return require("haplua.cmd.wait")(request, print)
  elseif (request.ends or request.begins) and not require("haproxy").dry_run() then
    require("haplua.cmd.start_keep")(place_of(request), args.start_keep)
  end
  return show(args, print, actions.on(request))
end

function commands.off(args, request, print, actions)
  read_which(args, request)
  request = only(request, { "ids", "patterns", "paths", "hosts", "servers", "probe", table.unpack(PLACE) })
  request.mine, request.all = args.mine, args.all
  if not args.mine and not confirm(args, request, not args.all and not request.servers and not scope_of(request)) then
    return 1
  end
  return show(args, print, actions.off(request))
end

function commands.change(args, request, print, actions)
  read_which(args, request)
  request.id, request.ids, request.open_end = (request.ids or {})[1], nil, args.no_end
  local meant = only(request, PLACE)
  meant.ids = request.id and { request.id }
  if not confirm(args, meant, true) then
    return 1
  end
  return show(args, print, actions.change(request))
end

--- What HAProxy holds by a status, as a text that is the same where HAProxys agree.
local function holding(status)
  local words = {}
  for _, list in ipairs({ status.patterns, status.passing or {} }) do
    local sorted = table.move(list, 1, #list, 1, {})
    table.sort(sorted)
    words[#words + 1] = table.concat(sorted, "  ")
  end
  for _, one in ipairs(status.servers or {}) do
    words[#words + 1] = ("%s %s"):format(one.server, one.state)
  end
  return table.concat(words, "\n")
end

-- The first status of this run, with several targets: the others are compared with it.
local first

--- The target whose HAProxy holds something else; nil: none that was looked at before.
local function differs_from(status)
  first = first or { target = status.target, holds = holding(status) }
  return first.target ~= status.target and first.holds ~= holding(status) and first.target or nil
end

function commands.status(args, request, print, actions)
  local asked = only(request, { "servers", "probe", table.unpack(PLACE) })
  asked.visitors = args.visitors or request.probe ~= nil
  local status = actions.status(asked)
  local wrong = status.visitors and (status.on and status.visitors.nobody and 1
    or require("haplua.apply.visitors").status(status.visitors.probes))
  local module, other = require("haplua.apply.status"), differs_from(status)
  if args.json then
    local portable = module.portable(status)
    portable.differs_from = other
    print(require("haplua.json").encode(portable))
    return other and 1 or wrong
  end
  print(status)
  if args.planned and #status.planned > 0 then
    print("planned:\n" .. module.table_of(status.planned))
  end
  if other then
    print(("this HAProxy does not hold the same as %s"):format(other))
    return 1
  end
  return wrong
end

function commands.during(args, request, print)
  return maintenance.during(request, function(result)
    print(result)
    if require("haproxy").dry_run() then
      print("would run: " .. table.concat(args.words, " "))
      return nil
    end
    return (require("run")(args.words))
  end, print)
end

function commands.log(args, request, print)
  local status = require("haplua.apply.status")
  local c = require("haplua.apply.context").open(request, true)
  if not c.journal then
    require("haplua.error").raise("journal", c.no_journal or "there is no journal", "the first `maint on` begins one")
  end
  local all = c.store:log(c.name, args.server and require("haplua.plan.servers").object(args.server[1])
    or (args.acl or args.switch) and c.switch.acl, args.last)
  if args.json then
    for i, entry in ipairs(all) do
      all[i] = require("haplua.hooks.event").entry(entry)
    end
    print(require("haplua.json").encode(all))
  else
    for _, entry in ipairs(all) do
      print(status.line(entry))
    end
  end
end

function commands.rehearse(args, request, print)
  request.replace = args.replace
  return require("haplua.cmd.rehearse")(args, request, print)
end

function commands.page(args, _, print)
  return require("haplua.cmd.page")(args, print)
end

function commands.doctor(args, request, print)
  request.rehearse = args.rehearse
  return require("haplua.cmd.doctor")(request, args.json, print)
end

-- The longest maintenance that one node of a fleet may have for itself, in seconds.
local ALONE <const> = 4 * 3600

--- Refuse what the configuration does not go with: options of a fleet without one, and a long maintenance on one node.
---@param found haplua.Config?  with a fleet
local function check_fleet(args, request, found)
  local errors = require("haplua.error")
  if not found then
    errors.refuse(("--%s is about a fleet"):format(options.of_fleet(args)), "`fleet` of the configuration names one")
  end
  local begins = request.begins or require("haplua.task").time()
  if args.command == "on" and not (request.ends and request.ends - begins <= ALONE) then
    errors.refuse("a maintenance on one node of a fleet alone is for emergencies: --for says how long, 4h at most")
  end
end

---@param words string[]
---@param print function  the script's own, which marks its lines where there are several targets
---@param actions? table<string, fun(request: haplua.Request): any>  in place of those of haplua.maintenance: on, off,
--- change, status
---@return integer? status
return function(words, print, actions)
  local args = cli.parse_known(spec, words)
  local request, found = request_of(args), options.fleet_of(args)
  if found and not args["local"] then
    if args.which then
      read_which(args, request)
    end
    local status = require("haplua.cmd.fleet_maint")(args, request, print, found)
    if status then
      return status
    end
    request.fleet = found -- of doctor, which looks at this node as well
  elseif found or options.of_fleet(args) then
    check_fleet(args, request, found)
  end
  return commands[args.command](args, request, print, actions or maintenance)
end
