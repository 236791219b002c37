-- SPDX-License-Identifier: MIT
--
--- The command line of scripts/maint.lua: the face of haplua.maintenance.

local cli = require("haplua.cli")
local maintenance = require("haplua.maintenance")

--- What `on` and `during` share: scope, bypass, reason.
local scope = {
  { "--path", value = "PREFIX", repeats = true, help = "these paths: /shop is /shop, /shop/cart, /shopping" },
  { "--host", value = "NAME", repeats = true, help = "these hosts; with --path, those paths of them" },
  { "--bypass", value = "CIDR", repeats = true, help = "clients that still reach the application" },
  { "--reason", value = "TEXT", help = "why, for the journal and the visitors" },
}

local function instant(text)
  return require("haplua.moment").instant(text, require("haplua.task").time())
end

local function duration(text)
  return require("haplua.moment").duration(text)
end

local function with(options, more)
  return table.move(more, 1, #more, #options + 1, table.move(options, 1, #options, 1, {}))
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
  options = {
    { "--acl", value = "REF", help = "the ACL that decides: #ID or file name (default $HAPLUA_ACL, else #9999)" },
    { "--switch", value = "NAME", help = "the switch of the configuration" },
    { "--config", value = "FILE", help = "the configuration (default $HAPLUA_CONFIG, else /etc/haplua/config.lua)" },
    { "--journal", value = "FILE", help = "the journal (default $HAPLUA_JOURNAL, else /var/lib/haplua/journal.db)" },
    { "--no-journal", help = "write nothing down, and wait for nobody" },
    { "--no-file", help = "leave the ACL's file alone" },
  },
  commands = {
    { "on", args = "pattern", options = with(scope, ends), help = "begin: for the scope given, or the whole site" },
    { "off", help = "end" },
    { "status", options = { json }, help = "what is so now, since when, by whom, why" },
    { "during", args = "pattern", options = scope, after = "words",
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
  elseif args.acl and args.switch then
    return "--acl and --switch: a switch has its ACL"
  elseif args.journal and args.no_journal then
    return "--journal and --no-journal: which?"
  end
end

---@return haplua.MaintenanceOptions
local function options_of(args)
  local journal = args.journal
  if args.no_journal then
    journal = false
  end
  return {
    switch = args.switch, acl = args.acl, config = args.config, journal = journal,
    file = not args.no_file,
    patterns = args.pattern, paths = args.path, hosts = args.host, bypass = args.bypass, reason = args.reason,
    ends = args["until"] or args["for"] and require("haplua.task").time() + args["for"],
  }
end

local commands = {}

function commands.on(args, options)
  if args.wait then
    return require("haplua.attend")(options)
  end
  print(maintenance.on(options))
end

function commands.off(_, options)
  print(maintenance.off(options))
end

function commands.status(args, options)
  local status = maintenance.status(options)
  if args.json then
    print(require("haplua.json").encode(require("haplua.status").for_programs(status)))
  else
    print(status)
  end
end

function commands.during(args, options)
  return maintenance.during(options, function(change)
    print(change)
    if require("haproxy").dry_run() then
      print("would run: " .. table.concat(args.words, " "))
      return nil
    end
    return (require("run")(args.words))
  end, print)
end

function commands.log(args, options)
  local status = require("haplua.status")
  local c = maintenance.context(options, true)
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
    print(require("haplua.json").encode(all))
  else
    for _, entry in ipairs(all) do
      print(status.line(entry))
    end
  end
end

function commands.doctor(args, options)
  return require("haplua.doctor").run(options, args.json)
end

--- Run maint.
---@param words string[]
---@return integer? status
return function(words)
  local args = cli.parse(spec, words)
  return commands[args.command](args, options_of(args))
end
