-- SPDX-License-Identifier: MIT
--
--- The command line of scripts/maint.lua: the face of haplua.maintenance.

local cli = require("haplua.cli")
local maintenance = require("haplua.maintenance")
local options = require("haplua.cmd.maint_options")

local function instant(text)
  return require("haplua.time.instant").instant(text, require("haplua.task").time())
end

local function duration(text)
  return require("haplua.time.instant").duration(text)
end

local ends = {
  { "--until", value = "TIME", convert = instant, help = "its end: 03:00, 2026-12-01T03:00, ...+01:00" },
  { "--for", value = "DURATION", convert = duration, help = "its end: in 30m, 1h30m, 2d" },
  { "--wait", help = "stay until then, and end it" },
}

local json = { "--json", help = "for programs" }

local spec = {
  name = "maint",
  help = "Send a site, or parts of it, to its maintenance page.",
  options = options.place,
  commands = {
    { "on", args = "pattern", options = options.with(options.scope, ends),
      help = "begin: for the scope given, or the whole site" },
    { "off", help = "end" },
    { "status", options = { json }, help = "what is so now, since when, by whom, why" },
    { "during", args = "pattern", options = options.scope, after = "words",
      help = "maintenance while a command runs; its exit status" },
    { "log", options = { json, { "--last", value = "N", default = "20", convert = cli.count, help = "so many changes (20)" } },
      help = "who changed what, when and why" },
    { "doctor", options = { json }, help = "is all as it must be?" },
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

---@return haplua.MaintenanceOptions
local function options_of(args, print)
  local found = options.read(args, print)
  found.ends = args["until"] or args["for"] and require("haplua.task").time() + args["for"]
  return found
end

local commands = {}

function commands.on(args, asked)
  if args.wait then
    return require("haplua.cmd.attend")(asked)
  end
  asked.print(maintenance.on(asked))
end

function commands.off(_, asked)
  asked.print(maintenance.off(asked))
end

function commands.status(args, asked)
  local status = maintenance.status(asked)
  if args.json then
    asked.print(require("haplua.json").encode(require("haplua.apply.status").for_programs(status)))
  else
    asked.print(status)
  end
end

function commands.during(args, asked)
  return maintenance.during(asked, function(change)
    asked.print(change)
    if require("haproxy").dry_run() then
      asked.print("would run: " .. table.concat(args.words, " "))
      return nil
    end
    return (require("run")(args.words))
  end, asked.print)
end

function commands.log(args, asked)
  local status = require("haplua.apply.status")
  local c = require("haplua.apply.context").open(asked, true)
  if not c.journal then
    error(require("haplua.error").new({
      kind = "journal",
      message = c.no_journal or "there is no journal",
      advice = "the first `maint on` begins one",
    }), 0)
  end
  local all = c.journal:log(c.name, (args.acl or args.switch) and c.switch.acl, args.last)
  if args.json then
    for i, entry in ipairs(all) do
      all[i] = status.portable(entry)
    end
    asked.print(require("haplua.json").encode(all))
  else
    for _, entry in ipairs(all) do
      asked.print(status.line(entry))
    end
  end
end

function commands.doctor(args, asked)
  return require("haplua.cmd.doctor").run(asked, args.json)
end

--- Run maint.
---@param words string[]
---@param print function  the script's own
---@return integer? status
return function(words, print)
  local args = cli.parse(spec, words)
  return commands[args.command](args, options_of(args, print))
end
