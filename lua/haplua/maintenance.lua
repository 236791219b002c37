-- SPDX-License-Identifier: MIT
--
--- Maintenance of a site: on, off, for as long as a function runs, and what is so now.
-- The configuration of HAProxy sends to a maintenance backend what an ACL matches; these functions decide
-- what it matches, keep its file in step, and write down in the journal what is wanted. Each change is one
-- atomic step for the visitors, and is asked back from HAProxy.

local haproxy = require("haproxy")
local config = require("haplua.store.config")
local list = require("haplua.haproxy.list")
local scope = require("haplua.plan.scope")
local switch = require("haplua.haproxy.switch")
local new_error = require("haplua.error").new
local visible = require("haplua.error").visible
local time = require("haplua.task").time

local M = {}

---@class haplua.MaintenanceOptions
---@field switch string?  a switch of the configuration
---@field acl string?  the ACL, where there is no configuration; default $HAPLUA_ACL, else #9999
---@field config string?  the configuration file
---@field journal string|false?  its path; false: none. Default: $HAPLUA_JOURNAL, the configuration, /var/lib/haplua
---@field file boolean?  false: leave the ACL's file alone
---@field patterns string[]?  the scope; with no patterns, paths and hosts: the whole site
---@field paths string[]?
---@field hosts string[]?
---@field bypass string[]?  networks that pass; default: the configuration's `allow`
---@field reason string?
---@field ends number?  when it shall end, in seconds since 1970
---@field attended boolean?  the caller ends it, and nobody else needs to
---@field action string?  what the journal calls it
---@field tried table?  for during: who tries again after a failure gives the same table each time
---@field resumes boolean?  for during: what has the same action is a killed process's, and is continued
---@field print function?  of a resident policy: where its lines go

-- What a call works on.

---@class haplua.Context
---@field target haplua.Target
---@field name string  the target in the journal
---@field switch haplua.Switch
---@field journal haplua.Journal?
---@field no_journal string?  why there is none

--- The path of a socket that may not be there, in one spelling.
local function real_path(path)
  local file = require("haplua.file")
  local real = file.real(path)
  if real then
    return real
  end
  local folder, base = path:match("^(.-)/?([^/]+)$")
  folder = file.real(folder == "" and path:sub(1, 1) == "/" and "/" or folder == "" and "." or folder)
  return folder and folder:gsub("/$", "") .. "/" .. base or path
end

--- A target's address in one spelling, so that everybody finds it again.
---@return string
local function canonical(target)
  local address, route = target:address()
  local path = address:match("^unix@(.*)") or address:match("^[./].*")
  if path and not address:find("^abns@") then
    address = real_path(path)
  end
  return route and address .. " via " .. route or address
end

--- Open the journal: as asked for, else where the environment or the configuration says.
---@return haplua.Journal?, string?
local function open_journal(found, asked, readonly)
  local path = asked or os.getenv("HAPLUA_JOURNAL") or found.journal or config.JOURNAL
  if asked == false or path == "none" then
    return nil
  end
  local journal, problem = require("haplua.store.journal").open(path, { readonly = readonly })
  if not journal and path ~= config.JOURNAL and not readonly then
    error(new_error({
      kind = "journal",
      message = ("the journal %s: %s"):format(path, problem),
      advice = "give --no-journal to do without",
    }), 0)
  end
  return journal, problem and ("%s: %s"):format(path, problem)
end

---@param options haplua.MaintenanceOptions
---@param readonly boolean?  the journal is not begun where there is none
---@return haplua.Context
function M.context(options, readonly)
  local found = config.read(options.config)
  local target = haproxy.target()
  local chosen = config.switch(found, options.switch, options.acl)
  if options.file == false then
    chosen.file = false
  end
  local journal, problem = open_journal(found, options.journal, readonly or haproxy.dry_run())
  local name = journal and canonical(target) or tostring(target)
  return { target = target, name = name, switch = chosen, journal = journal, no_journal = problem }
end

-- What the functions below return prints as a few lines.

local function enumerate(patterns)
  local text = table.concat(patterns, "  ")
  if #patterns == 0 then
    return "nothing"
  elseif #patterns > 8 then
    text = ("%d patterns (%s  %s  ...)"):format(#patterns, patterns[1], patterns[2])
  end
  return visible(text)
end
M.enumerate = enumerate

---@class haplua.Change
---@field acl string
---@field patterns string[]  what the ACL holds now
---@field added integer
---@field removed integer
---@field others integer  entries added to or removed from the lists beside it
---@field confirmed string?  a value that HAProxy, asked, says is under maintenance
---@field reason string?
---@field ends number?
---@field passing string[]?
---@field before haplua.Entry?  what the journal wanted until now
---@field id integer?  its number in the journal
local Change = {}

--- Lines on what is told besides: reason, end, who passes, whose maintenance this was.
local function details(change)
  local moment = require("haplua.time.instant")
  local lines = {}
  local function add(form, ...)
    lines[#lines + 1] = "\n  " .. visible(form:format(...))
  end
  if change.reason then
    add("reason: %s", change.reason)
  end
  if change.ends then
    add("until %s (in %s)", moment.text(change.ends), moment.span(change.ends - time()))
  end
  if change.passing and #change.passing > 0 and #change.patterns > 0 then
    add("passing: %s", table.concat(change.passing, "  "))
  end
  local before = change.before
  if before and before.since and change.added + change.removed > 0 then
    add("before: on for %s, by %s%s: %s", moment.span(time() - before.since), before.login or before.user,
      before.reason and (" (%s)"):format(before.reason) or "", enumerate(before.patterns))
  end
  return table.concat(lines)
end

function Change.__tostring(change)
  local state = #change.patterns > 0 and "on" or "off"
  local now = ("%s matches %s"):format(change.acl, enumerate(change.patterns))
  if change.added + change.removed == 0 and (change.others == 0 or not haproxy.dry_run()) then
    return ("maintenance was %s already: %s"):format(state, now) .. details(change)
  elseif haproxy.dry_run() then
    return ("maintenance would be %s (%d to add, %d to remove)"):format(state, change.added, change.removed)
  end
  return ("maintenance is %s: %s (%d added, %d removed%s)"):format(state, now, change.added, change.removed,
    change.confirmed and ", confirmed for " .. change.confirmed or "") .. details(change)
end

-- Changing.

---@class haplua.Intent: haplua.switch.Plan
---@field whole boolean?  everything: the probe must match
---@field reason string?
---@field since number?
---@field ends number?

--- Change HAProxy and its files; look that the whole site is what was asked for.
---@param intent haplua.Intent
---@return haplua.Change
function M.carry_out(c, live, intent)
  local applied = switch.apply(c.target, c.switch, live, intent, { together = true })
  local confirmed = list.match(applied.tests or {})
  if intent.whole and applied.tests and not confirmed then
    c.target:mistrust(("get acl %s %s"):format(c.switch.acl, intent.probe),
      "no match, although every request should match")
  end
  return setmetatable({
    acl = c.switch.acl,
    patterns = intent.patterns,
    added = applied.added,
    removed = applied.removed,
    others = applied.others,
    confirmed = confirmed and intent.probe or nil,
    reason = intent.reason,
    ends = intent.ends,
    passing = intent.bypass,
  }, Change)
end

local function warn(form, ...)
  io.stderr:write("haplua: ", form:format(...), "\n")
end

--- The same, written down before and after.
---@param make fun(live: haplua.switch.State, before: haplua.Entry?): haplua.Intent
local function write_down(c, action, make)
  local journal = c.journal
  local _ <close> = journal:lock(c.name, c.switch.acl)
  local live = switch.look(c.target, c.switch)
  local before = journal:wanted(c.name, c.switch.acl)
  local intent = make(live, before)
  if not intent then
    return nil
  end
  local id = journal:begin({
    target = c.name, acl = c.switch.acl, switch = c.switch.name, action = action, patterns = intent.patterns,
    bypass = intent.bypass, reason = intent.reason, since = intent.since, ends = intent.ends,
  })
  local ok, change = pcall(M.carry_out, c, live, intent)
  if not ok then
    local noted, problem = pcall(journal.undo, journal, id, tostring(change))
    if not noted then
      warn("%s", tostring(problem))
    end
    error(change, 0)
  end
  local noted, problem = pcall(journal.finish, journal, id, live)
  if not noted then
    warn("the change is done, but not its outcome written down: %s", tostring(problem))
  end
  change.id, change.before = id, before
  return change
end

--- Look, decide, change: under the lock, and written down, where there is a journal.
---@param c haplua.Context
---@param action string
---@param make fun(live: haplua.switch.State, before: haplua.Entry?): haplua.Intent?  nil: nothing shall be done
---@return haplua.Change?
function M.alter(c, action, make)
  if c.journal and not haproxy.dry_run() then
    return write_down(c, action, make)
  elseif c.no_journal and not haproxy.dry_run() then
    warn("this is in no journal (%s): nothing puts it back after a reload", c.no_journal)
  end
  local live = switch.look(c.target, c.switch)
  local intent = make(live)
  return intent and M.carry_out(c, live, intent)
end

local function refuse(message, advice)
  error(new_error({ kind = "refused", message = message, advice = advice }), 0)
end

--- A reason is one line, that visitors may read.
local function check_reason(reason)
  if reason and (reason:find("%c") or reason:find("^%s*$") or #reason > 1000) then
    refuse("a reason is one line of text, of 1,000 bytes at most")
  end
end

--- An end that nobody would bring about is no end.
local function check_end(c, options)
  if not options.ends or options.attended or haproxy.dry_run() then
    return
  elseif not c.journal then
    refuse("nobody would end this maintenance: there is no journal",
      "give --wait to stay and end it, or keep a journal and run scripts/keep.lua")
  elseif not c.journal:kept(c.name) then
    refuse(("nobody would end this maintenance: no resident policy keeps %s"):format(c.name),
      "give --wait to stay and end it, or run scripts/keep.lua (docs/maintenance.md: as a systemd service)")
  end
end

--- Which clients pass from now on; nil: there is no list for them.
local function passing(c, live, bypass)
  bypass = bypass and #bypass > 0 and bypass or nil
  if bypass and not live.bypass then
    refuse("there is no list of clients that pass, so --bypass can do nothing",
      "declare one in HAProxy's frontend, and use it:\n"
      .. "  acl maintenance-bypass src -u 9998\n"
      .. "  use_backend maintenance if maintenance !maintenance-bypass\n"
      .. "another one is named by `bypass` in the configuration")
  end
  return live.bypass and (bypass or c.switch.allow)
end

--- When what is on now began, as far as anybody knows.
local function since(live, before)
  local on = #live.patterns > 0 and before and #before.patterns > 0
  return on and before.since or time()
end

--- The intent of options, for what HAProxy has.
---@return haplua.Intent
local function intend(c, options, live, before)
  local patterns, probe, whole = scope.patterns(options, live.kind, live.method)
  local began = since(live, before)
  return {
    patterns = patterns,
    probe = probe,
    whole = whole,
    bypass = passing(c, live, options.bypass),
    info = switch.info(began, options.ends, options.reason),
    reason = options.reason,
    since = began,
    ends = options.ends,
  }
end

--- Put the whole site, or a part of it, under maintenance. What was so before is replaced.
---@param options haplua.MaintenanceOptions
---@return haplua.Change
function M.on(options)
  check_reason(options.reason)
  local c = M.context(options)
  check_end(c, options)
  return M.alter(c, options.action or "on", function(live, before)
    return intend(c, options, live, before)
  end)
end

--- Could `on` be carried out now? Asks HAProxy, and changes nothing.
---@param options haplua.MaintenanceOptions
function M.check(options)
  check_reason(options.reason)
  local c = M.context(options, true)
  local live = switch.look(c.target, c.switch)
  intend(c, options, live)
  switch.check_files(c.target, c.switch, live)
end

--- What `off` wants: nothing matches, nobody needs to pass, nothing is told.
---@return haplua.Intent
local function nothing(c, live)
  return { patterns = {}, bypass = live.bypass and c.switch.allow, info = { keys = {}, values = {} } }
end

--- End it: the ACL matches nothing any more.
---@param options haplua.MaintenanceOptions
---@return haplua.Change
function M.off(options)
  local c = M.context(options)
  return M.alter(c, options.action or "off", function(live)
    return nothing(c, live)
  end)
end

--- Make HAProxy be as a journal's entry wants it: after a reload, or when a change was broken off.
---@param c haplua.Context
---@param entry haplua.Entry
---@param live haplua.switch.State
---@return haplua.Intent
function M.intent_of(c, entry, live)
  if #entry.patterns == 0 then
    return nothing(c, live)
  end
  return {
    patterns = entry.patterns,
    bypass = live.bypass and (entry.bypass or c.switch.allow),
    info = switch.info(entry.since or entry.time, entry.ends, entry.reason),
    reason = entry.reason,
    since = entry.since,
    ends = entry.ends,
  }
end

--- Maintenance for as long as a function runs, however it ends; then there is again what was there before. Where
-- that cannot be brought about, the error's `again` is a function that tries it once more.
---@param options haplua.MaintenanceOptions
---@param fn fun(change: haplua.Change): ...
---@param done? fun(change: haplua.Change)  called with the restored state
---@return ...  what fn returns
function M.during(options, fn, done)
  return require("haplua.apply.during").run(options, fn, done)
end

--- What is so now, from HAProxy itself, then from the journal.
---@param options haplua.MaintenanceOptions
---@return haplua.Status
function M.status(options)
  return require("haplua.apply.status").status(M.context(options, true))
end

return M
