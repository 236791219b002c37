-- SPDX-License-Identifier: MIT
--
--- Make the disk full, broken or read-only (disk.c) at each write of the journal and of the ACL's file, while maint and
-- keep run. HAProxy, the file and the journal must then hold the old or the new state, and after a success the new one.
-- keep must report the failure, and finish its work when the disk works again.

local support = require("support")

local M = {}

local PRELOAD = (os.getenv("PWD") or ".") .. "/" .. (os.getenv("BUILD") or "build") .. "/disk.so"

-- Seconds in which keep must finish its work once the disk works again.
local KEEP_SECONDS = 12

-- More writes than any run has.
local MOST = 400

local OLD = "^/a"

-- The commands: what HAProxy holds after a success (`new`), and before the command restores it (`through`).
local cases = {
  { name = "maint on", new = "^/c\n^/d", words = { "on", "^/c", "^/d" } },
  { name = "maint off", new = "", words = { "off" } },
  { name = "maint during", new = OLD, through = "^/c", words = { "during", "^/c" }, after = { "--", "true" } },
  { name = "maint on --wait", new = OLD, through = "^/c", words = { "on", "^/c", "--for", "1s", "--wait" }, sparse = 3 },
}

local function content(path)
  local f <close> = io.open(path, "rb")
  return f and f:read("a")
end

--- The entries of the ACL's file.
local function entries_of_file(path)
  return (content(path) or "no file"):gsub("#[^\n]*\n", ""):gsub("\n$", "")
end

local function maint(paths, env, words, after)
  words = { "-s", paths.socket, "scripts/maint.lua", table.unpack(words) }
  for _, word in ipairs({ "--acl", paths.acl, table.unpack(after or {}) }) do
    words[#words + 1] = word
  end
  words.env = setmetatable({ HAPLUA_JOURNAL = paths.journal, HAPLUA_CONFIG = "none" }, { __index = env })
  for name, value in pairs(env) do
    words.env[name] = value
  end
  return support.haplua(words)
end

--- Put the old state into HAProxy, the file and the journal.
local function prepare(st, paths)
  run({ "sh", "-c", 'rm -f "$1"*', "sh", paths.journal })
  local ran = maint(paths, {}, { "on", OLD })
  assert(ran.status == 0, ran.err)
  assert(entries_of_file(paths.acl) == OLD, "the file is not prepared")
  os.remove(paths.failed)
  return st
end

--- What HAProxy, the file and the journal hold.
---@return string patterns, string file, string? wanted
local function state(st, paths)
  local patterns = table.concat(st.sites[1].target:acl_list(paths.acl), "\n")
  local journal = require("haplua.store.sqlite").open(paths.journal, { readonly = true })
  local wanted
  for _, entry in ipairs(journal and journal:run("SELECT patterns FROM maintenances WHERE ended IS NULL ORDER BY id") or {}) do
    wanted = (wanted and wanted .. "\n" or "") .. (entry.patterns or "")
  end
  if journal then
    journal:close()
  end
  return patterns, entries_of_file(paths.acl), wanted
end

--- What is wrong after a run of maint that had to replace OLD.
local function judge(st, paths, case, ran)
  local patterns, file, wanted = state(st, paths)
  local is = ("HAProxy: %s; file: %s; journal: %s"):format(patterns, file, wanted)
  local function one_of_both(text)
    return text == OLD or text == case.new or text == case.through
  end
  if ran.status == 0 and not (patterns == case.new and file == case.new and wanted == case.new) then
    return "false success", is
  elseif ran.status >= 128 then
    return "crash", is
  elseif ran.status ~= 0 and not ran.err:find("haplua: ", 1, true) then
    return "no message", is
  elseif not (one_of_both(patterns) and one_of_both(file) and one_of_both(wanted)) then
    return "neither old nor new", is
  end
  -- the next command works as usual
  local again = maint(paths, {}, { "off", "--all" })
  if again.status ~= 0 or entries_of_file(paths.acl) ~= "" then
    return "left over", again.err
  end
end

--- Run keep with a disk that fails at one write and works again later. keep must go on, and do its work in the end.
---@return table ran, string? problem, string? details
local function keep(st, paths, env)
  local s = st.sites[1]
  local journal = require("haplua.store.sqlite").open(paths.journal)
  journal:run("UPDATE changes SET worker = 1")
  journal:close()
  s.target:acl_clear(paths.acl)
  s.folder.write("site.acl", "")
  local lines, ran = {}, { out = "", err = "" }
  env.HAPLUA_JOURNAL, env.HAPLUA_CONFIG, env.HAPLUA_ACL = paths.journal, "none", false
  local words = { "sh", "-c", 'echo $$; exec "$@"', "sh",
    table.unpack(support.program("-s", paths.socket, "scripts/keep.lua")) }
  words.env, words.stderr = env, function(line)
    ran.err = ran.err .. line .. "\n"
  end
  function words.stdout(line)
    lines[#lines + 1] = line
  end
  local running, latest = task.spawn(run, words), task.now() + KEEP_SECONDS
  local patterns, file, wanted, room
  repeat
    task.sleep(0.02)
    if not room and (content(paths.failed) and ran.err ~= "" or running:done()) then
      room = io.open(env.DISK_ROOM, "w")
      room:close()
    end
    patterns, file, wanted = state(st, paths)
  until running:done() or task.now() > latest
    or patterns == OLD and file == OLD and wanted == OLD and table.concat(lines, " "):find("kept to", 1, true)
  local died = running:done()
  run({ "kill", "-TERM", lines[1], stderr = "null" })
  ran.status = running:wait()
  ran.out = table.concat(lines, "\n")
  local is = ("HAProxy: %s; file: %s; journal: %s"):format(patterns, file, wanted)
  if died and ran.status ~= 143 and not ran.err:find("haplua: ", 1, true) then
    return ran, "no message", is
  elseif not died and (patterns ~= OLD or file ~= OLD or wanted ~= OLD) then
    return ran, "not held", is
  elseif died and not ran.err:find("journal", 1, true) then
    return ran, "ended early", is
  end
  return ran
end

--- Call `try` with 1, 1 + step, ... until the disk does not fail any more.
local function sweep(step, try)
  local n = 1
  while n < MOST and try(n) do
    n = n + step
  end
end

--- Try all cases with all failures of the disk.
---@param note fun(name: string, ran: table, problem: string?, details: string?)
function M.run(st, note)
  local s = st.sites[1]
  local paths = {
    socket = s.socket, acl = s.dir .. "/site.acl", journal = s.dir .. "/disk.db", failed = s.dir .. "/failed",
  }
  local function try(case, variable, value)
    prepare(st, paths)
    local env = { LD_PRELOAD = PRELOAD, DISK_FAILED = paths.failed, [variable] = tostring(value) }
    local ran, problem, details
    if case.words then
      ran = maint(paths, env, case.words, case.after)
    else
      env.DISK_ROOM = s.dir .. "/room"
      os.remove(env.DISK_ROOM)
      ran, problem, details = keep(st, paths, env)
    end
    local failed = content(paths.failed) ~= nil
    if failed then
      if case.words then
        problem, details = judge(st, paths, case, ran)
      end
      note(("%s, %s=%s"):format(case.name, variable, value), ran, problem, details)
    end
    return failed
  end
  cases[#cases + 1] = { name = "keep" }
  for _, case in ipairs(cases) do
    for _, variable in ipairs({ "DISK_FULL", "DISK_BROKEN" }) do
      sweep(case.sparse or 1, function(n)
        return try(case, variable, n)
      end)
    end
    for _, part in ipairs({ "site.acl", "disk.db" }) do
      local refused = try(case, "DISK_READONLY", part)
      assert(refused, ("the read-only disk has refused nothing: %s, %s"):format(case.name, part))
    end
  end
end

return M
