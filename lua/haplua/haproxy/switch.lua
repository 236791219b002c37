-- SPDX-License-Identifier: MIT
--
--- One switch on one HAProxy: the list that decides, the list of the clients that pass (`bypass`), the map that the
-- maintenance page reads (`info`), and the files of these lists. look() reads all of it; apply() changes all of it, or
-- nothing. The first two lists are ACLs, or maps: then the first of them is what the maintenance page reads.

local core = require("haplua.core")
local file = require("haplua.file")
local is_error = require("haplua.error").is
local list = require("haplua.haproxy.list")
local lists = require("haplua.base.lists")
local reply = require("haplua.reply")
local scope = require("haplua.plan.scope")
local steps = require("haplua.haproxy.steps")
local task = require("haplua.task")

local M = {}

-- The list of clients that pass, where the configuration of haplua names none and HAProxy has this one.
local BYPASS = "#9998"

-- Seconds by which two readings of the start of one process may differ.
local SLACK = 2

---@class haplua.switch.State
---@field seen string  the text of all its lists, as fingerprint() returns it
---@field state haplua.list.State  of the list that decides
---@field patterns string[]
---@field values string[]?  of a map
---@field declared string?  of a list with a small number, which may be HAProxy's own: what it looks at, and where
---@field method string  "reg", "beg", ...; of a map "map_reg", ...
---@field kind string?  what the list matches: "path", "base", "host", "address"
---@field bypass string?  the list of clients that pass
---@field passing string[]?  its entries
---@field bits string[]?  their values, in a map
---@field passes haplua.list.State?  of this list, where it is an ACL
---@field info {keys: string[], values: string[]}?  the entries of the map for the maintenance page
---@field worker integer  HAProxy's process
---@field started integer  the start of that process, in seconds since 1970
---@field asked string?  where HAProxy does not show its start: when it was asked (when_asked())
---@field uptime integer  seconds
---@field version string

--- The expression of an ACL, for scope.kind(), from the reply of `show acl`. For a list from a file HAProxy shows only
-- the line that uses it; a second list, for the words in the configuration, has the same line and the expression.
local function expression(all, found)
  local text = found and found.text or ""
  local direct = text:match("^acl '(.-)' file ")
  local place = text:match("used by acl at (file '.-' line %d+)")
  if direct or not place then
    return direct
  end
  for _, other in ipairs(all) do
    local fetch, at = other.text:match("^acl '(.-)' (file '.-' line %d+)")
    if at == place then
      return fetch
    end
  end
end

local function entries_of_map(text)
  local keys, _, values = reply.entries(text, true)
  return { keys = keys, values = values }
end

--- A field of `show info`, up to its first blank.
local function field(info, name)
  local _, at = info:find("\n" .. name .. ": ", 1, true)
  return at and info:match("^%S+", at + 1)
end

local boot

--- Now on a clock that nobody can set: the machine's boot id, and the seconds since. nil: it has no such clock.
local function when_asked()
  boot = boot or file.read("/proc/sys/kernel/random/boot_id") or ""
  local id = boot:match("^%S+")
  return id and ("%s %d"):format(id, task.now() // 1)
end

--- The commands that show a switch's lists: the one that decides first, `info` last. `servers` stands for all servers.
local function shows(switch)
  if switch.servers then
    return require("haplua.haproxy.server").shows
  end
  local commands = { { "show", switch.kind, switch.acl } }
  if switch.bypass then
    commands[#commands + 1] = { "show", switch.kind, switch.bypass }
  end
  if switch.info then
    commands[#commands + 1] = { "show", "map", switch.info }
  end
  return commands
end

local function joined(texts)
  return table.concat(texts, "\0")
end

--- The fields of `show info` that tell one process from another. Raises `refused` where the socket reaches several.
---@param text string  its reply
---@return {worker: integer, started: integer, asked: string?, uptime: integer, version: string}
function M.process(text)
  local info = "\n" .. text
  local uptime, started = tonumber(field(info, "Uptime_sec")) or 0, tonumber(field(info, "Start_time_sec"))
  local processes = tonumber(field(info, "Nbproc")) or 1
  if processes > 1 then
    require("haplua.haproxy.processes").refuse_several(processes, field(info, "Process_num"))
  end
  return {
    worker = math.tointeger(tonumber(field(info, "Pid"))) or 0,
    started = started or math.floor(task.time()) - uptime,
    asked = not started and when_asked() or nil,
    uptime = uptime,
    version = field(info, "Version") or "?",
  }
end

---@class haplua.switch.Watch  what several switches are asked again and again
---@field switches haplua.Switch[]
---@field commands string[][]  `show info`, and the lists of all switches
---@field counts integer[]  so many of the commands belong to each switch
---@field texts string[]  the latest replies; the first is HAProxy's process
---@field found string[]  what they came to

--- What to ask to see whether one of several switches has changed.
---@param switches haplua.Switch[]
---@return haplua.switch.Watch
function M.watch(switches)
  local commands, counts = { { "show", "info" } }, {}
  for i, switch in ipairs(switches) do
    local own = shows(switch)
    counts[i] = #own
    table.move(own, 1, #own, #commands + 1, commands)
  end
  return { switches = switches, commands = commands, counts = counts, texts = {}, found = {} }
end

--- The texts of the lists of several switches, in one request. The text of a switch is the same until a list changes or
-- HAProxy is reloaded: it has the process, and the addresses of the entries in memory.
---@param target haplua.Target
---@param watch haplua.switch.Watch
---@return string[]? found  one for each switch; nil: all replies are the same as those to the call before
function M.fingerprints(target, watch)
  local texts, before, first, anew = target:batch(watch.commands), watch.texts, 2, false
  texts[1] = field("\n" .. texts[1], "Pid") or "?"
  for i, count in ipairs(watch.counts) do
    local same = texts[1] == before[1]
    for j = first, first + count - 1 do
      same = same and texts[j] == before[j]
    end
    if not same then
      local own = table.move(texts, first, first + count - 1, 2, { texts[1] })
      anew, watch.found[i] = true, watch.switches[i].servers
        and require("haplua.haproxy.server").fingerprint(table.move(own, 2, #own, 1, {})) or joined(own)
    end
    first = first + count
  end
  watch.texts = texts
  return anew and watch.found or nil
end

--- Send the commands that look at a switch.
local function ask(target, switch, commands)
  local ok, texts = pcall(target.batch, target, commands)
  if not ok and is_error(texts) and texts.kind == "refused" and switch.kind == "map" then
    texts.advice = "the files must exist; they may be empty. In a frontend:\n" .. require("haplua.haproxy.lines").of_map(switch)
  end
  return ok and texts or error(texts, 0)
end

--- Read the state of a switch, in one request.
---@param target haplua.Target
---@param switch haplua.Switch
---@return haplua.switch.State
function M.look(target, switch)
  local own, kind, is_map = shows(switch), switch.kind, switch.kind == "map"
  local commands = { { "show", "info" }, { "show", kind }, own[1], { "get", kind, switch.acl, "/" } }
  local texts = ask(target, switch, table.move(own, 2, #own, 5, commands))
  local process, all = M.process(texts[1]), reply.lists(texts[2])
  local found = list.find(all, switch.acl)
  local bypass, passing = switch.bypass, switch.bypass and texts[5]
  if not bypass and not is_map and list.find(all, BYPASS) and switch.acl ~= BYPASS then
    bypass, passing = BYPASS, target:send({ "show", "acl", BYPASS })
  end
  local patterns, values, networks, bits, passes
  if is_map then
    local _
    patterns, _, values = reply.entries(texts[3], true)
    networks, _, bits = reply.entries(passing or "", true)
  else
    patterns, networks = reply.keys(texts[3]), passing and reply.keys(passing)
    passes = passing and { list = list.find(all, bypass), text = passing, keys = networks }
  end
  local state = {
    list = found, text = texts[3], keys = not is_map and patterns or nil, asked = "/", tests = reply.matches(texts[4]),
  }
  return {
    seen = joined({ field("\n" .. texts[1], "Pid") or "?", texts[3], table.unpack(texts, 5) }),
    state = state,
    patterns = patterns,
    values = values,
    declared = found and switch.acl:find("^#%d%d?$") and found.text or nil,
    method = (is_map and "map_" or "") .. (state.tests[1] and state.tests[1].type or "unknown"),
    kind = scope.agreed_kind(switch.kind == "acl" and switch.acl, switch.fetch, expression(all, found)),
    bypass = bypass,
    passing = passing and networks,
    bits = passing and bits or nil,
    passes = passes,
    info = switch.info and entries_of_map(texts[#texts]),
    worker = process.worker,
    started = process.started,
    asked = process.asked,
    uptime = process.uptime,
    version = process.version,
  }
end

--- Is this the HAProxy process on which a change was made?
-- HAProxy 2.2 shows only its uptime, without the time for which it was stopped. Its start, counted back from the wall
-- clock, is another instant after that clock is set. But the process of the change existed when haplua asked it, and
-- another process with the same number began later.
---@param live haplua.switch.State
---@param entry haplua.Entry
function M.is_same_process(live, entry)
  if entry.worker ~= live.worker then
    return false
  end
  local id, seconds = (entry.asked or ""):match("^(%S+) (%d+)$")
  local same_id, now = (live.asked or ""):match("^(%S+) (%d+)$")
  if id and id == same_id then
    return tonumber(now) - live.uptime <= tonumber(seconds) + SLACK
  end
  return math.abs((entry.started or 0) - live.started) <= SLACK
end

-- The map for the maintenance page: its entries, in this order.

--- The keys of haplua. Others in the map are somebody else's.
M.INFO = { since = true, ["until"] = true, reason = true, reason_html = true }

local function escape_html(text)
  return (text:gsub("[&<>\"']", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }))
end

--- The map's entries for a maintenance. A value that begins with a blank does not come back from a file.
---@param since number?  seconds since 1970; nil: there is none
---@param ends number?
---@param reason string?
---@return {keys: string[], values: string[]}
function M.info(since, ends, reason)
  if not since then
    return { keys = {}, values = {} }
  end
  local keys, values = { "since" }, { ("%d"):format(math.floor(since)) }
  if ends then
    keys[#keys + 1], values[#keys + 1] = "until", ("%d"):format(math.floor(ends))
  end
  reason = reason and reason:match("^%s*(.-)%s*$")
  if reason and reason ~= "" then
    keys[#keys + 1], values[#keys + 1] = "reason", reason
    keys[#keys + 1], values[#keys + 1] = "reason_html", escape_html(reason)
  end
  return { keys = keys, values = values }
end

--- The maintenance that the map announces, whoever filled it. nil: none.
---@param live haplua.switch.State
---@return {since: integer?, ends: integer?, reason: string?}?
function M.announced(live)
  local found = {}
  for _, value in ipairs(live.values or {}) do
    local told = require("haplua.plan.map").told(value)
    if told and told.since then
      return told
    end
  end
  for i, key in ipairs(live.info and live.info.keys or {}) do
    found[key] = found[key] or live.info.values[i] -- as HAProxy, which uses the first
  end
  local function instant(key)
    return found[key] and #found[key] <= 11 and math.tointeger(tonumber(found[key]:match("^%d+$"))) or nil
  end
  local announced = { since = instant("since"), ends = instant("until"), reason = found.reason }
  return next(announced) and announced or nil
end

-- Changing.

--- The file of a list and the module for it. nil: the list has no file, or haplua leaves it as it is.
---@return string? path, table? list_file
local function file_of(target, switch, ref)
  if switch.file and ref:sub(1, 1) == "/" then
    local list_file = require("haplua.haproxy.list_file")
    return list_file.path(target, ref), list_file
  end
end

--- What to do before a step comes into force: write its file, and wait for the other targets. nil: nothing.
local function before_commit(target, switch, step, undo, options)
  local path, list_file = file_of(target, switch, step.ref)
  local wait = step.main and options.together and core.several()
  if not path and not wait then
    return nil
  end
  return function()
    if wait then
      wait = false
      core.barrier()
    end
    if not path then
      return
    end
    local before = list_file.write(path, step.kind, step.keys, step.values, switch.file)
    if before then
      undo[#undo + 1] = {
        file = true,
        back = function()
          list_file.restore(path, before, switch.file)
        end,
      }
    end
  end
end

--- The file of a list, where the step would write it.
local function file_to_write(target, switch, step)
  local path, list_file = file_of(target, switch, step.ref)
  return path and not list_file.in_step(path, step.kind, step.keys, step.values) and path or nil
end

--- The folder of HAProxy's process, where files of lists are compared with those that it sees.
local function folder_of(target, switch, live)
  local has_file = switch.file and (switch.acl .. (switch.bypass or "") .. (switch.info or "")):find("/", 1, true)
  return has_file and require("haplua.haproxy.process").folder(target, live.worker) or nil
end

--- Raise `file` unless this user can write the file of a list, and HAProxy reads it. Lists without a file pass.
---@param folder string?  of HAProxy's process, from process.folder()
local function check_file(target, switch, folder, ref)
  local path, list_file = file_of(target, switch, ref)
  if path then
    list_file.check(path, folder, switch.file)
  elseif switch.file and ref:sub(1, 1) ~= "#" then
    require("haplua.haproxy.list_file").check_name(target, ref)
  end
end

--- check_file() for the files that steps will write.
local function check_steps(target, switch, live, all)
  local folder = folder_of(target, switch, live)
  for _, step in ipairs(all) do
    local ok, problem = pcall(check_file, target, switch, folder, step.ref)
    if not ok and (not file_of(target, switch, step.ref) or file_to_write(target, switch, step)) then
      error(problem, 0)
    end
  end
end

--- Print the line of a dry run for a file.
local function would_write(target, switch, step)
  local path = file_to_write(target, switch, step)
  if path then
    core.would(target, ("(write %d entries to %s)"):format(#step.keys, path))
  end
end

--- Raise `denied` where --only holds back a list that apply() would change, or whose file it would write.
---@param live haplua.switch.State
---@param wanted haplua.switch.Plan
function M.check_permitted(target, switch, live, wanted)
  for _, step in ipairs(core.restricted() and steps.of(switch, live, wanted) or {}) do
    local is_same = lists.same(step.keys, step.old_keys) and lists.same(step.values or {}, step.old_values or {})
    if step.main or not is_same or file_to_write(target, switch, step) then
      core.permit(target, { "add", step.kind, step.ref })
    end
  end
end

--- Undo what was done, the newest first, as far as that succeeds. Where HAProxy cannot be reached, only files are
-- restored. A step that HAProxy has refused has changed nothing, where lists have versions: then the list holds what
-- somebody else has just committed.
---@param undo table[]
---@param began table?  the entry of the step that failed
local function roll_back(undo, problem, began, live)
  local kind = is_error(problem) and problem.kind
  local refused = kind == "refused" and live.state.list and live.state.list.curr_ver
  for i = #undo, 1, -1 do
    local entry = undo[i]
    if entry.file or kind ~= "unreachable" and not (refused and entry == began) then
      pcall(entry.back)
    end
  end
end

---@class haplua.switch.Plan
---@field patterns string[]  empty: off
---@field values string[]?  of a map
---@field probe string?  a value that then must match
---@field bypass string[]?  clients that pass; nil: the list stays as it is
---@field bits string[]?  their values, in a map
---@field between {keys: string[], values: string[]}?  the map of these clients while the other one changes
---@field info {keys: string[], values: string[]}?

---@class haplua.switch.Result
---@field added integer
---@field removed integer
---@field tests table[]?  the reply of `get acl` for the probe
---@field others integer  entries added to and removed from the other lists

--- Make HAProxy and the files as wanted, step by step. When a step fails, the steps before it are undone.
---@param live haplua.switch.State  as look() returned it just before
---@param wanted haplua.switch.Plan
---@param options {together: boolean?}  together: with several targets, change all or none; each must come here
---@return haplua.switch.Result
function M.apply(target, switch, live, wanted, options)
  local undo, result, began = {}, { others = 0 }, nil
  local ok, problem = pcall(function()
    local all = steps.of(switch, live, wanted)
    if not core.dry_run() then
      check_steps(target, switch, live, all)
    end
    for _, step in ipairs(all) do
      -- before the step: HAProxy 2.2 may carry out a part of a step that it refuses
      began = not core.dry_run() and {
        back = function()
          list.replace(target, step.kind, step.ref, step.old_keys, step.old_values)
        end,
      } or nil
      undo[#undo + 1] = began
      local added, removed, tests = list.replace(target, step.kind, step.ref, step.keys, step.values, {
        state = step.state,
        ask = step.main and wanted.probe or nil,
        before_commit = before_commit(target, switch, step, undo, options),
      })
      if core.dry_run() then
        would_write(target, switch, step)
      end
      if step.main then
        result.added, result.removed, result.tests = added, removed, tests
      else
        result.others = result.others + added + removed
      end
      began = nil
    end
    if options.together and core.several() and not core.dry_run() then
      core.barrier() -- raises where another target's change has failed
    end
  end)
  if not ok then
    roll_back(undo, problem, began, live)
    if is_error(problem) and problem.in_doubt then
      problem.look = "haplua maint status"
    end
    error(problem, 0)
  end
  return result
end

--- Raise `file` unless this user can write the files of a switch, and HAProxy reads them.
---@param live haplua.switch.State
function M.check_files(target, switch, live)
  local folder = folder_of(target, switch, live)
  for _, ref in ipairs({ switch.acl, live.bypass or switch.acl, switch.info or switch.acl }) do
    check_file(target, switch, folder, ref)
  end
end

--- The files of a switch that differ from HAProxy's lists: the next reload would bring their entries.
---@return {path: string, entries: integer?, expected: integer}[]  entries: in the file, nil where there is none
function M.out_of_step(target, switch, live)
  local found = {}
  local function compare(kind, ref, keys, values)
    local path, list_file
    if ref then
      path, list_file = file_of(target, switch, ref)
    end
    if path and not list_file.in_step(path, kind, keys, values) then
      local has = list_file.read(path, kind)
      found[#found + 1] = { path = path, entries = has and #has, expected = #keys }
    end
  end
  compare(switch.kind, switch.acl, live.patterns, live.values)
  compare(switch.kind, live.bypass, live.passing or {}, live.bits)
  if live.info then
    compare("map", switch.info, live.info.keys, live.info.values)
  end
  return found
end

return M
