-- SPDX-License-Identifier: MIT
--
--- The command line of scripts/maint.lua, and of scripts/during.lua.

local cli = require("haplua.cli")
local maintenance = require("haplua.maintenance")
local options = require("haplua.cmd.maint_options")

--- A `convert` of haplua.time.instant, which is loaded when it is called.
local function converter(name)
  return function(text)
    return require("haplua.time.instant")[name](text, require("haplua.task").time())
  end
end

local ends = {
  { "--until", value = "TIME", convert = converter("instant"), help = "its end: 03:00, 2026-12-01T03:00, ...+01:00" },
  { "--for", value = "DURATION", convert = converter("duration"), help = "its end: in 30m, 1h30m, 2d" },
  { "--wait", help = "stay until then, and end it" },
}

local spec = {
  name = "maint",
  help = "Send a site, or parts of it, to its maintenance page.",
  options = options.place,
  commands = {
    { "on", args = "pattern", options = options.join(options.scope, ends),
      help = "Begin maintenance: of the scope given, or of the whole site." },
    { "off", help = "End maintenance." },
    { "status", options = { options.json }, help = "Show the current state: since when, by whom, why." },
    { "during", args = "pattern", options = options.scope, after = "words",
      help = "Keep maintenance on while a command runs, and return its exit status." },
    { "log", options = { options.json, { "--last", value = "N", default = "20", convert = cli.count,
      help = "so many changes (20)" } },
      help = "Show who changed what, when and why." },
    { "doctor", options = { options.json }, help = "Check the set-up and say what to fix." },
  },
}

function spec.check(args)
  if args["until"] and args["for"] then
    return "--until and --for: which?"
  elseif args.wait and not args["until"] and not args["for"] then
    return "--wait: until when? --until TIME or --for DURATION says so"
  end
  return options.check(args)
end

---@return haplua.Request
local function request_of(args)
  local request = options.request(args)
  request.ends = args["until"] or args["for"] and require("haplua.task").time() + args["for"]
  return request
end

-- Each command: its arguments, the request, and where its lines go. Returns the exit status.
local commands = {}

function commands.on(args, request, print)
  if args.wait then
    return require("haplua.cmd.wait")(request, print)
  end
  print(maintenance.on(request))
end

function commands.off(_, request, print)
  print(maintenance.off(request))
end

function commands.status(args, request, print)
  local status = maintenance.status(request)
  if args.json then
    print(require("haplua.json").encode(require("haplua.apply.status").portable(status)))
  else
    print(status)
  end
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
  local all = c.journal:log(c.name, (args.acl or args.switch) and c.switch.acl, args.last)
  if args.json then
    for i, entry in ipairs(all) do
      all[i] = status.portable_entry(entry)
    end
    print(require("haplua.json").encode(all))
  else
    for _, entry in ipairs(all) do
      print(status.line(entry))
    end
  end
end

function commands.doctor(args, request, print)
  return require("haplua.cmd.doctor")(request, args.json, print)
end

---@param words string[]
---@param print function  the script's own, which marks its lines where there are several targets
---@return integer? status
return function(words, print)
  local args = cli.parse_known(spec, words)
  return commands[args.command](args, request_of(args), print)
end
